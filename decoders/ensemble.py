"""The ensemble: several small classifiers, each trained from other first weights, and the mean of what they say."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from showtell.decoders.classifier import Classifier
from showtell.memory import Memory


class Ensemble(nn.Module):
    """Classifiers that differ in their first weights and in what dropout hides from them (Lakshminarayanan 2017).

    p(label) is the mean of the members' probabilities, and a position's weight the mean of their weights. Where there
    is little to learn from, members err in different ways, and their mean errs less than each.

    members: how many. The others are those of `Classifier`, the same for each member.
    """

    answers = "label"

    def __init__(self, *, members: int, **classifier: Any):
        super().__init__()
        self.members = nn.ModuleList(Classifier(**classifier) for _ in range(members))
        first = self.members[0]
        assert isinstance(first, Classifier)
        self.config: dict[str, Any] = {"members": members, **first.config}

    def answer(self, memory: Memory) -> dict[str, Tensor]:
        """`log_probs` `(batch, labels)`, and `attention` `(batch, positions)`."""
        logits, weights = self(memory)
        log_probs = torch.logsumexp(torch.log_softmax(logits, dim=-1), dim=0) - math.log(len(self.members))
        return {"log_probs": log_probs, "attention": weights.mean(dim=0)}

    def forward(self, memory: Memory) -> tuple[Tensor, Tensor]:
        """Every member's logits `(members, batch, labels)`, and its weights `(members, batch, positions)`.

        Trained by the sum of the members' losses, each learns as it would alone.
        """
        logits, weights = zip(*(member(memory) for member in self.members), strict=True)
        return torch.stack(logits), torch.stack(weights)
