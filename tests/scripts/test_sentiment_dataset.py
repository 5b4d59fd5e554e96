from __future__ import annotations

import lzma
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from showtell.errors import InputError
from showtell.scripts.datasets.sentiment import LabelledText, read_imdb, read_labelled, read_trees

TREE = "(3 (2 (2 Not) (1 bad)) (2 .))"
EXPECTED = [LabelledText("Not bad", "positive"), LabelledText("So, so", "negative")]


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


JSON = '{"text": "Not bad", "label": "positive"}\n\n{"label": "negative", "text": "So, so", "id": 2}\n'
CSV = 'id,label,text\n1,positive,Not bad\n\n2,negative,"So, so"\n'
TSV = "text\tlabel\nNot bad\tpositive\nSo, so\tnegative\n"


@pytest.mark.parametrize(
    ("name", "content"), [("a.jsonl", JSON), ("a.csv", CSV), ("a.tsv", TSV), ("a.csv", "\ufeff" + CSV)]
)
def test_json_lines_and_tables_are_read_plain_or_compressed(tmp_path, name, content):
    assert read_labelled(written(tmp_path, name, content)) == EXPECTED
    assert read_labelled(str(written(tmp_path, f"{name}.xz", lzma.compress(content.encode())))) == EXPECTED


def test_labels_may_be_numbers(tmp_path):
    assert read_labelled(written(tmp_path, "a.jsonl", '{"text": "", "label": 0}')) == [LabelledText("", "0")]


def test_a_field_in_quotes_may_have_lines_and_errors_still_name_theirs(tmp_path):
    path = written(tmp_path, "a.csv", 'text,label\n"a\nb",1\n"c ""d""",2\n')
    assert read_labelled(path) == [LabelledText("a\nb", "1"), LabelledText('c "d"', "2")]
    with pytest.raises(InputError, match=r"a\.csv, line 4: 3 columns, and 2 in the head"):
        read_labelled(written(tmp_path, "a.csv", 'text,label\n"a\nb",1\nc,2,3\n'))


def test_a_tree_is_read_as_its_sentence_and_as_its_phrases(tmp_path):
    path = written(tmp_path, "dev.txt", f"{TREE}\n\n{TREE}\n")
    assert read_labelled(path) == read_trees(path) == [LabelledText("Not bad .", "3")] * 2
    phrases = [("Not", "2"), ("bad", "1"), ("Not bad", "2"), (".", "2"), ("Not bad .", "3")]
    assert read_trees(path, phrases=True) == [LabelledText(*phrase) for phrase in phrases]


def test_words_of_a_tree_are_written_as_people_do(tmp_path):
    path = written(tmp_path, "dev.txt", r"(2 (2 (2 -LRB-) (2 ``)) (2 (2 AC\/DC) (2 (2 '') (2 -RRB-))))")
    assert read_trees(path)[0].text == '( " AC/DC " )'


@pytest.mark.parametrize(
    "line", ["(3", "3", "(3 (2 a) (3 b)) (1 c)", "(3 a))", "((3 a))", "(3)", "(3 (2 a)", "a (3 b)", "(x a)", "()", ")"]
)
def test_a_broken_tree_is_an_input_error_with_its_line(tmp_path, line):
    with pytest.raises(InputError, match=r"dev\.txt, line 2: this is no tree"):
        read_trees(written(tmp_path, "dev.txt", f"{TREE}\n{line}\n"))


words = st.sampled_from(["a", "b1", "'s", "é", "."])
trees = st.recursive(
    st.tuples(st.integers(0, 4), words), lambda parts: st.tuples(st.integers(0, 4), parts, parts), max_leaves=12
)


def bracketed(tree: tuple) -> str:
    label, *parts = tree
    return f"({label} {' '.join(part if isinstance(part, str) else bracketed(part) for part in parts)})"


def leaves(tree: tuple) -> list[str]:
    return [leaf for part in tree[1:] for leaf in ([part] if isinstance(part, str) else leaves(part))]


@given(trees)
def test_any_tree_is_read_back(tmp_path_factory, tree):
    path = written(tmp_path_factory.getbasetemp(), "tree.txt", bracketed(tree))
    assert read_trees(path) == [LabelledText(" ".join(leaves(tree)), str(tree[0]))]


def test_the_folders_of_imdb_are_read_in_order(tmp_path):
    written(tmp_path, "pos/1_9.txt", "Great.<br />")
    written(tmp_path, "neg/0_2.txt", "Bad")
    written(tmp_path, "neg/1_1.txt", "Worse")
    written(tmp_path, "unsup/0_0.txt", "Who knows")
    expected = [
        LabelledText("Bad", "negative"),
        LabelledText("Worse", "negative"),
        LabelledText("Great.<br />", "positive"),
    ]
    assert read_labelled(tmp_path) == read_imdb(str(tmp_path)) == expected


def test_a_folder_or_review_that_is_not_right_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="no folder 'neg'"):
        read_imdb(tmp_path)
    (tmp_path / "neg").mkdir()
    (tmp_path / "pos").mkdir()
    with pytest.raises(InputError, match="is empty"):
        read_imdb(tmp_path)
    written(tmp_path, "pos/7_9.txt", b"caf\xe9")
    with pytest.raises(InputError, match=r"7_9\.txt: it cannot be read"):
        read_imdb(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.jsonl", '{"text": "a", "label": 1}\n{"text": "a"', r"a\.jsonl, line 2: not JSON"),
        ("a.jsonl", '{"text": "a"}', r"a\.jsonl, line 1: no text with its label"),
        ("a.jsonl", '{"text": "a", "label": null}', "line 1: no text with its label"),
        ("a.jsonl", '{"text": ["a"], "label": 1}', "line 1: no text with its label"),
        ("a.jsonl", "", "is empty"),
        ("a.csv", "text,mood\na,1\n", "line 1: its columns are"),
        ("a.csv", "text,label\na,\n", "line 2: no text with its label"),
        ("a.csv", 'text,label\n"a,1\n', r"line 2: it cannot be read as a table"),
        ("a.csv", "text,label\n", "is empty"),
        ("a.parquet", "PAR1", "its name tells no known form"),
        ("a.jsonl.xz", "{}", "the file is damaged"),
    ],
)
def test_what_is_broken_is_an_input_error_that_names_it(tmp_path, name, content, problem):
    with pytest.raises(InputError, match=problem):
        read_labelled(written(tmp_path, name, content))


def test_a_file_that_is_not_there_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_labelled(tmp_path / "nowhere.jsonl")
