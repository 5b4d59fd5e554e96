"""Beam search and sampling over any step, batched: each input's answers are those it would get alone.

A `Step` tells what may come next, the search chooses, `Beams` remembers, `Ranking` says what is best and
when to stop. An input that is settled leaves the batch.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from numbers import Integral, Real

import numpy as np

from showtell.decoders.beams import NEVER, Arrays, Beams, Hypothesis, Leaf, Step
from showtell.errors import InputError

# How often a vocabulary is folded to find its best tokens; the quickest for a few thousand tokens.
FOLDS = 8

__all__ = ["Arrays", "Hypothesis", "Step", "beam_search", "sample"]


def beam_search(
    step: Step,
    state: Arrays,
    context: Arrays,
    *,
    start: int,
    end: int,
    max_length: int,
    num_beams: int = 1,
    length_penalty: float = 1.0,
    no_repeat_ngram_size: int = 0,
    num_return_sequences: int = 1,
    suppress_tokens: Sequence[int] = (),
) -> list[list[Hypothesis]]:
    """Find the best hypotheses of each input, best first. One beam, the default, is greedy search.

    A hypothesis ranks by `sum(log_probs) / len(log_probs) ** length_penalty`, the formula of Wu and others
    (Google's NMT, 2016) without its offset: 0 ranks by probability, which favours the short; 1 by `score`.
    What has not ended within `max_length` steps, the end's counted, stands behind all that has. There are
    fewer than `num_return_sequences` if the beams find no more, but always one: `end`, even if suppressed,
    is allowed where nothing else is. Of equally probable tokens any may come first, but always the same.

    state: arrays `(batch, 1, ...)`. context: arrays `(batch, ...)`. At least one, to tell the batch's size.
    no_repeat_ngram_size: no run of so many tokens comes twice; 0 lets any. suppress_tokens: never chosen.
    Raises InputError for an impossible option.
    """
    require_shared(max_length, num_return_sequences, no_repeat_ngram_size)
    beams = Beams(step, state, context, start, end, no_repeat_ngram_size, suppress_tokens)
    ranking = Ranking(len(beams.inputs), max_length, num_beams, num_return_sequences, length_penalty)
    scores = np.zeros(beams.tokens.shape, np.float32)
    while len(beams.inputs) and beams.length < max_length:
        log_probs = beams.advance()
        parents, tokens, scores = continuations(scores, log_probs, num_beams)
        # Of the `num_beams` best, those that end have ended; of the others, the `num_beams` best go on.
        is_end = tokens == end
        for row, place in np.argwhere(is_end[:, :num_beams] & (scores[:, :num_beams] > NEVER)).tolist():
            beam = int(parents[row, place])
            leaf = Leaf(beams.length, beam, log_probs[row, beam, end])
            ranking.add(int(beams.inputs[row]), leaf, float(scores[row, place]))
        scores[is_end] = NEVER
        order = np.argsort(-scores, axis=1, kind="stable")[:, :num_beams]
        parents, tokens, scores = (np.take_along_axis(array, order, axis=1) for array in (parents, tokens, scores))
        beams.extend(parents, tokens, log_probs)
        best_live = zip(beams.inputs.tolist(), scores[:, 0].tolist(), strict=True)
        unsettled = np.array([not ranking.settled(index, score, beams.length) for index, score in best_live])
        beams.keep(unsettled)
        scores = scores[unsettled]
    for row, beam in np.argwhere(scores > NEVER).tolist():
        ranking.add(int(beams.inputs[row]), Leaf(beams.length, beam), -math.inf)
    best = [[leaf for _, leaf in ended[:num_return_sequences]] for ended in ranking.ended]
    return [[beams.read(index, leaf) for leaf in leaves] for index, leaves in enumerate(best)]


def sample(
    step: Step,
    state: Arrays,
    context: Arrays,
    *,
    start: int,
    end: int,
    max_length: int,
    num_return_sequences: int = 1,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    no_repeat_ngram_size: int = 0,
    suppress_tokens: Sequence[int] = (),
    seed: int = 0,
) -> list[list[Hypothesis]]:
    """Draw `num_return_sequences` hypotheses for each input, in the order drawn; some may be equal.

    Each input has its own generator from `seed`, so its draws depend on the input and the options alone.
    A `temperature` below 1 sharpens the probabilities, above 1 it flattens them. Then the `top_k` most
    probable tokens stay (0: all), and of these the fewest that hold `top_p` of the probability (Holtzman and
    others, 2020). `log_probs` and `score` are the model's own all the same. The other options are as in
    `beam_search`.

    Raises InputError for an impossible option.
    """
    require_shared(max_length, num_return_sequences, no_repeat_ngram_size)
    beams = Beams(step, state, context, start, end, no_repeat_ngram_size, suppress_tokens)
    sampler = Sampler(len(beams.inputs), num_return_sequences, temperature, top_k, top_p, seed)
    leaves = [[Leaf(max_length, draw) for draw in range(num_return_sequences)] for _ in beams.inputs]
    live = np.ones((len(beams.inputs), num_return_sequences), bool)
    while len(beams.inputs) and beams.length < max_length:
        log_probs = beams.advance()
        tokens = sampler.draw(beams.inputs, log_probs)
        # All draws start from the one beam of the first step; afterwards each continues its own.
        parents = np.broadcast_to(np.arange(log_probs.shape[1]), tokens.shape)
        for row, draw in np.argwhere(live & (tokens == end)).tolist():
            beam = int(parents[row, draw])
            leaves[beams.inputs[row]][draw] = Leaf(beams.length, beam, log_probs[row, beam, end])
        live &= tokens != end
        beams.extend(parents, tokens, log_probs)
        unfinished = live.any(axis=1)
        beams.keep(unfinished)
        live = live[unfinished]
    return [[beams.read(index, leaf) for leaf in row] for index, row in enumerate(leaves)]


def continuations(scores: np.ndarray, log_probs: np.ndarray, num_beams: int) -> tuple[np.ndarray, ...]:
    """The best continuations of each input, best first: parents, tokens and scores, `(running, choices)`.

    scores: `(running, beams)`. A beam has one end, so `num_beams + beams` choices hold `num_beams` others.
    To partition whole vocabularies would cost more than the rest of the search, so each is folded into
    columns: the best `count` tokens lie in the `count` columns with the best maxima, or beyond the folds.
    """
    running, width, vocabulary = log_probs.shape
    count = min(num_beams + width, width * vocabulary)
    folds = min(FOLDS, vocabulary // math.ceil(count / width))
    columns = vocabulary // folds
    folded = log_probs[..., : folds * columns].reshape(running, width, folds, columns)
    maxima = folded.max(axis=2) + scores[..., None]
    parents, tops = np.divmod(largest(maxima.reshape(running, -1), count), columns)
    inside = (parents * vocabulary + tops)[..., None] + columns * np.arange(folds)
    beyond = vocabulary * np.arange(width)[:, None] + np.arange(folds * columns, vocabulary)
    beyond = np.broadcast_to(beyond.ravel(), (running, beyond.size))
    parents, tokens = np.divmod(np.concatenate([inside.reshape(running, -1), beyond], axis=1), vocabulary)
    rows = np.arange(running)[:, None]
    sums = scores[rows, parents] + log_probs[rows, parents, tokens]
    best = largest(sums, count)
    return parents[rows, best], tokens[rows, best], sums[rows, best]


def largest(values: np.ndarray, count: int) -> np.ndarray:
    """Where the `count` largest of each row are, largest first: a few maxima are quicker than a partition."""
    values, rows = values.copy(), np.arange(len(values))
    found = np.empty((len(values), count), np.int64)
    for place in range(count):
        found[:, place] = values.argmax(axis=1)
        values[rows, found[:, place]] = -np.inf
    return found


class Ranking:
    """Which of an input's hypotheses are best, and when no better can come."""

    def __init__(self, batch: int, max_length: int, num_beams: int, num_return_sequences: int, length_penalty: float):
        require_whole("num_beams", num_beams, 1)
        enough = num_return_sequences <= num_beams
        require(enough, "num_return_sequences", num_return_sequences, f"at most num_beams, {num_beams},")
        finite = isinstance(length_penalty, Real) and math.isfinite(length_penalty)
        require(finite, "length_penalty", length_penalty, "a finite number")
        self.max_length, self.num_beams, self.wanted = max_length, num_beams, num_return_sequences
        self.length_penalty = length_penalty
        self.ended: list[list[tuple[float, Leaf]]] = [[] for _ in range(batch)]

    def rank(self, score: float, steps: int) -> float:
        """The sum of log-probabilities over the steps, made comparable between lengths."""
        return score / steps**self.length_penalty

    def add(self, index: int, leaf: Leaf, score: float) -> None:
        """Enter a hypothesis of input `index`, whose steps have `score` in sum."""
        entry = (self.rank(score, leaf.length + 1), leaf)
        bisect.insort(self.ended[index], entry, key=lambda entry: -entry[0])

    def settled(self, index: int, score: float, length: int) -> bool:
        """Whether input `index` has its answers.

        It has when `num_beams` hypotheses have ended, the rule of fairseq: the search stays at full width
        until then, and one beam is greedy, which it would not be if the search went on for a better rank. It
        has them sooner, and loses nothing, when no beam can still outrank the last one wanted: a score only
        falls, so at best it stays as it is, and its rank is best at the next or at the longest length.
        """
        ended = self.ended[index]
        if score <= NEVER or len(ended) >= self.num_beams:
            return True
        hope = max(self.rank(score, length + 1), self.rank(score, self.max_length))
        return len(ended) >= self.wanted and hope <= ended[self.wanted - 1][0]


class Sampler:
    """Draws tokens, for each input from a generator of its own."""

    def __init__(self, batch: int, draws: int, temperature: float, top_k: int, top_p: float, seed: int):
        positive = isinstance(temperature, Real) and 0 < temperature < math.inf
        require(positive, "temperature", temperature, "a finite number above 0")
        require_whole("top_k", top_k, 0)
        require(isinstance(top_p, Real) and 0 < top_p <= 1, "top_p", top_p, "a number above 0 and up to 1")
        require_whole("seed", seed, 0)
        self.draws, self.temperature, self.top_k, self.top_p = draws, temperature, top_k, top_p
        self.generators = [np.random.default_rng(seed) for _ in range(batch)]

    def draw(self, inputs: np.ndarray, log_probs: np.ndarray) -> np.ndarray:
        """Draw tokens, `(running, draws)`, by the inverse of the cumulative distribution."""
        heights = (log_probs - log_probs.max(axis=-1, keepdims=True)).astype(np.float64)
        weights = np.exp(heights / self.temperature)
        if self.top_k or self.top_p < 1:
            weights = self.truncate(weights)
        cumulative = weights.cumsum(axis=-1)
        uniform = np.stack([self.generators[index].random(self.draws) for index in inputs])
        targets = uniform * cumulative[..., -1]
        return (cumulative > targets[..., None]).argmax(axis=-1)

    def truncate(self, weights: np.ndarray) -> np.ndarray:
        """Set to 0 all but the `top_k` largest weights, and of these all but the fewest that hold `top_p`."""
        largest_first = -np.sort(-weights, axis=-1)[..., : self.top_k or None]
        cumulative = largest_first.cumsum(axis=-1)
        kept = (cumulative - largest_first < self.top_p * cumulative[..., -1:]).sum(axis=-1, keepdims=True)
        least = np.take_along_axis(largest_first, kept - 1, axis=-1)
        # Of the weights equal to the least that is kept, only the first ones may be.
        above, equal = weights > least, weights == least
        room = kept - above.sum(axis=-1, keepdims=True)
        return np.where(above | (equal & (equal.cumsum(axis=-1) <= room)), weights, 0)


def require_shared(max_length: int, num_return_sequences: int, no_repeat_ngram_size: int) -> None:
    """Refuse what neither search can do."""
    require_whole("max_length", max_length, 1)
    require_whole("num_return_sequences", num_return_sequences, 1)
    require_whole("no_repeat_ngram_size", no_repeat_ngram_size, 0)


def require_whole(option: str, value: int, least: int) -> None:
    """Refuse what is not a whole number of at least `least`."""
    require(isinstance(value, Integral) and value >= least, option, value, f"a whole number from {least}")


def require(fits: bool, option: str, value: object, accepted: str) -> None:
    """Refuse a value that does not fit."""
    if not fits:
        raise InputError(f"{option}={value!r} cannot be used; {accepted} would be accepted.")
