"""The prior of texts by their words: an n-gram model of words, in which words that it does not know can be spelled.

    P(text) = prod P(word | words before) and P(end | words before)
    P(word | before) = p(word | before)                             for a word that the model knows
                     = p(unknown | before) p(its symbols)           for any other

Two levels, as in Hori and others (Multi-level language modeling and decoding for open vocabulary, 2017). While a
word is being said only its beginning is known, and counts as much as all words that begin so, whatever was said before:
P(beginning), see `lexicon.py`. When the word ends, P(word | before) takes the place of that. (Steinbiss, Tran and Ney,
Improvements in beam search, 1994; to foresee by the words before as well costs more than the wider search that finds
as much, see `docs/benchmarks.md`.) Where several words are said alike (their, there), it ends by a token for each of
them, which all sound as the space does.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np

from showtell.decoders.lexicon import Beginning, Context, Lexicon, part
from showtell.decoders.ngram import BOUNDARY, PROBS, Level, NGram
from showtell.errors import InputError, ModelError

# Tokens of the model of words: after the boundary the unknown word, then the lexicon's.
UNKNOWN, FIRST_WORD = 1, 2
# Of words that are said alike so many can be told apart by what was said before; rarer ones are not written.
MOST_ALIKE = 4
# Of a saved prior, unpacked; a small file could hold more than there is memory for.
MOST_BYTES = 1 << 28

# What reading a damaged archive raises; the last one where the damage looks like a cipher or another compression.
UNREADABLE = (OSError, EOFError, BadZipFile, zlib.error, RuntimeError)


# The words before, as far as they matter, and the word that has begun.
State = tuple[Context, Beginning]


class WordPrior:
    """A `Prior` (`ctc.py`) over texts whose tokens are symbols of a lexicon, where a space ends a word.

    What it tells the search is `P(text) ** weight * exp(bonus) ** words`.

    symbols: of each token that a network hears, phonemes or letters; "" for one that is none. After these tokens come
        other spaces, for words that are said alike: after "ðɛɹ" the space may end "there" and the next one "their".
    words: over the boundary, the unknown word and the lexicon's words.

    Raises `InputError` for symbols without a space.
    """

    def __init__(
        self, symbols: Sequence[str], lexicon: Lexicon, words: NGram, *, weight: float = 1.0, bonus: float = 0.0
    ):
        if " " not in symbols:
            raise InputError("a prior of words needs to know where words end; symbols with a space would do.")
        self.lexicon, self.words, self.weight, self.bonus = lexicon, words, weight, bonus
        # Words that are said as they are spelled are never said alike.
        alike = 1 if lexicon.spells else MOST_ALIKE
        space, more = symbols.index(" "), range(len(symbols), len(symbols) + alike - 1)
        # Of the words that may end by a space, which one does.
        self.spaces = {token: place for place, token in enumerate([space, *more])}
        self.symbols = [*symbols, *(" " for _ in more)]
        self.heard_as = np.array([*range(len(symbols)), *(space for _ in more)]) if more else None
        self.raising = dict.fromkeys(self.spaces, math.inf)

    @classmethod
    def of_list(cls, symbols: Sequence[str], words: Iterable[str]) -> WordPrior:
        """The prior by which only the words of a list exist, all alike, and are said as they are spelled.

        Raises `InputError` for a word that cannot be spelled by the symbols.
        """
        known = sorted(set(words))
        for word in known:
            if not word or not set(word) <= set(symbols) - {" "}:
                raise InputError(f"{word!r}: a word of the characters {''.join(symbols)!r} would do.")
        alike = np.zeros(FIRST_WORD + len(known), np.uint8)
        level = Level(np.arange(len(alike), dtype=np.uint16), alike, alike[:0].astype(np.int8), alike[:0])
        return cls(symbols, Lexicon(known, PROBS[alike[FIRST_WORD:]]), NGram([level]), weight=0.0)

    @classmethod
    def open(cls, file: str | Path, symbols: Sequence[str], *, weight: float, bonus: float) -> WordPrior:
        """Open what `save` wrote. Raises `ModelError` for another file."""
        try:
            with ZipFile(file) as zipped:
                if (size := sum(info.file_size for info in zipped.infolist())) > MOST_BYTES:
                    raise ValueError(f"{size} bytes, of which {MOST_BYTES} would do")
            with np.load(file, allow_pickle=False) as zipped:
                arrays = dict(zipped)
            words = NGram.from_arrays(part(arrays, "words"))
            lexicon = Lexicon.from_arrays(arrays, words.probabilities[UNKNOWN:])
            return cls(symbols, lexicon, words, weight=weight, bonus=bonus)
        except (*UNREADABLE, KeyError, ValueError, MemoryError) as error:
            raise ModelError(f"{file}: this is no prior of words ({error}); one that was saved would do.") from error

    def save(self, file: str | Path) -> None:
        """Write what `open` opens, NumPy's `.npz`, compressed: all but the symbols, the weight and the bonus."""
        arrays = self.lexicon.arrays() | {f"words.{name}": array for name, array in self.words.arrays().items()}
        with Path(file).open("wb") as out:
            np.savez_compressed(out, allow_pickle=False, **arrays)

    def spell(self, symbols: str, space: int | None) -> str:
        """A word that was said so and ended by a token of the spaces, or, with None, with the text.

        Letters that are no word are left as they are; of phonemes that are none yet, nothing is written.
        """
        complete = self.lexicon.find(symbols).complete
        if not complete:
            return symbols if self.lexicon.spells else ""
        return self.lexicon.words[complete[0 if space is None else self.spaces[space]]]

    def start(self) -> State:
        """No word has been said, nor begun."""
        return self.words.advance((), BOUNDARY), self.lexicon.nothing

    def factor(self, state: State, token: int) -> float:
        """By how much one more symbol multiplies the prior."""
        begun = state[1]
        if (longer := begun.longer.get(self.symbols[token])) is None:
            if (place := self.spaces.get(token)) is not None:
                return self._word_factor(state, place)
            longer = self.lexicon.extend(begun, self.symbols[token])
        return (longer.probability / begun.probability) ** self.weight if longer.probability else 0.0

    def advance(self, state: State, token: int) -> State:
        """The state after one more symbol."""
        context, begun = state
        if (place := self.spaces.get(token)) is None:
            return context, self.lexicon.extend(begun, self.symbols[token])
        if not begun.symbols:
            return state
        number = self._number(begun, place)
        assert number is not None, "such a token has no probability"
        return self.words.advance(context, number), self.lexicon.nothing

    def end(self, state: State) -> tuple[float, int | None]:
        """By how much it multiplies the prior that the last word ends, and the text with it; and by which space the
        word ends, if it is not the first of those that are said so."""
        context, begun = state
        if not begun.symbols:
            return self._end_factor(context), None
        factors = {
            token: self._word_factor(state, place) * self._end_factor(self.words.advance(context, number))
            for token, place in self.spaces.items()
            if (number := self._number(begun, place)) is not None
        }
        token = max(factors, key=factors.__getitem__)
        return factors[token], token if self.spaces[token] else None

    def _end_factor(self, context: Context) -> float:
        """By how much it multiplies the prior that the text ends."""
        return math.exp(self.weight * self.words.log_prob(context, BOUNDARY))

    def _word_factor(self, state: State, place: int) -> float:
        """By how much it multiplies the prior that a word which has begun so is complete, and which of those it is."""
        context, begun = state
        if not begun.symbols:  # a space after a space
            return 0.0 if place else 1.0
        if (number := self._number(begun, place)) is None:
            return 0.0
        log_prob = self.words.log_prob(context, number)
        if number == UNKNOWN:
            if (spelling := self.lexicon.spelling) is None:
                return 0.0
            log_prob += begun.log_spelled + spelling.log_prob(begun.context, BOUNDARY)
        return math.exp(self.weight * (log_prob - math.log(begun.probability)) + self.bonus)

    def _number(self, begun: Beginning, place: int) -> int | None:
        """The token of a complete word in the model of words: of those that are said so the one at a place."""
        if place < len(begun.complete):
            return FIRST_WORD + begun.complete[place]
        return UNKNOWN if place == 0 else None
