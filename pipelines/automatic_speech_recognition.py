"""Speech recognition: recordings, or sound as it arrives, to words with their times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from os import PathLike
from typing import Any, BinaryIO, ClassVar, Literal, NamedTuple, TypedDict, Unpack, overload

import numpy as np

from showtell.bundle import CONFIG, PRIOR, Bundle
from showtell.decoders.alignment import AlignedToken, Word, words
from showtell.decoders.ctc import Search
from showtell.decoders.word_prior import WordPrior
from showtell.errors import InputError, ModelError
from showtell.pipelines.answers import PartialTranscript, Transcript, TranscriptChunk
from showtell.pipelines.base import HowToRun, Many, OnError, Pipeline
from showtell.pipelines.listening import NO_FRAMES, PAUSE_SECONDS, Listener, hear_together
from showtell.pipelines.media.audio import stream_audio
from showtell.pipelines.media.log_mel import HOP_SAMPLES, LogMelStream
from showtell.pipelines.media.waveform import SAMPLE_RATE, Resampler, to_mono
from showtell.pipelines.runtime import Runtime
from showtell.pipelines.spelling import choose, search_to_the_end, spell_together

Recording = str | PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Mapping[str, Any]
Timestamps = Literal["word", "char"] | None

# Frames of a recording that are read before its turn comes; of a longer one the others are read when they are heard.
READ_FRAMES = 3000


class Options(TypedDict, total=False):
    """The options of a call, for editors; `AutomaticSpeechRecognition.__call__` tells what they mean."""

    return_timestamps: Timestamps
    num_beams: int
    language_model: bool
    batch_size: int | None
    on_error: OnError
    progress: bool


class Opened(NamedTuple):
    """A recording of which the first log-mel frames are read, `(frames, mels)`; the rest comes in chunks."""

    frames: np.ndarray
    rest: FrameReader


class AutomaticSpeechRecognition(Pipeline[Opened, Transcript]):
    """Words of recordings of any length: for each a `Transcript`.

    A recogniser by CTC hears streams too. One by attention writes a long recording in stretches of up to 20 s, cut
    where it is quietest, and its times are where it looked. One by both hears as CTC does, and after each pause
    attention helps to choose the words.

    A recogniser that came with a prior of words (`prior.npz`) weighs what it hears by how such words go.
    """

    task: ClassVar[str] = "automatic-speech-recognition"
    batch_cost: ClassVar[float] = 4_000  # frames of 10 ms, padding counted
    window: ClassVar[int] = 32

    def __init__(self, bundle: Bundle, runtime: Runtime):
        super().__init__(bundle, runtime)
        config = bundle.config
        try:
            self.decoder: dict[str, Any] = config["decoder"]
            vocabulary = bundle.tokenizer().get_vocab()
            self.characters = sorted(vocabulary, key=vocabulary.__getitem__)
            self.space = self.characters.index(" ")
            self.step_seconds: float = config["memory"]["step_seconds"]
            self.lookahead: int = config["encoder"]["lookahead"]
            if self.listens:
                self.blank, listen = self.decoder["blank"], self.graphs["listen"]
                state_names = [name for name in listen.inputs if f"next_{name}" in listen.outputs]
                state_shape = self.decoder["num_layers"], self.decoder["hidden_size"]
                self.first_state = {name: np.zeros(state_shape, np.float32) for name in state_names}
            self.prior, self.offsets = self.open_prior() if "prior" in config else (None, None)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"{bundle.folder / CONFIG}: it does not say all that a recogniser needs ({error!r}); a model that "
                "showtell saved would be accepted."
            ) from error

    @overload
    def __call__(  # pyright: ignore[reportOverlappingOverload]: a path is one recording, though a string is many
        self, recordings: Recording, **options: Unpack[Options]
    ) -> Transcript: ...
    @overload
    def __call__(self, recordings: list[Any] | tuple[Any, ...], **options: Unpack[Options]) -> list[Transcript]: ...
    @overload
    def __call__(self, recordings: Many, **options: Unpack[Options]) -> Iterator[Transcript]: ...
    def __call__(
        self,
        recordings: Any,
        *,
        return_timestamps: Timestamps = None,
        num_beams: int = 24,
        language_model: bool = True,
        batch_size: int | None = None,
        on_error: OnError = "raise",
        progress: bool = False,
    ) -> Any:
        """Write down one recording or many.

        recordings: a path, bytes or an open file of sound or of a video with sound, `{"array", "sampling_rate"}`, or a
            data set's row; a list of them; or any iterable of them. A recording may have any length.
        return_timestamps: "word" or "char" adds `chunks`, each with its time and score.
        num_beams: texts followed at once by the search.
        language_model: whether the prior of words that came with the recogniser, if one did, has a say. It has none
            where attention writes alone.
        batch_size, on_error, progress: see `HowToRun`.

        Returns a `Transcript` for one recording, a list of them for a list, and an iterator of them for any other
        iterable. Raises `InputError` for an input or an option, `MediaError` for a file.
        """
        if return_timestamps not in ("word", "char", None):
            raise InputError(f'return_timestamps={return_timestamps!r}: "word", "char" or None would do.')
        how = HowToRun(batch_size, on_error, progress)
        if not self.listens:
            search = partial(search_to_the_end, num_beams=num_beams)
            return self.run(recordings, lambda opened: self.attend(opened, search, return_timestamps), how)
        new_listener = partial(self.new_listener, num_beams, language_model=language_model)
        return self.run(recordings, lambda opened: self.answer(opened, new_listener, return_timestamps), how)

    def stream(
        self,
        chunks: Iterable[np.ndarray],
        *,
        sampling_rate: int = 16_000,
        num_beams: int = 24,
        language_model: bool = True,
    ) -> Iterator[PartialTranscript]:
        """Write down sound as it arrives.

        chunks: samples `(samples,)` or `(samples, channels)`, of floats in -1..1 or whole numbers, of any length;
            a generator may wait for a microphone. sampling_rate: in hertz. num_beams, language_model: as in a call.

        Yields after each chunk what was said since the last final text, and marks what a pause or the end made final.
        All final texts together are what the whole recording would give. Raises `ModelError` for a recogniser by
        attention alone, which must hear the end before it writes the beginning.
        """
        if not self.listens:
            raise ModelError(
                f"{self.bundle.folder}: this recogniser attends to whole recordings and cannot hear a stream; one with "
                "a CTC decoder or a joint one would do."
            )
        resampler, frames = Resampler(sampling_rate, "the stream"), LogMelStream()
        listener = self.new_listener(num_beams, language_model=language_model)
        for samples in chunks:
            mono = to_mono(np.asarray(samples), "the stream")
            yield from self.listen(listener, frames.push(resampler.push(mono)), last=False)
        yield from self.listen(listener, np.concatenate([frames.push(resampler.end()), frames.end()]), last=True)

    @property
    def listens(self) -> bool:
        """Whether it hears as CTC does; else attention writes alone."""
        return "listen" in self.graphs

    def listen(self, listener: Listener, frames: np.ndarray, *, last: bool) -> Iterator[PartialTranscript]:
        """Hear frames of a stream; yield what became final, and what may change yet."""
        final = len(listener.segments)
        if stretch := listener.take(frames, last=last):
            hear_together(self.graphs["listen"], [listener], [stretch])
        if last:
            listener.end_segment()
        for tokens in listener.segments[final:]:
            yield PartialTranscript(text=self.text(tokens), is_final=True)
        if tokens := listener.current():
            yield PartialTranscript(text=self.text(tokens), is_final=False)

    def open_prior(self) -> tuple[WordPrior, np.ndarray | None]:
        """The prior of words, and what its search adds to log-probabilities, weighed as `config.json` says."""
        weighed = self.bundle.config["prior"]
        weight, bonus, token_weight = (float(weighed[name]) for name in ("weight", "bonus", "token_weight"))
        prior = WordPrior.open(self.bundle.folder / PRIOR, self.characters, weight=weight, bonus=bonus)
        if not token_weight:
            return prior, None
        if len(weighed["token_prior"]) != len(self.characters):
            raise ValueError(f"{len(weighed['token_prior'])} tokens in token_prior")
        return prior, -token_weight * np.log(weighed["token_prior"])

    def new_listener(self, num_beams: int, *, language_model: bool) -> Listener:
        """One that has heard nothing yet."""
        prior, offsets = (self.prior, self.offsets) if language_model else (None, None)
        new_search = partial(Search, prior, blank=self.blank, num_beams=num_beams, offsets=offsets)
        return Listener(
            self.first_state,
            lookahead=self.lookahead,
            new_search=new_search,
            blank=self.blank,
            pause=round(PAUSE_SECONDS / self.step_seconds),
            choose=partial(choose, self.graphs, self.decoder) if "encode" in self.graphs else None,
        )

    def read(self, source: Any) -> Opened:
        """Open a recording, and read its beginning."""
        chunks = FrameReader(stream_audio(source))
        begun: list[np.ndarray] = []
        while sum(map(len, begun)) < READ_FRAMES and (frames := next(chunks, None)) is not None:
            begun.append(frames)
        return Opened(np.concatenate([NO_FRAMES, *begun]), chunks)

    def cost(self, item: Opened) -> float:
        """The frames that are read."""
        return max(1, len(item.frames))

    def media_seconds(self, item: Opened) -> float:
        """How long the recording is, as far as it was read: when it is answered, the whole."""
        return item.rest.count * HOP_SAMPLES / SAMPLE_RATE

    def in_words(self, answer: Transcript) -> list[tuple[str, float]]:
        """The text with its score."""
        return [(answer["text"], answer["score"])]

    def answer(
        self, recordings: list[Opened], new_listener: partial[Listener], return_timestamps: Timestamps
    ) -> list[Transcript | Exception]:
        """Hear recordings side by side, a stretch of each at a time, until all have ended."""
        listeners = [new_listener() for _ in recordings]
        outcomes: dict[int, Transcript | Exception] = {}
        heard = {place: recording.frames for place, recording in enumerate(recordings)}
        while heard:
            turn = []
            following: dict[int, np.ndarray] = {}
            for place, frames in heard.items():
                try:
                    after = next(recordings[place].rest, None)
                except Exception as error:  # of this recording; the others go on
                    outcomes[place] = error
                    continue
                if after is not None:
                    following[place] = after
                if stretch := listeners[place].take(frames, last=after is None):
                    turn.append((listeners[place], stretch))
            if turn:
                hear_together(self.graphs["listen"], *zip(*turn, strict=True))
            heard = following
        for place, listener in enumerate(listeners):
            if place not in outcomes:
                listener.end_segment()
                outcomes[place] = self.transcript(listener.segments, return_timestamps)
        return [outcomes[place] for place in range(len(recordings))]

    def attend(
        self, recordings: list[Opened], search: partial[Any], return_timestamps: Timestamps
    ) -> list[Transcript | Exception]:
        """Write recordings by attention alone."""
        frames = [chain([recording.frames], recording.rest) for recording in recordings]
        written = spell_together(self.graphs, frames, self.decoder, search)
        return [one if isinstance(one, Exception) else self.transcript(one, return_timestamps) for one in written]

    def transcript(self, segments: list[list[AlignedToken]], return_timestamps: Timestamps) -> Transcript:
        """The answer of what was said in all segments."""
        said = [word for segment in segments for word in words(segment, space=self.space)]
        log_probs = [token.log_prob for word in said for token in word.tokens]
        score = float(np.exp(np.mean(log_probs))) if log_probs else 1.0
        answer = Transcript(text=" ".join(self.spell(word) for word in said), score=min(1.0, score))
        if return_timestamps == "word":
            answer["chunks"] = [self.chunk(self.spell(word), word.start, word.end, word.score) for word in said]
        elif return_timestamps == "char":
            tokens = [token for word in said for token in word.tokens]
            answer["chunks"] = [
                self.chunk(self.characters[one.token], one.start, one.end, min(1.0, float(np.exp(one.log_prob))))
                for one in tokens
            ]
        return answer

    def chunk(self, text: str, start: int, end: int, score: float) -> TranscriptChunk:
        """A word or a character with its time in seconds."""
        seconds = round(start * self.step_seconds, 3), round(end * self.step_seconds, 3)
        return TranscriptChunk(text=text, timestamp=seconds, score=score)

    def text(self, tokens: list[AlignedToken]) -> str:
        """Words parted by single spaces."""
        return " ".join(self.spell(word) for word in words(tokens, space=self.space))

    def spell(self, word: Word) -> str:
        """The letters of a word."""
        return "".join(self.characters[token.token] for token in word.tokens)


class FrameReader(Iterator[np.ndarray]):
    """The log-mel frames of sound that comes in chunks, in chunks; `count` of them were read."""

    def __init__(self, chunks: Iterable[np.ndarray]):
        self.frames, self.count = to_frames(chunks), 0

    def __next__(self) -> np.ndarray:
        frames = next(self.frames)
        self.count += len(frames)
        return frames


def to_frames(chunks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The log-mel frames of sound that comes in chunks, in chunks."""
    stream = LogMelStream()
    for samples in chunks:
        yield stream.push(samples)
    yield stream.end()
