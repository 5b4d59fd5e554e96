from __future__ import annotations

import pytest
import torch

from showtell.decoders.tags import Span, tag_set
from showtell.pipelines.media.text import word_splitter
from showtell.pipelines.media.vocabulary import TextFeatures, word_tokenizer
from showtell.scripts.datasets import entity_tensors
from showtell.scripts.datasets.conll import Entity, MarkedText
from showtell.scripts.datasets.entity_tensors import TaggedSentences, gold_counts, read_sentences

TEXTS = [
    MarkedText("Ada Lovelace left New York City. She went to Paris.", (Entity(0, 12, "PER"), Entity(18, 31, "LOC"))),
    MarkedText("", ()),
    MarkedText("Rome's  weather", (Entity(0, 4, "LOC"),)),
]
LABELS = ["LOC", "PER"]
TAGS = tag_set(LABELS)
FEATURES = TextFeatures(word_tokenizer(["ada", "rome"]), characters="abcdefghijklmnopqrstuvwxyzAR")


@pytest.fixture
def sentences() -> list[entity_tensors.Sentence]:
    return read_sentences(TEXTS, word_splitter())


def test_texts_are_divided_as_the_pipeline_divides_them(sentences):
    assert [(sentence.text, sentence.words) for sentence in sentences] == [
        (0, ["Ada", "Lovelace", "left", "New", "York", "City", "."]),
        (0, ["She", "went", "to", "Paris", "."]),
        (2, ["Rome", "'s", "weather"]),
    ]
    for sentence in sentences:
        text = TEXTS[sentence.text].text
        assert [text[start:end] for start, end in sentence.offsets] == sentence.words
    assert [sentence.spans for sentence in sentences] == [
        [Span(0, 2, "PER"), Span(3, 6, "LOC")],
        [],
        [Span(0, 1, "LOC")],
    ]


def test_gold_counts_are_the_tags_and_the_steps_between_them(sentences):
    counts = gold_counts(sentences[0], LABELS)
    assert [TAGS[tag] for tag in counts.tags.argmax(dim=1)] == ["B-PER", "E-PER", "O", "B-LOC", "I-LOC", "E-LOC", "O"]
    assert counts.tags.sum(dim=1).tolist() == [1] * 7
    steps = {(TAGS[row], TAGS[column]): counts.steps[row, column].item() for row, column in counts.steps.nonzero()}
    pairs = ["B-PER E-PER", "E-PER O", "O B-LOC", "B-LOC I-LOC", "I-LOC E-LOC", "E-LOC O"]
    assert steps == {tuple(pair.split()): 1.0 for pair in pairs}
    assert gold_counts(sentences[1], LABELS).steps[0, 0] == 4


def test_a_batch_pads_tags_with_nothing_and_adds_steps_up(sentences):
    counts = [gold_counts(sentence, LABELS) for sentence in sentences]
    examples = TaggedSentences(sentences, counts, FEATURES)
    assert examples.lengths == [7, 5, 3]
    inputs, batch = examples.collate([examples[place] for place in (2, 0)])
    assert (inputs["places"] != 0).sum(dim=1).tolist() == batch.tags.sum(dim=(1, 2)).tolist() == [3, 7]
    assert torch.equal(batch.tags[1], counts[0].tags)
    assert torch.equal(batch.steps, counts[0].steps + counts[2].steps)


@pytest.mark.parametrize(("lower", "upper", "words"), [(1, 0, "rome 's weather"), (0, 1, "ROME 'S WEATHER")])
def test_a_sentence_is_read_in_small_letters_or_in_capitals(sentences, monkeypatch, lower, upper, words):
    monkeypatch.setattr(entity_tensors, "LOWER_RATE", lower)
    monkeypatch.setattr(entity_tensors, "UPPER_RATE", upper)
    examples = TaggedSentences(sentences, [gold_counts(sentence, LABELS) for sentence in sentences], FEATURES)
    assert examples[2] == (words.split(), examples.counts[2])
