from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from showtell import InputError, MediaError, ModelError, pipeline
from showtell.bundle import add_prior
from showtell.decoders.word_prior import WordPrior
from showtell.pipelines.automatic_speech_recognition import AutomaticSpeechRecognition

RATE = 16_000


def babble(seconds: float, seed: int = 0) -> np.ndarray:
    """Sound that changes all the time, with pauses."""
    random = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    marks = np.arange(0, seconds + 1, 0.2)
    pitch = np.cumsum(np.interp(time, marks, random.uniform(100, 3000, len(marks))))
    loud = np.repeat(random.random(int(seconds) + 1) > 0.3, RATE)[: len(time)]
    return (0.3 * np.sin(2 * np.pi * pitch / RATE) * loud).astype(np.float32)


@pytest.fixture(scope="module")
def recognise(tiny_recogniser: Path) -> AutomaticSpeechRecognition:
    return pipeline("automatic-speech-recognition", tiny_recogniser, threads=1)


def as_row(samples: np.ndarray, rate: int = RATE) -> dict[str, Any]:
    return {"array": samples, "sampling_rate": rate}


def test_an_answer_is_a_text_with_its_score(recognise: AutomaticSpeechRecognition) -> None:
    answer = recognise(as_row(babble(3)))
    assert answer.keys() == {"text", "score"}
    assert answer["text"] and answer["text"] == " ".join(answer["text"].split())
    assert 0 < answer["score"] <= 1


@pytest.mark.parametrize("unit", ["word", "char"])
def test_chunks_spell_the_text_in_order_and_within_the_recording(recognise: Any, unit: str) -> None:
    answer = recognise(as_row(babble(5)), return_timestamps=unit)
    texts = [chunk["text"] for chunk in answer["chunks"]]
    assert (" " if unit == "word" else "").join(texts) == answer["text"].replace("" if unit == "word" else " ", "")
    times = [time for chunk in answer["chunks"] for time in chunk["timestamp"]]
    assert times == sorted(times) and times[0] >= 0 and times[-1] <= 5.04
    assert all(0 < chunk["score"] <= 1 for chunk in answer["chunks"])


def test_a_batch_gets_what_each_gets_alone_whatever_their_lengths(recognise: Any) -> None:
    recordings = [as_row(babble(seconds, seed)) for seed, seconds in enumerate((0.4, 2.0, 7.3, 1.1))]
    together = recognise(recordings, return_timestamps="char")
    for recording, answer in zip(recordings, together, strict=True):
        alone = recognise(recording, return_timestamps="char")
        assert alone["text"] == answer["text"]
        assert alone["score"] == pytest.approx(answer["score"], abs=1e-4)
        assert [c["timestamp"] for c in alone["chunks"]] == [c["timestamp"] for c in answer["chunks"]]


@pytest.mark.parametrize("samples", [137, 1600, 16_000])
def test_a_stream_ends_with_the_words_of_the_whole(recognise: AutomaticSpeechRecognition, samples: int) -> None:
    sound = babble(9)
    chunks = [sound[start : start + samples] for start in range(0, len(sound), samples)]
    partials = list(recognise.stream(chunks, sampling_rate=RATE))
    final = [partial["text"] for partial in partials if partial["is_final"]]
    assert " ".join(final) == recognise(as_row(sound))["text"]
    assert any(not partial["is_final"] for partial in partials)


def test_a_stream_answers_while_it_goes_on(recognise: AutomaticSpeechRecognition) -> None:
    sound, given = babble(4), []

    def microphone() -> Iterator[np.ndarray]:
        for start in range(0, len(sound), RATE // 10):
            given.append(start / RATE)
            yield sound[start : start + RATE // 10]

    next(iter(recognise.stream(microphone(), sampling_rate=RATE)))
    assert given[-1] < 3


def test_a_recording_longer_than_what_is_read_ahead_is_heard_to_its_end(recognise: Any, tmp_path: Path) -> None:
    sound = np.concatenate([babble(20, seed) for seed in range(4)])
    soundfile.write(tmp_path / "long.flac", sound, RATE)
    answer = recognise(str(tmp_path / "long.flac"), return_timestamps="word")
    assert answer["chunks"][-1]["timestamp"][1] > 70
    long = recognise([tmp_path / "long.flac", as_row(babble(1))])
    assert long[0]["text"] == answer["text"]


@pytest.mark.parametrize("seconds", [1, 45])
def test_the_length_of_a_recording_is_known_when_it_is_answered(recognise: Any, seconds: int) -> None:
    opened = recognise.read(as_row(babble(seconds)))
    recognise.answer([opened], recognise.letters, 1, None)
    assert recognise.media_seconds(opened) == seconds


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.02, 0.5])
def test_hardly_any_sound_is_no_error_unless_there_is_none(recognise: Any, seconds: float) -> None:
    silence = as_row(np.zeros(int(seconds * RATE), np.float32))
    if seconds:
        assert recognise(silence)["score"] <= 1
    else:
        with pytest.raises(MediaError, match="no samples"):
            recognise(silence)


def test_a_bad_recording_leaves_its_neighbours_alone(recognise: Any) -> None:
    good = as_row(babble(2))
    broken = as_row(np.concatenate([babble(40), [np.nan]]).astype(np.float32))
    answers = recognise([good, "absent.wav", broken, b"no sound", good], on_error="return")
    assert [isinstance(answer, Exception) for answer in answers] == [False, True, True, True, False]
    assert answers[0] == answers[4] == recognise(good)
    with pytest.raises(MediaError):
        recognise(broken)


def test_an_array_without_a_rate_and_an_unknown_unit_are_refused(recognise: Any) -> None:
    with pytest.raises(InputError, match="sampling"):
        recognise(babble(1))
    with pytest.raises(InputError, match='"word", "char" or None would do'):
        recognise(as_row(babble(1)), return_timestamps="sentence")


def test_a_file_in_memory_and_another_rate_will_do(recognise: Any) -> None:
    file = io.BytesIO()
    soundfile.write(file, babble(2), RATE, format="WAV", subtype="FLOAT")
    assert recognise(file.getvalue())["text"] == recognise(as_row(babble(2)))["text"]
    assert recognise(as_row(babble(2)[::2], 8_000))["score"] <= 1


def test_torch_answers_as_onnx_does(recognise: Any, tiny_recogniser: Path) -> None:
    in_torch = pipeline("automatic-speech-recognition", tiny_recogniser, runtime="torch", threads=1)
    sound = as_row(babble(6))
    answer, other = recognise(sound), in_torch(sound)
    assert answer["text"] == other["text"]
    assert answer["score"] == pytest.approx(other["score"], abs=1e-4)


# With a prior of words.

WORDS = {"a", "bee", "sees", "be"}


@pytest.fixture(scope="module")
def with_words(tiny_recogniser: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same recogniser with a prior by which only `WORDS` exist."""
    scratch = tmp_path_factory.mktemp("prior")
    WordPrior.of_list([" ", *"abes"], WORDS).save(scratch / "words")
    copy = shutil.copytree(tiny_recogniser, scratch / "recogniser")
    add_prior(copy, scratch / "words", weight=0.0, bonus=0.0)
    return copy


def test_the_words_of_an_answer_are_those_of_the_prior(recognise: Any, with_words: Path) -> None:
    by_words = pipeline("automatic-speech-recognition", with_words, threads=1)
    sound = babble(6)
    plain, known = recognise(as_row(sound))["text"], by_words(as_row(sound))["text"]
    assert known and set(known.split()) <= WORDS
    assert not set(plain.split()) <= WORDS
    assert by_words(as_row(sound), language_model=False)["text"] == plain
    for language_model, text in ((True, known), (False, plain)):
        heard = by_words.stream([sound], sampling_rate=RATE, language_model=language_model)
        assert " ".join(partial["text"] for partial in heard if partial["is_final"]) == text


def test_an_option_for_a_prior_that_is_not_there_does_nothing(recognise: Any) -> None:
    sound = as_row(babble(2))
    assert recognise(sound, language_model=True) == recognise(sound, language_model=False)


def test_a_file_that_is_no_prior_is_named(tiny_recogniser: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_recogniser, tmp_path / "recogniser")
    (tmp_path / "words").write_bytes(b"no prior")
    add_prior(copy, tmp_path / "words", weight=0.5, bonus=1.0)
    with pytest.raises(ModelError, match=r"prior\.npz: this is no prior of words"):
        pipeline("automatic-speech-recognition", copy)


SHORT: dict[str, Any] = {"weight": 1.0, "bonus": 0.0, "token_weight": 0.5, "token_prior": [0.5, 0.5]}


@pytest.mark.parametrize("prior", [{}, {"weight": 1.0}, {"weight": "much", "bonus": 1.0}, SHORT, None, 3])
def test_a_config_that_does_not_say_how_much_the_prior_weighs_is_named(
    with_words: Path, tmp_path: Path, prior: Any
) -> None:
    copy = shutil.copytree(with_words, tmp_path / "recogniser")
    config = json.loads((copy / "config.json").read_text()) | {"prior": prior}
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"config\.json: it does not say all that a recogniser needs"):
        pipeline("automatic-speech-recognition", copy)
