"""A pipeline without a model, whose inputs say what befalls it. Workers import this module by its name."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, TypedDict

from showtell.errors import InputError, MediaError, ModelError
from showtell.pipelines.base import HowToRun, OnError, Pipeline
from showtell.pipelines.runtime import Runtime


class Echo(TypedDict):
    text: str
    length: int


class EchoPipeline(Pipeline[str, list[Echo]]):
    task = "echo"
    batch_cost = 40
    window = 4

    def __init__(self) -> None:
        self.runtime, self.graphs = Runtime(threads=1), {}

    def __call__(
        self,
        texts: Any,
        *,
        times: int = 1,
        batch_size: int | None = None,
        on_error: OnError = "raise",
        progress: bool = False,
    ) -> Any:
        return self.run(texts, lambda read: self.answer(read, times), HowToRun(batch_size, on_error, progress))

    def read(self, source: str) -> str:
        match source.split()[0]:
            case "hang":
                threading.Event().wait()
            case "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "crash-once":
                with suppress(FileExistsError), Path(source.split()[1]).open("xb"):
                    os.kill(os.getpid(), signal.SIGKILL)
            case "bad":
                raise MediaError(f"{source}: this is bad.")
        return source

    def cost(self, item: str) -> float:
        return len(item)

    def in_words(self, answer: list[Echo]) -> list[tuple[str, float]]:
        return [(echo["text"], 1.0) for echo in answer]

    def answer(self, texts: list[str], times: int) -> list[list[Echo]]:
        if times < 1:
            raise InputError(f"times={times}: a whole number from 1 up would do.")
        if any(text.startswith("poison") for text in texts):
            raise RuntimeError("this batch cannot be computed")
        if any(text.startswith("stuck") for text in texts):
            threading.Event().wait()
        return [[Echo(text=text * times, length=len(text))] for text in texts]


def break_down() -> EchoPipeline:
    raise MemoryError("there is no room for the model")


def no_model() -> EchoPipeline:
    raise ModelError("there is no model here")


def die() -> EchoPipeline:
    os._exit(7)
