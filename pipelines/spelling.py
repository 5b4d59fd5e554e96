"""Spelling: an attention decoder writes what is said in a stretch of sound, or helps to choose what CTC heard in it.

It attends to a whole stretch, and to one longer than it was taught with it attends badly. So a long recording is cut
where it is quietest, and each stretch is written by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from showtell.decoders.alignment import AlignedToken
from showtell.decoders.beams import NEVER
from showtell.decoders.ctc import Candidate
from showtell.decoders.search import Arrays, Hypothesis, Step, beam_search
from showtell.pipelines.listening import LONGEST_FRAMES, NO_FRAMES, SUBSAMPLING_FACTOR
from showtell.pipelines.media.log_mel import pad_frames
from showtell.pipelines.runtime import Graph
from showtell.pipelines.writing import judge, write

# Over so many frames it is told how quiet it is.
QUIET_FRAMES = 20
# Nobody says more than a token for each position.
MOST_TOKENS = LONGEST_FRAMES // SUBSAMPLING_FACTOR
# A text may end where log p(end) is at least so many times that of the likeliest other token.
END_THRESHOLD = 1.5

Segments = list[list[AlignedToken]]


def spell_together(
    graphs: Mapping[str, Graph],
    recordings: Sequence[Iterable[np.ndarray]],
    decoder: Mapping[str, Any],
    search: Callable[..., list[list[Hypothesis]]],
) -> list[Segments | Exception]:
    """Write several recordings side by side, a stretch of each at a time.

    recordings: the frames of each in chunks, `(frames, mels)`. decoder: its config. An error is that of one recording.
    """
    outcomes: list[Segments | Exception] = [[] for _ in recordings]
    begins = [0] * len(recordings)
    running = {place: stretches(chunks) for place, chunks in enumerate(recordings)}
    while running:
        turn: dict[int, np.ndarray] = {}
        for place, rest in list(running.items()):
            try:
                turn[place] = next(rest)
            except StopIteration:
                del running[place]
            except Exception as error:  # of this recording; the others go on
                outcomes[place] = error
                del running[place]
        if not turn:
            break
        encoded = graphs["encode"](**pad_frames([*turn.values()]))
        found = write(graphs["step"], encoded, decoder, search)
        for (place, frames), hypotheses in zip(turn.items(), found, strict=True):
            positions = -(-len(frames) // SUBSAMPLING_FACTOR)
            segments = outcomes[place]
            assert isinstance(segments, list)
            segments.append(timed(hypotheses[0], begins[place], positions))
            begins[place] += positions
    return outcomes


def search_to_the_end(
    step: Step, state: Arrays, context: Arrays, *, end: int, num_beams: int, suppress_tokens: Sequence[int], start: int
) -> list[list[Hypothesis]]:
    """A beam search in which a text ends only where the decoder believes it (Hannun and others 2019).

    Of texts as long as a sentence has letters, else a few that break off, each with hardly any probability, would be
    the first to have ended, and settle the search.
    """

    def advance(tokens: np.ndarray, state: Arrays, context: Arrays) -> tuple[np.ndarray, Arrays, Arrays]:
        log_probs, state, trace = step(tokens, state, context)
        likeliest = np.delete(log_probs, [end, *suppress_tokens], axis=-1).max(axis=-1)
        ends = np.where(log_probs[..., end] >= END_THRESHOLD * likeliest, log_probs[..., end], NEVER)
        log_probs = log_probs.copy()
        log_probs[..., end] = ends
        return log_probs, state, trace

    return beam_search(
        advance,
        state,
        context,
        start=start,
        end=end,
        num_beams=num_beams,
        max_length=MOST_TOKENS,
        suppress_tokens=suppress_tokens,
    )


def choose(
    graphs: Mapping[str, Graph], decoder: Mapping[str, Any], frames: np.ndarray, candidates: Sequence[Candidate]
) -> list[AlignedToken]:
    """The best of several texts that CTC heard in some frames, by its own judgement and by attention's.

    decoder: the config of a `JointDecoder`. In more frames than attention is good for CTC judges alone.
    """
    if len(candidates) < 2 or len(frames) > LONGEST_FRAMES:
        return candidates[0].tokens
    encoded = graphs["encode"](**pad_frames([frames]))
    texts = [[token.token for token in candidate.tokens] for candidate in candidates]
    spelled = judge(graphs["step"], encoded, texts, start=decoder["start"], end=decoder["end"])
    heard, weight = np.array([candidate.log_prob for candidate in candidates]), decoder["ctc_weight"]
    return candidates[int(np.argmax(weight * heard + (1 - weight) * spelled))].tokens


def stretches(chunks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Frames of a recording that comes in chunks, in stretches of at most `LONGEST_FRAMES`."""
    held = NO_FRAMES
    for frames in chunks:
        held = np.concatenate([held, frames])
        while len(held) > LONGEST_FRAMES:
            cut = quietest(held[:LONGEST_FRAMES])
            yield held[:cut]
            held = held[cut:]
    if len(held):
        yield held


def quietest(frames: np.ndarray) -> int:
    """Where, in the second half of some frames, to cut them: between two positions, where it is quietest around."""
    half = len(frames) // 2
    loudness = np.convolve(frames[half:].mean(axis=1), np.ones(QUIET_FRAMES), mode="valid")
    cut = half + int(loudness.argmin()) + QUIET_FRAMES // 2
    return cut // SUBSAMPLING_FACTOR * SUBSAMPLING_FACTOR


def timed(hypothesis: Hypothesis, begin: int, positions: int) -> list[AlignedToken]:
    """A text's tokens at the positions that the decoder looked at, `begin` positions into the recording."""
    looks = follow(hypothesis.trace["attention"][:, :positions])
    return [
        AlignedToken(token, begin + look, begin + look + 1, float(log_prob))
        for token, look, log_prob in zip(hypothesis.tokens, looks, hypothesis.log_probs, strict=False)
    ]


def follow(attention: np.ndarray) -> list[int]:
    """For each token a position of `(tokens, positions)` weights, none before the last one's, by the largest product.

    The highest weight of each alone may go back in time, as speech does not.
    """
    best = np.log(np.maximum(attention, np.finfo(np.float32).tiny)).astype(np.float64)
    for before, now in pairwise(best):
        now += np.maximum.accumulate(before)
    looks: list[int] = []
    last = attention.shape[1]
    for sums in best[::-1]:
        last = int(sums[: last + 1].argmax())
        looks.append(last)
    return looks[::-1]
