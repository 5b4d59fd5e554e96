"""A batch job: every record of a manifest answered once, in parts, on one machine or many, whatever is killed."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, get_args

from showtell.bundle import CONFIG, Bundle, digest
from showtell.errors import InputError
from showtell.pipelines import ALIASES, TASKS, find_model, pipeline, pipeline_class
from showtell.pipelines.jobs.engine import EngineName, Pool
from showtell.pipelines.jobs.ledger import Ledger
from showtell.pipelines.jobs.manifest import Manifest
from showtell.pipelines.jobs.parquet import require_pyarrow
from showtell.pipelines.jobs.parts import Format
from showtell.pipelines.jobs.progress import JobProgress
from showtell.pipelines.jobs.shards import Pending, Plan
from showtell.pipelines.jobs.storage import is_address
from showtell.pipelines.jobs.summary import Summary, Tally
from showtell.pipelines.jobs.worker import Work

# Options of a pipeline's call that a job has a word of its own for.
NOT_AMONG_OPTIONS = ("batch_size", "on_error", "progress")


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
    if (name := ALIASES.get(task, task)) not in TASKS:
        raise InputError(f"task {task!r} is not known; one of {', '.join([*TASKS, *ALIASES])} would do.")
    if is_address(os.fspath(output)):
        raise InputError(f"{output}: parts are written where the job runs; a folder on this machine would do.")
    if format not in get_args(Format):
        raise InputError(f'format={format!r}: "jsonl" or "parquet" would do.')
    if format == "parquet":
        require_pyarrow()
    pool = Pool(engine, workers, threads, time_limit, address)
    chosen = chosen_options(name, options or {})
    folder = find_model(TASKS[name].default_model if model is None else model).resolve()
    Bundle.open(folder, task=name)
    manifest = Manifest(os.fspath(source), reads_text=TASKS[name].reads_text, output=Path(output))
    plan = Plan(manifest, shard_size)
    job = {
        "task": name,
        "model": f"{folder.name}, {digest(folder / CONFIG)[:16]}",
        "options": chosen,
        "input": manifest.source,
        "records": f"{plan.records:,}, {plan.content}",
        "shard_size": plan.shard_size,
        "format": format,
    }
    # Other machines have bundled models, and those from the Hub, in other places.
    is_elsewhere = engine == "ray" and (model is None or not Path(model).exists())
    work = Work(
        open_pipeline=partial(pipeline, name, model if is_elsewhere else folder, threads=pool.size()[1]),
        options={**chosen, "batch_size": batch_size},
        locate=manifest.locate,
        part_format=format,
    )
    with Ledger(Path(output), job, plan.parts) as ledger:
        return ledger.summary() or finish(work, plan, pool, ledger, bar=progress)


def finish(work: Work, plan: Plan, pool: Pool, ledger: Ledger, *, bar: bool) -> Summary:
    """Have all shards answered that are not, and put each in its place."""
    before = sum(ledger.tallies.values(), Tally())
    pending = Pending(plan, frozenset(ledger.tallies))
    with JobProgress(plan.records, before, bar=bar) as progress:
        if before.records < plan.records:
            with pool.open(work, ledger.unfinished, progress.show) as engine:
                for finished in engine.answer(pending):
                    ledger.commit(finished)
    return ledger.succeed()


def chosen_options(task: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a task's call that differ from their defaults. Raises `InputError` for one that it has not."""
    call = inspect.signature(pipeline_class(task).__call__).parameters.values()
    known = {p.name: p.default for p in call if p.kind is p.KEYWORD_ONLY and p.name not in NOT_AMONG_OPTIONS}
    if unknown := sorted(options.keys() - known.keys()):
        raise InputError(f"options: {task} has no option {unknown[0]!r}; {', '.join(known)} would do.")
    return {name: value for name, value in options.items() if value != known[name]}
