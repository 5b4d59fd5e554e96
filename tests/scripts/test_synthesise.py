import json

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from showtell.scripts.datasets.speech import read_utterances
from showtell.scripts.synthesise import Speaker, Voice, main, rare_first

AS_IT_IS = Voice(pitch=1, throat=1, melody=1, pace=1)


def loudest_frequency(sound: np.ndarray) -> float:
    """Of a voice: the lag at which the sound is most like itself, as hertz."""
    middle = sound[len(sound) // 3 :][:4000]
    likeness = np.correlate(middle, middle, "full")[len(middle) :]
    return 16_000 / (40 + int(likeness[40:320].argmax()))


@pytest.fixture(scope="module")
def speaker() -> Speaker:
    return Speaker(np.random.default_rng(0))


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


def test_sentences_without_a_rare_word_are_left_out():
    common = ["a", "dog"]
    assert list(rare_first(iter([common] * 5))) == [common] * 3
    assert list(rare_first(iter([["one"], ["two"] * 30]))) == []


def test_a_folder_of_speech_goes_on_where_it_was_stopped(tmp_path):
    texts = tmp_path / "texts.txt"
    texts.write_text("A dog runs.\nTwo men talk.\nIt rains again.\nShe sings well.\n")
    main(tmp_path / "out", [texts], hours=0.0005)
    begun = read_utterances(tmp_path / "out")
    main(tmp_path / "out", [texts], hours=1)
    complete = read_utterances(tmp_path / "out")
    assert 1 <= len(begun) < len(complete) == 4
    assert complete[: len(begun)] == begun
    assert sorted(one.text for one in complete) == ["a dog runs", "it rains again", "she sings well", "two men talk"]
    for one in complete:
        samples, rate = soundfile.read(one.file)
        assert rate == 16_000 and 0.25 < np.abs(samples).max() <= 1
    lines = (tmp_path / "out" / "metadata.jsonl").read_text().splitlines()
    assert {json.loads(line)["speaker"] for line in lines} == {"hibari"}
