"""Alignment: when each token of a text was said, and how surely. From tokens to words, and their times.

A CTC model gives `log_probs` `(time, vocabulary)`. A path has one token for each frame. It spells the text that is
left when runs of equal tokens are merged into one and blanks are taken out; each run is one token of the text.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from showtell.errors import InputError


class AlignedToken(NamedTuple):
    """A token of a text, said from the frame `start` up to, not including, the frame `end`.

    log_prob: its log-probability in the frame of these where that is highest.
    """

    token: int
    start: int
    end: int
    log_prob: float


class Word(NamedTuple):
    """The tokens between two spaces, and which token ended it; None where the text ended."""

    tokens: tuple[AlignedToken, ...]
    space: int | None = None

    @property
    def start(self) -> int:
        """The first frame of its first token."""
        return self.tokens[0].start

    @property
    def end(self) -> int:
        """The frame after the last one of its last token."""
        return self.tokens[-1].end

    @property
    def score(self) -> float:
        """How sure it is, in 0..1."""
        return confidence(self.tokens)


def align(log_probs: np.ndarray, tokens: Sequence[int], *, blank: int = 0) -> list[AlignedToken]:
    """Find the most probable path of a given text (Viterbi 1967, over the states of Graves and others 2006).

    log_probs: `(time, vocabulary)`. tokens: the text, without blanks.

    Raises `InputError` if the text is too long for the frames, or has a token that is not in the vocabulary.
    """
    time, vocabulary = log_probs.shape
    text = np.asarray(tokens, np.int64)
    if not ((text >= 0) & (text < vocabulary) & (text != blank)).all():
        raise InputError(f"tokens: from 0 to {vocabulary - 1}, without the blank {blank}, would do.")
    repeats = text[1:] == text[:-1]
    if time < (least := len(text) + int(repeats.sum())):
        raise InputError(f"{len(text)} tokens cannot be said in {time} frames; {least} frames or more would do.")
    # The states are the text's tokens with a blank before, between and after them: odd ones are tokens.
    states = np.full(2 * len(text) + 1, blank)
    states[1::2] = text
    emissions = np.fmax(log_probs, -1e30).astype(np.float64)[:, states]
    # What it costs to come from two states before: nothing for a token after another one, else it is forbidden.
    leap = np.full(len(states), -np.inf)
    leap[3::2][~repeats] = 0
    best = np.full(len(states) + 2, -np.inf)  # two more in front, which no path reaches
    best[2] = 0  # before the first frame it is as if a blank had been said
    moves = np.empty((time, len(states)), np.int8)
    arrivals = np.empty((3, len(states)))
    for t, emission in enumerate(emissions):
        arrivals[0], arrivals[1], arrivals[2] = best[2:], best[1:-1], best[:-2] + leap
        moves[t] = arrivals.argmax(axis=0)
        best[2:] = arrivals.max(axis=0) + emission
    state = len(states) - 1 - int(len(text) > 0 and best[-2] > best[-1])
    path = np.empty(time, np.int64)
    for t in reversed(range(time)):
        path[t] = state
        state -= int(moves[t, state])
    spans = []
    for place in range(len(text)):
        start, end = np.searchsorted(path, [2 * place + 1, 2 * place + 2]).tolist()
        spans.append(AlignedToken(int(text[place]), start, end, float(emissions[start:end, 2 * place + 1].max())))
    return spans


def words(tokens: Iterable[AlignedToken], *, spaces: Container[int]) -> list[Word]:
    """Gather the tokens of each word, those between two spaces."""
    found: list[Word] = []
    run: list[AlignedToken] = []
    for token in tokens:
        if token.token not in spaces:
            run.append(token)
        elif run:
            found.append(Word(tuple(run), token.token))
            run = []
    return [*found, Word(tuple(run))] if run else found


def confidence(tokens: Sequence[AlignedToken]) -> float:
    """How sure some tokens are, in 0..1: the geometric mean of their probabilities; 1 for none."""
    mean = sum(token.log_prob for token in tokens) / max(len(tokens), 1)
    return math.exp(min(0.0, mean))
