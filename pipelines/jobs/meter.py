"""The meter: what a pipeline reads and computes and how long that takes, and a beat for each thing that it has done."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import numpy as np

from showtell.pipelines.base import AnswerBatch, Pipeline
from showtell.pipelines.jobs.summary import Tally
from showtell.pipelines.runtime import Graph


class Meter:
    """Puts itself between a pipeline and its parts, and adds up in `tally`."""

    def __init__(self, pipe: Pipeline[Any, Any], beat: Callable[[], None]):
        self.pipe, self.beat, self.tally = pipe, beat, Tally()
        self.adding = threading.Lock()
        self.read, self.run, self.batches = pipe.read, pipe.run, pipe.batches
        parts: Any = {"read": self.metered_read, "run": self.metered_run, "batches": self.metered_batches}
        vars(pipe).update(parts)
        pipe.graphs = {name: BeatingGraph(graph, beat) for name, graph in pipe.graphs.items()}

    def take(self) -> Tally:
        """What was added up since the last time, in all threads."""
        with self.adding:
            taken, self.tally = self.tally, Tally()
        return taken

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage of the work."""
        start = perf_counter()
        try:
            yield
        finally:
            with self.adding:
                self.tally.spend(name, perf_counter() - start)
            self.beat()

    def metered_read(self, source: Any) -> Any:
        """As the pipeline reads."""
        with self.stage("read"):
            return self.read(source)

    def metered_run(self, inputs: Any, answer: AnswerBatch[Any, Any], *how: Any) -> Any:
        """As the pipeline runs, each of its batches timed."""

        def metered_answer(items: list[Any]) -> Any:
            with self.stage("answer"):
                answers = answer(items)
            with self.adding:
                self.tally.media_seconds += sum(map(self.pipe.media_seconds, items))
            return answers

        return self.run(inputs, metered_answer, *how)

    def metered_batches(self, items: Mapping[int, Any], *limits: Any) -> Iterator[list[int]]:
        """As the pipeline makes batches: each costs its dearest item times their number."""
        for batch in self.batches(items, *limits):
            costs = [self.pipe.cost(items[place]) for place in batch]
            with self.adding:
                self.tally.cost += sum(costs)
                self.tally.padded_cost += max(costs) * len(costs)
            yield batch


class BeatingGraph:
    """A graph each of whose calls is a beat."""

    def __init__(self, graph: Graph, beat: Callable[[], None]):
        self.graph, self.beat = graph, beat
        self.inputs, self.outputs = graph.inputs, graph.outputs

    def __call__(self, **arrays: np.ndarray) -> dict[str, np.ndarray]:
        """What the graph computes."""
        outputs = self.graph(**arrays)
        self.beat()
        return outputs
