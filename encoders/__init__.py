"""Something to a `Memory`: what a decoder can attend to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from showtell.lazy import attach

if TYPE_CHECKING:
    from showtell.encoders.image import ImageEncoder
    from showtell.encoders.text import TextEncoder

__all__ = ["ImageEncoder", "TextEncoder"]

__getattr__, __dir__ = attach(
    __name__, {"ImageEncoder": "showtell.encoders.image", "TextEncoder": "showtell.encoders.text"}
)
