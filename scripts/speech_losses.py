"""What a recogniser is trained for: to write what was said, by CTC, by attention, or by both."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from showtell.composition import Model
from showtell.decoders.attention_decoder import AttentionDecoder
from showtell.decoders.ctc_decoder import CTCDecoder
from showtell.decoders.joint_decoder import JointDecoder
from showtell.encoders.spectrogram import SpectrogramEncoder
from showtell.scripts.datasets.speech_tensors import Batch

# Else attention would soon be sure of each letter that it was taught, and of the wrong ones that it writes itself.
LABEL_SMOOTHING = 0.1
IGNORED = -100
# Of the letters in what a recogniser that hears phonemes too is trained for.
LETTERS_SHARE = 0.3


def by_ctc(model: Model[SpectrogramEncoder, CTCDecoder], batch: Batch) -> Tensor:
    """The negative log-likelihood of what was said, a character; or of both its letters and its phonemes, weighted."""
    log_likelihoods = model(batch.inputs, batch.tokens, batch.lengths, *batch.pronounced)
    if not batch.pronounced:
        return -log_likelihoods.sum() / batch.lengths.sum()
    spelled, pronounced = log_likelihoods
    letters, phonemes = spelled.sum() / batch.lengths.sum(), pronounced.sum() / batch.pronounced[1].sum()
    return -(LETTERS_SHARE * letters + (1 - LETTERS_SHARE) * phonemes)


def by_attention(model: Model[SpectrogramEncoder, AttentionDecoder], batch: Batch) -> Tensor:
    """The smoothed cross-entropy of what was said and its end, a character."""
    given = nn.functional.pad(batch.tokens, (1, 0), value=model.decoder.config["start"])
    logits, _ = model(batch.inputs, given.unsqueeze(1))
    return cross_entropy(logits.squeeze(1), batch, model.decoder.config["end"])


def by_both(model: Model[SpectrogramEncoder, JointDecoder], batch: Batch) -> Tensor:
    """The two, weighted as the decoder says (Watanabe and others 2017)."""
    log_likelihoods, logits = model(batch.inputs, batch.tokens, batch.lengths)
    weight = model.decoder.config["ctc_weight"]
    ctc = -log_likelihoods.sum() / batch.lengths.sum()
    return weight * ctc + (1 - weight) * cross_entropy(logits, batch, model.decoder.config["end"])


def cross_entropy(logits: Tensor, batch: Batch, end: int) -> Tensor:
    """Of logits `(batch, longest + 1, vocabulary)` of what follows the start and each token."""
    places = torch.arange(logits.shape[1], device=logits.device)
    lengths = batch.lengths.unsqueeze(1)
    following = nn.functional.pad(batch.tokens, (0, 1)).masked_fill(places == lengths, end)
    following = following.masked_fill(places > lengths, IGNORED)
    return nn.functional.cross_entropy(
        logits.flatten(0, 1).float(), following.flatten(), ignore_index=IGNORED, label_smoothing=LABEL_SMOOTHING
    )
