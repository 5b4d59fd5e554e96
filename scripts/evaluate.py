"""Score a task's answers on a data set, through the public pipeline; the figures are printed as JSON.

python -m showtell.scripts.evaluate image-to-text DATA
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from time import perf_counter
from typing import Annotated, Any

import numpy as np
import typer

from showtell.pipelines import pipeline
from showtell.pipelines.answers import Caption
from showtell.pipelines.image_to_text import ImageToText
from showtell.scripts.datasets.captions import CaptionedPhotograph, caption_words, read_captions
from showtell.scripts.metrics import CiderD, score_captions

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def task() -> None:
    """Each task is a command of its own, also while there is only one."""


@app.command()
def image_to_text(
    data: Annotated[Path, typer.Argument(help="Photographs with a metadata.jsonl, or a saved data set.")],
    *,
    model: Annotated[str | None, typer.Option(help="A bundled model, a folder, or owner/name.")] = None,
    num_beams: Annotated[
        int | None, typer.Option(help="This and the next three: the model's own unless given.")
    ] = None,
    max_length: int | None = None,
    length_penalty: float | None = None,
    no_repeat_ngram_size: int | None = None,
    limit: Annotated[int | None, typer.Option(help="Only so many photographs, the first ones.")] = None,
    deciles: Annotated[bool, typer.Option(help="Add CIDEr-D by decile of the captions' scores.")] = False,
) -> None:
    """BLEU-1 to 4, ROUGE-L and CIDEr-D of each photograph's best caption, and photographs a second."""
    options = {
        "num_beams": num_beams,
        "max_length": max_length,
        "length_penalty": length_penalty,
        "no_repeat_ngram_size": no_repeat_ngram_size,
    }
    figures = evaluate_captions(pipeline("image-to-text", model), read_captions(data)[:limit], **options)
    if not deciles:
        del figures["rank_correlation"], figures["deciles"]
    print(json.dumps(figures, indent=2))


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
        **{name: round(score, 4) for name, score in scores.items()},
        "photographs": len(photographs),
        "photographs_per_second": round(len(photographs) / seconds, 2),
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
        "deciles": [
            {"score": round(fmean(score[tenth]), 4), "cider": round(fmean(cider[tenth]), 4)} for tenth in tenths
        ],
    }


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float | None:
    """Spearman's rho: the correlation of the ranks, equal values sharing their mean rank.

    None where all values of one are equal, since then nothing is ranked.
    """
    ranks = [mean_ranks(first), mean_ranks(second)]
    if any(np.ptp(rank) == 0 for rank in ranks):
        return None
    return round(float(np.corrcoef(ranks)[0, 1]), 4)


def mean_ranks(values: np.ndarray) -> np.ndarray:
    """The place of each value when sorted, from 0; equal values share the mean of theirs."""
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(sizes) - (sizes + 1) / 2)[group]


if __name__ == "__main__":
    app()
