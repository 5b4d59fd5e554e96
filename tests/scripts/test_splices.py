from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from showtell import pipeline
from showtell.scripts.datasets.speech import Utterance
from showtell.scripts.datasets.speech_tensors import keep_samples
from showtell.scripts.datasets.splices import Cut, Splicer, Spoken, find_cuts, keep_cuts

STEP = 640
SPACE = 3


def certain(path: list[int]) -> np.ndarray:
    """Log-probabilities that leave no doubt."""
    return np.log(np.eye(4)[path] * 0.97 + 0.01)


def test_words_are_cut_apart_where_it_is_quietest() -> None:
    sound = np.ones(8 * STEP, np.int16) * 1000
    sound[4 * STEP + 100 : 4 * STEP + 500] = 0
    (cut,) = find_cuts(sound, [1, SPACE, 2, 2], certain([1, 1, 0, SPACE, 0, 2, 0, 2]), space=SPACE, step=STEP)
    assert cut.sample - 160 >= 4 * STEP + 100 and cut.sample + 160 <= 4 * STEP + 500
    assert cut.word == 1


def test_a_text_that_does_not_fit_is_not_cut() -> None:
    assert find_cuts(np.zeros(STEP, np.int16), [1, SPACE, 2], certain([1]), space=SPACE, step=STEP) == []


@given(st.data())
def test_cuts_are_in_order_and_within_the_sound(data: st.DataObject) -> None:
    words = data.draw(st.lists(st.lists(st.sampled_from([1, 2]), min_size=1, max_size=4), min_size=1, max_size=6))
    tokens = [token for word in words for token in [*word, SPACE]][:-1]
    frames = 2 * len(tokens) + data.draw(st.integers(0, 20))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    log_probs = np.log(rng.dirichlet(np.ones(4), frames))
    sound = rng.integers(-99, 99, frames * STEP - 7).astype(np.int16)
    cuts = find_cuts(sound, tokens, log_probs, space=SPACE, step=STEP)
    assert [cut.word for cut in cuts] == [*range(1, len(words))]
    samples = [0, *(cut.sample for cut in cuts), len(sound)]
    assert samples == sorted(samples)


def test_speech_is_cut_between_its_words_once(tmp_path: Path) -> None:
    sample = Path(__file__).parents[2] / "pipelines" / "samples" / "listener.opus"
    text = "a small network writes down what it hears"
    utterances = [Utterance(sample, text, speaker) for speaker in ("ann", "ann", "bob", "")]
    sounds = keep_samples(utterances, tmp_path / "samples")
    recognise = pipeline("automatic-speech-recognition", threads=1)
    first, second, alone, unknown = cuts = keep_cuts(recognise, sounds, utterances, tmp_path / "cuts.json")
    assert first == second and [cut.word for cut in first] == [*range(1, 8)]
    assert [cut.sample for cut in first] == sorted(cut.sample for cut in first)
    assert alone == unknown == []  # nobody else says what they could go on with
    assert keep_cuts(recognise, [], [], tmp_path / "cuts.json") == cuts


@pytest.fixture
def splicer() -> Splicer:
    """Two recordings of one speaker, ten words of 100 samples each; one of another, one of nobody."""
    sounds = [np.repeat(np.arange(10) + 10 * place, 100).astype(np.int16) for place in range(4)]
    texts = [[Spoken([10 * place + word], []) for word in range(10)] for place in range(4)]
    cuts = [[Cut(100 * word, word) for word in range(1, 10)]] * 4
    return Splicer(sounds, texts, cuts, ["ann", "ann", "bob", ""])


def draw(splicer: Splicer, place: int, rng: np.random.Generator) -> tuple[np.ndarray, list[int]]:
    sound, words = splicer.draw(place, rng)
    return sound, [letter for word in words for letter in word.letters]


def test_what_is_heard_is_what_is_written(splicer: Splicer) -> None:
    rng = np.random.default_rng(0)
    spliced = [draw(splicer, 0, rng) for _ in range(50)]
    assert all(sound[::100].tolist() == text for sound, text in spliced)
    assert {0, 19} < {number for _, text in spliced for number in text}
    assert all(850 <= len(sound) <= 1150 for sound, _ in spliced)


def test_speakers_are_not_mixed(splicer: Splicer) -> None:
    rng = np.random.default_rng(0)
    assert all(draw(splicer, 2, rng)[1] == [*range(20, 30)] for _ in range(20))
    assert all(draw(splicer, 3, rng)[1] == [*range(30, 40)] for _ in range(20))
