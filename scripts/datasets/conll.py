"""Texts with named entities: CoNLL's columns, one word a line, and running text with the entities' characters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from showtell.errors import InputError
from showtell.scripts.datasets.lines import read_json_lines, read_lines

DOCUMENT_START = "-DOCSTART-"

_TAG = re.compile(r"O|[BIOESLU]-\S+")
_EXAMPLE = '{"text": "Ada lived in London.", "entities": [{"start": 13, "end": 19, "type": "LOC"}]}'


@dataclass(frozen=True)
class TaggedSentence:
    """A sentence's words and their tags as the file has them, of whichever scheme.

    document: which of the file's documents it belongs to, from 0; a file that marks none is one document.
    """

    words: tuple[str, ...]
    tags: tuple[str, ...]
    document: int = 0


@dataclass(frozen=True)
class Entity:
    """A named entity: `text[start:end]`, and its type, such as "PER"."""

    start: int
    end: int
    type: str


@dataclass(frozen=True)
class MarkedText:
    """Running text and the entities in it, in order; they do not overlap."""

    text: str
    entities: tuple[Entity, ...]


def read_conll(path: str | Path, *, word_column: int = 0, tag_column: int = -1) -> list[TaggedSentence]:
    """Read sentences in columns: a word a line with its tag, and an empty line after each sentence.

    Columns are parted by a tab in a file that has tabs, and else by spaces; there may be any number of them. A line
    that begins with `-DOCSTART-` begins a document. The file may be compressed (`.gz`, `.bz2`, `.xz`).

    Raises `InputError`, naming file and line, for one without these columns, or whose tag is neither `O` nor a
    letter of B, I, E, S, L, U and a type, as in `B-PER`.
    """
    sentences: list[TaggedSentence] = []
    words: list[str] = []
    tags: list[str] = []
    documents, columns, tabs = 0, 0, False

    def end_sentence() -> None:
        if words:
            sentences.append(TaggedSentence(tuple(words), tuple(tags), max(0, documents - 1)))
            words.clear()
            tags.clear()

    for where, line in read_lines(path):
        if not line.strip(" \t"):
            end_sentence()
        elif line.startswith(DOCUMENT_START):
            end_sentence()
            documents += 1
        else:
            tabs = tabs or (columns == 0 and "\t" in line)
            fields = line.split("\t") if tabs else re.split("[ \t]+", line.strip(" \t"))
            columns = columns or len(fields)
            word, tag = _word_and_tag(fields, columns, word_column, tag_column, where)
            words.append(word)
            tags.append(tag)
    end_sentence()
    if not sentences:
        raise InputError(f"{path}: there are no sentences in it; one word and its tag a line would do.")
    return sentences


def read_marked_texts(path: str | Path) -> list[MarkedText]:
    """Read running text: JSON lines of `{"text", "entities": [{"start", "end", "type"}]}`, in characters.

    Raises `InputError`, naming file and line, for a line of another form, and for entities that are empty, overlap,
    or reach over the text's end.
    """
    return [_marked_text(record, where) for where, record in read_json_lines(path)]


def bio_tags(offsets: Sequence[tuple[int, int]], entities: Sequence[Entity]) -> list[str]:
    """A tag for each word, in the scheme BIO (IOB2), from where words and entities stand in one text.

    A word that an entity covers in part counts as the entity's; if two do, as the first one's.
    """
    tags = ["O"] * len(offsets)
    place = 0
    for entity in sorted(entities, key=lambda entity: entity.start):
        while place < len(offsets) and offsets[place][1] <= entity.start:
            place += 1
        prefix = "B"
        while place < len(offsets) and offsets[place][0] < entity.end:
            tags[place] = f"{prefix}-{entity.type}"
            prefix = "I"
            place += 1
    return tags


def _word_and_tag(fields: list[str], columns: int, word_column: int, tag_column: int, where: str) -> tuple[str, str]:
    if len(fields) != columns:
        raise InputError(f"{where}: {len(fields)} columns, and {columns} before; as many on every line would do.")
    try:
        word, tag = fields[word_column], fields[tag_column]
    except IndexError:
        raise InputError(
            f"{where}: it has {len(fields)} columns; columns {word_column} and {tag_column}, a word and its tag,"
            " would do."
        ) from None
    if len(fields) < 2 or not word or not _TAG.fullmatch(tag):
        raise InputError(f"{where}: no word with its tag; a line such as 'London B-LOC' or 'in O' would do.")
    return word, tag


def _marked_text(record: dict[str, Any], where: str) -> MarkedText:
    text = record.get("text")
    try:
        entities = [Entity(int(e["start"]), int(e["end"]), str(e["type"])) for e in record["entities"]]
    except (KeyError, TypeError, ValueError):
        entities = None
    if not isinstance(text, str) or entities is None:
        raise InputError(f"{where}: no text with entities; a line such as {_EXAMPLE} would do.")
    entities.sort(key=lambda entity: entity.start)
    before = 0
    for entity in entities:
        if not before <= entity.start < entity.end <= len(text):
            raise InputError(
                f"{where}: the entity from {entity.start} to {entity.end} is empty, overlaps another or lies outside"
                f" of the text's {len(text)} characters; entities one after another would do."
            )
        before = entity.end
    return MarkedText(text, tuple(entities))
