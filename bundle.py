"""A saved model is a folder: `config.json`, `model.safetensors`, `*.onnx`, `tokenizer.json` and `README.md`.

The weights are stored once, as fp16. The `*.onnx` graphs are code without weights. `config.json` names the
format's version, the task, the graphs, and the other files' sizes and digests: a damaged model fails at once.
A recogniser of speech may have `prior.npz` beside them, a prior of words; `add_prior` gives it one.
A model may borrow weights from a bundled one that holds the same, such as those of a CNN that neither has trained.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from showtell.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FORMAT_VERSION = 1

# Where the models lie that travel with the package.
MODELS = Path(__file__).parent / "pipelines" / "models"

CONFIG, WEIGHTS, TOKENIZER, CARD = "config.json", "model.safetensors", "tokenizer.json", "README.md"
PRIOR = "prior.npz"
REQUIRED = {"format_version": int, "task": str, "graphs": dict, "files": dict}


@dataclass(frozen=True)
class Bundle:
    """A saved model on this machine, checked. Make one with `Bundle.open`.

    config: what `config.json` holds: `format_version`, `task`, `graphs` as `{name: {"weights": [names]}}`,
        `files` as `{name: {"size": bytes, "sha256": hex}}`, `borrowed` as `{bundled model: {"weights": [names],
        "sha256": hex}}`, `prior` as what `add_prior` takes, and what the model's own parts need.
    """

    folder: Path
    config: dict[str, Any]

    @classmethod
    def open(cls, folder: str | Path, *, task: str | None = None) -> Bundle:
        """Open a folder and check all of it; with `task`, also that the model is for that task.

        Raises `ModelError`, which names the folder or the file that is wrong.
        """
        folder = Path(folder)
        config = read_config(folder)
        if task not in (None, config["task"]):
            raise ModelError(f"{folder}: this model is for {config['task']!r}; one for {task!r} would be accepted.")
        for name, graph in config["graphs"].items():
            if not isinstance(graph, dict) or not isinstance(graph.get("weights"), list):
                raise ModelError(f"{folder / CONFIG}: the graph {name!r} must list its weights' names.")
        prior = [PRIOR] if "prior" in config else []
        for name in (WEIGHTS, *(f"{graph}.onnx" for graph in config["graphs"]), *prior):
            if name not in config["files"]:
                raise ModelError(f"{folder / CONFIG}: it must give the size and sha256 of {name!r} under 'files'.")
        for name, expected in config["files"].items():
            check_file(folder, name, expected)
        return cls(folder, config)

    def weights(self) -> dict[str, np.ndarray]:
        """Read every tensor by its name, borrowed ones too: floating ones as float32, others as they are."""
        tensors = read_tensors(self.folder / WEIGHTS)
        for lender, loan in self.config.get("borrowed", {}).items():
            tensors |= borrow(self.folder / CONFIG, lender, loan)
        return {
            name: tensor.astype(np.float32) if tensor.dtype.kind == "f" else tensor for name, tensor in tensors.items()
        }

    def tokenizer(self) -> Tokenizer:
        """Read the tokenizer. Raises `ModelError` if the model has none that can be read."""
        from tokenizers import Tokenizer

        file = self.folder / TOKENIZER
        if TOKENIZER not in self.config["files"]:
            raise ModelError(f"{file}: this model was saved without a tokenizer, and its task needs one.")
        try:
            return Tokenizer.from_file(str(file))
        except Exception as error:  # the library raises no narrower type
            raise ModelError(f"{file}: the tokenizer cannot be read ({error}).") from error

    def graph_file(self, name: str) -> Path:
        """The ONNX file of one of `config["graphs"]`."""
        if name not in self.config["graphs"]:
            raise ModelError(f"{self.folder}: there is no graph {name!r}; it has {', '.join(self.config['graphs'])}.")
        return self.folder / f"{name}.onnx"


def read_config(folder: Path) -> dict[str, Any]:
    """Read `config.json` and check that this version of showtell understands it."""
    file = folder / CONFIG
    if not folder.is_dir():
        what = "it is a file" if folder.exists() else "there is no such folder"
        raise ModelError(f"{folder}: {what}; a saved model's folder would be accepted.")
    if not file.is_file():
        raise ModelError(f"{folder}: there is no {CONFIG} in it; a folder that showtell saved would be accepted.")
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{file}: it cannot be read as JSON ({error}).") from error
    if not isinstance(config, dict) or not isinstance(version := config.get("format_version"), int):
        raise ModelError(f"{file}: it must be a JSON object with a whole number as 'format_version'.")
    if version > FORMAT_VERSION:
        raise ModelError(
            f"{folder}: this model's format is version {version}, and this showtell reads versions up to "
            f"{FORMAT_VERSION}; upgrade showtell to open it."
        )
    for key, kind in REQUIRED.items():
        if not isinstance(config.get(key), kind):
            raise ModelError(f"{file}: {key!r} must be there, as a JSON {'string' if kind is str else 'object'}.")
    return config


def check_file(folder: Path, name: str, expected: Any) -> None:
    """Check that a file lies in the folder, with the size and the digest that `config.json` gives."""
    file = folder / name
    if name in ("", ".", "..") or "/" in name or "\\" in name:
        raise ModelError(f"{folder / CONFIG}: {name!r} under 'files' must be a plain file name.")
    if not isinstance(expected, dict) or not expected.keys() >= {"size", "sha256"}:
        raise ModelError(f"{folder / CONFIG}: it must give the size and sha256 of {name!r} under 'files'.")
    if not file.is_file():
        raise ModelError(f"{file}: this file of the model is missing; save or fetch the model again.")
    if (size := file.stat().st_size) != expected["size"]:
        raise ModelError(f"{file}: it has {size} bytes where {CONFIG} says {expected['size']}; fetch it again.")
    if digest(file) != expected["sha256"]:
        raise ModelError(f"{file}: its content is not what {CONFIG} says (sha256); save or fetch the model again.")


def read_tensors(file: Path, names: Iterable[str] | None = None) -> dict[str, np.ndarray]:
    """The tensors of a safetensors file, as they are stored: those of some names, or all."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy") as tensors:
            return {name: tensors.get_tensor(name) for name in (tensors.keys() if names is None else names)}
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{file}: the weights cannot be read ({error}).") from error


def borrow(config: Path, lender: str, loan: Any) -> dict[str, np.ndarray]:
    """The weights that a model has from a bundled one: `loan` has their names and their digest.

    Raises `ModelError` where there is no such lender, or where it has other weights.
    """
    if lender not in {folder.name for folder in MODELS.iterdir()}:
        raise ModelError(f"{config}: it borrows weights from {lender!r}, which did not come with this showtell.")
    if not isinstance(loan, dict) or not isinstance(loan.get("weights"), list):
        raise ModelError(f"{config}: it must list the names of the weights that it borrows from {lender!r}.")
    tensors = read_tensors(MODELS / lender / WEIGHTS, loan["weights"])
    if digest_tensors(tensors) != loan.get("sha256"):
        raise ModelError(
            f"{config}: what it borrows from {lender!r} is other in this showtell; update the model or showtell."
        )
    return tensors


def digest_tensors(tensors: Mapping[str, np.ndarray]) -> str:
    """The sha256 of tensors, by their names' order, as hexadecimal digits."""
    together = hashlib.sha256()
    for name in sorted(tensors):
        together.update(f"{name} {tensors[name].dtype} {tensors[name].shape}".encode())
        together.update(tensors[name].tobytes())
    return together.hexdigest()


def digest(file: Path) -> str:
    """The sha256 of a file, as hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_bundle(
    folder: str | Path,
    *,
    config: Mapping[str, Any],
    weights: Mapping[str, np.ndarray],
    graphs: Mapping[str, bytes],
    tokenizer: str | None,
    card: str,
    lenders: Iterable[str] = (),
) -> None:
    """Write a bundle, in place of one that may be there already.

    The files are written beside `folder` and moved there when all are complete; until then the old ones stay.

    config: `task`, `graphs` and what the model's parts need; `format_version` and `files` are added.
    weights: by name; floating ones are stored as fp16. graphs: ONNX without weights. tokenizer: as JSON.
    card: the README in Markdown. lenders: bundled models; a weight that one of them holds under the same name is
        borrowed from it and not stored again.

    Raises `ModelError` for a weight that fp16 cannot hold, or if `folder` holds anything but a bundle.
    """
    from safetensors.numpy import save as serialize

    folder = Path(folder).resolve()
    refuse_to_overwrite(folder)
    halves = {name: to_fp16(name, array) for name, array in weights.items()}
    borrowed = {}
    for lender in lenders:
        theirs = read_tensors(MODELS / lender / WEIGHTS)
        common = {n: half for n, half in halves.items() if n in theirs and np.array_equal(half, theirs[n])}
        borrowed[lender] = {"weights": list(common), "sha256": digest_tensors(common)}
        halves = {name: half for name, half in halves.items() if name not in common}
    with replacing(folder) as new:
        (new / WEIGHTS).write_bytes(serialize(halves))
        for name, graph in graphs.items():
            (new / f"{name}.onnx").write_bytes(graph)
        if tokenizer is not None:
            (new / TOKENIZER).write_text(tokenizer, encoding="utf-8")
        version = {"format_version": FORMAT_VERSION}
        write_config(new, {**version, **config, **({"borrowed": borrowed} if borrowed else {})})
        (new / CARD).write_text(card, encoding="utf-8")


def add_prior(
    folder: str | Path,
    prior: str | Path,
    *,
    weight: float,
    bonus: float,
    token_weight: float = 0.0,
    token_prior: Sequence[float] = (),
) -> None:
    """Give a saved recogniser of speech a prior of words, in place of one that it may have.

    prior: a file that `WordPrior.save` wrote. weight, bonus: as in `WordPrior`.
    token_prior: how probable the network thinks each token that the prior is of, in the mean over sound. Where words
        are weighed by a prior of their own, what it hears is divided by that, to the power of `token_weight` (Bourlard
        and Morgan 1994).

    Raises `ModelError` if `folder` is no sound bundle; then it stays as it is.
    """
    bundle = Bundle.open(Path(folder).resolve())
    with replacing(bundle.folder) as new:
        for file in bundle.folder.iterdir():
            if file.name in {CARD, *bundle.config["files"]}:
                shutil.copyfile(file, new / file.name)
        shutil.copyfile(prior, new / PRIOR)
        weighed = {"weight": weight, "bonus": bonus, "token_weight": token_weight, "token_prior": [*token_prior]}
        write_config(new, bundle.config | {"prior": weighed})


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Give an empty folder to fill, which takes the place of `folder` in the end, unless an error comes first."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        new, old = Path(scratch, "new"), Path(scratch, "old")
        new.mkdir()
        yield new
        if folder.exists():
            folder.rename(old)
        new.rename(folder)


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Write `config.json`, with the size and the digest of every file that `folder` holds but for the card."""
    held = (file for file in sorted(folder.iterdir()) if file.name != CARD)
    files = {file.name: {"size": file.stat().st_size, "sha256": digest(file)} for file in held}
    text = json.dumps({**config, "files": files}, indent=2, ensure_ascii=False) + "\n"
    (folder / CONFIG).write_text(text, encoding="utf-8")


def refuse_to_overwrite(folder: Path) -> None:
    """Raise `ModelError` unless `folder` is absent, empty, or a bundle."""
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists():
        try:
            read_config(folder)
        except ModelError as error:
            raise ModelError(
                f"{folder}: this is no saved model and is not overwritten; a new or an empty folder would do."
            ) from error


def to_fp16(name: str, array: np.ndarray) -> np.ndarray:
    """A weight as it is stored: fp16 if it is floating, and in C order."""
    if array.dtype.kind != "f":
        return np.asarray(array, order="C")
    with np.errstate(over="ignore"):
        half = array.astype(np.float16, order="C")
    if not np.isfinite(half).all():
        raise ModelError(f"the weight {name!r} has values that fp16 cannot hold; finite ones up to 65504 would do.")
    return half


def fetch_from_hub(repo_id: str, revision: str | None) -> Path:
    """Fetch a bundle from the Hugging Face Hub, or find it in the Hub's cache, and return its folder.

    revision: a branch, a tag or a commit; None is the main branch. Raises `ModelError` if it cannot be had.
    """
    import huggingface_hub

    files = [CONFIG, WEIGHTS, "*.onnx", TOKENIZER, PRIOR, CARD]
    try:
        return Path(huggingface_hub.snapshot_download(repo_id, revision=revision, allow_patterns=files))
    except Exception as error:  # the client's own, its HTTP library's and the file system's errors
        at = f" at revision {revision!r}" if revision else ""
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ModelError(f"{repo_id}: it cannot be fetched from the Hugging Face Hub{at} ({reason}).") from error
