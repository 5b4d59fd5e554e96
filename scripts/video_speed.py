"""How fast videos are classified: files to labels through the pipeline, and through VideoMAE, on the same files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

import av
import numpy as np
import torch
import typer
from av.video.frame import VideoFrame
from PIL import Image

from showtell.pipelines import pipeline
from showtell.pipelines.demo import SAMPLES
from showtell.pipelines.media.video import read_video
from showtell.scripts.baselines import VideoMAE
from showtell.scripts.timing import Contender, first_answer, machine, take_turns

VIDEOS = (".mp4", ".mkv", ".webm", ".avi", ".mov")
BASELINE_BATCH = 2


def find_videos(folder: Path) -> list[Path]:
    """The videos of a folder, by name."""
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in VIDEOS)
    if not files:
        raise typer.BadParameter(f"{folder}: no videos; at least one {' or '.join(VIDEOS)} file would do.")
    return files


def write_videos(folder: Path) -> list[Path]:
    """The bundled photographs as clips of five seconds, across which a camera pans: 320 x 240, H.264, 15 a second."""
    files = []
    for sample in sorted(SAMPLES.glob("*.jpg")):
        files.append(folder / f"{sample.stem}.mp4")
        photograph = np.asarray(Image.open(sample).resize((480, 360)))
        with av.open(str(files[-1]), "w") as container:
            stream = container.add_stream("libx264", rate=15)
            stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
            for place in range(75):
                picture = np.ascontiguousarray(photograph[place : place + 240, 2 * place : 2 * place + 320])
                container.mux(stream.encode(VideoFrame.from_ndarray(picture, "rgb24")))
            container.mux(stream.encode(None))
    return files


def benchmark_videos(
    files: Sequence[Path], model: str | None, baseline: VideoMAE | None, *, rounds: int, seconds: float
) -> None:
    """Print how fast videos are classified. model: what the pipeline is opened with."""
    torch.set_num_threads(os.cpu_count() or 1)  # whatever OMP_NUM_THREADS says
    pipe = pipeline("video-classification", model)
    window = list(islice(cycle(files), 4 * pipe.window))
    pixels = np.stack([pipe.read(file).clip.pixels for file in window[: int(pipe.batch_cost)]])

    def through_pipeline(count: int) -> None:
        pipe(window * (count // len(window)))

    def graph_alone(count: int) -> None:
        for _ in range(count // len(pixels)):
            pipe.graphs["answer"](frames=pixels)

    def reading_alone(count: int) -> None:
        for file in islice(cycle(files), count):
            pipe.read(file)

    def through_baseline(count: int) -> None:
        assert baseline is not None
        remaining = islice(cycle(files), count)
        while batch := list(islice(remaining, BASELINE_BATCH)):
            clips = [read_video(file, frames=baseline.frames, size=baseline.size).pixels for file in batch]
            baseline.answer(np.stack(clips))

    contenders = {
        "pipeline": Contender(len(window), through_pipeline),
        "graph": Contender(len(pixels), graph_alone),
        "reading": Contender(len(files), reading_alone),
    }
    if baseline:
        contenders["baseline"] = Contender(BASELINE_BATCH, through_baseline)
    rates = take_turns(contenders, rounds=rounds, seconds=seconds)
    start_up = first_answer("video-classification", model, str(files[0]), processes=rounds)
    versions = machine(("numpy", "av", "onnxruntime", "torch", "transformers"))
    print("\n\n".join([rates_in_words(rates), start_up.in_words(), versions]))


def rates_in_words(rates: dict[str, float]) -> str:
    """Videos a second of each contender, as a table, and what follows from them."""
    names = {
        "pipeline": "showtell, files to labels",
        "baseline": "VideoMAE-base, files to labels",
        "graph": "showtell's graph alone, on frames in memory",
        "reading": "reading alone, in one thread",
    }
    lines = ["| | videos a second | ms a video |", "| --- | ---: | ---: |"]
    lines += [f"| {names[name]} | {rates[name]:.1f} | {1000 / rates[name]:.1f} |" for name in names if name in rates]
    if "baseline" in rates:
        lines += ["", f"showtell is {rates['pipeline'] / rates['baseline']:.1f} times as fast as VideoMAE-base."]
    return "\n".join(lines)
