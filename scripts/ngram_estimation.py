"""Estimate an n-gram model: count, smooth by Kneser and Ney, prune what hardly matters, pack into `decoders/ngram.py`.

An n-gram is one whole number, the bits of its last token lowest. So a table is a sorted array, n-grams that begin
alike lie side by side, and millions are counted by one sort.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from showtell.decoders.ngram import BOUNDARY, TENTH_BIT, Level, NGram
from showtell.errors import InputError

# Of a token as answering reads it, and of an n-gram's number.
TOKEN_BITS, ALL_BITS = 16, 64
# Of a token that was never seen.
LEAST_PROBABILITY = 1e-7


class Counts(NamedTuple):
    """N-grams of one length, sorted, and how often each was seen."""

    ngrams: np.ndarray
    seen: np.ndarray


class Estimate(NamedTuple):
    """N-grams of one length, sorted, what a back-off model says of them, and how often each was seen.

    probabilities: p*(last token | those before). backoffs: b(n-gram), where a longer one is not in the table.
    """

    ngrams: np.ndarray
    probabilities: np.ndarray
    backoffs: np.ndarray
    seen: np.ndarray


class NGramEstimator:
    """Estimates models over the tokens from 0 to `vocabulary - 1`, from n-grams of up to `order` tokens.

    Raises `InputError` if a token does not fit into 16 bits, or such an n-gram into 64.
    """

    def __init__(self, vocabulary: int, order: int):
        self.vocabulary, self.order, self.bits = vocabulary, order, (vocabulary - 1).bit_length()
        if self.bits > TOKEN_BITS:
            raise InputError(f"vocabulary={vocabulary}: up to {1 << TOKEN_BITS} tokens would do.")
        if self.bits * order > ALL_BITS:
            raise InputError(f"order={order}: with {vocabulary} tokens, up to {ALL_BITS // self.bits} would do.")

    def train(self, tokens: np.ndarray, *, threshold: float = 0.0) -> NGram:
        """A model of sentences, `(tokens,)`, with `BOUNDARY` before, between and after them.

        threshold: an n-gram stays if without it the model would be less probable by more than this, as `prune` says.
        """
        return self.pack(self.prune(self.estimate(tokens), threshold))

    def estimate(self, tokens: np.ndarray) -> list[Estimate]:
        """What sentences as `train` takes them say of n-grams of each length, before any is left out."""
        return self.smooth([self.count(tokens, length) for length in range(1, self.order + 1)])

    def count(self, tokens: np.ndarray, length: int) -> Counts:
        """Count the n-grams of a length that have no boundary inside."""
        windows = np.lib.stride_tricks.sliding_window_view(tokens, length)
        ngrams = np.zeros(len(windows), np.uint64)
        within = np.ones(len(windows), bool)
        for place in range(length):
            ngrams = (ngrams << self.bits) | windows[:, place].astype(np.uint64)
            if 0 < place < length - 1:
                within &= windows[:, place] != BOUNDARY
        return Counts(*np.unique(ngrams[within], return_counts=True))

    def smooth(self, counts: Sequence[Counts]) -> list[Estimate]:
        """Interpolated Kneser-Ney smoothing with three discounts a length (Chen and Goodman 1998).

            p*(w | h) = (c(h w) - D(c(h w))) / c(h) + b(h) p(w | h')

        c counts how often an n-gram was seen if it has the full length or begins a sentence; for others, after how
        many different tokens.
        """
        estimates: list[Estimate] = []
        for length, (ngrams, seen) in enumerate(counts, 1):
            count = seen.astype(float)
            if length < self.order:
                places = find(ngrams, self.without_first(counts[length].ngrams, length + 1))
                variety = np.bincount(places, minlength=len(ngrams))
                count = np.where(variety > 0, variety, count)
            if not estimates:
                estimates.append(self.unigrams(Counts(ngrams, count), seen))
                continue
            shorter = estimates[-1]
            contexts, first, of = self.contexts(ngrams)
            lost = np.minimum(discount(count), count)
            total = np.add.reduceat(count, first)
            backoffs = np.add.reduceat(lost, first) / total
            shorter.backoffs[find(shorter.ngrams, contexts)] = backoffs
            below = shorter.probabilities[find(shorter.ngrams, self.without_first(ngrams, length))]
            probabilities = (count - lost) / total[of] + backoffs[of] * below
            estimates.append(Estimate(ngrams, probabilities, np.ones(len(ngrams)), seen))
        return estimates

    def unigrams(self, counts: Counts, seen: np.ndarray) -> Estimate:
        """All tokens of the vocabulary, seen or not."""
        places = counts.ngrams.astype(np.int64)
        share, often = np.zeros(self.vocabulary), np.zeros(self.vocabulary)
        share[places], often[places] = counts.seen / counts.seen.sum(), seen
        share = np.maximum(share, LEAST_PROBABILITY)
        everything = np.arange(self.vocabulary, dtype=np.uint64)
        return Estimate(everything, share / share.sum(), np.ones(self.vocabulary), often)

    def prune(self, estimates: Sequence[Estimate], threshold: float) -> list[Estimate]:
        """Leave out the n-grams without which the model is hardly worse (Stolcke 1998).

        An n-gram goes if the relative entropy between the models with and without it is `threshold` nats a token or
        less, and no longer one begins with it. Then each context's back-off is what makes it sum to one.
        """
        pruned = list(estimates)
        needed = np.zeros(len(estimates[-1].ngrams), bool)
        for length in range(self.order, 1, -1):
            ngrams, probabilities, _, _ = estimates[length - 1]
            shorter = estimates[length - 2]
            contexts, first, of = self.contexts(ngrams)
            below = shorter.probabilities[find(shorter.ngrams, self.without_first(ngrams, length))]
            rest = np.maximum(1 - np.add.reduceat(probabilities, first), 1e-9)[of]
            rest_below = np.maximum(1 - np.add.reduceat(below, first), 1e-9)[of]
            before, after = rest / rest_below, (rest + probabilities) / (rest_below + below)
            loss = probabilities * np.log(probabilities / (after * below)) - rest * np.log(after / before)
            places = find(shorter.ngrams, contexts)
            often = shorter.seen[places] / estimates[0].seen.sum()
            kept = (often[of] * loss > threshold) | needed
            pruned[length - 1] = Estimate(*(array[kept] for array in estimates[length - 1]))
            needed = np.zeros(len(shorter.ngrams), bool)
            needed[find(shorter.ngrams, ngrams[kept] >> self.bits)] = True
        for length in range(2, self.order + 1):
            self.balance(pruned, length)
        return pruned

    def balance(self, estimates: list[Estimate], length: int) -> None:
        """Set what the contexts of n-grams of this length leave to shorter ones, so that all sums to one."""
        ngrams, probabilities, _, _ = estimates[length - 1]
        if not len(ngrams):
            return
        contexts, first, _ = self.contexts(ngrams)
        below = self.probabilities(estimates[: length - 1], self.without_first(ngrams, length))
        rest = np.maximum(1 - np.add.reduceat(probabilities, first), 1e-9)
        rest_below = np.maximum(1 - np.add.reduceat(below, first), 1e-9)
        backoffs = np.ones(len(estimates[length - 2].ngrams))
        backoffs[find(estimates[length - 2].ngrams, contexts)] = rest / rest_below
        estimates[length - 2] = estimates[length - 2]._replace(backoffs=backoffs)

    def probabilities(self, estimates: Sequence[Estimate], ngrams: np.ndarray) -> np.ndarray:
        """How probable the last tokens of n-grams are after the others, which are as many as the model can use."""
        result = estimates[0].probabilities[self.without_first(ngrams, 2).astype(np.int64)]
        for length, (table, known, _, _) in enumerate(estimates[1:], 2):
            if not len(table):
                break
            shorter = estimates[length - 2]
            part = self.without_first(ngrams, length + 1)
            place, context = find(table, part), find(shorter.ngrams, part >> self.bits)
            backoffs = np.where(context < 0, 1, shorter.backoffs[context])
            result = np.where(place < 0, backoffs * result, known[place])
        return result

    def pack(self, estimates: Sequence[Estimate]) -> NGram:
        """The model as answering reads it."""
        levels = []
        for length, (ngrams, probabilities, backoffs, _) in enumerate(estimates, 1):
            last = length == len(estimates)
            longer = np.zeros(0, np.uint64) if last else estimates[length].ngrams >> self.bits
            children = np.bincount(find(ngrams, longer), minlength=len(ngrams))
            levels.append(
                Level(
                    tokens=self.without_first(ngrams, 2).astype(np.uint16),
                    log_probs=np.clip(np.round(-np.log(probabilities) / TENTH_BIT), 0, 255).astype(np.uint8),
                    backoffs=np.clip(np.round(np.log(backoffs) / TENTH_BIT), -128, 127).astype(np.int8)[
                        : 0 if last else None
                    ],
                    children=children.astype(np.uint16)[: 0 if last else None],
                )
            )
        return NGram(levels)

    def without_first(self, ngrams: np.ndarray, length: int) -> np.ndarray:
        """The last `length - 1` tokens of n-grams."""
        return ngrams & np.uint64((1 << self.bits * (length - 1)) - 1)

    def contexts(self, ngrams: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The distinct contexts of sorted n-grams, the place of the first n-gram of each, and which each n-gram has."""
        return np.unique(ngrams >> self.bits, return_index=True, return_inverse=True)


def discount(counts: np.ndarray) -> np.ndarray:
    """What Kneser-Ney takes from each count: one amount for those of one, of two and of three or more."""
    ones, twos, threes, fours = ((counts == times).sum() for times in (1, 2, 3, 4))
    share = ones / max(ones + 2 * twos, 1)
    few = [
        times - (times + 1) * share * more / max(same, 1)
        for times, same, more in ((1, ones, twos), (2, twos, threes), (3, threes, fours))
    ]
    amounts = np.array([0, *np.clip(few, 0.1, [0.9, 1.8, 2.7])])
    return amounts[np.minimum(counts, 3).astype(np.int64)]


def find(table: np.ndarray, ngrams: np.ndarray) -> np.ndarray:
    """The places of n-grams in a sorted table; -1 for those that are not there."""
    places = np.searchsorted(table, ngrams)
    return np.where(np.append(table, ~np.uint64(0))[places] == ngrams, places, -1)
