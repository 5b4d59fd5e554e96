"""How good labels are: the public pipelines', of texts, of recordings and of videos."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import fmean
from time import perf_counter
from typing import Any

import numpy as np

from showtell.pipelines.answers import Label
from showtell.pipelines.audio_classification import AudioClassification
from showtell.pipelines.text_classification import TextClassification
from showtell.pipelines.video_classification import VideoClassification
from showtell.scripts.classification_metrics import restrict, score_groups, score_labels
from showtell.scripts.datasets.sentiment import DEGREES, LabelledText
from showtell.scripts.datasets.sounds import LabelledSound
from showtell.scripts.datasets.videos import LabelledVideo, other_orders


def evaluate_labels(
    classify: TextClassification, texts: Sequence[LabelledText], among: Sequence[str] | None = None
) -> dict[str, Any]:
    """The figures of `score_labels` for texts with one of some labels, of which one is answered; by default all."""
    labels = among or classify.labels
    right = [text.label if text.label in classify.labels else DEGREES.get(text.label, text.label) for text in texts]
    chosen = [(text.text, label) for text, label in zip(texts, right, strict=True) if not among or label in among]
    answers, rate = answer_all(classify, [text for text, _ in chosen])
    probabilities = as_probabilities(answers, classify.labels)
    return {
        **score_labels(restrict(probabilities, classify.labels, labels), [label for _, label in chosen], labels),
        "texts": len(chosen),
        "texts_per_second": rate,
    }


def evaluate_sounds(classify: AudioClassification, sounds: Sequence[LabelledSound]) -> dict[str, Any]:
    """The figures of `score_labels` for recordings."""
    answers, rate = answer_all(classify, [sound.file for sound in sounds])
    probabilities = as_probabilities(answers, classify.labels)
    return {
        **score_labels(probabilities, [sound.label for sound in sounds], classify.labels),
        "recordings": len(sounds),
        "recordings_per_second": rate,
    }


def evaluate_videos(classify: VideoClassification, videos: Sequence[LabelledVideo]) -> dict[str, Any]:
    """The figures of `score_labels` and of `score_groups` for clips.

    `one_frame` and `shuffled` are the accuracies for the middle frame alone and for the frames in another order: a
    model that looks at what moves does worse there.
    """
    truth = [video.label for video in videos]

    def is_right(answers: Iterable[Sequence[Label]]) -> list[bool]:
        return [answer[0]["label"] == label for answer, label in zip(answers, truth, strict=True)]

    def changed(places: np.ndarray) -> Iterator[np.ndarray]:
        return (classify.read(video.path).clip.pixels[places] for video in videos)

    answers, rate = answer_all(classify, [video.path for video in videos])
    return {
        **score_labels(as_probabilities(answers, classify.labels), truth, classify.labels),
        **score_groups(is_right(answers), [video.group for video in videos]),
        **{name: fmean(is_right(classify(changed(order)))) for name, order in other_orders(classify.frames).items()},
        "videos": len(videos),
        "videos_per_second": rate,
    }


def answer_all(classify: Callable[..., Any], inputs: list[Any]) -> tuple[Sequence[Sequence[Label]], float]:
    """All labels of each input, and inputs a second."""
    start = perf_counter()
    answers = classify(inputs, top_k=None, progress=sys.stderr.isatty())
    return answers, len(inputs) / (perf_counter() - start)


def as_probabilities(answers: Sequence[Sequence[Label]], labels: Sequence[str]) -> np.ndarray:
    """The scores of all labels of each answer, `(answers, labels)`."""
    scores = [{one["label"]: one["score"] for one in answer} for answer in answers]
    return np.array([[score[label] for label in labels] for score in scores])
