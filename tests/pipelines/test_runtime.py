from __future__ import annotations

import multiprocessing
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from showtell.bundle import Bundle, write_bundle
from showtell.errors import InputError, MissingExtraError, ModelError
from showtell.pipelines.runtime import Graph, OnnxGraph, Runtime, TorchGraph, on_one_core


class Step(nn.Module):
    """A token and a state to the next state, and the state's mean."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 8)
        self.hidden = nn.Linear(8, 8)

    def forward(self, tokens: Tensor, state: Tensor) -> dict[str, Tensor]:
        state = torch.tanh(self.hidden(self.embedding(tokens) + state))
        return {"mean": state.mean(dim=-1), "state_next": state}


def step_graph() -> bytes:
    """`Step` in ONNX, its weights external and nowhere."""
    initializers = []
    for name, shape in (("embedding.weight", (11, 8)), ("hidden.weight", (8, 8)), ("hidden.bias", (8,))):
        tensor = TensorProto(name=name, dims=shape, data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value="unset")
        initializers.append(tensor)
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["embedding.weight", "tokens"], ["embedded"]),
            helper.make_node("Add", ["embedded", "state"], ["x"]),
            helper.make_node("Gemm", ["x", "hidden.weight", "hidden.bias"], ["y"], transB=1),
            helper.make_node("Tanh", ["y"], ["state_next"]),
            helper.make_node("ReduceMean", ["state_next", "axes"], ["mean"], keepdims=0),
        ],
        "step",
        [
            helper.make_tensor_value_info("tokens", TensorProto.INT64, ["batch"]),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, ["batch", 8]),
        ],
        [
            helper.make_tensor_value_info("mean", TensorProto.FLOAT, ["batch"]),
            helper.make_tensor_value_info("state_next", TensorProto.FLOAT, ["batch", 8]),
        ],
        [*initializers, helper.make_tensor("axes", TensorProto.INT64, [1], [-1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return model.SerializeToString()


def write(folder: Path, names: list[str] | None = None) -> Path:
    torch.manual_seed(0)
    weights = {name: value.numpy() for name, value in Step().state_dict().items()}
    write_bundle(
        folder,
        config={
            "task": "image-to-text",
            "graphs": {"step": {"weights": list(weights) if names is None else names}},
        },
        weights={**weights, "of.another.graph": np.zeros(3, np.float32)},
        graphs={"step": step_graph()},
        tokenizer=None,
        card="",
    )
    return folder


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return Bundle.open(write(tmp_path / "model"))


def open_graph(bundle: Bundle, runtime: str, **options: Any) -> Graph:
    if runtime == "onnx":
        return Runtime(**options).open(bundle)["step"]
    module = Step()
    weights = {name: torch.from_numpy(bundle.weights()[name]) for name in module.state_dict()}
    module.load_state_dict(weights)
    return TorchGraph(module, ("tokens", "state"), ("mean", "state_next"), **options)


def inputs(batch: int, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {
        "tokens": random.integers(0, 11, size=batch),
        "state": random.standard_normal((batch, 8), dtype=np.float32),
    }


@pytest.mark.parametrize("runtime", ["onnx", "torch"])
@pytest.mark.parametrize("batch", [0, 1, 5])
def test_a_saved_graph_computes_what_the_module_computes(bundle: Bundle, runtime: str, batch: int) -> None:
    torch.manual_seed(0)
    arrays = inputs(batch)
    with torch.no_grad():
        wanted = Step()(**{name: torch.from_numpy(array) for name, array in arrays.items()})
    graph = open_graph(bundle, runtime)
    answers = graph(**arrays)
    assert graph.inputs == ("tokens", "state")
    assert graph.outputs == tuple(answers) == ("mean", "state_next")
    for name, answer in answers.items():
        assert answer.dtype == np.float32
        # The weights went through fp16.
        np.testing.assert_allclose(answer, wanted[name].numpy(), atol=1e-3)


def test_both_runtimes_compute_the_same(bundle: Bundle) -> None:
    arrays = inputs(7)
    by_onnx, by_torch = open_graph(bundle, "onnx")(**arrays), open_graph(bundle, "torch")(**arrays)
    for name in by_onnx:
        np.testing.assert_allclose(by_onnx[name], by_torch[name], atol=1e-5)


@pytest.mark.parametrize("runtime", ["onnx", "torch"])
def test_read_only_reversed_and_strided_arrays_will_do(bundle: Bundle, runtime: str) -> None:
    graph = open_graph(bundle, runtime)
    tokens, state = inputs(6).values()
    tokens.flags.writeable = False
    views = {"tokens": tokens[::-2], "state": np.asfortranarray(state)[::-2]}
    copies = {name: np.ascontiguousarray(array) for name, array in views.items()}
    np.testing.assert_array_equal(graph(**views)["state_next"], graph(**copies)["state_next"])


@pytest.mark.parametrize("runtime", ["onnx", "torch"])
def test_several_threads_call_at_once(bundle: Bundle, runtime: str) -> None:
    graph = open_graph(bundle, runtime)
    batches = [inputs(1 + seed % 5, seed) for seed in range(40)]
    alone = [graph(**arrays)["state_next"] for arrays in batches]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda arrays: graph(**arrays)["state_next"], batches))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("runtime", ["onnx", "torch"])
def test_on_one_core_a_graph_computes_the_same(bundle: Bundle, runtime: str) -> None:
    graph, arrays = open_graph(bundle, runtime), inputs(7)
    expected = graph(**arrays)["state_next"]

    def on_a_core_of_its_own(_: int) -> np.ndarray:
        with on_one_core():
            return graph(**arrays)["state_next"]

    with ThreadPoolExecutor(3) as pool:
        for answer in pool.map(on_a_core_of_its_own, range(6)):
            np.testing.assert_allclose(answer, expected, atol=1e-6)
    np.testing.assert_array_equal(graph(**arrays)["state_next"], expected)


FORK = """
import os, shutil, sys
import numpy as np
from showtell.bundle import Bundle
from showtell.pipelines.runtime import Runtime

graph = Runtime(threads=2).open(Bundle.open(sys.argv[1]))["step"]
arrays = {"tokens": np.arange(3), "state": np.ones((3, 8), np.float32)}
wanted = graph(**arrays)["state_next"]
shutil.rmtree(sys.argv[1])  # an open model needs its folder no more
children = []
for answers in (True, False):
    children.append(os.fork())
    if children[-1] == 0:
        if answers:
            np.testing.assert_array_equal(graph(**arrays)["state_next"], wanted)
        sys.exit(0)
np.testing.assert_array_equal(graph(**arrays)["state_next"], wanted)
sys.exit(any([os.waitpid(child, 0)[1] for child in children]))
"""


def test_a_forked_process_answers_or_not_and_exits(bundle: Bundle) -> None:
    subprocess.run([sys.executable, "-c", FORK, str(bundle.folder)], check=True, timeout=60)


def test_torch_answers_in_a_forked_process(bundle: Bundle) -> None:
    threads = torch.get_num_threads()
    graph = open_graph(bundle, "torch", threads=2)
    arrays = inputs(20_000)  # enough for torch to use both threads
    graph(**arrays)
    child = multiprocessing.get_context("fork").Process(target=graph, kwargs=arrays)
    child.start()
    child.join(timeout=30)
    child.kill()
    torch.set_num_threads(threads)
    assert child.exitcode == 0


def test_a_file_that_is_no_graph_is_named_and_nothing_is_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "step.onnx"
    file.write_bytes(b"no graph")
    with pytest.raises(ModelError) as caught:
        OnnxGraph(file, {})
    assert str(caught.value).startswith(f"{file}: ") and "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_graph_that_is_not_given_all_its_weights_is_named(tmp_path: Path) -> None:
    bundle = Bundle.open(write(tmp_path / "model", names=["hidden.weight", "hidden.bias"]))
    with pytest.raises(ModelError, match=r"step\.onnx: .*embedding\.weight"):
        Runtime().open(bundle)


def test_a_weight_that_the_model_does_not_hold_is_named(tmp_path: Path) -> None:
    bundle = Bundle.open(write(tmp_path / "model", names=["out.weight"]))
    with pytest.raises(ModelError, match=r"step\.onnx: .*'out\.weight'"):
        Runtime().open(bundle)


@pytest.mark.parametrize(
    "options",
    [{"name": "tensorflow"}, {"device": "tpu"}, {"threads": 0}, {"threads": -1}, {"threads": "all"}],
)
def test_an_option_that_cannot_be_is_named_with_what_would_do(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=rf"={next(iter(options.values()))!r}: .* would do\."):
        Runtime(**options)


def test_onnx_runtime_without_cuda_says_what_to_install(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(InputError, match="onnxruntime-gpu"):
        open_graph(bundle, "onnx", device="cuda")


def test_torch_without_cuda_says_so(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="cuda"):
        open_graph(bundle, "torch", device="cuda")


def test_without_torch_the_error_names_the_extra(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"showtell\[torch\]"):
        Runtime("torch").open(bundle)
