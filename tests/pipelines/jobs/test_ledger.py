"""The output folder: one job's, one process's, whole parts only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from showtell.errors import JobError
from showtell.pipelines.jobs.ledger import Ledger
from showtell.pipelines.jobs.summary import Tally
from showtell.pipelines.jobs.worker import Finished

JOB: dict[str, Any] = {"task": "echo", "model": "m", "options": {"times": 2}, "format": "jsonl"}


def finish(ledger: Ledger, number: int, records: int = 2) -> None:
    file = ledger.unfinished / f"{number:05}.jsonl"
    file.write_text(f"rows of {number}", encoding="utf-8")
    ledger.commit(Finished(number, file, Tally(records=records)))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_job_goes_on_where_it_was_left(tmp_path: Path) -> None:
    output = tmp_path / "new" / "output"
    with Ledger(output, JOB, parts=3) as ledger:
        assert ledger.tallies == {}
        finish(ledger, 1)
    assert names(output) == ["_job.json", "_ledger.jsonl", "_lock", "part-00001.jsonl"]
    with Ledger(output, JOB, parts=3) as ledger:
        assert ledger.tallies == {1: Tally(records=2)}
        assert ledger.summary() is None
        finish(ledger, 0)
        finish(ledger, 2, records=1)
        summary = ledger.succeed()
    assert (summary["records"], summary["parts"], summary["errors"]) == (5, 3, 0)
    assert summary == json.loads((output / "summary.json").read_text(encoding="utf-8"))
    with Ledger(output, JOB, parts=3) as ledger:
        assert ledger.summary() == summary
    assert [name for name in names(output) if name.startswith("part-")] == [f"part-0000{n}.jsonl" for n in range(3)]
    assert (output / "_SUCCESS").exists()


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    killed = Ledger(tmp_path, JOB, parts=2)
    finish(killed, 0)
    (killed.unfinished / "00001.jsonl").write_text("half", encoding="utf-8")
    killed.lock.close()  # as the system does when the process ends
    with (tmp_path / "_ledger.jsonl").open("a", encoding="utf-8") as lines:
        lines.write('{"part": 1, "tal')
    with Ledger(tmp_path, JOB, parts=2) as ledger:
        assert [*ledger.tallies] == [0]
        assert not killed.unfinished.exists()
        finish(ledger, 1)
    with Ledger(tmp_path, JOB, parts=2) as ledger:
        assert [*ledger.tallies] == [0, 1]


def test_a_part_that_was_told_of_but_never_moved_is_not_finished(tmp_path: Path) -> None:
    with Ledger(tmp_path, JOB, parts=1) as ledger:
        finish(ledger, 0)
        ledger.succeed()
    (tmp_path / "part-00000.jsonl").unlink()
    with Ledger(tmp_path, JOB, parts=1) as ledger:
        assert ledger.tallies == {}
        assert not (tmp_path / "_SUCCESS").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"options": {}}, r"another job \(options: \{'times': 2\} then, \{\} now\)"),
        ({"model": "n"}, r"another job \(model: 'm' then, 'n' now\)"),
    ],
)
def test_another_job_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with Ledger(tmp_path, JOB, parts=1) as ledger:
        finish(ledger, 0)
    before = {path: path.stat() for path in tmp_path.iterdir()}
    with pytest.raises(JobError, match=message):
        Ledger(tmp_path, {**JOB, **change}, parts=1)
    assert {path: path.stat() for path in tmp_path.iterdir()} == before


def test_other_files_are_refused_and_stay(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(JobError, match=r"there are other files here, such as thesis\.txt"):
        Ledger(tmp_path, JOB, parts=1)
    assert names(tmp_path) == ["thesis.txt"]


def test_a_part_of_nobody_is_refused(tmp_path: Path) -> None:
    with Ledger(tmp_path, JOB, parts=1):
        pass
    (tmp_path / "part-00001.jsonl").touch()
    with pytest.raises(JobError, match=r"part-00001\.jsonl is no part of this job"):
        Ledger(tmp_path, JOB, parts=1)


def test_a_second_job_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    with Ledger(tmp_path, JOB, parts=1) as ledger:
        with pytest.raises(JobError, match="a job that writes here is running"):
            Ledger(tmp_path, JOB, parts=1)
        finish(ledger, 0)
    Ledger(tmp_path, JOB, parts=1).lock.close()


@pytest.mark.parametrize("place", ["file/output", "file"])
def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JobError, match=place):
        Ledger(tmp_path / place, JOB, parts=1)
