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
from videograph.encoders._regions import AT_ONCE, changes_between, place_regions, regions_in
from videograph.encoders._views import half_means, views_of
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
            object_features=np.zeros((n, slots, OBJECT_DIM), np.float32),
            object_mask=np.zeros((n, slots), bool),
            object_boxes=np.zeros((n, slots, 4), np.float32),
            object_kinds=np.zeros((n, slots), np.int8),
        )
        before = None if previous is None else views_of(previous[None])
        for start in range(0, n, AT_ONCE):
            at = slice(start, start + AT_ONCE)
            views = views_of(images[at])
            changes = changes_between(views, views.befores(before))
            place_regions(seen, start, views, regions_in(views, changes, slots))
            shares = _shares_of_cells(maps.shape[-1], seen.object_boxes[at], seen.object_mask[at])
            seen.object_features[at] = shares @ maps[at].reshape(
                len(shares), OBJECT_DIM, -1
            ).swapaxes(1, 2)
            before = views.last()
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


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0].strip().rstrip(":.")


def _shares_of_cells(cells: int, boxes: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """How much each cell of a square map counts in the mean over a box, (n, slots, cells * cells).

    Cells that an edge cuts count by their share; empty slots count nothing.

    Args:
        cells: of the map, each way.
        boxes: x0, y0, x1, y1 as shares of width and height, (n, slots, 4).
        mask: True for real objects, (n, slots).
    """
    real = boxes[mask] * cells
    columns, rows = (half_means(cells, real[:, k::2]).mean(1) for k in (0, 1))
    shares = np.zeros((*mask.shape, cells * cells), np.float32)
    shares[mask] = (rows[:, :, None] * columns[:, None]).reshape(len(real), -1)
    return shares


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
