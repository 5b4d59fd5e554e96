"""An exported model answers in plain ONNX Runtime, with nothing of showtell."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from PIL import Image
from tokenizers import Tokenizer

from showtell import InputError, MissingExtraError, ModelError, pipeline
from showtell.pipelines import TASKS, find_model
from showtell.pipelines.export import HOW_TO_CALL, export_model

CAT = Path(__file__).parents[1] / "media" / "cat.jpg"


def greedy(folder: Path, photograph: Path, max_length: int) -> tuple[list[str], list[float]]:
    """Caption a photograph as the exported README says: its tokens in words, and their log-probabilities."""
    config = json.loads((folder / "config.json").read_text())
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    encode, step = (onnxruntime.InferenceSession(folder / f"{name}.onnx") for name in ("encode", "step"))
    square = Image.open(photograph).resize((config["image_size"],) * 2, Image.Resampling.BILINEAR, reducing_gap=3.0)
    names = [output.name for output in encode.get_outputs()]
    arrays = dict(zip(names, encode.run(None, {"pixels": np.asarray(square)[None]}), strict=True))
    token, words, log_probs = config["start"], [], []
    for _ in range(max_length):
        results: Any = step.run(None, {"tokens": np.array([[token]]), **arrays})
        after = dict(zip([output.name for output in step.get_outputs()], results, strict=True))
        arrays |= {name: after[f"next_{name}"] for name in names if f"next_{name}" in after}
        after["log_probs"][0, 0, [config["pad"], config["start"], config["unknown"]]] = -np.inf
        token = int(after["log_probs"].argmax())
        log_probs.append(after["log_probs"].max())
        if token == config["end"]:
            break
        words.append(tokenizer.id_to_token(token))
    return words, log_probs


@pytest.mark.parametrize("model", ["flickr8k-captions", "tiny"])
def test_plain_onnx_runtime_answers_as_the_pipeline_does(model: str, tiny: Path, tmp_path: Path) -> None:
    source = tiny if model == "tiny" else find_model(model)
    export_model(source, tmp_path)
    words, log_probs = greedy(tmp_path, CAT, max_length=12)
    [answer] = pipeline("image-to-text", source)(CAT, num_beams=1, max_length=12)
    assert " ".join(words).replace(" '", "'").replace(" n't", "n't") == answer["generated_text"]
    assert np.exp(np.mean(log_probs)) == pytest.approx(answer["score"], abs=1e-5)


def test_the_readme_tells_every_input_and_output(tiny: Path, tmp_path: Path) -> None:
    export_model(tiny, tmp_path / "new")
    told = (tmp_path / "new" / "README.md").read_text()
    assert "for tests" in told  # the terms
    for name in ("encode", "step"):
        session = onnxruntime.InferenceSession(tmp_path / "new" / f"{name}.onnx")
        assert f"## {name}.onnx" in told
        for value in session.get_inputs():
            assert f"| in | {value.name} |" in told
        for value in session.get_outputs():
            assert f"| out | {value.name} |" in told


def test_every_task_tells_how_its_graphs_are_called() -> None:
    assert HOW_TO_CALL.keys() == TASKS.keys()


def test_nothing_is_overwritten(tiny: Path, tmp_path: Path) -> None:
    before = {file: file.read_bytes() for file in tiny.iterdir()}
    (tmp_path / "file").touch()
    for folder in (tiny, tmp_path, tmp_path / "file"):
        with pytest.raises(InputError, match="a new or an empty folder would do"):
            export_model(tiny, folder)
    assert {file: file.read_bytes() for file in tiny.iterdir()} == before


def test_a_damaged_model_is_not_exported(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere"):
        export_model(tmp_path / "nowhere", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_onnx_the_error_names_the_extra(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"showtell\[torch\]"):
        export_model(tiny, tmp_path)
