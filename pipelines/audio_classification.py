"""Audio classification: a short recording to labels, such as the digit that is said in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from os import PathLike
from typing import Any, BinaryIO, ClassVar, TypedDict, Unpack, overload

import numpy as np

from showtell.bundle import CONFIG, Bundle
from showtell.errors import ModelError
from showtell.pipelines.answers import SoundLabel
from showtell.pipelines.base import HowToRun, Many, OnError, Pipeline
from showtell.pipelines.labels import check_top_k, top_labels
from showtell.pipelines.listening import SUBSAMPLING_FACTOR
from showtell.pipelines.media.audio import read_audio
from showtell.pipelines.media.limits import MediaLimits
from showtell.pipelines.media.log_mel import HOP_SAMPLES, log_mel, pad_frames
from showtell.pipelines.media.waveform import SAMPLE_RATE
from showtell.pipelines.runtime import Runtime

Recording = str | PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Mapping[str, Any]

# What is longer is more than one sound.
LIMITS = MediaLimits(max_audio_seconds=60)


class Options(TypedDict, total=False):
    """The options of a call, for editors and type checkers; `AudioClassification.__call__` tells what they mean."""

    top_k: int | None
    return_attention: bool
    batch_size: int | None
    on_error: OnError
    progress: bool


class AudioClassification(Pipeline[np.ndarray, list[SoundLabel]]):
    """Labels of recordings, such as the digit that is said: for each a list of `SoundLabel`, best first."""

    task: ClassVar[str] = "audio-classification"
    batch_cost: ClassVar[float] = 8_000  # frames of 10 ms, padding counted
    window: ClassVar[int] = 128

    def __init__(self, bundle: Bundle, runtime: Runtime):
        super().__init__(bundle, runtime)
        try:
            self.labels: tuple[str, ...] = tuple(bundle.config["decoder"]["labels"])
        except (KeyError, TypeError) as error:
            raise ModelError(
                f"{bundle.folder / CONFIG}: it does not say which labels there are ({error!r}); a model that showtell "
                "saved would be accepted."
            ) from error

    @overload
    def __call__(  # pyright: ignore[reportOverlappingOverload]: a path is one recording, though a string is many
        self, recordings: Recording, **options: Unpack[Options]
    ) -> list[SoundLabel]: ...
    @overload
    def __call__(
        self, recordings: list[Any] | tuple[Any, ...], **options: Unpack[Options]
    ) -> list[list[SoundLabel]]: ...
    @overload
    def __call__(self, recordings: Many, **options: Unpack[Options]) -> Iterator[list[SoundLabel]]: ...
    def __call__(
        self,
        recordings: Any,
        *,
        top_k: int | None = 1,
        return_attention: bool = False,
        batch_size: int | None = None,
        on_error: OnError = "raise",
        progress: bool = False,
    ) -> Any:
        """Classify one recording or many.

        recordings: a path, bytes or an open file of sound or of a video with sound, `{"array", "sampling_rate"}`, or a
            data set's row; a list of them; or any iterable of them. A recording may last up to a minute.
        top_k: so many labels, the likeliest first; None is every label.
        return_attention: add what the model looked at.
        batch_size, on_error, progress: see `HowToRun`.

        Returns a list of `SoundLabel` for one recording, a list of such lists for a list, and an iterator of them for
        any other iterable. Raises `InputError` for an input or an option, `MediaError` for a file.
        """
        check_top_k(top_k)
        how = HowToRun(batch_size, on_error, progress)
        return self.run(recordings, lambda frames: self.answer(frames, top_k, return_attention), how)

    def read(self, source: Any) -> np.ndarray:
        """A recording's log-mel frames, `(frames, mels)`."""
        return log_mel(read_audio(source, limits=LIMITS).samples)

    def cost(self, item: np.ndarray) -> float:
        """Its frames."""
        return len(item)

    def media_seconds(self, item: np.ndarray) -> float:
        """How long the recording is."""
        return len(item) * HOP_SAMPLES / SAMPLE_RATE

    def in_words(self, answer: list[SoundLabel]) -> list[tuple[str, float]]:
        """Each label with its score."""
        return [(one["label"], one["score"]) for one in answer]

    def answer(self, recordings: list[np.ndarray], top_k: int | None, return_attention: bool) -> list[list[SoundLabel]]:
        """The labels of a batch."""
        arrays = self.graphs["answer"](**pad_frames(recordings))
        answers: list[list[SoundLabel]] = []
        for frames, log_probs, attention in zip(recordings, arrays["log_probs"], arrays["attention"], strict=True):
            answer = [SoundLabel(**label) for label in top_labels(log_probs, self.labels, top_k)]
            if return_attention:
                for label in answer:
                    label["attention"] = attention[: -(-len(frames) // SUBSAMPLING_FACTOR)]
            answers.append(answer)
        return answers
