"""JSON lines: a record on one line for every reader, whatever its texts and names hold."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

# What JSON leaves as it is, though some readers end a line there.
LINE_ENDS = {ord(end): f"\\u{ord(end):04x}" for end in "\x85\u2028\u2029"}


def as_lists(value: Any) -> Any:
    """Arrays and NumPy's numbers as JSON knows them."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def json_line(record: Mapping[str, Any], default: Callable[[Any], Any] = as_lists) -> bytes:
    """A record as UTF-8, without the line's end.

    default: what stands for a value that JSON does not know.

    Names of files need not be UTF-8. What is not becomes an escape of JSON's and is read as it was.
    """
    line = json.dumps(record, ensure_ascii=False, default=default)
    return line.translate(LINE_ENDS).encode("utf-8", "backslashreplace")
