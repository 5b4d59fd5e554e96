"""The page: a template, and in it one section a task."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template

TEMPLATE = Path(__file__).with_name("page.html")


@dataclass(frozen=True)
class Section:
    """The answers of one task.

    title, summary: plain text, escaped here.
    drawings: HTML, one piece an answer, by the task's own module in this folder, which escapes its texts.
    """

    title: str
    summary: str
    drawings: list[str]


def write_report(path: Path, sections: list[Section]) -> None:
    """Write the sections as one HTML file that needs nothing else: no network, no script, no second file."""
    template = Template(TEMPLATE.read_text(encoding="utf-8"))
    page = template.substitute(sections="\n".join(_section(section) for section in sections))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")


def _section(section: Section) -> str:
    return (
        f"<section>\n<h2>{escape(section.title)}</h2>\n"
        f'<p class="summary">{escape(section.summary)}</p>\n' + "\n".join(section.drawings) + "\n</section>"
    )
