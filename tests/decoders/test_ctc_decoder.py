from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest
import torch
from torch import nn

from showtell.decoders.ctc_decoder import CTCDecoder
from showtell.errors import InputError
from showtell.memory import Memory


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def random_decoder(blank: int = 0) -> CTCDecoder:
    decoder = CTCDecoder(memory_width=5, vocabulary_size=3, blank=blank, hidden_size=6, num_layers=2, dropout=0.0)
    nn.init.normal_(decoder.output.weight)
    nn.init.normal_(decoder.output.bias)
    return decoder


def random_memory(lengths: list[int], positions: int = 6) -> Memory:
    """A memory for each length, with padding that would show."""
    mask = torch.arange(positions) < torch.tensor(lengths)[:, None]
    return Memory(torch.randn(len(lengths), positions, 5).masked_fill(~mask[..., None], 50.0), mask)


def answer(decoder: CTCDecoder, memory: Memory) -> torch.Tensor:
    return decoder.answer(memory, decoder.init_state(len(memory.mask)))[0]["log_probs"]


def collapse(path: tuple[int, ...], blank: int) -> tuple[int, ...]:
    """The text of a path: each run of equal tokens once, no blanks."""
    runs = [token for place, token in enumerate(path) if place == 0 or token != path[place - 1]]
    return tuple(token for token in runs if token != blank)


@pytest.mark.parametrize("blank", [0, 2])
@torch.no_grad()
def test_a_text_is_as_probable_as_all_its_paths_together(blank: int) -> None:
    decoder, memory = random_decoder(blank), random_memory([4])
    log_probs = answer(decoder, memory)[0, :4]
    sums: dict[tuple[int, ...], float] = {}
    for path in product(range(3), repeat=4):
        text = collapse(path, blank)
        sums[text] = sums.get(text, 0.0) + log_probs[range(4), path].sum().exp().item()
    other = (blank + 1) % 3
    for text, expected in sums.items():
        tokens = torch.tensor([[*text, *[other] * (4 - len(text))]])
        log_probability = decoder(memory, tokens, torch.tensor([len(text)]))
        assert log_probability.exp().item() == pytest.approx(expected, rel=1e-4)


@torch.no_grad()
def test_a_padded_row_gets_what_it_gets_alone_and_its_padding_is_blank() -> None:
    decoder, lengths = random_decoder(), [6, 1, 3]
    memory, tokens = random_memory(lengths), torch.tensor([[1, 2, 1], [2, 1, 1], [1, 1, 2]])
    together, answers = decoder(memory, tokens, torch.tensor([3, 1, 2])), answer(decoder, memory)
    for row, length in enumerate(lengths):
        alone = Memory(memory.features[row : row + 1, :length], memory.mask[row : row + 1, :length])
        count = torch.tensor([3, 1, 2])[row : row + 1]
        torch.testing.assert_close(decoder(alone, tokens[row : row + 1], count)[0], together[row])
        torch.testing.assert_close(answer(decoder, alone)[0], answers[row, :length])
        assert (answers[row, length:].exp() == torch.tensor([1.0, 0, 0])).all()


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@torch.no_grad()
def test_chunks_are_heard_as_the_whole_is(cell: str) -> None:
    sizes: dict[str, Any] = {"memory_width": 5, "vocabulary_size": 3, "hidden_size": 6, "num_layers": 2}
    decoder = CTCDecoder(cell=cell, phonemes=" ab", **sizes).eval()
    memory = random_memory([7, 7], positions=7)
    whole, end = decoder.answer(memory, decoder.init_state(2))
    state, parts = decoder.init_state(2), []
    for features, mask in zip(memory.features.split(3, dim=1), memory.mask.split(3, dim=1), strict=True):
        part, state = decoder.answer(Memory(features, mask), state)
        parts.append(part)
    for output in ("log_probs", "phoneme_log_probs"):
        torch.testing.assert_close(torch.cat([part[output] for part in parts], dim=1), whole[output])
    torch.testing.assert_close(state, end)


@torch.no_grad()
def test_phonemes_are_heard_beside_letters() -> None:
    decoder = CTCDecoder(memory_width=5, vocabulary_size=3, blank=2, hidden_size=6, phonemes=" ab", dropout=0.0)
    memory, tokens, lengths = random_memory([6, 4]), torch.tensor([[1, 0], [0, 1]]), torch.tensor([2, 1])
    spelled, pronounced = decoder(memory, tokens, lengths, torch.tensor([[3, 1, 2], [2, 3, 2]]), torch.tensor([3, 2]))
    both, _ = decoder.answer(memory, decoder.init_state(2))
    assert both["phoneme_log_probs"].shape == (2, 6, 4)
    assert (both["phoneme_log_probs"][1, 4:].exp() == torch.tensor([1.0, 0, 0, 0])).all()

    letters = CTCDecoder(memory_width=5, vocabulary_size=3, blank=2, hidden_size=6, dropout=0.0)
    letters.load_state_dict({name: decoder.state_dict()[name] for name in letters.state_dict()})
    torch.testing.assert_close(letters(memory, tokens, lengths), spelled)
    torch.testing.assert_close(answer(letters, memory), both["log_probs"])

    phonemes = CTCDecoder(memory_width=5, vocabulary_size=4, hidden_size=6, dropout=0.0)
    weights = decoder.state_dict() | {
        f"output.{part}": decoder.state_dict()[f"pronounce.{part}"] for part in ("weight", "bias")
    }
    phonemes.load_state_dict({name: weights[name] for name in phonemes.state_dict()})
    alone = phonemes(memory, torch.tensor([[3, 1, 2], [2, 3, 2]]), torch.tensor([3, 2]))
    torch.testing.assert_close(alone, pronounced)


def test_a_token_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="tokens: from 0 to 2 would do"):
        random_decoder()(random_memory([6]), torch.tensor([[1, 3]]), torch.tensor([2]))


def test_a_text_too_long_for_its_frames_spoils_no_batch() -> None:
    decoder, memory = random_decoder(), random_memory([2, 6])
    decoder(memory, torch.tensor([[1, 1], [1, 1]]), torch.tensor([2, 2])).sum().backward()
    gradient = decoder.output.weight.grad
    assert gradient is not None and gradient.isfinite().all() and gradient.any()


def test_training_makes_a_text_probable() -> None:
    decoder, memory = random_decoder(), random_memory([6, 5])
    tokens, lengths = torch.tensor([[1, 2, 1], [2, 2, 1]]), torch.tensor([3, 2])
    optimizer = torch.optim.Adam(decoder.parameters(), lr=0.05)
    for _ in range(100):
        loss = -decoder(memory, tokens, lengths).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert decoder(memory, tokens, lengths).exp().min() > 0.9


def test_it_is_rebuilt_from_its_config() -> None:
    decoder = CTCDecoder(
        memory_width=5, vocabulary_size=3, blank=1, hidden_size=6, cell="gru", dropout=0.1, phonemes=" æ"
    )
    config = json.loads(json.dumps(decoder.config))
    assert CTCDecoder(**config).config == decoder.config


@pytest.mark.parametrize("blank", [-1, 3])
def test_a_blank_outside_the_vocabulary_is_refused(blank: int) -> None:
    with pytest.raises(InputError, match=f"blank={blank}: a token from 0 to 2"):
        CTCDecoder(memory_width=5, vocabulary_size=3, blank=blank)
