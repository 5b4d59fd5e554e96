"""Recordings, drawn: what was said under the sound of each word, or the sound that a label was told by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from PIL import Image

from showtell.pipelines.media.audio import read_audio
from showtell.pipelines.media.log_mel import HOP_SAMPLES, MELS, log_mel
from showtell.pipelines.media.waveform import SAMPLE_RATE
from showtell.pipelines.report.embed import clear_uri, sound_uri

FRAMES_A_SECOND = SAMPLE_RATE // HOP_SAMPLES
# So far below the loudest sound, in natural logarithms of energy, sound is still seen.
VISIBLE = 9.0
# Louder than so many of all bands of all frames is full ink, so that one click does not make all else pale.
LOUD = 0.98
# Above 1 what is faint gets fainter.
CONTRAST = 1.5
# Of opacity. Few of them make small pictures.
SHADES = 24
# The ink of sound that counted not at all, and of sound that counted fully; both can be seen on paper and in the dark.
GREY = np.array([146, 138, 128], np.float32)
AMBER = np.array([212, 116, 28], np.float32)
# A position is fully lit from this many times its even share of the attention.
FULL_LIGHT = 3.0


def draw_words(recording: Any, answer: Mapping[str, Any]) -> str:
    """The HTML of one recording and its words, each under its sound, the warmer the surer it is.

    recording: what the pipeline was given. answer: a transcript with the `chunks` of its words.
    """
    audio = read_audio(recording)
    frames = log_mel(audio.samples)
    ink = opacity(frames)
    pieces = "".join(
        _piece(paint(ink[start:end], np.full(end - start, chunk["score"] if chunk else 0.0)), chunk)
        for start, end, chunk in _cut(len(frames), answer["chunks"])
    )
    return (
        '<article class="recording">\n'
        f'<p class="caption">{escape(answer["text"])}</p>\n<p class="score">score {answer["score"]:.2f}</p>\n'
        f'{_player(audio.samples)}<ol class="sound">\n{pieces}</ol>\n</article>'
    )


def draw_labels(recording: Any, answer: Sequence[Mapping[str, Any]]) -> str:
    """The HTML of one recording and its labels.

    answer: the labels, best first, each with `label` and `score`; the first has the `attention` to the positions,
    `(positions,)`, which sums to one.
    """
    audio = read_audio(recording)
    frames = log_mel(audio.samples)
    attention = np.asarray(answer[0]["attention"], np.float32)
    strength = np.minimum(1, attention / max(attention.max(), FULL_LIGHT / len(attention)))
    places = (np.arange(len(frames)) + 0.5) * len(attention) / len(frames) - 0.5
    best, *others = answer
    rows = "".join(f"<li>{escape(one['label'])} <span>{one['score']:.2f}</span></li>\n" for one in others)
    return (
        '<article class="classified">\n'
        f'<div>\n<p class="label">{escape(best["label"])}</p>\n<p class="score">score {best["score"]:.2f}</p>\n'
        f'<ul class="others">\n{rows}</ul>\n</div>\n<div class="heard">\n<ol class="sound">\n'
        f"{_piece(paint(opacity(frames), np.interp(places, np.arange(len(attention)), strength)), None)}</ol>\n"
        f"{_player(audio.samples)}</div>\n</article>"
    )


def opacity(frames: np.ndarray) -> np.ndarray:
    """How much of the ink each band of each frame takes, `(frames, mels)`, in 0..1: the louder the more."""
    return np.clip((frames - np.quantile(frames, LOUD)) / VISIBLE + 1, 0, 1) ** CONTRAST


def paint(ink: np.ndarray, warmth: np.ndarray) -> Image.Image:
    """A picture of sound, low tones at the bottom, a column a frame.

    ink: `(frames, mels)`, in 0..1. warmth: `(frames,)`, from 0, grey, to 1, amber.
    """
    pixels = np.empty((MELS, len(ink), 4), np.uint8)
    pixels[..., :3] = GREY + warmth[:, np.newaxis] * (AMBER - GREY)
    pixels[..., 3] = np.round(ink.T[::-1] * SHADES) * (255 / SHADES)
    return Image.fromarray(pixels)


def _cut(frames: int, chunks: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, int, Mapping[str, Any] | None]]:
    """The frames in pieces that are a word's, or nobody's: from, to, and the word."""
    end = 0
    for chunk in chunks:
        start, until = (min(frames, round(time * FRAMES_A_SECOND)) for time in chunk["timestamp"])
        if start > end:
            yield end, start, None
        if until > start:
            yield start, until, chunk
        end = max(end, until)
    if frames > end:
        yield end, frames, None


def _piece(image: Image.Image, chunk: Mapping[str, Any] | None) -> str:
    picture = f'<img src="{clear_uri(image)}" alt="" style="--frames:{image.width}">'
    if chunk is None:
        return f"<li>{picture}</li>\n"
    start, end = chunk["timestamp"]
    told = f"{start:.2f} to {end:.2f} s, score {chunk['score']:.2f}"
    word = f'<span style="--sure:{chunk["score"]:.2f}">{escape(chunk["text"])}</span>'
    return f'<li title="{told}">{picture}{word}</li>\n'


def _player(samples: np.ndarray) -> str:
    return f'<audio controls preload="metadata" src="{sound_uri(samples, SAMPLE_RATE)}"></audio>\n'
