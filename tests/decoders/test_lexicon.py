from __future__ import annotations

import math
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest

from showtell.decoders.alignment import words
from showtell.decoders.ctc import Search
from showtell.decoders.lexicon import Lexicon
from showtell.decoders.ngram import BOUNDARY
from showtell.decoders.word_prior import FIRST_WORD, MOST_ALIKE, WordPrior
from showtell.errors import ModelError
from showtell.scripts.ngram_estimation import NGramEstimator

# As their phonemes are sorted; "there" is more frequent than "their".
SAID = [("the", "ðə"), ("there", "ðɛɹ"), ("their", "ðɛɹ"), ("red", "ɹɛd"), ("read", "ɹid"), ("cat", "kæt")]
SAID.sort(key=lambda pair: pair[1])
NUMBERS = {word: number for number, (word, _) in enumerate(SAID)}
VARIANTS = sorted([("ði", NUMBERS["the"]), ("ɹɛd", NUMBERS["read"])])
SYMBOLS = ["", " ", *sorted(set("".join(symbols for _, symbols in SAID)))]
SENTENCES = ["the cat read", "their cat", "there", "their red cat", "read the cat", "there the red cat"]


def as_tokens(sentence: str) -> list[int]:
    return [FIRST_WORD + NUMBERS[word] for word in sentence.split()]


WORDS = NGramEstimator(FIRST_WORD + len(SAID), 2).train(
    np.array([BOUNDARY, *(token for one in SENTENCES for token in [*as_tokens(one), BOUNDARY])])
)


LEXICON = Lexicon(
    [word for word, _ in SAID], WORDS.probabilities[FIRST_WORD:], [symbols for _, symbols in SAID], VARIANTS
)


def open_prior() -> WordPrior:
    return WordPrior(SYMBOLS, LEXICON, WORDS)


def readings(prior: WordPrior, said: list[str]) -> dict[str, float]:
    """What the search multiplies for each way to spell words that are said so."""
    found: dict[str, float] = {}
    for spaces in product(prior.spaces, repeat=len(said)):
        state, total, spelled = prior.start(), 1.0, []
        for symbols, space in zip(said, spaces, strict=True):
            for token in [*map(SYMBOLS.index, symbols), space]:
                if (factor := prior.factor(state, token)) == 0:
                    break
                total, state = total * factor, prior.advance(state, token)
            else:
                spelled.append(prior.spell(symbols, space))
        if len(spelled) == len(said):
            found[" ".join(spelled)] = total * prior.end(state)[0]
    return found


def probability(text: str) -> float:
    tokens = [BOUNDARY, *as_tokens(text), BOUNDARY]
    return math.exp(sum(WORDS.log_prob((before,), token) for before, token in pairwise(tokens)))


@pytest.mark.parametrize(
    ("said", "texts"),
    [
        (["ðə", "kæt"], ["the cat"]),
        (["ði", "kæt"], ["the cat"]),
        (["ðɛɹ", "ɹɛd", "kæt"], ["there red cat", "their red cat", "there read cat", "their read cat"]),
        (["ðɛ"], []),
    ],
)
def test_what_is_said_may_be_each_of_the_words_that_are_said_so(said: list[str], texts: list[str]) -> None:
    found = readings(open_prior(), said)
    assert found.keys() == set(texts)
    for text in texts:
        assert found[text] == pytest.approx(probability(text))


def test_a_beginning_is_as_probable_as_all_words_that_may_begin_so() -> None:
    for symbols in ("ð", "ðɛ", "ɹ", "ɹɛ", "k", "ði"):
        begun = {
            NUMBERS[word] for word, said in [*SAID, *((SAID[n][0], s) for s, n in VARIANTS)] if said.startswith(symbols)
        }
        expected = sum(math.exp(WORDS.log_prob((), FIRST_WORD + number)) for number in begun)
        assert LEXICON.find(symbols).probability == pytest.approx(expected)


def hear(prior: WordPrior, said: str) -> str:
    """What is read in symbols that are heard clearly, a blank after each."""
    rows = np.full((2 * len(said), len(SYMBOLS)), 1e-5)
    rows[1::2, 0] = 1
    rows[range(0, len(rows), 2), [SYMBOLS.index(symbol) for symbol in said]] = 1
    search = Search(prior)
    search.advance(np.log(rows / rows.sum(axis=1, keepdims=True)))
    found = [
        ("".join(prior.symbols[token.token] for token in word.tokens), word.space)
        for word in words(search.finish(), spaces=prior.spaces)
    ]
    return " ".join(prior.spell(symbols, space) for symbols, space in found)


@pytest.mark.parametrize("last", ["", " "])
def test_of_words_that_are_said_alike_the_others_choose(last: str) -> None:
    prior = open_prior()
    assert hear(prior, "ðɛɹ kæt" + last) == "their cat"
    assert hear(prior, "ðɛɹ ðə ɹɛd kæt" + last) == "there the red cat"
    assert hear(prior, "ðə kæt ɹɛd" + last) == "the cat read"  # which is told apart although no space may follow
    assert hear(prior, "ði kæt ɹid" + last) == "the cat read"


def test_what_begins_as_no_word_does_is_not_heard() -> None:
    assert hear(open_prior(), "kɹæt") == "cat"


def test_more_words_than_there_are_spaces_are_said_alike() -> None:
    names = [f"w{number}" for number in range(MOST_ALIKE + 2)]
    model = NGramEstimator(FIRST_WORD + len(names), 1).train(np.array([0, *range(FIRST_WORD, FIRST_WORD + 6), 0]))
    prior = WordPrior(["", " ", "a"], Lexicon(names, np.full(len(names), 0.1), ["a"] * len(names)), model)
    state = prior.advance(prior.start(), 2)
    assert [prior.spell("a", space) for space in prior.spaces] == names[:MOST_ALIKE]
    assert all(prior.factor(state, space) > 0 for space in prior.spaces)
    assert prior.end(state)[0] > 0


def test_it_is_saved_and_opened(tmp_path: Path) -> None:
    open_prior().save(tmp_path / "prior.npz")
    again = WordPrior.open(tmp_path / "prior.npz", SYMBOLS, weight=1.0, bonus=0.0)
    said = ["ðɛɹ", "ɹɛd", "kæt"]
    assert readings(again, said) == readings(open_prior(), said)


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("pronunciations", "a\nb", "2 pronunciations of 6 words"),
        ("variants", "ði 6", "ði is no word's pronunciation"),
        ("vocabulary", "the", "6 pronunciations of 1 words"),
    ],
)
def test_words_and_pronunciations_that_do_not_fit_are_refused(
    tmp_path: Path, name: str, text: str, complaint: str
) -> None:
    open_prior().save(tmp_path / "prior.npz")
    with np.load(tmp_path / "prior.npz") as arrays:
        changed = dict(arrays) | {name: np.frombuffer(text.encode(), np.uint8)}
    np.savez(tmp_path / "prior.npz", allow_pickle=False, **changed)
    with pytest.raises(ModelError, match=complaint):
        WordPrior.open(tmp_path / "prior.npz", SYMBOLS, weight=1.0, bonus=0.0)


def test_words_for_another_model_are_refused(tmp_path: Path) -> None:
    WordPrior(SYMBOLS, Lexicon(["cat"], np.ones(1), ["kæt"]), WORDS).save(tmp_path / "prior.npz")
    with pytest.raises(ModelError, match=f"1 words and {WORDS.vocabulary - FIRST_WORD} probabilities"):
        WordPrior.open(tmp_path / "prior.npz", SYMBOLS, weight=1.0, bonus=0.0)
