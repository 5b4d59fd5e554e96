"""The n-gram models of CMU Sphinx: of words, in its binary format of a trie, as PyPI's `pocketsphinx` ships one.

The trie is that of KenLM (Heafield 2011), backwards: its first level has the last word of each n-gram, the next level
the word before that. An entry is a row of bits without gaps. All logarithms are to the base of 1.0001.
"""

from __future__ import annotations

import math
import struct
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np

from showtell.errors import InputError

MAGIC = b"Trie Language Model"
LOG_BASE = math.log(1.0001)
# Of a logarithm, as an entry has it: its place in a table.
PLACE_BITS = 16
# What stands before a sentence, and after it.
SENTENCE, END = "<s>", "</s>"
# Bytes after the entries, so that a reader of whole words stays inside.
REST = 8

UNIGRAM = np.dtype([("log_prob", "<f4"), ("backoff", "<f4"), ("first", "<u4")])


class Table(NamedTuple):
    """N-grams of one length, in any order.

    ngrams: `(ngrams, length)`, numbers of words. log_probs: `(ngrams,)`, natural logarithms of the probabilities of the
        last words after those before. backoffs: `(ngrams,)`, of their weights as contexts.
    """

    ngrams: np.ndarray
    log_probs: np.ndarray
    backoffs: np.ndarray


class SphinxModel(NamedTuple):
    """words: of each number, `SENTENCE` and `END` among them. tables: of the n-grams of one, two and three words."""

    words: list[str]
    tables: list[Table]


class Bits:
    """Entries of `width` bits each, the lowest first."""

    def __init__(self, data: BytesIO, entries: int, width: int):
        # One more: where the last entry's children end.
        self.bytes = np.frombuffer(data.read(((1 + entries) * width + 7) // 8 + REST), np.uint8)
        self.width = width

    def read(self, entries: int, offset: int, bits: int) -> np.ndarray:
        """The numbers of up to 32 bits at an offset within each of the first entries."""
        places = np.arange(entries, dtype=np.int64) * self.width + offset
        numbers = np.zeros(entries, np.uint64)
        for place in range(5):  # with what lies before in the first byte, up to 39 bits
            numbers |= self.bytes[(places >> 3) + place].astype(np.uint64) << np.uint64(8 * place)
        return ((numbers >> (places & 7).astype(np.uint64)) & np.uint64((1 << bits) - 1)).astype(np.int64)


def read_sphinx(file: str | Path) -> SphinxModel:
    """A model of words.

    Raises `InputError` for another file, or a model that has no trigrams.
    """
    try:
        return _read(BytesIO(Path(file).read_bytes()))
    except (OSError, ValueError, IndexError, struct.error) as error:
        raise InputError(f"{file}: this is no trigram model of CMU Sphinx ({error}); its .lm.bin would do.") from error


def _read(data: BytesIO) -> SphinxModel:
    if data.read(len(MAGIC)) != MAGIC or (order := data.read(1)[0]) != 3:
        raise ValueError("it begins otherwise")
    unigrams, bigrams, trigrams = struct.unpack("<3I", data.read(4 * order))
    data.read(4)  # a number that once told how logarithms are kept
    values = np.frombuffer(data.read(4 * 3 << PLACE_BITS), "<f4").reshape(3, -1) * LOG_BASE
    # One more: where the children of the last word end.
    single = np.frombuffer(data.read((unigrams + 1) * UNIGRAM.itemsize), UNIGRAM)
    word_bits, next_bits = unigrams.bit_length(), trigrams.bit_length()
    middle = Bits(data, bigrams, word_bits + 2 * PLACE_BITS + next_bits)
    longest = Bits(data, trigrams, word_bits + PLACE_BITS)
    (length,) = struct.unpack("<i", data.read(4))
    words = data.read(length).decode(errors="replace").split("\0")[:-1]
    if len(words) != unigrams:
        raise ValueError("its words are cut short")
    if not {SENTENCE, END} <= set(words):
        raise ValueError(f"it does not know {SENTENCE} and {END}")

    log_probs, backoffs = (single[name][:-1] * LOG_BASE for name in ("log_prob", "backoff"))
    tables = [Table(np.arange(unigrams)[:, None], log_probs, backoffs)]
    last = parents(single["first"])
    before = middle.read(len(last), 0, word_bits)
    backoffs = values[1][middle.read(len(last), word_bits, PLACE_BITS)]
    log_probs = values[0][middle.read(len(last), word_bits + PLACE_BITS, PLACE_BITS)]
    tables.append(Table(np.stack([before, last], axis=1), log_probs, backoffs))
    pair = parents(middle.read(len(last) + 1, word_bits + 2 * PLACE_BITS, next_bits))
    earliest = longest.read(len(pair), 0, word_bits)
    log_probs = values[2][longest.read(len(pair), word_bits, PLACE_BITS)]
    tables.append(Table(np.stack([earliest, before[pair], last[pair]], axis=1), log_probs, np.zeros(len(pair))))
    return SphinxModel(words, tables)


def parents(firsts: np.ndarray) -> np.ndarray:
    """Of each child its parent: those of the parent `n` are from `firsts[n]` up to `firsts[n + 1]`."""
    return np.repeat(np.arange(len(firsts) - 1), np.diff(firsts.astype(np.int64)))
