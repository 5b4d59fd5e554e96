from __future__ import annotations

import io
import json
from pathlib import Path

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from showtell.errors import InputError
from showtell.scripts.datasets.captions import CaptionedPhotograph, caption_words, read_captions


def png(color: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 3), color).save(buffer, "PNG")
    return buffer.getvalue()


def folder_of(tmp_path: Path, *lines: str) -> Path:
    """A folder with the photographs red.png and blue.png and these lines of metadata."""
    for color in ("red", "blue"):
        (tmp_path / f"{color}.png").write_bytes(png(color))
    (tmp_path / "metadata.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A man's dog isn't here.", "a man 's dog is n't here"),
        ("A man\u2019s dog isn\u2019t here.", "a man 's dog is n't here"),
        ("He'd say they've won, I'm sure we'll see", "he 'd say they 've won i 'm sure we 'll see"),
        ("A man 's dog ca n't swim .", "a man 's dog ca n't swim"),
        ("The dogs' bowls at three o'clock", "the dogs bowls at three o'clock"),
        ("Wait ... what… now -- no — yes", "wait what now no yes"),
        ("A T-shirt, black-and-white", "a t-shirt black-and-white"),
        ("A T\u2011shirt", "a t-shirt"),
        ('"Two" “dogs” \u2018run\u2019 (fast); really?!', "two dogs run fast really"),
        ("2 dogs, 3.5 cats at 10:30", "2 dogs 3.5 cats at 10:30"),
        ("player #5 & friend", "player # 5 & friend"),
        ("A St. Bernard in the U.S. at night.", "a st. bernard in the u.s. at night"),
        ("A Café in naïve Zürich", "a café in naïve zürich"),
        ("नमस्ते दुनिया", "नमस्ते दुनिया"),
        ("  \n ", ""),
    ],
)
def test_words_are_split_as_the_coco_evaluation_does(text, words):
    assert caption_words(text) == words.split()


def test_a_letter_and_its_accent_are_one_word_however_they_are_encoded():
    assert caption_words("cafe\u0301") == caption_words("caf\u00e9")


@given(st.text(alphabet="aé9 .,'\u2019-n\"tsSU&—", max_size=30))
def test_splitting_words_twice_changes_nothing(text):
    words = caption_words(text)
    assert caption_words(" ".join(words)) == words


def test_a_folder_is_read_in_the_order_of_its_metadata(tmp_path):
    folder = folder_of(
        tmp_path,
        '{"file_name": "red.png", "captions": ["A red card.", "Rouge, à gauche."]}',
        "",
        '{"file_name": "blue.png", "text": "A blue card."}',
    )
    expected = [
        CaptionedPhotograph(tmp_path / "red.png", ("A red card.", "Rouge, à gauche.")),
        CaptionedPhotograph(tmp_path / "blue.png", ("A blue card.",)),
    ]
    assert read_captions(folder) == read_captions(str(folder)) == expected


def test_lines_about_one_photograph_are_gathered(tmp_path):
    lines = ["red: one", "blue: two", "red: three"]
    pairs = [line.split(": ") for line in lines]
    folder = folder_of(tmp_path, *(json.dumps({"file_name": f"{a}.png", "caption": b}) for a, b in pairs))
    assert [photograph.captions for photograph in read_captions(folder)] == [("one", "three"), ("two",)]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"file_name": "red.png", "capt', "not JSON"),
        ('{"file_name": "red.png", "text": "\\ud8', "not JSON"),
        ('["red.png"]', "no file name"),
        ('{"text": "a card"}', "no file name"),
        ('{"file_name": "red.png"}', "no caption"),
        ('{"file_name": "red.png", "captions": []}', "no caption"),
        ('{"file_name": "red.png", "captions": ["a card", " "]}', "no caption"),
        ('{"file_name": "red.png", "captions": 5}', "no caption"),
        ('{"file_name": "green.png", "text": "a card"}', "green.png is missing"),
    ],
)
def test_a_bad_line_is_an_input_error_with_its_number(tmp_path, line, problem):
    folder = folder_of(tmp_path, '{"file_name": "blue.png", "text": "A blue card."}', line)
    with pytest.raises(InputError, match=rf"metadata\.jsonl, line 2: .*{problem}"):
        read_captions(folder)


def test_bytes_that_are_not_utf_8_are_an_input_error(tmp_path):
    folder = folder_of(tmp_path)
    (folder / "metadata.jsonl").write_bytes(b'{"file_name": "red.png", "text": "caf\xe9"}')
    with pytest.raises(InputError, match="line 1: not JSON"):
        read_captions(folder)


def test_a_folder_without_metadata_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match=r"there is no metadata\.jsonl"):
        read_captions(tmp_path)
    with pytest.raises(InputError, match=r"there is no metadata\.jsonl"):
        read_captions(tmp_path / "nowhere")


def test_an_empty_metadata_file_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="is empty"):
        read_captions(folder_of(tmp_path, "", ""))


def dataset_of(**columns: list) -> datasets.Dataset:
    return datasets.Dataset.from_dict(columns).cast_column("image", datasets.Image())


def test_a_data_set_gives_its_photographs_as_they_are_stored(tmp_path):
    red, blue = png("red"), png("blue")
    dataset = dataset_of(image=[red, blue, red], caption=["one", "two", "three"])
    expected = [CaptionedPhotograph(red, ("one", "three")), CaptionedPhotograph(blue, ("two",))]
    assert read_captions(dataset) == expected
    dataset.save_to_disk(tmp_path / "saved")
    assert read_captions(tmp_path / "saved") == expected


def test_a_data_set_of_paths_gives_paths(tmp_path):
    path = folder_of(tmp_path) / "red.png"
    dataset = dataset_of(image=[str(path)], captions=[["one", "two"]])
    assert read_captions(dataset) == [CaptionedPhotograph(path, ("one", "two"))]


def test_a_bad_row_is_an_input_error_with_its_number(tmp_path):
    image = png("red")
    with pytest.raises(InputError, match="the data set, row 1: no caption"):
        read_captions(dataset_of(image=[image, image], text=["one", None]))
    with pytest.raises(InputError, match="the data set, row 1: no photograph"):
        read_captions(dataset_of(image=[image, None], text=["one", "two"]))
    with pytest.raises(InputError, match=r"the data set, row 0: .*green\.png is missing"):
        read_captions(dataset_of(image=[str(tmp_path / "green.png")], text=["one"]))


def test_a_data_set_without_photographs_is_an_input_error():
    with pytest.raises(InputError, match="no column `image`"):
        read_captions(datasets.Dataset.from_dict({"text": ["one"]}))


def test_a_data_set_of_several_splits_is_an_input_error(tmp_path):
    splits = datasets.DatasetDict({"train": dataset_of(image=[png("red")], text=["one"])})
    splits.save_to_disk(tmp_path / "saved")
    with pytest.raises(InputError, match="several splits"):
        read_captions(tmp_path / "saved")
    assert len(read_captions(tmp_path / "saved" / "train")) == 1
    with pytest.raises(InputError, match="no column `image`"):
        read_captions(splits)  # pyright: ignore[reportArgumentType]
