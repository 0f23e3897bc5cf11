"""Frames at the sizes the encoder without weights works at, and the means and maps taken there.

Frames come in batches, and every array has the batch as its first axis: a call of NumPy costs about as
much as its work on one small map. What is said of a frame never depends on the others of its batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import cast

import numpy as np
from PIL import Image
from scipy import fft

FINE_SIDE = 128  # edges need it; colour and motion work at half of it
MIN_SIDE = 16  # smaller frames are stretched to it, so that every grid cell holds a pixel
N_DIRECTIONS = 6

# Light, red-green, yellow-blue from R, G, B in 0..255; all three come out within [-1, 1].
_OPPONENT = np.array([[0.299, 0.587, 0.114], [1, -1, 0], [0.5, 0.5, -1]], np.float32) / 255


@dataclass(frozen=True)
class Views:
    """Frames at their working sizes; what the next frames need of them for motion, and more."""

    fine: np.ndarray
    """Light, (n, 2 h, 2 w)."""
    planes: np.ndarray
    """Light, red-green, yellow-blue, (n, 3, h, w)."""
    near: np.ndarray
    """The planes, slightly blurred."""
    standout: np.ndarray
    """Distance of each pixel's colour from its surroundings, (n, h, w)."""
    edges: np.ndarray
    """Edges of the light, (n, h, w)."""
    outline: np.ndarray
    """The edges, blurred."""
    spectrum: np.ndarray
    """Fourier transform of the light."""

    def last(self) -> Views:
        """The last frame alone."""
        return Views(*(array[-1:] for array in self._arrays()))

    def befores(self, before: Views | None) -> Views:
        """The frame before each of these; the first of a video follows itself.

        Args:
            before: the frame before the first, a batch of one, or None at the start of a video.
        """
        pairs = zip((before or self)._arrays(), self._arrays(), strict=True)
        return Views(*(np.concatenate([first[:1], rest[:-1]]) for first, rest in pairs))

    def _arrays(self) -> list[np.ndarray]:
        return [getattr(self, field.name) for field in fields(self)]


def views_of(images: np.ndarray) -> Views:
    """Frames, (n, height, width, 3) uint8 RGB of any size, at their working sizes."""
    fine, planes = _reduced(images)
    near = blur(planes, 1.0)
    standout = length_of(near - blur(planes, 0.12 * max(planes.shape[2:])))
    edges = coarse_edges(planes[:, 0])
    spectrum = cast(np.ndarray, fft.rfft2(windowed(planes[:, 0])))
    return Views(fine, planes, near, standout, edges, blur(edges, 1.5), spectrum)


def _reduced(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means of squares of pixels: light, (n, 2 h, 2 w), and three planes of half that size."""
    factor = max(1, round(max(images.shape[1:3]) / FINE_SIDE))
    if min(images.shape[1:3]) < MIN_SIDE * factor:
        images = np.stack([_stretched(image, MIN_SIDE * factor) for image in images])
    n = len(images)
    height, width = (math.ceil(side / factor) // 2 * 2 for side in images.shape[1:3])
    images = _fitted(images, height * factor, width * factor)
    rows = images[:, ::factor].astype(np.uint16)
    for k in range(1, factor):
        rows += images[:, k::factor]
    # The rest of the mean, over columns, and the change of colours are one product; no rounding to
    # bytes comes between, so thresholds further on see the mean itself.
    rows = rows.astype(np.float32).reshape(n, height, -1)
    light = rows.reshape(n, -1, 3 * factor) @ _mean_colours(factor, factor)[0]
    rows = rows[:, ::2] + rows[:, 1::2]
    pairs = rows.reshape(n, -1, 6 * factor).swapaxes(1, 2)
    planes = _mean_colours(2 * factor, 2 * factor) @ pairs
    return light.reshape(n, height, width), planes.reshape(n, 3, height // 2, width // 2)


@lru_cache(maxsize=64)
def _mean_colours(rows: int, columns: int) -> np.ndarray:
    """Takes sums over `rows` of R, G, B of neighbouring pixels to planes of their mean, (3, 3 columns)."""
    return np.tile(_OPPONENT, columns) / np.float32(rows * columns)


def _stretched(image: np.ndarray, least: int) -> np.ndarray:
    picture = Image.fromarray(np.ascontiguousarray(image))
    width, height = (max(least, side) for side in picture.size)
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))


def _fitted(images: np.ndarray, height: int, width: int) -> np.ndarray:
    """Images cut at the end, or their last pixels repeated, to a size."""
    missing = [max(0, a - b) for a, b in zip((height, width), images.shape[1:3], strict=True)]
    if any(missing):
        images = np.pad(images, ((0, 0), (0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
    return images[:, :height, :width]


def halve(maps: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 pixels."""
    rows = maps[..., ::2, :] + maps[..., 1::2, :]
    return (rows[..., ::2] + rows[..., 1::2]) * np.float32(0.25)


def blur(maps: np.ndarray, sigma: float) -> np.ndarray:
    return _gauss(maps.shape[-2], sigma) @ maps @ _gauss(maps.shape[-1], sigma).T


@lru_cache(maxsize=64)
def _gauss(n: int, sigma: float) -> np.ndarray:
    """Gaussian blur of n samples as an (n, n) matrix; at the ends only what is there counts."""
    distance = np.subtract.outer(np.arange(n), np.arange(n)) / sigma
    weights = np.exp(-0.5 * distance**2)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


@lru_cache(maxsize=64)
def spans(n: int, parts: int) -> np.ndarray:
    """Mean over each of `parts` equal spans of n samples, (parts, n)."""
    ends = np.arange(parts + 1, dtype=np.float32) * np.float32(n / parts)
    return _means_between(n, ends[:-1], ends[1:])


def half_means(n: int, spans: np.ndarray) -> np.ndarray:
    """Mean over the first and the second half of spans (start, end) of n samples, (n_spans, 2, n)."""
    middle = spans.mean(1, keepdims=True)
    return _means_between(n, np.hstack([spans[:, :1], middle]), np.hstack([middle, spans[:, 1:]]))


def _means_between(n: int, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Mean over each [start, end) of n samples, ends may be fractions, (..., n)."""
    index = np.arange(n, dtype=np.float32)
    covered = np.minimum(index + 1, end[..., None]) - np.maximum(index, start[..., None])
    np.maximum(covered, 0, out=covered)
    return covered / covered.sum(-1, keepdims=True)


def mean_of(maps: np.ndarray) -> np.ndarray:
    """Mean over the last two axes; of truths, the share that is true."""
    return maps.sum((-2, -1), dtype=np.float32) / np.float32(maps.shape[-2] * maps.shape[-1])


def deviation_of(maps: np.ndarray) -> np.ndarray:
    """Standard deviation over the last two axes."""
    centred = maps - mean_of(maps)[..., None, None]
    centred *= centred
    return np.sqrt(mean_of(centred))


def length_of(planes: np.ndarray) -> np.ndarray:
    """Length of each pixel's vector, planes (n, 3, h, w) -> (n, h, w)."""
    square = planes * planes
    return np.sqrt(square[:, 0] + square[:, 1] + square[:, 2])


@lru_cache(maxsize=8)
def _window(height: int, width: int) -> np.ndarray:
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    return window.astype(np.float32)


def windowed(light: np.ndarray) -> np.ndarray:
    return (light - mean_of(light)[:, None, None]) * _window(*light.shape[1:])


def edge_maps(fine: np.ndarray) -> np.ndarray:
    """Energy of each edge direction and of all together, halved to the small size, (n, 7, h, w)."""
    across = np.zeros_like(fine)
    down = np.zeros_like(fine)
    np.subtract(fine[:, :, 2:], fine[:, :, :-2], out=across[:, :, 1:-1])
    np.subtract(fine[:, 2:], fine[:, :-2], out=down[:, 1:-1])
    mixed = across * down
    across *= across
    down *= down
    square = across + down
    across -= down
    strength = np.sqrt(square, out=down)
    # Directions as angles doubled, so that dark-to-bright and bright-to-dark are the same edge.
    square += np.float32(4e-4)
    scale = np.divide(strength, square, out=square)
    across *= scale  # now strength times the cosine
    mixed *= np.float32(math.sqrt(3)) * scale  # and times the sine, by sin 60° from the start
    n, height, width = fine.shape
    maps = np.empty((n, N_DIRECTIONS + 1, height // 2, width // 2), np.float32)
    half = np.float32(0.5) * across
    for k, energy in enumerate((across, half + mixed, mixed - half)):  # along 0, 60, 120 degrees
        # Opposite directions are the parts above and below 0 of one map.
        net = halve(energy)
        total = halve(np.abs(energy, out=energy))
        maps[:, k] = (total + net) * np.float32(0.5)
        maps[:, k + 3] = (total - net) * np.float32(0.5)
    maps[:, N_DIRECTIONS] = halve(strength)
    return maps


def coarse_edges(light: np.ndarray) -> np.ndarray:
    edges = np.zeros_like(light)
    edges[:, :, 1:] = np.abs(light[:, :, 1:] - light[:, :, :-1])
    edges[:, 1:] += np.abs(light[:, 1:] - light[:, :-1])
    return edges
