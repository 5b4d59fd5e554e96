"""Plans: what one pass finds, how records are cut, and that nothing is kept but digests."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from showtell.errors import InputError, JobError
from showtell.pipelines.jobs.manifest import Manifest
from showtell.pipelines.jobs.shards import Plan


def manifest(folder: Path, *rows: str) -> Manifest:
    (folder / "list.csv").write_text("id,input\n" + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return Manifest(str(folder / "list.csv"), reads_text=True, output=folder / "output")


def test_every_record_is_in_one_shard(tmp_path: Path) -> None:
    plan = Plan(manifest(tmp_path, *(f"{n},text {n}" for n in range(7))), shard_size=3)
    assert (plan.records, plan.parts) == (7, 3)
    assert [[record.id for record in shard.records] for shard in plan.shards()] == [[*"012"], [*"345"], ["6"]]
    assert [shard.number for shard in plan.shards(finished={0, 2})] == [1]


@pytest.mark.parametrize(("records", "size"), [(1, 50), (400, 50), (401, 51), (8000, 1000), (9000, 1000)])
def test_a_short_job_has_several_shards(tmp_path: Path, records: int, size: int) -> None:
    assert Plan(manifest(tmp_path, *(f"{n},text" for n in range(records)))).shard_size == size


@pytest.mark.parametrize("size", [0, -1, 2.5, "3"])
def test_a_shard_size_that_cannot_be_is_refused(tmp_path: Path, size: object) -> None:
    with pytest.raises(InputError, match="shard_size="):
        Plan(manifest(tmp_path, "1,a"), size)  # pyright: ignore[reportArgumentType]


def test_two_records_with_one_id_are_refused(tmp_path: Path) -> None:
    rows = [f"{n},text" for n in range(200)]
    rows[150] = "17,another"
    with pytest.raises(JobError, match="records 18 and 151 have the same id '17'"):
        Plan(manifest(tmp_path, *rows))


def test_a_manifest_without_records_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="there are no records"):
        Plan(manifest(tmp_path))


def test_the_content_differs_with_each_id_input_and_order(tmp_path: Path) -> None:
    variants = [["1,a", "2,b"], ["2,b", "1,a"], ["1,a", "2,c"], ["1,a", "3,b"], ["1,a"], ["1,a", "2,b", "3,c"]]
    contents = [Plan(manifest(tmp_path, *rows)).content for rows in variants]
    assert len({*contents}) == len(variants)
    assert Plan(manifest(tmp_path, *variants[0])).content == contents[0]


def test_an_input_that_changes_while_the_job_runs_is_noticed(tmp_path: Path) -> None:
    plan = Plan(manifest(tmp_path, "1,a", "2,b", "3,c"), shard_size=2)
    manifest(tmp_path, "1,a", "2,b", "3,changed")
    shards = plan.shards()
    assert next(shards).number == 0
    with pytest.raises(JobError, match="it changed while the job ran"):
        next(shards)


def test_records_are_not_kept(tmp_path: Path) -> None:
    records = 10_000
    source = manifest(tmp_path, *(f"{n},{'a longer text ' * 10}" for n in range(records)))
    tracemalloc.start()
    try:
        plan = Plan(source, shard_size=100)
        assert sum(len(shard.records) for shard in plan.shards()) == records
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 50 * records  # bytes; a list of the records would take 300 each
