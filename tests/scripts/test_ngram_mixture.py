from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from showtell.decoders.ngram import BOUNDARY
from showtell.scripts.datasets.sphinx import read_sphinx
from showtell.scripts.ngram_estimation import Estimate, NGramEstimator
from showtell.scripts.ngram_mixture import mix, read_as

UNKNOWN, THE, CAT, SAT, DOG = range(1, 6)
ESTIMATOR = NGramEstimator(6, 3)


def of_texts() -> list[Estimate]:
    sentences = [[THE, DOG, SAT], [THE, CAT], [DOG, SAT], [UNKNOWN, SAT, THE, DOG]]
    return ESTIMATOR.estimate(np.array([BOUNDARY, *(token for one in sentences for token in [*one, BOUNDARY])]))


def of_sphinx(file: Path) -> list[Estimate]:
    return read_as(ESTIMATOR, read_sphinx(file), {"the": THE, "sat": SAT, "cat": CAT, "dog": DOG}, UNKNOWN)


def number(*tokens: int) -> np.ndarray:
    return np.array([(tokens[0] << 6) + (tokens[1] << 3) + tokens[2]], np.uint64)


def test_another_models_ngrams_are_read_as_ours(sphinx_file: Path) -> None:
    estimates = of_sphinx(sphinx_file)
    assert ESTIMATOR.probabilities(estimates, number(THE, CAT, SAT)) == pytest.approx(10**-0.01, rel=1e-3)
    # The beginning of a sentence is a boundary, and its end is.
    assert ESTIMATOR.probabilities(estimates, number(BOUNDARY, THE, CAT)) == pytest.approx(10**-0.02, rel=1e-3)
    assert ESTIMATOR.probabilities(estimates, number(CAT, SAT, BOUNDARY)) == pytest.approx(10**-0.7, rel=1e-3)
    assert ESTIMATOR.probabilities(estimates, number(CAT, BOUNDARY, THE)) == pytest.approx(10**-0.1, rel=1e-3)
    # What it gives to no word of ours is the unknown word's; a word that it does not know is impossible.
    assert estimates[0].probabilities.sum() == pytest.approx(1)
    assert estimates[0].probabilities[DOG] == 0


@pytest.mark.parametrize("share", [0.2, 0.7])
def test_of_ngrams_that_either_knows_it_is_the_mixture(sphinx_file: Path, share: float) -> None:
    ours, theirs = of_texts(), of_sphinx(sphinx_file)
    mixture = mix(ESTIMATOR, ours, theirs, share)
    ngrams = np.concatenate([number(THE, CAT, SAT), number(BOUNDARY, THE, CAT), number(THE, DOG, SAT)])
    expected = (1 - share) * ESTIMATOR.probabilities(ours, ngrams) + share * ESTIMATOR.probabilities(theirs, ngrams)
    assert ESTIMATOR.probabilities(mixture, ngrams) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("threshold", [0.0, 0.01])
def test_after_any_context_all_tokens_have_probability_one_in_sum(sphinx_file: Path, threshold: float) -> None:
    mixture = ESTIMATOR.prune(mix(ESTIMATOR, of_texts(), of_sphinx(sphinx_file), 0.4), threshold)
    for context in [(BOUNDARY, THE), (THE, CAT), (CAT, SAT), (DOG, DOG), (UNKNOWN, SAT)]:
        ngrams = np.concatenate([number(*context, token) for token in range(6)])
        assert ESTIMATOR.probabilities(mixture, ngrams).sum() == pytest.approx(1, abs=1e-6)


def test_without_a_share_nothing_changes_for_known_ngrams(sphinx_file: Path) -> None:
    ours = of_texts()
    mixture = mix(ESTIMATOR, ours, of_sphinx(sphinx_file), 0.0)
    for before, after in zip(ours, mixture, strict=True):
        places = np.searchsorted(after.ngrams, before.ngrams)
        assert after.probabilities[places] == pytest.approx(before.probabilities)
