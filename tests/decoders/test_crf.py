from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from showtell.decoders.cells import CELLS
from showtell.decoders.crf import CRFDecoder, Scores, log_partition, path_score
from showtell.decoders.linear_chain import LinearChain
from showtell.decoders.tags import SCHEMES, Scheme, allowed_transitions, find_spans, tag_set, write_spans
from showtell.errors import InputError
from showtell.memory import Memory

MEMORY_WIDTH = 5
EVERY_SCHEME = pytest.mark.parametrize("scheme", SCHEMES)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def random_decoder(labels: list[str], scheme: Scheme = "BIOES", cell: str = "lstm", dropout: float = 0.0) -> CRFDecoder:
    """A decoder whose every weight counts, biases too."""
    decoder = CRFDecoder(
        memory_width=MEMORY_WIDTH, labels=labels, scheme=scheme, hidden_size=4, cell=cell, dropout=dropout
    )
    for parameter in decoder.parameters():
        nn.init.normal_(parameter, std=0.7)
    return decoder


def random_memory(lengths: list[int], positions: int = 7) -> Memory:
    """A memory for each length, with padding that would show."""
    mask = torch.arange(positions) < torch.tensor(lengths)[:, None]
    return Memory(torch.randn(len(lengths), positions, MEMORY_WIDTH).masked_fill(~mask[..., None], 50.0), mask)


def chain_of(scores: dict[str, Tensor], mask: Tensor) -> LinearChain:
    arrays = {name: value.detach().numpy() for name, value in scores.items()}
    return LinearChain(**arrays, lengths=mask.sum(dim=1).numpy())


def random_scores(tags: int, batch: int, time: int) -> Scores:
    """Scores in double precision, of which a gradient is wanted."""
    shapes = {"emissions": (batch, time, tags), "transitions": (tags, tags), "start": (tags,), "end": (tags,)}
    return {name: torch.randn(shape, dtype=torch.double, requires_grad=True) for name, shape in shapes.items()}


@EVERY_SCHEME
@pytest.mark.parametrize("cell", CELLS)
@torch.no_grad()
def test_all_taggings_that_the_scheme_allows_have_probability_one_in_sum(scheme: Scheme, cell: str) -> None:
    decoder = random_decoder(["X"], scheme, cell).double()
    tags = tag_set(["X"], scheme=scheme)
    for length in (1, 2, 4):
        memory = random_memory([length], positions=length)
        memory = Memory(memory.features.double(), memory.mask)
        taggings = torch.tensor([*product(range(len(tags)), repeat=length)])
        many = Memory(memory.features.expand(len(taggings), -1, -1), memory.mask.expand(len(taggings), -1))
        probabilities = decoder(many, taggings).exp()
        torch.testing.assert_close(probabilities.sum().item(), 1.0)
        for probability, tagging in zip(probabilities.tolist(), taggings.tolist(), strict=True):
            names = [tags[tag] for tag in tagging]
            assert (probability > 0) == (write_spans(find_spans(names), length, scheme=scheme) == names)


@torch.no_grad()
def test_training_and_answering_agree_on_the_probability_of_a_tagging() -> None:
    decoder, memory = random_decoder(["PER", "LOC"]), random_memory([7, 1, 4])
    chain = chain_of(decoder.answer(memory), memory.mask)
    best, posterior = chain.viterbi(), chain.forward_backward()
    log_likelihood = decoder(memory, torch.from_numpy(best))
    lengths = memory.mask.sum(dim=1).tolist()
    segments = [path[:length].tolist() for path, length in zip(best, lengths, strict=True)]
    probabilities = posterior.segments([0, 1, 2], [0, 0, 0], segments)
    np.testing.assert_allclose(log_likelihood.exp().numpy(), probabilities, rtol=1e-5)


def test_the_score_of_a_path_is_what_the_formula_says() -> None:
    scores = {
        "emissions": torch.tensor([[[1.0, 2.0], [3.0, 5.0], [90.0, 90.0]]]),
        "transitions": torch.tensor([[0.1, 0.2], [0.4, 0.8]]),
        "start": torch.tensor([10.0, 20.0]),
        "end": torch.tensor([100.0, 200.0]),
    }
    mask, tags = torch.tensor([[True, True, False]]), torch.tensor([[1, 0, 1]])
    torch.testing.assert_close(path_score(scores, mask, tags), torch.tensor([20 + 2 + 0.4 + 3 + 100]))


def test_gradients_are_right_and_none_reaches_the_padding() -> None:
    scores, mask = random_scores(3, 2, 4), torch.tensor([[True] * 4, [True, True, False, False]])
    tags = torch.tensor([[0, 2, 1, 1], [2, 0, 0, 0]])

    def log_likelihood(*values: Tensor) -> Tensor:
        given = dict(zip(scores, values, strict=True))
        return path_score(given, mask, tags) - log_partition(given, mask)

    assert torch.autograd.gradcheck(log_likelihood, tuple(scores.values()))
    log_likelihood(*scores.values()).sum().backward()
    gradient = scores["emissions"].grad
    assert gradient is not None
    assert gradient[mask].all()
    assert not gradient[~mask].any()


def test_the_gradient_of_the_partition_is_the_marginals() -> None:
    scores, mask = random_scores(4, 2, 6), torch.tensor([[True] * 6, [True] * 3 + [False] * 3])
    (gradient,) = torch.autograd.grad(log_partition(scores, mask).sum(), scores["emissions"])
    np.testing.assert_allclose(chain_of(scores, mask).forward_backward().marginals, gradient, atol=1e-12)


@EVERY_SCHEME
def test_training_reaches_every_weight_but_what_is_forbidden(scheme: Scheme) -> None:
    decoder, memory = random_decoder(["PER", "LOC"], scheme), random_memory([7, 3])
    tags = torch.zeros(2, 7, dtype=torch.long)
    features = memory.features.requires_grad_()
    (-decoder(memory, tags)).sum().backward()
    allowed = allowed_transitions(tag_set(["PER", "LOC"], scheme=scheme), scheme=scheme)._asdict()
    for name, weight in decoder.named_parameters():
        assert weight.grad is not None
        if name in allowed:
            np.testing.assert_array_equal(weight.grad != 0, allowed[name])
        else:
            assert weight.grad.any()
    assert features.grad is not None
    assert not features.grad[~memory.mask].any()


@torch.no_grad()
def test_a_padded_memory_is_tagged_as_it_is_alone() -> None:
    decoder, lengths = random_decoder(["PER", "LOC"]), [7, 1, 4]
    memory, tags = random_memory(lengths), torch.randint(9, (3, 7))
    together, emissions = decoder(memory, tags), decoder.answer(memory)["emissions"]
    for row, length in enumerate(lengths):
        alone = Memory(memory.features[row : row + 1, :length], memory.mask[row : row + 1, :length])
        torch.testing.assert_close(emissions[row, :length], decoder.answer(alone)["emissions"][0])
        torch.testing.assert_close(together[row], decoder(alone, tags[row : row + 1, :length])[0])


class Tagger(nn.Module):
    """The decoder as a graph."""

    def __init__(self, decoder: CRFDecoder):
        super().__init__()
        self.decoder = decoder

    def forward(self, features: Tensor, mask: Tensor) -> dict[str, Tensor]:
        return self.decoder.answer(Memory(features, mask))


@pytest.mark.filterwarnings("ignore:# The axis name")
@torch.no_grad()
def test_an_exported_decoder_gives_the_chain_that_torch_gives(tmp_path: Path) -> None:
    decoder = random_decoder(["PER", "LOC"], dropout=0.5).eval()
    example, names = random_memory([7, 2]), ["emissions", "transitions", "start", "end"]
    axes = {0: "batch", 1: "positions"}
    torch.onnx.export(
        Tagger(decoder).eval(),
        (example.features, example.mask),
        tmp_path / "tag.onnx",
        input_names=["features", "mask"],
        output_names=names,
        dynamic_shapes=(axes, axes),
        dynamo=True,
        optimize=False,
        verbose=False,
    )
    session = onnxruntime.InferenceSession(tmp_path / "tag.onnx")
    memory = random_memory([3, 11, 1], positions=12)
    results = session.run(names, {"features": memory.features.numpy(), "mask": memory.mask.numpy()})
    for name, result in zip(names, results, strict=True):
        torch.testing.assert_close(torch.from_numpy(np.asarray(result)), decoder.answer(memory)[name])


def test_its_config_builds_it_again() -> None:
    decoder = random_decoder(["PER", "LOC"], "BIO", "gru", 0.25)
    again = CRFDecoder(**decoder.config)
    again.load_state_dict(decoder.state_dict())
    assert again.config == decoder.config


@torch.no_grad()
def test_dropout_falls_only_in_training() -> None:
    decoder, memory = random_decoder(["X"], dropout=0.5), random_memory([7])
    tags = torch.zeros(1, 7, dtype=torch.long)
    assert not torch.equal(decoder(memory, tags), decoder(memory, tags))
    decoder.eval()
    assert torch.equal(decoder(memory, tags), decoder(memory, tags))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"scheme": "IOB1"}, "scheme='IOB1': one of BIO, BIOES would do."),
        ({"cell": "LSTM"}, "cell='LSTM': one of rnn, lstm, gru would do."),
    ],
)
def test_a_scheme_or_a_cell_of_another_name_is_an_input_error(option: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        CRFDecoder(memory_width=MEMORY_WIDTH, labels=["X"], **option)
    assert str(caught.value) == message
