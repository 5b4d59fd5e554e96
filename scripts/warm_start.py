"""Going on from a saved recogniser: with another dropout, with more units, and with a share of what it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from showtell.composition import Model, compose, load
from showtell.decoders.ctc_decoder import CTCDecoder
from showtell.encoders.spectrogram import SpectrogramEncoder
from showtell.errors import InputError


def warm_start(
    folder: Path, *, dropout: float, hidden_size: int | None = None, phonemes: str = ""
) -> Model[SpectrogramEncoder, Any]:
    """A saved recogniser, to go on with another dropout, with more units if `hidden_size` says so, and with phonemes.

    phonemes: that it shall hear too, untrained if it did not before.

    Raises `InputError` for a hidden size that `widened` refuses.
    """
    saved = load(folder)
    before, weights = saved.decoder.config, saved.decoder.state_dict()
    added = {"phonemes": phonemes} if phonemes else {}
    decoder = type(saved.decoder)(**(before | {"dropout": dropout} | added))
    if phonemes and phonemes != before["phonemes"]:
        known = {name: value for name, value in weights.items() if not name.startswith("pronounce.")}
        weights = decoder.state_dict() | known
    decoder.load_state_dict(weights)
    if hidden_size not in (None, decoder.config["hidden_size"]):
        decoder = widened(decoder, hidden_size)
    return compose(encoder=saved.encoder, decoder=decoder, tokenizer=saved.tokenizer)


@torch.no_grad()
def widened(decoder: CTCDecoder, hidden_size: int) -> CTCDecoder:
    """A decoder of more units that says what this one says.

    The new units hear all, and nothing hears them yet: their weights on the way out are zero, and training will find
    them use. (Chen and others, "Net2Net", 2016, copy units and halve what leaves them.)

    Raises `InputError` for fewer units than there are, or a decoder that is not by CTC alone.
    """
    units = decoder.config["hidden_size"]
    if type(decoder) is not CTCDecoder:
        raise InputError(f"{type(decoder).__name__}: its units cannot be added to; a decoder by CTC alone would do.")
    if hidden_size < units:
        raise InputError(f"hidden_size={hidden_size}: {units}, as it has, or more would do.")
    sizes: dict[str, Any] = decoder.config | {"hidden_size": hidden_size}
    wide = CTCDecoder(**sizes)
    for cell, wide_cell in zip(decoder.recurrent.cells, wide.recurrent.cells, strict=True):
        for old, new in zip(cell.children(), wide_cell.children(), strict=True):
            assert isinstance(old, torch.nn.Linear) and isinstance(new, torch.nn.Linear), "as `Cell.affine` makes them"
            # (gates, units, inputs), of which the inputs are [h, x].
            before, after = old.weight.unflatten(0, (-1, units)), new.weight.unflatten(0, (-1, hidden_size))
            inputs = before.shape[2] - units
            after[:, :units] = 0
            after[:, :units, :units] = before[:, :, :units]
            after[:, :units, hidden_size : hidden_size + inputs] = before[:, :, units:]
            new.bias.unflatten(0, (-1, hidden_size))[:, :units] = old.bias.unflatten(0, (-1, units))
    for old, new in ((decoder.output, wide.output), (decoder.pronounce, wide.pronounce)):
        if old is not None and new is not None:
            new.weight.zero_()[:, :units] = old.weight
            new.bias.copy_(old.bias)
    return wide


def blend(model: Model[SpectrogramEncoder, Any], begun: Model[SpectrogramEncoder, Any], share: float) -> None:
    """Mix into a trained model's weights a share of those that it began with: of both it makes fewer errors on what
    neither was trained on (Wortsman and others, "Robust fine-tuning of zero-shot models", 2022)."""
    before = begun.state_dict()
    model.load_state_dict(
        {name: weights.lerp(before[name].to(weights), share) for name, weights in model.state_dict().items()}
    )
