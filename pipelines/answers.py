"""What each task answers."""

from __future__ import annotations

from typing import NotRequired, TypedDict

import numpy as np


class Caption(TypedDict):
    """One caption of a photograph.

    score: the geometric mean of its words' probabilities, 0 to 1.
    attention: `(words, rows, columns)`, where the model looked when it wrote each word of `generated_text`,
        over the photograph squeezed to a square; each word's sums to one. Only if asked for.
    """

    generated_text: str
    score: float
    attention: NotRequired[np.ndarray]


class Label(TypedDict):
    """One label of an input.

    score: the label's probability, 0 to 1; those of all labels sum to one.
    """

    label: str
    score: float


class SoundLabel(Label):
    """One label of a recording.

    attention: `(positions,)`, how much the model looked at each of the parts of 40 ms that the recording has; they sum
        to one, the same for every label. Only if asked for.
    """

    attention: NotRequired[np.ndarray]


class TextLabel(Label):
    """One label of a text.

    attention: the words of the whole text in order, each with its weight; the same for every label. Only if asked for.
    """

    attention: NotRequired[list[WeightedWord]]


class WeightedWord(TypedDict):
    """A word of a text, `text[start:end]`, and how much the model looked at it; the weights of a text sum to one."""

    word: str
    start: int
    end: int
    weight: float


class Entity(TypedDict):
    """One entity that a text names: `text[start:end] == word`.

    score: the probability of just this span with just this label, 0 to 1.
    word_start, word_end: which of the words that were given, `words[word_start:word_end]`. Only if words were given.
    """

    entity_group: str
    score: float
    word: str
    start: int
    end: int
    word_start: NotRequired[int]
    word_end: NotRequired[int]


class VideoLabel(Label):
    """One label of a video.

    timestamp: from when to when, in seconds from the start, if the video was classified by windows.
    attention: `(frames,)`, how much the model looked at each of the frames that it sampled evenly over that time; they
        sum to one, the same for every label. Only if asked for.
    """

    timestamp: NotRequired[tuple[float, float]]
    attention: NotRequired[np.ndarray]


class Transcript(TypedDict):
    """What was said in a recording.

    score: the geometric mean of the probabilities of its phonemes, or of its letters where those were heard, 0 to 1; 1
        where nothing was said.
    chunks: its words or characters in order. Only if asked for.
    """

    text: str
    score: float
    chunks: NotRequired[list[TranscriptChunk]]


class TranscriptChunk(TypedDict):
    """A word or a character of a transcript, said from `timestamp[0]` to `timestamp[1]`, in seconds from the start.

    Characters of a word that was heard as phonemes share the times of these in their order, and the word's score.
    """

    text: str
    timestamp: tuple[float, float]
    score: float


class PartialTranscript(TypedDict):
    """What was said in a stream since the last final text. It may change until it is final."""

    text: str
    is_final: bool
