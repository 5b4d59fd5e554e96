"""Captioned photographs, and what counts as a word of a caption."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from showtell.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

CAPTION_COLUMNS = ("captions", "caption", "text")
_EXAMPLE = '{"file_name": "dog.jpg", "captions": ["A dog runs."]}'


@dataclass(frozen=True)
class CaptionedPhotograph:
    """A photograph, as a file's path or a file's bytes, and what people wrote about it."""

    image: Path | bytes
    captions: tuple[str, ...]


def read_captions(source: str | Path | Dataset) -> list[CaptionedPhotograph]:
    """Read captioned photographs from a folder or from a Hugging Face data set, in order.

    A folder holds `metadata.jsonl`, one JSON object a line with `file_name` and the captions, or is a data
    set written by `Dataset.save_to_disk`. A data set has a column `image` and the captions. Captions stand
    under `captions`, `caption` or `text`, as one string or a list. A photograph that comes several times is
    one photograph with all its captions. A data set's photographs stay compressed, but in memory.

    Raises InputError, naming the line or row, for what is missing or broken.
    """
    captions_of: dict[Path | bytes, list[str]] = {}
    for image, captions in _records(source):
        captions_of.setdefault(image, []).extend(captions)
    if not captions_of:
        name = source if isinstance(source, (str, Path)) else "the data set"
        raise InputError(f"{name}: it is empty; at least one photograph with a caption is needed.")
    return [CaptionedPhotograph(image, tuple(captions)) for image, captions in captions_of.items()]


def _records(source: str | Path | Dataset) -> Iterator[tuple[Path | bytes, list[str]]]:
    if not isinstance(source, (str, Path)):
        return _dataset_records(source, name="the data set")
    folder = Path(source)
    if (folder / "metadata.jsonl").is_file():
        return _folder_records(folder)
    if (folder / "dataset_dict.json").is_file():
        raise InputError(f"{folder}: it holds several splits; one, such as {folder / 'train'}, would do.")
    if (folder / "state.json").is_file():
        from datasets import Dataset

        return _dataset_records(Dataset.load_from_disk(folder), name=str(folder))
    raise InputError(
        f"{folder}: there is no metadata.jsonl; a folder of photographs with a metadata.jsonl, or a data set "
        "written by save_to_disk, would be accepted."
    )


def _folder_records(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    metadata = folder / "metadata.jsonl"
    # Bytes, because JSON is UTF-8 whatever the machine's locale is.
    for number, line in enumerate(metadata.read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        where = f"{metadata}, line {number}"
        try:
            record = json.loads(line)
        except ValueError as error:
            raise InputError(f"{where}: not JSON ({error}); one JSON object a line would do.") from error
        if not isinstance(record, dict) or not isinstance(record.get("file_name"), str):
            raise InputError(f"{where}: no file name; a line such as {_EXAMPLE} would do.")
        yield _existing(folder / record["file_name"], where), _captions(record, where)


def _dataset_records(dataset: Dataset, *, name: str) -> Iterator[tuple[Path | bytes, list[str]]]:
    from datasets import Dataset, Image

    if not isinstance(dataset, Dataset) or "image" not in dataset.column_names:
        raise InputError(f"{name}: no column `image`; a datasets.Dataset of photographs would be accepted.")
    # Undecoded, so that every photograph is read by the same code at training as at answering.
    undecoded = dataset.cast_column("image", Image(decode=False))
    for number in range(len(undecoded)):
        row, where = undecoded[number], f"{name}, row {number}"
        image = row["image"] or {}
        if not image.get("bytes") and not image.get("path"):
            raise InputError(f"{where}: no photograph; the bytes or the path of one would do.")
        yield image["bytes"] or _existing(Path(image["path"]), where), _captions(row, where)


def _existing(path: Path, where: str) -> Path:
    if not path.is_file():
        raise InputError(f"{where}: {path} is missing; a photograph that is on this machine would do.")
    return path


def _captions(record: dict[str, Any], where: str) -> list[str]:
    captions = next((record[column] for column in CAPTION_COLUMNS if record.get(column)), [])
    captions = captions if isinstance(captions, list) else [captions]
    if not captions or not all(isinstance(caption, str) and caption.strip() for caption in captions):
        names = ", ".join(CAPTION_COLUMNS)
        raise InputError(
            f"{where}: no caption, or an empty one; a text or a list of texts under one of {names} would do."
        )
    return captions


# Python's \w leaves out combining marks, without which words in Hindi or Thai fall apart.
_MARKS = "".join(mark for mark in map(chr, range(0x10000)) if unicodedata.category(mark)[0] == "M")
_LETTERS = rf"(?:[^\W_]++[{_MARKS}]*+)++"
_CLITIC = r"(?:n't|'(?:s|m|d|re|ve|ll))\b"
_CLITIC_IN_WORD = re.compile(rf"(?<=\w)(?={_CLITIC})")
_WORD = re.compile(
    rf"""
      {_CLITIC}                            # 's of "man's"
    | (?:[a-z]\.){{2,}}                    # u.s.
    | (?:mr|mrs|ms|dr|st|jr|sr)\.          # titles keep their full stop
    | \d+(?:[.,:/]\d+)+                    # 3.5  1,000  10:30  1/2
    | {_LETTERS}(?:[-']{_LETTERS})*        # t-shirt  o'clock
    | [&\#$%@+=€£°]                        # signs that are read aloud
    """,
    re.VERBOSE,
)
_PLAIN = str.maketrans("\u2018\u2019\u02bc\u2010\u2011", "'''--")  # curly apostrophes, typographic hyphens


def caption_words(text: str) -> list[str]:
    """A caption's words: lower-case, "'s" and "n't" split off, hyphens kept, punctuation dropped.

    These are the words that the COCO evaluation gets from Stanford's PTB tokenizer, without its Java: of
    34,995 captions of Flickr8k, nine differ. What PTB does to web addresses, brackets and slang is left out.
    """
    text = unicodedata.normalize("NFC", text).lower().translate(_PLAIN)
    return _WORD.findall(_CLITIC_IN_WORD.sub(" ", text))
