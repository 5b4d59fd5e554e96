"""The spectrogram encoder: log-mel frames to a memory of 25 positions a second, through a small CNN.

It only sees near sounds. What was said before is for the decoder's recurrent network to remember, so the encoder
keeps no state: of a stream it is given frames again until enough of what follows them is there.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from showtell.errors import InputError
from showtell.memory import Memory

# Of speech in the log-mel frames of `pipelines/media/log_mel.py`, all bands together; and a silent frame there.
MEAN, DEVIATION = -8.0, 4.5
SILENCE = -15.942385

FRAME_SECONDS = 0.01
SUBSAMPLING_FACTOR = 4


class SpectrogramEncoder(nn.Module):
    """Log-mel frames to a `Memory` of one position for each four frames.

    Two convolutions of 3 x 3 with a stride of 2 take in seven frames for a position; a convolution over positions
    adds what follows, for a recurrent network that hears forward only (Wang and others 2016, whose lookahead
    convolution lies after the recurrent network):

        c = relu(conv(relu(conv(x))))
        u_t = W c_t + b
        f_t = normalise(u_t + relu(conv(u_t ... u_t+n)))

    mels: numbers a frame. channels: of the two convolutions. width: features a position.
    lookahead: frames that a position sees after its own four, 3 or 7 or 11 and so on.

    Raises `InputError` for another lookahead.
    """

    reads = "audio"

    def __init__(self, *, mels: int = 80, channels: int = 32, width: int = 256, lookahead: int = 27):
        super().__init__()
        if lookahead < 3 or lookahead % SUBSAMPLING_FACTOR != 3:
            raise InputError(f"lookahead={lookahead!r}: 3, or by fours more than that, would do.")
        self.config: dict[str, Any] = {"mels": mels, "channels": channels, "width": width, "lookahead": lookahead}
        self.width, self.lookahead = width, lookahead
        self.convolutions = nn.Sequential(
            nn.Conv2d(1, channels, 3, stride=2), nn.ReLU(), nn.Conv2d(channels, channels, 3, stride=2), nn.ReLU()
        )
        bands = ((mels - 1) // 2 - 1) // 2
        self.project = nn.Linear(channels * bands, width)
        self.ahead = nn.Conv1d(width, width, 1 + lookahead // SUBSAMPLING_FACTOR)
        self.normalise = nn.LayerNorm(width)

    def example(self) -> tuple[dict[str, Tensor], dict[str, dict[int, str]]]:
        """Inputs of the right shapes, two recordings, and which of their axes have any length."""
        inputs = {"features": torch.zeros(2, 12, self.config["mels"]), "lengths": torch.tensor([12, 7])}
        return inputs, {"features": {0: "batch", 1: "frames"}, "lengths": {0: "batch"}}

    def forward(self, features: Tensor, lengths: Tensor) -> Memory:
        """Encode `features` of `(batch, frames, mels)`, of which the first `lengths` `(batch,)` make positions.

        The frames beyond a row's length are what it looks ahead at: silence if its recording ends there, as
        `pad_frames` has it, or in a stream the frames that follow. After the last frame there is silence.
        """
        silence = (0, 0, 0, self.lookahead + SUBSAMPLING_FACTOR - 1)
        x = (nn.functional.pad(features, silence, value=SILENCE) - MEAN) / DEVIATION
        x = self.convolutions(x.unsqueeze(1))  # (batch, channels, positions + ahead, bands)
        x = self.project(x.transpose(1, 2).flatten(2)).transpose(1, 2)  # (batch, width, positions + ahead)
        ahead = torch.relu(self.ahead(x))  # (batch, width, positions)
        positions = ahead.shape[2]
        x = self.normalise((x[:, :, :positions] + ahead).transpose(1, 2))
        places = torch.arange(positions, device=lengths.device) * SUBSAMPLING_FACTOR
        mask = places < lengths.unsqueeze(1)
        return Memory(x * mask.unsqueeze(2), mask, step_seconds=FRAME_SECONDS * SUBSAMPLING_FACTOR)
