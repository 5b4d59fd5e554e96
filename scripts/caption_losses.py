"""What a captioner is trained for: to write what people wrote, what other captioners do, and what CIDEr finds good."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from showtell.decoders.attention_decoder import AttentionDecoder, Context, State, doubly_stochastic_penalty
from showtell.memory import Memory
from showtell.scripts.datasets.caption_tensors import END, MAX_WORDS, PAD, START, UNKNOWN
from showtell.scripts.metrics import CiderD

# How much a decoder must spread its attention over the photograph.
SPREAD = 0.5
LABEL_SMOOTHING = 0.1
# Captions drawn a photograph in the last stage, each judged against the others.
DRAWS = 5
NEVER_DRAWN = [PAD, START, UNKNOWN]


def imitate(decoder: AttentionDecoder, batch: Sequence[Tensor]) -> Tensor:
    """Cross-entropy of the captions that people wrote, smoothed, and the doubly stochastic penalty."""
    features, tokens = batch
    tokens = tokens[..., : int((tokens != PAD).sum(dim=-1).max())]
    logits, weights = decoder(as_memory(features), tokens[..., :-1])
    following = tokens[..., 1:]
    loss = nn.functional.cross_entropy(
        logits.flatten(0, 2).float(), following.flatten(), ignore_index=PAD, label_smoothing=LABEL_SMOOTHING
    )
    return loss + SPREAD * doubly_stochastic_penalty(weights, following != PAD)


def follow(decoder: AttentionDecoder, batch: Sequence[Tensor], teachers: Mixture) -> Tensor:
    """Cross-entropy of what the teachers believe at each word of captions that they draw (Hinton and others 2015).

    batch: what the decoder reads, what each of the teachers does, and what belongs to the photographs.
    """
    features, *theirs, _ = batch
    drawn, drawn_by = draw(teachers, [as_memory(seen) for seen in theirs])
    logits, _ = decoder(as_memory(features), drawn[..., :-1])
    believed, said = drawn_by.softmax(dim=-1), drawable(logits).log_softmax(dim=-1)
    real = drawn[..., 1:] != PAD
    return -((believed * said).sum(dim=-1) * real).sum() / real.sum()


def self_critical(decoder: AttentionDecoder, batch: Sequence[Tensor], judge: CiderD) -> Tensor:
    """Make captions likelier that CIDEr finds better than the photograph's others (Rennie and others 2017).

    A drawn caption's baseline is the mean reward of the other drawn ones (Luo 2020).
    """
    features, indices = batch
    # Without dropout, both times: what is judged must be what the decoder itself would draw, or it learns to make
    # unlikely what it never draws, without end.
    decoder.eval()
    memory = as_memory(features)
    drawn, _ = draw(decoder, memory)
    rewards = torch.tensor(
        [
            [judge.score(up_to_end(text), index) for text in texts]
            for texts, index in zip(drawn.tolist(), indices.tolist(), strict=True)
        ],
        device=drawn.device,
    )
    advantages = (rewards - rewards.mean(dim=1, keepdim=True)) * DRAWS / (DRAWS - 1)
    logits, _ = decoder(memory, drawn[..., :-1])
    # Of the words that can be drawn: else all that is judged bad would give its probability to the one that cannot.
    logits = drawable(logits)
    following = drawn[..., 1:]
    log_probs = -nn.functional.cross_entropy(
        logits.flatten(0, 2), following.flatten(), ignore_index=PAD, reduction="none"
    ).view_as(following)
    real = following != PAD
    return -(advantages[..., None] * log_probs * real).sum() / real.sum()


class Writer(Protocol):
    """What draws captions: a decoder, or a mixture of them."""

    def init_state(self, memory: Any, /) -> tuple[Any, State]:
        """Its context and first state."""
        ...

    def step(self, tokens: Tensor, state: State, context: Any, /) -> tuple[Tensor, State, Any]:
        """As `AttentionDecoder.step`."""
        ...


class Mixture:
    """Several decoders that write as one: each word by the mean of their probabilities, without dropout."""

    def __init__(self, decoders: Iterable[AttentionDecoder]):
        self.decoders = [decoder.eval() for decoder in decoders]

    def init_state(self, memories: Sequence[Memory]) -> tuple[list[Context], State]:
        """The context of each, and the states of all; each reads a memory of its own."""
        contexts, states = [], {}
        for number, (decoder, memory) in enumerate(zip(self.decoders, memories, strict=True)):
            context, state = decoder.init_state(memory)
            contexts.append(context)
            states |= {f"{number} {name}": value for name, value in state.items()}
        return contexts, states

    def step(self, tokens: Tensor, states: State, contexts: Sequence[Context]) -> tuple[Tensor, State, None]:
        """`AttentionDecoder.step` of all; where they look is not told."""
        said, following = [], {}
        for number, (decoder, context) in enumerate(zip(self.decoders, contexts, strict=True)):
            own = {name: states[f"{number} {name}"] for name in decoder.state_names}
            log_probs, state, _ = decoder.step(tokens, own, context)
            said.append(log_probs)
            following |= {f"{number} {name}": value for name, value in state.items()}
        return torch.stack(said).logsumexp(dim=0) - math.log(len(said)), following, None


@torch.no_grad()
def draw(decoder: Writer, memory: Any) -> tuple[Tensor, Tensor]:
    """Draw captions by the decoder's own probabilities.

    Returns them, `(batch, draws, time)`, from start to end, padded; and for each word after the first the logits that
    it was drawn by, `(batch, draws, time - 1, vocabulary)`.
    """
    context, state = decoder.init_state(memory)
    first = next(iter(state.values()))
    state = {name: value.expand(-1, DRAWS, -1) for name, value in state.items()}
    tokens = torch.full((len(first), DRAWS), START, device=first.device)
    drawn, drawn_by, ended = [tokens], [], torch.zeros_like(tokens, dtype=torch.bool)
    for _ in range(MAX_WORDS + 1):
        log_probs, state, _ = decoder.step(tokens, state, context)
        drawn_by.append(drawable(log_probs))
        tokens = torch.distributions.Categorical(logits=drawn_by[-1]).sample().masked_fill(ended, PAD)
        drawn.append(tokens)
        ended |= tokens == END
        if ended.all():
            break
    return torch.stack(drawn, dim=-1), torch.stack(drawn_by, dim=-2)


def drawable(logits: Tensor) -> Tensor:
    """The logits without those of tokens that are never drawn, whose probability is exactly zero then."""
    return logits.float().index_fill(-1, torch.tensor(NEVER_DRAWN, device=logits.device), -1e4)


def up_to_end(tokens: list[int]) -> list[int]:
    """A text's tokens after start, its end with them, so that CIDEr judges how it ends too."""
    return tokens[1 : tokens.index(END) + 1] if END in tokens else tokens[1:]


def as_memory(features: Tensor) -> Memory:
    """A grid without padding."""
    return Memory(features.float(), torch.ones(features.shape[:2], dtype=torch.bool, device=features.device))
