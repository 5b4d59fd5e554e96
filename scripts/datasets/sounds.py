"""Recordings and what they are: folders of recordings with a `metadata.jsonl`."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from showtell.errors import InputError
from showtell.scripts.datasets.lines import read_json_lines

_EXAMPLE = '{"file_name": "one.flac", "label": "seven"}'


class LabelledSound(NamedTuple):
    """A recording and what it is."""

    file: Path
    label: str


def read_labelled_sounds(folder: str | Path) -> list[LabelledSound]:
    """Read a folder's `metadata.jsonl`: a JSON object a line with `file_name` and `label`.

    Raises `InputError`, naming the line, for what is missing or broken.
    """
    metadata = Path(folder) / "metadata.jsonl"
    found = []
    for where, record in read_json_lines(metadata):
        name, label = record.get("file_name"), record.get("label")
        if not (isinstance(name, str) and name and isinstance(label, str) and label):
            raise InputError(f"{where}: no recording with its label; a line such as {_EXAMPLE} would do.")
        file = Path(folder) / name
        if not file.is_file():
            raise InputError(f"{where}: there is no file {file}; a recording beside {metadata.name} would do.")
        found.append(LabelledSound(file, label))
    if not found:
        raise InputError(f"{metadata}: it is empty; at least one recording with its label is needed.")
    return found
