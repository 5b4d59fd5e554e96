"""Pretrained word vectors: read from the usual files, and trimmed to the words that pay for their place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from showtell.errors import InputError, MissingExtraError

Vectors = tuple[list[str], np.ndarray]
"""Words and their vectors, `(words, width)` as float32; most frequent words first, as all these files have them."""

_ACCEPTED = "GloVe text, word2vec text or binary, fastText .vec or .bin, or a NumPy table with its words, would do"
_FASTTEXT_BINARY = (793712314).to_bytes(4, "little")


def read_vectors(path: str | Path, *, words: str | Path | None = None, limit: int | None = None) -> Vectors:
    """Read word vectors from a file on this machine; what it holds decides, not what it is called.

    path: GloVe text, word2vec text or binary, fastText `.vec` or `.bin`, any of them compressed by gzip or bzip2
        if the name ends in `.gz` or `.bz2`; or a NumPy table, `.npy` of `(words, width)`.
    words: for a NumPy table, the file of its words, one a line.
    limit: read only so many words, the first of the file.

    Of a fastText `.bin` a word's vector has its n-grams' in it; it is read whole, whatever `limit` says.

    Raises `InputError`, naming the file, for one that is missing, damaged or of another kind.
    """
    path = Path(path)
    _check_file(path)
    if path.suffix == ".npy":
        return _read_table(path, words, limit)
    try:
        from gensim import utils
        from gensim.models import KeyedVectors
        from gensim.models.fasttext import load_facebook_vectors
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f'reading word vectors needs {error.name}, which is not installed: pip install "showtell[train]".'
        ) from error
    try:
        with utils.open(str(path), "rb") as stream:
            start, second = stream.readline(), stream.readline()
        if start.startswith(_FASTTEXT_BINARY):
            table = load_facebook_vectors(str(path))
        else:
            header, binary = _is_header(start), not _is_text(start, second)
            table = KeyedVectors.load_word2vec_format(
                str(path), binary=binary, no_header=not header, limit=limit, unicode_errors="replace"
            )
    except Exception as error:  # gensim lets pass what its parsing raises: from EOFError to struct.error
        raise InputError(f"{path}: these word vectors cannot be read ({error}); {_ACCEPTED}.") from error
    found = [str(word) for word in table.index_to_key[:limit]]
    return _checked(found, np.asarray(table.vectors[: len(found)], np.float32), path)


def trim(
    vectors: Vectors,
    counts: Mapping[str, int],
    *,
    size: int,
    min_count: int = 2,
    normalise: Callable[[str], str] = str.lower,
    seed: int = 0,
) -> Vectors:
    """The words worth a place in a model's vocabulary, in their normalised form, and the table to start from.

    counts: how often each word comes in the training texts.
    size: at most so many words. First come those of the training texts, the frequent before the rare, if they
        come `min_count` times or have a vector; then the most frequent others that have one, since names that
        were never seen in training are known by their vectors alone.
    normalise: the form in which words are looked up; of several words with one form the most frequent counts.

    Returns the words and a table of `(2 + words, width)`, whose row 0 is for padding and row 1 for unknown words,
    as a `TextEncoder` takes it. A word without a vector starts uniformly within `sqrt(3 / width)` (Ma and Hovy
    2016), and the unknown word at the mean of the vectors.
    """
    words, table = vectors
    row_of: dict[str, int] = {}
    for row, word in enumerate(words):
        row_of.setdefault(normalise(word), row)
    seen: Counter[str] = Counter()
    for word, count in counts.items():
        seen[normalise(word)] += count
    trained = [word for word, count in seen.most_common() if count >= min_count or word in row_of]
    kept = list(dict.fromkeys(word for word in (*trained, *row_of) if word))[:size]
    width = table.shape[1]
    bound = (3 / width) ** 0.5
    start = np.random.default_rng(seed).uniform(-bound, bound, (2 + len(kept), width)).astype(np.float32)
    start[0] = 0
    start[1] = table.mean(axis=0)
    for place, word in enumerate(kept, start=2):
        if word in row_of:
            start[place] = table[row_of[word]]
    return kept, start


def _check_file(path: Path) -> None:
    # Before gensim sees the name: it would fetch an address.
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; the path of a file with word vectors would be accepted.")


def _is_header(line: bytes) -> bool:
    """Whether this is the first line of word2vec's formats: how many words, and how wide."""
    fields = line.split()
    return len(fields) == 2 and all(field.isdigit() for field in fields)


def _is_text(start: bytes, second: bytes) -> bool:
    """Whether a file's first two lines are text: a GloVe file, or numbers under a header."""
    if not _is_header(start):
        return True
    try:
        return len([float(field) for field in second.split()[1:]]) == int(start.split()[1])
    except ValueError:
        return False


def _read_table(path: Path, words: str | Path | None, limit: int | None) -> Vectors:
    if words is None:
        raise InputError(f"{path}: a table has no words; the path of its words, one a line, as `words` would do.")
    _check_file(Path(words))
    try:
        table = np.load(path, mmap_mode="r")
        found = Path(words).read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}, with {words}: these cannot be read ({error}); {_ACCEPTED}.") from error
    if table.ndim != 2 or len(table) != len(found):
        raise InputError(
            f"{path}: its shape is {table.shape} and {words} has {len(found)} words;"
            " (words, width) and as many words would be accepted."
        )
    return _checked(found[:limit], np.array(table[:limit], np.float32), path)


def _checked(words: list[str], table: np.ndarray, path: Path) -> Vectors:
    if table.size == 0 or not np.isfinite(table).all():
        what = "there are no vectors in it" if table.size == 0 else "some of its numbers are not finite"
        raise InputError(f"{path}: {what}; {_ACCEPTED}.")
    return words, table
