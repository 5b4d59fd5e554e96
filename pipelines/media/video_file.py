"""One video file: its frames by presentation time, upright and squeezed, in bounded memory.

A container's own figures are hints. Where its header tells another length than its packets have, the packets count.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import av
import numpy as np
from av.stream import Disposition
from av.video.frame import VideoFrame

from showtell.errors import MediaError
from showtell.pipelines.media.limits import MediaLimits

ACCEPTED = "a whole video file, such as an MP4, WebM, MKV, AVI, MPEG or GIF, would be accepted"

# A seek costs about as much as the decoding of this many seconds, at first guess.
SEEK_SECONDS = 2.0
# Some containers land after the time that was sought; then the search goes on from this much earlier.
EARLIER_SECONDS = 10.0
# Where a file tells no frame rate.
USUAL_RATE = 25.0

Shown = tuple[float, VideoFrame]


@contextlib.contextmanager
def open_video(stream: BinaryIO, name: str, limits: MediaLimits) -> Iterator[VideoFile]:
    """Open a file's video, and turn whatever goes wrong with it into a `MediaError`.

    Only containers of `limits.video_formats` are opened, none of which leads to other files: a playlist is refused.
    """
    options = {"format_whitelist": ",".join(limits.video_formats), "protocol_whitelist": "none"}
    try:
        with av.open(stream, options=options) as container:
            yield VideoFile(container, name, limits)
    except MediaError:
        raise
    except Exception as error:  # FFmpeg's errors are of many types, and damage raises others too
        raise MediaError(f"{name}: this is damaged, cut short or no video of a known kind; {ACCEPTED}.") from error


class VideoFile:
    """The video of an open container. Times are in seconds from its start.

    Raises `MediaError` if there is none, or if its pictures are too large.
    """

    def __init__(self, container: Any, name: str, limits: MediaLimits):
        self.container, self.name, self.max_pixels = container, name, limits.max_video_pixels
        # What an audio file has for a cover is no video.
        videos = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
        if not videos:
            raise MediaError(f"{name}: there are no moving pictures in it; {ACCEPTED}.")
        self.stream = videos[0]
        self.check_pixels(self.stream.codec_context.width, self.stream.codec_context.height)
        self.unit = float(self.stream.time_base)
        self.frame_seconds = 1 / float(self.stream.guessed_rate or USUAL_RATE)
        self.start = (self.stream.start_time or 0) * self.unit
        # A raw stream, which tells no length, has no index either.
        self.seek_seconds = SEEK_SECONDS if self.header_seconds() else float("inf")
        self.end = 0.0
        self.decoded = self.decode()

    def header_seconds(self) -> float | None:
        """How long the video is, by the container's header, which may say nothing or something wrong."""
        seconds = (self.stream.duration or 0) * self.unit or (self.container.duration or 0) / av.time_base
        return seconds if seconds > 0 else None

    def measured_seconds(self) -> float:
        """How long it is, by the packets to its end, which are read but not decoded."""
        for _ in self.packets():
            pass
        return self.end

    def packets(self) -> Iterator[Any]:
        """Packets from here to the end, the empty one that ends the stream last."""
        for number, packet in enumerate(self.container.demux(self.stream)):
            if packet.size:
                time = number * self.frame_seconds if packet.pts is None else packet.pts * self.unit - self.start
                self.end = max(self.end, time + ((packet.duration or 0) * self.unit or self.frame_seconds))
            yield packet

    def decode(self) -> Iterator[Shown]:
        """Frames from here to the end, each with the time at which it is shown."""
        number = 0
        for packet in self.packets():
            for frame in packet.decode():
                self.check_pixels(frame.width, frame.height)
                # A raw stream tells no times.
                yield number * self.frame_seconds if frame.time is None else frame.time - self.start, frame
                number += 1

    def frames_at(self, times: Iterable[float]) -> Iterator[VideoFrame]:
        """The frame that is shown at each of some ascending times, until the video ends."""
        shown, coming = None, next(self.decoded, None)
        for time in times:
            if coming is not None and time - coming[0] > self.seek_seconds:
                coming = self.seek(time, coming[0]) or coming
            while coming is not None and (shown is None or coming[0] <= time):
                shown, coming = coming, next(self.decoded, None)
            if shown is None or (coming is None and time >= max(self.end, shown[0] + self.frame_seconds)):
                return
            yield shown[1]

    def seek(self, time: float, reached: float) -> Shown | None:
        """Decode on from the last keyframe at or before a time, and return it.

        reached: how far decoding was. Where keyframes are so rare that the seek led back, later ones must lead farther.
        """
        found = None
        for earlier in (0.0, EARLIER_SECONDS, time):
            self.container.seek(round((time - earlier + self.start) / self.unit), stream=self.stream)
            self.decoded = self.decode()
            found = next(self.decoded, None)
            if found is not None and found[0] <= time:
                break
        if found is None or found[0] <= reached:
            self.seek_seconds *= 2
        return found

    def pixels(self, frame: VideoFrame, size: int) -> np.ndarray:
        """A frame as `(size, size, 3)`, upright."""
        return turn_upright(squeeze(frame, size), frame)

    def check_pixels(self, width: int, height: int) -> None:
        """Refuse pictures that are too large, before they are decoded where the header tells their size."""
        if width * height > self.max_pixels:
            raise MediaError(
                f"{self.name}: its pictures are too large, {width} x {height};"
                f" a video of at most {self.max_pixels:,} pixels a picture would be accepted."
            )


def squeeze(frame: VideoFrame, size: int) -> np.ndarray:
    """A frame squeezed, not cropped, to a square: `(size, size, 3)`, uint8, averaged over what each pixel covers."""
    return frame.reformat(size, size, "rgb24", interpolation="AREA").to_ndarray()


def turn_upright(pixels: np.ndarray, frame: VideoFrame) -> np.ndarray:
    """Turn and mirror a square of pixels as the frame's display matrix tells, by quarter turns."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return pixels
    # Of ISO 14496-12: (x, y) is shown at (a x + c y, b x + d y).
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32, 5).tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        pixels, a, d = pixels.swapaxes(0, 1), c, b
    return pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
