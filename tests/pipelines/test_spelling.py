"""Recognisers with a decoder that attends: untrained ones, through the public pipeline, and what is around them."""

from __future__ import annotations

from functools import partial
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from showtell import InputError, MediaError, ModelError, pipeline
from showtell.composition import compose
from showtell.decoders.alignment import AlignedToken
from showtell.decoders.ctc import Candidate
from showtell.decoders.search import beam_search
from showtell.encoders.spectrogram import SpectrogramEncoder
from showtell.pipelines.media.log_mel import MELS, pad_frames
from showtell.pipelines.media.waveform import SAMPLE_RATE
from showtell.pipelines.spelling import LONGEST_FRAMES, choose, follow, search_to_the_end, stretches
from showtell.pipelines.writing import judge, write
from showtell.scripts.train_asr import Decoder, new_decoder, spelling

TASK = "automatic-speech-recognition"
KINDS = [Decoder.ATTENTION, Decoder.JOINT]


def babble(seconds: float, seed: int = 0) -> dict[str, Any]:
    """Sound that changes all the time, with pauses."""
    random = np.random.default_rng(seed)
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    marks = np.arange(0, seconds + 1, 0.2)
    pitch = np.cumsum(np.interp(time, marks, random.uniform(100, 3000, len(marks))))
    loud = np.repeat(random.random(int(seconds) + 1) > 0.3, SAMPLE_RATE)[: len(time)]
    sound = 0.3 * np.sin(2 * np.pi * pitch / SAMPLE_RATE) * loud
    return {"array": sound.astype(np.float32), "sampling_rate": SAMPLE_RATE}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[Decoder, Path]:
    """Recognisers with random weights that write much, and come to an end."""
    found = {}
    for kind in KINDS:
        torch.manual_seed(1)
        tokenizer = spelling(["a bee sees sea"], ends=True)
        encoder = SpectrogramEncoder(channels=4, width=16, lookahead=7)
        decoder = new_decoder(kind, encoder.width, tokenizer, 12, 2)
        for parameter in decoder.parameters():
            nn.init.normal_(parameter, std=0.7)
        speller: Any = decoder.speller if kind == Decoder.JOINT else decoder
        speller.vocabulary_bias.data[speller.config["end"]] += 3
        found[kind] = tmp_path_factory.mktemp("bundle") / kind
        compose(encoder=encoder, decoder=decoder, tokenizer=tokenizer).save(found[kind])
    return found


@pytest.fixture(scope="module", params=KINDS)
def recognise(request: pytest.FixtureRequest, folders: dict[Decoder, Path]) -> Any:
    return pipeline(TASK, folders[request.param], threads=1)


@pytest.mark.parametrize("unit", ["word", "char"])
def test_chunks_spell_the_text_in_order_and_within_the_recording(recognise: Any, unit: str) -> None:
    answer = recognise(babble(25), return_timestamps=unit, num_beams=4)
    texts = [chunk["text"] for chunk in answer["chunks"]]
    assert answer["text"]
    assert (" " if unit == "word" else "").join(texts) == answer["text"].replace("" if unit == "word" else " ", "")
    starts = [chunk["timestamp"][0] for chunk in answer["chunks"]]
    assert starts == sorted(starts) and starts[0] >= 0
    assert all(start < end <= 25.04 for start, end in (chunk["timestamp"] for chunk in answer["chunks"]))
    assert all(0 < chunk["score"] <= 1 for chunk in answer["chunks"])


def test_a_batch_gets_what_each_gets_alone_in_both_runtimes(recognise: Any) -> None:
    recordings = [babble(seconds, seed) for seed, seconds in enumerate((0.4, 22.0, 3.3))]
    together = recognise(recordings, return_timestamps="char", num_beams=4)
    in_torch = pipeline(TASK, recognise.bundle.folder, runtime="torch", threads=1)
    for recording, answer in zip(recordings, together, strict=True):
        for one in (recognise, in_torch):
            alone: Any = one(recording, return_timestamps="char", num_beams=4)
            assert alone["text"] == answer["text"]
            assert alone["score"] == pytest.approx(answer["score"], abs=1e-4)
            assert [c["timestamp"] for c in alone["chunks"]] == [c["timestamp"] for c in answer["chunks"]]


def test_a_bad_recording_leaves_its_neighbours_alone(recognise: Any) -> None:
    good, broken = babble(2), babble(40)
    broken["array"][-1] = np.nan
    answers = recognise([good, broken, b"no sound", good], on_error="return", num_beams=2)
    assert [isinstance(answer, MediaError) for answer in answers] == [False, True, True, False]
    alone = recognise(good, num_beams=2)
    assert [answers[place]["text"] for place in (0, 3)] == [alone["text"]] * 2
    assert [answers[place]["score"] for place in (0, 3)] == pytest.approx([alone["score"]] * 2, abs=1e-4)
    with pytest.raises(InputError, match="num_beams=0"):
        recognise(good, num_beams=0)


def test_attention_alone_hears_no_stream(folders: dict[Decoder, Path]) -> None:
    recognise = pipeline(TASK, folders[Decoder.ATTENTION], threads=1)
    with pytest.raises(ModelError, match=r"cannot hear a stream; one with a CTC decoder or a joint one would do\.$"):
        list(recognise.stream([babble(1)["array"]]))


@pytest.mark.parametrize("samples", [1237, SAMPLE_RATE])
def test_a_joint_one_ends_a_stream_with_the_words_of_the_whole(folders: dict[Decoder, Path], samples: int) -> None:
    recognise, sound = pipeline(TASK, folders[Decoder.JOINT], threads=1), babble(6)
    chunks = [sound["array"][start : start + samples] for start in range(0, len(sound["array"]), samples)]
    final = [partial["text"] for partial in recognise.stream(chunks, num_beams=4) if partial["is_final"]]
    assert " ".join(final) == recognise(sound, num_beams=4)["text"]


def test_a_text_is_judged_as_probable_as_the_search_found_it(folders: dict[Decoder, Path]) -> None:
    recognise = pipeline(TASK, folders[Decoder.JOINT], threads=1)
    config, (encode, step) = recognise.decoder, (recognise.graphs[name] for name in ("encode", "step"))
    frames = np.random.default_rng(0).normal(-8, 4.5, (60, MELS)).astype(np.float32)
    encoded = encode(**pad_frames([frames]))
    search = partial(beam_search, num_beams=3, num_return_sequences=3, max_length=40)
    (found,) = write(step, encoded, {"pad": 0, "unknown": 0, **config}, search)
    ended = [one for one in found if len(one.log_probs) > len(one.tokens)]
    texts = [one.tokens for one in ended]
    judged = judge(step, encoded, texts, start=config["start"], end=config["end"])
    np.testing.assert_allclose(judged, [one.log_probs.sum() for one in ended], rtol=1e-4)

    said = [[AlignedToken(token, place, place + 1, -0.1) for place, token in enumerate(text)] for text in texts]
    # CTC holds the second for likelier, but not by as much as attention does the first.
    better, worse = int(judged.argmax()), int(judged.argmin())
    gap = float(judged[better] - judged[worse])
    for lead, chosen in ((0.5, better), (2.0, worse)):
        candidates = [Candidate(said[worse], lead * gap), Candidate(said[better], 0.0)]
        assert choose(recognise.graphs, config | {"ctc_weight": 0.5}, frames, candidates) == said[chosen]
        long = np.repeat(frames, 40, axis=0)
        assert choose(recognise.graphs, config, long, candidates) == said[worse]


def test_a_text_longer_than_there_are_beams_is_written_to_its_end() -> None:
    """Of a decoder that counts, and holds any other token, the end too, for improbable, but not for impossible."""
    end, length = 20, 12

    def count(tokens: np.ndarray, state: Any, context: Any) -> Any:
        log_probs = np.full((*tokens.shape, end + 2), np.log(0.01), np.float32)
        following = np.where(tokens + 1 == length, end, tokens + 1)
        np.put_along_axis(log_probs, following[..., None], np.log(0.8), axis=-1)
        return log_probs, state, {}

    found = search_to_the_end(
        count, {"any": np.zeros((1, 1, 1))}, {}, start=0, end=end, num_beams=4, suppress_tokens=(end + 1,)
    )
    assert found[0][0].tokens == tuple(range(1, length))


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=6), st.integers(0, 9))
def test_stretches_are_the_whole_and_none_is_too_long(sizes: list[int], seed: int) -> None:
    whole = np.random.default_rng(seed).normal(size=(sum(sizes), MELS)).astype(np.float32)
    parts = [*stretches(np.split(whole, np.cumsum(sizes)[:-1]))]
    assert all(0 < len(part) <= LONGEST_FRAMES for part in parts)
    assert all(len(part) % 4 == 0 for part in parts[:-1])
    assert np.array_equal(np.concatenate(parts), whole) if parts else len(whole) == 0


def test_a_long_recording_is_cut_in_a_pause() -> None:
    frames = np.random.default_rng(0).normal(size=(2500, MELS)).astype(np.float32)
    frames[300:360] -= 9  # too early
    frames[1500:1540] -= 5
    first, second = stretches([frames])
    assert 1510 <= len(first) <= 1530
    assert len(first) + len(second) == 2500


@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 99))
def test_followed_attention_never_goes_back_and_none_is_likelier(tokens: int, positions: int, seed: int) -> None:
    attention = np.random.default_rng(seed).dirichlet(np.full(positions, 0.3), tokens)
    looks = follow(attention)
    assert looks == sorted(looks)

    def product(path: Any) -> float:
        return float(np.prod(np.maximum(attention[range(tokens), path], 1e-30)))

    best = max(combinations_with_replacement(range(positions), tokens), key=product)
    assert product(looks) == pytest.approx(product(best), rel=1e-3)
