"""Write a bundled model's card: what it is, how well it does on dev through the public pipeline, under which terms.

`cards/` tells of the data that the bundled models were trained on; a model of your own needs words of your own.

python -m showtell.scripts.card image-to-text MODEL DEV
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Annotated, Any

import typer

from showtell.bundle import CARD, WEIGHTS, Bundle
from showtell.pipelines import pipeline
from showtell.scripts.datasets.captions import read_captions
from showtell.scripts.evaluate import evaluate_captions

CARDS = Path(__file__).with_name("cards")
# fp16, so two bytes a weight.
BYTES_A_WEIGHT = 2

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def task() -> None:
    """Each task is a command of its own, also while there is only one."""


@app.command()
def image_to_text(
    model: Annotated[Path, typer.Argument(help="The bundle's folder; its README.md is written anew.")],
    dev: Annotated[Path, typer.Argument(help="Photographs that it was not trained on, with their captions.")],
) -> None:
    """The card of the captioner that was trained on Flickr8k."""
    figures = evaluate_captions(pipeline("image-to-text", model), read_captions(dev))
    write_card(model, "image_captioning.md", figures | {"deciles": decile_table(figures["deciles"])})


def write_card(folder: Path, template: str, figures: Mapping[str, Any]) -> None:
    """Fill a template of `cards/` with figures, and with what the bundle itself says, and put it into the bundle."""
    bundle = Bundle.open(folder)
    weights = (folder / WEIGHTS).stat().st_size
    size = sum(file.stat().st_size for file in folder.iterdir())
    known = {
        "name": folder.name,
        "parameters": f"{weights / BYTES_A_WEIGHT / 1e6:.1f}",
        "megabytes": f"{size / 1e6:.0f}",
        "terms": bundle.config["terms"],
        **bundle.config["options"],
        **{name: f"{value:.3f}" if isinstance(value, float) else value for name, value in figures.items()},
    }
    text = Template((CARDS / template).read_text(encoding="utf-8")).substitute(known)
    (folder / CARD).write_text(text, encoding="utf-8")


def decile_table(deciles: Sequence[Mapping[str, float]]) -> str:
    """The tenths of the captions by score, lowest first, as two rows."""
    columns = range(1, len(deciles) + 1)
    lines = [["tenth", *columns], ["---"] * (len(deciles) + 1)]
    lines += [
        [name, *(f"{one[key]:.2f}" for one in deciles)] for name, key in (("score", "score"), ("CIDEr-D", "cider"))
    ]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


if __name__ == "__main__":
    app()
