"""The CTC decoder: what is said in each frame, and how probable a whole text is."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from showtell.errors import InputError
from showtell.memory import Memory


class CTCDecoder(nn.Module):
    """A linear layer, and the sum over all ways to spread a text over the frames (Graves and others 2006).

    Of a memory's features f_1 ... f_T:

        p(token at t) = softmax(W f_t + b)              of the vocabulary, in which `blank` is no token
        p(text) = sum over paths of prod_t p(path_t at t)

    A path has one token for each frame, and is a path of the text that is left when runs of equal tokens are
    merged into one and blanks are taken out. `ctc.py` finds the best texts from what `answer` gives.

    memory_width: features a position in the memory that it reads. vocabulary_size: tokens, the blank among them.
    dropout: which share of the features is dropped in training.

    Raises `InputError` for a blank that is not in the vocabulary.
    """

    answers = "text"

    def __init__(self, *, memory_width: int, vocabulary_size: int, blank: int = 0, dropout: float = 0.0):
        super().__init__()
        if not 0 <= blank < vocabulary_size:
            raise InputError(f"blank={blank}: a token from 0 to {vocabulary_size - 1} would do.")
        self.blank = blank
        self.config: dict[str, Any] = {
            "memory_width": memory_width,
            "vocabulary_size": vocabulary_size,
            "blank": blank,
            "dropout": dropout,
        }
        self.output = nn.Linear(memory_width, vocabulary_size)
        self.dropout = nn.Dropout(dropout)

    def answer(self, memory: Memory) -> dict[str, Tensor]:
        """`log_probs` `(batch, time, vocabulary)`; in the padding the blank is certain."""
        log_probs = torch.log_softmax(self.output(self.dropout(memory.features)), dim=-1)
        silence = torch.full_like(log_probs[0, 0], -1e4)
        silence[self.blank] = 0
        return {"log_probs": torch.where(memory.mask.unsqueeze(2), log_probs, silence)}

    def forward(self, memory: Memory, tokens: Tensor, lengths: Tensor) -> Tensor:
        """The log-probability of given texts, `(batch,)`.

        tokens: `(batch, longest)`; any token but the blank will do in the padding. lengths: `(batch,)`.

        A text that is too long for its frames has probability zero. Its log-probability is given as 0, so that
        it has no gradient and spoils no batch.
        """
        log_probs = self.answer(memory)["log_probs"].transpose(0, 1)
        frames = memory.mask.sum(dim=1)
        return -nn.functional.ctc_loss(
            log_probs, tokens, frames, lengths, blank=self.blank, reduction="none", zero_infinity=True
        )
