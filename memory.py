"""Memory: what an encoder hands to a decoder, the one joint between the halves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Memory:
    """A sequence of positions that a decoder can attend to.

    features: `(batch, positions, width)`, one vector a position.
    mask: `(batch, positions)`, True where a position is real and not padding.
    grid: `(rows, columns)` if the positions are a picture's, read row by row.
    step_seconds: seconds from one position to the next if they are moments of sound or video.
    """

    features: Tensor
    mask: Tensor
    grid: tuple[int, int] | None = None
    step_seconds: float | None = None
