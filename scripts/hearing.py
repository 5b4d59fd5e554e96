"""What a recogniser's network hears in a recording, before any search."""

from __future__ import annotations

import numpy as np

from showtell.pipelines.automatic_speech_recognition import AutomaticSpeechRecognition
from showtell.pipelines.listening import SUBSAMPLING_FACTOR
from showtell.pipelines.media.log_mel import log_mel, pad_frames


def hear(recognise: AutomaticSpeechRecognition, samples: np.ndarray) -> np.ndarray:
    """The log-probabilities `(positions, vocabulary)` of `(samples,)` at `SAMPLE_RATE`, by a recogniser with CTC."""
    state = {name: value[None] for name, value in recognise.first_state.items()}
    frames = log_mel(samples)
    inputs = {**pad_frames([frames]), "lengths": np.array([len(frames)])}
    positions = -(-len(frames) // SUBSAMPLING_FACTOR)
    return recognise.graphs["listen"](**inputs, **state)["log_probs"][0, :positions]
