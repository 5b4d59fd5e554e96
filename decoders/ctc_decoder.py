"""The CTC decoder: a recurrent network hears what is said in each frame, and sums over all ways to say a text."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from showtell.decoders.cells import CELLS
from showtell.decoders.dropout import VariationalDropout
from showtell.decoders.recurrent import Recurrent
from showtell.errors import InputError
from showtell.memory import Memory

State = dict[str, Tensor]


class CTCDecoder(nn.Module):
    """Connectionist temporal classification over a recurrent network (Graves and others 2006, Hannun and others 2014).

    Of a memory's features f_1 ... f_T:

        h = recurrent(f)                                forward in time only, so that it can listen to a stream
        p(token at t) = softmax(W h_t + b)              of the vocabulary, in which `blank` is no token
        p(text) = sum over paths of prod_t p(path_t at t)

    A path has one token for each frame, and is a path of the text that is left when runs of equal tokens are
    merged into one and blanks are taken out. `ctc.py` finds the best texts from what `answer` gives.

    memory_width: features a position in the memory that it reads. vocabulary_size: tokens, the blank among them.
    cell: "rnn", "lstm" or "gru".
    dropout: which share of the features of a whole sequence is dropped, in training, before the recurrent
        network, between its layers and after it.

    Raises `InputError` for a cell of another name, or a blank that is not in the vocabulary.
    """

    answers = "transcript"

    def __init__(
        self,
        *,
        memory_width: int,
        vocabulary_size: int,
        blank: int = 0,
        hidden_size: int = 320,
        num_layers: int = 3,
        cell: str = "lstm",
        dropout: float = 0.2,
    ):
        super().__init__()
        if cell not in CELLS:
            raise InputError(f"cell={cell!r}: one of {', '.join(CELLS)} would do.")
        if not 0 <= blank < vocabulary_size:
            raise InputError(f"blank={blank}: a token from 0 to {vocabulary_size - 1} would do.")
        self.blank = blank
        self.config: dict[str, Any] = {
            "memory_width": memory_width,
            "vocabulary_size": vocabulary_size,
            "blank": blank,
            "hidden_size": hidden_size,
            "num_layers": num_layers,
            "cell": cell,
            "dropout": dropout,
        }
        self.recurrent = Recurrent(memory_width, hidden_size, cell=cell, num_layers=num_layers, dropout=dropout)
        self.output = nn.Linear(hidden_size, vocabulary_size)
        self.dropout = VariationalDropout(dropout)

    def init_state(self, batch: int) -> State:
        """The state before any sound: zeros, `(batch, layers, hidden_size)` for each part of the cells' state."""
        shape = batch, self.recurrent.num_layers, self.recurrent.hidden_size
        # A tensor for each: an export would take one tensor under two names for one input.
        return {name: self.output.weight.new_zeros(shape) for name in self.recurrent.state_names}

    def hear(self, memory: Memory, state: State | None = None) -> tuple[Tensor, State]:
        """What the recurrent network makes of a stretch of sound, `(batch, time, hidden_size)`, and its state."""
        names = self.recurrent.state_names
        before = tuple(state[name] for name in names) if state else None
        hidden, after = self.recurrent(self.dropout(memory.features), memory.mask.sum(dim=1), before)
        return self.dropout(hidden), dict(zip(names, after, strict=True))

    def say(self, hidden: Tensor, memory: Memory) -> Tensor:
        """The log-probabilities of what was heard, `(batch, time, vocabulary)`; in the padding the blank is certain."""
        log_probs = torch.log_softmax(self.output(hidden), dim=-1)
        silence = torch.full_like(log_probs[0, 0], -1e4)
        silence[self.blank] = 0
        return torch.where(memory.mask.unsqueeze(2), log_probs, silence)

    def answer(self, memory: Memory, state: State) -> tuple[Tensor, State]:
        """What is said in each frame of a stretch of sound, and the state in which the next stretch is heard.

        Returns log-probabilities `(batch, time, vocabulary)`, in whose padding the blank is certain, and the state.
        """
        hidden, after = self.hear(memory, state)
        return self.say(hidden, memory), after

    def forward(self, memory: Memory, tokens: Tensor, lengths: Tensor) -> Any:
        """The log-probability of given texts, `(batch,)`.

        tokens: `(batch, longest)`; any token but the blank will do in the padding. lengths: `(batch,)`.

        A text that is too long for its frames has probability zero. Its log-probability is given as 0, so that
        it has no gradient and spoils no batch.
        """
        return self.log_likelihood(self.hear(memory)[0], memory, tokens, lengths)

    def log_likelihood(self, hidden: Tensor, memory: Memory, tokens: Tensor, lengths: Tensor) -> Tensor:
        """`forward` of what was heard."""
        log_probs = self.say(hidden, memory).transpose(0, 1)
        frames = memory.mask.sum(dim=1)
        return -nn.functional.ctc_loss(
            log_probs, tokens, frames, lengths, blank=self.blank, reduction="none", zero_infinity=True
        )
