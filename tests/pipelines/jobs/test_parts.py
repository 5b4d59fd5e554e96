"""Parts: rows as they are written, in both formats, and spools that go on."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from showtell.errors import JobError, MediaError
from showtell.pipelines import TASKS, pipeline_class
from showtell.pipelines.answers import Caption
from showtell.pipelines.jobs.manifest import Record
from showtell.pipelines.jobs.parquet import answer_type, arrow_type
from showtell.pipelines.jobs.parts import Format, Spool

ANSWER = list[Caption]
CAPTION: Caption = {"generated_text": "ein Hund \u2028 l\u00e4uft", "score": 0.1}


def test_json_lines_hold_answers_and_errors(tmp_path: Path) -> None:
    attention = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    with Spool(tmp_path / "a.jsonl", "jsonl") as spool:
        spool.append(Record("a", "a.jpg", "1 2"), [CAPTION, {**CAPTION, "attention": attention}])
        spool.append(Record("b", "b\udcff.jpg"), MediaError("b.jpg: broken."))
        part = spool.finish(ANSWER)
    first, second = (json.loads(line) for line in part.read_bytes().splitlines())
    assert first == {
        "id": "a",
        "input": "a.jpg",
        "output": [CAPTION, {**CAPTION, "attention": attention.tolist()}],
        "error": None,
    }
    assert second == {
        "id": "b",
        "input": "b\udcff.jpg",  # a name that is not UTF-8 comes back as it was
        "output": None,
        "error": {"type": "MediaError", "message": "b.jpg: broken."},
    }
    assert len(part.read_text(encoding="utf-8").splitlines()) == 2
    assert (spool.tally.records, spool.tally.errors) == (2, {"MediaError": 1})


def test_parquet_holds_typed_answers_and_errors(tmp_path: Path) -> None:
    attention = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    with Spool(tmp_path / "a.jsonl", "parquet") as spool:
        spool.append(Record("a", "a.jpg"), [{**CAPTION, "attention": attention}, CAPTION])
        spool.append(Record("b", "b\udcff.jpg"), MediaError("b.jpg: broken."))
        spool.append(Record("c", ["Ada", "L."]), [])
        part = spool.finish(ANSWER)
    assert [*tmp_path.iterdir()] == [part]
    first, second, third = pyarrow.parquet.read_table(part).to_pylist()
    tensor = first["output"][0].pop("attention")
    assert np.array_equal(np.reshape(tensor["values"], tensor["shape"]), attention)
    assert first == {
        "id": "a",
        "input": "a.jpg",
        "output": [CAPTION, {**CAPTION, "attention": None}],
        "error": None,
    }
    assert second["input"] == r"b\udcff.jpg"
    assert second["error"] == {"type": "MediaError", "message": "b.jpg: broken."}
    assert (third["input"], third["output"]) == ('["Ada", "L."]', [])


def test_all_parquet_parts_have_the_same_columns(tmp_path: Path) -> None:
    schemas = []
    for number, outcome in enumerate([[CAPTION], [], MediaError("broken.")]):
        with Spool(tmp_path / f"{number}.jsonl", "parquet") as spool:
            spool.append(Record("a", "a.jpg"), outcome)
            schemas.append(pyarrow.parquet.read_schema(spool.finish(ANSWER)))
    assert schemas[0] == schemas[1] == schemas[2]


@pytest.mark.parametrize("task", TASKS)
def test_every_task_s_answers_have_columns(task: str) -> None:
    assert arrow_type(answer_type(pipeline_class(task)))


@pytest.mark.parametrize("part_format", ["jsonl", "parquet"])
def test_a_spool_goes_on_after_its_last_whole_row(tmp_path: Path, part_format: Format) -> None:
    path = tmp_path / "a.jsonl"
    with Spool(path, part_format) as spool:
        spool.append(Record("a", "a.jpg"), [])
        spool.append(Record("b", "b.jpg"), MediaError("b.jpg: broken."))
    path.write_bytes(path.read_bytes() + b'{"id": "c", "inp')
    with Spool(path, part_format) as spool:
        assert (spool.tally.records, spool.tally.errors) == (2, {"MediaError": 1})
        spool.append(Record("c", "c.jpg"), [])
    assert [json.loads(line)["id"] for line in path.read_bytes().splitlines()] == ["a", "b", "c"]


def test_what_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="this cannot be written"):
        Spool(tmp_path / "missing" / "a.jsonl", "jsonl")


def test_numbers_of_numpy_are_numbers(tmp_path: Path) -> None:
    for part_format in ("jsonl", "parquet"):
        with Spool(tmp_path / f"{part_format}.jsonl", part_format) as spool:
            spool.append(Record("a", "a.jpg"), [{"generated_text": "a dog", "score": np.float32(0.5)}])
        assert math.isclose(json.loads(spool.path.read_bytes())["output"][0]["score"], 0.5)
