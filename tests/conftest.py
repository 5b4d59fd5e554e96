"""What several tests share: real photographs, the bundled captioner, and tiny models composed here."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from showtell import compose, pipeline
from showtell.pipelines.image_to_text import ImageToText

# How long an example takes is no property of the code: another program may have the processor.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

MEDIA = Path(__file__).parent / "media"
WORDS = ("<pad>", "<start>", "<end>", "<unk>", "does", "n't", "'s", "a", "dog", "cat", "sleeps", "runs")


def pytest_configure() -> None:
    """Two processes share the tests: threads of the one would wait for those of the other, spinning."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_runtest_setup() -> None:
    """What the test before has set, a benchmark for example, holds no longer."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(scope="session")
def photographs() -> list[Path]:
    """The samples that travel with the package, and the test media."""
    samples = Path(__file__).parents[1] / "pipelines" / "samples"
    return [*sorted(samples.glob("*.jpg")), MEDIA / "cat.jpg", MEDIA / "coffee.webp", MEDIA / "rocket_cmyk.jpg"]


@pytest.fixture(scope="session")
def caption() -> ImageToText:
    """The bundled captioner."""
    return pipeline("image-to-text", threads=1)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a captioner with random weights, which answers in a millisecond or two."""
    import torch  # here, so that the tests of what needs no torch do not wait for it
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    from showtell.decoders import AttentionDecoder
    from showtell.encoders import ImageEncoder

    torch.manual_seed(0)
    encoder = ImageEncoder("timm/test_resnet", image_size=64, pretrained=False)
    decoder = AttentionDecoder(
        memory_width=encoder.width, vocabulary_size=len(WORDS), hidden_size=16, embedding_size=16, attention_size=8
    )
    # Large weights, so that photographs get different words, and words differ by more than rounding does.
    with torch.no_grad():
        for weight in decoder.parameters():
            weight *= 4
        decoder.value.weight *= 25
    tokenizer = Tokenizer(WordLevel({word: token for token, word in enumerate(WORDS)}, unk_token="<unk>"))
    folder = tmp_path_factory.mktemp("models") / "tiny"
    model = compose(encoder=encoder, decoder=decoder, tokenizer=tokenizer)
    model.save(folder, options={"num_beams": 2, "max_length": 6}, terms="for tests")
    return folder


@pytest.fixture(scope="session")
def tiny_classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a text classifier with random weights, every one of which counts."""
    import torch

    from showtell.decoders import Classifier
    from showtell.encoders import TextEncoder
    from showtell.pipelines.media.vocabulary import TextFeatures, word_tokenizer

    torch.manual_seed(0)
    tokenizer = word_tokenizer(["a", "good", "bad", "film", "not", "n't", "is", "it", ".", ",", "the", "last", "word"])
    features = TextFeatures(tokenizer, characters="abcdefghijklmnopqrstuvwxyz'.!")
    encoder = TextEncoder(**features.config, word_size=6, character_size=4, casing_size=2, filters=5)
    labels = ["negative", "neutral", "positive"]
    decoder = Classifier(memory_width=encoder.width, labels=labels, hidden_size=6, attention_size=5)
    for weight in decoder.parameters():
        torch.nn.init.normal_(weight, std=0.7)
    folder = tmp_path_factory.mktemp("models") / "tiny-classifier"
    compose(encoder=encoder, decoder=decoder, tokenizer=tokenizer).save(folder, terms="for tests")
    return folder


@pytest.fixture(scope="session")
def tiny_tagger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tagger with random weights, every one of which counts: it finds entities in any text."""
    import torch

    from showtell.decoders import CRFDecoder
    from showtell.encoders import TextEncoder
    from showtell.pipelines.media.vocabulary import TextFeatures, word_tokenizer

    torch.manual_seed(0)
    tokenizer = word_tokenizer(["ada", "lovelace", "lived", "in", "london", ".", ",", "the", "bank", "of", "england"])
    features = TextFeatures(tokenizer, characters="abcdefghijklmnopqrstuvwxyzABLE'.,")
    encoder = TextEncoder(**features.config, word_size=6, character_size=4, casing_size=2, filters=5)
    decoder = CRFDecoder(memory_width=encoder.width, labels=["PER", "LOC", "ORG", "MISC"], hidden_size=6)
    for weight in decoder.parameters():
        torch.nn.init.normal_(weight, std=0.7)
    folder = tmp_path_factory.mktemp("models") / "tiny-tagger"
    compose(encoder=encoder, decoder=decoder, tokenizer=tokenizer).save(folder, terms="for tests")
    return folder


@pytest.fixture(scope="session")
def tiny_recogniser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a speech recogniser with random weights that says much."""
    import torch

    from showtell.decoders import CTCDecoder
    from showtell.encoders import SpectrogramEncoder
    from showtell.scripts.train_asr import spelling

    torch.manual_seed(1)
    tokenizer = spelling(["a bee sees sea", "'"])
    encoder = SpectrogramEncoder(channels=4, width=16, lookahead=7)
    decoder = CTCDecoder(
        memory_width=encoder.width, vocabulary_size=tokenizer.get_vocab_size(), hidden_size=12, num_layers=2
    )
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    folder = tmp_path_factory.mktemp("models") / "recogniser"
    compose(encoder=encoder, decoder=decoder, tokenizer=tokenizer).save(folder)
    return folder
