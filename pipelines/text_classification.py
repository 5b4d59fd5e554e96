"""Text classification: a text to labels, such as its sentiment, by a recurrent network that weighs its words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any, ClassVar, NamedTuple, TypedDict, Unpack, overload

import numpy as np

from showtell.bundle import CONFIG, Bundle
from showtell.errors import InputError, ModelError
from showtell.pipelines.answers import TextLabel, WeightedWord
from showtell.pipelines.base import HowToRun, Many, OnError, Pipeline, by_cost
from showtell.pipelines.labels import check_top_k, top_labels
from showtell.pipelines.media.passages import Reading, join_readings, split_passages
from showtell.pipelines.media.text import Words, check_text, split_words
from showtell.pipelines.media.vocabulary import TextFeatures
from showtell.pipelines.runtime import Runtime


class Options(TypedDict, total=False):
    """The options of a call, for editors and type checkers; `TextClassification.__call__` tells what they mean."""

    top_k: int | None
    return_attention: bool
    batch_size: int | None
    on_error: OnError
    progress: bool


class Text(NamedTuple):
    """A text that was read.

    offsets: `(words, 2)`, where each of its words begins and ends, at least one. While a text waits for its turn its
        words are numbers, since as strings they would take forty times the memory.
    """

    text: str
    offsets: np.ndarray

    def words(self) -> Words:
        """The words again as strings."""
        offsets = list(zip(*self.offsets.T.tolist(), strict=True))
        return Words(self.text, [self.text[start:end] for start, end in offsets], offsets)


class TextClassification(Pipeline[Text, list[TextLabel]]):
    """Labels of texts, such as their sentiment: for each a list of `TextLabel`, best first."""

    task: ClassVar[str] = "text-classification"
    batch_cost: ClassVar[float] = 2048  # words, padding counted; larger batches are slower
    window: ClassVar[int] = 128
    arrays_hold_many: ClassVar[bool] = True

    def __init__(self, bundle: Bundle, runtime: Runtime):
        super().__init__(bundle, runtime)
        tokenizer, config = bundle.tokenizer(), bundle.config
        self.splitter = tokenizer.pre_tokenizer
        try:
            self.labels: tuple[str, ...] = tuple(config["decoder"]["labels"])
            encoder = config["encoder"]
            self.features = TextFeatures(
                tokenizer, characters=encoder["characters"], longest_word=encoder["longest_word"]
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise ModelError(
                f"{bundle.folder / CONFIG}: it does not say all that a text classifier needs ({error!r}); a model "
                "that showtell saved would be accepted."
            ) from error

    @overload
    def __call__(  # pyright: ignore[reportOverlappingOverload]: a str is one text, though it is many characters
        self, texts: str, **options: Unpack[Options]
    ) -> list[TextLabel]: ...
    @overload
    def __call__(self, texts: list[Any] | tuple[Any, ...], **options: Unpack[Options]) -> list[list[TextLabel]]: ...
    @overload
    def __call__(self, texts: Many, **options: Unpack[Options]) -> Iterator[list[TextLabel]]: ...
    def __call__(
        self,
        texts: Any,
        *,
        top_k: int | None = 1,
        return_attention: bool = False,
        batch_size: int | None = None,
        on_error: OnError = "raise",
        progress: bool = False,
    ) -> Any:
        """Classify one text or many.

        texts: a `str`, a list of them, or any iterable of them. A text of any length is read whole, a long one in
            passages. One without a word, such as the empty string, is refused: it tells nothing.
        top_k: so many labels, the likeliest first; None is every label.
        return_attention: add each word of the text with its weight in the answer.
        batch_size, on_error, progress: see `HowToRun`.

        Returns a list of `TextLabel` for one text, a list of such lists for a list, and an iterator of them for any
        other iterable. Raises `InputError` for an input or an option.
        """
        check_top_k(top_k)
        how = HowToRun(batch_size, on_error, progress)
        return self.run(texts, lambda read: self.answer(read, top_k, return_attention), how)

    def read(self, source: Any) -> Text:
        """Where a text's words stand."""
        words = split_words(check_text(source), self.splitter)
        if not words.words:
            raise InputError("the text given: there is no word in it; a text of one word or more would be accepted.")
        return Text(words.text, np.array(words.offsets, np.int32))

    def cost(self, item: Text) -> float:
        """Its words."""
        return len(item.offsets)

    def in_words(self, answer: list[TextLabel]) -> list[tuple[str, float]]:
        """Each label with its score."""
        return [(one["label"], one["score"]) for one in answer]

    def answer(self, texts: list[Text], top_k: int | None, return_attention: bool) -> list[list[TextLabel]]:
        """Read the passages of all texts, then put each text's together again."""
        words = [text.words() for text in texts]
        passages = [[each.words[part] for part in split_passages(each)] for each in words]
        read = iter(self.read_passages(list(chain.from_iterable(passages))))
        joined = [join_readings(list(islice(read, len(each)))) for each in passages]
        answers: list[list[TextLabel]] = []
        for each, whole in zip(words, joined, strict=True):
            answer = [TextLabel(**label) for label in top_labels(whole.log_probs, self.labels, top_k)]
            if return_attention:
                attention = weigh(each, whole.attention)
                for label in answer:
                    label["attention"] = attention
            answers.append(answer)
        return answers

    def read_passages(self, passages: Sequence[Sequence[str]]) -> list[Reading]:
        """What the model makes of each passage by itself."""
        readings: dict[int, Reading] = {}
        for batch in by_cost({place: len(words) for place, words in enumerate(passages)}, self.batch_cost):
            arrays = self.graphs["answer"](**self.features([passages[place] for place in batch]))
            for place, log_probs, attention in zip(batch, arrays["log_probs"], arrays["attention"], strict=True):
                readings[place] = Reading(log_probs, attention[: len(passages[place])])
        return [readings[place] for place in range(len(passages))]


def weigh(words: Words, weights: np.ndarray) -> list[WeightedWord]:
    """The words of a text with their weights, `(words,)`."""
    return [
        WeightedWord(word=word, start=start, end=end, weight=weight)
        for word, (start, end), weight in zip(words.words, words.offsets, weights.tolist(), strict=True)
    ]
