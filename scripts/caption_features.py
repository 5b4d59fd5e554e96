"""What a captioner's CNN sees in photographs, computed once: by the stages that stay as they are, and by all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from timm.models.efficientnet import EfficientNet
from torch import Tensor, nn

from showtell.encoders.image import ImageEncoder
from showtell.scripts.datasets.caption_tensors import seen_in_views


def halves(encoder: ImageEncoder) -> tuple[nn.Module, nn.Module]:
    """The CNN's stages that stay as ImageNet made them, and those that are trained.

    Of EfficientNet the last two and the head are trained; of another CNN, none.
    """
    net = encoder.backbone.requires_grad_(False)
    if not isinstance(net, EfficientNet):
        return net, nn.Identity()
    first = nn.Sequential(net.conv_stem, net.bn1, *net.blocks[:5])
    last = FrozenNorm(*net.blocks[5:], net.conv_head, net.bn2).requires_grad_(True)
    return first, last


class FrozenNorm(nn.Sequential):
    """Layers that keep ImageNet's normalisation while they are trained: few photographs would spoil its statistics."""

    def train(self, mode: bool = True) -> FrozenNorm:
        """Stay in evaluation mode."""
        return super().train(False)


@torch.no_grad()
def see(encoder: ImageEncoder, first: nn.Module, pixels: Tensor, views: int) -> Tensor:
    """The first stages' maps, `(views, photographs, rows, columns, channels)`."""
    batches = seen_in_views(pixels.to(encoder.mean.device), views)
    with torch.autocast(encoder.mean.device.type, torch.bfloat16):
        maps = [first(encoder.normalise(batch)).permute(0, 2, 3, 1).half().cpu() for batch in batches]
    return torch.cat(maps).unflatten(0, (views, len(pixels)))


@torch.no_grad()
def encode(last: nn.Module, maps: Tensor) -> Tensor:
    """The whole CNN's features from the first stages' maps, `(views, photographs, positions, width)`."""
    device = next((weight.device for weight in last.parameters()), maps.device)
    features = [to_features(last, batch.to(device)).half().cpu() for batch in maps.flatten(0, 1).split(100)]
    return torch.cat(features).unflatten(0, maps.shape[:2])


def to_features(last: nn.Module, maps: Tensor) -> Tensor:
    """The last stages' map as a row of positions."""
    with torch.autocast(maps.device.type, enabled=False):  # backwards, a convolution in bf16 takes twice as long
        return last(maps.float().permute(0, 3, 1, 2)).flatten(2).transpose(1, 2)


def kept(file: Path, compute: Callable[[], Tensor]) -> Tensor:
    """What a run computed, from its folder if it is there already."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        half = file.with_name(f"half-{file.name}")  # a run may be stopped at any moment
        np.save(half, compute().numpy())
        half.rename(file)
    return torch.from_numpy(np.load(file, mmap_mode="c"))
