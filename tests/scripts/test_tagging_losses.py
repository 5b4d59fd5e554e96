"""A tagger learns what it is told, by people and by other taggers."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch

from showtell.composition import compose
from showtell.decoders.crf import CRFDecoder
from showtell.decoders.linear_chain import LinearChain
from showtell.decoders.tags import Span, tag_set
from showtell.encoders.text import TextEncoder
from showtell.pipelines.media.vocabulary import TextFeatures, word_tokenizer
from showtell.scripts.datasets.entity_tensors import Counts, Sentence, TaggedSentences, gold_counts, to_tensors
from showtell.scripts.tagging_losses import BELIEF, Tagger, believed_counts, blend, cross_entropy, score_in_batches

LABELS = ["X"]
TAGS = tag_set(LABELS)
TOKENIZER = word_tokenizer(["a", "b", "c"])
FEATURES = TextFeatures(TOKENIZER, characters="abc")
SENTENCES = [Sentence(0, ["a", "b"], [], [Span(0, 2, "X")]), Sentence(1, ["c", "a", "d"], [], [Span(2, 3, "X")])]
WORDS = [sentence.words for sentence in SENTENCES]


def small_tagger(seed: int = 0) -> Tagger:
    torch.manual_seed(seed)
    encoder = TextEncoder(**FEATURES.config, word_size=4, character_size=3, casing_size=2, filters=3)
    decoder = CRFDecoder(memory_width=encoder.width, labels=LABELS, hidden_size=5)
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter)
    return compose(encoder=encoder, decoder=decoder, tokenizer=TOKENIZER).eval()


def distribution(tagger: Tagger, words: list[str]) -> dict[tuple[int, ...], float]:
    """The log-probability of each tagging of a sentence that its scheme allows."""
    taggings = list(product(range(len(TAGS)), repeat=len(words)))
    with torch.no_grad():
        log_probs = tagger(to_tensors([words] * len(taggings), FEATURES), torch.tensor(taggings))
    return {tags: value for tags, value in zip(taggings, log_probs.tolist(), strict=True) if value > -1000}


def collated(counts: list[Counts]) -> tuple[dict[str, torch.Tensor], Counts]:
    examples = TaggedSentences(SENTENCES, counts, FEATURES)
    return examples.collate([(sentence.words, count) for sentence, count in zip(SENTENCES, counts, strict=True)])


def test_of_gold_tags_the_loss_is_their_negative_log_likelihood() -> None:
    tagger, gold = small_tagger(), [gold_counts(sentence, LABELS) for sentence in SENTENCES]
    tags = torch.nn.utils.rnn.pad_sequence([count.tags.argmax(dim=1) for count in gold], batch_first=True)
    expected = -tagger(to_tensors(WORDS, FEATURES), tags).mean()
    torch.testing.assert_close(cross_entropy(tagger, collated(gold)), expected)


def test_of_beliefs_the_loss_is_the_cross_entropy_over_all_taggings() -> None:
    teacher, student = small_tagger(1), small_tagger(2)
    loss = cross_entropy(student, collated(believed_counts(teacher, WORDS, FEATURES)))
    expected = 0.0
    for words in WORDS:
        theirs, ours = distribution(teacher, words), distribution(student, words)
        expected -= sum(math.exp(value) * ours[tags] for tags, value in theirs.items()) / len(WORDS)
    assert loss.item() == pytest.approx(expected, rel=1e-4)


def test_a_tagger_that_believes_as_its_teacher_has_nothing_to_learn() -> None:
    teacher = small_tagger()
    believed = believed_counts(teacher, WORDS, FEATURES)
    cross_entropy(teacher, collated(believed)).backward()
    gradients = [weight.grad for weight in teacher.parameters() if weight.grad is not None]
    assert gradients
    assert max(gradient.abs().max().item() for gradient in gradients) < 1e-5


def test_beliefs_are_the_marginals_whatever_the_batch() -> None:
    tagger = small_tagger()
    many = [*WORDS, *([["a"]] * 70)]
    believed = believed_counts(tagger, many, FEATURES)
    for places, scores, mask in score_in_batches(tagger, many, FEATURES):
        chain = LinearChain(**{name: value.numpy() for name, value in scores.items()}, lengths=mask.sum(1).numpy())
        for place, marginals in zip(places, chain.forward_backward().marginals, strict=True):
            length = len(many[place])
            np.testing.assert_allclose(believed[place].tags, marginals[:length], atol=1e-5)
            torch.testing.assert_close(believed[place].steps.sum(dim=1), believed[place].tags[:-1].sum(dim=0))
            torch.testing.assert_close(believed[place].steps.sum(dim=0), believed[place].tags[1:].sum(dim=0))


def test_gold_tags_weigh_more_than_a_belief_that_denies_them() -> None:
    yes, no = (
        Counts(torch.tensor([[1.0, 0.0]]), torch.zeros(2, 2)),
        Counts(torch.tensor([[0.0, 1.0]]), torch.ones(2, 2)),
    )
    mixed = blend(yes, no)
    torch.testing.assert_close(mixed.tags, torch.tensor([[1 - BELIEF, BELIEF]]))
    torch.testing.assert_close(mixed.steps, torch.full((2, 2), BELIEF))
    assert mixed.tags.argmax() == 0
