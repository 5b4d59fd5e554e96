"""What a recogniser's network hears in a recording, before any search."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from showtell.errors import InputError
from showtell.pipelines import pipeline
from showtell.pipelines.alphabet import Alphabet
from showtell.pipelines.automatic_speech_recognition import AutomaticSpeechRecognition
from showtell.pipelines.listening import SUBSAMPLING_FACTOR
from showtell.pipelines.media.log_mel import log_mel, pad_frames


def open_listener(model: str | Path) -> AutomaticSpeechRecognition:
    """Open a recogniser that `hear` can ask.

    Raises `InputError` for one by attention alone: it says nothing of single frames.
    """
    recognise = pipeline("automatic-speech-recognition", model)
    if not recognise.listens:
        raise InputError(f"{model}: it writes by attention alone; a recogniser with CTC would do.")
    return recognise


def hear(recognise: AutomaticSpeechRecognition, samples: np.ndarray, alphabet: Alphabet) -> np.ndarray:
    """The log-probabilities `(positions, tokens)` of `(samples,)` at `SAMPLE_RATE`, by a recogniser with CTC.

    alphabet: the recogniser's own, of letters or phonemes.
    """
    state = {name: value[None] for name, value in recognise.first_state.items()}
    frames = log_mel(samples)
    inputs = {**pad_frames([frames]), "lengths": np.array([len(frames)])}
    positions = -(-len(frames) // SUBSAMPLING_FACTOR)
    return recognise.graphs["listen"](**inputs, **state)[alphabet.output][0, :positions]
