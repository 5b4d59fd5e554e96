"""Entities marked in their text: as HTML for the page, and in colour for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from rich.text import Text

from showtell.pipelines.answers import Entity
from showtell.pipelines.media.text import printable

# A terminal's own colours, which its user can read. The page has colours of its own for the same labels.
COLOURS = {"PER": "magenta", "LOC": "green", "ORG": "cyan", "MISC": "yellow"}
OTHER_COLOUR = "blue"


def draw(text: str, answer: Sequence[Entity]) -> str:
    """The HTML of a text, its entities marked, each with its label and its score."""
    marked = "".join(
        escape(piece) if entity is None else _mark(piece, entity) for piece, entity in _pieces(text, answer)
    )
    return f'<article class="entities">\n<p class="text" dir="auto">{marked}</p>\n</article>'


def paint(text: str, answer: Sequence[Entity]) -> Text:
    """The text for a terminal, its entities in colour, after each its label and its score."""
    painted = Text()
    for piece, entity in _pieces(text, answer):
        if entity is None:
            painted.append(piece)
        else:
            colour = COLOURS.get(entity["entity_group"], OTHER_COLOUR)
            painted.append(piece, f"bold underline {colour}")
            painted.append(f" {entity['entity_group']} {entity['score']:.2f}", colour)
    return painted


def _pieces(text: str, answer: Sequence[Entity]) -> Iterator[tuple[str, Entity | None]]:
    """The text in parts that are an entity or none, as they can be shown."""
    shown, end = printable(text), 0
    for entity in answer:
        yield shown[end : entity["start"]], None
        end = entity["end"]
        yield shown[entity["start"] : end], entity
    yield shown[end:], None


def _mark(piece: str, entity: Entity) -> str:
    label = escape(entity["entity_group"])
    told = f"<bdi>{label} <span>{entity['score']:.2f}</span></bdi>"
    return f'<mark data-label="{label}">{escape(piece)}&nbsp;{told}</mark>'
