"""Words as numbers: the arrays that a text encoder reads. NumPy only, the same for training and for answering."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import TypedDict

import numpy as np
from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import NFKC, Lowercase, Normalizer, Replace
from tokenizers.normalizers import Sequence as NormalizerSequence

from showtell.errors import InputError
from showtell.pipelines.media.text import well_formed, word_splitter

PADDING, UNKNOWN = "<pad>", "<unk>"
"""The first two of every vocabulary: 0 where there is no word or character, 1 for one that is not known."""

CASINGS = ("padding", "without letters", "lower", "initial", "upper", "mixed", "number", "with digits")
"""How a word is written, by number: the casing features of Collobert and others (2011), with two for digits."""

LONGEST_WORD = 24
"""Characters of a word; of a longer one its beginning and its end are read."""

CACHED_WORDS = 32_768
"""Words whose numbers are remembered, about 10 MB. Most of a text is a few thousand words."""


def word_normalizer() -> Normalizer:
    """How a word is looked up: in small letters, each digit 0, quotes straight, letters of any width as usual ones.

    It serves the look-up alone; a word's characters and casing are its own, and offsets do not change.
    """
    return NormalizerSequence(
        [
            NFKC(),
            Replace(Regex(r"\p{Cf}"), ""),  # what is invisible
            Replace(Regex("[\u201c\u201d\u201e\u00ab\u00bb]|''|``"), '"'),
            Replace(Regex("[\u2018\u2019`\u00b4]"), "'"),
            Lowercase(),
            Replace(Regex(r"\p{Nd}"), "0"),
        ]
    )


def word_tokenizer(words: Sequence[str]) -> Tokenizer:
    """The tokenizer of a model that knows these words, in their normalised form: word `i` has the number `i + 2`.

    It carries all of a model's reading: how words are split, how they are normalised, and their numbers.
    Raises `InputError` if a word comes twice.
    """
    numbers = {word: number for number, word in enumerate((PADDING, UNKNOWN, *words))}
    if len(numbers) != len(words) + 2:
        twice = next(word for word, count in Counter((PADDING, UNKNOWN, *words)).items() if count > 1)
        raise InputError(f"the word {twice!r} comes twice in the vocabulary; each word once would be accepted.")
    tokenizer = Tokenizer(WordLevel(numbers, unk_token=UNKNOWN))
    tokenizer.normalizer = word_normalizer()
    tokenizer.pre_tokenizer = word_splitter()
    return tokenizer


def known_characters(counts: Mapping[str, int], *, min_count: int = 1) -> str:
    """The characters that come at least `min_count` times in words with these counts, most frequent first."""
    characters: Counter[str] = Counter()
    for word, count in counts.items():
        for character in word:
            characters[character] += count
    return "".join(character for character, count in characters.most_common() if count >= min_count)


class Config(TypedDict):
    """What a `TextEncoder` of these features is made with; the features are rebuilt from it and the tokenizer.

    words, casings: how many there are, those for padding and unknown among them.
    """

    words: int
    characters: str
    casings: int
    longest_word: int


class TextFeatures:
    """Turns lists of words into the arrays that a `TextEncoder` reads.

    tokenizer: a model's, made by `word_tokenizer`. characters: those that the model knows.
    longest_word: in characters; of a longer word only its beginning and its end are seen.
    config: what a `TextEncoder` is made with, and keeps in its own configuration.

    A word that is not in the vocabulary has the number 1, and its characters still tell much of it. A character
    that is not known counts as the letter under its accent, or as its usual width, where that is known.
    It may be called from several threads.
    """

    def __init__(self, tokenizer: Tokenizer, *, characters: str, longest_word: int = LONGEST_WORD):
        numbers = tokenizer.get_vocab(with_added_tokens=False)
        self.config = Config(words=len(numbers), characters=characters, casings=len(CASINGS), longest_word=longest_word)
        # A text may hold "<pad>", which is then an unknown word and no padding.
        self._words = {word: number for word, number in numbers.items() if word not in (PADDING, UNKNOWN)}
        self._characters = {character: number for number, character in enumerate(characters, start=2)}
        self._normalizer = tokenizer.normalizer
        self._longest_word = longest_word
        self._padding = bytes(4 * (3 + longest_word))
        self._row = lru_cache(maxsize=CACHED_WORDS)(self._read)

    def __call__(self, texts: Sequence[Sequence[str]]) -> dict[str, np.ndarray]:
        """The words of several texts as arrays of int64, by the names of the encoder's inputs.

        places: `(batch, words)`, where each word stands in the arrays below; 0 is padding.
        words: `(distinct,)`, the distinct words' numbers in the vocabulary. A third to a half of a batch's words are
            distinct, and only for these are features worked out.
        casing: `(distinct,)`, the numbers of their `CASINGS`.
        characters: `(distinct, characters)`, as wide as the longest of them, padded with 0.
        """
        words = list(chain.from_iterable(texts))
        distinct = {word: place for place, word in enumerate(dict.fromkeys(words), start=1)}
        lengths = np.array([len(text) for text in texts], np.int64)
        places = np.zeros((len(texts), lengths.max(initial=1)), np.int64)
        places[np.arange(places.shape[1]) < lengths[:, None]] = [distinct[word] for word in words]
        longest, shorten = self._longest_word, self._shorten
        # A row is bytes: joined, a hundred thousand of them are one array in a few milliseconds.
        rows = [self._row(word if len(word) <= longest else shorten(word)) for word in distinct]
        table = np.frombuffer(b"".join([self._padding, *rows]), np.int32).reshape(len(rows) + 1, -1).astype(np.int64)
        width = table[:, 0].max(initial=1)
        return {
            "places": places,
            "words": table[:, 1].copy(),
            "casing": table[:, 2].copy(),
            "characters": table[:, 3 : 3 + width].copy(),
        }

    def normalise(self, word: str) -> str:
        """The form in which a word is looked up."""
        return self._normalizer.normalize_str(well_formed(word))

    def _shorten(self, word: str) -> str:
        half = self._longest_word // 2
        return word[: self._longest_word - half] + word[len(word) - half :]

    def _read(self, word: str) -> bytes:
        """A word's number of characters, its number, its casing, and its characters padded with 0."""
        row = np.zeros(3 + self._longest_word, np.int32)
        row[0] = len(word)
        row[1] = self._words.get(self.normalise(word), 1)
        row[2] = CASINGS.index(casing_of(word))
        row[3 : 3 + len(word)] = [self._character(character) for character in word]
        return row.tobytes()

    def _character(self, character: str) -> int:
        plain = unicodedata.normalize("NFKD", character)[0]
        return self._characters.get(character) or self._characters.get(plain, 1)


def casing_of(word: str) -> str:
    """How a word is written: one of `CASINGS` but the first."""
    letters = word.lower() != word.upper()
    if any(character.isdigit() for character in word):
        return "with digits" if letters else "number"
    if not letters:
        return "without letters"
    if word.islower():
        return "lower"
    if word.isupper():
        return "upper"
    return "initial" if word[0].isupper() and word[1:].islower() else "mixed"
