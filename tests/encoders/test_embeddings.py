from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest
from gensim.models import FastText, KeyedVectors
from gensim.models.fasttext import save_facebook_model

from showtell.encoders.embeddings import Vectors, read_vectors, trim
from showtell.errors import InputError

WORDS = ["the", "London", "café"]
TABLE = np.arange(12, dtype=np.float32).reshape(3, 4) / 4 + 0.1


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A folder with the same vectors in each format."""
    vectors = KeyedVectors(4)
    vectors.add_vectors(WORDS, TABLE)
    vectors.save_word2vec_format(str(tmp_path / "word2vec.txt"))
    vectors.save_word2vec_format(str(tmp_path / "word2vec.bin"), binary=True)
    shutil.copy(tmp_path / "word2vec.txt", tmp_path / "fasttext.vec")
    rows = (tmp_path / "word2vec.txt").read_text(encoding="utf-8").split("\n", 1)[1]
    (tmp_path / "glove.txt").write_text(rows, encoding="utf-8")
    for name in ("glove.txt", "word2vec.bin"):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    np.save(tmp_path / "table.npy", TABLE)
    (tmp_path / "words.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    "name", ["glove.txt", "glove.txt.gz", "word2vec.txt", "word2vec.bin", "word2vec.bin.gz", "fasttext.vec"]
)
def test_every_format_gives_the_same_words_and_vectors(saved, name):
    words, table = read_vectors(saved / name)
    assert words == WORDS
    assert table.dtype == np.float32
    np.testing.assert_allclose(table, TABLE, atol=1e-6)


def test_a_numpy_table_is_read_with_its_words(saved):
    words, table = read_vectors(saved / "table.npy", words=saved / "words.txt")
    assert words == WORDS
    np.testing.assert_array_equal(table, TABLE)


def test_a_limit_reads_the_most_frequent_words(saved):
    for words, table in (
        read_vectors(saved / "glove.txt", limit=2),
        read_vectors(str(saved / "word2vec.bin"), limit=2),
        read_vectors(saved / "table.npy", words=saved / "words.txt", limit=2),
    ):
        assert (words, table.shape) == (WORDS[:2], (2, 4))


def test_a_fasttext_model_gives_its_words_with_their_n_grams(tmp_path):
    model = FastText([["London", "calling"], ["London", "bridge"]], vector_size=4, min_count=1, epochs=1, bucket=50)
    save_facebook_model(model, str(tmp_path / "model.bin"))
    words, table = read_vectors(tmp_path / "model.bin")
    assert words[0] == "London"
    assert set(words) == {"London", "calling", "bridge"}
    np.testing.assert_allclose(table, np.array([model.wv[word] for word in words]), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.txt", b""),
        ("cut.bin", b"3 4\nthe " + bytes(16)),
        ("cut.txt", b"3 4\nthe 1 2 3 4\n"),
        ("ragged.txt", b"the 1 2 3 4\nof 1 2\n"),
        ("prose.txt", b"This is a text.\nIt has no vectors.\n"),
        ("nan.txt", b"the 1 nan 3 4\n"),
        ("fasttext.bin", (793712314).to_bytes(4, "little") + bytes(20)),
        ("damaged.txt.gz", gzip.compress(b"the 1 2 3 4\n" * 100, mtime=0)[:40]),
    ],
)
def test_a_file_that_holds_no_vectors_is_an_input_error_with_its_name(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=name):
        read_vectors(tmp_path / name)


@pytest.mark.parametrize("path", ["nowhere.txt", "https://example.com/glove.txt", "s3://bucket/glove.txt"])
def test_a_path_where_nothing_is_is_an_input_error_and_nothing_is_fetched(path):
    with pytest.raises(InputError, match="no such file"):
        read_vectors(path)


def test_a_table_that_does_not_fit_its_words_is_an_input_error(saved):
    with pytest.raises(InputError, match="a table has no words"):
        read_vectors(saved / "table.npy")
    (saved / "words.txt").write_text("one\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"its shape is \(3, 4\) and .* has 1 words"):
        read_vectors(saved / "table.npy", words=saved / "words.txt")
    (saved / "table.npy").write_bytes(b"no table")
    with pytest.raises(InputError, match="cannot be read"):
        read_vectors(saved / "table.npy", words=saved / "words.txt")


PRETRAINED: Vectors = (["the", "The", "of", "Paris", "rare"], np.arange(10, dtype=np.float32).reshape(5, 2))


def test_training_words_come_first_and_then_the_most_frequent_others():
    counts = {"cat": 5, "PARIS": 1, "once": 1, "of": 7}
    words, table = trim(PRETRAINED, counts, size=10)
    assert words == ["of", "cat", "paris", "the", "rare"]
    assert trim(PRETRAINED, counts, size=4)[0] == words[:4]
    np.testing.assert_array_equal(table[[2, 4, 5, 6]], [[4, 5], [6, 7], [0, 1], [8, 9]])


def test_padding_is_zero_unknown_the_mean_and_a_word_without_vector_random():
    words, table = trim(PRETRAINED, {"cat": 2, "dog": 2}, size=2)
    assert (words, table.shape, table.dtype) == (["cat", "dog"], (4, 2), np.float32)
    np.testing.assert_array_equal(table[0], [0, 0])
    np.testing.assert_allclose(table[1], PRETRAINED[1].mean(axis=0))
    assert np.abs(table[2:]).max() <= np.sqrt(3 / 2)
    assert not np.array_equal(table[2], table[3])
    np.testing.assert_array_equal(table, trim(PRETRAINED, {"cat": 2, "dog": 2}, size=2)[1])


def test_counts_of_one_form_are_added_up():
    assert trim(PRETRAINED, {"Cat": 1, "cat": 1}, size=1)[0] == ["cat"]
