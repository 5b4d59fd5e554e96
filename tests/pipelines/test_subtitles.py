"""Subtitles hold every word once, in order, in cues that can be read, as players read them."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from showtell.pipelines.answers import TranscriptChunk
from showtell.pipelines.subtitles import (
    LINE_CHARACTERS,
    LONGEST_SECONDS,
    PAUSE_SECONDS,
    SHORTEST_SECONDS,
    Cue,
    clock,
    cues,
    to_srt,
    to_vtt,
)

# Letters, and what means something to WebVTT and SRT.
TEXTS = st.text("abcé字'<&->", min_size=1, max_size=60)
LENGTHS = st.integers(0, 9000)
TIME = r"(\d\d+):([0-5]\d):([0-5]\d)[.,](\d{3})"


def said(*words: tuple[str, float, float]) -> list[TranscriptChunk]:
    """Words, each with its start and its end."""
    return [TranscriptChunk(text=text, timestamp=(start, end), score=0.9) for text, start, end in words]


@st.composite
def recordings(draw: st.DrawFn) -> list[TranscriptChunk]:
    """Words that follow one another, at times of whole milliseconds."""
    time, words = 0, []
    for text, pause, length in draw(st.lists(st.tuples(TEXTS, LENGTHS, LENGTHS), max_size=40)):
        # Most pauses and words are short.
        start = time + pause * (pause % 5 == 0) // 2
        time = start + (length if length % 7 == 0 else length // 20)
        words.append((text, start / 1000, time / 1000))
    return said(*words)


def seconds(stamp: str) -> float:
    hours, minutes, rest, milliseconds = map(int, re.fullmatch(TIME, stamp).groups())  # pyright: ignore[reportOptionalMemberAccess]
    return (hours * 3_600_000 + minutes * 60_000 + rest * 1000 + milliseconds) / 1000


def parse(blocks: list[str]) -> list[Cue]:
    """Read what blocks of a time line and text lines say."""
    read = []
    for block in blocks:
        times, *lines = block.split("\n")
        start, end = times.split(" --> ")
        read.append(Cue(seconds(start), seconds(end), lines))
    return read


@given(recordings())
def test_every_word_is_shown_once_and_in_order(words: list[TranscriptChunk]) -> None:
    shown = [line for cue in cues(words) for line in cue.lines]
    assert " ".join(shown).split() == [word["text"] for word in words]


@given(recordings())
def test_cues_are_short_and_follow_one_another(words: list[TranscriptChunk]) -> None:
    end = 0.0
    for cue in cues(words):
        alone = len(" ".join(cue.lines).split()) == 1
        assert end <= cue.start <= cue.end
        assert alone or cue.end - cue.start <= LONGEST_SECONDS + 1e-9
        assert len(cue.lines) <= 2
        assert alone or max(map(len, cue.lines)) <= LINE_CHARACTERS
        end = cue.end


@given(recordings())
def test_a_word_is_shown_while_it_is_said_and_a_pause_ends_a_cue(words: list[TranscriptChunk]) -> None:
    shown = list(cues(words))
    places = [place for place, cue in enumerate(shown) for _ in " ".join(cue.lines).split()]
    for place, word in zip(places, words, strict=True):
        assert shown[place].start <= word["timestamp"][0] <= word["timestamp"][1] <= shown[place].end
    pairs = list(zip(places, words, strict=True))
    for (place, word), (next_place, following) in pairwise(pairs):
        if following["timestamp"][0] - word["timestamp"][1] >= PAUSE_SECONDS + 1e-9:
            assert next_place == place + 1


@given(recordings())
def test_files_say_what_the_cues_are(words: list[TranscriptChunk]) -> None:
    expected = [Cue(round(cue.start, 3), round(cue.end, 3), cue.lines) for cue in cues(words)]
    srt = to_srt(words)
    blocks = [block.split("\n", 1) for block in srt.removesuffix("\n").split("\n\n") if block]
    assert [number for number, _ in blocks] == [str(place) for place in range(1, len(expected) + 1)]
    assert parse([block for _, block in blocks]) == expected

    head, *blocks = to_vtt(words).removesuffix("\n").split("\n\n")
    assert head == "WEBVTT"
    for block in blocks:
        assert block.count("-->") == 1 and "<" not in block
        assert not re.search("&(?!amp;|lt;|gt;)", block)
    plain = [block.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") for block in blocks]
    assert parse(plain) == expected


def test_a_known_recording() -> None:
    words = said(("fish", 0.2, 0.5), ("&", 0.6, 0.7), ("chips", 0.8, 1.4), ("<now>", 2.2, 2.4))
    assert to_srt(words) == (
        "1\n00:00:00,200 --> 00:00:01,400\nfish & chips\n\n2\n00:00:02,200 --> 00:00:03,200\n<now>\n"
    )
    assert to_vtt(words) == (
        "WEBVTT\n\n00:00:00.200 --> 00:00:01.400\nfish &amp; chips\n\n00:00:02.200 --> 00:00:03.200\n&lt;now&gt;\n"
    )


def test_a_silent_recording_has_no_cues() -> None:
    assert to_srt([]) == ""
    assert to_vtt([]) == "WEBVTT\n"


def test_a_long_line_is_broken_near_its_middle() -> None:
    texts = ["he", "might", "even", "have", "been", "made", "amiable", "himself", "by", "now"]
    [cue] = cues(said(*((text, place / 4, (place + 1) / 4) for place, text in enumerate(texts))))
    assert cue.lines == ["he might even have been", "made amiable himself by now"]


def test_a_short_cue_stays_until_the_next_one_begins() -> None:
    words = said(("yes", 1, 1.1), ("no", 1.9, 2), ("well", 2.8, 4.5))
    times = [(cue.start, cue.end) for cue in cues(words)]
    assert times == [(1, 1.9), (1.9, 2.8), (2.8, 4.5)]
    assert [cue.end for cue in cues(words[:1])] == [1 + SHORTEST_SECONDS]


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (0, "00:00:00,000"),
        (0.0004, "00:00:00,000"),
        (59.9996, "00:01:00,000"),
        (3599.9999, "01:00:00,000"),
        (3661.042, "01:01:01,042"),
        (100 * 3600, "100:00:00,000"),
    ],
)
def test_times_are_in_hours_minutes_seconds_and_milliseconds(time: float, expected: str) -> None:
    assert clock(time, ",") == expected
