"""How much a medium may be before it is refused, so that no input can exhaust the machine."""

from __future__ import annotations

from dataclasses import dataclass

from showtell.errors import InputError

IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
"""The image formats that showtell reads, by Pillow's names."""

VIDEO_FORMATS = (
    "mov", "matroska", "avi", "mpegts", "mpeg", "mpegvideo", "flv", "asf", "ogg", "gif", "mxf", "nut", "rm", "wtv",
    "dv", "h264", "hevc", "m4v", "ivf", "obu", "mjpeg", "yuv4mpegpipe",
)  # fmt: skip
"""The containers of video that showtell reads, by FFmpeg's names; none of them leads to other files."""


@dataclass(frozen=True)
class MediaLimits:
    """What is read, and up to which size; anything else is refused with a `MediaError`.

    image_formats: which of `IMAGE_FORMATS` are decoded; a file of any other kind never meets a decoder.
    max_image_pixels: width times height, known from a file's header before anything is decoded.
    max_image_bytes: of a file or a buffer; by default what 80 megapixels take as uncompressed RGB.
    video_formats: which of `VIDEO_FORMATS` are opened.
    max_video_pixels: width times height of its pictures.
    max_video_bytes: of a buffer or an open file, which are held in memory; a file that is named by its path is not,
        and may have any size.
    max_audio_seconds: of a recording that is read as a whole; one that is read as a stream may be of any length.
    max_audio_bytes: as for video.
    """

    image_formats: tuple[str, ...] = IMAGE_FORMATS
    max_image_pixels: int = 80_000_000
    max_image_bytes: int = 240_000_000
    video_formats: tuple[str, ...] = VIDEO_FORMATS
    max_video_pixels: int = 80_000_000
    max_video_bytes: int = 2_000_000_000
    max_audio_seconds: float = 3600.0
    max_audio_bytes: int = 2_000_000_000

    def __post_init__(self):
        for name, known in (("image_formats", IMAGE_FORMATS), ("video_formats", VIDEO_FORMATS)):
            formats = getattr(self, name)
            if not formats or not set(formats) <= set(known):
                raise InputError(
                    f"{name}={formats!r}: not all of these can be read;"
                    f" one or more of {', '.join(known)} would be accepted."
                )


DEFAULT_LIMITS = MediaLimits()
