"""Captioned photographs as tensors: tokens, pixels, features, and the data sets that training draws from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import v2

from showtell.pipelines.media.images import read_image, to_pixels
from showtell.scripts.datasets.captions import CaptionedPhotograph, caption_words

# Words that occur more rarely are <unk>, which is never written. Each word costs time at every step, and of those that
# occur 4 to 14 times a captioner that had learnt them all wrote a single one in 4,000 captions.
MIN_FREQUENCY = 15
SPECIAL_TOKENS = ["<pad>", "<start>", "<end>", "<unk>"]
PAD, START, END, UNKNOWN = range(4)
# Longer captions are cut in training; fewer than one in a hundred are.
MAX_WORDS = 20
CAPTIONS_A_PHOTOGRAPH = 5


def train_tokenizer(photographs: list[CaptionedPhotograph]) -> Tokenizer:
    """One token a word, the frequent ones, by `caption_words`."""
    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.WordLevelTrainer(min_frequency=MIN_FREQUENCY, special_tokens=SPECIAL_TOKENS)
    captions = (" ".join(caption_words(c)) for photograph in photographs for c in photograph.captions)
    tokenizer.train_from_iterator(captions, trainer)
    return tokenizer


def caption_tokens(photographs: list[CaptionedPhotograph], tokenizer: Tokenizer) -> Tensor:
    """`(photographs, captions, time)`: each caption from start to end, padded; a missing caption is all padding."""
    tokens = torch.full((len(photographs), CAPTIONS_A_PHOTOGRAPH, MAX_WORDS + 2), PAD)
    for row, photograph in zip(tokens, photographs, strict=True):
        for place, caption in zip(row, photograph.captions, strict=False):
            words = tokenizer.encode(" ".join(caption_words(caption))).ids[:MAX_WORDS]
            place[: len(words) + 2] = torch.tensor([START, *words, END])
    return tokens


def read_pixels(photographs: list[CaptionedPhotograph], size: int) -> Tensor:
    """`(photographs, size, size, 3)`, squeezed by the code that answers."""
    pixels = [to_pixels(read_image(photograph.image), size=size) for photograph in photographs]
    return torch.from_numpy(np.stack(pixels))


def seen_in_views(pixels: Tensor, views: int) -> Iterator[Tensor]:
    """Photographs in batches, view by view: as they are, mirrored, and then cut and mirrored at random."""
    size = pixels.shape[1]
    crop = v2.RandomResizedCrop(size, scale=(0.5, 1.0), ratio=(0.85, 1.18), antialias=True)
    change = v2.Compose([crop, v2.RandomHorizontalFlip()])
    for view in range(views):
        for batch in pixels.split(50):
            if view < 2:
                yield batch.flip(2) if view else batch
            else:
                yield torch.stack([change(one.permute(2, 0, 1)).permute(1, 2, 0) for one in batch])


class Views(Dataset):
    """What networks see of a photograph, in one of several views at random, and what belongs to the photograph.

    features: of each network, `(views, photographs, ...)`. targets: `(photographs, ...)`.
    """

    def __init__(self, features: Sequence[Tensor], targets: Tensor):
        self.features, self.targets = features, targets

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        view = int(torch.randint(len(self.features[0]), ()))
        return (*(seen[view, index] for seen in self.features), self.targets[index])
