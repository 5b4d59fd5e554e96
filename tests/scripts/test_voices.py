import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from showtell.errors import InputError
from showtell.scripts.voices import Flite, Hibari, Voice

AS_IT_IS = Voice(pitch=1, throat=1, melody=1, pace=1)


def loudest_frequency(sound: np.ndarray) -> float:
    """Of a voice: the lag at which the sound is most like itself, as hertz."""
    middle = sound[len(sound) // 3 :][:4000]
    likeness = np.correlate(middle, middle, "full")[len(middle) :]
    return 16_000 / (40 + int(likeness[40:320].argmax()))


@pytest.fixture(scope="module")
def speaker() -> Hibari:
    return Hibari(np.random.default_rng(0))


def test_a_lower_voice_has_a_lower_pitch(speaker):
    as_it_is = speaker.say("Ah, ah, ah.", AS_IT_IS)
    low = speaker.say("Ah, ah, ah.", Voice(pitch=0.6, throat=1, melody=1, pace=1))
    assert loudest_frequency(low) == pytest.approx(0.6 * loudest_frequency(as_it_is), rel=0.1)
    assert len(low) == len(as_it_is)


def test_a_faster_voice_is_shorter(speaker):
    slow, fast = (speaker.say("It is a fine day.", Voice(1, 1, 1, pace)) for pace in (0.8, 1.3))
    assert len(fast) < 0.75 * len(slow)


def test_nothing_to_say_is_no_sound(speaker):
    assert len(speaker.say("", AS_IT_IS)) == 0


def test_a_shorter_throat_moves_a_resonance_up():
    spectrum = np.zeros((601, 2), np.float32)
    spectrum[100] = 1
    bent = Voice(pitch=1, throat=1.2, melody=1, pace=1).bend_spectrum(spectrum)
    assert bent.argmax(axis=0).tolist() == [120, 120]


@given(st.floats(0.55, 1.45), st.floats(0.6, 1.3))
def test_what_has_no_voice_gets_none_and_what_has_one_keeps_it(pitch, melody):
    hertz = np.array([0, 0, 180, 220, 0], np.float32)
    bent = Voice(pitch, 1, melody, 1).bend_pitch(hertz)
    assert ((bent > 40) == (hertz > 40)).all()
    assert np.sqrt(bent[2] * bent[3]) == pytest.approx(pitch * np.sqrt(180 * 220), rel=1e-3)


def test_drawn_voices_are_within_what_was_found_clear():
    rng = np.random.default_rng(0)
    voices = [Voice.draw(rng) for _ in range(500)]
    assert all(0.55 <= voice.pitch <= 1.45 and 0.86 <= voice.throat <= 1.2 for voice in voices)
    pitches, throats = zip(*((voice.pitch, voice.throat) for voice in voices), strict=True)
    assert np.corrcoef(pitches, throats)[0, 1] > 0.5


@pytest.mark.skipif(shutil.which("flite") is None, reason="needs the program flite")
def test_flite_says_it_in_many_voices():
    flite = Flite(np.random.default_rng(0))
    sounds = [flite.speak("It is a fine day.") for _ in range(4)]
    assert all(0.8 < len(sound) / 16_000 < 3 and 0.05 < np.abs(sound).max() <= 1.1 for sound in sounds)
    assert len({len(sound) for sound in sounds}) == 4


def test_without_the_program_it_says_what_would_do(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="apt install flite"):
        Flite(np.random.default_rng(0))
