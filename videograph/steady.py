"""Near-identical pictures recognised before an encoder sees them: a camera that looks at an empty room.

Pictures are compared as means over small blocks, the largest change counting, so that a person far away
is not lost in the mean; and as means over large cells, so that a slow change of light is not lost in the
noise. Luma and colour apart, as codecs keep them: colour has half the lines and columns and is rounded more
coarsely, which in RGB would pass for a change of the picture. Each is compared with the last one that was
encoded, not with the one before it: what drifts is encoded again as soon as it has drifted visibly.
"""

from __future__ import annotations

import numpy as np

BLOCK = 4
"""Side of a block in pixels: at a long side of 256, 2,304 of them to a picture."""
SURE_LEVELS = 2.0
"""Block means that differ less than this, of 255, are the same: codecs alone change them by as much."""
MOST_LEVELS = 6.0
"""Block means that differ more are not, however noisy the picture; the encoder without weights takes
changes above 10 levels for motion."""
NOISE_SHARE, NOISE_FACTOR = 0.99, 4.0
"""Between the two, the largest change is noise if it is at most this many times what all but a hundredth
of the blocks stay below: a thing smaller than that hundredth does not raise the bar for itself."""
N_CELLS = 4
YCC = np.array([[0.299, 0.587, 0.114], [-0.169, -0.331, 0.5], [0.5, -0.419, -0.081]], np.float32).T
"""Luma and the two colour differences of ITU-R BT.601, of RGB in rows."""
CELL_LEVELS = 0.75
"""Means over the cells of a 4 x 4 grid, in which noise is gone, may differ by this."""
GLANCE_STRIDE = 8
GLANCE_LEVELS = 40
"""A single pixel that differs more than noise can settles it, at a hundredth of the cost."""


class Steady:
    """Which pictures of a video an encoder must see; the others show what the last seen one shows.

    After a change the first picture that stands still is seen too: what moved, moves no longer.
    """

    def __init__(self) -> None:
        self._seen: _Picture | None = None
        self._still = True

    def look(self, images: np.ndarray, repeats: np.ndarray) -> np.ndarray:
        """True where a picture must be encoded, (n,) bool.

        Args:
            images: consecutive pictures, (n, height, width, 3) uint8.
            repeats: True where a picture is known to be the one before, (n,) bool.
        """
        return np.array(
            [
                not repeat and self._is_new(image)
                for image, repeat in zip(images, repeats, strict=True)
            ]
        )

    def _is_new(self, image: np.ndarray) -> bool:
        picture, first = _Picture(image), self._seen is None
        same = self._seen is not None and picture.shows(self._seen)
        if same and self._still:
            return False
        self._seen, self._still = picture, same or first
        return True


class _Picture:
    def __init__(self, image: np.ndarray) -> None:
        self._image = image
        self._glance = image[::GLANCE_STRIDE, ::GLANCE_STRIDE].astype(np.int16)
        self._means: np.ndarray | None = None

    def shows(self, other: _Picture) -> bool:
        """True where nothing but noise tells the two apart."""
        if self._glance.shape != other._glance.shape:
            return False
        if np.abs(self._glance - other._glance).max() > GLANCE_LEVELS:
            return False
        change = (self._blocks() - other._blocks()) @ YCC
        if np.abs(_cells(change)).max() > CELL_LEVELS:
            return False
        return _is_noise(change[..., 0]) and _is_noise(_fours(change[..., 1:]))

    def _blocks(self) -> np.ndarray:
        """Means over blocks, (rows, columns, 3) float32; pixels beyond the last whole block are left out."""
        if self._means is None:
            self._means = _block_means(self._image)
        return self._means


def _is_noise(change: np.ndarray) -> bool:
    size = np.abs(change).ravel()
    largest = size.max()
    if largest <= SURE_LEVELS or largest > MOST_LEVELS:
        return bool(largest <= SURE_LEVELS)
    usual = np.partition(size, at := int(NOISE_SHARE * (size.size - 1)))[at]
    return bool(largest <= NOISE_FACTOR * usual)


def _fours(change: np.ndarray) -> np.ndarray:
    """Means over 2 x 2 blocks; of an odd number the last one stands alone."""
    down, across = change.shape[0] % 2, change.shape[1] % 2
    even = np.pad(change, ((0, down), (0, across), (0, 0)), mode="edge")
    return (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4


def _block_means(image: np.ndarray) -> np.ndarray:
    height, width, _ = image.shape
    down, across = min(BLOCK, height), min(BLOCK, width)
    whole = image[: height // down * down, : width // across * across]
    strips = whole.reshape(height // down, down, -1).sum(1, dtype=np.uint16)
    blocks = strips.reshape(height // down, width // across, across, 3).sum(2, dtype=np.float32)
    return blocks / np.float32(down * across)


def _cells(change: np.ndarray) -> np.ndarray:
    """Means over a grid of at most 4 x 4 cells."""
    for axis in (0, 1):
        n = change.shape[axis]
        edges = np.unique(np.arange(N_CELLS) * n // N_CELLS)
        counts = np.diff(np.append(edges, n)).astype(np.float32)
        sums = np.add.reduceat(change, edges, axis=axis)
        change = sums / counts.reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
    return change
