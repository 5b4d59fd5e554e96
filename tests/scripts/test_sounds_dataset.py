from __future__ import annotations

import json
from pathlib import Path

import pytest

from showtell.errors import InputError
from showtell.scripts.datasets.sounds import LabelledSound, read_labelled_sounds


def test_labels_are_read_with_their_recordings(tmp_path: Path):
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).touch()
    lines = [{"file_name": "a.wav", "label": "seven", "speaker": "ada"}, {"file_name": "b.wav", "label": "two"}]
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert read_labelled_sounds(tmp_path) == [
        LabelledSound(tmp_path / "a.wav", "seven"),
        LabelledSound(tmp_path / "b.wav", "two"),
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it is empty"),
        ('{"file_name": "a.wav"}', "line 1: no recording with its label"),
        ('{"label": "two"}', "line 1: no recording with its label"),
        ('{"file_name": "a.wav", "label": 2}', "line 1: no recording with its label"),
        ('{"file_name": "gone.wav", "label": "two"}', "line 1: there is no file"),
    ],
)
def test_what_is_missing_is_named(text: str, problem: str, tmp_path: Path):
    (tmp_path / "metadata.jsonl").write_text(text)
    with pytest.raises(InputError, match=problem):
        read_labelled_sounds(tmp_path)
