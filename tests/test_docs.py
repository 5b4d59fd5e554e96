"""What the pages say is tried: their Python runs, their commands work, and what they point at is there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib.metadata import metadata
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import showtell
from showtell.scripts.datasets.captions import read_captions

ROOT = Path(showtell.__file__).parent
PAGES = ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/benchmarks.md", "docs/scaling.md"]
PAGES += [str(card.relative_to(ROOT)) for card in sorted(ROOT.glob("pipelines/models/*/README.md"))]

FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)]+)\)")
FILE = re.compile(r"`([\w./-]+\.(?:py|md|svg|toml))`")
EXTRA = re.compile(r"\.\[(\w+)\]")


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a language, each after as many newlines as stand before it in its page."""
    found = FENCED.finditer(text(page))
    return ["\n" * match.string.count("\n", 0, match.start(2)) + match[2] for match in found if match[1] == language]


def commands() -> list[str]:
    lines = [line for page in PAGES for block in blocks(page, "sh") for line in block.splitlines()]
    return list(dict.fromkeys(command for line in lines for command in line.split(" && ") if command))


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the pages speak of, to work in; `showtell` is on the path."""
    cat = ROOT / "tests" / "media" / "cat.jpg"
    (tmp_path / "photos").mkdir()
    for name in ("dog.jpg", "photo.jpg", "a.jpg", "b.jpg", "photos/1.jpg", "photos/2.jpg"):
        shutil.copy(cat, tmp_path / name)
    shutil.copy(ROOT / "tests" / "media" / "carry.opus", tmp_path / "digit.opus")
    shutil.copy(ROOT / "pipelines" / "samples" / "listener.opus", tmp_path / "talk.mp3")
    for name in ("clip.mp4", "recording.mp4"):
        shutil.copy(ROOT / "pipelines" / "samples" / "surfer.mp4", tmp_path / name)
    (tmp_path / "reviews.txt").write_text("Slow, but worth it.\nDreadful.\n", encoding="utf-8")
    (tmp_path / "broken.jpg").write_bytes(cat.read_bytes()[:2000])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    return tmp_path


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")])
def test_the_python_of_a_page_runs(page: str, workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    for block in blocks(page, "python"):
        exec(compile(block, page, "exec"), names)
    if page == "README.md":
        assert "broken.jpg: the image is damaged" in capsys.readouterr().out


@pytest.mark.parametrize("command", commands())
def test_a_command_of_a_page_works(command: str, workplace: Path) -> None:
    """Short ones are run; of the others is checked that what they call is there and knows their options."""
    match shlex.split(command):
        case ["showtell", *_]:
            subprocess.run(["bash", "-euc", command], check=True, stdout=subprocess.DEVNULL)
        case ["python", *script]:
            subprocess.run([sys.executable, *script, "--help"], check=True, stdout=subprocess.DEVNULL)
        case ["uv", "run", *options]:
            program = next(option for option in options if not option.startswith("-"))
            assert shutil.which(program), f"no program {program}"
        case ["pip", "install", what] if extra := EXTRA.fullmatch(what):
            assert extra[1] in metadata("showtell").get_all("Provides-Extra", [])
        case ["pip", "install", "uv"]:
            pass
        case [program]:
            assert os.access(ROOT / program, os.X_OK), f"{program} cannot be run"
        case other:
            pytest.fail(f"no check for {other}")


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_points_at_is_there(page: str) -> None:
    links = [link for link in LINK.findall(text(page)) if not link.startswith("http")]
    places = [(ROOT / page).parent / link for link in links] + [ROOT / name for name in FILE.findall(text(page))]
    assert [str(place) for place in places if not place.exists()] == []


def test_the_training_data_that_readme_shows_is_read(workplace: Path) -> None:
    (example,) = blocks("README.md", "json")
    (workplace / "metadata.jsonl").write_text(example.strip(), encoding="utf-8")
    (photograph,) = read_captions(workplace)
    assert len(photograph.captions) == 2


@pytest.mark.parametrize("drawing", sorted(ROOT.glob("docs/*.svg")), ids=lambda path: path.name)
def test_a_drawing_needs_no_other_file(drawing: Path) -> None:
    attributes = [attribute for element in ElementTree.parse(drawing).iter() for attribute in element.attrib]
    assert not [attribute for attribute in attributes if attribute.endswith(("href", "src"))]
