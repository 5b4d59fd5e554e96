"""Train a sentiment classifier: texts with labels in, a bundle out that `pipeline("sentiment-analysis")` opens.

    python -m showtell.scripts.train_sentiment DATA... OUTPUT --vectors glove.6B.100d.txt

Each DATA is a folder that holds `train` and `dev`: JSON lines, CSV, IMDB's folders, or a treebank's trees, whose
phrases are trained on too. Labels are negative, neutral and positive, or 0 to 4. Two stages, each of which goes on
from where it was when it is started again:

1. the network as a language model, which tells the words that stand beside those it read;
2. the classifier, which starts from there. Where texts are never neutral, it also learns what a model of n-grams
   thinks of them. At last it is calibrated on dev.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Annotated

import numpy as np
import torch
import typer
from scipy.special import log_softmax, softmax
from torch import Tensor
from torch.utils.data import DataLoader

from showtell.composition import compose
from showtell.decoders.classifier import Classifier
from showtell.encoders.embeddings import read_vectors, trim
from showtell.encoders.text import TextEncoder
from showtell.pipelines.media.passages import LONGEST_PASSAGE
from showtell.pipelines.media.text import word_splitter
from showtell.pipelines.media.vocabulary import TextFeatures, known_characters, word_normalizer, word_tokenizer
from showtell.scripts.classification_metrics import score_labels
from showtell.scripts.datasets.batches import ByLength
from showtell.scripts.datasets.sentiment_tensors import (
    LABELS,
    Texts,
    label_targets,
    read_part,
    read_phrases,
    split_texts,
)
from showtell.scripts.ngram_teacher import out_of_fold
from showtell.scripts.sentiment_losses import NeighbourModel, SentimentModel, predict_neighbours, tell_sentiment
from showtell.scripts.training import Settings, fit

log = logging.getLogger("showtell.training")

# How often a whole text is read for each time that one of its phrases is.
WHOLE_TEXTS = 4
# How much of a target the n-gram model's opinion is.
TEACHER_SHARE = 0.5
# Characters that come more rarely are unknown.
MIN_CHARACTERS = 20
# A batch holds so many texts, or as many as have so many words.
BATCH_TEXTS = 200
BATCH_WORDS = 8_000
# Of a data set's dev part, after an epoch of the language model.
DEV_BATCHES = 8
# What is tried when the model is calibrated.
SCALES = np.arange(0.4, 1.25, 0.05)
SHIFTS = np.arange(0.0, 1.55, 0.1)
NEGATIVE, NEUTRAL, POSITIVE = range(len(LABELS))


def main(
    data: Annotated[list[Path], typer.Argument(help="Folders that hold train and dev.")],
    output: Annotated[Path, typer.Argument(help="The bundle's folder.")],
    vectors: Annotated[Path, typer.Option(help="Pretrained word vectors; see showtell.encoders.embeddings.")],
    words: Annotated[Path | None, typer.Option(help="The vectors' words, if these are a NumPy table.")] = None,
    runs: Annotated[Path, typer.Option(help="Checkpoints and TensorBoard logs.")] = Path("runs/sentiment"),
    terms: Annotated[str, typer.Option(help="For what the model may be used: that is for your data to say.")] = "",
    vocabulary: Annotated[int, typer.Option(help="Words that the model knows by themselves.")] = 45_000,
    hidden_size: Annotated[int, typer.Option(help="Of the recurrent network, in each direction.")] = 150,
    dropout: Annotated[float, typer.Option(help="Before and after the recurrent network.")] = 0.4,
    word_dropout: Annotated[float, typer.Option(help="How often a word is made unknown.")] = 0.05,
    language_epochs: int = 1,
    epochs: int = 5,
    batch_size: Annotated[int, typer.Option(help="Of short texts; of long ones it holds fewer.")] = BATCH_TEXTS,
    learning_rate: float = 2e-3,
    mixed_precision: Annotated[str, typer.Option(help="bf16, or no where the processor lacks it.")] = "bf16",
    seed: int = 0,
) -> None:
    """Train a sentiment classifier in two stages, and save it as a bundle."""
    logging.basicConfig(format="%(asctime)s %(message)s")
    logging.getLogger("showtell").setLevel(logging.INFO)  # of its own, not of all that exports it

    # Data.
    splitter, normalise = word_splitter(), word_normalizer().normalize_str
    texts: list[list[str]] = []
    examples: list[list[str]] = []
    targets: list[Tensor] = []
    for folder in data:
        part, phrases = read_part(folder, "train"), read_phrases(folder, "train")
        split, times = split_texts(part, splitter), WHOLE_TEXTS if phrases else 1
        texts += split
        examples += split * times + split_texts(phrases, splitter)
        targets += [with_opinions(split, label_targets(part))] * times + [label_targets(phrases)]

    # Vocabulary.
    counts = Counter(word for text in texts for word in text)
    known, table = trim(read_vectors(vectors, words=words), counts, size=vocabulary, normalise=normalise)
    tokenizer = word_tokenizer(known)
    features = TextFeatures(tokenizer, characters=known_characters(counts, min_count=MIN_CHARACTERS))
    dev: dict[str, Texts] = {}
    for folder in data:
        part = read_part(folder, "dev")
        dev[folder.name] = Texts(split_texts(part, splitter), label_targets(part), features)

    # Model.
    torch.manual_seed(seed)
    encoder = TextEncoder(**features.config, vectors=table, dropout=0.0, word_dropout=word_dropout)
    decoder = Classifier(memory_width=encoder.width, labels=LABELS, hidden_size=hidden_size, dropout=dropout)
    model = compose(encoder=encoder, decoder=decoder, tokenizer=tokenizer)

    # Stage 1: the language of the texts.
    settings = Settings(
        language_epochs, learning_rate, watch="log_likelihood", mixed_precision=mixed_precision, seed=seed
    )
    unlabelled = Texts(texts, torch.zeros(len(texts), len(LABELS)), features, longest_cut=LONGEST_PASSAGE)
    fit(
        NeighbourModel(model),
        in_batches(unlabelled, batch_size),
        predict_neighbours,
        partial(score_neighbours, dev=dev),
        settings,
        runs / "1-language",
    )

    # Stage 2: their sentiment.
    labelled = Texts(examples, torch.cat(targets), features, longest_cut=LONGEST_PASSAGE)
    fit(
        model,
        in_batches(labelled, batch_size),
        tell_sentiment,
        partial(score_sentiment, dev=dev),
        replace(settings, epochs=epochs, watch="mean"),
        runs / "2-sentiment",
    )
    calibrate(model, dev)
    model.save(output, terms=terms)


def with_opinions(words: list[list[str]], gold: Tensor) -> Tensor:
    """Targets a part of which is what a model of n-grams thinks of each text, if none of the texts is neutral."""
    if gold[:, NEUTRAL].any():
        return gold
    normalise = cache(word_normalizer().normalize_str)
    positive = out_of_fold([[*map(normalise, text)] for text in words], gold[:, POSITIVE].numpy() == 1)
    opinions = np.stack([1 - positive, 0 * positive, positive], axis=1)
    return gold.lerp(torch.from_numpy(opinions).float(), TEACHER_SHARE)


def in_batches(texts: Texts, batch_size: int = BATCH_TEXTS) -> DataLoader:
    """Batches of texts of about one length."""
    return DataLoader(texts, batch_sampler=by_length(texts, batch_size), collate_fn=texts.collate)


def by_length(texts: Texts, batch_size: int = BATCH_TEXTS) -> ByLength:
    """Which texts make a batch."""
    return ByLength(texts.lengths.tolist(), batch_size, budget=BATCH_WORDS)


@torch.inference_mode()
def score_neighbours(model: NeighbourModel, dev: Mapping[str, Texts]) -> dict[str, float]:
    """The mean logarithm of the neighbours' probabilities, in a few batches of each data set."""
    batches = [batch for texts in dev.values() for batch in islice(in_batches(texts), DEV_BATCHES)]
    return {"log_likelihood": -fmean(predict_neighbours(model, batch).item() for batch in batches)}


def score_sentiment(model: SentimentModel, dev: Mapping[str, Texts]) -> dict[str, float]:
    """Of each data set `polarity`, the accuracy between negative and positive, and where some are neutral macro F1.

    Answers their `mean` as well.
    """
    figures: dict[str, float] = {}
    for name, texts in dev.items():
        probabilities, right = read_all(model, texts), texts.targets.argmax(dim=1).numpy()
        polar = right != NEUTRAL
        figures[f"{name}_polarity"] = float(
            ((probabilities[:, POSITIVE] > probabilities[:, NEGATIVE]) == (right == POSITIVE))[polar].mean()
        )
        scores = score_labels(probabilities, [LABELS[label] for label in right], LABELS)
        if not polar.all():
            figures[f"{name}_macro_f1"] = scores["macro_f1"]
    return figures | {"mean": float(np.mean([*figures.values()]))}


def calibrate(model: SentimentModel, dev: Mapping[str, Texts]) -> None:
    """Scale the model's logits, and add something for neutral, as `calibration` finds best on dev."""
    found = [np.log(read_all(model, texts) + 1e-9) for texts in dev.values()]
    scale, shift = calibration(found, [texts.targets.argmax(dim=1).numpy() for texts in dev.values()])
    log.info("calibrated: logits times %.2f, and %.2f more for neutral", scale, shift)
    with torch.no_grad():
        model.decoder.output.weight.mul_(scale)
        model.decoder.output.bias.mul_(scale)[NEUTRAL] += shift


def calibration(log_probs: Sequence[np.ndarray], right: Sequence[np.ndarray]) -> tuple[float, float]:
    """A scale for logits that makes the right labels likeliest (Guo and others 2017), and a shift for neutral.

    log_probs: `(texts, labels)` of each data set. right: the number of each text's label.

    The shift is that of the best macro F1, where some texts are neutral. By its probability alone neutral would be
    answered too rarely, since it is the label that is least sure.
    """
    sets = list(zip(log_probs, right, strict=True))

    def likelihood(scale: float) -> float:
        return fmean(
            float(log_softmax(scale * found, axis=1)[range(len(labels)), labels].mean()) for found, labels in sets
        )

    def macro_f1(shift: float) -> float:
        scores = [
            score_labels(softmax(scale * found + shift * is_neutral, axis=1), [LABELS[n] for n in labels], LABELS)
            for found, labels in sets
            if NEUTRAL in labels
        ]
        return sum(score["macro_f1"] for score in scores)

    is_neutral = np.eye(len(LABELS))[NEUTRAL]
    scale = max(SCALES, key=likelihood)
    return scale, max(SHIFTS, key=macro_f1)


@torch.inference_mode()
def read_all(model: SentimentModel, texts: Texts) -> np.ndarray:
    """The labels' probabilities for each text, `(texts, labels)`."""
    probabilities = np.empty((len(texts), len(LABELS)), np.float32)
    for places in by_length(texts):
        inputs, _ = texts.collate([texts[place] for place in places])
        probabilities[places] = model.decoder.answer(model.encoder(**inputs))["log_probs"].exp().numpy()
    return probabilities


if __name__ == "__main__":
    typer.run(main)
