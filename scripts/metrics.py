"""How good captions are: BLEU, ROUGE-L and CIDEr-D, counted as the COCO evaluation does, without its Java."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import fmean

from showtell.errors import InputError
from showtell.scripts.datasets.captions import caption_words

LONGEST_NGRAM = 4

Words = Sequence[Hashable]
Ngram = tuple[Hashable, ...]
Occurrences = tuple[tuple[int, int], ...]  # (reference, count), for each reference that has the n-gram


def score_captions(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """Score one caption for each photograph against what people wrote about it.

    candidates: one caption a photograph; it may be empty.
    references: for each photograph, in the same order, one caption or more.

    Answers `bleu_1` to `bleu_4`, `rouge_l` (all 0..1), `cider` (CIDEr-D, 0..10; papers often print it
    times 100), `distinct` (the share of candidates that differ) and `mean_length` (words a candidate).
    Captions are split by `caption_words`. Raises InputError where candidates and references do not pair up.
    """
    if not candidates or len(candidates) != len(references):
        raise InputError(
            f"{len(candidates)} candidates for {len(references)} photographs; one caption for each would do."
        )
    if not all(references):
        raise InputError("a photograph has no reference caption; each needs at least one.")
    candidate_words = [caption_words(caption) for caption in candidates]
    reference_words = [[caption_words(caption) for caption in captions] for captions in references]

    cider = CiderD(reference_words)
    pairs = list(zip(candidate_words, reference_words, strict=True))
    return {
        **{f"bleu_{n}": score for n, score in enumerate(bleu(candidate_words, reference_words), start=1)},
        "rouge_l": fmean(rouge_l(words, captions) for words, captions in pairs),
        "cider": fmean(cider.score(words, index) for index, words in enumerate(candidate_words)),
        "distinct": len(set(map(tuple, candidate_words))) / len(candidates),
        "mean_length": fmean(map(len, candidate_words)),
    }


def bleu(candidates: Sequence[Words], references: Sequence[Sequence[Words]]) -> list[float]:
    """BLEU-1 to BLEU-4 of all candidates together (Papineni and others 2002).

    BLEU-N = min(1, exp(1 - r / c)) * (p_1 * ... * p_N)^(1 / N)

    p_n is the share of the candidates' n-grams that some reference of the same photograph has too, each
    counted at most as often as there; c is the candidates' length, r that of the references closest in
    length, the shorter of two equally close.
    """
    matched, total = [0] * LONGEST_NGRAM, [0] * LONGEST_NGRAM
    candidate_length = reference_length = 0
    for candidate, captions in zip(candidates, references, strict=True):
        candidate_length += len(candidate)
        reference_length += min(map(len, captions), key=lambda length: (abs(length - len(candidate)), length))
        for n in range(1, LONGEST_NGRAM + 1):
            counts, allowed = Counter(_ngrams(candidate, n)), Counter()
            for caption in captions:
                allowed |= Counter(_ngrams(caption, n))
            matched[n - 1] += (counts & allowed).total()
            total[n - 1] += counts.total()

    # The COCO evaluation adds these two, so that nothing is divided by zero; kept, to give its very figures.
    tiny, small = 1e-15, 1e-9
    ratio = (candidate_length + tiny) / (reference_length + small)
    brevity = min(1.0, math.exp(1 - 1 / ratio))
    scores, product = [], 1.0
    for n in range(LONGEST_NGRAM):
        product *= (matched[n] + tiny) / (total[n] + small)
        scores.append(brevity * product ** (1 / (n + 1)))
    return scores


def rouge_l(candidate: Words, references: Sequence[Words], *, beta: float = 1.2) -> float:
    """ROUGE-L of one candidate (Lin 2004): how much of the references' word order it keeps.

    F = (1 + beta^2) P R / (R + beta^2 P)

    P and R are the longest common subsequence's share of the candidate and of the reference, each the best
    over the references.
    """
    if not candidate:
        return 0.0
    common = [(longest_common_subsequence(candidate, reference), len(reference)) for reference in references]
    precision = max(length for length, _ in common) / len(candidate)
    recall = max(length / max(1, whole) for length, whole in common)
    if precision == 0:
        return 0.0
    return (1 + beta**2) * precision * recall / (recall + beta**2 * precision)


def longest_common_subsequence(first: Words, second: Words) -> int:
    """The length of the longest sequence of words that both hold in this order, gaps allowed."""
    row = [0] * (len(second) + 1)
    for word in first:
        above_left = 0
        for column, other in enumerate(second, start=1):
            above = row[column]
            row[column] = above_left + 1 if word == other else max(above, row[column - 1])
            above_left = above
    return row[-1]


class CiderD:
    """CIDEr-D (Vedantam, Zitnick and Parikh 2015): agreement with people on the words that matter.

    CIDEr-D = 10 / (4 R) * sum over the R references and n = 1..4 of
              exp(-(l_c - l_r)^2 / (2 sigma^2)) * (min(g_c, g_r) . g_r) / (|g_c| |g_r|)

    g is a caption's n-grams, counted, each weighted by log(photographs / photographs with it in a reference);
    l is the caption's length, as the COCO evaluation takes it: its pairs of words.

    Made once from the references, it scores any number of candidates: the evaluation's figure is their mean,
    and self-critical training takes each as a reward. Words may be strings or token numbers, as long as
    candidates and references agree.

    references: for each photograph, its captions' words.
    """

    def __init__(self, references: Sequence[Sequence[Words]], *, sigma: float = 6.0):
        self.sigma = sigma
        frequency = Counter(ngram for captions in references for ngram in set().union(*map(_all_ngrams, captions)))
        # Squared, since a weight only ever comes as a product of the candidate's and the reference's.
        self._unseen_weight = math.log(len(references)) ** 2
        self._weights = {ngram: math.log(len(references) / df) ** 2 for ngram, df in frequency.items()}
        # Most n-grams occur once, in one reference: sharing such entries saves half of the memory.
        shared: dict[Occurrences, Occurrences] = {}
        self._references = [self._prepared(captions, shared) for captions in references]

    def score(self, candidate: Words, index: int) -> float:
        """CIDEr-D of one candidate for the photograph at `index` of the references."""
        references = self._references[index]
        length = _pairs(candidate)
        penalties = [math.exp(-((length - other) ** 2) / (2 * self.sigma**2)) for other in references.lengths]
        score = 0.0
        for n, norms in enumerate(references.inverse_norms, start=1):
            scales = [penalty * norm for penalty, norm in zip(penalties, norms, strict=True)]
            squared_norm = product = 0.0
            for ngram, count in Counter(_ngrams(candidate, n)).items():
                weight = self._weights.get(ngram, self._unseen_weight)
                squared_norm += weight * count * count
                for reference, other in references.occurrences.get(ngram, ()):
                    product += weight * min(count, other) * other * scales[reference]
            if squared_norm > 0:
                score += product / math.sqrt(squared_norm)
        return 10 * score / (LONGEST_NGRAM * len(penalties))

    def _prepared(self, captions: Sequence[Words], shared: dict[Occurrences, Occurrences]) -> _References:
        occurrences: dict[Ngram, Occurrences] = {}
        squared_norms = [[0.0] * len(captions) for _ in range(LONGEST_NGRAM)]
        for reference, caption in enumerate(captions):
            for ngram, count in _all_ngrams(caption).items():
                entry = (*occurrences.get(ngram, ()), (reference, count))
                occurrences[ngram] = shared.setdefault(entry, entry)
                squared_norms[len(ngram) - 1][reference] += self._weights[ngram] * count * count
        inverse_norms = [[1 / math.sqrt(x) if x > 0 else 0.0 for x in norms] for norms in squared_norms]
        return _References([_pairs(caption) for caption in captions], inverse_norms, occurrences)


@dataclass(frozen=True)
class _References:
    """One photograph's references, by n-gram, so that a candidate meets only those that share one with it.

    lengths: one a reference. inverse_norms: 1 / |g_r|, as `[n - 1][reference]`.
    """

    lengths: list[int]
    inverse_norms: list[list[float]]
    occurrences: dict[Ngram, Occurrences]


def _ngrams(words: Words, n: int) -> Iterator[Ngram]:
    return zip(*(words[start:] for start in range(n)), strict=False)


def _all_ngrams(words: Words) -> Counter[Ngram]:
    return Counter(chain.from_iterable(_ngrams(words, n) for n in range(1, LONGEST_NGRAM + 1)))


def _pairs(words: Words) -> int:
    return max(0, len(words) - 1)
