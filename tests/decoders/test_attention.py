from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from showtell.decoders.attention import (
    ATTENTIONS,
    LOCATION_FILTERS,
    LOCATION_WIDTH,
    AdditiveAttention,
    Attention,
    DotAttention,
    GeneralAttention,
    LocationAttention,
)
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


def look(
    attention: Attention, query: Tensor, features: Tensor, mask: Tensor, looked: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    return attention(query, attention.keys(features), features, mask, looked)


def random_look(queries: int, mask: Tensor) -> Tensor:
    """Weights such as a look gives, `(batch, queries, positions)`."""
    scores = torch.randn(len(mask), queries, mask.shape[1], dtype=torch.double)
    return scores.masked_fill(~mask[:, None], -math.inf).softmax(dim=-1)


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


@torch.no_grad()
def test_location_attention_is_what_its_formula_says() -> None:
    """In plain loops, over more positions than the filters are wide, for two queries that looked elsewhere."""
    attention, positions = LocationAttention(2, WIDTH, ATTENTION_SIZE).double(), LOCATION_WIDTH + 5
    for weight in attention.parameters():
        torch.nn.init.normal_(weight)
    features, query = torch.randn(1, positions, WIDTH).double(), torch.randn(1, 2, 2).double()
    mask = torch.ones(1, positions, dtype=torch.bool)
    looked = random_look(2, mask)
    _, weights = look(attention, query, features, mask, looked)
    kernel, w = attention.filters.weight[:, 0, 0], dict(attention.named_parameters())
    for one in range(2):
        energies = []
        for i in range(positions):
            around = torch.zeros(LOCATION_FILTERS).double()
            for k in range(LOCATION_WIDTH):
                if 0 <= (j := i + k - LOCATION_WIDTH // 2) < positions:
                    around += kernel[:, k] * looked[0, one, j]
            seen = w["query.weight"] @ query[0, one] + w["key.weight"] @ features[0, i] + w["key.bias"]
            energies.append(w["energy.weight"][0] @ torch.tanh(seen + w["location.weight"] @ around))
        torch.testing.assert_close(weights[0, one], torch.stack(energies).softmax(dim=0))


@torch.no_grad()
def test_location_attention_is_additive_before_it_has_looked() -> None:
    attention, mask = LocationAttention(WIDTH, WIDTH, ATTENTION_SIZE), torch.ones(2, 5, dtype=torch.bool)
    features, query = torch.randn(2, 5, WIDTH), torch.randn(2, 3, WIDTH)
    first = look(attention, query, features, mask)
    torch.testing.assert_close(look(attention, query, features, mask, torch.zeros(2, 3, 5)), first)
    additive = AdditiveAttention(WIDTH, WIDTH, ATTENTION_SIZE)
    additive.load_state_dict(attention.state_dict(), strict=False)
    torch.testing.assert_close(look(additive, query, features, mask), first)


@EVERY_ATTENTION
@settings(max_examples=25)
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4), queries=st.integers(1, 3))
@torch.no_grad()
def test_a_padded_memory_is_seen_as_it_is_alone(name: str, lengths: list[int], queries: int) -> None:
    attention = ATTENTIONS[name](WIDTH, WIDTH, ATTENTION_SIZE)
    features = torch.randn(len(lengths), 7, WIDTH)
    query = torch.randn(len(lengths), queries, WIDTH)
    mask = torch.arange(7) < torch.tensor(lengths)[:, None]
    features[~mask] = 50.0  # padding that would show
    looked = random_look(queries, mask).float()
    context, weights = look(attention, query, features, mask, looked)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(len(lengths), queries))
    for row, length in enumerate(lengths):
        assert torch.equal(weights[row, :, length:], torch.zeros(queries, 7 - length))
        one = slice(row, row + 1)
        alone = look(attention, query[one], features[one, :length], mask[one, :length], looked[one, :, :length])
        torch.testing.assert_close((context[one], weights[one, :, :length]), alone)


@EVERY_ATTENTION
@torch.no_grad()
def test_queries_of_one_memory_do_not_see_each_other(name: str) -> None:
    attention = ATTENTIONS[name](WIDTH, WIDTH, ATTENTION_SIZE)
    features, query = torch.randn(2, 5, WIDTH), torch.randn(2, 3, WIDTH)
    mask = torch.ones(2, 5, dtype=torch.bool)
    looked = random_look(3, mask).float()
    context, weights = look(attention, query, features, mask, looked)
    for place in range(3):
        one = slice(place, place + 1)
        alone = look(attention, query[:, one], features, mask, looked[:, one])
        torch.testing.assert_close((context[:, one], weights[:, one]), alone)


@EVERY_ATTENTION
def test_gradients_are_right_and_none_reaches_masked_positions(name: str) -> None:
    attention = ATTENTIONS[name](WIDTH, WIDTH, ATTENTION_SIZE).double()
    features = torch.randn(2, 3, WIDTH, dtype=torch.double, requires_grad=True)
    query = torch.randn(2, 2, WIDTH, dtype=torch.double, requires_grad=True)
    mask = torch.tensor([[True, True, True], [True, True, False]])
    looked = random_look(2, mask)
    assert torch.autograd.gradcheck(lambda q, f: look(attention, q, f, mask, looked), (query, features))
    context, _ = look(attention, query, features, mask, looked)
    context.square().sum().backward()
    assert features.grad is not None
    assert features.grad[mask].all()
    assert not features.grad[~mask].any()
    assert all(weight.grad is not None and weight.grad.any() for weight in attention.parameters())


@pytest.mark.parametrize("name", ["additive", "general", "location"])
def test_queries_and_features_may_be_of_two_sizes(name: str) -> None:
    attention = ATTENTIONS[name](2, WIDTH, ATTENTION_SIZE)
    mask = torch.ones(2, 5, dtype=torch.bool)
    context, weights = look(attention, torch.randn(2, 3, 2), torch.randn(2, 5, WIDTH), mask)
    assert context.shape == (2, 3, WIDTH)
    assert weights.shape == (2, 3, 5)


def test_dot_attention_between_two_sizes_is_an_input_error() -> None:
    with pytest.raises(InputError, match=r'attention="dot": queries are 2 wide and features 4; .* would do'):
        DotAttention(2, 4, ATTENTION_SIZE)
