"""Mix two n-gram models into one: p(w | h) = (1 - share) p_1(w | h) + share p_2(w | h).

The mixture is a back-off model too, of the n-grams of either (Stolcke, SRILM, 2002, "static interpolation"). Where an
n-gram is in neither, its back-off is nearly the mixture's, and all sums to one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from showtell.decoders.ngram import BOUNDARY
from showtell.scripts.datasets.sphinx import END, SENTENCE, SphinxModel
from showtell.scripts.ngram_estimation import Estimate, NGramEstimator, find

# Of a word that has no number here.
NOTHING = -1


def mix(
    estimator: NGramEstimator, first: Sequence[Estimate], second: Sequence[Estimate], share: float
) -> list[Estimate]:
    """The mixture, in which the second model has this share."""
    tables = [np.union1d(one.ngrams, other.ngrams) for one, other in zip(first, second, strict=True)]
    for length in range(estimator.order, 1, -1):  # whatever has a longer one is there too
        tables[length - 2] = np.union1d(tables[length - 2], tables[length - 1] >> estimator.bits)
    mixture: list[Estimate] = []
    total = first[0].seen.sum()
    for length, ngrams in enumerate(tables, 1):
        one, other = (estimator.probabilities(model[:length], ngrams) for model in (first, second))
        probabilities = (1 - share) * one + share * other
        # How often it would be seen, by what the mixture says of its parts; what begins with a boundary is a sentence.
        seen = total * probabilities
        if mixture:
            seen = mixture[-1].seen[find(mixture[-1].ngrams, ngrams >> estimator.bits)] * probabilities
        mixture.append(Estimate(ngrams, probabilities, np.ones(len(ngrams)), seen))
    for length in range(2, estimator.order + 1):
        estimator.balance(mixture, length)
    return mixture


def read_as(estimator: NGramEstimator, model: SphinxModel, numbers: Mapping[str, int], unknown: int) -> list[Estimate]:
    """A model of CMU Sphinx over other tokens: the words that have `numbers`. All others are the token `unknown`, of
    which only p(unknown) is kept."""
    last = np.array([numbers.get(word, NOTHING) for word in model.words])
    before = last.copy()
    before[model.words.index(SENTENCE)] = last[model.words.index(END)] = BOUNDARY
    estimates: list[Estimate] = []
    for ngrams, log_probs, backoffs in model.tables:
        tokens = np.concatenate([before[ngrams[:, :-1]], last[ngrams[:, -1:]]], axis=1)
        known = (tokens != NOTHING).all(axis=1)
        encoded = np.zeros(known.sum(), np.uint64)
        for column in tokens[known].T:
            encoded = (encoded << estimator.bits) | column.astype(np.uint64)
        order = encoded.argsort()
        estimates.append(
            Estimate(
                encoded[order], np.exp(log_probs[known][order]), np.exp(backoffs[known][order]), np.zeros(len(order))
            )
        )
    return [_of_all(estimator, model, estimates[0], unknown), *estimates[1:]]


def _of_all(estimator: NGramEstimator, model: SphinxModel, known: Estimate, unknown: int) -> Estimate:
    """The table of single tokens has all of them. A sentence's beginning is a context, its end a token."""
    places = known.ngrams.astype(np.int64)
    probabilities, backoffs = np.zeros(estimator.vocabulary), np.ones(estimator.vocabulary)
    probabilities[places], backoffs[places] = known.probabilities, known.backoffs
    probabilities[unknown] = max(1 - probabilities.sum(), 0)
    backoffs[BOUNDARY] = np.exp(model.tables[0].backoffs[model.words.index(SENTENCE)])
    everything = np.arange(estimator.vocabulary, dtype=np.uint64)
    return Estimate(everything, probabilities, backoffs, np.zeros(estimator.vocabulary))
