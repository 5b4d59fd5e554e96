"""Entities are marked in the text as it was written, and nothing in a text is markup or commands a terminal."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from showtell.pipelines.answers import Entity
from showtell.pipelines.report import entities
from showtell.pipelines.report.page import Section, write_report

TEXT = "Ada  Lovelace\nlived in <b>London</b> & Rome."


def entity(word: str, label: str = "PER", score: float = 0.5, text: str = TEXT) -> Entity:
    start = text.index(word)
    return Entity(entity_group=label, score=score, word=word, start=start, end=start + len(word))


ANSWER = [entity("Ada  Lovelace", score=0.987), entity("London", "LOC"), entity("Rome", "LOC")]


class Drawing(HTMLParser):
    """What a drawing shows: its tags, its text without labels, and each mark's label, text and what is told after."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.marks: list[list[str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open.append(tag)
        if tag == "mark":
            self.marks.append([dict(attrs)["data-label"] or "", "", ""])

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "bdi" in self.open:
            self.marks[-1][2] += data
        elif "p" in self.open:
            self.text += data.removesuffix("\xa0") if "mark" in self.open else data
            if "mark" in self.open:
                self.marks[-1][1] += data.removesuffix("\xa0")


def test_a_text_is_drawn_as_it_was_written_its_entities_marked() -> None:
    drawing = Drawing(entities.draw(TEXT, ANSWER))
    assert drawing.text == TEXT
    assert drawing.marks == [
        ["PER", "Ada  Lovelace", "PER 0.99"],
        ["LOC", "London", "LOC 0.50"],
        ["LOC", "Rome", "LOC 0.50"],
    ]
    assert {*drawing.tags} == {"article", "p", "mark", "bdi", "span"}


def test_a_text_without_entities_is_drawn_plain() -> None:
    for text in ("", TEXT):
        drawing = Drawing(entities.draw(text, []))
        assert (drawing.text, drawing.marks) == (text, [])
        assert entities.paint(text, []).plain == text


def test_nothing_of_an_answer_is_markup() -> None:
    hostile = '"><script>alert(1)</script>'
    drawing = Drawing(entities.draw(hostile, [entity(hostile, label=hostile, text=hostile)]))
    assert "script" not in drawing.tags
    assert drawing.marks == [[hostile, hostile, f"{hostile} 0.50"]]


def test_any_text_can_be_written_to_a_page(tmp_path: Path) -> None:
    text = "\0\ud800\x1b[31m\x9b\u202eAda"
    drawing = entities.draw(text, [entity("Ada", text=text)])
    write_report(tmp_path / "report.html", [Section("Names", "Who.", [drawing])])
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "\u2400\ufffd\u241b[31m\ufffd\u202e<mark" in page


def test_a_terminal_shows_each_label_in_a_colour_of_its_own() -> None:
    painted = entities.paint(TEXT, ANSWER)
    assert painted.plain == "Ada  Lovelace PER 0.99\nlived in <b>London LOC 0.50</b> & Rome LOC 0.50."
    styles = [str(span.style) for span in painted.spans]
    assert styles == ["bold underline magenta", "magenta", *["bold underline green", "green"] * 2]
    others = entities.paint(TEXT, [entity("Rome", "CITY")])
    assert entities.OTHER_COLOUR in str(others.spans[0].style)


@given(text=st.text(st.characters() | st.sampled_from("\x1b\x9b\x07\0\ud800")))
def test_no_text_commands_a_terminal(text: str) -> None:
    console = Console(force_terminal=True, color_system=None, width=200)
    with console.capture() as captured:
        console.print(entities.paint(text, []))
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", captured.get())
    captured.get().encode()
