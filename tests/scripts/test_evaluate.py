"""The evaluation prints what the metrics say of the public pipeline's captions, and how far scores can be trusted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from typer.testing import CliRunner

from showtell.pipelines import pipeline
from showtell.pipelines.answers import Caption
from showtell.scripts.caption_scores import by_decile, rank_correlation
from showtell.scripts.evaluate import app
from showtell.scripts.metrics import score_captions

SAMPLES = Path(__file__).parents[2] / "pipelines" / "samples"
WRITTEN = {
    "cat.jpg": ["A cat looks up.", "The face of a brown cat."],
    "coffee.jpg": ["A cup of coffee with a spoon on a table."],
    "rocket.jpg": ["A rocket stands on its launch pad.", "A rocket at night."],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three of the bundled samples with captions."""
    folder = tmp_path_factory.mktemp("captioned")
    lines = []
    for name, captions in WRITTEN.items():
        shutil.copy(SAMPLES / name, folder)
        lines.append(json.dumps({"file_name": name, "captions": captions}))
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    return folder


def evaluate(*arguments: object) -> dict:
    result = CliRunner().invoke(app, ["image-to-text", *map(str, arguments)], catch_exceptions=False)
    return json.loads(result.stdout)


def test_the_figures_are_those_of_the_pipelines_captions(folder: Path, tiny: Path):
    figures = evaluate(folder, "--model", tiny, "--num-beams", 3, "--max-length", 4)
    answers = pipeline("image-to-text", tiny)([folder / name for name in WRITTEN], num_beams=3, max_length=4)
    expected = score_captions([answer[0]["generated_text"] for answer in answers], list(WRITTEN.values()))
    assert {name: figures[name] for name in expected} == pytest.approx(expected, abs=1e-4)
    assert figures["photographs"] == 3
    assert figures["photographs_per_second"] > 0


def test_a_limit_takes_the_first_photographs_and_deciles_are_added_when_asked_for(folder: Path, tiny: Path):
    figures = evaluate(folder, "--model", tiny, "--limit", 2, "--deciles")
    assert figures["photographs"] == 2
    assert len(figures["deciles"]) == 2
    assert figures["deciles"][0]["score"] <= figures["deciles"][1]["score"]


def test_deciles_go_from_the_lowest_scores_to_the_highest():
    texts = [f"animal number {number} sleeps soundly" for number in range(20)]
    # A caption's score is high where it is what a person wrote, low where it has nothing of that.
    captions = [
        Caption(generated_text=text if number % 2 else "nothing", score=(number % 2) / 2 + number / 100)
        for number, text in enumerate(texts)
    ]
    found = by_decile(captions, [[text] for text in texts])
    assert [decile["cider"] for decile in found["deciles"]] == pytest.approx([0] * 5 + [10] * 5, abs=1e-3)
    assert [decile["score"] for decile in found["deciles"]] == sorted(decile["score"] for decile in found["deciles"])
    assert found["rank_correlation"] == pytest.approx(0.8671, abs=1e-4)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=20))
def test_the_rank_correlation_is_spearmans(pairs):
    first, second = np.array(pairs, float).T
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        assert rank_correlation(first, second) is None
    else:
        expected, _ = spearmanr(first, second)
        assert rank_correlation(first, second) == pytest.approx(expected, abs=1e-4)
