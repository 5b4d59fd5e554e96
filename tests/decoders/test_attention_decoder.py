from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from showtell.decoders.attention import ATTENTIONS
from showtell.decoders.attention_decoder import AttentionDecoder, State, doubly_stochastic_penalty
from showtell.decoders.cells import CELLS
from showtell.errors import InputError
from showtell.memory import Memory

MEMORY_WIDTH, HIDDEN, EMBEDDING, VOCABULARY = 5, 6, 4, 9
EVERY_KIND = pytest.mark.parametrize(
    ("cell", "attention"), [(cell, attention) for cell in CELLS for attention in ATTENTIONS]
)
EVERY_CELL = pytest.mark.parametrize("cell", CELLS)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def random_decoder(
    cell: str = "lstm", attention: str = "additive", dropout: float = 0.0, listener_layers: int = 0
) -> AttentionDecoder:
    """A decoder whose every weight counts, biases too."""
    decoder = AttentionDecoder(
        memory_width=MEMORY_WIDTH,
        vocabulary_size=VOCABULARY,
        hidden_size=HIDDEN,
        embedding_size=EMBEDDING,
        attention_size=3,
        attention=attention,
        cell=cell,
        listener_layers=listener_layers,
        dropout=dropout,
    )
    for parameter in decoder.parameters():
        nn.init.normal_(parameter, std=0.7)
    return decoder


def random_memory(lengths: list[int], positions: int = 7) -> Memory:
    """A memory for each length, with padding that would show."""
    mask = torch.arange(positions) < torch.tensor(lengths)[:, None]
    features = torch.randn(len(lengths), positions, MEMORY_WIDTH).masked_fill(~mask[..., None], 50.0)
    return Memory(features, mask)


def row_of(memory: Memory, row: int) -> Memory:
    """One memory without its padding."""
    real = memory.mask[row]
    return Memory(memory.features[row, real][None], real[real][None])


def walk(decoder: AttentionDecoder, memory: Memory, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities and attention of every step, as an answering loop gets them."""
    context, state = decoder.init_state(memory)
    state = {name: value.repeat(1, tokens.shape[1], 1) for name, value in state.items()}
    log_probs, looks = [], []
    for written in tokens.unbind(dim=2):
        step, state, look = decoder.step(written, state, context)
        log_probs.append(step)
        looks.append(look)
    return torch.stack(log_probs, dim=2), torch.stack(looks, dim=2)


@EVERY_KIND
@torch.no_grad()
def test_stepping_equals_teacher_forcing(cell: str, attention: str) -> None:
    decoder = random_decoder(cell, attention, dropout=0.5).eval()
    memory, tokens = random_memory([7, 3]), torch.randint(VOCABULARY, (2, 3, 5))
    logits, looks = decoder(memory, tokens)
    torch.testing.assert_close(walk(decoder, memory, tokens), (logits.log_softmax(dim=-1), looks))


@EVERY_KIND
@torch.no_grad()
def test_every_step_gives_probabilities_and_looks_only_at_what_is_real(cell: str, attention: str) -> None:
    decoder, memory = random_decoder(cell, attention), random_memory([7, 3])
    log_probs, looks = walk(decoder, memory, torch.randint(VOCABULARY, (2, 3, 5)))
    torch.testing.assert_close(log_probs.exp().sum(dim=-1), torch.ones(2, 3, 5))
    torch.testing.assert_close(looks.sum(dim=-1), torch.ones(2, 3, 5))
    assert not looks.transpose(1, 3)[~memory.mask].any()


@EVERY_KIND
@torch.no_grad()
def test_a_padded_memory_and_its_texts_are_scored_as_they_are_alone(cell: str, attention: str) -> None:
    decoder, lengths = random_decoder(cell, attention), [7, 1, 4]
    memory, tokens = random_memory(lengths), torch.randint(VOCABULARY, (3, 2, 4))
    logits, looks = decoder(memory, tokens)
    for row, length in enumerate(lengths):
        for text in range(2):
            alone = decoder(row_of(memory, row), tokens[row, text][None, None])
            torch.testing.assert_close(
                (logits[row, text], looks[row, text, :, :length]), (alone[0][0, 0], alone[1][0, 0])
            )


@EVERY_CELL
def test_a_listener_hears_each_memory_as_it_is_alone_and_is_taught(cell: str) -> None:
    decoder, lengths = random_decoder(cell, "location", listener_layers=2), [7, 1, 4]
    nn.init.ones_(decoder.value.bias)  # a listener says little, and a relu may take it for nothing
    memory, tokens = random_memory(lengths), torch.randint(VOCABULARY, (3, 2, 4))
    logits, looks = decoder(memory, tokens)
    torch.testing.assert_close(walk(decoder, memory, tokens), (logits.log_softmax(dim=-1), looks))
    for row, length in enumerate(lengths):
        alone = decoder(row_of(memory, row), tokens[row][None])
        torch.testing.assert_close((logits[row], looks[row, ..., :length]), (alone[0][0], alone[1][0]))
    logits.log_softmax(dim=-1)[..., 0].sum().backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in decoder.parameters())


@EVERY_CELL
@torch.no_grad()
def test_hypotheses_of_one_input_do_not_influence_each_other(cell: str) -> None:
    decoder = random_decoder(cell)
    context, state = decoder.init_state(random_memory([7, 3]))
    beams: State = {name: torch.randn(2, 3, HIDDEN) for name in state}
    tokens = torch.randint(VOCABULARY, (2, 3))
    together = decoder.step(tokens, beams, context)
    for beam in range(3):
        one = slice(beam, beam + 1)
        log_probs, after, look = decoder.step(tokens[:, one], {name: s[:, one] for name, s in beams.items()}, context)
        torch.testing.assert_close(log_probs, together[0][:, one])
        torch.testing.assert_close(after, {name: s[:, one] for name, s in together[1].items()})
        torch.testing.assert_close(look, together[2][:, one])


@EVERY_CELL
@torch.no_grad()
def test_no_step_sees_the_tokens_after_it(cell: str) -> None:
    decoder, memory = random_decoder(cell), random_memory([4])
    tokens = torch.randint(VOCABULARY, (1, 1, 6))
    changed = tokens.clone()
    changed[..., 3:] = (changed[..., 3:] + 1) % VOCABULARY
    before, after = decoder(memory, tokens)[0], decoder(memory, changed)[0]
    assert torch.equal(before[:, :, :3], after[:, :, :3])
    assert not torch.isclose(before[:, :, 3:], after[:, :, 3:]).all(dim=-1).any()


@EVERY_KIND
def test_gradients_reach_every_weight_and_no_padding(cell: str, attention: str) -> None:
    decoder, memory = random_decoder(cell, attention), random_memory([7, 3])
    features = memory.features.requires_grad_()
    logits, looks = decoder(memory, torch.randint(VOCABULARY, (2, 2, 4)))
    (logits.log_softmax(dim=-1)[..., 0].sum() + looks.square().sum()).backward()
    assert {
        name for name, weight in decoder.named_parameters() if weight.grad is None or not weight.grad.any()
    } == set()
    assert features.grad is not None
    assert not features.grad[~memory.mask].any()


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def softmax(x: np.ndarray) -> np.ndarray:
    return np.exp(x - x.max()) / np.exp(x - x.max()).sum()


@torch.no_grad()
def test_one_step_is_what_the_formulas_say() -> None:
    """The start and one step for one photograph, in NumPy, from the papers' formulas (additive attention, LSTM)."""
    decoder, memory = random_decoder().double(), random_memory([6], positions=6)
    context, state = decoder.init_state(Memory(memory.features.double(), memory.mask))
    log_probs, after, look = decoder.step(torch.tensor([[4]]), state, context)

    w = {name: value.numpy() for name, value in decoder.named_parameters()}
    f = memory.features[0].double().numpy()
    a = np.maximum(f @ w["value.weight"].T + w["value.bias"], 0)
    h, c = np.split(np.tanh(w["initial.weight"] @ a.mean(axis=0) + w["initial.bias"]), 2)
    np.testing.assert_allclose(state["hidden"].flatten(), h)
    np.testing.assert_allclose(state["cell"].flatten(), c)

    # Where to look: e_i = v^T tanh(W_q h + W_f a_i + b), alpha = softmax(e), z = sum_i alpha_i a_i; then the gate.
    keys = a @ w["attention.key.weight"].T + w["attention.key.bias"]
    alpha = softmax(np.tanh(w["attention.query.weight"] @ h + keys) @ w["attention.energy.weight"][0])
    z = sigmoid(w["gate.weight"] @ h + w["gate.bias"]) * (alpha @ a)
    # The LSTM over [h, E y, z]: gates f, i, o and the candidate.
    y = w["embedding.weight"][4]
    f_t, i_t, o_t, candidate = np.split(w["cell.gates.weight"] @ np.concatenate([h, y, z]) + w["cell.gates.bias"], 4)
    c = sigmoid(f_t) * c + sigmoid(i_t) * np.tanh(candidate)
    h = sigmoid(o_t) * np.tanh(c)
    # The deep output layer, whose last matrix is the embedding.
    deep = y + w["output_hidden.weight"] @ h + w["output_hidden.bias"] + w["output_context.weight"] @ z
    p = softmax(w["embedding.weight"] @ np.tanh(deep) + w["vocabulary_bias"])

    np.testing.assert_allclose(look.flatten(), alpha)
    np.testing.assert_allclose(after["hidden"].flatten(), h)
    np.testing.assert_allclose(after["cell"].flatten(), c)
    np.testing.assert_allclose(log_probs.exp().flatten(), p)


@torch.no_grad()
def test_dropout_falls_only_in_training() -> None:
    decoder, memory = random_decoder(dropout=0.5), random_memory([7])
    tokens = torch.randint(VOCABULARY, (1, 1, 4))
    assert not torch.equal(decoder(memory, tokens)[0], decoder(memory, tokens)[0])
    decoder.eval()
    assert torch.equal(decoder(memory, tokens)[0], decoder(memory, tokens)[0])


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"attention": "dott"}, "attention='dott': one of additive, dot, general, location would do."),
        ({"cell": "LSTM"}, "cell='LSTM': one of rnn, lstm, gru would do."),
    ],
)
def test_an_attention_or_a_cell_of_another_name_is_an_input_error(option: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        AttentionDecoder(memory_width=MEMORY_WIDTH, vocabulary_size=VOCABULARY, **option)
    assert str(caught.value) == message


def test_the_penalty_is_zero_where_every_position_is_looked_at_once() -> None:
    weights = torch.tensor([[[[1.0, 0.0], [0.25, 0.75], [0.0, 1.0]]]])
    assert doubly_stochastic_penalty(weights[:, :, [0, 2]], torch.ones(1, 1, 2, dtype=torch.bool)) == 0
    # Looked at 1.25 and 1.75 times: (0.25^2 + 0.75^2) / 2
    penalty = doubly_stochastic_penalty(weights, torch.ones(1, 1, 3, dtype=torch.bool))
    torch.testing.assert_close(penalty, torch.tensor((0.0625 + 0.5625) / 2))


def test_the_penalty_does_not_see_padding_nor_texts_that_are_all_padding() -> None:
    weights = torch.rand(2, 3, 4, 5)
    real = torch.zeros(2, 3, 4, dtype=torch.bool)
    real[0, 0, :3] = real[1, 2, :2] = True
    first = doubly_stochastic_penalty(weights[:1, :1, :3], real[:1, :1, :3])
    second = doubly_stochastic_penalty(weights[1:, 2:, :2], real[1:, 2:, :2])
    torch.testing.assert_close(doubly_stochastic_penalty(weights, real), (first + second) / 2)
