"""What moves and what stands out in a frame: the regions of the encoder without weights."""

from __future__ import annotations

from typing import NamedTuple, cast

import numpy as np
from scipy import fft, ndimage

from videograph.encoders._views import View
from videograph.records import OBJECT_KINDS

_GRID, _SALIENT, _MOVING = (OBJECT_KINDS.index(k) for k in ("grid", "salient", "moving"))

MIN_CHANGE = 0.04  # of full light: above the noise of cameras and codecs
_MAX_CHANGED = 0.5  # more of the frame than that is a cut, not an object
_MIN_SALIENCE = 0.08
_MIN_AREA, _MAX_AREA = 0.004, 0.6  # of the frame


class Region(NamedTuple):
    strength: float
    kind: int
    box: tuple[int, int, int, int]  # x0, y0, x1, y1 in pixels of the small size


class Change(NamedTuple):
    raw: np.ndarray  # (h, w), difference of light without any compensation
    residual: np.ndarray  # (h, w), what neither the camera's shift nor the light explains
    moving: np.ndarray  # (h, w), residual where the changed thing is now, not where it was
    shift: tuple[int, int]  # camera, rows and columns at the small size
    lighter: float


def no_change(shape: tuple[int, ...]) -> Change:
    zero = np.zeros(shape, np.float32)
    return Change(zero, zero, zero, (0, 0), 0.0)


def change_between(view: View, before: View) -> Change:
    """What changed since the sampled frame before."""
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
    return Change(raw, residual, residual * present, shift, float(lighter))


def _camera_shift(view: View, before: View) -> tuple[int, int]:
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


def regions_of(view: View, change: Change, n_objects: int) -> list[Region]:
    """Up to `n_objects` regions, strongest first; the grid where nothing moves or stands out."""
    found = _moving(change) + _salient(view)
    found.sort(key=lambda region: -region.strength)
    kept: list[Region] = []
    for region in found:
        if len(kept) == n_objects:
            break
        if not any(_same(region, other) for other in kept):
            kept.append(region)
    return kept or _grid(*view.standout.shape)[:n_objects]


def _moving(change: Change) -> list[Region]:
    if np.mean(change.residual > MIN_CHANGE) > _MAX_CHANGED:
        return []
    threshold = max(MIN_CHANGE, 2.5 * float(change.residual.mean()))
    return _components(change.moving, threshold, _MOVING)


def _salient(view: View) -> list[Region]:
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


def _components(values: np.ndarray, threshold: float, kind: int) -> list[Region]:
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
        regions.append(Region(bonus * mean * (count / area) ** 0.5, kind, box))
    return regions


def _same(one: Region, other: Region) -> bool:
    """Whether two regions are one thing: a part of it, or, if found in two ways, most of it."""
    a, b = one.box, other.box
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    areas = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (a, b)]
    whole = min(areas) if one.kind == other.kind else sum(areas) - shared
    return shared > 0.5 * whole


def _grid(height: int, width: int) -> list[Region]:
    x = [round(k * width / 3) for k in range(4)]
    y = [round(k * height / 3) for k in range(4)]
    order = [(1, 1), (0, 1), (1, 0), (1, 2), (2, 1), (0, 0), (0, 2), (2, 0), (2, 2)]
    return [Region(0.0, _GRID, (x[j], y[i], x[j + 1], y[i + 1])) for i, j in order]
