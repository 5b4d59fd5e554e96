"""Variational dropout: what is dropped of a sequence is dropped at all of its positions."""

from __future__ import annotations

from torch import Tensor, nn


class VariationalDropout(nn.Module):
    """Dropout with one mask a sequence (Gal and Ghahramani 2016), also called locked dropout.

    rate: which share of the features is dropped, in training.
    """

    def __init__(self, rate: float):
        super().__init__()
        self.channels = nn.Dropout1d(rate)

    def forward(self, inputs: Tensor) -> Tensor:
        """From `(batch, time, features)` to the same."""
        return self.channels(inputs.transpose(1, 2)).transpose(1, 2)
