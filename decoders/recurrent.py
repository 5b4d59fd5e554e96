"""Recurrent networks over whole sequences: layers, directions and lengths around the cells of `cells.py`.

A stack's weights are its cells' own, and stepping through those cells is what it means. Two faster ways give
the same numbers: torch's kernel for the LSTM, and the operators RNN, LSTM and GRU in an exported ONNX graph.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from showtell.decoders.cells import CELLS, Cell, GRUCell, LSTMCell

State = tuple[Tensor, ...]


class Recurrent(nn.Module):
    """A stack of recurrent layers, each over the outputs of the one below, in one direction or in both.

    cell: `"rnn"`, `"lstm"` or `"gru"`; their formulas stand in `cells.py`.
    dropout: which share of a layer's outputs is dropped, in training, on the way to the next layer.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        cell: str = "lstm",
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.hidden_size, self.num_layers = hidden_size, num_layers
        self.directions = 2 if bidirectional else 1
        self.output_size = self.directions * hidden_size
        self.state_names = CELLS[cell].state_names
        # Layer by layer; in each the forward direction, then the backward one.
        self.cells = nn.ModuleList(
            CELLS[cell](input_size if layer == 0 else self.output_size, hidden_size)
            for layer in range(num_layers)
            for _ in range(self.directions)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, inputs: Tensor, lengths: Tensor | None = None, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Read `inputs` of `(batch, time, input_size)`; answer every step's output and the final state.

        lengths: `(batch,)`, how many steps of each row are real, at least one; by default all. A row of a
            padded batch gets what it would get alone, in both directions.
        state: where to start, a tensor `(batch, layers * directions, hidden_size)` for each of `state_names`;
            zeros by default. The final state has the same form, so a long input can be read in chunks.

        The outputs, `(batch, time, directions * hidden_size)`, are zero beyond a row's length. The final
        state is that after the step read last: a row's last real one, or its first in the backward direction.
        """
        batch, time, _ = inputs.shape
        if lengths is None:
            lengths = torch.full((batch,), time, device=inputs.device)
        if state is None:
            zeros = inputs.new_zeros(batch, len(self.cells), self.hidden_size)
            state = tuple(zeros for _ in self.state_names)
        x = inputs.transpose(0, 1)
        finals: list[State] = []
        for layer in range(self.num_layers):
            if layer > 0:
                x = self.dropout(x)
            outputs: list[Tensor] = []
            for backward in (False, True)[: self.directions]:
                place = len(finals)
                start = tuple(part[:, place] for part in state)
                output, final = _run(self.cells[place], x, lengths, start, backward)
                outputs.append(output)
                finals.append(final)
            x = torch.cat(outputs, dim=-1)
        return x.transpose(0, 1), tuple(torch.stack(parts, dim=1) for parts in zip(*finals, strict=True))


def _run(cell: nn.Module, x: Tensor, lengths: Tensor, state: State, backward: bool) -> tuple[Tensor, State]:
    """One cell, one way over `x` of `(time, batch, features)`; its state: `(batch, hidden_size)` tensors."""
    assert isinstance(cell, Cell)
    if torch.onnx.is_in_onnx_export():
        return _run_onnx(cell, x, lengths, state, backward)
    if isinstance(cell, LSTMCell):
        return _run_lstm(cell, x, lengths, state, backward)
    return _run_steps(cell, x, lengths, state, backward)


def _run_steps(cell: Cell, x: Tensor, lengths: Tensor, state: State, backward: bool) -> tuple[Tensor, State]:
    """Step by step, as the textbook does. While a row is in its padding, its state waits.

    The RNN runs so because torch's kernel gains it little on CPU, the GRU because torch's is another network.
    """
    real = _real(x, lengths)
    steps = list(zip(x.unbind(), real.unbind(), strict=True))
    outputs: list[Tensor] = []
    for x_t, real_t in reversed(steps) if backward else steps:
        after = cell(x_t, state)
        state = tuple(torch.where(real_t, new, old) for new, old in zip(after, state, strict=True))
        outputs.append(state[0])
    return torch.where(real, torch.stack(outputs[::-1] if backward else outputs), 0), state


def _run_lstm(cell: LSTMCell, x: Tensor, lengths: Tensor, state: State, backward: bool) -> tuple[Tensor, State]:
    """All steps in one call of the kernel below `nn.LSTM`; training on CPU is up to 1.6 times as fast.

    The kernel knows no lengths; over packed sequences it does, but is then slower than single steps. So one
    more input, 1 in the padding, opens the forget gate and shuts the input gate there. C waits, exactly. It is
    one or two inputs, so that their number is even: over pairs of bf16 the kernel takes half the time.
    """
    real = _real(x, lengths)
    if backward:
        x = _reverse(x, lengths)
    f, i, o, candidate = _gates(cell)
    w_x, w_h, bias = _operands(cell, [i, f, candidate, o])
    more = 2 - x.shape[-1] % 2
    leave = w_x.new_zeros(cell.hidden_size, more)
    padding = torch.cat([leave - 1e4, leave + 1e4, leave, leave])
    outputs, _, c = torch.lstm(
        torch.cat([x, (~real).to(x.dtype).expand(-1, -1, more)], dim=-1),
        [part.unsqueeze(0).contiguous() for part in state],
        [torch.cat([w_x, padding], dim=1), w_h.contiguous(), bias.contiguous(), torch.zeros_like(bias)],
        has_biases=True,
        num_layers=1,
        dropout=0.0,
        train=torch.is_grad_enabled(),
        bidirectional=False,
        batch_first=False,
    )
    h = outputs.gather(0, (lengths - 1)[None, :, None].expand(1, -1, cell.hidden_size))
    outputs = torch.where(real, outputs, 0)
    return _reverse(outputs, lengths) if backward else outputs, (h.squeeze(0), c.squeeze(0))


def _run_onnx(cell: Cell, x: Tensor, lengths: Tensor, state: State, backward: bool) -> tuple[Tensor, State]:
    """ONNX's operator for the cell, as a symbol in the graph that `torch.onnx.export(dynamo=True)` records.

    Its weights are a few nodes over the cell's parameters, which keep their names in the graph; ONNX Runtime
    works those nodes out once, when it opens the model.
    """
    match cell:
        case LSTMCell():
            f, i, o, candidate = _gates(cell)
            operator, gates = "LSTM", [i, o, f, candidate]
        case GRUCell():
            # ONNX's z is the share that is kept, ours the one renewed: 1 - sigmoid(a) = sigmoid(-a).
            z, r, candidate = _gates(cell)
            operator, gates = "GRU", [-z, r, candidate]
        case _:
            operator, gates = "RNN", _gates(cell)
    w_x, w_h, bias = _operands(cell, gates)
    weights = (w_x, w_h, nn.functional.pad(bias, (0, len(bias))))  # the second half is a bias for h: none
    time, batch, _ = x.shape
    outputs, *final = torch.onnx.ops.symbolic_multi_out(
        operator,
        [
            x,
            *(weight.unsqueeze(0) for weight in weights),
            lengths.to(torch.int32),
            *(part.unsqueeze(0) for part in state),
        ],
        {"hidden_size": cell.hidden_size, "direction": "reverse" if backward else "forward"},
        dtypes=[x.dtype] * (1 + len(state)),
        shapes=[(time, 1, batch, cell.hidden_size)] + [(1, batch, cell.hidden_size)] * len(state),
    )
    return outputs.squeeze(1), tuple(part.squeeze(0) for part in final)


def _gates(cell: Cell) -> list[Tensor]:
    """Each gate's `(hidden_size, hidden_size + input_size + 1)` weights: over h, over x, and its bias."""
    # A cell is one or two linear layers, so its parameters are a weight and a bias in turn.
    parameters: list[Tensor] = [*cell.parameters()]
    table = torch.cat([torch.cat(parameters[0::2]), torch.cat(parameters[1::2]).unsqueeze(1)], dim=1)
    # Slices, not split(): its ONNX form is a list, which ONNX Runtime does not work out beforehand.
    return [table[row : row + cell.hidden_size] for row in range(0, len(table), cell.hidden_size)]


def _operands(cell: Cell, gates: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """What an operator takes: the gates' weights over x, their weights over h, and their biases."""
    table = torch.cat(gates)
    return table[:, cell.hidden_size : -1], table[:, : cell.hidden_size], table[:, -1]


def _real(x: Tensor, lengths: Tensor) -> Tensor:
    """`(time, batch, 1)`, True where a step is real and not padding."""
    return (torch.arange(len(x), device=x.device)[:, None] < lengths).unsqueeze(-1)


def _reverse(x: Tensor, lengths: Tensor) -> Tensor:
    """The real steps of every row in reverse, its padding where it was."""
    steps = torch.arange(len(x), device=x.device)[:, None]
    return x.gather(0, torch.where(steps < lengths, lengths - 1 - steps, steps).unsqueeze(-1).expand_as(x))
