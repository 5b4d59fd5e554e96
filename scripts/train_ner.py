"""Train a tagger of named entities: texts with marked entities in, a bundle out that `pipeline("ner")` opens.

    python -m showtell.scripts.train_ner DATA OUTPUT --vectors glove.6B.100d.txt

DATA holds `train.jsonl` and `dev.jsonl`, a text a line with its entities in characters. With `--teachers 5` the
tagger learns from five others too, each of which tells what it believes of a fifth of the texts that it has not read.
A run that was stopped goes on from where it was when it is started again.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from showtell.composition import compose
from showtell.decoders.crf import CRFDecoder
from showtell.decoders.linear_chain import LinearChain
from showtell.decoders.tags import Span, find_spans, tag_set
from showtell.encoders.embeddings import read_vectors, trim
from showtell.encoders.text import TextEncoder
from showtell.errors import InputError
from showtell.pipelines.media.text import word_splitter
from showtell.pipelines.media.vocabulary import TextFeatures, known_characters, word_normalizer, word_tokenizer
from showtell.scripts.datasets.batches import ByLength
from showtell.scripts.datasets.conll import MarkedText, read_marked_texts
from showtell.scripts.datasets.entity_tensors import Sentence, TaggedSentences, gold_counts, read_sentences
from showtell.scripts.entity_metrics import score_entities
from showtell.scripts.tagging_losses import Tagger, believed_counts, blend, cross_entropy, score_in_batches
from showtell.scripts.training import Settings, fit

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
    vocabulary: Annotated[int, typer.Option(help="Words that have a vector of their own.")] = 57_000,
    hidden_size: Annotated[int, typer.Option(help="Of the recurrent network, in each direction.")] = 200,
    dropout: Annotated[float, typer.Option(help="Before and after the recurrent network.")] = 0.5,
    word_dropout: Annotated[float, typer.Option(help="How often a word is made unknown.")] = 0.05,
    epochs: int = 30,
    batch_size: int = 32,
    learning_rate: float = 2e-3,
    teachers: Annotated[int, typer.Option(help="Other taggers to learn from too: five are good, one is no use.")] = 0,
    with_dev: Annotated[
        bool, typer.Option(help="Learn from dev too; what is then scored on dev says nothing.")
    ] = False,
    seed: int = 0,
) -> None:
    """Train a tagger and save it as a bundle."""
    if teachers == 1:
        raise InputError("teachers=1: of what one teacher has not read it would have read nothing; 0, or 2 and more.")
    logging.basicConfig(format="%(asctime)s %(message)s")
    logging.getLogger("showtell").setLevel(logging.INFO)  # of its own, not of all that exports it

    # Data. The vocabulary begins with the words that learn.
    train, dev = read_marked_texts(data / "train.jsonl"), read_marked_texts(data / "dev.jsonl")
    train += dev if with_dev else []
    splitter, normalise = word_splitter(), word_normalizer().normalize_str
    sentences = read_sentences(train, splitter)
    labels = sorted({span.label for sentence in sentences for span in sentence.spans})
    spelt = Counter(word for sentence in sentences for word in sentence.words)
    counts: Counter[str] = Counter()
    for word, count in spelt.items():
        counts[normalise(word)] += count
    pretrained = read_vectors(vectors, words=words)
    known, table = trim(pretrained, counts, size=vocabulary, min_count=LEARNED_COUNT, normalise=normalise)
    tokenizer = word_tokenizer(known)
    features = TextFeatures(tokenizer, characters=known_characters(spelt))
    gold = [gold_counts(sentence, labels) for sentence in sentences]

    # Model.
    def new_tagger(seed: int) -> Tagger:
        torch.manual_seed(seed)
        encoder = TextEncoder(**features.config, vectors=table, dropout=0.0, word_dropout=word_dropout)
        decoder = CRFDecoder(memory_width=encoder.width, labels=labels, hidden_size=hidden_size, dropout=dropout)
        return compose(encoder=encoder, decoder=decoder, tokenizer=tokenizer)

    # Training.
    settings = Settings(epochs, learning_rate, watch="f1", weight_decay=0.0, patience=epochs)
    learned = min(len(table), 2 + sum(count >= LEARNED_COUNT for count in counts.values()))
    score = partial(score_tagger, texts=dev, sentences=read_sentences(dev, splitter), features=features)

    def learn(model: Tagger, examples: TaggedSentences, folder: str, seed: int) -> None:
        order = ByLength(examples.lengths, batch_size)
        batches = DataLoader(examples, batch_sampler=order, collate_fn=examples.collate)
        model.encoder.words = words = PartlyLearned(model.encoder.words.weight.detach(), learned)
        average = 1 - 1 / len(batches)  # over about an epoch
        fit(model, batches, cross_entropy, score, replace(settings, average_decay=average, seed=seed), runs / folder)
        model.encoder.words = words.whole()

    # Each teacher reads all texts but some that stand together, and tells what it believes of those (cross-fitting:
    # Dao and others 2021). Of texts that it has read it would believe what it was told.
    targets = list(gold)
    for number in range(teachers):
        unread = [place for place, one in enumerate(sentences) if one.text * teachers // len(train) == number]
        read = sorted({*range(len(sentences))} - {*unread})
        teacher = new_tagger(seed + 1 + number)
        examples = TaggedSentences([sentences[place] for place in read], [gold[place] for place in read], features)
        learn(teacher, examples, f"teacher-{number}", seed + 1 + number)
        believed = believed_counts(teacher, [sentences[place].words for place in unread], features)
        for place, counts_of_teacher in zip(unread, believed, strict=True):
            targets[place] = blend(gold[place], counts_of_teacher)

    model = new_tagger(seed)
    learn(model, TaggedSentences(sentences, targets, features), "tagger", seed)
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


def score_tagger(
    model: Tagger, texts: Sequence[MarkedText], sentences: Sequence[Sentence], features: TextFeatures
) -> dict[str, float]:
    """Precision, recall and F1 of the entities that the model finds in texts, by the characters at which they stand."""
    tags = tag_set(model.decoder.config["labels"])
    found: list[list[Span]] = [[] for _ in texts]
    for places, scores, mask in score_in_batches(model, [sentence.words for sentence in sentences], features):
        lengths = mask.sum(dim=1).numpy()
        paths = LinearChain(**{name: value.numpy() for name, value in scores.items()}, lengths=lengths).viterbi()
        for place, path, length in zip(places, paths, lengths, strict=True):
            sentence = sentences[place]
            for start, end, label in find_spans(tags[tag] for tag in path[:length]):
                span = Span(sentence.offsets[start][0], sentence.offsets[end - 1][1], label)
                found[sentence.text].append(span)
    expected = [[Span(entity.start, entity.end, entity.type) for entity in text.entities] for text in texts]
    figures = score_entities(found, expected)
    return {name: figures[name] for name in ("precision", "recall", "f1", "partial_f1")}


if __name__ == "__main__":
    typer.run(main)
