from __future__ import annotations

import pytest
import torch
from torch import nn

from showtell.composition import compose
from showtell.decoders.classifier import Classifier
from showtell.encoders.text import TextEncoder
from showtell.pipelines.media.vocabulary import TextFeatures, word_tokenizer
from showtell.scripts.datasets.sentiment_tensors import LABELS, Batch, Texts
from showtell.scripts.sentiment_losses import NeighbourModel, SentimentModel, predict_neighbours, tell_sentiment

WORDS = ["a", "b", "c", "d", "e"]
TEXTS = [["a", "b", "c", "d"], ["b", "C", "d", "e", "a"], ["c"], ["d", "e"]]


@pytest.fixture
def model() -> SentimentModel:
    torch.manual_seed(0)
    tokenizer = word_tokenizer(WORDS)
    encoder = TextEncoder(**TextFeatures(tokenizer, characters="abcde").config, word_size=8, dropout=0.0, filters=4)
    decoder = Classifier(memory_width=encoder.width, labels=LABELS, hidden_size=8, attention_size=4, dropout=0.0)
    return compose(encoder=encoder, decoder=decoder, tokenizer=tokenizer)


def batch_of(model: SentimentModel, targets: torch.Tensor) -> Batch:
    assert model.tokenizer is not None
    texts = Texts(TEXTS, targets, TextFeatures(model.tokenizer, characters="abcde"))
    return texts.collate([texts[place] for place in range(len(texts))])


@torch.no_grad()
def test_neighbours_are_told_as_the_formula_says(model: SentimentModel) -> None:
    """Word by word, over the words that the batch has."""
    reader = NeighbourModel(model).eval()
    batch = batch_of(model, torch.zeros(4, 3))
    table = model.encoder.words.weight[: 2 + len(WORDS)]
    losses = []
    for row, text in enumerate(TEXTS):
        inputs = {**batch[0], "places": batch[0]["places"][row : row + 1, : len(text)]}
        hidden = model.decoder.recurrent(model.encoder(**inputs).features)[0][0]
        numbers = [2 + WORDS.index(word.lower()) for word in text]
        for place in range(len(text) - 1):
            for guess, number in (
                (reader.following(hidden[place, :8]), numbers[place + 1]),
                (reader.preceding(hidden[place + 1, 8:]), numbers[place]),
            ):
                scores = table @ guess
                # Padding and the five words; no word of the batch is unknown.
                losses.append(scores[[0, 2, 3, 4, 5, 6]].logsumexp(0) - scores[number])
    torch.testing.assert_close(predict_neighbours(reader, batch), torch.stack(losses).mean())


def test_what_the_language_teaches_stays_in_the_classifier(model: SentimentModel) -> None:
    reader, batch = NeighbourModel(model), batch_of(model, torch.zeros(4, 3))
    before = [weight.clone() for weight in model.decoder.recurrent.parameters()]
    optimizer = torch.optim.Adam(reader.parameters(), lr=0.02)
    losses = [predict_neighbours(reader, batch)]
    for _ in range(40):
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
        losses.append(predict_neighbours(reader, batch))
    assert losses[0] > 1.5 and losses[-1] < 0.8
    for old, new in zip(before, model.decoder.recurrent.parameters(), strict=True):
        assert not torch.equal(old, new)


def test_the_best_answer_to_soft_targets_is_those_targets(model: SentimentModel) -> None:
    targets = torch.tensor([[0.7, 0.2, 0.1], [0.0, 0.5, 0.5], [1.0, 0.0, 0.0], [0.1, 0.1, 0.8]])
    batch = batch_of(model, targets)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(150):
        optimizer.zero_grad()
        tell_sentiment(model, batch).backward()
        optimizer.step()
    logits, _ = model(batch[0])
    torch.testing.assert_close(nn.functional.softmax(logits, dim=-1), targets, atol=0.03, rtol=0)
