"""What cannot be read as a picture is one typed error, and nothing is decoded beyond the limits."""

from __future__ import annotations

import io
import pickle
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from showtell.errors import InputError, MediaError
from showtell.pipelines.media.images import read_image
from showtell.pipelines.media.limits import IMAGE_FORMATS, MediaLimits
from showtell.pipelines.media.source import describe

MEDIA = Path(__file__).parents[2] / "media"
CAT = Image.open(MEDIA / "cat.jpg").convert("RGB").resize((30, 20))
PIXELS = np.asarray(CAT)
GREY = np.asarray(CAT.convert("L"))


def encoded(image: Image.Image, image_format: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


def png_claiming(width: int, height: int) -> bytes:
    """A small PNG file whose header names another size."""
    data = encoded(CAT, "PNG")
    header = b"IHDR" + struct.pack(">II", width, height) + data[24:29]
    return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


@pytest.mark.parametrize(
    ("array", "problem"),
    [
        (np.zeros((0, 4, 3), np.uint8), "no pixels"),
        (np.zeros((4, 0), np.uint8), "no pixels"),
        (np.zeros(4, np.uint8), "shape"),
        (np.zeros((3, 8, 8), np.uint8), "shape"),
        (np.zeros((1, 8, 8, 3), np.uint8), "shape"),
        (np.array(5, np.uint8), "shape"),
        (np.full((4, 4), np.nan), "nan"),
        (np.full((4, 4), np.inf), "inf"),
        (np.full((4, 4), 255.0), "255"),
        (np.full((4, 4), -0.5), "-0.5"),
        (np.zeros((4, 4), np.int64), "int64"),
        (np.zeros((4, 4), bool), "bool"),
        (np.zeros((4, 4), complex), "complex"),
        (np.full((4, 4), "x"), "U1"),
        (np.full((4, 4), None), "object"),
    ],
)
def test_an_array_that_is_no_picture_is_refused(array: np.ndarray, problem: str):
    with pytest.raises(InputError, match=rf"^the ndarray given: .*{problem}.* would be accepted\.$"):
        read_image(array)


BOMB = PngImagePlugin.PngInfo()
BOMB.add_text("comment", "x" * 2_000_000, zip=True)
CAT_JPEG = (MEDIA / "cat.jpg").read_bytes()
CAT_PNG = encoded(CAT, "PNG")
UNREADABLE = {
    "truncated.jpg": CAT_JPEG[: len(CAT_JPEG) // 2],
    "header_only.jpg": CAT_JPEG[:20],
    "truncated.png": CAT_PNG[: len(CAT_PNG) // 2],
    "bad_checksum.png": CAT_PNG[:-16] + bytes([CAT_PNG[-16] ^ 1]) + CAT_PNG[-15:],
    "text_bomb.png": encoded(CAT, "PNG", pnginfo=BOMB),
    "no_pixels.png": png_claiming(0, 20),
    "truncated.gif": encoded(CAT.quantize(16), "GIF")[:80],
    "truncated.webp": (MEDIA / "coffee.webp").read_bytes()[:500],
    "truncated.bmp": encoded(CAT, "BMP")[:500],
    "truncated.tiff": encoded(CAT, "TIFF")[:-100],
    "integers.tiff": encoded(Image.fromarray(GREY.astype(np.int32)), "TIFF"),
    "empty.jpg": b"",
    "text.jpg": b"These are words and no picture.",
    "drawing.svg": b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9"/></svg>',
    "pickled.png": pickle.dumps(PIXELS),
    "page.pdf": encoded(CAT, "PDF"),
    "page.eps": encoded(CAT, "EPS"),
    "icon.ico": encoded(CAT, "ICO"),
    "photo.ppm": encoded(CAT, "PPM"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_file_that_cannot_be_read_is_a_media_error_that_names_it(name: str, tmp_path: Path):
    (tmp_path / name).write_bytes(UNREADABLE[name])
    for source in (tmp_path / name, UNREADABLE[name]):
        with pytest.raises(MediaError) as caught:
            read_image(source)
        message = str(caught.value)
        assert message.startswith(f"{describe(source)}: ")
        assert message.endswith(" would be accepted.")
        assert "\n" not in message


@pytest.mark.parametrize("source", [None, True, 5, 1.5, [], object(), "", "http://x.org/a.jpg", "file:///etc/passwd"])
def test_what_is_no_image_is_an_input_error(source: object):
    for handed_in in (source, {"image": source}):
        with pytest.raises(InputError, match=r"would be accepted\.$"):
            read_image(handed_in)


@pytest.mark.parametrize("size", [(50_000, 50_000), (10_000, 10_000)])
def test_a_huge_picture_is_refused_from_its_header_without_a_warning(size: tuple[int, int]):
    with (
        warnings.catch_warnings(record=True) as caught,
        pytest.raises(MediaError, match=r"too large, \d+ x \d+;"),
    ):
        read_image(png_claiming(*size))
    assert not caught


def test_limits_hold_for_every_source():
    limits = MediaLimits(image_formats=("PNG",), max_image_pixels=599, max_image_bytes=100)
    with pytest.raises(MediaError, match="at most 100 bytes"):
        read_image(CAT_PNG, limits=limits)
    with pytest.raises(MediaError, match="at most 599 pixels"):
        read_image(CAT, limits=limits)
    with pytest.raises(MediaError, match="at most 599 pixels"):
        read_image(PIXELS, limits=limits)
    with pytest.raises(MediaError, match="known format; a whole PNG file would be accepted"):
        read_image(encoded(CAT.resize((1, 1)), "GIF"), limits=limits)


@pytest.mark.parametrize("formats", [(), ("EPS",), ("PNG", "PSD"), "PNG"])
def test_limits_refuse_formats_that_nobody_reads(formats):
    with pytest.raises(InputError, match="JPEG, PNG, WEBP, GIF, BMP, TIFF would be accepted"):
        MediaLimits(image_formats=formats)


@pytest.mark.filterwarnings("ignore")  # Pillow warns of some damage.
@pytest.mark.parametrize("image_format", IMAGE_FORMATS)
def test_a_cut_file_is_never_read_as_another_picture(image_format: str):
    data = encoded(CAT, image_format)
    whole = read_image(data)
    for kept in range(1, len(data), 11):
        try:
            assert read_image(data[:kept]) == whole
        except MediaError:
            continue


@pytest.mark.filterwarnings("ignore")  # Pillow warns of some damage.
@settings(max_examples=200)
@given(
    image_format=st.sampled_from(IMAGE_FORMATS),
    damage=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8),
    kept=st.floats(0.01, 1),
)
def test_a_damaged_file_is_read_or_is_a_media_error(image_format: str, damage: list, kept: float):
    data = bytearray(encoded(CAT, image_format))
    for where, value in damage:
        data[int(where * len(data))] = value
    try:
        image = read_image(bytes(data[: int(kept * len(data)) + 1]), limits=MediaLimits(max_image_pixels=10**6))
    except MediaError:
        return
    assert image.mode == "RGB"
