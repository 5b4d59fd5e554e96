from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from showtell import projection
from showtell.decoders.attention_decoder import AttentionDecoder
from showtell.decoders.cells import CELLS
from showtell.graphs import Step, export
from showtell.pipelines.runtime import OnnxGraph


def make_step(cell: str) -> Step:
    torch.manual_seed(0)
    decoder = AttentionDecoder(
        memory_width=6, vocabulary_size=9, hidden_size=8, embedding_size=5, attention_size=4, cell=cell
    )
    for bias in (parameter for name, parameter in decoder.named_parameters() if name.endswith("bias")):
        torch.nn.init.normal_(bias)
    return Step(decoder.eval())


@pytest.mark.parametrize("cell", CELLS)
def test_a_step_that_looks_products_up_gives_what_torch_computes(cell: str, tmp_path: Path) -> None:
    step = make_step(cell)
    code, names = export(step)
    # One for the embedding, and one for each product of the cell.
    nodes = onnx.load_from_string(code).graph.node
    products = 2 if cell == "gru" else 1
    assert sum(node.op_type == "Gather" for node in nodes) == 1 + products

    file = tmp_path / "step.onnx"
    file.write_bytes(code)
    weights = {name: value.numpy() for name, value in step.state_dict().items()}
    graph = OnnxGraph(file, {name: weights[name] for name in names})
    inputs, _ = step.example()
    inputs |= {name: torch.randn_like(value) for name, value in inputs.items() if value.is_floating_point()}
    inputs["tokens"] = torch.tensor([[0, 3, 8], [5, 5, 1]])
    with torch.no_grad():
        expected = step(**inputs)
    found = graph(**{name: value.numpy() for name, value in inputs.items()})
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value.numpy(), atol=1e-5, err_msg=name)


def test_a_table_too_large_for_memory_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "MOST_TABLE_BYTES", 4 * 9 * 4 * 8 - 1)
    code, _ = export(make_step("lstm"))
    assert sum(node.op_type == "Gather" for node in onnx.load_from_string(code).graph.node) == 1
