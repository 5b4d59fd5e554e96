"""Train an image captioner: captioned photographs in, a bundle out that `pipeline("image-to-text")` opens.

    python -m showtell.scripts.train_image_captioning DATA OUTPUT

DATA holds `train` and `dev`, each a folder with photographs and a `metadata.jsonl`, or a saved Hugging Face data
set. The stages are those of `scripts/caption_stages.py`: the decoder learns to write from what the CNN sees, the CNN's
last stages learn to see what captions speak of, and the decoder is rewarded for CIDEr. With `--teachers 3` three
others are trained so before, from other first weights, and it learns from them before it is rewarded. A run that was
stopped goes on when it is started again. A GPU is used where there is one. What the CNN sees is kept in RUNS: of 6,000
photographs 6 GB, and 2 GB more a teacher.
"""

from __future__ import annotations

import copy
import logging
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer

from showtell.composition import compose
from showtell.decoders.attention_decoder import AttentionDecoder
from showtell.encoders.image import ImageEncoder
from showtell.scripts.caption_features import encode, halves, kept, see
from showtell.scripts.caption_stages import Captioner, Stages, Teacher
from showtell.scripts.caption_tuning import tune
from showtell.scripts.datasets.caption_tensors import caption_tokens, read_pixels, train_tokenizer
from showtell.scripts.datasets.captions import read_captions
from showtell.scripts.training import Settings

# Views of a photograph by which the CNN learns: as it is, mirrored, and so many less two cut at random. The decoder
# needs two.
VIEWS = 6


def main(
    data: Annotated[Path, typer.Argument(help="A folder that holds train and dev.")],
    output: Annotated[Path, typer.Argument(help="The bundle's folder.")],
    runs: Annotated[Path, typer.Option(help="Checkpoints, caches and TensorBoard logs.")] = Path("runs/captions"),
    backbone: Annotated[str, typer.Option(help="See showtell.encoders.image.")] = "efficientnet_lite1",
    image_size: Annotated[int, typer.Option(help="To so many pixels a side photographs are squeezed.", min=32)] = 240,
    attention: Annotated[str, typer.Option(help="additive, dot, general or location.")] = "general",
    cell: Annotated[str, typer.Option(help="rnn, lstm or gru.")] = "lstm",
    terms: Annotated[str, typer.Option(help="For what the model may be used: that is for your data to say.")] = "",
    teachers: Annotated[int, typer.Option(help="Other captioners to train before and to learn from.", min=0)] = 0,
    write_epochs: Annotated[int, typer.Option(help="0 leaves out this stage, and so with the others.")] = 6,
    see_epochs: int = 6,
    follow_epochs: Annotated[int, typer.Option(help="Of learning from teachers.")] = 3,
    reward_epochs: int = 8,
    batch_size: int = 32,
    mixed_precision: Annotated[str, typer.Option(help="bf16, or no where the processor lacks it.")] = "bf16",
    seed: int = 0,
) -> None:
    """Train a captioner in stages, and save it as a bundle."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")

    # Data.
    train, dev = read_captions(data / "train"), read_captions(data / "dev")
    references = [photograph.captions for photograph in dev]
    tokenizer = train_tokenizer(train)

    # Model. The first stages of the CNN stay as they are, so what they see is computed once.
    device = "cuda" if torch.cuda.is_available() else "cpu"
    encoder = ImageEncoder(backbone, image_size=image_size).to(device).to(memory_format=torch.channels_last)
    first, last = halves(encoder)
    # What another CNN saw is not taken for what this one sees.
    runs = runs / f"{backbone.replace('/', '-')}-{image_size}"
    views = VIEWS if see_epochs else 2
    maps = partial(kept, runs / f"maps-{views}.npy", lambda: see(encoder, first, read_pixels(train, image_size), views))
    dev_maps = kept(runs / "dev-maps.npy", lambda: see(encoder, first, read_pixels(dev, image_size), 1))
    settings = Settings(
        epochs=write_epochs,
        learning_rate=1e-3,
        watch="cider",
        average_decay=0.99,
        mixed_precision=mixed_precision,
    )
    stages = Stages(
        maps=maps,
        tokens=caption_tokens(train, tokenizer),
        dev_maps=dev_maps,
        references=references,
        tokenizer=tokenizer,
        settings=settings,
        batch_size=batch_size,
        runs=runs,
        folder=runs / "captioner",
    )

    # Training.
    def train_one(seed: int, name: str, taught_by: list[Teacher]) -> tuple[Captioner, Stages]:
        torch.manual_seed(seed)
        decoder = AttentionDecoder(
            memory_width=encoder.width, vocabulary_size=tokenizer.get_vocab_size(), attention=attention, cell=cell
        )
        captioner = Captioner(copy.deepcopy(last), decoder)
        own = replace(stages, settings=replace(settings, seed=seed), folder=runs / name)
        if write_epochs:
            own.learn_to_write(captioner, write_epochs)
        if see_epochs:
            own.learn_to_see(captioner, see_epochs)
        if taught_by and follow_epochs:
            own.learn_from(captioner, taught_by, follow_epochs)
        if reward_epochs:
            own.learn_by_reward(captioner, reward_epochs)
        return captioner, own

    taught_by = []
    for number in range(teachers):
        teacher, own = train_one(seed + 1 + number, f"teacher-{number}", [])
        taught_by.append((teacher.decoder, own.features(teacher)))
    captioner, _ = train_one(seed, "captioner", taught_by)

    last.load_state_dict(captioner.last.state_dict())
    options = tune(captioner.decoder, encode(captioner.last, dev_maps)[0], tokenizer, references)
    model = compose(encoder=encoder, decoder=captioner.decoder, tokenizer=tokenizer)
    model.save(output, options=options, terms=terms)


if __name__ == "__main__":
    typer.run(main)
