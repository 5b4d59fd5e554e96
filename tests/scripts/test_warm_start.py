"""Tests for going on from a saved recogniser."""

from pathlib import Path

import pytest
import torch

from showtell.composition import compose
from showtell.decoders.cells import CELLS
from showtell.decoders.ctc_decoder import CTCDecoder
from showtell.decoders.joint_decoder import JointDecoder
from showtell.encoders.spectrogram import SpectrogramEncoder
from showtell.errors import InputError
from showtell.memory import Memory
from showtell.scripts.train_asr import Decoder, new_recogniser, spelling
from showtell.scripts.warm_start import blend, warm_start, widened


@pytest.mark.parametrize("cell", CELLS)
def test_a_wider_decoder_says_the_same_and_learns_by_its_new_units(cell: str) -> None:
    torch.manual_seed(0)
    decoder = CTCDecoder(memory_width=5, vocabulary_size=4, hidden_size=6, num_layers=2, cell=cell, dropout=0.0)
    wide = widened(decoder, 9)
    assert wide.config == decoder.config | {"hidden_size": 9}
    memory = Memory(torch.randn(2, 7, 5), torch.ones(2, 7, dtype=torch.bool))
    before, _ = decoder.answer(memory, decoder.init_state(2))
    after, _ = wide.answer(memory, wide.init_state(2))
    torch.testing.assert_close(after, before)

    optimizer = torch.optim.SGD(wide.parameters(), lr=1.0)
    for _ in range(2):
        optimizer.zero_grad()
        (-wide(memory, torch.tensor([[1, 2], [3, 1]]), torch.tensor([2, 2])).sum()).backward()
        optimizer.step()
    assert (wide.output.weight[:, 6:].abs().sum(dim=0) > 0).all()


def test_units_are_neither_taken_away_nor_added_to_a_joint_decoder() -> None:
    with pytest.raises(InputError, match="hidden_size=4: 6, as it has, or more would do"):
        widened(CTCDecoder(memory_width=5, vocabulary_size=4, hidden_size=6), 4)
    with pytest.raises(InputError, match="JointDecoder: its units cannot be added to"):
        widened(JointDecoder(memory_width=5, vocabulary_size=6, start=4, end=5, hidden_size=6), 8)


def test_a_saved_recogniser_goes_on_with_another_dropout_and_more_units(tmp_path: Path) -> None:
    encoder = SpectrogramEncoder(channels=4, width=16, lookahead=3)
    tokenizer = spelling(["a word"])
    decoder = CTCDecoder(memory_width=16, vocabulary_size=tokenizer.get_vocab_size(), hidden_size=8, num_layers=1)
    compose(encoder=encoder, decoder=decoder, tokenizer=tokenizer).save(tmp_path / "before")
    same = warm_start(tmp_path / "before", dropout=0.1)
    wide = warm_start(tmp_path / "before", dropout=0.1, hidden_size=12)
    assert same.decoder.config == decoder.config | {"dropout": 0.1}
    assert wide.decoder.config == decoder.config | {"dropout": 0.1, "hidden_size": 12}
    inputs = {"features": torch.randn(1, 16, 80), "lengths": torch.tensor([16])}
    said = [model.eval()(inputs, torch.tensor([[1]]), torch.tensor([1])) for model in (same, wide)]
    torch.testing.assert_close(said[0], said[1])


def test_a_share_of_the_first_weights_is_mixed_into_the_trained_ones() -> None:
    tokenizer = spelling(["a word"])
    trained, begun = (new_recogniser(Decoder.CTC, tokenizer, 16, 1) for _ in range(2))
    expected = {name: 0.6 * weights + 0.4 * begun.state_dict()[name] for name, weights in trained.state_dict().items()}
    blend(trained, begun, 0.4)
    for name, weights in trained.state_dict().items():
        torch.testing.assert_close(weights, expected[name])


def test_a_recogniser_that_spelled_hears_phonemes_too_and_spells_as_before(tmp_path: Path) -> None:
    encoder = SpectrogramEncoder(channels=4, width=16, lookahead=3)
    tokenizer = spelling(["a word"])
    decoder = CTCDecoder(memory_width=16, vocabulary_size=tokenizer.get_vocab_size(), hidden_size=8, num_layers=1)
    compose(encoder=encoder, decoder=decoder, tokenizer=tokenizer).save(tmp_path / "before")
    hears = warm_start(tmp_path / "before", dropout=0.1, hidden_size=10, phonemes=" ab")
    assert hears.decoder.config == decoder.config | {"dropout": 0.1, "hidden_size": 10, "phonemes": " ab"}
    hears.save(tmp_path / "after")
    again = warm_start(tmp_path / "after", dropout=0.1, phonemes=" ab")
    torch.testing.assert_close(again.decoder.state_dict(), hears.decoder.state_dict(), atol=1e-3, rtol=1e-3)  # fp16

    memory = Memory(torch.randn(2, 7, 16), torch.ones(2, 7, dtype=torch.bool))
    spelled, heard = (each.eval().answer(memory, each.init_state(2))[0] for each in (decoder, again.decoder))
    torch.testing.assert_close(heard["log_probs"], spelled["log_probs"], atol=1e-2, rtol=1e-2)
    assert heard["phoneme_log_probs"].shape == (2, 7, 4)
