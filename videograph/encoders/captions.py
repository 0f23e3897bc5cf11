"""A sentence for each frame, by an image-to-text model of transformers: `captions:blip`, a hub id, a folder.

Words are chosen greedily, the likeliest each time: the same frame gives the same sentence. torchvision is
not needed, nor are the families' own processors where these ask for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from videograph.encoders import Captioner
from videograph.encoders._device import choose_device, precision
from videograph.encoders._hub import (
    Preset,
    fetch,
    fingerprint,
    load_model,
    load_part,
    needs,
    read_json,
)
from videograph.encoders._preprocessing import pixels_of
from videograph.errors import UsageError

PRESETS = {
    "blip": Preset(
        "Salesforce/blip-image-captioning-large", "353689b859fcf0523410b1806dace5fb46ecdf41"
    ),
    "florence2": Preset(
        "florence-community/Florence-2-base", "00921df66db728a9ceb750f5eca43e5c203a2051"
    ),
    "smolvlm2": Preset(
        "HuggingFaceTB/SmolVLM2-500M-Video-Instruct", "7b375e1b73b11138ff12fe22c8f2822d8fe03467"
    ),
}
"""Models with a short name, BSD-3, MIT and Apache-2.0. Of BLIP the large one, as the small one's weights
are on the hub only as a pickle."""
MAX_TOKENS = 40
"""Longest sentence: about 30 words."""
BATCH_IMAGES = 4
"""Frames at once: more does not pay on a CPU, and fits no small GPU."""
TASK = "<CAPTION>"
"""What Florence-2 is asked for."""
QUESTION = "Describe the image in one short sentence."
"""What SmolVLM is asked."""

Inputs = dict[str, Any]


def load_captions(what: str = "florence2", *, device: str = "auto") -> Captioner:
    """A captioner.

    Args:
        what: a preset ("blip", "florence2", "smolvlm2"), a hub id, or a folder with a model of one of
            these families.
        device: "auto", "cpu", "cuda" or "mps".

    Raises:
        UsageError: no such model or device, or one of another family.
        VideographError: it cannot be fetched or read, or the libraries are missing.
    """
    needs("transformers")  # says so before anything is downloaded for it
    folder = fetch(what, PRESETS, instead="--subtitles FILE")
    config = folder / "config.json"  # a folder of sentence-transformers may have none
    family = str(read_json(config).get("model_type")) if config.is_file() else "of no config.json"
    if family not in _FAMILIES:
        known = ", ".join(_FAMILIES)
        raise UsageError(
            f"{what} is a model of the family {family}. Allowed: {known}. Try: florence2."
        )
    return _Captioner(folder, family, device)


class _Captioner:
    """Frames in, sentences out."""

    def __init__(self, folder: Path, family: str, device: str) -> None:
        self._device = choose_device(device)
        transformers = needs("transformers")
        model, _ = load_model(transformers.AutoModelForImageTextToText, folder)
        self._model = model.to(self._device, precision(self._device))
        self._prepare, self._decode = _FAMILIES[family](folder, self._model)
        self.name = f"captions-{family}-{fingerprint(folder)}"
        self.frame_side = int(_largest(self._model.config, "image_size") or 768)

    def caption(self, images: np.ndarray) -> list[str]:
        """A sentence for each frame of (n, height, width, 3) uint8 RGB; "" where the model has none."""
        found: list[str] = []
        for start in range(0, len(images), BATCH_IMAGES):
            found += self._batch(images[start : start + BATCH_IMAGES])
        return found

    def _batch(self, images: np.ndarray) -> list[str]:
        import torch

        inputs = {
            name: value.to(self._device, self._model.dtype if value.is_floating_point() else None)
            for name, value in self._prepare(images).items()
        }
        with torch.inference_mode():
            ids = self._model.generate(
                **inputs, max_new_tokens=MAX_TOKENS, do_sample=False, num_beams=1
            )
        return [" ".join(line.split()) for line in self._decode(ids, inputs)]


def _largest(config: Any, name: str) -> int | None:
    """A setting of the vision part of a model."""
    size = getattr(getattr(config, "vision_config", None), name, None)
    return max(size) if isinstance(size, list | tuple) else size


Parts = tuple[Callable[[np.ndarray], Inputs], Callable[[Any, Inputs], list[str]]]
"""From frames to a model's inputs, and from its output (and these inputs) to sentences."""


def _blip(folder: Path, model: Any) -> Parts:
    tokenizer = _tokenizer(folder)
    pixels, _ = pixels_of(folder)

    def prepare(images: np.ndarray) -> Inputs:
        return dict(pixels(images))

    return prepare, lambda ids, _: tokenizer.batch_decode(ids, skip_special_tokens=True)


def _florence2(folder: Path, model: Any) -> Parts:
    transformers = needs("transformers")
    processor = transformers.Florence2Processor(_image_processor(folder), _tokenizer(folder))

    def prepare(images: np.ndarray) -> Inputs:
        return dict(processor(images=list(images), text=[TASK] * len(images), return_tensors="pt"))

    return prepare, lambda ids, _: processor.batch_decode(ids, skip_special_tokens=True)


def _smolvlm(folder: Path, model: Any) -> Parts:
    """By hand: the processor of this family wants torchvision, for videos that it is not shown here."""
    tokenizer, shown = _tokenizer(folder), _image_processor(folder)
    config = model.config
    side = config.vision_config.image_size // config.vision_config.patch_size
    n_tokens = side * side // config.scale_factor**2
    around = "<fake_token_around_image>"
    picture = f"{around}<global-img>{'<image>' * n_tokens}{around}"
    prompt = f"<|im_start|>User:{picture}{QUESTION}<end_of_utterance>\nAssistant:"

    def prepare(images: np.ndarray) -> Inputs:
        # One picture of the whole frame, no tiles of it: a sentence needs no small print.
        pictures = shown(
            [[image] for image in images], do_image_splitting=False, return_tensors="pt"
        )
        words = tokenizer([prompt] * len(images), add_special_tokens=False, return_tensors="pt")
        return {
            "pixel_values": pictures["pixel_values"],
            "pixel_attention_mask": pictures["pixel_attention_mask"],
            "input_ids": words["input_ids"],
            "attention_mask": words["attention_mask"],
        }

    def decode(ids: Any, inputs: Inputs) -> list[str]:
        said = ids[:, inputs["input_ids"].shape[1] :]
        return tokenizer.batch_decode(said, skip_special_tokens=True)

    return prepare, decode


_FAMILIES: Mapping[str, Callable[[Path, Any], Parts]] = {
    "blip": _blip,
    "florence2": _florence2,
    "smolvlm": _smolvlm,
}


def _tokenizer(folder: Path) -> Any:
    return load_part(needs("transformers").AutoTokenizer, folder)


def _image_processor(folder: Path) -> Any:
    return load_part(needs("transformers").AutoImageProcessor, folder, backend="pil")
