"""The lines of a text file, compressed or not, each with its place for messages."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from showtell.errors import InputError

_COMPRESSED = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


def open_file(path: str | Path) -> BinaryIO:
    """Open a file for reading bytes, unpacked if its name ends in `.gz`, `.bz2` or `.xz`."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; the path of a file on this machine would be accepted.")
    return _COMPRESSED.get(path.suffix, open)(path, "rb")


def read_lines(path: str | Path) -> Iterator[tuple[str, str]]:
    """Each line without its end, after where it stands: `("dev.txt, line 7", "EU B-ORG")`.

    Raises `InputError` for a file that is missing, damaged, or not UTF-8; a byte-order mark is left out.
    """
    number = 0
    try:
        with open_file(path) as stream:
            # Bytes, because str.splitlines would break lines at characters that words may hold.
            for number, line in enumerate(stream, start=1):
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                yield f"{path}, line {number}", text.rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}, line {number}: it is not UTF-8 ({error}); a text in UTF-8 would do.") from error
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise InputError(
            f"{path}, after line {number}: the file is damaged ({error}); a whole one would do."
        ) from error


def read_json_lines(path: str | Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each line's JSON object, after where it stands; empty lines are left out. Raises `InputError`."""
    for where, line in read_lines(path):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise InputError(f"{where}: not JSON ({error}); one JSON object a line would do.") from error
        if not isinstance(record, dict):
            raise InputError(f"{where}: not a JSON object; one JSON object a line would do.")
        yield where, record
