from __future__ import annotations

from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from showtell.decoders.tags import (
    SCHEMES,
    Scheme,
    Span,
    allowed_transitions,
    find_spans,
    tag_set,
    write_spans,
)
from showtell.errors import InputError

LABELS = ["PER", "LOC"]
ANY_TAGS = st.lists(st.sampled_from(["O", *(f"{p}-{label}" for p in "BIES" for label in LABELS)]), max_size=12)
EVERY_SCHEME = pytest.mark.parametrize("scheme", SCHEMES)

# Ada Lovelace left New York City Paris
SPANS = [Span(0, 2, "PER"), Span(3, 6, "LOC"), Span(6, 7, "LOC")]
WRITTEN = {
    "IOB1": "I-PER I-PER O I-LOC I-LOC I-LOC B-LOC",
    "BIO": "B-PER I-PER O B-LOC I-LOC I-LOC B-LOC",
    "BIOES": "B-PER E-PER O B-LOC I-LOC E-LOC S-LOC",
}


@st.composite
def sentences(draw: st.DrawFn) -> tuple[int, list[Span]]:
    """A length, and spans that lie apart within it."""
    spans, end = [], 0
    for gap, length, label in draw(
        st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4), st.sampled_from(LABELS)), max_size=5)
    ):
        spans.append(Span(end + gap, end + gap + length, label))
        end += gap + length
    return end + draw(st.integers(0, 2)), spans


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_every_scheme_is_read_without_being_named(written: str) -> None:
    assert find_spans(written.split()) == SPANS


@EVERY_SCHEME
def test_spans_are_written_in_either_scheme(scheme: Scheme) -> None:
    assert write_spans(SPANS, 7, scheme=scheme) == WRITTEN[scheme].split()


@EVERY_SCHEME
@given(sentence=sentences())
def test_what_is_written_is_read_back(scheme: Scheme, sentence: tuple[int, list[Span]]) -> None:
    length, spans = sentence
    tags = write_spans(spans, length, scheme=scheme)
    assert len(tags) == length
    assert find_spans(tags) == spans


@given(tags=ANY_TAGS)
def test_tags_that_break_the_rules_are_read_as_conlleval_reads_them(tags: list[str]) -> None:
    assert find_spans(tags) == [Span(first, last + 1, label) for label, first, last in get_entities(tags)]


@EVERY_SCHEME
@pytest.mark.parametrize("length", [1, 2, 3])
def test_allowed_are_just_the_sequences_that_the_scheme_writes(scheme: Scheme, length: int) -> None:
    tags = tag_set(LABELS, scheme=scheme)
    allowed = allowed_transitions(tags, scheme=scheme)
    for sequence in product(range(len(tags)), repeat=length):
        steps = all(allowed.transitions[pair] for pair in pairwise(sequence))
        names = [tags[tag] for tag in sequence]
        is_allowed = bool(allowed.start[sequence[0]] and steps and allowed.end[sequence[-1]])
        assert is_allowed == (write_spans(find_spans(names), length, scheme=scheme) == names)


def test_a_set_of_tags_has_o_first() -> None:
    assert tag_set(["X", "Y"], scheme="BIO") == ["O", "B-X", "I-X", "B-Y", "I-Y"]
    assert tag_set(["X"]) == ["O", "B-X", "I-X", "E-X", "S-X"]


def test_a_label_may_hold_a_hyphen() -> None:
    assert find_spans(["B-work-of-art", "I-work-of-art"]) == [Span(0, 2, "work-of-art")]


@pytest.mark.parametrize("tag", ["", "o", "PER", "B-", "-PER", "X-PER", "BI-PER", "O-PER", "b-PER"])
def test_what_is_no_tag_is_an_input_error(tag: str) -> None:
    with pytest.raises(InputError, match=r"is no tag; O, or one of B, I, E and S with a hyphen and a label, would do"):
        find_spans(["O", tag])


@pytest.mark.parametrize("span", [Span(2, 2, "X"), Span(-1, 1, "X"), Span(3, 6, "X"), Span(0, 2, "X")])
def test_a_span_that_cannot_be_written_is_an_input_error(span: Span) -> None:
    with pytest.raises(InputError, match="each of one of the 5 words or more, would do"):
        write_spans([Span(1, 2, "X"), span], 5)
