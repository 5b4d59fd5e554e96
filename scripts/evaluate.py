"""Score a task's answers on a data set, through the public pipeline; the figures are printed as JSON.

python -m showtell.scripts.evaluate audio-classification DATA
python -m showtell.scripts.evaluate image-to-text DATA
python -m showtell.scripts.evaluate text-classification DATA --among negative --among positive
python -m showtell.scripts.evaluate token-classification DATA
python -m showtell.scripts.evaluate video-classification DATA
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from time import perf_counter
from typing import Annotated, Any

import numpy as np
import typer

from showtell.decoders.tags import Span, find_spans
from showtell.pipelines import pipeline
from showtell.pipelines.answers import Caption, Label
from showtell.pipelines.audio_classification import AudioClassification
from showtell.pipelines.image_to_text import ImageToText
from showtell.pipelines.media.text import join_words
from showtell.pipelines.text_classification import TextClassification
from showtell.pipelines.token_classification import TokenClassification
from showtell.pipelines.video_classification import VideoClassification
from showtell.scripts.classification_metrics import restrict, score_groups, score_labels
from showtell.scripts.datasets.captions import CaptionedPhotograph, caption_words, read_captions
from showtell.scripts.datasets.conll import read_conll, read_marked_texts
from showtell.scripts.datasets.sentiment import DEGREES, LabelledText, read_labelled
from showtell.scripts.datasets.sounds import LabelledSound, read_labelled_sounds
from showtell.scripts.datasets.videos import LabelledVideo, read_videos
from showtell.scripts.entity_metrics import score_entities
from showtell.scripts.metrics import CiderD, score_captions

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def task() -> None:
    """Each task is a command of its own."""


@app.command()
def audio_classification(
    data: Annotated[Path, typer.Argument(help="Recordings with a metadata.jsonl that tells their labels.")],
    *,
    model: Annotated[str | None, typer.Option(help="A bundled model, a folder, or owner/name.")] = None,
    limit: Annotated[int | None, typer.Option(help="Only so many recordings, the first ones.")] = None,
) -> None:
    """Accuracy, F1, confusion and calibration of each recording's likeliest label, and recordings a second."""
    sounds = read_labelled_sounds(data)[:limit]
    print(json.dumps(rounded(evaluate_sounds(pipeline("audio-classification", model), sounds)), indent=2))


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


@app.command()
def text_classification(
    data: Annotated[Path, typer.Argument(help="Labelled texts: JSON lines, CSV, trees, or folders as IMDB's.")],
    *,
    among: Annotated[
        list[str] | None, typer.Option(help="Only texts with these labels, and answers among these; once for each.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="A bundled model, a folder, or owner/name.")] = None,
    limit: Annotated[int | None, typer.Option(help="Only so many texts, the first ones.")] = None,
) -> None:
    """Accuracy, F1, confusion and calibration of each text's likeliest label, and texts a second.

    The treebank's labels 0 to 4 count as negative, neutral and positive if the model answers these.
    """
    texts = read_labelled(data)[:limit]
    print(json.dumps(rounded(evaluate_labels(pipeline("text-classification", model), texts, among)), indent=2))


@app.command()
def token_classification(
    data: Annotated[Path, typer.Argument(help="JSON lines of texts with entities, or CoNLL's columns.")],
    *,
    among: Annotated[list[str] | None, typer.Option(help="Only entities with these labels; once for each.")] = None,
    model: Annotated[str | None, typer.Option(help="A bundled model, a folder, or owner/name.")] = None,
    limit: Annotated[int | None, typer.Option(help="Only so many texts, the first ones.")] = None,
) -> None:
    """Precision, recall and F1 of the entities found, strict and partial, and texts a second.

    Running text is read as it is, columns by their words, a sentence at a time.
    """
    tagger = pipeline("token-classification", model)
    if ".jsonl" in data.suffixes:
        marked = read_marked_texts(data)[:limit]
        texts = [text.text for text in marked]
        expected = [[Span(one.start, one.end, one.type) for one in text.entities] for text in marked]
    else:
        sentences = read_conll(data)[:limit]
        texts = [list(sentence.words) for sentence in sentences]
        expected = [in_characters(find_spans(sentence.tags), sentence.words) for sentence in sentences]
    print(json.dumps(rounded(evaluate_entities(tagger, texts, expected, among)), indent=2))


@app.command()
def video_classification(
    data: Annotated[Path, typer.Argument(help="Clips with a metadata.jsonl that tells their labels and groups.")],
    *,
    model: Annotated[str | None, typer.Option(help="A bundled model, a folder, or owner/name.")] = None,
    limit: Annotated[int | None, typer.Option(help="Only so many clips, the first ones.")] = None,
) -> None:
    """Accuracy, its mean over groups, F1, confusion, what one frame and shuffled ones would give; clips a second."""
    videos = read_videos(data)[:limit]
    print(json.dumps(rounded(evaluate_videos(pipeline("video-classification", model), videos)), indent=2))


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


def evaluate_labels(
    classify: TextClassification, texts: Sequence[LabelledText], among: Sequence[str] | None = None
) -> dict[str, Any]:
    """The figures of `score_labels` for texts with one of some labels, of which one is answered; by default all."""
    labels = among or classify.labels
    right = [text.label if text.label in classify.labels else DEGREES.get(text.label, text.label) for text in texts]
    chosen = [(text.text, label) for text, label in zip(texts, right, strict=True) if not among or label in among]
    start = perf_counter()
    answers = classify([text for text, _ in chosen], top_k=None, progress=sys.stderr.isatty())
    seconds = perf_counter() - start
    probabilities = as_probabilities(answers, classify.labels)
    return {
        **score_labels(restrict(probabilities, classify.labels, labels), [label for _, label in chosen], labels),
        "texts": len(chosen),
        "texts_per_second": len(chosen) / seconds,
    }


def evaluate_sounds(classify: AudioClassification, sounds: Sequence[LabelledSound]) -> dict[str, Any]:
    """The figures of `score_labels` for recordings."""
    start = perf_counter()
    answers = classify([sound.file for sound in sounds], top_k=None, progress=sys.stderr.isatty())
    seconds = perf_counter() - start
    probabilities = as_probabilities(answers, classify.labels)
    return {
        **score_labels(probabilities, [sound.label for sound in sounds], classify.labels),
        "recordings": len(sounds),
        "recordings_per_second": len(sounds) / seconds,
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

    start = perf_counter()
    answers = classify([video.path for video in videos], top_k=None, progress=sys.stderr.isatty())
    seconds = perf_counter() - start
    middle = np.full(classify.frames, classify.frames // 2)
    shuffled = np.random.default_rng(0).permutation(classify.frames)
    return {
        **score_labels(as_probabilities(answers, classify.labels), truth, classify.labels),
        **score_groups(is_right(answers), [video.group for video in videos]),
        "one_frame": fmean(is_right(classify(changed(middle)))),
        "shuffled": fmean(is_right(classify(changed(shuffled)))),
        "videos": len(videos),
        "videos_per_second": len(videos) / seconds,
    }


def as_probabilities(answers: Sequence[Sequence[Label]], labels: Sequence[str]) -> np.ndarray:
    """The scores of all labels of each answer, `(answers, labels)`."""
    scores = [{one["label"]: one["score"] for one in answer} for answer in answers]
    return np.array([[score[label] for label in labels] for score in scores])


def evaluate_entities(
    tagger: TokenClassification,
    texts: Sequence[str | list[str]],
    expected: Sequence[Sequence[Span]],
    among: Sequence[str] | None = None,
) -> dict[str, Any]:
    """The figures of `score_entities` for texts, or lists of words, and the entities that people marked in them.

    expected: by their characters, or by those of the words with single spaces between them.
    """
    start = perf_counter()
    split = bool(texts) and not isinstance(texts[0], str)
    answers = tagger(list(texts), words=split, progress=sys.stderr.isatty())
    seconds = perf_counter() - start
    found = [[Span(one["start"], one["end"], one["entity_group"]) for one in answer] for answer in answers]
    if among:
        found, expected = (
            [[span for span in spans if span.label in among] for spans in each] for each in (found, expected)
        )
    return {**score_entities(found, expected), "texts": len(texts), "texts_per_second": len(texts) / seconds}


def in_characters(spans: Sequence[Span], words: Sequence[str]) -> list[Span]:
    """Where spans of words stand when single spaces part the words."""
    offsets = join_words(words).offsets
    return [Span(offsets[span.start][0], offsets[span.end - 1][1], span.label) for span in spans]


def rounded(figures: Any) -> Any:
    """Figures within figures, each to four places."""
    if isinstance(figures, Mapping):
        return {name: rounded(figure) for name, figure in figures.items()}
    return round(figures, 4) if isinstance(figures, float) else figures


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
