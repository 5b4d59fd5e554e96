"""Write a bundled model's card: what it is, how well it does on dev through the public pipeline, under which terms.

`cards/` tells of the data that the bundled models were trained on; a model of your own needs words of your own.

python -m showtell.scripts.card image-to-text MODEL DEV
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Annotated, Any

import typer

from showtell.bundle import CARD, WEIGHTS, Bundle
from showtell.pipelines import pipeline
from showtell.scripts.caption_scores import evaluate_captions
from showtell.scripts.datasets.captions import read_captions
from showtell.scripts.datasets.sentiment import read_labelled
from showtell.scripts.datasets.sounds import read_labelled_sounds
from showtell.scripts.datasets.speech import read_utterances
from showtell.scripts.entity_scores import evaluate_entities, read_entities
from showtell.scripts.label_scores import evaluate_labels, evaluate_sounds
from showtell.scripts.speech_scores import evaluate_speech

CARDS = Path(__file__).with_name("cards")
# fp16, so two bytes a weight.
BYTES_A_WEIGHT = 2
# The card tells how many of the entities with a higher score are right.
SURE = 0.9
TWIN = """
These figures are those of a model that was trained alike on the train part alone. The one in this folder was then
trained on both parts, so dev can no longer tell how good it is.
"""
# The sets of speech, by their folders' names, and what is in their dev parts.
SPEECH_SETS = {
    "arctic_kathleen": "read sentences, a known voice",
    "asterisk_allison": "telephone prompts, a known voice",
    "coffee_orders": "orders of a kind that it was trained on, some fifty voices",
    "fsdd": "single digits, five known voices",
    "librispeech": "read books, two voices that it has not heard",
    "ljspeech": "read non-fiction of the nineteenth century, a known voice",
    "speechocean762": "everyday sentences, Mandarin accents, fifteen voices that it has not heard",
}

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.command()
def audio_classification(
    model: Annotated[Path, typer.Argument(help="The bundle's folder; its README.md is written anew.")],
    dev: Annotated[Path, typer.Argument(help="Recordings that it was not trained on, with their labels.")],
) -> None:
    """The card of the classifier that was trained on spoken digits."""
    figures = evaluate_sounds(pipeline("audio-classification", model), read_labelled_sounds(dev))
    write_card(model, "spoken_digits.md", figures)


@app.command()
def automatic_speech_recognition(
    model: Annotated[Path, typer.Argument(help="The bundle's folder; its README.md is written anew.")],
    dev: Annotated[list[Path], typer.Argument(help="Folders SET/dev of recordings that it was not trained on.")],
) -> None:
    """The card of the recogniser that was trained on several sets of speech."""
    recognise = pipeline("automatic-speech-recognition", model)
    sets = {folder.resolve().parent.name: read_utterances(folder) for folder in dev}
    figures = {name: evaluate_speech(recognise, utterances) for name, utterances in sets.items()}
    bare = {
        name: evaluate_speech(recognise, utterances, language_model=False)["wer"] for name, utterances in sets.items()
    }
    prior = {f"prior_{name}": value for name, value in recognise.bundle.config["prior"].items()}
    write_card(model, "speech_recognition.md", {"table": speech_table(figures, bare), **prior})


@app.command()
def image_to_text(
    model: Annotated[Path, typer.Argument(help="The bundle's folder; its README.md is written anew.")],
    dev: Annotated[Path, typer.Argument(help="Photographs that it was not trained on, with their captions.")],
) -> None:
    """The card of the captioner that was trained on Flickr8k."""
    figures = evaluate_captions(pipeline("image-to-text", model), read_captions(dev))
    write_card(model, "image_captioning.md", figures | {"deciles": decile_table(figures["deciles"])})


@app.command()
def token_classification(
    model: Annotated[Path, typer.Argument(help="The bundle's folder; its README.md is written anew.")],
    dev: Annotated[Path, typer.Argument(help="JSON lines of texts with their entities.")],
    *,
    twin: Annotated[
        Path | None, typer.Option(help="One trained alike without dev, whose figures are told if this one saw dev.")
    ] = None,
    command: Annotated[str, typer.Option(help="The options with which it was trained.")] = "",
) -> None:
    """The card of the tagger that was trained on CoNLL-2003."""
    tagger = pipeline("token-classification", twin or model)
    texts, expected = read_entities(dev)
    figures = evaluate_entities(tagger, texts, expected)
    sure = [
        (one["start"], one["end"], one["entity_group"]) in text
        for answer, text in zip(tagger(texts), map(set, expected), strict=True)
        for one in answer
        if one["score"] > SURE
    ]
    known = {"precision_of_sure": sum(sure) / len(sure), "share_of_sure": len(sure) / figures["found"]}
    told = {"table": entity_table(figures), "sure": SURE, "command": command, "twin": TWIN if twin else ""}
    told["parts"] = "train and dev parts" if twin else "train part"
    write_card(model, "named_entities.md", figures | known | told)


@app.command()
def text_classification(
    model: Annotated[Path, typer.Argument(help="The bundle's folder; its README.md is written anew.")],
    sentences: Annotated[Path, typer.Argument(help="SST's dev part.")],
    reviews: Annotated[Path, typer.Argument(help="IMDB's dev part.")],
) -> None:
    """The card of the classifier that was trained on SST and IMDB."""
    classify = pipeline("text-classification", model)
    known: dict[str, float] = {}
    for name, file, among in (
        ("sst3", sentences, None),
        ("sst2", sentences, ["negative", "positive"]),
        ("imdb", reviews, ["negative", "positive"]),
    ):
        figures = evaluate_labels(classify, read_labelled(file), among)
        known |= {f"{name}_{key}": figures[key] for key in ("accuracy", "macro_f1", "calibration_error")}
        known |= {f"{name}_f1_{label}": f1 for label, f1 in figures["f1"].items()}
    write_card(model, "sentiment.md", known)


@app.command()
def video_classification(
    model: Annotated[Path, typer.Argument(help="The bundle's folder, of the name of a card; its README.md is new.")],
    cross_validation: Annotated[Path, typer.Argument(help="The figures that the training script left.")],
) -> None:
    """The card of a classifier of video, `human-actions` or `surveillance-fights`, which was trained on all clips."""
    figures = json.loads(cross_validation.read_text(encoding="utf-8"))
    write_card(model, f"{model.name.replace('-', '_')}.md", {f"cv_{name}": figures[name] for name in figures})


def write_card(folder: Path, template: str, figures: Mapping[str, Any]) -> None:
    """Fill a template of `cards/` with figures, and with what the bundle itself says, and put it into the bundle."""
    bundle = Bundle.open(folder)
    weights = (folder / WEIGHTS).stat().st_size
    size = sum(file.stat().st_size for file in folder.iterdir())
    known = {
        "name": folder.name,
        "parameters": f"{weights / BYTES_A_WEIGHT / 1e6:.1f}",
        "megabytes": f"{size / 1e6:.0f}",
        "terms": bundle.config["terms"],
        **bundle.config["options"],
        **{name: f"{value:.3f}" if isinstance(value, float) else value for name, value in figures.items()},
    }
    text = Template((CARDS / template).read_text(encoding="utf-8")).substitute(known)
    (folder / CARD).write_text(text, encoding="utf-8")


def speech_table(figures: Mapping[str, Mapping[str, Any]], bare: Mapping[str, float]) -> str:
    """The words of each set of speech, their error rates, and that of the words without the prior."""
    return "\n".join(
        f"| {name} | {SPEECH_SETS.get(name, '')} | {one['words']} | {one['wer']:.3f} | {one['cer']:.3f} "
        f"| {bare[name]:.3f} |"
        for name, one in figures.items()
    )


def entity_table(figures: Mapping[str, Any]) -> str:
    """Precision, recall and F1 of each label, and of all."""

    def row(name: str, one: Mapping[str, Any]) -> str:
        return f"| {name} | {one['precision']:.3f} | {one['recall']:.3f} | {one['f1']:.3f} |"

    return "\n".join([*(row(label, one) for label, one in figures["labels"].items()), row("all", figures)])


def decile_table(deciles: Sequence[Mapping[str, float]]) -> str:
    """The tenths of the captions by score, lowest first, as two rows."""
    columns = range(1, len(deciles) + 1)
    lines = [["tenth", *columns], ["---"] * (len(deciles) + 1)]
    lines += [
        [name, *(f"{one[key]:.2f}" for one in deciles)] for name, key in (("score", "score"), ("CIDEr-D", "cider"))
    ]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


if __name__ == "__main__":
    app()
