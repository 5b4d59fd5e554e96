"""The benchmark of speech runs both contenders on the same recordings and accounts for its own time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import typer
from transformers import WhisperConfig
from typer.testing import CliRunner

from showtell import pipeline
from showtell.scripts import benchmark
from showtell.scripts.baselines import Whisper
from showtell.scripts.speech_speed import (
    MOST_RECORDINGS,
    WatchedRecogniser,
    chunk_seconds,
    find_recordings,
    rates_in_words,
    through_whisper,
)

RATE = 16_000
SMALL_WHISPER = WhisperConfig(
    d_model=8,
    encoder_layers=1,
    decoder_layers=1,
    encoder_attention_heads=2,
    decoder_attention_heads=2,
    encoder_ffn_dim=8,
    decoder_ffn_dim=8,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings, of one second and of three."""
    folder = tmp_path_factory.mktemp("speech")
    for name, seconds in (("a.wav", 1), ("b.flac", 3)):
        soundfile.write(folder / name, np.random.default_rng(0).normal(scale=0.1, size=seconds * RATE), RATE)
    return folder


def test_it_prints_a_table_of_contenders_one_of_parts_and_the_delay(
    folder: Path, tiny_recogniser: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "WhisperConfig", lambda: SMALL_WHISPER)
    arguments = ["automatic-speech-recognition", str(folder), "--model", str(tiny_recogniser)]
    arguments += ["--rounds", "1", "--seconds", "0"]
    printed = CliRunner().invoke(benchmark.app, arguments, catch_exceptions=False).stdout
    rows = [line for line in printed.splitlines() if line.startswith("| ")]
    for name in (
        "recordings of 2.0 s",
        "showtell, files to words",
        "Whisper tiny",
        "frames alone",
        "CNN and LSTM",
        "search",
    ):
        assert sum(name in row for row in rows) == 1, name
    assert "times as fast as Whisper tiny" in printed
    # The model's seven frames, and the 15 ms that a frame of 25 ms reaches beyond the next one's start.
    assert "It looks 85 ms ahead." in printed
    assert "first answer" in printed


def test_the_ratio_is_that_of_the_rates() -> None:
    told = rates_in_words({"pipeline": 300.0, "baseline": 12.0}, 4.0)
    assert "| Whisper tiny, files to tokens | 12.0 |" in told
    assert "showtell is 25.0 times as fast" in told
    assert "Whisper" not in rates_in_words({"pipeline": 300.0}, 4.0)


def test_recordings_are_taken_from_all_over_a_folder(tmp_path: Path) -> None:
    names = [f"{number:03d}.wav" for number in range(100)]
    for name in [*names, "notes.txt"]:
        (tmp_path / name).touch()
    found = [file.name for file in find_recordings(tmp_path)]
    assert len(set(found)) == MOST_RECORDINGS
    assert (found[0], found[-1]) == (names[0], names[-1])
    (tmp_path / "empty").mkdir()
    with pytest.raises(typer.BadParameter, match="no recordings"):
        find_recordings(tmp_path / "empty")


def test_whisper_hears_windows_of_like_lengths_and_writes_as_much_as_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [tmp_path / f"{seconds}.wav" for seconds in (40, 5, 5, 5)]
    for file in files:
        soundfile.write(file, np.zeros(int(file.stem) * RATE), RATE)
    whisper, asked = Whisper(SMALL_WHISPER), []
    monkeypatch.setattr(whisper, "answer", lambda batch, new_tokens: asked.append((len(batch), new_tokens)))
    through_whisper(whisper, files, 2 * len(files))
    # Three of 5 s and the 10 s that are left of the long one, then its 30 s; twice.
    assert asked == [(4, 20), (1, 96)] * 2


def test_whisper_writes_so_many_tokens_for_each_window() -> None:
    windows = [np.zeros(RATE, np.float32), np.ones(3 * RATE, np.float32)]
    assert Whisper(SMALL_WHISPER).answer(windows, new_tokens=5).shape == (2, 5)


def test_the_watched_pipeline_answers_as_the_pipeline_does(folder: Path, tiny_recogniser: Path) -> None:
    pipe = pipeline("automatic-speech-recognition", tiny_recogniser, threads=1)
    watched, files = WatchedRecogniser(pipe.bundle, pipe.runtime), find_recordings(folder)
    assert watched(files) == pipe(files)
    assert watched.reading.calls == len(files)
    assert 0 < watched.hearing.seconds < watched.answering.seconds < watched.whole.seconds


def test_each_chunk_of_a_stream_is_timed(tiny_recogniser: Path) -> None:
    pipe = pipeline("automatic-speech-recognition", tiny_recogniser, threads=1)
    took = chunk_seconds(pipe, np.random.default_rng(0).normal(scale=0.1, size=RATE + 1).astype(np.float32))
    assert len(took) == 11
    assert min(took) > 0
