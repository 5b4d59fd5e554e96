"""The one training loop. A script brings a model, batches, a loss and a score; `fit` does the rest.

What is deterministic: on one machine, with one number of threads, the same seed gives the same order of batches
and the same weights. A run that is resumed sees the batches it would have seen; random draws inside a batch
(dropout, augmentation) go on from the generators' saved state.
"""

from __future__ import annotations

import copy
import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DataLoaderConfiguration
from accelerate.utils import set_seed
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader
from transformers import get_cosine_schedule_with_warmup

log = logging.getLogger("showtell.training")


@dataclass(frozen=True)
class Settings:
    """How to train.

    watch: which of the score's figures decides which weights are best; higher is better.
    patience: epochs without a better figure after which training stops.
    average_decay: of the exponential average of the weights, which is what is scored and kept.
    mixed_precision: "no" or "bf16"; bf16 halves the time on processors that have it.
    """

    epochs: int
    learning_rate: float
    watch: str
    warmup: float = 0.05
    weight_decay: float = 0.01
    clip_norm: float = 5.0
    average_decay: float = 0.995
    patience: int = 3
    mixed_precision: str = "no"
    checkpoint_minutes: float = 4.0
    seed: int = 0


@dataclass
class Progress:
    """Where a run is: kept in its checkpoint, so that it can go on from there."""

    epoch: int = 0
    batch: int = 0
    stale_epochs: int = 0
    best: dict[str, float] = field(default_factory=dict)
    best_weights: dict[str, Tensor] = field(default_factory=dict)

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint."""
        return self.__dict__.copy()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From the checkpoint."""
        self.__dict__.update(state)


def fit(
    model: nn.Module,
    batches: DataLoader,
    loss: Callable[[nn.Module, Any], Tensor],
    score: Callable[[nn.Module], dict[str, float]],
    settings: Settings,
    folder: Path,
    *,
    learning_rates: dict[str, float] | None = None,
) -> dict[str, float]:
    """Train `model` in place and leave it with its best averaged weights; return their score.

    batches: an epoch's batches. loss: of one batch. score: of the model after an epoch, by name.
    folder: holds the checkpoint (a run that finds one goes on from it) and TensorBoard's log.
    learning_rates: other rates for parameters whose names start with these words.
    """
    accelerator = Accelerator(
        mixed_precision=settings.mixed_precision,
        log_with="tensorboard",
        project_dir=str(folder),
        dataloader_config=DataLoaderConfiguration(use_seedable_sampler=True),
    )
    accelerator.init_trackers("tensorboard", {k: v for k, v in asdict(settings).items() if v is not None})
    set_seed(settings.seed)
    optimizer = torch.optim.AdamW(
        parameter_groups(model, settings.learning_rate, learning_rates or {}),
        weight_decay=settings.weight_decay,
    )
    total = settings.epochs * len(batches)
    schedule = get_cosine_schedule_with_warmup(optimizer, int(settings.warmup * total), total)
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(settings.average_decay), use_buffers=True)
    progress = Progress()
    model, optimizer, batches, schedule = accelerator.prepare(model, optimizer, batches, schedule)
    accelerator.register_for_checkpointing(averaged, progress)
    checkpoint = folder / "checkpoint"
    if checkpoint.exists():
        accelerator.load_state(str(checkpoint))
        log.info("going on from epoch %d, batch %d", progress.epoch, progress.batch)
    saved = time.monotonic()

    while progress.epoch < settings.epochs and progress.stale_epochs < settings.patience:
        model.train()
        batches.set_epoch(progress.epoch)
        total_loss, started, first = torch.zeros(()), time.monotonic(), progress.batch
        for batch in accelerator.skip_first_batches(batches, first):
            with accelerator.autocast():
                value = loss(model, batch)
            accelerator.backward(value)
            accelerator.clip_grad_norm_(model.parameters(), settings.clip_norm)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            averaged.update_parameters(accelerator.unwrap_model(model))
            total_loss += value.detach().cpu()
            progress.batch += 1
            if time.monotonic() - saved > 60 * settings.checkpoint_minutes:
                save_checkpoint(accelerator, checkpoint)
                saved = time.monotonic()
        figures = {"loss": total_loss.item() / max(1, progress.batch - first)}
        figures["seconds"] = time.monotonic() - started
        figures |= score(averaged.module.eval())
        accelerator.log(figures, step=progress.epoch)
        log.info("epoch %d: %s", progress.epoch, "  ".join(f"{k} {v:.4g}" for k, v in figures.items()))
        remember_best(progress, figures, averaged.module, settings.watch)
        progress.epoch, progress.batch = progress.epoch + 1, 0
        save_checkpoint(accelerator, checkpoint)
        saved = time.monotonic()

    accelerator.end_training()
    model = accelerator.unwrap_model(model)
    model.load_state_dict(progress.best_weights)
    model.eval()
    return progress.best


def parameter_groups(model: nn.Module, default: float, rates: dict[str, float]) -> list[dict[str, Any]]:
    """Trainable parameters by learning rate: a name's rate is that of the prefix it starts with."""
    groups: dict[float, list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            rate = next((rate for prefix, rate in rates.items() if name.startswith(prefix)), default)
            groups.setdefault(rate, []).append(parameter)
    return [{"params": parameters, "lr": rate} for rate, parameters in groups.items()]


def remember_best(progress: Progress, figures: dict[str, float], averaged: nn.Module, watch: str) -> None:
    """Keep a copy of the weights if they are the best so far."""
    if not progress.best or figures[watch] > progress.best[watch]:
        progress.best, progress.stale_epochs = figures, 0
        progress.best_weights = copy.deepcopy(averaged.state_dict())
    else:
        progress.stale_epochs += 1


def save_checkpoint(accelerator: Accelerator, folder: Path) -> None:
    """Write beside the last checkpoint, then put it in its place: a kill at any moment leaves one whole."""
    new = folder.with_name("checkpoint.new")
    shutil.rmtree(new, ignore_errors=True)
    accelerator.save_state(str(new), safe_serialization=False)
    shutil.rmtree(folder, ignore_errors=True)
    new.rename(folder)
