"""Train a classifier of short recordings: sounds with labels in, a bundle out.

    python -m showtell.scripts.train_audio_classification OUTPUT DATA...

Each DATA folder holds `train`, and at least one of them `dev`, with recordings and a `metadata.jsonl` that tells the
label of each. A run that was stopped goes on when it is started again.
"""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from showtell.composition import Model, compose
from showtell.decoders.classifier import Classifier
from showtell.encoders.spectrogram import SpectrogramEncoder
from showtell.scripts.datasets.batches import ByLength
from showtell.scripts.datasets.sound_tensors import Sounds
from showtell.scripts.datasets.sounds import read_labelled_sounds
from showtell.scripts.training import Settings, fit

AudioClassifier = Model[SpectrogramEncoder, Classifier]

# Softens the targets, so that scores stay honest about voices that were never heard.
LABEL_SMOOTHING = 0.1


def main(
    output: Annotated[Path, typer.Argument(help="The bundle's folder.")],
    data: Annotated[list[Path], typer.Argument(help="Folders that hold train, and perhaps dev.")],
    runs: Annotated[Path, typer.Option(help="Checkpoints and TensorBoard logs.")] = Path("runs/audio"),
    terms: Annotated[str, typer.Option(help="For what the model may be used: that is for your data to say.")] = "",
    channels: Annotated[int, typer.Option(help="Of the convolutions.")] = 24,
    width: Annotated[int, typer.Option(help="Features a position.")] = 128,
    hidden_size: Annotated[int, typer.Option(help="Of the recurrent network, in each direction.")] = 96,
    dropout: Annotated[float, typer.Option(help="Before and after the recurrent network.")] = 0.3,
    epochs: int = 60,
    batch_size: int = 32,
    learning_rate: float = 2e-3,
    mixed_precision: Annotated[str, typer.Option(help="bf16, or no where the processor lacks it.")] = "bf16",
    seed: int = 0,
) -> None:
    """Train a classifier of recordings, and save it as a bundle."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")

    # Data.
    train = [sound for folder in data for sound in read_labelled_sounds(folder / "train")]
    dev = [sound for folder in data if (folder / "dev").exists() for sound in read_labelled_sounds(folder / "dev")]
    labels = sorted({sound.label for sound in train})
    heard, tested = Sounds(train, labels, change=True), Sounds(dev, labels, change=False)

    # Model.
    torch.manual_seed(seed)
    encoder = SpectrogramEncoder(channels=channels, width=width, lookahead=11)
    decoder = Classifier(memory_width=width, labels=labels, hidden_size=hidden_size, dropout=dropout)
    model = compose(encoder=encoder, decoder=decoder)

    # Training.
    order = ByLength([len(samples) for samples in heard.samples], batch_size)
    fit(
        model,
        DataLoader(heard, batch_sampler=order, collate_fn=heard.collate),
        cross_entropy,
        partial(score_classifier, tested=tested),
        Settings(
            epochs,
            learning_rate,
            watch="log_likelihood",
            average_decay=0.99,
            patience=epochs,
            mixed_precision=mixed_precision,
            seed=seed,
        ),
        runs,
    )
    model.save(output, terms=terms)


def cross_entropy(model: AudioClassifier, batch: tuple[dict[str, Tensor], Tensor]) -> Tensor:
    """Of the right labels."""
    inputs, targets = batch
    logits, _ = model(inputs)
    return nn.functional.cross_entropy(logits.float(), targets, label_smoothing=LABEL_SMOOTHING)


@torch.no_grad()
def score_classifier(model: AudioClassifier, tested: Sounds) -> dict[str, float]:
    """The accuracy on recordings, and the mean logarithm of their labels' probabilities."""
    log_probs = torch.cat(
        [model.decoder.answer(model.encoder(**inputs))["log_probs"] for inputs, _ in in_order(tested)]
    )
    targets = torch.tensor(tested.targets)
    return {
        "accuracy": (log_probs.argmax(dim=1) == targets).float().mean().item(),
        "log_likelihood": -nn.functional.nll_loss(log_probs, targets).item(),
    }


def in_order(sounds: Sounds) -> DataLoader:
    """Batches of recordings, as they come."""
    return DataLoader(sounds, batch_size=64, collate_fn=sounds.collate)


if __name__ == "__main__":
    typer.run(main)
