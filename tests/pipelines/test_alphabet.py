from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from showtell.decoders.alignment import AlignedToken, Word
from showtell.decoders.lexicon import Lexicon
from showtell.decoders.ngram import Level, NGram
from showtell.decoders.word_prior import FIRST_WORD, WordPrior
from showtell.pipelines.alphabet import Alphabet
from showtell.pipelines.answers import Transcript, TranscriptChunk

# "their" and "there" are said alike.
SYMBOLS = ["", " ", *"ðɛkæt"]
LEXICON = Lexicon(["cat", "there", "their"], np.ones(3), ["kæt", "ðɛ", "ðɛ"])
EVEN = np.zeros(FIRST_WORD + len(LEXICON.words), np.uint8)
WORDS = NGram([Level(np.arange(len(EVEN), dtype=np.uint16), EVEN, EVEN[:0].astype(np.int8), EVEN[:0])])
THEIR_CAT = [(2, 1, 3), (3, 3, 4), (len(SYMBOLS), 4, 5), (4, 6, 7), (5, 8, 10), (6, 10, 11)]


def said(*tokens: tuple[int, int, int]) -> list[AlignedToken]:
    return [AlignedToken(token, start, end, math.log(0.5)) for token, start, end in tokens]


@pytest.fixture
def phonemes() -> Alphabet:
    heard = Alphabet("phoneme_log_probs", SYMBOLS, blank=0, step_seconds=0.04)
    return heard.known_by(WordPrior(SYMBOLS, LEXICON, WORDS), None)


def chunks_of(answer: Transcript) -> list[TranscriptChunk]:
    assert "chunks" in answer
    return answer["chunks"]


def test_phonemes_are_spelled_by_the_prior(phonemes: Alphabet) -> None:
    assert phonemes.text(said(*THEIR_CAT)) == "their cat"
    answer = phonemes.transcript([said(*THEIR_CAT), said((2, 20, 21), (3, 21, 22))], "word")
    assert answer["text"] == "their cat there"
    assert answer["score"] == pytest.approx(0.5)
    assert [(one["text"], one["timestamp"]) for one in chunks_of(answer)] == [
        ("their", (0.04, 0.16)), ("cat", (0.24, 0.44)), ("there", (0.8, 0.88)),
    ]  # fmt: skip


def test_letters_share_the_times_of_phonemes_in_their_order(phonemes: Alphabet) -> None:
    chunks = chunks_of(phonemes.transcript([said(*THEIR_CAT)], "char"))
    assert "".join(one["text"] for one in chunks) == "theircat"
    assert [one["timestamp"][0] for one in chunks[:5]] == [0.04, 0.072, 0.104, 0.128, 0.144]
    assert [one["timestamp"] for one in chunks[5:]] == [(0.24, 0.32), (0.32, 0.4), (0.4, 0.44)]
    assert all(one["score"] == pytest.approx(0.5) for one in chunks)


def test_letters_that_were_heard_have_times_and_scores_of_their_own() -> None:
    letters = Alphabet("log_probs", ["", " ", "a", "b"], blank=0, step_seconds=0.1)
    tokens = [AlignedToken(2, 0, 1, math.log(0.25)), AlignedToken(3, 4, 6, 0.0)]
    chunks = chunks_of(letters.transcript([tokens], "char"))
    assert [(one["text"], one["timestamp"], one["score"]) for one in chunks] == [
        ("a", (0, 0.1), 0.25), ("b", (0.4, 0.6), 1),
    ]  # fmt: skip


@given(st.data())
def test_characters_are_in_order_within_their_word(data: st.DataObject) -> None:
    heard = Alphabet("phoneme_log_probs", ["", " ", "a"], blank=0, step_seconds=0.04)
    edges = sorted(data.draw(st.lists(st.integers(0, 500), min_size=2, max_size=16)))
    tokens = [AlignedToken(2, start, end, -1.0) for start, end in zip(edges[::2], edges[1::2], strict=False)]
    chunks = heard.characters(Word(tuple(tokens)), data.draw(st.text("bc", min_size=1, max_size=20)))
    times = [time for chunk in chunks for time in chunk["timestamp"]]
    assert times == sorted(times)
    assert times[0] == pytest.approx(tokens[0].start * 0.04) and times[-1] == pytest.approx(tokens[-1].end * 0.04)


def test_of_a_word_that_is_cut_off_nothing_is_written(phonemes: Alphabet) -> None:
    assert phonemes.text(said(*THEIR_CAT[:5])) == "their"
    assert phonemes.text(said(*THEIR_CAT[:1])) == ""


def test_without_words_nothing_is_said(phonemes: Alphabet) -> None:
    assert phonemes.transcript([[], said((1, 0, 1))], "word") == {"text": "", "score": 1.0, "chunks": []}
