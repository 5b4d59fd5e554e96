from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from showtell.errors import InputError
from showtell.pipelines.media.text import split_words
from showtell.pipelines.media.vocabulary import CASINGS, TextFeatures, casing_of, known_characters, word_tokenizer

WORDS = ["the", "london", "0000", '"', "'s", "n't", "café"]
FEATURES = TextFeatures(word_tokenizer(WORDS), characters="abcdefghiLlnotu'0", longest_word=8)


def number_of(word: str) -> int:
    return int(FEATURES([[word]])["words"][1])


@pytest.mark.parametrize(
    ("word", "known"),
    [
        ("The", "the"),
        ("LONDON", "london"),
        ("\uff2c\uff4f\uff4e\uff44\uff4f\uff4e", "london"),
        ("Lon\u00addon", "london"),
        ("1996", "0000"),
        ("١٩٩٦", "0000"),
        ("\u201c", '"'),
        ("``", '"'),
        ("\u2019s", "'s"),
        ("N\u2019T", "n't"),
        ("cafe\u0301", "café"),
    ],
)
def test_a_word_is_looked_up_without_its_case_digits_and_typography(word, known):
    assert number_of(word) == WORDS.index(known) + 2


@pytest.mark.parametrize("word", ["Paris", "<pad>", "<unk>", "", "\u200d", "\ud800", "londonlondon"])
def test_any_other_word_is_unknown_and_never_padding(word):
    assert number_of(word) == 1


def test_texts_become_padded_arrays_of_their_distinct_words():
    arrays = FEATURES([["the", "cat", "the"], [], ["cat"]])
    np.testing.assert_array_equal(arrays["places"], [[1, 2, 1], [0, 0, 0], [2, 0, 0]])
    np.testing.assert_array_equal(arrays["words"], [0, 2, 1])
    np.testing.assert_array_equal(arrays["casing"], [0, CASINGS.index("lower"), CASINGS.index("lower")])
    t, h, e, c, a = (FEATURES.config["characters"].index(letter) + 2 for letter in "theca")
    np.testing.assert_array_equal(arrays["characters"], [[0, 0, 0], [t, h, e], [c, a, t]])
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.int64)}


def test_no_words_at_all_are_arrays_of_padding():
    assert {name: array.tolist() for name, array in FEATURES([[]]).items()} == {
        "places": [[0]],
        "words": [0],
        "casing": [0],
        "characters": [[0]],
    }
    assert FEATURES([])["places"].shape == (0, 1)


def test_characters_keep_their_case_and_lose_an_accent_that_is_not_known():
    characters = FEATURES([["Lélz"]])["characters"][1]
    known = FEATURES.config["characters"]
    assert characters.tolist() == [known.index("L") + 2, known.index("e") + 2, known.index("l") + 2, 1]


def test_of_a_long_word_its_beginning_and_end_are_read():
    arrays = FEATURES([["abcd" + 10_000 * "x" + "efgh", "abcdefgh"]])
    np.testing.assert_array_equal(arrays["characters"][1], arrays["characters"][2])


@given(st.lists(st.lists(st.sampled_from(["The", "cat", "sat", "1", "", "é", "\ud800"]), max_size=6), max_size=5))
def test_a_batch_holds_what_each_text_holds_alone(texts):
    together = FEATURES(texts)
    for row, text in enumerate(texts):
        alone = FEATURES([text])
        for name in ("words", "casing"):
            expected = alone[name][alone["places"][0, : len(text)]]
            np.testing.assert_array_equal(together[name][together["places"][row, : len(text)]], expected)
        assert not together["places"][row, len(text) :].any()


def test_features_survive_the_tokenizer_being_saved():
    tokenizer = Tokenizer.from_str(word_tokenizer(WORDS).to_str())
    opened = TextFeatures(
        tokenizer, characters=FEATURES.config["characters"], longest_word=FEATURES.config["longest_word"]
    )
    words = split_words("The café's 1996 London \u201cguide\u201d.", tokenizer.pre_tokenizer).words
    assert opened.config == FEATURES.config
    assert (opened.config["words"], len(opened.config["characters"])) == (9, 17)
    for name, array in FEATURES([words]).items():
        np.testing.assert_array_equal(opened([words])[name], array)


def test_several_threads_get_the_same_arrays():
    texts = [[f"word{number}", "The"] for number in range(50)]
    expected = FEATURES(texts)
    with ThreadPoolExecutor(4) as pool:
        for arrays in pool.map(FEATURES, [texts] * 8):
            np.testing.assert_array_equal(arrays["characters"], expected["characters"])


@pytest.mark.parametrize(
    ("word", "casing"),
    [
        ("london", "lower"),
        ("London", "initial"),
        ("LONDON", "upper"),
        ("U.S.", "upper"),
        ("I", "upper"),
        ("McCoy", "mixed"),
        ("iPhone", "mixed"),
        ("1,000", "number"),
        ("1990s", "with digits"),
        ("...", "without letters"),
        ("東京", "without letters"),
        ("\uff2c\uff4f\uff4e\uff44\uff4f\uff4e", "initial"),
    ],
)
def test_casing_tells_how_a_word_is_written(word, casing):
    assert casing_of(word) == casing


def test_a_word_that_comes_twice_in_a_vocabulary_is_an_input_error():
    with pytest.raises(InputError, match="'the' comes twice"):
        word_tokenizer(["the", "a", "the"])


def test_rare_characters_are_not_known():
    assert known_characters({"aba": 2, "c": 1, "b": 3}, min_count=2) == "ba"
