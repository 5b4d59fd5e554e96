"""A recogniser's card tells of each set what the pipeline wrote of it, and has no gap."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import soundfile
from typer.testing import CliRunner

from showtell import pipeline
from showtell.bundle import CARD, add_prior
from showtell.decoders.word_prior import WordPrior
from showtell.scripts.card import app
from showtell.scripts.datasets.speech import read_utterances
from showtell.scripts.speech_scores import evaluate_speech


def write(folder: Path, text: str, seed: int) -> Path:
    folder.mkdir(parents=True)
    soundfile.write(folder / "a.wav", np.random.default_rng(seed).normal(scale=0.1, size=32_000), 16_000)
    (folder / "metadata.jsonl").write_text(json.dumps({"file_name": "a.wav", "text": text}))
    return folder


def test_the_card_of_a_recogniser_has_a_row_for_each_set(tiny_recogniser: Path, tmp_path: Path) -> None:
    WordPrior.of_list([" ", *"abes"], {"a", "bee", "sees"}).save(tmp_path / "words")
    model = shutil.copytree(tiny_recogniser, tmp_path / "recogniser")
    add_prior(model, tmp_path / "words", weight=0.0, bonus=0.25)
    sets = [write(tmp_path / "fsdd" / "dev", "nine", 0), write(tmp_path / "mine" / "dev", "a bee sees", 1)]
    command = ["automatic-speech-recognition", str(model), *map(str, sets)]
    assert CliRunner().invoke(app, command, catch_exceptions=False).exit_code == 0
    card = (model / CARD).read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (fsdd|mine) \| (.*) \|$", card, re.MULTILINE))
    recognise = pipeline("automatic-speech-recognition", model)
    for name, folder in zip(("fsdd", "mine"), sets, strict=True):
        utterances = read_utterances(folder)
        figures = evaluate_speech(recognise, utterances)
        bare = evaluate_speech(recognise, utterances, language_model=False)
        told = [str(figures["words"]), *(f"{rate:.3f}" for rate in (figures["wer"], figures["cer"], bare["wer"]))]
        assert rows[name].split(" | ")[1:] == told
    assert "five known voices" in rows["fsdd"]
    assert "a bonus a word of 0.250; what" in " ".join(card.split())
    assert "$" not in card
