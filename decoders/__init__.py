"""Memory to answer: recurrent cells, attention, and the search over what they say.

Each name is imported when it is first used, so that the search, which is NumPy, costs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from showtell.lazy import attach

if TYPE_CHECKING:
    from showtell.decoders.alignment import AlignedToken, Word, align
    from showtell.decoders.attention import AdditiveAttention, DotAttention, GeneralAttention, LocationAttention
    from showtell.decoders.attention_decoder import AttentionDecoder, doubly_stochastic_penalty
    from showtell.decoders.beams import Hypothesis
    from showtell.decoders.cells import GRUCell, LSTMCell, RNNCell
    from showtell.decoders.classifier import Classifier
    from showtell.decoders.crf import CRFDecoder
    from showtell.decoders.ctc import Search, greedy
    from showtell.decoders.ctc_decoder import CTCDecoder
    from showtell.decoders.ensemble import Ensemble
    from showtell.decoders.joint_decoder import JointDecoder
    from showtell.decoders.language_model import LanguageModel
    from showtell.decoders.lexicon import Lexicon
    from showtell.decoders.linear_chain import LinearChain, Posterior
    from showtell.decoders.ngram import NGram
    from showtell.decoders.recurrent import Recurrent
    from showtell.decoders.search import beam_search, sample
    from showtell.decoders.tags import Span, find_spans, write_spans
    from showtell.decoders.word_prior import WordPrior

__all__ = [
    "AdditiveAttention",
    "AlignedToken",
    "AttentionDecoder",
    "CRFDecoder",
    "CTCDecoder",
    "Classifier",
    "DotAttention",
    "Ensemble",
    "GRUCell",
    "GeneralAttention",
    "Hypothesis",
    "JointDecoder",
    "LSTMCell",
    "LanguageModel",
    "Lexicon",
    "LinearChain",
    "LocationAttention",
    "NGram",
    "Posterior",
    "RNNCell",
    "Recurrent",
    "Search",
    "Span",
    "Word",
    "WordPrior",
    "align",
    "beam_search",
    "doubly_stochastic_penalty",
    "find_spans",
    "greedy",
    "sample",
    "write_spans",
]

__getattr__, __dir__ = attach(
    __name__,
    {
        "AdditiveAttention": "showtell.decoders.attention",
        "AlignedToken": "showtell.decoders.alignment",
        "AttentionDecoder": "showtell.decoders.attention_decoder",
        "CRFDecoder": "showtell.decoders.crf",
        "CTCDecoder": "showtell.decoders.ctc_decoder",
        "Classifier": "showtell.decoders.classifier",
        "DotAttention": "showtell.decoders.attention",
        "Ensemble": "showtell.decoders.ensemble",
        "GRUCell": "showtell.decoders.cells",
        "GeneralAttention": "showtell.decoders.attention",
        "Hypothesis": "showtell.decoders.beams",
        "JointDecoder": "showtell.decoders.joint_decoder",
        "LSTMCell": "showtell.decoders.cells",
        "LanguageModel": "showtell.decoders.language_model",
        "Lexicon": "showtell.decoders.lexicon",
        "LinearChain": "showtell.decoders.linear_chain",
        "LocationAttention": "showtell.decoders.attention",
        "NGram": "showtell.decoders.ngram",
        "Posterior": "showtell.decoders.linear_chain",
        "RNNCell": "showtell.decoders.cells",
        "Recurrent": "showtell.decoders.recurrent",
        "Search": "showtell.decoders.ctc",
        "Span": "showtell.decoders.tags",
        "Word": "showtell.decoders.alignment",
        "WordPrior": "showtell.decoders.word_prior",
        "align": "showtell.decoders.alignment",
        "beam_search": "showtell.decoders.search",
        "doubly_stochastic_penalty": "showtell.decoders.attention_decoder",
        "find_spans": "showtell.decoders.tags",
        "greedy": "showtell.decoders.ctc",
        "sample": "showtell.decoders.search",
        "write_spans": "showtell.decoders.tags",
    },
)
