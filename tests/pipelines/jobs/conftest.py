"""What the tests of jobs share: workers that echo, and rows read back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from showtell.pipelines.jobs.manifest import Record
from showtell.pipelines.jobs.shards import Shard

Rows = list[dict[str, Any]]


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module `echo_pipeline`, which workers find too."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    import echo_pipeline

    return echo_pipeline


@pytest.fixture
def read_rows() -> Callable[[Path], Rows]:
    """The rows of a JSON lines part, or of all parts of a folder in order."""

    def read(path: Path) -> Rows:
        files = sorted(path.glob("part-*")) if path.is_dir() else [path]
        return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]

    return read


@pytest.fixture
def shard_of() -> Callable[..., Shard]:
    """A shard of texts."""

    def make(*texts: str, number: int = 0) -> Shard:
        return Shard(number, [Record(f"{number}-{place}", text) for place, text in enumerate(texts)])

    return make
