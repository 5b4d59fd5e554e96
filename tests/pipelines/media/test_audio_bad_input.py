"""What cannot be read as sound is one typed error, damage costs what is damaged alone, and no header is believed."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from showtell.errors import InputError, MediaError
from showtell.pipelines.media.audio import read_audio, stream_audio
from showtell.pipelines.media.limits import MediaLimits
from showtell.pipelines.media.source import describe

MEDIA = Path(__file__).parents[2] / "media"
REAL = {
    name: (MEDIA / name).read_bytes() for name in ("carry.opus", "carry.mp3", "carry.m4a", "carry.wma", "carry.mp4")
}
SPEECH = read_audio(REAL["carry.opus"]).samples


def encoded(samples: np.ndarray = SPEECH, file_format: str = "WAV", subtype: str | None = None) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, 16_000, format=file_format, subtype=subtype)
    return stream.getvalue()


def wav_claiming(*, rate: int = 16_000, channels: int = 1, data_bytes: int | None = None) -> bytes:
    """A second of silence whose header may lie."""
    data = bytes(32_000)
    size = len(data) if data_bytes is None else data_bytes
    layout = struct.pack("<IHHIIHH", 16, 1, channels, rate, rate * channels * 2 % 2**32, channels * 2 % 2**16, 16)
    return b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + layout + b"data" + struct.pack("<I", size) + data


HOLED = SPEECH.copy()
HOLED[5_000] = np.nan
LOUD = SPEECH.copy()
LOUD[5_000] = np.inf
UNREADABLE = {
    "empty.wav": b"",
    "text.wav": b"These are words and no sound.\n" * 100,
    "playlist.m3u8": b"#EXTM3U\n#EXTINF:3,\n/etc/passwd\n#EXT-X-ENDLIST\n",
    "list.ffconcat": b"ffconcat version 1.0\nfile carry.wav\n",
    "subtitles.srt": b"1\n00:00:01,000 --> 00:00:02,000\nNo sound.\n",
    "photo.mp3": (MEDIA / "cat.jpg").read_bytes(),
    "moving.wav": (MEDIA / "cat_then_coffee.gif").read_bytes(),
    "zeros.wav": bytes(10_000),
    "noise.wav": np.random.default_rng(0).bytes(10_000),
    "header_only.wav": encoded()[:40],
    "header_only.mp3": REAL["carry.mp3"][:20],
    "without_its_index.m4a": REAL["carry.m4a"][:3000],
    "no_samples.wav": encoded(SPEECH[:0]),
    "no_samples.flac": encoded(SPEECH[:0], file_format="FLAC"),
    "rate_0.wav": wav_claiming(rate=0),
    "rate_1.wav": wav_claiming(rate=1),
    "rate_4e9.wav": wav_claiming(rate=4_000_000_000),
    "channels_0.wav": wav_claiming(channels=0),
    "channels_65535.wav": wav_claiming(channels=65_535),
    "nan.wav": encoded(HOLED, subtype="FLOAT"),
    "infinity.wav": encoded(LOUD, subtype="DOUBLE"),
    "huge.wav": encoded(SPEECH.astype(np.float64) * 1e300, subtype="DOUBLE"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_file_that_cannot_be_read_is_an_error_that_names_it(name: str, tmp_path: Path, capfd: pytest.CaptureFixture):
    (tmp_path / name).write_bytes(UNREADABLE[name])
    for source in (tmp_path / name, UNREADABLE[name]):
        with pytest.raises(InputError) as caught:
            read_audio(source)
        message = str(caught.value)
        assert message.startswith(f"{describe(source)}: ")
        assert message.endswith(" would be accepted.")
        assert "\n" not in message
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "source", [None, True, 5, 1.5, [], [0.1, 0.2], object(), "", "http://x.org/a.wav", "file:///a"]
)
def test_what_is_no_sound_is_an_input_error(source: object):
    for handed_in in (source, {"audio": source}):
        with pytest.raises(InputError, match=r"would be accepted\.$"):
            read_audio(handed_in)


@pytest.mark.parametrize(
    ("array", "problem"),
    [
        (SPEECH[:0], "no samples"),
        (np.zeros((0, 2)), "no samples"),
        (np.zeros((2, 3, 4)), "shape"),
        (np.zeros((2, 2)), "shape"),
        (np.array(0.5), "shape"),
        (HOLED, "nan"),
        (LOUD, "inf"),
        (SPEECH * 32_767, "int16"),
        (np.zeros(9, np.int64), "int64"),
        (np.zeros(9, bool), "bool"),
        (np.zeros(9, complex), "complex"),
        ([[0.1, 0.2], [0.3]], "none"),
        (["a", "b"], "str"),
    ],
)
def test_an_array_that_is_no_sound_is_refused(array, problem: str):
    with pytest.raises(InputError, match=rf"^the dict given: .*{problem}.* would be accepted\.$"):
        read_audio({"array": array, "sampling_rate": 16_000})


@pytest.mark.parametrize("rate", [None, 0, -8_000, 999, 1e9, float("nan"), "16000", True, [16_000]])
def test_a_rate_that_is_none_is_refused(rate: object):
    with pytest.raises(InputError, match=r"sampling rate.* would be accepted\.$"):
        read_audio({"array": SPEECH, "sampling_rate": rate})


def test_an_array_without_its_rate_is_refused():
    for source in (SPEECH, {"array": SPEECH}):
        with pytest.raises(InputError, match=r"sampling rate; .* would be accepted\.$"):
            read_audio(source)


@pytest.mark.parametrize("data_bytes", [32_000 * 36_000, 2**32 - 37])
def test_a_header_that_tells_of_hours_is_not_believed(data_bytes: int):
    np.testing.assert_array_equal(read_audio(wav_claiming(data_bytes=data_bytes)).samples, np.zeros(16_000))


@pytest.mark.parametrize("kind", ["carry.mp3", "carry.wma", "OGG", "WAV", "FLAC"])
def test_a_cut_or_spoilt_tail_costs_the_tail_alone(kind: str, capfd: pytest.CaptureFixture):
    data = REAL[kind] if kind in REAL else encoded(np.tile(SPEECH, 4), file_format=kind)
    whole = read_audio(data).samples
    kept = 7 * len(data) // 10
    cut = read_audio(data[:kept]).samples
    spoilt = read_audio(data[:kept] + b"\xa5" * (len(data) - kept)).samples
    for part in (cut, spoilt):
        sound = int(0.4 * len(whole))
        np.testing.assert_allclose(part[:sound], whole[:sound], atol=1e-6)
    assert capfd.readouterr() == ("", "")


def test_limits_hold_for_every_source(tmp_path: Path):
    limits = MediaLimits(max_audio_seconds=1.0, max_audio_bytes=3_000)
    with pytest.raises(MediaError, match="at most 3,000 bytes"):
        read_audio(REAL["carry.opus"], limits=limits)
    for source in (MEDIA / "carry.opus", {"array": SPEECH, "sampling_rate": 16_000}):
        with pytest.raises(MediaError, match="too long; one of at most 1 seconds would be accepted"):
            read_audio(source, limits=limits)
        assert sum(map(len, stream_audio(source, limits=limits))) == len(SPEECH)


@settings(max_examples=150)
@given(
    kind=st.sampled_from([*REAL, "WAV", "FLAC", "AIFF"]),
    damage=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8),
    kept=st.floats(0.01, 1),
)
def test_a_damaged_file_is_read_or_is_an_input_error(kind: str, damage: list, kept: float):
    data = bytearray(REAL[kind] if kind in REAL else encoded(file_format=kind))
    for where, value in damage:
        data[int(where**3 * len(data))] = value  # headers above all
    try:
        audio = read_audio(bytes(data[: int(kept * len(data)) + 1]))
    except InputError:
        return
    assert audio.samples.dtype == np.float32 and np.isfinite(audio.samples).all()
