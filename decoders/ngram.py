"""An n-gram language model, small enough to travel with a recogniser: how probable a token is after others.

    p(w | h) = p*(w | h)                    where the n-gram `h w` is in the table
    p(w | h) = b(h) p(w | h')               elsewhere; h' is h without its first token; b(h) = 1 if h is not there

Katz's back-off (1987), whatever p* and b were estimated by; `scripts/ngram_estimation.py` does it. The table is a trie:
a level for each length, the n-grams of a level sorted, so that those with a common beginning lie side by side.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

# Tokens are numbers; this one stands before and after every sentence.
BOUNDARY = 0
# Logarithms are kept in tenths of a bit, which is a twentieth of what models of this size are wrong by.
TENTH_BIT = math.log(2) / 10
# The probability that each number of a table stands for.
PROBS = np.exp(-TENTH_BIT * np.arange(256))
# Contexts whose place in the table is remembered; after so many they are forgotten.
REMEMBERED = 200_000


class Level(NamedTuple):
    """The n-grams of one length, sorted.

    tokens: `(ngrams,)`, uint16, of each the last token. log_probs: `(ngrams,)`, uint8, -log p* in tenths of a bit.
    backoffs: `(ngrams,)`, int8, log b in tenths of a bit. children: `(ngrams,)`, uint16, how many longer n-grams
        begin with each. The last level has neither, the arrays are empty.
    """

    tokens: np.ndarray
    log_probs: np.ndarray
    backoffs: np.ndarray
    children: np.ndarray


class NGram:
    """A back-off model over the tokens from 0 to `vocabulary - 1`. The first level has all of them, in order."""

    def __init__(self, levels: Sequence[Level]):
        self.levels = levels
        self.order, self.vocabulary = len(levels), len(levels[0].tokens)
        # Single numbers are read from memoryviews several times as fast as from arrays.
        self._tokens = [level.tokens.data for level in levels]
        self._log_probs = [level.log_probs.data for level in levels]
        self._backoffs = [level.backoffs.data for level in levels]
        self._first = [np.concatenate([[0], level.children]).cumsum(dtype=np.int32).data for level in levels]
        self._places: dict[tuple[int, ...], int] = {}

    @property
    def probabilities(self) -> np.ndarray:
        """p(token) after nothing, `(vocabulary,)`."""
        return PROBS[self.levels[0].log_probs]

    def log_prob(self, context: tuple[int, ...], token: int) -> float:
        """The natural logarithm of p(token | context). Of the context only the last tokens count."""
        context, backoff = context[-(self.order - 1) :] if self.order > 1 else (), 0
        while (place := self._find((*context, token))) < 0:
            if (before := self._find(context)) >= 0:
                backoff += self._backoffs[len(context) - 1][before]
            context = context[1:]
        return (backoff - self._log_probs[len(context)][place]) * TENTH_BIT

    def advance(self, context: tuple[int, ...], token: int) -> tuple[int, ...]:
        """The context after one more token: as much of it as can matter, so that equal futures are equal."""
        context = (*context, token)[-(self.order - 1) :] if self.order > 1 else ()
        while context and not self._continues(context):
            context = context[1:]
        return context

    def arrays(self) -> dict[str, np.ndarray]:
        """All there is to save."""
        return {
            f"{length}.{name}": array
            for length, level in enumerate(self.levels, 1)
            for name, array in level._asdict().items()
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> NGram:
        """The model that `arrays` were taken from. Raises `KeyError` if some are missing."""
        order = max(int(name.partition(".")[0]) for name in arrays)
        return cls([Level(*(arrays[f"{n}.{name}"] for name in Level._fields)) for n in range(1, order + 1)])

    def _continues(self, context: tuple[int, ...]) -> bool:
        """Whether longer n-grams begin with these tokens."""
        place, first = self._find(context), self._first[len(context) - 1]
        return place >= 0 and first[place + 1] > first[place]

    def _find(self, ngram: tuple[int, ...]) -> int:
        """The place of an n-gram in its level, -1 if it is not there."""
        if len(ngram) < 2:
            return ngram[0] if ngram else -1
        if (place := self._places.get(ngram)) is None:
            place = self._search(ngram)
            if len(self._places) >= REMEMBERED:
                self._places.clear()
            self._places[ngram] = place
        return place

    def _search(self, ngram: tuple[int, ...]) -> int:
        """Go down the trie from the beginning of an n-gram."""
        if (parent := self._find(ngram[:-1])) < 0:
            return -1
        first, tokens = self._first[len(ngram) - 2], self._tokens[len(ngram) - 1]
        start, end = first[parent], first[parent + 1]
        place = bisect_left(tokens, ngram[-1], start, end)
        return place if place < end and tokens[place] == ngram[-1] else -1
