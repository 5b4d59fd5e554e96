"""Log-mel features: sound to 100 frames a second of 80 numbers each, in NumPy, for training and for answering.

They are Kaldi's filter banks, as `torchaudio.compliance.kaldi.fbank(sound, num_mel_bins=80)` computes them. A frame
depends on its own 25 ms alone, so a stream gets what a whole recording gets. Its mean is taken out, so that a
constant offset changes nothing, and its high notes are raised, so that all bands are about equally strong and one
mean and one deviation can normalise them. No statistics of the recording are used: a stream does not know them yet.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from showtell.pipelines.media.waveform import SAMPLE_RATE

MELS = 80
HOP_SAMPLES = SAMPLE_RATE // 100
WINDOW_SAMPLES = SAMPLE_RATE // 40
FFT_SAMPLES = 512
LOWEST_HERTZ = 20.0
PRE_EMPHASIS = 0.97
# About the energy that rounding to 16 bits leaves in a band, so that what is fainter says nothing.
FAINTEST = np.finfo(np.float32).eps
SILENCE = float(np.log(FAINTEST))
"""What each band of a silent frame is."""

# So many frames at a time stay in a processor's cache, and are too few for the matrix library to call other cores for:
# they have recordings of their own to hear.
BLOCK_FRAMES = 32


def log_mel(samples: np.ndarray) -> np.ndarray:
    """The frames of a whole recording, `(frames, MELS)` float32.

    samples: `(samples,)` float32, at `SAMPLE_RATE`.

    A frame begins every 10 ms, as long as there is sound; the last ones look into silence.
    """
    stream = LogMelStream()
    return np.concatenate([stream.push(samples), stream.end()])


class LogMelStream:
    """The frames of a recording that comes in chunks. Together they are those of the whole."""

    def __init__(self) -> None:
        self.left = np.zeros(0, np.float32)

    def push(self, samples: np.ndarray) -> np.ndarray:
        """The frames that are complete with these samples; perhaps there are none."""
        samples = np.concatenate([self.left, samples]) if len(self.left) else samples
        frames = filter_banks(samples)
        self.left = samples[len(frames) * HOP_SAMPLES :].copy()
        return frames

    def end(self) -> np.ndarray:
        """The last frames. Silence fills them up."""
        frames = -(-len(self.left) // HOP_SAMPLES)
        silence = max(0, (frames - 1) * HOP_SAMPLES + WINDOW_SAMPLES - len(self.left))
        return self.push(np.zeros(silence, np.float32))[:frames]


def pad_frames(recordings: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """The frames of several recordings as the inputs of a `SpectrogramEncoder`: `features` and `lengths`.

    The shorter ones are followed by silence, as each of them is when it comes alone.
    """
    lengths = np.array([len(frames) for frames in recordings], np.int64)
    features = np.full((len(recordings), lengths.max(), MELS), SILENCE, np.float32)
    for row, frames in zip(features, recordings, strict=True):
        row[: len(frames)] = frames
    return {"features": features, "lengths": lengths}


def filter_banks(samples: np.ndarray) -> np.ndarray:
    """The frames whose whole window lies in the samples, `(frames, MELS)`."""
    if len(samples) < WINDOW_SAMPLES:
        return np.zeros((0, MELS), np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW_SAMPLES)[::HOP_SAMPLES]
    energies = np.empty((len(windows), MELS), np.float32)
    for start in range(0, len(windows), BLOCK_FRAMES):
        x = windows[start : start + BLOCK_FRAMES]
        x = x - x.mean(axis=1, keepdims=True)
        x[:, 1:] -= PRE_EMPHASIS * x[:, :-1]
        x[:, 0] *= 1 - PRE_EMPHASIS
        spectrum = np.fft.rfft(x * POVEY_WINDOW, FFT_SAMPLES)
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        np.maximum(power @ MEL_FILTERS, FAINTEST, out=energies[start : start + BLOCK_FRAMES])
    return np.log(energies, out=energies)


def mel_filters() -> np.ndarray:
    """Triangles of equal width on the mel scale, each from the middle of one neighbour to that of the other.

    `(FFT_SAMPLES // 2 + 1, MELS)`: the share that each band takes of each frequency.
    """
    edges = np.linspace(mel_of(LOWEST_HERTZ), mel_of(SAMPLE_RATE / 2), MELS + 2)
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    frequencies = mel_of(np.arange(FFT_SAMPLES // 2 + 1) * SAMPLE_RATE / FFT_SAMPLES)[:, None]
    rising, falling = (frequencies - low) / (middle - low), (high - frequencies) / (high - middle)
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)


def mel_of(hertz: float | np.ndarray) -> np.ndarray:
    """Frequency on the mel scale, as HTK and Kaldi have it."""
    return 1127 * np.log1p(np.asarray(hertz) / 700)


MEL_FILTERS = mel_filters()
# Kaldi's window, named after Daniel Povey: Hann's, whose ends are zero, a little fuller.
POVEY_WINDOW = (np.hanning(WINDOW_SAMPLES) ** 0.85).astype(np.float32)
