"""Train an image captioner: captioned photographs in, a bundle out that `pipeline("image-to-text")` opens.

    python -m showtell.scripts.train_image_captioning DATA OUTPUT

DATA holds `train` and `dev`, each a folder with photographs and a `metadata.jsonl`, or a saved Hugging Face data
set. Three stages, each of which goes on from where it was when it is started again:

1. the decoder alone, on what the frozen CNN sees;
2. with it the CNN's last stages, on six views of each photograph;
3. the decoder again, for CIDEr itself, on what the CNN sees now (self-critical training).
"""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from showtell.composition import compose, load
from showtell.decoders.attention_decoder import AttentionDecoder
from showtell.decoders.search import beam_search
from showtell.encoders.image import ImageEncoder
from showtell.graphs import Step
from showtell.pipelines.runtime import TorchGraph
from showtell.pipelines.writing import write
from showtell.scripts.caption_features import encode, halves, kept, see, to_features
from showtell.scripts.caption_losses import as_memory, imitate, self_critical, up_to_end
from showtell.scripts.datasets.caption_tensors import (
    MAX_WORDS,
    Views,
    caption_tokens,
    read_pixels,
    train_tokenizer,
)
from showtell.scripts.datasets.captions import read_captions
from showtell.scripts.metrics import CiderD, score_captions
from showtell.scripts.training import Settings, fit

log = logging.getLogger("showtell.training")

# Views of a photograph in the second stage: as it is, mirrored, and so many less two cut at random. Others need two.
VIEWS = 6


def main(
    data: Annotated[Path, typer.Argument(help="A folder that holds train and dev.")],
    output: Annotated[Path, typer.Argument(help="The bundle's folder.")],
    runs: Annotated[Path, typer.Option(help="Checkpoints, caches and TensorBoard logs.")] = Path("runs/captions"),
    backbone: Annotated[str, typer.Option(help="See showtell.encoders.image.")] = "efficientnet_lite0",
    image_size: Annotated[int, typer.Option(help="To so many pixels a side photographs are squeezed.", min=32)] = 224,
    attention: Annotated[str, typer.Option(help="additive, dot, general or location.")] = "general",
    cell: Annotated[str, typer.Option(help="rnn, lstm or gru.")] = "lstm",
    terms: Annotated[str, typer.Option(help="For what the model may be used: that is for your data to say.")] = "",
    start: Annotated[
        Path | None,
        typer.Option(help="A saved captioner, to go on in DATA's words; a stage of 0 epochs is left out."),
    ] = None,
    decoder_epochs: int = 6,
    fine_tune_epochs: int = 6,
    reward_epochs: int = 3,
    batch_size: int = 32,
    mixed_precision: Annotated[str, typer.Option(help="bf16, or no where the processor lacks it.")] = "bf16",
    seed: int = 0,
) -> None:
    """Train a captioner in three stages, and save it as a bundle."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")

    # Data.
    train, dev = read_captions(data / "train"), read_captions(data / "dev")
    references = [photograph.captions for photograph in dev]
    tokenizer = train_tokenizer(train)
    tokens = caption_tokens(train, tokenizer)

    torch.manual_seed(seed)

    # Model. The first stages of the CNN stay as they are, so what they see is computed once.
    if start is None:
        encoder = ImageEncoder(backbone, image_size=image_size)
        decoder = AttentionDecoder(
            memory_width=encoder.width, vocabulary_size=tokenizer.get_vocab_size(), attention=attention, cell=cell
        )
    else:
        before = load(start)
        assert before.tokenizer is not None, "a captioner writes"
        encoder, decoder = before.encoder, with_words(before.decoder, before.tokenizer, tokenizer)
    model = compose(encoder=encoder.to(memory_format=torch.channels_last), decoder=decoder, tokenizer=tokenizer)
    first, last = halves(encoder)
    # What another CNN saw is not taken for what this one sees.
    runs = runs / f"{str(encoder.config['backbone']).replace('/', '-')}-{encoder.image_size}"
    views = VIEWS if fine_tune_epochs else 2
    maps = partial(
        kept, runs / f"maps-{views}.npy", lambda: see(encoder, first, read_pixels(train, encoder.image_size), views)
    )
    dev_maps = kept(runs / "dev-maps.npy", lambda: see(encoder, first, read_pixels(dev, encoder.image_size), 1))

    # Stage 1: the decoder reads what the CNN sees.
    settings = Settings(
        epochs=decoder_epochs,
        learning_rate=1e-3,
        watch="cider",
        average_decay=0.99,
        mixed_precision=mixed_precision,
        seed=seed,
    )
    score = partial(score_decoder, tokenizer=tokenizer, references=references)
    if decoder_epochs:
        features = kept(runs / "features-1.npy", lambda: encode(last, maps()[:2]))
        fit(
            decoder,
            DataLoader(Views(features, tokens), batch_size, shuffle=True),
            imitate,
            partial(score, features=encode(last, dev_maps)[0]),
            settings,
            runs / "1-decoder",
        )

    # Stage 2: the CNN's last stages learn to see what captions speak of.
    if fine_tune_epochs:
        fit(
            SeeingDecoder(last, decoder),
            DataLoader(Views(maps(), tokens), batch_size, shuffle=True),
            lambda model, batch: imitate(model.decoder, (to_features(model.last, batch[0]), batch[1])),
            lambda model: score(model.decoder, features=encode(model.last, dev_maps)[0]),
            replace(settings, epochs=fine_tune_epochs, learning_rate=4e-4),
            runs / "2-fine-tune",
            learning_rates={"last": 1e-4},
        )

    # Stage 3: the decoder is judged by what it writes.
    dev_features = encode(last, dev_maps)[0]
    if reward_epochs:
        features = kept(runs / "features-3.npy", lambda: encode(last, maps()[:2]))
        fit(
            decoder,
            DataLoader(Views(features, torch.arange(len(train))), batch_size, shuffle=True),
            partial(self_critical, judge=CiderD([[up_to_end(text) for text in texts] for texts in tokens.tolist()])),
            partial(score, features=dev_features),
            replace(settings, epochs=reward_epochs, learning_rate=1e-4, weight_decay=0.0),
            runs / "3-reward",
        )

    options = tune(decoder, dev_features, tokenizer, references)
    model.save(output, options=options, terms=terms)


def with_words(decoder: AttentionDecoder, known: Tokenizer, wanted: Tokenizer) -> AttentionDecoder:
    """The decoder with the words that are wanted alone: what it says of each follows from that word's own weights.

    Raises `typer.BadParameter` for a word that it does not know.
    """
    words, numbers = wanted.get_vocab(), known.get_vocab()
    if strange := sorted(words.keys() - numbers.keys()):
        raise typer.BadParameter(
            f"--start: it does not know the word {strange[0]!r}; one trained on this data would do."
        )
    rows = torch.tensor([numbers[word] for word in sorted(words, key=words.__getitem__)])
    weights = decoder.state_dict()
    for name in ("embedding.weight", "vocabulary_bias"):
        weights[name] = weights[name][rows]
    config: dict[str, Any] = decoder.config | {"vocabulary_size": len(rows)}
    chosen = AttentionDecoder(**config)
    chosen.load_state_dict(weights)
    return chosen


class SeeingDecoder(nn.Module):
    """What the second stage trains."""

    def __init__(self, last: nn.Module, decoder: AttentionDecoder):
        super().__init__()
        self.last, self.decoder = last, decoder


def score_decoder(
    decoder: AttentionDecoder, features: Tensor, tokenizer: Tokenizer, references: list[tuple[str, ...]], **search: Any
) -> dict[str, float]:
    """BLEU, ROUGE-L and CIDEr-D of what the decoder writes of a grid of features; greedily, unless told otherwise."""
    step = Step(decoder)
    names = tuple(f"next_{name}" for name in decoder.state_names)
    graph = TorchGraph(step, (), ("log_probs", *names, "attention"))
    words = {token: word for word, token in tokenizer.get_vocab().items()}
    captions: list[str] = []
    for batch in features.split(50):
        with torch.inference_mode():
            context, state = decoder.eval().init_state(as_memory(batch.float()))
        encoded = {name: value.numpy() for name, value in (context | state).items()}
        found = write(graph, encoded, decoder.config, partial(beam_search, **({"max_length": MAX_WORDS} | search)))
        captions += [" ".join(words[token] for token in hypotheses[0].tokens) for hypotheses in found]
    return score_captions(captions, references)


def tune(
    decoder: AttentionDecoder, features: Tensor, tokenizer: Tokenizer, references: list[tuple[str, ...]]
) -> dict[str, Any]:
    """The search's options that score best on dev, by CIDEr and BLEU-4 together: first a penalty, then a width."""

    def best_of(trials: list[dict[str, Any]]) -> dict[str, Any]:
        scored = [score_decoder(decoder, features, tokenizer, references, **trial) for trial in trials]
        for trial, figures in zip(trials, scored, strict=True):
            log.info("%s: BLEU-4 %.4f, CIDEr-D %.4f", trial, figures["bleu_4"], figures["cider"])
        return max(zip(trials, scored, strict=True), key=lambda pair: pair[1]["cider"] + pair[1]["bleu_4"])[0]

    options = {"num_beams": 4, "max_length": MAX_WORDS}
    options = best_of([options | {"length_penalty": penalty} for penalty in (0.85, 1.0, 1.3, 1.7, 2.2)])
    return best_of([options | {"num_beams": beams} for beams in (3, 4, 5)])


if __name__ == "__main__":
    typer.run(main)
