"""The captioner's losses do what they are for."""

from __future__ import annotations

from typing import Any

import torch

from showtell.decoders.attention_decoder import AttentionDecoder
from showtell.scripts.caption_losses import Mixture, as_memory, draw, follow, imitate, self_critical, up_to_end
from showtell.scripts.datasets.caption_tensors import END, PAD, START

DOG = 4


class LikesDogs:
    """Finds a text the better, the more of it is dogs."""

    def score(self, words: list[int], index: int) -> float:
        return words.count(DOG) / len(words)


def small_decoder(dropout: float = 0.5) -> AttentionDecoder:
    torch.manual_seed(0)
    return AttentionDecoder(
        memory_width=3, vocabulary_size=8, hidden_size=16, embedding_size=16, attention_size=4, dropout=dropout
    )


def test_self_critical_training_makes_what_the_judge_likes_likelier() -> None:
    decoder, features = small_decoder(), torch.randn(4, 5, 3)
    judge: Any = LikesDogs()

    def mean_reward() -> float:
        decoder.eval()
        texts = [text for _ in range(5) for row in draw(decoder, as_memory(features))[0].tolist() for text in row]
        return sum(judge.score(up_to_end(text), 0) for text in texts) / len(texts)

    before = mean_reward()
    optimizer = torch.optim.Adam(decoder.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        self_critical(decoder, (features, torch.arange(4)), judge).backward()
        optimizer.step()
    assert mean_reward() > before + 0.3


def test_self_critical_training_leaves_a_decoder_alone_whose_texts_are_equally_good() -> None:
    class LikesAll:
        def score(self, words: list[int], index: int) -> float:
            return 1.0

    judge: Any = LikesAll()
    assert self_critical(small_decoder(), (torch.randn(2, 5, 3), torch.arange(2)), judge) == 0


def test_drawn_texts_begin_with_start_and_are_padded_after_their_end() -> None:
    drawn, _ = draw(small_decoder().eval(), as_memory(torch.randn(6, 5, 3)))
    for text in drawn.flatten(0, 1).tolist():
        assert text[0] == START
        ended = text.index(END) if END in text else len(text)
        assert PAD not in text[:ended]
        assert set(text[ended + 1 :]) <= {PAD}


def test_a_photograph_with_fewer_captions_counts_those_that_it_has() -> None:
    decoder, features = small_decoder(dropout=0.0), torch.randn(1, 5, 3)
    caption = torch.tensor([START, 5, 6, END])
    one = imitate(decoder, (features, caption[None, None]))
    with_padding = imitate(decoder, (features, torch.stack([caption, torch.zeros_like(caption)])[None]))
    assert torch.allclose(one, with_padding)


def test_a_mixture_says_the_mean_of_what_its_decoders_say() -> None:
    first, second = small_decoder().eval(), small_decoder().eval()
    torch.nn.init.normal_(second.vocabulary_bias)
    memories = [as_memory(torch.randn(2, 5, 3)), as_memory(torch.randn(2, 4, 3))]
    tokens = torch.full((2, 1), START)
    contexts, states = (mixture := Mixture([first, second])).init_state(memories)
    _, states, _ = mixture.step(tokens, states, contexts)
    said, _, _ = mixture.step(tokens, states, contexts)
    alone = []
    for decoder, memory in zip((first, second), memories, strict=True):
        context, state = decoder.init_state(memory)
        _, state, _ = decoder.step(tokens, state, context)
        log_probs, _, _ = decoder.step(tokens, state, context)
        alone.append(log_probs.exp())
    torch.testing.assert_close(said.exp(), (alone[0] + alone[1]) / 2)


def test_a_decoder_that_follows_comes_to_say_what_its_teachers_say() -> None:
    decoder, teacher, features = small_decoder(dropout=0.0), small_decoder(), torch.randn(4, 5, 3)
    with torch.no_grad():
        teacher.vocabulary_bias[DOG] = 3.0
    batch = features, features, torch.arange(4)
    teachers = Mixture([teacher])

    def share_of_dogs() -> float:
        drawn, _ = draw(decoder, as_memory(features))
        return float((drawn == DOG).float().mean())

    before = share_of_dogs()
    optimizer = torch.optim.Adam(decoder.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        follow(decoder, batch, teachers).backward()
        optimizer.step()
    assert share_of_dogs() > before + 0.3
    assert all(weight.grad is None for weight in teacher.parameters())
