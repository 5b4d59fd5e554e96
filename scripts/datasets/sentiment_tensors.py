"""Texts with their sentiment as tensors: words, and the probabilities of the labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers.pre_tokenizers import PreTokenizer
from torch import Tensor
from torch.utils.data import Dataset

from showtell.errors import InputError
from showtell.pipelines.media.text import split_words
from showtell.pipelines.media.vocabulary import TextFeatures
from showtell.scripts.datasets.sentiment import DEGREES, LabelledText, read_labelled, read_trees

LABELS = ("negative", "neutral", "positive")
# The treebank's five degrees as well.
LABEL_OF = {label: LABELS.index(DEGREES.get(label, label)) for label in (*LABELS, *DEGREES)}

Batch = tuple[dict[str, Tensor], Tensor]


def read_part(folder: Path, part: str) -> list[LabelledText]:
    """The texts of a folder's part, "train" or "dev": of `train.jsonl.xz`, `train/`, or whatever else is read.

    Trees, `train.txt`, are read if there is nothing else. Raises `InputError` if there is nothing at all.
    """
    files = sorted(file for file in folder.glob(f"{part}*") if file.name.split(".")[0] == part)
    if not files:
        raise InputError(f"{folder}: there is no {part!r} in it; {part}.jsonl, .csv, .txt or a folder would do.")
    return [text for file in [file for file in files if not _is_trees(file)] or files for text in read_labelled(file)]


def read_phrases(folder: Path, part: str) -> list[LabelledText]:
    """The phrases of a folder's trees, `train.txt`; none if it has no trees."""
    return [text for file in sorted(folder.glob(f"{part}.txt*")) for text in read_trees(file, phrases=True)]


def _is_trees(file: Path) -> bool:
    return ".txt" in file.suffixes


def split_texts(texts: Sequence[LabelledText], splitter: PreTokenizer) -> list[list[str]]:
    """The words of each text; one without any, such as an empty one, is refused by `InputError`."""
    words = [split_words(text.text, splitter).words for text in texts]
    if not all(words):
        raise InputError(f"text {words.index([])}: there is no word in it; at least one is needed to train on.")
    return words


def label_targets(texts: Sequence[LabelledText]) -> Tensor:
    """`(texts, labels)`: 1 for the right one of `LABELS`. Raises `InputError` for a label that is none of theirs."""
    unknown = next((text.label for text in texts if text.label not in LABEL_OF), None)
    if unknown is not None:
        raise InputError(f"the label {unknown!r} is not known; one of {', '.join(LABEL_OF)} would do.")
    return torch.eye(len(LABELS))[[LABEL_OF[text.label] for text in texts]]


class Texts(Dataset):
    """Texts as a `TextEncoder` reads them, and the probabilities of the labels that it is to learn for each.

    words: of each text, at least one. targets: `(texts, labels)`.
    longest_cut: in words; of a longer text a cut is read, another one each time. None: every text whole.
    """

    def __init__(
        self,
        words: Sequence[Sequence[str]],
        targets: Tensor,
        features: TextFeatures,
        *,
        longest_cut: int | None = None,
    ):
        place = {word: place for place, word in enumerate(dict.fromkeys(w for text in words for w in text), start=1)}
        # All distinct words as one text: what is read of each of them, once.
        self.table = {name: torch.from_numpy(array) for name, array in features([list(place)]).items()}
        del self.table["places"]
        self.texts = [np.array([place[word] for word in text], np.int32) for text in words]
        lengths = np.array([len(text) for text in words])
        self.targets, self.longest_cut = targets, longest_cut or int(lengths.max())
        self.lengths = np.minimum(lengths, self.longest_cut)

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int) -> tuple[np.ndarray, Tensor]:
        text = self.texts[index]
        spare = len(text) - self.longest_cut
        start = int(torch.randint(spare + 1, ())) if spare > 0 else 0
        return text[start : start + self.longest_cut], self.targets[index]

    def collate(self, items: Sequence[tuple[np.ndarray, Tensor]]) -> Batch:
        """Texts as the encoder's inputs, with their targets `(batch, labels)`."""
        lengths = np.array([len(text) for text, _ in items])
        padded = np.zeros((len(items), lengths.max()), np.int64)
        padded[np.arange(padded.shape[1]) < lengths[:, None]] = np.concatenate([text for text, _ in items])
        distinct, places = np.unique(np.append(0, padded), return_inverse=True)  # padding must come first
        inputs = {name: values[torch.from_numpy(distinct)] for name, values in self.table.items()}
        width = int((inputs["characters"] != 0).any(dim=0).sum())
        inputs["characters"] = inputs["characters"][:, :width]
        inputs["places"] = torch.from_numpy(places[1:].reshape(padded.shape))
        return inputs, torch.stack([target for _, target in items])
