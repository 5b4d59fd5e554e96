"""The tagger: a recurrent network that scores tags, and a conditional random field over their sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from showtell.decoders.cells import CELLS
from showtell.decoders.dropout import VariationalDropout
from showtell.decoders.linear_chain import FLOOR
from showtell.decoders.recurrent import Recurrent
from showtell.decoders.tags import SCHEMES, Scheme, allowed_transitions, tag_set
from showtell.errors import InputError
from showtell.memory import Memory

Scores = dict[str, Tensor]

# The score of what a tag scheme forbids: low enough for any network, and no infinity, whose gradient is none.
FORBIDDEN = -1e4


class CRFDecoder(nn.Module):
    """A recurrent network in both directions and a linear-chain CRF (Huang and others 2015, Lample and others 2016).

    Of a memory's features f_1 ... f_n:

        h = recurrent(f)
        emissions_t = W h_t + b
        score(y) = start[y_1] + sum_t emissions[t, y_t] + sum_t transitions[y_t-1, y_t] + end[y_n]
        p(y) = exp(score(y)) / Z                        Z sums exp(score) over all tag sequences

    What the tag scheme forbids has a fixed score of -10,000. `linear_chain.py` finds the best tags and their
    probabilities from what `answer` gives.

    memory_width: features a position in the memory that it reads.
    labels: of spans, such as `["PER", "LOC"]`; its tags are `tag_set(labels, scheme=scheme)`.
    hidden_size: in each direction. cell: "rnn", "lstm" or "gru".
    dropout: which share of the features of a whole sequence is dropped, in training, before the recurrent
        network, between its layers and after it.

    Raises `InputError` for a scheme or a cell of another name.
    """

    answers = "tags"

    def __init__(
        self,
        *,
        memory_width: int,
        labels: Sequence[str],
        scheme: Scheme = "BIOES",
        hidden_size: int = 200,
        num_layers: int = 1,
        cell: str = "lstm",
        dropout: float = 0.5,
    ):
        super().__init__()
        for option, value, known in (("scheme", scheme, SCHEMES), ("cell", cell, CELLS)):
            if value not in known:
                raise InputError(f"{option}={value!r}: one of {', '.join(known)} would do.")
        self.config: dict[str, Any] = {
            "memory_width": memory_width,
            "labels": list(labels),
            "scheme": scheme,
            "hidden_size": hidden_size,
            "num_layers": num_layers,
            "cell": cell,
            "dropout": dropout,
        }
        tags = tag_set(labels, scheme=scheme)
        self.recurrent = Recurrent(
            memory_width, hidden_size, cell=cell, num_layers=num_layers, bidirectional=True, dropout=dropout
        )
        self.emission = nn.Linear(self.recurrent.output_size, len(tags))
        self.dropout = VariationalDropout(dropout)
        for name, allowed in allowed_transitions(tags, scheme=scheme)._asdict().items():
            self.register_parameter(name, nn.Parameter(torch.zeros(allowed.shape)))
            self.register_buffer(f"{name}_forbidden", torch.from_numpy(~allowed), persistent=False)

    def answer(self, memory: Memory) -> Scores:
        """The chain's scores, by the names that `LinearChain` has for them.

        `emissions` `(batch, positions, tags)`, `transitions` `(tags, tags)`, `start` and `end` `(tags,)`.
        """
        hidden, _ = self.recurrent(self.dropout(memory.features), memory.mask.sum(dim=1))
        scores = {"emissions": self.emission(self.dropout(hidden))}
        for name in ("transitions", "start", "end"):
            forbidden = self.get_buffer(f"{name}_forbidden")
            scores[name] = self.get_parameter(name).masked_fill(forbidden, FORBIDDEN)
        return scores

    def forward(self, memory: Memory, tags: Tensor) -> Tensor:
        """Score given taggings: the log-probability of each, `(batch,)`.

        tags: `(batch, positions)`; any tag will do in the padding.
        """
        scores = self.answer(memory)
        return path_score(scores, memory.mask, tags) - log_partition(scores, memory.mask)


def path_score(scores: Scores, mask: Tensor, tags: Tensor) -> Tensor:
    """score(y) of given taggings, `(batch,)`. mask, tags: `(batch, positions)`."""
    emissions = scores["emissions"].gather(2, tags.unsqueeze(2)).squeeze(2)
    steps = scores["transitions"][tags[:, :-1], tags[:, 1:]]
    last = tags.gather(1, mask.sum(dim=1, keepdim=True) - 1).squeeze(1)
    within = (emissions * mask).sum(dim=1) + (steps * mask[:, 1:]).sum(dim=1)
    return scores["start"][tags[:, 0]] + within + scores["end"][last]


def log_partition(scores: Scores, mask: Tensor) -> Tensor:
    """log Z by the forward algorithm, `(batch,)`. mask: `(batch, positions)`.

    Its gradient over the emissions is the tags' marginals, that over the transitions how often each is expected.

    The sums are scaled at every position, as in `LinearChain.forward_backward`: exact, and with its gradient three
    times as fast as sums of logarithms.
    """
    emissions = scores["emissions"].double()
    highest = emissions.detach().amax(dim=2, keepdim=True)
    first, *others = _weights(emissions - highest).unbind(dim=1)
    start, factors, end = (_weights(scores[name].double()) for name in ("start", "transitions", "end"))
    sums, scales = [start * first], [torch.ones_like(first[:, :1])]
    for weight in others:
        scales.append(sums[-1].sum(dim=1, keepdim=True))
        arriving = ((sums[-1] / scales[-1]).unsqueeze(1) @ factors).squeeze(1)
        sums.append(arriving * weight)
    # Steps in the padding are computed, and not looked at.
    rows = torch.arange(len(mask), device=mask.device)
    whole = torch.stack(sums, dim=1)[rows, mask.sum(dim=1) - 1] @ end
    logs = (torch.cat(scales, dim=1).log() + highest.squeeze(2)) * mask
    return (whole.log() + logs.sum(dim=1)).to(scores["emissions"].dtype)


def _weights(scores: Tensor) -> Tensor:
    return scores.clamp(min=FLOOR).exp()
