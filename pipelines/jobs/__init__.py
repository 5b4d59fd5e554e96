"""Batch jobs: `run_batch` answers every record of a manifest once, whatever is killed on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from showtell.lazy import attach

if TYPE_CHECKING:
    from showtell.pipelines.jobs.job import run_batch

__all__ = ["run_batch"]

__getattr__, __dir__ = attach(__name__, {"run_batch": "showtell.pipelines.jobs.job"})
