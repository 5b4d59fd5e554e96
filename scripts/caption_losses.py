"""What a captioner is trained for: to write what people wrote, and then to write what CIDEr finds good."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from showtell.decoders.attention_decoder import AttentionDecoder, doubly_stochastic_penalty
from showtell.memory import Memory
from showtell.scripts.datasets.caption_tensors import END, MAX_WORDS, PAD, START, UNKNOWN
from showtell.scripts.metrics import CiderD

# How much a decoder must spread its attention over the photograph.
SPREAD = 0.5
LABEL_SMOOTHING = 0.1
# Captions drawn a photograph in the last stage, each judged against the others.
DRAWS = 5
NEVER_DRAWN = [PAD, START, UNKNOWN]


def imitate(decoder: AttentionDecoder, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Cross-entropy of the captions that people wrote, smoothed, and the doubly stochastic penalty."""
    features, tokens = batch
    tokens = tokens[..., : int((tokens != PAD).sum(dim=-1).max())]
    logits, weights = decoder(as_memory(features), tokens[..., :-1])
    following = tokens[..., 1:]
    loss = nn.functional.cross_entropy(
        logits.flatten(0, 2).float(), following.flatten(), ignore_index=PAD, label_smoothing=LABEL_SMOOTHING
    )
    return loss + SPREAD * doubly_stochastic_penalty(weights, following != PAD)


def self_critical(decoder: AttentionDecoder, batch: tuple[Tensor, Tensor], judge: CiderD) -> Tensor:
    """Make captions likelier that CIDEr finds better than the photograph's others (Rennie and others 2017).

    A drawn caption's baseline is the mean reward of the other drawn ones (Luo 2020).
    """
    features, indices = batch
    # Without dropout, both times: what is judged must be what the decoder itself would draw, or it learns to make
    # unlikely what it never draws, without end.
    decoder.eval()
    memory = as_memory(features)
    drawn = draw(decoder, memory)
    rewards = torch.tensor(
        [
            [judge.score(up_to_end(text), index) for text in texts]
            for texts, index in zip(drawn.tolist(), indices.tolist(), strict=True)
        ]
    )
    advantages = (rewards - rewards.mean(dim=1, keepdim=True)) * DRAWS / (DRAWS - 1)
    logits, _ = decoder(memory, drawn[..., :-1])
    # Of the words that can be drawn: else all that is judged bad would give its probability to the one that cannot.
    logits = logits.float().index_fill(-1, torch.tensor(NEVER_DRAWN), -torch.inf)
    following = drawn[..., 1:]
    log_probs = -nn.functional.cross_entropy(
        logits.flatten(0, 2), following.flatten(), ignore_index=PAD, reduction="none"
    ).view_as(following)
    real = following != PAD
    return -(advantages[..., None] * log_probs * real).sum() / real.sum()


@torch.no_grad()
def draw(decoder: AttentionDecoder, memory: Memory) -> Tensor:
    """Draw captions by the decoder's own probabilities: `(batch, draws, time)`, from start to end, padded."""
    context, state = decoder.init_state(memory)
    tokens = torch.full((len(memory.features), DRAWS), START)
    state = {name: value.expand(-1, DRAWS, -1) for name, value in state.items()}
    drawn, ended = [tokens], torch.zeros_like(tokens, dtype=torch.bool)
    for _ in range(MAX_WORDS + 1):
        log_probs, state, _ = decoder.step(tokens, state, context)
        log_probs = log_probs.float()
        log_probs[..., NEVER_DRAWN] = -torch.inf
        tokens = torch.distributions.Categorical(logits=log_probs).sample().masked_fill(ended, PAD)
        drawn.append(tokens)
        ended |= tokens == END
        if ended.all():
            break
    return torch.stack(drawn, dim=-1)


def up_to_end(tokens: list[int]) -> list[int]:
    """A text's tokens after start, its end with them, so that CIDEr judges how it ends too."""
    return tokens[1 : tokens.index(END) + 1] if END in tokens else tokens[1:]


def as_memory(features: Tensor) -> Memory:
    """A grid without padding."""
    return Memory(features, torch.ones(features.shape[:2], dtype=torch.bool))
