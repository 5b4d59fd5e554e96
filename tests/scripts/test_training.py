from __future__ import annotations

import copy
import itertools
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from showtell.scripts.training import Settings, fit, parameter_groups

SETTINGS = Settings(epochs=3, learning_rate=0.05, watch="accuracy", average_decay=0.9)
ITEMS, BATCH_SIZE = 40, 8
BATCHES = -(-ITEMS // BATCH_SIZE)


class Quadrants(Dataset):
    """Points of a plane, a little blurred at each reading, and whether their coordinates have one sign."""

    def __init__(self) -> None:
        self.points = torch.randn(ITEMS, 2, generator=torch.Generator().manual_seed(0))

    def __len__(self) -> int:
        return ITEMS

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        point = self.points[index]
        return point + 0.01 * torch.randn(2), (point.prod() > 0).float()


def make_model(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 16), nn.BatchNorm1d(16), nn.Tanh(), nn.Dropout(0.1), nn.Linear(16, 1))


def make_batches() -> DataLoader:
    return DataLoader(Quadrants(), BATCH_SIZE, shuffle=True)


def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    points, answers = batch
    return nn.functional.binary_cross_entropy_with_logits(model(points).squeeze(1).float(), answers)


@torch.no_grad()
def accuracy(model: nn.Module) -> dict[str, float]:
    points = Quadrants().points
    return {"accuracy": ((model(points).squeeze(1) > 0) == (points.prod(dim=1) > 0)).float().mean().item()}


def run(folder: Path, model: nn.Module | None = None, **changes: Any) -> tuple[nn.Module, dict[str, float]]:
    """A run on the toy problem; `changes` are settings, or other arguments of `fit`."""
    given = {name: changes.pop(name) for name in ("loss", "score", "learning_rates") if name in changes}
    model = make_model() if model is None else model
    arguments = {"loss": loss, "score": accuracy} | given
    return model, fit(model, make_batches(), settings=replace(SETTINGS, **changes), folder=folder, **arguments)


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def assert_equal(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def scores(*values: float) -> Callable[[nn.Module], dict[str, float]]:
    """A score that says these figures, one an epoch, whatever the model is."""
    figures = iter(values)
    return lambda model: {"accuracy": next(figures)}


def test_a_toy_problem_is_learnt(tmp_path: Path) -> None:
    _, first = run(tmp_path / "short", epochs=1)
    model, best = run(tmp_path / "long", epochs=20, patience=20)
    assert best["loss"] < 0.9 * first["loss"]
    assert best["accuracy"] > 0.8
    assert best["accuracy"] == accuracy(model)["accuracy"]
    assert not model.training


def test_the_same_seed_gives_the_same_weights_and_another_does_not(tmp_path: Path) -> None:
    first, again, other = (weights_of(run(tmp_path / str(n), seed=seed)[0]) for n, seed in enumerate((1, 1, 2)))
    assert_equal(first, again)
    assert not torch.equal(first["0.weight"], other["0.weight"])


class Kill(BaseException):
    """What ends a process, in a test that must outlive it."""


def killed_in_call(call: int, function: Callable) -> Callable:
    """A function whose process is killed in its so-many-th call."""
    calls = itertools.count(1)

    def killed(*arguments: Any) -> Any:
        if next(calls) == call:
            raise Kill
        return function(*arguments)

    return killed


@pytest.mark.parametrize(
    ("part", "function", "call"),
    [
        ("loss", loss, 2),
        ("loss", loss, BATCHES + 3),  # in the second epoch
        ("loss", loss, BATCHES + 1),  # at its start
        ("score", accuracy, 1),
        ("score", accuracy, 2),  # all batches of the second epoch are done
    ],
)
def test_a_run_that_was_stopped_and_goes_on_gives_the_weights_of_one_that_was_not(
    tmp_path: Path, part: str, function: Callable, call: int
) -> None:
    """Exactly, although items and dropout draw at random."""
    scored: dict[str, list[dict[str, Tensor]]] = {"undisturbed": [], "resumed": []}

    def recording(name: str) -> Callable[[nn.Module], dict[str, float]]:
        return lambda model: (scored[name].append(weights_of(model)), accuracy(model))[1]

    undisturbed, expected = run(tmp_path / "undisturbed", score=recording("undisturbed"))
    changes: dict[str, Any] = {part: killed_in_call(call, function)}
    with pytest.raises(Kill):
        run(tmp_path / "stopped", checkpoint_minutes=0, **changes)
    resumed, best = run(tmp_path / "stopped", make_model(seed=1), score=recording("resumed"))
    assert_equal(scored["resumed"][-1], scored["undisturbed"][-1])
    assert_equal(weights_of(resumed), weights_of(undisturbed))
    assert best | {"seconds": 0} == expected | {"seconds": 0}


@pytest.mark.parametrize("seen_before", [0, 3])
def test_an_epoch_has_every_item_once_also_when_it_is_resumed(tmp_path: Path, seen_before: int) -> None:
    seen: list[Tensor] = []

    def watching(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        value = loss(model, batch)
        seen.append(batch[0])
        return value

    if seen_before:
        with pytest.raises(Kill):
            run(tmp_path, epochs=1, checkpoint_minutes=0, loss=killed_in_call(seen_before + 1, watching))
    run(tmp_path, epochs=1, loss=watching)
    assert len(seen) == BATCHES
    distances = torch.cdist(torch.cat(seen), Quadrants().points)
    assert sorted(distances.argmin(dim=1).tolist()) == list(range(ITEMS))


def test_epochs_differ_in_order(tmp_path: Path) -> None:
    seen: list[Tensor] = []
    run(tmp_path, epochs=2, loss=lambda model, batch: (seen.append(batch[0]), loss(model, batch))[1])
    first, second = torch.cat(seen[:BATCHES]), torch.cat(seen[BATCHES:])
    assert not torch.allclose(first, second, atol=0.1)


def test_a_run_that_is_done_is_not_run_again(tmp_path: Path) -> None:
    done, best = run(tmp_path)
    again, same = run(tmp_path, make_model(seed=1), loss=killed_in_call(1, loss), score=killed_in_call(1, accuracy))
    assert_equal(weights_of(again), weights_of(done))
    assert same == best


def half_a_checkpoint(self: Any, folder: str, **options: Any) -> None:
    Path(folder).mkdir()
    Path(folder, "pytorch_model.bin").write_bytes(b"half")
    raise Kill


def rename_but_the_new_one(self: Path, target: Path, rename: Callable = Path.rename) -> Path:
    if self.name == "checkpoint.new":
        raise Kill
    return rename(self, target)


@pytest.mark.parametrize(
    ("owner", "function", "killed"),
    [(Accelerator, "save_state", half_a_checkpoint), (Path, "rename", rename_but_the_new_one)],
)
def test_a_kill_while_a_checkpoint_is_written_leaves_one_to_go_on_from(
    tmp_path: Path, owner: type, function: str, killed: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed, _ = run(tmp_path / "undisturbed")
    with pytest.raises(Kill):
        run(tmp_path / "stopped", score=killed_in_call(2, accuracy))  # one checkpoint is written
    with pytest.raises(Kill), monkeypatch.context() as patch:
        patch.setattr(owner, function, killed)
        run(tmp_path / "stopped")
    resumed, _ = run(tmp_path / "stopped", make_model(seed=1))
    assert_equal(weights_of(resumed), weights_of(undisturbed))
    assert [path.name for path in (tmp_path / "stopped").glob("checkpoint*")] == ["checkpoint"]


def test_training_stops_when_no_epoch_is_better_for_as_long_as_patience(tmp_path: Path) -> None:
    _, best = run(tmp_path, epochs=9, patience=2, score=scores(0.5, 0.7, 0.6, 0.7))
    assert best["accuracy"] == 0.7


def test_the_averaged_weights_of_the_best_epoch_are_kept(tmp_path: Path) -> None:
    scored: list[dict[str, Tensor]] = []
    figures = scores(0.1, 0.9, 0.5, 0.9)

    def score(model: nn.Module) -> dict[str, float]:
        assert not model.training
        scored.append(weights_of(model))
        return figures(model)

    model, best = run(tmp_path, epochs=4, score=score)
    assert best["accuracy"] == 0.9
    assert_equal(weights_of(model), scored[1])
    assert not torch.equal(scored[1]["0.weight"], scored[3]["0.weight"])


def test_what_is_scored_is_the_exponential_average_of_the_weights(tmp_path: Path) -> None:
    trained: list[Tensor] = []

    def watching(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        trained.append(model.get_parameter("0.weight").detach().clone())
        return loss(model, batch)

    averages: list[Tensor] = []

    def score(model: nn.Module) -> dict[str, float]:
        averages.append(model.get_parameter("0.weight").clone())
        return accuracy(model)

    run(tmp_path, epochs=2, loss=watching, score=score)
    # Before a batch the weights are those after the one before it; the average starts from the first of them.
    after = trained[1:]
    expected = after[0]
    for weight in after[1:BATCHES]:
        expected = 0.9 * expected + 0.1 * weight
    torch.testing.assert_close(averages[0], expected)


def steps_of(model: nn.Module, folder: Path, **changes: Any) -> list[dict[str, Tensor]]:
    """The gradients that the optimizer sees at each step."""
    gradients: list[dict[str, Tensor]] = []
    step = torch.optim.AdamW.step

    def watching(optimizer: torch.optim.AdamW, *arguments: Any, **options: Any) -> Any:
        gradients.append({n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None})
        return step(optimizer, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", watching)
        run(folder, model, **changes)
    return gradients


def test_gradients_are_clipped_to_a_length(tmp_path: Path) -> None:
    def steep(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return 1000 * loss(model, batch)

    for gradients in steps_of(make_model(), tmp_path, epochs=1, loss=steep, clip_norm=0.5):
        length = torch.cat([gradient.flatten() for gradient in gradients.values()]).norm()
        torch.testing.assert_close(length, torch.tensor(0.5), rtol=1e-4, atol=0)


def test_short_gradients_are_left_as_they_are(tmp_path: Path) -> None:
    loose = steps_of(make_model(), tmp_path / "loose", epochs=1, clip_norm=1e6)
    looser = steps_of(make_model(), tmp_path / "looser", epochs=1, clip_norm=1e9)
    assert_equal(loose[-1], looser[-1])


def test_frozen_weights_stay_and_others_learn_at_the_rate_of_their_prefix(tmp_path: Path) -> None:
    model = make_model()
    model[0].requires_grad_(False)
    before = weights_of(model)
    run(tmp_path, model, learning_rates={"4": 0.0}, epochs=1)
    after = weights_of(model)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert {"1.weight", "1.bias"} <= moved
    assert not moved & {"0.weight", "0.bias", "4.weight", "4.bias"}


def test_each_rate_has_one_group_of_parameters() -> None:
    model = nn.ModuleDict({"encoder": nn.Linear(2, 2), "decoder": nn.Linear(2, 2), "encoders": nn.Linear(2, 2)})
    model["encoders"].requires_grad_(False)
    groups = parameter_groups(model, 1e-3, {"encoder.": 1e-4})
    assert {group["lr"]: {id(p) for p in group["params"]} for group in groups} == {
        1e-4: {id(p) for p in model["encoder"].parameters()},
        1e-3: {id(p) for p in model["decoder"].parameters()},
    }


def test_no_epochs_leave_a_model_as_it_is(tmp_path: Path) -> None:
    model, best = run(tmp_path, epochs=0)
    assert best == {}
    assert_equal(weights_of(model), weights_of(make_model()))


def test_tensorboard_gets_every_epoch_s_figures_and_the_settings(tmp_path: Path) -> None:
    run(tmp_path, epochs=2)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert {"loss", "seconds", "accuracy"} <= set(events.Tags()["scalars"])
    assert [event.step for event in events.Scalars("accuracy")] == [0, 1]
    settings = next((tmp_path / "tensorboard").rglob("hparams.yml")).read_text()
    assert "learning_rate: 0.05" in settings


def test_the_log_has_one_line_an_epoch(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    run(tmp_path, epochs=2, checkpoint_minutes=0)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert lines[0].startswith("epoch 0: loss 0.") and "accuracy 0." in lines[0]


def test_runs_of_one_process_may_differ_in_model_and_precision_and_share_a_part(tmp_path: Path) -> None:
    """As a script with stages does: a part, then the whole, then the part again."""
    part = make_model()
    whole = nn.Sequential(part, nn.Linear(1, 1))
    for stage, (model, precision) in enumerate([(part, "no"), (whole, "bf16"), (part, "bf16"), (whole, "no")]):
        before = weights_of(part)
        _, best = run(tmp_path / str(stage), model, mixed_precision=precision, epochs=1)
        assert 0 < best["accuracy"] <= 1
        assert not torch.equal(weights_of(part)["0.weight"], before["0.weight"])


def test_a_model_trained_in_bf16_computes_in_fp32_afterwards(tmp_path: Path) -> None:
    model, _ = run(tmp_path, mixed_precision="bf16", epochs=1)
    fresh = make_model().eval()
    fresh.load_state_dict(model.state_dict())
    points = Quadrants().points
    assert torch.equal(model(points), fresh(points))
    assert torch.equal(copy.deepcopy(model)(points), fresh(points))


def test_what_is_scored_is_in_fp32_even_in_bf16(tmp_path: Path) -> None:
    def score(model: nn.Module) -> dict[str, float]:
        points = Quadrants().points
        plain = make_model().eval()
        plain.load_state_dict(model.state_dict())
        assert torch.equal(model(points), plain(points))
        return accuracy(model)

    run(tmp_path, mixed_precision="bf16", epochs=1, score=score)
