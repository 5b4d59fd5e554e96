"""How good entities are: the public pipeline's, in running text and in lists of words."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from showtell.decoders.tags import Span, find_spans
from showtell.pipelines.media.text import join_words
from showtell.pipelines.token_classification import TokenClassification
from showtell.scripts.datasets.conll import read_conll, read_marked_texts
from showtell.scripts.entity_metrics import score_entities


def read_entities(data: str | Path) -> tuple[list[str | list[str]], list[list[Span]]]:
    """Texts and the entities that people marked in them: JSON lines, or CoNLL's columns as lists of words."""
    if ".jsonl" in Path(data).suffixes:
        marked = read_marked_texts(data)
        expected = [[Span(one.start, one.end, one.type) for one in text.entities] for text in marked]
        return [text.text for text in marked], expected
    sentences = read_conll(data)
    expected = [in_characters(find_spans(sentence.tags), sentence.words) for sentence in sentences]
    return [list(sentence.words) for sentence in sentences], expected


def evaluate_entities(
    tagger: TokenClassification,
    texts: Sequence[str | list[str]],
    expected: Sequence[Sequence[Span]],
    among: Sequence[str] | None = None,
) -> dict[str, Any]:
    """The figures of `score_entities` for texts, or lists of words, and the entities that people marked in them.

    expected: by their characters, or by those of the words with single spaces between them.
    """
    start = perf_counter()
    split = bool(texts) and not isinstance(texts[0], str)
    answers = tagger(list(texts), words=split, progress=sys.stderr.isatty())
    seconds = perf_counter() - start
    found = [[Span(one["start"], one["end"], one["entity_group"]) for one in answer] for answer in answers]
    if among:
        found, expected = (
            [[span for span in spans if span.label in among] for spans in each] for each in (found, expected)
        )
    return {**score_entities(found, expected), "texts": len(texts), "texts_per_second": len(texts) / seconds}


def in_characters(spans: Sequence[Span], words: Sequence[str]) -> list[Span]:
    """Where spans of words stand when single spaces part the words."""
    offsets = join_words(words).offsets
    return [Span(offsets[span.start][0], offsets[span.end - 1][1], span.label) for span in spans]
