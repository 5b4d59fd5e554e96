"""The demo answers every sample in the terminal, and writes the page."""

from __future__ import annotations

from html import unescape
from pathlib import Path

import pytest
from typer.testing import CliRunner

from showtell import pipeline
from showtell.pipelines import TASKS
from showtell.pipelines.cli import app
from showtell.pipelines.demo import DEMONSTRATIONS, SAMPLES, run_demo


def test_every_task_and_every_sample_has_its_place_in_the_demo() -> None:
    assert {row.task for row in DEMONSTRATIONS} == set(TASKS)
    samples = {sample for row in DEMONSTRATIONS for sample in row.samples.values() if isinstance(sample, Path)}
    assert samples == set(SAMPLES.iterdir())


def test_speech_is_told_and_drawn(tiny_recogniser: Path) -> None:
    [row] = [row for row in DEMONSTRATIONS if row.task == "automatic-speech-recognition"]
    recordings = list(row.samples.values())
    for recording, said in zip(recordings, pipeline(row.task, tiny_recogniser)(recordings, **row.options), strict=True):
        assert row.tell(said) == (said["text"], said["score"])
        assert row.draw(recording, said).count("<span style=") == len(said["chunks"]) > 0


def test_the_demo_prints_the_answers_and_writes_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    report = tmp_path / "pages" / "report.html"
    run_demo(report)
    out, err = capsys.readouterr()
    assert err == ""
    assert report.resolve().as_uri() in out
    page = report.read_text(encoding="utf-8")
    for demonstration in DEMONSTRATIONS:
        assert demonstration.title in page
        for name in demonstration.samples:
            [line] = [line for line in out.splitlines() if name in line]
            told = line.split("│")[2].strip()
            assert told
            if demonstration.task == "image-to-text":
                assert f'<p class="caption">{told}</p>' in page
                assert all(f'<span class="word">{word}</span>' in page for word in told.split())
            else:
                assert all(word.strip(",") in unescape(page) for word in told.split())
    assert "://" not in page  # nothing is fetched


def test_the_command_writes_where_it_is_told_or_says_why_not(tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    assert CliRunner().invoke(app, ["demo", "--report", str(report)]).exit_code == 0
    assert report.is_file()
    result = CliRunner().invoke(app, ["demo", "--report", str(tmp_path)])
    assert result.exit_code == 1
    assert str(tmp_path) in result.stderr and len(result.stderr.splitlines()) == 1
