"""Prefixes: the texts that a CTC search is following, each with the best of the paths that spell it.

What a path has said is kept once, with back-pointers to what it said before, so that no history is copied along.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from showtell.decoders.alignment import AlignedToken


class Said:
    """A token that a path has said, as in `AlignedToken`; `before` is the one before it."""

    __slots__ = ("before", "end", "log_prob", "start", "token")

    def __init__(self, before: Said | None, token: int, start: int, end: int, log_prob: float):
        self.before, self.token, self.start, self.end, self.log_prob = before, token, start, end, log_prob

    def aligned(self) -> AlignedToken:
        """As it is told to others."""
        return AlignedToken(self.token, self.start, self.end, self.log_prob)


class Path(NamedTuple):
    """The most probable of the paths that spell a text and end alike, and what it becomes by one more frame."""

    log_prob: float
    said: Said | None

    def rest(self, log_prob: float) -> Path:
        """A blank is said."""
        return Path(self.log_prob + log_prob, self.said)

    def hold(self, time: int, log_prob: float) -> Path:
        """The last token is still being said."""
        if (said := self.said) is None:
            return NO_PATH
        longer = Said(said.before, said.token, said.start, time + 1, max(said.log_prob, log_prob))
        return Path(self.log_prob + log_prob, longer)

    def begin(self, token: int, time: int, log_prob: float) -> Path:
        """A token begins."""
        return Path(self.log_prob + log_prob, Said(self.said, token, time, time + 1, log_prob))

    def or_else(self, other: Path) -> Path:
        """The more probable one of two."""
        return self if self.log_prob >= other.log_prob else other


NO_PATH = Path(-math.inf, None)


class Text(NamedTuple):
    """What has been said.

    key: tells it from other texts. token: its last one. state: the prior's, if there is one.
    factors: by how much tokens multiply its prior, as far as that was asked.
    """

    key: int
    token: int
    state: Any
    factors: dict[int, float]


class Prefix(NamedTuple):
    """A text that may go on, and all paths that spell it.

    blank, label: the probability of its paths that end in a blank, and of those that end in its last token, times
        the prior, as shares of the best prefix. blank_path, label_path: the most probable one of each.
    """

    text: Text
    blank: float
    label: float
    blank_path: Path
    label_path: Path

    @property
    def best_path(self) -> Path:
        """The most probable of its paths."""
        return self.blank_path.or_else(self.label_path)

    def pause(self) -> Prefix:
        """The prefix after frames of blank: what was being said has ended."""
        return Prefix(self.text, self.blank + self.label, 0.0, self.best_path, NO_PATH)


def follow(
    old: Prefix | None, parent: Prefix | None, token: int, time: int, log_blank: float, log_token: float
) -> tuple[Path, Path]:
    """The best paths of a text after the frame `time`, first of those that end in a blank there.

    old: the text as it was before, if it was there. parent: the text without its last token, if that was there.
    """
    blank_path = label_path = NO_PATH
    if old is not None:
        blank_path, label_path = old.best_path.rest(log_blank), old.label_path.hold(time, log_token)
    if parent is not None:
        # Between two equal tokens there is a blank.
        before = parent.blank_path if token == parent.text.token else parent.best_path
        label_path = label_path.or_else(before.begin(token, time, log_token))
    return blank_path, label_path
