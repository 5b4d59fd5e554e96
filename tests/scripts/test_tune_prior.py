from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from showtell import pipeline
from showtell.bundle import Bundle
from showtell.decoders.word_prior import WordPrior
from showtell.errors import InputError
from showtell.scripts.datasets.speech import read_utterances
from showtell.scripts.speech_scores import evaluate_speech
from showtell.scripts.train_asr import Decoder, new_recogniser, spelling
from showtell.scripts.tune_prior import main


def test_the_weights_with_the_fewest_errors_go_into_the_model(
    tiny_recogniser: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    WordPrior.of_list([" ", *"abes"], {"a", "bee", "sees"}).save(tmp_path / "words")
    model, dev = shutil.copytree(tiny_recogniser, tmp_path / "recogniser"), tmp_path / "dev"
    dev.mkdir()
    soundfile.write(dev / "a.wav", np.random.default_rng(0).normal(scale=0.1, size=32_000), 16_000)
    (dev / "metadata.jsonl").write_text(json.dumps({"file_name": "a.wav", "text": "a bee sees"}))
    main(model, tmp_path / "words", [dev], weights=[0.5], bonuses=[-3.0, 3.0], token_weights=[0.0, 0.5])

    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    tried = {tuple(map(float, row[:3])): float(row[3]) for row in rows}
    assert len(tried) == 4
    weighed = Bundle.open(model).config["prior"]
    chosen = weighed["weight"], weighed["bonus"], weighed["token_weight"]
    assert tried[chosen] == min(tried.values())
    assert sum(weighed["token_prior"]) == pytest.approx(1, abs=1e-5)
    figures = evaluate_speech(pipeline("automatic-speech-recognition", model), read_utterances(dev))
    assert figures["wer"] == pytest.approx(tried[chosen], abs=1e-4)


def test_one_that_writes_by_attention_alone_cannot_be_weighed(tmp_path: Path) -> None:
    new_recogniser(Decoder.ATTENTION, spelling(["a bee"], ends=True), 16, 1).save(tmp_path / "attending")
    with pytest.raises(InputError, match="attending: it writes by attention alone; a recogniser with CTC would do"):
        main(tmp_path / "attending", tmp_path / "words", [])
