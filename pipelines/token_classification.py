"""Named entities: texts to the spans that they name, by a recurrent network and a CRF over words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypedDict, Unpack, overload

import numpy as np

from showtell.bundle import CONFIG, Bundle
from showtell.decoders.linear_chain import LinearChain
from showtell.decoders.tags import Span, find_spans, tag_set
from showtell.errors import ModelError
from showtell.pipelines.answers import Entity
from showtell.pipelines.base import Groups, HowToRun, Many, OnError, Pipeline, by_cost, in_order
from showtell.pipelines.media.text import check_text, check_words, join_words, split_sentences, split_words
from showtell.pipelines.media.vocabulary import TextFeatures
from showtell.pipelines.runtime import Runtime

# Words that go through the model together, padding counted. More are no faster, and take memory.
BATCH_WORDS = 1024

# A text that was read: as it is, or the words that its caller split it into.
Text = str | list[str]


class Options(TypedDict, total=False):
    """The options of a call but `words`, for editors and type checkers; `TokenClassification.__call__` tells more."""

    batch_size: int | None
    on_error: OnError
    progress: bool


@dataclass(frozen=True)
class SplitText:
    """One text as its caller has split it. What it holds is looked at when its turn comes."""

    words: Any


class TokenClassification(Pipeline[Text, list[Entity]]):
    """Entities that texts name, such as persons and places: for each text a list of `Entity`, as they stand in it."""

    task: ClassVar[str] = "token-classification"
    batch_cost: ClassVar[float] = 100_000  # characters, of which a word takes about six
    window: ClassVar[int] = 512
    arrays_hold_many: ClassVar[bool] = True

    def __init__(self, bundle: Bundle, runtime: Runtime):
        super().__init__(bundle, runtime)
        tokenizer, config = bundle.tokenizer(), bundle.config
        self.splitter = tokenizer.pre_tokenizer
        try:
            encoder, decoder = config["encoder"], config["decoder"]
            self.features = TextFeatures(
                tokenizer, characters=encoder["characters"], longest_word=encoder["longest_word"]
            )
            self.labels, self.scheme = decoder["labels"], decoder["scheme"]
            self.tags = tag_set(self.labels, scheme=self.scheme)
        except (AttributeError, KeyError, TypeError) as error:
            raise ModelError(
                f"{bundle.folder / CONFIG}: it does not say all that a tagger needs ({error!r}); a model that "
                "showtell saved would be accepted."
            ) from error

    @overload
    def __call__(  # pyright: ignore[reportOverlappingOverload]: a str is one text, though it is many characters
        self, texts: str, **options: Unpack[Options]
    ) -> list[Entity]: ...
    @overload
    def __call__(  # pyright: ignore[reportOverlappingOverload]: a list of words is one text, though a list is many
        self, texts: list[str] | tuple[str, ...], *, words: Literal[True], **options: Unpack[Options]
    ) -> list[Entity]: ...
    @overload
    def __call__(
        self, texts: list[Any] | tuple[Any, ...], *, words: bool = False, **options: Unpack[Options]
    ) -> list[list[Entity]]: ...
    @overload
    def __call__(self, texts: Many, *, words: bool = False, **options: Unpack[Options]) -> Iterator[list[Entity]]: ...
    def __call__(
        self,
        texts: Any,
        *,
        words: bool = False,
        batch_size: int | None = None,
        on_error: OnError = "raise",
        progress: bool = False,
    ) -> Any:
        """Find the entities of one text or of many.

        texts: a `str`, a list of them, or any iterable of them. A text of any length is read whole.
        words: each text is a list of words, split already. Its entities stand in `" ".join(words)`, and their words
            at `words[word_start:word_end]`.
        batch_size, on_error, progress: see `HowToRun`.

        Returns a list of `Entity` for one text, which is empty if it names none, a list of such lists for a list,
        and an iterator of them for any other iterable. Raises `InputError` for an input or an option.
        """
        how = HowToRun(batch_size, on_error, progress)
        return self.run(self.as_split(texts) if words else texts, self.answer, how)

    def as_split(self, texts: Any) -> Any:
        """Mark each text as split by its caller. They stay one, a list or an iterator of many."""
        if self.is_one(texts) or (isinstance(texts, (list, tuple)) and texts and isinstance(texts[0], str)):
            return SplitText(texts)
        if isinstance(texts, Groups):
            return Groups(map(SplitText, group) for group in texts)
        split = map(SplitText, in_order(texts))
        return list(split) if isinstance(texts, (list, tuple)) else split

    def read(self, source: Any) -> Text:
        """A text as it is. It is split when it is answered: as words it would wait in thirty times the memory."""
        return check_words(source.words) if isinstance(source, SplitText) else check_text(source)

    def cost(self, item: Text) -> float:
        """Its characters."""
        return len(item) if isinstance(item, str) else sum(map(len, item))

    def in_words(self, answer: list[Entity]) -> list[tuple[str, float]]:
        """Each entity with its label, and its score."""
        return [(f"{entity['word']} ({entity['entity_group']})", entity["score"]) for entity in answer]

    def answer(self, texts: list[Text]) -> list[list[Entity]]:
        """Tag the sentences of all texts together, then put each text's entities in order."""
        documents = [split_words(x, self.splitter) if isinstance(x, str) else join_words(x) for x in texts]
        sentences = [(place, s) for place, document in enumerate(documents) for s in split_sentences(document)]
        tagged = self.tag([documents[place].words[sentence] for place, sentence in sentences])
        answers: list[list[Entity]] = [[] for _ in texts]
        for (place, sentence), spans in zip(sentences, tagged, strict=True):
            for span, score in spans:
                first, last = sentence.start + span.start, sentence.start + span.end - 1
                start, end = documents[place].offsets[first][0], documents[place].offsets[last][1]
                word = documents[place].text[start:end]
                entity = Entity(entity_group=span.label, score=score, word=word, start=start, end=end)
                if not isinstance(texts[place], str):
                    entity["word_start"], entity["word_end"] = first, last + 1
                answers[place].append(entity)
        return answers

    def tag(self, sentences: list[list[str]]) -> list[list[tuple[Span, float]]]:
        """The spans of each sentence and their probabilities. Those of like length go through the model together."""
        tagged: dict[int, list[tuple[Span, float]]] = {}
        lengths = {place: len(words) for place, words in enumerate(sentences)}
        for batch in by_cost(lengths, BATCH_WORDS):
            tagged.update(zip(batch, self.tag_batch([sentences[place] for place in batch]), strict=True))
        return [tagged[place] for place in range(len(sentences))]

    def tag_batch(self, sentences: list[list[str]]) -> list[list[tuple[Span, float]]]:
        """The spans of the best tags of each sentence, and how probable each of them is."""
        lengths = [len(words) for words in sentences]
        chain = LinearChain(**self.graphs["answer"](**self.features(sentences)), lengths=np.array(lengths))
        paths = zip(chain.viterbi().tolist(), lengths, strict=True)
        spans = [find_spans(self.tags[tag] for tag in path[:length]) for path, length in paths]
        scores = chain.forward_backward().spans(spans, labels=self.labels, scheme=self.scheme)
        return [[*zip(*pair, strict=True)] for pair in zip(spans, scores, strict=True)]
