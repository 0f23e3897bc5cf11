"""Detectors of transformers: those that know a set of kinds, and those that are told what to look for."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from videograph.encoders import Detected
from videograph.encoders._boxes import (
    Proposals,
    Wanted,
    names_to_look_for,
    refuse_strange,
    settle,
)
from videograph.encoders._device import choose_device, precision
from videograph.encoders._hub import fingerprint, load_model, load_part, needs
from videograph.encoders._pixels import Preparation, preparation
from videograph.errors import UsageError, VideographError

AT_ONCE = 4
"""Frames that go through the network together; more need gigabytes at 800 x 1333 pixels."""
CLOSED_THRESHOLD, OPEN_THRESHOLD = 0.5, 0.3
"""Least confidence of those that know their kinds, and of those that are told: the libraries' own
defaults for DETR, and between those for Grounding DINO (0.25) and what people use with OWLv2."""


class Reading(Protocol):
    """What a family of detectors is given beside the pictures, and how its output is read."""

    names: tuple[str, ...]
    """What it can find, after "none"."""

    def inputs(self, n: int) -> dict[str, Tensor]:
        """What goes in beside n pictures."""
        ...

    def probabilities(self, logits: Tensor) -> Tensor:
        """How sure each query is of each name, (n, n_queries, n_names) in [0, 1]."""
        ...


class TransformersDetector:
    """Finds objects with a network of the DETR, OWL-ViT or Grounding DINO kind."""

    def __init__(
        self,
        model: Any,
        reading: Reading,
        prepare: Preparation,
        name: str,
        wanted: Wanted,
        device: torch.device,
    ) -> None:
        self.name = name
        self.names = ("none", *reading.names)
        self.n_objects = wanted.n_objects
        self.frame_side = min(2048, prepare.frame_side)
        self._model = model.to(device)
        self._reading, self._prepare, self._wanted, self._device = reading, prepare, wanted, device

    def detect(self, images: np.ndarray) -> Detected:
        """Objects on frames, see `encoders.ObjectDetector.detect`.

        Raises:
            UsageError: the images are not (n, height, width, 3) uint8.
        """
        refuse_strange(images)
        proposals: list[Proposals] = []
        for start in range(0, len(images), AT_ONCE):
            proposals += self._propose(images[start : start + AT_ONCE])
        return settle(proposals, self._wanted)

    @torch.inference_mode()
    def _propose(self, images: np.ndarray) -> list[Proposals]:
        """What each frame's queries see, each with its most likely name."""
        pixels = torch.from_numpy(self._prepare.pixels(images)).to(self._device)
        beside = {k: v.to(self._device) for k, v in self._reading.inputs(len(images)).items()}
        with torch.autocast(
            self._device.type, precision(self._device), enabled=self._device.type != "cpu"
        ):  # weights stay float32: box corners need more than half precision has
            output = self._model(pixel_values=pixels, **beside)
        sure = self._reading.probabilities(output.logits.float()).cpu()
        boxes = corners(output.pred_boxes.float().cpu().numpy()) * self._stretch(images)
        scores, kinds = (values.numpy() for values in sure.max(dim=-1))
        return [Proposals(*frame) for frame in zip(boxes, scores, kinds, strict=True)]

    def _stretch(self, images: np.ndarray) -> np.ndarray:
        """From shares of the network's picture to shares of the frame, for x0, y0, x1, y1."""
        height, width = images.shape[1:3]
        side = max(height, width)
        shares = [side / width, side / height] * 2 if self._prepare.pads_to_square else [1.0] * 4
        return np.array(shares, np.float32)


def corners(boxes: np.ndarray) -> np.ndarray:
    """x0, y0, x1, y1 from centre, width and height, (..., 4)."""
    centre, size = boxes[..., :2], boxes[..., 2:]
    return np.concatenate([centre - size / 2, centre + size / 2], axis=-1)


# -- families ----------------------------------------------------------------------------------------


class ClosedSet:
    """DETR and its heirs: the model's own kinds."""

    def __init__(self, config: Any) -> None:
        labels = {int(number): str(name) for number, name in config.id2label.items()}
        self.names = tuple(labels.get(n, f"kind {n}") for n in range(max(labels) + 1))

    def inputs(self, n: int) -> dict[str, Tensor]:
        """Nothing but pictures."""
        return {}

    def probabilities(self, logits: Tensor) -> Tensor:
        """A kind more than there are names is "nothing here" (DETR); else each kind stands for itself."""
        if logits.shape[-1] == len(self.names) + 1:
            return logits.softmax(-1)[..., :-1]
        return logits.sigmoid()


class Owl:
    """OWL-ViT and OWLv2: each name as a sentence of its own."""

    def __init__(self, config: Any, folder: Path, names: tuple[str, ...]) -> None:
        self.names = names
        tokenizer = load_part(needs("transformers").AutoTokenizer, folder)
        self._tokens = tokenizer(
            [f"a photo of a {name}" for name in names],  # as the models were trained
            padding="max_length",
            max_length=config.text_config.max_position_embeddings,
            truncation=True,
            return_tensors="pt",
        )

    def inputs(self, n: int) -> dict[str, Tensor]:
        """All sentences for every picture."""
        return {
            key: self._tokens[key].repeat(n, 1) for key in ("input_ids", "attention_mask")
        }  # (n n_names, n_tokens)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Every name stands for itself."""
        return logits.sigmoid()


class GroundingDino:
    """Grounding DINO: all names in one text, "dog. red car."; a name is as likely as its likeliest token."""

    def __init__(self, config: Any, folder: Path, names: tuple[str, ...]) -> None:
        self.names = names
        tokenizer = load_part(needs("transformers").AutoTokenizer, folder)
        self._tokens = tokenizer(
            "".join(f"{name}. " for name in names).strip(),
            return_offsets_mapping=True,
            return_token_type_ids=True,
            return_tensors="pt",
        )
        offsets = self._tokens.pop("offset_mapping")[0]
        if len(offsets) > config.max_text_len:
            raise UsageError(
                f"{len(names)} names make {len(offsets)} tokens, {folder.name} reads "
                f"{config.max_text_len}. Try fewer names."
            )
        self._spans = [_tokens_of(offsets, *span) for span in _spans(names)]

    def inputs(self, n: int) -> dict[str, Tensor]:
        """The text for every picture."""
        return {key: value.repeat(n, 1) for key, value in self._tokens.items()}

    def probabilities(self, logits: Tensor) -> Tensor:
        """From tokens, (n, n_queries, max_text_len), to names."""
        sure = logits.sigmoid()
        return torch.stack([sure[..., span].amax(-1) for span in self._spans], -1)


def _spans(names: Sequence[str]) -> list[tuple[int, int]]:
    """Where each name stands in "dog. red car.", first character and one past the last."""
    spans, start = [], 0
    for name in names:
        spans.append((start, start + len(name)))
        start += len(name) + 2
    return spans


def _tokens_of(offsets: Tensor, start: int, end: int) -> Tensor:
    return torch.nonzero((offsets[:, 0] < end) & (offsets[:, 1] > start))[:, 0]


OPEN = {
    "owlvit": Owl,
    "owlv2": Owl,
    "grounding-dino": GroundingDino,
    "mm-grounding-dino": GroundingDino,
}
"""Readings of the detectors that are told what to look for, by `model_type`."""


# -- loading -----------------------------------------------------------------------------------------


def load_detector(
    folder: Path, *, names: Sequence[str], threshold: float | None, n_objects: int, device: str
) -> TransformersDetector:
    """The detector in a folder of transformers; `names` are read by those that are told only.

    Raises:
        UsageError: no names for a detector that is told what to look for; no such device.
        VideographError: the folder holds no detector, or a part of it is missing.
    """
    transformers = needs("transformers")
    place = choose_device(device)
    config = load_part(transformers.AutoConfig, folder)
    _refuse_timm(config, folder)
    is_open = config.model_type in OPEN
    if is_open:
        maker = transformers.AutoModelForZeroShotObjectDetection
        reading: Reading = OPEN[config.model_type](
            config, folder, names_to_look_for(names, folder.name)
        )
    elif type(config) in transformers.MODEL_FOR_OBJECT_DETECTION_MAPPING:
        maker, reading = transformers.AutoModelForObjectDetection, ClosedSet(config)
    else:
        raise VideographError(
            f"{folder} holds a {config.model_type}, which is no detector known here. Allowed: D-FINE, "
            f"RT-DETR, DETR and others of AutoModelForObjectDetection; {', '.join(OPEN)}."
        )
    usual = OPEN_THRESHOLD if is_open else CLOSED_THRESHOLD
    wanted = Wanted(usual if threshold is None else threshold, n_objects)
    model, _ = load_model(maker, folder)
    name = f"detector-{config.model_type}-{fingerprint(folder)}"
    return TransformersDetector(model, reading, preparation(folder), name, wanted, place)


def _refuse_timm(config: Any, folder: Path) -> None:
    """The first DETR checkpoints see through a network of another library."""
    backbone = getattr(config, "backbone_config", None)
    if getattr(backbone, "model_type", None) == "timm_backbone" and find_spec("timm") is None:
        raise VideographError(
            f"{folder} sees through a network of timm, which is not installed. Try detector:d-fine or "
            "detector:rt-detr, which need none, or: pip install timm"
        )
