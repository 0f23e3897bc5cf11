"""What moves and what stands out in frames: the regions of the encoder without weights."""

from __future__ import annotations

from typing import NamedTuple, cast

import numpy as np
from scipy import fft, ndimage

from videograph.encoders import Encoded
from videograph.encoders._views import Views, deviation_of, mean_of
from videograph.records import OBJECT_KINDS

_GRID, _SALIENT, _MOVING = (OBJECT_KINDS.index(k) for k in ("grid", "salient", "moving"))

AT_ONCE = 8
"""Frames looked at together: more save no calls worth saving, and their maps outgrow the cache."""

MIN_CHANGE = 0.04  # of full light: above the noise of cameras and codecs
_MAX_CHANGED = 0.5  # more of the frame than that is a cut, not an object
_MIN_SALIENCE = 0.08
_MIN_AREA, _MAX_AREA = 0.004, 0.6  # of the frame


class Region(NamedTuple):
    strength: float
    kind: int
    box: tuple[int, int, int, int]  # x0, y0, x1, y1 in pixels of the small size


class Changes(NamedTuple):
    raw: np.ndarray  # (n, h, w), difference of light without any compensation
    residual: np.ndarray  # (n, h, w), what neither the camera's shift nor the light explains
    moving: np.ndarray  # (n, h, w), residual where the changed thing is now, not where it was
    shift: np.ndarray  # (n, 2), camera, rows and columns at the small size
    lighter: np.ndarray  # (n,)


def changes_between(views: Views, before: Views) -> Changes:
    """What changed in each frame since the sampled frame before it; nothing, if that is itself."""
    n, height, width = views.standout.shape
    raw = np.abs(views.planes[:, 0] - before.planes[:, 0])
    shifts = _camera_shifts(views, before)
    # Planes, standout, outline of the frames before, where the camera would show them now.
    old = np.concatenate([before.planes, before.standout[:, None], before.outline[:, None]], 1)
    outside = np.zeros((n, height, width), bool)
    for k in np.flatnonzero(shifts.any(1)):
        rows, columns = (np.arange(m) - s for m, s in zip((height, width), shifts[k], strict=True))
        at = np.clip(rows, 0, height - 1)[:, None], np.clip(columns, 0, width - 1)
        old[k] = old[k][:, *at]
        outside[k] = (at[0] != rows[:, None]) | (at[1] != columns)
    lighter = np.median((views.planes[:, 0] - old[:, 0]).reshape(n, -1), axis=1)
    old[:, 0] += lighter[:, None, None]
    residual = _outside_neighbours(views.planes, old[:, :3])
    residual[outside] = 0
    # Where a thing was, the frame before stood out and had an outline: a ghost, not the thing.
    present = views.standout >= 0.6 * old[:, 3]
    present &= views.outline + 0.005 >= 0.6 * old[:, 4]
    return Changes(raw, residual, residual * present, shifts, lighter)


def _camera_shifts(views: Views, before: Views) -> np.ndarray:
    """Shift of each whole picture since the frame before, by phase correlation (Kuglin, Hines 1975).

    Taken only when it explains the change of light clearly better than no shift at all, (n, 2).
    """
    light, old = views.planes[:, 0], before.planes[:, 0]
    size = np.array(light.shape[1:])
    cross = views.spectrum * before.spectrum.conj()
    cross *= 1 / (np.abs(cross) + np.float32(1e-3))
    likely = cast(np.ndarray, fft.irfft2(cross, s=light.shape[1:]))
    shifts = np.stack(np.divmod(likely.reshape(len(light), -1).argmax(1), size[1]), 1)
    shifts -= size * (shifts > size // 2)
    shifts[(abs(shifts) > size // 3).any(1)] = 0
    for k in np.flatnonzero(shifts.any(1)):
        if not _explains(shifts[k].tolist(), light[k], old[k]):
            shifts[k] = 0
    return shifts


def _explains(shift: list[int], light: np.ndarray, old: np.ndarray) -> bool:
    """Whether a shift makes a picture clearly more like the one before, where both show the same."""
    sides = [(s, n) for s, n in zip(shift, light.shape, strict=True)]
    now = tuple(slice(max(s, 0), n + min(s, 0)) for s, n in sides)
    then = tuple(slice(max(-s, 0), n - max(s, 0)) for s, n in sides)
    return np.abs(light[now] - old[then]).sum() < 0.8 * np.abs(light[now] - old[now]).sum()


def _outside_neighbours(planes: np.ndarray, old: np.ndarray) -> np.ndarray:
    """How far each pixel lies outside the range of the 3 x 3 pixels that were there, (n, h, w).

    Forgives shifts below a pixel, parallax and zoom of that size, where a plain difference lights up
    every edge.
    """
    outside = planes - _spread(np.maximum, old, 1)
    np.maximum(outside, _spread(np.minimum, old, 1) - planes, out=outside)
    np.maximum(outside, 0, out=outside)
    return outside[:, 0] + outside[:, 1] + outside[:, 2]


def _spread(extreme: np.ufunc, maps: np.ndarray, rows: int) -> np.ndarray:
    """The extreme of each pixel's neighbours within `rows` and one column, itself included."""
    for _ in range(rows):
        tall = maps.copy()
        extreme(tall[..., 1:, :], maps[..., :-1, :], out=tall[..., 1:, :])
        extreme(tall[..., :-1, :], maps[..., 1:, :], out=tall[..., :-1, :])
        maps = tall
    wide = maps.copy()
    extreme(wide[..., 1:], maps[..., :-1], out=wide[..., 1:])
    extreme(wide[..., :-1], maps[..., 1:], out=wide[..., :-1])
    return wide


# -- regions ---------------------------------------------------------------------------------------


def regions_in(views: Views, changes: Changes, n_objects: int) -> list[list[Region]]:
    """Up to `n_objects` regions of each frame, strongest first.

    The grid where nothing moves or stands out.
    """
    grid = _grid(*views.standout.shape[1:])[:n_objects]
    found = zip(_moving(changes), _salient(views), strict=True)
    return [_strongest(moving + salient, n_objects) or grid for moving, salient in found]


def place_regions(
    seen: Encoded, start: int, views: Views, found: list[list[Region]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Write down mask, kinds and boxes of the regions of consecutive frames.

    Args:
        seen: filled in from frame `start` on.
        views: of the frames.
        found: their regions.

    Returns:
        Frame and slot of each region in `seen`, and its box in pixels of the small size, (n_regions, 4).
    """
    height, width = views.standout.shape[1:]
    step = start + np.repeat(np.arange(len(found)), [len(regions) for regions in found])
    slot = np.concatenate([np.arange(len(regions)) for regions in found])
    boxes = np.array([region.box for regions in found for region in regions])
    seen.object_mask[step, slot] = True
    seen.object_kinds[step, slot] = [region.kind for regions in found for region in regions]
    seen.object_boxes[step, slot] = boxes / np.array([width, height, width, height], np.float32)
    return step, slot, boxes


def _strongest(found: list[Region], n_objects: int) -> list[Region]:
    """The strongest regions without repetitions."""
    found.sort(key=lambda region: -region.strength)
    kept: list[Region] = []
    for region in found:
        if len(kept) == n_objects:
            break
        if not any(_same(region, other) for other in kept):
            kept.append(region)
    return kept


def _moving(changes: Changes) -> list[list[Region]]:
    threshold = np.maximum(MIN_CHANGE, np.float32(2.5) * mean_of(changes.residual))
    threshold[mean_of(changes.residual > MIN_CHANGE) > _MAX_CHANGED] = np.inf
    return _components(changes.moving, threshold, _MOVING)


def _salient(views: Views) -> list[list[Region]]:
    salience = (0.3 + 0.7 * _unlike_border(views.near)) * (views.standout + 0.03)
    usual = mean_of(salience) + np.float32(1.4) * deviation_of(salience)
    return _components(salience, np.maximum(_MIN_SALIENCE, usual), _SALIENT)


def _unlike_border(planes: np.ndarray) -> np.ndarray:
    """1 where no part of a frame's border has a pixel's colour, 0 where a good part has, (n, h, w).

    What reaches the border is mostly background (the prior of Wei et al., ECCV 2012).
    """
    coarse = planes[:, :, ::2, ::2]
    sides = (coarse[:, :, 0], coarse[:, :, -1], coarse[:, :, :, 0], coarse[:, :, :, -1])
    border = np.concatenate(sides, 2)[:, :, ::2]
    flat = coarse.reshape(len(planes), 3, -1)
    # exp(-distance² / 2 s²) = exp(b f / s² - b² / 2 s² - f² / 2 s²)
    scale = np.float32(1 / 0.07**2)
    alike = (scale * border.swapaxes(1, 2)) @ flat  # (n, border, pixels)
    alike -= (scale / 2) * (border * border).sum(1)[:, :, None]
    alike -= (scale / 2) * (flat * flat).sum(1)[:, None]
    np.exp(alike, out=alike)
    share = alike.sum(1) / np.float32(0.15 * border.shape[2])
    unlike = np.maximum(0, 1 - share).reshape(len(planes), *coarse.shape[2:])
    full = unlike.repeat(2, axis=1).repeat(2, axis=2)
    return full[:, : planes.shape[2], : planes.shape[3]]


_WITHIN_A_FRAME = np.zeros((3, 3, 3), bool)
_WITHIN_A_FRAME[1] = True


def _components(values: np.ndarray, threshold: np.ndarray, kind: int) -> list[list[Region]]:
    """Boxes of the connected parts of each frame above its threshold; small gaps are bridged.

    Inside a thing of one colour that moved little nothing changes, hence the wider gaps there; and
    people fall apart at the waist more often than at the side.
    """
    found: list[list[Region]] = [[] for _ in values]
    mask = values > threshold[:, None, None]
    joined = _spread(np.logical_or, mask, 2 if kind == _MOVING else 1)
    labels, _ = cast("tuple[np.ndarray, int]", ndimage.label(joined, _WITHIN_A_FRAME))
    # The pixels of each part in a row; numbers per part are then numbers per run.
    pixels = np.flatnonzero(mask)
    numbers = labels.ravel()[pixels]
    order = np.argsort(numbers, kind="stable")
    pixels, numbers = pixels[order], numbers[order]
    starts = np.flatnonzero(np.diff(numbers, prepend=0))
    if not len(starts):
        return found
    seen = values.ravel()[pixels]
    frame, rows, columns = np.unravel_index(pixels, values.shape)
    left, right = np.minimum.reduceat(columns, starts), np.maximum.reduceat(columns, starts) + 1
    top, bottom = np.minimum.reduceat(rows, starts), np.maximum.reduceat(rows, starts) + 1
    count = np.diff(starts, append=len(pixels))
    frame = frame[starts]
    height, width, area = bottom - top, right - left, mask[0].size
    fit = (count >= _MIN_AREA * area) & (height * width <= _MAX_AREA * area)
    fit &= (np.minimum(height, width) >= 2) & (count >= 0.15 * height * width)
    fit &= np.maximum.reduceat(seen, starts) >= np.float32(1.6) * threshold[frame]
    bonus = 2.0 if kind == _MOVING else 1.0
    strength = bonus * np.add.reduceat(seen, starts) / count * np.sqrt(count / area)
    boxes = np.stack([left, top, right, bottom], 1)
    for k in np.flatnonzero(fit):
        found[frame[k]].append(Region(float(strength[k]), kind, tuple(boxes[k].tolist())))
    return found


def _same(one: Region, other: Region) -> bool:
    """Whether two regions are one thing: a part of it, or, if found in two ways, most of it."""
    a, b = one.box, other.box
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return False
    areas = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (a, b)]
    whole = min(areas) if one.kind == other.kind else sum(areas) - width * height
    return width * height > 0.5 * whole


def _grid(height: int, width: int) -> list[Region]:
    x = [round(k * width / 3) for k in range(4)]
    y = [round(k * height / 3) for k in range(4)]
    order = [(1, 1), (0, 1), (1, 0), (1, 2), (2, 1), (0, 0), (0, 2), (2, 0), (2, 2)]
    return [Region(0.0, _GRID, (x[j], y[i], x[j + 1], y[i + 1])) for i, j in order]
