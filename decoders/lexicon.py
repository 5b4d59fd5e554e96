"""The words there are, as a tree of how they begin; a beginning of a word stands for all words that begin so.

    P(beginning) = sum of p(word) over the words that begin so + p(unknown) p(these symbols)

A word is known by how it is said, a string of symbols: phonemes, or the letters themselves where a recogniser spells.
Words that are said alike differ in their spelling alone, and some words are said in more than one way.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence

import numpy as np

from showtell.decoders.ngram import BOUNDARY, NGram

# The logarithm of the probability of a symbol that the spelling model does not know.
LOG_STRANGE_SYMBOL = math.log(1e-6)
# Beginnings of words that are remembered, half a kilobyte each. After so many they are forgotten.
BEGINNINGS = 60_000
# What is saved as text.
TEXTS = {"vocabulary", "pronunciations", "variants", "alphabet"}

Context = tuple[int, ...]


class Beginning:
    """How a word may begin: a node of the tree, of which there is what was looked at.

    symbols: what was said of it. probability: that a word begins so. first, last: the words from `first` up to, not
        including, `last` begin so. complete: words that may end here, of those with this as their first pronunciation
        the most frequent one first.
    context, log_spelled: of the spelling model, after these symbols. longer: the beginnings with one more symbol.
    """

    __slots__ = ("complete", "context", "first", "last", "log_spelled", "longer", "probability", "symbols")

    def __init__(
        self, symbols: str, probability: float, words: range, complete: list[int], context: Context, log_spelled: float
    ):
        self.symbols, self.probability, self.first, self.last = symbols, probability, words.start, words.stop
        self.complete, self.context, self.log_spelled = complete, context, log_spelled
        self.longer: dict[str, Beginning] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Beginning) and self.symbols == other.symbols

    def __hash__(self) -> int:
        return hash(self.symbols)


class Lexicon:
    """Words, how probable they are, and how they are said.

    words: spelled. probabilities: of each. unknown: the probability of any other.
    pronunciations: of each word the first, sorted; of those that are alike, the most frequent word's comes first.
        Without them words are said as they are spelled. variants: other pronunciations of some words, each with the
        word's number.
    spelling: how words are said that are not among them, over the boundary and the symbols of `alphabet`. Without it
        there are no others.
    """

    def __init__(
        self,
        words: Sequence[str],
        probabilities: np.ndarray,
        pronunciations: Sequence[str] | None = None,
        variants: Sequence[tuple[str, int]] = (),
        *,
        unknown: float = 0.0,
        spelling: NGram | None = None,
        alphabet: str = "",
    ):
        self.words, self.pronunciations, self.variants = words, pronunciations or words, variants
        self.probabilities, self.unknown = probabilities, unknown
        # How variants begin, which are few.
        self.varied = {symbols[:length] for symbols, _ in variants for length in range(1, len(symbols) + 1)}
        # A memoryview, as in `NGram`.
        self.cumulative = np.concatenate([[0.0], probabilities]).cumsum().data
        self.spelling, self.alphabet = spelling, alphabet
        self.numbers = {symbol: number for number, symbol in enumerate(alphabet, BOUNDARY + 1)}
        spelled = spelling.advance((), BOUNDARY) if spelling else ()
        self.nothing, self.beginnings = Beginning("", 1.0, range(len(words)), [], spelled, 0.0), 0

    @property
    def spells(self) -> bool:
        """Whether words are said as they are spelled."""
        return self.pronunciations is self.words

    def extend(self, begun: Beginning, symbol: str) -> Beginning:
        """A beginning with one more symbol."""
        if (longer := begun.longer.get(symbol)) is None:
            if self.beginnings >= BEGINNINGS:
                self.nothing.longer.clear()
                self.beginnings = 0
            longer = begun.longer[symbol] = self._look_up(begun, symbol)
            self.beginnings += 1
        return longer

    def find(self, symbols: str) -> Beginning:
        """The beginning that is said so."""
        begun = self.nothing
        for symbol in symbols:
            begun = self.extend(begun, symbol)
        return begun

    def arrays(self) -> dict[str, np.ndarray]:
        """All there is to save."""
        texts = {"vocabulary": "\n".join(self.words), "alphabet": self.alphabet}
        if not self.spells:
            texts["pronunciations"] = "\n".join(self.pronunciations)
            texts["variants"] = "\n".join(f"{symbols} {number}" for symbols, number in self.variants)
        arrays = {name: np.frombuffer(text.encode(), np.uint8) for name, text in texts.items()}
        spelling = self.spelling.arrays() if self.spelling else {}
        return arrays | {f"spelling.{name}": array for name, array in spelling.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], probabilities: np.ndarray) -> Lexicon:
        """The lexicon that `arrays` were taken from. Raises `KeyError` or `ValueError` for others.

        probabilities: of an unknown word, and of each word.
        """
        texts = {name: array.tobytes().decode() for name, array in arrays.items() if name in TEXTS}
        words, pronunciations, variants = texts["vocabulary"].split("\n"), None, []
        if "pronunciations" in texts and len(pronunciations := texts["pronunciations"].split("\n")) != len(words):
            raise ValueError(f"{len(pronunciations)} pronunciations of {len(words)} words")
        if len(words) != len(probabilities) - 1:
            raise ValueError(f"{len(words)} words and {len(probabilities) - 1} probabilities")
        for line in texts.get("variants", "").splitlines():
            symbols, _, number = line.partition(" ")
            if not 0 <= int(number) < len(words):
                raise ValueError(f"{symbols} is no word's pronunciation")
            variants.append((symbols, int(number)))
        spelling = part(arrays, "spelling")
        return cls(
            words,
            probabilities[1:],
            pronunciations,
            variants,
            unknown=float(probabilities[0]),
            spelling=NGram.from_arrays(spelling) if spelling else None,
            alphabet=texts["alphabet"],
        )

    def _look_up(self, begun: Beginning, symbol: str) -> Beginning:
        """What the words and the spelling model say of one more symbol."""
        symbols, after, said = begun.symbols + symbol, begun.symbols + chr(ord(symbol) + 1), self.pronunciations
        first = bisect_left(said, symbols, begun.first, begun.last)
        last = bisect_left(said, after, first, begun.last)
        end = first
        while end < last and said[end] == symbols:
            end += 1
        complete, probability = [*range(first, end)], self.cumulative[last] - self.cumulative[first]
        if symbols in self.varied:
            variants = [(way, number) for way, number in self.variants if way.startswith(symbols)]
            complete += (number for way, number in variants if way == symbols)
            others = {number for _, number in variants if not first <= number < last}
            probability += sum(float(self.probabilities[number]) for number in others)
        context, log_spelled = (), begun.log_spelled + LOG_STRANGE_SYMBOL
        if self.spelling is not None:
            if (number := self.numbers.get(symbol)) is not None:
                context = self.spelling.advance(begun.context, number)
                log_spelled = begun.log_spelled + self.spelling.log_prob(begun.context, number)
            probability += self.unknown * math.exp(log_spelled)
        return Beginning(symbols, probability, range(first, last), complete, context, log_spelled)


def part(arrays: Mapping[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """The arrays under a name."""
    return {key.removeprefix(f"{name}."): array for key, array in arrays.items() if key.startswith(f"{name}.")}
