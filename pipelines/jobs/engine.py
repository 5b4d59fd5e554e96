"""Which engine answers a job's shards, and how large it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, Self, get_args

from showtell.errors import InputError, MissingExtraError
from showtell.pipelines.jobs.local import LocalEngine
from showtell.pipelines.jobs.shards import Shard
from showtell.pipelines.jobs.worker import Finished, Work
from showtell.pipelines.runtime import cores

EngineName = Literal["local", "ray"]


class Engine(Protocol):
    """What answers shards. Use it in `with`."""

    def answer(self, shards: Iterable[Shard]) -> Iterator[Finished]:
        """Take shards as they are needed, and give each when it is finished, in any order."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


@dataclass(frozen=True)
class Pool:
    """How a job runs, which may differ from one run to the next.

    engine: "local", processes on this machine, or "ray". address: of Ray's cluster.
    workers: how many pipelines; None is as many as there are cores for. threads: of each; None shares the cores out.
    time_limit: seconds without progress after which a record is given up.

    Raises `InputError` for what cannot be.
    """

    engine: EngineName = "local"
    workers: int | None = None
    threads: int | None = None
    time_limit: float = 300.0
    address: str | None = None

    def __post_init__(self) -> None:
        if self.engine not in get_args(EngineName):
            raise InputError(f'engine={self.engine!r}: "local" or "ray" would do.')
        for name, value in {"workers": self.workers, "threads": self.threads}.items():
            if value is not None and (not isinstance(value, int) or value < 1):
                raise InputError(f"{name}={value!r}: a whole number from 1 up, or None, would do.")
        if not self.time_limit > 0:
            raise InputError(f"time_limit={self.time_limit!r}: a number of seconds above 0 would do.")
        if self.address is not None and self.engine != "ray":
            raise InputError(f'address={self.address!r}: only with engine="ray"; None would do.')

    def size(self) -> tuple[int | None, int]:
        """How many workers (None: Ray is to see) and the threads of each."""
        if self.engine == "ray":
            return self.workers, self.threads or 1
        workers = self.workers or max(1, cores() // (self.threads or 1))
        return workers, self.threads or max(1, cores() // workers)

    def open(self, work: Work, folder: Path, watch: Callable[[int, int], None]) -> Engine:
        """Start the engine.

        folder: where parts are made. watch: told how many records are answered, and how many of them in vain.
        """
        workers, threads = self.size()
        if self.engine == "local":
            assert workers is not None
            return LocalEngine(
                work, workers=workers, threads=threads, time_limit=self.time_limit, folder=folder, watch=watch
            )
        try:
            from showtell.pipelines.jobs.ray import RayEngine
        except ImportError as error:
            raise MissingExtraError(
                f'engine="ray" needs {error.name}, which is not installed: pip install "showtell[ray]".'
            ) from error
        return RayEngine(
            work,
            workers=workers,
            threads=threads,
            time_limit=self.time_limit,
            folder=folder,
            watch=watch,
            address=self.address,
        )
