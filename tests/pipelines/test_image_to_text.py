"""Photographs to captions: the same answers in every batch and in both runtimes, from every way to hand them in."""

from __future__ import annotations

import inspect
import io
import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, assert_type

import numpy as np
import pytest
from PIL import Image

from showtell import InputError, pipeline
from showtell.decoders.beams import Hypothesis
from showtell.pipelines.answers import Caption
from showtell.pipelines.image_to_text import ImageToText, Options

MEDIA = Path(__file__).parents[1] / "media"
CAT = MEDIA / "cat.jpg"


def assert_same(answers: Any, expected: Any) -> None:
    """The same captions: exactly in words, to 1e-4 in scores and in attention."""
    for captions, wanted in zip(answers, expected, strict=True):
        assert [c["generated_text"] for c in captions] == [c["generated_text"] for c in wanted]
        for one, other in zip(captions, wanted, strict=True):
            assert one["score"] == pytest.approx(other["score"], abs=1e-4)
            if "attention" in other:
                np.testing.assert_allclose(one["attention"], other["attention"], atol=1e-4)


@pytest.fixture(scope="module")
def tiny_caption(tiny: Path) -> ImageToText:
    return pipeline("image-to-text", tiny, threads=1)


@pytest.fixture(scope="module")
def alone(caption: ImageToText, photographs: list[Path]) -> list[Any]:
    """The captions of every photograph by itself."""
    return [caption(path, num_return_sequences=2, return_attention=True) for path in photographs]


@pytest.mark.parametrize("batch_size", [None, 1, 2, 3, 7, 8])
def test_batched_equals_single(
    caption: ImageToText, photographs: list[Path], alone: list[Any], batch_size: int | None
) -> None:
    options = {"num_return_sequences": 2, "return_attention": True}
    assert len(photographs) % 7 == 1  # a last batch of one
    assert_same(caption(photographs, batch_size=batch_size, **options), alone)


def test_torch_equals_onnx(photographs: list[Path], alone: list[Any]) -> None:
    by_torch = pipeline("image-to-text", runtime="torch")
    assert_same(by_torch(photographs, num_return_sequences=2, return_attention=True), alone)


@pytest.mark.parametrize("batch_size", range(1, 10))
def test_batched_equals_single_in_a_model_of_random_weights(
    tiny_caption: ImageToText, photographs: list[Path], batch_size: int
) -> None:
    alone = [tiny_caption(path, return_attention=True) for path in photographs]
    assert len({captions[0]["generated_text"] for captions in alone}) > 2
    assert_same(tiny_caption(photographs, return_attention=True, batch_size=batch_size), alone)
    drawn = [tiny_caption(path, do_sample=True, seed=3) for path in photographs]
    assert_same(tiny_caption(photographs, do_sample=True, seed=3, batch_size=batch_size), drawn)


def test_torch_equals_onnx_in_a_model_of_random_weights(
    tiny: Path, tiny_caption: ImageToText, photographs: list[Path]
) -> None:
    by_torch = pipeline("image-to-text", tiny, runtime="torch")
    ways: list[dict[str, Any]] = [{}, {"num_return_sequences": 2}, {"do_sample": True, "num_return_sequences": 3}]
    for options in ways:
        assert_same(by_torch(photographs, **options), tiny_caption(photographs, **options))


def test_an_answer_is_a_sentence_and_a_probability(caption: ImageToText) -> None:
    [answer] = caption(CAT)
    assert answer.keys() == {"generated_text", "score"}
    assert answer["generated_text"] == answer["generated_text"].strip().lower() != ""
    assert 0 < answer["score"] <= 1 and type(answer["score"]) is float


def test_every_way_to_hand_in_photographs_gives_the_same(tiny_caption: ImageToText) -> None:
    one = tiny_caption(CAT)
    image, data = Image.open(CAT), CAT.read_bytes()
    for source in (str(CAT), data, bytearray(data), io.BytesIO(data), image, np.asarray(image), {"image": image}):
        assert tiny_caption(source) == one
    with CAT.open("rb") as opened:
        assert tiny_caption(opened) == one
    assert_same(tiny_caption([CAT, image, data]), [one] * 3)
    assert_same(tiny_caption((CAT, data)), [one] * 2)
    assert_same(tiny_caption(path for path in (CAT, CAT)), [one] * 2)
    assert tiny_caption([]) == []
    assert list(tiny_caption(iter([]))) == []


def test_a_hugging_face_data_set_s_rows_are_answered(tiny_caption: ImageToText, photographs: list[Path]) -> None:
    import datasets

    expected = tiny_caption(photographs)
    paths = datasets.Dataset.from_dict({"image": list(map(str, photographs)), "caption": [""] * len(photographs)})
    for feature in (datasets.Image(), datasets.Image(decode=False)):
        rows = paths.cast_column("image", feature)
        assert_same(tiny_caption(rows), expected)
        assert tiny_caption(rows[0]) == tiny_caption(photographs[0])
        assert_same(tiny_caption(rows["image"]), expected)


def test_a_torch_data_set_s_items_are_answered(tiny_caption: ImageToText, photographs: list[Path]) -> None:
    from torch.utils.data import Dataset

    class Photographs(Dataset):
        def __getitem__(self, place: int) -> Image.Image:
            return Image.open(photographs[place])

        def __len__(self) -> int:
            return len(photographs)

    assert_same(tiny_caption(Photographs()), tiny_caption(photographs))


def test_an_endless_iterator_is_answered_in_order(tiny_caption: ImageToText, photographs: list[Path]) -> None:
    expected = tiny_caption(photographs)
    answers = tiny_caption(itertools.cycle(photographs))
    assert_same(itertools.islice(answers, 60), itertools.islice(itertools.cycle(expected), 60))


def test_several_threads_caption_at_once(caption: ImageToText, photographs: list[Path], alone: list[Any]) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda path: caption(path, num_return_sequences=2, return_attention=True), photographs)
        assert_same(answers, alone)


# Options.


def test_a_type_checker_knows_the_answers(tiny_caption: ImageToText) -> None:
    assert_type(tiny_caption(str(CAT)), list[Caption])
    assert_type(tiny_caption(Image.open(CAT), num_beams=3), list[Caption])
    assert_type(tiny_caption([CAT]), list[list[Caption]])
    assert_type(tiny_caption(iter([CAT])), Iterator[list[Caption]])
    call = inspect.signature(ImageToText.__call__).parameters.values()
    assert [p.name for p in call if p.kind is p.KEYWORD_ONLY] == list(Options.__annotations__)


def test_options_shape_the_captions(tiny_caption: ImageToText) -> None:
    assert len(tiny_caption(CAT, num_beams=4, num_return_sequences=4)) == 4
    assert all(len(c["generated_text"].split()) <= 3 for c in tiny_caption(CAT, max_length=3))
    words = tiny_caption(CAT, no_repeat_ngram_size=1, max_length=12)[0]["generated_text"].replace("'", " '").split()
    assert len(words) == len(set(words))
    drawing = {"do_sample": True, "temperature": 9.0, "num_return_sequences": 5}
    draws = [tiny_caption(CAT, **drawing, seed=seed) for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]
    likeliest = tiny_caption(CAT, do_sample=True, top_k=1)
    assert_same([likeliest], [tiny_caption(CAT, num_beams=1)])


def test_attention_tells_where_the_model_looked_at_each_word(caption: ImageToText) -> None:
    [answer] = caption(CAT, return_attention=True)
    attention = answer.get("attention")
    assert attention is not None
    assert attention.dtype == np.float32
    assert attention.shape == (len(answer["generated_text"].split()), *caption.grid)
    np.testing.assert_allclose(attention.sum(axis=(1, 2)), 1, atol=1e-4)


def test_a_clitic_is_written_onto_the_word_before_it_and_shares_its_attention(tiny_caption: ImageToText) -> None:
    tokens = {word: token for token, word in tiny_caption.words.items()}
    text = ["a", "dog", "'s", "does", "n't"]
    looks = np.arange(20, dtype=np.float32).reshape(5, 4)
    found = Hypothesis(tuple(tokens[word] for word in text), np.zeros(6, np.float32), {"attention": looks})
    answer = tiny_caption.caption(found, True)
    assert answer["generated_text"] == "a dog's doesn't"
    wanted = np.stack([looks[0], looks[1:3].mean(axis=0), looks[3:].mean(axis=0)])
    np.testing.assert_array_equal(answer.get("attention"), wanted.reshape(3, 2, 2))


@pytest.mark.parametrize(
    "option",
    [
        {"num_beams": 0},
        {"max_length": 0},
        {"num_return_sequences": 9},
        {"length_penalty": float("nan")},
        {"no_repeat_ngram_size": -1},
        {"do_sample": True, "temperature": 0},
        {"do_sample": True, "top_k": -1},
        {"do_sample": True, "top_p": 0},
        {"batch_size": 0},
        {"on_error": "ignore"},
    ],
)
def test_an_option_that_cannot_be_is_an_input_error_whatever_becomes_of_inputs(
    tiny_caption: ImageToText, option: dict[str, Any]
) -> None:
    name = list(option)[-1]
    options: dict[str, Any] = {"on_error": "return"} | option
    inputs: list[Any] = [CAT, [CAT]]
    for images in inputs:
        with pytest.raises(InputError, match=name):
            tiny_caption(images, **options)


def test_an_unknown_option_is_python_s_own_type_error(tiny_caption: ImageToText) -> None:
    with pytest.raises(TypeError, match="num_beam"):
        tiny_caption(CAT, num_beam=3)  # pyright: ignore[reportCallIssue]
    with pytest.raises(TypeError, match="positional"):
        tiny_caption(CAT, 3)  # pyright: ignore[reportCallIssue]
