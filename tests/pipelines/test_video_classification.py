"""Clips to labels: the same in every batch and both runtimes, whole or by windows, and one error for each bad input."""

from __future__ import annotations

import inspect
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, assert_type

import numpy as np
import pytest
from typer.testing import CliRunner

from showtell import InputError, MediaError, ModelError, pipeline
from showtell.pipelines.answers import VideoLabel
from showtell.pipelines.cli import app
from showtell.pipelines.jobs.meter import Meter
from showtell.pipelines.video_classification import Options, VideoClassification

WriteVideo = Callable[..., Path]
LABELS = ["run", "rest", "swim"]


def assert_same(answers: Any, expected: Any) -> None:
    """The same labels in the same order, with scores and attention equal to 1e-4."""
    for labels, wanted in zip(answers, expected, strict=True):
        assert [one["label"] for one in labels] == [one["label"] for one in wanted]
        for one, other in zip(labels, wanted, strict=True):
            assert one.keys() == other.keys()
            assert one["score"] == pytest.approx(other["score"], abs=1e-4)
            if "attention" in other:
                np.testing.assert_allclose(one["attention"], other["attention"], atol=1e-4)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a classifier with random weights, large enough that clips get different labels."""
    import torch

    from showtell import compose
    from showtell.decoders import Ensemble
    from showtell.encoders import VideoEncoder

    torch.manual_seed(0)
    encoder = VideoEncoder("timm/test_resnet", image_size=64, frames=4, pretrained=False)
    decoder = Ensemble(members=2, memory_width=encoder.width, labels=LABELS, hidden_size=8, attention_size=8)
    with torch.no_grad():
        for weight in decoder.parameters():
            weight *= 8
    folder = tmp_path_factory.mktemp("models") / "tiny"
    compose(encoder=encoder, decoder=decoder).save(folder, terms="for tests")
    return folder


@pytest.fixture(scope="module")
def watch(model: Path) -> VideoClassification:
    return pipeline("video-classification", model, threads=1)


@pytest.fixture(scope="module")
def clips(write_video: WriteVideo, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Eight clips of different pictures, lengths and containers."""
    folder, generator = tmp_path_factory.mktemp("clips"), np.random.default_rng(0)
    made = []
    for place, kind in enumerate(("mp4", "mkv", "webm", "avi", "mp4", "ts", "gif", "mp4")):
        blocks = generator.integers(0, 256, (4 + 3 * place, 4, 4, 3), np.uint8).repeat(8, axis=1).repeat(8, axis=2)
        made.append(write_video(folder / f"{place}.{kind}", pictures=list(blocks), size=(32, 32)))
    return made


@pytest.fixture(scope="module")
def alone(watch: VideoClassification, clips: list[Path]) -> list[Any]:
    return [watch(clip, return_attention=True) for clip in clips]


@pytest.mark.parametrize("batch_size", [None, 1, 3, 7])
def test_batched_equals_single(
    watch: VideoClassification, clips: list[Path], alone: list[Any], batch_size: int | None
) -> None:
    assert len({answer[0]["label"] for answer in alone}) > 1
    assert_same(watch(clips, return_attention=True, batch_size=batch_size), alone)
    assert_same(watch(iter(clips), return_attention=True, batch_size=batch_size), alone)


def test_torch_equals_onnx(model: Path, clips: list[Path], alone: list[Any]) -> None:
    by_torch = pipeline("video-classification", model, runtime="torch")
    assert_same(by_torch(clips, return_attention=True), alone)


def test_an_answer_is_labels_with_probabilities_best_first(watch: VideoClassification, clips: list[Path]) -> None:
    answer = watch(clips[0], top_k=None)
    assert {one["label"] for one in answer} == set(LABELS)
    scores = [one["score"] for one in answer]
    assert scores == sorted(scores, reverse=True) and sum(scores) == pytest.approx(1)
    assert all(one.keys() == {"label", "score"} and type(one["score"]) is float for one in answer)
    assert watch(clips[0], top_k=2) == answer[:2]
    assert watch(clips[0]) == answer
    assert watch([]) == []


def test_attention_weighs_the_sampled_frames(watch: VideoClassification, clips: list[Path]) -> None:
    for label in watch(clips[1], return_attention=True):
        attention = label.get("attention")
        assert attention is not None and attention.shape == (4,)
        assert attention.sum() == pytest.approx(1, abs=1e-5)


def test_every_way_to_hand_in_a_clip_gives_the_same(watch: VideoClassification, clips: list[Path]) -> None:
    one, data = watch(clips[0]), clips[0].read_bytes()
    for source in (str(clips[0]), data, bytearray(data), io.BytesIO(data), {"video": clips[0]}, {"bytes": data}):
        assert watch(source) == one
    pixels = watch.read(clips[0]).clip.pixels
    assert_same([watch(pixels)], [one])
    assert_same(watch([clips[0], data, pixels]), [one] * 3)


# Windows.


def test_a_recording_by_windows_is_each_window_with_its_time(
    watch: VideoClassification, write_video: WriteVideo, tmp_path: Path
) -> None:
    pictures = np.random.default_rng(1).integers(0, 256, (30, 4, 4, 3), np.uint8).repeat(8, axis=1).repeat(8, axis=2)
    long = write_video(tmp_path / "long.mp4", pictures=list(pictures), size=(32, 32))
    answer = watch(long, window_seconds=1, stride_seconds=0.5, top_k=2, return_attention=True)
    assert [one.get("timestamp") for one in answer[::2]] == [(0, 1), (0.5, 1.5), (1, 2), (1.5, 2.5), (2, 3)]
    assert [one.get("timestamp") for one in answer[1::2]] == [one.get("timestamp") for one in answer[::2]]
    assert len({one["label"] for one in answer[::2]} | {round(one["score"], 3) for one in answer}) > 3
    several = watch([long, long], window_seconds=1, top_k=2, return_attention=True)
    assert_same(several, [answer, answer])
    whole = watch(long, window_seconds=60, top_k=1)
    assert [one.get("timestamp") for one in whole] == [(0, 3)]
    assert whole[0]["score"] == pytest.approx(watch(long)[0]["score"], abs=1e-4)


@pytest.mark.parametrize("options", [{}, {"window_seconds": 1}], ids=["whole", "windows"])
def test_a_job_counts_each_second_of_a_recording_once(
    model: Path, write_video: WriteVideo, tmp_path: Path, options: dict[str, Any]
) -> None:
    metered = pipeline("video-classification", model, threads=1)
    meter = Meter(metered, beat=lambda: None)
    metered([write_video(tmp_path / "a.mp4"), write_video(tmp_path / "b.mkv", frames=15)], **options)
    assert meter.tally.media_seconds == pytest.approx(4.5)
    metered(np.zeros((9, 8, 8, 3), np.uint8))
    assert meter.tally.media_seconds == pytest.approx(4.5)  # single pictures have no length


@pytest.mark.parametrize(
    "option",
    [
        {"top_k": 0},
        {"window_seconds": 0},
        {"window_seconds": float("nan")},
        {"window_seconds": float("inf")},
        {"window_seconds": 1, "stride_seconds": 0},
        {"stride_seconds": 1},
        {"batch_size": 0},
    ],
)
def test_an_option_that_cannot_be_is_an_input_error(
    watch: VideoClassification, clips: list[Path], option: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match=list(option)[-1]):
        watch(clips[0], on_error="return", **option)


def test_a_type_checker_knows_the_answers(watch: VideoClassification, clips: list[Path]) -> None:
    assert_type(watch(str(clips[0])), list[VideoLabel])
    assert_type(watch(clips), list[list[VideoLabel]])
    assert_type(watch(iter(clips)), Iterator[list[VideoLabel]])
    call = inspect.signature(VideoClassification.__call__).parameters.values()
    assert [p.name for p in call if p.kind is p.KEYWORD_ONLY] == list(Options.__annotations__)


# Bad input.


@pytest.mark.parametrize("options", [{}, {"window_seconds": 0.3}], ids=["whole", "windows"])
def test_the_neighbours_of_what_cannot_be_read_are_answered(
    watch: VideoClassification, clips: list[Path], tmp_path: Path, options: dict[str, Any]
) -> None:
    (tmp_path / "text.mp4").write_text("These are words.")
    bad = [tmp_path / "text.mp4", tmp_path / "missing.mp4", 5, "https://example.com/a.mp4"]
    expected = watch(clips[0], **options)
    answers = watch([clips[0], *(source for one in bad for source in (one, clips[0]))], on_error="return", **options)
    assert_same(answers[::2], [expected] * (len(bad) + 1))
    assert all(isinstance(error, InputError) for error in answers[1::2])
    assert [isinstance(error, MediaError) for error in answers[1:4:2]] == [True, True]
    with pytest.raises(MediaError, match=r"text\.mp4: .* would be accepted\.$"):
        watch(bad[0], **options)


def test_pictures_without_times_have_no_windows(watch: VideoClassification) -> None:
    pixels = np.zeros((9, 8, 8, 3), np.uint8)
    with pytest.raises(InputError, match="no times"):
        watch(pixels, window_seconds=1)
    [error] = watch([pixels], window_seconds=1, on_error="return")
    assert isinstance(error, InputError)


def test_a_model_that_does_not_say_what_it_needs_is_a_model_error(model: Path, tmp_path: Path) -> None:
    import shutil

    folder = Path(shutil.copytree(model, tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    del config["encoder"]["frames"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="not say all that a video classifier needs"):
        pipeline("video-classification", folder)


def test_the_command_answers_by_windows(model: Path, clips: list[Path]) -> None:
    arguments = ["run", "video-classification", str(clips[7]), "--model", str(model), "--window-seconds", "1", "--json"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    rows = json.loads(done.output)["output"]
    assert rows[0]["timestamp"] == [0, 1] and {row["label"] for row in rows} == set(LABELS)
