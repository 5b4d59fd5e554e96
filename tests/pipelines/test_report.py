"""The report is one page that fetches nothing, trusts no text, and shows where the model looked."""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from showtell.pipelines.report import photograph
from showtell.pipelines.report.page import Section, write_report

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "pipelines" / "samples").glob("*.jpg"))
WORDS = ["a", "brown", "dog", "runs", "through", "the", "tall", "green", "grass", "after", "a", "red", "ball"]
GREY = Image.new("RGB", (320, 240), (120, 120, 120))


class Page(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def pictures(self) -> list[Image.Image]:
        sources = [attributes["src"] or "" for tag, attributes in self.tags if tag == "img"]
        return [Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) for source in sources]


def looking_at(row: int, column: int, *, rows: int = 7, columns: int = 7) -> np.ndarray:
    """Attention that rests on one position of the grid."""
    attention = np.zeros((rows, columns))
    attention[row, column] = 1
    return attention


def caption(words: Sequence[str] = WORDS, **more: object) -> dict[str, object]:
    attention = np.stack([looking_at(index % 7, index % 7) for index in range(len(words))])
    return {"generated_text": " ".join(words), "score": 0.54, "attention": attention, **more}


@pytest.fixture(scope="module")
def samples_page(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    scores = [0.5] * len(WORDS)
    drawings = [photograph.draw(Image.open(sample), caption(word_scores=scores)) for sample in SAMPLES]
    write_report(path, [Section("Photographs", "What was seen.", drawings)])
    return path.read_text(encoding="utf-8")


def test_the_page_refers_to_nothing_outside_itself(samples_page: str):
    page = Page(samples_page)
    references = [
        value or ""
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "data", "poster")
    ]
    assert references
    assert all(reference.startswith("data:image/jpeg;base64,") for reference in references)
    assert not re.search(r"https?://|url\(|@import", samples_page)
    assert {"script", "link", "iframe", "object"}.isdisjoint(tag for tag, _ in page.tags)


def test_the_page_forbids_the_browser_to_fetch_anything(samples_page: str):
    policies = [tag["content"] for name, tag in Page(samples_page).tags if name == "meta" and "http-equiv" in tag]
    assert policies
    assert (policies[0] or "").startswith("default-src 'none'")


def test_a_page_of_all_samples_stays_small(samples_page: str):
    assert len(samples_page) < 1_500_000


def test_a_caption_is_text_whatever_it_says(tmp_path: Path):
    hostile = '<script>alert("1")</script> $sections &amp; \'" onload=x'
    answer = caption(hostile.split())
    path = tmp_path / "report.html"
    write_report(path, [Section(hostile, hostile, [photograph.draw(GREY, answer)])])
    page = Page(path.read_text(encoding="utf-8"))
    assert "script" not in {tag for tag, _ in page.tags}
    assert not any("onload" in attributes for _, attributes in page.tags)
    assert page.text.count(hostile) == 3
    assert hostile in {attributes.get("alt") for _, attributes in page.tags}


def test_sections_stand_in_order(tmp_path: Path):
    path = tmp_path / "new folder" / "report.html"
    write_report(path, [Section("First", "One.", ["<p>drawn</p>"]), Section("Second", "Two.", [])])
    text = Page(path.read_text(encoding="utf-8")).text
    assert text.index("First") < text.index("One.") < text.index("drawn") < text.index("Second")


def test_each_word_has_a_tile_and_its_probability():
    words = ["a", "dog", "runs"]
    page = Page(photograph.draw(GREY, caption(words, word_scores=np.array([0.25, 0.5, 0.75]))))
    assert len(page.pictures()) == 1 + len(words)
    assert re.findall(r"[a-z]+\d\.\d\d", page.text.partition("score")[2]) == ["a0.25", "dog0.50", "runs0.75"]


def test_attention_may_be_nested_lists():
    attention = [looking_at(0, 0).tolist(), looking_at(6, 6).tolist()]
    as_lists = photograph.draw(GREY, caption(["a", "dog"], attention=attention))
    assert as_lists == photograph.draw(GREY, caption(["a", "dog"], attention=np.array(attention)))


def test_a_word_without_attention_shows_the_plain_photograph():
    html = photograph.draw(GREY, caption(["a", "dog"], attention=looking_at(0, 0)[np.newaxis]))
    _, lit, plain = Page(html).pictures()
    assert np.ptp(np.asarray(lit)) > 50
    assert np.ptp(np.asarray(plain)) == 0


def test_attention_beyond_the_last_word_is_not_drawn():
    html = photograph.draw(GREY, caption(["a"], attention=np.stack([looking_at(0, 0), looking_at(6, 6)])))
    assert len(Page(html).pictures()) == 2


@pytest.mark.parametrize("text", ["a dog", ""])
def test_a_caption_without_attention_has_no_tiles(text: str):
    page = Page(photograph.draw(GREY, {"generated_text": text, "score": 0.54}))
    assert len(page.pictures()) == 1
    assert "0.54" in page.text


@pytest.mark.parametrize("brightness", [10, 120, 245])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_attention_brightens_where_it_rests(brightness: int, mode: str):
    image = Image.new("L", (320, 200), brightness).convert(mode)
    html = photograph.draw(image, caption(["left", "right"], attention=[looking_at(3, 1), looking_at(3, 5)]))
    _, *tiles = Page(html).pictures()
    for tile, (seen, other) in zip(tiles, [(1, 5), (5, 1)], strict=True):
        columns = np.array_split(np.asarray(tile, dtype=float), 7, axis=1)
        assert columns[seen].mean() > columns[other].mean() + 5


def test_tiles_keep_the_shape_of_the_photograph():
    html = photograph.draw(Image.new("RGB", (1200, 600)), caption(["a"]))
    picture, tile = Page(html).pictures()
    assert picture.size == (640, 320)
    assert tile.size == (160, 80)


def test_attention_spread_evenly_lights_nothing_more_than_the_rest():
    even = photograph.light(GREY, np.full((7, 7), 1 / 49))
    resting = photograph.light(GREY, looking_at(3, 3))
    assert np.ptp(np.asarray(even), axis=(0, 1)).max() == 0
    assert np.asarray(even).max() < np.asarray(resting).max()


def test_the_light_falls_off_smoothly():
    row = np.asarray(photograph.light(GREY, looking_at(3, 3)), dtype=float)[120].mean(axis=1)
    assert np.abs(np.diff(row)).max() < 0.1 * np.ptp(row)
    assert math.isclose(row.argmax(), 160, abs_tol=2)


def test_the_samples_are_small_photographs():
    assert len(SAMPLES) == 5
    for sample in SAMPLES:
        assert sample.stat().st_size < 60_000
        assert max(Image.open(sample).size) <= 500
