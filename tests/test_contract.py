"""What every encoder and every decoder keeps, in every pair. A new one is a row in a table, and no new test."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch import Tensor, nn

from showtell import composition
from showtell.bundle import Bundle
from showtell.composition import TASKS, Model, compose, load
from showtell.decoders.attention_decoder import AttentionDecoder
from showtell.decoders.classifier import Classifier
from showtell.decoders.crf import CRFDecoder
from showtell.decoders.ctc_decoder import CTCDecoder
from showtell.decoders.ensemble import Ensemble
from showtell.decoders.joint_decoder import JointDecoder
from showtell.encoders.image import ImageEncoder
from showtell.encoders.spectrogram import SpectrogramEncoder
from showtell.encoders.text import TextEncoder
from showtell.encoders.video import VideoEncoder
from showtell.pipelines.runtime import Runtime

WORDS = ["<pad>", "<start>", "<end>", "<unk>", "a", "dog", "runs"]
SMALL = {"vocabulary_size": len(WORDS), "hidden_size": 16, "embedding_size": 8, "attention_size": 8}

# An encoder without its library's weights, and a decoder for memories of a width, as small as they come.
ENCODERS: dict[str, Callable[[], Any]] = {
    "image": lambda: ImageEncoder("timm/test_resnet", image_size=64, pretrained=False),
    "audio": lambda: SpectrogramEncoder(mels=16, channels=4, width=16, lookahead=7),
    "text": lambda: TextEncoder(words=len(WORDS), characters="adefghijk", casings=8, word_size=8, filters=6),
    "video": lambda: VideoEncoder("timm/test_resnet", image_size=64, frames=4, pretrained=False),
}
DECODERS: dict[str, Callable[[int], Any]] = {
    "additive_lstm": lambda width: AttentionDecoder(memory_width=width, attention="additive", cell="lstm", **SMALL),
    "general_gru": lambda width: AttentionDecoder(memory_width=width, attention="general", cell="gru", **SMALL),
    "dot_rnn": lambda width: AttentionDecoder(memory_width=width, attention="dot", cell="rnn", **SMALL),
    "location_listener": lambda width: AttentionDecoder(
        memory_width=width, attention="location", cell="lstm", listener_layers=2, **SMALL
    ),
    "crf": lambda width: CRFDecoder(memory_width=width, labels=["PER", "LOC"], hidden_size=8),
    "ctc": lambda width: CTCDecoder(memory_width=width, vocabulary_size=len(WORDS), hidden_size=8, num_layers=2),
    "joint": lambda width: JointDecoder(memory_width=width, start=5, end=6, cell="lstm", **SMALL),
    "classifier_lstm": lambda width: Classifier(memory_width=width, labels=["no", "yes"], hidden_size=8),
    "classifier_gru": lambda width: Classifier(memory_width=width, labels=["no", "yes"], hidden_size=8, cell="gru"),
    "ensemble": lambda width: Ensemble(members=2, memory_width=width, labels=["no", "yes"], hidden_size=8),
}
PAIRS = [
    (encoder, decoder)
    for encoder in ENCODERS
    for decoder in DECODERS
    if (ENCODERS[encoder]().reads, DECODERS[decoder](8).answers) in TASKS
]

# Other sizes than those that the graphs are exported with, for each axis that may have any.
SIZES = {"batch": 3, "beams": 4, "positions": 7, "distinct": 6, "characters": 9, "frames": 26}
# What a decoder is trained on beside a memory of three rows.
GIVEN: dict[type, tuple[Tensor, ...]] = {
    AttentionDecoder: (torch.randint(len(WORDS), (3, 2, 5)),),
    CRFDecoder: (torch.randint(9, (3, 7)),),
    CTCDecoder: (torch.tensor([[4, 5], [6, 4], [5, 5]]), torch.tensor([2, 2, 1])),
    Classifier: (),
    Ensemble: (),
    JointDecoder: (torch.tensor([[3, 4], [4, 3], [1, 1]]), torch.tensor([2, 2, 1])),
}


@pytest.fixture(scope="module", params=PAIRS, ids="-".join)
def model(request: pytest.FixtureRequest) -> Model:
    """A pair with random weights, every one of which counts, as fp16 can hold them."""
    torch.manual_seed(0)
    encoder = ENCODERS[request.param[0]]()
    decoder = DECODERS[request.param[1]](encoder.width)
    for parameter in decoder.parameters():
        nn.init.normal_(parameter, std=0.3)
    tokenizer = Tokenizer(WordLevel({word: token for token, word in enumerate(WORDS)}, unk_token="<unk>"))
    return compose(encoder=encoder, decoder=decoder, tokenizer=tokenizer).half().float().eval()


@pytest.fixture(scope="module")
def folder(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "model"
    model.save(folder)
    return folder


def random_inputs(part: Any) -> dict[str, Tensor]:
    """Inputs of an encoder or a graph, in other sizes than its example's; one row or more have padding."""
    torch.manual_seed(0)
    example, axes = part.example()
    inputs = {}
    for name, value in example.items():
        shape = [SIZES[axes[name][d]] if d in axes[name] else size for d, size in enumerate(value.shape)]
        if value.dtype == torch.bool:
            inputs[name] = torch.ones(shape, dtype=torch.bool)
            inputs[name][0, -2:] = False  # padding
        elif value.is_floating_point():
            inputs[name] = torch.randn(shape)
        else:
            low, high = (0, 256) if value.dtype == torch.uint8 else (1, 6)
            inputs[name] = torch.randint(low, high, shape, dtype=value.dtype)
        if name == "places":
            inputs[name][0, -2:] = 0  # padding
        if name == "lengths":
            inputs[name] = torch.tensor([SIZES["frames"], 14, 3])
    return inputs


def row_alone(inputs: dict[str, Tensor], row: int, part: Any) -> dict[str, Tensor]:
    """One row of a batch, without its padding. What belongs to no row, as a list of distinct words, stays."""
    _, axes = part.example()
    alone = {name: value[row][None] if axes[name][0] == "batch" else value for name, value in inputs.items()}
    if "places" in alone:
        alone["places"] = alone["places"][:, : int((alone["places"] != 0).sum())]
    return alone


@torch.no_grad()
def test_an_encoder_hands_on_a_memory(model: Model) -> None:
    memory = model.encoder(**random_inputs(model.encoder))
    batch, positions, width = memory.features.shape
    assert batch == SIZES["batch"] and width == model.encoder.width
    assert memory.features.dtype == torch.float32 and memory.features.isfinite().all()
    assert memory.mask.shape == (batch, positions) and memory.mask.dtype == torch.bool
    assert memory.mask.any(dim=1).all()
    assert memory.grid is None or memory.grid[0] * memory.grid[1] == positions
    assert memory.step_seconds is None or memory.step_seconds > 0


@torch.no_grad()
def test_a_row_of_a_batch_gets_what_it_gets_alone(model: Model) -> None:
    inputs = random_inputs(model.encoder)
    together = model.encoder(**inputs)
    for row in range(SIZES["batch"]):
        alone = model.encoder(**row_alone(inputs, row, model.encoder))
        real = together.features[row][together.mask[row]]
        torch.testing.assert_close(alone.features[0, : len(real)], real, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_row_of_a_batch_is_answered_as_it_is_alone(model: Model) -> None:
    name, graph = next(iter(model.graphs().items()))
    inputs = random_inputs(graph)
    together = graph(**inputs)
    for row in range(SIZES["batch"]):
        alone = graph(**row_alone(inputs, row, graph))
        for key, value in together.items():
            if len(value) == SIZES["batch"] and value.is_floating_point():
                size = alone[key].shape[1]
                torch.testing.assert_close(alone[key][0], value[row, :size], rtol=1e-4, atol=1e-5, msg=f"{name}: {key}")


@torch.no_grad()
def test_what_training_needs_is_the_same_again(model: Model) -> None:
    inputs, beside = random_inputs(model.encoder), GIVEN[type(model.decoder)]
    first = model(inputs, *beside)
    torch.testing.assert_close(model(inputs, *beside), first, rtol=0, atol=0)  # nothing is drawn
    assert all(value.isfinite().all() for value in (first if isinstance(first, tuple) else (first,)))


@torch.no_grad()
def test_each_half_is_rebuilt_from_its_config(model: Model) -> None:
    halves = []
    for half in (model.encoder, model.decoder):
        config = json.loads(json.dumps(half.config))
        rebuilt = type(half)(**config)
        assert rebuilt.config == half.config == config
        rebuilt.load_state_dict(half.state_dict())
        halves.append(rebuilt.eval())
    again = compose(encoder=halves[0], decoder=halves[1], tokenizer=model.tokenizer)
    inputs, beside = random_inputs(model.encoder), GIVEN[type(model.decoder)]
    torch.testing.assert_close(again(inputs, *beside), model(inputs, *beside), rtol=0, atol=0)


@torch.no_grad()
def test_what_was_saved_is_opened_with_the_same_weights(model: Model, folder: Path) -> None:
    opened = load(folder)
    assert not opened.training
    torch.testing.assert_close(opened.state_dict(), model.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize("runtime", [Runtime("onnx", threads=1), Runtime("torch", threads=1)], ids=lambda r: r.name)
@torch.no_grad()
def test_what_was_saved_answers_in_both_runtimes_as_the_model_does(
    model: Model, folder: Path, runtime: Runtime
) -> None:
    graphs = runtime.open(Bundle.open(folder))
    assert graphs.keys() == model.graphs().keys()
    for name, module in model.graphs().items():
        inputs = random_inputs(module)
        expected = {key: value.numpy() for key, value in module(**inputs).items()}
        assert set(graphs[name].inputs) == inputs.keys()
        assert set(graphs[name].outputs) == expected.keys()
        arrays = {key: value.numpy() for key, value in inputs.items()}
        for _ in range(2):  # nothing is drawn, nothing is remembered
            answers = graphs[name](**arrays)
            for key, value in expected.items():
                np.testing.assert_allclose(answers[key], value, rtol=1e-4, atol=1e-4, err_msg=f"{name}: {key}")
                assert answers[key].dtype == value.dtype


def test_every_class_that_can_be_saved_has_a_row() -> None:
    encoders, decoders = zip(*PAIRS, strict=True)
    assert {type(ENCODERS[name]()).__name__ for name in encoders} == composition.ENCODERS.keys()
    assert {type(DECODERS[name](16)).__name__ for name in decoders} == composition.DECODERS.keys()
