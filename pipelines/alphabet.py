"""Alphabets: what a recogniser's network writes in, letters or phonemes, and how that becomes words with times."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal

import numpy as np

from showtell.decoders.alignment import AlignedToken, Word, confidence, words
from showtell.decoders.ctc import NUM_BEAMS, Search
from showtell.decoders.word_prior import WordPrior
from showtell.pipelines.answers import Transcript, TranscriptChunk

Timestamps = Literal["word", "char"] | None
Segment = list[AlignedToken]


class Alphabet:
    """The tokens in which the network says what it hears, and what is known of texts in them.

    output: the graph's. symbols: of each token; " " parts words. blank: the token that says nothing.
    step_seconds: how long a frame is.
    prior: of words; it tells how they are spelled. Without one they are spelled as they are heard.
    offsets: `(tokens,)`, as in `Search`.
    """

    def __init__(
        self,
        output: str,
        symbols: Sequence[str],
        *,
        blank: int,
        step_seconds: float,
        prior: WordPrior | None = None,
        offsets: np.ndarray | None = None,
    ):
        self.output, self.symbols, self.blank, self.step_seconds = output, symbols, blank, step_seconds
        self.prior, self.offsets = prior, offsets
        self.spaces = prior.spaces if prior else {symbols.index(" ")}

    def known_by(self, prior: WordPrior, offsets: np.ndarray | None) -> Alphabet:
        """The same with a prior of words over its symbols."""
        return Alphabet(
            self.output, self.symbols, blank=self.blank, step_seconds=self.step_seconds, prior=prior, offsets=offsets
        )

    def new_search(self, num_beams: int = NUM_BEAMS) -> Search:
        """One that has heard nothing yet."""
        return Search(self.prior, blank=self.blank, num_beams=num_beams, offsets=self.offsets)

    def text(self, tokens: Iterable[AlignedToken]) -> str:
        """Words parted by single spaces."""
        return " ".join(spelled for _, spelled in self.written(tokens))

    def written(self, tokens: Iterable[AlignedToken]) -> list[tuple[Word, str]]:
        """The words that were said, and how they are spelled. Of phonemes a word that is cut off may be none."""
        said = [(word, self.spell(word)) for word in words(tokens, spaces=self.spaces)]
        return [(word, spelled) for word, spelled in said if spelled]

    def spell(self, word: Word) -> str:
        """The letters of a word."""
        symbols = "".join(self.symbols[token.token] for token in word.tokens)
        return self.prior.spell(symbols, word.space) if self.prior else symbols

    def transcript(self, segments: Iterable[Segment], return_timestamps: Timestamps) -> Transcript:
        """The answer of what was said in all segments."""
        said = [word for segment in segments for word in self.written(segment)]
        log_probs = [token.log_prob for word, _ in said for token in word.tokens]
        score = float(np.exp(np.mean(log_probs))) if log_probs else 1.0
        answer = Transcript(text=" ".join(spelled for _, spelled in said), score=min(1.0, score))
        if return_timestamps == "word":
            answer["chunks"] = [self.chunk(spelled, word.start, word.end, word.score) for word, spelled in said]
        elif return_timestamps == "char":
            answer["chunks"] = [chunk for word, spelled in said for chunk in self.characters(word, spelled)]
        return answer

    def characters(self, word: Word, spelled: str) -> list[TranscriptChunk]:
        """The characters of a word with their times.

        A letter that was heard has its own. Letters of a word that was heard as phonemes share the times of these in
        their order, and the word's score, for no letter was heard.
        """
        if spelled == "".join(self.symbols[token.token] for token in word.tokens):
            scores = [confidence([token]) for token in word.tokens]
            return [
                self.chunk(letter, token.start, token.end, score)
                for letter, token, score in zip(spelled, word.tokens, scores, strict=True)
            ]
        begins = [*(token.start for token in word.tokens), word.end]
        edges = np.interp(np.linspace(0, len(word.tokens), len(spelled) + 1), range(len(begins)), begins).tolist()
        return [
            self.chunk(letter, start, end, word.score)
            for letter, (start, end) in zip(spelled, pairwise(edges), strict=True)
        ]

    def chunk(self, text: str, start: float, end: float, score: float) -> TranscriptChunk:
        """A word or a character with its time in seconds."""
        seconds = round(start * self.step_seconds, 3), round(end * self.step_seconds, 3)
        return TranscriptChunk(text=text, timestamp=seconds, score=score)
