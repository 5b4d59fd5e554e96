from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from showtell.decoders.cells import CELLS
from showtell.decoders.recurrent import Recurrent

INPUT, HIDDEN = 3, 4
EVERY_CELL = pytest.mark.parametrize("cell", CELLS)
EVERY_STACK = pytest.mark.parametrize(
    ("cell", "num_layers", "bidirectional"),
    [(cell, num_layers, both) for cell in CELLS for num_layers in (1, 2) for both in (False, True)],
)

State = tuple[Tensor, ...]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def random_stack(cell: str, num_layers: int = 1, bidirectional: bool = False) -> Recurrent:
    """A stack whose every weight counts, biases too."""
    stack = Recurrent(INPUT, HIDDEN, cell=cell, num_layers=num_layers, bidirectional=bidirectional)
    for parameter in stack.parameters():
        nn.init.normal_(parameter, std=0.7)
    return stack.eval()


def random_state(stack: Recurrent, batch: int) -> State:
    return tuple(torch.randn(batch, len(stack.cells), HIDDEN) for _ in stack.state_names)


def assert_close(ours: tuple[Tensor, State], theirs: tuple[Tensor, State], tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(ours[0], theirs[0], atol=tolerance, rtol=0)
    torch.testing.assert_close(ours[1], theirs[1], atol=tolerance, rtol=0)


def plain_loop(stack: Recurrent, row: Tensor, state: State) -> tuple[Tensor, State]:
    """One unpadded row of `(time, input_size)` through the textbook cells, a step at a time."""
    finals: list[State] = []
    cells = iter(stack.cells)
    for _ in range(stack.num_layers):
        outputs = []
        for backward in (False, True)[: stack.directions]:
            cell, now = next(cells), tuple(part[len(finals)] for part in state)
            steps = []
            for x_t in reversed(row) if backward else row:
                now = cell(x_t, now)
                steps.append(now[0])
            outputs.append(torch.stack(steps[::-1] if backward else steps))
            finals.append(now)
        row = torch.cat(outputs, dim=-1)
    return row, tuple(torch.stack(parts) for parts in zip(*finals, strict=True))


@EVERY_STACK
@settings(max_examples=15)
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4))
@torch.no_grad()
def test_a_row_of_a_padded_batch_gets_what_the_textbook_cells_give_it_alone(
    cell: str, num_layers: int, bidirectional: bool, lengths: list[int]
) -> None:
    stack = random_stack(cell, num_layers, bidirectional)
    inputs = torch.randn(len(lengths), 7, INPUT)
    for row, length in enumerate(lengths):
        inputs[row, length:] = 50.0  # padding that would show
    state = random_state(stack, len(lengths))
    outputs, final = stack(inputs, torch.tensor(lengths), state)
    for row, length in enumerate(lengths):
        alone = plain_loop(stack, inputs[row, :length], tuple(part[row] for part in state))
        assert_close((outputs[row, :length], tuple(part[row] for part in final)), alone)
        assert not outputs[row, length:].any()


@EVERY_STACK
@torch.no_grad()
def test_without_lengths_every_step_is_real_and_without_a_state_it_is_zero(
    cell: str, num_layers: int, bidirectional: bool
) -> None:
    stack = random_stack(cell, num_layers, bidirectional)
    inputs = torch.randn(2, 5, INPUT)
    zeros = tuple(torch.zeros_like(part) for part in random_state(stack, 2))
    outputs, final = stack(inputs)
    assert_close((outputs, final), stack(inputs, torch.tensor([5, 5]), zeros))
    assert outputs.shape == (2, 5, stack.output_size)
    assert [part.shape for part in final] == [(2, len(stack.cells), HIDDEN) for _ in stack.state_names]


@EVERY_CELL
@torch.no_grad()
def test_chunks_with_the_state_handed_on_equal_the_whole(cell: str) -> None:
    stack = random_stack(cell, num_layers=2)
    inputs = torch.randn(2, 9, INPUT)
    chunks, state = [], None
    for chunk in inputs.split([4, 1, 4], dim=1):
        outputs, state = stack(chunk, state=state)
        chunks.append(outputs)
    assert state is not None
    assert_close((torch.cat(chunks, dim=1), state), stack(inputs), 1e-6)


@EVERY_CELL
def test_gradients_are_right_and_none_reaches_the_padding(cell: str) -> None:
    stack = random_stack(cell, num_layers=2, bidirectional=True).double()
    inputs = torch.randn(2, 3, INPUT, dtype=torch.double, requires_grad=True)
    state = tuple(part.double().requires_grad_() for part in random_state(stack, 2))
    lengths = torch.tensor([3, 2])

    def run(inputs: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        outputs, final = stack(inputs, lengths, state)
        return outputs, *final

    assert torch.autograd.gradcheck(run, (inputs, *state))
    torch.cat([part.flatten() for part in run(inputs, *state)]).sum().backward()
    assert inputs.grad is not None
    assert inputs.grad[1, :2].all()
    assert not inputs.grad[1, 2:].any()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in stack.parameters())


@EVERY_CELL
def test_dropout_falls_between_layers_and_only_in_training(cell: str) -> None:
    inputs = torch.randn(2, 5, INPUT)
    one = Recurrent(INPUT, HIDDEN, cell=cell, dropout=0.5)
    assert torch.equal(one(inputs)[0], one(inputs)[0])
    two = Recurrent(INPUT, HIDDEN, cell=cell, num_layers=2, dropout=0.5)
    assert not torch.equal(two(inputs)[0], two(inputs)[0])
    two.eval()
    assert torch.equal(two(inputs)[0], two(inputs)[0])


def export(stack: nn.Module, inputs: tuple, dynamic_shapes: tuple, names: list[str], path: Path) -> None:
    torch.onnx.export(
        stack,
        inputs,
        path,
        input_names=names,
        dynamic_shapes=dynamic_shapes,
        dynamo=True,
        optimize=False,
        verbose=False,
    )


@pytest.mark.filterwarnings("ignore:# The axis name")
@EVERY_CELL
def test_an_exported_graph_equals_torch_at_any_batch_time_and_lengths(cell: str, tmp_path: Path) -> None:
    stack = random_stack(cell, num_layers=2, bidirectional=True)
    names = ["inputs", "lengths", *stack.state_names]
    example = (torch.randn(3, 7, INPUT), torch.tensor([7, 3, 1]), random_state(stack, 3))
    dynamic_shapes = ({0: "batch", 1: "time"}, {0: "batch"}, tuple({0: "batch"} for _ in stack.state_names))
    export(stack, example, dynamic_shapes, names, tmp_path / "stack.onnx")

    graph = onnx.load(tmp_path / "stack.onnx").graph
    assert dict(stack.named_parameters()).keys() <= {initializer.name for initializer in graph.initializer}

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "opened.onnx")
    options.log_severity_level = 3  # it warns that the file it writes suits this machine
    session = onnxruntime.InferenceSession(tmp_path / "stack.onnx", options)
    for lengths in ([1], [7, 3, 1], [1, 11, 4, 11, 2]):
        state = random_state(stack, len(lengths))
        inputs = torch.randn(len(lengths), max(lengths) + 1, INPUT)
        arrays = [tensor.numpy() for tensor in (inputs, torch.tensor(lengths), *state)]
        results = session.run(None, dict(zip(names, arrays, strict=True)))
        outputs, *final = (torch.from_numpy(np.asarray(result)) for result in results)
        with torch.no_grad():
            assert_close((outputs, tuple(final)), stack(inputs, torch.tensor(lengths), state))

    # An open model keeps the operators and changes of shape: every node over weights was worked out.
    operators = Counter(node.op_type for node in onnx.load(tmp_path / "opened.onnx").graph.node)
    assert operators.pop(cell.upper()) == 4
    assert operators.keys() <= {
        "Cast",
        "Concat",
        "Gather",
        "Slice",
        "Split",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
    }


def test_an_export_needs_neither_lengths_nor_state(tmp_path: Path) -> None:
    stack = random_stack("lstm")
    example = (torch.randn(2, 5, INPUT),)
    export(stack, example, ({0: "batch", 1: "time"},), ["inputs"], tmp_path / "stack.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "stack.onnx")
    inputs = torch.randn(4, 9, INPUT)
    outputs, *final = (torch.from_numpy(np.asarray(r)) for r in session.run(None, {"inputs": inputs.numpy()}))
    with torch.no_grad():
        assert_close((outputs, tuple(final)), stack(inputs))
