from __future__ import annotations

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from showtell.decoders.ngram import BOUNDARY
from showtell.errors import InputError
from showtell.scripts.ngram_estimation import NGramEstimator, discount

SENTENCES = st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=6), min_size=1, max_size=8)
# Rounding to tenths of a bit changes a probability by up to so much of it.
ROUNDING = 2**0.05 - 1


def as_tokens(sentences: list[list[int]]) -> np.ndarray:
    return np.array([BOUNDARY, *(token for one in sentences for token in [*one, BOUNDARY])])


def kneser_ney(sentences: list[list[int]], order: int, vocabulary: int) -> dict[tuple[int, ...], float]:
    """p(last | first ones) of every n-gram of any length up to `order`, written down as in the paper."""
    tokens = as_tokens(sentences).tolist()
    raw: list[Counter[tuple[int, ...]]] = [Counter() for _ in range(order + 1)]
    for length in range(1, order + 1):
        for start in range(len(tokens) - length + 1):
            ngram = tuple(tokens[start : start + length])
            if BOUNDARY not in ngram[1:-1]:
                raw[length][ngram] += 1
    counts = [Counter(table) for table in raw]
    for length in range(1, order):
        before = defaultdict(set)
        for ngram in raw[length + 1]:
            before[ngram[1:]].add(ngram[0])
        for ngram, tokens_before in before.items():
            counts[length][ngram] = len(tokens_before)
    total = sum(counts[1].values())
    shares = [max(counts[1][token,] / total, 1e-7) for token in range(vocabulary)]
    p: dict[tuple[int, ...], float] = {(token,): share / sum(shares) for token, share in enumerate(shares)}
    for length in range(2, order + 1):
        values = np.array([*counts[length].values()], float)
        lost = dict(zip(counts[length], np.minimum(discount(values), values), strict=True))
        for context in {ngram[:-1] for ngram in counts[length]}:
            followers = [ngram for ngram in counts[length] if ngram[:-1] == context]
            whole = sum(counts[length][ngram] for ngram in followers)
            backoff = sum(lost[ngram] for ngram in followers) / whole
            for token in range(vocabulary):
                ngram = (*context, token)
                share = (counts[length][ngram] - lost.get(ngram, 0)) / whole
                p[ngram] = share + backoff * p.get(ngram[1:], p[ngram[-1:]])
    return p


@settings(max_examples=25)
@given(sentences=SENTENCES)
def test_it_is_kneser_ney(sentences: list[list[int]]) -> None:
    expected = kneser_ney(sentences, 3, 5)
    model = NGramEstimator(5, 3).train(as_tokens(sentences))
    for ngram, probability in expected.items():
        if len(ngram) == 3 and probability > 1e-6:
            found = math.exp(model.log_prob(ngram[:-1], ngram[-1]))
            assert found == pytest.approx(probability, rel=3.2 * ROUNDING)  # three numbers of the table


@settings(max_examples=25)
@given(sentences=SENTENCES, threshold=st.sampled_from([0.0, 0.003, 0.03, 1.0]))
def test_after_any_context_all_tokens_have_probability_one_in_sum(sentences: list[list[int]], threshold: float) -> None:
    estimator = NGramEstimator(5, 3)
    counts = [estimator.count(as_tokens(sentences), length) for length in (1, 2, 3)]
    estimates = estimator.prune(estimator.smooth(counts), threshold)
    for context in [(0, 1), (1, 2), (3, 3), (4, 0)]:
        ngrams = np.array([(context[0] << 6) + (context[1] << 3) + token for token in range(5)], np.uint64)
        assert estimator.probabilities(estimates, ngrams).sum() == pytest.approx(1, abs=1e-6)


def test_pruning_leaves_out_what_costs_least() -> None:
    rng = np.random.default_rng(0)
    chain = rng.dirichlet(np.full(9, 0.3), size=9)
    sentences = []
    for _ in range(400):
        sentence = [int(rng.integers(1, 10))]
        while len(sentence) < 12:
            sentence.append(1 + int(rng.choice(9, p=chain[sentence[-1] - 1])))
        sentences.append(sentence)
    train, test = sentences[:300], sentences[300:]
    sizes, costs = [], []
    for threshold in (0.0, 1e-4, 1e-3, 1.0):
        model = NGramEstimator(10, 3).train(as_tokens(train), threshold=threshold)
        cost = 0.0
        for sentence in test:
            context = model.advance((), BOUNDARY)
            for token in [*sentence, BOUNDARY]:
                cost -= model.log_prob(context, token)
                context = model.advance(context, token)
        sizes.append(sum(len(level.tokens) for level in model.levels))
        costs.append(cost)
    assert sizes == sorted(sizes, reverse=True) and sizes[2] < sizes[0] / 3 and sizes[3] == 10
    # Pairs are all there is to know of this language, and most triples are noise.
    assert costs[1] < costs[0] * 1.02 and costs[2] < costs[3] * 0.8


def test_what_does_not_fit_into_a_number_is_refused() -> None:
    with pytest.raises(InputError, match="order=5: with 60000 tokens, up to 4 would do"):
        NGramEstimator(60_000, 5)
    with pytest.raises(InputError, match="vocabulary=70000: up to 65536 tokens would do"):
        NGramEstimator(70_000, 2)
