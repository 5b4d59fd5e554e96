"""Texts as they are spoken: sentences of words in small letters, from books, reviews, captions or transcripts."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from showtell.errors import InputError
from showtell.scripts.datasets.lines import read_json_lines, read_lines

# Where a sentence ends, or a speaker pauses. A number ends one too: its words are not known.
_BREAK = re.compile(r"<br */?>|[.!?;:\"\u201c\u201d()\[\]{}|*/]+|--+|[\u2013\u2014]|\d[\d,.]*")
_ABBREVIATION = re.compile(r"\b(mr|mrs|ms|dr|st)\.")
# Letters, and apostrophes between them.
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)*")
# The texts of a JSON line, by whichever of these it has.
_KEYS = ("text", "captions")


def read_sentences(file: str | Path) -> Iterator[list[str]]:
    """The sentences of a file, each as its words.

    file: JSON lines with `text` or `captions` if its name says `.jsonl`, else plain text, whose paragraphs stand
        between empty lines. Plain text without empty lines has a sentence in each line. Either may be compressed.

    Raises `InputError` for a file that cannot be read, or has no such key.
    """
    if ".jsonl" in Path(file).suffixes:
        texts = _json_texts(file)
    else:
        lines = [line.strip() for _, line in read_lines(file)]
        texts = lines
        if "" in lines:
            texts = [" ".join(group) for is_text, group in groupby(lines, bool) if is_text]
    return (sentence for text in texts for sentence in spoken_sentences(text))


def spoken_sentences(text: str) -> Iterator[list[str]]:
    """Split a text into sentences, and these into words of the letters a to z and apostrophes."""
    text = unicodedata.normalize("NFKD", text.replace("\u2019", "'")).lower().replace("&", " and ")
    text = "".join(character for character in text if not unicodedata.combining(character))
    for sentence in _BREAK.split(_ABBREVIATION.sub(r"\1", text)):
        if words := _WORD.findall(sentence):
            yield [sys.intern(word) for word in words]  # one of each, for there are millions


def is_word(text: str) -> bool:
    """Whether it is one word of the letters a to z and apostrophes."""
    return _WORD.fullmatch(text) is not None


def _json_texts(file: str | Path) -> Iterable[str]:
    for where, record in read_json_lines(file):
        found = next((record[key] for key in _KEYS if key in record), None)
        texts = [found] if isinstance(found, str) else found
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise InputError(f'{where}: no text; a line such as {{"text": "hello there"}} would do.')
        yield from texts
