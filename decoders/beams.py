"""Beams: the sequences a search is following, for a batch of inputs, and how hypotheses are read from them.

Each step is kept once, with back-pointers to the step before, so that no history is copied along.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

Arrays = Mapping[str, np.ndarray]

# The log-probability of the impossible, as is all below. Not -inf, so that sums and ranks stay numbers.
NEVER = np.float32(-1e30)


class Step(Protocol):
    """One step of a decoder, for every beam of every input."""

    def __call__(self, tokens: np.ndarray, state: Arrays, context: Arrays) -> tuple[np.ndarray, Arrays, Arrays]:
        """Read the last token of each beam, answer `(log_probs, state, trace)`.

        tokens: `(batch, beams)`, int64.
        state: arrays `(batch, beams, ...)`, reordered by the search as beams live and die.
        context: arrays `(batch, ...)` that all beams of an input share, never copied per beam.
        log_probs: `(batch, beams, vocabulary)`, float32, of the next token. NaN counts as impossible.
        trace: arrays `(batch, beams, ...)` to keep with the next token, such as its attention.
        """
        ...


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """One answer.

    tokens: without start and end.
    log_probs: `(steps,)`, of each token under the model, the end's included when it ended.
    trace: name -> `(len(tokens), ...)`, what the step gave to keep with each token.
    """

    tokens: tuple[int, ...]
    log_probs: np.ndarray
    trace: dict[str, np.ndarray]

    @property
    def score(self) -> float:
        """The geometric mean of the steps' probabilities, in 0..1."""
        return math.exp(min(0.0, float(self.log_probs.mean(dtype=np.float64))))


class Leaf(NamedTuple):
    """Where a hypothesis is read from: its length, its last beam, the end's log-probability if it ended."""

    length: int
    beam: int
    end_log_prob: np.float32 | None = None


class Level(NamedTuple):
    """One step: what it chose, `(running, beams)`, and its trace, `(running, beams before, ...)`.

    rows: `(batch,)`, the row of each input that was running.
    parents: which beam of the level before each one continues.
    """

    rows: np.ndarray
    parents: np.ndarray
    tokens: np.ndarray
    log_probs: np.ndarray
    trace: Arrays


class Beams:
    """The beams of all inputs that still run.

    inputs: `(running,)`, the input that each row belongs to.
    tokens: `(running, beams)`, the last token of each beam; one beam, holding `start`, to begin with.
    """

    def __init__(
        self,
        step: Step,
        state: Arrays,
        context: Arrays,
        start: int,
        end: int,
        no_repeat_ngram_size: int,
        suppress_tokens: Sequence[int],
    ):
        self.step, self.state, self.context = step, state, context
        self.end, self.ngram_size = end, no_repeat_ngram_size
        self.suppressed = np.array(suppress_tokens, np.int64)
        batch = len(next(iter({**context, **state}.values())))
        self.inputs = self.rows = np.arange(batch)
        self.tokens = np.full((batch, 1), start, np.int64)
        self.history = np.empty((batch, 1, 0), np.int64)
        self.levels: list[Level] = []

    @property
    def length(self) -> int:
        """How many tokens each beam holds, `start` not counted."""
        return len(self.levels)

    def advance(self) -> np.ndarray:
        """Take a step: the log-probabilities `(running, beams, vocabulary)`, NEVER for what is forbidden."""
        log_probs, self.state, self.trace = self.step(self.tokens, self.state, self.context)
        log_probs = np.clip(log_probs, NEVER, 0)  # A copy: the step's own array stays as it is.
        ends = log_probs[..., self.end].copy()
        log_probs[..., self.suppressed] = NEVER
        if 0 < self.ngram_size <= self.length:
            self.forbid_repetition(log_probs)
        highest = log_probs.max(axis=-1)
        if np.isnan(highest).any():  # A maximum passes NaN on; asking every number would cost far more.
            log_probs[np.isnan(log_probs)] = NEVER
            highest = log_probs.max(axis=-1)
        stuck = highest <= NEVER
        log_probs[stuck, self.end] = np.fmax(ends[stuck], NEVER / 2)
        return log_probs

    def forbid_repetition(self, log_probs: np.ndarray) -> None:
        """Forbid every token that has followed a beam's last `ngram_size - 1` tokens before."""
        size = self.ngram_size - 1
        windows = np.lib.stride_tricks.sliding_window_view(self.history, size, axis=-1)
        seen = (windows[..., :-1, :] == windows[..., -1:, :]).all(axis=-1)
        rows, beams, positions = np.nonzero(seen)
        log_probs[rows, beams, self.history[rows, beams, positions + size]] = NEVER

    def extend(self, parents: np.ndarray, tokens: np.ndarray, log_probs: np.ndarray) -> None:
        """Continue the beams `parents` by `tokens`, both `(running, any number of beams)`."""
        rows = np.arange(len(tokens))[:, None]
        self.levels.append(Level(self.rows, parents, tokens, log_probs[rows, parents, tokens], self.trace))
        self.state = {name: array[rows, parents] for name, array in self.state.items()}
        self.tokens = tokens
        if self.ngram_size:
            self.history = np.concatenate([self.history[rows, parents], tokens[..., None]], axis=-1)

    def keep(self, running: np.ndarray) -> None:
        """Go on with the rows where `running`, `(running,)`, is True."""
        if running.all():
            return
        self.inputs, self.tokens, self.history = (
            self.inputs[running],
            self.tokens[running],
            self.history[running],
        )
        self.state = {name: array[running] for name, array in self.state.items()}
        self.context = {name: array[running] for name, array in self.context.items()}
        self.rows = np.empty_like(self.rows)
        self.rows[self.inputs] = np.arange(len(self.inputs))

    def read(self, index: int, leaf: Leaf) -> Hypothesis:
        """Follow the back-pointers of input `index` from `leaf` to the start."""
        path: list[tuple[Level, int, int]] = []
        beam = leaf.beam
        for level in reversed(self.levels[: leaf.length]):
            path.append((level, level.rows[index], beam))
            beam = level.parents[level.rows[index], beam]
        path.reverse()
        tokens = tuple(int(level.tokens[row, beam]) for level, row, beam in path)
        log_probs = [level.log_probs[row, beam] for level, row, beam in path]
        if leaf.end_log_prob is not None:
            log_probs.append(leaf.end_log_prob)
        trace = {}
        for name, first in self.levels[0].trace.items():
            trace[name] = np.empty((len(path), *first.shape[2:]), first.dtype)
            for position, (level, row, beam) in enumerate(path):
                trace[name][position] = level.trace[name][row, level.parents[row, beam]]
        return Hypothesis(tokens, np.array(log_probs, np.float32), trace)
