"""How good a classifier is: accuracy, F1, confusion, and whether its probabilities are true."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from showtell.errors import InputError

CALIBRATION_BINS = 10


def score_labels(probabilities: np.ndarray, truth: Sequence[str], labels: Sequence[str]) -> dict[str, Any]:
    """Score the probabilities that a classifier gave to labels.

    probabilities: `(texts, labels)`. truth: the right label of each text. labels: in the order of the columns.

    Answers `accuracy`, `macro_f1` (the mean over the labels that occur in the truth), `f1` of each label,
    `calibration_error`, and `confusion`, which counts as `confusion[right][answered]`.
    Raises `InputError` where the arguments do not fit each other.
    """
    if not len(truth) or probabilities.shape != (len(truth), len(labels)):
        raise InputError(
            f"probabilities of {probabilities.shape} for {len(truth)} texts and {len(labels)} labels;"
            " (texts, labels), of one text at least, would do."
        )
    if unknown := set(truth) - set(labels):
        raise InputError(f"the right label {min(unknown)!r} is none of {list(labels)}; these alone would do.")
    right = np.array([labels.index(label) for label in truth])
    answered = probabilities.argmax(axis=1)
    counts = np.zeros((len(labels), len(labels)), int)
    np.add.at(counts, (right, answered), 1)
    f1 = f1_scores(counts)
    return {
        "accuracy": float((right == answered).mean()),
        "macro_f1": float(f1[counts.any(axis=1)].mean()),
        "f1": dict(zip(labels, f1.tolist(), strict=True)),
        "calibration_error": calibration_error(probabilities.max(axis=1), right == answered),
        "confusion": {
            label: dict(zip(labels, row.tolist(), strict=True)) for label, row in zip(labels, counts, strict=True)
        },
    }


def score_groups(right: Sequence[bool] | np.ndarray, groups: Sequence[str]) -> dict[str, float]:
    """The mean over groups of the share of right answers in each, such as over cameras, and its standard error."""
    shares = [np.asarray(right)[np.asarray(groups) == group].mean() for group in sorted(set(groups))]
    error = np.std(shares, ddof=1) / len(shares) ** 0.5 if len(shares) > 1 else 0.0
    return {"group_accuracy": float(np.mean(shares)), "group_standard_error": float(error)}


def restrict(probabilities: np.ndarray, labels: Sequence[str], to: Sequence[str]) -> np.ndarray:
    """The probabilities of some of the labels, given that it is one of them: `(texts, len(to))`.

    Where none of them has any probability, all of them have the same.
    """
    chosen = probabilities[:, [labels.index(label) for label in to]]
    total = chosen.sum(axis=1, keepdims=True)
    return np.divide(chosen, total, out=np.full_like(chosen, 1 / len(to)), where=total > 0)


def f1_scores(confusion: np.ndarray) -> np.ndarray:
    """Of each label, 2 tp / (2 tp + fp + fn), from `confusion[right, answered]`; 0 where it is nowhere."""
    hits, total = confusion.diagonal(), confusion.sum(axis=0) + confusion.sum(axis=1)
    return 2 * hits / np.maximum(total, 1)


def calibration_error(scores: np.ndarray, right: np.ndarray, *, bins: int = CALIBRATION_BINS) -> float:
    """Expected calibration error (Guo and others 2017): sum_b n_b / n |accuracy_b - mean score_b|.

    scores: of the labels answered, in `bins` equally wide ones. right: whether each was right.
    """
    place = np.minimum((scores * bins).astype(int), bins - 1)
    gaps = np.bincount(place, weights=right - scores, minlength=bins)
    return float(np.abs(gaps).sum() / len(scores))
