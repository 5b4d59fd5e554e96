"""Labelled video clips, and what a network sees of them when they are changed in space and time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import v2

from showtell.errors import InputError
from showtell.pipelines.media.video import read_video
from showtell.scripts.datasets.lines import read_json_lines

# Of each side and of the frames, what a changed view has at least.
SHARE_KEPT = 0.75


@dataclass(frozen=True)
class LabelledVideo:
    """A clip, what it shows, and the group that it was cut from, such as a scene or a camera."""

    path: Path
    label: str
    group: str


def read_videos(folder: str | Path) -> list[LabelledVideo]:
    """Read a folder of clips, in the order of its `metadata.jsonl`.

    A line is a JSON object with `file_name`, `label` and perhaps `group`; without, a clip is a group by itself.

    Raises `InputError`, naming the line, for what is missing.
    """
    folder = Path(folder)
    videos = []
    for where, record in read_json_lines(folder / "metadata.jsonl"):
        for name in ("file_name", "label"):
            if not isinstance(record.get(name), str):
                raise InputError(f'{where}: no {name}; a line such as {{"file_name": "a.mp4", "label": "b"}} would do.')
        path = folder / record["file_name"]
        if not path.exists():
            raise InputError(f"{where}: {path} is missing; a clip that is on this machine would do.")
        videos.append(LabelledVideo(path, record["label"], str(record.get("group", record["file_name"]))))
    if not videos:
        raise InputError(f"{folder}: there are no clips; at least one line in metadata.jsonl would do.")
    return videos


def other_orders(frames: int) -> dict[str, np.ndarray]:
    """Places of a clip's frames that ask what a model goes by: the middle frame alone again and again, in which nothing
    moves, and all of them in another order."""
    return {
        "one_frame": np.full(frames, frames // 2),
        "shuffled": np.random.default_rng(0).permutation(frames),
    }


def seen_in_views(video: LabelledVideo, *, frames: int, size: int, views: int) -> Iterator[Tensor]:
    """A clip's frames `(frames, size, size, 3)`: as the pipeline samples them, mirrored, and then changed at random.

    A changed view is cut out in space and in time, perhaps mirrored, and of other brightness and contrast, all the
    same in all its frames.
    """
    plain = torch.from_numpy(read_video(video.path, frames=frames, size=size).pixels)
    yield from (plain, plain.flip(2))[:views]
    if views > 2:
        large = round(size / SHARE_KEPT)
        dense = torch.from_numpy(read_video(video.path, frames=2 * frames, size=large).pixels).permute(0, 3, 1, 2)
        change = v2.Compose(
            [
                v2.RandomResizedCrop(size, scale=(SHARE_KEPT**2, 1), ratio=(0.8, 1.25), antialias=True),
                v2.RandomHorizontalFlip(),
                v2.ColorJitter(brightness=0.3, contrast=0.3, saturation=0.3),
            ]
        )
        for _ in range(views - 2):
            kept = np.random.uniform(SHARE_KEPT, 1) * 2 * frames
            first = np.random.uniform(0, 2 * frames - kept)
            places = (first + (np.arange(frames) + 0.5) * kept / frames).astype(int)
            yield change(dense[places]).permute(0, 2, 3, 1)
