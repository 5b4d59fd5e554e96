"""The ledger: the output folder, whose job it is, which parts of it are finished, and that nobody else writes there.

part-00000.jsonl   a finished part; nothing else is named part-*
_job.json          what the job is: a job that differs is refused
_ledger.jsonl      a line for each part, written before the part: what it came to, and how long it took
_lock              held by the process that runs the job; the system lets it go when that process ends
_unfinished-*/     what is being made; it goes when the job ends, or when it starts again
summary.json, _SUCCESS
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import Any, Self, cast

from showtell.errors import JobError
from showtell.pipelines.jobs.parts import writing
from showtell.pipelines.jobs.summary import Summary, Tally, summarize
from showtell.pipelines.jobs.worker import Finished

JOB, LEDGER, LOCK, SUMMARY, SUCCESS = "_job.json", "_ledger.jsonl", "_lock", "summary.json", "_SUCCESS"
UNFINISHED = "_unfinished-"


class Ledger:
    """An output folder, taken for one job. Use it in `with`, which gives it free again."""

    def __init__(self, folder: Path, job: Mapping[str, Any], parts: int):
        """Take the folder, or raise `JobError`: it is another job's, has other files in it, is in use or read-only.

        job: what must not change between two runs, as JSON knows it. parts: how many there will be.
        """
        self.folder, self.job, self.started = folder, json.loads(json.dumps(job)), monotonic()
        self.names = [f"part-{number:05}.{job['format']}" for number in range(parts)]
        self.refuse_strangers()
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self.lock = (folder / LOCK).open("ab")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.refuse_strangers()  # again: another job may just have begun here
            self.tallies, self.seconds = self.open()
        except BlockingIOError as error:
            self.lock.close()
            raise JobError(f"{folder}: a job that writes here is running; it must end first.") from error
        except BaseException:
            self.lock.close()
            raise

    def refuse_strangers(self) -> None:
        """Raise `JobError` for a folder that holds anything but this job's."""
        accepted = "a new or an empty folder would do"
        try:
            found = {path.name for path in self.folder.iterdir()} if self.folder.exists() else set()
            job = json.loads((self.folder / JOB).read_text(encoding="utf-8")) if JOB in found else {}
        except (OSError, ValueError) as error:
            raise JobError(f"{self.folder}: this cannot be read as a job's folder ({error}); {accepted}.") from error
        if not job and (strange := sorted(found - {LOCK})):
            raise JobError(f"{self.folder}: there are other files here, such as {strange[0]}; {accepted}.")
        for key in self.job if job else ():
            if job.get(key) != self.job[key]:
                raise JobError(
                    f"{self.folder}: this is the output of another job ({key}: {job.get(key)!r} then, "
                    f"{self.job[key]!r} now); the same command as then, or a new folder, would do."
                )
        if strange := sorted(name for name in found - set(self.names) if name.startswith("part-")):
            raise JobError(f"{self.folder}: {strange[0]} is no part of this job; {accepted}.")

    def open(self) -> tuple[dict[int, Tally], float]:
        """Remove what a run that was killed has left unfinished, and read how far it came."""
        for path in self.folder.glob(f"{UNFINISHED}*"):
            shutil.rmtree(path, ignore_errors=True)
        with writing(self.folder):
            self.unfinished = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=self.folder))
            if not (self.folder / JOB).exists():
                self.write(JOB, self.job)
            tallies, seconds = self.read_ledger()
            if len(tallies) < len(self.names):  # perhaps somebody removed a part of a job that was done
                (self.folder / SUCCESS).unlink(missing_ok=True)
        return tallies, seconds

    def read_ledger(self) -> tuple[dict[int, Tally], float]:
        """What each finished part came to, and how long it all took."""
        tallies: dict[int, Tally] = {}
        seconds, whole = 0.0, 0
        with (self.folder / LEDGER).open("a+b") as lines:
            lines.seek(0)
            for line in lines:
                if line.endswith(b"\n"):  # the last may have been cut off by the end of the power
                    whole += len(line)
                    entry = json.loads(line)
                    seconds += entry["seconds"]
                    if (self.folder / self.names[entry["part"]]).exists():
                        tallies[entry["part"]] = Tally.from_json(entry["tally"])
            if whole < lines.tell():
                lines.truncate(whole)
        return tallies, seconds

    def commit(self, finished: Finished) -> None:
        """Make a part of a file that is whole and on the disk: it is there from now on, whatever happens."""
        now = monotonic()
        entry = {"part": finished.number, "seconds": now - self.started, "tally": finished.tally.to_json()}
        with writing(self.folder / LEDGER):
            with (self.folder / LEDGER).open("ab") as ledger:
                ledger.write(json.dumps(entry).encode() + b"\n")
                ledger.flush()
                os.fsync(ledger.fileno())
            finished.file.rename(self.folder / self.names[finished.number])
            self.sync()
        self.tallies[finished.number] = finished.tally
        self.seconds, self.started = self.seconds + now - self.started, now

    def write(self, name: str, content: Any) -> None:
        """Write a file whole or not at all."""
        new = self.unfinished / name
        with writing(self.folder / name):
            with new.open("w", encoding="utf-8") as file:
                file.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n" if content else "")
                file.flush()
                os.fsync(file.fileno())
            new.rename(self.folder / name)
            self.sync()

    def sync(self) -> None:
        """Have the disk keep the names in the folder."""
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def summary(self) -> Summary | None:
        """The summary that was written, if the job is done."""
        if not (self.folder / SUCCESS).exists() or len(self.tallies) < len(self.names):
            return None
        return cast(Summary, json.loads((self.folder / SUMMARY).read_text(encoding="utf-8")))

    def succeed(self) -> Summary:
        """All parts are there: write the summary, and that it is done."""
        self.seconds += monotonic() - self.started
        summary = summarize(self.tallies.values(), self.seconds, task=self.job["task"], model=self.job["model"])
        self.write(SUMMARY, summary)
        self.write(SUCCESS, None)
        return summary

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.unfinished, ignore_errors=True)
        self.lock.close()
