"""Sentences that nobody said: the beginning of a recording and the end of another one by the same speaker.

A recurrent network over few hours of speech soon knows how each sentence goes on. Of spliced ones it cannot, and has to
listen (Lam and others 2021 replace single words so).
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from showtell.decoders.alignment import align
from showtell.errors import InputError
from showtell.pipelines.automatic_speech_recognition import AutomaticSpeechRecognition
from showtell.pipelines.media.waveform import SAMPLE_RATE, to_mono
from showtell.scripts.datasets.speech import Utterance
from showtell.scripts.hearing import hear

# A spliced recording may be so much longer or shorter than the one that it begins with.
MOST_DIFFERENCE = 0.15
# Where the sound is cut: in the quietest stretch of so many samples between two words.
QUIET_SAMPLES = 320


class Spoken(NamedTuple):
    """A word as tokens: its letters, and its phonemes where a recogniser hears those."""

    letters: list[int]
    phonemes: list[int]


class Cut(NamedTuple):
    """A place between two words: so many samples lie before it, and so many words."""

    sample: int
    word: int


def keep_cuts(
    recognise: AutomaticSpeechRecognition, sounds: Sequence[np.ndarray], utterances: Sequence[Utterance], file: Path
) -> list[list[Cut]]:
    """Find once, into `file`, the places between words in recordings whose speaker says more than one.

    recognise: by CTC. sounds: of the utterances, int16.
    """
    if not file.exists():
        recordings = Counter(one.speaker for one in utterances if one.speaker)
        letters = recognise.letters
        tokens = {character: token for token, character in enumerate(letters.symbols)}
        (space,) = letters.spaces
        step = round(recognise.step_seconds * SAMPLE_RATE)
        found: list[list[Cut]] = [[] for _ in utterances]
        for cuts, sound, one in zip(found, sounds, utterances, strict=True):
            if recordings[one.speaker] > 1 and tokens.keys() >= set(one.text):
                log_probs = hear(recognise, to_mono(sound, one.file.name), letters)
                cuts += find_cuts(
                    sound, [tokens[character] for character in one.text], log_probs, space=space, step=step
                )
        file.write_text(json.dumps(found))
    return [[Cut(*cut) for cut in cuts] for cuts in json.loads(file.read_text())]


def find_cuts(sound: np.ndarray, tokens: Sequence[int], log_probs: np.ndarray, *, space: int, step: int) -> list[Cut]:
    """The places between the words of a recording.

    sound: `(samples,)`. tokens: what is said. log_probs: `(time, vocabulary)`, what a CTC model hears, a row for each
        `step` samples.

    No place is told of a recording that is too short for its text.
    """
    try:
        said = align(log_probs, tokens)
    except InputError:
        return []
    cuts: list[Cut] = []
    for place in range(1, len(said) - 1):
        if said[place].token == space:
            start, end = said[place - 1].end * step, said[place + 1].start * step
            start = min(start, end)
            cuts.append(Cut(start + quietest(sound[start : max(end, start + QUIET_SAMPLES)]), len(cuts) + 1))
    return cuts


def quietest(sound: np.ndarray) -> int:
    """The middle of the quietest stretch of `QUIET_SAMPLES`."""
    if len(sound) <= QUIET_SAMPLES:
        return len(sound) // 2
    energy = np.concatenate([[0.0], np.square(sound, dtype=np.float64).cumsum()])
    return int((energy[QUIET_SAMPLES:] - energy[:-QUIET_SAMPLES]).argmin()) + QUIET_SAMPLES // 2


class Splicer:
    """Draws endings for recordings' beginnings.

    sounds, texts, cuts, speakers: of each recording; a text is its words. One whose speaker is not known, "", is left
    alone.
    """

    def __init__(
        self,
        sounds: Sequence[np.ndarray],
        texts: Sequence[Sequence[Spoken]],
        cuts: Sequence[Sequence[Cut]],
        speakers: Sequence[str],
    ):
        self.sounds, self.texts, self.cuts, self.speakers = sounds, texts, cuts, speakers
        self.by_speaker: defaultdict[str, list[int]] = defaultdict(list)
        for place, speaker in enumerate(speakers):
            if speaker and cuts[place]:
                self.by_speaker[speaker].append(place)

    def draw(self, place: int, rng: np.random.Generator) -> tuple[np.ndarray, Sequence[Spoken]]:
        """A recording with another ending of about the same length, and its text; or as it is, if there is none."""
        sound, text = self.sounds[place], self.texts[place]
        if not self.cuts[place] or not (others := self.by_speaker[self.speakers[place]]):
            return sound, text
        cut = self.cuts[place][int(rng.integers(len(self.cuts[place])))]
        other = others[int(rng.integers(len(others)))]
        rest = len(sound) - cut.sample
        there = min(self.cuts[other], key=lambda one: abs(len(self.sounds[other]) - one.sample - rest))
        if abs(len(self.sounds[other]) - there.sample - rest) > MOST_DIFFERENCE * len(sound):
            return sound, text
        joined = np.concatenate([sound[: cut.sample], self.sounds[other][there.sample :]])
        return joined, [*text[: cut.word], *self.texts[other][there.word :]]
