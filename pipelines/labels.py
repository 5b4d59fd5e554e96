"""Labels: from a classifier's probabilities to an answer, the same for every task that answers with labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from showtell.errors import InputError
from showtell.pipelines.answers import Label


def check_top_k(top_k: int | None) -> None:
    """Refuse, with an `InputError`, what is no number of labels; None stands for all of them."""
    if top_k is not None and (not isinstance(top_k, int) or top_k < 1):
        raise InputError(f"top_k={top_k!r}: a whole number from 1 up, or None for every label, would do.")


def top_labels(log_probs: np.ndarray, labels: Sequence[str], top_k: int | None) -> list[Label]:
    """The likeliest labels of one input with their probabilities, best first.

    log_probs: `(labels,)`. top_k: so many, at most all; None is all of them.
    """
    best = sorted(range(len(labels)), key=log_probs.__getitem__, reverse=True)[:top_k]
    return [Label(label=labels[place], score=float(np.exp(log_probs[place]))) for place in best]
