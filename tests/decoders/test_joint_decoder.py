from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import nn

from showtell.decoders.ctc_decoder import CTCDecoder
from showtell.decoders.joint_decoder import JointDecoder
from showtell.errors import InputError
from showtell.memory import Memory

VOCABULARY = 6
SIZES: dict[str, Any] = {"memory_width": 5, "hidden_size": 6, "num_layers": 2, "dropout": 0.0}
TOKENS, LENGTHS = torch.tensor([[1, 2, 3], [3, 0, 0], [2, 2, 0]]), torch.tensor([3, 1, 2])


@pytest.fixture
def decoder() -> JointDecoder:
    """A decoder whose every weight counts."""
    torch.manual_seed(0)
    decoder = JointDecoder(
        vocabulary_size=VOCABULARY, start=4, end=5, embedding_size=4, attention_size=3, ctc_weight=0.3, **SIZES
    )
    for weight in decoder.parameters():
        nn.init.normal_(weight, std=0.5)
    nn.init.ones_(decoder.speller.value.bias)  # a network says little, and a relu may take it for nothing
    return decoder


def random_memory(lengths: list[int]) -> Memory:
    """A memory for each length, with padding that would show."""
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return Memory(torch.randn(*mask.shape, 5).masked_fill(~mask[..., None], 50.0), mask)


@torch.no_grad()
def test_its_ctc_is_that_of_a_ctc_decoder_which_knows_no_start_and_no_end(decoder: JointDecoder) -> None:
    plain, memory = CTCDecoder(vocabulary_size=4, **SIZES), random_memory([8, 3, 5])
    plain.load_state_dict(decoder.state_dict(), strict=False)
    torch.testing.assert_close(decoder(memory, TOKENS, LENGTHS)[0], plain(memory, TOKENS, LENGTHS))
    heard = decoder.answer(memory, decoder.init_state(3))
    torch.testing.assert_close(heard, plain.answer(memory, plain.init_state(3)))


@torch.no_grad()
def test_its_attention_writes_step_by_step_what_training_scores(decoder: JointDecoder) -> None:
    memory = random_memory([8, 3, 5])
    _, logits = decoder(memory, TOKENS, LENGTHS)
    context, state = decoder.attend(memory)
    for place, tokens in enumerate(torch.tensor([[4, 1, 2, 3], [4, 3, 0, 0], [4, 2, 2, 0]]).unbind(dim=1)):
        log_probs, state, _ = decoder.speller.step(tokens[:, None], state, context)
        torch.testing.assert_close(log_probs[:, 0], logits[:, place].log_softmax(dim=-1))


@torch.no_grad()
def test_a_padded_row_is_scored_as_it_is_alone(decoder: JointDecoder) -> None:
    lengths = [8, 3, 5]
    memory = random_memory(lengths)
    together = decoder(memory, TOKENS, LENGTHS)
    for row, length in enumerate(lengths):
        alone = Memory(memory.features[row : row + 1, :length], memory.mask[row : row + 1, :length])
        one = decoder(alone, TOKENS[row : row + 1], LENGTHS[row : row + 1])
        torch.testing.assert_close((one[0][0], one[1][0]), (together[0][row], together[1][row]))


def test_both_teach_the_network_that_they_share(decoder: JointDecoder) -> None:
    memory = random_memory([8, 5, 5])
    ctc, logits = decoder(memory, TOKENS, LENGTHS)
    for loss in (ctc.sum(), logits.log_softmax(dim=-1)[..., 0].sum()):
        decoder.zero_grad()
        loss.backward(retain_graph=True)
        assert all(weight.grad is not None and weight.grad.any() for weight in decoder.recurrent.parameters())
    assert all(weight.grad is not None and weight.grad.any() for weight in decoder.speller.parameters())


def test_it_is_rebuilt_from_its_config(decoder: JointDecoder) -> None:
    again = JointDecoder(**json.loads(json.dumps(decoder.config)))
    assert again.config == decoder.config
    again.load_state_dict(decoder.state_dict())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": 1, "end": 2}, "start=1, end=2: the last two tokens, 4 and 5, would do"),
        ({"start": 4, "end": 5, "ctc_weight": 1.5}, "ctc_weight=1.5: a number from 0 to 1 would do"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        JointDecoder(memory_width=5, vocabulary_size=VOCABULARY, **options)
