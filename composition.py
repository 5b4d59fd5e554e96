"""Compose: an encoder and a decoder become one trainable model, which saves itself as a bundle."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from showtell.bundle import CONFIG, TOKENIZER, WEIGHTS, Bundle, write_bundle
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
from showtell.errors import InputError, ModelError
from showtell.graphs import Answer, Encode, Graph, Listen, Step, export

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
    "JointDecoder": JointDecoder,
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
        if not isinstance(self.decoder, AttentionDecoder | CTCDecoder):
            return {"answer": Answer(self.encoder, self.decoder)}
        graphs: dict[str, Graph] = {}
        if isinstance(self.decoder, CTCDecoder):
            graphs["listen"] = Listen(self.encoder, self.decoder)
        if isinstance(self.decoder, AttentionDecoder | JointDecoder):
            graphs |= {"encode": Encode(self.encoder, self.decoder), "step": Step(self.decoder)}
        return graphs

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
