"""One sound file: its samples in blocks, in bounded memory, as far as it can be decoded.

What its header tells of its length, and the end of its name, are not asked: the decoder looks at what is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from types import SimpleNamespace
from typing import Any, BinaryIO

import av
import numpy as np
import soundfile
from av.error import FFmpegError

from showtell.errors import MediaError
from showtell.pipelines.media.waveform import to_mono

ACCEPTED = "a whole sound file, such as a WAV, FLAC, MP3, Ogg, M4A or WMA, or a video with sound, would be accepted"

# By FFmpeg's names; none of them leads to other files.
FORMATS = (
    "wav", "w64", "aiff", "au", "caf", "nistsphere", "flac", "mp3", "ogg", "mov", "aac", "asf", "xwma", "matroska",
    "avi", "flv", "mpegts", "mpeg", "rm", "ac3", "eac3", "dts", "amr", "gsm", "ape", "wv", "tta", "tak", "mpc",
    "mpc8", "dsf", "voc", "iff", "ircam", "avr", "sox", "pvf", "mxf", "nut", "wtv",
)  # fmt: skip
# What a file of that kind begins with.
OGG = b"OggS"
# Values, of all channels, that are handed on at once.
BLOCK_VALUES = 1 << 16

Block = tuple[float, np.ndarray]
"""A sampling rate, and `(samples,)` at it."""


def file_blocks(stream: BinaryIO, name: str) -> Iterator[Block]:
    """The sound of a file, block by block, its channels mixed.

    FFmpeg knows nearly every kind of file, and forgives damage. libsndfile knows a few rare kinds more; it is not asked
    first because it gives a damaged FLAC file up, and writes to standard error about a damaged MP3. But Ogg it forgives
    as much, and decodes in few calls where FFmpeg takes a hundred a second, each of which waits for other threads.

    Raises `MediaError` for what neither of them knows, and for a video without sound.
    """
    if stream.read(len(OGG)) == OGG and (file := opened_by_sndfile(stream)):
        yield from blocks_by_sndfile(file, name)
        return
    stream.seek(0)
    options = {"format_whitelist": ",".join(FORMATS), "protocol_whitelist": "none"}
    try:
        container = av.open(stream, options=options, metadata_errors="replace")
    except Exception as error:  # FFmpeg's errors are of many types, and damage raises others too
        if not (file := opened_by_sndfile(stream)):
            raise MediaError(f"{name}: this is damaged, cut short or no sound of a known kind; {ACCEPTED}.") from error
        yield from blocks_by_sndfile(file, name)
        return
    with container:
        if not container.streams.audio:
            raise MediaError(f"{name}: there is no sound in it; {ACCEPTED}.")
        for frame in joined(decoded(container)):
            values = frame.to_ndarray()
            values = values.T if frame.format.is_planar else values.reshape(-1, frame.layout.nb_channels)
            yield frame.sample_rate, to_mono(values, name)


def decoded(container: Any) -> Iterator[av.AudioFrame]:
    """The frames of a container's first sound. What is damaged is left out."""
    packets = container.demux(container.streams.audio[0])
    while True:
        try:
            frames = next(packets).decode()
        except StopIteration:
            return
        except FFmpegError:  # of a packet; an error of the container ends its packets too
            continue
        yield from frames


def joined(frames: Iterable[av.AudioFrame]) -> Iterator[av.AudioFrame]:
    """Small frames as larger ones: a codec may give fifty a second, and each has its price in Python."""
    for _, alike in groupby(frames, key=lambda frame: (frame.format.name, frame.layout.name, frame.sample_rate)):
        fifo = av.AudioFifo()
        for frame in alike:
            frame.pts = None  # a gap in time is no reason to stop
            fifo.write(frame)
            if fifo.samples * frame.layout.nb_channels >= BLOCK_VALUES and (whole := fifo.read()):
                yield whole
        if rest := fifo.read():
            yield rest


class FromFrontToBack(soundfile.SoundFile):
    """A file that is read once, in order.

    After each read of a file that can seek, `SoundFile` seeks to where it is; of Opus that costs a seventh of all.
    """

    def seekable(self) -> bool:
        """No, so that nothing is sought after a read."""
        return False


def opened_by_sndfile(stream: BinaryIO) -> soundfile.SoundFile | None:
    """A file that libsndfile knows, or none."""
    stream.seek(0)
    # Without its name, which may end in .raw and would then be believed.
    nameless: Any = SimpleNamespace(seek=stream.seek, tell=stream.tell, read=stream.read)
    try:
        return FromFrontToBack(nameless)
    except soundfile.SoundFileError:
        return None


def blocks_by_sndfile(file: soundfile.SoundFile, name: str) -> Iterator[Block]:
    """The same through libsndfile."""
    with file:
        try:
            while len(values := file.read(max(1, BLOCK_VALUES // file.channels), dtype="float32", always_2d=True)):
                yield file.samplerate, to_mono(values, name)
        except soundfile.SoundFileError as error:
            raise MediaError(f"{name}: this is damaged; {ACCEPTED}.") from error
