"""The classifier: a recurrent network reads a sequence, and attention weighs what it has read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from showtell.decoders.cells import CELLS
from showtell.decoders.dropout import VariationalDropout
from showtell.decoders.recurrent import Recurrent
from showtell.errors import InputError
from showtell.memory import Memory


class Classifier(nn.Module):
    """A recurrent network in both directions and attention pooling (Yang and others 2016, Lin and others 2017).

    Of a memory's features f_1 ... f_n:

        h = recurrent(f)
        alpha_t = softmax(v^T tanh(W h_t + b))          the weight of each position, over all positions
        p(label) = softmax(W_p sum_t(alpha_t h_t) + b_p)

    memory_width: features a position in the memory that it reads. labels: what it tells apart, in order.
    hidden_size: in each direction. cell: "rnn", "lstm" or "gru".
    dropout: which share of the features of a whole sequence is dropped, in training, before the recurrent
        network, between its layers and after it.

    Raises `InputError` for a cell of another name.
    """

    answers = "label"

    def __init__(
        self,
        *,
        memory_width: int,
        labels: Sequence[str],
        hidden_size: int = 150,
        attention_size: int = 100,
        num_layers: int = 1,
        cell: str = "lstm",
        dropout: float = 0.5,
    ):
        super().__init__()
        if cell not in CELLS:
            raise InputError(f"cell={cell!r}: one of {', '.join(CELLS)} would do.")
        self.config: dict[str, Any] = {
            "memory_width": memory_width,
            "labels": list(labels),
            "hidden_size": hidden_size,
            "attention_size": attention_size,
            "num_layers": num_layers,
            "cell": cell,
            "dropout": dropout,
        }
        self.recurrent = Recurrent(
            memory_width, hidden_size, cell=cell, num_layers=num_layers, bidirectional=True, dropout=dropout
        )
        self.key = nn.Linear(self.recurrent.output_size, attention_size)
        self.energy = nn.Linear(attention_size, 1, bias=False)
        self.output = nn.Linear(self.recurrent.output_size, len(labels))
        self.dropout = VariationalDropout(dropout)

    def answer(self, memory: Memory) -> dict[str, Tensor]:
        """`log_probs` `(batch, labels)`, and `attention` `(batch, positions)`."""
        logits, weights = self(memory)
        return {"log_probs": torch.log_softmax(logits, dim=-1), "attention": weights}

    def forward(self, memory: Memory) -> tuple[Tensor, Tensor]:
        """Read memories whose rows have at least one position each.

        Returns logits `(batch, labels)` and the weights of the positions `(batch, positions)`, which are zero
        at masked positions and sum to one.
        """
        hidden, _ = self.recurrent(self.dropout(memory.features), memory.mask.sum(dim=1))
        hidden = self.dropout(hidden)
        energies = self.energy(torch.tanh(self.key(hidden))).squeeze(2)
        weights = torch.softmax(energies.masked_fill(~memory.mask, -math.inf), dim=1)
        pooled = (weights.unsqueeze(1) @ hidden).squeeze(1)
        return self.output(pooled), weights
