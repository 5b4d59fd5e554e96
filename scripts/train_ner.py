"""Train a tagger of named entities: texts with marked entities in, a bundle out that `pipeline("ner")` opens.

    python -m showtell.scripts.train_ner DATA OUTPUT --vectors glove.6B.100d.txt

DATA holds `train.jsonl` and `dev.jsonl`, a text a line with its entities in characters. A run that was stopped goes
on from where it was when it is started again.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from showtell.composition import Model, compose
from showtell.decoders.crf import CRFDecoder, log_partition
from showtell.decoders.linear_chain import LinearChain
from showtell.decoders.tags import Span, find_spans, tag_set
from showtell.encoders.embeddings import read_vectors, trim
from showtell.encoders.text import TextEncoder
from showtell.pipelines.media.text import word_splitter
from showtell.pipelines.media.vocabulary import TextFeatures, known_characters, word_normalizer, word_tokenizer
from showtell.scripts.datasets.batches import ByLength
from showtell.scripts.datasets.conll import MarkedText, read_marked_texts
from showtell.scripts.datasets.entity_tensors import (
    Batch,
    Sentence,
    TaggedSentences,
    gold_counts,
    read_sentences,
    to_tensors,
)
from showtell.scripts.entity_metrics import score_entities
from showtell.scripts.training import Settings, fit

log = logging.getLogger("showtell.training")

Tagger = Model[TextEncoder, CRFDecoder]

# Words that come so often learn from the text; rarer ones keep their vectors, as those do that never come. It also
# saves a third of a step.
LEARNED_COUNT = 5


def main(
    data: Annotated[Path, typer.Argument(help="A folder that holds train.jsonl and dev.jsonl.")],
    output: Annotated[Path, typer.Argument(help="The bundle's folder.")],
    vectors: Annotated[Path, typer.Option(help="Pretrained word vectors; see showtell.encoders.embeddings.")],
    words: Annotated[Path | None, typer.Option(help="The vectors' words, if these are a NumPy table.")] = None,
    runs: Annotated[Path, typer.Option(help="Checkpoints and TensorBoard logs.")] = Path("runs/ner"),
    terms: Annotated[str, typer.Option(help="For what the model may be used: that is for your data to say.")] = "",
    vocabulary: Annotated[int, typer.Option(help="Words that the model knows by themselves.")] = 55_000,
    hidden_size: Annotated[int, typer.Option(help="Of the recurrent network, in each direction.")] = 200,
    dropout: Annotated[float, typer.Option(help="Before and after the recurrent network.")] = 0.5,
    word_dropout: Annotated[float, typer.Option(help="How often a word is made unknown.")] = 0.05,
    epochs: int = 30,
    batch_size: int = 32,
    learning_rate: float = 2e-3,
    seed: int = 0,
) -> None:
    """Train a tagger and save it as a bundle."""
    logging.basicConfig(format="%(asctime)s %(message)s")
    logging.getLogger("showtell").setLevel(logging.INFO)  # of its own, not of all that exports it

    # Data.
    train, dev = read_marked_texts(data / "train.jsonl"), read_marked_texts(data / "dev.jsonl")
    splitter, normalise = word_splitter(), word_normalizer().normalize_str
    sentences, dev_sentences = read_sentences(train, splitter), read_sentences(dev, splitter)
    labels = sorted({span.label for sentence in sentences for span in sentence.spans})
    spelt = Counter(word for sentence in sentences for word in sentence.words)
    counts: Counter[str] = Counter()
    for word, count in spelt.items():
        counts[normalise(word)] += count
    pretrained = read_vectors(vectors, words=words)
    known, table = trim(pretrained, counts, size=vocabulary, min_count=LEARNED_COUNT, normalise=normalise)
    tokenizer = word_tokenizer(known)
    features = TextFeatures(tokenizer, characters=known_characters(spelt))

    # Model.
    torch.manual_seed(seed)
    encoder = TextEncoder(**features.config, vectors=table, dropout=0.0, word_dropout=word_dropout)
    decoder = CRFDecoder(memory_width=encoder.width, labels=labels, hidden_size=hidden_size, dropout=dropout)
    model = compose(encoder=encoder, decoder=decoder, tokenizer=tokenizer)

    # Training.
    learned = 2 + sum(count >= LEARNED_COUNT for count in counts.values())
    encoder.words = words_in_training = PartlyLearned(encoder.words.weight.detach(), learned)
    examples = TaggedSentences(sentences, [gold_counts(sentence, labels) for sentence in sentences], features)
    order = ByLength([len(sentence.words) for sentence in sentences], batch_size)
    fit(
        model,
        DataLoader(examples, batch_sampler=order, collate_fn=examples.collate),
        cross_entropy,
        partial(score_tagger, texts=dev, sentences=dev_sentences, features=features),
        Settings(epochs, learning_rate, watch="f1", weight_decay=0.0, average_decay=0.998, patience=epochs, seed=seed),
        runs / "tagger",
    )
    encoder.words = words_in_training.whole()
    model.save(output, terms=terms)


class PartlyLearned(nn.Embedding):
    """Word embeddings of which only the first rows are parameters; the others stay as they are, and cost no time.

    table: of all words. learned: how many of its rows, the first ones, are learned.
    """

    def __init__(self, table: Tensor, learned: int):
        super().__init__(learned, table.shape[1], padding_idx=0, _weight=table[:learned].clone())
        self.table = table

    def forward(self, input: Tensor) -> Tensor:
        """From words' numbers of any shape to their vectors."""
        learned = input < self.num_embeddings
        own = super().forward(input.where(learned, 0))
        return own.where(learned.unsqueeze(-1), nn.functional.embedding(input, self.table))

    def whole(self) -> nn.Embedding:
        """The table as it is now."""
        table = torch.cat([self.weight.detach(), self.table[self.num_embeddings :]])
        return nn.Embedding.from_pretrained(table, freeze=False, padding_idx=0)


def cross_entropy(model: Tagger, batch: Batch) -> Tensor:
    """Of the taggings that the counts come from against the model's, a sentence. Of gold tags: -log p(tags)."""
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


def score_tagger(
    model: Tagger, texts: Sequence[MarkedText], sentences: Sequence[Sentence], features: TextFeatures
) -> dict[str, float]:
    """Precision, recall and F1 of the entities that the model finds in texts, by the characters at which they stand."""
    found: list[list[Span]] = [[] for _ in texts]
    for sentence, spans in zip(sentences, find_entities(model, sentences, features), strict=True):
        for start, end, label in spans:
            found[sentence.text].append(Span(sentence.offsets[start][0], sentence.offsets[end - 1][1], label))
    expected = [[Span(entity.start, entity.end, entity.type) for entity in text.entities] for text in texts]
    scores = score_entities(found, expected)
    return {name: scores[name] for name in ("precision", "recall", "f1", "partial_f1")}


@torch.inference_mode()
def find_entities(model: Tagger, sentences: Sequence[Sentence], features: TextFeatures) -> list[list[Span]]:
    """The spans of the best tagging of each sentence, counted in words."""
    tags = tag_set(model.decoder.config["labels"])
    found: dict[int, list[Span]] = {}
    by_length = sorted(range(len(sentences)), key=lambda place: len(sentences[place].words))
    for start in range(0, len(sentences), 64):
        batch = by_length[start : start + 64]
        memory = model.encoder(**to_tensors([sentences[place].words for place in batch], features))
        scores = {name: value.numpy() for name, value in model.decoder.answer(memory).items()}
        lengths = memory.mask.sum(dim=1).numpy()
        paths = LinearChain(**scores, lengths=lengths).viterbi()
        for place, path, length in zip(batch, paths.tolist(), lengths.tolist(), strict=True):
            found[place] = find_spans(tags[tag] for tag in path[:length])
    return [found[place] for place in range(len(sentences))]


if __name__ == "__main__":
    typer.run(main)
