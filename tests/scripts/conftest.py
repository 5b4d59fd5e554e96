"""What several tests of scripts share: a tiny model in the format of CMU Sphinx."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
import pytest

# After "the", "cat" is sure to come, and after it "sat"; log10 of the probabilities and of the weights of back-off.
UNIGRAMS = {"</s>": (-0.6, 0.0), "<s>": (-99.0, -0.3), "cat": (-0.7, -0.2), "sat": (-0.8, -0.1), "the": (-0.65, -0.25)}
BIGRAMS = {("<s>", "the"): (-0.1, -0.15), ("cat", "sat"): (-0.2, 0.0), ("the", "cat"): (-0.05, -0.4)}
TRIGRAMS = {("<s>", "the", "cat"): -0.02, ("the", "cat", "sat"): -0.01}


class BitWriter:
    """Numbers side by side, the lowest bit first."""

    def __init__(self) -> None:
        self.number, self.length = 0, 0

    def write(self, *fields: tuple[int, int]) -> None:
        """Add numbers, each with its bits."""
        for value, bits in fields:
            self.number |= value << self.length
            self.length += bits

    def to_bytes(self) -> bytes:
        """All of them, and the eight bytes after them."""
        return self.number.to_bytes((self.length + 7) // 8, "little") + bytes(8)


@pytest.fixture(scope="session")
def sphinx_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trigram model of five words, written as its makers' programs do."""
    unit = math.log(10) / math.log(1.0001)
    words = sorted(UNIGRAMS)
    tables = np.zeros((3, 1 << 16), "<f4")
    bigrams = sorted(BIGRAMS, key=lambda pair: (words.index(pair[1]), words.index(pair[0])))
    trigrams = sorted(TRIGRAMS, key=lambda triple: [words.index(word) for word in reversed(triple)])
    middle, longest = BitWriter(), BitWriter()
    for place, pair in enumerate(bigrams):
        tables[0, place], tables[1, place] = (unit * number for number in BIGRAMS[pair])
        first = sum(bigrams.index(triple[1:]) < place for triple in trigrams)
        middle.write((words.index(pair[0]), 3), (place, 16), (place, 16), (first, 2))
    middle.write((0, 3), (0, 32), (len(trigrams), 2))
    for place, triple in enumerate(trigrams):
        tables[2, place] = unit * TRIGRAMS[triple]
        longest.write((words.index(triple[0]), 3), (place, 16))
    longest.write((0, 19))
    code = b"Trie Language Model" + bytes([3]) + struct.pack("<4I", len(words), len(bigrams), len(trigrams), 1)
    code += tables.tobytes()
    for place, word in enumerate([*words, "after all"]):
        log_prob, backoff = UNIGRAMS.get(word, (0.0, 0.0))
        first = sum(words.index(pair[1]) < place for pair in bigrams)
        code += struct.pack("<2fI", unit * log_prob, unit * backoff, first)
    code += middle.to_bytes() + longest.to_bytes()
    names = b"".join(word.encode() + b"\0" for word in words)
    file = tmp_path_factory.mktemp("sphinx") / "tiny.lm.bin"
    file.write_bytes(code + struct.pack("<i", len(names)) + names)
    return file
