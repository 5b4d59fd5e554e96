"""Recordings with labels as tensors, changed at random anew each time that they are heard."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from showtell.pipelines.media.audio import SAMPLE_RATE, read_audio
from showtell.pipelines.media.log_mel import SILENCE, log_mel, pad_frames
from showtell.scripts.datasets.sound_changes import changed
from showtell.scripts.datasets.sounds import LabelledSound
from showtell.scripts.datasets.speech_tensors import blot

# Silence before and after a recording, each up to so long.
MOST_SILENCE_SECONDS = 0.3
# A throat longer or shorter by up to so much (Jaitly and Hinton 2013), and speech faster or slower at the same pitch.
THROAT_SHARE = 0.15
TEMPO_SHARE = 0.25


class Sounds(Dataset):
    """Recordings, which are held in memory, as log-mel frames with the places of their labels.

    labels: all that there are. change: whether the recordings are changed at random.
    """

    def __init__(self, sounds: Sequence[LabelledSound], labels: Sequence[str], *, change: bool):
        self.samples = [read_audio(sound.file).samples for sound in sounds]
        self.targets = [labels.index(sound.label) for sound in sounds]
        self.change = change

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        samples = self.samples[index]
        if not self.change:
            return log_mel(samples), self.targets[index]
        rng = np.random.default_rng(int(torch.randint(2**31, ())))
        longest = int(MOST_SILENCE_SECONDS * SAMPLE_RATE)
        samples = np.pad(samples, (rng.integers(longest), rng.integers(longest)))
        frames = warp(log_mel(changed(samples, rng, sampling_rate=SAMPLE_RATE, others=self.samples)), rng)
        return blot(frames, rng), self.targets[index]

    def collate(self, items: Sequence[tuple[np.ndarray, int]]) -> tuple[dict[str, Tensor], Tensor]:
        """Several of them as a batch: the encoder's inputs, and `(batch,)` targets."""
        frames, targets = zip(*items, strict=True)
        return {name: torch.from_numpy(array) for name, array in pad_frames(frames).items()}, torch.tensor(targets)


def warp(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Stretch `(frames, mels)` in time, and its bands up or down, each by a factor drawn at random."""
    tempo, throat = (1 + rng.uniform(-share, share) for share in (TEMPO_SHARE, THROAT_SHARE))
    count, mels = frames.shape
    frames = interpolate(frames, np.arange(round(count * tempo)) / tempo)
    return interpolate(frames.T, np.arange(mels) / throat).T


def interpolate(rows: np.ndarray, places: np.ndarray) -> np.ndarray:
    """What lies at places between the rows, linearly; after the last row there is silence."""
    rows = np.pad(rows, ((0, 2), (0, 0)), constant_values=SILENCE)
    low = np.minimum(places.astype(int), len(rows) - 2)
    share = (places - low).clip(0, 1).astype(np.float32)[:, None]
    return rows[low] * (1 - share) + rows[low + 1] * share
