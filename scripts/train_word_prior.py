"""Train a prior of words for speech recognition: texts in, a file out that `WordPrior.open` opens.

    python -m showtell.scripts.train_word_prior OUTPUT TEXTS... --dev TEXTS

Texts are plain or JSON lines, compressed or not; see `scripts/datasets/spoken_text.py`. A file that is named twice
counts twice, which is for what is most like the speech to come: its transcripts. Beside them a model of ordinary
English may have a share: CMU Sphinx's own, which PyPI's `pocketsphinx` brings along.

A prior for a recogniser that hears phonemes (`train_asr --phonemes`) knows how its words are said, and no others. One
for a recogniser that spells can spell others too.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from showtell.decoders.lexicon import Lexicon
from showtell.decoders.ngram import BOUNDARY, NGram
from showtell.decoders.word_prior import FIRST_WORD, UNKNOWN, WordPrior
from showtell.scripts.datasets.pronunciations import pronounce
from showtell.scripts.datasets.sphinx import SphinxModel, read_sphinx
from showtell.scripts.datasets.spoken_text import is_word, read_sentences
from showtell.scripts.ngram_estimation import NGramEstimator
from showtell.scripts.ngram_mixture import mix, read_as

WORD_ORDER, SPELLING_ORDER = 3, 6
# Nats a letter; see `NGramEstimator.prune`.
SPELLING_THRESHOLD = 1e-6
# The spelling of words that were seen so often or less is like that of words that were never seen.
RARE_COUNT = 3
# So many of the first sentences tell how words are said among others.
SAID_SENTENCES = 40_000


def main(
    output: Annotated[Path, typer.Argument(help="The file to write.")],
    texts: Annotated[list[Path], typer.Argument(help="Texts to learn from.")],
    dev: Annotated[list[Path] | None, typer.Option(help="Texts to measure on.")] = None,
    beside: Annotated[Path | None, typer.Option(help="A model of CMU Sphinx, such as en-us.lm.bin, to mix in.")] = None,
    share: Annotated[float, typer.Option(help="Of that model in the mixture.", min=0, max=1)] = 0.3,
    vocabulary: Annotated[int, typer.Option(help="Words that are known as such.", max=65_000)] = 60_000,
    threshold: Annotated[float, typer.Option(help="Nats a word: the higher, the smaller the model.")] = 4e-7,
    phonemes: Annotated[bool, typer.Option(help="Know words by how they are said in English.")] = False,
) -> None:
    """Train a prior of words and say how well it foresees texts."""
    sentences = [sentence for file in texts for sentence in read_sentences(file)]
    counts = Counter(chain.from_iterable(sentences))
    other = read_sphinx(beside) if beside else None
    frequency = frequent_words(counts, other, share, vocabulary)
    lexicon = pronounced(frequency, sentences) if phonemes else spelled(frequency, counts)
    numbers = {word: number for number, word in enumerate(lexicon.words, FIRST_WORD)}
    estimator = NGramEstimator(len(numbers) + FIRST_WORD, WORD_ORDER)
    estimates = estimator.estimate(as_tokens([numbers.get(word, UNKNOWN) for word in one] for one in sentences))
    if other:
        estimates = mix(estimator, estimates, read_as(estimator, other, numbers, UNKNOWN), share)
    words = estimator.pack(estimator.prune(estimates, threshold))

    WordPrior(["", " "], lexicon, words).save(output)
    ngrams = [len(level.tokens) for level in words.levels]
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB, {len(numbers)} words, n-grams {ngrams}")
    for file in dev or []:
        print(f"{file}: {bits_per_character(lexicon, words, read_sentences(file)):.3f} bits a character")


def frequent_words(counts: Counter[str], other: SphinxModel | None, share: float, most: int) -> dict[str, float]:
    """The most frequent words of the texts that come twice there, and of the other model: how frequent each is."""
    total = counts.total()
    frequency = {word: count / total for word, count in counts.items() if count > 1}
    if other:
        frequency = {word: (1 - share) * often for word, often in frequency.items()}
        for word, log_prob in zip(other.words, other.tables[0].log_probs.tolist(), strict=True):
            if is_word(word):
                frequency[word] = frequency.get(word, 0.0) + share * math.exp(log_prob)
    return dict(sorted(frequency.items(), key=lambda item: (-item[1], item[0]))[:most])


def spelled(frequency: Mapping[str, float], counts: Counter[str]) -> Lexicon:
    """Words that are said as they are spelled, and how others are spelled: as those are that come rarely."""
    alphabet = "".join(sorted(set("".join(counts))))
    rare = [[alphabet.index(letter) + 1 for letter in word] for word in counts if counts[word] <= RARE_COUNT]
    spelling = NGramEstimator(len(alphabet) + 1, SPELLING_ORDER).train(as_tokens(rare), threshold=SPELLING_THRESHOLD)
    words = sorted(frequency)
    return Lexicon(words, np.array([*map(frequency.__getitem__, words)]), spelling=spelling, alphabet=alphabet)


def pronounced(frequency: Mapping[str, float], sentences: Sequence[Sequence[str]]) -> Lexicon:
    """Words and how they are said: in sentences, as far as they come there, and alone."""
    said: dict[str, Counter[str]] = {word: Counter(pronounce(word)) for word in frequency}
    for sentence in islice(dict.fromkeys(map(tuple, sentences)), SAID_SENTENCES):
        for word, symbols in zip(sentence, pronounce(" ".join(sentence)), strict=True):
            if word in said:
                said[word][symbols] += 1
    first = {word: next((symbols for symbols, _ in ways.most_common() if symbols), "") for word, ways in said.items()}
    words = sorted(filter(first.__getitem__, first), key=lambda word: (first[word], -frequency[word]))
    others = {(way, number) for number, word in enumerate(words) for way in said[word] if way not in ("", first[word])}
    probabilities = np.array([*map(frequency.__getitem__, words)])
    return Lexicon(words, probabilities, [first[word] for word in words], sorted(others))


def as_tokens(sentences: Iterable[Sequence[int]]) -> np.ndarray:
    """Sentences of numbers as an estimator reads them."""
    return np.fromiter(chain([BOUNDARY], chain.from_iterable([*one, BOUNDARY] for one in sentences)), np.uint16)


def bits_per_character(lexicon: Lexicon, words: NGram, sentences: Iterable[Sequence[str]]) -> float:
    """How well sentences are foreseen, their ends included; where no word can be spelled, all unknown ones as one."""
    numbers = {word: number for number, word in enumerate(lexicon.words, FIRST_WORD)}
    nats, characters = 0.0, 0
    for sentence in sentences:
        tokens = [BOUNDARY, *(numbers.get(word, UNKNOWN) for word in sentence), BOUNDARY]
        nats -= sum(words.log_prob(tuple(tokens[:place]), tokens[place]) for place in range(1, len(tokens)))
        for word in sentence:
            if word not in numbers and lexicon.spelling is not None:
                begun = lexicon.find(word)
                nats -= begun.log_spelled + lexicon.spelling.log_prob(begun.context, BOUNDARY)
        characters += sum(len(word) + 1 for word in sentence)
    return nats / math.log(2) / characters


if __name__ == "__main__":
    typer.run(main)
