"""`pipeline` opens what it is asked for, or says in one typed error what is wrong with it."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from showtell import InputError, ModelError, ShowtellError, pipeline, pipelines
from showtell.pipelines import ALIASES, MODELS, TASKS, bundled_models
from showtell.pipelines.image_to_text import ImageToText

CAT = Path(__file__).parents[1] / "media" / "cat.jpg"


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        raise AssertionError("nothing is fetched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_every_task_s_model_is_bundled_and_opens_its_pipeline() -> None:
    for task in (*TASKS, *ALIASES):
        row = TASKS[ALIASES.get(task, task)]
        assert row.default_model in bundled_models()
        pipe = pipeline(task)
        assert type(pipe).__name__ == row.pipeline
        assert pipe.bundle.folder == MODELS / row.default_model


def test_bundled_models_weigh_at_most_25_megabytes_and_name_their_terms() -> None:
    for name in bundled_models():
        files = list((MODELS / name).iterdir())
        assert sum(file.stat().st_size for file in files) <= 25e6
        assert json.loads((MODELS / name / "config.json").read_text())["terms"]
        assert (MODELS / name / "README.md").read_text().strip()


def test_a_model_is_named_by_its_name_or_its_folder(tiny: Path) -> None:
    assert pipeline("image-to-text", "flickr8k-captions").bundle.folder == MODELS / "flickr8k-captions"
    answers = [pipeline("image-to-text", model)(CAT) for model in (tiny, str(tiny))]
    assert answers[0] == answers[1]


def test_a_folder_beside_us_is_found_before_the_hub_is_asked(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny.parent.parent)
    assert isinstance(pipeline("image-to-text", f"{tiny.parent.name}/{tiny.name}"), ImageToText)


def test_owner_and_name_go_to_the_hub(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fetch(repo_id: str, revision: str | None) -> Path:
        asked.append((repo_id, revision))
        return tiny

    monkeypatch.setattr(pipelines, "fetch_from_hub", fetch)
    pipeline("image-to-text", "somebody/captions-2")
    pipeline("image-to-text", model="somebody/captions-2", revision="v1")
    assert asked == [("somebody/captions-2", None), ("somebody/captions-2", "v1")]


@pytest.mark.parametrize(
    "model",
    ["https://huggingface.co/somebody/model", "http://x.org/m", "file:///models/m", "s3://bucket/model", "nowhere",
     "./nowhere", "/no/such/folder", "a/b/c", "../up", "", "owner/na me", "nul\0l"],
)  # fmt: skip
def test_a_model_that_is_not_there_is_named_and_nothing_is_fetched(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipelines, "fetch_from_hub", None)
    with pytest.raises(ModelError) as caught:
        pipeline("image-to-text", model)
    assert str(caught.value).startswith(f"{model or '.'}: ")


@pytest.mark.parametrize("model", [5, 1.5, ["flickr8k-captions"], b"flickr8k-captions"])
def test_what_names_no_model_is_an_input_error(model: Any) -> None:
    with pytest.raises(InputError, match="model="):
        pipeline("image-to-text", model)


def test_a_model_on_this_machine_has_no_revisions(tiny: Path) -> None:
    with pytest.raises(InputError, match="revision='v1'"):
        pipeline("image-to-text", tiny, revision="v1")


@pytest.mark.parametrize("task", ["image-to-txt", "", "Image-To-Text", None, 3, ["image-to-text"]])
def test_an_unknown_task_is_an_input_error_that_lists_the_known(task: Any) -> None:
    with pytest.raises(InputError, match=r"image-to-text, .* would do") as caught:
        pipeline(task)
    assert repr(task) in str(caught.value)


@pytest.mark.parametrize(
    "option", [{"runtime": "tensorflow"}, {"device": "tpu"}, {"threads": 0}, {"threads": "all"}, {"threads": 1.5}]
)
def test_an_option_that_cannot_be_is_an_input_error(option: dict[str, Any]) -> None:
    [(name, value)] = option.items()
    with pytest.raises(InputError, match=f"{value!r}: .* would do") as caught:
        pipeline("image-to-text", **option)
    assert str(caught.value).startswith(name)


def test_an_unknown_option_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="gpu"):
        pipeline("image-to-text", gpu=True)  # pyright: ignore[reportCallIssue]


def edit(**changes: Any) -> Callable[[Path], None]:
    """Change entries of `config.json`; None removes one."""

    def damage(folder: Path) -> None:
        file = folder / "config.json"
        config = json.loads(file.read_text()) | changes
        file.write_text(json.dumps({name: value for name, value in config.items() if value is not None}))

    return damage


def overwrite(folder: Path) -> None:
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "model.safetensors").write_bytes(data)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "missing weights": lambda folder: (folder / "model.safetensors").unlink(),
    "cut weights": lambda folder: (folder / "model.safetensors").write_bytes(b"cut"),
    "overwritten weights": overwrite,
    "missing graph": lambda folder: (folder / "step.onnx").unlink(),
    "overwritten tokenizer": lambda folder: (folder / "tokenizer.json").write_text("{}"),
    "no config": lambda folder: (folder / "config.json").unlink(),
    "broken config": lambda folder: (folder / "config.json").write_text("{"),
    "another task": edit(task="video-classification"),
    "future format": edit(format_version=99),
    "no encoder": edit(encoder=None),
    "no decoder": edit(decoder=None),
    "no memory": edit(memory=None),
    "no options": edit(options=None),
    "odd options": edit(options=[1]),
    "no grid": edit(memory={"grid": None}),
    "no folder": shutil.rmtree,
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("runtime", ["onnx", "torch"])
def test_a_damaged_model_is_one_typed_error_that_names_it(
    tiny: Path, tmp_path: Path, damage: str, runtime: Any
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny, folder)
    DAMAGE[damage](folder)
    with pytest.raises(ModelError) as caught:
        pipeline("image-to-text", folder, runtime=runtime)
    message = str(caught.value)
    assert message.startswith(str(folder)) and "\n" not in message


def test_every_error_of_ours_can_be_caught_as_one() -> None:
    with pytest.raises(ShowtellError):
        pipeline("image-to-text", "nowhere")
    with pytest.raises(ValueError, match="not known"):
        pipeline("nothing")
