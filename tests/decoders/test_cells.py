from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from showtell.decoders.cells import CELLS, Cell, GRUCell, LSTMCell, RNNCell

TIME, BATCH, INPUT, HIDDEN = 6, 3, 5, 4


def random_cell(name: str) -> Cell:
    """A cell whose every weight counts, biases too."""
    cell = CELLS[name](INPUT, HIDDEN)
    for parameter in cell.parameters():
        nn.init.normal_(parameter, std=0.7)
    return cell


def random_inputs(cell: Cell) -> tuple[Tensor, tuple[Tensor, ...]]:
    return torch.randn(TIME, BATCH, INPUT), tuple(torch.randn(BATCH, HIDDEN) for _ in cell.state_names)


@torch.no_grad()
def run_steps(cell: Cell, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
    outputs = []
    for x_t in x:
        state = cell(x_t, state)
        outputs.append(state[0])
    return torch.stack(outputs), state


def gates(cell: Cell) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Each gate's weights over x, weights over h, and bias, in the order of the cell's docstring."""
    layers = [layer for layer in cell.children() if isinstance(layer, nn.Linear)]
    return [
        (weight[:, HIDDEN:], weight[:, :HIDDEN], bias)
        for layer in layers
        for weight, bias in zip(layer.weight.detach().split(HIDDEN), layer.bias.detach().split(HIDDEN), strict=True)
    ]


def joined(rows: list[tuple[Tensor, Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
    w_x, w_h, bias = (torch.cat(parts) for parts in zip(*rows, strict=True))
    return w_x, w_h, bias


def negated(row: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    w_x, w_h, bias = row
    return -w_x, -w_h, -bias


def fill(module: nn.RNNBase, rows: list[tuple[Tensor, Tensor, Tensor]]) -> None:
    w_x, w_h, bias = joined(rows)
    module.load_state_dict(
        {"weight_ih_l0": w_x, "weight_hh_l0": w_h, "bias_ih_l0": bias, "bias_hh_l0": torch.zeros_like(bias)}
    )


def run_onnx(operator: str, rows: list[tuple[Tensor, Tensor, Tensor]], x: Tensor, state: tuple[Tensor, ...], **attrs):
    """The operator of ONNX Runtime over a sequence: its outputs and the state it ends in."""
    w_x, w_h, bias = joined(rows)
    initializers = {"W": w_x, "R": w_h, "B": torch.cat([bias, torch.zeros_like(bias)])}
    states = [f"state_{place}" for place in range(len(state))]
    finals = [f"final_{place}" for place in range(len(state))]
    node = helper.make_node(operator, ["X", "W", "R", "B", "", *states], ["Y", *finals], hidden_size=HIDDEN, **attrs)
    graph = helper.make_graph(
        [node],
        operator,
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ["X", *states]],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ["Y", *finals]],
        [numpy_helper.from_array(tensor.numpy()[None], name) for name, tensor in initializers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    feeds = {"X": x.numpy()} | {name: part.numpy()[None] for name, part in zip(states, state, strict=True)}
    outputs, *final = (np.asarray(array) for array in session.run(None, feeds))
    return outputs[:, 0], [part[0] for part in final]


def sigmoid(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


def rnn_formula(cell: Cell, x: np.ndarray, h: np.ndarray) -> list[np.ndarray]:
    ((w_xh, w_hh, b_h),) = [[part.numpy() for part in gate] for gate in gates(cell)]
    return [np.tanh(h @ w_hh.T + x @ w_xh.T + b_h)]


def lstm_formula(cell: Cell, x: np.ndarray, h: np.ndarray, c: np.ndarray) -> list[np.ndarray]:
    f, i, o, candidate = ((x @ w_x.numpy().T + h @ w_h.numpy().T + b.numpy()) for w_x, w_h, b in gates(cell))
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(candidate)
    return [sigmoid(o) * np.tanh(c), c]


def gru_formula(cell: Cell, x: np.ndarray, h: np.ndarray) -> list[np.ndarray]:
    z, r, candidate = [[part.numpy() for part in gate] for gate in gates(cell)]
    renew = sigmoid(x @ z[0].T + h @ z[1].T + z[2])
    reset = sigmoid(x @ r[0].T + h @ r[1].T + r[2])
    return [(1 - renew) * h + renew * np.tanh(x @ candidate[0].T + (reset * h) @ candidate[1].T + candidate[2])]


FORMULAS = {"rnn": rnn_formula, "lstm": lstm_formula, "gru": gru_formula}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_is_its_printed_formula(name: str) -> None:
    cell = random_cell(name)
    x, state = random_inputs(cell)
    _, final = run_steps(cell, x, state)
    expected = [part.numpy() for part in state]
    for x_t in x.numpy():
        expected = FORMULAS[name](cell, x_t, *expected)
    for ours, theirs in zip(final, expected, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-6)


def test_the_rnn_cell_over_a_sequence_is_torchs_rnn() -> None:
    cell = random_cell("rnn")
    x, (h,) = random_inputs(cell)
    rnn = nn.RNN(INPUT, HIDDEN)
    fill(rnn, gates(cell))
    outputs, (final,) = run_steps(cell, x, (h,))
    expected, expected_final = rnn(x, h[None])
    torch.testing.assert_close(outputs, expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(final, expected_final[0], atol=1e-6, rtol=0)


def test_the_lstm_cell_over_a_sequence_is_torchs_lstm() -> None:
    cell = random_cell("lstm")
    x, (h, c) = random_inputs(cell)
    f, i, o, candidate = gates(cell)
    lstm = nn.LSTM(INPUT, HIDDEN)
    fill(lstm, [i, f, candidate, o])
    outputs, final = run_steps(cell, x, (h, c))
    expected, expected_final = lstm(x, (h[None], c[None]))
    torch.testing.assert_close(outputs, expected, atol=1e-6, rtol=0)
    for ours, theirs in zip(final, expected_final, strict=True):
        torch.testing.assert_close(ours, theirs[0], atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_over_a_sequence_is_onnxs_operator(name: str) -> None:
    cell = random_cell(name)
    x, state = random_inputs(cell)
    match cell, gates(cell):
        case RNNCell(), [hidden]:
            expected, expected_final = run_onnx("RNN", [hidden], x, state)
        case LSTMCell(), [f, i, o, candidate]:
            expected, expected_final = run_onnx("LSTM", [i, o, f, candidate], x, state)
        case GRUCell(), [z, r, candidate]:
            # ONNX's z is the share that is kept: 1 - sigmoid(a) = sigmoid(-a).
            rows = [negated(z), r, candidate]
            expected, expected_final = run_onnx("GRU", rows, x, state, linear_before_reset=0)
        case _:
            raise AssertionError(name)
    outputs, final = run_steps(cell, x, state)
    np.testing.assert_allclose(outputs.numpy(), expected, atol=1e-6)
    for ours, theirs in zip(final, expected_final, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-6)


def test_torchs_gru_is_another_network_as_soon_as_there_is_a_past_to_reset() -> None:
    cell = random_cell("gru")
    x, (h,) = random_inputs(cell)
    z, r, candidate = gates(cell)
    gru = nn.GRU(INPUT, HIDDEN)
    fill(gru, [r, negated(z), candidate])
    outputs, _ = run_steps(cell, x, (torch.zeros_like(h),))
    theirs, _ = gru(x)
    torch.testing.assert_close(outputs[0], theirs[0], atol=1e-6, rtol=0)
    assert (outputs[1:] - theirs[1:]).abs().amax(dim=(1, 2)).min() > 1e-2


def test_an_lstm_starts_with_its_forget_gate_open() -> None:
    (_, _, forget), *others = gates(LSTMCell(INPUT, HIDDEN))
    assert forget.tolist() == [1.0] * HIDDEN
    assert all(not bias.any() for _, _, bias in others)
