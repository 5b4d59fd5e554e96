"""Image captioning: photographs to sentences, by an attention decoder over a CNN's grid of features."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from os import PathLike
from typing import Any, BinaryIO, ClassVar, TypedDict, Unpack, overload

import numpy as np
from PIL import Image

from showtell.bundle import CONFIG, Bundle
from showtell.decoders.search import Hypothesis, beam_search, sample
from showtell.errors import ModelError
from showtell.pipelines.answers import Caption
from showtell.pipelines.base import HowToRun, Many, OnError, Pipeline
from showtell.pipelines.media.images import read_image, to_pixels
from showtell.pipelines.runtime import Runtime
from showtell.pipelines.writing import write

Photograph = (
    str | PathLike[str] | bytes | bytearray | memoryview | BinaryIO | np.ndarray | Image.Image | Mapping[str, Any]
)
Search = Callable[..., list[list[Hypothesis]]]

SPECIAL_TOKENS = ("pad", "start", "end", "unknown")
# Of the search, where a model's own options say nothing.
DEFAULTS = {"num_beams": 4, "max_length": 20, "length_penalty": 1.0, "no_repeat_ngram_size": 0}


class Options(TypedDict, total=False):
    """The options of a call, for editors and type checkers; `ImageToText.__call__` tells what they mean."""

    num_beams: int | None
    max_length: int | None
    length_penalty: float | None
    no_repeat_ngram_size: int | None
    num_return_sequences: int
    do_sample: bool
    temperature: float
    top_k: int
    top_p: float
    seed: int
    return_attention: bool
    batch_size: int | None
    on_error: OnError
    progress: bool


class ImageToText(Pipeline[np.ndarray, list[Caption]]):
    """Captions of photographs: for each a list of `Caption`, best first."""

    task: ClassVar[str] = "image-to-text"
    # A step of the search reads all weights of the decoder: the more beams go through at once, the less it costs each.
    # Twice as many would save little more, and the reading of the first window lets the cores wait.
    batch_cost: ClassVar[float] = 32
    window: ClassVar[int] = 32
    # What the CNN computes of so many photographs still lies in a core's caches when its next layer reads it.
    encoded_together: ClassVar[int] = 8

    def __init__(self, bundle: Bundle, runtime: Runtime):
        super().__init__(bundle, runtime)
        self.words = {token: word for word, token in bundle.tokenizer().get_vocab().items()}
        config = bundle.config
        try:
            self.image_size: int = config["encoder"]["image_size"]
            self.tokens: dict[str, int] = {name: config["decoder"][name] for name in SPECIAL_TOKENS}
            self.grid: tuple[int, int] = tuple(config["memory"]["grid"])
            self.options = {name: config["options"].get(name, default) for name, default in DEFAULTS.items()}
        except (AttributeError, KeyError, TypeError) as error:
            raise ModelError(
                f"{bundle.folder / CONFIG}: it does not say all that a captioner needs ({error!r}); a model that "
                "showtell saved would be accepted."
            ) from error

    @overload
    def __call__(  # pyright: ignore[reportOverlappingOverload]: a path is one photograph, though a string is many
        self, images: Photograph, **options: Unpack[Options]
    ) -> list[Caption]: ...
    @overload
    def __call__(self, images: list[Any] | tuple[Any, ...], **options: Unpack[Options]) -> list[list[Caption]]: ...
    @overload
    def __call__(self, images: Many, **options: Unpack[Options]) -> Iterator[list[Caption]]: ...
    def __call__(
        self,
        images: Any,
        *,
        num_beams: int | None = None,
        max_length: int | None = None,
        length_penalty: float | None = None,
        no_repeat_ngram_size: int | None = None,
        num_return_sequences: int = 1,
        do_sample: bool = False,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 0,
        return_attention: bool = False,
        batch_size: int | None = None,
        on_error: OnError = "raise",
        progress: bool = False,
    ) -> Any:
        """Caption one photograph or many.

        images: a path, bytes, an open file, an array `(height, width, 3)`, a PIL image or a data set's row; a
            list of them; or any iterable of them.
        num_beams, max_length, length_penalty, no_repeat_ngram_size: of the beam search; the model's own where not
            given. num_return_sequences: captions a photograph, up to `num_beams` unless they are sampled.
        do_sample: draw captions instead, each word among the `top_k` likeliest (0: all) that together hold
            `top_p`, at `temperature`. The same `seed` draws the same of the same photograph.
        return_attention: add where the model looked at each word.
        batch_size, on_error, progress: see `HowToRun`.

        Returns a list of `Caption` for one photograph, a list of such lists for a list, and an iterator of them
        for any other iterable. Raises `InputError` for an input or an option, `MediaError` for a file.
        """
        given = {
            "num_beams": num_beams,
            "max_length": max_length,
            "length_penalty": length_penalty,
            "no_repeat_ngram_size": no_repeat_ngram_size,
        }
        options = self.options | {name: value for name, value in given.items() if value is not None}
        options["num_return_sequences"] = num_return_sequences
        if do_sample:
            del options["num_beams"], options["length_penalty"]
            search = partial(sample, **options, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
        else:
            search = partial(beam_search, **options)
        how = HowToRun(batch_size, on_error, progress)
        return self.run(images, lambda pixels: self.answer(pixels, search, return_attention), how)

    def read(self, source: Any) -> np.ndarray:
        """A photograph squeezed to the square that the model sees, `(size, size, 3)`."""
        return to_pixels(read_image(source), size=self.image_size)

    def cost(self, item: np.ndarray) -> float:
        """All photographs are of one size."""
        return 1

    def in_words(self, answer: list[Caption]) -> list[tuple[str, float]]:
        """Each caption with its score."""
        return [(caption["generated_text"], caption["score"]) for caption in answer]

    def answer(self, pixels: list[np.ndarray], search: Search, return_attention: bool) -> list[list[Caption]]:
        """Encode a batch, some photographs at a time, then search for the captions of all."""
        few = self.encoded_together
        some = [pixels[place : place + few] for place in range(0, len(pixels), few)]
        parts = [self.graphs["encode"](pixels=np.stack(photographs)) for photographs in some]
        encoded = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        found = write(self.graphs["step"], encoded, self.tokens, search)
        return [[self.caption(hypothesis, return_attention) for hypothesis in hypotheses] for hypotheses in found]

    def caption(self, hypothesis: Hypothesis, return_attention: bool) -> Caption:
        """Tokens to text; a clitic such as "'s" is written onto the word before it, and their attention is shared."""
        words: list[str] = []
        looks: list[list[np.ndarray]] = []
        for token, look in zip(hypothesis.tokens, hypothesis.trace["attention"], strict=True):
            word = self.words[token]
            if words and (word == "n't" or word.startswith("'")):
                words[-1] += word
                looks[-1].append(look)
            else:
                words.append(word)
                looks.append([look])
        answer = Caption(generated_text=" ".join(words), score=hypothesis.score)
        if return_attention:
            means = [np.mean(shared, axis=0) for shared in looks]
            answer["attention"] = np.asarray(means, np.float32).reshape(len(words), *self.grid)
        return answer
