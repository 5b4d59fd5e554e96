"""The two runtimes: a graph is named arrays in, named arrays out, whichever of them is behind it.

ONNX Runtime is the default, torch for who asks for it. Both compute in fp32 from the same weights.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args
from weakref import WeakSet

import numpy as np

from showtell.bundle import Bundle
from showtell.errors import InputError, MissingExtraError, ModelError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from torch import nn

RuntimeName = Literal["onnx", "torch"]
Device = Literal["cpu", "cuda"]

NO_CUDA = (
    'device="cuda": this ONNX Runtime cannot use a CUDA device; pip install onnxruntime-gpu in place of '
    'onnxruntime, or device="cpu", would do.'
)


ON_ONE_CORE: ContextVar[bool] = ContextVar("on_one_core", default=False)


@contextmanager
def on_one_core() -> Iterator[None]:
    """Graphs that are called within, by this thread, compute on one core: other threads have work for the others.

    Two calls on a core each are done sooner than two that share both, and wait for each other at every layer.
    """
    before = ON_ONE_CORE.set(True)
    try:
        yield
    finally:
        ON_ONE_CORE.reset(before)


def cores() -> int:
    """So many cores may this process use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Graph(Protocol):
    """A model's part that pipelines call, such as `encode` or `step`.

    inputs, outputs: names, in order. Floating arrays are float32. A graph may be called from several threads.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def __call__(self, **arrays: np.ndarray) -> dict[str, np.ndarray]:
        """Compute the outputs of one batch."""
        ...


@dataclass(frozen=True)
class Runtime:
    """What a pipeline's graphs run on.

    name: "onnx" or "torch". device: "cpu" or "cuda".
    threads: so many work on one call; None is one for each physical core (torch: what torch is set to).

    Raises `InputError` for what it cannot be.
    """

    name: RuntimeName = "onnx"
    device: Device = "cpu"
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.name not in get_args(RuntimeName):
            raise InputError(f'runtime={self.name!r}: "onnx" or "torch" would do.')
        if self.device not in get_args(Device):
            raise InputError(f'device={self.device!r}: "cpu" or "cuda" would do.')
        if self.threads is not None and (not isinstance(self.threads, int) or self.threads < 1):
            raise InputError(f"threads={self.threads!r}: a whole number from 1 up, or None, would do.")

    def open(self, bundle: Bundle) -> Mapping[str, Graph]:
        """Open all graphs of a model, by their names."""
        return self.open_torch(bundle) if self.name == "torch" else self.open_onnx(bundle)

    def open_onnx(self, bundle: Bundle) -> dict[str, OnnxGraph]:
        """Open the exported graphs, each with the weights that `config.json` lists for it."""
        weights = bundle.weights()
        graphs = {}
        for name, graph in bundle.config["graphs"].items():
            file = bundle.graph_file(name)
            if absent := [weight for weight in graph["weights"] if weight not in weights]:
                raise ModelError(f"{file}: it needs the weight {absent[0]!r}, which the model does not hold.")
            own = {weight: weights[weight] for weight in graph["weights"]}
            graphs[name] = OnnxGraph(file, own, device=self.device, threads=self.threads)
        return graphs

    def open_torch(self, bundle: Bundle) -> dict[str, TorchGraph]:
        """Build the model again and take the modules that its graphs were exported from."""
        try:
            import torch

            from showtell.composition import load
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                f'runtime="torch" needs {error.name}, which is not installed: pip install "showtell[torch]".'
            ) from error
        modules = load(bundle.folder).graphs()
        signatures = {}
        with torch.inference_mode():
            for name, module in modules.items():
                example, _ = module.example()
                signatures[name] = tuple(example), tuple(module(**example))
        return {
            name: TorchGraph(module, *signatures[name], device=self.device, threads=self.threads)
            for name, module in modules.items()
        }


class OnnxGraph:
    """A graph in ONNX Runtime. It also answers in a process forked from the one that opened it (on a CPU)."""

    def __init__(
        self,
        file: Path,
        weights: Mapping[str, np.ndarray],
        *,
        device: Device = "cpu",
        threads: int | None = None,
    ):
        """Open a graph that was saved without its weights.

        weights: the graph's external initialisers, all of them and no others, by name.

        Raises `ModelError` if ONNX Runtime refuses the graph, `InputError` if it has no such device.
        """
        self.file, self.weights, self.device, self.threads = file, weights, device, threads or 0
        self.code = file.read_bytes()
        self.opening = Lock()
        # By their threads; 0 is one for each physical core.
        self.sessions: dict[int, InferenceSession] = {self.threads: (session := self.open(self.threads))}
        self.inputs = tuple(value.name for value in session.get_inputs())
        self.outputs = tuple(value.name for value in session.get_outputs())
        OPENED.add(self)

    def __call__(self, **arrays: np.ndarray) -> dict[str, np.ndarray]:
        """Compute the outputs of one batch."""
        threads = 1 if ON_ONE_CORE.get() and self.device == "cpu" else self.threads
        with self.opening:
            if threads not in self.sessions:  # or this process was forked from the one that opened it
                self.sessions[threads] = self.open(threads)
        results: Any = self.sessions[threads].run(None, arrays)
        return dict(zip(self.outputs, results, strict=True))

    def open(self, threads: int) -> InferenceSession:
        """Start a session in this process."""
        # The library (1.32) reports its use to its maker unless told not to, in a thread of its own.
        # No pipeline talks to the network, and a forked process would hang on that thread at its exit.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime as ort

        provider = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}[self.device]
        if provider not in ort.get_available_providers():
            raise InputError(NO_CUDA)
        options = ort.SessionOptions()
        options.log_severity_level = 4  # what goes wrong is raised; it need not be printed too
        options.intra_op_num_threads = threads
        # A thread that spins while it waits takes the core from the next graph, and from every other process.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        values = [ort.OrtValue.ortvalue_from_numpy(array) for array in self.weights.values()]
        options.add_external_initializers(list(self.weights), values)
        # TF32 would round the factors of every product to ten bits.
        settings: dict[str, Any] = {"use_tf32": "0"} if self.device == "cuda" else {}
        try:
            session = ort.InferenceSession(self.code, options, providers=[(provider, settings)])
        except Exception as error:  # the library's exceptions share no narrower type
            reason = str(error).partition("\n")[0]
            raise ModelError(f"{self.file}: ONNX Runtime cannot open this graph ({reason}).") from error
        if provider not in session.get_providers():
            raise InputError(NO_CUDA)
        return session


OPENED: WeakSet[OnnxGraph] = WeakSet()


def leave_sessions_to_the_parent() -> None:
    """In a forked process, let go of every session: its threads are the parent's.

    Its destructor would wait for those threads for ever, so a reference is leaked and it never runs.
    """
    for graph in OPENED:
        for session in graph.sessions.values():
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(session))
        graph.sessions, graph.opening = {}, Lock()


if hasattr(os, "register_at_fork"):  # Windows does not fork
    os.register_at_fork(after_in_child=leave_sessions_to_the_parent)


class TorchGraph:
    """A graph that is a torch module. On a CPU it also answers in a forked process, there with one thread."""

    def __init__(
        self,
        module: nn.Module,
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
        *,
        device: Device = "cpu",
        threads: int | None = None,
    ):
        """Move a module to a device, for good, and put it into evaluation mode.

        module: takes `inputs` by keyword and returns a dict of at least `outputs`.
        threads: sets torch's number of threads, which the whole process shares: the latest number holds.

        Raises `InputError` if torch has no such device.
        """
        import torch

        if device == "cuda":
            if not torch.cuda.is_available():
                raise InputError('device="cuda": torch sees no CUDA device; device="cpu" would do.')
            # TF32 would round the factors of a convolution to ten bits. Like threads, it is the process's.
            torch.backends.cudnn.allow_tf32 = False
        if threads is not None:
            torch.set_num_threads(threads)
        self.module = module.to(device=device, dtype=torch.float32).eval()
        self.inputs, self.outputs, self.device = inputs, outputs, device
        self.process = os.getpid()

    def __call__(self, **arrays: np.ndarray) -> dict[str, np.ndarray]:
        """Compute the outputs of one batch."""
        import torch

        if self.process != os.getpid():
            # torch's threads are the parent's, and a forked process that counts on them waits for ever.
            torch.set_num_threads(1)
            self.process = os.getpid()
        with torch.inference_mode():
            # Copied: a read-only or reversed array will do, and no answer shares memory with an input.
            tensors = {name: torch.from_numpy(array.copy()).to(self.device) for name, array in arrays.items()}
            results = self.module(**tensors)
            return {name: results[name].numpy(force=True) for name in self.outputs}
