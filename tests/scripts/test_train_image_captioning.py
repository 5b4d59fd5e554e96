from __future__ import annotations

import pytest
import torch
import typer
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from showtell.decoders.attention_decoder import AttentionDecoder
from showtell.memory import Memory
from showtell.scripts.train_image_captioning import with_words

WORDS = "<pad>", "<start>", "<end>", "<unk>", "a", "dog", "cat", "campfire"


def tokenizer_of(*words: str) -> Tokenizer:
    return Tokenizer(WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))


def test_of_the_words_that_stay_all_is_said_as_before() -> None:
    torch.manual_seed(0)
    decoder = AttentionDecoder(memory_width=6, vocabulary_size=len(WORDS), hidden_size=8, embedding_size=8).eval()
    torch.nn.init.normal_(decoder.vocabulary_bias)
    fewer = with_words(decoder, tokenizer_of(*WORDS), tokenizer_of(*WORDS[:4], "cat", "a")).eval()
    memory = Memory(torch.randn(2, 5, 6), torch.ones(2, 5, dtype=torch.bool))
    stay = torch.tensor([0, 1, 2, 3, 6, 4])
    before, looked_before = decoder(memory, torch.tensor([[[1, 4, 6]], [[1, 6, 2]]]))
    after, looked_after = fewer(memory, torch.tensor([[[1, 5, 4]], [[1, 4, 2]]]))
    torch.testing.assert_close(after, before[..., stay])
    torch.testing.assert_close(looked_after, looked_before)


def test_a_word_that_it_never_learnt_is_refused() -> None:
    decoder = AttentionDecoder(memory_width=6, vocabulary_size=len(WORDS), hidden_size=8, embedding_size=8)
    with pytest.raises(typer.BadParameter, match="it does not know the word 'zebra'"):
        with_words(decoder, tokenizer_of(*WORDS), tokenizer_of(*WORDS, "zebra"))
