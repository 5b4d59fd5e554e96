from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from showtell.errors import InputError
from showtell.pipelines.media.text import word_splitter
from showtell.pipelines.media.vocabulary import TextFeatures, word_tokenizer
from showtell.scripts.datasets.sentiment import LabelledText
from showtell.scripts.datasets.sentiment_tensors import Texts, label_targets, read_part, read_phrases, split_texts

FEATURES = TextFeatures(word_tokenizer(["not", "bad", "good"]), characters="abdgno")
TREE = "(3 (2 Not) (1 bad))"


def written(folder: Path, **files: str) -> Path:
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content, encoding="utf-8")
    return folder


def test_texts_as_people_type_them_come_before_trees_which_bring_phrases(tmp_path: Path) -> None:
    written(tmp_path, train_jsonl='{"text": "Not bad!", "label": 3}', train_txt=TREE, dev_txt=TREE)
    assert read_part(tmp_path, "train") == [LabelledText("Not bad!", "3")]
    assert read_part(tmp_path, "dev") == [LabelledText("Not bad", "3")]
    phrases = [LabelledText("Not", "2"), LabelledText("bad", "1"), LabelledText("Not bad", "3")]
    assert read_phrases(tmp_path, "train") == read_phrases(tmp_path, "dev") == phrases


def test_a_folder_of_reviews_is_a_part_and_has_no_phrases(tmp_path: Path) -> None:
    for label in ("pos", "neg"):
        (tmp_path / "train" / label).mkdir(parents=True)
        (tmp_path / "train" / label / "1.txt").write_text(label)
    assert read_part(tmp_path, "train") == [LabelledText("neg", "negative"), LabelledText("pos", "positive")]
    assert read_phrases(tmp_path, "train") == []
    with pytest.raises(InputError, match="no 'dev' in it"):
        read_part(tmp_path, "dev")


def test_degrees_and_moods_are_three_labels() -> None:
    labels = ["0", "1", "2", "3", "4", "negative", "neutral", "positive"]
    targets = label_targets([LabelledText("", label) for label in labels])
    assert targets.argmax(dim=1).tolist() == [0, 0, 1, 2, 2, 0, 1, 2]
    assert label_targets([]).shape == (0, 3)
    with pytest.raises(InputError, match="'5' is not known"):
        label_targets([LabelledText("", "5")])


def test_a_text_without_words_is_refused() -> None:
    with pytest.raises(InputError, match="text 1"):
        split_texts([LabelledText("Good.", "3"), LabelledText(" ", "3")], word_splitter())


def test_a_batch_is_what_the_pipeline_would_read() -> None:
    words = [["Not", "bad"], ["good", "not", "good", "Abandoned"], ["?"]]
    texts = Texts(words, torch.eye(3), FEATURES)
    inputs, targets = texts.collate([texts[place] for place in (1, 0)])
    expected = FEATURES([words[1], words[0]])
    assert torch.equal(targets, torch.eye(3)[[1, 0]])
    assert inputs["places"].shape == (2, 4)
    assert {name: values.dtype for name, values in inputs.items()} == dict.fromkeys(expected, torch.int64)
    # The list of distinct words has another order, and each place in it the same word.
    for name in ("words", "casing", "characters"):
        np.testing.assert_array_equal(inputs[name][inputs["places"]], expected[name][expected["places"]])
    assert not any(values[0].any() for name, values in inputs.items() if name != "places")


def test_of_a_long_text_every_cut_comes_and_none_is_longer() -> None:
    words = [["good"], [f"w{place}" for place in range(6)]]
    texts = Texts(words, torch.eye(2), FEATURES, longest_cut=4)
    assert texts.lengths.tolist() == [1, 4]
    assert {tuple(texts[1][0] - 2) for _ in range(100)} == {(0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5)}
    assert [len(Texts(words, torch.eye(2), FEATURES)[place][0]) for place in (0, 1)] == [1, 6]
