"""Reading video: so many frames evenly by presentation time over a whole clip, whatever it is stored as.

Training and answering read through this file. A clip is a file of any kind that FFmpeg decodes by itself, a folder of
pictures, or an array. Sound is ignored.
"""

from __future__ import annotations

import os
import re
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from av.video.frame import VideoFrame

from showtell.errors import InputError, MediaError
from showtell.pipelines.media.images import read_image
from showtell.pipelines.media.limits import DEFAULT_LIMITS, MediaLimits
from showtell.pipelines.media.source import describe, open_source
from showtell.pipelines.media.video_file import ACCEPTED, VideoFile, open_video, squeeze

PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}


class Clip(NamedTuple):
    """A recording or a part of it: its frames `(frames, size, size, 3)`, uint8, and from when to when, in seconds.

    Single pictures have no times, and theirs are zero.
    """

    pixels: np.ndarray
    start: float
    end: float


def read_video(source: Any, *, frames: int, size: int, limits: MediaLimits = DEFAULT_LIMITS) -> Clip:
    """So many frames of a whole recording.

    source: a path, bytes or an open binary file; the path of a folder of pictures, which are its frames in the order
        of their names, numbers in them by value; an array `(time, height, width, channels)` as `read_image` takes its
        pictures; or a data set's row: `{"video": any of these}` or `{"bytes", "path"}`.

    The recording is cut into so many parts of equal length, and the frame that is shown in the middle of each is taken:
    the same one twice where it has fewer frames. It is squeezed, not cropped, to a square.

    Raises `MediaError` for a file or buffer that cannot be read as a video or exceeds the limits, and `InputError`,
    its base, for what is no video at all, such as an address: nothing is fetched.
    """
    if isinstance(source, Mapping) and "video" in source:
        source = source["video"]
    pictures = find_pictures(source)
    if pictures is None:
        return read_file(source, frames=frames, size=size, limits=limits)
    places = [(2 * place + 1) * len(pictures) // (2 * frames) for place in range(frames)]
    squeezed = {
        place: squeeze(VideoFrame.from_image(read_image(pictures[place], limits=limits)), size) for place in set(places)
    }
    return Clip(np.stack([squeezed[place] for place in places]), 0.0, 0.0)


def read_file(source: Any, *, frames: int, size: int, limits: MediaLimits) -> Clip:
    """So many frames of a video file. Where its header turns out to be wrong, it is read again for as long as it is."""
    with open_file(source, limits) as stream:
        with open_video(stream, describe(source), limits) as video:
            told = video.header_seconds()
            pixels = spread(video, told, frames, size) if told else []
            seconds = video.measured_seconds()
        if not told or abs(seconds - told) > told / frames / 2:
            stream.seek(0)
            with open_video(stream, describe(source), limits) as video:
                pixels = spread(video, seconds, frames, size)
    if not pixels:
        raise MediaError(f"{describe(source)}: there are no frames in it; {ACCEPTED}.")
    return Clip(np.stack(pixels + pixels[-1:] * (frames - len(pixels))), 0.0, seconds)


def spread(video: VideoFile, seconds: float, frames: int, size: int) -> list[np.ndarray]:
    """The frames in the middle of so many equal parts of a video's first seconds; fewer where it ends before."""
    times = ((place + 0.5) * seconds / frames for place in range(frames))
    return [video.pixels(frame, size) for frame in video.frames_at(times)]


def read_windows(
    source: Any,
    *,
    frames: int,
    size: int,
    window_seconds: float,
    stride_seconds: float,
    limits: MediaLimits = DEFAULT_LIMITS,
) -> Iterator[Clip]:
    """A recording of any length as overlapping windows of so many frames each, in bounded memory.

    source: a file, as for `read_video`. stride_seconds: from one window's start to the next, to the nearest frame.

    The last window ends with the recording. One that is shorter than a window is one window.

    Raises `MediaError` where the recording turns out to be damaged, and `InputError` for what has no times.
    """
    if isinstance(source, Mapping) and "video" in source:
        source = source["video"]
    if find_pictures(source) is not None:
        raise InputError(f"{describe(source)}: single pictures have no times; a video file would be accepted.")
    step = window_seconds / frames
    hop = max(1, round(stride_seconds / step))
    held: deque[np.ndarray] = deque(maxlen=frames)
    read = emitted = 0
    with open_file(source, limits) as stream, open_video(stream, describe(source), limits) as video:
        for frame in video.frames_at((place + 0.5) * step for place in count()):
            held.append(video.pixels(frame, size))
            read += 1
            if read >= frames and (read - frames) % hop == 0:
                emitted = read
                yield Clip(np.stack(held), (read - frames) * step, min(read * step, video.end))
    if read < frames:
        yield read_file(source, frames=frames, size=size, limits=limits)
    elif emitted < read:
        yield Clip(np.stack(held), (read - frames) * step, min(read * step, video.end))


def find_pictures(source: Any) -> Sequence[Any] | np.ndarray | None:
    """The single pictures of a clip, in order; None for what should be a file. Raises `InputError` for none at all."""
    if isinstance(source, np.ndarray):
        if source.ndim != 4 or not len(source):
            raise InputError(
                f"{describe(source)}: its shape is {source.shape};"
                " (time, height, width, 3) with at least one frame would be accepted."
            )
        return source
    if not isinstance(source, str | os.PathLike) or source == "" or not Path(source).is_dir():
        return None
    pictures = [file for file in Path(source).iterdir() if file.suffix.lower() in PICTURES]
    if not pictures:
        raise MediaError(f"{describe(source)}: there are no pictures in this folder; JPEG or PNG files would do.")
    return sorted(pictures, key=lambda file: by_number(file.name))


def by_number(name: str) -> list[str | int]:
    """For sorting: a name's letters as they are and its numbers by value, so that 10 comes after 9."""
    return [int(part) if place % 2 else part.casefold() for place, part in enumerate(re.split(r"(\d+)", name))]


def open_file(source: Any, limits: MediaLimits) -> BinaryIO:
    """A video file, at its beginning. One that is named by its path is not read into memory, and may have any size."""
    named = isinstance(source, str | os.PathLike) or (isinstance(source, Mapping) and source.get("bytes") is None)
    return open_source(source, medium="a video", max_bytes=sys.maxsize if named else limits.max_video_bytes)
