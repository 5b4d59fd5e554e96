from __future__ import annotations

import math
from pathlib import Path

import pytest

from showtell.errors import InputError
from showtell.scripts.datasets.sphinx import read_sphinx
from showtell.scripts.datasets.spoken_text import is_word


def test_every_ngram_is_read_with_what_the_model_says_of_it(sphinx_file: Path) -> None:
    words, tables = read_sphinx(sphinx_file)
    assert words == ["</s>", "<s>", "cat", "sat", "the"]
    found = {
        tuple(words[number] for number in ngram): (log_prob / math.log(10), backoff / math.log(10))
        for table in tables
        for ngram, log_prob, backoff in zip(table.ngrams, table.log_probs, table.backoffs, strict=True)
    }
    assert found[("cat",)] == pytest.approx((-0.7, -0.2), abs=1e-4)
    assert found["the", "cat"] == pytest.approx((-0.05, -0.4), abs=1e-4)
    assert found["<s>", "the"] == pytest.approx((-0.1, -0.15), abs=1e-4)
    assert found["the", "cat", "sat"] == pytest.approx((-0.01, 0.0), abs=1e-4)
    assert found["<s>", "the", "cat"] == pytest.approx((-0.02, 0.0), abs=1e-4)
    assert [len(table.ngrams) for table in tables] == [5, 3, 2]


@pytest.mark.parametrize("length", [0, 19, 40, 1000, -1])
def test_half_a_file_or_another_one_is_refused(sphinx_file: Path, tmp_path: Path, length: int) -> None:
    (tmp_path / "half.bin").write_bytes(sphinx_file.read_bytes()[:length])
    with pytest.raises(InputError, match=r"half\.bin: this is no trigram model of CMU Sphinx \(.*\.lm\.bin would do"):
        read_sphinx(tmp_path / "half.bin")
    (tmp_path / "text.bin").write_text("Once upon a time")
    with pytest.raises(InputError, match=r"text\.bin"):
        read_sphinx(tmp_path / "text.bin")


def test_a_model_without_the_ends_of_sentences_is_refused(sphinx_file: Path, tmp_path: Path) -> None:
    (tmp_path / "endless.bin").write_bytes(sphinx_file.read_bytes().replace(b"\0<s>\0", b"\0<x>\0"))
    with pytest.raises(InputError, match=r"endless\.bin: .*it does not know <s> and </s>"):
        read_sphinx(tmp_path / "endless.bin")


def test_markers_and_abbreviations_are_no_words() -> None:
    assert is_word("don't") and is_word("a")
    assert not any(map(is_word, ["<s>", "'cause", "u.s.", "two words", "", "A"]))
