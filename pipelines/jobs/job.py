"""A batch job: every record of a manifest answered once, in parts, on one machine or many, whatever is killed."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from showtell.bundle import CONFIG, Bundle, digest
from showtell.errors import InputError, JobError
from showtell.pipelines import ALIASES, TASKS, find_model, pipeline, pipeline_class
from showtell.pipelines.jobs.ledger import Ledger
from showtell.pipelines.jobs.local import LocalEngine
from showtell.pipelines.jobs.manifest import Manifest
from showtell.pipelines.jobs.parquet import require_pyarrow
from showtell.pipelines.jobs.parts import Format
from showtell.pipelines.jobs.progress import JobProgress
from showtell.pipelines.jobs.shards import Plan, Shard
from showtell.pipelines.jobs.storage import is_address
from showtell.pipelines.jobs.summary import Summary, Tally
from showtell.pipelines.jobs.worker import Finished, Work

EngineName = Literal["local", "ray"]

# These read texts; what others read is files.
TEXT_TASKS = ("text-classification", "token-classification")
# Options of a pipeline's call that a job has a word of its own for.
NOT_AMONG_OPTIONS = ("batch_size", "on_error", "progress")


class Engine(Protocol):
    """What answers shards: `LocalEngine`, or `RayEngine`."""

    def answer(self, shards: Iterable[Shard]) -> Iterator[Finished]:
        """Give each shard when it is finished, in any order."""
        ...


def run_batch(
    task: str,
    source: str | PathLike[str],
    output: str | PathLike[str],
    *,
    model: str | PathLike[str] | None = None,
    options: Mapping[str, Any] | None = None,
    engine: EngineName = "local",
    workers: int | None = None,
    threads: int | None = None,
    shard_size: int | None = None,
    format: Format = "jsonl",
    batch_size: int | None = None,
    time_limit: float = 300.0,
    address: str | None = None,
    progress: bool = False,
) -> Summary:
    """Answer every record of `source`, and write the answers to the folder `output`.

    Killed at any moment and called again with the same arguments, it goes on: finished parts are not touched, and
    the result is that of an undisturbed run. A record that cannot be answered has an error in its row.

    task, model: as in `pipeline`. options: of the pipeline's call, by their names.
    source: a JSONL, CSV or Parquet manifest with a column `input` and perhaps `id`, a folder, or a glob; a path, or an
        address that fsspec knows.
    engine: "local", processes on this machine, or "ray", a cluster; address: the cluster's, None to start one here.
    workers: so many pipelines; None is one for each core. threads: that each uses; None shares the cores out.
    shard_size: records a part; None is 1000, and fewer for a short job. format: "jsonl" or "parquet".
    batch_size: at most so many records go through the model together; None leaves it to their cost.
    time_limit: seconds without any progress after which a record is given up.
    progress: draw a bar on standard error, if that is a terminal.

    `shard_size`, `format` and `options` make the job what it is, as `source` and the model do. The rest may change
    from one run to the next. Returns what `summary.json` tells. Raises `JobError` where the job cannot start or go on,
    `InputError` for an argument, `ModelError` for a model, `MissingExtraError` for a library that is not there.
    """
    name = ALIASES.get(task, task)
    options = check_arguments(name, options or {}, engine, format, workers, threads, time_limit)
    folder = find_model(TASKS[name].default_model if model is None else model).resolve()
    Bundle.open(folder, task=name)
    if is_address(os.fspath(output)):
        raise JobError(f"{output}: parts are written where the job runs; a folder on this machine would do.")
    manifest = Manifest(os.fspath(source), reads_text=name in TEXT_TASKS, output=Path(output))
    plan = Plan(manifest, shard_size)
    job = {
        "task": name,
        "model": f"{folder.name}, {digest(folder / CONFIG)[:16]}",
        "options": options,
        "input": manifest.source,
        "records": f"{plan.records:,}, {plan.content}",
        "shard_size": plan.shard_size,
        "format": format,
    }
    with Ledger(Path(output), job, plan.parts) as ledger:
        if (summary := ledger.summary()) is not None:
            return summary
        before = sum(ledger.tallies.values(), Tally())
        with JobProgress(plan.records, before, bar=progress) as shown:
            cores = usable_cores()
            threads = threads or max(1, cores // (workers or cores))
            work = Work(
                open_pipeline=partial(pipeline, name, folder, threads=threads),
                options={**options, "batch_size": batch_size},
                locate=manifest.locate,
                part_format=format,
            )
            with LocalEngine(
                work,
                workers=workers or cores,
                threads=threads,
                time_limit=time_limit,
                folder=ledger.unfinished,
                watch=shown.show,
            ) as answering:
                for finished in answering.answer(plan.shards(ledger.tallies)):
                    ledger.commit(finished)
                    shown.finish(finished.tally)
        return ledger.succeed()


def check_arguments(
    task: str,
    options: Mapping[str, Any],
    engine: str,
    part_format: str,
    workers: int | None,
    threads: int | None,
    time_limit: float,
) -> dict[str, Any]:
    """Raise `InputError` for what cannot be; return the options that differ from their defaults."""
    if task not in TASKS:
        raise InputError(f"task {task!r} is not known; one of {', '.join([*TASKS, *ALIASES])} would do.")
    for name, value in {"workers": workers, "threads": threads}.items():
        if value is not None and (not isinstance(value, int) or value < 1):
            raise InputError(f"{name}={value!r}: a whole number from 1 up, or None, would do.")
    if not time_limit > 0:
        raise InputError(f"time_limit={time_limit!r}: a number of seconds above 0 would do.")
    for name, value, kind in (("engine", engine, EngineName), ("format", part_format, Format)):
        if value not in get_args(kind):
            raise InputError(f"{name}={value!r}: one of {', '.join(get_args(kind))} would do.")
    if part_format == "parquet":
        require_pyarrow()
    call = inspect.signature(pipeline_class(task).__call__).parameters.values()
    known = {p.name: p.default for p in call if p.kind is p.KEYWORD_ONLY and p.name not in NOT_AMONG_OPTIONS}
    if unknown := sorted(options.keys() - known.keys()):
        raise InputError(f"options: {task} has no option {unknown[0]!r}; {', '.join(known)} would do.")
    return {name: value for name, value in options.items() if value != known[name]}


def usable_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
