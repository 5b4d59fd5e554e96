"""Train a recogniser of speech: recordings and their words in, a bundle out.

    python -m showtell.scripts.train_asr OUTPUT DATA...

Each DATA folder holds `train`, and perhaps `dev`, with recordings and a `metadata.jsonl`. The recogniser spells: it
writes letters, and so words that it never heard. A run that was stopped goes on when it is started again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import jiwer
import torch
import typer
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch import Tensor
from torch.utils.data import ConcatDataset, DataLoader

from showtell.composition import Model, compose
from showtell.decoders.ctc import greedy
from showtell.decoders.ctc_decoder import CTCDecoder
from showtell.encoders.spectrogram import SpectrogramEncoder
from showtell.pipelines.media.waveform import SAMPLE_RATE
from showtell.scripts.datasets.batches import ByLength
from showtell.scripts.datasets.speech import Utterance, characters_of, read_utterances
from showtell.scripts.datasets.speech_tensors import Batch, Speech, keep_samples
from showtell.scripts.training import Settings, fit

Recogniser = Model[SpectrogramEncoder, CTCDecoder]

BLANK = "<blank>"
# Seconds of speech of a batch, padding included.
BATCH_SECONDS = 160.0


def main(
    output: Annotated[Path, typer.Argument(help="The bundle's folder.")],
    data: Annotated[list[Path], typer.Argument(help="Folders that hold train, and perhaps dev.")],
    runs: Annotated[Path, typer.Option(help="Checkpoints, caches and TensorBoard logs.")] = Path("runs/asr"),
    terms: Annotated[str, typer.Option(help="For what the model may be used: that is for your data to say.")] = "",
    hidden_size: int = 320,
    num_layers: int = 3,
    epochs: int = 30,
    learning_rate: float = 1.5e-3,
    mixed_precision: Annotated[str, typer.Option(help="bf16, or no where the processor lacks it.")] = "bf16",
    seed: int = 0,
) -> None:
    """Train a recogniser and save it as a bundle."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")

    # Data.
    train = {folder.name: read_utterances(folder / "train") for folder in data}
    dev = {folder.name: read_utterances(folder / "dev") for folder in data if (folder / "dev").exists()}
    tokenizer = spelling(utterance.text for part in train.values() for utterance in part)
    heard = [as_dataset(part, tokenizer, runs / f"{name}.train", change=True) for name, part in train.items()]
    tested = {name: as_dataset(part, tokenizer, runs / f"{name}.dev", change=False) for name, part in dev.items()}

    # Model.
    torch.manual_seed(seed)
    encoder = SpectrogramEncoder()
    decoder = CTCDecoder(
        memory_width=encoder.width,
        vocabulary_size=tokenizer.get_vocab_size(),
        hidden_size=hidden_size,
        num_layers=num_layers,
    )
    model = compose(encoder=encoder, decoder=decoder, tokenizer=tokenizer)

    # Training.
    seconds = [len(sound) / SAMPLE_RATE for part in heard for sound in part.sounds]
    order = ByLength(seconds, batch_size=64, budget=BATCH_SECONDS)
    fit(
        model,
        DataLoader(ConcatDataset(heard), batch_sampler=order, collate_fn=heard[0].collate, num_workers=1),
        negative_log_likelihood,
        partial(score_recogniser, parts=tested, tokenizer=tokenizer),
        Settings(
            epochs,
            learning_rate,
            watch="word_accuracy",
            average_decay=0.998,
            patience=epochs,
            mixed_precision=mixed_precision,
            seed=seed,
        ),
        runs / "recogniser",
    )
    model.save(output, terms=terms)


def spelling(texts: Iterable[str]) -> Tokenizer:
    """A token for each character of the texts; the first is the blank."""
    numbers = {token: number for number, token in enumerate([BLANK, *characters_of(texts)])}
    return Tokenizer(WordLevel(numbers, unk_token=BLANK))


def as_dataset(utterances: Sequence[Utterance], tokenizer: Tokenizer, file: Path, *, change: bool) -> Speech:
    """Recordings with their texts spelled, decoded once into `file`."""
    numbers = tokenizer.get_vocab()
    texts = [[numbers[character] for character in one.text if character in numbers] for one in utterances]
    return Speech(keep_samples(utterances, file), texts, change=change)


def negative_log_likelihood(model: Recogniser, batch: Batch) -> Tensor:
    """Of what was said, a character."""
    return -model(batch.inputs, batch.tokens, batch.lengths).sum() / batch.lengths.sum()


@torch.no_grad()
def score_recogniser(model: Recogniser, parts: Mapping[str, Speech], tokenizer: Tokenizer) -> dict[str, float]:
    """One less the word error rate of the best paths, of each part and of all words."""
    characters = {number: token for token, number in tokenizer.get_vocab().items()}
    said: dict[str, list[str]] = {}
    written: dict[str, list[str]] = {}
    for name, part in parts.items():
        said[name] = ["".join(characters[token] for token in text) for text in part.texts]
        written[name] = []
        for batch in DataLoader(part, batch_size=16, collate_fn=part.collate):
            memory = model.encoder(**batch.inputs)
            log_probs, _ = model.decoder.answer(memory, model.decoder.init_state(len(memory.mask)))
            for tokens in greedy(log_probs.float().numpy(), memory.mask.sum(dim=1).numpy()):
                written[name].append("".join(characters[one.token] for one in tokens).strip())
    figures = {name: 1 - float(jiwer.wer(said[name], written[name])) for name in parts}
    reference, hypothesis = ([text for texts in of.values() for text in texts] for of in (said, written))
    return {"word_accuracy": 1 - float(jiwer.wer(reference, hypothesis)), **figures}


if __name__ == "__main__":
    typer.run(main)
