from __future__ import annotations

import math
from pathlib import Path

import pytest

from showtell.decoders.word_prior import WordPrior
from showtell.scripts.datasets.pronunciations import PHONEMES
from showtell.scripts.train_word_prior import bits_per_character, main

TEXT = """The cat sat on the mat. The dog sat on the cat.
A dog ran to the mat and a cat ran to the dog.
The cat and the dog sat and ran."""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prior")
    (folder / "text.txt").write_text(TEXT)
    main(folder / "prior.npz", [folder / "text.txt"], vocabulary=8, threshold=0.0)
    return folder / "prior.npz"


def open_prior(file: Path) -> WordPrior:
    return WordPrior.open(file, ["", " ", *"abcdefghijklmnopqrstuvwxyz"], weight=1.0, bonus=0.0)


def test_known_are_the_most_frequent_words_that_come_twice(file: Path) -> None:
    assert open_prior(file).lexicon.words == ["a", "and", "cat", "dog", "mat", "ran", "sat", "the"]


def bits(prior: WordPrior, *texts: str) -> float:
    return bits_per_character(prior.lexicon, prior.words, [text.split() for text in texts])


def test_it_foresees_texts_like_those_that_it_read(file: Path) -> None:
    prior = open_prior(file)
    likely = bits(prior, "the cat sat on the mat")
    assert likely < bits(prior, "mat the on sat cat the") / 1.5
    assert likely < 1 < bits(prior, "omit atoms")


def test_no_letter_of_the_alphabet_is_impossible(file: Path) -> None:
    assert math.isfinite(bits(open_prior(file), "zebra quiz", "the vixen"))


def test_it_says_how_well_it_does(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = file.with_name("text.txt")
    main(file.with_name("again.safetensors"), [text], dev=[text], vocabulary=8)
    size, quality = capsys.readouterr().out.splitlines()
    assert "8 words, n-grams [10, " in size
    assert float(quality.split(": ")[1].split()[0]) < 1.5


def test_another_model_has_its_share_and_brings_its_words(file: Path, sphinx_file: Path) -> None:
    mixed = file.with_name("mixed.safetensors")
    (text := file.with_name("few.txt")).write_text("a dog ran\na dog ran home\n")
    main(mixed, [text], beside=sphinx_file, share=0.5, threshold=0.0)
    prior = open_prior(mixed)
    assert prior.lexicon.words == ["a", "cat", "dog", "ran", "sat", "the"]
    alone = bits(prior, "the cat sat"), bits(prior, "a dog ran")
    assert max(alone) < bits(prior, "ran the a") / 1.5


def test_words_may_be_known_by_their_phonemes(file: Path) -> None:
    text = file.with_name("said.txt")
    text.write_text("The end. The sea. I see the sea. I see the end. Their end. There I see their sea. There!")
    main(file.with_name("said.npz"), [text], dev=[text], phonemes=True, threshold=0.0)
    prior = WordPrior.open(file.with_name("said.npz"), ["", *PHONEMES], weight=1.0, bonus=0.0)
    assert prior.lexicon.find("si").complete == [prior.lexicon.words.index(word) for word in ("sea", "see")]
    the = [prior.lexicon.words.index("the")]
    assert prior.lexicon.find("ðə").complete == prior.lexicon.find("ði").complete == the
    assert prior.spell("ðɛɹ", None) == "their"
    likely = bits(prior, "i see the sea")
    assert likely < bits(prior, "sea the see i") / 1.5
    assert math.isfinite(bits(prior, "i see zebras"))
