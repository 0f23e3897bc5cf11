"""A frame at the sizes the encoder without weights works at, and the means and maps taken there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np
from PIL import Image
from scipy import fft

FINE_SIDE = 128  # edges need it; colour and motion work at half of it
MIN_SIDE = 16  # smaller frames are stretched to it, so that every grid cell holds a pixel
N_DIRECTIONS = 6

# Light, red-green, yellow-blue from R, G, B in 0..255; all three come out within [-1, 1].
_OPPONENT = np.array([[0.299, 0.587, 0.114], [1, -1, 0], [0.5, 0.5, -1]], np.float32).T / 255


@dataclass(frozen=True)
class View:
    """One frame at its working sizes; what the next frame needs of it for motion, and more."""

    fine: np.ndarray
    """Light, (2 h, 2 w)."""
    planes: np.ndarray
    """Light, red-green, yellow-blue, (3, h, w)."""
    near: np.ndarray
    """The planes, slightly blurred."""
    standout: np.ndarray
    """Distance of each pixel's colour from its surroundings, (h, w)."""
    outline: np.ndarray
    """Edges of the light, blurred, (h, w)."""
    spectrum: np.ndarray
    """Fourier transform of the light."""


def view_of(image: np.ndarray) -> View:
    """A frame, (height, width, 3) uint8 RGB of any size, at its working sizes."""
    picture = Image.fromarray(image)
    factor = max(1, round(max(picture.size) / FINE_SIDE))
    if min(picture.size) < MIN_SIDE * factor:
        size = [max(MIN_SIDE * factor, side) for side in picture.size]
        picture = picture.resize((size[0], size[1]), Image.Resampling.BILINEAR)
    pixels = np.asarray(picture.reduce(factor))
    height, width = (side - side % 2 for side in pixels.shape[:2])
    flat = pixels[:height, :width].reshape(-1, 3).astype(np.float32) @ _OPPONENT
    planes = np.ascontiguousarray(flat.T).reshape(3, height, width)
    small = halve(planes)
    near = blur(small, 1.0)
    standout = length_of(near - blur(small, 0.12 * max(small.shape)))
    outline = blur(coarse_edges(small[0]), 1.5)
    spectrum = cast(np.ndarray, fft.rfft2(windowed(small[0])))
    return View(planes[0], small, near, standout, outline, spectrum)


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


def length_of(planes: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum("chw,chw->hw", planes, planes))


@lru_cache(maxsize=8)
def _window(height: int, width: int) -> np.ndarray:
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    return window.astype(np.float32)


def windowed(light: np.ndarray) -> np.ndarray:
    return (light - light.mean()) * _window(*light.shape)


def edge_maps(fine: np.ndarray) -> np.ndarray:
    """Energy of each edge direction and of all together, halved to the small size, (7, h, w)."""
    across = np.zeros_like(fine)
    down = np.zeros_like(fine)
    np.subtract(fine[:, 2:], fine[:, :-2], out=across[:, 1:-1])
    np.subtract(fine[2:], fine[:-2], out=down[1:-1])
    square = across * across + down * down
    strength = np.sqrt(square)
    # Directions as angles doubled, so that dark-to-bright and bright-to-dark are the same edge.
    scale = strength / (square + np.float32(4e-4))
    cosine, sine = (across * across - down * down) * scale, 2 * across * down * scale
    maps = np.empty((N_DIRECTIONS + 1, *fine.shape), np.float32)
    for k in range(N_DIRECTIONS):
        angle = 2 * math.pi * k / N_DIRECTIONS
        np.add(
            cosine * np.float32(math.cos(angle)), sine * np.float32(math.sin(angle)), out=maps[k]
        )
    np.maximum(maps, 0, out=maps)
    maps[N_DIRECTIONS] = strength
    return halve(maps)


def coarse_edges(light: np.ndarray) -> np.ndarray:
    edges = np.zeros_like(light)
    edges[:, 1:] += np.abs(np.diff(light, axis=1))
    edges[1:] += np.abs(np.diff(light, axis=0))
    return edges
