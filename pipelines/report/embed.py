"""Pictures inside the page, so that a report is one file."""

from __future__ import annotations

import base64
import io

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
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
