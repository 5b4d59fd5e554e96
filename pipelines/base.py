"""What all pipelines share: one input or many, read ahead, batched by cost, answered in order."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain, islice
from os import PathLike
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar

from showtell.bundle import Bundle
from showtell.errors import InputError
from showtell.pipelines.runtime import Runtime, cores, on_one_core

Item = TypeVar("Item")
Answer = TypeVar("Answer")
OnError = Literal["raise", "return"]
AnswerBatch = Callable[[list[Item]], Sequence[Answer | Exception]]

# What one thread reads keeps no more cores busy than about so many.
MOST_CORES = 8


class Indexed(Protocol):
    """A data set that has an index and a length and need have nothing else, such as torch's."""

    def __getitem__(self, place: int, /) -> Any:
        """The row at a place."""
        ...

    def __len__(self) -> int:
        """How many rows there are."""
        ...


Many = Iterable[Any] | Indexed


@dataclass(frozen=True)
class Groups:
    """Many inputs in groups, which follow one another in one stream of answers.

    No batch is of two groups, so that a group's answers are, to the last digit, the same whatever goes before it.
    """

    groups: Iterable[Iterable[Any]]

    def __iter__(self) -> Iterator[Iterable[Any]]:
        return iter(self.groups)


@dataclass(frozen=True)
class HowToRun:
    """How a call goes through its inputs: the options that every task has.

    batch_size: at most so many inputs go through the model together; None leaves it to their cost.
    on_error: "raise" an input's error when its turn comes, or "return" it as its answer and go on.
    progress: show a bar on standard error.

    Raises `InputError` for what cannot be done.
    """

    batch_size: int | None
    on_error: OnError
    progress: bool

    def __post_init__(self) -> None:
        if self.batch_size is not None and (not isinstance(self.batch_size, int) or self.batch_size < 1):
            raise InputError(f"batch_size={self.batch_size!r}: a whole number from 1 up, or None, would do.")
        if self.on_error not in ("raise", "return"):
            raise InputError(f'on_error={self.on_error!r}: "raise" or "return" would do.')


class Pipeline(ABC, Generic[Item, Answer]):
    """Raw inputs to answers. A task says how one input is read, what it costs, and how a batch is answered.

    A pipeline may be called from several threads, survives `fork`, and pickles by what it was made from.
    """

    task: ClassVar[str]
    # The most that goes through the model at once, in the units of `cost`.
    batch_cost: ClassVar[float]
    # So many inputs are read before they are batched.
    window: ClassVar[int]
    # An array or a column of a table is one input, as a picture is, or holds many, as of texts.
    arrays_hold_many: ClassVar[bool] = False
    # Each task names its own options.
    __call__: Callable[..., Any]

    def __init__(self, bundle: Bundle, runtime: Runtime):
        self.bundle, self.runtime = bundle, runtime
        self.graphs = runtime.open(bundle)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by what it was made from; the graphs are opened again."""
        return type(self), (self.bundle, self.runtime)

    @abstractmethod
    def read(self, source: Any) -> Item:
        """Read one input, perhaps in another thread. Raises `InputError` or `MediaError`."""

    @abstractmethod
    def cost(self, item: Item) -> float:
        """The work that an item is. A batch costs its dearest item times their number."""

    def media_seconds(self, item: Item) -> float:
        """How long the recording or the clip is that was answered; nothing where an input has no length."""
        return 0.0

    @abstractmethod
    def in_words(self, answer: Answer) -> list[tuple[str, float]]:
        """An answer for a person to read: each part of it with its score."""

    def is_one(self, inputs: Any) -> bool:
        """Tell one input from many, which come as a list, a tuple, a data set or any other iterable."""
        if isinstance(inputs, (str, bytes, bytearray, memoryview, PathLike, Mapping)):
            return True
        # Not `__array_interface__`: to ask a PIL image for it is to decode the file, which may fail.
        if hasattr(inputs, "__array__"):
            return not (self.arrays_hold_many and hasattr(inputs, "__iter__"))
        if hasattr(inputs, "read"):
            return True
        return not (hasattr(inputs, "__iter__") or (hasattr(inputs, "__getitem__") and hasattr(inputs, "__len__")))

    def run(self, inputs: Any, answer: AnswerBatch[Item, Answer], how: HowToRun) -> Any:
        """Answer one input, or many in order: a list for a list or a tuple, else an iterator that reads lazily.

        answer: of a batch. An error that it returns is that of one input, one that it raises is everybody's.
        """
        if self.is_one(inputs):
            try:
                item = self.read(inputs)
            except Exception as error:
                if how.on_error == "return":
                    return error
                raise
            outcome = answer([item])[0]
            if isinstance(outcome, Exception) and how.on_error == "raise":
                raise outcome
            return outcome
        answers = self.run_many(inputs, answer, how)
        if how.progress:
            answers = show_progress(answers, len(inputs) if isinstance(inputs, Sized) else None, self.task)
        return list(answers) if isinstance(inputs, (list, tuple)) else answers

    def run_many(
        self, inputs: Many | Groups, answer: AnswerBatch[Item, Answer], how: HowToRun
    ) -> Iterator[Answer | Exception]:
        """Answer inputs in order, a window at a time, while the next ones are read and answered too."""
        windows = in_windows(inputs, how.batch_size or self.window)
        reading: deque[list[Future[Item]]] = deque()
        answering: deque[Future[list[Answer | Exception]]] = deque()
        broken: Exception | None = None
        in_flight = windows_in_flight(self.runtime)
        reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="showtell-read")
        answerers = ThreadPoolExecutor(in_flight, thread_name_prefix="showtell-answer")
        with reader, answerers:
            try:
                while True:
                    try:
                        while len(reading) < in_flight - len(answering) + 1:
                            window = next(windows)
                            reading.append([])
                            for source in window:
                                reading[-1].append(reader.submit(self.read, source))
                    except StopIteration:
                        pass
                    except Exception as error:
                        # The caller's iterator broke: what it gave before is answered first.
                        windows, broken = iter(()), error
                    while reading and len(answering) < in_flight:
                        window = reading.popleft()
                        # A group's digits shall not hang on whether others follow it.
                        alone = not (reading or answering or isinstance(inputs, Groups))
                        answering.append(answerers.submit(self.answer_window, window, answer, how, alone=alone))
                    if not answering:
                        break
                    for one in answering.popleft().result():
                        if isinstance(one, Exception) and how.on_error == "raise":
                            raise one
                        yield one
            finally:
                for future in (*chain(*reading), *answering):
                    future.cancel()
        if broken is not None:
            raise broken

    def answer_window(
        self, read: list[Future[Item]], answer: AnswerBatch[Item, Answer], how: HowToRun, *, alone: bool
    ) -> list[Answer | Exception]:
        """Answer what could be read, in batches; give answers and errors in the inputs' order.

        alone: no other window is answered meanwhile.
        """
        outcomes: dict[int, Answer | Exception] = {}
        items: dict[int, Item] = {}
        for place, future in enumerate(read):
            try:
                items[place] = future.result()
            except Exception as error:
                outcomes[place] = error
        with nullcontext() if alone else on_one_core():
            for batch in self.batches(items, how.batch_size):
                outcomes.update(zip(batch, answer([items[place] for place in batch]), strict=True))
        return [outcomes[place] for place in range(len(read))]

    def batches(self, items: Mapping[int, Item], batch_size: int | None) -> Iterator[list[int]]:
        """Group items into batches by their cost, or of a given size."""
        costs = {place: self.cost(item) for place, item in items.items()}
        return by_cost(costs, self.batch_cost, batch_size)


def windows_in_flight(runtime: Runtime) -> int:
    """So many windows are answered at once: each on a core, and one more that is searched, word by word, meanwhile.

    Where the user gives one thread, one is all that is allowed.
    """
    return 1 if runtime.threads == 1 else min(runtime.threads or cores(), MOST_CORES) + 1


def by_cost(costs: Mapping[int, float], batch_cost: float, batch_size: int | None = None) -> Iterator[list[int]]:
    """Group places of like cost, so that little is padding and no group costs more than `batch_cost`.

    A group costs its dearest times their number. With `batch_size`, groups have that size whatever they cost.
    """
    batch: list[int] = []
    for place in sorted(costs, key=costs.__getitem__):
        size = len(batch) + 1
        full = size * costs[place] > batch_cost if batch_size is None else size > batch_size
        if batch and full:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def in_windows(inputs: Many | Groups, size: int) -> Iterator[Iterator[Any]]:
    """Cut inputs into windows of one group each; each input is taken when its window comes to it."""
    for group in inputs if isinstance(inputs, Groups) else [in_order(inputs)]:
        sources = iter(group)
        for first in sources:
            yield chain([first], islice(sources, size - 1))


def in_order(inputs: Many) -> Iterator[Any]:
    """Iterate, also over a data set that has nothing but an index and a length."""
    return iter(inputs) if isinstance(inputs, Iterable) else (inputs[place] for place in range(len(inputs)))


def show_progress(answers: Iterator[Answer], total: int | None, task: str) -> Iterator[Answer]:
    """Pass answers on and draw how far they are, on standard error."""
    from rich.console import Console
    from rich.progress import Progress

    # The caller's own prints go around the bar in a terminal, and untouched to a file or a pipe.
    with Progress(console=Console(stderr=True), redirect_stdout=sys.stdout.isatty()) as progress:
        yield from progress.track(answers, total=total, description=task)
