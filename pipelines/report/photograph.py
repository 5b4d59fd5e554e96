"""A captioned photograph, drawn: the picture, its caption, and what the model looked at for each word."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from itertools import zip_longest
from typing import Any

import numpy as np
from PIL import Image

from showtell.pipelines.report.embed import data_uri, fit

PICTURE_PIXELS, PICTURE_QUALITY = 640, 85
TILE_PIXELS, TILE_QUALITY = 160, 80

# A position is fully lit from this many times its even share of the attention: a word that looks everywhere
# must not seem to look somewhere.
FULL_LIGHT = 3.0
SHADE = 0.58
AMBER = np.array([255, 170, 60], dtype=np.float32)
WARMTH = 0.5


def draw(image: Image.Image, answer: Mapping[str, Any]) -> str:
    """The HTML of one photograph and its caption.

    answer: `generated_text` and `score`. `attention` of `(words, rows, columns)`, each word's summing to 1,
    gives the words their tiles; `word_scores` gives them their probabilities. Both may be absent.
    """
    caption = escape(answer["generated_text"])
    picture = fit(image, PICTURE_PIXELS)
    return (
        '<article class="photograph">\n'
        f'<img src="{data_uri(picture, quality=PICTURE_QUALITY)}" alt="{caption}">\n'
        f'<div>\n<p class="caption">{caption}</p>\n<p class="score">score {answer["score"]:.2f}</p>\n'
        f"{_words(image, answer)}</div>\n</article>"
    )


def light(image: Image.Image, attention: np.ndarray) -> Image.Image:
    """The picture as a word saw it: warm and bright where it looked, grey and dim elsewhere.

    attention: `(rows, columns)`, spread smoothly over the whole picture.
    """
    pixels = np.asarray(image, dtype=np.float32)
    strength = attention / max(attention.max(), FULL_LIGHT / attention.size)
    smooth = Image.fromarray(strength.astype(np.float32)).resize(image.size, Image.Resampling.BICUBIC)
    heat = np.clip(np.asarray(smooth), 0, 1)[..., np.newaxis]
    dim = SHADE * (pixels + pixels.mean(axis=2, keepdims=True)) / 2
    lit = pixels + WARMTH * (AMBER - pixels)
    return Image.fromarray((dim + heat * (lit - dim)).astype(np.uint8))


def _words(image: Image.Image, answer: Mapping[str, Any]) -> str:
    """The row of tiles, one a word; nothing if the answer tells no attention."""
    if "attention" not in answer:
        return ""
    words = answer["generated_text"].split()
    attention = np.asarray(answer["attention"], dtype=np.float32)[: len(words)]
    scores = list(answer.get("word_scores", []))[: len(words)]
    small = fit(image, TILE_PIXELS)
    tiles = [_tile(small, *word) for word in zip_longest(words, attention, scores)]
    return '<ol class="words">\n' + "".join(tiles) + "</ol>\n"


def _tile(image: Image.Image, word: str, attention: np.ndarray | None, score: float | None) -> str:
    seen = image if attention is None else light(image, attention)
    probability = "" if score is None else f'<span class="probability">{score:.2f}</span>'
    return (
        f'<li><img src="{data_uri(seen, quality=TILE_QUALITY)}" alt="">'
        f'<span class="word">{escape(word)}</span>{probability}</li>\n'
    )
