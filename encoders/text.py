"""The text encoder: words to features, through word embeddings, a character CNN and casing features.

As in Chiu and Nichols (2016) and Ma and Hovy (2016): what a word means comes from its embedding, and what a word
that was never seen may be comes from how it is spelt and written.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from showtell.errors import InputError
from showtell.memory import Memory


class TextEncoder(nn.Module):
    """Lists of words, as `TextFeatures` gives them, to a `Memory` of one position a word.

    words, casings: how many there are, 0 for padding and 1 for a word that is not known among them.
    characters: those that it knows; 0 and 1 are padding and unknown here too.
    longest_word: in characters, as it was trained; `TextFeatures` shortens a longer one.
    word_size, character_size, casing_size: of their embeddings. filters: of the character CNN.
    dropout: of the features, the same ones at every word of a text (variational, Gal and Ghahramani 2016).
    character_dropout: of the characters' embeddings (Ma and Hovy 2016).
    word_dropout: how often a word is made unknown, so that the unknown word and the spelling are learned (Lample and
        others 2016); all of a batch's places of one word at once, as Gal and Ghahramani do.
    vectors: the table to start the word embeddings from, `(words, word_size)`, made by `embeddings.trim`.

    Raises `InputError` for vectors of another shape.
    """

    reads = "text"

    def __init__(
        self,
        *,
        words: int,
        characters: str,
        casings: int,
        longest_word: int = 24,
        word_size: int = 100,
        character_size: int = 30,
        casing_size: int = 8,
        filters: int = 50,
        dropout: float = 0.5,
        character_dropout: float = 0.5,
        word_dropout: float = 0.0,
        vectors: np.ndarray | None = None,
    ):
        super().__init__()
        self.config: dict[str, Any] = {
            "words": words,
            "characters": characters,
            "casings": casings,
            "longest_word": longest_word,
            "word_size": word_size,
            "character_size": character_size,
            "casing_size": casing_size,
            "filters": filters,
            "dropout": dropout,
            "character_dropout": character_dropout,
            "word_dropout": word_dropout,
        }
        self.words = embedding(words, word_size)
        self.spelling = CharacterCNN(len(characters) + 2, character_size, filters, character_dropout)
        self.casing = embedding(casings, casing_size)
        self.dropout = nn.Dropout(dropout)
        self.word_dropout = word_dropout
        self.width: int = word_size + filters + casing_size
        if vectors is not None:
            if vectors.shape != (words, word_size):
                raise InputError(
                    f"vectors: their shape is {vectors.shape}; {(words, word_size)}, a row for each word of the"
                    " vocabulary, would be accepted."
                )
            self.words = nn.Embedding.from_pretrained(torch.tensor(vectors), freeze=False, padding_idx=0)

    def example(self) -> tuple[dict[str, Tensor], dict[str, dict[int, str]]]:
        """Inputs of the right shape, and which of their axes have any length.

        Two texts of three words, two of the words distinct, of up to five characters.
        """
        inputs = {
            "places": torch.tensor([[1, 2, 1], [2, 1, 0]]),
            "words": torch.tensor([0, 1, 1]),
            "casing": torch.tensor([0, 1, 1]),
            "characters": torch.tensor([[0, 0, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]),
        }
        return inputs, {
            "places": {0: "batch", 1: "positions"},
            "words": {0: "distinct"},
            "casing": {0: "distinct"},
            "characters": {0: "distinct", 1: "characters"},
        }

    def forward(self, places: Tensor, words: Tensor, casing: Tensor, characters: Tensor) -> Memory:
        """Encode texts whose words stand in a list of distinct words, the first of which is padding.

        places: `(batch, words)`, each word's place in the list; 0 is padding.
        words, casing: `(distinct,)`, and characters: `(distinct, characters)`, of the words in the list.
        """
        if self.training and self.word_dropout:
            unknown = (torch.rand(words.shape, device=words.device) < self.word_dropout) & (words != 0)
            words = words.masked_fill(unknown, 1)
        distinct = torch.cat([self.words(words), self.spelling(characters), self.casing(casing)], dim=-1)
        features = nn.functional.embedding(places, distinct)
        features = features * self.dropout(torch.ones_like(features[:, :1]))
        return Memory(features, places != 0)


class CharacterCNN(nn.Module):
    """A convolution three characters wide over each word, and its maximum over the word (Ma and Hovy 2016)."""

    def __init__(self, characters: int, character_size: int, filters: int, dropout: float):
        super().__init__()
        self.characters = embedding(characters, character_size)
        self.dropout = nn.Dropout(dropout)
        self.filters = nn.Linear(3 * character_size, filters)

    def forward(self, characters: Tensor) -> Tensor:
        """From `(distinct, characters)`, 0 being padding, to `(distinct, filters)`."""
        # One product over windows is the same as nn.Conv1d, and on CPU up to three times as fast.
        x = self.dropout(self.characters(nn.functional.pad(characters, (1, 1))))
        windows = torch.cat([x[:, :-2], x[:, 1:-1], x[:, 2:]], dim=-1)
        # What is not negative may be masked by zero.
        activity = torch.relu(self.filters(windows)) * (characters != 0).unsqueeze(-1)
        return activity.amax(dim=1)


def embedding(count: int, size: int) -> nn.Embedding:
    """A table of embeddings that starts uniformly within `sqrt(3 / size)` (Ma and Hovy 2016), row 0 at zero."""
    bound = (3 / size) ** 0.5
    table = torch.empty(count, size).uniform_(-bound, bound)
    table[0] = 0
    return nn.Embedding.from_pretrained(table, freeze=False, padding_idx=0)
