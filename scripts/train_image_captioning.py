"""Train an image captioner: captioned photographs in, a bundle out that `pipeline("image-to-text")` opens.

    python -m showtell.scripts.train_image_captioning DATA OUTPUT

DATA holds `train` and `dev`, each a folder with photographs and a `metadata.jsonl`, or a saved Hugging Face data
set. Three stages, each of which goes on from where it was when it is started again:

1. the decoder alone, on features of the frozen CNN, which are computed once;
2. with it the CNN's last stages, on augmented photographs;
3. the decoder again, for CIDEr itself, on features of the CNN as it is now (self-critical training).
"""

from __future__ import annotations

import json
import logging
import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from showtell.composition import Step, compose
from showtell.decoders.attention_decoder import AttentionDecoder, doubly_stochastic_penalty
from showtell.decoders.search import beam_search
from showtell.encoders.image import ImageEncoder
from showtell.memory import Memory
from showtell.pipelines.image_to_text import write
from showtell.pipelines.media.images import read_image, to_pixels
from showtell.pipelines.runtime import TorchGraph
from showtell.scripts.datasets.captions import CaptionedPhotograph, caption_words, read_captions
from showtell.scripts.metrics import CiderD, score_captions
from showtell.scripts.training import Settings, fit

# Words that occur more rarely are <unk>, which is never written.
MIN_FREQUENCY = 4
SPECIAL_TOKENS = ["<pad>", "<start>", "<end>", "<unk>"]
PAD, START, END, UNKNOWN = range(4)
# Longer captions are cut in training; fewer than one in a hundred are.
MAX_WORDS = 20
CAPTIONS_A_PHOTOGRAPH = 5
# How much a decoder must spread its attention over the photograph.
SPREAD = 0.5
LABEL_SMOOTHING = 0.1
# Captions drawn a photograph in the last stage, each judged against the others.
DRAWS = 5
# The stages that stage 2 trains: the last half of EfficientNet's blocks and its head.
FINE_TUNE = r"backbone\.(blocks\.[456]|conv_head|bn2)\."


def main(
    data: Annotated[Path, typer.Argument(help="A folder that holds train and dev.")],
    output: Annotated[Path, typer.Argument(help="The bundle's folder.")],
    runs: Annotated[Path, typer.Option(help="Checkpoints, caches and TensorBoard logs.")] = Path("runs/captions"),
    backbone: Annotated[str, typer.Option(help="See showtell.encoders.image.")] = "efficientnet_lite0",
    fine_tune: Annotated[str, typer.Option(help="Pattern of the CNN's weights that stage 2 trains.")] = FINE_TUNE,
    attention: Annotated[str, typer.Option(help="additive, dot or general.")] = "general",
    cell: Annotated[str, typer.Option(help="rnn, lstm or gru.")] = "lstm",
    decoder_epochs: int = 10,
    fine_tune_epochs: int = 8,
    reward_epochs: int = 8,
    batch_size: int = 32,
    mixed_precision: Annotated[str, typer.Option(help="bf16, or no where the processor lacks it.")] = "bf16",
    seed: int = 0,
) -> None:
    """Train a captioner in three stages and save it as a bundle."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    runs.mkdir(parents=True, exist_ok=True)

    # Data.
    train, dev = read_captions(data / "train"), read_captions(data / "dev")
    tokenizer = train_tokenizer(train)
    tokens = caption_tokens(train, tokenizer)
    encoder = ImageEncoder(backbone)
    train_pixels, dev_pixels = read_pixels(train, encoder.image_size), read_pixels(dev, encoder.image_size)
    references = [photograph.captions for photograph in dev]

    # Model.
    decoder = AttentionDecoder(
        memory_width=encoder.width, vocabulary_size=tokenizer.get_vocab_size(), attention=attention, cell=cell
    )
    model = compose(encoder=encoder, decoder=decoder, tokenizer=tokenizer)

    # Stage 1: the decoder reads what the CNN sees.
    settings = Settings(
        epochs=decoder_epochs,
        learning_rate=1e-3,
        watch="cider",
        average_decay=0.99,
        mixed_precision=mixed_precision,
        seed=seed,
    )
    features, dev_features = encode(encoder, train_pixels), encode(encoder, dev_pixels)
    score = partial(score_decoder, features=dev_features[0], tokenizer=tokenizer, references=references)
    batches = DataLoader(Views(features, tokens), batch_size, shuffle=True)
    fit(decoder, batches, imitate, score, settings, runs / "1-decoder")
    del features, batches

    # Stage 2: the CNN learns to see what captions speak of.
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad = re.search(fine_tune, name) is not None
    photographs = Photographs(train_pixels, tokens)
    fit(
        model,
        DataLoader(photographs, batch_size, shuffle=True),
        lambda model, batch: imitate(model.decoder, (model.encoder(batch[0]).features, batch[1])),
        lambda model: score(model.decoder, features=encode(model.encoder, dev_pixels, views=1)[0]),
        replace(settings, epochs=fine_tune_epochs, learning_rate=3e-4),
        runs / "2-fine-tune",
        learning_rates={"encoder": 1e-4},
    )

    # Stage 3: the decoder is judged by what it writes.
    features, dev_features = encode(encoder, train_pixels), encode(encoder, dev_pixels, views=1)
    indices = torch.arange(len(train))
    fit(
        decoder,
        DataLoader(Views(features, indices), batch_size, shuffle=True),
        partial(self_critical, judge=CiderD([[up_to_end(text) for text in texts] for texts in tokens.tolist()])),
        partial(score, features=dev_features[0]),
        replace(settings, epochs=reward_epochs, learning_rate=1e-4, weight_decay=0.0),
        runs / "3-reward",
    )

    options, figures = tune(decoder, dev_features[0], tokenizer, references)
    model.save(output, options=options, card=card(figures, options))
    print(json.dumps(figures | options))


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


@torch.inference_mode()
def encode(encoder: ImageEncoder, pixels: Tensor, *, views: int = 2) -> Tensor:
    """Features of each photograph, and in a second view of its mirror image: `(views, photographs, positions, width)`."""
    encoder.eval().to(memory_format=torch.channels_last)
    features = []
    for view in range(views):
        for batch in pixels.split(50):
            features.append(encoder(batch.flip(2) if view else batch).features.half())
    return torch.cat(features).unflatten(0, (views, len(pixels)))


class Views(Dataset):
    """A photograph's features, of either view at random, and what belongs to it."""

    def __init__(self, features: Tensor, targets: Tensor):
        self.features, self.targets = features, targets

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        view = torch.randint(len(self.features), ()).item()
        return self.features[view, index].float(), self.targets[index]


class Photographs(Dataset):
    """A photograph's pixels, cut, mirrored and tinted at random, and its captions."""

    def __init__(self, pixels: Tensor, tokens: Tensor):
        self.pixels, self.tokens = pixels, tokens
        size = pixels.shape[1]
        self.change = v2.Compose(
            [
                v2.RandomResizedCrop(size, scale=(0.6, 1.0), ratio=(0.85, 1.18), antialias=True),
                v2.RandomHorizontalFlip(),
                v2.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2),
            ]
        )

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.change(self.pixels[index].permute(2, 0, 1)).permute(1, 2, 0), self.tokens[index]


def as_memory(features: Tensor) -> Memory:
    """A grid without padding."""
    return Memory(features, torch.ones(features.shape[:2], dtype=torch.bool))


def imitate(decoder: AttentionDecoder, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Cross-entropy of the captions that people wrote, smoothed, and the doubly stochastic penalty."""
    features, tokens = batch
    tokens = tokens[..., : int((tokens != PAD).sum(dim=-1).max())]
    logits, weights = decoder(as_memory(features), tokens[..., :-1])
    following = tokens[..., 1:]
    loss = nn.functional.cross_entropy(
        logits.flatten(0, 2).float(), following.flatten(), ignore_index=PAD, label_smoothing=LABEL_SMOOTHING
    )
    return loss + SPREAD * doubly_stochastic_penalty(weights, following != PAD)


def self_critical(decoder: AttentionDecoder, batch: tuple[Tensor, Tensor], judge: CiderD) -> Tensor:
    """Make captions likelier that CIDEr finds better than the photograph's others (Rennie and others 2017).

    A drawn caption's baseline is the mean reward of the other drawn ones (Luo 2020).
    """
    features, indices = batch
    memory = as_memory(features)
    drawn = draw(decoder, memory)
    rewards = torch.tensor(
        [
            [judge.score(up_to_end(text), index) for text in texts]
            for texts, index in zip(drawn.tolist(), indices.tolist(), strict=True)
        ]
    )
    advantages = (rewards - rewards.mean(dim=1, keepdim=True)) * DRAWS / (DRAWS - 1)
    logits, _ = decoder(memory, drawn[..., :-1])
    following = drawn[..., 1:]
    log_probs = -nn.functional.cross_entropy(
        logits.flatten(0, 2).float(), following.flatten(), ignore_index=PAD, reduction="none"
    ).view_as(following)
    real = following != PAD
    return -(advantages[..., None] * log_probs * real).sum() / real.sum()


@torch.no_grad()
def draw(decoder: AttentionDecoder, memory: Memory) -> Tensor:
    """Draw captions by the decoder's own probabilities: `(batch, draws, time)`, from start to end, padded."""
    decoder.eval()
    context, state = decoder.init_state(memory)
    tokens = torch.full((len(memory.features), DRAWS), START)
    state = {name: value.expand(-1, DRAWS, -1) for name, value in state.items()}
    drawn, ended = [tokens], torch.zeros_like(tokens, dtype=torch.bool)
    for _ in range(MAX_WORDS + 1):
        log_probs, state, _ = decoder.step(tokens, state, context)
        log_probs = log_probs.float()
        log_probs[..., [PAD, START, UNKNOWN]] = -torch.inf
        tokens = torch.distributions.Categorical(logits=log_probs).sample().masked_fill(ended, PAD)
        drawn.append(tokens)
        ended |= tokens == END
        if ended.all():
            break
    decoder.train()
    return torch.stack(drawn, dim=-1)


def up_to_end(tokens: list[int]) -> list[int]:
    """A text's tokens after start, its end with them, so that CIDEr judges how it ends too."""
    return tokens[1 : tokens.index(END) + 1] if END in tokens else tokens[1:]


def score_decoder(
    decoder: AttentionDecoder, features: Tensor, tokenizer: Tokenizer, references: list[tuple[str, ...]], **search: Any
) -> dict[str, float]:
    """BLEU, ROUGE-L and CIDEr-D of what the decoder writes of a grid of features; greedily, unless told otherwise."""
    step = Step(decoder)
    names = tuple(f"next_{name}" for name in decoder.cell.state_names)
    graph = TorchGraph(step, (), ("log_probs", *names, "attention"))
    captions: list[str] = []
    for batch in features.split(50):
        with torch.inference_mode():
            context, state = decoder.eval().init_state(as_memory(batch.float()))
        encoded = {name: value.numpy() for name, value in (context | state).items()}
        found = write(graph, encoded, decoder.config, partial(beam_search, **({"max_length": MAX_WORDS} | search)))
        captions += [" ".join(map(tokenizer.id_to_token, hypotheses[0].tokens)) for hypotheses in found]
    return score_captions(captions, references)


def tune(
    decoder: AttentionDecoder, features: Tensor, tokenizer: Tokenizer, references: list[tuple[str, ...]]
) -> tuple[dict[str, Any], dict[str, float]]:
    """The search's options that score best on dev, by CIDEr and BLEU-4, and their figures."""
    trials = [
        {"num_beams": beams, "length_penalty": penalty} for beams in (3, 4, 5) for penalty in (0.7, 0.85, 1.0, 1.2)
    ]
    scored = [(score_decoder(decoder, features, tokenizer, references, **trial), trial) for trial in trials]
    figures, options = max(scored, key=lambda pair: pair[0]["cider"] + pair[0]["bleu_4"])
    return options | {"max_length": MAX_WORDS}, figures


if __name__ == "__main__":
    typer.run(main)
