"""How much a medium may be before it is refused, so that no input can exhaust the machine."""

from __future__ import annotations

from dataclasses import dataclass

from showtell.errors import InputError

IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
"""The image formats that showtell reads, by Pillow's names."""


@dataclass(frozen=True)
class MediaLimits:
    """What is read, and up to which size; anything else is refused with a `MediaError`.

    image_formats: which of `IMAGE_FORMATS` are decoded; a file of any other kind never meets a decoder.
    max_image_pixels: width times height, known from a file's header before anything is decoded.
    max_image_bytes: of a file or a buffer; by default what 80 megapixels take as uncompressed RGB.
    max_audio_seconds: of a recording that is read as a whole; one that is read as a stream may be of any length.
    max_audio_bytes: of a file or a buffer; by default what three hours of 48 kHz stereo take, uncompressed.
    """

    image_formats: tuple[str, ...] = IMAGE_FORMATS
    max_image_pixels: int = 80_000_000
    max_image_bytes: int = 240_000_000
    max_audio_seconds: float = 3600.0
    max_audio_bytes: int = 2_100_000_000

    def __post_init__(self):
        if not self.image_formats or not set(self.image_formats) <= set(IMAGE_FORMATS):
            raise InputError(
                f"image_formats={self.image_formats!r}: not all of these can be read;"
                f" one or more of {', '.join(IMAGE_FORMATS)} would be accepted."
            )


DEFAULT_LIMITS = MediaLimits()
