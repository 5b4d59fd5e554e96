from __future__ import annotations

import math
from itertools import product
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pytest

from showtell.decoders import lexicon
from showtell.decoders.ctc import Search
from showtell.decoders.lexicon import Lexicon
from showtell.decoders.ngram import BOUNDARY, NGram
from showtell.decoders.word_prior import FIRST_WORD, UNKNOWN, WordPrior
from showtell.errors import InputError, ModelError
from showtell.scripts.ngram_estimation import NGramEstimator

CHARACTERS = ["", " ", "a", "b", "c"]
VOCABULARY = ["a", "ab", "abc", "ca"]
SENTENCES = ["a ab", "ab ca", "a ab ca ca", "abc", "bb a", "ca ab a", "cc"]


def number(word: str) -> int:
    return FIRST_WORD + VOCABULARY.index(word) if word in VOCABULARY else UNKNOWN


def train(order: int, vocabulary: int, sentences: list[list[int]]) -> NGram:
    return NGramEstimator(vocabulary, order).train(
        np.array([BOUNDARY, *(token for one in sentences for token in [*one, BOUNDARY])])
    )


WORDS = train(2, FIRST_WORD + len(VOCABULARY), [[number(word) for word in one.split()] for one in SENTENCES])
SPELLING = train(2, 4, [["abc".index(letter) + 1 for letter in word] for word in ("bb", "cc", "b", "cab")])


KNOWN = WORDS.probabilities[FIRST_WORD:]
SPELLED = Lexicon(VOCABULARY, KNOWN, unknown=float(WORDS.probabilities[UNKNOWN]), spelling=SPELLING, alphabet="abc")


def open_prior(weight: float = 1.0, bonus: float = 0.0) -> WordPrior:
    return WordPrior(CHARACTERS, SPELLED, WORDS, weight=weight, bonus=bonus)


def prior_of(prior: WordPrior, text: str) -> float:
    """What the search multiplies, character by character."""
    state, product = prior.start(), 1.0
    for character in text:
        product *= prior.factor(state, token := CHARACTERS.index(character))
        state = prior.advance(state, token)
    factor, unheard = prior.end(state)
    assert unheard is None
    return product * factor


def log_probability(text: str) -> float:
    """P(text) word by word."""
    context, total = WORDS.advance((), BOUNDARY), 0.0
    for word in text.split():
        total += WORDS.log_prob(context, number(word))
        context = WORDS.advance(context, number(word))
        if word not in VOCABULARY:
            letters = SPELLING.advance((), BOUNDARY)
            for letter in [*("abc".index(letter) + 1 for letter in word), BOUNDARY]:
                total += SPELLING.log_prob(letters, letter)
                letters = SPELLING.advance(letters, letter)
    return total + WORDS.log_prob(context, BOUNDARY)


@pytest.mark.parametrize("text", ["", "a", "ab ca", "abc ab", "bb", "cab a", "ab bca ca"])
def test_a_text_is_as_probable_as_its_words(text: str) -> None:
    expected = log_probability(text)
    assert prior_of(open_prior(), text) == pytest.approx(math.exp(expected))
    weighed = 0.7 * expected + 1.5 * len(text.split())
    assert prior_of(open_prior(weight=0.7, bonus=1.5), text) == pytest.approx(math.exp(weighed))


def test_a_strange_letter_is_improbable_and_not_impossible() -> None:
    prior = WordPrior([*CHARACTERS, "z"], SPELLED, WORDS)
    assert 0 < prior.factor(prior.advance(prior.start(), 2), 5) < 1e-6


def test_spaces_between_words_count_as_one() -> None:
    prior = open_prior()
    for text in (" a ab", "a  ab", "a ab "):
        assert prior_of(prior, text) == pytest.approx(prior_of(prior, "a ab"))


@pytest.mark.parametrize("before", ["", "ab ", "ca ab "])
def test_a_beginning_is_as_probable_as_all_words_that_begin_so_whatever_was_said_before(before: str) -> None:
    prior = open_prior()
    state = prior.start()
    for character in before:
        state = prior.advance(state, CHARACTERS.index(character))
    expected = 1.0
    for text in ("a", "ab", "abc", "abcb"):
        factor = prior.factor(state, CHARACTERS.index(text[-1]))
        state = prior.advance(state, CHARACTERS.index(text[-1]))
        known = sum(math.exp(WORDS.log_prob((), number(word))) for word in VOCABULARY if word.startswith(text))
        letters, spelled = SPELLING.advance((), BOUNDARY), 0.0
        for letter in text:
            spelled += SPELLING.log_prob(letters, "abc".index(letter) + 1)
            letters = SPELLING.advance(letters, "abc".index(letter) + 1)
        shorter, expected = expected, known + math.exp(WORDS.log_prob((), UNKNOWN) + spelled)
        assert factor == pytest.approx(expected / shorter)


def test_letters_never_raise_the_prior() -> None:
    prior = open_prior(weight=0.7, bonus=2.0)
    for text in product(range(1, len(CHARACTERS)), repeat=4):
        state = prior.start()
        for token in text:
            assert prior.factor(state, token) <= prior.raising.get(token, 1.0)
            state = prior.advance(state, token)


def test_of_a_list_only_its_words_exist_and_all_alike() -> None:
    prior = WordPrior.of_list(CHARACTERS, ["ab", "c", "abc", "c"])
    texts = ["".join(text) for length in range(6) for text in product("abc ", repeat=length)]
    for text in texts:
        assert prior_of(prior, text) == (set(text.split()) <= {"ab", "c", "abc"})


@pytest.mark.parametrize("word", ["", "ax", "a b"])
def test_a_list_with_a_word_that_cannot_be_spelled_is_refused(word: str) -> None:
    with pytest.raises(InputError, match=rf"{word!r}: a word of the characters ' abc' would do"):
        WordPrior.of_list(CHARACTERS, ["a", word])


def test_characters_without_a_space_are_refused() -> None:
    with pytest.raises(InputError, match="symbols with a space would do"):
        WordPrior(CHARACTERS[2:], SPELLED, WORDS)


def frames(*said: dict[str, float]) -> np.ndarray:
    """Log-probabilities from how probable characters are in each frame, with blanks between frames."""
    rows = []
    for probabilities in said:
        row = np.full(len(CHARACTERS), 1e-4)
        for character, probability in probabilities.items():
            row[CHARACTERS.index(character)] = probability
        rows += [row / row.sum(), np.eye(len(CHARACTERS))[0] * 0.999 + 1e-4]
    return np.log(np.array(rows))


def hear(prior: WordPrior | None, log_probs: np.ndarray) -> str:
    search = Search(prior)
    search.advance(log_probs)
    return "".join(CHARACTERS[token.token] for token in search.finish())


def test_it_makes_out_a_word_that_is_hard_to_hear() -> None:
    heard = frames({"a": 0.9}, {"b": 0.45, "c": 0.5}, {" ": 0.9}, {"c": 0.9}, {"a": 0.4, "b": 0.5})
    assert hear(None, heard) == "ac cb"
    assert hear(open_prior(), heard) == "ab ca"
    assert hear(WordPrior.of_list(CHARACTERS, ["a", "ab", "ca"]), heard) == "ab ca"


def test_it_lets_a_clear_word_pass_that_it_never_saw() -> None:
    clear = frames(*({letter: 0.999} for letter in "ab"), {" ": 0.999}, *({letter: 0.999} for letter in "cbb"))
    assert hear(open_prior(), clear) == "ab cbb"


def test_forgetting_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = np.random.default_rng(0).normal(0, 1.5, (60, len(CHARACTERS)))
    log_probs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    expected = hear(open_prior(), log_probs)
    monkeypatch.setattr(lexicon, "BEGINNINGS", 3)
    assert hear(open_prior(), log_probs) == expected and " " in expected


def test_what_it_remembers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lexicon, "BEGINNINGS", 50)
    prior = WordPrior.of_list(CHARACTERS, ["".join(word) for word in product("abc", repeat=4)])

    def remembered(begun: lexicon.Beginning) -> int:
        return 1 + sum(map(remembered, begun.longer.values()))

    for text in product(range(2, len(CHARACTERS)), repeat=4):
        state = prior.start()
        for token in text:
            state = prior.advance(state, token)
        assert remembered(prior.lexicon.nothing) <= 51


def test_it_is_saved_and_opened(tmp_path: Path) -> None:
    open_prior().save(tmp_path / "prior.npz")
    again = WordPrior.open(tmp_path / "prior.npz", CHARACTERS, weight=0.7, bonus=1.5)
    for text in ("ab ca", "cab bb"):
        assert prior_of(again, text) == prior_of(open_prior(0.7, 1.5), text)


def test_a_list_is_saved_and_opened(tmp_path: Path) -> None:
    WordPrior.of_list(CHARACTERS, ["ab", "c"]).save(tmp_path / "prior.npz")
    again = WordPrior.open(tmp_path / "prior.npz", CHARACTERS, weight=0.0, bonus=0.0)
    assert [prior_of(again, text) for text in ("c ab", "c a")] == [1, 0]


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "prior.npz").write_bytes(b"no")
    with pytest.raises(ModelError, match="this is no prior of words"):
        WordPrior.open(tmp_path / "prior.npz", CHARACTERS, weight=1.0, bonus=0.0)


def test_a_damaged_file_raises_no_other_error(tmp_path: Path) -> None:
    file, refused = tmp_path / "prior.npz", 0
    open_prior().save(file)
    whole = file.read_bytes()
    for place in range(0, len(whole), 7):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            WordPrior.open(file, CHARACTERS, weight=1.0, bonus=0.0)
        except ModelError:
            refused += 1
    assert refused > len(whole) // 14


def test_a_small_file_that_holds_too_much_is_refused(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "prior.npz", "w", ZIP_DEFLATED) as zipped, zipped.open("vocabulary.npy", "w") as out:
        for _ in range(300):
            out.write(bytes(1 << 20))
    with pytest.raises(ModelError, match=r"314572800 bytes, of which 268435456 would do"):
        WordPrior.open(tmp_path / "prior.npz", CHARACTERS, weight=1.0, bonus=0.0)
