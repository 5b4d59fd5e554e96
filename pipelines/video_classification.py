"""Video classification: clips to labels, or long recordings window by window, from frames sampled evenly over time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from os import PathLike
from typing import Any, BinaryIO, ClassVar, NamedTuple, TypedDict, Unpack, overload

import numpy as np

from showtell.bundle import CONFIG, Bundle
from showtell.errors import InputError, ModelError
from showtell.pipelines.answers import VideoLabel
from showtell.pipelines.base import HowToRun, Many, OnError, Pipeline
from showtell.pipelines.labels import check_top_k, top_labels
from showtell.pipelines.media.video import Clip, read_video, read_windows
from showtell.pipelines.runtime import Runtime

Video = str | PathLike[str] | bytes | bytearray | memoryview | BinaryIO | np.ndarray | Mapping[str, Any]


class Options(TypedDict, total=False):
    """The options of a call, for editors and type checkers; `VideoClassification.__call__` tells what they mean."""

    top_k: int | None
    window_seconds: float | None
    stride_seconds: float | None
    return_attention: bool
    batch_size: int | None
    on_error: OnError
    progress: bool


class Recording(NamedTuple):
    """A recording that was read as one clip, and where it came from: by windows it is read again."""

    source: Any
    clip: Clip


class VideoClassification(Pipeline[Recording, list[VideoLabel]]):
    """Labels of video clips: for each a list of `VideoLabel`, best first."""

    task: ClassVar[str] = "video-classification"
    batch_cost: ClassVar[float] = 4
    window: ClassVar[int] = 8

    def __init__(self, bundle: Bundle, runtime: Runtime):
        super().__init__(bundle, runtime)
        config = bundle.config
        try:
            self.labels: tuple[str, ...] = tuple(config["decoder"]["labels"])
            self.frames: int = config["encoder"]["frames"]
            self.image_size: int = config["encoder"]["image_size"]
        except (AttributeError, KeyError, TypeError) as error:
            raise ModelError(
                f"{bundle.folder / CONFIG}: it does not say all that a video classifier needs ({error!r}); a model "
                "that showtell saved would be accepted."
            ) from error

    @overload
    def __call__(  # pyright: ignore[reportOverlappingOverload]: a path is one video, though a string is many
        self, videos: Video, **options: Unpack[Options]
    ) -> list[VideoLabel]: ...
    @overload
    def __call__(self, videos: list[Any] | tuple[Any, ...], **options: Unpack[Options]) -> list[list[VideoLabel]]: ...
    @overload
    def __call__(self, videos: Many, **options: Unpack[Options]) -> Iterator[list[VideoLabel]]: ...
    def __call__(
        self,
        videos: Any,
        *,
        top_k: int | None = 5,
        window_seconds: float | None = None,
        stride_seconds: float | None = None,
        return_attention: bool = False,
        batch_size: int | None = None,
        on_error: OnError = "raise",
        progress: bool = False,
    ) -> Any:
        """Classify one video or many.

        videos: a path, bytes or an open file of any kind that FFmpeg decodes, a folder of pictures, an array
            `(time, height, width, 3)` or a data set's row; a list of them; or any iterable of them.
        top_k: so many labels, the likeliest first; None is every label.
        window_seconds: answer a long recording window by window, each so long: the labels of one window after those
            of another, with their times. stride_seconds: from one window's start to the next; half a window if not
            given. Without, a recording of any length is one clip.
        return_attention: add how much the model looked at each frame.
        batch_size, on_error, progress: see `HowToRun`.

        Returns a list of `VideoLabel` for one video, a list of such lists for a list, and an iterator of them for any
        other iterable. Raises `InputError` for an input or an option, `MediaError` for a file.
        """
        check_top_k(top_k)
        how = HowToRun(batch_size, on_error, progress)
        if window_seconds is None:
            if stride_seconds is not None:
                raise InputError("stride_seconds: it is between windows; window_seconds, too, would do.")
            return self.run(videos, lambda read: self.answer(read, top_k, return_attention), how)
        stride = window_seconds / 2 if stride_seconds is None else stride_seconds
        for name, seconds in (("window_seconds", window_seconds), ("stride_seconds", stride)):
            if not (0 < seconds < math.inf):
                raise InputError(f"{name}={seconds!r}: a number of seconds above 0 would do.")

        def answer(recordings: list[Recording]) -> list[list[VideoLabel] | Exception]:
            return [self.watch(one.source, window_seconds, stride, top_k, return_attention) for one in recordings]

        return self.run(videos, answer, how)

    def read(self, source: Any) -> Recording:
        """A recording's frames, evenly over its time, squeezed to the square that the model sees."""
        return Recording(source, read_video(source, frames=self.frames, size=self.image_size))

    def cost(self, item: Recording) -> float:
        """All clips have as many frames."""
        return 1

    def media_seconds(self, item: Recording) -> float:
        """How long the recording is."""
        return item.clip.end

    def in_words(self, answer: list[VideoLabel]) -> list[tuple[str, float]]:
        """Each label with its score, and a window's with its time."""
        return [(f"{in_time(one)}{one['label']}", one["score"]) for one in answer]

    def answer(self, recordings: list[Recording], top_k: int | None, return_attention: bool) -> list[list[VideoLabel]]:
        """The labels of a batch."""
        arrays = self.graphs["answer"](frames=np.stack([one.clip.pixels for one in recordings]))
        answers: list[list[VideoLabel]] = []
        for log_probs, attention in zip(arrays["log_probs"], arrays["attention"], strict=True):
            answer = [VideoLabel(**label) for label in top_labels(log_probs, self.labels, top_k)]
            if return_attention:
                for label in answer:
                    label["attention"] = attention
            answers.append(answer)
        return answers

    def watch(
        self, source: Any, window_seconds: float, stride_seconds: float, top_k: int | None, return_attention: bool
    ) -> list[VideoLabel] | Exception:
        """The labels of a long recording's windows, or what is wrong with it."""
        times: list[tuple[float, float]] = []

        def windows() -> Iterator[np.ndarray]:
            for clip in read_windows(
                source,
                frames=self.frames,
                size=self.image_size,
                window_seconds=window_seconds,
                stride_seconds=stride_seconds,
            ):
                times.append((round(clip.start, 3), round(clip.end, 3)))
                yield clip.pixels

        answers: list[VideoLabel] = []
        try:
            # The windows are a pipeline's inputs like others: read ahead, batched, and answered in order.
            for labels in self(windows(), top_k=top_k, return_attention=return_attention):
                timestamp = times.pop(0)
                for label in labels:
                    label["timestamp"] = timestamp
                answers += labels
        except Exception as error:
            return error
        return answers


def in_time(label: VideoLabel) -> str:
    """From when to when a window is, for a person to read; nothing for a whole recording."""
    return "{:.1f} to {:.1f} s: ".format(*label["timestamp"]) if "timestamp" in label else ""
