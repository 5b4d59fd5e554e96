"""How fast the tasks of texts answer: a pipeline, its graph alone, and a transformer, on the same texts in turns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from statistics import fmean

import numpy as np
import torch

from showtell.pipelines.base import windows_in_flight
from showtell.pipelines.media.text import split_words
from showtell.pipelines.runtime import Graph, on_one_core
from showtell.pipelines.text_classification import TextClassification
from showtell.pipelines.token_classification import TokenClassification
from showtell.scripts.baselines import TextTransformer
from showtell.scripts.datasets.lines import read_json_lines, read_lines
from showtell.scripts.timing import Contender, first_answer, machine, take_turns

TextPipeline = TextClassification | TokenClassification

BASELINE_BATCH = 8
# In words. What is beyond it a transformer does not read.
LONGEST_BASELINE = 510


def read_texts(file: Path) -> list[str]:
    """A text a line, or JSON lines with a `text` each; the file may be compressed."""
    if ".jsonl" in file.suffixes:
        return [record["text"] for _, record in read_json_lines(file)]
    return [line for _, line in read_lines(file) if line.strip()]


def benchmark_texts(
    pipe: TextPipeline,
    texts: Sequence[str],
    baseline: TextTransformer | None,
    *,
    model: str | None,
    rounds: int,
    seconds: float,
) -> None:
    """Print how fast texts are answered. model: what the pipeline was opened with."""
    torch.set_num_threads(os.cpu_count() or 1)  # whatever OMP_NUM_THREADS says
    window = list(islice(cycle(texts), pipe.window))
    words = fmean(len(split_words(text, pipe.splitter).words) for text in window)
    contenders = {"pipeline": through_pipeline(pipe, window), "graph": graph_alone(pipe, window)}
    if baseline:
        contenders["baseline"] = through_transformer(baseline, min(round(words), LONGEST_BASELINE))
    rates = take_turns(contenders, rounds=rounds, seconds=seconds)
    start_up = first_answer(pipe.task, model, texts[0], processes=rounds)
    versions = machine(("numpy", "onnxruntime", "tokenizers", "torch", "transformers"))
    name = baseline.name if baseline else ""
    print("\n\n".join([rates_in_words(rates, words, name), start_up.in_words(), versions]))


def through_pipeline(pipe: TextPipeline, window: list[str]) -> Contender:
    """Texts to answers."""

    def answer(count: int) -> None:
        pipe(window * (count // len(window)))

    return Contender(len(window), answer)


def graph_alone(pipe: TextPipeline, window: list[str]) -> Contender:
    """The pipeline's graph on the arrays that the pipeline gives it, as many calls at once as it makes."""
    recorder = Recorder(pipe.graphs["answer"])
    pipe.graphs = {"answer": recorder}
    pipe(window)
    pipe.graphs = {"answer": recorder.graph}

    def call(arrays: dict[str, np.ndarray]) -> None:
        with on_one_core():
            recorder.graph(**arrays)

    def answer(count: int) -> None:
        with ThreadPoolExecutor(windows_in_flight(pipe.runtime)) as pool:
            list(pool.map(call, recorder.calls * (count // len(window))))

    return Contender(len(window), answer)


def through_transformer(transformer: TextTransformer, words: int) -> Contender:
    """Texts of as many words as the pipeline's have in the mean, so that no time goes into padding."""

    def answer(count: int) -> None:
        for _ in range(count // BASELINE_BATCH):
            transformer.answer(BASELINE_BATCH, words)

    return Contender(BASELINE_BATCH, answer)


class Recorder:
    """A graph that keeps what it was called with."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.inputs, self.outputs = graph.inputs, graph.outputs
        self.calls: list[dict[str, np.ndarray]] = []

    def __call__(self, **arrays: np.ndarray) -> dict[str, np.ndarray]:
        """What the graph computes."""
        self.calls.append(arrays)
        return self.graph(**arrays)


def rates_in_words(rates: dict[str, float], words: float, baseline: str) -> str:
    """Texts a second of each contender, as a table, and what follows from them.

    words: of a text, in the mean. baseline: the transformer's name.
    """
    names = {
        "pipeline": "showtell, texts to answers",
        "baseline": f"{baseline}, tokens to answers",
        "graph": "showtell's graph alone, on arrays in memory",
    }
    lines = [f"| texts of {words:.0f} words | texts a second | words a second |", "| --- | ---: | ---: |"]
    lines += [f"| {names[n]} | {rates[n]:,.1f} | {words * rates[n]:,.0f} |" for n in names if n in rates]
    found = f"showtell keeps {rates['pipeline'] / rates['graph']:.2f} of its graph's rate"
    if "baseline" in rates:
        found += f", and is {rates['pipeline'] / rates['baseline']:.0f} times as fast as {baseline}"
    return "\n".join([*lines, "", f"{found}."])
