"""Prefixes: the texts that a CTC search is following, each with the best of the paths that spell it.

Nowhere does a recogniser spend more steps of Python, so a prefix is plain attributes. What a path has said is kept
once, with back-pointers to what it said before, so that no history is copied along.
"""

from __future__ import annotations

import math
from typing import Any

from showtell.decoders.alignment import AlignedToken


class Said:
    """A token that a path has said, as in `AlignedToken`; `before` is the one before it."""

    __slots__ = ("before", "end", "log_prob", "start", "token")

    def __init__(self, before: Said | None, token: int, start: int, end: int, log_prob: float):
        self.before, self.token, self.start, self.end, self.log_prob = before, token, start, end, log_prob

    def chain(self) -> list[AlignedToken]:
        """All that was said up to it, as it is told to others."""
        chain, said = [], self
        while said is not None:
            chain.append(AlignedToken(said.token, said.start, said.end, said.log_prob))
            said = said.before
        return chain[::-1]


class Prefix:
    """A text that may go on, and all paths that spell it.

    key: tells the text from others. token: its last one. state: the prior's, if there is one. future: tells what may
    become of it from what may become of others.
    factors: by how much tokens multiply its prior, as far as that was asked.
    blank, label, both: the probability of its paths that end in a blank, of those that end in its last token, and of
        all, times the prior, as shares of the best prefix.

    Of the paths that end in a blank the most probable one has the log-probability `blank_path`, and has `said` so much.
    Of those that end in the last token the most probable one has `label_path`, and says it from the frame `start` up
    to `end`, with its highest log-probability `peak`, after what was said `before`.
    """

    __slots__ = (
        "before", "blank", "blank_path", "both", "end", "factors", "future", "key", "label", "label_path", "peak",
        "said", "start", "state", "token",
    )  # fmt: skip

    def __init__(
        self, key: int, token: int, state: Any, future: int, factors: dict[int, float], blank: float, label: float
    ):
        self.key, self.token, self.state, self.future, self.factors = key, token, state, future, factors
        self.blank, self.label, self.both = blank, label, blank + label
        self.blank_path = self.label_path = self.peak = -math.inf
        self.said: Said | None = None
        self.before: Said | None = None
        self.start = self.end = 0

    def best_said(self) -> Said | None:
        """What the most probable of its paths has said."""
        if self.blank_path >= self.label_path:
            return self.said
        return Said(self.before, self.token, self.start, self.end, self.peak)

    def go_on(self, blank: float, label: float, time: int, log_blank: float, log_token: float) -> Prefix:
        """The same text a frame later, with new probabilities: a blank is said now, or the last token still."""
        new = Prefix(self.key, self.token, self.state, self.future, self.factors, blank, label)
        blank_path, label_path = self.blank_path, self.label_path
        new.blank_path = (blank_path if blank_path >= label_path else label_path) + log_blank
        new.said = self.best_said()
        new.label_path, new.start, new.end, new.before = label_path + log_token, self.start, time + 1, self.before
        new.peak = self.peak if self.peak >= log_token else log_token
        return new

    def begin(self, parent: Prefix, time: int, log_token: float) -> None:
        """Follow the paths of the text without its last token, if they are more probable: it begins now."""
        # Between two equal tokens there is a blank.
        rested = self.token == parent.token or parent.blank_path >= parent.label_path
        label_path = (parent.blank_path if rested else parent.label_path) + log_token
        if label_path > self.label_path:
            self.label_path, self.start, self.end, self.peak = label_path, time, time + 1, log_token
            self.before = parent.said if rested else parent.best_said()

    def pause(self) -> None:
        """Hear frames of blank: what was being said has ended."""
        self.said, self.blank_path = self.best_said(), max(self.blank_path, self.label_path)
        self.blank, self.label, self.label_path = self.both, 0.0, -math.inf
