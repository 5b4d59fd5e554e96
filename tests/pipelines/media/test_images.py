"""Reading pictures gives the same pixels however they are stored and handed in."""

from __future__ import annotations

import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from showtell.pipelines.media.images import read_image, to_pixels

MEDIA = Path(__file__).parents[2] / "media"
CAT = Image.open(MEDIA / "cat.jpg").convert("RGB").resize((30, 20))
PIXELS = np.asarray(CAT)
GREY = np.asarray(CAT.convert("L"))
ALPHA = np.linspace(0, 255, 600).astype(np.uint8).reshape(20, 30)


def encoded(image: Image.Image, image_format: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


def png(values: np.ndarray, colour_type: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG file of `(height, width[, channels])` values, uint8 or uint16, written as its standard says."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width = values.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 8 * values.itemsize, colour_type, 0, 0, 0)
    rows = values.astype(values.dtype.newbyteorder(">")).reshape(height, -1)
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    pieces = (chunk(b"IHDR", header), *(chunk(*c) for c in chunks), chunk(b"IDAT", zlib.compress(data)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(pieces) + chunk(b"IEND", b"")


def on_white(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = alpha[..., None] / 255
    return np.rint(pixels * share + 255 * (1 - share)).astype(np.uint8)


def rgb(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=2)


def assert_reads_as(source, expected: np.ndarray):
    image = read_image(source)
    assert image.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(image), expected)


# What an orientation means: how the stored array is turned to stand upright.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_rotated_picture_stands_upright(image_format: str, orientation: int):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.asarray(Image.open(io.BytesIO(encoded(CAT, image_format, quality=90))).convert("RGB"))
    data = encoded(CAT, image_format, quality=90, exif=exif)
    assert_reads_as(data, UPRIGHT[orientation](stored))
    assert_reads_as(Image.open(io.BytesIO(data)), UPRIGHT[orientation](stored))
    assert_reads_as(read_image(data), UPRIGHT[orientation](stored))


def test_a_picture_with_damaged_exif_is_read_as_it_is_stored():
    data = encoded(CAT, "PNG", exif=b"Exif\0\0no tags at all")
    assert_reads_as(data, PIXELS)


@pytest.mark.parametrize("image_format", ["PNG", "WEBP", "BMP", "TIFF"])
def test_lossless_files_give_their_pixels(image_format: str):
    assert_reads_as(encoded(CAT, image_format, lossless=True), PIXELS)
    assert_reads_as(encoded(CAT.convert("L"), image_format, lossless=True), rgb(GREY))


def test_one_bit_pictures_are_black_and_white():
    bits = CAT.convert("1")
    for image_format in ("PNG", "TIFF", "BMP"):
        assert_reads_as(encoded(bits, image_format), rgb(np.asarray(bits) * np.uint8(255)))


@pytest.mark.parametrize("widen", [lambda v: v.astype(np.uint16) * 257, lambda v: v.astype(np.uint16) << 8])
def test_sixteen_bits_give_the_pixels_of_eight(widen):
    assert_reads_as(png(widen(GREY), 0), rgb(GREY))
    assert_reads_as(png(widen(PIXELS), 2), PIXELS)
    assert_reads_as(encoded(Image.fromarray(widen(GREY)), "TIFF"), rgb(GREY))
    assert_reads_as(encoded(Image.fromarray(widen(GREY)), "TIFF", compression="tiff_lzw"), rgb(GREY))
    assert_reads_as(widen(PIXELS), PIXELS)
    assert_reads_as(widen(GREY).astype(">u2"), rgb(GREY))


def test_sixteen_bits_with_alpha_lie_on_white():
    wide = np.dstack([PIXELS, ALPHA]).astype(np.uint16) * 257
    assert_reads_as(png(wide, 6), on_white(PIXELS, ALPHA))
    assert_reads_as(png(wide[..., [0, 3]], 4), on_white(rgb(PIXELS[..., 0]), ALPHA))


def test_a_float_tiff_gives_the_pixels_of_eight_bits():
    for grey in (GREY, np.zeros_like(GREY)):
        in_one = Image.fromarray(grey.astype(np.float32) / 255)
        assert_reads_as(encoded(in_one, "TIFF"), rgb(grey))
        assert_reads_as(encoded(Image.fromarray(grey).convert("F"), "TIFF"), rgb(grey))


def test_transparency_lies_on_white():
    rgba = Image.fromarray(np.dstack([PIXELS, ALPHA]))
    for image_format in ("PNG", "WEBP", "TIFF"):
        data = encoded(rgba, image_format, lossless=True, exact=True)
        assert_reads_as(data, on_white(PIXELS, ALPHA))
    grey_alpha = Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(ALPHA)])
    assert_reads_as(encoded(grey_alpha, "PNG"), on_white(rgb(GREY), ALPHA))


def test_a_transparent_colour_is_white():
    key, grey_key = PIXELS[3, 4], GREY[3, 4]
    seen = on_white(PIXELS, np.where((key == PIXELS).all(axis=2), 0, 255))
    assert_reads_as(png(PIXELS, 2, (b"tRNS", struct.pack(">HHH", *key))), seen)
    seen = on_white(rgb(GREY), np.where(grey_key == GREY, 0, 255))
    assert_reads_as(png(GREY, 0, (b"tRNS", struct.pack(">H", grey_key))), seen)
    wide = GREY.astype(np.uint16) * 257
    assert_reads_as(png(wide, 0, (b"tRNS", struct.pack(">H", wide[3, 4]))), seen)


def test_palettes_give_their_colours_and_their_transparency():
    palette = CAT.quantize(16)
    indices, colours = np.asarray(palette), np.asarray(palette.convert("RGB"))
    for image_format in ("PNG", "GIF", "BMP", "TIFF"):
        assert_reads_as(encoded(palette, image_format), colours)
    seen = on_white(colours, np.where(indices == 5, 0, 255))
    assert_reads_as(encoded(palette, "GIF", transparency=5), seen)
    assert_reads_as(encoded(palette, "PNG", transparency=5), seen)
    alphas = bytes(range(0, 256, 17))
    assert_reads_as(
        encoded(palette, "PNG", transparency=alphas),
        on_white(colours, np.frombuffer(alphas, np.uint8)[indices]),
    )


def test_cmyk_gives_the_same_picture_as_rgb():
    assert_reads_as(encoded(CAT.convert("CMYK"), "TIFF"), PIXELS)
    rocket = MEDIA / "rocket_cmyk.jpg"
    as_rgb = Image.open(rocket).convert("RGB")
    assert_reads_as(rocket, np.asarray(as_rgb))
    assert_reads_as(encoded(as_rgb, "PNG"), np.asarray(as_rgb))
    red, _, blue = np.asarray(as_rgb)[0, 0]
    assert blue > red, "the night sky is blue; an inverted picture's would be orange"


def test_of_an_animation_the_first_frame_counts():
    animation = Image.open(MEDIA / "cat_then_coffee.gif")
    frames = [np.asarray(animation.convert("RGB"))]
    animation.seek(1)
    frames.append(np.asarray(animation.convert("RGB")))
    assert (frames[0] != frames[1]).any()
    assert_reads_as(MEDIA / "cat_then_coffee.gif", frames[0])
    first, second = (Image.fromarray(frame) for frame in frames)
    for image_format in ("PNG", "TIFF", "WEBP"):
        data = encoded(first, image_format, save_all=True, append_images=[second], lossless=True)
        assert_reads_as(data, frames[0])


def test_a_colour_profile_changes_nothing():
    assert_reads_as(encoded(CAT, "PNG", icc_profile=b"not even a profile"), PIXELS)


def test_every_way_of_handing_in_a_picture_gives_the_same_pixels():
    path = MEDIA / "cat.jpg"
    data = path.read_bytes()
    expected = np.asarray(Image.open(path))
    for source in (
        str(path),
        path,
        data,
        bytearray(data),
        memoryview(data),
        io.BytesIO(data),
        Image.open(path),
    ):
        assert_reads_as(source, expected)
        assert_reads_as({"image": source, "caption": "a cat"}, expected)
    assert_reads_as({"bytes": data, "path": None}, expected)
    assert_reads_as({"image": {"bytes": None, "path": str(path)}}, expected)
    assert_reads_as(expected, expected)


def test_arrays_of_every_shape_and_type_are_read():
    assert_reads_as(GREY, rgb(GREY))
    assert_reads_as(GREY[..., None], rgb(GREY))
    assert_reads_as(np.dstack([PIXELS, ALPHA]), on_white(PIXELS, ALPHA))
    assert_reads_as(PIXELS[::-1, ::2], PIXELS[::-1, ::2])
    for kind in (np.float16, np.float32, np.float64):
        assert_reads_as((PIXELS / 255).astype(kind), PIXELS)


def test_a_picture_that_is_handed_in_is_left_as_it_was():
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = Image.open(io.BytesIO(encoded(CAT, "PNG", exif=exif)))
    read_image(turned)
    assert turned.size == (30, 20)
    assert turned.getexif()[0x0112] == 6
    mine = CAT.copy()
    read_image(mine).paste("red", (0, 0, 9, 9))
    assert mine == CAT


def test_reading_in_threads_gives_what_reading_in_turn_gives():
    paths = [MEDIA / name for name in ("cat.jpg", "coffee.webp", "rocket_cmyk.jpg", "cat_then_coffee.gif")] * 8
    with ThreadPoolExecutor(4) as pool:
        images = list(pool.map(read_image, paths))
    assert images == [read_image(path) for path in paths]


def test_pixels_are_the_whole_picture_squeezed_to_a_square():
    halves = np.zeros((40, 100, 3), np.uint8)
    halves[:, :50] = (250, 20, 30)
    halves[:, 50:] = (10, 60, 240)
    pixels = to_pixels(Image.fromarray(halves), size=16)
    assert pixels.shape == (16, 16, 3)
    assert pixels.dtype == np.uint8
    assert (pixels[:, :6] == halves[0, 0]).all()
    assert (pixels[:, 10:] == halves[0, -1]).all()


def test_pixels_of_a_picture_of_the_right_size_are_its_own():
    square = PIXELS[:20, :20]
    np.testing.assert_array_equal(to_pixels(Image.fromarray(square), size=20), square)


def test_pixels_of_a_large_picture_are_close_to_the_exact_ones():
    large = CAT.resize((1500, 1000), Image.Resampling.BICUBIC)
    exact = np.asarray(large.resize((32, 32), Image.Resampling.BILINEAR)).astype(int)
    assert abs(to_pixels(large, size=32) - exact).max() <= 3
