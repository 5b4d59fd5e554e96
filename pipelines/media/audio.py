"""Reading sound: however a recording is stored, the same samples of one channel at 16,000 Hz, in -1..1.

Training and answering read through this file. A recording that is cut short or damaged is read as far as it can be.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np

from showtell.errors import InputError, MediaError
from showtell.pipelines.media.audio_file import Block, file_blocks
from showtell.pipelines.media.limits import DEFAULT_LIMITS, MediaLimits
from showtell.pipelines.media.source import describe, open_source
from showtell.pipelines.media.waveform import SAMPLE_RATE, Resampler, to_mono

# So much of a long array is handled at a time.
BLOCK_SAMPLES = 1 << 16

ACCEPTED_ARRAY = '{"array": ..., "sampling_rate": ...} would be accepted'


@dataclass(frozen=True)
class Audio:
    """A whole recording: `samples` `(samples,)`, float32, at `sample_rate`, and what to call it in a message."""

    samples: np.ndarray
    sample_rate: int
    name: str


def read_audio(source: Any, *, limits: MediaLimits = DEFAULT_LIMITS) -> Audio:
    """A whole recording.

    source: a path, bytes or an open binary file, of sound or of a video with sound; `{"array", "sampling_rate"}`; or a
        data set's row: `{"audio": any of these}`, `{"bytes", "path"}`, or a decoder of torchcodec. An array is
        `(samples,)`, `(samples, channels)` or `(channels, samples)`, of floats in -1..1, int16, int32 or uint8.

    Raises `MediaError` for a file, buffer or array that cannot be read as sound or exceeds the limits, and
    `InputError`, its base, for what is no sound at all, such as an address or an array without its rate.
    """
    chunks: list[np.ndarray] = []
    seconds = 0.0
    for chunk in stream_audio(source, limits=limits):
        seconds += len(chunk) / SAMPLE_RATE
        if seconds > limits.max_audio_seconds:
            raise MediaError(
                f"{describe(source)}: the recording is too long;"
                f" one of at most {limits.max_audio_seconds:,g} seconds would be accepted."
            )
        chunks.append(chunk)
    return Audio(np.concatenate(chunks), SAMPLE_RATE, describe(source))


def stream_audio(source: Any, *, limits: MediaLimits = DEFAULT_LIMITS) -> Iterator[np.ndarray]:
    """A recording of any length in chunks of a few seconds, which together are what `read_audio` gives.

    source: as for `read_audio`. What is wrong with it is raised when that place is reached.
    """
    if isinstance(source, Mapping) and "audio" in source:
        source = source["audio"]
    name = describe(source)
    heard = False
    for rate, blocks in groupby(find_blocks(source, name, limits), key=itemgetter(0)):
        resampler = Resampler(rate, name)
        for _, samples in blocks:
            heard = True
            yield resampler.push(samples)
        yield resampler.end()
    if not heard:
        raise MediaError(f"{name}: there are no samples in it; a recording of at least one would be accepted.")


def find_blocks(source: Any, name: str, limits: MediaLimits) -> Iterator[Block]:
    """The blocks of a recording, wherever it is."""
    if hasattr(source, "get_all_samples"):  # torchcodec's AudioDecoder, which datasets hands out
        decoded = source.get_all_samples()
        source = {"array": decoded.data, "sampling_rate": decoded.sample_rate}
    if isinstance(source, Mapping) and source.get("array") is not None:
        return array_blocks(source["array"], source.get("sampling_rate"), name)
    if hasattr(source, "__array__"):
        raise InputError(f"{name}: an array does not tell its sampling rate; {ACCEPTED_ARRAY}.")
    return opened_blocks(source, name, limits)


def opened_blocks(source: Any, name: str, limits: MediaLimits) -> Iterator[Block]:
    """The blocks of a file. One that is named by its path is not read into memory, and may have any size."""
    named = isinstance(source, str | os.PathLike) or (isinstance(source, Mapping) and source.get("bytes") is None)
    limit = sys.maxsize if named else limits.max_audio_bytes
    with open_source(source, medium="a recording", max_bytes=limit) as stream:
        yield from file_blocks(stream, name)


def array_blocks(array: Any, rate: Any, name: str) -> Iterator[Block]:
    """The blocks of an array, whose longer axis is time."""
    if rate is None:
        raise InputError(f"{name}: it does not tell its sampling rate; {ACCEPTED_ARRAY}.")
    try:
        values = np.asarray(array)
    except (TypeError, ValueError) as error:  # a ragged list, a tensor on a GPU
        raise InputError(f"{name}: what should be its array is none; {ACCEPTED_ARRAY}.") from error
    if values.size == 0:
        return
    if values.ndim not in (1, 2) or (values.ndim == 2 and len(values) == values.shape[1] != 1):
        raise InputError(
            f"{name}: the shape of its array is {values.shape}; (samples,), (samples, channels) or (channels, samples),"
            " with more samples than channels, would be accepted."
        )
    if values.ndim == 2 and len(values) < values.shape[1]:
        values = values.T
    for start in range(0, len(values), BLOCK_SAMPLES):
        yield rate, to_mono(values[start : start + BLOCK_SAMPLES], name)
