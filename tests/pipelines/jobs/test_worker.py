"""The worker: shards in one stream, each with the answers that it would have alone."""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from showtell.pipelines.jobs.manifest import Record
from showtell.pipelines.jobs.shards import Shard
from showtell.pipelines.jobs.summary import Tally
from showtell.pipelines.jobs.worker import ANSWERED, BEGUN, ERRORS, VITALS, Assignment, Finished, Ready, Work, Worker

MakeShard = Callable[..., Shard]
ReadRows = Callable[[Path], list[dict[str, Any]]]


class NothingLeftError(BaseException):
    """All shards are finished; no `Exception`, which a worker would take for a record's fault."""


class Engine:
    """Gives a worker the shards that it asks for, in time or late, and keeps what it finishes."""

    def __init__(self, assignments: list[Assignment], is_late: Iterator[bool]):
        self.waiting, self.is_late = deque(assignments), is_late
        self.asked, self.finished = 0, list[Finished]()

    def tell(self, message: Ready | Finished) -> None:
        if isinstance(message, Finished):
            self.finished.append(message)
        else:
            self.asked += 1

    def get(self) -> Assignment:
        if not self.waiting:
            raise NothingLeftError
        assert self.asked > 0
        self.asked -= 1
        return self.waiting.popleft()

    def get_nowait(self) -> Assignment:
        if not self.waiting or not self.asked or next(self.is_late):
            raise queue.Empty
        return self.get()


def work_through(
    echo: ModuleType, folder: Path, shards: list[Shard], is_late: Iterator[bool], one_by_one: int = 0, **options: Any
) -> tuple[list[Finished], list[list[str]], np.ndarray]:
    """What is finished, the batches on the way, and the vitals at the end."""
    batches: list[list[str]] = []

    class Recorder(echo.EchoPipeline):
        def answer(self, texts: list[str], times: int) -> Any:
            batches.append(texts)
            return super().answer(texts, times)

    vitals = np.zeros(VITALS, np.int64)
    engine: Any = Engine([Assignment(shard, folder / f"{shard.number}.jsonl") for shard in shards], is_late)
    worker = Worker(Work(Recorder, options, str, "jsonl"), vitals, engine, engine.tell)
    with pytest.raises(NothingLeftError):
        worker.answer(one_by_one)
    return engine.finished, batches, vitals


def outcome(row: dict[str, Any]) -> str:
    return row["error"]["type"] if row["error"] else row["output"][0]["text"]


words = st.sampled_from(["a", "longer text", "bad"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.lists(words, min_size=1, max_size=15), min_size=1, max_size=5),
    late=st.lists(st.booleans(), max_size=5),
    batch_size=st.none() | st.integers(1, 6),
    one_by_one=st.integers(0, 3),
)
def test_each_part_has_its_answers_whatever_goes_before_it(
    echo: ModuleType,
    read_rows: ReadRows,
    texts: list[list[str]],
    late: list[bool],
    batch_size: int | None,
    one_by_one: int,
) -> None:
    shards = [
        Shard(number, [Record(f"{number}-{place}", f"{text} {number}-{place}") for place, text in enumerate(each)])
        for number, each in enumerate(texts)
    ]
    one_by_one = min(one_by_one, len(texts[0]))
    with TemporaryDirectory() as name:
        folder = Path(name)
        is_late = chain(late, repeat(False))
        finished, batches, vitals = work_through(echo, folder, shards, is_late, one_by_one, batch_size=batch_size)
        assert [one.number for one in finished] == [*range(len(shards))]
        for one, shard in zip(finished, shards, strict=True):
            rows = read_rows(one.file)
            assert [row["id"] for row in rows] == [record.id for record in shard.records]
            expected = ["MediaError" if record.input.startswith("bad") else record.input for record in shard.records]
            assert [outcome(row) for row in rows] == expected
            assert (one.tally.records, one.tally.errors.total()) == (len(rows), expected.count("MediaError"))
        whole = sum((one.tally for one in finished), Tally())
        assert vitals[[BEGUN, ANSWERED, ERRORS]].tolist() == [whole.records, whole.records, whole.errors.total()]
    by_itself: list[list[str]] = []
    for shard in shards:
        with TemporaryDirectory() as name:
            alone = one_by_one if shard.number == 0 else 0
            by_itself += work_through(echo, Path(name), [shard], repeat(False), alone, batch_size=batch_size)[1]
    assert batches == by_itself


def test_the_next_shard_is_read_before_the_last_part_is_finished(
    echo: ModuleType, tmp_path: Path, shard_of: MakeShard
) -> None:
    shards = [shard_of(*"abcdefghi", number=number) for number in range(3)]
    seen: list[tuple[int, int]] = []

    class Watcher(echo.EchoPipeline):
        def read(self, source: str) -> str:
            seen.append((len(engine.finished), len(engine.waiting)))
            return super().read(source)

    engine: Any = Engine([Assignment(shard, tmp_path / f"{shard.number}.jsonl") for shard in shards], repeat(False))
    with pytest.raises(NothingLeftError):
        Worker(Work(Watcher, {}, str, "jsonl"), np.zeros(VITALS, np.int64), engine, engine.tell).answer(0)
    assert (0, 1) in seen
    assert (1, 0) in seen


def test_a_batch_that_cannot_be_computed_costs_one_record_wherever_parts_end(
    echo: ModuleType, tmp_path: Path, shard_of: MakeShard, read_rows: ReadRows
) -> None:
    shards = [shard_of("a", "b", "c", number=0), shard_of("poison", "e", number=1), shard_of("f", number=2)]
    finished, _, _ = work_through(echo, tmp_path, shards, repeat(False))
    assert [[outcome(row) for row in read_rows(one.file)] for one in finished] == [
        ["a", "b", "c"],
        ["RuntimeError", "e"],
        ["f"],
    ]


def test_a_part_goes_on_after_its_rows_and_a_whole_one_is_finished_at_once(
    echo: ModuleType, tmp_path: Path, shard_of: MakeShard, read_rows: ReadRows
) -> None:
    shards = [shard_of("a", "b", number=0), shard_of(*"cdefg", number=1)]
    finished, _, _ = work_through(echo, tmp_path, shards, repeat(False))
    lines = finished[1].file.read_bytes().splitlines(keepends=True)
    finished[1].file.write_bytes(b"".join(lines[:3]) + b'{"id": "1-3", "inp')
    finished, batches, vitals = work_through(echo, tmp_path, shards, repeat(False), one_by_one=1)
    assert [len(read_rows(one.file)) for one in finished] == [2, 5]
    assert (batches, vitals[BEGUN]) == ([["f"], ["g"]], 2)
