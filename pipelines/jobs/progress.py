"""How far a job is: a bar in a terminal, lines in the log of `showtell` elsewhere."""

from __future__ import annotations

import logging
import sys
from time import monotonic
from typing import TYPE_CHECKING, Self

from showtell.pipelines.jobs.summary import Tally

if TYPE_CHECKING:
    from rich.progress import Progress

LOG = logging.getLogger("showtell")
# So often a line is logged.
LOG_SECONDS = 10.0


class JobProgress:
    """Records answered, records a second, errors, and the time left. Use it in `with`."""

    def __init__(self, total: int, before: Tally, *, bar: bool):
        """before: what earlier runs came to. bar: draw one, if standard error is a terminal."""
        self.total, self.before = total, before
        self.started, self.logged = monotonic(), -LOG_SECONDS
        self.bar = self.draw() if bar and sys.stderr.isatty() else None

    def draw(self) -> Progress:
        """A bar on standard error."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
        progress = Progress(*columns, console=Console(stderr=True), redirect_stdout=sys.stdout.isatty())
        self.task = progress.add_task("", total=self.total, completed=self.before.records)
        return progress

    def show(self, answered: int, errors: int) -> None:
        """Show how far it is: this run has answered so many records, so many of them in vain."""
        now = monotonic()
        rate = answered / max(now - self.started, 1e-9)
        answered, errors = self.before.records + answered, self.before.errors.total() + errors
        told = f"{rate:,.1f} a second, {errors:,} {'error' if errors == 1 else 'errors'}"
        if self.bar is not None:
            self.bar.update(self.task, completed=answered, description=told)
        elif now - self.logged >= LOG_SECONDS:
            self.logged = now
            left = f", {(self.total - answered) / rate:,.0f} s left" if rate else ""
            LOG.info("%s of %s records, %s%s", f"{answered:,}", f"{self.total:,}", told, left)

    def __enter__(self) -> Self:
        if self.bar is not None:
            self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()
