"""Train a prior of words for speech recognition: texts in, a file out that `WordPrior.open` opens.

    python -m showtell.scripts.train_word_prior OUTPUT TEXTS... --dev TEXTS

Texts are plain or JSON lines, compressed or not; see `scripts/datasets/spoken_text.py`. A file that is named twice
counts twice, which is for what is most like the speech to come: its transcripts. Beside them a model of ordinary
English may have a share: CMU Sphinx's own, which PyPI's `pocketsphinx` brings along.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from showtell.decoders.ngram import BOUNDARY
from showtell.decoders.word_prior import FIRST_WORD, UNKNOWN, WordPrior
from showtell.scripts.datasets.sphinx import SphinxModel, read_sphinx
from showtell.scripts.datasets.spoken_text import is_word, read_sentences
from showtell.scripts.ngram_estimation import NGramEstimator
from showtell.scripts.ngram_mixture import mix, read_as

WORD_ORDER, SPELLING_ORDER = 3, 6
# Nats a letter; see `NGramEstimator.prune`.
SPELLING_THRESHOLD = 1e-6
# The spelling of words that were seen so often or less is like that of words that were never seen.
RARE_COUNT = 3


def main(
    output: Annotated[Path, typer.Argument(help="The file to write.")],
    texts: Annotated[list[Path], typer.Argument(help="Texts to learn from.")],
    dev: Annotated[list[Path] | None, typer.Option(help="Texts to measure on.")] = None,
    beside: Annotated[Path | None, typer.Option(help="A model of CMU Sphinx, such as en-us.lm.bin, to mix in.")] = None,
    share: Annotated[float, typer.Option(help="Of that model in the mixture.", min=0, max=1)] = 0.3,
    vocabulary: Annotated[int, typer.Option(help="Words that are known as such.", max=65_000)] = 60_000,
    threshold: Annotated[float, typer.Option(help="Nats a word: the higher, the smaller the model.")] = 4e-7,
) -> None:
    """Train a prior of words and say how well it foresees texts."""
    sentences = [sentence for file in texts for sentence in read_sentences(file)]
    counts = Counter(chain.from_iterable(sentences))
    other = read_sphinx(beside) if beside else None
    known = choose_words(counts, other, share, vocabulary)
    numbers = {word: number for number, word in enumerate(known, FIRST_WORD)}
    estimator = NGramEstimator(len(known) + FIRST_WORD, WORD_ORDER)
    estimates = estimator.estimate(as_tokens([numbers.get(word, UNKNOWN) for word in one] for one in sentences))
    if other:
        estimates = mix(estimator, estimates, read_as(estimator, other, numbers, UNKNOWN), share)
    words = estimator.pack(estimator.prune(estimates, threshold))

    alphabet = "".join(sorted(set("".join(counts))))
    rare = [[alphabet.index(letter) + 1 for letter in word] for word in counts if counts[word] <= RARE_COUNT]
    spelling = NGramEstimator(len(alphabet) + 1, SPELLING_ORDER).train(as_tokens(rare), threshold=SPELLING_THRESHOLD)

    prior = WordPrior(["", " ", *alphabet], known, words, spelling=spelling, alphabet=alphabet)
    prior.save(output)
    ngrams = [len(level.tokens) for level in words.levels]
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB, {len(known)} words, n-grams {ngrams}")
    for file in dev or []:
        bits = bits_per_character(prior, [" ".join(sentence) for sentence in read_sentences(file)])
        print(f"{file}: {bits:.3f} bits a character")


def choose_words(counts: Counter[str], other: SphinxModel | None, share: float, most: int) -> list[str]:
    """The most frequent words of the texts that come twice there, and of the other model, sorted."""
    total = counts.total()
    frequency = {word: count / total for word, count in counts.items() if count > 1}
    if other:
        frequency = {word: (1 - share) * often for word, often in frequency.items()}
        for word, log_prob in zip(other.words, other.tables[0].log_probs.tolist(), strict=True):
            if is_word(word):
                frequency[word] = frequency.get(word, 0.0) + share * math.exp(log_prob)
    return sorted(sorted(frequency, key=lambda word: (-frequency[word], word))[:most])


def as_tokens(sentences: Iterable[Sequence[int]]) -> np.ndarray:
    """Sentences of numbers as an estimator reads them."""
    return np.fromiter(chain([BOUNDARY], chain.from_iterable([*one, BOUNDARY] for one in sentences)), np.uint16)


def bits_per_character(prior: WordPrior, texts: Sequence[str]) -> float:
    """How well a prior of weight 1 foresees texts, their ends included."""
    bits = 0.0
    for text in texts:
        state = prior.start()
        for character in text:
            token = prior.characters.index(character)
            bits -= math.log2(prior.factor(state, token))
            state = prior.advance(state, token)
        bits -= math.log2(prior.end(state))
    return bits / sum(len(text) + 1 for text in texts)


if __name__ == "__main__":
    typer.run(main)
