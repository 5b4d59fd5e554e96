"""showtell: small recurrent models with attention that caption, transcribe, classify and tag.

>>> from showtell import pipeline
>>> pipeline("image-to-text")("photo.jpg")
[{'generated_text': 'a brown dog runs through the grass', 'score': 0.54}]
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from showtell.errors import InputError, JobError, MediaError, MissingExtraError, ModelError, ShowtellError
from showtell.lazy import attach

if TYPE_CHECKING:
    from showtell.composition import compose
    from showtell.pipelines import pipeline

__version__ = "0.1.0"
__all__ = [
    "InputError",
    "JobError",
    "MediaError",
    "MissingExtraError",
    "ModelError",
    "ShowtellError",
    "__version__",
    "compose",
    "pipeline",
]

__getattr__, _ = attach(__name__, {"compose": "showtell.composition", "pipeline": "showtell.pipelines"})


def __dir__() -> list[str]:
    return __all__
