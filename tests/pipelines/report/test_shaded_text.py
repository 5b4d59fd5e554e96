"""A classified text is drawn as it was written, each word shaded by its weight, and nothing in it is markup."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

from showtell.pipelines.media.text import split_words, word_splitter
from showtell.pipelines.report import shaded_text
from showtell.pipelines.report.page import Section, write_report

TEXT = "Slow,  but\n <b>worth</b> it & more."


class Drawing(HTMLParser):
    """What a drawing holds: its tags, the text of the classified text, and its marked words with their strengths."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.marks: list[tuple[str, float]] = []
        self.inside = False
        self.strength: float | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        attributes = dict(attrs)
        self.inside |= attributes.get("class") == "text"
        if tag == "mark":
            self.strength = float((attributes["style"] or "").removeprefix("--weight:"))

    def handle_endtag(self, tag: str) -> None:
        self.inside &= tag != "p"
        if tag == "mark":
            self.strength = None

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.text += data
        if self.strength is not None:
            self.marks.append((data, self.strength))


def answer(text: str, weights: dict[str, float] | None = None) -> list[dict[str, object]]:
    """Two labels. Words have the weights given, or the same share of what is left, if weights are given."""
    labels: list[dict[str, object]] = [{"label": "positive", "score": 0.931}, {"label": "<neutral>", "score": 0.069}]
    if weights is not None:
        words = split_words(text, word_splitter())
        even = (1 - sum(weights.values())) / (len(words.words) - len(weights) or 1)
        labels[0]["attention"] = [
            {"word": word, "start": start, "end": end, "weight": weights.get(word, even)}
            for word, (start, end) in zip(words.words, words.offsets, strict=True)
        ]
    return labels


@pytest.mark.parametrize("weights", [None, {}, {"worth": 0.7, "but": 0.2}])
def test_the_text_stands_as_it_was_written(weights: dict[str, float] | None) -> None:
    drawing = Drawing(shaded_text.draw(TEXT, answer(TEXT, weights)))
    assert drawing.text == TEXT
    assert "b" not in drawing.tags


def test_words_are_shaded_by_their_weight_and_what_has_next_to_none_is_not() -> None:
    drawing = Drawing(shaded_text.draw(TEXT, answer(TEXT, {"worth": 0.65, "but": 0.325})))
    assert drawing.marks == [("but", 0.5), ("worth", 1.0)]


def test_where_all_words_weigh_the_same_none_stands_out() -> None:
    drawing = Drawing(shaded_text.draw(TEXT, answer(TEXT, {})))
    assert {strength for _, strength in drawing.marks} == {0.25}


def test_without_attention_nothing_is_shaded_and_labels_come_with_their_scores() -> None:
    html = shaded_text.draw(TEXT, answer(TEXT))
    assert "mark" not in Drawing(html).tags
    assert "positive" in html and "score 0.93" in html
    assert "&lt;neutral&gt; <span>0.07</span>" in html


def test_half_a_character_does_not_keep_the_page_from_being_written(tmp_path: Path) -> None:
    text = "good \ud83d $sections"
    drawing = shaded_text.draw(text, answer(text, {}))
    write_report(tmp_path / "report.html", [Section("Sentiment", "Shaded.", [drawing])])
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert Drawing(page).text == "good \ufffd $sections"
