"""The workshop of encoders: a file here is an encoder, its name is the file's name.

A member defines `load(**options) -> Encoder` and is imported only when it is asked for.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from videograph.errors import UsageError


@dataclass(frozen=True)
class Encoded:
    """What an encoder sees on a batch of frames."""

    features: np.ndarray
    """(n, dim) float32."""
    object_features: np.ndarray
    """(n, n_objects, object_dim) float32, 0 where masked."""
    object_mask: np.ndarray
    """(n, n_objects) bool."""
    object_boxes: np.ndarray
    """x0, y0, x1, y1 as shares of width and height, (n, n_objects, 4) float32, 0 where masked."""
    object_kinds: np.ndarray
    """(n, n_objects) int8, indices into `records.OBJECT_KINDS`."""


class Encoder(Protocol):
    """Frames in, features out. Held to shape, dtype, range and determinism by test_contracts.py."""

    name: str
    """Name and version, e.g. "builtin-1"; other features are other names."""
    dim: int
    """Width of `features`."""
    object_dim: int
    """Width of `object_features`."""
    n_objects: int
    """Object slots per frame."""
    frame_side: int
    """Long side, in pixels, at which frames are to be delivered."""

    def encode(self, images: np.ndarray, previous: np.ndarray | None = None) -> Encoded:
        """Features of consecutive sampled frames.

        Args:
            images: (n, height, width, 3) uint8 RGB, in order of time.
            previous: the sampled frame before them, (height, width, 3) uint8, or None at the start
                of a video; motion is seen against it. A video encoded in batches of any size gives
                the same result.
        """
        ...


def available_encoders() -> list[str]:
    """Names that `load_encoder` knows."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def load_encoder(name: str = "builtin", **options: object) -> Encoder:
    """The encoder of that name, ready to encode; `options` are the member's own."""
    if name not in available_encoders():
        raise UsageError(
            f'no encoder named "{name}". Available: {", ".join(available_encoders())}.'
        )
    return importlib.import_module(f"{__name__}.{name}").load(**options)
