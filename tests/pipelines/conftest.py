"""Small videos, whose frames tell by their brightness which they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

WriteVideo = Callable[..., Path]

# From one frame to the next, of 256; more than any codec changes.
BRIGHTNESS = 8
RATE = 10
CODECS = {".avi": "mpeg4", ".flv": "flv1", ".gif": "gif", ".mpg": "mpeg1video", ".webm": "libvpx", ".wmv": "wmv2"}


def write(
    path: Path,
    *,
    frames: int = 30,
    times: Sequence[float] | None = None,
    size: tuple[int, int] = (32, 24),
    keyframes: int = 250,
    pictures: Sequence[np.ndarray] | None = None,
    **options: str,
) -> Path:
    """Write a video of grey frames at 10 a second, the first dark, each later one brighter, until it begins again.

    times: when each frame is shown, in seconds, if not evenly. keyframes: how far apart. pictures: in place of grey.
    options: of the container.
    """
    count = len(times if times is not None else pictures if pictures is not None else range(frames))
    with av.open(str(path), "w", options=options) as container:
        # MPEG-1 knows few rates.
        rate = 25 if path.suffix == ".mpg" else RATE
        stream: Any = container.add_stream(CODECS.get(path.suffix, "libx264"), rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = "rgb8" if path.suffix == ".gif" else "yuv420p"
        stream.codec_context.gop_size, stream.bit_rate = keyframes, 2_000_000
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for place in range(count):
            grey = np.full((size[1], size[0], 3), (place * BRIGHTNESS + BRIGHTNESS // 2) % 256, np.uint8)
            frame = VideoFrame.from_ndarray(grey if pictures is None else pictures[place], "rgb24")
            if times is not None:
                frame.pts, frame.time_base = round(1000 * times[place]), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="session")
def write_video() -> WriteVideo:
    """Writes a video."""
    return write


@pytest.fixture(scope="session")
def places() -> Callable[[np.ndarray], list[int]]:
    """Tells by their brightness which frames of such a video some pixels `(frames, size, size, 3)` are."""
    return lambda pixels: (pixels.mean(axis=(1, 2, 3)) // BRIGHTNESS).astype(int).tolist()
