"""The manifest: a job's records in order, read anew whenever they are asked for, so that none need be kept.

It is a JSONL, CSV or Parquet file with a column `input` and perhaps `id`, or all files of a folder or of a glob.
"""

from __future__ import annotations

import csv
import glob
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from showtell.errors import JobError, MissingExtraError
from showtell.pipelines.jobs.parquet import require_pyarrow
from showtell.pipelines.jobs.storage import Disk, Remote, is_address

ACCEPTED = "a .jsonl, .csv or .parquet manifest, a folder of media files or a quoted glob of them would do"


class Record(NamedTuple):
    """One input of a job.

    id: unique in the job: the manifest's, or the record's place from 0; of a file that was found, its name below
        the folder.
    input: a path or an address, or for a task that reads text the text itself, or the list of its words.
    version: by which a file that was found is known again, should it change.
    """

    id: str
    input: Any
    version: str = ""


class Row(NamedTuple):
    """A row of a manifest, and where it stands, such as "line 17"."""

    where: str
    values: Mapping[str, Any]


class Manifest:
    """The records of `source`, in an order that stays; iterate it as often as needed."""

    def __init__(self, source: str, *, reads_text: bool, output: Path):
        """Look at what `source` is; raise `JobError` if it is nothing that a job can read.

        reads_text: an input is a text and no file. output: the job's own, which is never its input.
        """
        self.storage = Remote(source) if is_address(source) else Disk(output)
        self.source, self.reads_text = self.storage.whole(source), reads_text
        try:
            exists, is_folder = self.storage.exists(self.source), self.storage.is_folder(self.source)
        except Exception as error:  # each file system has errors of its own
            raise JobError(f"{source}: this cannot be reached ({error}); {ACCEPTED}.") from error
        is_glob = not exists and glob.has_magic(source)
        kind = Path(source).suffix.lower()
        if not exists and not is_glob:
            raise JobError(f"{source}: there is no such file or folder; {ACCEPTED}.")
        if reads_text and (is_folder or is_glob):
            raise JobError(f"{source}: this task reads texts, not files; a .jsonl, .csv or .parquet manifest would do.")
        if not (is_folder or is_glob or kind in READERS):
            raise JobError(f"{source}: the name does not tell what kind of manifest this is; {ACCEPTED}.")
        self.rows = None if is_folder or is_glob else READERS[kind]
        self.find = self.storage.files if is_folder else self.storage.matches

    def __iter__(self) -> Iterator[Record]:
        """All records, from the first. Raises `JobError` where they cannot be read, naming the row."""
        try:
            yield from self.found() if self.rows is None else self.listed(self.rows)
        except MissingExtraError:
            raise
        except Exception as error:  # of a row, of the file system, of the disk, of pyarrow
            raise JobError(f"{self.source}: {str(error).rstrip('.')}.") from error

    def found(self) -> Iterator[Record]:
        """A record for each file that is there."""
        for file in self.find(self.source):
            yield Record(file.name, file.path, file.version)

    def listed(self, rows: Callable[[BinaryIO], Iterator[Row]]) -> Iterator[Record]:
        """A record for each row of the manifest."""
        with self.storage.open(self.source) as stream:
            for place, row in enumerate(rows(stream)):
                yield self.record(place, row)

    def record(self, place: int, row: Row) -> Record:
        """A row as a record. Raises `ValueError` that says what is wrong with it."""
        given, known = row.values["input"], row.values.get("id")
        is_words = isinstance(given, list) and self.reads_text and all(isinstance(word, str) for word in given)
        if not isinstance(given, str) and not is_words:
            accepted = "a text, or a list of its words," if self.reads_text else "a path"
            raise ValueError(f"{row.where}: 'input' is {given!r}; {accepted} would do")
        if known is None or known == "":
            known = place
        if not isinstance(known, str | int) or isinstance(known, bool):
            raise ValueError(f"{row.where}: 'id' is {known!r}; text or a whole number would do")
        return Record(str(known), given)

    def locate(self, given: Any) -> Any:
        """What the pipeline is given for a record's input: a file is looked for from the manifest's folder."""
        return given if self.reads_text else self.storage.source(self.storage.above(self.source), given)


def require_input(columns: Iterable[str], where: str) -> None:
    """Raise `ValueError` if a manifest names no inputs."""
    columns = list(columns)
    if "input" not in columns:
        raise ValueError(f"{where}: the columns are {columns}; 'input', and perhaps 'id', would do")


def read_jsonl(stream: BinaryIO) -> Iterator[Row]:
    """An object a line; empty lines are passed over."""
    for number, line in enumerate(stream, start=1):
        where = f"line {number}"
        if not line.strip():
            continue
        try:
            values = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
        except ValueError as error:
            raise ValueError(f"{where}: this is no JSON in UTF-8 ({error}); an object a line would do") from error
        if not isinstance(values, dict):
            raise ValueError(f'{where}: this is JSON but no object; {{"input": ...}} would do')
        require_input(values, where)
        yield Row(where, values)


def read_csv(stream: BinaryIO) -> Iterator[Row]:
    """A row under a header. What has a comma in it must be quoted: nothing is cut off in silence."""
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    rows = csv.DictReader(text, strict=True)
    try:
        require_input(rows.fieldnames or (), "line 1")
        for values in rows:
            where = f"line {rows.line_num}"
            if None in values or None in values.values():
                raise ValueError(f"{where}: it has not as many cells as line 1; a cell with a comma must be quoted")
            yield Row(where, values)
    except UnicodeDecodeError as error:
        raise ValueError(f"after line {rows.line_num}: this is no text in UTF-8 ({error.reason})") from error
    except csv.Error as error:
        raise ValueError(f"line {rows.line_num + 1}: this is no CSV ({error})") from error


def read_parquet(stream: BinaryIO) -> Iterator[Row]:
    """A row of a table, read a batch at a time."""
    require_pyarrow()
    from pyarrow.parquet import ParquetFile

    table = ParquetFile(stream)
    require_input(table.schema_arrow.names, "the table")
    columns = [name for name in ("id", "input") if name in table.schema_arrow.names]
    number = 0
    for batch in table.iter_batches(batch_size=1000, columns=columns):
        for values in batch.to_pylist():
            number += 1
            yield Row(f"row {number}", values)


READERS = {".jsonl": read_jsonl, ".csv": read_csv, ".parquet": read_parquet}
