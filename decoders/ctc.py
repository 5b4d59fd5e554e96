"""CTC at answering: the best text of a stream of frames, as far as it has been heard, and when each token was said.

    p(text) = sum over the text's paths of prod_t p(path_t at t)         paths as in `alignment.py`
    best text = argmax p(text) * prior(text)

`greedy` takes the most probable path. `Search` sums over paths and listens to a `Prior`. It hears frames as they
come, and finds the same however they are cut into chunks.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping
from itertools import pairwise
from numbers import Integral
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple, Protocol

import numpy as np

from showtell.decoders.alignment import AlignedToken
from showtell.decoders.prefixes import Prefix
from showtell.errors import InputError

# Texts that a search follows at once.
NUM_BEAMS = 24


class Prior(Protocol):
    """What is known of texts before any sound: a language model, a list of words.

    Its states may be anything that has a hash. Texts whose states are equal have the same future, and equal hashes are
    taken for equal states.
    """

    @property
    def heard_as(self) -> np.ndarray | None:
        """`(tokens,)`: which token of the network each sounds as; more than one may sound alike. None: as itself."""
        ...

    @property
    def raising(self) -> Mapping[int, float]:
        """The tokens whose factor may be above 1, and how high. None is asked for where it could not win by that."""
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

    def end(self, state: Any) -> tuple[float, int | None]:
        """By how much it multiplies the prior of the text if it ends here, and what is then said that nobody hears."""
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


class Ended(NamedTuple):
    """A text that has ended, its probability but for a constant of its search, and what was said last unheard."""

    mass: float
    prefix: Prefix
    last: int | None

    def read(self, time: int) -> list[AlignedToken]:
        """Its tokens; it ended at a time."""
        unheard = [] if self.last is None else [AlignedToken(self.last, time, time, 0.0)]
        return [*read(self.prefix), *unheard]


# A text that is new in a frame: its probability, its key, what it continues and by which token. A plain tuple, for
# there are dozens a frame.
Longer = tuple[float, int, Prefix, int]


class Search:
    """Prefix beam search over one stream (Graves 2012, Hannun and others 2014).

    A frame in which the blank has a probability of `blank_threshold` or more is not searched, it only ends what
    was being said (Chen and others 2016). In the others no token begins that has less than `token_threshold`.
    Of all prefixes the `num_beams` best go on, if they have `beam_threshold` of what the best one has. Of those with
    the same future by the prior only the best one does: the others could hardly win any more, and their places let
    other words be heard (Young, Russell and Thornton, Token passing, 1989).

    offsets: `(vocabulary,)` of the network, added to the log-probabilities of each frame that is searched. What a
        network says holds a prior of its own, the more the less sure it is; beside another prior that may be taken out
        again.

    Raises `InputError` for `num_beams` below 1.
    """

    def __init__(
        self,
        prior: Prior | None = None,
        *,
        blank: int = 0,
        num_beams: int = NUM_BEAMS,
        blank_threshold: float = 0.99,
        token_threshold: float = 2e-3,
        beam_threshold: float = 1e-5,
        offsets: np.ndarray | None = None,
    ):
        if not isinstance(num_beams, Integral) or num_beams < 1:
            raise InputError(f"num_beams={num_beams!r} cannot be used; a whole number from 1 would do.")
        self.prior, self.blank, self.num_beams = prior, blank, num_beams
        self.blank_threshold, self.token_threshold = blank_threshold, token_threshold
        self.beam_threshold, self.heard_as = beam_threshold, prior.heard_as if prior else None
        self.scale = None if offsets is None else np.exp(offsets)
        if self.scale is not None and self.heard_as is not None:
            self.scale = self.scale[self.heard_as]
        nothing = Prefix(0, blank, prior.start() if prior else None, 0, {}, 1.0, 0.0)
        nothing.blank_path = 0.0
        self.prefixes = [nothing]
        self.time = 0

    def advance(self, log_probs: np.ndarray) -> None:
        """Hear the next frames, `(time, vocabulary)`. NaN counts as impossible."""
        log_probs = np.fmax(log_probs, -1e30).astype(np.float64)
        if self.heard_as is not None:
            log_probs = log_probs[:, self.heard_as]
        probs = np.exp(log_probs)
        busy = np.flatnonzero(probs[:, self.blank] < self.blank_threshold)
        likely = probs[busy] >= self.token_threshold
        likely[:, self.blank] = False
        if self.scale is not None:
            probs *= self.scale
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
        """The best text up to now. More frames may change all of it."""
        return read(self.prefixes[0])

    def finish(self) -> list[AlignedToken]:
        """The text has ended: the best one, where the prior has a say in its end too."""
        return self._ended()[0].read(self.time)

    def candidates(self) -> list[Candidate]:
        """The text has ended: all that are followed and possible, best first, or else the one of `finish`.

        Of texts with the same future there is one among them: by a prior of three words they differ near their ends.
        """
        best, *others = self._ended()
        first = Candidate(best.read(self.time), math.log(best.mass) if best.mass > 0 else 0.0)
        return [first, *(Candidate(one.read(self.time), math.log(one.mass)) for one in others if one.mass > 0)]

    def _ended(self) -> list[Ended]:
        """What is followed, where the prior has a say in its end too, best first."""
        end = self.prior.end if self.prior else lambda state: (1.0, None)
        ended = [(end(prefix.state), prefix) for prefix in self.prefixes]
        texts = [Ended(prefix.both * factor, prefix, last) for (factor, last), prefix in ended]
        return sorted(texts, key=attrgetter("mass"), reverse=True)

    def _pause(self) -> None:
        """Hear frames of blank. After them the last token matters to the prior alone."""
        futures: dict[Any, Prefix] = {}
        for prefix in self.prefixes:  # from the best down
            futures.setdefault(prefix.state, prefix)
        self.prefixes = [*futures.values()]
        for prefix in self.prefixes:
            prefix.pause()

    def _hear(self, time: int, p: list[float], log_p: list[float], begins: list[int]) -> None:
        """Hear one frame. p, log_p: `(vocabulary,)`. begins: the tokens that may begin in it."""
        old, p_blank, log_blank = self.prefixes, p[self.blank], log_p[self.blank]
        blanks = [prefix.both * p_blank for prefix in old]
        labels = [prefix.label * p[prefix.token] for prefix in old]
        parents, longer = self._lengthen(p, begins, blanks, labels)
        ranked = [(blank + label, place) for place, (blank, label) in enumerate(zip(blanks, labels, strict=True))]
        ranked += [(mass, place) for place, (mass, *_) in enumerate(longer, len(old))]
        ranked.sort(key=itemgetter(0), reverse=True)
        if (best := ranked[0][0]) == 0:
            return  # a frame in which nothing is possible tells nothing
        self.prefixes, least = [], best * self.beam_threshold
        futures: set[int] = set()
        for total, place in ranked:
            if total < least or len(self.prefixes) == self.num_beams:
                break
            if place < len(old):
                known, parent = old[place], parents.get(place)
                if known.future in futures:
                    continue
                token = known.token
                prefix = known.go_on(blanks[place] / best, labels[place] / best, time, log_blank, log_p[token])
            else:
                _, key, parent, token = longer[place - len(old)]
                state, future = None, key
                if self.prior:
                    state = self.prior.advance(parent.state, token)
                    if (future := hash((state, token))) in futures:
                        continue
                prefix = Prefix(key, token, state, future, {}, 0.0, total / best)
            futures.add(prefix.future)
            if parent is not None:
                prefix.begin(parent, time, log_p[token])
            self.prefixes.append(prefix)

    def _lengthen(
        self, p: list[float], begins: list[int], blanks: list[float], labels: list[float]
    ) -> tuple[dict[int, Prefix], list[Longer]]:
        """Let tokens begin in a frame.

        blanks, labels: of the prefixes after the frame. Where a prefix is reached from another, its `labels` grows.

        Returns what prefixes are reached from, by their places, and the texts that are new.
        """
        places = {prefix.key: place for place, prefix in enumerate(self.prefixes)}
        parents: dict[int, Prefix] = {}
        longer: list[Longer] = []
        # The best totals so far, the least of them first: a new text that has less has no place.
        best = [blank + label for blank, label in zip(blanks, labels, strict=True)]
        best += [max(best) * self.beam_threshold] * (self.num_beams - len(best))
        heapq.heapify(best)
        raising, ask = (self.prior.raising, self.prior.factor) if self.prior else ({}, None)
        # What may win most first: of the others none can win where one could not.
        options = sorted(((p[token] * raising.get(token, 1.0), token) for token in begins), reverse=True)
        for prefix in self.prefixes:
            both, last, key, factors = prefix.both, prefix.token, prefix.key, prefix.factors
            for most, token in options:
                if both * most <= best[0]:
                    break
                # Between two equal tokens there is a blank.
                mass = (prefix.blank if token == last else both) * p[token]
                if ask is not None:
                    if (factor := factors.get(token)) is None:
                        factor = factors[token] = ask(prefix.state, token)
                    mass *= factor
                if mass <= best[0]:
                    continue
                new_key = hash((key, token))
                if (place := places.get(new_key)) is not None:
                    labels[place] += mass
                    parents[place] = prefix
                else:
                    longer.append((mass, new_key, prefix, token))
                    heapq.heapreplace(best, mass)
        return parents, longer


def read(prefix: Prefix) -> list[AlignedToken]:
    """The tokens of a prefix, by its most probable path."""
    return said.chain() if (said := prefix.best_said()) else []
