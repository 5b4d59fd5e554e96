"""Photographs however they are stored, and what is none: the same caption, or one typed error."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from showtell import InputError, MediaError, pipeline
from showtell.pipelines.image_to_text import ImageToText

MEDIA = Path(__file__).parents[1] / "media"
CAT = MEDIA / "cat.jpg"


@pytest.fixture(scope="module")
def tiny_caption(tiny: Path) -> ImageToText:
    return pipeline("image-to-text", tiny, threads=1)


def png_claiming(width: int, height: int) -> bytes:
    """A PNG file of one grey pixel whose header names another size."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")


UNREADABLE_FILES = {
    "truncated.jpg": CAT.read_bytes()[:2000],
    "empty.jpg": b"",
    "text.jpg": b"These are words and no picture.",
    "huge.png": png_claiming(50_000, 50_000),
    "drawing.svg": b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9"/></svg>',
}


@pytest.fixture
def unreadable(tmp_path: Path) -> list[tuple[Any, str, type[InputError]]]:
    """What cannot be captioned, each with its name in the message and the kind of error."""
    for name, data in UNREADABLE_FILES.items():
        (tmp_path / name).write_bytes(data)
    paths = [*(tmp_path / name for name in UNREADABLE_FILES), tmp_path, tmp_path / "missing.jpg"]
    lazy = Image.open(tmp_path / "truncated.jpg")
    return [
        *((path, path.name, MediaError) for path in paths),
        (lazy, "the JpegImageFile given", MediaError),
        (5, "the int given", InputError),
        (None, "None", InputError),
        ("https://example.com/dog.jpg", "https://example.com/dog.jpg", InputError),
        ("file:///etc/passwd", "file:///etc/passwd", InputError),
    ]


def test_what_cannot_be_read_is_one_typed_error_that_names_it(tiny_caption: ImageToText, unreadable: list) -> None:
    for source, name, kind in unreadable:
        with pytest.raises(kind) as caught:
            tiny_caption(source)
        message = str(caught.value)
        assert name in message and "\n" not in message
        assert message.endswith("would be accepted.")
        assert "the JpegImageFile" in name or message.partition(": ")[0].endswith(name)
        returned = tiny_caption(source, on_error="return")
        assert (type(returned), str(returned)) == (type(caught.value), message)


def test_the_neighbours_of_what_cannot_be_read_are_answered(tiny_caption: ImageToText, unreadable: list) -> None:
    one = tiny_caption(CAT)
    sources = [CAT, *(source for bad, _, _ in unreadable for source in (bad, CAT))]
    for inputs in (sources, iter(sources)):
        answers = list(tiny_caption(inputs, on_error="return"))
        for [answer] in answers[::2]:
            assert answer["generated_text"] == one[0]["generated_text"]
            assert answer["score"] == pytest.approx(one[0]["score"], abs=1e-4)
        for error, (_, name, kind) in zip(answers[1::2], unreadable, strict=True):
            assert isinstance(error, kind) and name in str(error)


def stored(image: Image.Image, image_format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


def ways_of_storing() -> Iterator[tuple[Any, Image.Image]]:
    """A picture stored in an unusual way, and the same as upright, opaque, 8-bit RGB."""
    cat = Image.open(CAT)
    animation = Image.open(MEDIA / "cat_then_coffee.gif")
    yield MEDIA / "cat_then_coffee.gif", animation.convert("RGB")
    yield MEDIA / "rocket_cmyk.jpg", Image.open(MEDIA / "rocket_cmyk.jpg").convert("RGB")
    grey = cat.convert("L")
    yield stored(Image.fromarray(np.asarray(grey).astype(np.uint16) * 257), "PNG"), grey.convert("RGB")
    palette = cat.quantize(32)
    yield stored(palette, "PNG"), palette.convert("RGB")
    ellipse = np.hypot(*np.ogrid[-1 : 1 : cat.height * 1j, -1 : 1 : cat.width * 1j]) < 0.8
    on_white = np.where(ellipse[..., None], np.asarray(cat), np.uint8(255))
    yield (
        stored(Image.fromarray(np.dstack([np.asarray(cat), ellipse * np.uint8(255)])), "PNG"),
        Image.fromarray(on_white),
    )
    exif = Image.Exif()
    exif[0x0112] = 6
    yield stored(cat.rotate(90, expand=True), "PNG", exif=exif), cat


def test_a_picture_gets_the_same_caption_however_it_is_stored(caption: ImageToText) -> None:
    for source, plain in ways_of_storing():
        assert caption(source) == caption(stored(plain, "PNG"))
