"""Packages hand on names that are imported when they are first used, and say what is missing."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

PACKAGES = ("showtell", "showtell.encoders", "showtell.decoders")

# Hides torch as if it were not installed, then tries the statement that follows.
WITHOUT_TORCH = """
import sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision", "timm", "transformers"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hide())
from showtell.errors import MissingExtraError
try:
    STATEMENT
except MissingExtraError as error:
    print(error)
"""


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_can_be_had(package: str) -> None:
    module = importlib.import_module(package)
    for name in module.__all__:
        assert getattr(module, name) is not None
    assert dir(module) == sorted(module.__all__)


@pytest.mark.parametrize("package", PACKAGES)
def test_an_unknown_name_is_an_attribute_error(package: str) -> None:
    module = importlib.import_module(package)
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nothing'"):
        _ = module.nothing


@pytest.mark.parametrize(
    ("package", "name"),
    [("showtell", "compose"), ("showtell.encoders", "ImageEncoder"), ("showtell.decoders", "AttentionDecoder")],
)
def test_without_torch_the_error_names_the_extra(package: str, name: str) -> None:
    said = run(WITHOUT_TORCH.replace("STATEMENT", f"from {package} import {name}"))
    assert said == f'{package}.{name} needs torch, which is not installed: pip install "showtell[torch]".'


def test_searching_needs_no_torch() -> None:
    assert run(WITHOUT_TORCH.replace("STATEMENT", "from showtell.decoders import beam_search, search")) == ""
    assert run("import sys; import showtell.decoders.search; print('torch' in sys.modules)") == "False"


def test_importing_showtell_loads_neither_numpy_nor_onnx_runtime() -> None:
    assert run("import sys, showtell; print({'numpy', 'onnxruntime', 'PIL', 'typer'} & set(sys.modules))") == "set()"


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return done.stdout.strip()
