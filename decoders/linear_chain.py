"""The linear chain at answering: the best tags of a sentence, and how probable every tag and every span is.

    score(y) = start[y_1] + sum_t emissions[t, y_t] + sum_t transitions[y_t-1, y_t] + end[y_n]
    p(y) = exp(score(y)) / Z                        Z sums exp(score) over all sequences y

This is the model of a CRF (Lafferty and others 2001), which `crf.py` trains. Both algorithms take one step a
position for all rows of a batch. They compute in float64, arrays with the batch last, where NumPy is quickest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from showtell.decoders.tags import Scheme, Span, span_tags, tag_set

# Of scores that compete with each other, one that is lower than the best by more than this counts as lower by
# this: e^-300 is as good as zero, and products of two are still numbers in float64.
FLOOR = -300.0


@dataclass(frozen=True, eq=False)
class LinearChain:
    """The scores of all tag sequences of a batch.

    emissions: `(batch, time, tags)`. What lies beyond a row's length is not looked at.
    transitions: `(tags, tags)`, from the row's tag to the column's. start, end: `(tags,)`.
    lengths: `(batch,)`, how many positions of each row are real, at least one.
    """

    emissions: np.ndarray
    transitions: np.ndarray
    start: np.ndarray
    end: np.ndarray
    lengths: np.ndarray

    def viterbi(self) -> np.ndarray:
        """The best sequence of each row (Viterbi 1967), `(batch, time)`, 0 beyond its length."""
        scores, last = self._local_scores(), self.lengths - 1
        transitions = self.transitions.astype(np.float64)
        best = np.empty_like(scores)  # the best of the sequences that end here in each tag
        best[0] = scores[0]
        for t in range(1, len(scores)):
            best[t] = (best[t - 1][:, None, :] + transitions[:, :, None]).max(axis=0) + scores[t]
        paths = np.empty(scores.shape[::2], np.int64)
        tags = np.zeros(len(last), np.int64)
        for t in reversed(range(len(scores))):
            onward = np.where(t < last, transitions[:, tags], 0)
            tags = paths[t] = (best[t] + onward).argmax(axis=0)
        return np.where(self._real(), paths.T, 0)

    def forward_backward(self) -> Posterior:
        """The distribution over the sequences of each row, by sums over all of them (Baum and others 1970).

        The sums are scaled at every position, so that they are neither too small nor too large for a float at
        any length (Rabiner 1989, section V A). That is exact, and four times as fast as sums of logarithms.
        """
        scores, last = self._local_scores(), self.lengths - 1
        highest = scores.max(axis=1, keepdims=True)
        weights = np.exp(np.maximum(scores - highest, FLOOR))
        most = self.transitions.max()
        factors = np.exp(np.maximum(self.transitions.astype(np.float64) - most, FLOOR))

        forward, scales = np.empty_like(weights), np.empty_like(highest)
        arriving = np.ones_like(weights[0])
        for t, weight in enumerate(weights):
            reached = arriving * weight
            scales[t] = reached.sum(axis=0)
            forward[t] = reached / scales[t]
            arriving = factors.T @ forward[t]

        weights /= scales
        backward = np.ones_like(weights)
        for t in reversed(range(len(weights) - 1)):
            backward[t] = np.where(t < last, factors @ (weights[t + 1] * backward[t + 1]), 1)

        real = self._real()
        log_scales = np.log(scales[:, 0]) + highest[:, 0]
        return Posterior(
            marginals=np.where(real[..., None], (forward * backward).transpose(2, 0, 1), 0),
            log_partition=np.where(real, log_scales.T, 0).sum(axis=1) + most * last,
            lengths=self.lengths,
            forward=forward,
            backward=backward,
            weights=weights,
            factors=factors,
        )

    def _local_scores(self) -> np.ndarray:
        """The emissions, with `start` and `end` where they apply, `(time, tags, batch)`; 0 in the padding."""
        scores = np.where(self._real()[..., None], self.emissions, 0).astype(np.float64)
        scores[:, 0] += self.start
        scores[np.arange(len(scores)), self.lengths - 1] += self.end
        return np.ascontiguousarray(scores.transpose(1, 2, 0))

    def _real(self) -> np.ndarray:
        """`(batch, time)`, True where a position is real and not padding."""
        return np.arange(self.emissions.shape[1]) < self.lengths[:, None]


@dataclass(frozen=True, eq=False)
class Posterior:
    """How probable tags are, given the whole row. Made by `LinearChain.forward_backward`.

    marginals: `(batch, time, tags)`, of each tag at each position; zero beyond a row's length.
    log_partition: `(batch,)`, log Z.
    forward, backward, weights: `(time, tags, batch)`, scaled so that `forward * backward` are marginals and
        `forward[t] = weights[t] * (factors.T @ forward[t - 1])`. factors: `(tags, tags)`.
    """

    marginals: np.ndarray
    log_partition: np.ndarray
    lengths: np.ndarray
    forward: np.ndarray
    backward: np.ndarray
    weights: np.ndarray
    factors: np.ndarray

    def segments(self, rows: Sequence[int], starts: Sequence[int], segments: Sequence[Sequence[int]]) -> np.ndarray:
        """The probability that a row's positions from a start on have just these tags, for each of many segments.

        rows, starts: where each segment lies. segments: its tags, one or more.

        Returns `(segments,)`; a segment that runs beyond the end of its row has probability zero.
        """
        row, first = np.asarray(rows, np.int64), np.asarray(starts, np.int64)
        length = np.array([len(segment) for segment in segments], np.int64)
        steps = np.arange(max(length, default=1))
        tags = np.zeros((len(row), len(steps)), np.int64)
        inside = steps < length[:, None]
        tags[inside] = [tag for segment in segments for tag in segment]
        position = np.minimum(first[:, None] + steps, len(self.weights) - 1)

        onward = self.weights[position, tags, row[:, None]][:, 1:] * self.factors[tags[:, :-1], tags[:, 1:]]
        begins = self.forward[position[:, 0], tags[:, 0], row]
        end = np.minimum(first + length, len(self.weights)) - 1
        goes_on = self.backward[end, tags[np.arange(len(row)), length - 1], row]
        probability = begins * np.where(inside[:, 1:], onward, 1).prod(axis=1) * goes_on
        return np.where(first + length <= self.lengths[row], probability, 0)

    def spans(
        self, spans: Sequence[Sequence[Span]], *, labels: Sequence[str], scheme: Scheme = "BIOES"
    ) -> list[list[float]]:
        """The probability of exactly each of these spans, with just this start, end and label.

        spans: those of each row. labels, scheme: what the chain's tags are, as `tag_set` orders them.
        """
        number = {tag: place for place, tag in enumerate(tag_set(labels, scheme=scheme))}
        rows = [row for row, found in enumerate(spans) for _ in found]
        flat = [span for found in spans for span in found]
        starts = [span.start for span in flat]
        tags = [[number[tag] for tag in span_tags(span, scheme=scheme)] for span in flat]
        exact = self.segments(rows, starts, tags)
        if scheme == "BIO":  # whose tags do not say where a span ends: a longer one begins like it
            longer = [[*segment, number[f"I-{span.label}"]] for segment, span in zip(tags, flat, strict=True)]
            exact -= self.segments(rows, starts, longer)
        scores = iter(np.clip(exact, 0, 1).tolist())
        return [[next(scores) for _ in found] for found in spans]
