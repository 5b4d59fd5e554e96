"""The same sound however it is stored."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import soxr

from showtell.pipelines.media.audio import SAMPLE_RATE, read_audio, stream_audio

MEDIA = Path(__file__).parents[2] / "media"
CARRY = MEDIA / "carry.opus"
SPEECH = read_audio(CARRY).samples


def encoded(
    samples: np.ndarray = SPEECH, rate: int = SAMPLE_RATE, file_format: str = "WAV", subtype: str = ""
) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format=file_format, subtype=subtype or None)
    return stream.getvalue()


def likeness(samples: np.ndarray, other: np.ndarray = SPEECH) -> float:
    """The highest correlation of two recordings of about the same length, one moved by up to 100 ms."""
    length = min(len(samples), len(other)) - 1600
    middle = other[1600:length]
    products = np.correlate(samples[: length + 1600], middle, "valid")
    energies = np.convolve(samples[: length + 1600] ** 2, np.ones(len(middle)), "valid")
    return float((products / np.sqrt(energies * (middle**2).sum())).max())


def test_a_recording_is_what_libsndfile_reads_of_it():
    audio = read_audio(CARRY)
    samples, rate = soundfile.read(CARRY, dtype="float32")
    assert (rate, audio.sample_rate, audio.name) == (16_000, 16_000, str(CARRY))
    assert audio.samples.dtype == np.float32 and audio.samples.shape == samples.shape
    assert likeness(audio.samples, samples) > 0.9999


@pytest.mark.parametrize("name", ["carry.mp3", "carry.m4a", "carry.wma", "carry.mp4"])
def test_real_files_of_many_kinds_hold_the_same_speech(name: str):
    samples = read_audio(MEDIA / name).samples
    assert len(samples) == pytest.approx(len(SPEECH), rel=0.02)
    assert likeness(samples) > 0.98


@pytest.mark.parametrize(
    ("file_format", "subtype", "tolerance"),
    [
        ("WAV", "PCM_16", 2**-15),
        ("WAV", "PCM_24", 2**-23),
        ("WAV", "PCM_32", 2**-24),
        ("WAV", "FLOAT", 0),
        ("WAV", "DOUBLE", 0),
        ("WAV", "PCM_U8", 2**-7),
        ("WAV", "ULAW", 0.02),
        ("WAV", "ALAW", 0.02),
        ("AIFF", "PCM_24", 2**-23),
        ("AU", "ULAW", 0.02),
        ("CAF", "PCM_16", 2**-15),
        ("FLAC", "PCM_16", 2**-15),
        ("FLAC", "PCM_24", 2**-23),
        ("W64", "FLOAT", 0),
        ("NIST", "PCM_16", 2**-15),
        ("MAT5", "FLOAT", 0),  # libsndfile alone reads this one
    ],
)
def test_uncompressed_files_give_their_samples(file_format: str, subtype: str, tolerance: float):
    samples = read_audio(encoded(file_format=file_format, subtype=subtype)).samples
    np.testing.assert_allclose(samples, SPEECH, rtol=0, atol=tolerance * 1.01)


def test_every_kind_of_source_gives_the_same(tmp_path: Path):
    data = CARRY.read_bytes()
    for source in (
        str(CARRY),
        CARRY,
        data,
        bytearray(data),
        io.BytesIO(data),
        {"bytes": data, "path": "elsewhere.wav"},
        {"bytes": None, "path": str(CARRY)},
        {"audio": {"bytes": data, "path": None}},
        {"audio": str(CARRY)},
        {"array": SPEECH, "sampling_rate": 16_000},
        {"array": SPEECH, "sampling_rate": np.int64(16_000), "path": "elsewhere.wav"},
        {"audio": {"array": SPEECH.tolist(), "sampling_rate": 16_000.0, "path": None}},
        SimpleNamespace(get_all_samples=lambda: SimpleNamespace(data=SPEECH[None], sample_rate=16_000)),
    ):
        np.testing.assert_array_equal(read_audio(source).samples, SPEECH)
    with CARRY.open("rb") as file:
        np.testing.assert_array_equal(read_audio(file).samples, SPEECH)
        assert not file.closed


@pytest.mark.parametrize("name", ["speech.mp3", "speech.raw", "speech.txt", "speech"])
@pytest.mark.parametrize("kind", ["WAV", "OGG", "MP3", "FLAC"])
def test_the_end_of_a_name_tells_nothing(name: str, kind: str, tmp_path: Path):
    data = encoded(file_format=kind)
    (tmp_path / name).write_bytes(data)
    np.testing.assert_array_equal(read_audio(tmp_path / name).samples, read_audio(data).samples)


@pytest.mark.parametrize(
    ("dtype", "scale", "offset"),
    [("int16", 2**15, 0), ("int32", 2**31, 0), ("uint8", 2**7, 128), ("float16", 1, 0), ("float64", 1, 0)],
)
def test_arrays_of_every_type_mean_the_same(dtype: str, scale: int, offset: int):
    array = (SPEECH.astype(np.float64) * scale + offset).astype(dtype)
    samples = read_audio({"array": array, "sampling_rate": 16_000}).samples
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples, SPEECH, rtol=0, atol=1e-3 if dtype == "float16" else 1 / scale)


def test_channels_are_averaged_in_files_and_in_arrays_laid_out_either_way():
    channels = np.stack([SPEECH, -SPEECH, 0 * SPEECH, SPEECH, SPEECH, SPEECH], axis=1)
    for count in (1, 2, 6):
        mean = channels[:, :count].mean(axis=1)
        for source in (
            encoded(channels[:, :count], subtype="FLOAT"),
            {"array": channels[:, :count], "sampling_rate": 16_000},
            {"array": channels[:, :count].T, "sampling_rate": 16_000},
        ):
            np.testing.assert_allclose(read_audio(source).samples, mean, atol=1e-7)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_every_rate_becomes_16_kilohertz(rate: int):
    band_limited = soxr.resample(soxr.resample(SPEECH, 16_000, 8_000), 8_000, 16_000)
    other = soxr.resample(band_limited, 16_000, rate)
    for source in (encoded(other, rate, subtype="FLOAT"), {"array": other, "sampling_rate": rate}):
        samples = read_audio(source).samples
        assert len(samples) == pytest.approx(len(SPEECH), abs=2)
        np.testing.assert_allclose(samples[200:17_000], band_limited[200:17_000], atol=0.01)


@pytest.mark.parametrize(
    "change",
    [
        lambda sound: sound[:320],  # 20 ms
        lambda sound: 0 * sound,
        lambda sound: np.clip(20 * sound, -1, 1),
        lambda sound: sound + 0.3,
        lambda sound: 4 * sound,  # a floating recording may go beyond full scale
    ],
)
def test_short_silent_clipped_and_offset_sound_comes_as_it_is(change):
    sound = change(SPEECH).astype(np.float32)
    np.testing.assert_array_equal(read_audio(encoded(sound, subtype="FLOAT")).samples, sound)
    np.testing.assert_array_equal(read_audio({"array": sound, "sampling_rate": 16_000}).samples, sound)


def test_a_stream_of_chunks_is_the_whole_in_constant_memory(tmp_path: Path):
    minutes = np.tile(SPEECH, 100)
    (tmp_path / "long.wav").write_bytes(encoded(minutes, 8_000))
    whole = read_audio(tmp_path / "long.wav").samples
    tracemalloc.start()
    place = 0
    for chunk in stream_audio(tmp_path / "long.wav"):
        assert len(chunk) < 10 * SAMPLE_RATE
        np.testing.assert_array_equal(chunk, whole[place : place + len(chunk)])
        place += len(chunk)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert place == len(whole) == 2 * len(minutes)
    assert peak < 4_000_000 < whole.nbytes / 3
