"""The encoder without weights: colour, edges, texture, motion; and regions that move or stand out.

Every frame is brought to two working sizes, long sides of about 128 and 64 pixels, by averaging
areas; all that follows is pooling of maps at those sizes, so that a frame costs about a millisecond.

Frame features, float32, `dim` = 380. Blocks in order, each scaled so that in a typical frame its squared
length is near its share in `_WEIGHTS`; cosines are then about .9 within a shot and below .6 across cuts:

    layout       48   light, red-green, yellow-blue on a 4 x 4 grid, middle gray being 0
    palette     150   soft joint histogram, 6 light x 5 red-green x 5 yellow-blue bins, square root
    edges        96   energy of 6 edge directions on the 4 x 4 grid, square root, less their mean
    texture      32   edge energy at the fine and at the coarse size on the 4 x 4 grid, square root
    statistics   12   light, colour, contrast, sharpness of the whole frame, see `_statistics`
    motion       42   what changed since the sampled frame before, see `_motion_block`

Object features, `object_dim` = 195: the same maps pooled over the region, without its place or size:
palette (150), edges on 2 x 2 parts (24), colour on 2 x 2 parts (12), texture on 2 x 2 parts (8), and
how much it moves (1).

Regions are class-agnostic. "moving": connected pixels that changed though the camera's shift and the
change of light are taken out, where the thing is now, not where it was. "salient": connected pixels
whose colour differs from their surroundings and from the frame's border. Strongest first, repetitions
removed. Where neither is found: a 3 x 3 "grid", the centre first, then the sides, then the corners.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, cast

import numpy as np
from PIL import Image
from scipy import fft, ndimage

from videograph.encoders import Encoded
from videograph.errors import UsageError
from videograph.records import OBJECT_KINDS

FRAME_SIDE = 256
FINE_SIDE = 128  # edges need it; colour and motion work at half of it
MIN_SIDE = 16  # smaller frames are stretched to it, so that every grid cell holds a pixel

_GRID, _SALIENT, _MOVING = (OBJECT_KINDS.index(k) for k in ("grid", "salient", "moving"))

_N_LIGHT, _N_CHROMA, _N_DIRECTIONS = 6, 5, 6
_N_PALETTE = _N_LIGHT * _N_CHROMA**2
_CELLS = 4

_WEIGHTS = {
    "layout": 0.3,
    "palette": 0.3,
    "edges": 0.2,
    "texture": 0.1,
    "statistics": 0.07,
    "motion": 0.03,  # small: shots are about what is seen, not about how fast it moves
}
_WIDTHS = {"layout": 48, "palette": 150, "edges": 96, "texture": 32, "statistics": 12, "motion": 42}
DIM = sum(_WIDTHS.values())
OBJECT_DIM = _N_PALETTE + 4 * (_N_DIRECTIONS + 3 + 2) + 1

# Light, red-green, yellow-blue from R, G, B in 0..255; all three come out within [-1, 1].
_OPPONENT = np.array([[0.299, 0.587, 0.114], [1, -1, 0], [0.5, 0.5, -1]], np.float32).T / 255

_MIN_CHANGE = 0.04  # of full light: above the noise of cameras and codecs
_MAX_CHANGED = 0.5  # more of the frame than that is a cut, not an object
_MIN_SALIENCE = 0.08
_MIN_AREA, _MAX_AREA = 0.004, 0.6  # of the frame


@dataclass(frozen=True)
class _View:
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


class _Region(NamedTuple):
    strength: float
    kind: int
    box: tuple[int, int, int, int]  # x0, y0, x1, y1 in pixels of the small size


# -- working sizes ---------------------------------------------------------------------------------


def _view(image: np.ndarray) -> _View:
    picture = Image.fromarray(image)
    factor = max(1, round(max(picture.size) / FINE_SIDE))
    if min(picture.size) < MIN_SIDE * factor:
        size = [max(MIN_SIDE * factor, side) for side in picture.size]
        picture = picture.resize((size[0], size[1]), Image.Resampling.BILINEAR)
    pixels = np.asarray(picture.reduce(factor))
    height, width = (side - side % 2 for side in pixels.shape[:2])
    flat = pixels[:height, :width].reshape(-1, 3).astype(np.float32) @ _OPPONENT
    planes = np.ascontiguousarray(flat.T).reshape(3, height, width)
    small = _halve(planes)
    near = _blur(small, 1.0)
    standout = _length(near - _blur(small, 0.12 * max(small.shape)))
    outline = _blur(_coarse_edges(small[0]), 1.5)
    spectrum = cast(np.ndarray, fft.rfft2(_windowed(small[0])))
    return _View(planes[0], small, near, standout, outline, spectrum)


def _halve(maps: np.ndarray) -> np.ndarray:
    rows = maps[..., ::2, :] + maps[..., 1::2, :]
    return (rows[..., ::2] + rows[..., 1::2]) * np.float32(0.25)


def _blur(maps: np.ndarray, sigma: float) -> np.ndarray:
    return _gauss(maps.shape[-2], sigma) @ maps @ _gauss(maps.shape[-1], sigma).T


@lru_cache(maxsize=64)
def _gauss(n: int, sigma: float) -> np.ndarray:
    """Gaussian blur of n samples as an (n, n) matrix; at the ends only what is there counts."""
    distance = np.subtract.outer(np.arange(n), np.arange(n)) / sigma
    weights = np.exp(-0.5 * distance**2)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


@lru_cache(maxsize=64)
def _spans(n: int, parts: int) -> np.ndarray:
    """Mean over each of `parts` equal spans of n samples, (parts, n)."""
    ends = np.arange(parts + 1, dtype=np.float32) * np.float32(n / parts)
    return _means_between(n, ends[:-1], ends[1:])


def _half_means(n: int, spans: np.ndarray) -> np.ndarray:
    """Mean over the first and the second half of spans (start, end) of n samples, (n_spans, 2, n)."""
    middle = spans.mean(1, keepdims=True)
    return _means_between(n, np.hstack([spans[:, :1], middle]), np.hstack([middle, spans[:, 1:]]))


def _means_between(n: int, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Mean over each [start, end) of n samples, ends may be fractions, (..., n)."""
    index = np.arange(n, dtype=np.float32)
    covered = np.minimum(index + 1, end[..., None]) - np.maximum(index, start[..., None])
    np.maximum(covered, 0, out=covered)
    return covered / covered.sum(-1, keepdims=True)


def _length(planes: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum("chw,chw->hw", planes, planes))


# -- maps that are pooled --------------------------------------------------------------------------


def _edge_maps(fine: np.ndarray) -> np.ndarray:
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
    maps = np.empty((_N_DIRECTIONS + 1, *fine.shape), np.float32)
    for k in range(_N_DIRECTIONS):
        angle = 2 * math.pi * k / _N_DIRECTIONS
        np.add(
            cosine * np.float32(math.cos(angle)), sine * np.float32(math.sin(angle)), out=maps[k]
        )
    np.maximum(maps, 0, out=maps)
    maps[_N_DIRECTIONS] = strength
    return _halve(maps)


def _coarse_edges(light: np.ndarray) -> np.ndarray:
    edges = np.zeros_like(light)
    edges[:, 1:] += np.abs(np.diff(light, axis=1))
    edges[1:] += np.abs(np.diff(light, axis=0))
    return edges


def _soft_bins(values: np.ndarray, n_bins: int) -> np.ndarray:
    """Shares of values in [0, 1] in the two nearest of n bins, (n_bins, ...)."""
    centres = np.arange(n_bins, dtype=np.float32).reshape(-1, *[1] * values.ndim)
    return np.maximum(0, 1 - np.abs(values * np.float32(n_bins - 1) - centres))


def _palettes(planes: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Square root of the soft colour histogram of each region, (n_regions, 150), length 1.

    Args:
        planes: (3, h, w).
        rows: weight of each row in each region, (n_regions, h).
        columns: weight of each column, (n_regions, w).
    """
    height, width = planes.shape[1:]
    light = _soft_bins(planes[0], _N_LIGHT)  # (6, h, w)
    # Grayish colours are told apart more finely than vivid ones.
    chroma = 0.5 + 0.54 * planes[1:] / (np.abs(planes[1:]) + np.float32(0.08))
    red, yellow = _soft_bins(chroma, _N_CHROMA).swapaxes(0, 1)
    joint = (red[:, None] * yellow).reshape(-1, height, width)
    weights = light.transpose(1, 0, 2)[:, None] * columns[:, None]  # (h, n_regions, 6, w)
    # A product per row: small enough for BLAS to stay on one thread, which leaves one to the decoder.
    by_row = weights.reshape(height, -1, width) @ joint.transpose(1, 2, 0)
    by_row = by_row.reshape(height, len(rows), _N_PALETTE)
    return np.sqrt(np.einsum("kh,hkc->kc", rows, by_row))


# -- motion ----------------------------------------------------------------------------------------


class _Change(NamedTuple):
    raw: np.ndarray  # (h, w), difference of light without any compensation
    residual: np.ndarray  # (h, w), what neither the camera's shift nor the light explains
    moving: np.ndarray  # (h, w), residual where the changed thing is now, not where it was
    shift: tuple[int, int]  # camera, rows and columns at the small size
    lighter: float


def _no_change(shape: tuple[int, ...]) -> _Change:
    zero = np.zeros(shape, np.float32)
    return _Change(zero, zero, zero, (0, 0), 0.0)


def _change(view: _View, before: _View) -> _Change:
    raw = np.abs(view.planes[0] - before.planes[0])
    shift = _camera_shift(view, before)
    rows, columns, inside = _shifted(raw.shape, shift)
    old = before.planes[:, rows, columns]
    lighter = np.median(view.planes[0] - old[0])
    old[0] += lighter
    residual = _outside_neighbours(view.planes, old) * inside
    # Where a thing was, the frame before stood out and had an outline: a ghost, not the thing.
    present = view.standout >= 0.6 * before.standout[rows, columns]
    present &= view.outline + 0.005 >= 0.6 * before.outline[rows, columns]
    return _Change(raw, residual, residual * present, shift, float(lighter))


@lru_cache(maxsize=8)
def _window(height: int, width: int) -> np.ndarray:
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    return window.astype(np.float32)


def _windowed(light: np.ndarray) -> np.ndarray:
    return (light - light.mean()) * _window(*light.shape)


def _camera_shift(view: _View, before: _View) -> tuple[int, int]:
    """Shift of the whole picture since the frame before, by phase correlation (Kuglin, Hines 1975).

    Taken only when it explains the change of light clearly better than no shift at all.
    """
    light, old = view.planes[0], before.planes[0]
    cross = view.spectrum * before.spectrum.conj()
    cross /= np.abs(cross) + np.float32(1e-3)
    peak = int(np.argmax(cast(np.ndarray, fft.irfft2(cross, s=light.shape))))
    shift = [
        p - n if p > n // 2 else p
        for p, n in zip(divmod(peak, light.shape[1]), light.shape, strict=True)
    ]
    if shift == [0, 0] or any(abs(s) > n // 3 for s, n in zip(shift, light.shape, strict=True)):
        return 0, 0
    rows, columns, inside = _shifted(light.shape, (shift[0], shift[1]))
    error = np.abs(light - old[rows, columns])[inside].mean()
    return (shift[0], shift[1]) if error < 0.8 * np.abs(light - old)[inside].mean() else (0, 0)


def _shifted(
    shape: tuple[int, ...], shift: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Index arrays that read a shifted picture, and where it was inside the frame."""
    rows, columns = (np.arange(n) - s for n, s in zip(shape, shift, strict=True))
    inside = ((rows >= 0) & (rows < shape[0]))[:, None] & ((columns >= 0) & (columns < shape[1]))
    return np.clip(rows, 0, shape[0] - 1)[:, None], np.clip(columns, 0, shape[1] - 1), inside


def _outside_neighbours(planes: np.ndarray, old: np.ndarray) -> np.ndarray:
    """How far each pixel lies outside the range of the 3 x 3 pixels that were there, (h, w).

    Forgives shifts below a pixel, parallax and zoom of that size, where a plain difference lights up
    every edge.
    """
    padded = np.pad(old, ((0, 0), (1, 1), (1, 1)), mode="edge")
    high = np.maximum(np.maximum(padded[:, :-2], padded[:, 1:-1]), padded[:, 2:])
    high = np.maximum(np.maximum(high[:, :, :-2], high[:, :, 1:-1]), high[:, :, 2:])
    low = np.minimum(np.minimum(padded[:, :-2], padded[:, 1:-1]), padded[:, 2:])
    low = np.minimum(np.minimum(low[:, :, :-2], low[:, :, 1:-1]), low[:, :, 2:])
    outside = np.maximum(planes - high, low - planes)
    return np.maximum(outside, 0).sum(0)


# -- regions ---------------------------------------------------------------------------------------


def _regions(view: _View, change: _Change, n_objects: int) -> list[_Region]:
    found = _moving(change) + _salient(view)
    found.sort(key=lambda region: -region.strength)
    kept: list[_Region] = []
    for region in found:
        if len(kept) == n_objects:
            break
        if not any(_same(region, other) for other in kept):
            kept.append(region)
    return kept or _grid(*view.standout.shape)[:n_objects]


def _moving(change: _Change) -> list[_Region]:
    if np.mean(change.residual > _MIN_CHANGE) > _MAX_CHANGED:
        return []
    threshold = max(_MIN_CHANGE, 2.5 * float(change.residual.mean()))
    return _components(change.moving, threshold, _MOVING)


def _salient(view: _View) -> list[_Region]:
    salience = (0.3 + 0.7 * _unlike_border(view.near)) * (view.standout + 0.03)
    threshold = max(_MIN_SALIENCE, float(salience.mean() + 1.4 * salience.std()))
    return _components(salience, threshold, _SALIENT)


def _unlike_border(planes: np.ndarray) -> np.ndarray:
    """1 where no part of the frame's border has a pixel's colour, 0 where a good part has, (h, w).

    What reaches the border is mostly background (the prior of Wei et al., ECCV 2012).
    """
    coarse = planes[:, ::2, ::2]
    sides = (coarse[:, 0], coarse[:, -1], coarse[:, :, 0], coarse[:, :, -1])
    border = np.concatenate(sides, 1)[:, ::2]
    flat = coarse.reshape(3, -1)
    square = (border * border).sum(0)[:, None] + (flat * flat).sum(0) - 2 * (border.T @ flat)
    alike = np.exp(square * np.float32(-0.5 / 0.07**2)).mean(0)
    unlike = np.maximum(0, 1 - alike / np.float32(0.15)).reshape(coarse.shape[1:])
    full = unlike.repeat(2, axis=0).repeat(2, axis=1)
    return full[: planes.shape[1], : planes.shape[2]]


_EIGHT = np.ones((3, 3), bool)
_TALL = np.ones((5, 3), bool)  # people fall apart at the waist more often than at the side


def _components(values: np.ndarray, threshold: float, kind: int) -> list[_Region]:
    """Boxes of the connected parts above the threshold; small gaps are bridged.

    Inside a thing of one colour that moved little nothing changes, hence the wider gaps there.
    """
    mask = values > threshold
    if not mask.any():
        return []
    joined = ndimage.binary_dilation(mask, _TALL if kind == _MOVING else _EIGHT)
    labels, n = cast("tuple[np.ndarray, int]", ndimage.label(joined, _EIGHT))
    labels *= mask
    area = mask.size
    regions = []
    places: list[tuple[slice, slice] | None] = ndimage.find_objects(labels, n)
    for number, place in enumerate(places, start=1):
        if place is None:
            continue
        height, width = (s.stop - s.start for s in place)
        inside = labels[place] == number
        count = int(inside.sum())
        if count < _MIN_AREA * area or height * width > _MAX_AREA * area or min(height, width) < 2:
            continue
        seen = values[place][inside]
        if seen.max() < 1.6 * threshold or count < 0.15 * height * width:
            continue
        mean = float(seen.mean())
        box = (place[1].start, place[0].start, place[1].stop, place[0].stop)
        bonus = 2.0 if kind == _MOVING else 1.0
        regions.append(_Region(bonus * mean * (count / area) ** 0.5, kind, box))
    return regions


def _same(one: _Region, other: _Region) -> bool:
    """Whether two regions are one thing: a part of it, or, if found in two ways, most of it."""
    a, b = one.box, other.box
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    areas = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (a, b)]
    whole = min(areas) if one.kind == other.kind else sum(areas) - shared
    return shared > 0.5 * whole


def _grid(height: int, width: int) -> list[_Region]:
    x = [round(k * width / 3) for k in range(4)]
    y = [round(k * height / 3) for k in range(4)]
    order = [(1, 1), (0, 1), (1, 0), (1, 2), (2, 1), (0, 0), (0, 2), (2, 0), (2, 2)]
    return [_Region(0.0, _GRID, (x[j], y[i], x[j + 1], y[i + 1])) for i, j in order]


# -- descriptors -----------------------------------------------------------------------------------


def _pattern(energy: np.ndarray, floor: float) -> np.ndarray:
    """How energy is spread over a block (last axis): roots, less their mean, at length 1.

    Below `floor` the block fades to 0 instead of blowing up noise.
    """
    root = np.sqrt(energy)
    root -= root.mean(-1, keepdims=True)
    length = np.sqrt((root * root).sum(-1, keepdims=True))
    return root / np.maximum(length, np.float32(floor))


def _describe(
    view: _View, change: _Change, regions: list[_Region]
) -> tuple[np.ndarray, np.ndarray]:
    height, width = view.standout.shape
    boxes = np.array([(0, 0, width, height)] + [r.box for r in regions], np.float32)
    rows, columns = _half_means(height, boxes[:, 1::2]), _half_means(width, boxes[:, 0::2])
    edges = _edge_maps(view.fine)
    maps = np.concatenate([view.planes, edges, _coarse_edges(view.planes[0])[None],
                           change.raw[None], change.residual[None]])  # fmt: skip
    palettes = _palettes(view.planes, rows.mean(1), columns.mean(1))
    cells = _spans(height, _CELLS) @ maps @ _spans(width, _CELLS).T
    cells = cells.reshape(len(maps), -1).T  # (16, 13)
    frame = _frame_features(view, change, edges, cells, palettes[0])
    return frame, _object_features(maps, rows[1:], columns[1:], palettes[1:])


def _frame_features(
    view: _View, change: _Change, edges: np.ndarray, cells: np.ndarray, palette: np.ndarray
) -> np.ndarray:
    colour = cells[:, :3] - np.array([0.5, 0, 0], np.float32)
    blocks = {
        "layout": (colour * np.array([1, 2, 2], np.float32)).ravel(),
        "palette": palette,
        "edges": _pattern(cells[:, 3:9].ravel(), 0.25),
        "texture": 1.5 * (np.sqrt(cells[:, 9:11]).ravel() - np.float32(0.25)),
        "statistics": _statistics(view, edges[-1], palette),
        "motion": _motion_block(change, cells[:, 11:13]),
    }
    return np.concatenate([math.sqrt(w) * blocks[name] for name, w in _WEIGHTS.items()])


# What films and home videos have on average, rounded, so that only what is special counts.
_USUAL_STATISTICS = np.array(
    [0.45, 0.4, 0.3, 0.2, 0.3, 0.7, 0.75, 0.15, 0.05, 0.55, 0, 0.2], np.float32
)


def _statistics(view: _View, edges: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Twelve figures of the whole frame, less what is usual, together of a length near 1."""
    light, red, yellow = view.planes
    chroma = np.sqrt(red * red + yellow * yellow)
    share = palette * palette
    height, width = light.shape
    middle = light[height // 4 : height - height // 4, width // 4 : width - width // 4]
    sharp = np.abs(view.fine[:, 2:] - 2 * view.fine[:, 1:-1] + view.fine[:, :-2]).mean()
    figures = [
        light.mean(),
        2 * light.std(),
        3 * chroma.mean(),
        3 * chroma.std(),
        3 * math.hypot(red.std(), yellow.std()),
        4 * math.sqrt(sharp),
        3 * (edges > 0.1).mean(),
        (light < 0.1).mean(),
        (light > 0.9).mean(),
        -(share * np.log(share + np.float32(1e-6))).sum() / math.log(_N_PALETTE),
        2 * (middle.mean() - light.mean()),
        ((red > 0.04) & (red < 0.3) & (yellow > 0.04) & (yellow < 0.3)).mean(),  # skin, roughly
    ]
    return np.float32(1.4) * (np.array(figures, np.float32) - _USUAL_STATISTICS)


def _motion_block(change: _Change, cells: np.ndarray) -> np.ndarray:
    """Raw and residual change on the 4 x 4 grid (32) and ten figures of the whole frame.

    Shorter than 1 whatever happens: the frame after a cut must not become a shot of its own.
    """
    height, width = change.raw.shape
    down, right = change.shift[0] / height, change.shift[1] / width
    figures = [
        change.raw.mean(),
        change.residual.mean(),
        cells[:, 0].max(),
        cells[:, 1].max(),
        (change.raw > _MIN_CHANGE).mean(),
        (change.residual > _MIN_CHANGE).mean(),
        (change.moving > _MIN_CHANGE).mean(),
        math.hypot(down, right),
        abs(right),
        abs(change.lighter),
    ]
    block = np.concatenate([cells.T.ravel(), np.array(figures, np.float32)])
    return block / (np.float32(0.3) + math.sqrt(block @ block))


def _object_features(
    maps: np.ndarray, rows: np.ndarray, columns: np.ndarray, palettes: np.ndarray
) -> np.ndarray:
    """(n_regions, 195): what the regions look like, not where they are."""
    n = len(rows)
    parts = rows[:, None] @ maps @ columns.transpose(0, 2, 1)[:, None]  # (n, 13, 2, 2)
    colour = parts[:, :3] - np.array([0.5, 0, 0], np.float32)[:, None, None]
    colour *= np.array([1, 2, 2], np.float32)[:, None, None]
    blocks = [
        math.sqrt(0.4) * palettes,
        math.sqrt(0.2) * _pattern(parts[:, 3:9].reshape(n, -1), 0.15),
        math.sqrt(0.25) * colour.reshape(n, -1),
        math.sqrt(0.1) * (2 * np.sqrt(parts[:, 9:11]).reshape(n, -1) - np.float32(0.5)),
        math.sqrt(0.05) * parts[:, 12].mean((1, 2))[:, None],
    ]
    return np.concatenate(blocks, 1)


# -- the encoder -----------------------------------------------------------------------------------


class BuiltinEncoder:
    """Sees colour, edges, texture and motion, and boxes what moves or stands out; see the module."""

    name = "builtin-1"
    dim = DIM
    object_dim = OBJECT_DIM
    frame_side = FRAME_SIDE

    def __init__(self, n_objects: int = 8) -> None:
        if not isinstance(n_objects, int) or n_objects < 1:
            raise UsageError(f"n_objects is {n_objects!r}. Allowed: whole numbers from 1. Try 8.")
        self.n_objects = n_objects

    def encode(self, images: np.ndarray, previous: np.ndarray | None = None) -> Encoded:
        """Features of consecutive sampled frames, see `encoders.Encoder.encode`.

        Raises:
            UsageError: the images are not (n, height, width, 3) uint8.
        """
        if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
            raise UsageError(
                f"images are {images.shape} {images.dtype}. Allowed: (n, height, width, 3) uint8, RGB."
            )
        n, slots = len(images), self.n_objects
        seen = Encoded(
            features=np.zeros((n, DIM), np.float32),
            object_features=np.zeros((n, slots, OBJECT_DIM), np.float32),
            object_mask=np.zeros((n, slots), bool),
            object_boxes=np.zeros((n, slots, 4), np.float32),
            object_kinds=np.zeros((n, slots), np.int8),
        )
        before = None if previous is None else _view(np.ascontiguousarray(previous))
        # Frame by frame, not in one batch: the maps stay in the processor's cache, which is faster,
        # and the result cannot depend on the batch.
        for step, image in enumerate(images):
            view = _view(np.ascontiguousarray(image))
            self._encode_one(view, before, seen, step)
            before = view
        return seen

    def _encode_one(self, view: _View, before: _View | None, seen: Encoded, step: int) -> None:
        height, width = view.standout.shape
        change = _no_change((height, width)) if before is None else _change(view, before)
        regions = _regions(view, change, self.n_objects)
        n = len(regions)
        seen.features[step], seen.object_features[step, :n] = _describe(view, change, regions)
        seen.object_mask[step, :n] = True
        seen.object_kinds[step, :n] = [region.kind for region in regions]
        boxes = np.array([region.box for region in regions], np.float32)
        seen.object_boxes[step, :n] = boxes / np.array([width, height, width, height], np.float32)


def load(n_objects: int = 8) -> BuiltinEncoder:
    """The encoder without weights.

    Args:
        n_objects: object slots per frame.

    Raises:
        UsageError: `n_objects` is below 1.
    """
    return BuiltinEncoder(n_objects)
