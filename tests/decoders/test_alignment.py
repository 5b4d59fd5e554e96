from __future__ import annotations

import math
from itertools import groupby, pairwise, product

import numpy as np
import pytest
import torch
import torchaudio
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from showtell.decoders.alignment import AlignedToken, Word, align, confidence, words
from showtell.errors import InputError

TEXTS = st.lists(st.integers(1, 3), max_size=6)


def random_log_probs(time: int, vocabulary: int, seed: int = 0) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(0, 2, (time, vocabulary))
    return (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)


def spell(path: tuple[int, ...], blank: int = 0) -> list[int]:
    return [token for token, _ in groupby(path) if token != blank]


def score_of(aligned: list[AlignedToken], log_probs: np.ndarray, blank: int = 0) -> float:
    """The log-probability of the path that an alignment describes."""
    path = np.full(len(log_probs), blank)
    for token, start, end, _ in aligned:
        path[start:end] = token
    return float(log_probs[np.arange(len(path)), path].sum(dtype=np.float64))


def least_frames(text: list[int]) -> int:
    return len(text) + sum(a == b for a, b in pairwise(text))


@pytest.mark.parametrize("blank", [0, 2])
def test_the_alignment_is_the_most_probable_of_all_paths_that_spell_the_text(blank: int) -> None:
    log_probs = random_log_probs(5, 3)
    best: dict[tuple[int, ...], float] = {}
    for path in product(range(3), repeat=5):
        text = tuple(spell(path, blank))
        best[text] = max(best.get(text, -math.inf), float(log_probs[range(5), path].sum(dtype=np.float64)))
    for text, score in best.items():
        aligned = align(log_probs, text, blank=blank)
        assert [token.token for token in aligned] == [*text]
        assert score_of(aligned, log_probs, blank) == pytest.approx(score, abs=1e-5)


@settings(max_examples=50)
@given(text=TEXTS.filter(bool), extra=st.integers(0, 12), seed=st.integers(0, 1000))
def test_it_is_as_probable_as_that_of_torchaudio(text: list[int], extra: int, seed: int) -> None:
    log_probs = random_log_probs(least_frames(text) + extra, 4, seed)
    path, scores = torchaudio.functional.forced_align(torch.from_numpy(log_probs)[None], torch.tensor([text]))
    aligned = align(log_probs, text)
    assert score_of(aligned, log_probs) == pytest.approx(scores.sum().item(), abs=1e-3)
    assert spell(tuple(path[0].tolist())) == [token.token for token in aligned]


@given(text=TEXTS, extra=st.integers(0, 12), seed=st.integers(0, 1000))
def test_tokens_follow_each_other_within_the_recording(text: list[int], extra: int, seed: int) -> None:
    log_probs = random_log_probs(time := least_frames(text) + extra, 4, seed)
    at = 0
    for token, expected in zip(aligned := align(log_probs, text), text, strict=True):
        assert token.token == expected and at <= token.start < token.end <= time
        assert token.log_prob == pytest.approx(float(log_probs[token.start : token.end, expected].max()))
        at = token.end
    for one, other in pairwise(aligned):
        assert one.token != other.token or one.end < other.start  # a blank is between them


def test_a_long_text_is_aligned_too() -> None:
    text = [1, 2, 3] * 100
    log_probs = np.log(np.eye(4)[[token for one in text for token in (one, 0)]] * 0.97 + 0.01)
    assert [one.start for one in align(log_probs, text)] == [*range(0, 600, 2)]


def test_a_frame_in_which_nothing_is_possible_spoils_nothing() -> None:
    log_probs = random_log_probs(8, 3)
    log_probs[3], log_probs[5] = -np.inf, np.nan
    assert [token.token for token in align(log_probs, [1, 2, 2])] == [1, 2, 2]


@given(text=TEXTS.filter(bool), seed=st.integers(0, 100))
def test_a_text_that_is_too_long_is_refused(text: list[int], seed: int) -> None:
    assume(least_frames(text) > 1)
    time = least_frames(text) - 1
    with pytest.raises(InputError, match=f"cannot be said in {time} frames; {time + 1} frames or more would do"):
        align(random_log_probs(time, 4, seed), text)


@pytest.mark.parametrize("token", [-1, 0, 3])
def test_a_token_that_is_none_is_refused(token: int) -> None:
    with pytest.raises(InputError, match="tokens: from 0 to 2, without the blank 0"):
        align(random_log_probs(5, 3), [1, token])


def test_words_are_what_stands_between_spaces() -> None:
    said = [AlignedToken(*token) for token in [(1, 0, 1, 0.0), (5, 2, 3, -1.0), (6, 3, 5, -2.0), (1, 5, 6, 0.0)]]
    said += [AlignedToken(1, 7, 8, 0.0), AlignedToken(7, 9, 10, -0.5)]
    assert words(said, spaces={1}) == [Word((said[1], said[2]), 1), Word((said[5],))]
    first, second = words(said, spaces={1})
    assert (first.start, first.end, first.score) == (2, 5, pytest.approx(math.exp(-1.5)))
    assert (second.start, second.end, second.score) == (9, 10, pytest.approx(math.exp(-0.5)))
    assert words([], spaces={1}) == words(said[:1], spaces={1}) == []


def test_a_confidence_is_a_probability() -> None:
    assert confidence([]) == 1
    assert confidence([AlignedToken(1, 0, 1, 1e-7)]) == 1
    assert confidence([AlignedToken(1, 0, 1, -1e30), AlignedToken(2, 1, 2, 0.0)]) == 0
