"""The local engine: worker processes on this machine, watched, and started anew when one hangs or dies.

What hangs or dies is a decoder over a damaged file, as a rule. The records that the worker had begun, of one shard or
of two, are answered one by one by the next, and the one that ends that worker too has an error for its answer.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from multiprocessing import Pipe, connection
from pathlib import Path
from time import monotonic
from typing import Any, Self

import numpy as np

from showtell.errors import JobError
from showtell.pipelines.jobs import worker
from showtell.pipelines.jobs.parts import Spool
from showtell.pipelines.jobs.shards import Shard
from showtell.pipelines.jobs.worker import Assignment, Failed, Finished, Ready, Work
from showtell.pipelines.media.source import describe

# So often workers are looked at.
POLL_SECONDS = 0.25
# A pipeline is open by then, or never.
OPENING_SECONDS = 300.0
# So many workers may end over a shard without any record to blame.
MAX_BLAMELESS = 3

START = "import sys; from showtell.pipelines.jobs.worker import run; run(*sys.argv[1:])"


class WorkerProcess:
    """A worker as seen from outside.

    It is no process of `multiprocessing`, which would run the user's main module again in each worker, and has to find
    it in a file.
    """

    def __init__(self, work: Work, threads: int, tasks: Sequence[Assignment], one_by_one: int = 0):
        """tasks: the first that it has. one_by_one: so many of their records are not answered together."""
        self.link, theirs = Pipe()
        with theirs, tempfile.TemporaryFile() as shared:
            shared.truncate(worker.VITALS * 8)
            self.vitals = worker.share_vitals(shared.fileno())
            descriptors = (theirs.fileno(), shared.fileno())
            # The threads of NumPy would fight with those of other workers. What we can import, the worker can.
            path = os.pathsep.join(str(Path(place).absolute()) for place in sys.path)
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", START, *map(str, descriptors)],
                env={**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": path},
                pass_fds=descriptors,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        self.link.send((work, one_by_one))
        # What it has to do, in order, and what of it has not been sent.
        self.tasks, self.unsent = deque(tasks), deque(tasks)
        self.is_open = self.is_ready = False
        self.beat, self.looked_at, self.silent_seconds = 0, monotonic(), 0.0

    def give(self, task: Assignment) -> None:
        """Have another task done after those that it has."""
        self.tasks.append(task)
        self.unsent.append(task)

    def send(self) -> None:
        """Send the next task, if the worker is ready to take it in: one that still starts would keep us waiting."""
        if self.is_ready and self.unsent:
            self.is_ready, self.silent_seconds = False, 0.0
            with suppress(BrokenPipeError):  # that it has ended is seen when it is listened to
                self.link.send(self.unsent.popleft())

    def receive(self) -> Any:
        """What the worker tells, which is a sign of life too; None if it has ended."""
        self.silent_seconds = 0.0
        try:
            return self.link.recv()
        except (EOFError, OSError):
            return None

    def silence(self) -> float:
        """How many seconds there was no sign of life, without those in which this process was stopped itself."""
        now, beat = monotonic(), int(self.vitals[worker.BEATS])
        waited = min(now - self.looked_at, 4 * POLL_SECONDS)
        self.silent_seconds = self.silent_seconds + waited if beat == self.beat else 0.0
        self.looked_at, self.beat = now, beat
        return self.silent_seconds

    def end(self) -> int:
        """End the process, whatever it is at, and return its exit code, or minus the signal that had ended it."""
        self.process.kill()
        code = self.process.wait()
        self.link.close()
        return code


class LocalEngine:
    """So many workers that answer shards. Leaving it ends them."""

    def __init__(
        self,
        work: Work,
        *,
        workers: int,
        threads: int,
        time_limit: float,
        folder: Path,
        watch: Callable[[int, int], None] = lambda answered, errors: None,
    ):
        """threads: that each worker uses. folder: where parts are made, on the disk that they are moved on.

        time_limit: seconds without any sign of life after which a worker is taken to hang.
        watch: told again and again how many records are answered, and how many of them in vain.
        """
        self.work, self.threads, self.time_limit, self.folder, self.watch = work, threads, time_limit, folder, watch
        self.size, self.workers = workers, list[WorkerProcess]()
        # What those came to that have ended, and what they have ended over: parts, and records by part and place.
        self.past = np.zeros(worker.VITALS, np.int64)
        self.blameless, self.suspects = Counter[int](), set[tuple[int, int]]()

    def answer(self, shards: Iterable[Shard]) -> Iterator[Finished]:
        """Answer shards, which are taken one by one, and give each when it is finished, in no order.

        Raises `JobError` and the errors of opening a pipeline.
        """
        waiting = iter(shards)
        finished: list[Finished] = []
        while True:
            self.assign(waiting)
            yield from finished
            busy = [one for one in self.workers if one.tasks]
            if not busy:
                return
            told = connection.wait([one.link for one in busy], POLL_SECONDS)
            finished = [message for one in busy if one.link in told and (message := self.hear(one))]
            for one in self.workers:
                limit = self.time_limit if one.is_open else max(self.time_limit, OPENING_SECONDS)
                if one.tasks and one.silence() > limit:
                    self.replace(one, hangs=True)
            vitals = sum((one.vitals for one in self.workers), self.past)
            self.watch(int(vitals[worker.ANSWERED]), int(vitals[worker.ERRORS]))

    def assign(self, waiting: Iterator[Shard]) -> None:
        """Give each worker that is ready the next task; start workers while there are fewer than there may be."""
        tasks = (Assignment(shard, self.folder / f"{shard.number:05}.jsonl") for shard in waiting)
        for one in self.workers:
            if one.is_ready and not one.unsent and (task := next(tasks, None)):
                one.give(task)
            one.send()
        while len(self.workers) < self.size and (task := next(tasks, None)):
            self.workers.append(WorkerProcess(self.work, self.threads, [task]))

    def hear(self, one: WorkerProcess) -> Finished | None:
        """Do what a worker's message asks for, and return the shard if one is finished."""
        message = one.receive()
        match message:
            case Ready():
                one.is_open = one.is_ready = True
            case Finished():
                one.tasks.popleft()
                return message
            case Failed(error, trace):
                if trace:
                    error.add_note(trace)
                raise error
            case None:
                self.replace(one, hangs=False)
        return None

    def replace(self, ended: WorkerProcess, *, hangs: bool) -> None:
        """Start another worker in place of one that hangs or has ended, with what is left of its tasks."""
        code = ended.end()
        if not ended.is_open:
            what = f"was not ready within {OPENING_SECONDS:g} s" if hangs else f"ended as it started (exit code {code})"
            raise JobError(f"a worker {what}; what it has to say is on standard error.")
        error = ChildProcessError(f"it ended the worker that answered it (exit code {code})")
        if hangs:
            error = TimeoutError(f"it was not answered within the time limit, {self.time_limit:g} s")
        self.past += ended.vitals
        one_by_one = self.blame(ended, error, at_once=hangs)
        self.workers[self.workers.index(ended)] = WorkerProcess(self.work, self.threads, ended.tasks, one_by_one)

    def blame(self, ended: WorkerProcess, error: Exception, *, at_once: bool) -> int:
        """Find what ended a worker: of several records that were under way none yet, of one that record.

        at_once: without a second try, which a record has whose worker may have been killed from outside.
        Returns how many records the next worker has to answer one by one.
        """
        under_way = int(ended.vitals[worker.BEGUN] - ended.vitals[worker.ANSWERED])
        if under_way > 1:
            return under_way
        if under_way == 0:
            number = ended.tasks[0].shard.number
            self.blameless[number] += 1
            if self.blameless[number] == MAX_BLAMELESS:
                raise JobError(f"part {number}: {MAX_BLAMELESS} workers ended over it, and {error}.")
            return 0
        for shard, path in ended.tasks:
            with Spool(path, self.work.part_format) as spool:
                place = spool.tally.records
                if place == len(shard.records):
                    continue
                if not at_once and (shard.number, place) not in self.suspects:
                    self.suspects.add((shard.number, place))
                    return 1
                record = shard.records[place]
                spool.append(record, type(error)(f"{describe(record.input)}: {error}."))
                self.past[[worker.ANSWERED, worker.ERRORS]] += 1
                break
        return 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for one in self.workers:
            one.end()
