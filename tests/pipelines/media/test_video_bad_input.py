"""What is no video is one typed error, and nothing outside the file is opened."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from showtell.errors import InputError, MediaError
from showtell.pipelines.media.limits import MediaLimits
from showtell.pipelines.media.source import describe
from showtell.pipelines.media.video import read_video, read_windows

MEDIA = Path(__file__).parents[2] / "media"
WriteVideo = Callable[..., Path]
TEXTS = {
    "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:3,\nclip.ts\n#EXT-X-ENDLIST\n",
    "list.ffconcat": "ffconcat version 1.0\nfile clip.mp4\n",
    "list.mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>clip.mp4</BaseURL></MPD>',
    "call.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
    "text.mp4": "These are words and no pictures.",
    "drawing.mp4": '<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9"/></svg>',
}


@pytest.fixture(scope="module")
def folder(write_video: WriteVideo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that are no videos, or no whole ones, beside those that some of them lead to."""
    folder = tmp_path_factory.mktemp("bad")
    clip = write_video(folder / "clip.mp4")
    write_video(folder / "clip.ts")
    for name, text in TEXTS.items():
        (folder / name).write_text(text)
    data = clip.read_bytes()
    (folder / "truncated.mp4").write_bytes(data[: len(data) // 2])
    (folder / "header_only.mp4").write_bytes(data[:40])
    (folder / "empty.mp4").touch()
    noise = list(np.random.default_rng(0).integers(0, 256, (9, 64, 64, 3), np.uint8))
    faststart = write_video(folder / "cut.mp4", pictures=noise, size=(64, 64), movflags="faststart")
    faststart.write_bytes(faststart.read_bytes()[:-9000])
    for name in ("picture.jpg", "picture.png", "picture.webp", "picture.bmp", "picture.tiff"):
        Image.open(MEDIA / "cat.jpg").save(folder / name)
    (folder / "picture.mp4").write_bytes((MEDIA / "cat.jpg").read_bytes())
    for name in ("carry.mp3", "carry.m4a"):
        (folder / name).write_bytes((MEDIA / name).read_bytes())
    with av.open(str(folder / "covered.m4a"), "w", format="mp4") as container:
        cover: Any = container.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 8, 8, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic  # pyright: ignore[reportAttributeAccessIssue]
        container.mux(cover.encode(av.VideoFrame(8, 8, "rgb24")))
        container.mux(cover.encode(None))
    with av.open(str(folder / "no_frames.avi"), "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height = 16, 16
        container.start_encoding()
    (folder / "no pictures").mkdir()
    return folder


BAD = [
    *TEXTS,
    "truncated.mp4", "header_only.mp4", "empty.mp4", "cut.mp4",
    "picture.jpg", "picture.png", "picture.webp", "picture.bmp", "picture.tiff", "picture.mp4",
    "carry.mp3", "carry.m4a", "covered.m4a", "no_frames.avi", "no pictures", "missing.mp4",
]  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_is_no_whole_video_is_a_media_error_that_names_it(name: str, folder: Path) -> None:
    sources: list[Any] = [folder / name]
    if (folder / name).is_file():
        sources.append((folder / name).read_bytes())
    for source in sources:
        with pytest.raises(MediaError) as caught:
            read_video(source, frames=4, size=8)
        message = str(caught.value)
        assert message.startswith(f"{describe(source)}: ") and "\n" not in message
        assert message.endswith((" would be accepted.", " would do."))


@pytest.mark.parametrize("name", ["carry.m4a", "covered.m4a"])
def test_sound_is_no_video_whatever_its_cover(name: str, folder: Path) -> None:
    with pytest.raises(MediaError, match="no moving pictures"):
        read_video(folder / name, frames=4, size=8)


@pytest.mark.parametrize(
    "source", [None, True, 5, [], object(), "", "http://x.org/a.mp4", "file:///etc/passwd", "rtsp://x"]
)
def test_what_is_no_video_is_an_input_error(source: object) -> None:
    for handed_in in (source, {"video": source}):
        with pytest.raises(InputError, match=r"would be accepted\.$"):
            read_video(handed_in, frames=4, size=8)


@pytest.mark.parametrize("shape", [(0, 8, 8, 3), (8, 8, 3), (8, 8), (2, 0, 8, 3), (2, 8, 8, 2), (1, 2, 8, 8, 3)])
def test_an_array_that_is_no_video_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"^the ndarray given: .* would be accepted\.$"):
        read_video(np.zeros(shape, np.uint8), frames=4, size=8)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(MediaError, match="pipe or a device"):
        read_video(tmp_path / "pipe.mp4", frames=4, size=8)


def test_limits_hold(folder: Path) -> None:
    clip = folder / "clip.mp4"
    with pytest.raises(MediaError, match=r"too large, 32 x 24; a video of at most 700 pixels a picture would"):
        read_video(clip, frames=4, size=8, limits=MediaLimits(max_video_pixels=700))
    with pytest.raises(MediaError, match="known kind"):
        read_video(clip, frames=4, size=8, limits=MediaLimits(video_formats=("avi",)))
    small = MediaLimits(max_video_bytes=100)
    for held in (clip.read_bytes(), io.BytesIO(clip.read_bytes())):
        with pytest.raises(MediaError, match="at most 100 bytes"):
            read_video(held, frames=4, size=8, limits=small)
    assert len(read_video(clip, frames=4, size=8, limits=small).pixels) == 4  # is not held in memory
    with pytest.raises(InputError, match="video_formats="):
        MediaLimits(video_formats=("hls",))


@pytest.mark.parametrize("container", ["mkv", "webm", "avi", "ts", "flv"])
def test_of_a_recording_that_broke_off_what_is_there_is_the_whole(
    container: str, write_video: WriteVideo, places: Callable[[np.ndarray], list[int]], tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).integers(-40, 41, (30, 64, 64, 3))
    pictures = [(noise[place] + 8 * place + 4).clip(0, 255).astype(np.uint8) for place in range(30)]
    file = write_video(tmp_path / f"clip.{container}", pictures=pictures, size=(64, 64), keyframes=1)
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 6 // 10])
    first, *_, last = places(read_video(file, frames=8, size=8).pixels)
    assert first <= 2 and 12 <= last <= 20


@pytest.mark.parametrize("container", ["mp4", "mkv", "avi", "ts", "gif"])
@settings(max_examples=25)
@given(
    damage=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8),
    kept=st.floats(0.01, 1),
)
def test_a_damaged_file_is_read_or_is_a_media_error(
    container: str, damage: list[tuple[float, int]], kept: float, samples: dict[str, bytes]
) -> None:
    data = bytearray(samples[container])
    for where, value in damage:
        data[int(where * len(data))] = value
    data = bytes(data[: int(kept * len(data)) + 1])
    limits = MediaLimits(max_video_pixels=10**6)
    with contextlib.suppress(MediaError):
        assert read_video(data, frames=3, size=8, limits=limits).pixels.shape == (3, 8, 8, 3)
    with contextlib.suppress(MediaError):
        for clip in read_windows(data, frames=2, size=8, window_seconds=1, stride_seconds=1, limits=limits):
            assert clip.pixels.shape == (2, 8, 8, 3)


@pytest.fixture(scope="module")
def samples(write_video: WriteVideo, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("samples")
    return {kind: write_video(folder / f"clip.{kind}").read_bytes() for kind in ("mp4", "mkv", "avi", "ts", "gif")}
