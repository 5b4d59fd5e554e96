"""Recordings to labels: the same in every batch, both runtimes and every way to hand them in, refused by name."""

from __future__ import annotations

import inspect
import math
import pickle
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, assert_type

import numpy as np
import pytest
import soundfile

from showtell import InputError, MediaError, compose, pipeline
from showtell.pipelines.answers import Label, SoundLabel
from showtell.pipelines.audio_classification import AudioClassification, Options
from showtell.pipelines.media.audio import read_audio

MEDIA = Path(__file__).parents[1] / "media"
LABELS = ["one", "two", "three"]
NOISE = np.random.default_rng(0).normal(scale=0.1, size=40_000).astype(np.float32)
RECORDINGS: list[Any] = [
    MEDIA / "carry.opus",
    {"array": NOISE[:1], "sampling_rate": 16_000},
    {"array": NOISE[:320], "sampling_rate": 16_000},  # 20 ms
    {"array": 0 * NOISE, "sampling_rate": 16_000},
    str(MEDIA / "carry.mp4"),
    {"array": NOISE[:9_000] + 0.3, "sampling_rate": 8_000},
    (MEDIA / "carry.mp3").read_bytes(),
    {"array": np.sign(NOISE), "sampling_rate": 192_000},
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier with random weights, large enough that recordings get different scores."""
    import torch

    from showtell.decoders import Classifier
    from showtell.encoders import SpectrogramEncoder

    torch.manual_seed(0)
    encoder = SpectrogramEncoder(channels=4, width=16, lookahead=7)
    decoder = Classifier(memory_width=16, labels=LABELS, hidden_size=8, attention_size=8)
    with torch.no_grad():
        decoder.output.weight *= 10
    folder = tmp_path_factory.mktemp("models") / "tiny"
    compose(encoder=encoder, decoder=decoder).save(folder)
    return folder


@pytest.fixture(scope="module")
def classify(folder: Path) -> AudioClassification:
    return pipeline("audio-classification", folder, threads=1)


@pytest.fixture(scope="module")
def alone(classify: AudioClassification) -> list[dict[str, float]]:
    return [scores_of(classify(recording, top_k=None)) for recording in RECORDINGS]


def scores_of(answer: Sequence[Label]) -> dict[str, float]:
    return {one["label"]: one["score"] for one in answer}


def assert_same(answers: Any, expected: list[dict[str, float]]) -> None:
    for answer, wanted in zip(answers, expected, strict=True):
        assert scores_of(answer) == pytest.approx(wanted, abs=1e-4)


def test_recordings_get_different_answers(alone: list[dict[str, float]]) -> None:
    assert len({round(scores["one"], 4) for scores in alone}) == len(RECORDINGS)


@pytest.mark.parametrize("batch_size", [None, 1, 2, 7])
def test_batched_equals_single(classify: AudioClassification, alone: list, batch_size: int | None) -> None:
    assert len(RECORDINGS) % 7 == 1  # a last batch of one
    assert_same(classify(RECORDINGS, top_k=None, batch_size=batch_size), alone)


def test_torch_equals_onnx(folder: Path, alone: list) -> None:
    by_torch = pipeline("audio-classification", folder, runtime="torch")
    assert_same(by_torch(RECORDINGS, top_k=None), alone)


def test_every_way_to_hand_in_a_recording_gives_the_same(classify: AudioClassification, tmp_path: Path) -> None:
    path = MEDIA / "carry.opus"
    samples = read_audio(path).samples
    soundfile.write(tmp_path / "float.wav", samples, 16_000, subtype="FLOAT")
    expected = scores_of(classify(path, top_k=None))
    with path.open("rb") as file:
        sources = [
            str(path),
            path,
            path.read_bytes(),
            file,
            tmp_path / "float.wav",
            {"array": samples, "sampling_rate": 16_000},
            {"audio": {"bytes": path.read_bytes(), "path": None}},
        ]
        for source in sources:
            assert_same([classify(source, top_k=None)], [expected])
    assert_same(classify(iter([path, str(path)]), top_k=None), [expected] * 2)
    assert classify([]) == []


def test_a_type_checker_knows_the_answers(classify: AudioClassification) -> None:
    path = MEDIA / "carry.opus"
    assert_type(classify(path), list[SoundLabel])
    assert_type(classify([path], top_k=2), list[list[SoundLabel]])
    assert_type(classify(iter([path])), Iterator[list[SoundLabel]])
    call = inspect.signature(AudioClassification.__call__).parameters.values()
    assert [p.name for p in call if p.kind is p.KEYWORD_ONLY] == list(Options.__annotations__)


def test_the_best_label_comes_unless_more_are_asked_for(classify: AudioClassification) -> None:
    every = classify(MEDIA / "carry.opus", top_k=None)
    assert {one["label"] for one in every} == set(LABELS)
    assert sum(one["score"] for one in every) == pytest.approx(1)
    assert [one["score"] for one in every] == sorted((one["score"] for one in every), reverse=True)
    assert classify(MEDIA / "carry.opus") == every[:1]
    assert classify.in_words(every[:1]) == [(every[0]["label"], every[0]["score"])]


def test_the_attention_of_a_recording_is_that_which_it_gets_alone(classify: AudioClassification) -> None:
    together: Any = classify(RECORDINGS, top_k=2, return_attention=True)
    for recording, answer in zip(RECORDINGS, together, strict=True):
        [alone] = classify(recording, return_attention=True)
        assert len(answer) == 2 and "attention" in alone
        assert len(alone["attention"]) == math.ceil(len(classify.read(recording)) / 4)
        assert alone["attention"].sum() == pytest.approx(1, abs=1e-5)
        for label in answer:
            assert label["attention"] == pytest.approx(alone["attention"], abs=1e-4)
    assert "attention" not in classify(RECORDINGS[0])[0]


@pytest.mark.parametrize("option", [{"top_k": 0}, {"batch_size": 0}, {"on_error": "ignore"}])
def test_an_option_that_cannot_be_is_an_input_error(classify: AudioClassification, option: dict[str, Any]) -> None:
    options: dict[str, Any] = {"on_error": "return"} | option
    with pytest.raises(InputError, match=next(iter(option))):
        classify([MEDIA / "carry.opus"], **options)


def test_what_is_no_sound_is_one_error_and_its_neighbours_are_answered(classify: AudioClassification, alone: list):
    bad = [
        MEDIA / "cat.jpg",
        b"no sound",
        NOISE,
        {"array": NOISE, "sampling_rate": 0},
        {"array": NOISE * np.nan, "sampling_rate": 16_000},
        {"array": NOISE[:0], "sampling_rate": 16_000},
        "https://example.org/seven.wav",
    ]
    answers: Any = classify([RECORDINGS[0], *bad, RECORDINGS[1]], top_k=None, on_error="return")
    assert all(isinstance(answer, InputError) for answer in answers[1:-1])
    assert_same([answers[0], answers[-1]], alone[:2])
    for source in bad[:2]:
        with pytest.raises(MediaError):
            classify(source)


def test_a_recording_of_more_than_a_minute_is_refused(classify: AudioClassification) -> None:
    minute = {"array": np.zeros(60 * 8_000, np.float32), "sampling_rate": 8_000}
    assert classify.media_seconds(classify.read(minute)) == 60
    with pytest.raises(MediaError, match="at most 60 seconds would be accepted"):
        classify({"array": np.zeros(61 * 8_000, np.float32), "sampling_rate": 8_000})


def test_a_pipeline_pickles_and_its_process_loads_no_torch(classify: AudioClassification, folder: Path, alone: list):
    assert_same([pickle.loads(pickle.dumps(classify))(RECORDINGS[0], top_k=None)], alone[:1])
    code = f"""
import sys
from showtell import pipeline
print(pipeline("audio-classification", {str(folder)!r})({str(RECORDINGS[0])!r}))
assert not {{"torch", "scipy", "pandas", "transformers"}} & {{*sys.modules}}
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert "score" in run.stdout
