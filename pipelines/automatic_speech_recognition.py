"""Speech recognition: recordings, or sound as it arrives, to words with their times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from os import PathLike
from typing import Any, BinaryIO, ClassVar, NamedTuple, TypedDict, Unpack, overload

import numpy as np

from showtell.bundle import CONFIG, PRIOR, Bundle
from showtell.decoders.ctc import NUM_BEAMS
from showtell.decoders.word_prior import WordPrior
from showtell.errors import InputError, ModelError
from showtell.pipelines.alphabet import Alphabet, Timestamps
from showtell.pipelines.answers import PartialTranscript, Transcript
from showtell.pipelines.base import HowToRun, Many, OnError, Pipeline
from showtell.pipelines.listening import NO_FRAMES, PAUSE_SECONDS, Listener, hear_together
from showtell.pipelines.media.audio import stream_audio
from showtell.pipelines.media.log_mel import HOP_SAMPLES, LogMelStream
from showtell.pipelines.media.waveform import SAMPLE_RATE, Resampler, to_mono
from showtell.pipelines.runtime import Runtime
from showtell.pipelines.spelling import choose, search_to_the_end, spell_together

Recording = str | PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Mapping[str, Any]

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

    A recogniser that came with a prior of words (`prior.npz`) weighs what it hears by how such words go. One that hears
    phonemes writes the words of that prior that are said so; without it, as the others do, what letters it hears.
    """

    task: ClassVar[str] = "automatic-speech-recognition"
    batch_cost: ClassVar[float] = 4_000  # frames of 10 ms, padding counted
    window: ClassVar[int] = 32

    def __init__(self, bundle: Bundle, runtime: Runtime):
        super().__init__(bundle, runtime)
        config = bundle.config
        try:
            self.decoder: dict[str, Any] = config["decoder"]
            self.step_seconds: float = config["memory"]["step_seconds"]
            self.lookahead: int = config["encoder"]["lookahead"]
            vocabulary = bundle.tokenizer().get_vocab()
            characters = sorted(vocabulary, key=vocabulary.__getitem__)
            blank = self.decoder["blank"] if self.listens else 0
            self.letters = Alphabet("log_probs", characters, blank=blank, step_seconds=self.step_seconds)
            self.phonemes = None
            if phonemes := self.decoder.get("phonemes"):
                symbols = ["", *phonemes]
                self.phonemes = Alphabet("phoneme_log_probs", symbols, blank=0, step_seconds=self.step_seconds)
            self.words = self.with_prior() if "prior" in config else self.letters
            if self.listens:
                listen = self.graphs["listen"]
                state_names = [name for name in listen.inputs if f"next_{name}" in listen.outputs]
                state_shape = self.decoder["num_layers"], self.decoder["hidden_size"]
                self.first_state = {name: np.zeros(state_shape, np.float32) for name in state_names}
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
        num_beams: int = NUM_BEAMS,
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
        alphabet = self.words if language_model else self.letters
        return self.run(recordings, lambda opened: self.answer(opened, alphabet, num_beams, return_timestamps), how)

    def stream(
        self,
        chunks: Iterable[np.ndarray],
        *,
        sampling_rate: int = 16_000,
        num_beams: int = NUM_BEAMS,
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
        alphabet = self.words if language_model else self.letters
        listener = self.new_listener(alphabet, num_beams)
        for samples in chunks:
            mono = to_mono(np.asarray(samples), "the stream")
            yield from self.listen(listener, alphabet, frames.push(resampler.push(mono)), last=False)
        rest = np.concatenate([frames.push(resampler.end()), frames.end()])
        yield from self.listen(listener, alphabet, rest, last=True)

    @property
    def listens(self) -> bool:
        """Whether it hears as CTC does; else attention writes alone."""
        return "listen" in self.graphs

    def listen(
        self, listener: Listener, alphabet: Alphabet, frames: np.ndarray, *, last: bool
    ) -> Iterator[PartialTranscript]:
        """Hear frames of a stream; yield what became final, and what may change yet."""
        final = len(listener.segments)
        if stretch := listener.take(frames, last=last):
            hear_together(self.graphs["listen"], [listener], [stretch])
        if last:
            listener.end_segment()
        # Of phonemes there may be no word yet.
        for tokens in listener.segments[final:]:
            if text := alphabet.text(tokens):
                yield PartialTranscript(text=text, is_final=True)
        if text := alphabet.text(listener.current()):
            yield PartialTranscript(text=text, is_final=False)

    def with_prior(self) -> Alphabet:
        """What the prior of words is of, phonemes or letters, and how its search weighs both, as `config.json` says."""
        weighed, heard = self.bundle.config["prior"], self.phonemes or self.letters
        weight, bonus, token_weight = (float(weighed[name]) for name in ("weight", "bonus", "token_weight"))
        prior, offsets = WordPrior.open(self.bundle.folder / PRIOR, heard.symbols, weight=weight, bonus=bonus), None
        if token_weight:
            if len(weighed["token_prior"]) != len(heard.symbols):
                raise ValueError(f"{len(weighed['token_prior'])} tokens in token_prior")
            offsets = -token_weight * np.log(weighed["token_prior"])
        return heard.known_by(prior, offsets)

    def new_listener(self, alphabet: Alphabet, num_beams: int) -> Listener:
        """One that has heard nothing yet."""
        return Listener(
            self.first_state,
            lookahead=self.lookahead,
            output=alphabet.output,
            new_search=partial(alphabet.new_search, num_beams),
            blank=alphabet.blank,
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
        self, recordings: list[Opened], alphabet: Alphabet, num_beams: int, return_timestamps: Timestamps
    ) -> list[Transcript | Exception]:
        """Hear recordings side by side, a stretch of each at a time, until all have ended."""
        listeners = [self.new_listener(alphabet, num_beams) for _ in recordings]
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
                outcomes[place] = alphabet.transcript(listener.segments, return_timestamps)
        return [outcomes[place] for place in range(len(recordings))]

    def attend(
        self, recordings: list[Opened], search: partial[Any], return_timestamps: Timestamps
    ) -> list[Transcript | Exception]:
        """Write recordings by attention alone."""
        frames = [chain([recording.frames], recording.rest) for recording in recordings]
        written = spell_together(self.graphs, frames, self.decoder, search)
        return [
            one if isinstance(one, Exception) else self.letters.transcript(one, return_timestamps) for one in written
        ]


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
