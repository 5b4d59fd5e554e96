from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from showtell.encoders import spectrogram
from showtell.encoders.spectrogram import SpectrogramEncoder
from showtell.errors import InputError
from showtell.memory import Memory
from showtell.pipelines.media import log_mel
from showtell.pipelines.media.audio import SAMPLE_RATE, read_audio

SPEECH = read_audio(Path(__file__).parents[1] / "media" / "carry.opus").samples
FRAMES = log_mel.log_mel(SPEECH)


@pytest.fixture
def encoder() -> SpectrogramEncoder:
    torch.manual_seed(0)
    encoder = SpectrogramEncoder(channels=4, width=12, lookahead=11).eval()
    for parameter in encoder.parameters():  # every weight counts, biases too
        nn.init.normal_(parameter, std=0.3)
    return encoder


@torch.no_grad()
def encode(encoder: SpectrogramEncoder, *recordings: np.ndarray) -> Memory:
    return encoder(**{name: torch.from_numpy(value) for name, value in log_mel.pad_frames(recordings).items()})


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5, 100, 112])
def test_four_frames_make_a_position_and_the_last_may_have_fewer(encoder, frames: int):
    memory = encode(encoder, FRAMES[:frames])
    assert memory.features.shape[2] == encoder.width
    assert memory.mask.sum() == -(-frames // 4)
    assert memory.grid is None and memory.step_seconds == 4 * log_mel.HOP_SAMPLES / SAMPLE_RATE


def test_a_recording_gets_in_a_batch_what_it_gets_alone(encoder):
    recordings = [FRAMES[:50], FRAMES[60:67], FRAMES, FRAMES[30:31]]
    together = encode(encoder, *recordings)
    assert together.mask.sum(dim=1).tolist() == [13, 2, 28, 1]
    assert not together.features[~together.mask].any()
    for row, frames in enumerate(recordings):
        alone = encode(encoder, frames)
        torch.testing.assert_close(together.features[row][together.mask[row]], alone.features[alone.mask])


@torch.no_grad()
@pytest.mark.parametrize("chunk", [4, 5, 16, 50, 200])
def test_a_stream_of_chunks_gives_what_the_whole_gives(encoder, chunk: int):
    whole = encode(encoder, FRAMES).features[0]
    held, heard = FRAMES[:0], []
    for start in range(0, len(FRAMES), chunk):
        held = np.concatenate([held, FRAMES[start : start + chunk]])
        positions = (len(held) - encoder.lookahead) // 4
        if positions > 0:
            memory = encoder(torch.from_numpy(held)[None], torch.tensor([4 * positions]))
            heard.append(memory.features[memory.mask])
            held = held[4 * positions :]
    last = encode(encoder, held)
    torch.testing.assert_close(torch.cat([*heard, last.features[last.mask]]), whole)


@torch.no_grad()
def test_a_position_sees_its_frames_and_those_it_looks_ahead_at_and_no_others(encoder):
    features = torch.randn(1, 60, 80)
    before = encoder(features, torch.tensor([60])).features[0]
    for frame in range(60):
        changed = features.clone()
        changed[0, frame] += 1
        difference = (encoder(changed, torch.tensor([60])).features[0] - before).abs().amax(dim=1) > 1e-6
        seen = [4 * position <= frame <= 4 * position + 3 + encoder.lookahead for position in range(15)]
        assert difference.tolist() == seen


def test_the_default_looks_ahead_for_less_than_a_third_of_a_second():
    window_seconds = (log_mel.WINDOW_SAMPLES - log_mel.HOP_SAMPLES) / SAMPLE_RATE
    assert SpectrogramEncoder().lookahead * spectrogram.FRAME_SECONDS + window_seconds <= 0.32


def test_it_convolves_as_its_formula_says(encoder):
    with torch.no_grad():
        x = torch.randn(1, 1, 7 + 4 * 2, 80)
        first, second = encoder.convolutions[0], encoder.convolutions[2]
        c = torch.relu(direct(torch.relu(direct(x, first)), second))[0]
        u = torch.stack([encoder.project.weight @ c[:, t].flatten() + encoder.project.bias for t in range(3)])
        kernel = encoder.ahead.weight
        ahead = sum(kernel[:, :, step] @ u[step] for step in range(3)) + encoder.ahead.bias
        expected = encoder.normalise(u[0] + torch.relu(ahead))
        features = x[0] * spectrogram.DEVIATION + spectrogram.MEAN
        torch.testing.assert_close(encoder(features, torch.tensor([15])).features[0, 0], expected, rtol=1e-4, atol=1e-5)


def direct(x: Tensor, layer: nn.Conv2d) -> Tensor:
    """A convolution of 3 x 3 with a stride of 2, from its definition."""
    _, _, rows, columns = x.shape
    places = [[x[0, :, r : r + 3, c : c + 3] for c in range(0, columns - 2, 2)] for r in range(0, rows - 2, 2)]
    patches = torch.stack([torch.stack(row) for row in places])  # (rows, columns, channels, 3, 3)
    assert layer.bias is not None
    return (torch.einsum("rcijk,oijk->orc", patches, layer.weight) + layer.bias[:, None, None])[None]


def test_silence_is_that_of_the_features():
    assert np.float32(log_mel.SILENCE) == pytest.approx(spectrogram.SILENCE, abs=1e-6)
    assert log_mel.HOP_SAMPLES / SAMPLE_RATE == spectrogram.FRAME_SECONDS
    assert SpectrogramEncoder().config["mels"] == log_mel.MELS


@pytest.mark.parametrize("lookahead", [-1, 0, 2, 4, 28])
def test_a_lookahead_that_is_no_number_of_positions_is_refused(lookahead: int):
    with pytest.raises(InputError, match=f"^lookahead={lookahead}: 3, or by fours more than that, would do"):
        SpectrogramEncoder(lookahead=lookahead)


def test_an_encoder_is_rebuilt_from_its_config(encoder):
    again = SpectrogramEncoder(**encoder.config)
    again.load_state_dict(encoder.state_dict())
    torch.testing.assert_close(encode(again.eval(), FRAMES).features, encode(encoder, FRAMES).features)
