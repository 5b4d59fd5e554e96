"""Weigh a prior of words against what a recogniser hears, and put it beside the recogniser.

    python -m showtell.scripts.tune_prior MODEL PRIOR DEV...

Each DEV folder holds recordings that the recogniser was not trained on and a `metadata.jsonl`. All weights are tried on
all of them; those with the lowest word error rate, in the mean over the folders, go into the model.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Annotated, NamedTuple

import numpy as np
import typer

from showtell.bundle import add_prior
from showtell.decoders.word_prior import WordPrior
from showtell.pipelines.alphabet import Alphabet
from showtell.pipelines.media.audio import read_audio
from showtell.scripts.datasets.speech import Utterance, read_utterances
from showtell.scripts.hearing import hear, open_listener
from showtell.scripts.speech_scores import score_transcripts

Numbers = Annotated[list[float], typer.Option(help="To try.")]


class Heard(NamedTuple):
    """Recordings, and what the network heard in each, `(positions, tokens)`."""

    utterances: list[Utterance]
    log_probs: list[np.ndarray]


def main(
    model: Annotated[Path, typer.Argument(help="A saved recogniser; its folder is written anew.")],
    prior: Annotated[Path, typer.Argument(help="What train_word_prior wrote.")],
    dev: Annotated[list[Path], typer.Argument(help="Folders of recordings with their words.")],
    weights: Numbers = [0.65, 0.8, 0.95, 1.1],  # noqa: B006  typer reads the default and changes nothing
    bonuses: Numbers = [0.0, 0.5, 1.0],  # noqa: B006
    token_weights: Numbers = [0.0, 0.25, 0.5],  # noqa: B006
) -> None:
    """Weigh a prior of words against what a recogniser hears, and put it beside the recogniser."""
    recognise = open_listener(model)
    alphabet = recognise.phonemes or recognise.letters
    sets = []
    for utterances in map(read_utterances, dev):
        sets.append(Heard(utterances, [hear(recognise, read_audio(one.file).samples, alphabet) for one in utterances]))
    every = np.concatenate([log_probs for one in sets for log_probs in one.log_probs])
    token_prior = np.exp(every).mean(axis=0)
    best, chosen = np.inf, (0.0, 0.0, 0.0)
    print("| weight | bonus | token weight | WER |\n| ---: | ---: | ---: | ---: |")
    for weight, bonus, token_weight in product(weights, bonuses, token_weights):
        words = WordPrior.open(prior, alphabet.symbols, weight=weight, bonus=bonus)
        weighed = alphabet.known_by(words, -token_weight * np.log(token_prior))
        wer = fmean(float(score_transcripts([*write(weighed, one)], one.utterances)["wer"]) for one in sets)
        print(f"| {weight:g} | {bonus:g} | {token_weight:g} | {wer:.4f} |", flush=True)
        if wer < best:
            best, chosen = wer, (weight, bonus, token_weight)
    weight, bonus, token_weight = chosen
    add_prior(model, prior, weight=weight, bonus=bonus, token_weight=token_weight, token_prior=token_prior.tolist())


def write(alphabet: Alphabet, heard: Heard) -> Iterator[str]:
    """The texts of what was heard."""
    for log_probs in heard.log_probs:
        search = alphabet.new_search()
        search.advance(log_probs)
        yield alphabet.text(search.finish())


if __name__ == "__main__":
    typer.run(main)
