from __future__ import annotations

import gzip
import json
import lzma
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from showtell.errors import InputError
from showtell.pipelines.media.text import join_words
from showtell.scripts.datasets.conll import (
    Entity,
    MarkedText,
    TaggedSentence,
    bio_tags,
    read_conll,
    read_marked_texts,
)

TWO_COLUMNS = """-DOCSTART- O

EU B-ORG
rejects O

Peter B-PER
Blackburn I-PER

-DOCSTART- O

London B-LOC
"""
SENTENCES = [
    TaggedSentence(("EU", "rejects"), ("B-ORG", "O"), 0),
    TaggedSentence(("Peter", "Blackburn"), ("B-PER", "I-PER"), 0),
    TaggedSentence(("London",), ("B-LOC",), 1),
]


def written(tmp_path: Path, content: str | bytes, name: str = "dev.txt") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    "content",
    [
        TWO_COLUMNS,
        TWO_COLUMNS.replace("\n", "\r\n"),
        TWO_COLUMNS.strip(),
        "\ufeff" + TWO_COLUMNS,
        TWO_COLUMNS.replace("\n\n", "\n  \n\n"),
        TWO_COLUMNS.replace(" ", "\t"),
        TWO_COLUMNS.replace(" ", " NN I-NP "),
    ],
)
def test_sentences_and_documents_are_read_from_any_columns(tmp_path, content):
    assert read_conll(written(tmp_path, content)) == SENTENCES


def test_a_compressed_file_is_read(tmp_path):
    assert read_conll(written(tmp_path, gzip.compress(TWO_COLUMNS.encode()), "dev.txt.gz")) == SENTENCES
    assert read_conll(written(tmp_path, lzma.compress(TWO_COLUMNS.encode()), "dev.txt.xz")) == SENTENCES


def test_columns_may_be_chosen(tmp_path):
    path = written(tmp_path, "1\tEU\tB-ORG\t_\n2\tVU\xa0X\tO\t_\n")
    assert read_conll(path, word_column=1, tag_column=2) == [TaggedSentence(("EU", "VU\xa0X"), ("B-ORG", "O"))]


def test_tags_of_every_scheme_are_handed_on_as_they_are(tmp_path):
    sentence = read_conll(written(tmp_path, "a I-PER\nb E-PER\nc S-creative-work\nd L-X\ne U-X\n"))[0]
    assert sentence.tags == ("I-PER", "E-PER", "S-creative-work", "L-X", "U-X")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("London", "1 columns, and 2 before"),
        ("London B-LOC extra", "3 columns, and 2 before"),
        ("London LOC", "no word with its tag"),
        ("London B-", "no word with its tag"),
        ("London X-LOC", "no word with its tag"),
    ],
)
def test_a_broken_line_is_an_input_error_with_its_number(tmp_path, line, problem):
    with pytest.raises(InputError, match=rf"dev\.txt, line 3: .*{problem}"):
        read_conll(written(tmp_path, f"EU B-ORG\n\n{line}\n"))


def test_columns_that_are_not_there_are_an_input_error(tmp_path):
    with pytest.raises(InputError, match="line 1: it has 2 columns"):
        read_conll(written(tmp_path, TWO_COLUMNS.split("\n\n")[1]), tag_column=3)
    with pytest.raises(InputError, match="line 1: no word with its tag"):
        read_conll(written(tmp_path, "EU\n"))
    with pytest.raises(InputError, match="line 2: no word with its tag"):
        read_conll(written(tmp_path, "EU\tO\n\tO\n"))


def test_a_file_that_is_no_text_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="line 2: it is not UTF-8"):
        read_conll(written(tmp_path, b"EU O\ncaf\xe9 O\n"))
    with pytest.raises(InputError, match="the file is damaged"):
        read_conll(written(tmp_path, gzip.compress(TWO_COLUMNS.encode())[:-9], "dev.txt.gz"))
    with pytest.raises(InputError, match="the file is damaged"):
        read_conll(written(tmp_path, TWO_COLUMNS, "dev.txt.xz"))
    with pytest.raises(InputError, match="no sentences"):
        read_conll(written(tmp_path, "\n\n"))
    with pytest.raises(InputError, match="no such file"):
        read_conll(tmp_path)


def marked(text: str, *entities: tuple[int, int, str]) -> str:
    return json.dumps({"text": text, "entities": [{"start": a, "end": b, "type": t} for a, b, t in entities]})


def test_running_text_is_read_with_its_entities_in_order(tmp_path):
    path = written(tmp_path, marked("Ada in Rome", (7, 11, "LOC"), (0, 3, "PER")) + "\n\n" + marked(""), "dev.jsonl")
    expected = [MarkedText("Ada in Rome", (Entity(0, 3, "PER"), Entity(7, 11, "LOC"))), MarkedText("", ())]
    assert read_marked_texts(path) == expected


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"text": "a"}', "no text with entities"),
        ('{"text": 5, "entities": []}', "no text with entities"),
        ('{"text": "a", "entities": [{"start": 0}]}', "no text with entities"),
        ('{"text": "a", "entities": [{"start": "x", "end": 1, "type": "PER"}]}', "no text with entities"),
        (marked("Ada", (0, 4, "PER")), "the entity from 0 to 4"),
        (marked("Ada", (1, 1, "PER")), "the entity from 1 to 1"),
        (marked("Ada", (-1, 1, "PER")), "the entity from -1 to 1"),
        (marked("Ada B", (0, 3, "PER"), (2, 5, "PER")), "the entity from 2 to 5"),
    ],
)
def test_a_broken_line_of_running_text_is_an_input_error_with_its_number(tmp_path, line, problem):
    with pytest.raises(InputError, match=rf"dev\.jsonl, line 2: .*{problem}"):
        read_marked_texts(written(tmp_path, f"{marked('a')}\n{line}\n", "dev.jsonl"))


def test_entities_become_tags_of_the_words_that_they_cover():
    words = join_words(["Ada", "Lovelace", "in", "Rome", "."])
    entities = [Entity(0, 12, "PER"), Entity(16, 20, "LOC")]
    assert bio_tags(words.offsets, entities) == ["B-PER", "I-PER", "O", "B-LOC", "O"]
    assert bio_tags(words.offsets, [Entity(5, 6, "PER")]) == ["O", "B-PER", "O", "O", "O"]
    assert bio_tags(words.offsets, [Entity(0, 3, "A"), Entity(4, 12, "A")])[:2] == ["B-A", "B-A"]
    assert bio_tags([], entities) == []


@given(st.lists(st.sampled_from(["O", "B-PER", "B-LOC"]), max_size=12))
def test_entities_of_whole_words_are_found_again_in_the_tags(tags):
    words = join_words(["ab"] * len(tags))
    entities = [Entity(*offset, tag[2:]) for offset, tag in zip(words.offsets, tags, strict=True) if tag != "O"]
    assert bio_tags(words.offsets, entities) == tags
