"""The stages of a captioner's training. Each goes on from where it was when it is started again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from showtell.decoders.attention_decoder import AttentionDecoder
from showtell.scripts.caption_features import encode, kept, to_features
from showtell.scripts.caption_losses import Mixture, follow, imitate, self_critical, up_to_end
from showtell.scripts.caption_tuning import score_decoder
from showtell.scripts.datasets.caption_tensors import Views
from showtell.scripts.metrics import CiderD
from showtell.scripts.training import Settings, fit


class Captioner(nn.Module):
    """What is trained: the CNN's last stages, and the decoder that reads what they see."""

    def __init__(self, last: nn.Module, decoder: AttentionDecoder):
        super().__init__()
        self.last, self.decoder = last, decoder


# A decoder, and the features that it reads.
Teacher = tuple[AttentionDecoder, Tensor]


@dataclass(frozen=True)
class Stages:
    """What a captioner is trained by.

    maps: what the CNN's first stages see in the photographs, `(views, photographs, rows, columns, channels)`; the
        first two views are the photographs as they are, and mirrored. tokens: of their captions.
    dev_maps, references: of the photographs by which the best weights are chosen, and their captions.
    settings: of the first stage; the others change what they say. runs: of all captioners with these maps.
    folder: of this one's checkpoints.
    """

    maps: Callable[[], Tensor]
    tokens: Tensor
    dev_maps: Tensor
    references: Sequence[tuple[str, ...]]
    tokenizer: Tokenizer
    settings: Settings
    batch_size: int
    runs: Path
    folder: Path

    def learn_to_write(self, captioner: Captioner, epochs: int) -> None:
        """The decoder alone, on what the frozen CNN sees."""
        features = kept(self.runs / "features.npy", lambda: encode(captioner.last, self.maps()[:2]))
        views = Views([features], self.tokens)
        self.fit_decoder(captioner, views, imitate, replace(self.settings, epochs=epochs), "1-write")

    def learn_to_see(self, captioner: Captioner, epochs: int) -> None:
        """The decoder and the CNN's last stages, on all views."""
        fit(
            captioner,
            self.in_batches(Views([self.maps()], self.tokens)),
            lambda model, batch: imitate(model.decoder, (to_features(model.last, batch[0]), batch[1])),
            lambda model: self.score(model.decoder, encode(model.last, self.dev_maps)[0]),
            replace(self.settings, epochs=epochs, learning_rate=4e-4),
            self.folder / "2-see",
            learning_rates={"last": 1e-4},
        )

    def learn_from(self, captioner: Captioner, teachers: Sequence[Teacher], epochs: int) -> None:
        """The decoder, from what others believe at each word of captions that they draw."""
        views = Views([self.features(captioner), *(features for _, features in teachers)], self.tokens)
        loss = partial(follow, teachers=Mixture(decoder for decoder, _ in teachers))
        settings = replace(self.settings, epochs=epochs, learning_rate=4e-4)
        self.fit_decoder(captioner, views, loss, settings, "3-follow")

    def learn_by_reward(self, captioner: Captioner, epochs: int) -> None:
        """The decoder, for CIDEr itself (self-critical training)."""
        views = Views([self.features(captioner)], torch.arange(len(self.tokens)))
        judge = CiderD([[up_to_end(text) for text in texts] for texts in self.tokens.tolist()])
        settings = replace(self.settings, epochs=epochs, learning_rate=1e-4, weight_decay=0.0)
        self.fit_decoder(captioner, views, partial(self_critical, judge=judge), settings, "4-reward")

    def features(self, captioner: Captioner) -> Tensor:
        """What its CNN sees once it has learnt to see, `(2, photographs, positions, width)`."""
        return kept(self.folder / "features.npy", lambda: encode(captioner.last, self.maps()[:2]))

    def fit_decoder(
        self,
        captioner: Captioner,
        views: Views,
        loss: Callable[[AttentionDecoder, tuple[Tensor, ...]], Tensor],
        settings: Settings,
        stage: str,
    ) -> None:
        """Train the decoder alone."""
        seen = encode(captioner.last, self.dev_maps)[0]
        score = partial(self.score, features=seen)
        fit(captioner.decoder, self.in_batches(views), loss, score, settings, self.folder / stage)

    def in_batches(self, views: Views) -> DataLoader:
        """In random order."""
        return DataLoader(views, self.batch_size, shuffle=True)

    def score(self, decoder: AttentionDecoder, features: Tensor) -> dict[str, float]:
        """Of what it writes greedily."""
        return score_decoder(decoder, features, self.tokenizer, self.references)
