"""The attention decoder: a recurrent cell that looks into a memory before each token it writes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from showtell.decoders.attention import ATTENTIONS
from showtell.decoders.cells import CELLS
from showtell.decoders.recurrent import Recurrent
from showtell.errors import InputError
from showtell.memory import Memory

State = dict[str, Tensor]
Context = dict[str, Tensor]


class AttentionDecoder(nn.Module):
    """Show, Attend and Tell (Xu and others 2015), soft attention, with any cell and any attention.

    With a listener it is Listen, Attend and Spell (Chan and others 2016): a recurrent network in both directions
    reads the memory first, and its outputs stand in the place of the features. Chan's halves the time in each layer;
    here the encoder has done that already.

    Of a memory's features f_i it reads a_i = relu(W_a f_i + b_a), and it starts from their mean:

        h_0 = tanh(W_0 mean_i(a_i) + b_0)                       and so an LSTM's C_0 (section 3.1.2)

    At each step t, for the token y_{t-1} before it:

        z_t, alpha_t = attention(h_{t-1}, a, alpha_{t-1})       where to look (equations 4 to 6, 13)
        z_t = sigmoid(W_b h_{t-1} + b_b) * z_t                  how much to look (section 4.2.1)
        h_t = cell([E y_{t-1}, z_t], h_{t-1})                   (equations 1 to 3)
        p(y_t) = softmax(E^T tanh(E y_{t-1} + L_h h_t + b_h + L_z z_t) + b)

    The last line is equation 7 with a tanh before its last matrix, and with E itself as that matrix.

    A row of a batch has one memory and any number of hypotheses: beams when answering, the captions of one
    photograph when training. They share the memory without copies of it.

    memory_width: features a position in the memory that it reads.
    vocabulary_size: tokens; `start`, `end`, `pad` and `unknown` are four of them.
    attention: "additive", "dot", "general" or "location"; only the last sees alpha_{t-1}.
    cell: "rnn", "lstm" or "gru". listener_layers: of the network that reads the memory first, half of `hidden_size`
        wide in each direction; 0 is none.

    Raises `InputError` for an attention or a cell of another name.
    """

    answers = "text"

    def __init__(
        self,
        *,
        memory_width: int,
        vocabulary_size: int,
        hidden_size: int = 512,
        embedding_size: int = 512,
        attention_size: int = 256,
        attention: str = "additive",
        cell: str = "lstm",
        listener_layers: int = 0,
        dropout: float = 0.5,
        start: int = 1,
        end: int = 2,
        pad: int = 0,
        unknown: int = 3,
    ):
        super().__init__()
        for option, value, known in (("attention", attention, ATTENTIONS), ("cell", cell, CELLS)):
            if value not in known:
                raise InputError(f"{option}={value!r}: one of {', '.join(known)} would do.")
        self.config: dict[str, Any] = {
            "memory_width": memory_width,
            "vocabulary_size": vocabulary_size,
            "hidden_size": hidden_size,
            "embedding_size": embedding_size,
            "attention_size": attention_size,
            "attention": attention,
            "cell": cell,
            "listener_layers": listener_layers,
            "dropout": dropout,
            "start": start,
            "end": end,
            "pad": pad,
            "unknown": unknown,
        }
        self.listener = None
        if listener_layers:
            self.listener = Recurrent(
                memory_width,
                hidden_size // 2,
                cell=cell,
                num_layers=listener_layers,
                bidirectional=True,
                dropout=dropout,
            )
            memory_width = self.listener.output_size
        self.value = nn.Linear(memory_width, hidden_size)
        self.attention = ATTENTIONS[attention](hidden_size, hidden_size, attention_size)
        self.gate = nn.Linear(hidden_size, hidden_size)
        self.embedding = nn.Embedding(vocabulary_size, embedding_size)
        self.cell = CELLS[cell](embedding_size + hidden_size, hidden_size)
        self.initial = nn.Linear(hidden_size, hidden_size * len(self.cell.state_names))
        self.state_names = self.cell.state_names + ("looked",) * self.attention.looks_back
        self.output_hidden = nn.Linear(hidden_size, embedding_size)
        self.output_context = nn.Linear(hidden_size, embedding_size, bias=False)
        self.vocabulary_bias = nn.Parameter(torch.zeros(vocabulary_size))
        self.dropout = nn.Dropout(dropout)
        # The embedding is the last matrix too, so its scale is that of a linear layer.
        nn.init.normal_(self.embedding.weight, std=embedding_size**-0.5)

    def init_state(self, memory: Memory) -> tuple[Context, State]:
        """What no step changes (`values`, `keys`, `mask`), and the state before the first step.

        The state's tensors are `(batch, 1, hidden_size)`: one hypothesis an input. That of an attention that looks
        back has `looked` too, `(batch, 1, positions)`: it has looked nowhere yet.
        """
        features = self.dropout(memory.features)
        if self.listener is not None:
            features = self.dropout(self.listener(features, memory.mask.sum(dim=1))[0])
        values = torch.relu(self.value(features))
        weights = memory.mask[:, :, None].to(values.dtype)
        mean = (values * weights).sum(dim=1) / weights.sum(dim=1)
        states = torch.tanh(self.initial(mean)).chunk(len(self.cell.state_names), dim=-1)
        context = {"values": values, "keys": self.attention.keys(values), "mask": memory.mask}
        state = {name: s[:, None, :] for name, s in zip(self.cell.state_names, states, strict=True)}
        if self.attention.looks_back:
            state["looked"] = torch.zeros_like(values[:, None, :, 0])
        return context, state

    def step(self, tokens: Tensor, state: State, context: Context) -> tuple[Tensor, State, Tensor]:
        """One step of every hypothesis.

        tokens: `(batch, beams)`, the tokens just written. state: tensors `(batch, beams, ...)`.

        Returns log-probabilities `(batch, beams, vocabulary)`, the next state, and the attention
        `(batch, beams, positions)` of this step.
        """
        embedded = self.embedding(tokens)
        state, looked, weights = self._advance(embedded, state, context)
        return torch.log_softmax(self._logits(embedded, state["hidden"], looked), dim=-1), state, weights

    def forward(self, memory: Memory, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Teacher forcing: score given texts.

        tokens: `(batch, texts, time)`, each text from `start` on; all texts of a row share its memory.

        Returns the logits `(batch, texts, time, vocabulary)` of what follows each token, and the attention
        `(batch, texts, time, positions)`.
        """
        context, state = self.init_state(memory)
        state = {name: s.expand(-1, tokens.shape[1], -1) for name, s in state.items()}
        embedded = self.dropout(self.embedding(tokens))
        hidden, looked, weights = [], [], []
        for x in embedded.unbind(dim=2):
            state, z, alpha = self._advance(x, state, context)
            hidden.append(state["hidden"])
            looked.append(z)
            weights.append(alpha)
        logits = self._logits(embedded, torch.stack(hidden, dim=2), torch.stack(looked, dim=2))
        return logits, torch.stack(weights, dim=2)

    def _advance(self, embedded: Tensor, state: State, context: Context) -> tuple[State, Tensor, Tensor]:
        """Look, gate, and move the cell on."""
        h = state["hidden"]
        looked = state.get("looked")
        z, weights = self.attention(h, context["keys"], context["values"], context["mask"], looked)
        z = torch.sigmoid(self.gate(h)) * z
        names = self.cell.state_names
        after = self.cell(torch.cat([embedded, z], dim=-1), tuple(state[name] for name in names))
        following = dict(zip(names, after, strict=True))
        if looked is not None:
            following["looked"] = weights.clone()  # `torch.onnx.export` loses the name of an output that is another
        return following, z, weights

    def _logits(self, embedded: Tensor, hidden: Tensor, looked: Tensor) -> Tensor:
        """The deep output layer, whose last matrix is the embedding (Press and Wolf 2017)."""
        deep = embedded + self.output_hidden(self.dropout(hidden)) + self.output_context(looked)
        return nn.functional.linear(self.dropout(torch.tanh(deep)), self.embedding.weight, self.vocabulary_bias)


def doubly_stochastic_penalty(weights: Tensor, real: Tensor) -> Tensor:
    """Ask a decoder to look everywhere once: the mean over texts of sum_i (1 - sum_t alpha_ti)^2.

    Equation 14 of Xu and others 2015, divided by the number of positions so that its size does not depend on
    the grid. A text that is all padding does not count: a photograph may have fewer captions than others.

    weights: `(batch, texts, time, positions)`, of memories without padding.
    real: `(batch, texts, time)`, True at real tokens, of which there must be one.
    """
    looked = (weights * real[..., None]).sum(dim=2)
    return ((1 - looked) ** 2)[real.any(dim=-1)].mean()
