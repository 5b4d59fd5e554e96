"""Recordings with labels: folders with a `metadata.jsonl`, and their recordings as tensors, changed anew each time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from showtell.errors import InputError
from showtell.pipelines.media.audio import SAMPLE_RATE, read_audio
from showtell.pipelines.media.log_mel import SILENCE, log_mel, pad_frames
from showtell.scripts.datasets.lines import read_json_lines
from showtell.scripts.datasets.sound_changes import changed
from showtell.scripts.datasets.speech_tensors import blot

_EXAMPLE = '{"file_name": "one.flac", "label": "seven"}'

# Silence before and after a recording, each up to so long.
MOST_SILENCE_SECONDS = 0.3
# A throat longer or shorter by up to so much (Jaitly and Hinton 2013), and speech faster or slower at the same pitch.
THROAT_SHARE = 0.15
TEMPO_SHARE = 0.25


class LabelledSound(NamedTuple):
    """A recording and what it is."""

    file: Path
    label: str


def read_labelled_sounds(folder: str | Path) -> list[LabelledSound]:
    """Read a folder's `metadata.jsonl`: a JSON object a line with `file_name` and `label`.

    Raises `InputError`, naming the line, for what is missing or broken.
    """
    metadata = Path(folder) / "metadata.jsonl"
    found = []
    for where, record in read_json_lines(metadata):
        name, label = record.get("file_name"), record.get("label")
        if not (isinstance(name, str) and name and isinstance(label, str) and label):
            raise InputError(f"{where}: no recording with its label; a line such as {_EXAMPLE} would do.")
        file = Path(folder) / name
        if not file.is_file():
            raise InputError(f"{where}: there is no file {file}; a recording beside {metadata.name} would do.")
        found.append(LabelledSound(file, label))
    if not found:
        raise InputError(f"{metadata}: it is empty; at least one recording with its label is needed.")
    return found


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
