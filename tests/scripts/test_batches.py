from __future__ import annotations

import torch

from showtell.scripts.datasets.batches import LENGTH_SPREAD, ByLength

LENGTHS = torch.randint(1, 200, (500,), generator=torch.Generator().manual_seed(0)).tolist()


def seeded(seed: int, **limits: float) -> ByLength:
    batches = ByLength(LENGTHS, 32, **limits)
    batches.generator = torch.Generator().manual_seed(seed)
    return batches


def test_an_epoch_has_each_sequence_once_in_as_many_batches_as_are_told():
    for limits in ({}, {"budget": 900.0}):
        batches = seeded(0, **limits)
        epoch = list(batches)
        assert len(epoch) == len(batches)
        assert sorted(index for batch in epoch for index in batch) == list(range(500))
        assert max(map(len, epoch)) <= 32


def test_a_batch_holds_like_lengths_within_its_budget():
    padded = []
    for batch in seeded(0, budget=900.0):
        lengths = [LENGTHS[index] for index in batch]
        padded.append(len(batch) * max(lengths))
    assert max(padded) < 900 * (1 + 5 * LENGTH_SPREAD)
    assert sum(padded) < 1.25 * sum(LENGTHS)


def test_the_generator_decides_the_order_and_epochs_differ():
    assert list(seeded(1)) == list(seeded(1)) != list(seeded(2))
    batches = seeded(1)
    assert list(batches) != list(batches)


def test_a_sequence_longer_than_the_budget_is_a_batch_of_its_own():
    assert sorted(map(len, ByLength([5, 5, 50], 8, budget=10))) == [1, 2]
