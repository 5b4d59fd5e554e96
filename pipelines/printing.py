"""Answers on standard output: a table, texts that are painted, plain lines, JSON lines, or subtitles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from showtell.pipelines.json_lines import json_line
from showtell.pipelines.media.text import printable
from showtell.pipelines.subtitles import to_srt, to_vtt

Format = Literal["text", "json", "srt", "vtt"]
SUBTITLES = {"srt": to_srt, "vtt": to_vtt}
Words = Callable[[Any], list[tuple[str, float]]]
"""Gives the parts of an answer, in words, with their scores."""


class Rows:
    """What was given, each with its answer or its error, as they come; `failed` if any that came was an error."""

    def __init__(self, given: Iterable[str], answers: Iterable[Any]):
        self.pairs = zip(given, answers, strict=True)
        self.failed = False

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        for given, answer in self.pairs:
            self.failed |= isinstance(answer, Exception)
            yield given, answer


def show(rows: Rows, format: Format | None, in_words: Words, paint: Callable[[str, Any], Text] | None = None) -> None:
    """Print answers in a format; None is for a terminal: painted in what was given, if they can be, or a table."""
    match format:
        case "text":
            print_text(rows, in_words)
        case "json":
            print_json(rows)
        case "srt" | "vtt":
            print_subtitles(rows, SUBTITLES[format])
        case None if paint:
            print_painted(rows, paint)
        case None:
            print_table(rows, in_words)


def print_table(rows: Rows, in_words: Words) -> None:
    """A table for a terminal; an error stands in its answer's place."""
    table = Table("input", "answer", "score")
    for given, answer in rows:
        name = printable(given.encode(errors="backslashreplace").decode())  # a file's name need not be UTF-8
        if isinstance(answer, Exception):
            table.add_row(Text(name), red(answer), "")
            continue
        for words, score in in_words(answer):
            table.add_row(Text(name), Text(words), f"{score:.2f}")
            name = ""
    if table.rows:
        Console().print(table)


def print_painted(rows: Rows, paint: Callable[[str, Any], Text]) -> None:
    """Texts for a terminal, each with its answer painted in it by `paint`, or its error."""
    for given, answer in rows:
        Console().print(red(answer) if isinstance(answer, Exception) else paint(given, answer))


def print_json(rows: Rows) -> None:
    """A line of JSON for each input: `input`, and `output` or `error`."""
    for given, answer in rows:
        if isinstance(answer, Exception):
            outcome = {"error": {"type": type(answer).__name__, "message": str(answer)}}
        else:
            outcome = {"output": answer}
        print(json_line({"input": given, **outcome}).decode(), flush=True)


def print_text(rows: Rows, in_words: Words) -> None:
    """The words alone, a line for each input, its parts between tabs. An error leaves its line empty."""
    for _, answer in rows:
        parts = []
        if isinstance(answer, Exception):
            complain(answer)
        else:
            parts = [printable(" ".join(words.split())) for words, _ in in_words(answer)]
        print("\t".join(parts), flush=True)


def print_subtitles(rows: Rows, write: Callable[[Any], str]) -> None:
    """A file of subtitles, which `write` makes of an answer's words."""
    for _, answer in rows:
        if isinstance(answer, Exception):
            complain(answer)
        else:
            print(write(answer["chunks"]), end="")


def complain(error: Exception) -> None:
    """Print an error on standard error, as one line."""
    Console(stderr=True).print(red(error), soft_wrap=True)


def red(error: Exception) -> Text:
    """An error for a terminal."""
    return Text(str(error), style="red")
