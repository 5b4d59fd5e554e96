"""A pipeline in new, forked and spawned processes, and over thousands of calls."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from showtell.pipelines.image_to_text import ImageToText

CAT = Path(__file__).parents[1] / "media" / "cat.jpg"

COLD_START = """
import sys
from showtell import pipeline
[answer] = pipeline("image-to-text")(sys.argv[1])
assert answer["generated_text"]
heavy = {"torch", "torchvision", "torchaudio", "timm", "transformers", "pandas", "scipy", "onnx", "datasets", "rich"}
print(heavy & set(sys.modules))
"""

FORK = """
import os, sys
from showtell import pipeline
caption = pipeline("image-to-text")
wanted = caption(sys.argv[1])
child = os.fork()
if child == 0:
    assert caption(sys.argv[1]) == wanted
    assert list(caption(iter(sys.argv[1:]))) == [wanted]
    sys.exit(0)
assert caption(sys.argv[1]) == wanted
sys.exit(os.waitpid(child, 0)[1])
"""

SPAWN = """
import multiprocessing, pickle, sys
from showtell import pipeline
if __name__ == "__main__":
    caption = pipeline("image-to-text", threads=1)
    assert pickle.loads(pickle.dumps(caption))(sys.argv[1]) == caption(sys.argv[1])
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(caption, [sys.argv[1]]) == [caption(sys.argv[1])]
"""

MANY_CALLS = """
import resource, sys
import numpy as np
from showtell import pipeline
caption = pipeline("image-to-text", sys.argv[1], threads=1)
photograph = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
peaks = []
for calls in (1_000, 9_000):
    for _ in range(calls):
        caption(photograph, num_beams=1, max_length=1)
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print((peaks[1] - peaks[0]) * (1 if sys.platform == "darwin" else 1024) / 1e6)
"""


def run(program: str, *arguments: str) -> str:
    """What a fresh process prints. It must say nothing on standard error."""
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_a_fresh_process_answers_without_torch() -> None:
    assert run(COLD_START, str(CAT)) == "set()"


def test_a_forked_process_captions_and_exits() -> None:
    assert run(FORK, str(CAT)) == ""


def test_a_pipeline_pickles_also_to_a_spawned_process(tmp_path: Path) -> None:
    program = tmp_path / "spawn.py"
    program.write_text(SPAWN)
    subprocess.run([sys.executable, str(program), str(CAT)], check=True, timeout=120)


def test_ten_thousand_calls_leave_memory_where_a_thousand_left_it(tiny: Path) -> None:
    assert float(run(MANY_CALLS, str(tiny))) < 25


def test_nothing_is_printed(caption: ImageToText, capfd: pytest.CaptureFixture[str]) -> None:
    caption([CAT, "missing.jpg"], on_error="return")
    assert capfd.readouterr() == ("", "")
