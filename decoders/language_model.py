"""A recurrent language model: how probable a text is, token by token, and what may come next."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from showtell.decoders.cells import CELLS
from showtell.decoders.dropout import VariationalDropout
from showtell.decoders.recurrent import Recurrent
from showtell.errors import InputError

State = dict[str, Tensor]


class LanguageModel(nn.Module):
    """A recurrent network over words, parts of words or characters (Mikolov and others 2010).

    Of tokens w_1 ... w_n, which E embeds:

        h_t = recurrent(E w_1 ... E w_t)
        p(w_t+1 | w_1 ... w_t) = softmax(E^T (U h_t) + b)

    The embedding is the last matrix too (Press and Wolf 2017); U takes the hidden state to its size.

    cell: "rnn", "lstm" or "gru".
    dropout: which share of the features of a whole sequence is dropped, in training, before the recurrent
        network, between its layers and after it.

    Raises `InputError` for a cell of another name.
    """

    def __init__(
        self,
        *,
        vocabulary_size: int,
        embedding_size: int = 256,
        hidden_size: int = 512,
        num_layers: int = 2,
        cell: str = "lstm",
        dropout: float = 0.5,
    ):
        super().__init__()
        if cell not in CELLS:
            raise InputError(f"cell={cell!r}: one of {', '.join(CELLS)} would do.")
        self.config: dict[str, Any] = {
            "vocabulary_size": vocabulary_size,
            "embedding_size": embedding_size,
            "hidden_size": hidden_size,
            "num_layers": num_layers,
            "cell": cell,
            "dropout": dropout,
        }
        self.embedding = nn.Embedding(vocabulary_size, embedding_size)
        self.recurrent = Recurrent(embedding_size, hidden_size, cell=cell, num_layers=num_layers, dropout=dropout)
        self.project = nn.Linear(hidden_size, embedding_size)
        self.vocabulary_bias = nn.Parameter(torch.zeros(vocabulary_size))
        self.dropout = VariationalDropout(dropout)
        # The embedding is the last matrix too, so its scale is that of a linear layer.
        nn.init.normal_(self.embedding.weight, std=embedding_size**-0.5)

    def init_state(self, batch: int) -> State:
        """The state before the first token: zeros, `(batch, layers, hidden_size)` for each part of the cells' state."""
        shape = batch, self.recurrent.num_layers, self.recurrent.hidden_size
        return {name: self.vocabulary_bias.new_zeros(shape) for name in self.recurrent.state_names}

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Read tokens, `(batch, time)`, from a state on; by default from the first.

        Returns the logits `(batch, time, vocabulary)` of what follows each token, and the state, from which a text
        is read on.
        """
        names = self.recurrent.state_names
        state = self.init_state(len(tokens)) if state is None else state
        embedded = self.dropout(self.embedding(tokens))
        hidden, after = self.recurrent(embedded, state=tuple(state[name] for name in names))
        projected = self.project(self.dropout(hidden))
        logits = nn.functional.linear(projected, self.embedding.weight, self.vocabulary_bias)
        return logits, dict(zip(names, after, strict=True))

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """One step of every hypothesis, as `search.py` takes it.

        tokens: `(batch, beams)`, those just written. state: tensors `(batch, beams, layers, hidden_size)`.

        Returns log-probabilities `(batch, beams, vocabulary)`, and the next state.
        """
        logits, after = self(tokens.reshape(-1, 1), {name: part.flatten(0, 1) for name, part in state.items()})
        log_probs = torch.log_softmax(logits.reshape(*tokens.shape, -1), dim=-1)
        return log_probs, {name: part.unflatten(0, tokens.shape) for name, part in after.items()}


@torch.no_grad()
def perplexity(model: LanguageModel, tokens: Tensor, *, window: int = 256) -> float:
    """The perplexity of one long text, `(time,)`, of two tokens or more: e to the mean surprise of all but the first.

    window: how many tokens are read at once; the state is carried, so that it changes nothing.
    """
    state, surprise = None, 0.0
    for start in range(0, len(tokens) - 1, window):
        read, follow = tokens[start : start + window], tokens[start + 1 : start + 1 + window]
        logits, state = model(read[None, : len(follow)], state)
        surprise += nn.functional.cross_entropy(logits[0], follow, reduction="sum").item()
    return math.exp(surprise / (len(tokens) - 1))
