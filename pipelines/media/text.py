"""Reading text: words with the characters at which they stand, and sentences, of any text whatever.

Training and answering read through this file. `text[start:end] == word` holds for every word in every script.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tokenizers import Regex
from tokenizers.pre_tokenizers import PreTokenizer, Split

from showtell.errors import InputError

LONGEST_SENTENCE = 256
"""Words of a sentence, beyond which it is divided: memory stays bounded whatever a text holds."""

# Oniguruma's syntax. A word is made of letters, marks, digits, and what is invisible within them (soft hyphens, and
# the joiners that Persian and Indian scripts write with). Chinese and Japanese set no spaces: each character is a word.
_LETTER = r"[[\p{L}\p{M}\p{N}\u00AD\u200C\u200D]&&[^\p{Han}\p{Hiragana}\p{Katakana}]]"
_CLITIC = rf"['\u2019](?:[sSmMdD]|[rR][eE]|[vV][eE]|[lL][lL])(?!{_LETTER})"
_NOT = rf"[nN]['\u2019][tT](?!{_LETTER})"
# Spaces of all kinds and control characters, null among them; zero-width spaces, byte-order marks, and the marks that
# turn the direction of writing.
_BLANK = r"\s\p{Cc}\u200B\u200E\u200F\u202A-\u202E\u2060\u2066-\u2069\uFEFF"
_TITLE = "Mr|Mrs|Ms|Dr|St|Prof|Gen|Sen|Rep|Gov|Lt|Col|Capt|Sgt|Rev|vs"
# What is added to a sign: marks, and to an emoji the tone of a skin, or the tags of a land. Oniguruma's own \X for all
# this takes quadratic time over a row of flags.
_ADDED = r"[\p{M}\x{1F3FB}-\x{1F3FF}\x{E0020}-\x{E007F}]"

WORD = rf"""(?x)
    (?: https?:// | www\. ) [^{_BLANK}<>"]* [\p{{L}}\p{{N}}/]        # an address, without the full stop after it
  | [@\#] [\p{{L}}\p{{M}}\p{{N}}_]++                                 # @user  #tag
  | (?= {_LETTER}++ ['\u2019][tT] ) \p{{L}}+? (?= {_NOT} )          # did, of didn't
  | {_NOT}                                                           # n't
  | {_CLITIC}                                                        # 's  're
  | (?i: {_TITLE} ) \. (?= \s*+ \p{{L}} )                            # Mr., before a name
  | \p{{Lu}} \. (?= \s++ \p{{Lu}} )                                  # W., before a name
  | \p{{Lu}}{{1,3}} \$                                               # US$  C$
  | (?: \p{{L}} (?> (?: \. \p{{L}} ){{1,9}} ) (?: \. | (?!{_LETTER}) )  # U.S.  e.g.  a.m
      | {_LETTER}++ )
    (?: (?: [-\u2010\u2011&]                                         # well-known  AT&T
          | (?<=\p{{N}}) [.,:/] (?=\p{{N}})                          # 1,196.35  10:30  1/2
          | (?!{_CLITIC}) ['\u2019] )                                # O'Brien
        {_LETTER}++ )*+
  | \.\.\. | -- | `` | '' | <br\s*+/?>                               # <br />: HTML's line break, common in reviews
  | [\x{{1F1E6}}-\x{{1F1FF}}]{{2}}                                     # a flag
  | [^{_BLANK}] {_ADDED}*+ (?: \u200D [^{_BLANK}] {_ADDED}*+ )*+      # a sign, an emoji with all that belongs to it
"""

# What ends a sentence, in the scripts that space their words and in those that do not, and what may follow it.
_UNSPACED_ENDS = frozenset(["\u3002", "\uff01", "\uff1f", "<br />", "<br/>", "<br>"])
_ENDS = frozenset([".", "!", "?", "...", "\u2026", "\u061f", "\u06d4", "\u0964", "\u0965", *_UNSPACED_ENDS])
_CLOSING = frozenset("\"'\u201d\u2019\u00bb)]}")
_PAUSES = frozenset([",", ";", ":", "--", "-", "\u2013", "\u2014", "\u060c", "\u3001", "\uff0c", "\uff1b", *_ENDS])
# A paragraph that was wrapped by hand has lines at least so long; shorter lines are headings, verses or a list.
_WRAPPED_LINE = 50

_SURROGATE = re.compile("[\ud800-\udfff]")
_PICTURES = {control: 0x2400 + control for control in range(32) if chr(control) not in "\t\n\r"}
_PICTURES |= {0x7F: 0x2421} | dict.fromkeys(range(0x80, 0xA0), 0xFFFD)


@dataclass(frozen=True)
class Words:
    """A text's words in order, and where each stands: `text[start:end] == word`.

    offsets: `(start, end)` of each word, in characters.
    """

    text: str
    words: list[str]
    offsets: list[tuple[int, int]]


def check_text(source: Any) -> str:
    """The text that was given: a `str` of any length, the empty one too. Raises `InputError` for anything else."""
    if isinstance(source, str):
        return source
    raise InputError(f"{_kind(source)}: this is not a text; a str would be accepted.")


def check_words(source: Any) -> list[str]:
    """The words of a text that was split before. Raises `InputError` for what is no list or tuple of `str`."""
    if not isinstance(source, (list, tuple)):
        raise InputError(f"{_kind(source)}: this is not a list of words; a list of str would be accepted.")
    for place, word in enumerate(source):
        if not isinstance(word, str):
            raise InputError(f"{_kind(word)}, as word {place}: this is not a word; a list of str would be accepted.")
    return list(source)


def word_splitter() -> PreTokenizer:
    """What splits a text into words; it travels with a model, in its tokenizer.

    Clitics stand alone ("did", "n't"; "Tolkien", "'s"), as in the Penn Treebank, CoNLL-2003 and GloVe. Hyphens,
    the dots of abbreviations and whatever separates digits stay inside a word; other punctuation stands alone.
    """
    return Split(Regex(WORD), "removed", invert=True)


def split_words(text: str, splitter: PreTokenizer) -> Words:
    """Split a text into words. Nothing but white space and invisible marks is left out."""
    offsets = [offset for _, offset in splitter.pre_tokenize_str(well_formed(text))]
    return Words(text, [text[start:end] for start, end in offsets], offsets)


def join_words(words: Sequence[str]) -> Words:
    """Words that were split before, as a text in which single spaces part them."""
    offsets: list[tuple[int, int]] = []
    start = 0
    for word in words:
        offsets.append((start, start + len(word)))
        start += len(word) + 1
    return Words(" ".join(words), list(words), offsets)


def split_sentences(words: Words, *, longest: int = LONGEST_SENTENCE) -> list[slice]:
    """The sentences of a text, as slices of its words; together they are all words.

    A sentence ends after a full stop or its like that white space and no small letter follow, after an empty line,
    and after a short one. One of more than `longest` words is divided, at a comma or its like where there is one.
    """
    sentences: list[slice] = []
    start = 0
    for place in range(1, len(words.words) + 1):
        if place == len(words.words) or _ends_before(words, place):
            sentences += _divide(words.words, start, place, longest)
            start = place
    return sentences


def well_formed(text: str) -> str:
    """The text with U+FFFD for each unpaired surrogate, which is as long as before, and which UTF-8 can write."""
    return _SURROGATE.sub("\ufffd", text)


def printable(text: str) -> str:
    """The text with a picture for each control character, which is as long as before and commands no terminal."""
    return well_formed(text).translate(_PICTURES)


def _kind(source: object) -> str:
    return "None" if source is None else f"the {type(source).__name__} given"


def _ends_before(words: Words, place: int) -> bool:
    """Whether a sentence ends before the word at `place`, which is not the first."""
    gap_start, gap_end = words.offsets[place - 1][1], words.offsets[place][0]
    breaks = words.text.count("\n", gap_start, gap_end)
    if breaks:
        line_start = words.text.rfind("\n", 0, gap_start) + 1
        if breaks > 1 or gap_start - line_start < _WRAPPED_LINE:
            return True
    before = place - 1
    # A few brackets and quotes may close after the full stop; no more, lest a text of brackets take for ever.
    while before > max(0, place - 4) and words.words[before] in _CLOSING:
        before -= 1
    end = words.words[before]
    if end not in _ENDS or (gap_start == gap_end and words.words[place] in _CLOSING):
        return False
    return (gap_end > gap_start or end in _UNSPACED_ENDS) and not words.words[place][:1].islower()


def _divide(words: list[str], start: int, end: int, longest: int) -> list[slice]:
    """A sentence in pieces of at most `longest` words."""
    pieces: list[slice] = []
    while end - start > longest:
        limit = start + longest
        pauses = (place for place in range(limit, start + longest // 2, -1) if words[place - 1] in _PAUSES)
        cut = next(pauses, limit)
        pieces.append(slice(start, cut))
        start = cut
    return [*pieces, slice(start, end)]
