"""Parts: rows of `{"id", "input", "output", "error"}` in JSON lines or Parquet.

Until a part is whole it has another name, and its rows are JSON lines in either format, each written through to the
system when it is answered: a worker that dies loses none.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from showtell.errors import JobError
from showtell.pipelines.jobs.manifest import Record
from showtell.pipelines.jobs.summary import Tally
from showtell.pipelines.json_lines import as_lists, json_line

Format = Literal["jsonl", "parquet"]


class Spool:
    """The rows of a part in the making, in the order of its records."""

    def __init__(self, path: Path, part_format: Format):
        """Go on after the whole rows that are there, which a worker left that died; half a row is cut off."""
        self.path, self.part_format, self.tally = path, part_format, Tally()
        with writing(path):
            self.file = path.open("a+b")
            self.file.seek(0)
            whole = 0
            for line in self.file:
                if line.endswith(b"\n"):
                    whole += len(line)
                    error = json.loads(line)["error"]
                    self.tally.count(error and error["type"])
            self.file.truncate(whole)

    def append(self, record: Record, outcome: Any) -> None:
        """Write the next row: a record with its answer, or with its error."""
        error = outcome if isinstance(outcome, Exception) else None
        row = {
            "id": record.id,
            "input": record.input,
            "output": outcome if error is None else None,
            "error": error and {"type": type(error).__name__, "message": str(error)},
        }
        line = json_line(row, default=as_lists if self.part_format == "jsonl" else as_tensors)
        with writing(self.path):
            self.file.write(line + b"\n")
            self.file.flush()
        self.tally.count(error and type(error).__name__)

    def finish(self, answer: Any) -> Path:
        """Make the part of the rows, through to the disk, and return where it lies.

        answer: the type of the task's answers, by which a Parquet file's columns are typed.
        """
        part = self.path
        if self.part_format == "parquet":
            from showtell.pipelines.jobs.parquet import write_parquet

            part = self.path.with_suffix(".parquet")
            with writing(part):
                write_parquet(part, self.path, answer)
                self.path.unlink()
        with writing(part), part.open("rb+") as file:
            os.fsync(file.fileno())
        return part

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # what could not be written is tried again here, and was told of before
            self.file.close()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Make a `JobError` of what the disk refuses, for want of room or of rights."""
    try:
        yield
    except OSError as error:
        raise JobError(
            f"{path}: this cannot be written ({error.strerror or error}); finished parts stay, and the same command "
            "goes on from them."
        ) from error


def as_tensors(value: Any) -> Any:
    """Arrays for Parquet, whose lists of lists would need to know how deep they are: the shape, then the values."""
    return {"shape": value.shape, "values": value.ravel().tolist()} if isinstance(value, np.ndarray) else value.item()
