from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from showtell.decoders.ctc import Search
from showtell.pipelines.listening import Listener
from showtell.pipelines.media.log_mel import MELS

BLANK, A, B = range(3)
PAUSE = 5


def listener(lookahead: int = 7) -> Listener:
    return Listener({}, lookahead=lookahead, output="log_probs", new_search=Search, blank=BLANK, pause=PAUSE)


def said(*tokens: int) -> np.ndarray:
    """Positions in each of which one token is all but certain."""
    return np.log(np.eye(3)[list(tokens)] * 0.997 + 0.001)


SPEECH = said(A, BLANK, B, B, *[BLANK] * 8, A, BLANK, A, *[BLANK] * 4, B, *[BLANK] * 3)


def test_a_pause_makes_what_was_said_final_and_times_stay_the_recordings() -> None:
    one = listener()
    one.hear(SPEECH)
    assert [[token.token for token in segment] for segment in one.segments] == [[A, B]]
    assert [token.token for token in one.current()] == [A, A, B]  # a short pause is none
    one.end_segment()
    assert [(token.token, token.start, token.end) for segment in one.segments for token in segment] == [
        (A, 0, 1),
        (B, 2, 4),
        (A, 12, 13),
        (A, 14, 15),
        (B, 19, 20),
    ]
    assert one.current() == []


@given(st.sets(st.integers(1, len(SPEECH) - 1)))
def test_it_hears_the_same_however_the_sound_is_cut(cuts: set[int]) -> None:
    whole, parts = listener(), listener()
    whole.hear(SPEECH)
    for part in np.split(SPEECH, sorted(cuts)):
        parts.hear(part)
    assert whole.segments == parts.segments
    assert whole.current() == parts.current()


@given(st.lists(st.integers(0, 40), min_size=1, max_size=8), st.sampled_from([3, 7, 27]))
def test_each_frame_is_heard_once_with_all_that_it_looks_ahead_at(chunks: list[int], lookahead: int) -> None:
    one, heard, given_frames = listener(lookahead), [], 0
    for place, size in enumerate(chunks):
        last = place == len(chunks) - 1
        frames = np.repeat(np.arange(given_frames, given_frames + size, dtype=np.float32)[:, None], MELS, axis=1)
        given_frames += size
        if stretch := one.take(frames, last=last):
            assert last or (stretch.length % 4 == 0 and len(stretch.features) >= stretch.length + lookahead)
            heard += stretch.features[: stretch.length, 0].tolist()
    assert heard == list(range(given_frames))
