"""Subtitles: the words of a recording in cues of a few seconds, as SRT or as WebVTT (w3.org/TR/webvtt1)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

from showtell.pipelines.answers import TranscriptChunk

# What can be read without haste: two lines of so many characters, for so long; broadcasters ask for about these.
LINE_CHARACTERS = 42
LONGEST_SECONDS = 7.0
# A cue stays so long, unless the next one begins.
SHORTEST_SECONDS = 1.0
# A pause of so many seconds ends a cue.
PAUSE_SECONDS = 0.8


class Cue(NamedTuple):
    """Lines that are shown from `start` to `end`, in seconds."""

    start: float
    end: float
    lines: list[str]


def to_srt(words: Sequence[TranscriptChunk]) -> str:
    """The words of a recording as a SubRip file, the blank line after its last cue left out."""
    return "\n".join(
        f"{number}\n{clock(cue.start, ',')} --> {clock(cue.end, ',')}\n" + "".join(f"{line}\n" for line in cue.lines)
        for number, cue in enumerate(cues(words), start=1)
    )


def to_vtt(words: Sequence[TranscriptChunk]) -> str:
    """The words of a recording as a WebVTT file."""
    return "WEBVTT\n" + "".join(
        f"\n{clock(cue.start, '.')} --> {clock(cue.end, '.')}\n"
        + "".join(f"{escape(line, quote=False)}\n" for line in cue.lines)
        for cue in cues(words)
    )


def clock(seconds: float, point: str) -> str:
    """A time as hours, minutes, seconds and milliseconds."""
    rest, milliseconds = divmod(round(seconds * 1000), 1000)
    rest, second = divmod(rest, 60)
    hour, minute = divmod(rest, 60)
    return f"{hour:02}:{minute:02}:{second:02}{point}{milliseconds:03}"


def cues(words: Sequence[TranscriptChunk]) -> Iterator[Cue]:
    """The words in cues, each as full as may be; a cue holds at least one word, however long that is.

    words: in order, as `return_timestamps="word"` gives them.
    """
    groups = list(group(words))
    starts = [shown[0]["timestamp"][0] for shown in groups]
    for shown, start, following in zip(groups, starts, [*starts[1:], math.inf], strict=False):
        end = max(shown[-1]["timestamp"][1], min(start + SHORTEST_SECONDS, following))
        yield Cue(start, end, wrap([word["text"] for word in shown]))


def group(words: Sequence[TranscriptChunk]) -> Iterator[list[TranscriptChunk]]:
    """Words that are shown together."""
    shown: list[TranscriptChunk] = []
    for word in words:
        if shown:
            pause = round(word["timestamp"][0] - shown[-1]["timestamp"][1], 3)
            seconds = word["timestamp"][1] - shown[0]["timestamp"][0]
            lines = wrap([one["text"] for one in (*shown, word)])
            longest = max(map(len, lines))
            if pause >= PAUSE_SECONDS or seconds > LONGEST_SECONDS or longest > LINE_CHARACTERS:
                yield shown
                shown = []
        shown.append(word)
    if shown:
        yield shown


def wrap(texts: Sequence[str]) -> list[str]:
    """Words as one line if they fit, or as the two that are most alike in length."""
    line = " ".join(texts)
    if len(line) <= LINE_CHARACTERS or len(texts) == 1:
        return [line]
    breaks = [(" ".join(texts[:place]), " ".join(texts[place:])) for place in range(1, len(texts))]
    return list(min(breaks, key=lambda lines: max(map(len, lines))))
