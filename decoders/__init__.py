"""Memory to answer: recurrent cells, attention, and the search over what they say.

Each name is imported when it is first used, so that the search, which is NumPy, costs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from showtell.lazy import attach

if TYPE_CHECKING:
    from showtell.decoders.attention import AdditiveAttention, DotAttention, GeneralAttention
    from showtell.decoders.attention_decoder import AttentionDecoder, doubly_stochastic_penalty
    from showtell.decoders.beams import Hypothesis
    from showtell.decoders.cells import GRUCell, LSTMCell, RNNCell
    from showtell.decoders.recurrent import Recurrent
    from showtell.decoders.search import beam_search, sample

__all__ = [
    "AdditiveAttention",
    "AttentionDecoder",
    "DotAttention",
    "GRUCell",
    "GeneralAttention",
    "Hypothesis",
    "LSTMCell",
    "RNNCell",
    "Recurrent",
    "beam_search",
    "doubly_stochastic_penalty",
    "sample",
]

__getattr__, __dir__ = attach(
    __name__,
    {
        "AdditiveAttention": "showtell.decoders.attention",
        "AttentionDecoder": "showtell.decoders.attention_decoder",
        "DotAttention": "showtell.decoders.attention",
        "GRUCell": "showtell.decoders.cells",
        "GeneralAttention": "showtell.decoders.attention",
        "Hypothesis": "showtell.decoders.beams",
        "LSTMCell": "showtell.decoders.cells",
        "RNNCell": "showtell.decoders.cells",
        "Recurrent": "showtell.decoders.recurrent",
        "beam_search": "showtell.decoders.search",
        "doubly_stochastic_penalty": "showtell.decoders.attention_decoder",
        "sample": "showtell.decoders.search",
    },
)
