"""What several tests share: real photographs, the bundled captioner, and a tiny one composed here."""

from __future__ import annotations

from pathlib import Path

import pytest

from showtell import compose, pipeline
from showtell.pipelines.image_to_text import ImageToText

MEDIA = Path(__file__).parent / "media"
WORDS = ("<pad>", "<start>", "<end>", "<unk>", "does", "n't", "'s", "a", "dog", "cat", "sleeps", "runs")


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
