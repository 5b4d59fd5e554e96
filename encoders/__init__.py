"""Something to a `Memory`: what a decoder can attend to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from showtell.lazy import attach

if TYPE_CHECKING:
    from showtell.encoders.image import ImageEncoder
    from showtell.encoders.spectrogram import SpectrogramEncoder
    from showtell.encoders.text import TextEncoder
    from showtell.encoders.video import VideoEncoder

__all__ = ["ImageEncoder", "SpectrogramEncoder", "TextEncoder", "VideoEncoder"]

__getattr__, __dir__ = attach(
    __name__,
    {
        "ImageEncoder": "showtell.encoders.image",
        "SpectrogramEncoder": "showtell.encoders.spectrogram",
        "TextEncoder": "showtell.encoders.text",
        "VideoEncoder": "showtell.encoders.video",
    },
)
