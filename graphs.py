"""Graphs: the parts of a model that answering calls, and how they become ONNX files without weights."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod

import onnx_ir as ir
import torch
from onnx_ir.passes.common import ClearMetadataAndDocStringPass
from onnxscript.optimizer import optimize_ir
from torch import Tensor, nn

from showtell.decoders.attention_decoder import AttentionDecoder
from showtell.decoders.classifier import Classifier
from showtell.decoders.crf import CRFDecoder
from showtell.decoders.ctc_decoder import CTCDecoder
from showtell.decoders.ensemble import Ensemble
from showtell.decoders.joint_decoder import JointDecoder
from showtell.encoders.image import ImageEncoder
from showtell.encoders.spectrogram import SpectrogramEncoder
from showtell.encoders.text import TextEncoder
from showtell.memory import Memory
from showtell.projection import look_up_products

Axes = dict[str, dict[int, str]]


class Graph(nn.Module, ABC):
    """A part of a model that answering calls: named arrays in, named arrays out."""

    @abstractmethod
    def forward(self, **arrays: Tensor) -> dict[str, Tensor]:
        """Compute a batch."""

    @abstractmethod
    def example(self) -> tuple[dict[str, Tensor], Axes]:
        """Inputs to trace with, and which of their axes have any length."""


class Answer(Graph):
    """The graph of a decoder that answers at once: raw inputs in, labels' or tags' scores out."""

    def __init__(
        self, encoder: ImageEncoder | SpectrogramEncoder | TextEncoder, decoder: CRFDecoder | Classifier | Ensemble
    ):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, **inputs: Tensor) -> dict[str, Tensor]:
        """The decoder's `answer`."""
        return self.decoder.answer(self.encoder(**inputs))

    def example(self) -> tuple[dict[str, Tensor], Axes]:
        """The encoder's own."""
        return self.encoder.example()


class Listen(Graph):
    """The graph that hears a stretch of sound: frames in, what is said in each out.

    The decoder's state comes in as `hidden` and goes out as `next_hidden`, and so on.
    """

    def __init__(self, encoder: ImageEncoder | SpectrogramEncoder | TextEncoder, decoder: CTCDecoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, **arrays: Tensor) -> dict[str, Tensor]:
        """What the decoder answers and the next state, from the encoder's inputs and the state."""
        state = {name: arrays.pop(name) for name in self.decoder.recurrent.state_names}
        said, state = self.decoder.answer(self.encoder(**arrays), state)
        return said | {f"next_{name}": value for name, value in state.items()}

    def example(self) -> tuple[dict[str, Tensor], Axes]:
        """The encoder's own, and the first state."""
        inputs, axes = self.encoder.example()
        state = self.decoder.init_state(len(inputs["lengths"]))
        return inputs | state, axes | {name: {0: "batch"} for name in state}


class Encode(Graph):
    """The graph that reads: raw inputs in; out comes all that the decoder's steps need."""

    def __init__(
        self, encoder: ImageEncoder | SpectrogramEncoder | TextEncoder, decoder: AttentionDecoder | JointDecoder
    ):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, **inputs: Tensor) -> dict[str, Tensor]:
        """The decoder's context and first state."""
        read = self.decoder.attend if isinstance(self.decoder, JointDecoder) else self.decoder.init_state
        context, state = read(self.encoder(**inputs))
        return context | state

    def example(self) -> tuple[dict[str, Tensor], Axes]:
        """The encoder's own."""
        return self.encoder.example()


class Step(Graph):
    """The graph that writes: one step of the decoder for every hypothesis.

    Its state comes in as `hidden` and goes out as `next_hidden`, and so on.
    """

    def __init__(self, decoder: AttentionDecoder | JointDecoder):
        super().__init__()
        self.decoder = decoder

    @property
    def speller(self) -> AttentionDecoder:
        """What writes; under the names that its weights have in the whole model."""
        return self.decoder.speller if isinstance(self.decoder, JointDecoder) else self.decoder

    def forward(self, **arrays: Tensor) -> dict[str, Tensor]:
        """`log_probs`, the next state, and `attention`, from `tokens`, the state, and what `encode` gave beside it."""
        tokens = arrays.pop("tokens")
        state = {name: arrays.pop(name) for name in self.speller.state_names}
        log_probs, state, attention = self.speller.step(tokens, state, arrays)
        following = {f"next_{name}": value for name, value in state.items()}
        return {"log_probs": log_probs, **following, "attention": attention}

    def example(self) -> tuple[dict[str, Tensor], Axes]:
        """Inputs to trace with, three hypotheses of each of two memories, and which of their axes have any length."""
        features = torch.zeros(2, 4, self.speller.config["memory_width"])
        memory = Memory(features, torch.ones(2, 4, dtype=torch.bool))
        with torch.no_grad():
            context, state = self.speller.init_state(memory)
        inputs = {"tokens": torch.ones(2, 3, dtype=torch.long)}
        inputs |= {name: value.repeat(1, 3, 1) for name, value in state.items()} | context
        axes = {name: {0: "batch", 1: "positions" if name in context else "beams"} for name in inputs}
        return inputs, axes | ({"looked": {0: "batch", 1: "beams", 2: "positions"}} if "looked" in state else {})


def export(graph: Graph) -> tuple[bytes, list[str]]:
    """Turn a graph into ONNX without weights; return it with the names of the weights that it wants.

    While the graph is simplified its weights are inputs, so that nothing is folded into them: each keeps the
    name and the values that it has in the state_dict. Then they become external initialisers, which ONNX Runtime
    is handed when it opens the graph, before it fuses convolutions with what follows them.
    """
    example, axes = graph.example()
    with torch.no_grad():
        outputs = list(graph(**example))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one for each axis that two inputs share
        program = torch.onnx.export(
            graph,
            (),
            kwargs=example,
            dynamo=True,
            optimize=False,
            verbose=False,
            dynamic_shapes=axes,
            input_names=list(example),
            output_names=outputs,
        )
    assert program is not None
    model = program.model
    initializers = model.graph.initializers
    weights = {name: initializers.pop(name) for name in graph.state_dict() if name in initializers}
    tensors = {name: value.const_value for name, value in weights.items()}
    inputs = len(model.graph.inputs)
    for value in weights.values():
        value.const_value = None
        model.graph.inputs.append(value)
    optimize_ir(model)
    look_up_products.apply_to_model(model)
    del model.graph.inputs[inputs:]
    used = [name for name, value in weights.items() if value.uses()]
    for name in used:
        tensor = tensors[name]
        assert tensor is not None
        # No file has this name: a weight that nobody supplies must fail, not be read from somewhere.
        shape = ir.Shape(tensor.shape.numpy())
        weights[name].const_value = ir.ExternalTensor("unset", None, None, tensor.dtype, shape=shape, name=name)
        model.graph.register_initializer(weights[name])
    ClearMetadataAndDocStringPass()(model)  # stack traces with the exporting machine's paths
    return ir.serde.serialize_model(model).SerializeToString(), used
