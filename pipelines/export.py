"""Export: a model as ONNX files that hold their weights, for programs that are not showtell."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from showtell.bundle import CARD, CONFIG, TOKENIZER, Bundle
from showtell.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto

# What their caller must know of the model's parts.
SETTINGS = (
    "image_size", "frames", "grid", "start", "end", "pad", "unknown", "characters", "longest_word", "labels", "scheme",
    "blank", "lookahead", "ctc_weight",
)  # fmt: skip
# How the tasks of texts begin.
READ_A_TEXT = """\
1. Split the text into words by the pre-tokenizer in `tokenizer.json`. Of a word of more than `longest_word` characters
   keep the first half of so many and the last half.
2. List the distinct words of all texts of the batch. Place 0 of the list is padding, and holds 0 everywhere.
   `words` has the number of each in `tokenizer.json`, whose normalizer comes before the look-up; 1 if it is not there.
   `casing` says how it is written: 1 without letters, 2 lower, 3 initial capital, 4 upper, 5 mixed, 6 a number without
   letters, 7 letters with digits. `characters` has 2 and on for the characters of `characters`, in that order; 1 for
   any other, for which the letter under its accent may stand; and 0 after the word's end.
3. `places` says where in that list each word of each text stands; 0 after a text's end.
"""
# How the tasks of sound begin.
READ_A_RECORDING = """\
1. Make the recording 16 kHz mono, with full scale at 1.
2. `features` are Kaldi's filter banks of it, as `torchaudio.compliance.kaldi.fbank(sound, num_mel_bins=80)` computes
   them, the end of the sound filled up with zeros, so that there is a frame for each 10 ms. `lengths` is how many there
   are; after a recording's end they are -15.942385, which is silence.
"""
# What a task's graphs do together, for who writes their caller.
HOW_TO_CALL = {
    "audio-classification": READ_A_RECORDING
    + """\
3. `answer` gives the log-probabilities of `labels`, and the weight of each 40 ms.
""",
    "automatic-speech-recognition": READ_A_RECORDING
    + """\
3. `listen`, where there is one, gives the log-probabilities of the tokens for each 40 ms, of which one is `blank` and
   says nothing. Take the best of each, merge runs of equal ones and leave out `blank`, or search by prefix beams.
   `tokenizer.json` has the tokens' characters.
4. `hidden` and `cell` are zeros at first. Of a stream give what `next_hidden` and `next_cell` were, in `lengths` only
   multiples of 4 until it ends, and in `features` behind them at least `lookahead` frames that follow; give these
   again the next time.
5. Where there are `encode` and `step`, attention writes, or helps to choose. `encode` up to 20 s of sound once; its
   outputs that `step` knows by the same name are kept for every step. Call `step` with the token written last, at
   first `start`. `log_probs` tells how probable each token is next; `next_NAME` is what `step` takes as NAME the next
   time. Stop at `end`. Without `listen`, take the best, never `start` or `pad`, or search with several beams; with it,
   of the texts that it proposes take that of the highest `ctc_weight` * its log-probability there + (1 - `ctc_weight`)
   * the one here.
""",
    "image-to-text": """\
1. Squeeze the photograph to a square of `image_size` pixels, RGB, 0 to 255; do not crop it.
2. `encode` it once. Its outputs that `step` knows by the same name are kept for every step.
3. Call `step` with the token written last, at first `start`. `log_probs` tells how probable each token is next:
   take the best, never `pad`, `start` or `unknown`, or search with several beams. `next_NAME` is what `step` takes
   as NAME the next time. Stop at `end`.
4. `tokenizer.json` has the tokens' words. Write "n't" and what begins with "'" onto the word before it.
""",
    "text-classification": READ_A_TEXT
    + """\
4. `answer` gives the log-probabilities of `labels`, and the weight of each word. A text of more than 400 words is read
   in passages of at most so many, and its log-probabilities are the mean of theirs, weighted by their words.
""",
    "token-classification": READ_A_TEXT
    + """\
4. `answer` gives the scores of a CRF, for a batch of sentences of at most 256 words each: `emissions` of each tag at
   each word, `transitions` from a tag to the next, and those of the first tag (`start`) and the last (`end`). The tags
   are O, then for each of `labels` one with each of B, I, E and S before it (`scheme` BIOES), or B and I (BIO).
5. The best tags have the highest sum of scores: find them by Viterbi's algorithm. `exp` of a sum is proportional to
   the probability of its tags: the forward-backward algorithm gives that of a tag or of a span.
""",
    "video-classification": """\
1. Cut the clip's time into `frames` equal parts and take the frame that is shown in the middle of each.
2. Squeeze each to a square of `image_size` pixels, RGB, 0 to 255, averaged over what a pixel covers; do not crop it.
3. `answer` gives the log-probabilities of `labels`, and how much the model looked at each frame.
""",
}


def export_model(source: str | Path, folder: str | Path) -> None:
    """Write a saved model's graphs, each with its weights as fp32 inside, and what their caller must know.

    source: a bundle's folder. folder: a new or an empty one; `config.json`, `README.md`, `tokenizer.json` if the model
    has one, and one `.onnx` file a graph are written there.

    Raises `ModelError` for the source, `InputError` for the folder, `MissingExtraError` if `onnx` is not installed.
    """
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            'to export needs onnx, which is not installed: pip install "showtell[torch]".'
        ) from error

    bundle, folder = Bundle.open(source), Path(folder)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(f"{folder}: something is there already; a new or an empty folder would do.")
    weights = bundle.weights()
    models = {name: onnx.load(bundle.graph_file(name), load_external_data=False) for name in bundle.config["graphs"]}
    folder.mkdir(parents=True, exist_ok=True)
    for name, model in models.items():
        for tensor in model.graph.initializer:
            if tensor.name in bundle.config["graphs"][name]["weights"]:
                tensor.CopyFrom(onnx.numpy_helper.from_array(weights[tensor.name], tensor.name))
        onnx.save(model, folder / f"{name}.onnx")
    if TOKENIZER in bundle.config["files"]:
        (folder / TOKENIZER).write_text(bundle.tokenizer().to_str(), encoding="utf-8")
    config = {name: bundle.config.get(name) for name in ("task", "terms", "options")}
    for part in ("encoder", "memory", "decoder"):
        config |= {name: value for name, value in bundle.config[part].items() if name in SETTINGS}
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    (folder / CARD).write_text(readme(config, models), encoding="utf-8")


def readme(config: Mapping[str, Any], models: Mapping[str, ModelProto]) -> str:
    """How to call the graphs, with the names, types and shapes of what goes in and out."""
    lines = [f"# A model for {config['task']}, as ONNX", "", HOW_TO_CALL[config["task"]]]
    if config["terms"]:
        lines += [f"Terms of use: {config['terms']}", ""]
    for name, model in models.items():
        lines += [f"## {name}.onnx", "", "| | name | type | shape |", "| --- | --- | --- | --- |"]
        lines += [row("in", value) for value in model.graph.input]
        lines += [*(row("out", value) for value in model.graph.output), ""]
    return "\n".join(lines)


def row(way: str, value: ValueInfoProto) -> str:
    """A line of the table."""
    import onnx

    tensor = value.type.tensor_type
    kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
    shape = ", ".join(side.dim_param or str(side.dim_value) for side in tensor.shape.dim)
    return f"| {way} | {value.name} | {kind} | {shape} |"
