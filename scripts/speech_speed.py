"""How fast speech is written down: files to words through the pipeline, and through Whisper, on the same files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import quantiles
from time import perf_counter
from typing import Any

import numpy as np
import torch
import typer

from showtell.bundle import Bundle
from showtell.pipelines import pipeline
from showtell.pipelines.alphabet import Alphabet, Timestamps
from showtell.pipelines.answers import Transcript
from showtell.pipelines.automatic_speech_recognition import AutomaticSpeechRecognition, Opened
from showtell.pipelines.media.audio import read_audio
from showtell.pipelines.media.log_mel import HOP_SAMPLES, WINDOW_SAMPLES, log_mel
from showtell.pipelines.media.waveform import SAMPLE_RATE
from showtell.pipelines.runtime import Runtime
from showtell.scripts.baselines import Whisper
from showtell.scripts.timing import Contender, Stopwatch, TimedGraph, first_answer, machine, take_turns

RECORDINGS = (".flac", ".m4a", ".mp3", ".ogg", ".opus", ".wav")
# So many recordings, from all over a folder, are a turn's unit.
MOST_RECORDINGS = 16
BASELINE_BATCH = 4
# Of read English, about: 2.5 words, of 1.3 tokens each.
TOKENS_A_SECOND = 3.2
# What a microphone hands over at a time.
CHUNK_SECONDS = 0.1


def find_recordings(folder: Path) -> list[Path]:
    """Some recordings of a folder, evenly spread over their names."""
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in RECORDINGS)
    if not files:
        raise typer.BadParameter(f"{folder}: no recordings; at least one {' or '.join(RECORDINGS)} file would do.")
    places = np.linspace(0, len(files) - 1, min(len(files), MOST_RECORDINGS)).round().astype(int)
    return [files[place] for place in places]


def benchmark_speech(
    files: Sequence[Path], model: str | None, baseline: Whisper | None, *, rounds: int, seconds: float
) -> None:
    """Print how fast recordings are written down. model: what the pipeline is opened with."""
    torch.set_num_threads(os.cpu_count() or 1)  # whatever OMP_NUM_THREADS says
    pipe = pipeline("automatic-speech-recognition", model)
    sounds = [read_audio(file).samples for file in files]
    spoken = sum(map(len, sounds)) / SAMPLE_RATE
    contenders = {"pipeline": Contender(len(files), lambda count: through_pipeline(pipe, files, count))}
    if baseline:
        contenders["baseline"] = Contender(len(files), partial(through_whisper, baseline, files))
    rates = take_turns(contenders, rounds=rounds, seconds=seconds)
    speech_rates = {name: rate * spoken / len(files) for name, rate in rates.items()}
    watched = WatchedRecogniser(pipe.bundle, pipe.runtime)
    times = max(1, round(seconds * rates["pipeline"] / len(files)))
    through_pipeline(watched, files, times * len(files))
    start_up = first_answer("automatic-speech-recognition", model, str(files[0]), processes=rounds)
    versions = machine(("numpy", "soundfile", "onnxruntime", "torch", "transformers"))
    parts = [rates_in_words(speech_rates, spoken / len(files)), where_time_goes(watched, sounds, times)]
    print("\n\n".join([*parts, delay_in_words(pipe, sounds), start_up.in_words(), versions]))


def through_pipeline(pipe: AutomaticSpeechRecognition, files: Sequence[Path], count: int) -> None:
    """Files to words; all files so often that they are `count`."""
    pipe(list(files) * (count // len(files)))


def through_whisper(whisper: Whisper, files: Sequence[Path], count: int) -> None:
    """Files to tokens, in batches of windows that are about equally long, since the longest makes all wait."""
    for _ in range(count // len(files)):
        size = int(whisper.window_seconds * SAMPLE_RATE)
        sounds = (read_audio(file).samples for file in files)
        windows = [sound[start : start + size] for sound in sounds for start in range(0, len(sound), size)]
        windows.sort(key=len)
        for place in range(0, len(windows), BASELINE_BATCH):
            batch = windows[place : place + BASELINE_BATCH]
            speech = sum(map(len, batch)) / len(batch) / SAMPLE_RATE
            whisper.answer(batch, new_tokens=max(1, round(TOKENS_A_SECOND * speech)))


class WatchedRecogniser(AutomaticSpeechRecognition):
    """The pipeline with a stopwatch on each of its parts."""

    def __init__(self, bundle: Bundle, runtime: Runtime):
        super().__init__(bundle, runtime)
        self.whole, self.reading, self.hearing, self.answering = (Stopwatch() for _ in range(4))
        self.graphs = {name: TimedGraph(graph, self.hearing) for name, graph in self.graphs.items()}

    def __call__(self, recordings: Any, **options: Any) -> Any:
        """As the pipeline does, timed."""
        with self.whole:
            return super().__call__(recordings, **options)

    def read(self, source: Any) -> Opened:
        """As the pipeline does, timed; what a recording has beyond 30 s is read while it is answered."""
        with self.reading:
            return super().read(source)

    def answer(
        self, recordings: list[Opened], alphabet: Alphabet, num_beams: int, return_timestamps: Timestamps
    ) -> list[Transcript | Exception]:
        """As the pipeline does, timed."""
        with self.answering:
            return super().answer(recordings, alphabet, num_beams, return_timestamps)


def rates_in_words(rates: dict[str, float], seconds: float) -> str:
    """Seconds of speech a second of each contender, as a table, and what follows from them.

    seconds: of a recording, in the mean.
    """
    names = {"pipeline": "showtell, files to words", "baseline": "Whisper tiny, files to tokens"}
    lines = [f"| recordings of {seconds:.1f} s | seconds of speech a second |", "| --- | ---: |"]
    lines += [f"| {names[name]} | {rate:,.1f} |" for name, rate in rates.items()]
    if "baseline" in rates:
        lines += ["", f"showtell is {rates['pipeline'] / rates['baseline']:.1f} times as fast as Whisper tiny."]
    return "\n".join(lines)


def where_time_goes(pipe: WatchedRecogniser, sounds: Sequence[np.ndarray], times: int) -> str:
    """What each part of the work took a second of speech. Parts overlap, and add up to more than the whole.

    sounds: what the pipeline has answered, so many times.
    """
    speech = times * sum(map(len, sounds)) / SAMPLE_RATE
    with Stopwatch() as framing:
        for sound in sounds:
            log_mel(sound)
    parts = {
        "reading files, and log-mel frames": pipe.reading.seconds,
        "log-mel frames alone": times * framing.seconds,
        "CNN and LSTM": pipe.hearing.seconds,
        "the search": pipe.answering.seconds - pipe.hearing.seconds,
        "all, from files to words": pipe.whole.seconds,
    }
    lines = ["| part of the work | ms a second of speech |", "| --- | ---: |"]
    lines += [f"| {name} | {1000 * seconds / speech:.2f} |" for name, seconds in parts.items()]
    return "\n".join(lines)


def delay_in_words(pipe: AutomaticSpeechRecognition, sounds: Iterable[np.ndarray]) -> str:
    """How soon after a sound a stream can have written it down."""
    took = [seconds for sound in sounds for seconds in chunk_seconds(pipe, sound)]
    usual, slow = (1000 * quantiles(took, n=20)[place] for place in (9, 18))
    ahead = 1000 * (pipe.lookahead * HOP_SAMPLES + WINDOW_SAMPLES - HOP_SAMPLES) / SAMPLE_RATE
    chunk = 1000 * CHUNK_SECONDS
    return (
        f"A stream that gets {chunk:.0f} ms of sound at a time answers each in {usual:.1f} ms (median; "
        f"{slow:.1f} ms or less in 95 of 100). It looks {ahead:.0f} ms ahead. So what was said can be in a partial "
        f"text {ahead + usual:.0f} to {ahead + chunk + usual:.0f} ms later."
    )


def chunk_seconds(pipe: AutomaticSpeechRecognition, sound: np.ndarray) -> list[float]:
    """What a stream takes for each chunk of a recording, from when it gets it to when it asks for the next."""
    took: list[float] = []

    def microphone() -> Iterator[np.ndarray]:
        size = int(CHUNK_SECONDS * SAMPLE_RATE)
        for start in range(0, len(sound), size):
            begin = perf_counter()
            yield sound[start : start + size]
            took.append(perf_counter() - begin)

    for _ in pipe.stream(microphone(), sampling_rate=SAMPLE_RATE):
        pass
    return took
