import json

import numpy as np
import soundfile

from showtell.scripts.datasets.speech import read_utterances
from showtell.scripts.synthesise import main, rare_first


def test_sentences_without_a_rare_word_are_left_out():
    common = ["a", "dog"]
    assert list(rare_first(iter([common] * 5))) == [common] * 3
    assert list(rare_first(iter([["one"], ["two"] * 30]))) == []


def test_a_folder_of_speech_goes_on_where_it_was_stopped(tmp_path):
    texts = tmp_path / "texts.txt"
    texts.write_text("A dog runs.\nTwo men talk.\nIt rains again.\nShe sings well.\n")
    main(tmp_path / "out", [texts], hours=0.0005)
    begun = read_utterances(tmp_path / "out")
    main(tmp_path / "out", [texts], hours=1)
    complete = read_utterances(tmp_path / "out")
    assert 1 <= len(begun) < len(complete) == 4
    assert complete[: len(begun)] == begun
    assert sorted(one.text for one in complete) == ["a dog runs", "it rains again", "she sings well", "two men talk"]
    for one in complete:
        samples, rate = soundfile.read(one.file)
        assert rate == 16_000 and 0.25 < np.abs(samples).max() <= 1
    lines = (tmp_path / "out" / "metadata.jsonl").read_text().splitlines()
    assert [json.loads(line)["speaker"] for line in lines] == [f"hibari {number}" for number in range(4)]
