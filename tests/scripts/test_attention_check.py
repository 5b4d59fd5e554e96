"""The attention check finds that a decoder needs what it attends to, where it does."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from showtell.pipelines.image_to_text import ImageToText
from showtell.scripts.attention_check import content_word_losses, word_losses, write_again

POSITIONS = 10


class LooksAtOnePlace:
    """A step that attends to the position of the token's number, and knows the next word only if it sees it there."""

    inputs: tuple[str, ...] = ("tokens", "hidden", "mask")
    outputs: tuple[str, ...] = ("log_probs", "next_hidden", "attention")

    def __init__(self) -> None:
        self.masks: list[np.ndarray] = []

    def __call__(self, **arrays: np.ndarray) -> dict[str, np.ndarray]:
        self.masks.append(arrays["mask"][0])
        place = int(arrays["tokens"][0, 0])
        attention = np.full((1, 1, POSITIONS), 0.01, np.float32)
        attention[0, 0, place] = 0.91
        sees = arrays["mask"][0, place]
        log_probs = np.full((1, 1, POSITIONS), -1.0 if sees else -3.0, np.float32)
        return {"log_probs": log_probs, "next_hidden": arrays["hidden"] + 1, "attention": attention}


def test_each_word_is_written_from_the_word_and_the_state_before_it():
    encoded = {"hidden": np.zeros((1, 1, 1)), "mask": np.ones((1, POSITIONS), bool)}
    written = list(write_again(LooksAtOnePlace(), encoded, [1, 5, 7]))
    assert [word.token for word in written] == [5, 7]
    assert [int(word.attention.argmax()) for word in written] == [1, 5]
    assert [float(word.inputs["hidden"].item()) for word in written] == [0, 1]


def test_a_word_loses_by_what_its_step_attended_to_and_not_by_other_positions():
    step = LooksAtOnePlace()
    encoded = {"hidden": np.zeros((1, 1, 1)), "mask": np.ones((1, POSITIONS), bool)}
    generator = np.random.default_rng(0)
    losses = [word_losses(step, word, generator) for word in write_again(step, encoded, [1, 5, 7, 2])]
    assert losses == [(2.0, 0.0)] * 3


def test_padding_is_never_drawn():
    step = LooksAtOnePlace()
    mask = np.ones((1, POSITIONS), bool)
    mask[0, 5:] = False
    (word,) = write_again(step, {"hidden": np.zeros((1, 1, 1)), "mask": mask}, [1, 2])
    step.masks.clear()
    for seed in range(20):
        word_losses(step, word, np.random.default_rng(seed))
    # Of the five real positions one is hidden each time.
    assert {(seen[:5].sum(), seen[5:].sum()) for seen in step.masks} == {(4, 0)}


def test_the_bundled_captioners_words_need_what_they_attend_to(caption: ImageToText, photographs: list[Path]):
    captions = [answer[0]["generated_text"] for answer in caption(photographs)]
    losses = list(content_word_losses(caption, photographs, captions, np.random.default_rng(0)))
    attended, other = np.mean(losses, axis=0)
    assert attended > other
