from __future__ import annotations

import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import classification_report

from showtell.decoders.tags import Span, find_spans, tag_set
from showtell.errors import InputError
from showtell.pipelines.media.text import join_words
from showtell.scripts.entity_metrics import score_entities

# Tags in any order, those that break their scheme's rules too.
TAGS = st.sampled_from(tag_set(["PER", "LOC"]))
TAGGED = st.lists(st.lists(st.tuples(TAGS, TAGS), min_size=1, max_size=12), min_size=1, max_size=4)
ADA, PARIS = Span(0, 12, "PER"), Span(16, 21, "LOC")


def in_characters(spans: list[Span], words: list[str]) -> list[Span]:
    offsets = join_words(words).offsets
    return [Span(offsets[start][0], offsets[end - 1][1], label) for start, end, label in spans]


@given(TAGGED)
def test_scores_are_those_of_seqeval_on_words_and_on_characters(tagged):
    found, expected = ([[pair[side] for pair in sentence] for sentence in tagged] for side in (0, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of shares of nothing
        report: Any = classification_report(expected, found, output_dict=True)
    spans = [[find_spans(tags) for tags in side] for side in (found, expected)]
    words = [[f"w{place}" * (place + 1) for place in range(len(sentence))] for sentence in tagged]
    texts = [[in_characters(some, many) for some, many in zip(side, words, strict=True)] for side in spans]
    for scores in (score_entities(*spans), score_entities(*texts)):
        for name, theirs in report.items():
            ours = scores["labels"].get(name, scores) if name in ("LOC", "PER") else scores
            if name in ("LOC", "PER", "micro avg"):
                assert ours["precision"] == pytest.approx(theirs["precision"])
                assert ours["recall"] == pytest.approx(theirs["recall"])
                assert ours["f1"] == pytest.approx(theirs["f1-score"])
                assert ours["expected"] == theirs["support"]


def test_an_entity_counts_only_if_start_end_and_label_are_right():
    for wrong in (Span(0, 11, "PER"), Span(1, 12, "PER"), Span(0, 12, "ORG")):
        assert score_entities([[wrong]], [[ADA]])["f1"] == 0
    scores = score_entities([[ADA, Span(16, 21, "PER")], []], [[ADA], [PARIS]])
    assert (scores["precision"], scores["recall"], scores["f1"]) == (1 / 2, 1 / 2, 1 / 2)


def test_each_label_has_figures_of_its_own():
    labels = score_entities([[ADA, PARIS]], [[ADA, Span(16, 22, "LOC")]])["labels"]
    assert {name: scores["f1"] for name, scores in labels.items()} == {"LOC": 0, "PER": 1}
    assert {name: scores["partial_f1"] for name, scores in labels.items()} == {"LOC": 1, "PER": 1}


def test_a_partial_match_overlaps_and_has_the_same_label():
    for place, matches in ((Span(0, 3, "PER"), 1), (Span(11, 20, "PER"), 1), (Span(12, 15, "PER"), 0)):
        assert score_entities([[place]], [[ADA]])["partial_f1"] == matches
    assert score_entities([[Span(0, 12, "LOC")]], [[ADA]])["partial_f1"] == 0


def test_an_entity_in_two_pieces_is_found_once_and_both_pieces_touch_it():
    scores = score_entities([[Span(0, 3, "PER"), Span(4, 12, "PER")]], [[ADA, PARIS]])
    assert (scores["partial_precision"], scores["partial_recall"]) == (1, 1 / 2)


def test_an_entity_that_is_answered_twice_is_right_once():
    scores = score_entities([[ADA, ADA]], [[ADA]])
    assert (scores["precision"], scores["recall"], scores["found"]) == (1 / 2, 1, 2)


def test_an_entity_in_another_text_is_none():
    assert score_entities([[ADA], []], [[], [ADA]])["partial_f1"] == 0


def test_nothing_found_and_nothing_expected_score_nothing():
    for found, expected in (([[]], [[ADA]]), ([[ADA]], [[]]), ([[]], [[]]), ([], [])):
        assert score_entities(found, expected)["f1"] == 0


def test_texts_that_do_not_pair_up_are_an_input_error():
    with pytest.raises(InputError, match="entities of 1 texts, and 2 expected"):
        score_entities([[ADA]], [[ADA], []])
