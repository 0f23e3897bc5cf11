"""The encoder without weights: colour, edges, texture, motion; and regions that move or stand out.

Every frame is brought to two working sizes, long sides of about 128 and 64 pixels, by averaging
areas; all that follows is pooling of maps at those sizes, so that a frame costs 1 to 2 ms.

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

import numpy as np

from videograph.encoders import Encoded
from videograph.encoders._regions import (
    MIN_CHANGE,
    Change,
    Region,
    change_between,
    no_change,
    regions_of,
)
from videograph.encoders._views import (
    N_DIRECTIONS,
    View,
    coarse_edges,
    edge_maps,
    half_means,
    spans,
    view_of,
)
from videograph.errors import UsageError

FRAME_SIDE = 256
_N_LIGHT, _N_CHROMA = 6, 5
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
OBJECT_DIM = _N_PALETTE + 4 * (N_DIRECTIONS + 3 + 2) + 1


# -- descriptors -----------------------------------------------------------------------------------


def _pattern(energy: np.ndarray, floor: float) -> np.ndarray:
    """How energy is spread over a block (last axis): roots, less their mean, at length 1.

    Below `floor` the block fades to 0 instead of blowing up noise.
    """
    root = np.sqrt(energy)
    root -= root.mean(-1, keepdims=True)
    length = np.sqrt((root * root).sum(-1, keepdims=True))
    return root / np.maximum(length, np.float32(floor))


def _describe(view: View, change: Change, regions: list[Region]) -> tuple[np.ndarray, np.ndarray]:
    height, width = view.standout.shape
    boxes = np.array([(0, 0, width, height)] + [r.box for r in regions], np.float32)
    rows, columns = half_means(height, boxes[:, 1::2]), half_means(width, boxes[:, 0::2])
    edges = edge_maps(view.fine)
    maps = np.concatenate([view.planes, edges, coarse_edges(view.planes[0])[None],
                           change.raw[None], change.residual[None]])  # fmt: skip
    palettes = _palettes(view.planes, rows.mean(1), columns.mean(1))
    cells = spans(height, _CELLS) @ maps @ spans(width, _CELLS).T
    cells = cells.reshape(len(maps), -1).T  # (16, 13)
    frame = _frame_features(view, change, edges, cells, palettes[0])
    return frame, _object_features(maps, rows[1:], columns[1:], palettes[1:])


def _frame_features(
    view: View, change: Change, edges: np.ndarray, cells: np.ndarray, palette: np.ndarray
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


def _statistics(view: View, edges: np.ndarray, palette: np.ndarray) -> np.ndarray:
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


def _motion_block(change: Change, cells: np.ndarray) -> np.ndarray:
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
        (change.raw > MIN_CHANGE).mean(),
        (change.residual > MIN_CHANGE).mean(),
        (change.moving > MIN_CHANGE).mean(),
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
        before = None if previous is None else view_of(np.ascontiguousarray(previous))
        # Frame by frame, not in one batch: the maps stay in the processor's cache, which is faster,
        # and the result cannot depend on the batch.
        for step, image in enumerate(images):
            view = view_of(np.ascontiguousarray(image))
            self._encode_one(view, before, seen, step)
            before = view
        return seen

    def _encode_one(self, view: View, before: View | None, seen: Encoded, step: int) -> None:
        height, width = view.standout.shape
        change = no_change((height, width)) if before is None else change_between(view, before)
        regions = regions_of(view, change, self.n_objects)
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
