from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from showtell.scripts.datasets.pronunciations import PHONEMES, pronounce


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("the sea", ["ðə", "si"]),
        ("the end", ["ði", "ɛnd"]),
        ("water", ["wɔtəɹ"]),
        ("a boy may go now", ["ə", "bY", "mA", "ɡO", "nW"]),
        ("philip steels etc", ["fɪləp", "stilz", "ɛtsɛtəɹə"]),
    ],
)
def test_words_are_said_as_they_are_among_others(text: str, said: list[str]) -> None:
    assert pronounce(text) == said


def test_a_word_that_no_dictionary_has_is_said_as_it_is_spelled() -> None:
    assert pronounce("blorvick") == ["blɔɹvɪk"]


@given(st.lists(st.text("abcdefghijklmnopqrstuvwxyz'", min_size=1, max_size=8), min_size=1, max_size=6))
def test_each_word_is_said_in_phonemes(words: list[str]) -> None:
    said = pronounce(" ".join(words))
    assert len(said) == len(words)
    assert set("".join(said)) <= set(PHONEMES) - {" "}
