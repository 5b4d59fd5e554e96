from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import soundfile
from typer.testing import CliRunner

from showtell import pipeline
from showtell.composition import load
from showtell.scripts import evaluate
from showtell.scripts.datasets.sound_tensors import Sounds
from showtell.scripts.datasets.sounds import read_labelled_sounds
from showtell.scripts.train_audio_classification import main, score_classifier

RATE = 8_000
LABELS = ["hiss", "hum"]
SIZES = {"channels": 4, "width": 16, "hidden_size": 8, "dropout": 0.0}


def sound(label: str, seed: int) -> np.ndarray:
    """Half a second of noise, or of a tone with overtones."""
    rng = np.random.default_rng(seed)
    if label == "hiss":
        return rng.normal(scale=0.1, size=RATE // 2)
    frequency = rng.uniform(150, 300)
    return np.mean([0.3 * np.sin(2 * np.pi * n * frequency * np.arange(RATE // 2) / RATE) for n in range(1, 9)], axis=0)


def write(folder: Path, seeds: range) -> None:
    folder.mkdir(parents=True)
    lines = []
    for seed in seeds:
        for label in LABELS:
            soundfile.write(folder / f"{label}{seed}.wav", sound(label, seed), RATE)
            lines.append(json.dumps({"file_name": f"{label}{seed}.wav", "label": label}))
    (folder / "metadata.jsonl").write_text("\n".join(lines))


def test_a_classifier_learns_from_several_folders_and_is_saved(tmp_path: Path) -> None:
    write(tmp_path / "first" / "train", range(8))
    write(tmp_path / "second" / "train", range(8, 16))
    write(tmp_path / "second" / "dev", range(16, 20))
    folders = [tmp_path / "first", tmp_path / "second"]
    main(
        tmp_path / "model",
        folders,
        tmp_path / "runs",
        "for tests",
        **SIZES,
        mixed_precision="no",
        epochs=8,
        batch_size=8,
        learning_rate=0.02,
    )
    model = load(tmp_path / "model")
    assert model.task == "audio-classification"
    dev = read_labelled_sounds(folders[1] / "dev")
    figures = score_classifier(model, Sounds(dev, LABELS, change=False))
    assert figures["accuracy"] == 1

    answers = pipeline("audio-classification", tmp_path / "model")([sound.file for sound in dev])
    assert [answer[0]["label"] for answer in answers] == [sound.label for sound in dev]

    command = ["audio-classification", str(folders[1] / "dev"), "--model", str(tmp_path / "model")]
    told = json.loads(CliRunner().invoke(evaluate.app, command, catch_exceptions=False).stdout)
    assert (told["accuracy"], told["macro_f1"], told["recordings"]) == (1, 1, 8)
    log_scores = np.log([answer[0]["score"] for answer in answers])
    np.testing.assert_allclose(log_scores.mean(), figures["log_likelihood"], atol=1e-3)
