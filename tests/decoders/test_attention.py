from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from showtell.decoders.attention import ATTENTIONS, AdditiveAttention, Attention, DotAttention, GeneralAttention
from showtell.errors import InputError

WIDTH, ATTENTION_SIZE = 4, 3
EVERY_ATTENTION = pytest.mark.parametrize("name", ATTENTIONS)

# Two positions, whose features are also what is summed, and one query of one memory.
FEATURES = torch.tensor([[[1.0, 0.0], [0.0, 2.0]]])
QUERY = torch.tensor([[[3.0, 1.0]]])
BOTH_REAL = torch.tensor([[True, True]])


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def set_weights(attention: Attention, **values: list) -> None:
    """Every weight by its name, with `__` for a dot."""
    state = {name.replace("__", "."): torch.tensor(value) for name, value in values.items()}
    attention.load_state_dict(state)


def look(attention: Attention, query: Tensor, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    return attention(query, attention.keys(features), features, mask)


def assert_scores(attention: Attention, first: float, second: float) -> None:
    """What these scores of the two positions of `FEATURES` come to, worked out without tensors."""
    context, weights = look(attention, QUERY, FEATURES, BOTH_REAL)
    alpha = math.exp(first) / (math.exp(first) + math.exp(second))
    torch.testing.assert_close(weights, torch.tensor([[[alpha, 1 - alpha]]]))
    torch.testing.assert_close(context, torch.tensor([[[alpha, 2 * (1 - alpha)]]]))


def test_dot_attention_scores_by_the_product_of_query_and_features() -> None:
    # q.f_1 = 3*1 + 1*0, q.f_2 = 3*0 + 1*2
    assert_scores(DotAttention(2, 2, 0), 3, 2)


def test_general_attention_scores_through_a_matrix() -> None:
    attention = GeneralAttention(2, 2, 1)
    set_weights(attention, query__weight=[[1.0, -1.0]], key__weight=[[0.5, 2.0]])
    # W_q q = 3 - 1 = 2; W_f f_1 = 0.5, W_f f_2 = 4; the scale of one dimension is 1
    assert_scores(attention, 2 * 0.5, 2 * 4)


def test_general_attention_divides_by_the_root_of_its_size() -> None:
    attention = GeneralAttention(2, 2, 4)
    ones = [[1.0, 0.0]] * 4
    set_weights(attention, query__weight=ones, key__weight=ones)
    # W_q q = (3, 3, 3, 3) and W_f f_1 = (1, 1, 1, 1): 12 / sqrt(4); W_f f_2 = 0
    assert_scores(attention, 6, 0)


def test_additive_attention_scores_by_a_layer_of_tanh() -> None:
    attention = AdditiveAttention(2, 2, 2)
    set_weights(
        attention,
        query__weight=[[1.0, 0.0], [0.0, 1.0]],
        key__weight=[[-3.0, 0.0], [0.0, -1.0]],
        key__bias=[0.25, 0.5],
        energy__weight=[[2.0, 3.0]],
    )
    # f_1: (3 - 3 + 0.25, 1 + 0 + 0.5); f_2: (3 + 0 + 0.25, 1 - 2 + 0.5)
    assert_scores(
        attention,
        2 * math.tanh(0.25) + 3 * math.tanh(1.5),
        2 * math.tanh(3.25) + 3 * math.tanh(-0.5),
    )


@EVERY_ATTENTION
@settings(deadline=None, max_examples=25)
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4), queries=st.integers(1, 3))
@torch.no_grad()
def test_a_padded_memory_is_seen_as_it_is_alone(name: str, lengths: list[int], queries: int) -> None:
    attention = ATTENTIONS[name](WIDTH, WIDTH, ATTENTION_SIZE)
    features = torch.randn(len(lengths), 7, WIDTH)
    query = torch.randn(len(lengths), queries, WIDTH)
    mask = torch.arange(7) < torch.tensor(lengths)[:, None]
    features[~mask] = 50.0  # padding that would show
    context, weights = look(attention, query, features, mask)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(len(lengths), queries))
    for row, length in enumerate(lengths):
        assert torch.equal(weights[row, :, length:], torch.zeros(queries, 7 - length))
        one = slice(row, row + 1)
        alone = look(attention, query[one], features[one, :length], mask[one, :length])
        torch.testing.assert_close((context[one], weights[one, :, :length]), alone)


@EVERY_ATTENTION
@torch.no_grad()
def test_queries_of_one_memory_do_not_see_each_other(name: str) -> None:
    attention = ATTENTIONS[name](WIDTH, WIDTH, ATTENTION_SIZE)
    features, query = torch.randn(2, 5, WIDTH), torch.randn(2, 3, WIDTH)
    mask = torch.ones(2, 5, dtype=torch.bool)
    context, weights = look(attention, query, features, mask)
    for place in range(3):
        one = slice(place, place + 1)
        torch.testing.assert_close((context[:, one], weights[:, one]), look(attention, query[:, one], features, mask))


@EVERY_ATTENTION
def test_gradients_are_right_and_none_reaches_masked_positions(name: str) -> None:
    attention = ATTENTIONS[name](WIDTH, WIDTH, ATTENTION_SIZE).double()
    features = torch.randn(2, 3, WIDTH, dtype=torch.double, requires_grad=True)
    query = torch.randn(2, 2, WIDTH, dtype=torch.double, requires_grad=True)
    mask = torch.tensor([[True, True, True], [True, True, False]])
    assert torch.autograd.gradcheck(lambda q, f: look(attention, q, f, mask), (query, features))
    context, _ = look(attention, query, features, mask)
    context.square().sum().backward()
    assert features.grad is not None
    assert features.grad[mask].all()
    assert not features.grad[~mask].any()
    assert all(weight.grad is not None and weight.grad.any() for weight in attention.parameters())


@pytest.mark.parametrize("name", ["additive", "general"])
def test_queries_and_features_may_be_of_two_sizes(name: str) -> None:
    attention = ATTENTIONS[name](2, WIDTH, ATTENTION_SIZE)
    mask = torch.ones(2, 5, dtype=torch.bool)
    context, weights = look(attention, torch.randn(2, 3, 2), torch.randn(2, 5, WIDTH), mask)
    assert context.shape == (2, 3, WIDTH)
    assert weights.shape == (2, 3, 5)


def test_dot_attention_between_two_sizes_is_an_input_error() -> None:
    with pytest.raises(InputError, match=r'attention="dot": queries are 2 wide and features 4; .* would do'):
        DotAttention(2, 4, ATTENTION_SIZE)
