"""Listening: one recording or stream, heard stretch by stretch, to words with their times.

A whole recording, its chunks and a live stream are heard by the same steps, and so give the same words. What is kept
does not grow with the length of the sound, but for the words themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from showtell.decoders.alignment import AlignedToken
from showtell.decoders.ctc import Candidate, Search
from showtell.pipelines.media.log_mel import MELS, pad_frames
from showtell.pipelines.runtime import Graph

SUBSAMPLING_FACTOR = 4
# So long a pause ends a segment: what was said before it is final, and is not searched any more.
PAUSE_SECONDS = 0.8
# A position that says nothing with so much probability belongs to a pause.
PAUSE_PROBABILITY = 0.98
# Attention is good for so many frames, of 10 ms: hardly any sentence that is read aloud takes longer than 20 s.
LONGEST_FRAMES = 2000
NO_FRAMES = np.zeros((0, MELS), np.float32)


class Stretch(NamedTuple):
    """Frames to hear next: `features` `(frames, mels)`, of which the first `length` are heard, the others foreseen."""

    features: np.ndarray
    length: int


class Listener:
    """What has been heard of one recording.

    state: of the graph before any sound, `(layers, hidden_size)` for each of its names. lookahead: frames that the
    model sees after those that it hears. output: of the graph, which is searched. new_search: begins a segment. blank:
    the token that says nothing. pause: so many positions of blank end a segment. choose: what was said in a segment,
    from its frames and what its search followed; by default what the search found best.
    """

    def __init__(
        self,
        state: dict[str, np.ndarray],
        *,
        lookahead: int,
        output: str,
        new_search: Callable[[], Search],
        blank: int,
        pause: int,
        choose: Callable[[np.ndarray, list[Candidate]], list[AlignedToken]] | None = None,
    ):
        self.state, self.lookahead = state, lookahead
        self.output, self.new_search, self.blank, self.pause = output, new_search, blank, pause
        self.choose = choose
        self.frames = self.segment = NO_FRAMES
        self.search, self.start, self.position, self.silent = new_search(), 0, 0, 0
        self.segments: list[list[AlignedToken]] = []

    def take(self, frames: np.ndarray, *, last: bool) -> Stretch | None:
        """Take frames that follow, and tell which can be heard now: all, if they are the last; perhaps none."""
        frames = np.concatenate([self.frames, frames])
        length = len(frames) if last else (len(frames) - self.lookahead) // SUBSAMPLING_FACTOR * SUBSAMPLING_FACTOR
        self.frames = frames[max(0, length) :]
        return Stretch(frames, length) if length > 0 else None

    def hear(self, log_probs: np.ndarray, frames: np.ndarray = NO_FRAMES) -> None:
        """Search what the graph said of a stretch, `(positions, vocabulary)`, segment by segment.

        frames: of the stretch, if there is anyone to `choose` by them.
        """
        begin = 0
        for place, silent in enumerate(log_probs[:, self.blank] >= np.log(PAUSE_PROBABILITY)):
            self.silent = self.silent + 1 if silent else 0
            if self.silent == self.pause:
                self.go_on(log_probs[begin : place + 1], frames[: (place + 1) * SUBSAMPLING_FACTOR], begin)
                begin = place + 1
                self.end_segment()
        self.go_on(log_probs[begin:], frames, begin)

    def go_on(self, log_probs: np.ndarray, frames: np.ndarray, begin: int) -> None:
        """Search more of this segment; its frames are those from the position `begin` of the stretch on."""
        self.search.advance(log_probs)
        self.position += len(log_probs)
        if self.choose:
            # One more tells that there are too many.
            self.segment = np.concatenate([self.segment, frames[begin * SUBSAMPLING_FACTOR :]])[: LONGEST_FRAMES + 1]

    def end_segment(self) -> None:
        """What was said since the last pause is final."""
        said = self.choose(self.segment, self.search.candidates()) if self.choose else self.search.finish()
        if tokens := self.timed(said):
            self.segments.append(tokens)
        self.search, self.start, self.segment = self.new_search(), self.position, NO_FRAMES

    def current(self) -> list[AlignedToken]:
        """What seems to have been said since the last pause; it may change yet."""
        return self.timed(self.search.best())

    def timed(self, tokens: list[AlignedToken]) -> list[AlignedToken]:
        """Tokens of this segment at their times in the recording."""
        return [token._replace(start=token.start + self.start, end=token.end + self.start) for token in tokens]


def hear_together(graph: Graph, listeners: Sequence[Listener], stretches: Sequence[Stretch]) -> None:
    """Let several recordings be heard in one call of the graph, each from its own state."""
    inputs = pad_frames([stretch.features for stretch in stretches])
    inputs["lengths"] = np.array([stretch.length for stretch in stretches])
    state = {name: np.stack([one.state[name] for one in listeners]) for name in listeners[0].state}
    after = graph(**inputs, **state)
    for row, (listener, stretch) in enumerate(zip(listeners, stretches, strict=True)):
        listener.state = {name: after[f"next_{name}"][row] for name in state}
        log_probs = after[listener.output][row, : -(-stretch.length // SUBSAMPLING_FACTOR)]
        listener.hear(log_probs, stretch.features[: stretch.length])
