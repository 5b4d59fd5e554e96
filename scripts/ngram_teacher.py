"""A linear model of word n-grams, NB-SVM: what a network that reads whole reviews can still learn from.

Wang and Manning (2012): logistic regression over which unigrams and bigrams a text has, each scaled by the logarithm
of how much likelier it is in one class than in the other (there, by naive Bayes). It is trained in seconds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import fmin_l_bfgs_b
from scipy.sparse import csr_array, hstack
from scipy.special import expit

# Of an n-gram's counts, before their ratio is taken.
SMOOTHING = 1.0
# N-grams that fewer texts have tell nothing.
MIN_TEXTS = 2
# By then the probabilities hardly change.
MAX_ITERATIONS = 40


def out_of_fold(
    words: Sequence[Sequence[str]],
    positive: np.ndarray,
    *,
    folds: int = 5,
    longest: int = 3,
    penalty: float = 3.0,
    seed: int = 0,
) -> np.ndarray:
    """How likely each text is positive, by a model that was trained without it.

    On the texts that it was trained on a linear model of n-grams is right and sure nearly always, which teaches
    nothing; on others it errs where the case is doubtful.

    words: of each text, as they are looked up. positive: `(texts,)`, whether each is.
    folds: models, each trained without its share of the texts. longest: words of an n-gram.
    penalty: of the squared weights.
    """
    texts = ngram_matrix(words, longest)
    fold = np.random.default_rng(seed).permutation(len(words)) % folds
    probabilities = np.empty(len(words))
    for left_out in range(folds):
        rest = fold != left_out
        weights, bias = train_nb_svm(texts[rest], positive[rest], penalty)
        probabilities[~rest] = expit(texts[~rest] @ weights + bias)
    return probabilities


def train_nb_svm(texts: csr_array, positive: np.ndarray, penalty: float = 3.0) -> tuple[np.ndarray, float]:
    """The weight of each n-gram, and the bias, of a model of which texts are positive."""
    likelier = log_count_ratio(texts, positive)
    signs = np.where(positive, 1.0, -1.0)

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = parameters[:-1], parameters[-1]
        margins = signs * (texts @ (likelier * weights) + bias)
        slope = -signs * expit(-margins)
        value = np.logaddexp(0, -margins).sum() + penalty / 2 * weights @ weights
        return value, np.append(likelier * (texts.T @ slope) + penalty * weights, slope.sum())

    start = np.zeros(len(likelier) + 1)
    found, _, _ = fmin_l_bfgs_b(loss, start, maxiter=MAX_ITERATIONS)
    return found[:-1] * likelier, float(found[-1])


def log_count_ratio(texts: csr_array, positive: np.ndarray) -> np.ndarray:
    """r = log((p / |p|) / (q / |q|)): p counts the positive texts that have an n-gram, q the negative ones."""
    p, q = (SMOOTHING + texts[chosen].sum(axis=0) for chosen in (positive, ~positive))
    return np.log(p / p.sum()) - np.log(q / q.sum())


def ngram_matrix(words: Sequence[Sequence[str]], longest: int) -> csr_array:
    """`(texts, n-grams)`: 1 where a text has an n-gram, of those that `MIN_TEXTS` have."""
    text = np.repeat(np.arange(len(words)), [len(one) for one in words])
    number: dict[str, int] = {}
    unigrams = np.array([number.setdefault(word, len(number)) for one in words for word in one], np.int64)
    start, gram, found = np.arange(len(text)), unigrams, []
    for n in range(1, longest + 1):
        if n > 1:
            # An n-gram is the one before it with one more word of the same text.
            last = start + n - 1
            inside = text[np.minimum(last, len(text) - 1)] == text[start]
            inside &= last < len(text)
            start, last = start[inside], last[inside]
            _, gram = np.unique(gram[inside] * len(number) + unigrams[last], return_inverse=True)
        counts = csr_array(
            (np.ones(len(gram), np.float32), (text[start], gram)), shape=(len(words), gram.max(initial=-1) + 1)
        )
        counts.data[:] = 1
        found.append(counts[:, np.flatnonzero(counts.sum(axis=0) >= MIN_TEXTS)])
    return csr_array(hstack(found, format="csr"))
