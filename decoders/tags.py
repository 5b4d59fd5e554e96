"""Tag schemes: spans of words written as one tag a word, and read back.

    words   Ada    Lovelace  left  New    York   City   for  Paris
    BIO     B-PER  I-PER     O     B-LOC  I-LOC  I-LOC  O    B-LOC
    BIOES   B-PER  E-PER     O     B-LOC  I-LOC  E-LOC  O    S-LOC

BIO is also called IOB2. Its forerunner IOB1, which writes B only right after another span of the same label, is
read and not written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np

from showtell.errors import InputError

Scheme = Literal["BIO", "BIOES"]

# The prefixes that each scheme gives to a label.
SCHEMES: dict[str, str] = {"BIO": "BI", "BIOES": "BIES"}
OUTSIDE = "O"


class Span(NamedTuple):
    """The words from `start` up to, not including, `end`."""

    start: int
    end: int
    label: str


class Allowed(NamedTuple):
    """Which tags a scheme lets stand first, one after the other, and last.

    start, end: `(tags,)`. transitions: `(tags, tags)`, from the row's tag to the column's.
    """

    start: np.ndarray
    transitions: np.ndarray
    end: np.ndarray


def find_spans(tags: Iterable[str]) -> list[Span]:
    """Read the tags of a sentence, in any scheme.

    A span begins at B and S, and at an I or E that cannot continue the word before: that word is none of B and I,
    or has another label. This is conlleval's reading. It makes sense of tags that break their scheme's rules, and
    it reads IOB1, BIO and BIOES without being told which it is.

    Raises `InputError` for what is no tag.
    """
    spans: list[Span] = []
    before = (OUTSIDE, "")
    for position, tag in enumerate(tags):
        prefix, label = split_tag(tag)
        if prefix in ("I", "E") and before in (("B", label), ("I", label)):
            spans[-1] = spans[-1]._replace(end=position + 1)
        elif prefix != OUTSIDE:
            spans.append(Span(position, position + 1, label))
        before = prefix, label
    return spans


def write_spans(spans: Iterable[Span], length: int, *, scheme: Scheme = "BIOES") -> list[str]:
    """Write the spans of a sentence of `length` words as tags.

    Raises `InputError` for a span that is empty, lies outside the sentence or overlaps another.
    """
    tags = [OUTSIDE] * length
    for span in spans:
        free = 0 <= span.start < span.end <= length and {*tags[span.start : span.end]} == {OUTSIDE}
        if not free:
            raise InputError(f"{span}: spans that lie apart, each of one of the {length} words or more, would do.")
        tags[span.start : span.end] = span_tags(span, scheme=scheme)
    return tags


def span_tags(span: Span, *, scheme: Scheme = "BIOES") -> list[str]:
    """The tags of a span's own words."""
    length = span.end - span.start
    prefixes = "B" + "I" * (length - 1)
    if scheme == "BIOES":
        prefixes = prefixes[:-1] + "E" if length > 1 else "S"
    return [f"{prefix}-{span.label}" for prefix in prefixes]


def tag_set(labels: Sequence[str], *, scheme: Scheme = "BIOES") -> list[str]:
    """All tags of some labels, O first."""
    return [OUTSIDE, *(f"{prefix}-{label}" for label in labels for prefix in SCHEMES[scheme])]


def allowed_transitions(tags: Sequence[str], *, scheme: Scheme = "BIOES") -> Allowed:
    """What tags may follow each other. Before and after a sentence it is as if O stood there."""
    parts = [split_tag(tag) for tag in tags]

    def may_follow(before: tuple[str, str], after: tuple[str, str]) -> bool:
        is_open = before[0] in ("B", "I")
        if after[0] in ("I", "E"):
            return is_open and before[1] == after[1]
        return scheme == "BIO" or not is_open  # in BIOES a span ends by E or S alone

    outside = (OUTSIDE, "")
    return Allowed(
        start=np.array([may_follow(outside, tag) for tag in parts]),
        transitions=np.array([[may_follow(before, after) for after in parts] for before in parts]),
        end=np.array([may_follow(tag, outside) for tag in parts]),
    )


def split_tag(tag: str) -> tuple[str, str]:
    """The prefix and the label of a tag; O has no label. Raises `InputError` for what is no tag."""
    prefix, _, label = tag.partition("-")
    if tag != OUTSIDE and not (prefix in ("B", "I", "E", "S") and label):
        raise InputError(f"{tag!r} is no tag; O, or one of B, I, E and S with a hyphen and a label, would do.")
    return prefix, label
