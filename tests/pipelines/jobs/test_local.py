"""The local engine: each record once, whatever its decoder does to the worker."""

from __future__ import annotations

import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from showtell.errors import InputError, JobError
from showtell.pipelines.jobs.local import LocalEngine
from showtell.pipelines.jobs.shards import Shard
from showtell.pipelines.jobs.worker import Finished, Work

MakeShard = Callable[..., Shard]
ReadRows = Callable[[Path], list[dict[str, Any]]]
# Long beside what an echo takes, on a busy machine too.
TIME_LIMIT = 1.5
# So many shards of less than a window are taken before any is finished, by two workers: each has two that are read,
# one that waits, and perhaps one whose end has not been told.
AHEAD = 2 * 4


@contextmanager
def engine(open_pipeline: Callable[[], Any], folder: Path, workers: int = 1, **options: Any) -> Iterator[LocalEngine]:
    work = Work(open_pipeline, options, locate=str, part_format="jsonl")
    with LocalEngine(work, workers=workers, threads=1, time_limit=TIME_LIMIT, folder=folder) as opened:
        yield opened


def answer_one(open_pipeline: Callable[[], Any], folder: Path, shard: Shard, **options: Any) -> Finished:
    with engine(open_pipeline, folder, **options) as opened:
        [finished] = opened.answer([shard])
    return finished


def outcome(row: dict[str, Any]) -> str:
    return row["error"]["type"] if row["error"] else row["output"][0]["text"]


def test_shards_are_taken_lazily_and_each_is_answered_once(
    echo: ModuleType, tmp_path: Path, shard_of: MakeShard, read_rows: ReadRows
) -> None:
    taken = []

    def shards() -> Iterator[Shard]:
        for number in range(30):
            taken.append(number)
            yield shard_of(f"a {number}", "bad", f"c {number}", number=number)

    with engine(echo.EchoPipeline, tmp_path, workers=2, times=2) as opened:
        finished = []
        for one in opened.answer(shards()):
            finished.append(one)
            assert len(taken) <= len(finished) + AHEAD
    assert sorted(one.number for one in finished) == [*range(30)]
    for one in finished:
        assert [outcome(row) for row in read_rows(one.file)] == [
            f"a {one.number}" * 2,
            "MediaError",
            f"c {one.number}" * 2,
        ]
        assert (one.tally.records, one.tally.errors) == (3, {"MediaError": 1})


def test_the_tally_tells_padding_and_stages(echo: ModuleType, tmp_path: Path, shard_of: MakeShard) -> None:
    tally = answer_one(echo.EchoPipeline, tmp_path, shard_of("aa", "aaaa", "aaaaaaaa", "bad")).tally
    assert (tally.cost, tally.padded_cost) == (14, 24)
    assert tally.stage_seconds.keys() == {"open", "read", "answer", "write"}
    assert min(tally.stage_seconds.values()) > 0


@pytest.mark.parametrize("word", ["hang", "stuck", "crash"])
def test_a_record_that_ends_its_worker_is_an_error_and_its_neighbours_are_answered(
    word: str, echo: ModuleType, tmp_path: Path, shard_of: MakeShard, read_rows: ReadRows
) -> None:
    texts = ["a", "b", "c", f"{word} here", "e", "f", "g", "h", "i"]
    finished = answer_one(echo.EchoPipeline, tmp_path, shard_of(*texts))
    error = "ChildProcessError" if word == "crash" else "TimeoutError"
    assert [outcome(row) for row in read_rows(finished.file)] == [*texts[:3], error, *texts[4:]]
    assert [row["id"] for row in read_rows(finished.file)] == [f"0-{place}" for place in range(9)]
    assert (finished.tally.records, finished.tally.errors) == (9, {error: 1})
    message = read_rows(finished.file)[3]["error"]["message"]
    assert message.startswith(f"{word} here: ")


def test_what_ends_a_worker_across_the_end_of_a_part_is_an_error_and_nothing_else_is(
    echo: ModuleType, tmp_path: Path, shard_of: MakeShard, read_rows: ReadRows
) -> None:
    texts = [["a", "b", "crash here"], ["hang here", "c"], ["d"]]
    told = []
    with engine(echo.EchoPipeline, tmp_path) as opened:
        opened.watch = lambda answered, errors: told.append((answered, errors))
        finished = [*opened.answer(shard_of(*each, number=number) for number, each in enumerate(texts))]
    assert [one.number for one in finished] == [0, 1, 2]
    assert [[outcome(row) for row in read_rows(one.file)] for one in finished] == [
        ["a", "b", "ChildProcessError"],
        ["TimeoutError", "c"],
        ["d"],
    ]
    assert told[-1] == (6, 2)
    assert told == sorted(told)


def test_a_worker_that_is_killed_costs_no_record(
    echo: ModuleType, tmp_path: Path, shard_of: MakeShard, read_rows: ReadRows
) -> None:
    texts = ["a", f"crash-once {tmp_path / 'b'}", f"crash-once {tmp_path / 'c'}", "d", "e", "f"]
    finished = answer_one(echo.EchoPipeline, tmp_path, shard_of(*texts))
    assert [outcome(row) for row in read_rows(finished.file)] == texts


def test_a_batch_that_cannot_be_computed_costs_one_record(
    echo: ModuleType, tmp_path: Path, shard_of: MakeShard, read_rows: ReadRows
) -> None:
    finished = answer_one(echo.EchoPipeline, tmp_path, shard_of("a", "b", "poison", "d", "e", "f", "g"))
    assert [outcome(row) for row in read_rows(finished.file)] == ["a", "b", "RuntimeError", "d", "e", "f", "g"]


def test_an_option_that_cannot_be_used_ends_the_job_with_its_own_error(
    echo: ModuleType, tmp_path: Path, shard_of: MakeShard
) -> None:
    with pytest.raises(InputError, match="times=0"):
        answer_one(echo.EchoPipeline, tmp_path, shard_of("bad", "a"), times=0)


def test_a_worker_that_cannot_start_ends_the_job(echo: ModuleType, tmp_path: Path, shard_of: MakeShard) -> None:
    with pytest.raises(JobError, match="MemoryError: there is no room for the model"):
        answer_one(echo.break_down, tmp_path, shard_of("a"))
    with pytest.raises(JobError, match=r"ended as it started \(exit code 7\)"):
        answer_one(echo.die, tmp_path, shard_of("a"))


def test_a_full_disk_ends_the_job(echo: ModuleType, tmp_path: Path, shard_of: MakeShard) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))  # which workers inherit
    try:
        with pytest.raises(JobError, match=r"00000\.jsonl: this cannot be written \(File too large\)"):
            answer_one(echo.EchoPipeline, tmp_path, shard_of(*["a text"] * 100))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_workers_end_with_the_engine(echo: ModuleType, tmp_path: Path, shard_of: MakeShard) -> None:
    with engine(echo.EchoPipeline, tmp_path, workers=2) as opened:
        next(opened.answer(shard_of("a", number=number) for number in range(9)))
        processes = [one.process for one in opened.workers]
        assert [process.poll() for process in processes] == [None, None]
    assert [process.poll() for process in processes] == [-signal.SIGKILL, -signal.SIGKILL]


def test_a_worker_ends_when_who_started_it_is_gone(echo: ModuleType, tmp_path: Path, shard_of: MakeShard) -> None:
    with engine(echo.EchoPipeline, tmp_path) as opened:
        next(opened.answer([shard_of("a"), shard_of("hang", number=1)]))
        [one] = opened.workers
        one.link.close()  # as the system does for a process that is killed
        assert one.process.wait(timeout=60) == 1
