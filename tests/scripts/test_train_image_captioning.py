from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from showtell import pipeline
from showtell.scripts.train_image_captioning import main

CAPTIONS = ["a dog runs", "the dog runs", "a dog runs fast", "the cat sleeps", "a cat sleeps there"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four noisy photographs to learn from, and two to choose by."""
    folder, rng = tmp_path_factory.mktemp("captioned"), np.random.default_rng(0)
    for part, photographs in (("train", 8), ("dev", 2)):
        (folder / part).mkdir()
        with (folder / part / "metadata.jsonl").open("w") as lines:
            for number in range(photographs):
                pixels = rng.integers(256, size=(40, 50, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / part / f"{number}.png")
                lines.write(json.dumps({"file_name": f"{number}.png", "captions": CAPTIONS}) + "\n")
    return folder


def test_a_captioner_with_teachers_is_trained_and_answers(data: Path, tmp_path: Path) -> None:
    epochs = {"write_epochs": 1, "see_epochs": 1, "follow_epochs": 1, "reward_epochs": 1}
    how = {"runs": tmp_path / "runs", "image_size": 64, "teachers": 2, "mixed_precision": "no", **epochs}
    main(data, tmp_path / "first", **how)
    photograph = data / "dev" / "0.png"
    before = pipeline("image-to-text", model=tmp_path / "first")(photograph)
    assert set(before[0]["generated_text"].split()) <= {word for text in CAPTIONS for word in text.split()}

    # What was trained is not trained again: the same weights come out of the same folder of runs.
    stages = {path.parent.name for path in (tmp_path / "runs").glob("*/*/*/checkpoint")}
    assert stages == {"1-write", "2-see", "3-follow", "4-reward"}
    main(data, tmp_path / "second", **how)
    assert pipeline("image-to-text", model=tmp_path / "second")(photograph) == before


def test_stages_of_no_epochs_are_left_out(data: Path, tmp_path: Path) -> None:
    main(data, tmp_path / "model", runs=tmp_path, image_size=64, see_epochs=0, reward_epochs=0, mixed_precision="no")
    assert [path.parent.name for path in tmp_path.glob("*/*/*/checkpoint")] == ["1-write"]
