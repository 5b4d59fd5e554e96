"""The local engine: worker processes on this machine, watched, and started anew when one hangs or dies.

What hangs or dies is a decoder over a damaged file, as a rule. The records that the worker had begun are answered one
by one by the next, and the one that ends that worker too has an error for its answer.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing import Pipe, connection
from pathlib import Path
from time import monotonic
from typing import Any, Self

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


class Task:
    """A shard under way, and what is known of the workers that it has cost."""

    def __init__(self, shard: Shard, spool: Path):
        self.shard, self.spool = shard, spool
        self.alone, self.blameless, self.suspect = 0, 0, -1

    def blame(self, spool: Spool, taken: int, error: Exception, *, at_once: bool) -> None:
        """Find what ended the worker: of several records that it had begun none yet, of one that record.

        at_once: without a second try, which a record has whose worker may have been killed from outside.
        """
        place = spool.tally.records
        self.alone = max(0, taken - place)
        if self.alone == 0:
            self.blameless += 1
            if self.blameless == MAX_BLAMELESS:
                raise JobError(f"part {self.shard.number}: {MAX_BLAMELESS} workers ended over it, and {error}.")
        elif self.alone == 1 and (at_once or self.suspect == place):
            record = self.shard.records[place]
            spool.append(record, type(error)(f"{describe(record.input)}: {error}."))
            self.alone = 0
        elif self.alone == 1:
            self.suspect = place


class WorkerProcess:
    """A worker as seen from outside.

    It is no process of `multiprocessing`, which would run the user's main module again in each worker, and has to find
    it in a file.
    """

    def __init__(self, work: Work, threads: int):
        self.link, theirs = Pipe()
        with theirs, tempfile.TemporaryFile() as shared:
            shared.truncate(worker.VITALS_BYTES)
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
        self.link.send(work)
        self.is_ready = False
        self.task: Task | None = None
        self.beat, self.looked_at, self.silent_seconds = 0, monotonic(), 0.0

    def give(self, task: Task) -> None:
        """Have a task done."""
        self.task, self.silent_seconds = task, 0.0
        self.vitals[:] = 0
        self.send()

    def send(self) -> None:
        """Send the task, if the worker is ready to take it in: one that still starts would keep us waiting."""
        if self.is_ready and self.task is not None:
            with suppress(BrokenPipeError):  # that it has ended is seen when it is listened to
                self.link.send(Assignment(self.task.shard, self.task.spool, self.task.alone))

    def receive(self) -> Any:
        """What the worker tells; None if it has ended."""
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
        watch: told again and again how many records of unfinished shards are answered, and how many of them in vain.
        """
        self.work, self.threads, self.time_limit, self.folder, self.watch = work, threads, time_limit, folder, watch
        self.size, self.workers = workers, list[WorkerProcess]()

    def answer(self, shards: Iterable[Shard]) -> Iterator[Finished]:
        """Answer shards, which are taken one by one, and give each when it is finished, in no order.

        Raises `JobError` and the errors of opening a pipeline.
        """
        waiting = iter(shards)
        while True:
            self.assign(waiting)
            busy = [one for one in self.workers if one.task is not None]
            if not busy:
                return
            told = connection.wait([one.link for one in busy], POLL_SECONDS)
            for one in busy:
                if one.link in told and (finished := self.hear(one)):
                    self.assign(waiting)
                    yield finished
            for one in self.workers:
                limit = self.time_limit if one.is_ready else max(self.time_limit, OPENING_SECONDS)
                if one.task is not None and one.silence() > limit:
                    self.replace(one, hangs=True)
            vitals = [one.vitals.tolist() for one in self.workers if one.task is not None]
            self.watch(sum(each[worker.ANSWERED] for each in vitals), sum(each[worker.ERRORS] for each in vitals))

    def hear(self, one: WorkerProcess) -> Finished | None:
        """Do what a worker's message asks for, and return the shard if one is finished."""
        message = one.receive()
        match message:
            case Ready():
                one.is_ready = True
                one.send()
            case Finished():
                one.task = None
                return message
            case Failed(error, trace):
                if trace:
                    error.add_note(trace)
                raise error
            case None:
                self.replace(one, hangs=False)
        return None

    def assign(self, waiting: Iterator[Shard]) -> None:
        """Give every worker without a task the next; start workers while there are fewer than there may be."""
        idle = [one for one in self.workers if one.task is None]
        while idle or len(self.workers) < self.size:
            shard = next(waiting, None)
            if shard is None:
                return
            if not idle:
                self.workers.append(WorkerProcess(self.work, self.threads))
                idle.append(self.workers[-1])
            idle.pop().give(Task(shard, self.folder / f"{shard.number:05}.jsonl"))

    def replace(self, ended: WorkerProcess, *, hangs: bool) -> None:
        """Start another worker in place of one that hangs or has ended, with what is left of its task."""
        code, task = ended.end(), ended.task
        if not ended.is_ready:
            what = f"was not ready within {OPENING_SECONDS:g} s" if hangs else f"ended as it started (exit code {code})"
            raise JobError(f"a worker {what}; what it has to say is on standard error.")
        assert task is not None
        error = ChildProcessError(f"it ended the worker that answered it (exit code {code})")
        if hangs:
            error = TimeoutError(f"it was not answered within the time limit, {self.time_limit:g} s")
        with Spool(task.spool, self.work.part_format) as spool:
            task.blame(spool, int(ended.vitals[worker.TAKEN]), error, at_once=hangs)
        another = WorkerProcess(self.work, self.threads)
        another.give(task)
        self.workers[self.workers.index(ended)] = another

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for one in self.workers:
            one.end()
