"""Where a medium comes from: what to call it in a message, and how to open it.

Images, sound and video share this. A source is a path on this machine, bytes, an open binary file, or the
`{"bytes", "path"}` by which a data set holds a file that is not decoded yet. Nothing is ever fetched.
"""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Mapping
from typing import Any, BinaryIO

from showtell.errors import InputError, MediaError

LONGEST_NAME = 80
"""Characters of a name that a message shows."""

# Path() folds "http://" into "http:/", so one slash is enough. A drive's letter, as in "C:/", is no scheme.
_ADDRESS = re.compile(r"\s*([a-z][a-z0-9+.-]+:/|(data|file|https?):)", re.IGNORECASE)


def describe(source: object) -> str:
    """What to call a source in a message: its file's name as it was given, or else its kind."""
    if isinstance(source, Mapping):
        source = source.get("path") or source
    elif hasattr(source, "read"):
        name = getattr(source, "name", None)  # A file opened by its descriptor has that number for a name.
        source = name if isinstance(name, str | os.PathLike) else source
    if isinstance(source, str | os.PathLike):
        return _printable(os.fsdecode(source)) or "the empty string"
    return "None" if source is None else f"the {type(source).__name__} given"


def open_source(source: object, *, medium: str, max_bytes: int) -> BinaryIO:
    """A source as a seekable binary file of at least one and at most `max_bytes` bytes, at its beginning.

    medium: what the source should hold, with its article, for messages: `"an image"`.

    Closing what is returned is the caller's part; an open file that was handed in stays open. It is read from
    its beginning if it can seek, and else from where it stands.

    Raises `InputError` for what is no source at all, an address among them, and `MediaError` for one that
    cannot be opened, is empty or is too large.
    """
    name = describe(source)
    if isinstance(source, Mapping):
        held = source.get("bytes")
        source = source.get("path") if held is None else held
    if isinstance(source, str | os.PathLike):
        return _open_path(os.fsdecode(source), name, medium, max_bytes)
    if isinstance(source, bytes | bytearray | memoryview):
        _check_size(memoryview(source).nbytes, name, medium, max_bytes)
        return io.BytesIO(bytes(source))
    if hasattr(source, "read"):
        return _read_open_file(source, name, medium, max_bytes)
    raise InputError(f"{name}: this is not {medium}; a path, bytes or an open binary file would be accepted.")


def _open_path(path: str, name: str, medium: str, max_bytes: int) -> BinaryIO:
    accepted = f"the path of {medium} on this machine would be accepted"
    if not path:
        raise InputError(f"{name}: this names no file; {accepted}.")
    if _ADDRESS.match(path):
        raise InputError(f"{name}: this is an address, and nothing is fetched; {accepted}.")
    try:
        stream = open(path, "rb", opener=_open_without_waiting)  # noqa: SIM115
    except FileNotFoundError as error:
        raise MediaError(f"{name}: there is no such file; {accepted}.") from error
    except IsADirectoryError as error:
        raise MediaError(f"{name}: this is a folder; {accepted}.") from error
    except OSError as error:
        raise MediaError(f"{name}: this cannot be opened ({error.strerror}); {accepted}.") from error
    except ValueError as error:  # A null byte, or a character that the file system cannot write.
        raise MediaError(f"{name}: no file can have this name; {accepted}.") from error
    try:
        # Asked of the open file and not of its name, which may mean another file by now.
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise MediaError(f"{name}: this is a pipe or a device and no regular file; {accepted}.")
        _check_size(status.st_size, name, medium, max_bytes)
    except MediaError:
        stream.close()
        raise
    return stream


def _open_without_waiting(path: str, flags: int) -> int:
    # Opening a pipe would otherwise wait until somebody writes to it. Windows has neither flag nor pipes.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _read_open_file(file: Any, name: str, medium: str, max_bytes: int) -> io.BytesIO:
    accepted = "a file opened for reading with mode 'rb' would be accepted"
    if isinstance(file, io.TextIOBase):
        raise InputError(f"{name}: this file is open in text mode; {accepted}.")
    stream = io.BytesIO()
    try:
        if hasattr(file, "seekable") and file.seekable():
            file.seek(0)
        # One byte over the limit is enough to know. A raw file may hand out less than it is asked for.
        while chunk := file.read(max_bytes + 1 - stream.tell()):
            stream.write(chunk)
    except (OSError, ValueError) as error:
        raise MediaError(f"{name}: this open file cannot be read ({error}); {accepted}.") from error
    except TypeError as error:
        raise InputError(f"{name}: this object's read(size) gives no bytes; {accepted}.") from error
    _check_size(stream.tell(), name, medium, max_bytes)
    stream.seek(0)
    return stream


def _check_size(size: int, name: str, medium: str, max_bytes: int) -> None:
    if size == 0:
        raise MediaError(f"{name}: this is empty; {medium} would be accepted.")
    if size > max_bytes:
        raise MediaError(f"{name}: this is too large; {medium} of at most {max_bytes:,} bytes would be accepted.")


def _printable(name: str) -> str:
    """A name on one line: long ones keep their beginning and end, control characters are escaped."""
    if len(name) > LONGEST_NAME:
        name = f"{name[: LONGEST_NAME // 3]}...{name[-LONGEST_NAME // 2 :]}"
    return name if name.isprintable() else ascii(name)[1:-1]
