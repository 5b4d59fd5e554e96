"""What a shard came to, and by adding shards up, what a job did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self, TypedDict


@dataclass
class Tally:
    """Counts and times of some records.

    errors: how many, by type. media_seconds: how long their sound and video are.
    cost: the work that the records are, in the units of `Pipeline.cost`. padded_cost: what it grew to in batches.
    stage_seconds: how long each stage of the work took. Stages overlap, and so do workers.
    """

    records: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    media_seconds: float = 0.0
    cost: float = 0.0
    padded_cost: float = 0.0
    stage_seconds: dict[str, float] = field(default_factory=dict)

    def count(self, error: str | None) -> None:
        """One more record has its answer, or an error of this type."""
        self.records += 1
        if error is not None:
            self.errors[error] += 1

    def spend(self, stage: str, seconds: float) -> None:
        """A stage has taken so long."""
        self.stage_seconds[stage] = self.stage_seconds.get(stage, 0.0) + seconds

    def __add__(self, other: Self) -> Self:
        both = type(self)(
            self.records + other.records,
            self.errors + other.errors,
            self.media_seconds + other.media_seconds,
            self.cost + other.cost,
            self.padded_cost + other.padded_cost,
            {**self.stage_seconds},
        )
        for stage, seconds in other.stage_seconds.items():
            both.spend(stage, seconds)
        return both

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return dict(vars(self))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """A tally that was written down."""
        return cls(**{**values, "errors": Counter(values["errors"])})


class Summary(TypedDict):
    """What `summary.json` tells of a finished job.

    answered, errors: they sum to `records`. seconds: by the clock, of all runs of the job, each up to its last part.
    media_seconds: of sound and video; zero where there is none. padding_waste: which share of the work in batches
    was padding, 0 to 1. stage_seconds: of each stage, summed over workers; stages overlap.
    """

    task: str
    model: str
    records: int
    answered: int
    errors: int
    errors_by_type: dict[str, int]
    parts: int
    seconds: float
    records_per_second: float
    media_seconds: float
    media_seconds_per_second: float
    padding_waste: float
    stage_seconds: dict[str, float]


def summarize(tallies: Iterable[Tally], seconds: float, *, task: str, model: str) -> Summary:
    """Add up the tallies of all parts."""
    tallies = list(tallies)
    total = sum(tallies, Tally())
    errors = total.errors.total()
    return Summary(
        task=task,
        model=model,
        records=total.records,
        answered=total.records - errors,
        errors=errors,
        errors_by_type=dict(total.errors.most_common()),
        parts=len(tallies),
        seconds=round(seconds, 3),
        records_per_second=round(total.records / seconds, 3),
        media_seconds=round(total.media_seconds, 3),
        media_seconds_per_second=round(total.media_seconds / seconds, 3),
        padding_waste=round(1 - total.cost / total.padded_cost, 4) if total.padded_cost else 0.0,
        stage_seconds={stage: round(spent, 3) for stage, spent in total.stage_seconds.items()},
    )
