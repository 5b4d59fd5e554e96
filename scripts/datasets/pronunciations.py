"""How English words are said: texts to phonemes, by the rules and the dictionary that `hibari-tts` brings along."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hibari.g2p import G2P

# The phonemes of American English, the space first: IPA, and a capital for each diphthong: A as in day, I as in my, O
# as in go, W as in now, Y as in boy.
PHONEMES = " bdfhijklmnpstuvwzæðŋɑɔəɛɜɡɪɹʃʊʌʒʤʧθAIOWY"
# What is written besides, which no recogniser needs to tell apart: stress, weak vowels, the t of "water".
SAME_AS = str.maketrans({"ˈ": "", "ˌ": "", "ɐ": "ə", "ᵊ": "ə", "ᵻ": "ɪ", "T": "t"})


@cache
def rules() -> G2P:
    """Grapheme to phoneme, opened once."""
    from hibari.g2p import G2P

    return G2P()


def pronounce(text: str) -> list[str]:
    """The phonemes of each word of a text, as it is said among the others: the end of "the" tells what follows."""
    words = phonemes(text).split(" ")
    # Some words are read as more than one: "etc", or a name of letters. Then each is said as if it stood alone.
    if len(words) != len(text.split()):
        words = [phonemes(word).replace(" ", "") for word in text.split()]
    return words


def phonemes(text: str) -> str:
    """A text as the rules read it, in `PHONEMES` alone."""
    return "".join(symbol for symbol in rules()(text).translate(SAME_AS) if symbol in PHONEMES)
