"""Pictures as a detector of transformers wants them, after its own preprocessor_config.json.

The library's image processors are not used: for some families they need torchvision. What they do to a
picture is a size, a filter, a mean and a deviation, all of which their file says.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from videograph.errors import VideographError

LONGEST = 1333
"""Long side where a file says only the short one: what DETR was trained with."""


@dataclass(frozen=True)
class Preparation:
    """How frames become the input of a network."""

    height: int
    """Pixels down; with `keeps_shape` the short side."""
    width: int
    """Pixels across; with `keeps_shape` the most that the long side may have."""
    keeps_shape: bool
    """Whether the frame keeps its shape, or is stretched to height and width."""
    pads_to_square: bool
    """Whether black is put below or to the right of the frame until it is a square (OWLv2)."""
    resample: Image.Resampling
    """Filter."""
    scale: float
    """Factor that brings a byte to the network's unit."""
    mean: tuple[float, ...]
    """Taken off each channel after that."""
    deviation: tuple[float, ...]
    """Each channel is divided by it."""

    @property
    def frame_side(self) -> int:
        """Long side, in pixels, beyond which detail is lost anyway."""
        return max(self.height, self.width)

    def pixels(self, images: np.ndarray) -> np.ndarray:
        """Frames, (n, height, width, 3) uint8, as the network's input, (n, 3, height, width) float32."""
        if self.pads_to_square:
            images = squared(images)
        size = self._size(*images.shape[1:3])
        small = [np.asarray(Image.fromarray(i).resize(size, self.resample)) for i in images]
        values = np.stack(small).astype(np.float32) * np.float32(self.scale)
        values = (values - np.array(self.mean, np.float32)) / np.array(self.deviation, np.float32)
        return np.ascontiguousarray(values.transpose(0, 3, 1, 2))

    def _size(self, height: int, width: int) -> tuple[int, int]:
        """Width and height to which a frame of that size is brought."""
        if not self.keeps_shape:
            return self.width, self.height
        scale = min(self.height / min(height, width), self.width / max(height, width))
        return max(1, round(width * scale)), max(1, round(height * scale))


def squared(images: np.ndarray) -> np.ndarray:
    """Frames with black below or to the right until they are as high as wide."""
    n, height, width = images.shape[:3]
    side = max(height, width)
    square = np.zeros((n, side, side, 3), np.uint8)
    square[:, :height, :width] = images
    return square


def preparation(folder: Path) -> Preparation:
    """What the folder of a model says of its input.

    Raises:
        VideographError: it says nothing, or nothing that is understood here.
    """
    told = _told(folder)
    try:
        return _preparation(folder, told)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise VideographError(
            f"{folder} says of its pictures what is not understood here ({error}). Try the folder that "
            "save_pretrained wrote."
        ) from error


def _preparation(folder: Path, told: dict[str, Any]) -> Preparation:
    kind = str(told.get("image_processor_type") or told.get("feature_extractor_type") or "")
    height, width, keeps_shape = _size_of(folder, told)
    normalises = told.get("do_normalize", True)
    scale = told.get("rescale_factor", 1 / 255) if told.get("do_rescale", True) else 1.0
    return Preparation(
        height=height,
        width=width,
        keeps_shape=keeps_shape,
        pads_to_square=kind.startswith("Owlv2"),
        resample=Image.Resampling(told.get("resample", Image.Resampling.BILINEAR)),
        scale=float(scale),
        mean=tuple(told.get("image_mean") or (0.0,) * 3) if normalises else (0.0,) * 3,
        deviation=tuple(told.get("image_std") or (1.0,) * 3) if normalises else (1.0,) * 3,
    )


def _told(folder: Path) -> dict[str, Any]:
    for name, part in (
        ("preprocessor_config.json", ""),
        ("processor_config.json", "image_processor"),
    ):
        file = folder / name
        if file.is_file():
            try:
                found = json.loads(file.read_text("utf-8"))
            except ValueError as error:
                raise VideographError(
                    f"{file} is not JSON ({error}). Try the folder that save_pretrained wrote."
                ) from error
            if not part or part in found:
                return found[part] if part else found
    raise VideographError(
        f"{folder} holds no preprocessor_config.json, which says how pictures are prepared. "
        "Try: save_pretrained the model's processor there too."
    )


def _size_of(folder: Path, told: dict[str, Any]) -> tuple[int, int, bool]:
    """Height, width, and whether the shape is kept."""
    size = told.get("size")
    if isinstance(size, int):
        return size, told.get("max_size") or LONGEST, True
    if isinstance(size, list) and len(size) == 2:
        return size[0], size[1], False
    if isinstance(size, dict) and size.get("height") and size.get("width"):
        return size["height"], size["width"], False
    if isinstance(size, dict) and size.get("shortest_edge"):
        longest = size.get("longest_edge") or told.get("max_size") or LONGEST
        return size["shortest_edge"], longest, True
    raise VideographError(
        f"{folder} prepares pictures to size {size}. Allowed: height and width, or shortest_edge and "
        "longest_edge."
    )
