"""Writing: the graphs `encode` and `step` of an attention decoder, as a search sees them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from showtell.decoders.search import Arrays, Hypothesis, Step
from showtell.pipelines.runtime import Graph


def write(
    step: Graph, encoded: Arrays, decoder: Mapping[str, Any], search: Callable[..., list[list[Hypothesis]]]
) -> list[list[Hypothesis]]:
    """Search for the texts of a batch that the `encode` graph has read."""
    never = (decoder["pad"], decoder["start"], decoder["unknown"])
    return search(*begin(step, encoded), start=decoder["start"], end=decoder["end"], suppress_tokens=never)


def begin(step: Graph, encoded: Arrays) -> tuple[Step, Arrays, Arrays]:
    """A step for a search, the first state, and the context.

    What the graph gives anew, as `next_hidden` for `hidden`, is state; the rest of what was encoded is context.
    """
    state = {name: value for name, value in encoded.items() if f"next_{name}" in step.outputs}
    context = {name: value for name, value in encoded.items() if name not in state}

    def advance(tokens: np.ndarray, state: Arrays, context: Arrays) -> tuple[np.ndarray, Arrays, Arrays]:
        after = step(tokens=tokens, **state, **context)
        following = {name: after[f"next_{name}"] for name in state}
        return after["log_probs"], following, {"attention": after["attention"]}

    return advance, state, context


def judge(step: Graph, encoded: Arrays, texts: Sequence[Sequence[int]], *, start: int, end: int) -> np.ndarray:
    """The log-probabilities, `(texts,)`, of several texts of one input that the `encode` graph has read."""
    advance, state, context = begin(step, encoded)
    state = {name: np.repeat(value, len(texts), axis=1) for name, value in state.items()}
    lengths = np.array([len(text) for text in texts])
    given = np.full((1, len(texts), lengths.max() + 1), end)
    for place, text in enumerate(texts):
        given[0, place, : len(text)] = text
    sums, tokens = np.zeros(len(texts)), np.full((1, len(texts)), start)
    for time in range(given.shape[2]):
        log_probs, state, _ = advance(tokens, state, context)
        tokens = given[:, :, time]
        of_tokens = np.take_along_axis(log_probs[0], tokens[0][:, None], axis=1)[:, 0]
        sums += np.where(time <= lengths, of_tokens, 0)
    return sums
