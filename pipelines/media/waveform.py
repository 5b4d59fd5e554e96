"""Samples of any kind and rate, as they come, to one channel of float32 at 16,000 Hz."""

from __future__ import annotations

import numpy as np
import soxr

from showtell.errors import InputError, MediaError

SAMPLE_RATE = 16_000
"""Samples a second of all sound that was read."""

LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000
NUMBER = int | float | np.integer | np.floating
# Full scale is 1. A floating recording may go somewhat beyond; so far beyond, its numbers are no such floats.
LOUDEST = 100.0
# Of integers: the value of silence, and the distance to full scale.
SCALES = {"uint8": (128, 2**7), "int16": (0, 2**15), "int32": (0, 2**31)}


class Resampler:
    """Sound that comes in chunks at any rate, to `SAMPLE_RATE`. Together its chunks are those of the whole.

    sample_rate: of what comes. name: what to call the sound in a message.

    Raises `InputError` for what is no rate.
    """

    def __init__(self, sample_rate: object, name: str):
        if not (isinstance(sample_rate, NUMBER) and LOWEST_RATE <= sample_rate <= HIGHEST_RATE):
            raise InputError(
                f"{name}: its sampling rate is {sample_rate!r};"
                f" one of {LOWEST_RATE:,} to {HIGHEST_RATE:,} Hz would be accepted."
            )
        self.stream = None
        if sample_rate != SAMPLE_RATE:
            self.stream = soxr.ResampleStream(float(sample_rate), SAMPLE_RATE, 1, dtype="float32")

    def push(self, samples: np.ndarray) -> np.ndarray:
        """As many of the new samples as these `(samples,)` decide."""
        return samples if self.stream is None else self.stream.resample_chunk(samples)

    def end(self) -> np.ndarray:
        """The last samples."""
        nothing = np.zeros(0, np.float32)
        return nothing if self.stream is None else self.stream.resample_chunk(nothing, last=True)


def to_mono(values: np.ndarray, name: str) -> np.ndarray:
    """Samples as `(samples,)` float32 with full scale at 1: the mean of their channels.

    values: `(samples,)` or `(samples, channels)`, of floats, int16, int32 or uint8.

    Raises `InputError` for values of another type, `MediaError` for what is not finite or far beyond full scale.
    """
    kind = values.dtype.name
    if kind in SCALES:
        silence, scale = SCALES[kind]
        samples = (values.astype(np.float32) - np.float32(silence)) * np.float32(1 / scale)
    elif values.dtype.kind == "f":
        with np.errstate(over="ignore"):
            samples = values.astype(np.float32, copy=False)
    else:
        raise InputError(f"{name}: its samples are {kind}; floats in -1..1, int16, int32 or uint8 would be accepted.")
    if samples.ndim == 2:
        samples = samples.mean(axis=1)
    loudest = np.abs(samples).max(initial=0)
    if not loudest <= LOUDEST:  # nor is NaN
        raise MediaError(f"{name}: its samples reach {loudest:g}; finite floats in -1..1, or int16, would be accepted.")
    return samples
