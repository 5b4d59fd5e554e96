"""Whatever the task: inputs are read ahead, batched by cost, and answered in order, each by an answer or an error."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from showtell.errors import InputError
from showtell.pipelines.base import Groups, HowToRun, OnError, Pipeline, windows_in_flight
from showtell.pipelines.runtime import Runtime


class Shout(Pipeline[str, str]):
    """Answers a text in capitals. A text costs its length, and those that begin with "!" cannot be read."""

    task: ClassVar[str] = "shout"
    batch_cost: ClassVar[float] = 12
    window: ClassVar[int] = 8

    def __init__(self) -> None:
        self.runtime = Runtime()
        self.batches_seen: list[list[str]] = []

    def __call__(
        self,
        texts: Any,
        *,
        batch_size: int | None = None,
        on_error: OnError = "raise",
        progress: bool = False,
    ) -> Any:
        return self.run(texts, self.answer, HowToRun(batch_size, on_error, progress))

    def read(self, source: Any) -> str:
        if not isinstance(source, str) or source.startswith("!"):
            raise InputError(f"{source}: no")
        return source

    def cost(self, item: str) -> float:
        return len(item)

    def in_words(self, answer: str) -> list[tuple[str, float]]:
        return [(answer, 1.0)]

    def answer(self, items: list[str]) -> list[str]:
        self.batches_seen.append(items)
        return [item.upper() for item in items]


class Source:
    """Endless texts, which counts how many were taken."""

    def __init__(self) -> None:
        self.taken = 0

    def __iter__(self) -> Iterator[str]:
        for number in count():
            self.taken += 1
            yield f"text {number}"


class Indexed:
    """A data set as torch knows it: an index and a length, and nothing else."""

    def __init__(self, items: list[Any]):
        self.items = items

    def __getitem__(self, place: int) -> Any:
        return self.items[place]

    def __len__(self) -> int:
        return len(self.items)


def reading_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("showtell")]


TEXTS = [f"text {'x' * (number % 7)}" for number in range(20)]


@pytest.mark.parametrize("texts", [TEXTS, tuple(TEXTS)])
def test_a_list_or_a_tuple_gives_a_list(texts: Any) -> None:
    assert Shout()(texts) == [text.upper() for text in TEXTS]


@pytest.mark.parametrize("texts", [iter(TEXTS), (text for text in TEXTS), Indexed(TEXTS)])
def test_any_other_iterable_gives_an_iterator(texts: Any) -> None:
    answers = Shout()(texts)
    assert iter(answers) is answers
    assert list(answers) == [text.upper() for text in TEXTS]


def test_one_gives_one() -> None:
    assert Shout()("text") == "TEXT"


def test_nothing_in_nothing_out() -> None:
    assert Shout()([]) == []
    assert list(Shout()(iter(()))) == []
    assert list(Shout()(Indexed([]))) == []


@given(
    texts=st.lists(st.text("abc!", min_size=1, max_size=20), max_size=30),
    batch_size=st.none() | st.integers(1, 9),
    as_iterator=st.booleans(),
)
def test_answers_and_errors_come_in_order_whatever_the_batches(
    texts: list[str], batch_size: int | None, as_iterator: bool
) -> None:
    pipe = Shout()
    answers = list(pipe(iter(texts) if as_iterator else texts, batch_size=batch_size, on_error="return"))
    assert [str(answer) for answer in answers] == [f"{t}: no" if t[0] == "!" else t.upper() for t in texts]
    for batch in pipe.batches_seen:
        if batch_size is not None:
            assert len(batch) <= batch_size
        else:
            assert len(batch) == 1 or len(batch) * max(map(len, batch)) <= pipe.batch_cost


@given(
    groups=st.lists(st.lists(st.text("abc!", min_size=1, max_size=20), max_size=20), max_size=5),
    batch_size=st.none() | st.integers(1, 9),
)
def test_a_group_goes_through_in_the_batches_that_it_would_make_alone(
    groups: list[list[str]], batch_size: int | None
) -> None:
    together, alone = Shout(), Shout()
    answers = together(Groups(iter(groups)), batch_size=batch_size, on_error="return")
    expected = [answer for group in groups for answer in alone(group, batch_size=batch_size, on_error="return")]
    assert [*map(str, answers)] == [*map(str, expected)]
    assert sorted(together.batches_seen) == sorted(alone.batches_seen)


def test_inputs_of_like_cost_go_together() -> None:
    pipe = Shout()
    pipe(["aaaaaa", "b", "cccccc", "d", "eeeeee", "f"])
    assert pipe.batches_seen == [["b", "d", "f"], ["aaaaaa", "cccccc"], ["eeeeee"]]


def test_an_input_dearer_than_a_batch_may_be_goes_alone() -> None:
    pipe = Shout()
    assert pipe(["a" * 100, "b"]) == ["A" * 100, "B"]
    assert [len(batch) for batch in pipe.batches_seen] == [1, 1]


@pytest.mark.parametrize("batch_size", [None, 1, 5])
def test_an_endless_iterator_is_read_a_bounded_way_ahead(batch_size: int | None) -> None:
    source, ahead = Source(), (windows_in_flight(Shout().runtime) + 1) * (batch_size or Shout.window)
    answers = Shout()(iter(source), batch_size=batch_size)
    assert source.taken == 0
    for number in range(50):
        assert next(answers) == f"TEXT {number}"
        assert source.taken <= number + 1 + ahead
    answers.close()


def test_an_abandoned_iterator_leaves_no_thread_and_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    for leave in (lambda answers: answers.close(), lambda answers: None):
        answers = Shout()(iter(Source()), progress=True)
        next(answers)
        assert reading_threads()
        leave(answers)
        del answers
        gc.collect()
        assert not reading_threads()
    never_started = Shout()(iter(Source()))
    del never_started
    assert not recwarn.list


def test_a_process_ends_quietly_with_an_iterator_half_read() -> None:
    program = "from itertools import count; from test_base import Shout; a = Shout()(map(str, count())); print(next(a))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")


def test_an_error_is_raised_when_its_turn_comes() -> None:
    answers = Shout()(iter(["a", "b", "!c", "d"]))
    assert [next(answers), next(answers)] == ["A", "B"]
    with pytest.raises(InputError, match="!c: no"):
        next(answers)
    assert not reading_threads()
    with pytest.raises(InputError, match="!c: no"):
        Shout()(["a", "!c"])
    with pytest.raises(InputError, match="!c: no"):
        Shout()("!c")


def test_errors_are_returned_in_their_places() -> None:
    answers = Shout()(["a", "!b", "c", None, 3, "d"], on_error="return")
    assert [a if isinstance(a, str) else type(a) for a in answers] == [
        "A", InputError, "C", InputError, InputError, "D",
    ]  # fmt: skip
    assert isinstance(Shout()("!a", on_error="return"), InputError)


def test_what_came_before_a_broken_iterator_is_answered_first() -> None:
    def breaks() -> Iterator[str]:
        yield from ("a", "b", "!c")
        raise OSError("the disk is gone")

    answers = Shout()(breaks(), on_error="return")
    assert [next(answers), next(answers), str(next(answers))] == ["A", "B", "!c: no"]
    with pytest.raises(OSError, match="the disk is gone"):
        next(answers)
    assert not reading_threads()


@pytest.mark.parametrize("texts", ["text", ["text"]])
def test_what_the_model_raises_is_no_input_s_fault_and_is_raised(texts: Any) -> None:
    def fails(items: list[str]) -> list[str]:
        raise InputError("an option that cannot be")

    with pytest.raises(InputError, match="an option"):
        Shout().run(texts, fails, HowToRun(None, "return", False))


@pytest.mark.parametrize(
    "option",
    [{"batch_size": 0}, {"batch_size": -3}, {"batch_size": 2.5}, {"batch_size": "all"}, {"on_error": "ignore"}],
)
def test_an_option_that_cannot_be_is_refused_before_anything_is_read(option: dict[str, Any]) -> None:
    source = Source()
    with pytest.raises(InputError, match=rf"{next(iter(option))}=.* would do\.$"):
        Shout()(iter(source), **option)
    assert source.taken == 0


def test_progress_is_drawn_on_standard_error_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # draws as in a terminal
    for answer in Shout()(iter(TEXTS), progress=True):
        print(answer)
    out, err = capsys.readouterr()
    assert out.splitlines() == [text.upper() for text in TEXTS]
    assert "shout" in err
    Shout()(TEXTS, progress=True)
    out, err = capsys.readouterr()
    assert out == "" and "100%" in err


def test_nothing_is_printed_without_being_asked(capsys: pytest.CaptureFixture[str]) -> None:
    Shout()(TEXTS)
    assert capsys.readouterr() == ("", "")


def test_several_threads_call_one_pipeline_at_once() -> None:
    pipe = Shout()
    lists = [[f"{number} {text}" for text in TEXTS] for number in range(16)]
    with ThreadPoolExecutor(4) as pool:
        for texts, answers in zip(lists, pool.map(pipe, lists), strict=True):
            assert answers == [text.upper() for text in texts]
