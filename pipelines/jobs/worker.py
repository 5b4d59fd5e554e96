"""The worker: a process that opens a pipeline once and answers shards, as it is told through a connection.

It ends when the other end of the connection does, so that none is left over when a job is killed.
"""

from __future__ import annotations

import mmap
import os
import queue
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from showtell.errors import InputError, JobError, MediaError, ShowtellError
from showtell.pipelines.base import Pipeline
from showtell.pipelines.jobs.manifest import Record
from showtell.pipelines.jobs.meter import Meter
from showtell.pipelines.jobs.parquet import answer_type
from showtell.pipelines.jobs.parts import Format, Spool
from showtell.pipelines.jobs.shards import Shard
from showtell.pipelines.jobs.summary import Tally

# Signs of life, in memory that the worker shares with who started it, so that no record needs a message: things done,
# from reading an input to one call of a graph; and of the shard's records how many were begun, answered, and in vain.
BEATS, TAKEN, ANSWERED, ERRORS = range(4)
VITALS_BYTES = 4 * 8


@dataclass(frozen=True)
class Work:
    """What all workers of a job do.

    open_pipeline: gives the pipeline; pickled, so a function of a module, or a `partial` of one.
    options: of its call. locate: what the pipeline is given for a record's input.
    """

    open_pipeline: Callable[[], Pipeline[Any, Any]]
    options: Mapping[str, Any]
    locate: Callable[[Any], Any]
    part_format: Format


class Assignment(NamedTuple):
    """A shard for a worker.

    spool: where its rows are written; those that are there are not answered again.
    alone: so many records after these are answered one by one, as one of them ended the worker before.
    """

    shard: Shard
    spool: Path
    alone: int = 0


class Ready(NamedTuple):
    """The pipeline is open."""


class Finished(NamedTuple):
    """A shard is answered, and its part lies in a file, not yet under the part's name."""

    number: int
    file: Path
    tally: Tally


class Failed(NamedTuple):
    """The job cannot go on. trace: where it went wrong, if that was not foreseen."""

    error: ShowtellError
    trace: str


class Worker:
    """A pipeline that answers shards, and writes their rows as it goes."""

    def __init__(self, work: Work, vitals: np.ndarray):
        start = perf_counter()
        self.work, self.vitals = work, vitals
        self.pipe = work.open_pipeline()
        self.meter = Meter(self.pipe, self.beat)
        self.meter.tally.spend("open", perf_counter() - start)
        self.has_answered = False

    def beat(self) -> None:
        """Give a sign of life. That two threads at once may count as one does not matter."""
        self.vitals[BEATS] += 1

    def answer(self, assignment: Assignment) -> Finished:
        """Answer the records of a shard that have no row yet, and make its part."""
        shard, alone = assignment.shard, assignment.alone
        with Spool(assignment.spool, self.work.part_format) as spool:
            self.vitals[TAKEN] = spool.tally.records
            while (place := self.note(spool)) < len(shard.records):
                if alone:
                    self.vitals[TAKEN] = place + 1
                    self.append(spool, shard.records[place], self.answer_alone(shard.records[place].input))
                    alone -= 1
                    continue
                try:
                    self.answer_together(shard, spool)
                except JobError:
                    raise
                except Exception as error:
                    # A batch failed, though its inputs could be read. One by one it shows whose fault it was.
                    self.refuse_options(error)
                    alone = max(1, int(self.vitals[TAKEN]) - spool.tally.records)
            with self.meter.stage("write"):
                part = spool.finish(answer_type(type(self.pipe)))
            tally, self.meter.tally = spool.tally + self.meter.tally, Tally()
        return Finished(shard.number, part, tally)

    def answer_together(self, shard: Shard, spool: Spool) -> None:
        """Answer records in batches."""
        rest = shard.records[spool.tally.records :]
        outcomes = self.pipe(self.inputs(shard, spool.tally.records), **self.work.options, on_error="return")
        for record, outcome in zip(rest, outcomes, strict=True):
            self.append(spool, record, outcome)

    def inputs(self, shard: Shard, first: int) -> Iterator[Any]:
        """What the pipeline is given, from a record on; it is noted which were taken."""
        for place, record in enumerate(shard.records[first:], start=first):
            self.vitals[TAKEN] = place + 1
            yield self.work.locate(record.input)

    def answer_alone(self, given: Any) -> Any:
        """The answer to one input, or the error."""
        self.beat()
        try:
            (outcome,) = self.pipe(iter([self.work.locate(given)]), **self.work.options, on_error="return")
        except Exception as error:
            self.refuse_options(error)
            return error
        return outcome

    def append(self, spool: Spool, record: Record, outcome: Any) -> None:
        """Write a record's row."""
        with self.meter.stage("write"):
            spool.append(record, outcome)
        self.has_answered |= not isinstance(outcome, Exception)
        self.note(spool)

    def note(self, spool: Spool) -> int:
        """Tell how far the shard is, and return it."""
        self.vitals[ANSWERED], self.vitals[ERRORS] = spool.tally.records, spool.tally.errors.total()
        return spool.tally.records

    def refuse_options(self, error: Exception) -> None:
        """Raise an error that says that an option cannot be used.

        What is wrong with an input is found when it is read, and returned. An `InputError` that is raised, before
        anything was answered, is about an option, and would be about every record.
        """
        if isinstance(error, InputError) and not isinstance(error, MediaError) and not self.has_answered:
            raise error


def main(connection: Connection, vitals: np.ndarray) -> None:
    """Do what comes through the connection: first a `Work`, then one `Assignment` after the other."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Control-C is for who started us
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=receive, args=(connection, inbox), daemon=True).start()
    try:
        worker = Worker(inbox.get(), vitals)
        connection.send(Ready())
        while True:
            connection.send(worker.answer(inbox.get()))
    except ShowtellError as error:
        connection.send(Failed(error, ""))
    except Exception as error:
        what = f"a worker failed: {type(error).__name__}: {error}"
        connection.send(Failed(JobError(what), traceback.format_exc()))


def receive(connection: Connection, inbox: queue.SimpleQueue[Any]) -> None:
    """Pass on what comes; end the process, whatever it is at, when nothing can come any more."""
    try:
        while True:
            inbox.put(connection.recv())
    except (EOFError, OSError):
        os._exit(1)


def run(connection: str, vitals: str) -> None:
    """Start from two file descriptors that were inherited."""
    for descriptor in (connection, vitals):
        os.set_inheritable(int(descriptor), False)
    main(Connection(int(connection)), share_vitals(int(vitals)))


def share_vitals(descriptor: int) -> np.ndarray:
    """The numbers of a file of `VITALS_BYTES`, the same for all who have it open."""
    return np.frombuffer(mmap.mmap(descriptor, VITALS_BYTES), np.int64)
