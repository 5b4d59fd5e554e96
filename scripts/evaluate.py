"""Score a task's answers on a data set, through the public pipeline; the figures are printed as JSON.

python -m showtell.scripts.evaluate audio-classification DATA
python -m showtell.scripts.evaluate automatic-speech-recognition DATA
python -m showtell.scripts.evaluate image-to-text DATA
python -m showtell.scripts.evaluate text-classification DATA --among negative --among positive
python -m showtell.scripts.evaluate token-classification DATA
python -m showtell.scripts.evaluate video-classification DATA
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from showtell.pipelines import pipeline
from showtell.scripts.caption_scores import evaluate_captions
from showtell.scripts.datasets.captions import read_captions
from showtell.scripts.datasets.sentiment import read_labelled
from showtell.scripts.datasets.sounds import read_labelled_sounds
from showtell.scripts.datasets.speech import read_utterances
from showtell.scripts.datasets.videos import read_videos
from showtell.scripts.entity_scores import evaluate_entities, read_entities
from showtell.scripts.label_scores import evaluate_labels, evaluate_sounds, evaluate_videos
from showtell.scripts.speech_scores import evaluate_speech

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

# What the commands take.
Model = Annotated[str | None, typer.Option(help="A bundled model, a folder, or owner/name.")]
Limit = Annotated[int | None, typer.Option(help="Only so many of them, the first ones.")]


@app.callback()
def task() -> None:
    """Each task is a command of its own."""


@app.command()
def audio_classification(
    data: Annotated[Path, typer.Argument(help="Recordings with a metadata.jsonl that tells their labels.")],
    *,
    model: Model = None,
    limit: Limit = None,
) -> None:
    """Accuracy, F1, confusion and calibration of each recording's likeliest label, and recordings a second."""
    sounds = read_labelled_sounds(data)[:limit]
    print_figures(evaluate_sounds(pipeline("audio-classification", model), sounds))


@app.command()
def automatic_speech_recognition(
    data: Annotated[Path, typer.Argument(help="Recordings with a metadata.jsonl that tells their words.")],
    *,
    model: Model = None,
    language_model: Annotated[bool, typer.Option(help="Whether the prior of words has a say.")] = True,
    limit: Limit = None,
) -> None:
    """Word and character error rates, their kinds, the mean over speakers; recordings and seconds of them a second.

    Both sides are compared in small letters, as words of the letters a to z and apostrophes alone.
    """
    recognise = pipeline("automatic-speech-recognition", model)
    print_figures(evaluate_speech(recognise, read_utterances(data)[:limit], language_model=language_model))


@app.command()
def image_to_text(
    data: Annotated[Path, typer.Argument(help="Photographs with a metadata.jsonl, or a saved data set.")],
    *,
    model: Model = None,
    num_beams: Annotated[
        int | None, typer.Option(help="This and the next three: the model's own unless given.")
    ] = None,
    max_length: int | None = None,
    length_penalty: float | None = None,
    no_repeat_ngram_size: int | None = None,
    limit: Limit = None,
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
    print_figures(figures)


@app.command()
def text_classification(
    data: Annotated[Path, typer.Argument(help="Labelled texts: JSON lines, CSV, trees, or folders as IMDB's.")],
    *,
    among: Annotated[
        list[str] | None, typer.Option(help="Only texts with these labels, and answers among these; once for each.")
    ] = None,
    model: Model = None,
    limit: Limit = None,
) -> None:
    """Accuracy, F1, confusion and calibration of each text's likeliest label, and texts a second.

    The treebank's labels 0 to 4 count as negative, neutral and positive if the model answers these.
    """
    texts = read_labelled(data)[:limit]
    print_figures(evaluate_labels(pipeline("text-classification", model), texts, among))


@app.command()
def token_classification(
    data: Annotated[Path, typer.Argument(help="JSON lines of texts with entities, or CoNLL's columns.")],
    *,
    among: Annotated[list[str] | None, typer.Option(help="Only entities with these labels; once for each.")] = None,
    model: Model = None,
    limit: Limit = None,
) -> None:
    """Precision, recall and F1 of the entities found, strict and partial, and texts a second.

    Running text is read as it is, columns by their words, a sentence at a time.
    """
    texts, expected = read_entities(data)
    tagger = pipeline("token-classification", model)
    print_figures(evaluate_entities(tagger, texts[:limit], expected[:limit], among))


@app.command()
def video_classification(
    data: Annotated[Path, typer.Argument(help="Clips with a metadata.jsonl that tells their labels and groups.")],
    *,
    model: Model = None,
    limit: Limit = None,
) -> None:
    """Accuracy, its mean over groups, F1, confusion, what one frame and shuffled ones would give; clips a second."""
    videos = read_videos(data)[:limit]
    print_figures(evaluate_videos(pipeline("video-classification", model), videos))


def print_figures(figures: dict[str, Any]) -> None:
    """As JSON, each to four places."""
    print(json.dumps(rounded(figures), indent=2))


def rounded(figures: Any) -> Any:
    """Figures, and those within them, to four places."""
    match figures:
        case dict():
            return {name: rounded(figure) for name, figure in figures.items()}
        case list():
            return [rounded(figure) for figure in figures]
        case float():
            return round(figures, 4)
    return figures


if __name__ == "__main__":
    app()
