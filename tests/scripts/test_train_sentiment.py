from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax

from showtell.composition import Model, compose, load
from showtell.decoders.classifier import Classifier
from showtell.encoders.text import TextEncoder
from showtell.errors import InputError
from showtell.pipelines.media.text import word_splitter
from showtell.pipelines.media.vocabulary import TextFeatures, word_tokenizer
from showtell.scripts.datasets.sentiment_tensors import LABELS, Texts, label_targets, read_part, split_texts
from showtell.scripts.train_sentiment import calibrate, calibration, main, read_all, score_sentiment

OPTIONS: dict[str, Any] = {
    "language_epochs": 1,
    "epochs": 9,
    "batch_size": 8,
    "hidden_size": 8,
    "dropout": 0.1,
    "learning_rate": 0.05,
}
VERDICTS = {"negative": ["bad", "dull"], "neutral": ["long", "blue"], "positive": ["good", "fine"]}


def lines(labels: list[str], subjects: list[str]) -> str:
    texts = [
        (f"The {subject} is {word}.", label) for label in labels for word in VERDICTS[label] for subject in subjects
    ]
    return "\n".join(json.dumps({"text": text, "label": label}) for text, label in texts)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two data sets, one of trees and sentences and one that is never neutral, and vectors."""
    for name, labels in (("films", [*VERDICTS]), ("books", ["negative", "positive"])):
        (tmp_path / name).mkdir()
        (tmp_path / name / "train.jsonl").write_text(lines(labels, ["film", "book", "plot", "cast"]))
        (tmp_path / name / "dev.jsonl").write_text(lines(labels, ["scene", "film"]))
    (tmp_path / "films" / "train.txt").write_text("(4 (2 Very) (4 good))\n(0 (2 Very) (0 bad))")
    words = ["the", "is", "good", "bad", "paris"]
    (tmp_path / "words.txt").write_text("\n".join(words))
    np.save(tmp_path / "vectors.npy", np.random.default_rng(0).normal(size=(len(words), 100)).astype(np.float32))
    return tmp_path


def train(folder: Path) -> None:
    main(
        [folder / "films", folder / "books"],
        folder / "model",
        folder / "vectors.npy",
        folder / "words.txt",
        folder / "runs",
        vocabulary=30,
        mixed_precision="no",  # not every processor has an LSTM in bf16
        **OPTIONS,
    )


def test_a_classifier_learns_from_several_data_sets_goes_on_and_is_saved(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(folder)
    model = load(folder / "model")
    assert model.tokenizer is not None
    assert model.task == "text-classification"
    assert model.decoder.config["labels"] == ["negative", "neutral", "positive"]
    assert {"paris", "film", "dull"} <= set(model.tokenizer.get_vocab())
    config = model.encoder.config
    features = TextFeatures(model.tokenizer, characters=config["characters"], longest_word=config["longest_word"])
    dev = {}
    for name in ("films", "books"):
        texts = read_part(folder / name, "dev")
        dev[name] = Texts(split_texts(texts, word_splitter()), label_targets(texts), features)
    perfect = ["films_polarity", "films_macro_f1", "books_polarity", "mean"]
    assert score_sentiment(model, dev) == dict.fromkeys(perfect, 1)

    stamps = {file: file.stat().st_mtime_ns for file in (folder / "runs").rglob("*.bin")}
    again: list[Any] = []
    monkeypatch.setattr(Model, "save", lambda self, folder, **_: again.append(self))  # exporting takes long
    train(folder)
    assert stamps and stamps == {file: file.stat().st_mtime_ns for file in (folder / "runs").rglob("*.bin")}
    halves = {name: value.half().float() for name, value in again[0].state_dict().items()}
    torch.testing.assert_close(halves, model.state_dict(), rtol=0, atol=0)


def test_a_folder_without_dev_is_an_input_error(folder: Path) -> None:
    (folder / "books" / "dev.jsonl").unlink()
    with pytest.raises(InputError, match="no 'dev' in it"):
        train(folder)


def test_calibration_takes_back_what_is_too_sure_and_lets_neutral_be_answered() -> None:
    # 0.9 sure, and right in four of five: logits of ln 9 should be ln 4.
    good, bad = np.log([0.1, 1e-9, 0.9]), np.log([0.9, 1e-9, 0.1])
    reviews = np.array([good, bad] * 50), np.array([2, 0, 2, 0, 2, 0, 2, 0, 0, 2] * 10)
    scale, shift = calibration(*([part] for part in reviews))
    assert scale == pytest.approx(np.log(4) / np.log(9), abs=0.05)
    assert shift == 0
    # What is neutral comes second, half as likely as what comes first; where it is not, a tenth.
    doubtful, clear = np.log([0.1, 0.3, 0.6]), np.log([0.02, 0.08, 0.9])
    sentences = np.array([doubtful, clear, clear[::-1]] * 20), np.array([1, 2, 0] * 20)
    scale, shift = calibration([reviews[0], sentences[0]], [reviews[1], sentences[1]])
    assert scale * np.log(2) < shift < scale * np.log(0.9 / 0.08)


def test_a_calibrated_model_says_what_the_calibration_promises() -> None:
    torch.manual_seed(0)
    features = TextFeatures(tokenizer := word_tokenizer(["film", "good", "bad"]), characters="abdfgilmo")
    encoder = TextEncoder(**features.config, word_size=8)
    decoder = Classifier(memory_width=encoder.width, labels=LABELS, hidden_size=8)
    model = compose(encoder=encoder, decoder=decoder, tokenizer=tokenizer).eval()
    texts = Texts([["good"], ["bad"], ["film"], ["good", "film"]] * 5, torch.eye(3)[[2, 0, 1, 1] * 5], features)
    before = np.log(read_all(model, texts))
    scale, shift = calibration([before], [texts.targets.argmax(dim=1).numpy()])
    calibrate(model, {"films": texts})
    expected = softmax(scale * before + [0, shift, 0], axis=1)
    np.testing.assert_allclose(read_all(model, texts), expected, atol=1e-5)
