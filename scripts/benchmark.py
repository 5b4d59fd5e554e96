"""How fast a task answers, against a well-known model in the same run; printed as docs/benchmarks.md holds it.

    python -m showtell.scripts.benchmark automatic-speech-recognition RECORDINGS
    python -m showtell.scripts.benchmark image-to-text
    python -m showtell.scripts.benchmark text-classification
    python -m showtell.scripts.benchmark token-classification
    python -m showtell.scripts.benchmark video-classification
    python -m showtell.scripts.benchmark jobs

Run it on a machine that does nothing else.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from transformers import (
    BertConfig,
    BertForTokenClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    GPT2Config,
    VideoMAEConfig,
    ViTConfig,
    WhisperConfig,
)

from showtell.pipelines import pipeline
from showtell.scripts.baselines import TextTransformer, VideoMAE, VitGpt2, Whisper
from showtell.scripts.image_speed import benchmark_photographs, find_photographs, write_photographs
from showtell.scripts.job_speed import benchmark_jobs
from showtell.scripts.speech_speed import benchmark_speech, find_recordings
from showtell.scripts.stories import stories
from showtell.scripts.text_speed import benchmark_texts, read_texts
from showtell.scripts.video_speed import benchmark_videos, find_videos, write_videos

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

# What the commands take.
Texts = Annotated[
    Path | None, typer.Argument(help="A text a line, or JSON lines with `text`; default: made up for it.")
]
Model = Annotated[str | None, typer.Option(help="A bundled model, a folder, or owner/name.")]
Rounds = Annotated[int, typer.Option(help="Turns that each contender has.")]
Seconds = Annotated[float, typer.Option(help="About so long is a turn.")]


@app.callback()
def task() -> None:
    """Each task is a command of its own."""


@app.command()
def automatic_speech_recognition(
    recordings: Annotated[Path, typer.Argument(help="A folder of recordings of speech.")],
    *,
    model: Model = None,
    rounds: Rounds = 5,
    seconds: Seconds = 4.0,
    skip_baseline: Annotated[bool, typer.Option(help="Without Whisper and its load.")] = False,
) -> None:
    """Files to words, against Whisper tiny; where the time goes, and how late a stream answers."""
    baseline = None if skip_baseline else Whisper(WhisperConfig())
    benchmark_speech(find_recordings(recordings), model, baseline, rounds=rounds, seconds=seconds)


@app.command()
def image_to_text(
    photographs: Annotated[
        Path | None, typer.Argument(help="A folder of JPEG files; default: the bundled samples at 500 x 375.")
    ] = None,
    *,
    model: Model = None,
    rounds: Rounds = 5,
    seconds: Seconds = 4.0,
    skip_baseline: Annotated[bool, typer.Option(help="Without ViT-GPT2 and its load.")] = False,
) -> None:
    """Files to captions, four beams, against ViT-GPT2 and against the bare encoder."""
    baseline = None if skip_baseline else VitGpt2(ViTConfig(), GPT2Config())
    with TemporaryDirectory() as folder:
        files = find_photographs(photographs) if photographs else write_photographs(Path(folder))
        benchmark_photographs(files, model, baseline, rounds=rounds, seconds=seconds, folder=Path(folder))


@app.command()
def text_classification(
    texts: Texts = None,
    *,
    model: Model = None,
    rounds: Rounds = 5,
    seconds: Seconds = 4.0,
    skip_baseline: Annotated[bool, typer.Option(help="Without DistilBERT and its load.")] = False,
) -> None:
    """Texts to labels, against DistilBERT and against the bare graph; by default reviews of 260 words."""
    given = read_texts(texts) if texts else stories(paragraphs=2)
    transformer = None if skip_baseline else DistilBertForSequenceClassification(DistilBertConfig())
    baseline = transformer and TextTransformer("DistilBERT", transformer)
    pipe = pipeline("text-classification", model)
    benchmark_texts(pipe, given, baseline, model=model, rounds=rounds, seconds=seconds)


@app.command()
def token_classification(
    texts: Texts = None,
    *,
    model: Model = None,
    rounds: Rounds = 5,
    seconds: Seconds = 4.0,
    skip_baseline: Annotated[bool, typer.Option(help="Without BERT-base and its load.")] = False,
) -> None:
    """Texts to entities, against BERT-base and against the bare graph; by default reports of 130 words."""
    given = read_texts(texts) if texts else stories(paragraphs=1)
    transformer = None if skip_baseline else BertForTokenClassification(BertConfig())
    baseline = transformer and TextTransformer("BERT-base", transformer)
    pipe = pipeline("token-classification", model)
    benchmark_texts(pipe, given, baseline, model=model, rounds=rounds, seconds=seconds)


@app.command()
def video_classification(
    videos: Annotated[
        Path | None, typer.Argument(help="A folder of video files; default: clips made of the bundled photographs.")
    ] = None,
    *,
    model: Model = None,
    rounds: Rounds = 5,
    seconds: Seconds = 4.0,
    skip_baseline: Annotated[bool, typer.Option(help="Without VideoMAE and its load.")] = False,
) -> None:
    """Files to labels, against VideoMAE-base at 16 frames, and against the bare graph."""
    baseline = None if skip_baseline else VideoMAE(VideoMAEConfig())
    with TemporaryDirectory() as folder:
        files = find_videos(videos) if videos else write_videos(Path(folder))
        benchmark_videos(files, model, baseline, rounds=rounds, seconds=seconds)


@app.command()
def jobs(
    photographs: Annotated[
        Path | None, typer.Argument(help="A folder of JPEG files; default: the bundled samples at 500 x 375.")
    ] = None,
    *,
    model: Model = None,
    rounds: Rounds = 3,
    records: Annotated[int, typer.Option(help="Photographs of a job.")] = 2000,
    skip_ray: Annotated[bool, typer.Option(help="Without a Ray cluster.")] = False,
) -> None:
    """Batch jobs: their own overhead, two workers against one, and Ray's start-up; as docs/scaling.md holds it."""
    with TemporaryDirectory() as folder:
        files = find_photographs(photographs) if photographs else write_photographs(Path(folder))
        benchmark_jobs(files, model, records=records, rounds=rounds, with_ray=not skip_ray, folder=Path(folder))


if __name__ == "__main__":
    app()
