"""The house keeps its plan: imports go down the floors, in no circle, and answering stays light."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("encoders", "decoders", "pipelines", "scripts")
# From the ground. Neighbours on one floor do not know each other.
FLOORS = (
    {"errors", "memory"},
    {"lazy", "bundle", "projection"},
    {"encoders", "decoders"},
    {"graphs"},
    {"composition"},
    {"pipelines"},
    {"scripts"},
    {"__init__", "__main__"},
)
FLOOR_OF = {part: floor for floor, parts in enumerate(FLOORS) for part in parts}
# Of the decoders, those that run at answering: NumPy.
NUMPY = ("alignment", "beams", "ctc", "lexicon", "linear_chain", "ngram", "prefixes", "search", "tags", "word_prior")
NUMPY_DECODERS = {f"showtell.decoders.{name}" for name in NUMPY}
HEAVY = {
    "accelerate", "datasets", "onnx", "onnx_ir", "onnxscript", "pandas", "scipy", "timm", "torch", "torchaudio",
    "torchvision", "transformers",
}  # fmt: skip


class Import(NamedTuple):
    """What a file imports, and where: at its top, in a function, or only for the type checker."""

    module: str
    where: str


def find_imports(node: ast.AST, where: str = "top") -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        inside = where
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            inside = "function"
        elif isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            inside = "typing"
        elif isinstance(child, ast.Import):
            yield from (Import(alias.name, where) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are absolute"
            modules = {f"{child.module}.{alias.name}" for alias in child.names}
            yield from (Import(module if module in FILES else str(child.module), where) for module in modules)
        yield from find_imports(child, inside)


def name_of(file: Path) -> str:
    """A file's module: `showtell.pipelines.base`; a package's file is the package."""
    parts = ("showtell", *file.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def part_of(module: str) -> str:
    """The room of a module, or its own name if it lies at the root."""
    return module.split(".")[1] if "." in module else "__init__"


FILES = {
    name_of(file): file for file in [*ROOT.glob("*.py"), *(f for room in ROOMS for f in (ROOT / room).rglob("*.py"))]
}
TREES = {module: ast.parse(file.read_text(encoding="utf-8")) for module, file in FILES.items()}
IMPORTS = {module: set(find_imports(tree)) for module, tree in TREES.items()}
ANSWERING = {
    module
    for module in FILES
    if part_of(module) in ("__init__", "__main__", "errors", "memory", "lazy", "bundle", "pipelines")
    or module in ("showtell.encoders", "showtell.decoders", *NUMPY_DECODERS)
}


def is_own(module: str) -> bool:
    return module.split(".")[0] == "showtell"


@pytest.mark.parametrize("module", FILES)
def test_imports_go_down_the_floors(module: str) -> None:
    part = part_of(module)
    for imported in IMPORTS[module]:
        other = part_of(imported.module)
        if is_own(imported.module) and other != part:
            assert FLOOR_OF[other] < FLOOR_OF[part], f"{module} imports {imported.module}"


def test_imports_form_no_circle() -> None:
    graph = {module: {i.module for i in IMPORTS[module] if i.where == "top" and is_own(i.module)} for module in FILES}
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("module", sorted(ANSWERING))
def test_answering_files_load_nothing_heavy(module: str) -> None:
    for imported in IMPORTS[module]:
        if imported.where == "top":
            assert imported.module.split(".")[0] not in HEAVY
            assert not is_own(imported.module) or imported.module in ANSWERING


def test_pipelines_compose_only_inside_functions_and_reach_encoders_through_composition() -> None:
    for module in FILES:
        for imported in IMPORTS[module] if part_of(module) == "pipelines" else ():
            assert part_of(imported.module) != "encoders" or not is_own(imported.module)
            assert imported.module != "showtell.composition" or imported.where != "top"


def test_onnx_runtime_is_imported_in_one_place() -> None:
    # There the variable that stops its reports is set before.
    users = {module for module, found in IMPORTS.items() for i in found if i.module.split(".")[0] == "onnxruntime"}
    assert users == {"showtell.pipelines.runtime"}


def test_no_room_is_imported_by_its_bare_name() -> None:
    own = set(ROOMS) | {"tests"} | {file.stem for file in ROOT.glob("*.py")}
    tests = {str(file): ast.parse(file.read_text(encoding="utf-8")) for file in (ROOT / "tests").rglob("*.py")}
    for where, tree in {**TREES, **tests}.items():
        for imported in find_imports(tree):
            assert imported.module.split(".")[0] not in own - {"__init__", "__main__"}, where


@pytest.mark.parametrize("module", FILES)
def test_a_file_says_what_it_is_and_is_short(module: str) -> None:
    assert ast.get_docstring(TREES[module])
    assert len(FILES[module].read_text(encoding="utf-8").splitlines()) <= 320
