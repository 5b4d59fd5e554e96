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

        p(phoneme at t) = softmax(W' h_t + b')          the same of how the text is said, where `phonemes` are given

    A path has one token for each frame, and is a path of the text that is left when runs of equal tokens are
    merged into one and blanks are taken out. `ctc.py` finds the best texts from what `answer` gives.

    memory_width: features a position in the memory that it reads. vocabulary_size: tokens, the blank among them.
    cell: "rnn", "lstm" or "gru".
    phonemes: a character for each, the space among them, which parts words; their tokens are 1, 2 and so on, 0 is the
        blank. How a word is said tells more of its sound than how it is spelled; a lexicon turns them into words (Miao
        and others, "EESEN", 2015). With "" it hears letters alone.
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
        phonemes: str = "",
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
            "phonemes": phonemes,
        }
        self.recurrent = Recurrent(memory_width, hidden_size, cell=cell, num_layers=num_layers, dropout=dropout)
        self.output = nn.Linear(hidden_size, vocabulary_size)
        self.pronounce = nn.Linear(hidden_size, 1 + len(phonemes)) if phonemes else None
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

    def say(self, output: nn.Linear, hidden: Tensor, memory: Memory) -> Tensor:
        """The log-probabilities of what was heard, `(batch, time, tokens)`; in the padding the blank is certain.

        output: the layer of letters or that of phonemes.
        """
        log_probs = torch.log_softmax(output(hidden), dim=-1)
        silence = torch.full_like(log_probs[0, 0], -1e4)
        silence[self.blank if output is self.output else 0] = 0
        return torch.where(memory.mask.unsqueeze(2), log_probs, silence)

    def answer(self, memory: Memory, state: State) -> tuple[dict[str, Tensor], State]:
        """What is said in each frame of a stretch of sound, and the state in which the next stretch is heard.

        Returns log-probabilities, in whose padding the blank is certain, and the state: `log_probs` of `(batch, time,
        vocabulary)`, and `phoneme_log_probs` of `(batch, time, 1 + phonemes)` if it hears those.
        """
        hidden, after = self.hear(memory, state)
        said = {"log_probs": self.say(self.output, hidden, memory)}
        if self.pronounce is not None:
            said["phoneme_log_probs"] = self.say(self.pronounce, hidden, memory)
        return said, after

    def forward(self, memory: Memory, tokens: Tensor, lengths: Tensor, *pronounced: Tensor) -> Any:
        """The log-probability of given texts, `(batch,)`.

        tokens: `(batch, longest)`; any token but the blank will do in the padding. lengths: `(batch,)`.
        pronounced: the phonemes of the texts and their lengths in the same shapes, of a decoder that hears them; then
            the log-probability of these comes second.

        A text that is too long for its frames has probability zero. Its log-probability is given as 0, so that
        it has no gradient and spoils no batch.

        Raises `InputError` for a token that is not in the vocabulary.
        """
        hidden, _ = self.hear(memory)
        spelled = self.log_likelihood(self.output, hidden, memory, tokens, lengths)
        if self.pronounce is None:
            return spelled
        return spelled, self.log_likelihood(self.pronounce, hidden, memory, *pronounced)

    def log_likelihood(
        self, output: nn.Linear, hidden: Tensor, memory: Memory, tokens: Tensor, lengths: Tensor
    ) -> Tensor:
        """`forward` of what was heard, by one of the two layers."""
        log_probs = self.say(output, hidden, memory).transpose(0, 1)
        # torch does not look, and reads beyond the end.
        if tokens.numel() and not 0 <= tokens.min() <= tokens.max() < output.out_features:
            raise InputError(f"tokens: from 0 to {output.out_features - 1} would do.")
        blank = self.blank if output is self.output else 0
        frames = memory.mask.sum(dim=1)
        return -nn.functional.ctc_loss(
            log_probs, tokens, frames, lengths, blank=blank, reduction="none", zero_infinity=True
        )
