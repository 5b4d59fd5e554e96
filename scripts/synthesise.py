"""Make speech to train on: texts in, a folder of recordings with their words out, said by many synthetic voices.

    python -m showtell.scripts.synthesise OUTPUT TEXTS... --hours 6

The texts are plain or JSON lines, see `scripts/datasets/spoken_text.py`. All voices are one, hibari's, bent: what
its network foretells of a voice, its pitch and the resonances of its mouth, is moved before it becomes sound. A
recogniser hears so more words and more throats than recordings hold. A run that was stopped goes on when it is
started again. Needs `pip install "showtell[train]"`.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import soundfile
import soxr
import typer

from showtell.pipelines.media.waveform import SAMPLE_RATE
from showtell.scripts.datasets.spoken_text import read_sentences

# Words of a sentence that is said.
FEWEST_WORDS, MOST_WORDS = 2, 22
# A sentence is said if a word of it has not been said so often yet: rare words come first, and common ones in passing.
ENOUGH = 3
# Of a voice: its pitch and the length of its throat, both against hibari's own, a woman's.
PITCHES, THROATS = (0.55, 1.45), (0.86, 1.2)
# How much its pitch moves, and how fast it speaks.
MELODIES, PACES = (0.6, 1.3), (0.8, 1.3)
# Below this many hertz a frame has no voice.
VOICELESS = 40.0

log = logging.getLogger("showtell.synthesise")


@dataclass(frozen=True)
class Voice:
    """How hibari's voice is bent; 1 is as it is.

    pitch: of the fundamental frequency. throat: of the resonances' frequencies, higher is a shorter throat.
    melody: of the pitch's movement, as a power. pace: of the speed.
    """

    pitch: float
    throat: float
    melody: float
    pace: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Voice:
        """Any voice: a low one has the longer throat, more or less, as people's have."""
        height = rng.uniform()
        pitch, throat = (
            low * (high / low) ** np.clip(height + rng.normal(0, 0.15), 0, 1) for low, high in (PITCHES, THROATS)
        )
        return cls(float(pitch), float(throat), rng.uniform(*MELODIES), rng.uniform(*PACES))

    def bend_pitch(self, hertz: np.ndarray) -> np.ndarray:
        """The fundamental frequency of each frame, `(frames,)`, 0 where there is none."""
        voiced = hertz > VOICELESS
        if not voiced.any():
            return hertz
        mean = np.exp(np.log(hertz[voiced]).mean())
        bent = self.pitch * mean * (np.maximum(hertz, VOICELESS) / mean) ** self.melody
        return np.where(voiced, np.maximum(bent, VOICELESS + 1), hertz).astype(np.float32)

    def bend_spectrum(self, spectrum: np.ndarray) -> np.ndarray:
        """Move the features `(frequencies, frames)` of a spectrum up or down: what lay at f lies at throat * f."""
        top = len(spectrum) - 1
        places = np.minimum(np.arange(len(spectrum)) / self.throat, top)
        below = np.minimum(places.astype(int), top - 1)
        share = (places - below)[:, None].astype(np.float32)
        return spectrum[below] * (1 - share) + spectrum[below + 1] * share


class Speaker:
    """Says texts by hibari's network, in any `Voice`."""

    def __init__(self, rng: np.random.Generator):
        from hibari import Hibari

        self.rng, self.hibari = rng, Hibari(threads=1)

    def say(self, text: str, voice: Voice) -> np.ndarray:
        """Samples at `SAMPLE_RATE`, `(samples,)`; none for a text without words."""
        from hibari import dsp

        parts = [np.zeros(0, np.float32)]
        for phonemes in self.hibari.phonemize(text):
            inputs = {
                "ids": np.array([self.hibari.ids(phonemes)], np.int64),
                "speed": np.array([voice.pace], np.float32),
            }
            # The magnitude and phase of what is voiced, the magnitude of the noise, and again those of the rest.
            *spectra, hertz = (np.asarray(output)[0] for output in self.hibari.sess.run(None, inputs))
            voiced, phase, noise, rest, rest_phase = map(voice.bend_spectrum, spectra)
            parts.append(dsp.synth(voiced, phase, noise, rest, rest_phase, voice.bend_pitch(hertz), self.rng))
        return soxr.resample(np.concatenate(parts), dsp.SR, SAMPLE_RATE)


def main(
    output: Annotated[Path, typer.Argument(help="A folder for the recordings and their metadata.jsonl.")],
    texts: Annotated[list[Path], typer.Argument(help="Texts to say.")],
    hours: Annotated[float, typer.Option(help="How much to say.", min=0)] = 6.0,
    seed: int = 0,
) -> None:
    """Say sentences of texts, each in a voice of its own."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    rng = np.random.default_rng(seed)
    sentences = [sentence for file in texts for sentence in read_sentences(file)]
    chosen = rare_first(sentences[place] for place in rng.permutation(len(sentences)).tolist())

    output.mkdir(parents=True, exist_ok=True)
    metadata = output / "metadata.jsonl"
    said = metadata.read_text(encoding="utf-8").count("\n") if metadata.exists() else 0
    seconds = sum(soundfile.info(output / name(number)).duration for number in range(said))
    speaker = Speaker(rng)
    with metadata.open("a", encoding="utf-8") as lines:
        for number, words in enumerate(chosen):
            if seconds >= hours * 3600:
                break
            if number < said:
                continue
            sound = speaker.say(" ".join(words).capitalize() + ".", Voice.draw(rng))
            soundfile.write(output / name(number), scaled(sound, rng), SAMPLE_RATE, format="OGG", subtype="OPUS")
            lines.write(json.dumps({"file_name": name(number), "text": " ".join(words), "speaker": "hibari"}) + "\n")
            lines.flush()
            seconds += len(sound) / SAMPLE_RATE
            if number % 500 == 0:
                log.info("%d sentences, %.2f hours", number, seconds / 3600)
    log.info("%.2f hours are in %s", seconds / 3600, output)


def rare_first(sentences: Iterator[Sequence[str]]) -> Iterator[Sequence[str]]:
    """Those of the right length that hold a word which those before do not hold often enough."""
    said: Counter[str] = Counter()
    for words in sentences:
        if FEWEST_WORDS <= len(words) <= MOST_WORDS and min(said[word] for word in words) < ENOUGH:
            said.update(words)
            yield words


def scaled(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """At a loudness of recordings: the peak between 0.3 and 0.9."""
    return sound * (rng.uniform(0.3, 0.9) / max(float(np.abs(sound).max(initial=0)), 1e-6))


def name(number: int) -> str:
    """Of a recording's file."""
    return f"{number:06d}.opus"


if __name__ == "__main__":
    typer.run(main)
