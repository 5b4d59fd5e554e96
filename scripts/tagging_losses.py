"""What a tagger is trained for: the tags that people wrote, and what other taggers believe of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from showtell.composition import Model
from showtell.decoders.crf import CRFDecoder, Scores, log_partition
from showtell.encoders.text import TextEncoder
from showtell.pipelines.media.vocabulary import TextFeatures
from showtell.scripts.datasets.entity_tensors import Batch, Counts, to_tensors

Tagger = Model[TextEncoder, CRFDecoder]

# How much of a target is what the teachers believe; the rest is the gold tags, which thus always weigh more.
BELIEF = 0.4
# Sentences tagged together where nothing is learned.
BATCH_SIZE = 64


def cross_entropy(model: Tagger, batch: Batch) -> Tensor:
    """Of the distribution that the counts come from, over taggings, against the model's; the mean of the sentences.

    -sum_y q(y) log p(y) = log Z - sum_y q(y) score(y), and a score is a sum over tags and steps, so of q no more than
    its expected counts is needed. Where these are of gold tags it is -log p(y).
    """
    inputs, counts = batch
    memory = model.encoder(**inputs)
    scores = model.decoder.answer(memory)
    last = counts.tags[torch.arange(len(counts.tags)), memory.mask.sum(dim=1) - 1]
    expected = (
        (scores["emissions"] * counts.tags).sum()
        + (scores["transitions"] * counts.steps).sum()
        + (scores["start"] * counts.tags[:, 0]).sum()
        + (scores["end"] * last).sum()
    )
    return (log_partition(scores, memory.mask).sum() - expected) / len(last)


def believed_counts(model: Tagger, sentences: Sequence[list[str]], features: TextFeatures) -> list[Counts]:
    """How often each tag, and each step from one to another, is to be expected in each sentence, by a model.

    These are the gradients of log Z over the scores.
    """
    found: dict[int, Counts] = {}
    for places, scores, mask in score_in_batches(model, sentences, features):
        emissions = scores["emissions"].requires_grad_()
        transitions = scores["transitions"].repeat(len(places), 1, 1).requires_grad_()  # a sentence's own
        total = log_partition({**scores, "emissions": emissions, "transitions": transitions}, mask).sum()
        # Sentences of one word have no steps.
        tags, steps = torch.autograd.grad(total, (emissions, transitions), materialize_grads=True)
        found |= {
            place: Counts(tags[row, : len(sentences[place])].clone(), steps[row].clone())
            for row, place in enumerate(places)
        }
    return [found[place] for place in range(len(sentences))]


def blend(gold: Counts, believed: Counts) -> Counts:
    """The counts of a target that is gold for the greater part, and else what is believed."""
    tags, steps = (torch.lerp(ours, theirs, BELIEF) for ours, theirs in zip(gold, believed, strict=True))
    return Counts(tags, steps)


def score_in_batches(
    model: Tagger, sentences: Sequence[list[str]], features: TextFeatures
) -> Iterator[tuple[list[int], Scores, Tensor]]:
    """The decoder's scores of sentences of like length together: which ones they are, their scores, their mask."""
    by_length = sorted(range(len(sentences)), key=lambda place: len(sentences[place]))
    for start in range(0, len(sentences), BATCH_SIZE):
        places = by_length[start : start + BATCH_SIZE]
        with torch.no_grad():
            memory = model.encoder(**to_tensors([sentences[place] for place in places], features))
            scores = model.decoder.answer(memory)
        yield places, scores, memory.mask
