"""One position a frame: what a CNN sees of it, and how that changes from the frame before."""

from __future__ import annotations

import pytest
import torch

from showtell.encoders.image import ImageEncoder
from showtell.encoders.video import SEEN, VideoEncoder
from showtell.errors import InputError

SMALL = {"backbone": "timm/test_resnet", "image_size": 64, "pretrained": False}


def clip(frames: int = 5) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randint(256, (2, frames, 64, 64, 3), dtype=torch.uint8)


def encoder(sees: str = "both") -> VideoEncoder:
    torch.manual_seed(0)
    return VideoEncoder(**SMALL, sees=sees).eval()


@torch.no_grad()
def test_a_position_is_the_mean_of_the_image_encoder_s_grid_and_its_change() -> None:
    video, frames = encoder(), clip()
    torch.manual_seed(0)
    image = ImageEncoder(**SMALL).eval()
    grids = torch.stack([image(pixels=frame).features.mean(dim=1) for frame in frames.unbind(1)], dim=1)
    features = video(frames).features
    assert features.shape == (2, 5, video.width) and video.width == 2 * image.width
    torch.testing.assert_close(features[..., : image.width], grids)
    torch.testing.assert_close(features[:, 1:, image.width :], (grids[:, 1:] - grids[:, :-1]).abs())
    torch.testing.assert_close(features[:, 0], torch.cat([grids[:, 0], (grids[:, 1] - grids[:, 0]).abs()], dim=1))


@torch.no_grad()
def test_it_sees_appearance_or_motion_alone() -> None:
    both = encoder()(clip()).features
    appearance, motion = (encoder(sees)(clip()).features for sees in ("appearance", "motion"))
    torch.testing.assert_close(torch.cat([appearance, motion], dim=2), both)


@pytest.mark.parametrize("sees", ["motion", "both"])
@torch.no_grad()
def test_nothing_moves_in_one_frame_alone_or_in_the_same_again(sees: str) -> None:
    still = encoder(sees)(clip(1).expand(-1, 4, -1, -1, -1)).features
    alone = encoder(sees)(clip(1)).features
    width = encoder(sees).width // (2 if sees == "both" else 1)
    assert alone.shape[1] == 1
    assert not alone[..., -width:].any()
    assert still[..., -width:].abs().max() < 1e-5


@torch.no_grad()
def test_standardised_features_have_mean_zero_and_deviation_one() -> None:
    video = encoder()
    video.standardise(video(clip()).features)
    features = video(clip()).features.flatten(0, 1)
    moving = video.spread > 1.1e-3  # what hardly changes is not blown up
    assert moving.any()
    torch.testing.assert_close(features.mean(dim=0), torch.zeros(video.width), atol=1e-3, rtol=0)
    torch.testing.assert_close(features.std(dim=0)[moving], torch.ones(int(moving.sum())), atol=1e-2, rtol=0)


def test_an_encoder_is_rebuilt_from_its_config() -> None:
    for sees in SEEN:
        video = VideoEncoder(**SMALL, sees=sees, frames=7)
        rebuilt = VideoEncoder(**video.config)
        assert (rebuilt.config, rebuilt.frames, rebuilt.width) == (video.config, 7, video.width)
        rebuilt.load_state_dict(video.state_dict())


def test_another_word_for_what_it_sees_is_an_input_error() -> None:
    with pytest.raises(InputError, match="sees='sound': one of appearance, motion, both would do"):
        VideoEncoder(**SMALL, sees="sound")


@torch.no_grad()
def test_without_its_last_convolution_the_default_cnn_is_narrower() -> None:
    video = VideoEncoder(pretrained=False, sees="appearance", frames=2)
    assert video.width == 320
    assert not any("conv_head" in name for name in video.state_dict())
