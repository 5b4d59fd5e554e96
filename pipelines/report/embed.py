"""Pictures and sounds inside the page, so that a report is one file."""

from __future__ import annotations

import base64
import io

import numpy as np
import soundfile
from PIL import Image


def fit(image: Image.Image, longer_side: int) -> Image.Image:
    """The picture in RGB, made smaller if its longer side has more than `longer_side` pixels."""
    small = image.convert("RGB")
    small.thumbnail((longer_side, longer_side), Image.Resampling.LANCZOS)
    return small


def data_uri(image: Image.Image, *, quality: int) -> str:
    """The picture as a JPEG in a `data:` URI."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, optimize=True)
    return _uri(buffer, "image/jpeg")


def clear_uri(image: Image.Image) -> str:
    """A picture that the page shines through, as a PNG in a `data:` URI."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return _uri(buffer, "image/png")


def sound_uri(samples: np.ndarray, sample_rate: int) -> str:
    """A recording `(samples,)` as an MP3, which all browsers play, in a `data:` URI."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, sample_rate, format="MP3")
    return _uri(buffer, "audio/mpeg")


def _uri(buffer: io.BytesIO, media_type: str) -> str:
    return f"data:{media_type};base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
