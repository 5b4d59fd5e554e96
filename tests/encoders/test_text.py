from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from showtell.encoders.text import CharacterCNN, TextEncoder
from showtell.errors import InputError
from showtell.pipelines.media.vocabulary import TextFeatures, word_tokenizer

FEATURES = TextFeatures(word_tokenizer(["the", "cat", "sat"]), characters="abcdefghijklmnopqrstuvwxyz")
TEXTS = [["The", "cat", "sat", "on", "Mats"], ["Cat"], [], ["antidisestablishmentarianism", "the", "The"]]


@pytest.fixture
def encoder() -> TextEncoder:
    torch.manual_seed(0)
    return TextEncoder(**FEATURES.config, word_size=6, character_size=5, casing_size=3, filters=7, word_dropout=0.5)


def tensors(texts: list[list[str]]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in FEATURES(texts).items()}


def test_texts_become_a_memory_of_one_position_a_word(encoder):
    memory = encoder.eval()(**tensors(TEXTS))
    assert memory.features.shape == (4, 5, encoder.width) == (4, 5, 6 + 7 + 3)
    assert memory.mask.sum(dim=1).tolist() == [len(text) for text in TEXTS]
    assert (memory.grid, memory.step_seconds) == (None, None)


def test_padding_has_no_features_even_after_training(encoder):
    optimizer = torch.optim.SGD(encoder.parameters(), lr=0.1)
    for _ in range(3):
        encoder(**tensors(TEXTS)).features.square().sum().backward()
        optimizer.step()
    memory = encoder.eval()(**tensors(TEXTS))
    assert not memory.features[~memory.mask].any()
    assert memory.features[memory.mask].any(dim=-1).all()


def test_a_text_gets_in_a_batch_what_it_gets_alone(encoder):
    together = encoder.eval()(**tensors(TEXTS)).features
    for row, text in enumerate(TEXTS):
        alone = encoder(**tensors([text])).features[0, : len(text)]
        torch.testing.assert_close(together[row, : len(text)], alone)


def test_unknown_words_differ_by_their_spelling_and_known_ones_by_their_case(encoder):
    features = encoder.eval()(**tensors([["mats", "hats", "Cat", "cat"]])).features[0]
    assert torch.equal(features[0, :6], features[1, :6])
    assert not torch.equal(features[0], features[1])
    assert torch.equal(features[2, :6], features[3, :6])
    assert not torch.equal(features[2, -3:], features[3, -3:])


def test_the_character_cnn_is_a_masked_convolution_of_width_three():
    torch.manual_seed(0)
    cnn = CharacterCNN(10, 4, 5, dropout=0.0)
    convolution = nn.Conv1d(4, 5, kernel_size=3, padding=1)
    with torch.no_grad():
        convolution.weight.copy_(cnn.filters.weight.reshape(5, 3, 4).transpose(1, 2))
        convolution.bias.copy_(cnn.filters.bias)  # pyright: ignore[reportOptionalMemberAccess]
    words = [[3], [4, 5], [2, 9, 4, 6]]
    padded = torch.tensor([word + [0] * (6 - len(word)) for word in words])
    expected = [convolution(cnn.characters(torch.tensor([word])).transpose(1, 2)).relu().amax(-1)[0] for word in words]
    torch.testing.assert_close(cnn(padded), torch.stack(expected))


def test_dropout_spares_the_same_features_at_every_word_of_a_text():
    torch.manual_seed(0)
    encoder = TextEncoder(**FEATURES.config, dropout=0.5, character_dropout=0.0)
    inputs = tensors([["cat", "sat", "mats"], ["the", "cat", "hats"]])
    kept = encoder.train()(**inputs).features
    whole = encoder.eval()(**inputs).features
    spared = (kept != 0)[:, :, :100]
    assert (spared == spared[:, :1]).all()
    assert not torch.equal(spared[0], spared[1])
    torch.testing.assert_close(kept[:, :, :100], torch.where(spared, 2 * whole[:, :, :100], 0))


def test_word_dropout_makes_words_unknown_and_padding_never():
    encoder = TextEncoder(**FEATURES.config, dropout=0.0, character_dropout=0.0, word_dropout=1.0)
    memory = encoder(**tensors([["the", "cat"], ["sat"]]))
    assert torch.equal(memory.features[0, 0, :100], encoder.words.weight[1])
    assert not memory.features[1, 1].any()


def test_pretrained_vectors_are_where_the_words_start_and_are_trained():
    vectors = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
    encoder = TextEncoder(**FEATURES.config, word_size=6, vectors=vectors)
    np.testing.assert_array_equal(encoder.words.weight.detach().numpy(), vectors)
    assert encoder.words.weight.requires_grad
    with pytest.raises(InputError, match=r"their shape is \(5, 6\); \(5, 100\)"):
        TextEncoder(**FEATURES.config, vectors=vectors)


def test_an_encoder_is_rebuilt_from_its_config(encoder):
    again = TextEncoder(**encoder.config)
    again.load_state_dict(encoder.state_dict())
    inputs, _ = encoder.example()
    torch.testing.assert_close(again.eval()(**inputs).features, encoder.eval()(**inputs).features)
