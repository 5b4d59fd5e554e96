from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from showtell.scripts.datasets.sound_changes import (
    NOISE_DECIBELS,
    SPEEDS,
    add_noise,
    change_speed,
    changed,
    coloured_noise,
    compand,
    over_the_telephone,
    put_into_a_room,
)

RATE = 16_000


def tone(hertz: float, seconds: float = 0.5) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


def loudness(sound: np.ndarray) -> float:
    return float(np.linalg.norm(sound))


@pytest.mark.parametrize("seed", range(5))
def test_speech_is_said_faster_or_slower_with_the_pitch(seed: int) -> None:
    faster = change_speed(tone(1000), np.random.default_rng(seed), RATE)
    speed = len(tone(1000)) / len(faster)
    assert SPEEDS[0] * 0.99 < speed < SPEEDS[1] * 1.01
    peak = np.abs(np.fft.rfft(faster)).argmax() * RATE / len(faster)
    assert peak == pytest.approx(1000 * speed, rel=0.01)


@pytest.mark.parametrize("seed", range(5))
def test_a_room_answers_after_the_sound_and_more_softly(seed: int) -> None:
    clap = np.zeros(RATE, np.float32)
    clap[1000] = 0.5
    wet = put_into_a_room(clap, np.random.default_rng(seed), RATE)
    assert wet.dtype == np.float32
    assert np.abs(wet).argmax() == 1000
    assert np.abs(wet[:1000]).max() < 1e-6
    assert 0.1 < loudness(wet[1001:]) / 0.5 < 0.6
    assert loudness(wet[1001:3000]) > loudness(wet[3000:])


@pytest.mark.parametrize("others", [[], [tone(300, 0.1)]])
def test_noise_is_as_far_below_the_sound_as_it_should_be(others: list[np.ndarray]) -> None:
    sound = tone(1000)
    for seed in range(8):
        noise = add_noise(sound, np.random.default_rng(seed), others) - sound
        below = 20 * np.log10(loudness(sound) / loudness(noise))
        assert NOISE_DECIBELS[0] - 0.1 < below < NOISE_DECIBELS[1] + 0.1


def test_no_colour_of_noise_is_bluer_than_white() -> None:
    for seed in range(8):
        power = np.abs(np.fft.rfft(coloured_noise(RATE, np.random.default_rng(seed)))) ** 2
        octaves = [power[low : 2 * low].mean() for low in (250, 500, 1000, 2000, 4000)]
        assert all(higher < 1.25 * lower for lower, higher in pairwise(octaves))


@pytest.mark.parametrize(("hertz", "left"), [(100, 0.1), (1000, 1), (3000, 1), (5000, 0)])
def test_a_telephone_loses_what_is_too_low_and_too_high(hertz: float, left: float) -> None:
    sound = tone(hertz) * np.hanning(RATE // 2)  # it swells and fades: a click has all frequencies
    np.testing.assert_allclose(over_the_telephone(sound, RATE), left * sound, atol=0.01)


def test_companding_rounds_loud_sounds_more_than_soft_ones() -> None:
    values = np.linspace(-1, 1, 4001)
    error = np.abs(compand(values) - values)
    assert error.max() < 0.025
    assert error[np.abs(values) < 0.01].max() < 0.001
    assert len(np.unique(compand(values))) <= 256


@pytest.mark.parametrize("sound", [tone(700), tone(700, 0.01), np.zeros(800, np.float32)])
def test_whatever_is_changed_stays_sound_and_is_drawn_by_the_generator_alone(sound: np.ndarray) -> None:
    for seed in range(20):
        one, again = (changed(sound, np.random.default_rng(seed), sampling_rate=RATE) for _ in range(2))
        np.testing.assert_array_equal(one, again)
        assert one.dtype == np.float32
        assert np.abs(one).max() <= 1
        assert 0.85 < len(one) / len(sound) < 1.2
