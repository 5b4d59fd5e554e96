"""Texts with named entities as tensors: sentences as the pipeline divides them, and the batches of training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from tokenizers.pre_tokenizers import PreTokenizer
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from showtell.decoders.tags import Span, find_spans, tag_set, write_spans
from showtell.pipelines.media.text import split_sentences, split_words
from showtell.pipelines.media.vocabulary import TextFeatures
from showtell.scripts.datasets.conll import MarkedText, bio_tags

# How often a sentence of the training texts is read in small letters, and how often in capitals, so that names are
# found in headlines and in careless writing too.
LOWER_RATE = UPPER_RATE = 0.05


@dataclass(frozen=True)
class Sentence:
    """A sentence of a text, its words and its entities.

    text: which text it is of. offsets: where each word stands in it. spans: the entities, counted in words.
    """

    text: int
    words: list[str]
    offsets: list[tuple[int, int]]
    spans: list[Span]


class Counts(NamedTuple):
    """How often a tagging has each tag at each word, and each tag after each other one; or is believed to have.

    tags: `(words, tags)`, of a batch `(batch, words, tags)`. steps: `(tags, tags)`, of a batch all together.
    """

    tags: Tensor
    steps: Tensor


Batch = tuple[dict[str, Tensor], Counts]


def read_sentences(texts: Sequence[MarkedText], splitter: PreTokenizer) -> list[Sentence]:
    """The sentences of all texts, words and sentences being what the pipeline takes for them."""
    sentences: list[Sentence] = []
    for number, marked in enumerate(texts):
        words = split_words(marked.text, splitter)
        tags = bio_tags(words.offsets, marked.entities)
        for part in split_sentences(words):
            sentences.append(Sentence(number, words.words[part], words.offsets[part], find_spans(tags[part])))
    return sentences


def gold_counts(sentence: Sentence, labels: Sequence[str]) -> Counts:
    """The counts of a sentence's own tags, in BIOES: zeros and ones, and whole numbers of steps."""
    names = {tag: number for number, tag in enumerate(tag_set(labels))}
    tags = torch.tensor([names[tag] for tag in write_spans(sentence.spans, len(sentence.words))])
    steps = torch.zeros(len(names), len(names))
    steps.index_put_((tags[:-1], tags[1:]), torch.ones(()), accumulate=True)
    return Counts(torch.nn.functional.one_hot(tags, len(names)).float(), steps)


def to_tensors(texts: Sequence[Sequence[str]], features: TextFeatures) -> dict[str, Tensor]:
    """The inputs of a `TextEncoder`."""
    return {name: torch.from_numpy(array) for name, array in features(texts).items()}


class TaggedSentences(Dataset):
    """Sentences and their counts; now and then in small letters or in capitals."""

    def __init__(self, sentences: Sequence[Sentence], counts: Sequence[Counts], features: TextFeatures):
        self.sentences, self.counts, self.features = sentences, counts, features
        self.lengths = [len(sentence.words) for sentence in sentences]

    def __len__(self) -> int:
        return len(self.sentences)

    def __getitem__(self, index: int) -> tuple[list[str], Counts]:
        words, drawn = self.sentences[index].words, float(torch.rand(()))
        if drawn < LOWER_RATE:
            words = [word.lower() for word in words]
        elif drawn < LOWER_RATE + UPPER_RATE:
            words = [word.upper() for word in words]
        return words, self.counts[index]

    def collate(self, items: Sequence[tuple[list[str], Counts]]) -> Batch:
        """Several of them as a batch."""
        counts = [count for _, count in items]
        tags = pad_sequence([count.tags for count in counts], batch_first=True)
        steps = torch.stack([count.steps for count in counts]).sum(dim=0)
        return to_tensors([words for words, _ in items], self.features), Counts(tags, steps)
