"""A classified text, drawn: its labels, and its words shaded by how much the model looked at each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from showtell.pipelines.media.text import well_formed

# A word is fully shaded from this many times its even share of the attention: where all words weigh the same,
# none must stand out.
FULL_SHADE = 4.0
FAINTEST = 0.06


def draw(text: str, answer: Sequence[Mapping[str, Any]]) -> str:
    """The HTML of one text and its labels.

    answer: the labels, best first, each with `label` and `score`. If the first has `attention`, the words of the text
    with their weights, they are shaded; white space stays as it was written.
    """
    best, *others = answer
    rows = "".join(f"<li>{escape(one['label'])} <span>{one['score']:.2f}</span></li>\n" for one in others)
    return (
        '<article class="classified">\n'
        f'<div>\n<p class="label">{escape(best["label"])}</p>\n<p class="score">score {best["score"]:.2f}</p>\n'
        + (f'<ul class="others">\n{rows}</ul>\n' if rows else "")
        + f'</div>\n<p class="text" dir="auto">{shade(well_formed(text), best.get("attention", []))}</p>\n</article>'
    )


def shade(text: str, words: Sequence[Mapping[str, Any]]) -> str:
    """The text as HTML, with a mark on each word that the model looked at.

    words: in order, each with `start`, `end` and `weight`; the weights sum to one.
    """
    pieces: list[str] = []
    written = 0
    full = max([word["weight"] for word in words] + [FULL_SHADE / len(words)]) if words else 1.0
    for word in words:
        strength = word["weight"] / full
        if strength >= FAINTEST:
            pieces.append(escape(text[written : word["start"]]))
            marked = escape(text[word["start"] : word["end"]])
            pieces.append(f'<mark style="--weight:{strength:.2f}" title="{word["weight"]:.1%}">{marked}</mark>')
            written = word["end"]
    return "".join([*pieces, escape(text[written:])])
