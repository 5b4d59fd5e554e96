"""A long text is divided into passages between its sentences, and what is read in them counts by their words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from showtell.pipelines.media.passages import Reading, join_readings, split_passages
from showtell.pipelines.media.text import split_words, word_splitter

SPLITTER = word_splitter()


def passages_of(text: str, longest: int) -> list[str]:
    words = split_words(text, SPLITTER)
    return [" ".join(words.words[passage]) for passage in split_passages(words, longest=longest)]


@given(st.text("aA.!?, \n", max_size=60), st.integers(1, 7))
def test_passages_are_all_words_in_order_and_none_is_too_long(text: str, longest: int) -> None:
    words = split_words(text, SPLITTER)
    passages = split_passages(words, longest=longest)
    assert [word for passage in passages for word in words.words[passage]] == words.words
    assert all(passage.stop - passage.start <= longest for passage in passages)
    assert len(passages) == 1 or all(passage.stop > passage.start for passage in passages)


def test_a_text_is_divided_between_sentences_and_only_if_it_is_too_long() -> None:
    text = "It is slow. It is long. It is worth it. Go!"
    assert passages_of(text, longest=15) == ["It is slow . It is long . It is worth it . Go !"]
    assert passages_of(text, longest=14) == ["It is slow . It is long . It is worth it .", "Go !"]
    assert passages_of(text, longest=9) == ["It is slow . It is long .", "It is worth it . Go !"]
    assert passages_of(text, longest=5) == ["It is slow .", "It is long .", "It is worth it .", "Go !"]


def test_a_sentence_that_is_too_long_is_divided_too() -> None:
    assert passages_of("a b c d, e f g h i j. K.", longest=6) == ["a b c d ,", "e f g h i j", ". K ."]


def test_what_is_read_counts_by_its_words() -> None:
    sure = Reading(np.log([0.9, 0.1]), np.array([0.5, 0.25, 0.25]))
    unsure = Reading(np.log([0.4, 0.6]), np.array([1.0]))
    whole = join_readings([sure, unsure])
    products = np.array([0.9**0.75 * 0.4**0.25, 0.1**0.75 * 0.6**0.25])
    np.testing.assert_allclose(np.exp(whole.log_probs), products / products.sum())
    np.testing.assert_allclose(whole.attention, [0.375, 0.1875, 0.1875, 0.25])


def test_one_passage_is_the_whole_text() -> None:
    reading = Reading(np.log([0.9, 0.1]), np.array([0.5, 0.5]))
    whole = join_readings([reading])
    assert whole.log_probs == pytest.approx(reading.log_probs)
    assert whole.attention == pytest.approx(reading.attention)
