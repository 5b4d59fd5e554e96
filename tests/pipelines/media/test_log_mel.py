from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchaudio.compliance.kaldi import fbank

from showtell.pipelines.media.audio import SAMPLE_RATE, read_audio
from showtell.pipelines.media.log_mel import MEL_FILTERS, MELS, SILENCE, LogMelStream, log_mel, pad_frames

SPEECH = read_audio(Path(__file__).parents[2] / "media" / "carry.opus").samples
NOISE = np.random.default_rng(0).normal(scale=0.1, size=8 * SAMPLE_RATE).astype(np.float32)
TIME = np.arange(SAMPLE_RATE, dtype=np.float32) / SAMPLE_RATE


def tone(hertz: float) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * TIME)).astype(np.float32)


@pytest.mark.parametrize(
    "sound",
    [SPEECH, NOISE, tone(440) + 0.01 * NOISE[:16_000], SPEECH + 0.3, np.clip(20 * SPEECH, -1, 1), 0 * SPEECH],
)
def test_frames_are_those_of_torchaudio_s_kaldi(sound: np.ndarray):
    # torchaudio's own results in float32 and float64 differ by up to 5e-4.
    theirs = fbank(torch.from_numpy(sound.astype(np.float64))[None], num_mel_bins=80).numpy()
    ours = log_mel(sound)[: len(theirs)]
    assert len(log_mel(sound)) == -(-len(sound) // 160)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=5e-4)
    assert np.abs(ours - theirs).mean() < 1e-5


@pytest.mark.parametrize("hertz", [200, 440, 1000, 3000, 6000])
def test_a_tone_is_loudest_in_the_band_that_holds_it(hertz: float):
    frames = log_mel(tone(hertz))
    lowest, mel, highest = (1127 * np.log1p(value / 700) for value in (20, hertz, 8000))
    band = (mel - lowest) / (highest - lowest) * (MELS + 1) - 1
    assert np.abs(frames[10:90].argmax(axis=1) - band).max() <= 1


def test_every_band_hears_something_and_neighbours_share():
    assert (MEL_FILTERS.max(axis=0) > 0.3).all()
    np.testing.assert_allclose(MEL_FILTERS[2:245].sum(axis=1), 1, atol=1e-5)


def test_silence_is_one_number_whatever_its_offset():
    for offset in (0, 0.5, -1):
        np.testing.assert_allclose(log_mel(np.full(4000, offset, np.float32))[:20], SILENCE, atol=1e-6)


def test_an_offset_changes_no_frame():
    np.testing.assert_allclose(log_mel(SPEECH + 0.25)[:-3], log_mel(SPEECH)[:-3], atol=0.02)


def test_the_last_frames_look_into_silence():
    followed = np.concatenate([SPEECH, np.zeros(SAMPLE_RATE, np.float32)])
    frames = log_mel(SPEECH)
    np.testing.assert_allclose(frames, log_mel(followed)[: len(frames)], atol=1e-5)


@pytest.mark.parametrize(("samples", "frames"), [(0, 0), (1, 1), (160, 1), (161, 2), (320, 2), (400, 3), (16_000, 100)])
def test_a_frame_begins_every_hundredth_of_a_second(samples: int, frames: int):
    assert log_mel(NOISE[:samples]).shape == (frames, MELS)


@settings(max_examples=50)
@given(st.lists(st.integers(0, 3000), max_size=30), st.integers(0, len(SPEECH)))
def test_a_stream_in_any_chunks_gives_what_the_whole_gives(sizes: list[int], end: int):
    sound = SPEECH[:end]
    stream = LogMelStream()
    ends = [*np.minimum(np.cumsum([0, *sizes]), end), end]
    parts = [stream.push(sound[start:stop]) for start, stop in pairwise(ends)]
    np.testing.assert_allclose(np.concatenate([*parts, stream.end()]), log_mel(sound), atol=1e-5)


def test_a_frame_comes_as_soon_as_its_window_is_there():
    stream = LogMelStream()
    assert [len(stream.push(NOISE[:size])) for size in (399, 1, 159, 1, 1600)] == [0, 1, 0, 1, 10]


def test_recordings_are_padded_with_silence():
    frames = [log_mel(SPEECH), log_mel(SPEECH[:800]), log_mel(SPEECH[:8000])]
    inputs = pad_frames(frames)
    assert inputs["features"].shape == (3, len(frames[0]), MELS) and inputs["features"].dtype == np.float32
    assert inputs["lengths"].tolist() == [112, 5, 50]
    np.testing.assert_array_equal(inputs["features"][1, :5], frames[1])
    assert (inputs["features"][1, 5:] == np.float32(SILENCE)).all()
