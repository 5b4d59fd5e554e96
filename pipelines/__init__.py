"""Raw input to answer. `pipeline` opens a task's model; the table below is all the registry there is."""

from __future__ import annotations

import importlib
import re
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

from showtell.bundle import MODELS, Bundle, fetch_from_hub
from showtell.errors import InputError, ModelError
from showtell.pipelines.runtime import Runtime

if TYPE_CHECKING:
    from showtell.pipelines.audio_classification import AudioClassification
    from showtell.pipelines.automatic_speech_recognition import AutomaticSpeechRecognition
    from showtell.pipelines.base import Pipeline
    from showtell.pipelines.image_to_text import ImageToText
    from showtell.pipelines.text_classification import TextClassification
    from showtell.pipelines.token_classification import TokenClassification
    from showtell.pipelines.video_classification import VideoClassification

HUB_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")


class Task(NamedTuple):
    """Where a task's pipeline is defined, and the bundled model that it opens unless told otherwise.

    reads_text: an input is a text itself, and on the command line no file's name.
    """

    module: str
    pipeline: str
    default_model: str
    reads_text: bool = False


TASKS = {
    "audio-classification": Task("showtell.pipelines.audio_classification", "AudioClassification", "spoken-digits"),
    "automatic-speech-recognition": Task(
        "showtell.pipelines.automatic_speech_recognition", "AutomaticSpeechRecognition", "english-speech"
    ),
    "image-to-text": Task("showtell.pipelines.image_to_text", "ImageToText", "flickr8k-captions"),
    "text-classification": Task(
        "showtell.pipelines.text_classification", "TextClassification", "sentiment", reads_text=True
    ),
    "token-classification": Task(
        "showtell.pipelines.token_classification", "TokenClassification", "named-entities", reads_text=True
    ),
    "video-classification": Task("showtell.pipelines.video_classification", "VideoClassification", "human-actions"),
}
ALIASES: dict[str, str] = {
    "asr": "automatic-speech-recognition",
    "ner": "token-classification",
    "sentiment-analysis": "text-classification",
}


@overload
def pipeline(
    task: Literal["audio-classification"],
    model: str | PathLike[str] | None = None,
    *,
    revision: str | None = None,
    runtime: Literal["onnx", "torch"] = "onnx",
    device: Literal["cpu", "cuda"] = "cpu",
    threads: int | None = None,
) -> AudioClassification: ...
@overload
def pipeline(
    task: Literal["automatic-speech-recognition", "asr"],
    model: str | PathLike[str] | None = None,
    *,
    revision: str | None = None,
    runtime: Literal["onnx", "torch"] = "onnx",
    device: Literal["cpu", "cuda"] = "cpu",
    threads: int | None = None,
) -> AutomaticSpeechRecognition: ...
@overload
def pipeline(
    task: Literal["image-to-text"],
    model: str | PathLike[str] | None = None,
    *,
    revision: str | None = None,
    runtime: Literal["onnx", "torch"] = "onnx",
    device: Literal["cpu", "cuda"] = "cpu",
    threads: int | None = None,
) -> ImageToText: ...
@overload
def pipeline(
    task: Literal["text-classification", "sentiment-analysis"],
    model: str | PathLike[str] | None = None,
    *,
    revision: str | None = None,
    runtime: Literal["onnx", "torch"] = "onnx",
    device: Literal["cpu", "cuda"] = "cpu",
    threads: int | None = None,
) -> TextClassification: ...
@overload
def pipeline(
    task: Literal["token-classification", "ner"],
    model: str | PathLike[str] | None = None,
    *,
    revision: str | None = None,
    runtime: Literal["onnx", "torch"] = "onnx",
    device: Literal["cpu", "cuda"] = "cpu",
    threads: int | None = None,
) -> TokenClassification: ...
@overload
def pipeline(
    task: Literal["video-classification"],
    model: str | PathLike[str] | None = None,
    *,
    revision: str | None = None,
    runtime: Literal["onnx", "torch"] = "onnx",
    device: Literal["cpu", "cuda"] = "cpu",
    threads: int | None = None,
) -> VideoClassification: ...
@overload
def pipeline(
    task: str,
    model: str | PathLike[str] | None = None,
    *,
    revision: str | None = None,
    runtime: Literal["onnx", "torch"] = "onnx",
    device: Literal["cpu", "cuda"] = "cpu",
    threads: int | None = None,
) -> Pipeline[Any, Any]: ...
def pipeline(
    task: str,
    model: str | PathLike[str] | None = None,
    *,
    revision: str | None = None,
    runtime: Literal["onnx", "torch"] = "onnx",
    device: Literal["cpu", "cuda"] = "cpu",
    threads: int | None = None,
) -> Pipeline[Any, Any]:
    """Open a task's pipeline.

    task: one of `TASKS`, or an alias.
    model: a bundled model's name, a bundle's folder, or "owner/name" on the Hugging Face Hub (`revision`: which
        commit, tag or branch of it); None is the task's own bundled model. Only a Hub name ever fetches anything.
    runtime: "onnx", or "torch" (`pip install "showtell[torch]"`). device: "cpu" or "cuda".
    threads: that one run of the model may use; None is one for each core.

    Raises `InputError` for an unknown task or option, `ModelError` for a model that cannot be opened.
    """
    name = ALIASES.get(task, task) if isinstance(task, str) else ""
    if name not in TASKS:
        raise InputError(f"task {task!r} is not known; one of {', '.join([*TASKS, *ALIASES])} would do.")
    run_on = Runtime(runtime, device, threads)
    folder = find_model(TASKS[name].default_model if model is None else model, revision)
    return pipeline_class(name)(Bundle.open(folder, task=name), run_on)


def pipeline_class(task: str) -> type[Pipeline[Any, Any]]:
    """The class that answers a task, imported when it is asked for."""
    return getattr(importlib.import_module(TASKS[task].module), TASKS[task].pipeline)


def find_model(model: str | PathLike[str], revision: str | None = None) -> Path:
    """The folder of a model: one that is bundled, one on this machine, or one fetched from the Hub."""
    if not isinstance(model, (str, PathLike)):
        raise InputError(f"model={model!r}: a model's name or folder would do.")
    folder = MODELS / model if str(model) in bundled_models() else Path(model)
    if folder.exists():
        if revision is not None:
            raise InputError(f"revision={revision!r}: {model} is on this machine, where only None would do.")
        return folder
    if isinstance(model, str) and HUB_NAME.fullmatch(model):
        return fetch_from_hub(model, revision)
    raise ModelError(
        f"{model}: there is no such model or folder; {', '.join(bundled_models())}, a saved model's folder, or "
        '"owner/name" on the Hugging Face Hub would do.'
    )


def bundled_models() -> list[str]:
    """The names of the models that travel with the package."""
    return sorted(path.parent.name for path in MODELS.glob("*/config.json"))
