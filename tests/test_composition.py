from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import ResNetBackbone, ResNetConfig

from showtell import pipeline
from showtell.bundle import Bundle
from showtell.composition import Model, compose, load
from showtell.decoders.attention_decoder import AttentionDecoder
from showtell.decoders.classifier import Classifier
from showtell.encoders.image import ImageEncoder
from showtell.encoders.text import TextEncoder
from showtell.errors import InputError, ModelError
from showtell.pipelines.media.images import read_image, to_pixels
from showtell.scripts.training import Settings, fit

SAMPLES = Path(__file__).parents[1] / "pipelines" / "samples"
WORDS = ["<pad>", "<start>", "<end>", "<unk>", "a", "cat", "cup", "of", "coffee"]
CAPTIONS = {"cat.jpg": "a cat", "coffee.jpg": "a cup of coffee"}
IMAGE_SIZE = 64


def make_tokenizer(words: list[str] = WORDS) -> Tokenizer:
    return Tokenizer(WordLevel({word: token for token, word in enumerate(words)}, unk_token="<unk>"))


def make_model(backbone: str) -> Model:
    torch.manual_seed(0)
    encoder = ImageEncoder(backbone, image_size=IMAGE_SIZE, pretrained=backbone.startswith("transformers/"))
    decoder = AttentionDecoder(
        memory_width=encoder.width,
        vocabulary_size=len(WORDS),
        hidden_size=32,
        embedding_size=16,
        attention_size=8,
        dropout=0.1,
    )
    return compose(encoder=encoder, decoder=decoder, tokenizer=make_tokenizer())


def tiny_resnet(folder: Path) -> str:
    """A CNN of transformers in a folder, as it would come from the Hub."""
    torch.manual_seed(0)
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 12, 16], depths=[1, 1, 1], layer_type="basic")
    ResNetBackbone(config).save_pretrained(folder / "hub" / "tiny-resnet")
    return f"transformers/{folder}/hub/tiny-resnet"


def taught() -> list[tuple[Tensor, Tensor]]:
    """Two photographs and what to say of them, `(pixels, (1, time))`."""
    pairs = []
    for sample, caption in CAPTIONS.items():
        tokens = [WORDS.index(word) for word in ["<start>", *caption.split(), "<end>"]]
        pixels = to_pixels(read_image(SAMPLES / sample), size=IMAGE_SIZE)
        pairs.append((torch.from_numpy(pixels), torch.tensor([tokens + [0] * (6 - len(tokens))])))
    return pairs


def teach(model: Model, folder: Path, epochs: int) -> dict[str, float]:
    """Train so many epochs of ten steps."""

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        pixels, tokens = batch
        logits, _ = model({"pixels": pixels}, tokens[..., :-1])
        return nn.functional.cross_entropy(logits.flatten(0, 2), tokens[..., 1:].flatten(), ignore_index=0)

    @torch.no_grad()
    def likelihood(model: nn.Module) -> dict[str, float]:
        return {"likelihood": -loss(model, next(iter(batches))).item()}

    batches: DataLoader = DataLoader(10 * taught(), batch_size=2, shuffle=True)  # pyright: ignore[reportArgumentType]
    settings = Settings(epochs, learning_rate=0.01, watch="likelihood", average_decay=0.5)
    # The CNN starts from random weights, and the decoder must be able to keep up with it.
    return fit(model, batches, loss, likelihood, settings, folder, learning_rates={"encoder": 1e-4})


def refuse_to_connect(*arguments: Any) -> None:
    raise AssertionError("no network is there")


@pytest.mark.parametrize(
    "cnn", [tiny_resnet, lambda folder: "torchvision/squeezenet1_1"], ids=["transformers", "torchvision"]
)
def test_a_cnn_of_another_library_goes_all_the_way_from_training_to_answers(
    cnn: Callable[[Path], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compose, train a little, save, and answer in both runtimes without the network or the CNN's own files."""
    model = make_model(cnn(tmp_path))
    first = teach(model, tmp_path / "first", epochs=1)
    more = teach(model, tmp_path / "more", epochs=11)
    assert more["loss"] < 0.5 * first["loss"]

    model.save(tmp_path / "model")
    shutil.rmtree(tmp_path / "hub", ignore_errors=True)
    monkeypatch.setattr(socket.socket, "connect", refuse_to_connect)
    by_onnx = pipeline("image-to-text", tmp_path / "model", threads=1)
    by_torch = pipeline("image-to-text", tmp_path / "model", runtime="torch", threads=1)
    for sample in CAPTIONS:
        (answer,), (same,) = by_onnx(SAMPLES / sample), by_torch(SAMPLES / sample)
        assert answer["generated_text"].startswith("a c")
        assert answer["generated_text"] == same["generated_text"]
        assert answer["score"] == pytest.approx(same["score"], abs=1e-4)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def model(home: Path) -> Model:
    """In the middle of its training."""
    return make_model(tiny_resnet(home)).train()


@pytest.fixture(scope="module")
def folder(model: Model, home: Path) -> Path:
    folder = home / "captioner"
    model.save(folder, options={"num_beams": 3}, terms="for tests", card="# A captioner\n")
    return folder


def test_halves_of_two_widths_are_an_input_error_that_says_which_would_do() -> None:
    encoder = ImageEncoder("timm/test_resnet", image_size=IMAGE_SIZE, pretrained=False)
    decoder = AttentionDecoder(memory_width=encoder.width + 1, vocabulary_size=len(WORDS), hidden_size=8)
    with pytest.raises(InputError, match=f"memory_width={encoder.width} would do"):
        compose(encoder=encoder, decoder=decoder, tokenizer=make_tokenizer())


def test_a_tokenizer_of_another_size_is_an_input_error(model: Model) -> None:
    with pytest.raises(InputError, match=r"AttentionDecoder writes 9 tokens and the tokenizer has 8"):
        compose(encoder=model.encoder, decoder=model.decoder, tokenizer=make_tokenizer(WORDS[:-1]))
    reader = TextEncoder(words=5, characters="abc", casings=8)
    classifier = Classifier(memory_width=reader.width, labels=["no", "yes"])
    with pytest.raises(InputError, match=r"TextEncoder reads 5 tokens and the tokenizer has 0"):
        compose(encoder=reader, decoder=classifier)


def test_halves_that_make_no_task_are_an_input_error(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(model.encoder), "reads", "smell")
    with pytest.raises(InputError, match=r"no task reads smell and answers text; .*image.*text"):
        compose(encoder=model.encoder, decoder=model.decoder, tokenizer=model.tokenizer)


def test_saving_leaves_a_model_in_training_as_it_was(model: Model, folder: Path) -> None:
    assert model.training and model.decoder.training and model.encoder.training
    assert not model.encoder.backbone.training
    assert all(weight.requires_grad for weight in model.parameters())


def test_options_terms_tokenizer_and_card_travel(model: Model, folder: Path) -> None:
    bundle = Bundle.open(folder, task="image-to-text")
    assert bundle.config["options"] == {"num_beams": 3}
    assert bundle.config["terms"] == "for tests"
    assert bundle.config["memory"]["grid"] == [4, 4]
    assert bundle.tokenizer().to_str() == make_tokenizer().to_str()
    assert (folder / "README.md").read_text() == "# A captioner\n"


def test_weights_are_stored_once_in_two_bytes_each_and_graphs_hold_none(model: Model, folder: Path) -> None:
    numbers = sum(value.numel() for value in model.state_dict().values())
    stored = (folder / "model.safetensors").stat().st_size
    names = 130 * len(model.state_dict())
    assert 2 * numbers < stored < 2 * numbers + names
    config, used = Bundle.open(folder).config, set()
    for name, graph in config["graphs"].items():
        code = onnx.load(folder / f"{name}.onnx", load_external_data=False).graph
        wanted = {value.name for value in code.initializer if value.data_location == TensorProto.EXTERNAL}
        assert wanted == set(graph["weights"])
        assert all(len(value.raw_data) <= 64 for value in code.initializer)  # shapes and the like
        used |= wanted
    assert used == {name for name in model.state_dict() if not name.endswith("num_batches_tracked")}


def test_a_bundle_tells_nothing_of_the_machine_it_was_saved_on(folder: Path) -> None:
    # The folder that its CNN came from is below the first.
    here = [folder.parent, Path(torch.__file__).parent, Path(__file__).parent, Path.home()]
    for file in folder.iterdir():
        content = file.read_bytes()
        assert [place for place in here if str(place).encode() in content] == [], file.name


def test_a_model_that_was_opened_goes_on_training(folder: Path, tmp_path: Path) -> None:
    opened = load(folder)
    before = teach(opened, tmp_path / "first", epochs=1)
    after = teach(opened, tmp_path / "more", epochs=5)
    assert after["likelihood"] > before["likelihood"]


def change_config(folder: Path, target: Path, half: str, **changes: Any) -> Path:
    """A copy of a bundle whose `config.json` describes another encoder or decoder."""
    shutil.copytree(folder, target)
    file = target / "config.json"
    config = json.loads(file.read_text())
    config[half] = {key: value for key, value in (config[half] | changes).items() if value is not None}
    file.write_text(json.dumps(config))
    return target


@pytest.mark.parametrize(
    ("half", "changes", "message"),
    [
        ("encoder", {"class": "NoseEncoder"}, "the class 'NoseEncoder' of its 'encoder' is not known; ImageEncoder"),
        ("decoder", {"class": None}, "the class None of its 'decoder' is not known; AttentionDecoder, "),
        ("encoder", {"colour": "blue"}, "colour"),
        ("encoder", {"backbone": "timm/no_such_model"}, "'timm/no_such_model' is not known"),
        ("decoder", {"vocabulary_size": None}, "vocabulary_size"),
        ("decoder", {"cell": "lstmm"}, "cell='lstmm'"),
        ("decoder", {"memory_width": 3}, "memory_width="),
        ("decoder", {"hidden_size": -1}, "cannot be built"),
        ("decoder", {"hidden_size": 16}, "model.safetensors: these are not the weights"),
    ],
)
def test_a_config_that_describes_no_model_of_ours_is_a_model_error(
    folder: Path, tmp_path: Path, half: str, changes: dict[str, Any], message: str
) -> None:
    changed = change_config(folder, tmp_path / "changed", half, **changes)
    with pytest.raises(ModelError) as caught:
        load(changed)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(changed)) and "\n" not in str(caught.value)


def test_a_bundle_without_an_encoder_is_a_model_error(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "changed")
    file = tmp_path / "changed" / "config.json"
    config = json.loads(file.read_text())
    del config["encoder"]
    file.write_text(json.dumps(config))
    with pytest.raises(ModelError, match="the class None of its 'encoder'"):
        load(tmp_path / "changed")


@torch.no_grad()
def test_a_model_scores_texts_from_pixels(model: Model, folder: Path) -> None:
    opened = load(folder)
    pixels, tokens = (torch.stack(part) for part in zip(*taught(), strict=True))
    logits, attention = opened({"pixels": pixels}, tokens)
    assert logits.shape == (2, 1, 6, len(WORDS))
    np.testing.assert_allclose(attention.sum(dim=-1), 1, rtol=1e-5)
