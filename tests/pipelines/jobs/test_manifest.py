"""Manifests: their records in order, and what is wrong with one that is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pytest
from pyarrow import parquet

from showtell.errors import JobError, MissingExtraError
from showtell.pipelines.jobs.manifest import Manifest, Record


def manifest(source: object, *, reads_text: bool = False, output: Path = Path("output")) -> Manifest:
    return Manifest(str(source), reads_text=reads_text, output=output)


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def write_table(folder: Path, name: str = "list.parquet", **columns: Any) -> Path:
    parquet.write_table(pa.table(columns), folder / name)
    return folder / name


def test_json_lines_csv_and_parquet_give_the_same_records(tmp_path: Path) -> None:
    texts, ids = ["one, two", 'say "x"', "\u00fcber\nzwei"], ["a", "b", "7"]
    lines = "\n\n".join(json.dumps({"id": key, "input": text, "more": 1}) for key, text in zip(ids, texts, strict=True))
    sources = [
        write(tmp_path, "list.jsonl", "\ufeff" + lines),
        write(tmp_path, "list.CSV", '\ufeffmore,input,id\n1,"one, two",a\r\n1,"say ""x""",b\n1,"\u00fcber\nzwei",7'),
        write_table(tmp_path, more=[1, 1, 1], input=texts, id=ids),
    ]
    for source in sources:
        assert [*manifest(source, reads_text=True)] == [Record(*pair) for pair in zip(ids, texts, strict=True)]


def test_a_record_without_an_id_has_its_place(tmp_path: Path) -> None:
    lines = write(tmp_path, "list.jsonl", '{"input": "a"}\n{"input": "b", "id": 12}\n{"input": "c", "id": ""}')
    assert [record.id for record in manifest(lines)] == ["0", "12", "2"]
    table = write_table(tmp_path, input=["a", "b"], id=pa.array([None, 5]))
    assert [record.id for record in manifest(table)] == ["0", "5"]


def test_a_manifest_is_read_anew_and_lazily(tmp_path: Path) -> None:
    source = manifest(write(tmp_path, "list.jsonl", '{"input": "a"}\n{"input": "b"}\nbroken'))
    for _ in range(2):
        records = iter(source)
        assert [next(records).input, next(records).input] == ["a", "b"]
        with pytest.raises(JobError, match="line 3"):
            next(records)


def test_a_folder_gives_all_its_files_but_hidden_ones_and_the_job_s_own(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.jpg", "sub/d.jpg", "sub/c.txt", ".hidden", ".git/x", "out/part-00000.jsonl"):
        write(tmp_path, name, name)
    (tmp_path / "sub" / "round").symlink_to(tmp_path)
    (tmp_path / "sub" / "nowhere.jpg").symlink_to(tmp_path / "missing")
    names = ["a.jpg", "b.jpg", "sub/c.txt", "sub/d.jpg", "sub/nowhere.jpg"]
    found = [*manifest(tmp_path, output=tmp_path / "out")]
    assert [record.id for record in found] == names
    assert [record.input for record in found] == [str(tmp_path / name) for name in names]


def test_a_glob_gives_the_files_that_match(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("x/b.jpg", "x/y/a.jpg", "x/a.txt", "x/out/part-00000.jpg"):
        write(tmp_path, name, name)
    found = [*manifest(tmp_path / "x" / "**" / "*.jpg", output=tmp_path / "x" / "out")]
    assert [record.id for record in found] == ["b.jpg", "y/a.jpg"]
    monkeypatch.chdir(tmp_path)
    assert [*manifest("x/**/*.jpg", output=Path("x/out"))] == found
    literal = write(tmp_path, "list[1].jsonl", '{"input": "a"}')
    assert [record.input for record in manifest(literal)] == ["a"]


def test_a_file_that_changes_is_another_record(tmp_path: Path) -> None:
    file = write(tmp_path, "a.jpg", "one")
    before = [*manifest(tmp_path)]
    assert [*manifest(tmp_path)] == before
    os.utime(file, (1, 1))
    assert [*manifest(tmp_path)] != before


def test_paths_are_looked_for_from_the_manifest_s_folder(tmp_path: Path) -> None:
    source = manifest(write(tmp_path, "list.jsonl", '{"input": "a"}'))
    assert source.locate("photos/a.jpg") == str(tmp_path / "photos" / "a.jpg")
    assert source.locate("/photos/a.jpg") == "/photos/a.jpg"
    assert source.locate("https://example.org/a.jpg") == "https://example.org/a.jpg"  # which the pipeline refuses
    assert manifest(source.source, reads_text=True).locate("a text") == "a text"


def test_words_are_an_input_where_text_is(tmp_path: Path) -> None:
    lines = write(tmp_path, "list.jsonl", '{"input": ["Ada", "Lovelace"]}')
    assert [record.input for record in manifest(lines, reads_text=True)] == [["Ada", "Lovelace"]]
    with pytest.raises(JobError, match="a path would do"):
        list(manifest(lines))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("list.jsonl", '{"input": "a"}\n' * 16 + '{"input": "b', r"list\.jsonl: line 17: this is no JSON"),
        ("list.jsonl", '{"text": "a"}', r"line 1: the columns are \['text'\]; 'input', and perhaps 'id', would do"),
        ("list.jsonl", '["a"]', "line 1: this is JSON but no object"),
        ("list.jsonl", '{"input": 5}', "line 1: 'input' is 5"),
        ("list.jsonl", '{"input": "a", "id": 1.5}', r"line 1: 'id' is 1\.5; text or a whole number would do"),
        ("list.jsonl", b'{"input": "\xff"}', "line 1: this is no JSON in UTF-8"),
        ("list.csv", "text,id\na,b\n", r"line 1: the columns are \['text', 'id'\]"),
        ("list.csv", "", r"line 1: the columns are \[\]"),
        ("list.csv", "id,input\n1,Slow, but worth it\n", "line 2: it has not as many cells as line 1"),
        ("list.csv", "id,input\n1,a\n2\n", "line 3: it has not as many cells"),
        ("list.csv", 'id,input\n1,"a"b\n', "line 2: this is no CSV"),
        ("list.csv", b"input\n\xff\n", "this is no text in UTF-8"),
        ("list.parquet", "no parquet", r"list\.parquet: .*[Pp]arquet"),
    ],
)
def test_a_manifest_that_is_wrong_says_where(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    with pytest.raises(JobError, match=message):
        list(manifest(write(tmp_path, name, content)))


def test_a_table_that_is_wrong_says_where(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"the columns are \['text'\]"):
        list(manifest(write_table(tmp_path, text=["a"])))
    with pytest.raises(JobError, match="row 2: 'input' is None"):
        list(manifest(write_table(tmp_path, input=["a", None])))


def test_what_is_no_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="there is no such file or folder"):
        manifest(tmp_path / "missing.jsonl")
    with pytest.raises(JobError, match="the name does not tell"):
        manifest(write(tmp_path, "list.txt", "a"))
    with pytest.raises(JobError, match="this task reads texts, not files"):
        manifest(tmp_path, reads_text=True)


def test_a_manifest_at_an_address_and_its_files_are_read_there() -> None:
    files = fsspec.filesystem("memory")
    files.pipe({"/set/list.jsonl": b'{"input": "a.jpg"}\n', "/set/a.jpg": b"pixels", "/set/.b": b"", "/set/c/d": b"d"})
    source = manifest("memory://set/list.jsonl")
    [record] = source
    file = source.locate(record.input)
    assert (file.name, file.read(3), file.read(), file.read()) == ("memory:///set/a.jpg", b"pix", b"els", b"")
    assert source.locate("memory:///set/a.jpg").read() == b"pixels"
    assert source.locate("https://example.org/a.jpg") == "https://example.org/a.jpg"
    everything = manifest("memory://set")
    assert [record.id for record in everything] == ["a.jpg", "c/d", "list.jsonl"]
    assert [everything.locate(record.input).read(1) for record in everything] == [b"p", b"d", b"{"]
    assert [record.id for record in manifest("memory://set/*.jpg")] == ["a.jpg"]
    before = [*manifest("memory://set/*.jpg")]
    files.pipe("/set/a.jpg", b"other pixels")
    assert [*manifest("memory://set/*.jpg")] != before


def test_an_address_that_cannot_be_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(JobError, match="no address that fsspec knows"):
        manifest("nonsense://a.jsonl")
    with pytest.raises(JobError, match="there is no such file or folder"):
        manifest("memory://nothing.jsonl")
    monkeypatch.setitem(__import__("sys").modules, "fsspec.core", None)
    with pytest.raises(MissingExtraError, match=r"showtell\[batch\]"):
        manifest("memory://set/list.jsonl")
