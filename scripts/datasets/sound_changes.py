"""What may happen to speech between a mouth and a file: said faster, in a room, beside noise, over a telephone.

A recogniser that heard each recording changed at random, in another way each time, hears more voices and rooms than
its data hold (Ko and others 2015, Ko and others 2017). All sound is mono float32, about -1 to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import soxr
from numpy.fft import irfft, rfft
from scipy.signal import fftconvolve

SPEEDS = (0.88, 1.14)
NOISE_DECIBELS = (6.0, 30.0)
ROOM_SECONDS = (0.1, 0.6)
TELEPHONE_RATE = 8_000
# How often each change is made.
CHANCES = {"speed": 0.6, "room": 0.1, "noise": 0.15, "telephone": 0.05, "companding": 0.03}


def change_speed(sound: np.ndarray, rng: np.random.Generator, sampling_rate: int) -> np.ndarray:
    """Say it faster or slower, the pitch with it, as another speaker might (Ko and others 2015)."""
    return soxr.resample(sound, sampling_rate * rng.uniform(*SPEEDS), sampling_rate, quality="LQ")


def put_into_a_room(sound: np.ndarray, rng: np.random.Generator, sampling_rate: int) -> np.ndarray:
    """Reverberate: convolve with noise that dies away, by 60 decibels within some tenths of a second.

    The direct sound comes first and is loudest, so that the words stay where they are.
    """
    seconds = rng.uniform(*ROOM_SECONDS)
    time = np.arange(int(seconds * sampling_rate), dtype=np.float32) / sampling_rate
    echo = rng.standard_normal(len(time), dtype=np.float32) * 1000 ** (-time / seconds)
    echo *= rng.uniform(0.1, 0.6) / np.linalg.norm(echo)
    echo[0] = 1
    return fftconvolve(sound, echo)[: len(sound)]


def add_noise(sound: np.ndarray, rng: np.random.Generator, others: Sequence[np.ndarray]) -> np.ndarray:
    """Add, between 6 and 30 decibels below it, noise of some colour, or what another recording holds."""
    if others and rng.random() < 0.4:
        noise = np.resize(others[int(rng.integers(len(others)))], len(sound))
    else:
        noise = coloured_noise(len(sound), rng)
    loudness = np.linalg.norm(sound) * 10 ** (-rng.uniform(*NOISE_DECIBELS) / 20)
    return sound + noise * (loudness / max(np.linalg.norm(noise), 1e-9))


def coloured_noise(samples: int, rng: np.random.Generator) -> np.ndarray:
    """From white to brown: its power falls as the frequency to the power of 0 to 2."""
    spectrum = rfft(rng.standard_normal(power_of_two(samples), dtype=np.float32))
    frequency = np.arange(len(spectrum), dtype=np.float32).clip(1)
    return irfft(spectrum * frequency ** (-rng.uniform(0, 2) / 2))[:samples]


def power_of_two(samples: int) -> int:
    """The next one up: a transform of another length may take ten times as long."""
    return 1 << (samples - 1).bit_length()


def over_the_telephone(sound: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Lose what lies above 4 kHz, and below 300 Hz."""
    size = power_of_two(len(sound))
    spectrum = rfft(sound, size)
    spectrum[: int(300 / sampling_rate * size)] *= 0.1
    spectrum[int(TELEPHONE_RATE / 2 / sampling_rate * size) :] = 0
    return irfft(spectrum, size)[: len(sound)]


def compand(sound: np.ndarray) -> np.ndarray:
    """Round to the 256 levels of G.711's mu-law."""
    level = np.log1p(255 * np.abs(sound).clip(0, 1)) / np.log(256)
    return np.sign(sound) * np.expm1(np.round(level * 127) / 127 * np.log(256)) / 255


def changed(
    sound: np.ndarray, rng: np.random.Generator, *, sampling_rate: int, others: Sequence[np.ndarray] = ()
) -> np.ndarray:
    """The sound after changes drawn by `CHANCES`, in the order in which they happen, at another loudness.

    others: recordings to hear in the background.
    """
    changes: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "speed": lambda x: change_speed(x, rng, sampling_rate),
        "room": lambda x: put_into_a_room(x, rng, sampling_rate),
        "noise": lambda x: add_noise(x, rng, others),
        "telephone": lambda x: over_the_telephone(x, sampling_rate),
        "companding": compand,
    }
    for name, change in changes.items():
        if rng.random() < CHANCES[name]:
            sound = change(sound)
    return (sound * 10 ** (rng.uniform(-12, 6) / 20)).clip(-1, 1).astype(np.float32)
