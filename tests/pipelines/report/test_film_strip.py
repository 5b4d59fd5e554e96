"""The strip shows the frames that the model saw, each as bright as it counted, and trusts no label."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
from PIL import Image

from showtell.pipelines.report import film_strip

FRAMES = np.full((4, 20, 20, 3), 200, np.uint8)
EVEN, LAST = np.full(4, 0.25), np.array([0, 0, 0, 1.0])


def brightness(html: str) -> list[float]:
    pictures = re.findall(r"data:image/jpeg;base64,([^\"]+)", html)
    return [float(np.asarray(Image.open(io.BytesIO(base64.b64decode(one)))).mean()) for one in pictures]


def test_a_frame_is_as_bright_as_the_model_s_attention_to_it() -> None:
    *others, last = brightness(film_strip.draw(FRAMES, [{"label": "run", "score": 0.9, "attention": LAST}]))
    assert last > 190 and all(one < 80 for one in others)
    even = brightness(film_strip.draw(FRAMES, [{"label": "run", "score": 0.9, "attention": EVEN}]))
    assert len(even) == 4 and max(even) - min(even) < 1 and 80 < even[0] < 190


def test_labels_are_text_and_stand_in_order() -> None:
    labels = [{"label": one, "score": score, "attention": EVEN} for one, score in (("<b>run", 0.9), ("rest", 0.1))]
    html = film_strip.draw(FRAMES, labels)
    assert "<b>" not in html
    assert '<p class="caption">&lt;b&gt;run</p>' in html and html.index("0.90") < html.index("rest 0.10")
