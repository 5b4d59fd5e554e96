"""The Ray engine: the same parts, and a pool that leaves room for its own input."""

from __future__ import annotations

import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import ray
from hypothesis import given
from hypothesis import strategies as st

from showtell.errors import JobError, ModelError
from showtell.pipelines.jobs import run_batch
from showtell.pipelines.jobs.ray import READING_CPUS, Actor, RayEngine
from showtell.pipelines.jobs.shards import Shard
from showtell.pipelines.jobs.worker import Work

ReadRows = Callable[[Path], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a cluster of two cores, which outlives the jobs that are killed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))  # where its actors find `echo_pipeline`
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
        yield ray.get_runtime_context().gcs_address
        ray.shutdown()


def engine(work: Work, folder: Path, **options: Any) -> RayEngine:
    settings: dict[str, Any] = {"workers": None, "threads": 1, "time_limit": 60.0, "address": None, **options}
    return RayEngine(work, folder=folder, watch=lambda answered, errors: None, **settings)


@given(
    cores=st.lists(st.integers(0, 64), min_size=1, max_size=5), threads=st.integers(1, 8), workers=st.integers(1, 99)
)
def test_the_pool_never_takes_all_of_a_cluster(cores: list[int], threads: int, workers: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray, "is_initialized", lambda: True)
        nodes = [{"Alive": True, "Resources": {"CPU": float(each)} if each else {}} for each in cores]
        patch.setattr(ray, "nodes", lambda: [*nodes, {"Alive": False, "Resources": {"CPU": 1000.0}}])
        opened = engine(Work(object, {}, str, "jsonl"), Path(), workers=workers, threads=threads)  # pyright: ignore
        room = sum(each // threads for each in cores)
        if room == 0:
            with pytest.raises(JobError, match=f"threads={threads}"):
                opened.pool_size()
            return
        assert 1 <= opened.pool_size() == min(room, workers)
        assert opened.pool_size() * (threads - READING_CPUS) + READING_CPUS <= sum(cores)


def test_shards_are_answered_and_their_parts_come_here(
    cluster: str, echo: ModuleType, tmp_path: Path, shard_of: Callable[..., Shard], read_rows: ReadRows
) -> None:
    shards = [shard_of("a", "crash", f"c {number}", number=number) for number in range(2)]
    with engine(Work(echo.EchoPipeline, {"times": 2}, str, "jsonl"), tmp_path) as opened:
        finished = {one.number: one for one in opened.answer(shards)}
    assert [*sorted(finished)] == [0, 1]
    for number, one in finished.items():
        first, second, third = read_rows(one.file)
        assert one.file.parent == tmp_path
        assert (first["output"][0]["text"], third["output"][0]["text"]) == ("aa", f"c {number}" * 2)
        assert second["error"]["type"] == "ChildProcessError"
        assert (one.tally.records, one.tally.errors) == (3, {"ChildProcessError": 1})


def test_an_actor_returns_what_ends_a_job(echo: ModuleType, shard_of: Callable[..., Shard]) -> None:
    actor = Actor(Work(echo.no_model, {}, str, "jsonl"), 1, 60.0)
    answer = actor({"shard": [pickle.dumps(shard_of("a"))]})
    error, content = pickle.loads(answer["outcome"][0])
    assert isinstance(error, ModelError)
    assert (str(error), content) == ("there is no model here", b"")


def test_killed_twice_it_ends_as_on_one_machine(
    cluster: str, photographs: list[Path], tmp_path: Path, read_rows: ReadRows
) -> None:
    folder, output, local = tmp_path / "photographs", tmp_path / "output", tmp_path / "local"
    folder.mkdir()
    for path in photographs:
        shutil.copy(path, folder)
    (folder / "notes.txt").write_text("no photograph", encoding="utf-8")
    command = [sys.executable, "-m", "showtell", "batch", "image-to-text", str(folder), "--output", str(output)]
    command += ["--shard-size", "1", "--num-beams", "1", "--engine", "ray", "--address", cluster]
    finished: dict[str, int] = {}
    for _ in range(2):
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            while len(parts(output)) == len(finished):
                assert process.poll() is None
                time.sleep(0.001)
            process.send_signal(signal.SIGKILL)
        assert finished.items() <= parts(output).items()
        finished = parts(output)
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    assert finished.items() <= parts(output).items()
    run_batch("image-to-text", folder, local, options={"num_beams": 1}, shard_size=1, workers=1, threads=1)
    assert read_rows(output) == read_rows(local)
    assert (output / "_SUCCESS").exists()


def parts(output: Path) -> dict[str, int]:
    """The parts that are finished, each with its inode."""
    return {path.name: path.stat().st_ino for path in output.glob("part-*")}
