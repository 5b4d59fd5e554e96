from __future__ import annotations

import math

import numpy as np
import pytest

from showtell.decoders.ngram import BOUNDARY, TENTH_BIT, Level, NGram


def levels(*tables: dict[tuple[int, ...], tuple[int, int]]) -> NGram:
    """A model from what each n-gram has: -log p* and log b, in tenths of a bit."""
    packed = []
    for length, table in enumerate(tables, 1):
        ngrams = sorted(table)
        longer = tables[length] if length < len(tables) else {}
        packed.append(
            Level(
                np.array([ngram[-1] for ngram in ngrams], np.uint16),
                np.array([table[ngram][0] for ngram in ngrams], np.uint8),
                np.array([table[ngram][1] for ngram in ngrams], np.int8),
                np.array([sum(other[:-1] == ngram for other in longer) for ngram in ngrams], np.uint16),
            )
        )
    return NGram(packed)


MODEL = levels(
    {(0,): (20, -5), (1,): (10, -10), (2,): (30, 0), (3,): (40, 7)},
    {(0, 1): (5, -3), (1, 2): (8, -2), (1, 3): (9, 0), (3, 3): (1, 0)},
    {(0, 1, 2): (2, 0), (1, 2, 1): (4, 0)},
)


@pytest.mark.parametrize(
    ("context", "token", "tenth_bits"),
    [
        ((), 2, 30),
        ((1,), 2, 8),
        ((0, 1), 2, 2),
        ((0, 1), 3, 9 + 3),  # b(0 1) p*(3 | 1)
        ((0, 1), 1, 10 + 10 + 3),  # b(0 1) b(1) p*(1)
        ((2, 1), 3, 9),  # 2 1 is not there, so nothing is paid for it
        ((2, 2), 2, 30),
        ((2, 3), 0, 20 - 7),
        ((1, 2), 1, 4),
        ((3, 3, 0, 1), 2, 2),  # only the last tokens count
    ],
)
def test_what_is_not_in_the_table_is_backed_off(context: tuple[int, ...], token: int, tenth_bits: int) -> None:
    assert MODEL.log_prob(context, token) == pytest.approx(-tenth_bits * TENTH_BIT)
    assert pytest.approx(math.log(2) / 10) == TENTH_BIT


@pytest.mark.parametrize(
    ("context", "token", "expected"),
    [
        ((), BOUNDARY, (0,)),
        ((0,), 1, (0, 1)),
        ((0, 1), 2, (1, 2)),
        ((1, 2), 1, (1,)),  # nothing continues 2 1
        ((), 2, ()),  # nor 2
        ((1,), 3, (3,)),  # 1 3 is there, but nothing continues it
    ],
)
def test_a_context_is_what_can_matter(context: tuple[int, ...], token: int, expected: tuple[int, ...]) -> None:
    assert MODEL.advance(context, token) == expected
    # Whatever follows is as probable as after all that was said, but for what is paid for contexts' back-off.
    assert all(MODEL.advance((*context, token), other) == MODEL.advance(expected, other) for other in range(4))


def test_it_is_saved_and_opened() -> None:
    again = NGram.from_arrays(MODEL.arrays())
    assert (again.order, again.vocabulary) == (3, 4)
    assert again.log_prob((0, 1), 3) == MODEL.log_prob((0, 1), 3)
    with pytest.raises(KeyError):
        NGram.from_arrays({name: array for name, array in MODEL.arrays().items() if name != "2.children"})


def test_tokens_alone_need_no_context() -> None:
    model = levels({(0,): (10, 0), (1,): (20, 0)})
    assert model.advance((), 1) == () and model.log_prob((1,), 0) == pytest.approx(-10 * TENTH_BIT)
