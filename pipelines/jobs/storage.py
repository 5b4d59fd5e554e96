"""Where a job's input lies: on this machine, or at an address that fsspec opens."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from showtell.errors import JobError, MissingExtraError

# By which an object store or a file system tells one version of a file from the next, beside its size.
VERSIONS = ("ETag", "etag", "LastModified", "last_modified", "updated", "mtime")


class File(NamedTuple):
    """A file that was found: its name below where it was looked for, its whole path, and which version it is."""

    name: str
    path: str
    version: str


def is_address(path: str) -> bool:
    """Tell an address, such as `s3://bucket/photos`, from a path on this machine."""
    return "://" in path


class Disk:
    """Files on this machine, by their paths."""

    def __init__(self, own: Path):
        """own: the job's output, which is no input even where it lies among the inputs."""
        self.own = own.resolve()

    def whole(self, path: str) -> str:
        """The path from the root."""
        return str(Path(path).absolute())

    def exists(self, path: str) -> bool:
        """Whether there is a file or a folder."""
        return Path(path).exists()

    def is_folder(self, path: str) -> bool:
        """Whether there is a folder."""
        return Path(path).is_dir()

    def open(self, path: str) -> BinaryIO:
        """Open a file to read it."""
        return Path(path).open("rb")

    def files(self, folder: str) -> Iterator[File]:
        """All files below a folder but hidden ones, in an order that stays. One folder's names are held at a time.

        Links are followed, and no folder is entered twice. Raises `OSError` for a folder that cannot be read.
        """
        entered = {Path(folder).resolve(), self.own}
        for parent, folders, names in os.walk(folder, onerror=give_up, followlinks=True):
            real = {name: Path(parent, name).resolve() for name in folders if not name.startswith(".")}
            folders[:] = sorted(name for name in real if real[name] not in entered)
            entered.update(real.values())
            for name in sorted(name for name in names if not name.startswith(".")):
                yield self.file(Path(parent, name), folder)

    def matches(self, pattern: str) -> Iterator[File]:
        """All files that a glob stands for, sorted; their names are held at once."""
        above = str(Path(*takewhile(lambda part: not glob.has_magic(part), Path(pattern).parts)))
        # Not `Path.glob`, which finds what is hidden too.
        for name in sorted(glob.iglob(pattern, recursive=True)):  # noqa: PTH207
            path = Path(name)
            if not path.is_dir() and self.own not in path.resolve().parents:
                yield self.file(path, above)

    def file(self, path: Path, above: str) -> File:
        """A file, named by its path below `above`."""
        try:
            status = path.stat()
            version = f"{status.st_size} {status.st_mtime_ns}"
        except OSError:  # such as a link to nowhere, whose row will hold an error
            version = ""
        return File(str(path.relative_to(above)), str(path), version)

    def above(self, path: str) -> str:
        """The folder that holds a file."""
        return str(Path(path).parent)

    def source(self, folder: str, name: str) -> Any:
        """What a pipeline is given: a path, looked for from `folder`. An address is for the pipeline to refuse."""
        return name if not name or is_address(name) else str(Path(folder, name))


class Remote:
    """Files in a file system of fsspec, by their addresses."""

    def __init__(self, address: str):
        """Raise `MissingExtraError` where a library is not installed, `JobError` for an address of an unknown kind."""
        try:
            from fsspec.core import url_to_fs

            self.filesystem, _ = url_to_fs(address)
        except ImportError as error:
            library = error.name or str(error)
            raise MissingExtraError(
                f'{address}: an address needs fsspec and the library of its kind ({library}): pip install "showtell'
                '[batch]", and that library.'
            ) from error
        except ValueError as error:
            raise JobError(f"{address}: this is no address that fsspec knows ({error}).") from error

    def whole(self, path: str) -> str:
        """The address, as its file system writes it."""
        return self.filesystem.unstrip_protocol(self.filesystem._strip_protocol(path))

    def exists(self, path: str) -> bool:
        """Whether there is a file or a folder."""
        return self.filesystem.exists(path)

    def is_folder(self, path: str) -> bool:
        """Whether there is a folder."""
        return self.filesystem.isdir(path)

    def open(self, path: str) -> BinaryIO:
        """Open a file to read it."""
        return self.filesystem.open(path, "rb")

    def files(self, folder: str) -> Iterator[File]:
        """All files below a folder but hidden ones, sorted; their names are held at once."""
        yield from self.found(self.filesystem.find(folder, detail=True), folder)

    def matches(self, pattern: str) -> Iterator[File]:
        """All files that a glob stands for, sorted; their names are held at once."""
        above = "/".join(takewhile(lambda part: not glob.has_magic(part), pattern.split("/")))
        yield from self.found(self.filesystem.glob(pattern, detail=True), above)

    def found(self, files: Any, above: str) -> Iterator[File]:
        """What the file system found, named by its path below `above`."""
        prefix = self.filesystem._strip_protocol(above).rstrip("/") + "/"
        for path, details in sorted(files.items()):
            name = path.removeprefix(prefix)
            if details["type"] == "file" and not any(part.startswith(".") for part in name.split("/")):
                changed = next((details[key] for key in VERSIONS if key in details), "")
                yield File(name, self.filesystem.unstrip_protocol(path), f"{details['size']} {changed}")

    def above(self, path: str) -> str:
        """The folder that holds a file."""
        return path.rpartition("/")[0]

    def source(self, folder: str, name: str) -> Any:
        """What a pipeline is given: a file that is fetched when it is read.

        An address of another kind, bucket or host is handed on as it is, for the pipeline to refuse.
        """
        if not is_address(name):
            return RemoteFile(self.filesystem, f"{folder}/{name}")
        same = name.split("/")[:3] == folder.split("/")[:3]
        return RemoteFile(self.filesystem, name) if same else name


class RemoteFile:
    """A file at an address, opened when it is first read, which is in a pipeline's reading thread."""

    def __init__(self, filesystem: Any, name: str):
        self.filesystem, self.name = filesystem, name
        self.stream: Any = None

    def read(self, size: int = -1) -> bytes:
        """The next bytes; none at the end, where the file is closed."""
        if self.stream is None:
            self.stream = self.filesystem.open(self.name, "rb")
        chunk = self.stream.read(size)
        if not chunk:
            self.stream.close()
        return chunk


def give_up(error: OSError) -> None:
    """What `os.walk` would pass over in silence."""
    raise error
