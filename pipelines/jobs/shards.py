"""Shards: so many records in a row, which make one part of the output. A plan says how many there are."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from typing import NamedTuple

import numpy as np

from showtell.errors import InputError, JobError
from showtell.pipelines.jobs.manifest import Manifest, Record

# Unless told otherwise: large, so that little is lost between shards; but small enough that a short job has several
# for its workers to share.
LARGEST_SHARD, SMALLEST_SHARD, LEAST_SHARDS = 1000, 50, 8


class Shard(NamedTuple):
    """Records that are answered together and written as one part."""

    number: int
    records: list[Record]


class Plan:
    """What one pass over a manifest finds: how many records there are, that their ids differ, what they are.

    No record is kept, only a digest of 8 bytes; while it is checked that no id comes twice, 24 bytes a record.
    """

    def __init__(self, manifest: Manifest, shard_size: int | None = None):
        """Read all records once. Raises `JobError` for a manifest that no job can be made of."""
        if shard_size is not None and (not isinstance(shard_size, int) or shard_size < 1):
            raise InputError(f"shard_size={shard_size!r}: a whole number from 1 up, or None, would do.")
        self.manifest = manifest
        self.digests, ids = array("Q"), array("q")
        for record in manifest:
            self.digests.append(digest(record))
            ids.append(hash(record.id))
        if not self.digests:
            raise JobError(f"{manifest.source}: there are no records in it; at least one would do.")
        self.refuse_duplicates(np.frombuffer(ids, np.int64))
        several = -(-self.records // LEAST_SHARDS)
        self.shard_size = shard_size or min(LARGEST_SHARD, max(SMALLEST_SHARD, several))

    @property
    def records(self) -> int:
        """How many records there are."""
        return len(self.digests)

    @property
    def parts(self) -> int:
        """How many shards they make, and so how many parts."""
        return -(-self.records // self.shard_size)

    @property
    def content(self) -> str:
        """A digest of all records: of another manifest it is another."""
        return blake2b(self.digests.tobytes(), digest_size=16).hexdigest()

    def shards(self, finished: Collection[int] = ()) -> Iterator[Shard]:
        """Read the manifest again, lazily, and cut it; what is finished already is passed over.

        Raises `JobError` when it comes upon other records than at first.
        """
        records = iter(self.manifest)
        for number in range(self.parts):
            shard = Shard(number, list(islice(records, self.shard_size)))
            first = number * self.shard_size
            if array("Q", map(digest, shard.records)) != self.digests[first : first + self.shard_size]:
                raise JobError(f"{self.manifest.source}: it changed while the job ran; a new output folder would do.")
            if number not in finished:
                yield shard

    def refuse_duplicates(self, ids: np.ndarray) -> None:
        """Raise `JobError` if an id comes twice. Equal hashes only make us look: the ids themselves decide."""
        ordered = np.sort(ids)
        suspects = set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())
        if not suspects:
            return
        seen: dict[str, int] = {}
        for place, record in enumerate(self.manifest, start=1):
            if hash(record.id) in suspects and (first := seen.setdefault(record.id, place)) != place:
                raise JobError(
                    f"{self.manifest.source}: records {first:,} and {place:,} have the same id {record.id!r}; ids "
                    "that differ, or no column 'id', would do."
                )


@dataclass(frozen=True)
class Pending:
    """The shards of a plan that are not finished: read when they are asked for, in another process too."""

    plan: Plan
    finished: frozenset[int]

    def __iter__(self) -> Iterator[Shard]:
        return self.plan.shards(self.finished)


def digest(record: Record) -> int:
    """What a record is, in 8 bytes; it does not differ between processes, as `hash` does."""
    return int.from_bytes(blake2b(repr(tuple(record)).encode(), digest_size=8).digest())
