"""The wheel holds all of the package and nothing else, and answers by itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("decoders", "encoders", "pipelines", "scripts")
NOT_COPIED = (".*", "__pycache__", "*.egg-info", "build", "dist", "runs", "uv.lock")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the checkout by the build back end itself, which needs no network."""
    checkout, dist = tmp_path_factory.mktemp("checkout") / "any-name", tmp_path_factory.mktemp("dist")
    shutil.copytree(ROOT, checkout, ignore=shutil.ignore_patterns(*NOT_COPIED))
    (checkout / "runs").mkdir()
    (checkout / "runs" / "checkpoint.py").touch()
    build = f"from setuptools.build_meta import build_wheel; build_wheel({str(dist)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=checkout, check=True, capture_output=True)
    [file] = dist.iterdir()
    return file


def test_the_wheel_holds_just_what_it_should(wheel: Path) -> None:
    expected = {"py.typed", *(file.name for file in ROOT.glob("*.py"))}
    for room in ROOMS:
        expected |= {str(file.relative_to(ROOT)) for file in (ROOT / room).rglob("*.py")}
    for data in ("pipelines/models/*/*", "pipelines/samples/*", "pipelines/report/*.html", "scripts/cards/*.md"):
        found = {str(file.relative_to(ROOT)) for file in ROOT.glob(data)}
        assert found
        expected |= found
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    metadata = {name for name in names if name.startswith("showtell-")}
    assert {name.removeprefix("showtell/") for name in names - metadata} == expected
    assert {name.partition("/")[2] for name in metadata} == {
        "METADATA", "RECORD", "WHEEL", "entry_points.txt", "top_level.txt", "licenses/LICENSE", "licenses/NOTICE",
    }  # fmt: skip


def test_the_unpacked_wheel_answers(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    program = "import showtell; print(showtell.__file__, showtell.pipeline('image-to-text')('cat.jpg'))"
    shutil.copy(ROOT / "tests" / "media" / "cat.jpg", tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith(str(tmp_path / "site" / "showtell"))
    assert "generated_text" in done.stdout
