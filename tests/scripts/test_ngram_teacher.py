from __future__ import annotations

import numpy as np
from scipy.special import expit

from showtell.scripts.ngram_teacher import log_count_ratio, ngram_matrix, out_of_fold, train_nb_svm

# "not" turns what follows it: no model of single words can tell these.
WORDS = [["not", "good"], ["good"], ["very", "good"], ["not", "bad"], ["bad"], ["very", "bad"]]
POSITIVE = np.array([False, True, True, True, False, False])


def test_texts_have_the_ngrams_that_stand_in_two_of_them() -> None:
    texts = [["a", "b", "a", "b"], ["a", "b", "c"], ["c"], ["b"]]
    unigrams = [[1, 1, 0], [1, 1, 1], [0, 0, 1], [0, 1, 0]]
    assert ngram_matrix(texts, 1).toarray().tolist() == unigrams
    # "a b" stands in two texts; "b a" and "b c" in one; "c b" and "c c" only across texts.
    assert ngram_matrix(texts, 2).toarray().tolist() == [[1, 1, 0, 1], [1, 1, 1, 1], [0, 0, 1, 0], [0, 1, 0, 0]]
    assert ngram_matrix(texts, 3).shape == (4, 4)


def test_the_ratio_is_that_of_naive_bayes() -> None:
    texts = ngram_matrix([["a", "b"], ["a"], ["a", "b"], ["b"], ["b"]], 1)
    ratio = log_count_ratio(texts, np.array([True, True, False, False, False]))
    # a: 2 + 1 positive texts of 5 counts, 1 + 1 negative ones of 6; b: 1 + 1 and 3 + 1.
    np.testing.assert_allclose(ratio, np.log([(3 / 5) / (2 / 6), (2 / 5) / (4 / 6)]), rtol=1e-6)


def test_training_ends_where_the_penalised_loss_is_flat() -> None:
    texts = ngram_matrix(WORDS * 10, 2)
    positive = np.tile(POSITIVE, 10)
    weights, bias = train_nb_svm(texts, positive, penalty=0.5)
    likelier = log_count_ratio(texts, positive)
    slope = expit(texts @ weights + bias) - positive
    trained = np.divide(weights, likelier, out=np.zeros_like(weights), where=likelier != 0)
    np.testing.assert_allclose(likelier * (texts.T @ slope) + 0.5 * trained, 0, atol=1e-2)
    np.testing.assert_allclose(slope.sum(), 0, atol=1e-2)
    np.testing.assert_array_equal(texts @ weights + bias > 0, positive)


def test_opinions_come_from_models_that_have_not_read_the_text() -> None:
    words, positive = WORDS * 10, np.tile(POSITIVE, 10)
    opinions = out_of_fold(words, positive, penalty=0.1)
    np.testing.assert_array_equal(opinions > 0.5, positive)
    # A text with a false label of its own is told by what the others say, not by that label.
    positive[0] = True
    assert out_of_fold(words, positive, penalty=0.1)[0] < 0.5
