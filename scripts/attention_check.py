"""Does attention point at what a word is about? Hide what a word's step attended to, and see what the word loses.

    python -m showtell.scripts.attention_check DATA

Each content word of each caption is written again, after the same words, with a fifth of the memory's positions
masked: those with the highest attention at that step, or as many of the others, drawn at random. If attention
points, the word loses more log-probability in the first case.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from showtell.decoders.search import Arrays
from showtell.pipelines import pipeline
from showtell.pipelines.image_to_text import ImageToText
from showtell.pipelines.runtime import Graph
from showtell.scripts.datasets.captions import caption_words, read_captions

HIDDEN_SHARE = 0.2
# The words of captions that name nothing to be seen.
FUNCTION_WORDS = """
    a about after against along among an and another are around as at away be behind being beside between by down each
    for from front has have he her him his in inside into is it its near next of off on onto other out outside over she
    some that the their them there they this through to together toward towards under up very was were what which while
    who with 's
"""


@dataclass(frozen=True)
class WrittenWord:
    """One step of a text that is given.

    inputs: the step graph's inputs. attention: `(positions,)`. log_prob: of the word that is given.
    """

    token: int
    inputs: Arrays
    attention: np.ndarray
    log_prob: float


def main(
    data: Annotated[Path, typer.Argument(help="Photographs with a metadata.jsonl, or a saved data set.")],
    *,
    model: Annotated[str | None, typer.Option(help="A bundled model, a folder, or owner/name.")] = None,
    limit: Annotated[int, typer.Option(help="So many photographs, the first ones.")] = 200,
    seed: Annotated[int, typer.Option(help="Draws the other positions.")] = 0,
) -> None:
    """Print as JSON what content words lose, in nats, without what they attended to and without as much else."""
    images = [photograph.image for photograph in read_captions(data)[:limit]]
    pipe = pipeline("image-to-text", model)
    captions = [answer[0]["generated_text"] for answer in pipe(images, progress=sys.stderr.isatty())]
    losses = list(content_word_losses(pipe, images, captions, np.random.default_rng(seed)))
    attended, other = np.array(losses).T
    figures = {
        "photographs": len(images),
        "words": len(losses),
        "loss_attended": round(attended.mean(), 4),
        "loss_other": round(other.mean(), 4),
        "share_attended_larger": round((attended > other).mean(), 4),
    }
    print(json.dumps(figures, indent=2))


def content_word_losses(
    pipe: ImageToText, images: Sequence[Path | bytes], captions: Sequence[str], generator: np.random.Generator
) -> Iterator[tuple[float, float]]:
    """The losses of every content word of the pipeline's captions, see `word_losses`."""
    tokenizer, step = pipe.bundle.tokenizer(), pipe.graphs["step"]
    for image, caption in zip(images, captions, strict=True):
        words = caption_words(caption)
        tokens = [pipe.tokens["start"], *tokenizer.encode(" ".join(words)).ids]
        encoded = pipe.graphs["encode"](pixels=pipe.read(image)[None])
        for word, written in zip(words, write_again(step, encoded, tokens), strict=True):
            if word not in FUNCTION_WORDS.split():
                yield word_losses(step, written, generator)


def write_again(step: Graph, encoded: Mapping[str, np.ndarray], tokens: list[int]) -> Iterator[WrittenWord]:
    """Lead the decoder through a text, `start` first; each token after that is one written word."""
    arrays = dict(encoded)
    for before, token in pairwise(tokens):
        inputs = arrays | {"tokens": np.array([[before]])}
        after = step(**inputs)
        yield WrittenWord(token, inputs, after["attention"][0, 0], float(after["log_probs"][0, 0, token]))
        arrays = {name: after.get(f"next_{name}", value) for name, value in arrays.items()}


def word_losses(step: Graph, written: WrittenWord, generator: np.random.Generator) -> tuple[float, float]:
    """By how much a word's log-probability falls without the positions it attended to most, and without others."""
    positions = np.flatnonzero(written.inputs["mask"][0])
    by_attention = positions[np.argsort(-written.attention[positions], kind="stable")]
    attended, others = np.split(by_attention, [round(HIDDEN_SHARE * len(positions))])
    drawn = generator.choice(others, len(attended), replace=False)
    return loss_without(step, written, attended), loss_without(step, written, drawn)


def loss_without(step: Graph, written: WrittenWord, positions: np.ndarray) -> float:
    """By how much a word's log-probability falls when its step cannot see these positions."""
    mask = written.inputs["mask"].copy()
    mask[0, positions] = False
    after = step(**{**written.inputs, "mask": mask})
    return written.log_prob - float(after["log_probs"][0, 0, written.token])


if __name__ == "__main__":
    typer.run(main)
