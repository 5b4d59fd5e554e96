"""showtell: small recurrent models with attention that caption, transcribe, classify and tag.

>>> from showtell import pipeline
>>> pipeline("image-to-text")("photo.jpg")
[{'generated_text': 'a brown dog runs through the grass', 'score': 0.54}]
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from showtell.errors import InputError, JobError, MediaError, MissingExtraError, ModelError, ShowtellError

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

# `import showtell` stays light: a name is fetched from its room when it is first used (PEP 562).
ROOMS = {"pipeline": "showtell.pipelines", "compose": "showtell.composition"}


def __getattr__(name: str) -> Any:
    if name not in ROOMS:
        raise AttributeError(f"module 'showtell' has no attribute {name!r}")
    return getattr(importlib.import_module(ROOMS[name]), name)
