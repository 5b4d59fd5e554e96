"""`showtell batch`: a batch job from the command line."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Any, Literal

import typer


def batch_task(
    task: str,
    source: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="A .jsonl, .csv or .parquet manifest with a column `input` and perhaps `id`, a folder, or a quoted "
            "glob; a path, or an address that fsspec knows.",
        ),
    ],
    *,
    output: Annotated[Path, typer.Option(help="The folder of the parts: a new one, or this job's, which goes on.")],
    model: Annotated[str | None, typer.Option(help="A bundled model, a folder, or owner/name on the Hub.")] = None,
    engine: Annotated[Literal["local", "ray"], typer.Option(help="Processes on this machine, or a cluster.")] = "local",
    workers: Annotated[int | None, typer.Option(help="So many pipelines. Default: one for each core.")] = None,
    threads: Annotated[int | None, typer.Option(help="Of each worker. Default: its share of the cores.")] = None,
    shard_size: Annotated[
        int | None, typer.Option(help="Records a part. Default: 1000, fewer if there are few.")
    ] = None,
    format: Annotated[Literal["jsonl", "parquet"], typer.Option(help="What parts are.")] = "jsonl",
    time_limit: Annotated[float, typer.Option(help="Seconds after which a record that hangs is given up.")] = 300.0,
    address: Annotated[str | None, typer.Option(help="Of a Ray cluster. Default: one is started here.")] = None,
    **options: Any,
) -> None:
    """Answer every record of INPUT once. When it is killed, the same command goes on; bad records are error rows."""
    from showtell.pipelines.jobs import run_batch

    log_lines()
    summary = run_batch(
        task,
        source,
        output,
        model=model,
        batch_size=options.pop("batch_size"),
        options=options,
        engine=engine,
        workers=workers,
        threads=threads,
        shard_size=shard_size,
        format=format,
        time_limit=time_limit,
        address=address,
        progress=True,
    )
    errors = "1 error" if summary["errors"] == 1 else f"{summary['errors']:,} errors"
    print(f"{summary['records']:,} records, {errors}, {summary['records_per_second']:,.1f} a second: {output}")


def log_lines() -> None:
    """Print what showtell logs, with the time, on standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    log = logging.getLogger("showtell")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
