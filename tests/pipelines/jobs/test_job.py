"""Whole jobs with the bundled captioner: every photograph once, whatever is killed, and nothing else overwritten."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.dataset
import pytest
from typer.testing import CliRunner

from showtell.errors import InputError, JobError, MissingExtraError, ModelError
from showtell.pipelines import MODELS, TASKS
from showtell.pipelines.cli import app
from showtell.pipelines.image_to_text import ImageToText
from showtell.pipelines.jobs import run_batch

ReadRows = Callable[[Path], list[dict[str, Any]]]
SHARD_SIZE = 2
OPTIONS = {"num_beams": 1, "max_length": 8}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, photographs: list[Path]) -> Path:
    """Photographs, a broken one among them, and a file that is none."""
    folder = tmp_path_factory.mktemp("photographs")
    for path in photographs:
        shutil.copy(path, folder)
    (folder / "broken.jpg").write_bytes(photographs[0].read_bytes()[:3000])
    (folder / "notes.txt").write_text("no photograph", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def undisturbed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a job that nothing happened to."""
    output = tmp_path_factory.mktemp("job") / "output"
    run_batch("image-to-text", folder, output, options=OPTIONS, shard_size=SHARD_SIZE, workers=2, threads=1)
    return output


@pytest.fixture(scope="module")
def greedy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a captioner with other options of its own than the bundled one."""
    folder = tmp_path_factory.mktemp("models") / "greedy"
    shutil.copytree(MODELS / "flickr8k-captions", folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["options"] = OPTIONS
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def parts(output: Path) -> dict[str, tuple[int, int]]:
    """The parts that are finished, and by what it is seen whether one was touched."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in output.glob("part-*")}


def contents(output: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in output.glob("part-*")}


def test_every_photograph_has_one_row_with_its_caption_or_its_error(
    folder: Path, undisturbed: Path, caption: ImageToText, read_rows: ReadRows
) -> None:
    rows = read_rows(undisturbed)
    files = sorted(folder.iterdir())
    answers: list[Any] = caption(files, on_error="return", num_beams=1, max_length=8)
    assert [row["id"] for row in rows] == [file.name for file in files]
    assert [row["input"] for row in rows] == [str(file) for file in files]
    for row, expected in zip(rows, answers, strict=True):
        if isinstance(expected, Exception):
            assert row["output"] is None
            assert row["error"] == {"type": "MediaError", "message": str(expected)}
        else:
            assert row["error"] is None
            assert [one["generated_text"] for one in row["output"]] == [one["generated_text"] for one in expected]
            assert row["output"][0]["score"] == pytest.approx(expected[0]["score"], abs=1e-4)
    summary = json.loads((undisturbed / "summary.json").read_text(encoding="utf-8"))
    assert (summary["records"], summary["errors_by_type"], summary["parts"]) == (9, {"MediaError": 2}, 5)
    assert summary["padding_waste"] == 0
    assert summary["records_per_second"] == pytest.approx(9 / summary["seconds"], rel=1e-2)


def test_killed_again_and_again_it_ends_as_if_undisturbed(folder: Path, undisturbed: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"
    command = [sys.executable, "-m", "showtell", "batch", "image-to-text", str(folder), "--output", str(output)]
    command += ["--shard-size", str(SHARD_SIZE), "--workers", "1", "--num-beams", "1", "--max-length", "8"]
    after = parts(output)
    for _ in range(2):
        before = after
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            while parts(output).keys() == before.keys():
                assert process.poll() is None
                time.sleep(0.001)
            process.send_signal(signal.SIGKILL)
        after = parts(output)
        assert before.items() <= after.items()
        assert not (output / "_SUCCESS").exists()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("9 records, 2 errors, ")
    assert after.items() <= parts(output).items()
    assert contents(output) == contents(undisturbed)
    assert sorted(path.name for path in output.iterdir()) == sorted(path.name for path in undisturbed.iterdir())


def test_a_job_that_is_done_is_left_as_it_is(folder: Path, undisturbed: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in undisturbed.iterdir()}
    summary = run_batch("image-to-text", folder, undisturbed, options=OPTIONS, shard_size=SHARD_SIZE, workers=7)
    assert summary == json.loads((undisturbed / "summary.json").read_text(encoding="utf-8"))
    assert {path: path.stat().st_mtime_ns for path in undisturbed.iterdir()} == before


@pytest.mark.parametrize(
    "change",
    [
        {"options": {"num_beams": 2}},
        {"shard_size": 3},
        {"format": "parquet"},
        {"model": "greedy"},
        {"source": "fewer"},
    ],
)
def test_a_job_that_has_changed_is_refused(
    folder: Path, undisturbed: Path, tmp_path: Path, greedy: Path, change: dict[str, Any]
) -> None:
    shutil.copy(folder / "notes.txt", tmp_path)
    places = {"greedy": greedy, "fewer": tmp_path}
    job: dict[str, Any] = {"source": folder, "options": OPTIONS, "shard_size": SHARD_SIZE, **change}
    job = {name: places.get(value, value) if isinstance(value, str) else value for name, value in job.items()}
    before = parts(undisturbed)
    with pytest.raises(JobError, match="the output of another job"):
        run_batch("image-to-text", output=undisturbed, **job)
    assert parts(undisturbed) == before


def test_parquet_has_the_same_rows(
    folder: Path, undisturbed: Path, tmp_path: Path, read_rows: ReadRows, greedy: Path
) -> None:
    listed = tmp_path / "list.csv"
    names = [path.name for path in sorted(folder.iterdir())]
    listed.write_text("input\n" + "".join(f"{folder / name}\n" for name in names), encoding="utf-8")
    output = tmp_path / "output"
    run_batch("image-to-text", listed, output, model=greedy, format="parquet", shard_size=6, workers=1)
    assert [path.name for path in sorted(output.glob("part-*"))] == ["part-00000.parquet", "part-00001.parquet"]
    table = pyarrow.dataset.dataset(sorted(output.glob("part-*"))).to_table().to_pylist()
    assert [row["id"] for row in table] == [*map(str, range(9))]
    for row, expected in zip(table, read_rows(undisturbed), strict=True):
        assert row["error"] == expected["error"]
        for one, other in zip(row["output"] or (), expected["output"] or (), strict=True):
            assert one == {**other, "score": pytest.approx(other["score"], abs=1e-4), "attention": None}


def test_an_option_s_bad_value_ends_the_job_with_the_pipeline_s_error(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="num_beams"):
        run_batch("image-to-text", folder, tmp_path / "output", options={"num_beams": 0}, workers=1)
    assert not [*(tmp_path / "output").glob("part-*")]
    assert not [*(tmp_path / "output").glob("_unfinished-*")]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"task": "telepathy"}, InputError, "task 'telepathy' is not known"),
        ({"options": {"num_beans": 3}}, InputError, "image-to-text has no option 'num_beans'; num_beams, "),
        ({"options": {"on_error": "raise"}}, InputError, "no option 'on_error'"),
        ({"workers": 0}, InputError, "workers=0"),
        ({"threads": 1.5}, InputError, r"threads=1\.5"),
        ({"time_limit": 0}, InputError, "time_limit=0"),
        ({"shard_size": 0}, InputError, "shard_size=0"),
        ({"engine": "spark"}, InputError, "engine='spark'"),
        ({"format": "xml"}, InputError, "format='xml'"),
        ({"address": "ray://head:10001"}, InputError, "only with engine="),
        ({"output": "s3://bucket/output"}, InputError, "a folder on this machine would do"),
        ({"model": "no-such-model"}, ModelError, "no-such-model"),
        ({"source": "missing.jsonl"}, JobError, r"missing\.jsonl: there is no such file or folder"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    folder: Path, tmp_path: Path, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    job = {"task": "image-to-text", "source": folder, "output": tmp_path / "output", **arguments}
    with pytest.raises(error, match=message):
        run_batch(**job)
    assert not [*tmp_path.iterdir()]


def test_what_needs_an_extra_says_which(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "showtell.pipelines.jobs.ray", raising=False)
    with pytest.raises(MissingExtraError, match=r"showtell\[batch\]"):
        run_batch("image-to-text", folder, tmp_path / "output", format="parquet")
    with pytest.raises(MissingExtraError, match=r"showtell\[ray\]"):
        run_batch("image-to-text", folder, tmp_path / "output", engine="ray")


def test_the_command_says_in_one_line_what_is_wrong(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "notes.txt", tmp_path)
    result = CliRunner().invoke(app, ["batch", "image-to-text", str(folder), "--output", str(tmp_path)])
    assert result.exit_code == 1
    assert "there are other files here, such as notes.txt" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_a_command(task: str) -> None:
    result = CliRunner().invoke(app, ["batch", task, "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert "--shard-size" in result.stdout
