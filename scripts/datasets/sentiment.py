"""Texts with a label, such as their sentiment, from the forms in which such data come."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from showtell.errors import InputError
from showtell.scripts.datasets.lines import read_json_lines, read_lines

IMDB_LABELS = {"neg": "negative", "pos": "positive"}
# The treebank's five degrees as three.
DEGREES = {"0": "negative", "1": "negative", "2": "neutral", "3": "positive", "4": "positive"}

_TREE_TOKEN = re.compile(r"\(\s*(?P<label>\d+)|(?P<close>\))|(?P<word>[^()\s]+)|(?P<wrong>\S)")
# How the Penn Treebank writes what would break its brackets, and quotes.
_WRITTEN = {"-LRB-": "(", "-RRB-": ")", "-LSB-": "[", "-RSB-": "]", "-LCB-": "{", "-RCB-": "}", "``": '"', "''": '"'}


@dataclass(frozen=True)
class LabelledText:
    """A text, and its label as the data name it: "positive", or "0" to "4"."""

    text: str
    label: str


def read_labelled(path: str | Path) -> list[LabelledText]:
    """Read labelled texts from JSON lines, CSV, IMDB's folders, or the whole sentences of a treebank.

    path: a folder with `pos` and `neg`; or a file, `.jsonl`, `.csv`, `.tsv`, or `.txt` with a tree a line, any of
        them compressed if `.gz`, `.bz2` or `.xz` follows. JSON lines and tables have `text` and `label`.

    Raises `InputError`, naming file and line, for what is missing or broken.
    """
    path = Path(path)
    if path.is_dir():
        return read_imdb(path)
    kind = Path(path.stem).suffix if path.suffix in (".gz", ".bz2", ".xz") else path.suffix
    if kind in (".csv", ".tsv"):
        return _not_empty([*_read_table(path, delimiter="," if kind == ".csv" else "\t")], path)
    if kind == ".jsonl":
        return _not_empty([_labelled(record, where) for where, record in read_json_lines(path)], path)
    if kind == ".txt":
        return read_trees(path)
    raise InputError(f"{path}: its name tells no known form; .jsonl, .csv, .tsv, .txt or a folder would be accepted.")


def read_trees(path: str | Path, *, phrases: bool = False) -> list[LabelledText]:
    """Read the Stanford Sentiment Treebank: a tree a line, `(3 (2 Not) (3 bad))`, each node a phrase with its label.

    phrases: every phrase, not only whole sentences; each distinct phrase with its label once, in order.

    Words are parted by single spaces, and brackets and quotes are written as people do.
    """
    found: list[LabelledText] = []
    for where, line in read_lines(path):
        if line.strip():
            nodes = _read_tree(line, where)
            found += nodes if phrases else nodes[-1:]
    return _not_empty(list(dict.fromkeys(found)) if phrases else found, Path(path))


def read_imdb(folder: str | Path) -> list[LabelledText]:
    """Read a part of the Large Movie Review Dataset: a folder with a review a file in `pos` and in `neg`."""
    folder = Path(folder)
    found: list[LabelledText] = []
    for name, label in IMDB_LABELS.items():
        if not (folder / name).is_dir():
            raise InputError(f"{folder}: there is no folder {name!r}; one with 'pos' and 'neg' would be accepted.")
        for file in sorted((folder / name).glob("*.txt")):
            try:
                found.append(LabelledText(file.read_bytes().decode("utf-8-sig"), label))
            except (OSError, UnicodeDecodeError) as error:
                raise InputError(f"{file}: it cannot be read ({error}); a review in UTF-8 would do.") from error
    return _not_empty(found, folder)


def _read_tree(line: str, where: str) -> list[LabelledText]:
    """A tree's phrases, each after its parts, so that the whole sentence comes last."""
    words: list[str] = []
    # Of each bracket that is open, its label and how many words came before it.
    still_open: list[tuple[str, int]] = []
    phrases: list[LabelledText] = []
    for token in _TREE_TOKEN.finditer(line):
        ended = bool(phrases) and not still_open
        if token["label"] and not ended:
            still_open.append((token["label"], len(words)))
        elif token["word"] and still_open:
            words.append(_WRITTEN.get(token["word"], token["word"].replace("\\", "")))
        elif token["close"] and still_open and len(words) > still_open[-1][1]:
            label, first = still_open.pop()
            phrases.append(LabelledText(" ".join(words[first:]), label))
        else:
            break
    else:
        if phrases and not still_open:
            return phrases
    raise InputError(f"{where}: this is no tree of labelled phrases; a line such as '(3 (2 Not) (3 bad))' would do.")


def _read_table(path: Path, *, delimiter: str) -> Iterator[LabelledText]:
    """A table with a head that names `text` and `label`; a field in quotes may have line breaks in it."""
    rows = csv.reader((f"{line}\n" for _, line in read_lines(path)), delimiter=delimiter, strict=True)
    head: list[str] = []
    first = 1
    try:
        for row in rows:
            where, first = f"{path}, line {first}", rows.line_num + 1
            if not row:
                continue
            if not head:
                head = [name.strip() for name in row]
                if not {"text", "label"} <= set(head):
                    raise InputError(f"{where}: its columns are {head}; 'text' and 'label' must be among them.")
            elif len(row) != len(head):
                raise InputError(f"{where}: {len(row)} columns, and {len(head)} in the head; as many would do.")
            else:
                yield _labelled(dict(zip(head, row, strict=True)), where)
    except csv.Error as error:
        raise InputError(f"{path}, line {first}: it cannot be read as a table ({error}); CSV would do.") from error


def _labelled(record: dict[str, Any], where: str) -> LabelledText:
    text, label = record.get("text"), record.get("label")
    if not isinstance(text, str) or not isinstance(label, (str, int)) or isinstance(label, bool) or label == "":
        raise InputError(f'{where}: no text with its label; {{"text": "Not bad.", "label": "positive"}} would do.')
    return LabelledText(text, str(label))


def _not_empty(found: list[LabelledText], path: Path) -> list[LabelledText]:
    if not found:
        raise InputError(f"{path}: it is empty; at least one text with its label is needed.")
    return found
