"""CTC at answering: the best text of a stream of frames, as far as it has been heard, and when each token was said.

    p(text) = sum over the text's paths of prod_t p(path_t at t)         paths as in `alignment.py`
    best text = argmax p(text) * prior(text)

`greedy` takes the most probable path. `Search` sums over paths and listens to a `Prior`. It hears frames as they
come, and finds the same however they are cut into chunks.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Container
from itertools import pairwise
from numbers import Integral
from typing import Any, NamedTuple, Protocol

import numpy as np

from showtell.decoders.alignment import AlignedToken
from showtell.decoders.prefixes import NO_PATH, Path, Prefix, Said, Text, follow
from showtell.errors import InputError


class Prior(Protocol):
    """What is known of texts before any sound: a language model, a list of words.

    Its states may be anything that has a hash. Texts whose states are equal have the same future.
    """

    @property
    def raising(self) -> Container[int]:
        """The tokens whose factor may be above 1. Others are asked for only where they could win without it."""
        ...

    def start(self) -> Any:
        """The state before the first token."""
        ...

    def factor(self, state: Any, token: int) -> float:
        """By how much one more token multiplies the prior of a text; 0 forbids it."""
        ...

    def advance(self, state: Any, token: int) -> Any:
        """The state after one more token."""
        ...

    def end(self, state: Any) -> float:
        """By how much it multiplies the prior of the text if it ends here."""
        ...


def greedy(log_probs: np.ndarray, lengths: np.ndarray, *, blank: int = 0) -> list[list[AlignedToken]]:
    """The text of the most probable path of each row.

    log_probs: `(batch, time, vocabulary)`. lengths: `(batch,)`, how many frames of each row are real.
    """
    real = np.arange(log_probs.shape[1]) < lengths[:, None]
    best, peaks = np.where(real, log_probs.argmax(axis=2), blank), log_probs.max(axis=2)
    nothing = np.full((len(best), 1), blank)
    changes = np.diff(np.concatenate([nothing, best, nothing], axis=1), axis=1) != 0
    found: list[list[AlignedToken]] = []
    for path, peak, change in zip(best, peaks, changes, strict=True):
        edges = np.flatnonzero(change).tolist()
        runs = [run for run in pairwise(edges) if path[run[0]] != blank]
        found.append([AlignedToken(int(path[start]), start, end, float(peak[start:end].max())) for start, end in runs])
    return found


class Candidate(NamedTuple):
    """A text that may have been said, and the logarithm of its probability, but for a constant of its search."""

    tokens: list[AlignedToken]
    log_prob: float


class Search:
    """Prefix beam search over one stream (Graves 2012, Hannun and others 2014).

    A frame in which the blank has a probability of `blank_threshold` or more is not searched, it only ends what
    was being said (Chen and others 2016). In the others no token begins that has less than `token_threshold`.
    Of all prefixes the `num_beams` best go on, if they have `beam_threshold` of what the best one has. After a frame
    of blank, of those with the same future by the prior one goes on: the others could hardly win any more, and their
    places let other words be heard.

    Raises `InputError` for `num_beams` below 1.
    """

    def __init__(
        self,
        prior: Prior | None = None,
        *,
        blank: int = 0,
        num_beams: int = 16,
        blank_threshold: float = 0.99,
        token_threshold: float = 1e-2,
        beam_threshold: float = 1e-4,
    ):
        if not isinstance(num_beams, Integral) or num_beams < 1:
            raise InputError(f"num_beams={num_beams!r} cannot be used; a whole number from 1 would do.")
        self.prior, self.blank, self.num_beams = prior, blank, num_beams
        self.blank_threshold, self.token_threshold = blank_threshold, token_threshold
        self.beam_threshold = beam_threshold
        nothing = Text(0, blank, prior.start() if prior else None, {})
        self.prefixes = [Prefix(nothing, 1.0, 0.0, Path(0.0, None), NO_PATH)]
        self.settled: Said | None = None
        self.time = 0

    def advance(self, log_probs: np.ndarray) -> None:
        """Hear the next frames, `(time, vocabulary)`. NaN counts as impossible."""
        log_probs = np.fmax(log_probs, -1e30).astype(np.float64)
        probs = np.exp(log_probs)
        busy = np.flatnonzero(probs[:, self.blank] < self.blank_threshold)
        likely = probs[busy] >= self.token_threshold
        likely[:, self.blank] = False
        places, tokens = np.nonzero(likely)
        bounds = np.searchsorted(places, np.arange(len(busy) + 1)).tolist()
        heard, after = tokens.tolist(), 0
        for place, t in enumerate(busy.tolist()):
            if t > after:
                self._pause()
            begins = heard[bounds[place] : bounds[place + 1]]
            self._hear(self.time + t, probs[t].tolist(), log_probs[t].tolist(), begins)
            after = t + 1
        if len(probs) > after:
            self._pause()
        self.time += len(probs)

    def best(self) -> list[AlignedToken]:
        """The best text up to now, without what `settle` has handed out. More frames may change all of it."""
        return self._read(self.prefixes[0])

    def settle(self) -> list[AlignedToken]:
        """Hand out, once, the next tokens that no further frame can change, and forget them.

        They are those that all paths which may go on have said alike. To call it now and then keeps the memory
        constant over a stream of any length.
        """
        chains = [self._chain(prefix.blank_path) for prefix in self.prefixes if prefix.blank]
        # The last token of a label path is still being said.
        chains += [self._chain(prefix.label_path)[:-1] for prefix in self.prefixes if prefix.label]
        common = 0
        while all(len(chain) > common and chain[common] is chains[0][common] for chain in chains):
            common += 1
        agreed = chains[0][:common]
        if agreed:
            self.settled = agreed[-1]
            self.settled.before = None
        return [said.aligned() for said in agreed]

    def finish(self) -> list[AlignedToken]:
        """The text has ended: the rest of the best one, where the prior has a say in its end too."""
        return self._read(self._ended()[0][0])

    def candidates(self) -> list[Candidate]:
        """The text has ended: all that are followed and possible, best first, or else the one of `finish`."""
        (best, sum_), *others = self._ended()
        possible = [(prefix, total) for prefix, total in others if total > 0]
        first = Candidate(self._read(best), math.log(sum_) if sum_ > 0 else 0.0)
        return [first, *(Candidate(self._read(prefix), math.log(total)) for prefix, total in possible)]

    def _ended(self) -> list[tuple[Prefix, float]]:
        """The prefixes and their probabilities, where the prior has a say in their end too, best first."""
        end = self.prior.end if self.prior else lambda state: 1.0
        ended = [(prefix, (prefix.blank + prefix.label) * end(prefix.text.state)) for prefix in self.prefixes]
        return sorted(ended, key=lambda pair: pair[1], reverse=True)

    def _pause(self) -> None:
        """Hear frames of blank. Of prefixes with the same future only the best one then has any."""
        futures: dict[Any, Prefix] = {}
        for prefix in self.prefixes:  # from the best down
            futures.setdefault(prefix.text.state, prefix.pause())
        self.prefixes = [*futures.values()]

    def _hear(self, time: int, p: list[float], log_p: list[float], begins: list[int]) -> None:
        """Hear one frame. p, log_p: `(vocabulary,)`. begins: the tokens that may begin in it."""
        blanks, labels, parents = self._spread(p, begins)
        totals = {key: label + blanks.get(key, 0.0) for key, label in labels.items()}
        ranked = sorted(totals, key=totals.__getitem__, reverse=True)
        if (best := totals[ranked[0]]) == 0:
            return  # a frame in which nothing is possible tells nothing
        known = {prefix.text.key: prefix for prefix in self.prefixes}
        self.prefixes = []
        for key in ranked:
            if totals[key] < best * self.beam_threshold or len(self.prefixes) == self.num_beams:
                break
            old, parent = known.get(key), parents.get(key)
            text = old.text if old else self._extend(key, *parents[key])
            shares = blanks.get(key, 0.0) / best, labels[key] / best
            paths = follow(old, parent and parent[0], text.token, time, log_p[self.blank], log_p[text.token])
            self.prefixes.append(Prefix(text, *shares, *paths))

    def _spread(
        self, p: list[float], begins: list[int]
    ) -> tuple[dict[int, float], dict[int, float], dict[int, tuple[Prefix, int]]]:
        """Each text's `blank` and `label` after a frame, by its key, and of longer texts what they continue by what."""
        blanks = {prefix.text.key: (prefix.blank + prefix.label) * p[self.blank] for prefix in self.prefixes}
        labels = {prefix.text.key: prefix.label * p[prefix.text.token] for prefix in self.prefixes}
        parents: dict[int, tuple[Prefix, int]] = {}
        # The best totals so far, the least of them first: a longer text that has less has no place.
        best = [blank + label for blank, label in zip(blanks.values(), labels.values(), strict=True)]
        best += [max(best) * self.beam_threshold] * (self.num_beams - len(best))
        heapq.heapify(best)
        for prefix in self.prefixes:
            both, (key, last, state, factors) = prefix.blank + prefix.label, prefix.text
            for token in begins:
                # Between two equal tokens there is a blank.
                mass = (prefix.blank if token == last else both) * p[token]
                if self.prior is not None and (mass > best[0] or token in self.prior.raising):
                    if (factor := factors.get(token)) is None:
                        factor = factors[token] = self.prior.factor(state, token)
                    mass *= factor
                if mass > best[0]:
                    longer = hash((key, token))
                    labels[longer] = labels.get(longer, 0.0) + mass
                    parents[longer] = prefix, token
                    heapq.heapreplace(best, mass)
        return blanks, labels, parents

    def _extend(self, key: int, parent: Prefix, token: int) -> Text:
        """A text and one more token."""
        return Text(key, token, self.prior.advance(parent.text.state, token) if self.prior else None, {})

    def _read(self, prefix: Prefix) -> list[AlignedToken]:
        """The tokens of a prefix, by its most probable path."""
        return [said.aligned() for said in self._chain(prefix.best_path)]

    def _chain(self, path: Path) -> list[Said]:
        """What a path has said since what is settled."""
        chain, said = [], path.said
        while said is not None and said is not self.settled:
            chain.append(said)
            said = said.before
        return chain[::-1]
