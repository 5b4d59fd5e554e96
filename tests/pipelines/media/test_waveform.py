from __future__ import annotations

import numpy as np
import pytest
import soxr

from showtell.errors import InputError, MediaError
from showtell.pipelines.media.waveform import Resampler, to_mono

NOISE = np.random.default_rng(0).normal(scale=0.1, size=30_000).astype(np.float32)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000, 11_025.5])
@pytest.mark.parametrize("chunk", [1, 7, 1000, 30_000])
def test_chunks_give_what_the_whole_gives(rate: float, chunk: int):
    sound = NOISE[: 30 * chunk]
    resampler = Resampler(rate, "a call")
    parts = [resampler.push(sound[start : start + chunk]) for start in range(0, len(sound), chunk)]
    samples = np.concatenate([*parts, resampler.end()])
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples, soxr.resample(sound, rate, 16_000), atol=1e-6)


def test_samples_come_soon_after_they_are_heard():
    resampler = Resampler(48_000, "a call")
    heard = sum(len(resampler.push(NOISE[start : start + 480])) for start in range(0, 28_800, 480))
    assert heard >= (28_800 - 0.05 * 48_000) / 3


@pytest.mark.parametrize("rate", [0, 500, 1e6, -16_000, None, "16000", float("nan"), True])
def test_what_is_no_rate_is_refused(rate: object):
    with pytest.raises(InputError, match=r"^a call: its sampling rate is .* would be accepted\.$"):
        Resampler(rate, "a call")


def test_full_scale_is_one():
    assert to_mono(np.array([-(2**15), 0, 2**14], np.int16), "x").tolist() == [-1, 0, 0.5]
    assert to_mono(np.array([-(2**31), 0, 2**30], np.int32), "x").tolist() == [-1, 0, 0.5]
    assert to_mono(np.array([0, 128, 192], np.uint8), "x").tolist() == [-1, 0, 0.5]
    assert to_mono(np.array([[1.0, 0.0], [-0.5, 0.5]]), "x").tolist() == [0.5, 0]


def test_what_is_not_finite_or_no_sample_is_refused():
    for value in (np.nan, np.inf, -np.inf, 1e300, 2e4):
        with pytest.raises(MediaError, match=r"^x: its samples reach .* would be accepted\.$"):
            to_mono(np.array([0.1, value]), "x")
    for dtype in (bool, np.int64, np.uint16, complex, "U1", object):
        with pytest.raises(InputError, match=r"^x: its samples are \w+; .* would be accepted\.$"):
            to_mono(np.zeros(3).astype(dtype), "x")
