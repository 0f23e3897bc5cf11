"""The encoder with our own small network: what a frame shows, and what its regions show.

A convolutional net of about a million weights, shipped with the package, learned what middle layers of
MobileNetV2 say of the frames of real videos, and which of them people rate highly;
docs/embedded-encoder.md is its model card. Regions are found as `builtin` finds them, by motion and by
standing out; a region's features are the mean of the network's finer map over its box.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from videograph.encoders import Encoded
from videograph.encoders._regions import change_between, no_change, regions_of
from videograph.encoders._views import View, half_means, view_of
from videograph.errors import UsageError, VideographError

if TYPE_CHECKING:
    from videograph.encoders._embedded_network import EmbeddedNetwork

FRAME_SIDE = 256
OBJECT_DIM, DIM = 96, 256
"""Numbers of an object, and of a frame."""
_WEIGHTS = "weights/embedded.safetensors"


class EmbeddedEncoder:
    """Sees through our own network, and boxes what moves or stands out; see the module."""

    frame_side = FRAME_SIDE
    dim, object_dim = DIM, OBJECT_DIM

    def __init__(self, weights: bytes, version: str, n_objects: int = 8) -> None:
        if not isinstance(n_objects, int) or n_objects < 1:
            raise UsageError(f"n_objects is {n_objects!r}. Allowed: whole numbers from 1. Try 8.")
        self.name = f"embedded-{version}"
        self.n_objects = n_objects
        self._weights = weights

    def encode(self, images: np.ndarray, previous: np.ndarray | None = None) -> Encoded:
        """Features of consecutive sampled frames, see `encoders.Encoder.encode`.

        Raises:
            UsageError: the images are not (n, height, width, 3) uint8.
        """
        if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
            raise UsageError(
                f"images are {images.shape} {images.dtype}. Allowed: (n, height, width, 3) uint8, RGB."
            )
        from videograph.encoders._embedded_network import see  # torch: not before there are frames

        n, slots = len(images), self.n_objects
        features, maps = see(self._network, images)
        seen = Encoded(
            features=features,
            object_features=np.zeros((n, slots, self.object_dim), np.float32),
            object_mask=np.zeros((n, slots), bool),
            object_boxes=np.zeros((n, slots, 4), np.float32),
            object_kinds=np.zeros((n, slots), np.int8),
        )
        before = None if previous is None else view_of(np.ascontiguousarray(previous))
        for step, image in enumerate(images):
            view = view_of(np.ascontiguousarray(image))
            self._fill_objects(seen, step, maps[step], view, before)
            before = view
        return seen

    def prepare(self) -> None:
        """Load what the first frames need, while they are decoded: torch alone takes a second."""
        with suppress(VideographError):  # told when there is a frame to encode
            _ = self._network

    @cached_property
    def _network(self) -> EmbeddedNetwork:
        from safetensors import SafetensorError
        from safetensors.torch import load as load_tensors

        from videograph.encoders._embedded_network import load_network

        try:
            return load_network(load_tensors(self._weights))
        except (SafetensorError, RuntimeError) as error:
            raise VideographError(
                f"the weights of {self.name} are damaged, or of another network ({_first_line(error)}). "
                'Make them again with recipes/train_embedded.py, or use the encoder "builtin".'
            ) from error

    def _fill_objects(
        self, seen: Encoded, step: int, feature_map: np.ndarray, view: View, before: View | None
    ) -> None:
        height, width = view.standout.shape
        change = no_change((height, width)) if before is None else change_between(view, before)
        regions = regions_of(view, change, self.n_objects)
        n = len(regions)
        boxes = np.array([region.box for region in regions], np.float32)
        boxes /= np.array([width, height, width, height], np.float32)
        seen.object_mask[step, :n] = True
        seen.object_kinds[step, :n] = [region.kind for region in regions]
        seen.object_boxes[step, :n] = boxes
        seen.object_features[step, :n] = _box_means(feature_map, boxes)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0].strip().rstrip(":.")


def _box_means(feature_map: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Mean of a map over boxes, cells cut by an edge counting by their share, (n_boxes, dim).

    Args:
        feature_map: (dim, cells, cells).
        boxes: x0, y0, x1, y1 as shares of width and height, (n_boxes, 4).
    """
    cells = feature_map.shape[1]
    columns, rows = (half_means(cells, boxes[:, k::2] * cells).mean(1) for k in (0, 1))
    return np.einsum("dyx,ny,nx->nd", feature_map, rows, columns, optimize=True)


def load(n_objects: int = 8, weights: str | Path | None = None) -> EmbeddedEncoder:
    """The encoder with the weights in the package, or with others of the same network.

    Args:
        n_objects: object slots per frame.
        weights: a safetensors file made by recipes/train_embedded.py, such as the one of a fold;
            the encoder's name changes with them.

    Raises:
        UsageError: `n_objects` is below 1.
        VideographError: the weights cannot be read. Whether they are whole shows with the first frame.
    """
    source = files("videograph.encoders").joinpath(_WEIGHTS) if weights is None else Path(weights)
    try:
        data = source.read_bytes()
    except OSError as error:
        raise VideographError(
            f"the weights of the embedded encoder cannot be read ({error}). Install videograph again, "
            'or use the encoder "builtin", which has none.'
        ) from error
    version = f"2-{hashlib.sha256(data).hexdigest()[:8]}"
    return EmbeddedEncoder(data, version, n_objects)
