"""Compose: an encoder and a decoder become one trainable model, which saves itself as a bundle."""

from __future__ import annotations

import copy
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import onnx_ir as ir
import torch
from onnx_ir.passes.common import ClearMetadataAndDocStringPass
from onnxscript.optimizer import optimize_ir
from tokenizers import Tokenizer
from torch import Tensor, nn

from showtell.bundle import CONFIG, TOKENIZER, WEIGHTS, Bundle, write_bundle
from showtell.decoders.attention_decoder import AttentionDecoder
from showtell.decoders.classifier import Classifier
from showtell.decoders.crf import CRFDecoder
from showtell.decoders.ctc_decoder import CTCDecoder
from showtell.decoders.ensemble import Ensemble
from showtell.encoders.image import ImageEncoder
from showtell.encoders.spectrogram import SpectrogramEncoder
from showtell.encoders.text import TextEncoder
from showtell.encoders.video import VideoEncoder
from showtell.errors import InputError, ModelError
from showtell.memory import Memory
from showtell.projection import look_up_products

ENCODERS: dict[str, type[nn.Module]] = {
    "ImageEncoder": ImageEncoder,
    "SpectrogramEncoder": SpectrogramEncoder,
    "TextEncoder": TextEncoder,
    "VideoEncoder": VideoEncoder,
}
DECODERS: dict[str, type[nn.Module]] = {
    "AttentionDecoder": AttentionDecoder,
    "CRFDecoder": CRFDecoder,
    "CTCDecoder": CTCDecoder,
    "Classifier": Classifier,
    "Ensemble": Ensemble,
}

# What is read and what is answered make the task.
TASKS = {
    ("audio", "label"): "audio-classification",
    ("audio", "text"): "automatic-speech-recognition",
    ("audio", "transcript"): "automatic-speech-recognition",
    ("image", "text"): "image-to-text",
    ("text", "label"): "text-classification",
    ("text", "tags"): "token-classification",
    ("video", "label"): "video-classification",
}

Encoder = TypeVar("Encoder", bound=ImageEncoder | SpectrogramEncoder | TextEncoder)
Decoder = TypeVar("Decoder", bound=AttentionDecoder | CRFDecoder | CTCDecoder | Classifier | Ensemble)
Axes = dict[str, dict[int, str]]
Options = Mapping[str, Any] | None
Names = Iterable[str]


class Model(nn.Module, Generic[Encoder, Decoder]):
    """An encoder and a decoder joined by a `Memory`. Make one with `compose`."""

    def __init__(self, encoder: Encoder, decoder: Decoder, tokenizer: Tokenizer | None):
        super().__init__()
        self.encoder, self.decoder, self.tokenizer = encoder, decoder, tokenizer
        self.task = TASKS[encoder.reads, decoder.answers]

    def forward(self, inputs: Mapping[str, Tensor], *given: Tensor) -> Any:
        """What training needs: the decoder's `forward` of the memory of raw inputs, such as `{"pixels": ...}`.

        given: what the decoder takes beside a memory: tokens or tags to score, for a classifier nothing.
        """
        return self.decoder(self.encoder(**inputs), *given)

    def graphs(self) -> dict[str, Graph]:
        """The parts that answering calls, by name: what is saved as ONNX and what torch runs are these same."""
        if isinstance(self.decoder, AttentionDecoder):
            return {"encode": Encode(self.encoder, self.decoder), "step": Step(self.decoder)}
        if isinstance(self.decoder, CTCDecoder):
            return {"listen": Listen(self.encoder, self.decoder)}
        return {"answer": Answer(self.encoder, self.decoder)}

    def save(
        self, folder: str | Path, *, options: Options = None, terms: str = "", card: str = "", lenders: Names = ()
    ) -> None:
        """Write a bundle that `pipeline(task, model=folder)` opens in either runtime.

        options: defaults for the pipeline's options, such as `{"num_beams": 4}`.
        terms: in a few words, for what the model may be used. card: its README.md, which says more.
        lenders: bundled models; the weights that one of them holds too are not stored again.
        """
        model = copy.deepcopy(self).cpu().eval()  # so that this one can go on training where it is
        exported = {name: export(graph) for name, graph in model.graphs().items()}
        with torch.no_grad():
            memory = model.encoder(**model.encoder.example()[0])
        config = {
            "task": self.task,
            "terms": terms,
            "encoder": {"class": type(self.encoder).__name__, **self.encoder.config},
            "decoder": {"class": type(self.decoder).__name__, **self.decoder.config},
            "memory": {"grid": memory.grid, "step_seconds": memory.step_seconds},
            "options": dict(options or {}),
            "graphs": {name: {"weights": weights} for name, (_, weights) in exported.items()},
        }
        write_bundle(
            Path(folder),
            config=config,
            weights={name: value.numpy() for name, value in model.state_dict().items()},
            graphs={name: graph for name, (graph, _) in exported.items()},
            tokenizer=self.tokenizer and self.tokenizer.to_str(),
            card=card,
            lenders=lenders,
        )


def compose(*, encoder: Encoder, decoder: Decoder, tokenizer: Tokenizer | None = None) -> Model[Encoder, Decoder]:
    """Join an encoder and a decoder into one trainable model.

    tokenizer: what turns the decoder's tokens into text, or a text into what the encoder reads; it travels with
        the model.

    Raises `InputError` if the parts do not fit.
    """
    if (encoder.reads, decoder.answers) not in TASKS:
        raise InputError(f"no task reads {encoder.reads} and answers {decoder.answers}; the tasks are {TASKS}.")
    if encoder.width != decoder.config["memory_width"]:
        raise InputError(
            f"the decoder reads memories {decoder.config['memory_width']} wide, and this encoder's are "
            f"{encoder.width} wide; memory_width={encoder.width} would do."
        )
    tokens = tokenizer.get_vocab_size() if tokenizer else 0
    for half, verb, size in (
        (encoder, "reads", encoder.config.get("words")),
        (decoder, "writes", decoder.config.get("vocabulary_size")),
    ):
        if size not in (None, tokens):
            raise InputError(
                f"the {type(half).__name__} {verb} {size} tokens and the tokenizer has {tokens}; they must be equal."
            )
    return Model(encoder, decoder, tokenizer)


def load(folder: str | Path) -> Model[Any, Any]:
    """Open a bundle as a trainable model, to go on training it or to run it by torch.

    Raises `ModelError` for a folder that is no sound bundle, or describes a model that cannot be built.
    """
    bundle = Bundle.open(folder)
    file = bundle.folder / CONFIG
    tokenizer = bundle.tokenizer() if TOKENIZER in bundle.config["files"] else None
    try:
        encoder, decoder = build(bundle, "encoder", ENCODERS), build(bundle, "decoder", DECODERS)
        model = compose(encoder=encoder, decoder=decoder, tokenizer=tokenizer)
    except (RuntimeError, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise ModelError(f"{file}: the model that it describes cannot be built ({reason}).") from error
    try:
        model.load_state_dict({name: torch.from_numpy(value) for name, value in bundle.weights().items()})
    except RuntimeError as error:
        raise ModelError(f"{bundle.folder / WEIGHTS}: these are not the weights of the model in {CONFIG}.") from error
    return model.eval()


def build(bundle: Bundle, half: str, classes: Mapping[str, Callable[..., Any]]) -> Any:
    """An encoder or a decoder as `config.json` describes it, its weights not yet loaded."""
    settings = dict(bundle.config.get(half, {}))
    if (name := settings.pop("class", None)) not in classes:
        raise ModelError(
            f"{bundle.folder / CONFIG}: the class {name!r} of its {half!r} is not known; {', '.join(classes)} would do."
        )
    return classes[name](**settings)


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
        """`log_probs` and the next state, from the encoder's inputs and the state."""
        state = {name: arrays.pop(name) for name in self.decoder.recurrent.state_names}
        log_probs, state = self.decoder.answer(self.encoder(**arrays), state)
        return {"log_probs": log_probs} | {f"next_{name}": value for name, value in state.items()}

    def example(self) -> tuple[dict[str, Tensor], Axes]:
        """The encoder's own, and the first state."""
        inputs, axes = self.encoder.example()
        state = self.decoder.init_state(len(inputs["lengths"]))
        return inputs | state, axes | {name: {0: "batch"} for name in state}


class Encode(Graph):
    """The graph that reads: raw inputs in; out comes all that the decoder's steps need."""

    def __init__(self, encoder: ImageEncoder | SpectrogramEncoder | TextEncoder, decoder: AttentionDecoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, **inputs: Tensor) -> dict[str, Tensor]:
        """The decoder's context and first state."""
        context, state = self.decoder.init_state(self.encoder(**inputs))
        return context | state

    def example(self) -> tuple[dict[str, Tensor], Axes]:
        """The encoder's own."""
        return self.encoder.example()


class Step(Graph):
    """The graph that writes: one step of the decoder for every hypothesis.

    Its state comes in as `hidden` and goes out as `next_hidden`, and so on.
    """

    def __init__(self, decoder: AttentionDecoder):
        super().__init__()
        self.decoder = decoder

    def forward(self, **arrays: Tensor) -> dict[str, Tensor]:
        """`log_probs`, the next state, and `attention`, from `tokens`, the state, and what `encode` gave beside it."""
        tokens = arrays.pop("tokens")
        state = {name: arrays.pop(name) for name in self.decoder.state_names}
        log_probs, state, attention = self.decoder.step(tokens, state, arrays)
        following = {f"next_{name}": value for name, value in state.items()}
        return {"log_probs": log_probs, **following, "attention": attention}

    def example(self) -> tuple[dict[str, Tensor], Axes]:
        """Inputs to trace with, three hypotheses of each of two memories, and which of their axes have any length."""
        features = torch.zeros(2, 4, self.decoder.config["memory_width"])
        memory = Memory(features, torch.ones(2, 4, dtype=torch.bool))
        with torch.no_grad():
            context, state = self.decoder.init_state(memory)
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
