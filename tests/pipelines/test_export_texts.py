"""An exported classifier of texts answers as its README says, in plain ONNX Runtime, with nothing of showtell."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from tokenizers import Tokenizer

from showtell import pipeline
from showtell.pipelines.export import export_model

TEXTS = [
    "It's NOT a good film, Zo\u00eb!",
    "bad",
    "In 1994, R2D2 and McQueen were unimaginablyoverwhelmingly \u6771\u4eac.",
]


def casing_of(word: str) -> int:
    letters, digits = word.lower() != word.upper(), re.search(r"\d", word)
    kinds = [
        (digits and letters, 7),
        (digits, 6),
        (not letters, 1),
        (word.islower(), 2),
        (word.isupper(), 4),
        (word[0].isupper() and word[1:].islower(), 3),
    ]
    return next((kind for fits, kind in kinds if fits), 5)


def classify(folder: Path, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Classify texts by the exported files alone, step by step as the README has it."""
    config = json.loads((folder / "config.json").read_text())
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    longest = config["longest_word"]
    # 1. Words.
    split = [[word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)] for text in texts]
    short = [
        [w if len(w) <= longest else w[: longest - longest // 2] + w[-(longest // 2) :] for w in ws] for ws in split
    ]
    # 2. Distinct words.
    distinct = sorted({word for words in short for word in words})
    known = {character: number for number, character in enumerate(config["characters"], start=2)}
    arrays = {
        "words": np.zeros(len(distinct) + 1, np.int64),
        "casing": np.zeros(len(distinct) + 1, np.int64),
        "characters": np.zeros((len(distinct) + 1, longest), np.int64),
        "places": np.zeros((len(texts), max(map(len, short))), np.int64),
    }
    for place, word in enumerate(distinct, start=1):
        arrays["words"][place] = tokenizer.get_vocab().get(tokenizer.normalizer.normalize_str(word), 1)
        arrays["casing"][place] = casing_of(word)
        plain = [unicodedata.normalize("NFKD", character)[0] for character in word]
        numbers = [known.get(c, known.get(p, 1)) for c, p in zip(word, plain, strict=True)]
        arrays["characters"][place, : len(word)] = numbers
    # 3. Places.
    for row, words in enumerate(short):
        arrays["places"][row, : len(words)] = [1 + distinct.index(word) for word in words]
    # 4. Answer.
    log_probs, attention = onnxruntime.InferenceSession(folder / "answer.onnx").run(["log_probs", "attention"], arrays)
    return np.asarray(log_probs), np.asarray(attention)


def test_plain_onnx_runtime_answers_as_the_pipeline_does(tiny_classifier: Path, tmp_path: Path) -> None:
    export_model(tiny_classifier, tmp_path)
    labels = json.loads((tmp_path / "config.json").read_text())["labels"]
    answers = pipeline("text-classification", tiny_classifier)(TEXTS, top_k=None, return_attention=True)
    for answer, log_probs, attention in zip(answers, *classify(tmp_path, TEXTS), strict=True):
        scores = {one["label"]: one["score"] for one in answer}
        assert scores == pytest.approx(dict(zip(labels, np.exp(log_probs), strict=True)), abs=1e-5)
        weights = [word["weight"] for word in answer[0].get("attention", [])]
        assert weights == pytest.approx(attention[: len(weights)], abs=1e-5)
