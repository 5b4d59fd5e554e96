from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

from showtell.errors import InputError
from showtell.scripts.metrics import CiderD, bleu, longest_common_subsequence, rouge_l, score_captions

# Few words, so that captions share n-grams and repeat them.
WORDS = st.sampled_from(["a", "dog", "'s", "runs", "black-and-white", "2"])
CANDIDATE = st.lists(WORDS, max_size=9).map(" ".join)
REFERENCES = st.lists(st.lists(WORDS, min_size=1, max_size=9).map(" ".join), min_size=1, max_size=4)
CORPUS = st.lists(st.tuples(CANDIDATE, REFERENCES), min_size=1, max_size=6)


def coco_scores(candidates: list[str], references: list[list[str]]) -> dict[str, float]:
    """The COCO evaluation's own figures."""
    truth = dict(enumerate(references))
    answers = {index: [candidate] for index, candidate in enumerate(candidates)}
    bleus = Bleu(4).compute_score(truth, answers, verbose=0)[0]
    return {
        **{f"bleu_{n}": score for n, score in enumerate(bleus, start=1)},
        "rouge_l": float(Rouge().compute_score(truth, answers)[0]),
        "cider": float(Cider().compute_score(truth, answers)[0]),
    }


@given(CORPUS)
def test_scores_are_those_of_the_coco_evaluation(corpus):
    candidates, references = [pair[0] for pair in corpus], [pair[1] for pair in corpus]
    scores = score_captions(candidates, references)
    for name, expected in coco_scores(candidates, references).items():
        assert scores[name] == pytest.approx(expected, rel=1e-9, abs=1e-9), name


@given(CORPUS)
def test_a_reward_is_the_coco_evaluations_cider_of_each_photograph(corpus):
    candidates, references = [pair[0] for pair in corpus], [pair[1] for pair in corpus]
    answers = {index: [candidate] for index, candidate in enumerate(candidates)}
    expected = Cider().compute_score(dict(enumerate(references)), answers)[1]
    cider = CiderD([[caption.split() for caption in captions] for captions in references])
    rewards = [cider.score(candidate.split(), index) for index, candidate in enumerate(candidates)]
    assert rewards == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_token_numbers_score_as_words_do():
    captions = [[["a", "dog", "runs"], ["a", "dog"]], [["two", "cats", "sleep"]]]
    numbers = {word: number for number, word in enumerate(["a", "dog", "runs", "two", "cats", "sleep"])}
    by_word = CiderD(captions)
    by_number = CiderD([[[numbers[word] for word in words] for words in some] for some in captions])
    assert by_number.score([0, 1, 2], 0) == by_word.score(["a", "dog", "runs"], 0) > 0


def test_captions_equal_to_their_references_score_best():
    captions = ["a dog runs on green grass", "two cats sleep under the table", "a man rides his red bicycle"]
    scores = score_captions(captions, [[caption] for caption in captions])
    assert scores["bleu_4"] == pytest.approx(1)
    assert scores["rouge_l"] == pytest.approx(1)
    assert scores["cider"] == pytest.approx(10)
    assert scores["distinct"] == 1
    assert scores["mean_length"] == 6


def test_case_and_punctuation_do_not_count():
    references = [["a man 's dog is n't here"], ["two cats"]]
    assert score_captions(["A man\u2019s dog isn\u2019t here.", "Two cats!"], references)["bleu_4"] == pytest.approx(1)


def test_bleu_counts_a_repeated_word_as_often_as_a_reference_has_it():
    # As in the paper: "the the the the the the the", where no reference has more than two.
    references = [
        ["the", "cat", "is", "on", "the", "mat", "now"],
        ["there", "is", "a", "cat", "on", "the", "mat"],
    ]
    assert bleu([["the"] * 7], [references])[0] == pytest.approx(2 / 7)


def test_bleu_takes_the_shorter_of_two_references_equally_close():
    assert bleu([["a", "b", "c"]], [[["a"] * 5, ["a", "b"]]])[0] == pytest.approx(2 / 3)


def test_bleu_makes_short_captions_pay():
    assert bleu([["a", "b"]], [[["a", "b", "c", "d"]]])[1] == pytest.approx(math.exp(1 - 4 / 2))


def test_rouge_l_weighs_recall_over_precision():
    # Three of four words in order, of five in the reference: P = 3/4, R = 3/5, beta^2 = 1.44.
    score = rouge_l(["a", "dog", "runs", "away"], [["a", "black", "dog", "runs", "fast"]])
    assert score == pytest.approx(2.44 * 0.75 * 0.6 / (0.6 + 1.44 * 0.75))


def test_the_longest_common_subsequence_may_have_gaps():
    assert longest_common_subsequence("ABCBDAB", "BDCABA") == 4


def test_words_that_every_photograph_has_earn_no_cider():
    cider = CiderD([[["a", "dog"]], [["a", "cat"]]])
    assert cider.score(["a"], 0) == 0
    assert cider.score(["dog"], 0) > 0


def test_an_empty_candidate_scores_nothing_and_harms_nobody():
    scores = score_captions(["", ""], [["a dog runs"], ["two cats"]])
    assert scores == {
        **dict.fromkeys(["bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "cider"], 0),
        "distinct": 0.5,
        "mean_length": 0,
    }


def test_distinct_is_the_share_of_different_captions():
    assert score_captions(["A dog.", "a dog", "a cat", "a cow"], [["a"]] * 4)["distinct"] == 0.75


@pytest.mark.parametrize(
    ("candidates", "references"),
    [([], []), (["a dog"], []), (["a dog"], [["a dog"], ["a cat"]]), (["a dog"], [[]])],
)
def test_candidates_without_references_are_an_input_error(candidates, references):
    with pytest.raises(InputError):
        score_captions(candidates, references)
