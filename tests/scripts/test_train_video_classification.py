"""No group is on both sides of a split, labels are drawn alike, and a run on small clips leaves a model that opens."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.video.frame import VideoFrame
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from showtell import pipeline
from showtell.decoders.ensemble import Ensemble
from showtell.scripts import evaluate
from showtell.scripts.datasets.videos import LabelledVideo
from showtell.scripts.train_video_classification import even_weights, main, split_by_group, tell_labels

CLIPS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 6)), min_size=1, max_size=40)


def videos(clips: list[tuple[str, int]]) -> list[LabelledVideo]:
    return [LabelledVideo(Path("a.mp4"), label, f"g{group}") for label, group in clips]


@given(clips=CLIPS, folds=st.integers(2, 5), seed=st.integers(0, 9))
def test_a_group_is_in_one_fold(clips: list[tuple[str, int]], folds: int, seed: int) -> None:
    part = split_by_group(videos(clips), folds, seed)
    assert part.shape == (len(clips),) and set(part) <= set(range(folds))
    for _, group in clips:
        assert len({part[place] for place, clip in enumerate(clips) if clip[1] == group}) == 1


def test_folds_have_about_as_many_of_each_label() -> None:
    clips = videos([(label, group) for group in range(12) for label in "ab"])
    part = split_by_group(clips, 4, seed=0)
    counts = Counter((fold, clip.label) for fold, clip in zip(part.tolist(), clips, strict=True))
    assert set(counts.values()) == {3}


@given(clips=CLIPS)
def test_labels_are_drawn_alike_and_large_groups_not_by_their_size(clips: list[tuple[str, int]]) -> None:
    drawn: dict[str, float] = dict.fromkeys("ab", 0.0)
    each: dict[tuple[str, int], float] = {}
    for clip, weight in zip(clips, even_weights(videos(clips)), strict=True):
        drawn[clip[0]] += weight
        each[clip] = weight
    assert all(total == pytest.approx(1) for total in drawn.values() if total)
    sizes = Counter(clips)
    for one in each:
        for other in each:
            if one[0] == other[0]:
                assert each[one] / each[other] == pytest.approx((sizes[other] / sizes[one]) ** 0.5)


def test_the_loss_is_the_sum_of_the_members_losses() -> None:
    torch.manual_seed(0)
    both = Ensemble(members=2, memory_width=3, labels=["a", "b"], hidden_size=2, attention_size=2).eval()
    features, targets = torch.randn(4, 5, 3), torch.tensor([0, 1, 1, 0])
    total = tell_labels(both, (features, targets))
    for kept in (0, 1):
        one = Ensemble(members=1, memory_width=3, labels=["a", "b"], hidden_size=2, attention_size=2).eval()
        one.members[0].load_state_dict(both.members[kept].state_dict())
        total = total - tell_labels(one, (features, targets))
    assert abs(total.item()) < 1e-5


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Clips of noise that is still or moves."""
    generator = np.random.default_rng(0)
    for part in ("train", "dev"):
        (tmp_path / part).mkdir()
        lines = []
        for place in range(8):
            name, moves = f"{place}.mp4", place % 2
            with av.open(str(tmp_path / part / name), "w") as container:
                stream = container.add_stream("libx264", rate=10)
                stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
                picture = generator.integers(0, 256, (64, 64, 3), np.uint8)
                for _ in range(8):
                    if moves:
                        picture = generator.integers(0, 256, (64, 64, 3), np.uint8)
                    container.mux(stream.encode(VideoFrame.from_ndarray(picture, "rgb24")))
                container.mux(stream.encode(None))
            record = {"file_name": name, "label": "moves" if moves else "still", "group": f"{part}{place // 2}"}
            lines.append(json.dumps(record))
        (tmp_path / part / "metadata.jsonl").write_text("\n".join(lines))
    return tmp_path


def test_a_run_leaves_a_model_and_its_cross_validation(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(
        data,
        data / "model",
        runs=data / "runs",
        sees="motion",
        frames=4,
        image_size=64,
        views=2,
        members=2,
        hidden_size=32,
        epochs=60,
        folds=2,
        terms="for tests",
    )
    figures = json.loads((data / "runs" / "cross-validation.json").read_text())
    assert figures["videos"] == 16 and figures["accuracy"] > 0.8 and 0 <= figures["group_standard_error"] < 0.5
    assert figures["one_frame"] == 0.5 and figures["shuffled"] > 0.8
    watch = pipeline("video-classification", data / "model", threads=1)
    assert [watch(data / "dev" / name)[0]["label"] for name in ("0.mp4", "1.mp4")] == ["still", "moves"]
    capsys.readouterr()
    done = CliRunner().invoke(evaluate.app, ["video-classification", str(data / "dev"), "--model", str(data / "model")])
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)
    assert told["accuracy"] == 1 and told["one_frame"] == 0.5 and told["videos"] == 8
