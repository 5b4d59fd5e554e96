"""Texts to labels: the same in every batch and both runtimes, read whole whatever their length, refused by name."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any, assert_type

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from showtell import InputError, ModelError, pipeline
from showtell.bundle import Bundle
from showtell.pipelines.answers import TextLabel
from showtell.pipelines.media.passages import LONGEST_PASSAGE
from showtell.pipelines.runtime import Runtime
from showtell.pipelines.text_classification import Options, TextClassification

LABELS = {"negative", "neutral", "positive"}
SENTENCE = "It is not a good film, is it. "  # ten words
TEXTS = [
    "It is good.",
    "a",
    "The last word is n't a bad word!",
    50 * SENTENCE + "Bad.",
    "NOT the last...",
    "bad bad bad",
    120 * SENTENCE,
    "good",
]
EVERYTHING: dict[str, Any] = {"top_k": None, "return_attention": True}


def assert_same(answers: Any, expected: Any) -> None:
    """The same labels in the same order, and scores and weights to 1e-4."""
    for answer, wanted in zip(answers, expected, strict=True):
        assert [one["label"] for one in answer] == [one["label"] for one in wanted]
        assert [one["score"] for one in answer] == pytest.approx([one["score"] for one in wanted], abs=1e-4)
        for one, other in zip(answer, wanted, strict=True):
            assert ("attention" in one) == ("attention" in other)
            assert weights_of(one) == pytest.approx(weights_of(other), abs=1e-4)


def weights_of(label: TextLabel) -> list[float]:
    return [word["weight"] for word in label.get("attention", [])]


def scores_of(answer: list[TextLabel]) -> dict[str, float]:
    return {one["label"]: one["score"] for one in answer}


@pytest.fixture(scope="module")
def classify(tiny_classifier: Path) -> TextClassification:
    return pipeline("text-classification", tiny_classifier, threads=1)


@pytest.fixture(scope="module")
def alone(classify: TextClassification) -> list[Any]:
    """The answer for each text by itself."""
    return [classify(text, **EVERYTHING) for text in TEXTS]


@pytest.mark.parametrize("batch_size", [None, 1, 2, 3, 7, 8])
def test_batched_equals_single(classify: TextClassification, alone: list[Any], batch_size: int | None) -> None:
    assert len(TEXTS) % 7 == 1  # a last batch of one
    assert_same(classify(TEXTS, batch_size=batch_size, **EVERYTHING), alone)


def test_torch_equals_onnx(tiny_classifier: Path, alone: list[Any]) -> None:
    by_torch = pipeline("sentiment-analysis", tiny_classifier, runtime="torch")
    assert_same(by_torch(TEXTS, **EVERYTHING), alone)


def test_texts_get_different_answers(alone: list[Any]) -> None:
    assert len({round(answer[0]["score"], 4) for answer in alone}) == len(TEXTS)


def test_every_way_to_hand_in_texts_gives_the_same(classify: TextClassification) -> None:
    import pandas

    texts = TEXTS[:3]
    expected = [classify(text) for text in texts]
    several: list[Any] = [texts, tuple(texts), iter(texts), np.array(texts), pandas.Series(texts)]
    for many in several:
        assert_same(classify(many), expected)
    assert classify(np.str_(texts[0])) == expected[0]
    assert classify([]) == []
    assert list(classify(iter([]))) == []


# Options.


def test_a_type_checker_knows_the_answers(classify: TextClassification) -> None:
    assert_type(classify("good"), list[TextLabel])
    assert_type(classify(["good"], top_k=2), list[list[TextLabel]])
    assert_type(classify(iter(["good"])), Iterator[list[TextLabel]])
    call = inspect.signature(TextClassification.__call__).parameters.values()
    assert [p.name for p in call if p.kind is p.KEYWORD_ONLY] == list(Options.__annotations__)


def test_the_best_label_comes_unless_more_are_asked_for(classify: TextClassification) -> None:
    every = classify("good", top_k=None)
    assert {one["label"] for one in every} == LABELS
    assert sum(one["score"] for one in every) == pytest.approx(1)
    scores = [one["score"] for one in every]
    assert scores == sorted(scores, reverse=True)
    assert classify("good") == every[:1]
    assert classify("good", top_k=2) == every[:2]
    assert classify("good", top_k=9) == every


@pytest.mark.parametrize("option", [{"top_k": 0}, {"top_k": "all"}, {"batch_size": 0}, {"on_error": "ignore"}])
def test_an_option_that_cannot_be_is_an_input_error(classify: TextClassification, option: dict[str, Any]) -> None:
    options: dict[str, Any] = {"on_error": "return"} | option
    for texts in ("good", ["good"]):
        with pytest.raises(InputError, match=next(iter(option))):
            classify(texts, **options)


def test_an_unknown_option_is_python_s_own_type_error(classify: TextClassification) -> None:
    with pytest.raises(TypeError, match="topk"):
        classify("good", topk=2)  # pyright: ignore[reportCallIssue]


# Texts of any kind and any length.

AWKWARD = [
    "\ufeff", "\0", "\u200b", "\u3000", "\ud800", "\udfff", "e\u0301", "\u05e9\u05dc", "\U0001f468\u200d\U0001f469",
    "\u202e", "\uff27", "<pad>", "n't", "not ", "\r\n",
]  # fmt: skip


@settings(max_examples=50)
@given(text=st.lists(st.sampled_from(AWKWARD) | st.characters(), max_size=20).map("".join))
def test_any_text_is_answered_or_refused_by_name(classify: TextClassification, text: str) -> None:
    answer: Any = classify(text, on_error="return", **EVERYTHING)
    if isinstance(answer, InputError):
        assert "no word" in str(answer)
        return
    assert sum(one["score"] for one in answer) == pytest.approx(1)
    words = answer[0]["attention"]
    assert all(one["attention"] == words for one in answer)
    assert all(text[word["start"] : word["end"]] == word["word"] for word in words)
    assert sum(word["weight"] for word in words) == pytest.approx(1, abs=1e-4)
    assert not {word["word"] for word in words} & {"\ufeff", "\0", "\u200b", "\u202e"}


@pytest.mark.parametrize(
    "text", ["10" * 5000, "\U0001f600", "\u05e9\u05dc\u05d5\u05dd", "!!!", "a\0", "\ud83d", "\uff27"]
)
def test_what_has_a_word_is_answered(classify: TextClassification, text: str) -> None:
    assert scores_of(classify(text, top_k=None)).keys() == LABELS


def test_a_long_text_is_answered_as_the_mean_of_its_passages(classify: TextClassification) -> None:
    # Forty sentences of ten words fill a passage; the third has what is left.
    passages = [40 * SENTENCE, 40 * SENTENCE, 12 * SENTENCE + "The last word is bad."]
    words = np.array([LONGEST_PASSAGE, LONGEST_PASSAGE, 126])
    [whole] = classify("".join(passages), return_attention=True)
    parts = [scores_of(classify(passage, top_k=None)) for passage in passages]
    means = {label: np.exp(np.average(np.log([part[label] for part in parts]), weights=words)) for label in LABELS}
    expected = {label: mean / sum(means.values()) for label, mean in means.items()}
    assert scores_of(classify("".join(passages), top_k=None)) == pytest.approx(expected, abs=1e-4)
    weights = [weights_of(classify(passage, return_attention=True)[0]) for passage in passages]
    shared = np.concatenate([np.multiply(each, len(each) / words.sum()) for each in weights])
    assert weights_of(whole) == pytest.approx(shared, abs=1e-4)


def test_of_a_text_of_600_000_characters_the_last_sentence_counts_too(classify: TextClassification) -> None:
    long, last = 20_000 * SENTENCE, "The last word is bad."
    assert len(long) == 600_000
    usual, ending = scores_of(classify(40 * SENTENCE, top_k=None)), scores_of(classify(last, top_k=None))
    found = scores_of(classify(long + last, top_k=None))
    # Six words among 200,006 count for little, but for just so much.
    for label in ("negative", "neutral"):
        moved = np.log(found[label] / found["positive"]) - np.log(usual[label] / usual["positive"])
        towards = np.log(ending[label] / ending["positive"]) - np.log(usual[label] / usual["positive"])
        assert moved == pytest.approx(towards * 6 / 200_006, rel=0.01)


def test_no_more_words_go_through_the_model_at_once_than_a_batch_may_have(
    tiny_classifier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classify = pipeline("text-classification", tiny_classifier, threads=1)
    read = []
    graph = classify.graphs["answer"]
    monkeypatch.setattr(
        classify, "graphs", {"answer": lambda **arrays: read.append(arrays["places"].shape) or graph(**arrays)}
    )
    classify([2000 * SENTENCE, *TEXTS])
    assert len(read) > 10
    assert all(rows * words <= classify.batch_cost for rows, words in read)


def test_a_text_that_waits_for_its_turn_takes_little_memory(classify: TextClassification) -> None:
    text = 1000 * SENTENCE
    tracemalloc.start()
    try:
        read = classify.read(text)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert classify.cost(read) == 10_000
    assert held < 8 * len(text)  # as strings they take sixty times its length


# Bad input.

REFUSED = [
    ("", "no word"),
    (" \t\n\u3000", "no word"),
    ("\ufeff\u200b\0", "no word"),
    (None, "None: this is not a text"),
    (5, "the int given"),
    (float("nan"), "the float given"),
    (b"good", "the bytes given"),
    ({"text": "good"}, "the dict given"),
]


@pytest.mark.parametrize(("source", "message"), REFUSED)
def test_what_is_no_text_is_one_typed_error(classify: TextClassification, source: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        classify(source)
    answers = classify(["good", source, "bad"], on_error="return")
    assert isinstance(answers[1], InputError)
    assert str(answers[1]).endswith("would be accepted.")
    assert_same([answers[0], answers[2]], [classify("good"), classify("bad")])


def test_a_list_within_a_list_is_no_text(classify: TextClassification) -> None:
    [answer] = classify([["good"]], on_error="return")
    assert isinstance(answer, InputError)
    assert "the list given" in str(answer)


def test_a_model_that_does_not_say_what_it_reads_is_refused(tiny_classifier: Path) -> None:
    bundle = Bundle.open(tiny_classifier)
    for half in ("encoder", "decoder"):
        with pytest.raises(ModelError, match=r"config\.json: it does not say"):
            TextClassification(Bundle(bundle.folder, bundle.config | {half: {}}), Runtime(threads=1))


# Processes.

COLD_START = """
import sys
from showtell import pipeline
[answer] = pipeline("text-classification", sys.argv[1])("It is good.")
heavy = {"torch", "torchvision", "torchaudio", "timm", "transformers", "pandas", "scipy", "onnx", "datasets", "rich"}
print(answer["label"], heavy & set(sys.modules))
"""


def test_a_fresh_process_answers_without_torch(tiny_classifier: Path, classify: TextClassification) -> None:
    command = [sys.executable, "-c", COLD_START, str(tiny_classifier)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.stdout.strip(), done.stderr) == (f"{classify('It is good.')[0]['label']} set()", "")


def test_a_pipeline_pickles_by_what_it_was_made_from(classify: TextClassification) -> None:
    again = pickle.loads(pickle.dumps(classify))
    assert again("good") == classify("good")
