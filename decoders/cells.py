"""The textbook recurrent cells: one time step each, written as their formulas are printed.

All three read an input `x` of `(batch, input_size)` and a state of `(batch, hidden_size)` tensors, and hand on
the next state. `[h, x]` is concatenation along the features, so that one product serves all gates of a cell.
Their equality with PyTorch's and ONNX's operators is proved in `tests/decoders/test_cells.py`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class Cell(nn.Module, ABC):
    """What the cells share: sizes, the names of their state, and how weights start.

    state_names: what the state consists of, in order; the first is the hidden state, which is also the output.
    """

    state_names: tuple[str, ...] = ("hidden",)

    def __init__(self, input_size: int, hidden_size: int):
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size

    def affine(self, outputs: int) -> nn.Linear:
        """`W [h, x] + b` with `outputs` rows, started uniformly within `1 / sqrt(hidden_size)`."""
        layer = nn.Linear(self.hidden_size + self.input_size, outputs)
        bound = 1 / math.sqrt(self.hidden_size)
        nn.init.uniform_(layer.weight, -bound, bound)
        nn.init.zeros_(layer.bias)
        return layer

    @abstractmethod
    def forward(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """One step: `x` of `(batch, input_size)` and the state before it give the state after it."""


class RNNCell(Cell):
    """Elman's network (Finding Structure in Time, 1990).

    h_t = tanh(W_hh h_{t-1} + W_xh x_t + b_h)
    """

    def __init__(self, input_size: int, hidden_size: int):
        super().__init__(input_size, hidden_size)
        self.hidden = self.affine(hidden_size)

    def forward(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """One step; the state is `(h,)`."""
        (h,) = state
        return (torch.tanh(self.hidden(torch.cat([h, x], dim=-1))),)


class LSTMCell(Cell):
    """Long short-term memory (Hochreiter and Schmidhuber 1997; forget gate by Gers and others 2000).

    f_t = sigmoid(W_f [h_{t-1}, x_t] + b_f)          what to keep of the memory
    i_t = sigmoid(W_i [h_{t-1}, x_t] + b_i)          how much of the candidate to write
    o_t = sigmoid(W_o [h_{t-1}, x_t] + b_o)          how much of the memory to show
    C~_t = tanh(W_C [h_{t-1}, x_t] + b_C)            the candidate
    C_t = f_t * C_{t-1} + i_t * C~_t
    h_t = o_t * tanh(C_t)
    """

    state_names = ("hidden", "cell")

    def __init__(self, input_size: int, hidden_size: int):
        super().__init__(input_size, hidden_size)
        self.gates = self.affine(4 * hidden_size)
        # A forget gate that starts open lets gradients through from the first step (Jozefowicz and others 2015).
        nn.init.ones_(self.gates.bias.data[:hidden_size])

    def forward(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """One step; the state is `(h, C)`."""
        h, c = state
        f, i, o, candidate = self.gates(torch.cat([h, x], dim=-1)).chunk(4, dim=-1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(candidate)
        return torch.sigmoid(o) * torch.tanh(c), c


class GRUCell(Cell):
    """Gated recurrent unit (Cho and others 2014, version 1), the reset gate applied before the product.

    z_t = sigmoid(W_z [h_{t-1}, x_t] + b_z)          how much to renew
    r_t = sigmoid(W_r [h_{t-1}, x_t] + b_r)          how much of the past the candidate sees
    h~_t = tanh(W_h [r_t * h_{t-1}, x_t] + b_h)
    h_t = (1 - z_t) * h_{t-1} + z_t * h~_t

    ONNX calls this `linear_before_reset=0`. PyTorch's GRU applies the reset after the product and swaps the
    roles of z and 1 - z, so it is a different network.
    """

    def __init__(self, input_size: int, hidden_size: int):
        super().__init__(input_size, hidden_size)
        self.gates = self.affine(2 * hidden_size)
        self.candidate = self.affine(hidden_size)

    def forward(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """One step; the state is `(h,)`."""
        (h,) = state
        z, r = torch.sigmoid(self.gates(torch.cat([h, x], dim=-1))).chunk(2, dim=-1)
        candidate = torch.tanh(self.candidate(torch.cat([r * h, x], dim=-1)))
        return ((1 - z) * h + z * candidate,)


CELLS: dict[str, type[Cell]] = {"rnn": RNNCell, "lstm": LSTMCell, "gru": GRUCell}
