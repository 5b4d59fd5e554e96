from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from showtell.composition import compose, load
from showtell.decoders.classifier import Classifier
from showtell.encoders.text import TextEncoder
from showtell.errors import InputError
from showtell.pipelines.media.text import word_splitter
from showtell.pipelines.media.vocabulary import TextFeatures, word_tokenizer
from showtell.scripts.datasets.sentiment_tensors import LABELS, Texts, label_targets, read_part, split_texts
from showtell.scripts.train_sentiment import calibrate, main, read_all, score_sentiment

OPTIONS: dict[str, Any] = {
    "language_epochs": 1,
    "epochs": 14,
    "batch_size": 8,
    "hidden_size": 8,
    "dropout": 0.1,
    "learning_rate": 0.03,
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
        **OPTIONS,
    )


def test_a_classifier_learns_from_several_data_sets_goes_on_and_is_saved(folder: Path) -> None:
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
    train(folder)
    assert stamps and stamps == {file: file.stat().st_mtime_ns for file in (folder / "runs").rglob("*.bin")}
    torch.testing.assert_close(load(folder / "model").state_dict(), model.state_dict(), rtol=0, atol=0)


def test_a_folder_without_dev_is_an_input_error(folder: Path) -> None:
    (folder / "books" / "dev.jsonl").unlink()
    with pytest.raises(InputError, match="no 'dev' in it"):
        train(folder)


def test_calibration_makes_each_label_as_likely_as_it_is(folder: Path) -> None:
    torch.manual_seed(0)
    tokenizer = word_tokenizer(["film", "good", "bad"])
    features = TextFeatures(tokenizer, characters="abdfgilmo")
    encoder = TextEncoder(**features.config, word_size=8)
    decoder = Classifier(memory_width=encoder.width, labels=LABELS, hidden_size=8)
    model = compose(encoder=encoder, decoder=decoder, tokenizer=tokenizer).eval()
    decoder.output.weight.data *= 5
    words, right = [["good", "film"], ["bad", "film"], ["film"]] * 20, torch.randint(3, (60,))
    dev = {
        "some": Texts(words, torch.eye(3)[right], features),
        "more": Texts(words[:4], torch.eye(3)[[2, 0, 2, 2]], features),
    }

    def losses() -> float:
        found = [(torch.from_numpy(read_all(model, texts)), texts.targets) for texts in dev.values()]
        return sum(-(targets * given.log()).sum(dim=1).mean().item() for given, targets in found)

    before = losses()
    calibrate(model, dev)
    assert losses() < before
    likely = sum(read_all(model, texts).mean(axis=0) for texts in dev.values())
    np.testing.assert_allclose(likely, sum(texts.targets.numpy().mean(axis=0) for texts in dev.values()), atol=1e-3)
