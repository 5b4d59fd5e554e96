"""What a sentiment classifier is trained for: to tell which words stand beside those it read, then their sentiment."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from showtell.composition import Model
from showtell.decoders.classifier import Classifier
from showtell.encoders.text import TextEncoder
from showtell.scripts.datasets.sentiment_tensors import Batch

SentimentModel = Model[TextEncoder, Classifier]


class NeighbourModel(nn.Module):
    """A text classifier's recurrent network as a language model in both directions (Peters and others 2017).

    As in Dai and Le (2015) what it has learnt is where the classifier starts.
    """

    def __init__(self, model: SentimentModel):
        super().__init__()
        self.encoder, self.decoder = model.encoder, model.decoder
        hidden_size, word_size = self.decoder.config["hidden_size"], self.encoder.config["word_size"]
        self.following = nn.Linear(hidden_size, word_size)
        self.preceding = nn.Linear(hidden_size, word_size)


def predict_neighbours(model: NeighbourModel, batch: Batch) -> Tensor:
    """Cross-entropy of each word's neighbours, the following one read forward and the preceding one backward.

    A word is told from the others of its batch, by its embedding: all the vocabulary would cost ten times as much.
    """
    inputs, _ = batch
    memory = model.encoder(**inputs)
    hidden, _ = model.decoder.recurrent(model.decoder.dropout(memory.features), memory.mask.sum(dim=1))
    forward, backward = model.decoder.dropout(hidden).chunk(2, dim=-1)
    # Words that are looked up as one, such as "The" and "the", are one here. The first is padding.
    numbers, place = torch.unique(inputs["words"], return_inverse=True)
    words = place[inputs["places"]]
    table = model.encoder.words(numbers)
    logits = torch.cat([model.following(forward[:, :-1]), model.preceding(backward[:, 1:])]) @ table.T
    # In the padding nothing has been read backward yet.
    neighbours = torch.cat([words[:, 1:], words[:, :-1].where(words[:, 1:] != 0, 0)])
    return nn.functional.cross_entropy(logits.flatten(0, 1).float(), neighbours.flatten(), ignore_index=0)


def tell_sentiment(model: SentimentModel, batch: Batch) -> Tensor:
    """Cross-entropy of the labels' target probabilities."""
    inputs, targets = batch
    logits, _ = model.decoder(model.encoder(**inputs))
    return nn.functional.cross_entropy(logits.float(), targets)
