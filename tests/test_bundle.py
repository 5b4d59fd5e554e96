from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from showtell import bundle as bundles
from showtell.bundle import FORMAT_VERSION, Bundle, add_prior, fetch_from_hub, write_bundle
from showtell.errors import ModelError

WEIGHTS = {
    "out.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "norm.num_batches_tracked": np.array(7),
}
TOKENIZER = Tokenizer(WordLevel({"<unk>": 0, "dog": 1}, unk_token="<unk>")).to_str()


def write(
    folder: Path,
    *,
    weights: dict[str, np.ndarray] = WEIGHTS,
    tokenizer: str | None = TOKENIZER,
    lenders: tuple[str, ...] = (),
) -> Path:
    write_bundle(
        folder,
        config={
            "task": "image-to-text",
            "graphs": {"step": {"weights": ["out.weight"]}},
            "options": {"num_beams": 4},
        },
        weights=weights,
        graphs={"step": b"a graph"},
        tokenizer=tokenizer,
        card="# A model\n",
        lenders=lenders,
    )
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "captioner")


def edit_config(folder: Path, **changes: Any) -> None:
    file = folder / "config.json"
    config = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


def refusal(folder: Path, task: str | None = None) -> str:
    """The message of the one error that opening raises: a sentence."""
    with pytest.raises(ModelError) as caught:
        Bundle.open(folder, task=task)
    message = str(caught.value)
    assert "\n" not in message and message.endswith(".")
    return message


def test_what_was_written_is_read(folder: Path) -> None:
    bundle = Bundle.open(folder, task="image-to-text")
    assert bundle.config["format_version"] == FORMAT_VERSION
    assert bundle.config["options"] == {"num_beams": 4}
    assert bundle.graph_file("step").read_bytes() == b"a graph"
    assert bundle.tokenizer().token_to_id("dog") == 1
    assert (folder / "README.md").read_text() == "# A model\n"
    weights = bundle.weights()
    assert weights.keys() == WEIGHTS.keys()
    assert weights["out.weight"].dtype == np.float32
    assert weights["norm.num_batches_tracked"].dtype == np.int64
    for name, value in WEIGHTS.items():
        np.testing.assert_array_equal(weights[name], value)


@given(
    hnp.arrays(
        st.sampled_from([np.float16, np.float32, np.float64]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0),
        elements=st.floats(-65504, 65504, width=16),
    )
)
def test_every_fp16_number_in_any_layout_comes_back_exactly(array: np.ndarray) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        weights = {"straight": array, "transposed": array.T}
        back = Bundle.open(write(Path(scratch, "model"), weights=weights)).weights()
    np.testing.assert_array_equal(back["straight"], array)
    np.testing.assert_array_equal(back["transposed"], array.T)


def test_floating_weights_are_stored_in_two_bytes(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", weights={"w": np.zeros(10_000, np.float32)})
    assert 20_000 < (folder / "model.safetensors").stat().st_size < 20_200


@pytest.mark.parametrize("value", [70_000.0, np.inf, np.nan])
def test_a_weight_beyond_fp16_is_an_error_and_leaves_what_was_there(folder: Path, value: float) -> None:
    with pytest.raises(ModelError, match=r"'out\.weight'"):
        write(folder, weights={"out.weight": np.array([1.0, value], np.float32)})
    np.testing.assert_array_equal(Bundle.open(folder).weights()["out.weight"], WEIGHTS["out.weight"])
    assert [path.name for path in folder.parent.iterdir()] == ["captioner"]


def test_a_bundle_is_replaced_as_a_whole(folder: Path) -> None:
    write(folder, weights={"out.weight": np.ones(3, np.float32)}, tokenizer=None)
    np.testing.assert_array_equal(Bundle.open(folder).weights()["out.weight"], np.ones(3))
    assert not (folder / "tokenizer.json").exists()
    assert [path.name for path in folder.parent.iterdir()] == ["captioner"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    Bundle.open(write(tmp_path))


@pytest.mark.parametrize("name", ["holiday.txt", "config.json"])
def test_a_folder_of_other_things_is_not_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('{"model_type": "resnet"}')
    with pytest.raises(ModelError, match="not overwritten"):
        write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere").startswith(f"{tmp_path / 'nowhere'}: there is no such folder")


def test_a_file_is_not_a_bundle(folder: Path) -> None:
    assert "it is a file" in refusal(folder / "step.onnx")


def test_a_missing_config_is_named(folder: Path) -> None:
    (folder / "config.json").unlink()
    assert "there is no config.json" in refusal(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b'"text"', b"{}", b'{"format_version": "1"}'])
def test_a_broken_config_is_named(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)
    assert refusal(folder).startswith(f"{folder / 'config.json'}: ")


@pytest.mark.parametrize("key", ["format_version", "task", "graphs", "files"])
def test_a_key_that_config_lacks_is_named(folder: Path, key: str) -> None:
    edit_config(folder, **{key: None})
    assert f"'{key}'" in refusal(folder)


@pytest.mark.parametrize("graphs", [{"step": None}, {"step": {}}, {"step": {"weights": 3}}])
def test_a_graph_that_lists_no_weights_is_named(folder: Path, graphs: dict[str, Any]) -> None:
    edit_config(folder, graphs=graphs)
    assert "'step'" in refusal(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "step.onnx"])
def test_a_file_without_a_digest_is_named(folder: Path, name: str) -> None:
    files = json.loads((folder / "config.json").read_text())["files"]
    edit_config(folder, files=files | {name: {"size": 3}})
    assert f"'{name}'" in refusal(folder)
    del files[name]
    edit_config(folder, files=files)
    assert f"'{name}'" in refusal(folder)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/b", "a\\b", "..", ""])
def test_a_file_outside_the_folder_is_refused(folder: Path, name: str) -> None:
    files = json.loads((folder / "config.json").read_text())["files"]
    edit_config(folder, files=files | {name: {"size": 0, "sha256": ""}})
    assert "plain file name" in refusal(folder)


def test_a_later_format_is_refused_with_both_versions(folder: Path) -> None:
    # A later format may have none of the keys of this one.
    (folder / "config.json").write_text(json.dumps({"format_version": FORMAT_VERSION + 1}))
    message = refusal(folder)
    assert f"version {FORMAT_VERSION + 1}" in message and f"up to {FORMAT_VERSION}" in message
    assert "upgrade showtell" in message


def test_a_model_of_another_task_is_refused(folder: Path) -> None:
    message = refusal(folder, task="token-classification")
    assert message.startswith(f"{folder}: ")
    assert "'image-to-text'" in message and "'token-classification'" in message


@pytest.mark.parametrize("name", ["model.safetensors", "step.onnx", "tokenizer.json"])
def test_a_missing_a_cut_and_an_overwritten_file_are_named(folder: Path, name: str) -> None:
    file = folder / name
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    assert refusal(folder).startswith(f"{file}: it has {len(whole) - 1} bytes")
    file.write_bytes(whole[:-1] + b"!")
    assert refusal(folder).startswith(f"{file}: its content is not")
    file.unlink()
    assert refusal(folder).startswith(f"{file}: this file of the model is missing")


@pytest.mark.parametrize("tokenizer", [None, "{}"])
def test_a_tokenizer_that_cannot_be_had_is_named_when_asked_for(tmp_path: Path, tokenizer: str | None) -> None:
    bundle = Bundle.open(write(tmp_path / "model", tokenizer=tokenizer))
    with pytest.raises(ModelError, match=r"tokenizer\.json: "):
        bundle.tokenizer()


def test_a_graph_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"'encode'.*step"):
        Bundle.open(folder).graph_file("encode")


def test_only_the_files_of_a_bundle_are_fetched_from_the_hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def snapshot_download(repo_id: str, **options: Any) -> str:
        asked.update(options, repo_id=repo_id)
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert fetch_from_hub("owner/captioner", "v2") == folder
    assert asked["repo_id"] == "owner/captioner" and asked["revision"] == "v2"
    written = {path.name for path in folder.iterdir()} - {"step.onnx"} | {"*.onnx"}
    assert set(asked["allow_patterns"]) == written | {"prior.npz"}


def test_what_the_hub_refuses_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def snapshot_download(*_: Any, **__: Any) -> str:
        raise OSError("404 Client Error\n\nRepository Not Found for url: ...")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    with pytest.raises(ModelError) as caught:
        fetch_from_hub("owner/nothing", "v2")
    message = str(caught.value)
    assert message.startswith("owner/nothing: ") and "'v2'" in message and "404" in message and "\n" not in message


# A prior of words.


@pytest.fixture
def prior(tmp_path: Path) -> Path:
    (tmp_path / "words").write_bytes(b"a prior")
    return tmp_path / "words"


def test_a_prior_is_added_and_the_rest_stays(folder: Path, prior: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "config.json"}
    config = Bundle.open(folder).config
    add_prior(folder, prior, weight=0.5, bonus=1.25, token_weight=0.5, token_prior=[0.75, 0.25])
    after = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "config.json"}
    assert after == before | {"prior.npz": b"a prior"}
    again = Bundle.open(folder).config
    size, digest = len(b"a prior"), "3ccde7ceb334c46942468ebe2fd7079752d17f46d1e0219ce51fa29567ca4ff5"
    weighed = {"weight": 0.5, "bonus": 1.25, "token_weight": 0.5, "token_prior": [0.75, 0.25]}
    assert again.pop("prior") == weighed
    assert again.pop("files") == config.pop("files") | {"prior.npz": {"size": size, "sha256": digest}}
    assert again == config


def test_a_prior_takes_the_place_of_another_or_is_weighed_anew(folder: Path, prior: Path) -> None:
    add_prior(folder, prior, weight=0.5, bonus=0.0)
    prior.write_bytes(b"a better prior")
    add_prior(folder, prior, weight=0.5, bonus=0.0)
    add_prior(folder, folder / "prior.npz", weight=0.7, bonus=1.0)
    assert Bundle.open(folder).config["prior"] == {"weight": 0.7, "bonus": 1.0, "token_weight": 0.0, "token_prior": []}
    assert (folder / "prior.npz").read_bytes() == b"a better prior"


def test_a_folder_that_is_unsound_gets_no_prior(folder: Path, prior: Path) -> None:
    (folder / "step.onnx").write_bytes(b"another")
    held = sorted(folder.iterdir())
    with pytest.raises(ModelError, match="its content is not"):
        add_prior(folder, prior, weight=0.5, bonus=0.0)
    assert sorted(folder.iterdir()) == held and sorted(folder.parent.iterdir()) == [folder, prior]


def test_a_prior_that_is_damaged_or_not_listed_is_named(folder: Path, prior: Path) -> None:
    add_prior(folder, prior, weight=0.5, bonus=0.0)
    file = folder / "prior.npz"
    file.write_bytes(b"A PRIOR")
    assert refusal(folder).startswith(f"{file}: its content is not")
    files = json.loads((folder / "config.json").read_text())["files"]
    del files[file.name]
    edit_config(folder, files=files)
    assert "'prior.npz'" in refusal(folder)


# Borrowed weights.

SHARED = {"cnn.weight": np.arange(2000, dtype=np.float32), "norm.num_batches_tracked": np.array(7)}
OTHERS = {"out.weight": np.zeros((2, 3), np.float32), **SHARED}


@pytest.fixture
def lender(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model among those that travel with the package."""
    monkeypatch.setattr(bundles, "MODELS", tmp_path / "models")
    return write(tmp_path / "models" / "lender", weights=OTHERS)


def test_what_a_bundled_model_holds_too_is_borrowed_and_not_stored_again(lender: Path, tmp_path: Path) -> None:
    own = WEIGHTS | SHARED
    folder = write(tmp_path / "borrower", weights=own, lenders=("lender",))
    assert (folder / "model.safetensors").stat().st_size < 1000
    opened = Bundle.open(folder)
    # out.weight has one name in both, but other values.
    assert set(opened.config["borrowed"]["lender"]["weights"]) == SHARED.keys()
    weights = opened.weights()
    assert weights.keys() == own.keys()
    for name, array in own.items():
        np.testing.assert_array_equal(weights[name], array)


def test_weights_that_the_lender_no_longer_has_are_an_error(lender: Path, tmp_path: Path) -> None:
    opened = Bundle.open(write(tmp_path / "borrower", weights=WEIGHTS | SHARED, lenders=("lender",)))
    write(lender, weights=OTHERS | {"more": np.ones(3)})
    opened.weights()  # the lender may have more
    write(lender, weights=OTHERS | {"cnn.weight": np.ones(2000, np.float32)})
    with pytest.raises(ModelError, match=r"borrows from 'lender' is other in this showtell; .*\.$"):
        opened.weights()
    write(lender, weights={})
    with pytest.raises(ModelError, match="cannot be read"):
        opened.weights()


@pytest.mark.parametrize("name", ["nobody", "../borrower", "/etc", "", ".", ".."])
def test_only_models_that_came_with_showtell_lend(lender: Path, tmp_path: Path, name: str) -> None:
    folder = write(tmp_path / "borrower", weights=SHARED)
    edit_config(folder, borrowed={name: {"weights": ["cnn.weight"], "sha256": ""}})
    with pytest.raises(ModelError, match="did not come with this showtell"):
        Bundle.open(folder).weights()


@pytest.mark.parametrize("loan", [[], {}, {"weights": "cnn.weight"}, None])
def test_a_loan_that_lists_no_weights_is_named(lender: Path, tmp_path: Path, loan: Any) -> None:
    folder = write(tmp_path / "borrower", weights=SHARED)
    edit_config(folder, borrowed={"lender": loan})
    with pytest.raises(ModelError, match="must list the names of the weights that it borrows from 'lender'"):
        Bundle.open(folder).weights()
