"""Reading photographs: however a picture is stored, the same upright, opaque, 8-bit RGB pixels.

Training and answering read through this file. Of an animation the first frame counts, transparency is laid on
white, and colour profiles (ICC) are ignored.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageOps
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from showtell.errors import InputError, MediaError
from showtell.pipelines.media.limits import DEFAULT_LIMITS, MediaLimits
from showtell.pipelines.media.source import describe, open_source

# How the files of each format begin, and Pillow's class for it. Not `Image.open`, whose limit on pixels is a
# setting of the whole process and warns, and which takes some JPEG files for another format.
_DECODERS: dict[str, tuple[re.Pattern[bytes], type[ImageFile]]] = {
    "JPEG": (re.compile(rb"\xff\xd8\xff"), JpegImageFile),
    "PNG": (re.compile(rb"\x89PNG\r\n\x1a\n"), PngImageFile),
    "WEBP": (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), WebPImageFile),
    "GIF": (re.compile(rb"GIF8[79]a"), GifImageFile),
    "BMP": (re.compile(rb"BM"), BmpImageFile),
    "TIFF": (re.compile(rb"II[*+]\x00|MM\x00[*+]"), TiffImageFile),
}


def read_image(source: Any, *, limits: MediaLimits = DEFAULT_LIMITS) -> Image.Image:
    """The picture that a source holds, as a new upright, opaque, 8-bit RGB image.

    source: a path, bytes, an open binary file, a PIL image, an array, or a data set's row: `{"image": any of
        these}` or `{"bytes", "path"}`. An array is `(height, width)`, or `(height, width, channels)` with 1,
        3 (RGB) or 4 (RGBA) channels, of uint8, uint16 or floats in 0..1.

    Of 16-bit values the high byte is kept, which undoes both ways of widening 8 bits, `* 257` and `<< 8`.

    Raises `MediaError` for a file or buffer that cannot be read as an image or exceeds the limits, and
    `InputError`, its base, for what is no image at all, such as an address: nothing is fetched.
    """
    if isinstance(source, Mapping) and "image" in source:
        source = source["image"]
    name = describe(source)
    if isinstance(source, np.ndarray):
        return _opaque_rgb(_from_array(source, name, limits), name)
    if isinstance(source, Image.Image):
        return _normalise(source, name, limits)
    with open_source(source, medium="an image", max_bytes=limits.max_image_bytes) as stream:
        return _normalise(stream, name, limits)


def to_pixels(image: Image.Image, *, size: int) -> np.ndarray:
    """An RGB image squeezed, not cropped, to a square: `(size, size, 3)`, uint8.

    Bilinear and antialiased; bicubic costs 0.7 ms more a photograph. A much larger image is first averaged over
    whole pixels: four times faster at 12 megapixels, and within 3 of 255 of the exact result. JPEG's own reduced
    decoding (`draft`) is not used: it saves less than half of the time, and would part a JPEG's pixels from those
    of the same picture as PNG.
    """
    return np.array(image.resize((size, size), Image.Resampling.BILINEAR, reducing_gap=3.0))


def _normalise(source: BinaryIO | Image.Image, name: str, limits: MediaLimits) -> Image.Image:
    """The picture of a file, or of a PIL image which may not be decoded yet: upright, opaque, RGB."""
    try:
        if isinstance(source, Image.Image):
            _check_pixels(source.size, name, limits)
            image = source.copy()
        else:
            image = _open_image(source, name, limits)
            image.load()
        _turn_upright(image)
        return _opaque_rgb(image, name)
    except MediaError:
        raise
    except Exception as error:  # Damage makes Pillow raise nearly everything, from OSError to AttributeError.
        raise MediaError(
            f"{name}: the image is damaged, cut short or of a rare kind; {_accepted(limits)} would be accepted."
        ) from error


def _open_image(stream: BinaryIO, name: str, limits: MediaLimits) -> ImageFile:
    """The image in a file, its header read and its size checked, its pixels not decoded yet."""
    start = stream.read(16)
    for image_format in limits.image_formats:
        signature, decoder = _DECODERS[image_format]
        if signature.match(start):
            break
    else:
        raise MediaError(f"{name}: this is no image of a known format; {_accepted(limits)} would be accepted.")
    stream.seek(0)
    image = decoder(stream)
    _check_pixels(image.size, name, limits)
    if isinstance(image, PngImageFile):
        # Pillow compares the checksums of a PNG's pixels only when asked, and needs a fresh start after it.
        image.verify()
        stream.seek(0)
        image = decoder(stream)
    return image


def _accepted(limits: MediaLimits) -> str:
    *others, last = limits.image_formats
    return f"a whole {', '.join(others)} or {last} file" if others else f"a whole {last} file"


def _check_pixels(size: tuple[int, int], name: str, limits: MediaLimits) -> None:
    width, height = size
    if width * height == 0:
        raise MediaError(f"{name}: the image has no pixels; one of at least 1 x 1 would be accepted.")
    if width * height > limits.max_image_pixels:
        raise MediaError(
            f"{name}: the image is too large, {width} x {height};"
            f" one of at most {limits.max_image_pixels:,} pixels would be accepted."
        )


def _turn_upright(image: Image.Image) -> None:
    """Apply the orientation that EXIF or XMP tell, in place."""
    with contextlib.suppress(Exception):  # Damaged metadata say nothing against the pixels.
        ImageOps.exif_transpose(image, in_place=True)


def _opaque_rgb(image: Image.Image, name: str) -> Image.Image:
    """Any of Pillow's modes as 8-bit RGB, laid on white where it is transparent."""
    if image.mode.startswith("I;16"):
        key = image.info.get("transparency")
        values = np.asarray(image)
        image = Image.fromarray(_to_bytes(values, name))
        if key is not None:
            image.putalpha(Image.fromarray((values != key).astype(np.uint8) * np.uint8(255)))
    elif image.mode == "F":
        # Floats come in 0..1, or as Pillow makes them from bytes, in 0..255.
        values = np.asarray(image)
        image = Image.fromarray(_to_bytes(values / 255 if values.max() >= 2 else values, name))
    elif image.mode == "I":
        raise MediaError(
            f"{name}: 32-bit integers have no agreed white; 8 or 16 bits or floats in 0..1 would be accepted."
        )
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
        return white
    return image if image.mode == "RGB" else image.convert("RGB")


def _from_array(array: np.ndarray, name: str, limits: MediaLimits) -> Image.Image:
    if array.ndim not in (2, 3) or array.shape[2:] not in ((), (1,), (3,), (4,)):
        raise InputError(
            f"{name}: its shape is {array.shape};"
            " (height, width), or (height, width, channels) with 1, 3 or 4 channels would be accepted."
        )
    height, width = array.shape[:2]
    _check_pixels((width, height), name, limits)
    return Image.fromarray(_to_bytes(array[:, :, 0] if array.shape[2:] == (1,) else array, name))


def _to_bytes(values: np.ndarray, name: str) -> np.ndarray:
    """Pixel values as uint8: uint8 as it is, the high byte of uint16, floats in 0..1 to the nearest step."""
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:
        return (values >> 8).astype(np.uint8)
    if values.dtype.kind != "f":
        raise InputError(f"{name}: its values are {values.dtype}; uint8, uint16 or floats would be accepted.")
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= 1):
        raise MediaError(f"{name}: its floats are in {low:g}..{high:g}; floats in 0..1 would be accepted.")
    return np.rint(values * 255).astype(np.uint8)
