"""Naming and opening sources."""

from __future__ import annotations

import io
import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from showtell.errors import InputError, MediaError
from showtell.pipelines.media.source import LONGEST_NAME, describe, open_source

MAX_BYTES = 1000


def read(source: object) -> bytes:
    with open_source(source, medium="an image", max_bytes=MAX_BYTES) as stream:
        return stream.read()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tones.bin"
    path.write_bytes(b"some bytes")
    return path


class Dripping(io.RawIOBase):
    """A stream that cannot seek and gives one byte at a time, as a pipe may."""

    def __init__(self, data: bytes):
        self.data = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self.data.read(min(size, 1))


class Endless:
    def read(self, size: int) -> bytes:
        return bytes(min(size, 100))


def test_every_kind_of_source_gives_its_bytes(file: Path):
    data = file.read_bytes()
    for source in (
        str(file),
        file,
        data,
        bytearray(data),
        memoryview(data),
        io.BytesIO(data),
        Dripping(data),
    ):
        assert read(source) == data
    assert read({"bytes": data, "path": "elsewhere.bin"}) == data
    assert read({"bytes": None, "path": str(file)}) == data


def test_a_strided_view_is_read_as_the_bytes_it_shows():
    assert read(memoryview(b"abcdef")[::2]) == b"ace"


def test_an_open_file_is_read_from_its_beginning_and_stays_open(file: Path):
    with file.open("rb") as opened:
        opened.seek(5)
        assert read(opened) == read(opened) == b"some bytes"
        assert not opened.closed


def test_exactly_the_limit_is_accepted_and_one_byte_more_is_not(file: Path):
    for size, make in [(n, m) for n in (MAX_BYTES, MAX_BYTES + 1) for m in (bytes, io.BytesIO, Dripping)]:
        file.write_bytes(bytes(size))
        for source in (file, make(bytes(size))):
            if size == MAX_BYTES:
                assert len(read(source)) == size
            else:
                with pytest.raises(MediaError, match=r"too large; an image of at most 1,000 bytes would"):
                    read(source)


def test_an_endless_stream_is_too_large():
    with pytest.raises(MediaError, match="too large"):
        read(Endless())


@pytest.mark.parametrize(
    "address",
    [
        "http://example.org/dog.jpg",
        "HTTPS://example.org/dog.jpg",
        " https://example.org/dog.jpg",
        "file:///etc/passwd",
        "file:/etc/passwd",
        "ftp://example.org/dog.jpg",
        "s3://bucket/dog.jpg",
        "data:image/png;base64,iVBORw0KGgo=",
        Path("s3://bucket/dog.jpg"),
    ],
)
def test_an_address_is_refused_whatever_its_scheme(address: str | Path):
    with pytest.raises(InputError, match="nothing is fetched"):
        read(address)


def test_a_colon_alone_makes_no_address(tmp_path: Path):
    path = tmp_path / "12:30 cat:dog.bin"
    path.write_bytes(b"x")
    assert read(path) == b"x"
    with pytest.raises(MediaError, match="no such file"):
        read("C:/photos/dog.jpg")


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero", "/dev/null"):
        with pytest.raises(MediaError, match="pipe or a device"):
            read(path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        with pytest.raises(MediaError, match="cannot be opened"):
            read(tmp_path / "socket")
    with pytest.raises(MediaError, match="this is a folder"):
        read(tmp_path)


def test_a_file_that_may_not_be_read_is_a_media_error(file: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(path: str, flags: int) -> int:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "open", refuse)  # File modes would not keep the superuser out.
    with pytest.raises(MediaError, match=r"tones\.bin: this cannot be opened \(Permission denied\)"):
        read(file)


def test_names_that_no_file_can_have_are_media_errors(tmp_path: Path):
    for name in ("a\0b", "dog\ud800.jpg", "x" * 1_000_000, str(tmp_path / "loop")):
        (tmp_path / "loop").unlink(missing_ok=True)
        (tmp_path / "loop").symlink_to(tmp_path / "loop")
        with pytest.raises(MediaError) as caught:
            read(name)
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize("source", [None, True, 3, 2.5, ["a.jpg"], ("a.jpg",), {}, {"bytes": None}, object()])
def test_what_is_no_source_is_an_input_error(source: object):
    with pytest.raises(InputError, match="this is not an image; a path, bytes or an open binary file would"):
        read(source)


def test_an_empty_source_is_an_error(file: Path):
    file.write_bytes(b"")
    for source in (file, b"", io.BytesIO(), memoryview(b"")):
        with pytest.raises(MediaError, match="empty"):
            read(source)
    with pytest.raises(InputError, match="the empty string"):
        read("")


def test_open_files_that_give_no_bytes_are_errors(file: Path):
    with file.open() as text, pytest.raises(InputError, match="text mode"):
        read(text)
    with pytest.raises(InputError, match="text mode"):
        read(io.StringIO("text"))
    with file.open("ab") as writing, pytest.raises(MediaError, match="cannot be read"):
        read(writing)
    closed = file.open("rb")
    closed.close()
    with pytest.raises(MediaError, match=r"tones\.bin: this open file cannot be read"):
        read(closed)


def test_sources_are_named_by_their_file_or_their_kind(file: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(file.parent)  # long names are shortened
    assert describe("a/dog.jpg") == describe(Path("a/dog.jpg")) == "a/dog.jpg"
    assert describe({"bytes": b"x", "path": "dog.jpg"}) == "dog.jpg"
    assert describe({"bytes": b"x"}) == "the dict given"
    assert describe(b"x") == "the bytes given"
    assert describe(None) == "None"
    assert describe(7) == "the int given"
    with Path(file.name).open("rb") as opened:
        assert describe(opened) == file.name
        with os.fdopen(os.dup(opened.fileno()), "rb") as unnamed:
            assert describe(unnamed) == "the BufferedReader given"


@given(st.text(min_size=1, max_size=300))
def test_a_name_in_a_message_is_printable_and_short(name: str):
    shown = describe(name)
    assert shown.isprintable()
    if name.isprintable():
        assert len(shown) <= LONGEST_NAME + 3
        assert name.endswith(shown[-30:])
