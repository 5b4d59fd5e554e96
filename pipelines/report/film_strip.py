"""A classified clip, drawn: the frames that the model saw as a strip, each as bright as it counted, and the labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from PIL import Image

from showtell.pipelines.media.video import read_video
from showtell.pipelines.report.embed import data_uri

FRAME_PIXELS, FRAME_QUALITY = 160, 75
# A frame is fully lit from this many times its even share of the attention.
FULL_LIGHT = 2.0
# So much of its light has a frame that the model did not look at.
AMBIENT = 0.35


def draw(video: Any, answer: Sequence[Mapping[str, Any]]) -> str:
    """The HTML of one clip and its labels.

    video: what the pipeline was given. answer: its labels with their `score`, best first, and the `attention` of the
    first, `(frames,)`, which sums to one.
    """
    attention = np.asarray(answer[0]["attention"], np.float32)
    clip = read_video(video, frames=len(attention), size=FRAME_PIXELS)
    strength = np.clip(attention * len(attention) / FULL_LIGHT, 0, 1)
    times = (np.arange(len(attention)) + 0.5) * clip.end / len(attention)
    frames = "".join(map(_frame, clip.pixels, strength, times))
    labels = "".join(f"<li>{escape(one['label'])} {one['score']:.2f}</li>" for one in answer[1:])
    return (
        '<article class="clip">\n'
        f'<p class="caption">{escape(answer[0]["label"])}</p>\n<p class="score">score {answer[0]["score"]:.2f}</p>\n'
        f'<ol class="strip">\n{frames}</ol>\n<ul class="labels">{labels}</ul>\n</article>'
    )


def _frame(pixels: np.ndarray, strength: float, seconds: float) -> str:
    lit = (pixels * (AMBIENT + (1 - AMBIENT) * strength)).astype(np.uint8)
    uri = data_uri(Image.fromarray(lit), quality=FRAME_QUALITY)
    return f'<li><img src="{uri}" alt=""><span class="probability">{seconds:.1f} s</span></li>\n'
