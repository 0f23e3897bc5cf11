"""Objects for free: the patch tokens, or the last map, that an encoder computes anyway.

`grid_of` pools them over equal cells. `clusters_of` groups those that are alike and side by side: the
tokens of a frame, less their mean and at length 1, with their place beside them, by k-means that starts
from the tokens farthest from each other; a connected piece of a group is an object. Neither draws at
random, and each frame is taken for itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from videograph.encoders._preprocessing import Box
from videograph.encoders._views import spans

if TYPE_CHECKING:
    from torch import Tensor

PLACE_WEIGHT = 0.5
"""How much a token's place counts beside what it shows: corner to corner as much as two other things."""
N_ROUNDS = 8
MIN_SHARE = 0.02
"""Smaller pieces, as a share of the map, are crumbs at the border of two groups."""


class Objects(NamedTuple):
    """Objects of a batch of frames, most certain first, empty slots last."""

    features: np.ndarray
    """(n, n_objects, object_dim) float32, 0 in empty slots."""
    mask: np.ndarray
    """(n, n_objects) bool."""
    boxes: np.ndarray
    """x0, y0, x1, y1 as shares of the frame, (n, n_objects, 4) float32, 0 in empty slots."""


def none_of(n: int, n_objects: int = 0, dim: int = 0) -> Objects:
    """Empty slots."""
    return Objects(
        np.zeros((n, n_objects, dim), np.float32),
        np.zeros((n, n_objects), bool),
        np.zeros((n, n_objects, 4), np.float32),
    )


def grid_of(maps: Tensor, seen: Box, n_objects: int) -> Objects:
    """Means over the cells of a 3 x 3 grid, the centre first, then the sides, then the corners.

    Args:
        maps: (n, rows, columns, dim).
        seen: the part of the frame that the map covers.
        n_objects: cells taken, 1 to 9.
    """
    import torch

    n, rows, columns, _ = maps.shape
    down, across = (torch.from_numpy(spans(k, 3)).to(maps) for k in (rows, columns))
    cells = torch.einsum("nyxd,iy,jx->nijd", maps, down, across).flatten(1, 2)
    order = [4, 1, 3, 5, 7, 0, 2, 6, 8][:n_objects]
    boxes = np.array([(j, i, j + 1, i + 1) for i in range(3) for j in range(3)]) / 3
    return Objects(
        cells[:, order].cpu().numpy(),
        np.ones((n, len(order)), bool),
        np.repeat(_in_frame(boxes[order], seen)[None], n, axis=0),
    )


def clusters_of(maps: Tensor, seen: Box, n_objects: int) -> Objects:
    """Connected pieces of alike tokens, those first that stand out most from the frame's mean.

    Args:
        maps: (n, rows, columns, dim).
        seen: the part of the frame that the map covers.
        n_objects: slots, and groups looked for.
    """
    arrays = maps.cpu().numpy()
    found = none_of(len(arrays), n_objects, arrays.shape[-1])
    for step, frame in enumerate(arrays):
        pieces = _pieces(_groups(frame, n_objects))
        tokens = [frame[piece].mean(0) for piece in pieces]
        middle = frame.mean((0, 1))
        force = [
            float(np.linalg.norm(token - middle)) * np.sqrt(piece.sum())
            for token, piece in zip(tokens, pieces, strict=True)
        ]
        best = np.argsort(-np.array(force), kind="stable")[:n_objects]
        found.mask[step, : len(best)] = True
        found.features[step, : len(best)] = [tokens[k] for k in best]
        found.boxes[step, : len(best)] = _in_frame(np.array([_box(pieces[k]) for k in best]), seen)
    return found


def _groups(frame: np.ndarray, n_groups: int) -> np.ndarray:
    """The group of each token of (rows, columns, dim), (rows, columns) int: k-means."""
    rows, columns, dim = frame.shape
    tokens = frame.reshape(-1, dim) - frame.mean((0, 1))
    tokens = tokens / np.maximum(np.linalg.norm(tokens, axis=1, keepdims=True), 1e-6)
    y, x = np.mgrid[:rows, :columns]
    place = np.stack([y.ravel(), x.ravel()], 1) / max(rows, columns) * (2 * PLACE_WEIGHT)
    points = np.concatenate([tokens, place], 1)
    centres = _far_apart(points, min(n_groups, len(points)))
    for _ in range(N_ROUNDS):
        group = _distances(points, centres).argmin(1)
        members = np.eye(len(centres))[group]
        sizes = members.sum(0)[:, None]
        centres = np.where(sizes > 0, members.T @ points / np.maximum(sizes, 1), centres)
    return _distances(points, centres).argmin(1).reshape(rows, columns)


def _far_apart(points: np.ndarray, n: int) -> np.ndarray:
    """n of the points: the one farthest from the mean, then each the farthest from those before."""
    chosen = [int(_distances(points, points.mean(0, keepdims=True))[:, 0].argmax())]
    nearest = _distances(points, points[chosen])[:, 0]
    while len(chosen) < n:
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, _distances(points, points[chosen[-1:]])[:, 0])
    return points[chosen]


def _distances(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Squared distances, (n_points, n_centres), but for each point's own square."""
    return (centres**2).sum(1) - 2 * points @ centres.T + (points**2).sum(1, keepdims=True)


def _pieces(groups: np.ndarray) -> list[np.ndarray]:
    """Connected pieces of the groups, each (rows, columns) bool; never none."""
    from scipy.ndimage import label

    pieces: list[np.ndarray] = []
    for group in np.unique(groups):
        numbered, n = label(groups == group)  # pyright: ignore[reportGeneralTypeIssues]
        pieces += [numbered == k for k in range(1, n + 1)]
    least = MIN_SHARE * groups.size
    return [piece for piece in pieces if piece.sum() >= least] or pieces


def _box(piece: np.ndarray) -> tuple[float, float, float, float]:
    """The box around a piece, as shares of the map."""
    rows, columns = piece.shape
    y, x = np.flatnonzero(piece.any(1)), np.flatnonzero(piece.any(0))
    return (x[0] / columns, y[0] / rows, (x[-1] + 1) / columns, (y[-1] + 1) / rows)


def _in_frame(boxes: np.ndarray, seen: Box) -> np.ndarray:
    """Boxes given as shares of what is seen, as shares of the frame, (n, 4) float32."""
    x0, y0, x1, y1 = seen
    placed = boxes * [x1 - x0, y1 - y0, x1 - x0, y1 - y0] + [x0, y0, x0, y0]
    return np.clip(placed, 0, 1).astype(np.float32)
