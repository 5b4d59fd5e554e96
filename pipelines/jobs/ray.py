"""The Ray engine: shards go through Ray Data to a pool of actors, each with a worker that it watches as `local` does.

Parts come back to the process that runs the job, and it alone writes to the output. All nodes must see the input.
"""

from __future__ import annotations

import logging
import os
import pickle
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Self

import pyarrow
import ray
import ray.exceptions
from ray.data import ActorPoolStrategy, DataContext, Datasource, ReadTask, read_datasource
from ray.data.block import BlockMetadata

from showtell.errors import JobError, ShowtellError
from showtell.pipelines.jobs.local import LocalEngine
from showtell.pipelines.jobs.parts import writing
from showtell.pipelines.jobs.shards import Shard
from showtell.pipelines.jobs.summary import Tally
from showtell.pipelines.jobs.worker import Finished, Work

# An actor asks for so much less than the cores that it uses. The rest is for reading: actors that took all of a
# cluster would wait for their input for ever.
READING_CPUS = 0.25


class RayEngine:
    """A pool of actors as large as the cluster has room for. Leaving it ends the cluster if it was started here."""

    def __init__(
        self,
        work: Work,
        *,
        workers: int | None,
        threads: int,
        time_limit: float,
        folder: Path,
        watch: Callable[[int, int], None],
        address: str | None,
    ):
        """As `LocalEngine`. workers: at most so many; None is as many as there is room for.

        address: of a cluster; None is the one that `RAY_ADDRESS` names, or else one of this machine alone.
        """
        self.work, self.workers, self.threads = work, workers, threads
        self.time_limit, self.folder, self.watch = time_limit, folder, watch
        self.is_ours = not ray.is_initialized()
        if self.is_ours:
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anybody
            os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
            logging.getLogger("ray.data").setLevel(logging.ERROR)
            # Not None, which would first look for any cluster that was ever started on this machine.
            address = address or os.environ.get("RAY_ADDRESS") or "local"
            try:
                ray.init(address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
            except Exception as error:
                ray.shutdown()
                raise JobError(f"address={address!r}: no Ray cluster answers ({error}).") from error

    def answer(self, shards: Iterable[Shard]) -> Iterator[Finished]:
        """Answer shards, which a task on some node reads, and give each when it is finished, in no order.

        Raises `JobError` and the errors of opening a pipeline.
        """
        context = DataContext.get_current()
        context.enable_progress_bars = False
        context.target_max_block_size = 1  # a block is a shard, so that no actor waits for more than one
        parts = read_datasource(ShardSource(shards), num_cpus=READING_CPUS, override_num_blocks=1).map_batches(
            Actor,
            fn_constructor_args=(self.work, self.threads, self.time_limit),
            batch_size=1,
            compute=ActorPoolStrategy(size=self.pool_size(), max_tasks_in_flight_per_actor=1),
            num_cpus=self.threads - READING_CPUS,
        )
        done = Tally()
        try:
            for row in parts.iter_rows():
                outcome, content = pickle.loads(row["outcome"])
                if isinstance(outcome, ShowtellError):
                    raise outcome
                done += outcome.tally
                self.watch(done.records, done.errors.total())
                yield self.keep(outcome, content)
        except ray.exceptions.RayError as error:
            raise JobError(f"Ray: {str(error).strip().splitlines()[-1]}") from error

    def pool_size(self) -> int:
        """So many actors fit on the nodes with room to read."""
        cores = [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]
        room = sum(int(each // self.threads) for each in cores)
        if room == 0:
            raise JobError(f"threads={self.threads}: no node of the Ray cluster has so many cores; {cores} would do.")
        return min(room, self.workers or room)

    def keep(self, finished: Finished, content: bytes) -> Finished:
        """Write a part that came from an actor to this machine's disk."""
        file = self.folder / finished.file.name
        with writing(file), file.open("wb") as part:
            part.write(content)
            part.flush()
            os.fsync(part.fileno())
        return finished._replace(file=file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_ours:
            ray.shutdown()


class ShardSource(Datasource):
    """Shards as a data set of Ray Data, read by one task, as fast as they are taken."""

    def __init__(self, shards: Iterable[Shard]):
        self.shards = shards

    def estimate_inmemory_data_size(self) -> int | None:
        """Nobody knows."""
        return None

    def get_read_tasks(self, parallelism: int, *_: Any, **__: Any) -> list[ReadTask]:
        """The one task, whose blocks are a shard each."""
        shards = self.shards

        def read() -> Iterator[pyarrow.Table]:
            for shard in shards:
                yield pyarrow.table({"shard": [pickle.dumps(shard)]})

        return [ReadTask(read, BlockMetadata(None, None, None, None))]


class Actor:
    """One of the pool: a worker process and who watches it, in a folder that goes with it."""

    def __init__(self, work: Work, threads: int, time_limit: float):
        self.folder = tempfile.TemporaryDirectory(prefix="showtell-")
        self.engine = LocalEngine(
            work, workers=1, threads=threads, time_limit=time_limit, folder=Path(self.folder.name)
        )

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Answer a shard. What ends the job is returned, as Ray would try again what is raised."""
        try:
            [finished] = self.engine.answer([pickle.loads(batch["shard"][0])])
            outcome = finished, finished.file.read_bytes()
            finished.file.unlink()
        except ShowtellError as error:
            outcome = error, b""
        return {"outcome": [pickle.dumps(outcome)]}

    def __del__(self) -> None:
        self.engine.__exit__()
        self.folder.cleanup()
