"""Speech as tensors: recordings kept as samples, changed anew each time they are heard, and what to write of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from showtell.pipelines.media.audio import read_audio
from showtell.pipelines.media.log_mel import SILENCE, log_mel, pad_frames
from showtell.pipelines.media.waveform import SAMPLE_RATE, to_mono
from showtell.scripts.datasets.sound_changes import changed
from showtell.scripts.datasets.speech import Utterance
from showtell.scripts.datasets.splices import Splicer, Spoken

# SpecAugment (Park and others 2019): bands of mels and stretches of time that are blotted out.
MEL_BANDS, MEL_BAND_WIDTH = 2, 8
TIME_MASKS_A_SECOND, TIME_MASK_FRAMES = 0.3, 15
# How many recordings get the ending of another, where they can.
SPLICED = 0.5
# The frames of a batch are a multiple of so many, for torch makes its kernels anew for each new length.
FRAMES = 128

Spaces = tuple[list[int], list[int]]


class Batch(NamedTuple):
    """Recordings and what to write of them.

    inputs: of a `SpectrogramEncoder`. tokens: letters, `(batch, longest)`. lengths: `(batch,)`, of the tokens.
    pronounced: the phonemes and their lengths in the same shapes, where a recogniser hears those.
    """

    inputs: dict[str, Tensor]
    tokens: Tensor
    lengths: Tensor
    pronounced: tuple[Tensor, ...] = ()


class Targets(NamedTuple):
    """What to write of a recording: tokens of letters, and of phonemes if there are any, with spaces between words."""

    letters: Tensor
    phonemes: Tensor


def keep_samples(utterances: Sequence[Utterance], file: Path) -> list[np.ndarray]:
    """Decode all recordings once, into a file of 115 MB an hour; each as int16 samples at `SAMPLE_RATE`."""
    lengths = file.with_name(f"{file.name}.lengths.npy")
    if not lengths.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        found = []
        with file.open("wb") as out:
            for utterance in utterances:
                samples = (read_audio(utterance.file).samples.clip(-1, 1) * 32767).round().astype(np.int16)
                out.write(samples.tobytes())
                found.append(len(samples))
        np.save(lengths, np.array(found))
    ends = np.load(lengths).cumsum().tolist()
    samples = np.memmap(file, np.int16, mode="r")
    return [samples[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


class Speech(Dataset):
    """Recordings as log-mel features with their texts as tokens.

    sounds: as `keep_samples` has them. texts: the words of each. spaces: the tokens that part letters of words, and
    phonemes of words; None where there are none. change: whether recordings are changed at random.
    splicer: of these recordings, to change their endings too.
    """

    def __init__(
        self,
        sounds: Sequence[np.ndarray],
        texts: Sequence[Sequence[Spoken]],
        *,
        spaces: Spaces,
        change: bool,
        splicer: Splicer | None = None,
    ):
        self.sounds, self.texts, self.spaces, self.change, self.splicer = sounds, texts, spaces, change, splicer

    def __len__(self) -> int:
        return len(self.sounds)

    def __getitem__(self, index: int) -> tuple[np.ndarray, Targets]:
        sound, text = self.sounds[index], self.texts[index]
        if not self.change:
            return log_mel(to_mono(sound, "a recording")), self.targets(text)
        rng = np.random.default_rng(int(torch.randint(2**31, ())))
        if self.splicer is not None and rng.random() < SPLICED:
            sound, text = self.splicer.draw(index, rng)
        other = self.sounds[int(rng.integers(len(self.sounds)))]
        sound, other = (to_mono(samples, "a recording") for samples in (sound, other))
        sound = changed(sound, rng, sampling_rate=SAMPLE_RATE, others=[other])
        return blot(log_mel(sound), rng), self.targets(text)

    def targets(self, text: Sequence[Spoken]) -> Targets:
        """What to write of a text."""
        letters, phonemes = (
            [token for word in text for token in [*between, *word[kind]]][len(between) :]
            for kind, between in enumerate(self.spaces)
        )
        return Targets(torch.tensor(letters, dtype=torch.long), torch.tensor(phonemes, dtype=torch.long))

    def shorter_than(self, seconds: float) -> Speech:
        """Those of the recordings that are, unchanged."""
        places = [place for place, sound in enumerate(self.sounds) if len(sound) < seconds * SAMPLE_RATE]
        sounds, texts = [self.sounds[place] for place in places], [self.texts[place] for place in places]
        return Speech(sounds, texts, spaces=self.spaces, change=False)

    @staticmethod
    def collate(items: Sequence[tuple[np.ndarray, Targets]]) -> Batch:
        """Several of them as a batch."""
        frames, targets = zip(*items, strict=True)
        inputs = {name: torch.from_numpy(array) for name, array in pad_frames(frames).items()}
        silence = (0, 0, 0, -inputs["features"].shape[1] % FRAMES)
        inputs["features"] = nn.functional.pad(inputs["features"], silence, value=SILENCE)
        (tokens, lengths), pronounced = (
            (pad_sequence(texts, batch_first=True), torch.tensor([len(text) for text in texts]))
            for texts in map(list, zip(*targets, strict=True))
        )
        return Batch(inputs, tokens, lengths, pronounced if pronounced[0].numel() else ())


def blot(features: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Set random bands of `(frames, mels)` and random stretches of time to the mean."""
    frames, mels = features.shape
    mean = features.mean()
    for _ in range(MEL_BANDS):
        width = rng.integers(MEL_BAND_WIDTH + 1)
        first = rng.integers(mels - width + 1)
        features[:, first : first + width] = mean
    for _ in range(rng.poisson(TIME_MASKS_A_SECOND * frames / 100)):
        width = min(rng.integers(TIME_MASK_FRAMES + 1), frames // 5)
        first = rng.integers(frames - width + 1)
        features[first : first + width] = mean
    return features
