"""What a captioner writes while it is trained, how good that is, and by which search it writes best."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from showtell.decoders.attention_decoder import AttentionDecoder
from showtell.decoders.search import beam_search
from showtell.graphs import Step
from showtell.pipelines.runtime import TorchGraph
from showtell.pipelines.writing import write
from showtell.scripts.caption_losses import as_memory
from showtell.scripts.datasets.caption_tensors import MAX_WORDS
from showtell.scripts.metrics import score_captions

log = logging.getLogger("showtell.training")


def score_decoder(
    decoder: AttentionDecoder,
    features: Tensor,
    tokenizer: Tokenizer,
    references: Sequence[Sequence[str]],
    **search: Any,
) -> dict[str, float]:
    """BLEU, ROUGE-L and CIDEr-D of what a decoder writes of features `(photographs, positions, width)`.

    search: options of the beam search, which is greedy unless they say otherwise.
    """
    names = tuple(f"next_{name}" for name in decoder.state_names)
    device = "cuda" if decoder.vocabulary_bias.is_cuda else "cpu"
    graph = TorchGraph(Step(decoder), (), ("log_probs", *names, "attention"), device=device)
    words = {token: word for word, token in tokenizer.get_vocab().items()}
    captions: list[str] = []
    for batch in features.split(50):
        with torch.inference_mode():
            context, state = decoder.eval().init_state(as_memory(batch.to(device)))
        encoded = {name: value.numpy(force=True) for name, value in (context | state).items()}
        found = write(graph, encoded, decoder.config, partial(beam_search, **({"max_length": MAX_WORDS} | search)))
        captions += [" ".join(words[token] for token in hypotheses[0].tokens) for hypotheses in found]
    return score_captions(captions, references)


def tune(
    decoder: AttentionDecoder, features: Tensor, tokenizer: Tokenizer, references: Sequence[Sequence[str]]
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
