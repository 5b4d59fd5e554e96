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
