from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from showtell.decoders.cells import CELLS
from showtell.decoders.language_model import LanguageModel, State, perplexity
from showtell.decoders.search import Arrays, beam_search
from showtell.errors import InputError

VOCABULARY = 7
EVERY_CELL = pytest.mark.parametrize("cell", CELLS)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def random_model(cell: str = "lstm", dropout: float = 0.0) -> LanguageModel:
    """A model whose every weight counts, biases too."""
    model = LanguageModel(
        vocabulary_size=VOCABULARY, embedding_size=5, hidden_size=6, num_layers=2, cell=cell, dropout=dropout
    )
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.7)
    return model


@pytest.fixture(scope="module")
def counting() -> LanguageModel:
    """A model that has learned to count from 1 to 5, over and over."""
    torch.manual_seed(0)
    model = LanguageModel(vocabulary_size=VOCABULARY, embedding_size=8, hidden_size=16, num_layers=1, dropout=0.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    text = count(60)[None]
    for _ in range(60):
        logits, _ = model(text[:, :-1])
        loss = nn.functional.cross_entropy(logits[0], text[0, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def count(length: int) -> Tensor:
    return 1 + torch.arange(length) % 5


@EVERY_CELL
@torch.no_grad()
def test_a_text_is_read_in_chunks_as_it_is_whole(cell: str) -> None:
    model, tokens = random_model(cell), torch.randint(VOCABULARY, (3, 11))
    whole, final = model(tokens)
    first, state = model(tokens[:, :4])
    rest, after = model(tokens[:, 4:], state)
    torch.testing.assert_close(torch.cat([first, rest], dim=1), whole)
    torch.testing.assert_close(after, final)


@EVERY_CELL
@torch.no_grad()
def test_step_after_step_is_the_whole_text(cell: str) -> None:
    model, tokens = random_model(cell), torch.randint(VOCABULARY, (2, 3, 6))
    state = {name: part.unflatten(0, (2, 3)) for name, part in model.init_state(6).items()}
    steps = []
    for token in tokens.unbind(dim=2):
        log_probs, state = model.step(token, state)
        steps.append(log_probs)
    logits, _ = model(tokens.flatten(0, 1))
    torch.testing.assert_close(torch.stack(steps, dim=2).flatten(0, 1), torch.log_softmax(logits, dim=-1))


def test_a_token_that_is_read_and_one_that_is_written_are_one_vector() -> None:
    model = LanguageModel(vocabulary_size=1000, embedding_size=8, hidden_size=4, num_layers=1)
    assert sum(parameter.numel() for parameter in model.parameters()) < 2 * 1000 * 8


def test_who_knows_nothing_is_as_perplexed_as_there_are_tokens() -> None:
    model = random_model()
    nn.init.zeros_(model.embedding.weight)
    nn.init.zeros_(model.vocabulary_bias)
    assert perplexity(model, torch.randint(VOCABULARY, (50,))) == pytest.approx(VOCABULARY)


@pytest.mark.parametrize("length", [2, 9, 40])
@pytest.mark.parametrize("window", [1, 7, 256])
@torch.no_grad()
def test_perplexity_is_that_of_the_whole_text(length: int, window: int) -> None:
    model, tokens = random_model(), torch.randint(VOCABULARY, (length,))
    logits, _ = model(tokens[None, :-1])
    expected = math.exp(nn.functional.cross_entropy(logits[0], tokens[1:]).item())
    assert perplexity(model, tokens, window=window) == pytest.approx(expected, rel=1e-5)


def test_what_can_be_learned_is_hardly_perplexing(counting: LanguageModel) -> None:
    assert perplexity(counting, count(100)) < 1.05
    assert perplexity(counting, count(100).flip(0)) > 10


def test_the_search_writes_what_it_foretells(counting: LanguageModel) -> None:
    def step(tokens: np.ndarray, state: Arrays, context: Arrays) -> tuple[np.ndarray, Arrays, Arrays]:
        with torch.no_grad():
            parts = {name: torch.from_numpy(part) for name, part in state.items()}
            log_probs, after = counting.step(torch.from_numpy(tokens), parts)
        return log_probs.numpy(), {name: part.numpy() for name, part in after.items()}, {}

    state = {name: part.unsqueeze(1).numpy() for name, part in counting.init_state(1).items()}
    ((best,),) = beam_search(step, state, {}, start=1, end=0, max_length=6, num_beams=3)
    assert best.tokens == (2, 3, 4, 5, 1, 2)


class Graph(nn.Module):
    """The step, with tensors in and out."""

    def __init__(self, model: LanguageModel):
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, State]:
        return self.model.step(tokens, {"hidden": hidden, "cell": cell})


@pytest.mark.filterwarnings("ignore:# The axis name")
@torch.no_grad()
def test_an_exported_step_equals_torch(tmp_path: Path) -> None:
    model, axes = random_model(dropout=0.5).eval(), {0: "batch", 1: "beams"}
    names = ["log_probs", "next_hidden", "next_cell"]
    torch.onnx.export(
        Graph(model).eval(),
        (torch.ones(2, 3, dtype=torch.long), torch.zeros(2, 3, 2, 6), torch.zeros(2, 3, 2, 6)),
        tmp_path / "step.onnx",
        input_names=["tokens", "hidden", "cell"],
        output_names=names,
        dynamic_shapes=(axes, axes, axes),
        dynamo=True,
        optimize=False,
        verbose=False,
    )
    session = onnxruntime.InferenceSession(tmp_path / "step.onnx")
    tokens, state = torch.randint(VOCABULARY, (4, 5)), {name: torch.randn(4, 5, 2, 6) for name in ("hidden", "cell")}
    inputs = {name: value.numpy() for name, value in {"tokens": tokens, **state}.items()}
    log_probs, after = model.step(tokens, state)
    results = [torch.from_numpy(np.asarray(result)) for result in session.run(names, inputs)]
    torch.testing.assert_close(results, [log_probs, after["hidden"], after["cell"]])


def test_its_config_builds_it_again() -> None:
    model = random_model("gru", 0.25)
    again = LanguageModel(**json.loads(json.dumps(model.config)))
    again.load_state_dict(model.state_dict())
    assert again.config == model.config


def test_a_cell_of_another_name_is_an_input_error() -> None:
    with pytest.raises(InputError, match=r"cell='LSTM': one of rnn, lstm, gru would do\."):
        LanguageModel(vocabulary_size=VOCABULARY, cell="LSTM")
