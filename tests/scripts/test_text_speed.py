"""The benchmark of texts runs all contenders on texts of the same length, and tells how they compare."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from transformers import (
    BertConfig,
    BertForTokenClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
)
from typer.testing import CliRunner

from showtell.pipelines import pipeline
from showtell.pipelines.media.text import split_words, word_splitter
from showtell.scripts import benchmark
from showtell.scripts.baselines import TextTransformer
from showtell.scripts.stories import STORIES, stories
from showtell.scripts.text_speed import graph_alone, rates_in_words, read_texts, through_transformer

SMALL_DISTILBERT = DistilBertConfig(dim=8, n_layers=1, n_heads=2, hidden_dim=8, vocab_size=50)
SMALL_BERT = BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, vocab_size=50)


def test_it_prints_a_table_of_contenders(tiny_classifier: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "DistilBertConfig", lambda: SMALL_DISTILBERT)
    arguments = ["text-classification", "--model", str(tiny_classifier), "--rounds", "1", "--seconds", "0"]
    printed = CliRunner().invoke(benchmark.app, arguments, catch_exceptions=False).stdout
    rows = [line for line in printed.splitlines() if line.startswith("| ")]
    for name in ("texts of 25", "showtell, texts to answers", "DistilBERT", "graph alone"):
        assert sum(name in row for row in rows) == 1, name
    assert "times as fast as DistilBERT" in printed
    assert "first answer" in printed
    assert "tokenizers" in printed


def test_what_follows_from_the_rates() -> None:
    told = rates_in_words({"pipeline": 600.0, "graph": 800.0, "baseline": 5.0}, 250.0, "BERT-base")
    assert "| showtell, texts to answers | 600.0 | 150,000 |" in told
    assert "| BERT-base, tokens to answers | 5.0 | 1,250 |" in told
    assert "keeps 0.75 of its graph's rate, and is 120 times as fast as BERT-base." in told
    assert "BERT" not in rates_in_words({"pipeline": 600.0, "graph": 800.0}, 250.0, "")


def test_the_graph_alone_gets_what_the_pipeline_gives_it(tiny_classifier: Path) -> None:
    pipe = pipeline("text-classification", tiny_classifier, threads=1)
    graph, called = pipe.graphs["answer"], []

    class Counting:
        inputs, outputs = graph.inputs, graph.outputs

        def __call__(self, **arrays: np.ndarray) -> dict[str, np.ndarray]:
            called.append((arrays["places"] > 0).sum())
            return graph(**arrays)

    counting = Counting()
    pipe.graphs = {"answer": counting}
    contender = graph_alone(pipe, stories(1))
    assert pipe.graphs == {"answer": counting}
    words = sum(len(split_words(text, word_splitter()).words) for text in stories(1))
    assert sum(called) == words
    contender.answer(2 * contender.unit)
    assert sum(called) == 3 * words


def test_the_baselines_read_a_token_a_word_and_two_more() -> None:
    labels_of_texts = TextTransformer("DistilBERT", DistilBertForSequenceClassification(SMALL_DISTILBERT))
    labels_of_words = TextTransformer("BERT-base", BertForTokenClassification(SMALL_BERT))
    assert labels_of_texts.answer(3, 7).shape == (3, 2)
    assert labels_of_words.answer(3, 7).shape == (3, 9, 2)


def test_the_baseline_answers_in_batches_of_texts_of_one_length(monkeypatch: pytest.MonkeyPatch) -> None:
    baseline, asked = TextTransformer("BERT-base", BertForTokenClassification(SMALL_BERT)), []
    monkeypatch.setattr(baseline, "answer", lambda texts, words: asked.append((texts, words)))
    contender = through_transformer(baseline, 7)
    contender.answer(3 * contender.unit)
    assert asked == [(contender.unit, 7)] * 3


def test_stories_follow_each_other() -> None:
    assert len(stories(2)) == len(set(stories(2))) == len(STORIES)
    assert stories(2)[0] == "\n\n".join(stories(1)[:2])
    assert stories(2)[-1] == "\n\n".join([stories(1)[-1], stories(1)[0]])


def test_texts_are_read_from_lines_and_from_json_lines(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("One.\n\nTwo.\n")
    (tmp_path / "a.jsonl").write_text('{"text": "One."}\n{"text": "Two.", "label": "1"}\n')
    assert read_texts(tmp_path / "a.txt") == read_texts(tmp_path / "a.jsonl") == ["One.", "Two."]
