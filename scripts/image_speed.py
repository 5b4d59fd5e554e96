"""How fast photographs are captioned: the pipeline part by part, its encoder alone, and ViT-GPT2 on the same files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import torch
import typer
from PIL import Image
from torch import Tensor

from showtell.bundle import Bundle
from showtell.composition import load
from showtell.graphs import Encode, export
from showtell.pipelines import pipeline
from showtell.pipelines.answers import Caption
from showtell.pipelines.demo import SAMPLES
from showtell.pipelines.image_to_text import ImageToText, Search
from showtell.pipelines.runtime import Graph, OnnxGraph, Runtime
from showtell.scripts.baselines import VitGpt2
from showtell.scripts.timing import Contender, Stopwatch, TimedGraph, first_answer, machine, take_turns

PHOTOGRAPHS = (".jpg", ".jpeg", ".png", ".webp")
NUM_BEAMS = 4
BASELINE_BATCH = 4
# The encoder alone is as fast as it is in the best of these batches, whatever the pipeline's are.
ENCODER_BATCHES = (4, 16, 32)


def benchmark_photographs(
    files: Sequence[Path], model: str | None, baseline: VitGpt2 | None, *, rounds: int, seconds: float, folder: Path
) -> None:
    """Print how fast the files are captioned. What is written meanwhile goes into `folder`."""
    opened = pipeline("image-to-text", model)
    pipe = WatchedImageToText(opened.bundle, opened.runtime)
    encoder = bare_encoder(opened, folder)
    pixels = np.stack([opened.read(file) for file in islice(cycle(files), max(pipe.window, *ENCODER_BATCHES))])
    contenders = {
        "pipeline": Contender(pipe.window, lambda count: pipe.caption_files(files, count)),
        "encode": on_pixels(opened.graphs["encode"], pixels[: pipe.window]),
    }
    contenders |= {f"encoder {size}": on_pixels(encoder, pixels[:size]) for size in ENCODER_BATCHES}
    if baseline:
        torch.set_num_threads(os.cpu_count() or 1)  # whatever OMP_NUM_THREADS says
        contenders["baseline"] = on_files(baseline, files)
    rates = take_turns(contenders, rounds=rounds, seconds=seconds)
    rates["encoder"] = max(rates.pop(f"encoder {size}") for size in ENCODER_BATCHES)
    start_up = first_answer("image-to-text", model, files[0], processes=rounds)
    versions = machine(("numpy", "pillow", "onnxruntime", "torch", "transformers"))
    print("\n\n".join([rates_in_words(rates), where_time_goes(pipe), start_up.in_words(), versions]))


def find_photographs(folder: Path) -> list[Path]:
    """The photographs of a folder, by name."""
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in PHOTOGRAPHS)
    if not files:
        raise typer.BadParameter(f"{folder}: no photographs; at least one {' or '.join(PHOTOGRAPHS)} file would do.")
    return files


def write_photographs(folder: Path) -> list[Path]:
    """The bundled samples as JPEG files of a usual size."""
    files = []
    for sample in sorted(SAMPLES.glob("*.jpg")):
        files.append(folder / sample.name)
        Image.open(sample).resize((500, 375)).save(files[-1], quality=90)
    return files


class WatchedImageToText(ImageToText):
    """The pipeline with a stopwatch on each of its parts."""

    def __init__(self, bundle: Bundle, runtime: Runtime):
        super().__init__(bundle, runtime)
        self.whole, self.reading, self.answering = Stopwatch(), Stopwatch(), Stopwatch()
        self.encoding, self.stepping = Stopwatch(), Stopwatch()
        self.graphs = {
            "encode": TimedGraph(self.graphs["encode"], self.encoding),
            "step": TimedGraph(self.graphs["step"], self.stepping),
        }

    def caption_files(self, files: Sequence[Path], count: int) -> None:
        """Caption the first `count` of the files, again and again from the first."""
        with self.whole:
            self(list(islice(cycle(files), count)), num_beams=NUM_BEAMS)

    def read(self, source: Path) -> np.ndarray:
        """As the pipeline does, timed."""
        with self.reading:
            return super().read(source)

    def answer(self, pixels: list[np.ndarray], search: Search, return_attention: bool) -> list[list[Caption]]:
        """As the pipeline does, timed."""
        with self.answering:
            return super().answer(pixels, search, return_attention)


def on_pixels(graph: Graph, pixels: np.ndarray) -> Contender:
    """A graph on a batch of photographs that are read already."""

    def answer(count: int) -> None:
        for _ in range(count // len(pixels)):
            graph(pixels=pixels)

    return Contender(len(pixels), answer)


class BareEncoder(Encode):
    """The encode graph without the decoder's part in it."""

    def forward(self, **inputs: Tensor) -> dict[str, Tensor]:
        """The memory's features."""
        return {"features": self.encoder(**inputs).features}


def bare_encoder(pipe: ImageToText, folder: Path) -> OnnxGraph:
    """A pipeline's encoder alone, run as its graphs are; its file goes into `folder`."""
    trained = load(pipe.bundle.folder)
    code, names = export(BareEncoder(trained.encoder, trained.decoder))
    file = folder / "encoder.onnx"
    file.write_bytes(code)
    weights = pipe.bundle.weights()
    return OnnxGraph(file, {name: weights[name] for name in names})


def on_files(baseline: VitGpt2, files: Sequence[Path]) -> Contender:
    """The baseline on the same files, in the same order, in batches of its own size."""

    def answer(count: int) -> None:
        remaining = islice(cycle(files), count)
        while batch := list(islice(remaining, BASELINE_BATCH)):
            baseline.caption(batch, num_beams=NUM_BEAMS)

    return Contender(BASELINE_BATCH, answer)


def rates_in_words(rates: dict[str, float]) -> str:
    """Photographs a second of each contender, as a table, and what follows from them."""
    names = {
        "pipeline": "showtell, files to captions, four beams",
        "baseline": "ViT-GPT2, files to captions, four beams",
        "encoder": "showtell's encoder alone, on pixels in memory",
        "encode": "the same, and what the decoder computes once a photograph",
    }
    lines = ["| | photographs a second | ms a photograph |", "| --- | ---: | ---: |"]
    lines += [f"| {names[name]} | {rates[name]:.1f} | {1000 / rates[name]:.1f} |" for name in names if name in rates]
    found = f"showtell keeps {rates['pipeline'] / rates['encoder']:.2f} of its encoder's rate"
    if "baseline" in rates:
        found += f", and is {rates['pipeline'] / rates['baseline']:.1f} times as fast as ViT-GPT2"
    return "\n".join([*lines, "", f"{found}."])


def where_time_goes(pipe: WatchedImageToText) -> str:
    """What each part of the work took a photograph, as a table. Parts overlap, and add up to more than the whole."""
    photographs, batches, steps = pipe.reading.calls, pipe.answering.calls, pipe.stepping.calls
    each = f"{1000 * pipe.stepping.seconds / steps:.1f} ms each"
    parts = {
        "reading and resizing": pipe.reading.seconds,
        "encoding": pipe.encoding.seconds,
        f"steps of the decoder, {steps / batches:.1f} a batch of {photographs / batches:.1f}, {each}": (
            pipe.stepping.seconds
        ),
        "the search between them, in NumPy": (pipe.answering.seconds - pipe.encoding.seconds - pipe.stepping.seconds),
        "all, from file to caption": pipe.whole.seconds,
    }
    lines = ["| part of the work | ms a photograph |", "| --- | ---: |"]
    lines += [f"| {name} | {1000 * seconds / photographs:.2f} |" for name, seconds in parts.items()]
    return "\n".join(lines)
