"""The demo: the bundled models answer the bundled samples, in the terminal and on a page.

A task joins the demo by a row in `DEMONSTRATIONS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from PIL import Image
from rich.console import Console
from rich.table import Table
from rich.text import Text

from showtell.pipelines import pipeline
from showtell.pipelines.report import entities, film_strip, photograph, shaded_text, spectrogram
from showtell.pipelines.report.page import Section, write_report

SAMPLES = Path(__file__).with_name("samples")


@dataclass(frozen=True)
class Demonstration:
    """One task of the demo.

    title, summary: the head of its section on the page; the summary tells how to read the drawings.
    samples: what the pipeline is given, each by the name it has in the table.
    options: what the drawings need of the pipeline's call.
    tell: an answer in words and its score, for the table.
    draw: a sample and its answer as HTML, for the page.
    """

    task: str
    title: str
    summary: str
    samples: Mapping[str, Any]
    options: Mapping[str, Any]
    tell: Callable[[Any], tuple[str, float]]
    draw: Callable[[Any, Any], str]


@dataclass(frozen=True)
class Answered:
    """What a task answered, one answer a sample, and how long that took, opening the model included."""

    demonstration: Demonstration
    answers: list[Any]
    first_seconds: float
    total_seconds: float


def _files(*names: str) -> dict[str, Path]:
    return {name: SAMPLES / name for name in names}


def _texts(*texts: str) -> dict[str, str]:
    return {text: text for text in texts}


DEMONSTRATIONS = (
    Demonstration(
        task="image-to-text",
        title="Photographs",
        summary=(
            "A caption is written word by word. Above each word is the photograph as the model saw it then: "
            "bright where it attended, dim where it did not. The score is the geometric mean of the "
            "probabilities of the words."
        ),
        samples=_files("photographer.jpg", "astronaut.jpg", "cat.jpg", "coffee.jpg", "rocket.jpg"),
        options={"return_attention": True},
        tell=lambda answer: (answer[0]["generated_text"], answer[0]["score"]),
        draw=lambda path, answer: photograph.draw(Image.open(path), answer[0]),
    ),
    Demonstration(
        task="video-classification",
        title="Video",
        summary=(
            "A model that knows six human actions sees eight frames, evenly over the clip's time. They stand here "
            "squeezed to squares, as it saw them: bright where it attended, dim where it did not. The clips are drawn, "
            "though it learned from recordings. The score is the probability of the label."
        ),
        samples=_files("horse_race.mp4", "surfer.mp4"),
        options={"top_k": 3, "return_attention": True},
        tell=lambda answer: (answer[0]["label"], answer[0]["score"]),
        draw=film_strip.draw,
    ),
    Demonstration(
        task="automatic-speech-recognition",
        title="Speech",
        summary=(
            "Sound runs from left to right, its low tones at the bottom, and the words stand under it at their times. "
            "The warmer the sound of a word, and the stronger the word, the surer the model is of it. The score is the "
            "geometric mean of the probabilities of its phonemes."
        ),
        samples=_files("austen.opus", "listener.opus"),
        options={"return_timestamps": "word"},
        tell=lambda answer: (answer["text"], answer["score"]),
        draw=spectrogram.draw_words,
    ),
    Demonstration(
        task="audio-classification",
        title="Spoken digits",
        summary=(
            "A network hears the whole recording and weighs what it has heard: amber where it attended, grey where it "
            "did not. The score is the probability of the label."
        ),
        samples=_files("seven.opus", "nine.opus"),
        options={"top_k": 3, "return_attention": True},
        tell=lambda answer: (answer[0]["label"], answer[0]["score"]),
        draw=spectrogram.draw_labels,
    ),
    Demonstration(
        task="text-classification",
        title="Sentiment",
        summary=(
            "A network reads the text in both directions and weighs what it has read: the darker a word, the more "
            "it took from there. The score is the probability of the label."
        ),
        samples=_texts(
            "It takes its time, but what a wonderful ending!",
            "The jokes are old, the plot is older, and nobody on the screen seems to care.",
            "The film is set in Lisbon and follows a retired sailor.",
        ),
        options={"top_k": None, "return_attention": True},
        tell=lambda answer: (answer[0]["label"], answer[0]["score"]),
        draw=shaded_text.draw,
    ),
    Demonstration(
        task="token-classification",
        title="Named entities",
        summary=(
            "Persons (PER), places (LOC), organisations (ORG) and other names (MISC), marked where they stand. The "
            "score is the probability of just this span with just this label."
        ),
        samples=_texts(
            "Ada Lovelace met Charles Babbage in London, where he showed her a part of the Difference Engine.",
            "The European Space Agency launched Rosetta from Kourou in French Guiana on an Ariane 5.",
            "Amsterdam - Dutch striker Marco van Basten left Ajax for Milan.",
        ),
        options={},
        tell=lambda answer: (
            ", ".join(f"{one['word']} {one['entity_group']}" for one in answer),
            min((one["score"] for one in answer), default=1.0),
        ),
        draw=entities.draw,
    ),
)


def run_demo(report: Path) -> None:
    """Answer every sample, print the answers and how long they took, and write the page to `report`."""
    console = Console()
    answered = []
    for demonstration in DEMONSTRATIONS:
        answered.append(answer(demonstration))
        console.print(table(answered[-1]))
    write_report(report, [section(task) for task in answered])
    console.print(Text(f"Report: {report.resolve().as_uri()}"), soft_wrap=True)


def answer(demonstration: Demonstration) -> Answered:
    """Open the task's bundled model, and ask it for the first sample, then for the others at once."""
    first, *others = demonstration.samples.values()
    start = perf_counter()
    pipe = pipeline(demonstration.task)
    answers = pipe([first], **demonstration.options)
    first_seconds = perf_counter() - start
    answers += pipe(others, **demonstration.options)
    return Answered(demonstration, answers, first_seconds, perf_counter() - start)


def table(answered: Answered) -> Table:
    """The answers of one task for the terminal, one row a sample."""
    seconds = f"first answer after {answered.first_seconds:.2f} s, all after {answered.total_seconds:.2f} s"
    rows = Table(title=answered.demonstration.task, caption=seconds)
    rows.add_column("input")
    rows.add_column("answer")
    rows.add_column("score", justify="right")
    for name, one in zip(answered.demonstration.samples, answered.answers, strict=True):
        words, score = answered.demonstration.tell(one)
        rows.add_row(Text(name), Text(words), f"{score:.2f}")
    return rows


def section(answered: Answered) -> Section:
    """The answers of one task for the page."""
    told = answered.demonstration
    drawings = [told.draw(*pair) for pair in zip(told.samples.values(), answered.answers, strict=True)]
    return Section(told.title, told.summary, drawings)
