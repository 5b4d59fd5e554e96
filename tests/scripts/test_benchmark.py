"""The benchmark runs both contenders on the same files and accounts for all of its own time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from transformers import GPT2Config, ViTConfig
from typer.testing import CliRunner

from showtell.pipelines import pipeline
from showtell.pipelines.base import windows_in_flight
from showtell.pipelines.demo import SAMPLES
from showtell.pipelines.runtime import Runtime
from showtell.scripts import benchmark
from showtell.scripts.baselines import VitGpt2
from showtell.scripts.benchmark import app
from showtell.scripts.image_speed import bare_encoder, find_photographs, write_photographs
from showtell.scripts.timing import Contender, Stopwatch, TimedGraph, first_answer, take_turns

SMALL_VIT = ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, patch_size=112)
SMALL_GPT2 = GPT2Config(n_embd=16, n_layer=1, n_head=2, vocab_size=50)


@pytest.fixture(scope="module")
def printed(tiny: Path) -> str:
    """What a short run prints, with a small baseline."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchmark, "ViTConfig", lambda: SMALL_VIT)
        patch.setattr(benchmark, "GPT2Config", lambda: SMALL_GPT2)
        arguments = ["image-to-text", "--model", str(tiny), "--rounds", "1", "--seconds", "0"]
        return CliRunner().invoke(app, arguments, catch_exceptions=False).stdout


def test_it_prints_a_table_of_contenders_and_one_of_parts(printed: str):
    rows = [line for line in printed.splitlines() if line.startswith("| ")]
    for name in ("showtell, files to captions", "ViT-GPT2", "encoder alone", "encoding", "steps of the decoder"):
        assert sum(name in row for row in rows) == 1, name
    assert "times as fast as ViT-GPT2" in printed
    assert "onnxruntime" in printed


def test_no_part_takes_longer_than_the_windows_that_are_answered_at_once(printed: str):
    parts = printed.partition("| part of the work")[2].partition("\n\n")[0].splitlines()[2:]
    took = {name.strip(): float(took) for _, name, took, _ in (line.split("|") for line in parts)}
    whole = took.pop("all, from file to caption")
    assert whole > 0
    assert all(0 <= part <= windows_in_flight(Runtime()) * whole + 0.02 for part in took.values())


def test_contenders_take_turns_with_whole_units_and_their_rates_are_told_by_name():
    turns: list[tuple[str, int]] = []
    contenders = {
        "one": Contender(3, lambda count: turns.append(("one", count))),
        "two": Contender(2, lambda count: turns.append(("two", count))),
    }
    rates = take_turns(contenders, rounds=2, seconds=0)
    # Twice a unit to get warm and to see what it takes, then the turns.
    assert turns == [("one", 3)] * 2 + [("two", 2)] * 2 + [("one", 3), ("two", 2)] * 2
    assert rates.keys() == contenders.keys()
    assert min(rates.values()) > 0


def test_a_timed_graph_answers_as_the_graph_does_and_counts_its_calls():
    class Doubles:
        inputs: tuple[str, ...] = ("x",)
        outputs: tuple[str, ...] = ("y",)

        def __call__(self, **arrays: np.ndarray) -> dict[str, np.ndarray]:
            return {"y": 2 * arrays["x"]}

    watch = Stopwatch()
    graph = TimedGraph(Doubles(), watch)
    assert (graph.inputs, graph.outputs) == (("x",), ("y",))
    assert [graph(x=np.array(number))["y"] for number in (1, 2)] == [2, 4]
    assert watch.calls == 2
    assert watch.seconds > 0


def test_the_baseline_writes_a_caption_of_fixed_length_for_each_photograph(tmp_path: Path):
    files = write_photographs(tmp_path)
    tokens = VitGpt2(SMALL_VIT, SMALL_GPT2).caption(files[:2], num_beams=4)
    assert tokens.shape == (2, 1 + VitGpt2.new_tokens)


def test_the_default_photographs_are_500_by_375(tmp_path: Path):
    files = write_photographs(tmp_path)
    assert {Image.open(file).size for file in files} == {(500, 375)}
    assert find_photographs(tmp_path) == files


def test_the_bare_encoder_gives_the_memorys_features(tiny: Path, tmp_path: Path):
    pipe = pipeline("image-to-text", tiny)
    features = bare_encoder(pipe, tmp_path)(pixels=pipe.read(SAMPLES / "cat.jpg")[None])["features"]
    assert features.shape == (1, np.prod(pipe.grid), pipe.bundle.config["decoder"]["memory_width"])


def test_a_first_answer_takes_a_process_that_imports_no_torch(tiny: Path):
    found = first_answer("image-to-text", str(tiny), SAMPLES / "cat.jpg", processes=1)
    assert found.seconds > 0
    assert "onnxruntime" in found.packages
    assert not {"torch", "torchvision", "timm", "transformers", "pandas", "scipy"} & set(found.packages)
