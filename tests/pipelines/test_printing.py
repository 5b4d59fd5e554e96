"""Answers are printed for people, for programs and for players, and an error never passes for an answer."""

from __future__ import annotations

import json

import pytest
from rich.text import Text

from showtell.pipelines.printing import Format, Rows, show

GIVEN = ["a.jpg", "b\udcff[bold].jpg", "c.jpg"]
ANSWERS = [["one", "two"], ValueError("bad [red]"), ["three\n\x1b[5m  four"]]


def in_words(answer: list[str]) -> list[tuple[str, float]]:
    return [(words, 0.5) for words in answer]


def printed(capsys: pytest.CaptureFixture[str], format: Format | None, **painting: object) -> tuple[str, str]:
    rows = Rows(GIVEN, ANSWERS)
    show(rows, format, in_words, **painting)  # pyright: ignore[reportArgumentType]
    assert rows.failed
    out, err = capsys.readouterr()
    return out, err


def test_a_table_shows_answers_and_errors(capsys: pytest.CaptureFixture[str]) -> None:
    rows = Rows(GIVEN, [*ANSWERS[:2], ["three"]])
    show(rows, None, in_words)
    assert rows.failed
    out = capsys.readouterr().out
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines() if line.startswith("│")]
    assert cells == [
        ["a.jpg", "one", "0.50"],
        ["", "two", "0.50"],
        ["b\\udcff[bold].jpg", "bad [red]", ""],
        ["c.jpg", "three", "0.50"],
    ]


def test_text_is_a_line_for_each_input_whatever_it_holds(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = printed(capsys, "text")
    assert out.split("\n") == ["one\ttwo", "", "three ␛[5m four", ""]
    assert err == "bad [red]\n"


def test_json_has_an_answer_or_an_error_for_each_input(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = printed(capsys, "json")
    first, second, third = [json.loads(line) for line in out.splitlines()]
    assert first == {"input": "a.jpg", "output": ["one", "two"]}
    assert second == {"input": GIVEN[1], "error": {"type": "ValueError", "message": "bad [red]"}}
    assert third["output"] == ANSWERS[2]
    assert err == ""


def test_what_can_be_painted_is_painted_unless_a_format_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    def paint(given: str, answer: list[str]) -> Text:
        return Text(f"{len(given)} {len(answer)}")

    out, _ = printed(capsys, None, paint=paint)
    assert out.splitlines() == ["5 2", "bad [red]", "5 1"]
    out, _ = printed(capsys, "text", paint=paint)
    assert out.startswith("one\ttwo")


def test_subtitles_of_an_error_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    rows = Rows(["a.wav"], [ValueError("no sound")])
    show(rows, "vtt", in_words)
    assert rows.failed
    assert capsys.readouterr() == ("", "no sound\n")


def test_rows_come_as_they_are_answered() -> None:
    rows = Rows(iter("ab"), iter([1, ValueError()]))
    (first, second), failed = zip(*((row, rows.failed) for row in rows), strict=True)
    assert (first, failed) == (("a", 1), (False, True))
    assert isinstance(second[1], ValueError)
