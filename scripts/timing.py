"""Taking times that can be compared: contenders in turns, parts of a whole, a new process's first answer."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Self

import numpy as np

from showtell.pipelines.runtime import Graph

# Answers one input, says so by an empty line, then names the installed packages that were imported for it.
FIRST_ANSWER = """
import sys
from showtell import pipeline
pipeline(sys.argv[1], sys.argv[2] or None)(sys.argv[3])
print(flush=True)
packages = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
print(*sorted(name for name in packages if not name.startswith("_") and name != "showtell"))
"""


@dataclass(frozen=True)
class Contender:
    """Something that answers inputs.

    unit: it answers a whole number of times so many. answer: answers so many inputs.
    """

    unit: int
    answer: Callable[[int], None]


def take_turns(contenders: dict[str, Contender], *, rounds: int, seconds: float) -> dict[str, float]:
    """Time contenders in turns, so that what else the machine does falls on all of them.

    Each gets as many inputs a turn as fill about `seconds`, at least a unit. Returns for each the median over the
    rounds of its inputs a second.
    """
    counts = {name: one.unit * max(1, round(seconds / unit_seconds(one))) for name, one in contenders.items()}
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            start = perf_counter()
            contender.answer(counts[name])
            rates[name].append(counts[name] / (perf_counter() - start))
    return {name: median(each) for name, each in rates.items()}


def unit_seconds(contender: Contender) -> float:
    """What a unit takes once it is warm."""
    contender.answer(contender.unit)
    start = perf_counter()
    contender.answer(contender.unit)
    return perf_counter() - start


class Stopwatch:
    """Adds up the time that any threads spend inside `with` it: `seconds`, over so many `calls`."""

    def __init__(self) -> None:
        self.seconds, self.calls = 0.0, 0
        self.started, self.adding = threading.local(), threading.Lock()

    def __enter__(self) -> Self:
        self.started.at = perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        seconds = perf_counter() - self.started.at
        with self.adding:
            self.seconds += seconds
            self.calls += 1


class TimedGraph:
    """A graph whose calls are timed."""

    def __init__(self, graph: Graph, watch: Stopwatch):
        self.graph, self.watch = graph, watch
        self.inputs, self.outputs = graph.inputs, graph.outputs

    def __call__(self, **arrays: np.ndarray) -> dict[str, np.ndarray]:
        """What the graph computes."""
        with self.watch:
            return self.graph(**arrays)


@dataclass(frozen=True)
class FirstAnswer:
    """What a new process takes to its first answer: seconds, the median of some, and packages imported."""

    seconds: float
    packages: list[str]

    def in_words(self) -> str:
        """How soon a new process answers, and what it imports."""
        return (
            f"A new process gives its first answer after {self.seconds:.2f} s. It imports {', '.join(self.packages)}."
        )


def first_answer(task: str, model: str | None, source: str | Path, *, processes: int = 5) -> FirstAnswer:
    """Start Python, import showtell, open the model, answer one input; time it all."""
    seconds, packages = [], []
    for _ in range(processes):
        start = perf_counter()
        arguments = [sys.executable, "-c", FIRST_ANSWER, task, model or "", str(source)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            seconds.append(perf_counter() - start)
            packages = process.stdout.read().split()
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, arguments)
    return FirstAnswer(median(seconds), packages)


def machine(packages: Sequence[str]) -> str:
    """The processor and its cores, the system, and the versions of Python and of packages."""
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    system = f"{platform.system()} {platform.machine()}"
    return f"{processor()}, {os.cpu_count()} cores, {system}; Python {platform.python_version()}, {versions}"


def processor() -> str:
    """The processor's model, where the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor())
