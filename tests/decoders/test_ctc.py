from __future__ import annotations

from itertools import groupby, pairwise, product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from showtell.decoders.alignment import AlignedToken, align
from showtell.decoders.ctc import Search, greedy
from showtell.errors import InputError

# A search that gives nothing up.
EXACT: dict[str, Any] = {"num_beams": 10_000, "blank_threshold": 1.0, "token_threshold": 0.0, "beam_threshold": 0.0}


def random_log_probs(
    time: int, vocabulary: int = 4, seed: int = 0, scale: float = 2.0, blank: float = 0.0
) -> np.ndarray:
    """scale: how peaked. blank: how much more probable the blank is than others."""
    logits = np.random.default_rng(seed).normal(0, scale, (time, vocabulary))
    logits[:, 0] += blank
    return (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)


def spell(path: tuple[int, ...], blank: int = 0) -> tuple[int, ...]:
    return tuple(token for token, _ in groupby(path) if token != blank)


def tokens_of(aligned: list[AlignedToken]) -> tuple[int, ...]:
    return tuple(token.token for token in aligned)


def enumerate_texts(log_probs: np.ndarray, blank: int = 0) -> dict[tuple[int, ...], float]:
    """The probability of every text, by all paths."""
    time, vocabulary = log_probs.shape
    sums: dict[tuple[int, ...], float] = {}
    for path in product(range(vocabulary), repeat=time):
        text = spell(path, blank)
        probability = np.exp(log_probs[range(time), path].sum(dtype=np.float64))
        sums[text] = sums.get(text, 0.0) + probability
    return sums


class Texts:
    """A prior without opinion, to which all texts have futures of their own."""

    heard_as = None

    def __init__(self):
        self.raising = dict.fromkeys(range(9), 3.0)

    def start(self) -> tuple[int, ...]:
        return ()

    def factor(self, state: tuple[int, ...], token: int) -> float:
        return 1.0

    def advance(self, state: tuple[int, ...], token: int) -> tuple[int, ...]:
        return (*state, token)

    def end(self, state: tuple[int, ...]) -> tuple[float, int | None]:
        return 1.0, None


class Bigrams(Texts):
    """A prior that knows how often one token follows another, and ends a text."""

    def __init__(self, vocabulary: int, seed: int):
        super().__init__()
        self.table = np.random.default_rng(seed).uniform(0, 3, (vocabulary, vocabulary + 1))

    def factor(self, state: tuple[int, ...], token: int) -> float:
        return float(self.table[(0, *state)[-1], token])

    def end(self, state: tuple[int, ...]) -> tuple[float, int | None]:
        return float(self.table[(0, *state)[-1], -1]), None

    def of(self, text: tuple[int, ...]) -> float:
        steps = [self.table[pair] for pair in pairwise((0, *text))]
        return float(np.prod(steps) * self.table[(0, *text)[-1], -1])


def read(log_probs: np.ndarray, *chunks: int, **options: Any) -> list[AlignedToken]:
    """Search in chunks of these sizes and the rest."""
    search, start = Search(**options), 0
    for size in chunks:
        search.advance(log_probs[start : start + size])
        start += size
    search.advance(log_probs[start:])
    return search.finish()


@pytest.mark.parametrize("blank", [0, 2])
def test_a_wide_beam_finds_every_text_and_its_probability(blank: int) -> None:
    log_probs = random_log_probs(5, 3)
    expected = enumerate_texts(log_probs, blank)
    search = Search(Texts(), blank=blank, **EXACT)
    search.advance(log_probs)
    found = {prefix.state: prefix.both for prefix in search.prefixes}
    assert found.keys() == expected.keys()
    most = max(expected.values())
    for text, share in found.items():
        assert share == pytest.approx(expected[text] / most, rel=1e-5)
    best = max(expected, key=expected.__getitem__)
    assert tokens_of(search.finish()) == tokens_of(read(log_probs, blank=blank, **EXACT)) == best


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20)
def test_a_wide_beam_finds_the_text_that_is_best_by_sound_and_prior(seed: int) -> None:
    log_probs, prior = random_log_probs(5, 3, seed), Bigrams(3, seed)
    expected = {text: probability * prior.of(text) for text, probability in enumerate_texts(log_probs).items()}
    search = Search(prior, **EXACT)
    search.advance(log_probs)
    assert expected[tokens_of(search.finish())] == pytest.approx(max(expected.values()))


class LastToken(Bigrams):
    """The same, and it knows that only the last token matters."""

    def advance(self, state: tuple[int, ...], token: int) -> tuple[int, ...]:
        return (token,)


@torch.no_grad()
def test_of_texts_with_the_same_future_one_is_followed_and_makes_room_for_others() -> None:
    totals = {Bigrams: 0.0, LastToken: 0.0}
    for seed in range(20):
        log_probs = random_log_probs(40, 8, seed, scale=1.0)
        for kind in totals:
            prior = kind(8, seed)
            narrow: dict[str, Any] = EXACT | {"num_beams": 8}
            search = Search(prior, **narrow)
            search.advance(log_probs)
            if kind is LastToken:
                assert len({(prefix.state, prefix.token) for prefix in search.prefixes}) == len(search.prefixes)
            text = tokens_of(search.finish())
            loss = torch.nn.functional.ctc_loss(
                torch.from_numpy(log_probs)[:, None],
                torch.tensor([text]),
                torch.tensor([40]),
                torch.tensor([len(text)]),
                reduction="sum",
            )
            totals[kind] += np.log(prior.of(text)) - float(loss)
    assert totals[LastToken] > totals[Bigrams] + 10


@torch.no_grad()
def test_texts_are_as_probable_as_torch_says() -> None:
    log_probs = random_log_probs(8, 3)
    search = Search(Texts(), **EXACT)
    search.advance(log_probs)
    shares = {prefix.state: prefix.both for prefix in search.prefixes}
    targets = [torch.tensor(text, dtype=torch.long) for text in shares]
    losses = torch.nn.functional.ctc_loss(
        torch.from_numpy(log_probs)[:, None].double().expand(-1, len(targets), -1),
        torch.nn.utils.rnn.pad_sequence(targets, batch_first=True),
        torch.full((len(targets),), 8),
        torch.tensor([len(target) for target in targets]),
        reduction="none",
    )
    probabilities = torch.exp(-losses).numpy()
    assert len(shares) > 100
    np.testing.assert_allclose([*shares.values()], probabilities / probabilities[0], rtol=1e-5)


@pytest.mark.parametrize("prior", [None, LastToken(4, seed=0)])
@given(time=st.integers(1, 40), seed=st.integers(0, 1000), chunks=st.lists(st.integers(0, 9), max_size=9))
@settings(max_examples=100)
def test_a_stream_gets_the_words_and_times_of_the_whole(
    prior: LastToken | None, time: int, seed: int, chunks: list[int]
) -> None:
    log_probs = random_log_probs(time, seed=seed, blank=2.0)
    options: dict[str, Any] = {"prior": prior, "num_beams": 4, "blank_threshold": 0.9, "token_threshold": 1e-2}
    assert read(log_probs, *chunks, **options) == read(log_probs, **options)


@given(time=st.integers(1, 40), seed=st.integers(0, 1000), num_beams=st.integers(1, 8))
@settings(max_examples=50)
def test_times_never_decrease_and_lie_within_the_recording(time: int, seed: int, num_beams: int) -> None:
    log_probs, at = random_log_probs(time, seed=seed), 0
    for token in read(log_probs, num_beams=num_beams):
        assert at <= token.start < token.end <= time
        assert token.log_prob == pytest.approx(float(log_probs[token.start : token.end, token.token].max()), abs=1e-6)
        at = token.end


@given(seed=st.integers(0, 1000), time=st.integers(1, 12))
@settings(max_examples=50)
def test_times_are_those_of_the_alignment(seed: int, time: int) -> None:
    log_probs = random_log_probs(time, 3, seed)
    aligned = read(log_probs, **EXACT | {"num_beams": 300})
    assert aligned == [
        (*token[:3], pytest.approx(token.log_prob, abs=1e-6)) for token in align(log_probs, tokens_of(aligned))
    ]


@given(seed=st.integers(0, 1000))
@settings(max_examples=30)
def test_greedy_takes_the_best_path(seed: int) -> None:
    log_probs, lengths = random_log_probs(30, seed=seed).reshape(3, 10, 4), np.array([10, 1, 6])
    for row, aligned in enumerate(greedy(log_probs, lengths)):
        path = log_probs[row, : lengths[row]].argmax(axis=1)
        assert tokens_of(aligned) == spell(tuple(path.tolist()))
        (alone,) = greedy(log_probs[row : row + 1, : lengths[row]], lengths[row : row + 1])
        assert aligned == alone
        for token, start, end, log_prob in aligned:
            assert (path[start:end] == token).all() and log_prob == log_probs[row, start:end, token].max()


@given(seed=st.integers(0, 1000), num_beams=st.integers(1, 4))
@settings(max_examples=30)
def test_where_frames_are_sure_every_search_is_greedy(seed: int, num_beams: int) -> None:
    log_probs = random_log_probs(30, seed=seed, scale=200.0)
    (expected,) = greedy(log_probs[None], np.array([30]))
    assert tokens_of(read(log_probs, num_beams=num_beams)) == tokens_of(expected)


def test_what_is_taken_from_the_blank_lets_more_be_said() -> None:
    log_probs = random_log_probs(40, seed=5, blank=2.5)
    texts = [read(log_probs, offsets=np.array([-penalty, 0, 0, 0])) for penalty in (0.0, 1.0, 2.0)]
    assert len(texts[0]) < len(texts[1]) < len(texts[2])
    for token in texts[1]:  # what is told of a token is what the network said
        assert token.log_prob == pytest.approx(float(log_probs[token.start : token.end, token.token].max()), abs=1e-6)


def test_silence_says_nothing_and_costs_nothing() -> None:
    silence = np.full((50_000, 4), -20.0, np.float32)
    silence[:, 0] = 0
    spoken = random_log_probs(20, blank=2.0)
    search = Search()
    search.advance(silence)
    assert search.best() == [] and len(search.prefixes) == 1
    search.advance(spoken)
    search.advance(silence)
    expected = read(np.concatenate([spoken, silence[:1]]))
    assert expected and search.finish() == [
        token._replace(start=token.start + 50_000, end=token.end + 50_000) for token in expected
    ]


def test_frames_in_which_nothing_is_possible_tell_nothing() -> None:
    log_probs = random_log_probs(9, 4, 3)
    expected = tokens_of(read(log_probs))
    for nothing in (np.nan, -np.inf):
        broken = np.insert(log_probs, 9, nothing, axis=0)
        assert tokens_of(read(broken)) == expected
    broken = log_probs.copy()
    broken[4] = np.nan
    assert read(broken)


def test_nothing_heard_is_nothing_said() -> None:
    nothing = np.zeros((0, 4), np.float32)
    assert read(nothing) == [] and greedy(nothing[None], np.array([0])) == [[]]


@pytest.mark.parametrize("num_beams", [0, -1, 1.5])
def test_an_impossible_width_is_refused(num_beams: int) -> None:
    with pytest.raises(InputError, match=r"num_beams=.* cannot be used; a whole number from 1 would do"):
        Search(num_beams=num_beams)
