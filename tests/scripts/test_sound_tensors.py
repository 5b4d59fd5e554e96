from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
import torch

from showtell.pipelines.media.audio import SAMPLE_RATE, read_audio
from showtell.pipelines.media.log_mel import MELS, SILENCE, log_mel, pad_frames
from showtell.scripts.datasets.sound_tensors import Sounds, interpolate, warp
from showtell.scripts.datasets.sounds import LabelledSound

CARRY = Path(__file__).parents[1] / "media" / "carry.opus"


def test_recordings_become_batches_as_they_are_answered():
    sounds = Sounds([LabelledSound(CARRY, "b"), LabelledSound(CARRY, "a")], ["a", "b"], change=False)
    inputs, targets = sounds.collate([sounds[0], sounds[1]])
    assert targets.tolist() == [1, 0]
    expected = pad_frames([log_mel(read_audio(CARRY).samples)] * 2)
    assert inputs.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(inputs[name].numpy(), value)


def test_a_changed_recording_is_another_one_each_time_and_the_same_by_the_same_seed():
    sounds = Sounds([LabelledSound(CARRY, "a")], ["a"], change=True)
    torch.manual_seed(0)
    drawn = [sounds[0][0] for _ in range(20)]
    torch.manual_seed(0)
    np.testing.assert_array_equal(sounds[0][0], drawn[0])
    assert len({frames.shape for frames in drawn}) > 5
    for frames in drawn:
        assert frames.dtype == np.float32 and frames.shape[1] == MELS and np.isfinite(frames).all()
        assert 0.6 * len(log_mel(sounds.samples[0])) < len(frames) < 2.5 * len(log_mel(sounds.samples[0]))


def test_a_warped_tone_is_longer_or_shorter_and_higher_or_lower(tmp_path: Path):
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    soundfile.write(tmp_path / "tone.wav", 0.5 * np.sin(2 * np.pi * 1000 * time), SAMPLE_RATE)
    frames = log_mel(read_audio(tmp_path / "tone.wav").samples)
    band = int(frames[50].argmax())
    warped = [warp(frames, np.random.default_rng(seed)) for seed in range(30)]
    lengths = [len(one) / len(frames) for one in warped]
    bands = [one[len(one) // 2].argmax() / band for one in warped]
    for shares, share in ((lengths, 0.25), (bands, 0.15)):
        assert 1 - share - 0.05 <= min(shares) < 1 - share / 2 and 1 + share / 2 < max(shares) <= 1 + share + 0.05


def test_what_lies_between_rows_is_their_mean_and_after_them_silence():
    rows = np.array([[0.0, 2.0], [1.0, 4.0]], np.float32)
    np.testing.assert_allclose(
        interpolate(rows, np.array([0, 0.25, 1, 2, 7])), [[0, 2], [0.25, 2.5], [1, 4], [SILENCE] * 2, [SILENCE] * 2]
    )
