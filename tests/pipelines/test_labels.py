"""Labels come best first with their probabilities, as many as are asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from showtell import InputError
from showtell.pipelines.labels import check_top_k, top_labels

LOG_PROBS = np.log(np.array([0.2, 0.7, 0.1], np.float32))
LABELS = ("fight", "dance", "walk")


@pytest.mark.parametrize("top_k", [None, 3, 100])
def test_every_label_comes_best_first(top_k: int | None) -> None:
    answer = top_labels(LOG_PROBS, LABELS, top_k)
    assert [one["label"] for one in answer] == ["dance", "fight", "walk"]
    assert [one["score"] for one in answer] == pytest.approx([0.7, 0.2, 0.1])
    assert all(type(one["score"]) is float for one in answer)


def test_only_the_best_come_where_fewer_are_asked_for() -> None:
    assert [one["label"] for one in top_labels(LOG_PROBS, LABELS, 2)] == ["dance", "fight"]


def test_equal_labels_keep_the_models_order() -> None:
    assert [one["label"] for one in top_labels(np.log(np.full(3, 1 / 3)), LABELS, None)] == list(LABELS)


@pytest.mark.parametrize("top_k", [0, -1, 1.5, "all"])
def test_what_is_no_number_of_labels_is_refused(top_k: Any) -> None:
    with pytest.raises(InputError, match="top_k"):
        check_top_k(top_k)
