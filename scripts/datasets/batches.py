"""Batches of sequences of about the same length: hardly any padding, hardly any order."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Sampler

# Sequences of a batch are about as long: as long as they are, give or take this share.
LENGTH_SPREAD = 0.1


class ByLength(Sampler[list[int]]):
    """Batches of sequences of about the same length, in random order; in each epoch others.

    lengths: of the sequences, in any unit.
    batch_size: the most sequences of a batch. budget: about the most that its lengths add up to, padding included.
    """

    def __init__(self, lengths: Sequence[float], batch_size: int, *, budget: float = math.inf):
        self.lengths = torch.tensor(lengths, dtype=torch.float64)
        self.sizes: list[int] = []
        size = 0
        for length in sorted(lengths):
            if size == batch_size or (size and (size + 1) * length > budget):
                self.sizes.append(size)
                size = 0
            size += 1
        self.sizes.append(size)
        self.generator: torch.Generator | None = None  # `fit` gives it one

    def __len__(self) -> int:
        return len(self.sizes)

    def __iter__(self) -> Iterator[list[int]]:
        noise = torch.randn(len(self.lengths), generator=self.generator)
        batches = (self.lengths * (1 + LENGTH_SPREAD * noise)).argsort().split(self.sizes)
        for place in torch.randperm(len(batches), generator=self.generator).tolist():
            yield batches[place].tolist()
