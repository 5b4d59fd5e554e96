"""How fast batch jobs are: beside the bare pipeline, two workers beside one, and what Ray takes to start."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from showtell.pipelines import pipeline
from showtell.pipelines.jobs import run_batch
from showtell.scripts.timing import machine

# Of the jobs whose difference is Ray's start-up.
FEW_RECORDS = 16


def benchmark_jobs(
    files: Sequence[Path], model: str | None, *, records: int, rounds: int, with_ray: bool, folder: Path
) -> None:
    """Print how fast so many photographs are captioned; the files are taken again and again.

    Everything takes turns, and figures are medians over the rounds. `folder` is for what is written meanwhile.
    """
    many, few = write_manifest(folder, files, records), write_manifest(folder, files, FEW_RECORDS)
    pipe = pipeline("image-to-text", model, threads=1)

    def job(manifest: Path, **options: Any) -> None:
        with TemporaryDirectory(dir=folder) as output:
            run_batch("image-to-text", manifest, output, model=model, threads=1, **options)

    def bare() -> None:
        for _ in pipe(islice(cycle(files), records)):
            pass

    contenders = {
        "bare": bare,
        "one": lambda: job(many, workers=1),
        "two": lambda: job(many, workers=2),
        "local": lambda: job(few, workers=2),
    }
    if with_ray:
        contenders["ray"] = lambda: job(few, workers=2, engine="ray")
    seconds = time_in_turns(contenders, rounds)
    print("\n\n".join([rates_in_words(seconds, records), costs_in_words(seconds, records)]))
    print("\n" + machine(("numpy", "pillow", "onnxruntime", *(["ray"] if with_ray else []))))


def write_manifest(folder: Path, files: Sequence[Path], records: int) -> Path:
    """A manifest of so many photographs."""
    path = folder / f"{records}.jsonl"
    with path.open("w", encoding="utf-8") as lines:
        for file in islice(cycle(files), records):
            lines.write(json.dumps({"input": str(file.resolve())}) + "\n")
    return path


def time_in_turns(contenders: dict[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """What each takes, in seconds: the median over the rounds."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            start = perf_counter()
            contender()
            seconds[name].append(perf_counter() - start)
    return {name: median(each) for name, each in seconds.items()}


def rates_in_words(seconds: dict[str, float], records: int) -> str:
    """Photographs a second, as a table."""
    names = {
        "bare": "the pipeline, one thread, opened before",
        "one": "a job, one worker of one thread, from its start to its end",
        "two": "a job, two workers of one thread",
    }
    lines = [f"| {records:,} photographs | seconds | photographs a second |", "| --- | ---: | ---: |"]
    lines += [f"| {names[name]} | {seconds[name]:.1f} | {records / seconds[name]:.1f} |" for name in names]
    return "\n".join(lines)


def costs_in_words(seconds: dict[str, float], records: int) -> str:
    """What follows from the times."""
    own = seconds["one"] - seconds["bare"]
    found = [
        f"Two workers do {seconds['one'] / seconds['two']:.2f} times the work of one.",
        f"The job's own overhead is {100 * own / seconds['bare']:.1f} % of the pipeline's time, "
        f"{1000 * own / records:.2f} ms a record.",
        f"A job of {FEW_RECORDS} photographs takes {seconds['local']:.1f} s.",
    ]
    if "ray" in seconds:
        found.append(f"On a Ray cluster that it starts here it takes {seconds['ray'] - seconds['local']:.1f} s longer.")
    return " ".join(found)
