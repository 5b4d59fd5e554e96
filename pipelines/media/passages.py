"""Passages: a long text in parts that a classifier reads one by one, and the parts' answers as one.

A recurrent network forgets, and what it never met in training, such as a text of a book's length, it reads badly.
So a long text is read in passages of a usual length, all of them. Training and answering divide it alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from showtell.pipelines.media.text import Words, split_sentences

LONGEST_PASSAGE = 400
"""Words of a text that is read at once; most reviews are shorter."""


class Reading(NamedTuple):
    """What a classifier makes of a passage, or of a text.

    log_probs: `(labels,)`. attention: `(words,)`, the weight of each word; they sum to one.
    """

    log_probs: np.ndarray
    attention: np.ndarray


def split_passages(words: Words, *, longest: int = LONGEST_PASSAGE) -> list[slice]:
    """The passages of a text, as slices of its words; together they are all words.

    A text of up to `longest` words is one passage. A longer one is divided between sentences, each passage taking
    sentences while it stays within `longest` words.
    """
    if len(words.words) <= longest:
        return [slice(0, len(words.words))]
    passages: list[slice] = []
    start = 0
    sentences = split_sentences(words, longest=longest)
    for sentence in sentences:
        if sentence.stop - start > longest:
            passages.append(slice(start, sentence.start))
            start = sentence.start
    return [*passages, slice(start, len(words.words))]


def join_readings(readings: Sequence[Reading]) -> Reading:
    """What the passages of a text are together: their log-probabilities' mean, weighted by their words.

    That is the geometric mean of their probabilities, made to sum to one again. Their words share the attention alike.
    """
    if len(readings) == 1:
        return readings[0]
    lengths = [len(reading.attention) for reading in readings]
    mean = np.average([reading.log_probs for reading in readings], axis=0, weights=lengths)
    attention = np.concatenate([reading.attention * len(reading.attention) for reading in readings])
    return Reading(mean - np.logaddexp.reduce(mean), attention / len(attention))
