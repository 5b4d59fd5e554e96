"""The prior of texts by their words: an n-gram model of words, in which words that it does not know can be spelled.

    P(text) = prod P(word | words before) and P(end | words before)
    P(word | before) = p(word | before)                             for a word that the model knows
                     = p(unknown | before) p(its letters)           for any other

Two levels, as in Hori and others (Multi-level language modeling and decoding for open vocabulary, 2017). While a
word is being said only its beginning is known, and counts as much as all words that begin so (Ortmanns and others,
Language-model look-ahead for large vocabulary speech recognition, 1996):

    P(beginning | before) = sum of p(word | before) over the known words that begin so
                            + p(unknown | before) p(these letters)

When the word ends, P(word | before) takes the place of that.
"""

from __future__ import annotations

import math
import zlib
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np

from showtell.decoders.ngram import BOUNDARY, Level, NGram, Outlook
from showtell.errors import InputError, ModelError

# Tokens of the model of words: after the boundary the unknown word, then the vocabulary.
UNKNOWN, FIRST_WORD = 1, 2
# The logarithm of the probability of a letter that the spelling model does not know.
LOG_STRANGE_LETTER = math.log(1e-6)
# Beginnings of words that are remembered, half a kilobyte each, and how probable such are after some words, a tenth of
# that. After so many they are forgotten.
BEGINNINGS, EXPECTATIONS = 30_000, 400_000
# An outlook takes the memory of so many expectations, and of one more for so many tokens that it knows.
OUTLOOK, TOKENS_AN_EXPECTATION = 10, 5

# Of a saved prior, unpacked; a small file could hold more than there is memory for.
MOST_BYTES = 1 << 28

# What reading a damaged archive raises; the last one where the damage looks like a cipher or another compression.
UNREADABLE = (OSError, EOFError, BadZipFile, zlib.error, RuntimeError)

Context = tuple[int, ...]


class Beginning:
    """How a word may begin: a node of the tree of all words, of which there is what was looked at.

    text: its letters. first, last: the vocabulary's words from `first` up to, not including, `last` begin so.
    context, log_spelled: of the spelling model, after these letters. longer: the beginnings with one more letter, by
        its token.
    """

    __slots__ = ("context", "first", "last", "log_spelled", "longer", "text")

    def __init__(self, text: str, first: int, last: int, context: Context, log_spelled: float):
        self.text, self.first, self.last, self.context = text, first, last, context
        self.log_spelled = log_spelled
        self.longer: dict[int, Beginning] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Beginning) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


class Expectation:
    """What is expected after some words.

    outlook: of the model of words. unknown: p(unknown | before). known: P(beginning | before), as far as that was
        asked, by its letters.
    """

    __slots__ = ("known", "outlook", "unknown")

    def __init__(self, outlook: Outlook):
        self.outlook, self.unknown = outlook, outlook.of_range(UNKNOWN, UNKNOWN + 1)
        self.known: dict[str, float] = {}


# The words before, as far as they matter, the word that has begun, and P(beginning | before).
State = tuple[Context, Beginning, float]


class WordPrior:
    """A `Prior` (`ctc.py`) over texts whose tokens are characters, where a space ends a word.

    What it tells the search is `P(text) ** weight * exp(bonus) ** words`.

    characters: of each token; "" for one that is none. vocabulary: the known words, sorted.
    words: over the boundary, the unknown word and the vocabulary.
    spelling: over the boundary and the characters of `alphabet`. Without it there are no words but the known ones.

    Raises `InputError` for characters without a space.
    """

    def __init__(
        self,
        characters: Sequence[str],
        vocabulary: Sequence[str],
        words: NGram,
        *,
        spelling: NGram | None = None,
        alphabet: str = "",
        weight: float = 1.0,
        bonus: float = 0.0,
    ):
        if " " not in characters:
            raise InputError("a prior of words needs to know where words end; characters with a space would do.")
        self.characters, self.space, self.vocabulary = characters, characters.index(" "), vocabulary
        self.words, self.spelling = words, spelling
        self.raising = {self.space}
        self.letters = {character: number for number, character in enumerate(alphabet, BOUNDARY + 1)}
        self.weight, self.bonus = weight, bonus
        spelled = spelling.advance((), BOUNDARY) if spelling else ()
        self.nothing, self.beginnings = Beginning("", 0, len(vocabulary), spelled, 0.0), 0
        self.after: dict[Context, Expectation] = {}
        self.expectations = 0

    @classmethod
    def of_list(cls, characters: Sequence[str], vocabulary: Iterable[str]) -> WordPrior:
        """The prior by which only the words of a list exist, all alike.

        Raises `InputError` for a word that cannot be spelled by the characters.
        """
        words = sorted(set(vocabulary))
        for word in words:
            if not word or not set(word) <= set(characters) - {" "}:
                raise InputError(f"{word!r}: a word of the characters {''.join(characters)!r} would do.")
        alike = np.zeros(FIRST_WORD + len(words), np.uint8)
        level = Level(np.arange(len(alike), dtype=np.uint16), alike, alike[:0].astype(np.int8), alike[:0])
        return cls(characters, words, NGram([level]), weight=0.0)

    @classmethod
    def open(cls, file: str | Path, characters: Sequence[str], *, weight: float, bonus: float) -> WordPrior:
        """Open what `save` wrote. Raises `ModelError` for another file."""
        try:
            with ZipFile(file) as zipped:
                if (size := sum(info.file_size for info in zipped.infolist())) > MOST_BYTES:
                    raise ValueError(f"{size} bytes, of which {MOST_BYTES} would do")
            with np.load(file, allow_pickle=False) as arrays:
                return cls.from_arrays(dict(arrays), characters, weight=weight, bonus=bonus)
        except (*UNREADABLE, KeyError, ValueError, MemoryError) as error:
            raise ModelError(f"{file}: this is no prior of words ({error}); one that was saved would do.") from error

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, np.ndarray], characters: Sequence[str], *, weight: float, bonus: float
    ) -> WordPrior:
        """What `save` writes of it, and the rest. Raises `KeyError` if an array is missing."""
        spelling = part(arrays, "spelling")
        return cls(
            characters,
            arrays["vocabulary"].tobytes().decode().split("\n"),
            NGram.from_arrays(part(arrays, "words")),
            spelling=NGram.from_arrays(spelling) if spelling else None,
            alphabet=arrays["alphabet"].tobytes().decode(),
            weight=weight,
            bonus=bonus,
        )

    def save(self, file: str | Path) -> None:
        """Write what `open` opens, NumPy's `.npz`, compressed: all but the characters, the weight and the bonus."""
        texts = {"vocabulary": "\n".join(self.vocabulary), "alphabet": "".join(self.letters)}
        arrays = {name: np.frombuffer(text.encode(), np.uint8) for name, text in texts.items()}
        for name, model in (("words", self.words), ("spelling", self.spelling)):
            arrays |= {f"{name}.{key}": array for key, array in (model.arrays() if model else {}).items()}
        with Path(file).open("wb") as out:
            np.savez_compressed(out, allow_pickle=False, **arrays)

    def start(self) -> State:
        """No word has been said, nor begun."""
        return self.words.advance((), BOUNDARY), self.nothing, 1.0

    def factor(self, state: State, token: int) -> float:
        """By how much one more character multiplies the prior."""
        context, begun, probability = state
        if token == self.space:
            return self._word_factor(state) if begun.text else 1.0
        longer = self._expect(context, self._extend(begun, token))
        return (longer / probability) ** self.weight if longer else 0.0

    def advance(self, state: State, token: int) -> State:
        """The state after one more character."""
        context, begun, _ = state
        if token != self.space:
            longer = self._extend(begun, token)
            return context, longer, self._expect(context, longer)
        return (self.words.advance(context, self._number(begun)), self.nothing, 1.0) if begun.text else state

    def end(self, state: State) -> float:
        """By how much it multiplies the prior that the last word ends, and the text with it."""
        context, begun, _ = state
        factor = 1.0
        if begun.text:
            factor, context = self._word_factor(state), self.words.advance(context, self._number(begun))
        return factor * math.exp(self.weight * self.words.log_prob(context, BOUNDARY))

    def _word_factor(self, state: State) -> float:
        """By how much it multiplies the prior that a word which has begun so is complete."""
        context, begun, probability = state
        if (number := self._number(begun)) == UNKNOWN and self.spelling is None:
            return 0.0
        log_prob = self.words.log_prob(context, number)
        if number == UNKNOWN and self.spelling is not None:
            log_prob += begun.log_spelled + self.spelling.log_prob(begun.context, BOUNDARY)
        return math.exp(self.weight * (log_prob - math.log(probability)) + self.bonus)

    def _expect(self, context: Context, begun: Beginning) -> float:
        """P(beginning | words before)."""
        expectation = self.after.get(context) or self._look_ahead(context)
        if (probability := expectation.known.get(begun.text)) is None:
            if self.expectations >= EXPECTATIONS:
                self.after, self.expectations = {}, 0
            probability = 0.0
            if begun.first < begun.last:
                probability = expectation.outlook.of_range(FIRST_WORD + begun.first, FIRST_WORD + begun.last)
            if self.spelling is not None:
                probability += expectation.unknown * math.exp(begun.log_spelled)
            expectation.known[begun.text] = probability
            self.expectations += 1
        return probability

    def _look_ahead(self, context: Context) -> Expectation:
        """What is expected after some words that were not asked for yet."""
        shorter = None
        if context:
            rest = context[1:]
            shorter = (self.after.get(rest) or self._look_ahead(rest)).outlook
        outlook = self.words.outlook(context, shorter)
        self.expectations += OUTLOOK + len(outlook.tokens) // TOKENS_AN_EXPECTATION
        expectation = self.after[context] = Expectation(outlook)
        return expectation

    def _number(self, begun: Beginning) -> int:
        """The token of a complete word in the model of words."""
        known = begun.first < begun.last and self.vocabulary[begun.first] == begun.text
        return FIRST_WORD + begun.first if known else UNKNOWN

    def _extend(self, begun: Beginning, token: int) -> Beginning:
        """A beginning with one more letter."""
        if (longer := begun.longer.get(token)) is None:
            if self.beginnings >= BEGINNINGS:
                self.nothing.longer.clear()
                self.beginnings = 0
            longer = begun.longer[token] = self._look_up(begun, self.characters[token])
            self.beginnings += 1
        return longer

    def _look_up(self, begun: Beginning, letter: str) -> Beginning:
        """What the vocabulary and the spelling model say of one more letter."""
        text, after = begun.text + letter, begun.text + chr(ord(letter) + 1)
        first = bisect_left(self.vocabulary, text, begun.first, begun.last)
        last = bisect_left(self.vocabulary, after, first, begun.last)
        context, log_spelled = (), begun.log_spelled + LOG_STRANGE_LETTER
        if self.spelling is not None and (number := self.letters.get(letter)) is not None:
            context = self.spelling.advance(begun.context, number)
            log_spelled = begun.log_spelled + self.spelling.log_prob(begun.context, number)
        return Beginning(text, first, last, context, log_spelled)


def part(arrays: Mapping[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """The arrays under a name."""
    return {key.removeprefix(f"{name}."): array for key, array in arrays.items() if key.startswith(f"{name}.")}
