"""Parquet parts: rows in columns whose types follow from what the task answers, so that all parts have the same."""

from __future__ import annotations

import json
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

import numpy as np

from showtell.errors import MissingExtraError
from showtell.pipelines.base import Pipeline

if TYPE_CHECKING:
    import pyarrow


def require_pyarrow() -> None:
    """Raise `MissingExtraError` where there is no pyarrow."""
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            'Parquet needs pyarrow, which is not installed: pip install "showtell[batch]", or JSON lines, would do.'
        ) from error


def write_parquet(part: Path, spool: Path, answer: Any) -> None:
    """Write the rows of a spool as a table: `id`, `input`, `output`, `error`.

    answer: the type of the answers. An input that is a list of words is written as JSON.
    """
    import pyarrow as pa
    from pyarrow import parquet

    error = pa.struct({"type": pa.string(), "message": pa.string()})
    columns = {"id": pa.string(), "input": pa.string(), "output": arrow_type(answer), "error": error}
    with spool.open("rb") as lines:
        rows = [json.loads(line) if rb"\ud" not in line else printable(json.loads(line)) for line in lines]
    for row in rows:
        if not isinstance(row["input"], str):
            row["input"] = json.dumps(row["input"], ensure_ascii=False)
    parquet.write_table(pa.Table.from_pylist(rows, pa.schema(columns)), part)


def answer_type(pipeline: type[Pipeline[Any, Any]]) -> Any:
    """What a task answers, as its class says: `list[Caption]` where it is a `Pipeline[np.ndarray, list[Caption]]`."""
    for kind in pipeline.__mro__:
        for base in getattr(kind, "__orig_bases__", ()):
            if get_origin(base) is Pipeline:
                return get_args(base)[1]
    raise TypeError(f"{pipeline.__name__} does not say what it answers")


def arrow_type(answer: Any) -> pyarrow.DataType:
    """A type as Parquet knows it. Raises `TypeError` for what it does not."""
    import pyarrow as pa

    plain = {str: pa.string(), float: pa.float64(), int: pa.int64(), bool: pa.bool_()}
    origin, parts = get_origin(answer), get_args(answer)
    if answer in plain:
        return plain[answer]
    if answer is np.ndarray or origin is np.ndarray:
        return pa.struct({"shape": pa.list_(pa.int64()), "values": pa.list_(pa.float32())})
    if is_typeddict(answer):
        return pa.struct({name: arrow_type(kind) for name, kind in get_type_hints(answer).items()})
    if origin in (list, tuple):
        return pa.list_(arrow_type(parts[0]))
    if origin is NotRequired:
        return arrow_type(parts[0])
    if origin is Literal:
        return arrow_type(type(parts[0]))
    if origin in (Union, types.UnionType) and types.NoneType in parts:
        return arrow_type(next(part for part in parts if part is not types.NoneType))
    raise TypeError(f"{answer} has no column type")


def printable(value: Any) -> Any:
    """A row without the halves of characters that JSON may hold and Arrow may not."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, list):
        return [printable(item) for item in value]
    return {name: printable(item) for name, item in value.items()} if isinstance(value, dict) else value
