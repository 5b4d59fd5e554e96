"""How good captions are: the public pipeline's, by what people wrote, and how far their scores can be trusted."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from statistics import fmean
from time import perf_counter
from typing import Any

import numpy as np

from showtell.pipelines.answers import Caption
from showtell.pipelines.image_to_text import ImageToText
from showtell.scripts.datasets.captions import CaptionedPhotograph, caption_words
from showtell.scripts.metrics import CiderD, score_captions


def evaluate_captions(
    caption: ImageToText, photographs: Sequence[CaptionedPhotograph], **options: Any
) -> dict[str, Any]:
    """The figures of each photograph's best caption, those of `score_captions` and of `by_decile` with them."""
    start = perf_counter()
    answers = caption([photograph.image for photograph in photographs], progress=sys.stderr.isatty(), **options)
    seconds = perf_counter() - start
    best: list[Caption] = [captions[0] for captions in answers]
    references = [photograph.captions for photograph in photographs]
    scores = score_captions([one["generated_text"] for one in best], references)
    return {
        **scores,
        "photographs": len(photographs),
        "photographs_per_second": len(photographs) / seconds,
        **by_decile(best, references),
    }


def by_decile(captions: Sequence[Caption], references: Sequence[Sequence[str]]) -> dict[str, Any]:
    """How far `score` tells good captions from bad ones.

    Answers `rank_correlation`, Spearman's, of the captions' scores with their CIDEr-D; and `deciles`, the mean of
    both in each tenth of the captions, lowest scores first.
    """
    judge = CiderD([[caption_words(text) for text in texts] for texts in references])
    cider = np.array([judge.score(caption_words(one["generated_text"]), place) for place, one in enumerate(captions)])
    score = np.array([caption["score"] for caption in captions])
    tenths = np.array_split(np.argsort(score, kind="stable"), min(10, len(score)))
    return {
        "rank_correlation": rank_correlation(score, cider),
        "deciles": [{"score": fmean(score[tenth]), "cider": fmean(cider[tenth])} for tenth in tenths],
    }


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float | None:
    """Spearman's rho: the correlation of the ranks, equal values sharing their mean rank.

    None where all values of one are equal, since then nothing is ranked.
    """
    ranks = [mean_ranks(first), mean_ranks(second)]
    if any(np.ptp(rank) == 0 for rank in ranks):
        return None
    return float(np.corrcoef(ranks)[0, 1])


def mean_ranks(values: np.ndarray) -> np.ndarray:
    """The place of each value when sorted, from 0; equal values share the mean of theirs."""
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(sizes) - (sizes + 1) / 2)[group]
