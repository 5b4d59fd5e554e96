"""Labelled clips: read in order, named where they are broken, and changed alike in all their frames."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.video.frame import VideoFrame

from showtell.errors import InputError
from showtell.pipelines.media.video import read_video
from showtell.scripts.datasets.videos import LabelledVideo, other_orders, read_videos, seen_in_views


def write(folder: Path, *records: object) -> Path:
    (folder / "metadata.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A clip of which nothing moves: noise that is the same in every frame."""
    picture = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(12):
            container.mux(stream.encode(VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))
    return tmp_path / "a.mp4"


def test_clips_come_in_order_with_label_and_group(clip: Path) -> None:
    folder = write(
        clip.parent,
        {"file_name": "a.mp4", "label": "run", "group": "g1"},
        {"file_name": "a.mp4", "label": "rest"},
    )
    assert read_videos(folder) == [LabelledVideo(clip, "run", "g1"), LabelledVideo(clip, "rest", "a.mp4")]


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ({"file_name": "a.mp4"}, "line 1: no label"),
        ({"label": "run"}, "line 1: no file_name"),
        ({"file_name": "b.mp4", "label": "run"}, "b.mp4 is missing"),
    ],
)
def test_what_is_missing_is_named(clip: Path, record: dict[str, str], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        read_videos(write(clip.parent, record))


def test_a_folder_without_clips_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there are no clips"):
        read_videos(write(tmp_path))


def test_views_are_the_clip_its_mirror_and_others_in_which_nothing_moves_either(clip: Path) -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    video = LabelledVideo(clip, "rest", "g")
    plain, mirrored, *changed = seen_in_views(video, frames=4, size=32, views=5)
    np.testing.assert_array_equal(plain, read_video(clip, frames=4, size=32).pixels)
    torch.testing.assert_close(mirrored, plain.flip(2))
    assert len(changed) == 3
    for view in changed:
        assert view.shape == plain.shape and view.dtype == torch.uint8
        assert (view.int() - plain.int()).abs().float().mean() > 5
        assert (view[0].int() - view[3].int()).abs().float().mean() < 8  # but for what the codec does
    assert len(list(seen_in_views(video, frames=4, size=32, views=1))) == 1


@pytest.mark.parametrize("frames", [4, 8, 16])
def test_other_orders_are_the_middle_frame_alone_and_all_frames_shuffled(frames: int) -> None:
    orders = {name: places.tolist() for name, places in other_orders(frames).items()}
    assert orders["one_frame"] == [frames // 2] * frames
    assert sorted(orders["shuffled"]) == list(range(frames)) != orders["shuffled"]
