"""The video encoder: the image encoder's CNN over sampled frames, and how what it sees changes between them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from showtell.encoders.image import ImageEncoder
from showtell.errors import InputError
from showtell.memory import Memory

SEEN = ("appearance", "motion", "both")


class VideoEncoder(ImageEncoder):
    """Sampled frames of clips to a `Memory` of one position a frame.

    Of frame t, with f_t the mean of the CNN's last feature map over the picture:

        appearance_t = f_t
        motion_t = |f_t - f_(t-1)|, and motion_1 = motion_2

    Differences of features are to differences of pixels what features are to pixels: Sudhakaran and Lanz (2017) tell
    fights by differences of frames. Each feature is then moved and scaled as `standardise` was told.

    frames: how many frames a pipeline samples of a clip; the encoder itself reads any number.
    sees: "appearance", "motion" or "both". The others are those of `ImageEncoder`.

    Raises `InputError` for another word, and as `ImageEncoder` does.
    """

    reads = "video"
    center: Tensor
    spread: Tensor

    def __init__(
        self,
        backbone: str = "efficientnet_lite0/headless",
        *,
        image_size: int = 112,
        frames: int = 16,
        sees: str = "both",
        pretrained: bool = True,
        architecture: dict[str, Any] | None = None,
    ):
        if sees not in SEEN:
            raise InputError(f"sees={sees!r}: one of {', '.join(SEEN)} would do.")
        super().__init__(backbone, image_size=image_size, pretrained=pretrained, architecture=architecture)
        self.frames, self.sees = frames, sees
        self.config |= {"frames": frames, "sees": sees}
        self.width *= 2 if sees == "both" else 1
        self.register_buffer("center", torch.zeros(self.width))
        self.register_buffer("spread", torch.ones(self.width))

    def example(self) -> tuple[dict[str, Tensor], dict[str, dict[int, str]]]:
        """Inputs of the right shape, two clips, and which of their axes have any length."""
        frames = torch.zeros(2, self.frames, self.image_size, self.image_size, 3, dtype=torch.uint8)
        return {"frames": frames}, {"frames": {0: "batch", 1: "positions"}}

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]: it reads frames, not pixels
        self, frames: Tensor
    ) -> Memory:
        """Encode `frames` of `(batch, time, height, width, 3)`, 0 to 255, red, green, blue."""
        maps = self.feature_map(frames.flatten(0, 1))
        features = (self.changes(maps.mean(dim=(2, 3)).unflatten(0, frames.shape[:2])) - self.center) / self.spread
        return Memory(features, torch.ones_like(features[:, :, 0], dtype=torch.bool))

    def changes(self, features: Tensor) -> Tensor:
        """What of the CNN's features `(batch, time, channels)`, and of their changes, a decoder is shown."""
        if self.sees == "appearance":
            return features
        # Beside the first frame stands the second, beside a single one itself.
        before = torch.cat([features[:, :2][:, -1:], features[:, :-1]], dim=1)
        motion = (features - before).abs()
        return motion if self.sees == "motion" else torch.cat([features, motion], dim=2)

    def standardise(self, features: Tensor) -> None:
        """From now on make what `changes` gave of the clips to learn from, `(clips, time, width)`, of mean 0 and
        deviation 1."""
        self.center.copy_(features.mean(dim=(0, 1)))
        self.spread.copy_(features.std(dim=(0, 1)).clamp(min=1e-3))
