"""Train a recogniser of speech: recordings and their words in, a bundle out.

    python -m showtell.scripts.train_asr OUTPUT DATA...

Each DATA folder holds `train`, and perhaps `dev`, with recordings and a `metadata.jsonl`; one that is named twice is
heard twice in an epoch. The recogniser spells: it writes letters, and so words that it never heard. Of English it may
hear phonemes too, with which a prior of words finds the words that are said so (`train_word_prior --phonemes`). It is
taught first by short recordings as they are, then by all, changed at random. A run that was stopped goes on when it is
started again.

The decoder is CTC, which hears streams; or attention, which reads a whole sentence before it writes; or both over one
network, of which CTC hears and attention helps to choose the words.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import jiwer
import torch
import typer
from accelerate.utils import send_to_device
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch.utils.data import ConcatDataset, DataLoader

from showtell.composition import Model, compose
from showtell.decoders.attention_decoder import AttentionDecoder
from showtell.decoders.ctc import greedy
from showtell.decoders.ctc_decoder import CTCDecoder
from showtell.decoders.joint_decoder import JointDecoder
from showtell.decoders.search import beam_search
from showtell.encoders.spectrogram import FRAME_SECONDS, SpectrogramEncoder
from showtell.graphs import Step
from showtell.pipelines.automatic_speech_recognition import AutomaticSpeechRecognition
from showtell.pipelines.media.log_mel import HOP_SAMPLES
from showtell.pipelines.runtime import TorchGraph, cores
from showtell.pipelines.spelling import MOST_TOKENS
from showtell.pipelines.writing import write
from showtell.scripts.datasets.batches import ByLength
from showtell.scripts.datasets.pronunciations import PHONEMES, pronounce
from showtell.scripts.datasets.speech import Utterance, characters_of, read_utterances
from showtell.scripts.datasets.speech_tensors import FRAMES, Batch, Speech, keep_samples
from showtell.scripts.datasets.splices import Splicer, Spoken, keep_cuts
from showtell.scripts.hearing import open_listener
from showtell.scripts.speech_losses import by_attention, by_both, by_ctc
from showtell.scripts.training import Settings, fit
from showtell.scripts.warm_start import blend, warm_start

# The tokens of letters, and of phonemes if they are heard.
Vocabularies = tuple[Mapping[str, int], Mapping[str, int]]

BLANK, START, END = "<blank>", "<start>", "<end>"
# Letters follow from sounds: what is long, noisy or blotted hides it. 1,250 batches of that had not taught it where 450
# of short recordings, unchanged, did.
FIRST_SECONDS = 3.2
DROPOUT = 0.3
# How much faster a layer of phonemes learns over a network that has learnt to spell.
NEW_LAYER = 4.0
# Of a decoder that attends.
ATTENDING = {"embedding_size": 128, "attention_size": 128}


class Decoder(StrEnum):
    """What a recogniser writes by."""

    CTC = "ctc"
    ATTENTION = "attention"
    JOINT = "joint"


LOSSES = {Decoder.CTC: by_ctc, Decoder.ATTENTION: by_attention, Decoder.JOINT: by_both}


def main(
    output: Annotated[Path, typer.Argument(help="The bundle's folder.")],
    data: Annotated[list[Path], typer.Argument(help="Folders that hold train, and perhaps dev.")],
    runs: Annotated[Path, typer.Option(help="Checkpoints, caches and TensorBoard logs.")] = Path("runs/asr"),
    terms: Annotated[str, typer.Option(help="For what the model may be used: that is for your data to say.")] = "",
    decoder: Annotated[Decoder, typer.Option(help="What it writes by; attention alone hears no stream.")] = Decoder.CTC,
    start: Annotated[
        Path | None, typer.Option(help="A saved recogniser of that kind to go on from; 0 first epochs would do then.")
    ] = None,
    aligner: Annotated[
        Path | None, typer.Option(help="A saved recogniser by CTC that tells where words begin, to splice recordings.")
    ] = None,
    start_share: Annotated[
        float, typer.Option(help="Of the weights that it began with in those that are saved.", min=0, max=1)
    ] = 0.0,
    hidden_size: Annotated[
        int | None, typer.Option(help="Units of a layer: 320, or as START has; of more, units are added.", min=1)
    ] = None,
    num_layers: Annotated[int, typer.Option(help="Of a new recogniser.")] = 3,
    phonemes: Annotated[bool, typer.Option(help="Hear phonemes of English, too, by CTC.")] = False,
    first_epochs: Annotated[int, typer.Option(help="Over short recordings, unchanged.")] = 8,
    epochs: Annotated[int, typer.Option(help="Over all recordings, changed at random.")] = 30,
    batch_seconds: Annotated[float, typer.Option(help="Speech in a batch; a GPU hears ten times more at once.")] = 61.5,
    learning_rate: float = 1.5e-3,
    mixed_precision: Annotated[str, typer.Option(help="bf16, or no where the processor lacks it.")] = "bf16",
    seed: int = 0,
) -> None:
    """Train a recogniser and save it as a bundle."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")

    torch.manual_seed(seed)

    # Data.
    if start_share > 0 and start is None:
        raise typer.BadParameter("--start-share: of a model to go on from; name it by --start.")
    if phonemes and decoder != Decoder.CTC:
        raise typer.BadParameter(f"--phonemes: {decoder} writes letters alone; ctc would do.")
    if len({folder.name for folder in data}) < len(set(data)):
        raise typer.BadParameter("DATA: two folders have the same name, by which they are kept; others would do.")
    train = {folder.name: read_utterances(folder / "train") for folder in data}
    dev = {folder.name: read_utterances(folder / "dev") for folder in data if (folder / "dev").exists()}

    # Model.
    added = PHONEMES if phonemes else ""
    if start is None:
        texts = (utterance.text for part in train.values() for utterance in part)
        letters = spelling(texts, ends=decoder != Decoder.CTC)
        model = new_recogniser(decoder, letters, hidden_size or 320, num_layers, added)
    else:
        model = warm_start(start, dropout=DROPOUT, hidden_size=hidden_size, phonemes=added)
    begun = copy.deepcopy(model)
    tokenizer = model.tokenizer
    assert tokenizer is not None, "a recogniser spells"

    # Training.
    align = open_listener(aligner) if aligner else None
    heard_too = model.decoder.config.get("phonemes", "")
    vocabularies = tokenizer.get_vocab(), {symbol: token for token, symbol in enumerate(heard_too, 1)}
    as_speech = partial(as_dataset, vocabularies=vocabularies)
    parts = {
        name: as_speech(part, file=runs / f"{name}.train", change=True, aligner=align) for name, part in train.items()
    }
    heard = [parts[folder.name] for folder in data]
    tested = {name: as_speech(part, file=runs / f"{name}.dev", change=False) for name, part in dev.items()}
    score = partial(score_recogniser, parts=tested, vocabularies=vocabularies)
    settings = Settings(
        epochs,
        learning_rate,
        watch="word_accuracy",
        average_decay=0.996,
        patience=epochs,
        mixed_precision=mixed_precision,
        seed=seed,
    )
    clear = [part.shorter_than(FIRST_SECONDS) for part in heard]
    first = replace(settings, epochs=first_epochs, watch="epoch", patience=first_epochs)
    done = iter(range(first_epochs))
    loss, in_batches = LOSSES[decoder], partial(as_batches, frames=round(batch_seconds / FRAME_SECONDS))
    fit(model, in_batches(clear), loss, lambda _: {"epoch": next(done)}, first, runs / "first")
    rates = {"decoder.pronounce": NEW_LAYER * learning_rate} if start and phonemes else {}
    fit(model, in_batches(heard), loss, score, settings, runs / "recogniser", learning_rates=rates)
    blend(model, begun, start_share)
    model.save(output, terms=terms)


def spelling(texts: Iterable[str], *, ends: bool = False) -> Tokenizer:
    """A token for each character of the texts; the first is the blank, the last two, with `ends`, start and end."""
    tokens = [BLANK, *characters_of(texts), *([START, END] if ends else [])]
    numbers = {token: number for number, token in enumerate(tokens)}
    return Tokenizer(WordLevel(numbers, unk_token=BLANK))


def as_dataset(
    utterances: Sequence[Utterance],
    vocabularies: Vocabularies,
    file: Path,
    *,
    change: bool,
    aligner: AutomaticSpeechRecognition | None = None,
) -> Speech:
    """Recordings with their words as tokens, decoded once into `file`, and spliced if there is an aligner.

    vocabularies: the tokens of letters, and of phonemes if they are to be heard.
    """
    letters, phonemes = vocabularies
    texts = []
    for words in (one.text.split() for one in utterances):
        said = pronounce(" ".join(words)) if phonemes else words
        spelled = [[letters[letter] for letter in word if letter in letters] for word in words]
        spoken = [[phonemes[symbol] for symbol in word if symbol in phonemes] for word in said]
        texts.append([*map(Spoken, spelled, spoken)])
    sounds, splicer = keep_samples(utterances, file), None
    if aligner is not None:
        cuts = keep_cuts(aligner, sounds, utterances, file.with_name(f"{file.name}.word_cuts.json"))
        splicer = Splicer(sounds, texts, cuts, [one.speaker for one in utterances])
    of_letters, of_phonemes = ([vocabulary[" "]] if " " in vocabulary else [] for vocabulary in vocabularies)
    return Speech(sounds, texts, spaces=(of_letters, of_phonemes), change=change, splicer=splicer)


def as_batches(parts: Sequence[Speech], frames: int) -> DataLoader:
    """All recordings in batches of about as long ones, changed by processes beside this one.

    frames: of a batch, padding included.
    """
    lengths = [len(sound) // HOP_SAMPLES for part in parts for sound in part.sounds]
    # Padding brings each to a multiple of `FRAMES`.
    padded = [-(-length // FRAMES) * FRAMES for length in lengths]
    order = ByLength(padded, batch_size=max(1, frames // FRAMES), budget=frames)
    workers = max(1, cores() // 2)
    return DataLoader(ConcatDataset(parts), batch_sampler=order, collate_fn=Speech.collate, num_workers=workers)


def new_recogniser(
    kind: Decoder, tokenizer: Tokenizer, hidden_size: int, num_layers: int, phonemes: str = ""
) -> Model[SpectrogramEncoder, Any]:
    """An untrained recogniser with a decoder of a kind."""
    encoder = SpectrogramEncoder()
    decoder = new_decoder(kind, encoder.width, tokenizer, hidden_size, num_layers, phonemes)
    return compose(encoder=encoder, decoder=decoder, tokenizer=tokenizer)


def new_decoder(
    kind: Decoder, width: int, tokenizer: Tokenizer, hidden_size: int, num_layers: int, phonemes: str = ""
) -> CTCDecoder | AttentionDecoder:
    """A decoder of a kind for memories of a width."""
    sizes: dict[str, Any] = {"memory_width": width, "vocabulary_size": (size := tokenizer.get_vocab_size())}
    sizes |= {"hidden_size": hidden_size, "dropout": DROPOUT}
    if kind == Decoder.CTC:
        return CTCDecoder(num_layers=num_layers, phonemes=phonemes, **sizes)
    sizes |= {"start": size - 2, "end": size - 1, **ATTENDING}
    if kind == Decoder.JOINT:
        return JointDecoder(num_layers=num_layers, **sizes)
    return AttentionDecoder(attention="location", listener_layers=num_layers, pad=0, unknown=0, **sizes)


@torch.no_grad()
def score_recogniser(
    model: Model[SpectrogramEncoder, Any], parts: Mapping[str, Speech], vocabularies: Vocabularies
) -> dict[str, float]:
    """One less the word error rate of what is written greedily, of each part and of all words.

    Of a joint decoder that is what CTC writes. Of one that hears phonemes a word is right if all its phonemes are.
    """
    written_by = write_by_ctc if isinstance(model.decoder, CTCDecoder) else write_by_attention
    letters, phonemes = vocabularies
    symbols = {token: symbol for symbol, token in (phonemes or letters).items()}
    device = next(model.parameters()).device
    said: dict[str, list[str]] = {}
    written: dict[str, list[str]] = {}
    for name, part in parts.items():
        said[name], written[name] = [], []
        for batch in DataLoader(part, batch_size=16, collate_fn=Speech.collate):
            there: Any = send_to_device(batch, device)
            tokens, lengths = batch.pronounced or (batch.tokens, batch.lengths)
            texts = [text[:length] for text, length in zip(tokens.tolist(), lengths.tolist(), strict=True)]
            for kept, found in ((said[name], texts), (written[name], written_by(model, there))):
                kept += ("".join(symbols[token] for token in text).strip() for text in found)
    figures = {name: 1 - float(jiwer.wer(said[name], written[name])) for name in parts}
    reference, hypothesis = ([text for texts in of.values() for text in texts] for of in (said, written))
    return {"word_accuracy": 1 - float(jiwer.wer(reference, hypothesis)), **figures}


def write_by_ctc(model: Model[SpectrogramEncoder, CTCDecoder], batch: Batch) -> list[list[int]]:
    """The texts of the best paths, in phonemes if it hears those."""
    memory = model.encoder(**batch.inputs)
    said, _ = model.decoder.answer(memory, model.decoder.init_state(len(memory.mask)))
    log_probs = said.get("phoneme_log_probs", said["log_probs"])
    found = greedy(log_probs.float().numpy(force=True), memory.mask.sum(dim=1).numpy(force=True))
    return [[one.token for one in tokens] for tokens in found]


def write_by_attention(model: Model[SpectrogramEncoder, AttentionDecoder], batch: Batch) -> list[list[int]]:
    """The texts whose every token is the likeliest after those before it."""
    context, state = model.decoder.init_state(model.encoder(**batch.inputs))
    encoded = {name: value.numpy(force=True) for name, value in (context | state).items()}
    names = "log_probs", *(f"next_{name}" for name in state), "attention"
    step = TorchGraph(Step(model.decoder), (), names, device="cuda" if batch.tokens.is_cuda else "cpu")
    found = write(step, encoded, model.decoder.config, partial(beam_search, max_length=MOST_TOKENS))
    return [list(hypotheses[0].tokens) for hypotheses in found]


if __name__ == "__main__":
    typer.run(main)
