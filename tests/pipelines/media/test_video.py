"""So many frames evenly by presentation time: from every container, however its times, its keyframes and its header."""

from __future__ import annotations

import io
import shutil
import struct
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from showtell.errors import InputError, MediaError
from showtell.pipelines.media.video import Clip, by_number, read_video, read_windows
from showtell.pipelines.media.video_file import VideoFile

MEDIA = Path(__file__).parents[2] / "media"
CONTAINERS = ["mp4", "mov", "mkv", "webm", "avi", "ts", "flv", "wmv", "mpg", "gif", "h264"]
WriteVideo = Callable[..., Path]
Places = Callable[[np.ndarray], list[int]]


def patched(file: Path, box: bytes, offset: int, form: str, *values: int) -> Path:
    """A copy of an MP4 file with other values in its box of that name, so many bytes after the name."""
    data = bytearray(file.read_bytes())
    struct.pack_into(form, data, data.index(box) + len(box) + offset, *values)
    copy = file.with_stem(f"{file.stem}-{box.decode()}")
    copy.write_bytes(data)
    return copy


@pytest.fixture(scope="module")
def clip(write_video: WriteVideo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty frames, three seconds."""
    return write_video(tmp_path_factory.mktemp("video") / "clip.mp4")


@pytest.mark.parametrize("container", CONTAINERS)
def test_frames_lie_evenly_over_the_whole_clip_in_every_container(
    container: str, write_video: WriteVideo, places: Places, tmp_path: Path
) -> None:
    clip = read_video(write_video(tmp_path / f"clip.{container}"), frames=4, size=6)
    assert clip.pixels.shape == (4, 6, 6, 3) and clip.pixels.dtype == np.uint8
    assert places(clip.pixels) == [3, 11, 18, 26]
    assert (clip.start, clip.end) == (0, pytest.approx(1.2 if container == "mpg" else 3))


@pytest.mark.parametrize(
    ("container", "keyframes"),
    [("mp4", 1), ("mp4", 250), ("ts", 250), *((one, 10) for one in CONTAINERS if one != "mpg")],
)
def test_seeking_finds_the_frames_that_decoding_all_would(
    container: str, keyframes: int, write_video: WriteVideo, places: Places, tmp_path: Path
) -> None:
    file = write_video(tmp_path / f"long.{container}", frames=300, keyframes=keyframes)
    expected = [round(300 * (place + 0.5) / 7 - 0.5) % 32 for place in range(7)]
    assert places(read_video(file, frames=7, size=8).pixels) == expected


def test_of_a_long_recording_only_the_parts_that_are_asked_for_are_decoded(
    write_video: WriteVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_video(tmp_path / "long.mp4", frames=600, keyframes=10)
    decoded: list[tuple[int, int]] = []
    monkeypatch.setattr(VideoFile, "check_pixels", lambda self, width, height: decoded.append((width, height)))
    read_video(file, frames=4, size=8)
    assert len(decoded) < 100


def test_frames_are_taken_by_their_times_and_not_by_their_number(
    write_video: WriteVideo, places: Places, tmp_path: Path
) -> None:
    file = write_video(tmp_path / "uneven.mp4", times=[0, 0.1, 0.2, 0.3, 2.0, 3.9])
    assert places(read_video(file, frames=8, size=6).pixels) == [2, 3, 3, 3, 4, 4, 4, 4]


@pytest.mark.parametrize("seconds", [0, 1, 36_000])
@pytest.mark.parametrize("boxes", [["mvhd"], ["mdhd"], ["mvhd", "mdhd", "tkhd"]], ids="-".join)
def test_a_header_that_tells_another_length_is_not_believed(
    boxes: Sequence[str], seconds: int, clip: Path, places: Places, tmp_path: Path
) -> None:
    file = tmp_path / "clip.mp4"
    shutil.copy(clip, file)
    # Where each box has its length, and the units of it in a second.
    where = {"mvhd": (16, 1000), "mdhd": (16, 10_240), "tkhd": (24, 1000)}
    for box in boxes:
        file = patched(file, box.encode(), where[box][0], ">I", seconds * where[box][1])
    read = read_video(file, frames=4, size=6)
    assert places(read.pixels) == [3, 11, 18, 26]
    assert read.end == pytest.approx(3, abs=0.4)


TURNS = {
    "quarter to the right": ((0, 1, -1, 0), lambda pixels: np.rot90(pixels, -1, (1, 2))),
    "half": ((-1, 0, 0, -1), lambda pixels: np.rot90(pixels, 2, (1, 2))),
    "quarter to the left": ((0, -1, 1, 0), lambda pixels: np.rot90(pixels, 1, (1, 2))),
    "mirrored": ((-1, 0, 0, 1), lambda pixels: pixels[:, :, ::-1]),
    "upside down": ((1, 0, 0, -1), lambda pixels: pixels[:, ::-1]),
    "mirrored and turned": ((0, 1, 1, 0), lambda pixels: pixels.swapaxes(1, 2)),
}


@pytest.mark.parametrize("turn", TURNS)
def test_a_clip_is_turned_as_its_display_matrix_tells(turn: str, write_video: WriteVideo, tmp_path: Path) -> None:
    cat = np.asarray(Image.open(MEDIA / "cat.jpg").convert("RGB").resize((32, 32)))
    stored = write_video(tmp_path / "cat.mp4", pictures=[cat, cat])
    (a, b, c, d), expected = TURNS[turn]
    matrix = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30]
    shown = read_video(patched(stored, b"tkhd", 40, ">9i", *matrix), frames=2, size=16).pixels
    np.testing.assert_array_equal(shown, expected(read_video(stored, frames=2, size=16).pixels))


def test_every_way_to_hand_in_a_clip_gives_the_same(clip: Path) -> None:
    expected = read_video(clip, frames=4, size=6).pixels
    data = clip.read_bytes()
    for source in (str(clip), data, bytearray(data), io.BytesIO(data), {"video": clip}, {"path": str(clip)}):
        np.testing.assert_array_equal(read_video(source, frames=4, size=6).pixels, expected)
    np.testing.assert_array_equal(read_video({"bytes": data, "path": None}, frames=4, size=6).pixels, expected)
    with clip.open("rb") as opened:
        np.testing.assert_array_equal(read_video(opened, frames=4, size=6).pixels, expected)


def grey(place: int) -> np.ndarray:
    return np.full((20, 30, 3), 8 * place + 4, np.uint8)


@pytest.mark.parametrize(
    ("count", "expected"), [(30, [3, 11, 18, 26]), (4, [0, 1, 2, 3]), (2, [0, 0, 1, 1]), (1, [0] * 4)]
)
def test_arrays_and_folders_are_sampled_alike(count: int, expected: list[int], places: Places, tmp_path: Path) -> None:
    frames = np.stack([grey(place) for place in range(count)])
    for place, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / f"frame_{place}.png")
    (tmp_path / "notes.txt").touch()
    for source in (frames, frames / 255, frames.astype(np.uint16) * 257, frames[..., :1], tmp_path, str(tmp_path)):
        clip = read_video(source, frames=4, size=6)
        assert places(clip.pixels) == expected
        assert (clip.start, clip.end) == (0, 0)


def test_pictures_stand_in_the_order_of_the_numbers_in_their_names() -> None:
    names = ["frame_10.png", "frame_9.png", "Frame_2b.png", "frame_2a.png"]
    assert sorted(names, key=by_number) == ["frame_2a.png", "Frame_2b.png", "frame_9.png", "frame_10.png"]
    assert by_number("9 10") < by_number("a 1")


def test_a_video_of_one_frame_is_that_frame_again_and_again(
    write_video: WriteVideo, places: Places, tmp_path: Path
) -> None:
    assert places(read_video(write_video(tmp_path / "one.mp4", frames=1), frames=4, size=6).pixels) == [0] * 4


def test_a_clip_in_8k_is_squeezed(places: Places) -> None:
    assert places(read_video(MEDIA / "8k.mp4", frames=2, size=6).pixels) == [0, 1]


# Windows.


def windows(file: Path, **options: Any) -> list[Clip]:
    return list(read_windows(file, frames=4, size=6, **options))


def test_windows_follow_each_other_and_the_last_ends_with_the_recording(clip: Path, places: Places) -> None:
    read = windows(clip, window_seconds=1, stride_seconds=0.75)
    assert [(one.start, one.end) for one in read] == [(0, 1), (0.75, 1.75), (1.5, 2.5), (2.0, 3.0)]
    assert [places(one.pixels) for one in read] == [[1, 3, 6, 8], [8, 11, 13, 16], [16, 18, 21, 23], [21, 23, 26, 28]]
    assert [one.start for one in windows(clip, window_seconds=1, stride_seconds=1)] == [0, 1, 2]


@settings(max_examples=30)
@given(window=st.floats(0.2, 4), stride=st.floats(0.01, 4))
def test_windows_leave_nothing_out_unless_they_are_told_to(clip: Path, window: float, stride: float) -> None:
    read = windows(clip, window_seconds=window, stride_seconds=stride)
    step = window / 4
    assert read[0].start == 0
    assert abs(read[-1].end - 3) <= step
    for one, following in pairwise(read):
        assert one.end - one.start == pytest.approx(window, abs=step / 2)  # it ends with the recording
        assert 0 < following.start - one.start <= max(stride, step) + step / 2 + 1e-9


def test_a_recording_shorter_than_a_window_is_one_window(clip: Path) -> None:
    [only] = windows(clip, window_seconds=60, stride_seconds=30)
    np.testing.assert_array_equal(only.pixels, read_video(clip, frames=4, size=6).pixels)
    assert (only.start, only.end) == (0, pytest.approx(3))


def test_a_window_longer_than_the_distance_of_keyframes_is_sought(write_video: WriteVideo, tmp_path: Path) -> None:
    often = write_video(tmp_path / "often.mp4", frames=400, keyframes=5)
    once = write_video(tmp_path / "once.mp4", frames=400, keyframes=400)
    for one, other in zip(*(windows(f, window_seconds=16, stride_seconds=8) for f in (often, once)), strict=True):
        assert one[1:] == other[1:]
        np.testing.assert_allclose(one.pixels, other.pixels.astype(float), atol=3)


def test_pictures_without_times_have_no_windows(clip: Path) -> None:
    with pytest.raises(InputError, match=r"no times; a video file would be accepted\.$"):
        windows(np.zeros((9, 8, 8, 3), np.uint8), window_seconds=1, stride_seconds=1)  # pyright: ignore[reportArgumentType]


def test_damage_in_the_middle_of_a_recording_is_told_when_it_is_reached(
    write_video: WriteVideo, tmp_path: Path
) -> None:
    noise = list(np.random.default_rng(0).integers(0, 256, (40, 64, 64, 3), np.uint8))
    file = write_video(tmp_path / "cut.mp4", pictures=noise, size=(64, 64), keyframes=5, movflags="faststart")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    read = read_windows(file, frames=4, size=6, window_seconds=0.4, stride_seconds=0.4)
    assert next(read).end == pytest.approx(0.4)
    with pytest.raises(MediaError, match="damaged, cut short"):
        list(read)
