"""Texts to entities: where they stand in any script, how probable they are, the same in every batch and runtime."""

from __future__ import annotations

import inspect
import itertools
import json
import pickle
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, assert_type

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from showtell import InputError, ModelError, pipeline
from showtell.bundle import Bundle
from showtell.decoders.tags import find_spans, tag_set
from showtell.pipelines.answers import Entity
from showtell.pipelines.base import Groups
from showtell.pipelines.media.text import split_sentences, split_words
from showtell.pipelines.runtime import Runtime
from showtell.pipelines.token_classification import BATCH_WORDS, Options, TokenClassification

LABELS = ["PER", "LOC", "ORG", "MISC"]
SENTENCE = "Ada Lovelace lived in London, the Bank of England is there. "
TEXTS = [
    "Ada Lovelace lived in London.",
    "Ada",
    "Nobody is named here, or perhaps Tom",
    40 * SENTENCE + "Tom.",
    "",
    "The Bank of England\n\nThe U.S. Army.",
    "no sentence ends here " * 30,
    "Lovelace!",
]

# What has made other tools lose count: wide, joined and invisible characters, marks, odd white space, half surrogates.
AWKWARD = [
    "\ufeff", "\0", "\u200b", "\u200d", "\xa0", "\u3000", "\u2028", "\x85", "\r\n", "\t", "\n\n", "\u202e", "\xad",
    "e\u0301", "\u0130", "\ufb01", "\uff2c\uff4f", "\u0928\u092e\u0938\u094d\u0924\u0947", "\u05e9\u05dc\u05d5\u05dd",
    "\u6771\u4eac\u3002", "\U0001f468\u200d\U0001f469", "\U0001f1ec\U0001f1e7", "\U00020000", "\ud800", "\udfff",
    "<pad>", "n't", "U.S.", "...", "<br />", ". ", "! ", "Ada Lovelace ", "London",
]  # fmt: skip
texts = st.lists(st.sampled_from(AWKWARD) | st.characters(), max_size=30).map("".join)


def assert_same(answers: Any, expected: Any) -> None:
    """The same entities in the same places, and scores to 1e-4."""
    answers, expected = list(answers), list(expected)
    assert [places(answer) for answer in answers] == [places(answer) for answer in expected]
    for answer, wanted in zip(answers, expected, strict=True):
        assert [one["score"] for one in answer] == pytest.approx([one["score"] for one in wanted], abs=1e-4)


def places(answer: list[Entity]) -> list[Any]:
    return [{name: value for name, value in entity.items() if name != "score"} for entity in answer]


def assert_stands(text: str, answer: list[Entity]) -> None:
    """Each entity is where it says, and they come in order and do not overlap."""
    end = 0
    for entity in answer:
        assert entity["entity_group"] in LABELS
        assert 0 <= entity["score"] <= 1 and type(entity["score"]) is float
        assert text[entity["start"] : entity["end"]] == entity["word"] != ""
        assert type(entity["start"]) is int and entity["start"] >= end
        end = entity["end"]


@pytest.fixture(scope="module")
def tag(tiny_tagger: Path) -> TokenClassification:
    return pipeline("ner", tiny_tagger, threads=1)


@pytest.fixture(scope="module")
def alone(tag: TokenClassification) -> list[list[Entity]]:
    """The entities of every text by itself."""
    return [tag(text) for text in TEXTS]


@pytest.mark.parametrize("batch_size", [None, 1, 2, 3, 7, 8])
def test_batched_equals_single(tag: TokenClassification, alone: list[list[Entity]], batch_size: int | None) -> None:
    assert len(TEXTS) % 7 == 1  # a last batch of one
    assert_same(tag(TEXTS, batch_size=batch_size), alone)


def test_torch_equals_onnx(tiny_tagger: Path, alone: list[list[Entity]]) -> None:
    by_torch = pipeline("token-classification", tiny_tagger, runtime="torch")
    assert_same(by_torch(TEXTS), alone)


def test_an_answer_tells_what_where_and_how_probable(alone: list[list[Entity]]) -> None:
    for text, answer in zip(TEXTS, alone, strict=True):
        assert_stands(text, answer)
        assert all(entity.keys() == {"entity_group", "score", "word", "start", "end"} for entity in answer)
    assert len({entity["entity_group"] for answer in alone for entity in answer}) > 2
    assert any(" " in entity["word"] for answer in alone for entity in answer)
    json.dumps(alone)


def test_a_score_is_the_posterior_of_the_span(tag: TokenClassification) -> None:
    """All taggings of a short sentence, scored one by one, say which is best and how probable each span is."""
    text = "Ada lived."
    words = split_words(text, tag.splitter)
    scores = {
        name: value.astype(np.float64) for name, value in tag.graphs["answer"](**tag.features([words.words])).items()
    }
    paths = np.array([*itertools.product(range(len(tag_set(LABELS))), repeat=len(words.words))])
    total = scores["start"][paths[:, 0]] + scores["end"][paths[:, -1]]
    total += scores["transitions"][paths[:, :-1], paths[:, 1:]].sum(axis=1)
    total += scores["emissions"][0][np.arange(len(words.words)), paths].sum(axis=1)
    probabilities = np.exp(total - np.logaddexp.reduce(total))
    spans = [find_spans(tag_set(LABELS)[number] for number in path) for path in paths]
    expected = [
        Entity(
            entity_group=span.label,
            score=float(probabilities[[span in other for other in spans]].sum()),
            word=text[words.offsets[span.start][0] : words.offsets[span.end - 1][1]],
            start=words.offsets[span.start][0],
            end=words.offsets[span.end - 1][1],
        )
        for span in spans[probabilities.argmax()]
    ]
    assert expected
    assert_same([tag(text)], [expected])


def test_a_sentence_is_tagged_as_if_it_stood_alone(tag: TokenClassification) -> None:
    whole = TEXTS[3]
    words = split_words(whole, tag.splitter)
    wanted: list[Entity] = []
    for sentence in split_sentences(words):
        start, end = words.offsets[sentence.start][0], words.offsets[sentence.stop - 1][1]
        for entity in tag(whole[start:end]):
            moved = {"start": entity["start"] + start, "end": entity["end"] + start}
            wanted.append(entity | moved)  # pyright: ignore[reportArgumentType]
    assert len(wanted) > 40
    assert_same([tag(whole)], [wanted])


def test_a_model_of_another_scheme_answers_too(tiny_tagger: Path, tmp_path: Path) -> None:
    import torch

    from showtell import compose
    from showtell.composition import load
    from showtell.decoders import CRFDecoder

    torch.manual_seed(0)
    opened = load(tiny_tagger)
    decoder = CRFDecoder(memory_width=opened.encoder.width, labels=["THING"], scheme="BIO", hidden_size=4)
    for weight in decoder.parameters():
        torch.nn.init.normal_(weight, std=0.7)
    compose(encoder=opened.encoder, decoder=decoder, tokenizer=opened.tokenizer).save(tmp_path / "bio")
    answers = pipeline("ner", tmp_path / "bio")(TEXTS)
    found = [entity for answer in answers for entity in answer]
    assert found and {entity["entity_group"] for entity in found} == {"THING"}
    assert all(0 <= entity["score"] <= 1 for entity in found)


# Ways to hand in texts.


def test_every_way_to_hand_in_texts_gives_the_same(tag: TokenClassification, alone: list[list[Entity]]) -> None:
    import pandas

    several: list[Any] = [TEXTS, tuple(TEXTS), iter(TEXTS), np.array(TEXTS, object), pandas.Series(TEXTS)]
    for many in several:
        assert_same(tag(many), alone)
    assert tag(np.str_(TEXTS[0])) == alone[0]
    assert tag([]) == []
    assert list(tag(iter([]))) == []


def test_an_endless_iterator_is_answered_in_order(tag: TokenClassification, alone: list[list[Entity]]) -> None:
    answers = tag(itertools.cycle(TEXTS), batch_size=8)
    assert_same(itertools.islice(answers, 40), itertools.islice(itertools.cycle(alone), 40))


def test_words_may_be_split_before(tag: TokenClassification) -> None:
    words = ["Ada", "Lovelace", "lived", "in", "New\u3000York", ",", "the", "Bank", "of", "England", "."]
    joined = " ".join(words)
    answer = tag(words, words=True)
    assert_stands(joined, answer)
    assert answer
    for entity in answer:
        assert " ".join(words[entity.get("word_start", 0) : entity.get("word_end", 0)]) == entity["word"]
    many = [words, ["Ada"], [], ("Ada", "lived")]
    expected = [tag(each, words=True) for each in many]
    assert expected[2] == []
    for several in (many, tuple(many), iter(many), Groups([many[:1], many[1:]])):
        assert_same(tag(several, words=True), expected)
    assert tag([], words=True) == []


def test_words_that_were_split_before_get_what_the_text_of_them_gets(tag: TokenClassification) -> None:
    text = "Ada Lovelace lived in London , the Bank of England"
    answer = tag(text.split(), words=True)
    for entity in answer:
        entity.pop("word_start")  # pyright: ignore[reportArgumentType]
        entity.pop("word_end")  # pyright: ignore[reportArgumentType]
    assert_same([answer], [tag(text)])


def test_several_threads_tag_at_once(tag: TokenClassification, alone: list[list[Entity]]) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert_same(pool.map(tag, TEXTS), alone)


def test_a_pickled_pipeline_answers_alike(tag: TokenClassification, alone: list[list[Entity]]) -> None:
    assert_same(pickle.loads(pickle.dumps(tag))(TEXTS), alone)


# Options.


def test_a_type_checker_knows_the_answers(tag: TokenClassification) -> None:
    assert_type(tag("Ada"), list[Entity])
    assert_type(tag(["Ada"]), list[list[Entity]])
    assert_type(tag(["Ada"], words=True), list[Entity])
    assert_type(tag([["Ada"]], words=True), list[list[Entity]])
    assert_type(tag(iter(["Ada"])), Iterator[list[Entity]])
    call = inspect.signature(TokenClassification.__call__).parameters.values()
    assert [p.name for p in call if p.kind is p.KEYWORD_ONLY] == ["words", *Options.__annotations__]


@pytest.mark.parametrize("option", [{"batch_size": 0}, {"on_error": "ignore"}])
def test_an_option_that_cannot_be_is_an_input_error(tag: TokenClassification, option: dict[str, Any]) -> None:
    options: dict[str, Any] = {"on_error": "return"} | option
    for texts in ("Ada", ["Ada"]):
        with pytest.raises(InputError, match=next(iter(option))):
            tag(texts, **options)


def test_an_unknown_option_is_python_s_own_type_error(tag: TokenClassification) -> None:
    with pytest.raises(TypeError, match="aggregation_strategy"):
        tag("Ada", aggregation_strategy="simple")  # pyright: ignore[reportCallIssue]


# Texts of any kind and any length.


@settings(max_examples=150)
@given(text=texts)
def test_every_entity_of_any_text_stands_where_it_says(tag: TokenClassification, text: str) -> None:
    assert_stands(text, tag(text))


@settings(max_examples=50)
@given(several=st.lists(texts, max_size=5))
def test_any_texts_are_answered_together_as_alone(tag: TokenClassification, several: list[str]) -> None:
    assert_same(tag(several), [tag(text) for text in several])


@settings(max_examples=100)
@given(words=st.lists(texts, max_size=12))
def test_every_entity_of_any_words_stands_where_it_says(tag: TokenClassification, words: list[str]) -> None:
    joined = " ".join(words)
    for entity in tag(words, words=True):
        assert joined[entity["start"] : entity["end"]] == entity["word"]
        assert " ".join(words[entity.get("word_start", 0) : entity.get("word_end", 0)]) == entity["word"]


@pytest.mark.parametrize("text", ["", " \n\t", "\u3000\xa0", "\u200b\ufeff", "\0\0"])
def test_a_text_without_words_names_nothing(tag: TokenClassification, text: str) -> None:
    assert tag(text) == []


@pytest.mark.parametrize("unit", ["Ada lived in London. ", "x", "\n", "\U0001f468\u200d"])
def test_a_text_of_600_000_characters_is_read_to_its_end(tag: TokenClassification, unit: str) -> None:
    text = unit * (600_000 // len(unit))
    sentence = "\n\nAda Lovelace lived in London."
    found = [entity for entity in tag(text + sentence) if entity["start"] >= len(text)]
    assert found
    for entity in found:
        entity["start"] -= len(text)
        entity["end"] -= len(text)
    assert_same([found], [tag(sentence)])


def test_a_long_text_goes_through_the_model_in_batches_of_little_padding(
    tag: TokenClassification, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, batches = tag.graphs["answer"], []

    def recorder(**arrays: np.ndarray) -> dict[str, np.ndarray]:
        batches.append(arrays["places"])
        return graph(**arrays)

    monkeypatch.setattr(tag, "graphs", {"answer": recorder})
    tag("".join(f"{'word ' * (place % 40)}\n\n" for place in range(800)))
    assert max(places.size for places in batches) <= BATCH_WORDS
    words = sum(np.count_nonzero(places) for places in batches)
    assert words == 20 * sum(range(40))
    assert sum(places.size for places in batches) < 1.1 * words


def test_a_word_of_10_000_characters_is_a_word(tag: TokenClassification) -> None:
    text = f"Ada {'x' * 10_000} London"
    assert_stands(text, tag(text))


BAD_TEXTS: list[tuple[Any, str]] = [
    (None, "None"), (5, "the int given"), (1.5, "the float given"), (b"Ada", "the bytes given"),
    ({"text": "Ada"}, "the dict given"), (Path("ada.txt"), "given"),
]  # fmt: skip


@pytest.mark.parametrize(("bad", "named"), BAD_TEXTS)
def test_what_is_no_text_is_one_typed_error_and_its_neighbours_are_answered(
    tag: TokenClassification, alone: list[list[Entity]], bad: Any, named: str
) -> None:
    with pytest.raises(InputError, match=rf"{named}.*a str would be accepted\.$"):
        tag(bad)
    assert isinstance(tag(bad, on_error="return"), InputError)
    first, error, nested, last = tag([TEXTS[0], bad, ["Ada"], TEXTS[1]], on_error="return")
    assert_same([first, last], alone[:2])
    assert isinstance(error, InputError) and named in str(error)
    assert isinstance(nested, InputError) and "list" in str(nested)


@pytest.mark.parametrize("bad", [*(bad for bad, _ in BAD_TEXTS), "Ada lived", ["Ada", None], ["Ada", ["lived"]]])
def test_what_is_no_list_of_words_is_one_typed_error_and_its_neighbours_are_answered(
    tag: TokenClassification, bad: Any
) -> None:
    with pytest.raises(InputError, match=r"a list of str would be accepted\.$"):
        tag(bad, words=True)
    answers: Any = tag([["Ada"], bad, ["Ada"]], words=True, on_error="return")
    assert answers[0] == answers[2] == tag(["Ada"], words=True)
    assert isinstance(answers[1], InputError)


def test_a_model_that_is_no_tagger_is_refused(tiny_tagger: Path, tiny_classifier: Path) -> None:
    with pytest.raises(ModelError, match="token-classification"):
        pipeline("ner", tiny_classifier)
    bundle = Bundle.open(tiny_tagger)
    del bundle.config["decoder"]["labels"]
    with pytest.raises(ModelError, match=r"config\.json: it does not say all that a tagger needs"):
        TokenClassification(bundle, Runtime())


def test_to_answer_needs_no_torch(tiny_tagger: Path) -> None:
    code = (
        "import sys; from showtell import pipeline; "
        f"pipeline('ner', {str(tiny_tagger)!r})('Ada'); "
        "print(sorted({'torch', 'pandas', 'scipy', 'transformers', 'onnx', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
