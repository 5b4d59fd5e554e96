from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from showtell.decoders.cells import CELLS
from showtell.decoders.classifier import Classifier
from showtell.errors import InputError
from showtell.memory import Memory

MEMORY_WIDTH, LABELS = 5, ["negative", "neutral", "positive"]
EVERY_CELL = pytest.mark.parametrize("cell", CELLS)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def random_classifier(cell: str = "lstm", dropout: float = 0.0, num_layers: int = 1) -> Classifier:
    """A classifier whose every weight counts, biases too."""
    classifier = Classifier(
        memory_width=MEMORY_WIDTH,
        labels=LABELS,
        hidden_size=4,
        attention_size=3,
        num_layers=num_layers,
        cell=cell,
        dropout=dropout,
    )
    for parameter in classifier.parameters():
        nn.init.normal_(parameter, std=0.7)
    return classifier


def random_memory(lengths: list[int], positions: int = 7) -> Memory:
    """A memory for each length, with padding that would show."""
    mask = torch.arange(positions) < torch.tensor(lengths)[:, None]
    return Memory(torch.randn(len(lengths), positions, MEMORY_WIDTH).masked_fill(~mask[..., None], 50.0), mask)


@EVERY_CELL
@settings(max_examples=15)
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4))
@torch.no_grad()
def test_a_padded_memory_is_classified_as_it_is_alone(cell: str, lengths: list[int]) -> None:
    classifier, memory = random_classifier(cell, num_layers=2), random_memory(lengths)
    logits, weights = classifier(memory)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(len(lengths)))
    for row, length in enumerate(lengths):
        assert not weights[row, length:].any()
        alone = Memory(memory.features[row : row + 1, :length], memory.mask[row : row + 1, :length])
        torch.testing.assert_close((logits[row], weights[row, :length]), tuple(part[0] for part in classifier(alone)))


@torch.no_grad()
def test_the_pooling_is_what_the_formulas_say() -> None:
    """From the recurrent network's outputs on, in NumPy."""
    classifier, memory = random_classifier().double(), random_memory([6], positions=6)
    memory = Memory(memory.features.double(), memory.mask)
    logits, weights = (part.numpy() for part in classifier(memory))
    w = {name: value.numpy() for name, value in classifier.named_parameters()}
    h = classifier.recurrent(memory.features)[0][0].numpy()
    energies = np.tanh(h @ w["key.weight"].T + w["key.bias"]) @ w["energy.weight"][0]
    alpha = np.exp(energies) / np.exp(energies).sum()
    np.testing.assert_allclose(weights[0], alpha)
    np.testing.assert_allclose(logits[0], w["output.weight"] @ (alpha @ h) + w["output.bias"])
    answer = classifier.answer(memory)
    np.testing.assert_allclose(answer["log_probs"].exp(), np.exp(logits) / np.exp(logits).sum())
    np.testing.assert_array_equal(answer["attention"], weights)


def test_gradients_reach_every_weight_and_no_padding() -> None:
    classifier, memory = random_classifier(), random_memory([7, 3])
    features = memory.features.requires_grad_()
    logits, _ = classifier(memory)
    nn.functional.cross_entropy(logits, torch.tensor([0, 2])).backward()
    assert {n for n, weight in classifier.named_parameters() if weight.grad is None or not weight.grad.any()} == set()
    assert features.grad is not None
    assert features.grad[memory.mask].any()
    assert not features.grad[~memory.mask].any()


class Graph(nn.Module):
    """The classifier as a graph."""

    def __init__(self, classifier: Classifier):
        super().__init__()
        self.classifier = classifier

    def forward(self, features: Tensor, mask: Tensor) -> dict[str, Tensor]:
        return self.classifier.answer(Memory(features, mask))


@pytest.mark.filterwarnings("ignore:# The axis name")
@torch.no_grad()
def test_an_exported_classifier_equals_torch(tmp_path: Path) -> None:
    classifier = random_classifier(dropout=0.5).eval()
    example, names, axes = random_memory([7, 2]), ["log_probs", "attention"], {0: "batch", 1: "positions"}
    torch.onnx.export(
        Graph(classifier).eval(),
        (example.features, example.mask),
        tmp_path / "classify.onnx",
        input_names=["features", "mask"],
        output_names=names,
        dynamic_shapes=(axes, axes),
        dynamo=True,
        optimize=False,
        verbose=False,
    )
    session = onnxruntime.InferenceSession(tmp_path / "classify.onnx")
    memory = random_memory([3, 11, 1], positions=12)
    results = session.run(names, {"features": memory.features.numpy(), "mask": memory.mask.numpy()})
    for name, result in zip(names, results, strict=True):
        torch.testing.assert_close(torch.from_numpy(np.asarray(result)), classifier.answer(memory)[name])


def test_its_config_builds_it_again() -> None:
    classifier = random_classifier("gru", 0.25, num_layers=2)
    again = Classifier(**classifier.config)
    again.load_state_dict(classifier.state_dict())
    assert again.config == classifier.config


@torch.no_grad()
def test_dropout_falls_only_in_training() -> None:
    classifier, memory = random_classifier(dropout=0.5), random_memory([7])
    assert not torch.equal(classifier(memory)[0], classifier(memory)[0])
    classifier.eval()
    assert torch.equal(classifier(memory)[0], classifier(memory)[0])


def test_a_cell_of_another_name_is_an_input_error() -> None:
    with pytest.raises(InputError, match=r"cell='LSTM': one of rnn, lstm, gru would do\."):
        Classifier(memory_width=MEMORY_WIDTH, labels=LABELS, cell="LSTM")
