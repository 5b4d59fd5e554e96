"""The one training loop. A script brings a model, batches, a loss and a score; `fit` does the rest.

What is deterministic: on one machine, with one number of threads, the same first weights and the same seed give
the same weights. A run that was stopped and is started again gives exactly the weights of one that was not, if
its batches are loaded in this process (`num_workers=0`): the random draws of workers (augmentation) are not kept.
"""

from __future__ import annotations

import copy
import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from accelerate import Accelerator, skip_first_batches
from accelerate.state import AcceleratorState
from accelerate.utils import send_to_device, set_seed
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader
from transformers import get_cosine_schedule_with_warmup

Trained = TypeVar("Trained", bound=nn.Module)

log = logging.getLogger("showtell.training")
logging.getLogger("accelerate").setLevel(logging.WARNING)  # it would report every file of every checkpoint


@dataclass(frozen=True)
class Settings:
    """How to train: by AdamW, the learning rate rising for a share of the batches, then falling as a cosine.

    watch: which of the score's figures decides which weights are best; higher is better.
    warmup: the share of all batches over which the learning rate rises.
    clip_norm: the longest that the gradient may be.
    average_decay: of the exponential average of the weights, which is what is scored and kept.
    patience: epochs without a better figure after which training stops.
    mixed_precision: "no" or "bf16"; bf16 halves the time on processors that have it.
    checkpoint_minutes: at most so much is lost when a run is stopped.
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
    """Where a run is: kept in its checkpoint, so that it can go on from there.

    batch, loss: how many of this epoch's batches are done, and the sum of their losses.
    """

    epoch: int = 0
    batch: int = 0
    loss: float = 0.0
    stale_epochs: int = 0
    best: dict[str, float] = field(default_factory=dict)
    best_weights: dict[str, Tensor] = field(default_factory=dict)

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint."""
        return self.__dict__.copy()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From the checkpoint."""
        self.__dict__.update(state)

    def end_epoch(self, figures: dict[str, float], averaged: nn.Module, watch: str) -> None:
        """Keep a copy of the weights if they are the best so far, and turn to the next epoch."""
        if not self.best or figures[watch] > self.best[watch]:
            self.best, self.best_weights = figures, copy.deepcopy(averaged.state_dict())
            self.stale_epochs = 0
        else:
            self.stale_epochs += 1
        self.epoch, self.batch, self.loss = self.epoch + 1, 0, 0.0


def fit(
    model: Trained,
    batches: DataLoader,
    loss: Callable[[Trained, Any], Tensor],
    score: Callable[[Trained], dict[str, float]],
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
    AcceleratorState._reset_state()  # else the first run in a process would decide the precision of all
    accelerator = Accelerator(mixed_precision=settings.mixed_precision, log_with="tensorboard", project_dir=str(folder))
    accelerator.init_trackers("tensorboard", asdict(settings))
    set_seed(settings.seed)
    order = generator_of_order(batches)
    average = get_ema_multi_avg_fn(settings.average_decay)
    averaged = AveragedModel(model, accelerator.device, multi_avg_fn=average, use_buffers=True)
    groups = parameter_groups(model, settings.learning_rate, learning_rates or {})
    optimizer = torch.optim.AdamW(groups, weight_decay=settings.weight_decay)
    total = settings.epochs * len(batches)
    schedule = get_cosine_schedule_with_warmup(optimizer, int(settings.warmup * total), total)
    model, optimizer, schedule = accelerator.prepare(model, optimizer, schedule)
    progress = Progress()
    accelerator.register_for_checkpointing(averaged, progress)
    checkpoint = Checkpoint(accelerator, folder / "checkpoint")
    if checkpoint.load():
        log.info("going on from epoch %d, batch %d", progress.epoch, progress.batch)

    while progress.epoch < settings.epochs and progress.stale_epochs < settings.patience:
        model.train()
        started = time.monotonic()
        order.manual_seed(settings.seed + progress.epoch)
        for batch in skip_first_batches(batches, progress.batch):
            with accelerator.autocast():
                value = loss(model, send_to_device(batch, accelerator.device))
            accelerator.backward(value)
            accelerator.clip_grad_norm_(model.parameters(), settings.clip_norm)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            averaged.update_parameters(model)
            progress.batch += 1
            progress.loss += value.item()
            if checkpoint.age_minutes() >= settings.checkpoint_minutes:
                checkpoint.save()
        figures = {"loss": progress.loss / len(batches), "seconds": time.monotonic() - started}
        figures |= score(cast(Trained, averaged.module.eval()))
        accelerator.log(figures, step=progress.epoch)
        log.info("epoch %d: %s", progress.epoch, "  ".join(f"{k} {v:.4g}" for k, v in figures.items()))
        progress.end_epoch(figures, averaged.module, settings.watch)
        checkpoint.save()

    accelerator.end_training()
    model = accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    if progress.best:
        model.load_state_dict(progress.best_weights)
    model.eval()
    return progress.best


def generator_of_order(batches: DataLoader) -> torch.Generator:
    """Have the order of the batches drawn by a generator of its own, so that a run can go on in mid-epoch.

    It is given to whatever in `batches` has a `generator`; a sampler that shuffles by anything else is not seeded.
    """
    order = torch.Generator()
    parts: tuple[Any, ...] = (batches, batches.sampler, batches.batch_sampler)
    for part in parts:
        if hasattr(part, "generator"):
            part.generator = order
    return order


def parameter_groups(model: nn.Module, default: float, rates: dict[str, float]) -> list[dict[str, Any]]:
    """Trainable parameters by learning rate: a name's rate is that of the prefix it starts with."""
    groups: dict[float, list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            rate = next((rate for prefix, rate in rates.items() if name.startswith(prefix)), default)
            groups.setdefault(rate, []).append(parameter)
    return [{"params": parameters, "lr": rate} for rate, parameters in groups.items()]


class Checkpoint:
    """All of a run's state in a folder, which is replaced as a whole: a kill at any moment leaves one."""

    def __init__(self, accelerator: Accelerator, folder: Path):
        self.accelerator, self.folder = accelerator, folder
        self.new, self.old = folder.with_name(f"{folder.name}.new"), folder.with_name(f"{folder.name}.old")
        self.saved = time.monotonic()

    def age_minutes(self) -> float:
        """Since the last one, or the run's start."""
        return (time.monotonic() - self.saved) / 60

    def load(self) -> bool:
        """Go on from the last checkpoint, if there is one."""
        # The old one stands alone if a kill came between the two renames.
        found = next((folder for folder in (self.folder, self.old) if folder.exists()), None)
        if found is None:
            return False
        self.accelerator.load_state(str(found))
        return True

    def save(self) -> None:
        """Write beside the last one, then take its place."""
        shutil.rmtree(self.new, ignore_errors=True)
        self.accelerator.save_state(str(self.new), safe_serialization=False)
        if self.folder.exists():
            shutil.rmtree(self.old, ignore_errors=True)
            self.folder.rename(self.old)
        self.new.rename(self.folder)
        shutil.rmtree(self.old, ignore_errors=True)
        self.saved = time.monotonic()
