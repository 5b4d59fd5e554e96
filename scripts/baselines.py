"""Well-known models that the benchmark is against, with random weights: they take as long as trained ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import (
    GenerationConfig,
    GPT2Config,
    PreTrainedModel,
    VideoMAEConfig,
    VideoMAEForVideoClassification,
    VisionEncoderDecoderConfig,
    VisionEncoderDecoderModel,
    ViTConfig,
    ViTImageProcessor,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)


class VitGpt2:
    """ViT-GPT2, an image captioner: ViT-base at 224 pixels and GPT-2 that attends to it.

    vit, gpt2: the sizes of its halves.
    """

    # A usual caption and its end; with random weights it would not end by itself.
    new_tokens = 12

    def __init__(self, vit: ViTConfig, gpt2: GPT2Config):
        config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(vit, gpt2)
        self.model: Any = VisionEncoderDecoderModel(config=config).eval()
        self.processor = ViTImageProcessor()

    def caption(self, files: Sequence[Path], *, num_beams: int) -> Tensor:
        """Tokens of a batch of photographs, `(files, 1 + new_tokens)`, the start first; as text they cost nothing."""
        images = [Image.open(file).convert("RGB") for file in files]
        pixels = self.processor(images, return_tensors="pt")["pixel_values"]
        with torch.inference_mode():
            return self.model.generate(
                pixels,
                num_beams=num_beams,
                min_new_tokens=self.new_tokens,
                max_new_tokens=self.new_tokens,
                decoder_start_token_id=0,
                pad_token_id=0,
            )


class TextTransformer:
    """A transformer that labels texts or their words, such as DistilBERT or BERT.

    It gets random tokens, one a word and two around a text. A tokenizer would make more of them, and take time itself.
    """

    def __init__(self, name: str, model: PreTrainedModel):
        self.name, self.model = name, model.eval()

    def answer(self, texts: int, words: int) -> Tensor:
        """What the model says of so many texts of so many words: logits `(texts, ...)`."""
        tokens = torch.randint(self.model.config.vocab_size, (texts, words + 2))
        with torch.inference_mode():
            return self.model(input_ids=tokens).logits


class VideoMAE:
    """VideoMAE, a video classifier: a transformer over 16 frames of 224 pixels, in tubes of two frames.

    config: its size; the default is the base model's.
    """

    # What ImageNet's pixels have, of 255.
    mean, std = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)

    def __init__(self, config: VideoMAEConfig):
        self.model, self.frames, self.size = VideoMAEForVideoClassification(config).eval(), config.num_frames, 224

    def answer(self, clips: np.ndarray) -> Tensor:
        """Logits of clips `(clips, frames, size, size, 3)`, which are read as showtell reads them."""
        pixels = (torch.from_numpy(clips) - torch.tensor(self.mean)) / torch.tensor(self.std)
        with torch.inference_mode():
            return self.model(pixel_values=pixels.permute(0, 1, 4, 2, 3)).logits


class Whisper:
    """Whisper, a speech recogniser: a transformer over windows of 30 seconds, and one that writes tokens.

    config: its size; the default is the tiny model's.
    """

    window_seconds = 30.0
    # Where text begins: the start, the language, the task, no times.
    prompt = 4

    def __init__(self, config: WhisperConfig):
        self.model: Any = WhisperForConditionalGeneration(config).eval()
        self.extract = WhisperFeatureExtractor(feature_size=config.num_mel_bins)

    def answer(self, windows: Sequence[np.ndarray], *, new_tokens: int) -> Tensor:
        """Greedy tokens of a batch of windows, each `(samples,)` at 16,000 Hz: `(windows, new_tokens)`.

        With random weights it would not end where the speech does, so it is told how much to write.
        """
        inputs = self.extract(list(windows), sampling_rate=16_000, return_tensors="pt", return_attention_mask=True)
        start = torch.zeros(len(windows), self.prompt, dtype=torch.long)
        length = GenerationConfig(min_new_tokens=new_tokens, max_new_tokens=new_tokens, pad_token_id=0)
        with torch.inference_mode():
            return self.model.generate(**inputs, decoder_input_ids=start, generation_config=length)
