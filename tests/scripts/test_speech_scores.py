"""Error rates are those that one counts by hand, whoever writes the words in whichever way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from showtell import InputError, pipeline
from showtell.scripts import evaluate
from showtell.scripts.datasets.speech import Utterance
from showtell.scripts.speech_scores import score_transcripts

RATE = 16_000
# What was said, by whom, and what is written down: one word of four wrong, two left out, one put in.
RECORDINGS = {
    "a.wav": ("a dog runs fast", "ann", "a dog rung fast"),
    "b.wav": ("it is late", "ann", "it"),
    "c.wav": ("good night", "bob", "good good night"),
}
words = st.lists(st.sampled_from(["a", "dog", "it's", "late"]), max_size=5)


def said_by(*texts: str) -> list[Utterance]:
    return [Utterance(Path("any.wav"), text) for text in texts]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three recordings of a second each."""
    folder = tmp_path_factory.mktemp("speech")
    lines = []
    for name, (text, speaker, _) in RECORDINGS.items():
        soundfile.write(folder / name, np.random.default_rng(0).normal(scale=0.1, size=RATE), RATE)
        lines.append(json.dumps({"file_name": name, "text": text, "speaker": speaker}))
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    return folder


def figures(*arguments: object) -> dict[str, Any]:
    command = ["automatic-speech-recognition", *map(str, arguments)]
    return json.loads(CliRunner().invoke(evaluate.app, command, catch_exceptions=False).stdout)


class Writer:
    """Writes what is told above."""

    def __call__(self, files: list[Path], *, language_model: bool, progress: bool) -> list[dict[str, Any]]:
        return [{"text": RECORDINGS[file.name][2].upper() + "!", "score": 1.0} for file in files]


def test_errors_are_counted_by_kind_and_by_speaker(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "pipeline", lambda task, model: Writer())
    found = figures(folder)
    assert (found["substitutions"], found["deletions"], found["insertions"], found["words"]) == (1, 2, 1, 9)
    assert found["wer"] == pytest.approx(4 / 9, abs=1e-4)
    # One letter is another, eight are missing of "it is late", five are too many; of 35.
    assert found["cer"] == pytest.approx(14 / 35, abs=1e-4)
    assert found["speakers"] == 2
    assert found["mean_speaker_wer"] == pytest.approx((3 / 7 + 1 / 2) / 2, abs=1e-4)
    assert (found["recordings"], found["seconds"]) == (3, 3)
    assert found["seconds_per_second"] == pytest.approx(found["recordings_per_second"], rel=1e-3)


def test_the_figures_are_those_of_the_pipelines_transcripts(folder: Path, tiny_recogniser: Path) -> None:
    found = figures(folder, "--model", tiny_recogniser, "--limit", 2)
    answers = pipeline("automatic-speech-recognition", tiny_recogniser)([folder / name for name in ("a.wav", "b.wav")])
    expected = score_transcripts([one["text"] for one in answers], said_by("a dog runs fast", "it is late"))
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-4)
    assert found["recordings"] == 2


def test_case_marks_and_accents_do_not_count() -> None:
    found = score_transcripts(["it s a cafe"], said_by("It\u2019s \u2014 a caf\u00e9!"))
    # But apostrophes do: they part words.
    assert (found["words"], found["substitutions"], found["insertions"]) == (3, 1, 1)
    assert score_transcripts(["It's; a CAF\u00c9"], said_by("it's a cafe"))["wer"] == 0


def test_speakers_are_told_only_if_all_are_known() -> None:
    assert "speakers" not in score_transcripts(["a", "b"], [*said_by("a"), Utterance(Path("b.wav"), "b", "bob")])


def test_without_words_there_is_no_rate() -> None:
    with pytest.raises(InputError, match="no word was said"):
        score_transcripts(["a"], said_by("42"))


@given(words.filter(bool), words)
def test_what_is_right_and_what_is_wrong_make_up_what_was_said(said: list[str], written: list[str]) -> None:
    found = score_transcripts([" ".join(written)], said_by(" ".join(said)))
    errors = found["substitutions"] + found["deletions"] + found["insertions"]
    assert found["wer"] == pytest.approx(errors / len(said))
    assert len(written) == found["words"] - found["deletions"] + found["insertions"]
    assert (found["wer"] == 0) == (said == written) == (found["cer"] == 0)
