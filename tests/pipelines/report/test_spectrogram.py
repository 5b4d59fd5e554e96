"""A recording is drawn whole, each word under its own sound, warm where the model was sure or looked."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from showtell.pipelines.media.audio import read_audio
from showtell.pipelines.report import spectrogram
from showtell.pipelines.report.page import Section, write_report

RATE = 16_000
TONES = {"array": np.sin(np.arange(RATE) * 0.3).astype(np.float32) * 0.5, "sampling_rate": RATE}
SPEECH = Path(__file__).parents[2] / "media" / "carry.opus"


def transcript(*words: tuple[str, float, float, float]) -> dict[str, Any]:
    """Words, each with its start, its end and its score."""
    chunks = [{"text": text, "timestamp": (start, end), "score": score} for text, start, end, score in words]
    return {"text": " ".join(word[0] for word in words), "score": 0.5, "chunks": chunks}


def pictures(html: str) -> list[np.ndarray]:
    sources = re.findall(r'"data:image/png;base64,([^"]+)"', html)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(source)))).astype(int) for source in sources]


def is_ink(picture: np.ndarray, ink: np.ndarray) -> bool:
    return bool((abs(picture[..., :3] - ink) <= 1).all())


def test_the_pieces_are_the_whole_recording_and_each_word_has_its_own() -> None:
    html = spectrogram.draw_words(TONES, transcript(("to", 0.12, 0.24, 1.0), ("be", 0.24, 0.6, 0.0)))
    drawn = pictures(html)
    assert [picture.shape for picture in drawn] == [(80, width, 4) for width in (12, 12, 36, 40)]
    assert [is_ink(picture, spectrogram.AMBER) for picture in drawn] == [False, True, False, False]
    assert [is_ink(picture, spectrogram.GREY) for picture in drawn] == [True, False, True, True]
    assert np.array_equal(np.concatenate(drawn, axis=1)[..., 3], np.asarray(spectrogram.paint(*ink_of(TONES)))[..., 3])
    words = re.findall(r'title="([^"]+)">.*?<span style="--sure:(\S+)">(\w+)</span>', html)
    assert words == [("0.12 to 0.24 s, score 1.00", "1.00", "to"), ("0.24 to 0.60 s, score 0.00", "0.00", "be")]


def ink_of(recording: Any) -> tuple[np.ndarray, np.ndarray]:
    ink = spectrogram.opacity(spectrogram.log_mel(read_audio(recording).samples))
    return ink, np.zeros(len(ink))


def test_silence_is_clear_and_low_tones_are_at_the_bottom() -> None:
    sound = np.concatenate([np.zeros(RATE, np.float32), np.sin(np.arange(RATE) * 2 * np.pi * 300 / RATE)])
    [quiet, tone] = pictures(
        spectrogram.draw_words({"array": sound, "sampling_rate": RATE}, transcript(("hum", 1.0, 2.0, 0.9)))
    )
    assert quiet[:, :90, 3].max() == 0
    assert tone[..., 3].mean(axis=1).argmax() > 60


@pytest.mark.parametrize("samples", [np.zeros(RATE, np.float32), np.zeros(1, np.float32)])
def test_where_nothing_was_said_there_are_no_words(samples: np.ndarray) -> None:
    html = spectrogram.draw_words({"array": samples, "sampling_rate": RATE}, transcript())
    assert len(pictures(html)) == 1
    assert "<span" not in html


def test_a_word_that_seems_to_end_after_the_recording_ends_with_it() -> None:
    drawn = pictures(spectrogram.draw_words(TONES, transcript(("end", 0.96, 1.04, 0.5))))
    assert sum(picture.shape[1] for picture in drawn) == 100


def test_what_the_model_looked_at_is_amber() -> None:
    attention = np.zeros(25)
    attention[5] = 1
    labels = [{"label": "<seven>", "score": 0.9, "attention": attention}, {"label": "nine", "score": 0.1}]
    html = spectrogram.draw_labels(TONES, labels)
    assert "&lt;seven&gt;" in html and "<seven>" not in html and "nine <span>0.10</span>" in html
    [picture] = pictures(html)
    assert picture.shape[1] == 100
    assert is_ink(picture[:, 80:], spectrogram.GREY)
    assert 20 <= abs(picture[0, :, :3] - spectrogram.AMBER).sum(axis=1).argmin() <= 23


def test_attention_that_rests_nowhere_lights_nothing_up() -> None:
    [picture] = pictures(
        spectrogram.draw_labels(TONES, [{"label": "one", "score": 0.9, "attention": np.full(25, 1 / 25)}])
    )
    assert len(np.unique(picture[0, :, 0])) == 1
    assert not is_ink(picture, spectrogram.AMBER)


def test_the_sound_can_be_heard_and_the_page_allows_it(tmp_path: Path) -> None:
    html = spectrogram.draw_words(SPEECH, transcript(("<b>shall</b>", 0.2, 0.4, 0.5)))
    assert "<b>" not in html
    [source] = re.findall(r'<audio [^>]*src="data:audio/mpeg;base64,([^"]+)"', html)
    heard, rate = soundfile.read(io.BytesIO(base64.b64decode(source)))
    samples = read_audio(SPEECH).samples
    assert rate == RATE and abs(len(heard) - len(samples)) < RATE // 4
    write_report(tmp_path / "report.html", [Section("Speech", "Heard.", [html])])
    assert "media-src data:" in (tmp_path / "report.html").read_text(encoding="utf-8")
