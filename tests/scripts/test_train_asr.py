from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import typer

from showtell import pipeline
from showtell.bundle import add_prior
from showtell.composition import compose, load
from showtell.encoders.spectrogram import SpectrogramEncoder
from showtell.pipelines.media.waveform import SAMPLE_RATE
from showtell.scripts.datasets.pronunciations import PHONEMES
from showtell.scripts.datasets.speech import read_utterances
from showtell.scripts.train_asr import (
    LOSSES,
    Decoder,
    as_dataset,
    main,
    new_decoder,
    score_recogniser,
    spelling,
)
from showtell.scripts.train_word_prior import main as train_word_prior

EVEN = [1 / (1 + len(PHONEMES))] * (1 + len(PHONEMES))
TEXTS = ["ab", "ba", "a b", "b aa", "abb", "aab b"]
HERTZ = {"a": 500, "b": 2200}
STEPS = {Decoder.CTC: 170, Decoder.ATTENTION: 100, Decoder.JOINT: 220}


def sing(text: str) -> np.ndarray:
    """A tone for each letter, a rest after it, and a longer one for a space."""
    time = np.arange(SAMPLE_RATE * 12 // 100) / SAMPLE_RATE
    rest = np.zeros(SAMPLE_RATE * 8 // 100)
    notes = [0.3 * np.sin(2 * np.pi * HERTZ[letter] * time) if letter in HERTZ else 0 * time for letter in text]
    return np.concatenate([rest, *(np.concatenate([note, rest]) for note in notes)]).astype(np.float32)


def write(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for place, text in enumerate(TEXTS):
        soundfile.write(folder / f"{place}.wav", sing(text), SAMPLE_RATE)
    lines = [json.dumps({"file_name": f"{place}.wav", "text": text}) for place, text in enumerate(TEXTS)]
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    return folder


@pytest.mark.parametrize("kind", Decoder)
def test_each_decoder_learns_to_say_what_it_was_taught(kind: Decoder, tmp_path: Path) -> None:
    torch.manual_seed(0)
    utterances = read_utterances(write(tmp_path / "train"))
    tokenizer = spelling(TEXTS, ends=kind != Decoder.CTC)
    vocabularies = tokenizer.get_vocab(), {}
    speech = as_dataset(utterances, vocabularies, tmp_path / "samples", change=False)
    encoder = SpectrogramEncoder(channels=4, width=32, lookahead=11)
    model: Any = compose(
        encoder=encoder, decoder=new_decoder(kind, encoder.width, tokenizer, 32, 1), tokenizer=tokenizer
    ).eval()  # without dropout it learns these by heart sooner
    batch = speech.collate([speech[place] for place in range(len(speech))])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(STEPS[kind]):
        loss = LOSSES[kind](model, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert score_recogniser(model, {"tones": speech}, vocabularies) == {"word_accuracy": 1, "tones": 1}

    model.save(tmp_path / "model")
    recognise = pipeline("automatic-speech-recognition", tmp_path / "model", threads=1)
    answers: Any = recognise([utterance.file for utterance in utterances], return_timestamps="char", num_beams=4)
    assert [answer["text"] for answer in answers] == TEXTS
    # A network in both directions may tell attention of a letter at any place.
    for text, answer in zip(TEXTS, answers, strict=True) if kind != Decoder.ATTENTION else ():
        places = [place for place, letter in enumerate(text) if letter != " "]
        for place, chunk in zip(places, answer["chunks"], strict=True):
            assert abs(chunk["timestamp"][0] - (0.08 + 0.2 * place)) < 0.2


@pytest.mark.parametrize("kind", [Decoder.CTC, Decoder.JOINT])
def test_the_script_trains_and_saves(kind: Decoder, tmp_path: Path) -> None:
    write(tmp_path / "tones" / "train")
    write(tmp_path / "tones" / "dev")
    main(
        tmp_path / "model",
        [tmp_path / "tones"],
        tmp_path / "runs",
        "for tests",
        kind,
        hidden_size=8,
        num_layers=1,
        first_epochs=1,
        epochs=1,
        mixed_precision="no",
    )
    recognise = pipeline("automatic-speech-recognition", tmp_path / "model", threads=1)
    assert recognise(tmp_path / "tones" / "dev" / "0.wav", num_beams=2)["score"] <= 1


def test_one_that_hears_phonemes_writes_words_that_are_said_so(tmp_path: Path) -> None:
    write(tmp_path / "tones" / "train")
    write(tmp_path / "tones" / "dev")
    options: dict[str, Any] = {"hidden_size": 8, "first_epochs": 0, "epochs": 1, "mixed_precision": "no"}
    main(tmp_path / "spelling", [tmp_path / "tones"], tmp_path / "first", num_layers=1, **options)
    options |= {"start": tmp_path / "spelling", "phonemes": True}
    main(tmp_path / "model", [tmp_path / "tones"], tmp_path / "runs", **options)
    (tmp_path / "text.txt").write_text("The red sea. The sea is red. I see the sea. I read. They read.")
    train_word_prior(tmp_path / "prior.npz", [tmp_path / "text.txt"], phonemes=True)
    add_prior(tmp_path / "model", tmp_path / "prior.npz", weight=0.5, bonus=5.0, token_weight=1.0, token_prior=EVEN)

    recognise: Any = pipeline("automatic-speech-recognition", tmp_path / "model", threads=1)
    recording = tmp_path / "tones" / "dev" / "5.wav"
    known, letters = recognise(recording), recognise(recording, language_model=False)
    assert known["text"] and set(known["text"].split()) <= {"the", "red", "sea", "see", "i", "read"}
    assert set(letters["text"]) <= set("ab ")
    sound, rate = soundfile.read(recording, dtype="float32")
    heard = [
        *recognise.stream([sound[start : start + 2000] for start in range(0, len(sound), 2000)], sampling_rate=rate)
    ]
    assert " ".join(one["text"] for one in heard if one["is_final"]) == known["text"]
    assert all(one["text"] for one in heard)
    for unit, joined in (("word", " "), ("char", "")):
        chunks = recognise(recording, return_timestamps=unit)["chunks"]
        assert joined.join(chunk["text"] for chunk in chunks) == known["text"].replace(" ", joined)
        times = [time for chunk in chunks for time in chunk["timestamp"]]
        assert times == sorted(times) and all(0 < chunk["score"] <= 1 for chunk in chunks)


@pytest.mark.parametrize("kind", [Decoder.ATTENTION, Decoder.JOINT])
def test_phonemes_are_heard_by_ctc_alone(kind: Decoder, tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match="ctc would do"):
        main(tmp_path / "model", [tmp_path / "tones"], tmp_path / "runs", decoder=kind, phonemes=True)


def test_the_script_goes_on_from_a_saved_recogniser(tmp_path: Path) -> None:
    write(tmp_path / "tones" / "train")
    write(tmp_path / "tones" / "dev")
    encoder = SpectrogramEncoder(channels=4, width=16, lookahead=3)
    tokenizer = spelling(TEXTS)
    decoder = new_decoder(Decoder.CTC, encoder.width, tokenizer, 8, 1)
    before = compose(encoder=encoder, decoder=decoder, tokenizer=tokenizer)
    before.save(tmp_path / "before")
    options = {"first_epochs": 0, "epochs": 1, "mixed_precision": "no"}
    twice = [tmp_path / "tones"] * 2
    main(tmp_path / "after", twice, tmp_path / "runs", start=tmp_path / "before", **options)
    after = load(tmp_path / "after")
    assert after.encoder.config == encoder.config
    moved = [(old - new).abs().max() for old, new in zip(before.parameters(), after.parameters(), strict=True)]
    assert 0 < max(moved) < 0.1

    main(tmp_path / "same", twice, tmp_path / "runs", start=tmp_path / "before", start_share=1.0, **options)
    begun, same = load(tmp_path / "before"), load(tmp_path / "same")
    assert all(torch.equal(old, new) for old, new in zip(begun.parameters(), same.parameters(), strict=True))


def test_a_share_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match="name it by --start"):
        main(tmp_path / "model", [tmp_path / "tones"], tmp_path / "runs", start_share=0.5)
