"""The worker: a process that opens a pipeline once and answers shards, as it is told through a connection.

The records of shard after shard go through the pipeline in one stream, so that the first of a shard are read while the
last of the shard before are answered. Answers come in the records' order; each makes a row of its own shard's part.

It ends when the other end of the connection does, so that none is left over when a job is killed.
"""

from __future__ import annotations

import mmap
import os
import queue
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from showtell.errors import InputError, JobError, MediaError, ShowtellError
from showtell.pipelines.base import Groups, Pipeline
from showtell.pipelines.jobs.manifest import Record
from showtell.pipelines.jobs.meter import Meter
from showtell.pipelines.jobs.parquet import answer_type
from showtell.pipelines.jobs.parts import Format, Spool
from showtell.pipelines.jobs.shards import Shard
from showtell.pipelines.jobs.summary import Tally

# Signs of life, in memory that the worker shares with who started it, so that no record needs a message: things done,
# from reading an input to one call of a graph; and how many records were begun, answered, and in vain.
BEATS, BEGUN, ANSWERED, ERRORS = range(4)
VITALS = 4


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
    """A shard for a worker. spool: where its rows are written; those that are there are not answered again."""

    shard: Shard
    spool: Path


class Ready(NamedTuple):
    """The worker can take a shard: its pipeline is open, and soon all records that it has will be begun."""


class Finished(NamedTuple):
    """A shard is answered, and its part lies in a file, not yet under the part's name."""

    number: int
    file: Path
    tally: Tally


class Failed(NamedTuple):
    """The job cannot go on. trace: where it went wrong, if that was not foreseen."""

    error: ShowtellError
    trace: str


class Part:
    """A part in the making: its rows, and which of its records are still to begin."""

    def __init__(self, assignment: Assignment, part_format: Format):
        self.shard, self.spool = assignment.shard, Spool(assignment.spool, part_format)
        self.to_begin = deque(self.shard.records[self.spool.tally.records :])

    def is_whole(self) -> bool:
        """Whether each record has its row."""
        return self.spool.tally.records == len(self.shard.records)


class Worker:
    """A pipeline that answers shards, and writes their rows as it goes."""

    def __init__(self, work: Work, vitals: np.ndarray, inbox: queue.SimpleQueue[Any], tell: Callable[[Any], None]):
        """inbox: where an `Assignment` comes from for each `Ready` that is told."""
        start = perf_counter()
        self.work, self.vitals, self.inbox, self.tell = work, vitals, inbox, tell
        self.pipe = work.open_pipeline()
        self.meter = Meter(self.pipe, self.beat)
        self.meter.tally.spend("open", perf_counter() - start)
        # With so many records still to begin it is time to ask for the next shard.
        self.few = work.options.get("batch_size") or self.pipe.window
        # Begun and without a row, in order.
        self.under_way: deque[tuple[Part, Record]] = deque()
        self.has_answered = False

    def beat(self) -> None:
        """Give a sign of life. That two threads at once may count as one does not matter."""
        self.vitals[BEATS] += 1

    def answer(self, one_by_one: int) -> None:
        """Answer shards as they come, for ever.

        one_by_one: so many records before any go through the pipeline together, as one of them ended a worker.
        """
        self.tell(Ready())
        while True:
            self.part = self.open(self.inbox.get())
            while self.part.to_begin:
                if one_by_one:
                    one_by_one -= 1
                    self.begin()
                    self.answer_first()
                    continue
                try:
                    self.answer_stream()
                except JobError:
                    raise
                except Exception as error:
                    # A batch failed, though its inputs could be read. One by one it shows whose fault it was.
                    self.refuse_options(error)
                    one_by_one = 0 if self.under_way else 1
                    while self.under_way:
                        self.answer_first()

    def answer_stream(self) -> None:
        """Answer what is left of the part at hand, and all parts that are there before its last record is begun.

        Each is a group of its own: what a batch is does not depend on which parts the worker had before.
        """
        for outcome in self.pipe(Groups(self.parts()), **self.work.options, on_error="return"):
            self.append(outcome)

    def parts(self) -> Iterator[Iterator[Any]]:
        """The inputs of one part after the other, until none is there: what was begun would wait for it."""
        while True:
            yield self.inputs()
            try:
                self.part = self.open(self.inbox.get_nowait())
            except queue.Empty:
                return

    def inputs(self) -> Iterator[Any]:
        """What the pipeline is given for the rest of the part at hand."""
        while self.part.to_begin:
            yield self.work.locate(self.begin().input)

    def open(self, assignment: Assignment) -> Part:
        """Take a part in hand. It may be whole already, if a worker died that was about to tell so."""
        part = Part(assignment, self.work.part_format)
        if len(part.to_begin) <= self.few:
            self.tell(Ready())
        if part.is_whole():
            self.finish(part)
        return part

    def begin(self) -> Record:
        """Take the next record of the part at hand."""
        record = self.part.to_begin.popleft()
        self.under_way.append((self.part, record))
        self.vitals[BEGUN] += 1
        if len(self.part.to_begin) == self.few:
            self.tell(Ready())
        return record

    def answer_first(self) -> None:
        """Answer the first record that is under way, by itself."""
        _, record = self.under_way[0]
        self.beat()
        try:
            (outcome,) = self.pipe(iter([self.work.locate(record.input)]), **self.work.options, on_error="return")
        except Exception as error:
            self.refuse_options(error)
            outcome = error
        self.append(outcome)

    def append(self, outcome: Any) -> None:
        """Write the row of the first record that is under way, and make the part if that was its last."""
        part, record = self.under_way.popleft()
        with self.meter.stage("write"):
            part.spool.append(record, outcome)
        is_error = isinstance(outcome, Exception)
        self.vitals[ANSWERED] += 1
        self.vitals[ERRORS] += is_error
        self.has_answered |= not is_error
        if part.is_whole():
            self.finish(part)

    def finish(self, part: Part) -> None:
        """Make a part of its rows, and tell. What was read ahead of the next part is counted to this one."""
        with part.spool, self.meter.stage("write"):
            file = part.spool.finish(answer_type(type(self.pipe)))
        self.tell(Finished(part.shard.number, file, part.spool.tally + self.meter.take()))

    def refuse_options(self, error: Exception) -> None:
        """Raise an error that says that an option cannot be used.

        What is wrong with an input is found when it is read, and returned. An `InputError` that is raised, before
        anything was answered, is about an option, and would be about every record.
        """
        if isinstance(error, InputError) and not isinstance(error, MediaError) and not self.has_answered:
            raise error


def main(connection: Connection, vitals: np.ndarray) -> None:
    """Do what comes through the connection: `Work` and how many records are answered one by one, then `Assignment`s."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Control-C is for who started us
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=receive, args=(connection, inbox), daemon=True).start()
    try:
        work, one_by_one = inbox.get()
        Worker(work, vitals, inbox, connection.send).answer(one_by_one)
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
    """The vitals in a file, the same for all who have it open."""
    return np.frombuffer(mmap.mmap(descriptor, VITALS * 8), np.int64)
