"""Make speech to train on: texts in, a folder of recordings with their words out, said by many synthetic voices.

    python -m showtell.scripts.synthesise OUTPUT TEXTS... --hours 6

The texts are plain or JSON lines, see `scripts/datasets/spoken_text.py`; the voices are those of `scripts/voices.py`.
A recogniser hears so more words and more throats than recordings hold. A run that was stopped goes on when it is
started again. Needs `pip install "showtell[train]"`, and `apt install flite` for its voices.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import soundfile
import typer

from showtell.pipelines.media.waveform import SAMPLE_RATE
from showtell.scripts.datasets.spoken_text import read_sentences
from showtell.scripts.voices import Flite, Hibari

# Words of a sentence that is said.
FEWEST_WORDS, MOST_WORDS = 2, 22
# A sentence is said if a word of it has not been said so often yet: rare words come first, and common ones in passing.
ENOUGH = 3

log = logging.getLogger("showtell.synthesise")


class Speaker(StrEnum):
    """Who says it."""

    HIBARI = "hibari"
    FLITE = "flite"


SPEAKERS = {Speaker.HIBARI: Hibari, Speaker.FLITE: Flite}


def main(
    output: Annotated[Path, typer.Argument(help="A folder for the recordings and their metadata.jsonl.")],
    texts: Annotated[list[Path], typer.Argument(help="Texts to say.")],
    by: Annotated[Speaker, typer.Option(help="Whose voices.")] = Speaker.HIBARI,
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
    speaker = SPEAKERS[by](rng)
    with metadata.open("a", encoding="utf-8") as lines:
        for number, words in enumerate(chosen):
            if seconds >= hours * 3600:
                break
            if number < said:
                continue
            sound = speaker.speak(" ".join(words).capitalize() + ".")
            soundfile.write(output / name(number), scaled(sound, rng), SAMPLE_RATE, format="OGG", subtype="OPUS")
            # Each sentence is said in a voice of its own.
            record = {"file_name": name(number), "text": " ".join(words), "speaker": f"{by} {number}"}
            lines.write(json.dumps(record) + "\n")
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
