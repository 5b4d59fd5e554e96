"""Attention: where in a memory a decoder looks. A score for each position, a softmax, a weighted sum.

For a query q (the decoder's hidden state) and the features f_i of position i, with the softmax over i:

    alpha_i = softmax(score(q, f_i))        context = sum_i alpha_i f_i

What depends on the memory alone, the keys, is computed once by `keys` and not again at each step. A kind that
`looks_back` also sees where the decoder looked the step before.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from showtell.errors import InputError

# What location attention sees of the last weights: so many features, each of so many positions around a position. Of
# sound, whose positions are 40 ms, that is 0.6 s to either side.
LOCATION_FILTERS, LOCATION_WIDTH = 10, 31


class Attention(nn.Module, ABC):
    """What the kinds share. A kind says what its keys are and how they score against a query.

    looks_back: whether the score depends on the weights of the look before.
    """

    looks_back = False

    @abstractmethod
    def keys(self, features: Tensor) -> Tensor:
        """The part of the score that no query changes, `(batch, positions, key_size)`."""

    @abstractmethod
    def score(self, query: Tensor, keys: Tensor, looked: Tensor | None) -> Tensor:
        """Scores `(batch, queries, positions)` of queries `(batch, queries, query_size)`."""

    def forward(
        self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor, looked: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Look once with each query.

        query: `(batch, queries, query_size)`; all queries of a row share its memory.
        keys: `(batch, positions, key_size)`, from `keys`.
        values: `(batch, positions, width)`, what is summed.
        mask: `(batch, positions)`, True where a position is real. A row needs at least one.
        looked: `(batch, queries, positions)`, each query's weights of the look before, for a kind that `looks_back`;
            by default it is the first look.

        Returns the contexts `(batch, queries, width)` and the weights `(batch, queries, positions)`, which are
        zero at masked positions and sum to one.
        """
        scores = self.score(query, keys, looked).masked_fill(~mask[:, None, :], -math.inf)
        weights = torch.softmax(scores, dim=-1)
        return weights @ values, weights


class AdditiveAttention(Attention):
    """score(q, f_i) = v^T tanh(W_q q + W_f f_i + b) (Bahdanau and others 2015)."""

    def __init__(self, query_size: int, width: int, attention_size: int):
        super().__init__()
        self.query = nn.Linear(query_size, attention_size, bias=False)
        self.key = nn.Linear(width, attention_size)
        self.energy = nn.Linear(attention_size, 1, bias=False)

    def keys(self, features: Tensor) -> Tensor:
        """W_f f_i + b."""
        return self.key(features)

    def score(self, query: Tensor, keys: Tensor, looked: Tensor | None) -> Tensor:
        """v^T tanh(W_q q + key_i)."""
        return self.energy(torch.tanh(self.query(query)[:, :, None, :] + keys[:, None, :, :])).squeeze(-1)


class LocationAttention(AdditiveAttention):
    """score(q, f_i) = v^T tanh(W_q q + W_f f_i + U l_i + b), l = F * alpha (Chorowski and others 2015, equation 9).

    l_i are features of the weights alpha of the look before, around position i, by a convolution with F. So it can go
    on from where it looked, which a sound or a letter that comes twice cannot tell it. Before the first look alpha
    is 0.
    """

    looks_back = True

    def __init__(self, query_size: int, width: int, attention_size: int):
        super().__init__(query_size, width, attention_size)
        # Over queries by positions, with one row of the kernel, so that no query sees another's weights.
        self.filters = nn.Conv2d(1, LOCATION_FILTERS, (1, LOCATION_WIDTH), padding=(0, LOCATION_WIDTH // 2), bias=False)
        self.location = nn.Linear(LOCATION_FILTERS, attention_size, bias=False)

    def score(self, query: Tensor, keys: Tensor, looked: Tensor | None) -> Tensor:
        """v^T tanh(W_q q + key_i + U l_i)."""
        if looked is None:
            return super().score(query, keys, None)
        around = self.filters(looked.unsqueeze(1)).permute(0, 2, 3, 1)  # (batch, queries, positions, filters)
        seen = self.query(query)[:, :, None, :] + keys[:, None, :, :] + self.location(around)
        return self.energy(torch.tanh(seen)).squeeze(-1)


class DotAttention(Attention):
    """score(q, f_i) = q^T f_i (Luong and others 2015, "dot").

    It has no weights, and `attention_size` says nothing to it. Raises `InputError` unless query and features are
    of one size.
    """

    def __init__(self, query_size: int, width: int, attention_size: int):
        super().__init__()
        if query_size != width:
            raise InputError(
                f'attention="dot": queries are {query_size} wide and features {width}; equal widths would do, or '
                '"general" or "additive".'
            )

    def keys(self, features: Tensor) -> Tensor:
        """The features themselves."""
        return features.clone()  # `torch.onnx.export` loses the name of an output that is another one too

    def score(self, query: Tensor, keys: Tensor, looked: Tensor | None) -> Tensor:
        """q^T key_i."""
        return query @ keys.transpose(1, 2)


class GeneralAttention(Attention):
    """score(q, f_i) = q^T W f_i (Luong and others 2015, "general").

    W is kept as the product W_q^T W_f of rank `attention_size`, so that a query meets short keys. The division
    by sqrt(attention_size) keeps the softmax soft when training starts (Vaswani and others 2017).
    """

    def __init__(self, query_size: int, width: int, attention_size: int):
        super().__init__()
        self.query = nn.Linear(query_size, attention_size, bias=False)
        self.key = nn.Linear(width, attention_size, bias=False)
        self.scale = 1 / math.sqrt(attention_size)

    def keys(self, features: Tensor) -> Tensor:
        """W_f f_i, scaled."""
        return self.key(features) * self.scale

    def score(self, query: Tensor, keys: Tensor, looked: Tensor | None) -> Tensor:
        """(W_q q)^T key_i."""
        return self.query(query) @ keys.transpose(1, 2)


ATTENTIONS: dict[str, Callable[[int, int, int], Attention]] = {
    "additive": AdditiveAttention,
    "dot": DotAttention,
    "general": GeneralAttention,
    "location": LocationAttention,
}
