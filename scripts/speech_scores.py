"""How good transcripts are: the public pipeline's, by word and character error rates."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean
from time import perf_counter
from typing import Any

import jiwer

from showtell.errors import InputError
from showtell.pipelines.automatic_speech_recognition import AutomaticSpeechRecognition
from showtell.pipelines.media.audio import stream_audio
from showtell.pipelines.media.waveform import SAMPLE_RATE
from showtell.scripts.datasets.speech import Utterance
from showtell.scripts.datasets.spoken_text import spoken_sentences


def evaluate_speech(
    recognise: AutomaticSpeechRecognition, utterances: Sequence[Utterance], *, language_model: bool = True
) -> dict[str, Any]:
    """The figures of `score_transcripts` for recordings, and how many of them, and seconds, were heard a second."""
    files = [utterance.file for utterance in utterances]
    start = perf_counter()
    answers = recognise(files, language_model=language_model, progress=sys.stderr.isatty())
    took = perf_counter() - start
    seconds = sum(len(samples) for file in files for samples in stream_audio(file)) / SAMPLE_RATE
    return {
        **score_transcripts([answer["text"] for answer in answers], utterances),
        "recordings": len(utterances),
        "seconds": seconds,
        "recordings_per_second": len(utterances) / took,
        "seconds_per_second": seconds / took,
    }


def score_transcripts(texts: Sequence[str], utterances: Sequence[Utterance]) -> dict[str, Any]:
    """Score what was written against what was said, `wer` and `cer` over all words and characters together:

        error rate = (substitutions + deletions + insertions) / words said

    Both are compared in small letters, as words of the letters a to z and apostrophes alone, single spaces between
    them. Answers the counts too, and if all speakers are known `speakers` and `mean_speaker_wer`, to which a speaker
    of many recordings adds no more than one of few. Raises `InputError` where no word was said.
    """
    said, written = [spoken(one.text) for one in utterances], [spoken(text) for text in texts]
    words = sum(len(text.split()) for text in said)
    if not words:
        raise InputError("no word was said in the recordings; those in which somebody speaks would do.")
    of_words, of_characters = jiwer.process_words(said, written), jiwer.process_characters(said, written)
    figures = {
        "wer": float(of_words.wer),
        "cer": float(of_characters.cer),
        "substitutions": of_words.substitutions,
        "deletions": of_words.deletions,
        "insertions": of_words.insertions,
        "words": words,
    }
    if all(one.speaker for one in utterances):
        places = defaultdict(list)
        for place, one in enumerate(utterances):
            places[one.speaker].append(place)
        rates = [jiwer.wer([said[i] for i in each], [written[i] for i in each]) for each in places.values()]
        figures |= {"speakers": len(rates), "mean_speaker_wer": fmean(rates)}
    return figures


def spoken(text: str) -> str:
    """A text's words as they are compared."""
    return " ".join(word for sentence in spoken_sentences(text) for word in sentence)
