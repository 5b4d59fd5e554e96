from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from showtell.errors import InputError
from showtell.scripts.classification_metrics import calibration_error, restrict, score_labels

SKLEARN: Any = metrics  # its own types do not allow what its pages tell of
LABELS = ["negative", "neutral", "positive"]


def test_a_small_example_scores_as_counted_by_hand() -> None:
    probabilities = np.array([[0.8, 0.1, 0.1], [0.5, 0.4, 0.1], [0.2, 0.2, 0.6], [0.1, 0.0, 0.9]])
    scores = score_labels(probabilities, ["negative", "neutral", "positive", "negative"], LABELS)
    assert scores["accuracy"] == 0.5
    # negative: 1 found of 2 answered and 2 that are; neutral: none; positive: 1 of 2 answered and 1 that is.
    assert scores["f1"] == pytest.approx({"negative": 1 / 2, "neutral": 0, "positive": 2 / 3})
    assert scores["macro_f1"] == pytest.approx(7 / 18)
    assert scores["confusion"] == {
        "negative": {"negative": 1, "neutral": 0, "positive": 1},
        "neutral": {"negative": 1, "neutral": 0, "positive": 0},
        "positive": {"negative": 0, "neutral": 0, "positive": 1},
    }


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=30))
def test_accuracy_f1_and_confusion_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    right, answered = ([LABELS[place] for place in places] for places in zip(*pairs, strict=True))
    scores = score_labels(np.eye(3)[[pair[1] for pair in pairs]], right, LABELS)
    assert scores["accuracy"] == pytest.approx(SKLEARN.accuracy_score(right, answered))
    expected = SKLEARN.f1_score(right, answered, labels=LABELS, average=None, zero_division=0)
    assert [*scores["f1"].values()] == pytest.approx([*expected])
    occurring = [label for label in LABELS if label in right]
    macro = SKLEARN.f1_score(right, answered, labels=occurring, average="macro", zero_division=0)
    assert scores["macro_f1"] == pytest.approx(macro)
    counts = [[*row.values()] for row in scores["confusion"].values()]
    assert counts == SKLEARN.confusion_matrix(right, answered, labels=LABELS).tolist()


def test_calibration_is_the_gap_between_scores_and_what_comes_true() -> None:
    # Of four that are 0.75 sure three are right; two that are wholly sure are wrong.
    scores, right = np.array([0.75] * 4 + [1.0] * 2), np.array([True, True, True, False, False, False])
    assert calibration_error(scores, right) == pytest.approx(2 / 6)
    assert calibration_error(scores[:4], right[:4]) == 0
    # In one bin a gap above and one below cancel each other; in two they do not.
    scores, right = np.array([0.8, 0.6]), np.array([False, True])
    assert calibration_error(scores, right, bins=1) == pytest.approx(0.2)
    assert calibration_error(scores, right, bins=10) == pytest.approx(0.6)


def test_probabilities_are_restricted_to_some_labels() -> None:
    probabilities = np.array([[0.2, 0.5, 0.3], [0.0, 1.0, 0.0]])
    found = restrict(probabilities, LABELS, ["positive", "negative"])
    np.testing.assert_allclose(found, [[0.6, 0.4], [0.5, 0.5]])


@pytest.mark.parametrize(
    ("shape", "truth", "message"),
    [((0, 3), [], "one text at least"), ((2, 3), ["neutral"], "texts, labels"), ((1, 3), ["mixed"], "'mixed' is none")],
)
def test_what_does_not_fit_is_an_input_error(shape: tuple[int, int], truth: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        score_labels(np.ones(shape), truth, LABELS)
