"""The figures of texts are those of the public pipelines' answers, whichever way the data come."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from showtell.pipelines import pipeline
from showtell.scripts import evaluate
from showtell.scripts.classification_metrics import score_labels

TREES = "(4 (2 a) (3 good))\n(2 (2 a) (2 film))\n(0 (1 not) (3 good))\n(1 (1 bad) (2 film))\n"
SENTIMENTS = {"a good": "positive", "a film": "neutral", "not good": "negative", "bad film": "negative"}
LABELS = ["negative", "neutral", "positive"]

ADA, LONDON = {"start": 0, "end": 3, "type": "PER"}, {"start": 14, "end": 20, "type": "LOC"}
MARKED = [{"text": "Ada lived in  London.", "entities": [ADA, LONDON]}, {"text": "Ada wrote.", "entities": [ADA]}]
COLUMNS = "Ada I-PER\nlived O\nin O\nLondon I-LOC\n. O\n\nAda I-PER\nwrote O\n. O\n"


def figures(*arguments: object) -> dict[str, Any]:
    result = CliRunner().invoke(evaluate.app, list(map(str, arguments)), catch_exceptions=False)
    return json.loads(result.stdout)


@pytest.fixture
def trees(tmp_path: Path) -> Path:
    file = tmp_path / "dev.txt"
    file.write_text(TREES)
    return file


@pytest.fixture
def probabilities(tiny_classifier: Path) -> np.ndarray:
    """What the classifier answers to each of the texts."""
    answers = pipeline("text-classification", tiny_classifier)(list(SENTIMENTS), top_k=None)
    scores = [{one["label"]: one["score"] for one in answer} for answer in answers]
    return np.array([[score[label] for label in LABELS] for score in scores])


def test_the_treebanks_degrees_are_three_labels(trees: Path, tiny_classifier: Path, probabilities: np.ndarray) -> None:
    found = figures("text-classification", trees, "--model", tiny_classifier)
    expected = score_labels(probabilities, list(SENTIMENTS.values()), LABELS)
    assert found["accuracy"] == pytest.approx(expected["accuracy"], abs=1e-4)
    assert found["calibration_error"] == pytest.approx(expected["calibration_error"], abs=1e-4)
    assert found["confusion"] == expected["confusion"]
    assert found["texts"] == 4
    assert found["texts_per_second"] > 0


def test_among_some_labels_one_of_these_is_answered(
    trees: Path, tiny_classifier: Path, probabilities: np.ndarray
) -> None:
    found = figures(
        "text-classification", trees, "--model", tiny_classifier, "--among", "negative", "--among", "positive"
    )
    of_two = probabilities[[0, 2, 3]][:, [0, 2]]
    right = np.array([1, 0, 0])
    assert found["texts"] == 3
    assert found["accuracy"] == pytest.approx((of_two.argmax(axis=1) == right).mean(), abs=1e-4)
    assert found["f1"].keys() == {"negative", "positive"}


def test_a_limit_takes_the_first_texts(trees: Path, tiny_classifier: Path) -> None:
    assert figures("text-classification", trees, "--model", tiny_classifier, "--limit", 2)["texts"] == 2


class Tagger:
    """Finds London in each text as a place, and what stands first as a person or, in a short text, as a place."""

    def __call__(self, texts: Sequence[Any], *, words: bool, progress: bool) -> list[list[dict[str, Any]]]:
        return [self.find(" ".join(text) if words else text) for text in texts]

    def find(self, text: str) -> list[dict[str, Any]]:
        first = {"entity_group": "PER" if len(text) > 12 else "LOC", "start": 0, "end": 3}
        place = text.find("London")
        return [first, {"entity_group": "LOC", "start": place, "end": place + 6}] if place >= 0 else [first]


@pytest.fixture(params=["dev.jsonl", "dev.txt"])
def entities(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two texts with three entities, as running text and in columns, to be found by the tagger above."""
    monkeypatch.setattr(evaluate, "pipeline", lambda task, model: Tagger())
    file = tmp_path / request.param
    file.write_text("\n".join(map(json.dumps, MARKED)) if file.suffix == ".jsonl" else COLUMNS)
    return file


def test_entities_are_scored_in_running_text_and_in_columns_alike(entities: Path) -> None:
    found = figures("token-classification", entities)
    assert (found["found"], found["expected"], found["texts"]) == (3, 3, 2)
    assert found["precision"] == found["recall"] == pytest.approx(2 / 3, abs=1e-4)
    assert found["labels"]["PER"]["recall"] == 0.5
    assert found["labels"]["LOC"]["precision"] == 0.5


def test_only_the_labels_that_are_asked_for_count(entities: Path) -> None:
    found = figures("token-classification", entities, "--among", "PER")
    assert (found["found"], found["expected"]) == (1, 2)
    assert found["labels"].keys() == {"PER"}
    assert figures("token-classification", entities, "--limit", 1)["f1"] == 1
