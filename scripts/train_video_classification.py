"""Train a video classifier: labelled clips in, a bundle out that `pipeline("video-classification")` opens.

    python -m showtell.scripts.train_video_classification DATA OUTPUT

DATA holds `train` and `dev`, each a folder of clips with a `metadata.jsonl`. Clips of one `group`, such as a scene or a
camera, are never on both sides of a split. The CNN stays as it is, so what it sees is computed once. Then:

1. the classifiers are cross-validated by group over train and dev together, which tells how good they will be, and by
   one frame alone and by frames in another order what they go by;
2. they are trained on all of it, for as many epochs.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor, nn
from torch.utils.data import DataLoader, WeightedRandomSampler

from showtell.composition import compose
from showtell.decoders.ensemble import Ensemble
from showtell.encoders.video import VideoEncoder
from showtell.memory import Memory
from showtell.scripts.classification_metrics import score_groups, score_labels
from showtell.scripts.datasets.caption_tensors import Views
from showtell.scripts.datasets.videos import LabelledVideo, other_orders, read_videos, seen_in_views
from showtell.scripts.training import Settings, fit

log = logging.getLogger("showtell.training")

LABEL_SMOOTHING = 0.05
BATCH_SIZE = 64


def main(
    data: Annotated[Path, typer.Argument(help="A folder that holds train and dev.")],
    output: Annotated[Path, typer.Argument(help="The bundle's folder.")],
    runs: Annotated[Path, typer.Option(help="Checkpoints, caches and TensorBoard logs.")] = Path("runs/videos"),
    backbone: Annotated[str, typer.Option(help="See showtell.encoders.image.")] = "efficientnet_lite0/headless",
    sees: Annotated[str, typer.Option(help="appearance, motion or both.")] = "both",
    frames: Annotated[int, typer.Option(help="Sampled of each clip.")] = 16,
    image_size: Annotated[int, typer.Option(help="The side of a frame, in pixels.")] = 112,
    views: Annotated[int, typer.Option(help="Of each clip: as it is, mirrored, and changed at random.")] = 4,
    members: Annotated[int, typer.Option(help="Classifiers whose probabilities are averaged.")] = 6,
    hidden_size: Annotated[int, typer.Option(help="Of each recurrent network, in each direction.")] = 32,
    cell: Annotated[str, typer.Option(help="rnn, lstm or gru.")] = "lstm",
    epochs: int = 40,
    folds: Annotated[int, typer.Option(help="Of the cross-validation; 0 leaves it out.")] = 7,
    lender: Annotated[list[str] | None, typer.Option(help="Bundled models that hold the same CNN.")] = None,
    terms: Annotated[str, typer.Option(help="For what the model may be used: that is for your data to say.")] = "",
    seed: int = 0,
) -> None:
    """Cross-validate a video classifier by group, train it on all clips, and save it as a bundle."""
    logging.basicConfig(format="%(asctime)s %(message)s")
    logging.getLogger("showtell").setLevel(logging.INFO)
    runs.mkdir(parents=True, exist_ok=True)

    # Data.
    videos = read_videos(data / "train") + read_videos(data / "dev")
    labels = sorted({video.label for video in videos})
    targets = torch.tensor([labels.index(video.label) for video in videos])
    weights = torch.tensor(even_weights(videos))

    # What the CNN sees.
    torch.manual_seed(seed)
    np.random.seed(seed)
    encoder = VideoEncoder(backbone, image_size=image_size, frames=frames, sees=sees).requires_grad_(False)
    encoder.half().float()  # as it will be stored
    seen = kept(runs / "frames.npy", lambda: see(encoder, videos, views))
    features = torch.stack([encoder.changes(view) for view in seen])

    def new_decoder(train: Sequence[int]) -> tuple[Ensemble, Tensor]:
        """An untrained ensemble, and all clips in the scale of those that it will be trained on."""
        encoder.standardise(features[0, train])
        shape = {"memory_width": encoder.width, "hidden_size": hidden_size, "attention_size": hidden_size}
        decoder = Ensemble(members=members, labels=labels, cell=cell, **shape)
        return decoder, (features - encoder.center) / encoder.spread

    def train_on(train: Sequence[int], folder: Path) -> Ensemble:
        decoder, scaled = new_decoder(train)
        sampler = WeightedRandomSampler(weights[train].tolist(), len(train))
        batches = DataLoader(Views([scaled[:, train]], targets[train]), BATCH_SIZE, sampler=sampler)
        settings = Settings(
            epochs,
            learning_rate=2e-3,
            watch="epoch",
            weight_decay=0.5,
            average_decay=0.9,  # there are few batches
            patience=epochs,
            seed=seed,
        )
        done = iter(range(epochs))
        fit(decoder, batches, tell_labels, lambda _: {"epoch": next(done)}, settings, folder)
        return decoder.eval()

    # How good it will be.
    if folds:
        orders = {"as_it_is": np.arange(frames), **other_orders(frames)}
        probabilities = {order: np.zeros((len(videos), len(labels))) for order in orders}
        part = split_by_group(videos, folds, seed)
        for fold in range(folds):
            train, test = np.flatnonzero(part != fold).tolist(), np.flatnonzero(part == fold).tolist()
            decoder = train_on(train, runs / f"fold-{fold}")
            for order, places in orders.items():
                shown = (encoder.changes(seen[0, test][:, places]) - encoder.center) / encoder.spread
                probabilities[order][test] = answer(decoder, shown)
        scores = {order: score_by_group(said, videos, labels) for order, said in probabilities.items()}
        figures = scores["as_it_is"] | {order: scores[order]["accuracy"] for order in other_orders(frames)}
        log.info("cross-validated: %s", json.dumps(figures))
        (runs / "cross-validation.json").write_text(json.dumps(figures, indent=2) + "\n")

    # The model.
    decoder = train_on(range(len(videos)), runs / "all")
    compose(encoder=encoder, decoder=decoder).save(output, terms=terms, lenders=lender or [])


@torch.inference_mode()
def see(encoder: VideoEncoder, videos: Sequence[LabelledVideo], views: int) -> Tensor:
    """The CNN's features of every frame, `(views, clips, frames, channels)`."""
    features = []
    for number, video in enumerate(videos):
        clips = torch.stack(list(seen_in_views(video, frames=encoder.frames, size=encoder.image_size, views=views)))
        maps = encoder.feature_map(clips.flatten(0, 1))
        features.append(maps.mean(dim=(2, 3)).unflatten(0, clips.shape[:2]))
        if number % 50 == 0:
            log.info("seen %d of %d clips", number, len(videos))
    return torch.stack(features, dim=1)


def split_by_group(videos: Sequence[LabelledVideo], folds: int, seed: int) -> np.ndarray:
    """The fold of each clip, `(clips,)`, by whole groups: the largest first, each to where its labels are rarest."""
    groups = sorted({video.group for video in videos})
    np.random.default_rng(seed).shuffle(groups)
    labels = {group: Counter(video.label for video in videos if video.group == group) for group in groups}
    held: list[Counter[str]] = [Counter() for _ in range(folds)]
    fold_of: dict[str, int] = {}
    for group in sorted(groups, key=lambda group: -labels[group].total()):
        fold_of[group] = min(
            range(folds), key=lambda fold: sum(held[fold][label] for label in labels[group].elements())
        )
        held[fold_of[group]] += labels[group]
    return np.array([fold_of[video.group] for video in videos])


def even_weights(videos: Sequence[LabelledVideo]) -> list[float]:
    """How often a clip is drawn: each label as often as another, large groups less often than their size."""
    groups = Counter((video.label, video.group) for video in videos)
    raw = [groups[video.label, video.group] ** -0.5 for video in videos]
    totals: Counter[str] = Counter()
    for video, weight in zip(videos, raw, strict=True):
        totals[video.label] += weight
    return [weight / totals[video.label] for video, weight in zip(videos, raw, strict=True)]


def tell_labels(decoder: Ensemble, batch: tuple[Tensor, Tensor]) -> Tensor:
    """The sum of the members' cross-entropies."""
    features, targets = batch
    logits, _ = decoder(as_memory(features))
    losses = nn.functional.cross_entropy(
        logits.flatten(0, 1), targets.repeat(len(logits)), label_smoothing=LABEL_SMOOTHING, reduction="none"
    )
    return losses.view(len(logits), -1).mean(dim=1).sum()


@torch.inference_mode()
def answer(decoder: Ensemble, features: Tensor) -> np.ndarray:
    """The labels' probabilities, `(clips, labels)`."""
    return decoder.answer(as_memory(features))["log_probs"].exp().numpy()


def as_memory(features: Tensor) -> Memory:
    """Features of frames, `(clips, frames, width)`, all of them real."""
    return Memory(features, torch.ones_like(features[:, :, 0], dtype=torch.bool))


def score_by_group(
    probabilities: np.ndarray, videos: Sequence[LabelledVideo], labels: Sequence[str]
) -> dict[str, float]:
    """Accuracy, macro F1, and the mean over the groups of their accuracies with its standard error."""
    scores = score_labels(probabilities, [video.label for video in videos], labels)
    right = np.array([labels[row.argmax()] == video.label for row, video in zip(probabilities, videos, strict=True)])
    by_group = score_groups(right, [video.group for video in videos])
    return {name: scores[name] for name in ("accuracy", "macro_f1")} | by_group | {"videos": len(videos)}


def kept(file: Path, compute: Callable[[], Tensor]) -> Tensor:
    """What a run computed, from its folder if it is there already."""
    if not file.exists():
        np.save(file, compute().numpy())
    return torch.from_numpy(np.load(file))


if __name__ == "__main__":
    typer.run(main)
