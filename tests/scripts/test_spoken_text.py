from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from showtell.errors import InputError
from showtell.scripts.datasets.spoken_text import read_sentences, spoken_sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, World! It's me.", ["hello world", "it's me"]),
        ("Mr. Smith met Dr. Jones; they left.", ["mr smith met dr jones", "they left"]),
        ("He\u2019s here \u2014 \u201cnow\u201d", ["he's here", "now"]),
        ("a well-known caf\u00e9 & bar", ["a well known cafe and bar"]),
        ("In 1914, 2,500 men<br />went", ["in", "men", "went"]),
        ("'tis the boys' dog", ["tis the boys dog"]),
        ("12 ... ?!", []),
        ("", []),
    ],
)
def test_texts_are_split_as_they_are_spoken(text: str, expected: list[str]) -> None:
    assert [" ".join(words) for words in spoken_sentences(text)] == expected


def test_lines_of_a_book_are_paragraphs_and_others_are_sentences(tmp_path: Path) -> None:
    book, lines = tmp_path / "book.txt", tmp_path / "lines.txt.gz"
    book.write_text("It was the best\nof times\n\n\nit was the worst\n")
    lines.write_bytes(gzip.compress(b"one line\nanother line\n"))
    assert list(read_sentences(book)) == [["it", "was", "the", "best", "of", "times"], ["it", "was", "the", "worst"]]
    assert list(read_sentences(lines)) == [["one", "line"], ["another", "line"]]


def test_json_lines_have_texts_or_captions(tmp_path: Path) -> None:
    file = tmp_path / "metadata.jsonl"
    file.write_text('{"text": "Hello there."}\n{"captions": ["A dog.", "A cat."], "file_name": "a.jpg"}\n')
    assert list(read_sentences(file)) == [["hello", "there"], ["a", "dog"], ["a", "cat"]]


@pytest.mark.parametrize("line", ['{"label": 1}', '{"text": 1}', '{"captions": [1]}'])
def test_a_line_without_text_is_refused(tmp_path: Path, line: str) -> None:
    file = tmp_path / "broken.jsonl"
    file.write_text(f'{{"text": "fine"}}\n{line}\n')
    with pytest.raises(InputError, match="line 2: no text"):
        list(read_sentences(file))
