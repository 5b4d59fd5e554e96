from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from showtell.decoders.linear_chain import LinearChain
from showtell.decoders.tags import SCHEMES, Scheme, Span, allowed_transitions, find_spans, tag_set

FORBIDDEN = -1e4
EVERY_SCHEME = pytest.mark.parametrize("scheme", SCHEMES)


def random_chain(lengths: list[int], tags: int, scale: float = 2.0, seed: int = 0) -> LinearChain:
    """A chain whose every score counts, with padding that would show."""
    generator = np.random.default_rng(seed)
    shapes = (len(lengths), max(lengths) + 1, tags), (tags, tags), (tags,), (tags,)
    emissions, *shared = (generator.normal(scale=scale, size=shape).astype(np.float32) for shape in shapes)
    for row, length in enumerate(lengths):
        emissions[row, length:] = np.nan
    return LinearChain(emissions, *shared, lengths=np.array(lengths))


def tagging_chain(lengths: list[int], labels: list[str], scheme: Scheme, seed: int = 0) -> LinearChain:
    """A chain that keeps a scheme's rules, as the CRF's do."""
    tags = tag_set(labels, scheme=scheme)
    chain, allowed = random_chain(lengths, len(tags), seed=seed), allowed_transitions(tags, scheme=scheme)
    return LinearChain(
        chain.emissions,
        transitions=np.where(allowed.transitions, chain.transitions, FORBIDDEN),
        start=np.where(allowed.start, chain.start, FORBIDDEN),
        end=np.where(allowed.end, chain.end, FORBIDDEN),
        lengths=chain.lengths,
    )


def row_of(chain: LinearChain, row: int) -> LinearChain:
    """One row without its padding."""
    length = int(chain.lengths[row])
    shared = chain.transitions, chain.start, chain.end
    return LinearChain(chain.emissions[row : row + 1, :length], *shared, lengths=np.array([length]))


def enumerate_sequences(chain: LinearChain, row: int) -> tuple[np.ndarray, np.ndarray]:
    """All sequences of a row, `(sequences, length)`, and the score of each, by the formula."""
    length, tags = chain.lengths[row], len(chain.start)
    sequences = np.array([*product(range(tags), repeat=length)])
    scores = np.array(
        [
            float(chain.start[y[0]])
            + sum(float(chain.emissions[row, t, tag]) for t, tag in enumerate(y))
            + sum(float(chain.transitions[before, after]) for before, after in pairwise(y))
            + float(chain.end[y[-1]])
            for y in sequences
        ]
    )
    return sequences, scores


chains = st.builds(
    random_chain,
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    tags=st.integers(1, 3),
    scale=st.sampled_from([0.1, 2.0, 20.0]),
    seed=st.integers(0, 1000),
)


@given(chain=chains)
def test_viterbi_finds_the_best_of_all_sequences(chain: LinearChain) -> None:
    paths = chain.viterbi()
    assert paths.shape == chain.emissions.shape[:2]
    for row, length in enumerate(chain.lengths):
        sequences, scores = enumerate_sequences(chain, row)
        found = scores[(sequences == paths[row, :length]).all(axis=1)]
        np.testing.assert_allclose(found, scores.max(), rtol=0, atol=1e-9)
        assert not paths[row, length:].any()


@given(chain=chains)
def test_the_partition_and_the_marginals_are_sums_over_all_sequences(chain: LinearChain) -> None:
    posterior = chain.forward_backward()
    for row, length in enumerate(chain.lengths):
        sequences, scores = enumerate_sequences(chain, row)
        log_partition = np.logaddexp.reduce(scores)
        probabilities = np.exp(scores - log_partition)
        is_tag = sequences[..., None] == np.arange(len(chain.start))
        marginals = (probabilities[:, None, None] * is_tag).sum(axis=0)
        np.testing.assert_allclose(posterior.log_partition[row], log_partition, atol=1e-9)
        np.testing.assert_allclose(posterior.marginals[row, :length], marginals, atol=1e-12)
        assert not posterior.marginals[row, length:].any()


@given(chain=chains, data=st.data())
def test_a_segment_is_as_probable_as_all_sequences_that_hold_it(chain: LinearChain, data: st.DataObject) -> None:
    rows, starts, segments, expected = [], [], [], []
    for _ in range(data.draw(st.integers(0, 4))):
        row = data.draw(st.integers(0, len(chain.lengths) - 1))
        start = data.draw(st.integers(0, int(chain.lengths[row])))
        segment = data.draw(st.lists(st.integers(0, len(chain.start) - 1), min_size=1, max_size=5))
        sequences, scores = enumerate_sequences(chain, row)
        probabilities = np.exp(scores - np.logaddexp.reduce(scores))
        holds = [[*y[start : start + len(segment)]] == segment for y in sequences.tolist()]
        rows.append(row)
        starts.append(start)
        segments.append(segment)
        expected.append(probabilities[holds].sum())
    np.testing.assert_allclose(chain.forward_backward().segments(rows, starts, segments), expected, atol=1e-12)


@EVERY_SCHEME
@given(lengths=st.lists(st.integers(1, 4), min_size=1, max_size=2), seed=st.integers(0, 1000))
def test_a_span_is_as_probable_as_all_taggings_that_have_just_it(scheme: Scheme, lengths: list[int], seed: int) -> None:
    tags, chain = tag_set(["X"], scheme=scheme), tagging_chain(lengths, ["X"], scheme, seed)
    spans = [[Span(a, b, "X") for a in range(n) for b in range(a + 1, n + 1)] for n in lengths]
    answers = chain.forward_backward().spans(spans, labels=["X"], scheme=scheme)
    for row, found in enumerate(spans):
        sequences, scores = enumerate_sequences(chain, row)
        probabilities = np.exp(scores - np.logaddexp.reduce(scores))
        held = [find_spans(tags[tag] for tag in y) for y in sequences]
        expected = [probabilities[[span in spans for spans in held]].sum() for span in found]
        np.testing.assert_allclose(answers[row], expected, atol=1e-12)


@EVERY_SCHEME
def test_each_word_is_outside_or_in_one_of_all_spans(scheme: Scheme) -> None:
    labels, lengths = ["PER", "LOC", "ORG", "MISC"], [9, 1, 6]
    chain = tagging_chain(lengths, labels, scheme)
    spans = [[Span(a, b, label) for a in range(n) for b in range(a + 1, n + 1) for label in labels] for n in lengths]
    posterior = chain.forward_backward()
    for row, scores in enumerate(posterior.spans(spans, labels=labels, scheme=scheme)):
        total = posterior.marginals[row, : lengths[row], 0].copy()
        for span, score in zip(spans[row], scores, strict=True):
            total[span.start : span.end] += score
        np.testing.assert_allclose(total, 1)


def test_no_spans_have_no_probabilities() -> None:
    posterior = tagging_chain([3, 2], ["X"], "BIOES").forward_backward()
    assert posterior.spans([[], []], labels=["X"]) == [[], []]


@EVERY_SCHEME
@given(lengths=st.lists(st.integers(1, 8), min_size=1, max_size=4), seed=st.integers(0, 1000))
def test_viterbi_keeps_the_rules_of_the_scheme(scheme: Scheme, lengths: list[int], seed: int) -> None:
    labels = ["PER", "LOC"]
    allowed = allowed_transitions(tag_set(labels, scheme=scheme), scheme=scheme)
    paths = tagging_chain(lengths, labels, scheme, seed).viterbi()
    for path, length in zip(paths, lengths, strict=True):
        assert allowed.start[path[0]]
        assert allowed.transitions[path[: length - 1], path[1:length]].all()
        assert allowed.end[path[length - 1]]


@given(lengths=st.lists(st.integers(1, 9), min_size=2, max_size=5), seed=st.integers(0, 1000))
def test_a_padded_row_is_tagged_as_it_is_alone(lengths: list[int], seed: int) -> None:
    chain = tagging_chain(lengths, ["PER", "LOC"], "BIOES", seed)
    paths, posterior = chain.viterbi(), chain.forward_backward()
    for row, length in enumerate(lengths):
        alone = row_of(chain, row)
        np.testing.assert_array_equal(paths[row, :length], alone.viterbi()[0])
        np.testing.assert_allclose(posterior.marginals[row, :length], alone.forward_backward().marginals[0], atol=1e-12)


def test_a_long_document_keeps_its_precision() -> None:
    chain = random_chain([2000, 1500], 7)
    posterior = chain.forward_backward()
    transitions = chain.transitions.astype(np.float64)
    for row, length in enumerate(chain.lengths):
        sums = chain.start.astype(np.float64) + chain.emissions[row, 0]
        for emission in chain.emissions[row, 1:length]:
            sums = np.logaddexp.reduce(sums[:, None] + transitions, axis=0) + emission
        np.testing.assert_allclose(posterior.log_partition[row], np.logaddexp.reduce(sums + chain.end), rtol=1e-12)
        np.testing.assert_allclose(posterior.marginals[row, :length].sum(axis=1), 1, atol=1e-9)
        whole = posterior.segments([row], [0], [[0] * length])
        assert 0 <= whole[0] < 1e-300


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", [1e3, 1e5, 1e30])
def test_enormous_scores_still_give_probabilities(scale: float) -> None:
    posterior = random_chain([5, 40], 4, scale).forward_backward()
    assert np.isfinite(posterior.log_partition).all()
    for marginals, length in zip(posterior.marginals, [5, 40], strict=True):
        np.testing.assert_allclose(marginals[:length].sum(axis=1), 1)
