"""Recorded speech and what was said: folders of recordings with a `metadata.jsonl`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from showtell.errors import InputError
from showtell.scripts.datasets.lines import read_json_lines

_EXAMPLE = '{"file_name": "one.flac", "text": "hello there"}'


@dataclass(frozen=True)
class Utterance:
    """A recording, the words in it in small letters, and who speaks, if the data tell."""

    file: Path
    text: str
    speaker: str = ""


def read_utterances(folder: str | Path) -> list[Utterance]:
    """Read a folder's `metadata.jsonl`: a JSON object a line with `file_name` and `text`, and perhaps `speaker`.

    Raises `InputError`, naming the line, for what is missing or broken.
    """
    metadata = Path(folder) / "metadata.jsonl"
    found = []
    for where, record in read_json_lines(metadata):
        name, text, speaker = (record.get(key, "") for key in ("file_name", "text", "speaker"))
        if not (isinstance(name, str) and name and isinstance(text, str) and text and isinstance(speaker, str)):
            raise InputError(f"{where}: no recording with its words; a line such as {_EXAMPLE} would do.")
        file = Path(folder) / name
        if not file.is_file():
            raise InputError(f"{where}: there is no file {file}; a recording beside {metadata.name} would do.")
        found.append(Utterance(file, text, speaker))
    if not found:
        raise InputError(f"{metadata}: it is empty; at least one recording with its words is needed.")
    return found


def characters_of(texts: Iterable[str]) -> list[str]:
    """The characters of texts in their order, the space first; what a recogniser that spells must know."""
    return sorted({character for text in texts for character in text})
