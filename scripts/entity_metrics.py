"""How well entities are found: strict precision, recall and F1 as conlleval and seqeval count, and partial matches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TypedDict

from showtell.decoders.tags import Span
from showtell.errors import InputError


class Agreement(TypedDict):
    """How far what was found agrees with what was expected.

    precision, recall, f1: of entities whose start, end and label are all right.
    partial_precision, partial_recall, partial_f1: of entities that overlap one of the same label.
    found, expected: how many there are. A share of none is 0.
    """

    precision: float
    recall: float
    f1: float
    partial_precision: float
    partial_recall: float
    partial_f1: float
    found: int
    expected: int


class EntityScores(Agreement):
    """The agreement over all entities, and that of each label by its name."""

    labels: dict[str, Agreement]


def score_entities(found: Sequence[Sequence[Span]], expected: Sequence[Sequence[Span]]) -> EntityScores:
    """Score the entities found in each text against those that people marked there.

    found, expected: for each text, in the same order, its entities. Starts and ends may count words or characters,
    the same in both; on words these are the figures of conlleval (Tjong Kim Sang and De Meulder 2003).

    Raises `InputError` where the texts do not pair up.
    """
    if len(found) != len(expected):
        raise InputError(f"entities of {len(found)} texts, and {len(expected)} expected; as many of both would do.")
    names = sorted({span.label for spans in (*found, *expected) for span in spans})
    labels = {name: agreement(_with_label(found, name), _with_label(expected, name)) for name in names}
    return {**agreement(found, expected), "labels": labels}


def agreement(found: Sequence[Sequence[Span]], expected: Sequence[Sequence[Span]]) -> Agreement:
    """The agreement of texts that pair up."""
    pairs = list(zip(found, expected, strict=True))
    founds, expecteds = sum(map(len, found)), sum(map(len, expected))
    correct = sum((Counter(ours) & Counter(theirs)).total() for ours, theirs in pairs)
    precision, recall = _share(correct, founds), _share(correct, expecteds)
    partial_precision = _share(sum(_touching(ours, theirs) for ours, theirs in pairs), founds)
    partial_recall = _share(sum(_touching(theirs, ours) for ours, theirs in pairs), expecteds)
    return {
        "precision": precision,
        "recall": recall,
        "f1": _harmonic_mean(precision, recall),
        "partial_precision": partial_precision,
        "partial_recall": partial_recall,
        "partial_f1": _harmonic_mean(partial_precision, partial_recall),
        "found": founds,
        "expected": expecteds,
    }


def _with_label(texts: Sequence[Sequence[Span]], label: str) -> list[list[Span]]:
    return [[span for span in spans if span.label == label] for spans in texts]


def _touching(spans: Sequence[Span], others: Sequence[Span]) -> int:
    """How many of the spans overlap one of the others that has the same label."""
    return sum(
        any(span.label == other.label and span.start < other.end and other.start < span.end for other in others)
        for span in spans
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _harmonic_mean(a: float, b: float) -> float:
    return 2 * a * b / (a + b) if a + b else 0.0
