from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from showtell.composition import load
from showtell.encoders.embeddings import trim
from showtell.errors import InputError
from showtell.pipelines.media.text import word_splitter
from showtell.pipelines.media.vocabulary import TextFeatures
from showtell.scripts.datasets.conll import read_marked_texts
from showtell.scripts.datasets.entity_tensors import read_sentences
from showtell.scripts.train_ner import LEARNED_COUNT, PartlyLearned, main, score_tagger

PEOPLE, PLACES = ["Ada Lovelace", "Alan Turing", "Grace"], ["London", "New York", "Rome"]
OPTIONS = {"epochs": 12, "batch_size": 4, "hidden_size": 16, "dropout": 0.1, "learning_rate": 0.03, "vocabulary": 30}


def marked(person: str, place: str) -> str:
    text = f"{person} lived in {place}."
    start = len(text) - len(place) - 1
    entities = [(0, len(person), "PER"), (start, len(text) - 1, "LOC")]
    return json.dumps({"text": text, "entities": [{"start": a, "end": b, "type": kind} for a, b, kind in entities]})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with train, dev and vectors; every name of dev is in train, but not with its neighbour."""
    pairs = [(person, place) for person in PEOPLE for place in PLACES]
    (tmp_path / "train.jsonl").write_text("\n".join(marked(*pair) for pair in pairs[:8] * 4))
    (tmp_path / "dev.jsonl").write_text(marked(*pairs[8]) + "\n" + json.dumps({"text": "", "entities": []}))
    words = ["the", "in", "lived", "london", "rome", "paris", "turing"]
    (tmp_path / "words.txt").write_text("\n".join(words))
    np.save(tmp_path / "vectors.npy", np.random.default_rng(0).normal(size=(len(words), 100)).astype(np.float32))
    return tmp_path


def test_a_tagger_learns_from_texts_and_from_teachers_goes_on_and_is_saved(data: Path, tmp_path: Path) -> None:
    arguments = (data, tmp_path / "model", data / "vectors.npy", data / "words.txt", tmp_path / "runs")
    main(*arguments, **OPTIONS, teachers=2)
    runs = {folder.name for folder in (tmp_path / "runs").iterdir()}
    assert runs == {"teacher-0", "teacher-1", "tagger"}

    model = load(tmp_path / "model")
    tokenizer, config = model.tokenizer, model.encoder.config
    assert model.task == "token-classification"
    assert tokenizer is not None
    assert model.decoder.config["labels"] == ["LOC", "PER"]
    # The vectors' "paris" and "the" never come in the texts, and have a place in the vocabulary.
    assert {"paris", "the", "ada"} <= set(tokenizer.get_vocab())
    features = TextFeatures(tokenizer, characters=config["characters"], longest_word=config["longest_word"])
    dev = read_marked_texts(data / "dev.jsonl")
    figures = score_tagger(model, dev, read_sentences(dev, word_splitter()), features)
    assert figures == dict.fromkeys(["precision", "recall", "f1", "partial_f1"], 1)

    stamps = {file: file.stat().st_mtime_ns for file in (tmp_path / "runs").rglob("*.bin")}
    main(*arguments, **OPTIONS, teachers=2)
    assert stamps == {file: file.stat().st_mtime_ns for file in (tmp_path / "runs").rglob("*.bin")}
    again = load(tmp_path / "model")
    torch.testing.assert_close(again.state_dict(), model.state_dict(), rtol=0, atol=0)


def test_one_teacher_is_an_input_error(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="teachers=1"):
        main(data, tmp_path / "model", data / "vectors.npy", data / "words.txt", tmp_path / "runs", teachers=1)


def test_of_partly_learned_words_the_first_learn_and_the_others_stay() -> None:
    start = torch.randn(6, 3)
    start[0] = 0
    words = PartlyLearned(start.clone(), 4)
    reference = nn.Embedding.from_pretrained(start.clone(), freeze=False, padding_idx=0)
    numbers = torch.tensor([[0, 1, 3], [4, 5, 3]])
    assert torch.equal(words(numbers), reference(numbers))
    assert sum(parameter.numel() for parameter in words.parameters()) == 4 * 3

    for module in (words, reference):
        optimizer = torch.optim.SGD(module.parameters(), lr=0.5)
        module(numbers).square().sum().backward()
        optimizer.step()
    expected = torch.cat([reference.weight[:4], start[4:]])
    assert torch.equal(words.whole().weight, expected)
    assert torch.equal(words(numbers), words.whole()(numbers))


def test_the_vocabulary_begins_with_the_words_that_learn() -> None:
    vectors = (["the", "london", "paris"], np.ones((3, 2), np.float32))
    counts = {"london": LEARNED_COUNT - 1, "ada": LEARNED_COUNT, "xyz": LEARNED_COUNT - 1, "the": 99}
    words, _ = trim(vectors, counts, size=10, min_count=LEARNED_COUNT)
    assert words == ["the", "ada", "london", "paris"]
