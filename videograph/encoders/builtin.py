"""The encoder without weights: colour, edges, texture, motion; and regions that move or stand out.

Every frame is brought to two working sizes, long sides of about 128 and 64 pixels, by averaging
areas; all that follows is pooling of maps at those sizes, several frames at once, so that a frame costs
about 1 ms.

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
    AT_ONCE,
    MIN_CHANGE,
    Changes,
    changes_between,
    place_regions,
    regions_in,
)
from videograph.encoders._views import (
    N_DIRECTIONS,
    Views,
    deviation_of,
    edge_maps,
    half_means,
    mean_of,
    spans,
    views_of,
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


def _describe(
    views: Views, changes: Changes, boxes: np.ndarray, owner: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Features of n frames, (n, 380), and of their regions, (n_regions, 195).

    Args:
        views, changes: of the frames.
        boxes: x0, y0, x1, y1 in pixels of the small size, (n_regions, 4) int.
        owner: the frame of each region, (n_regions,), in order.
    """
    n, height, width = views.standout.shape
    edges = edge_maps(views.fine)
    maps = np.concatenate([views.planes, edges, views.edges[:, None],
                           changes.raw[:, None], changes.residual[:, None]], 1)  # fmt: skip
    whole = np.broadcast_to(np.array([0, 0, width, height]), (n, 4))
    palettes = _palettes(
        views.planes, np.concatenate([whole, boxes]), np.concatenate([np.arange(n), owner])
    )
    cells = spans(height, _CELLS) @ maps @ spans(width, _CELLS).T
    cells = cells.reshape(n, maps.shape[1], -1).swapaxes(1, 2)  # (n, 16, 13)
    frames = _frame_features(views, changes, edges[:, -1], cells, palettes[:n])
    return frames, _object_features(maps, boxes, owner, palettes[n:])


def _frame_features(
    views: Views, changes: Changes, edges: np.ndarray, cells: np.ndarray, palettes: np.ndarray
) -> np.ndarray:
    n = len(cells)
    colour = cells[:, :, :3] - np.array([0.5, 0, 0], np.float32)
    blocks = {
        "layout": (colour * np.array([1, 2, 2], np.float32)).reshape(n, -1),
        "palette": palettes,
        "edges": _pattern(cells[:, :, 3:9].reshape(n, -1), 0.25),
        "texture": 1.5 * (np.sqrt(cells[:, :, 9:11]).reshape(n, -1) - np.float32(0.25)),
        "statistics": _statistics(views, edges, palettes),
        "motion": _motion_block(changes, cells[:, :, 11:13]),
    }
    return np.concatenate([math.sqrt(w) * blocks[name] for name, w in _WEIGHTS.items()], 1)


# What films and home videos have on average, rounded, so that only what is special counts.
_USUAL_STATISTICS = np.array(
    [0.45, 0.4, 0.3, 0.2, 0.3, 0.7, 0.75, 0.15, 0.05, 0.55, 0, 0.2], np.float32
)


def _statistics(views: Views, edges: np.ndarray, palettes: np.ndarray) -> np.ndarray:
    """Twelve figures of each whole frame, less what is usual, together of a length near 1, (n, 12)."""
    light, red, yellow = views.planes.swapaxes(0, 1)
    chroma = np.sqrt(red * red + yellow * yellow)
    share = palettes * palettes
    height, width = light.shape[1:]
    middle = light[:, height // 4 : height - height // 4, width // 4 : width - width // 4]
    fine = views.fine
    sharp = fine[:, :, 2:] + fine[:, :, :-2]
    sharp -= 2 * fine[:, :, 1:-1]
    bright = mean_of(light)
    figures = [
        bright,
        2 * deviation_of(light),
        3 * mean_of(chroma),
        3 * deviation_of(chroma),
        3 * np.hypot(deviation_of(red), deviation_of(yellow)),
        4 * np.sqrt(mean_of(np.abs(sharp, out=sharp))),
        3 * mean_of(edges > 0.1),
        mean_of(light < 0.1),
        mean_of(light > 0.9),
        -(share * np.log(share + np.float32(1e-6))).sum(1) / math.log(_N_PALETTE),
        2 * (mean_of(middle) - bright),
        mean_of((red > 0.04) & (red < 0.3) & (yellow > 0.04) & (yellow < 0.3)),  # skin, roughly
    ]
    return np.float32(1.4) * (np.stack(figures, 1) - _USUAL_STATISTICS)


def _motion_block(changes: Changes, cells: np.ndarray) -> np.ndarray:
    """Raw and residual change on the 4 x 4 grid (32) and ten figures of each whole frame, (n, 42).

    Shorter than 1 whatever happens: the frame after a cut must not become a shot of its own.
    """
    down, right = (changes.shift / changes.raw.shape[1:]).astype(np.float32).T
    figures = [
        mean_of(changes.raw),
        mean_of(changes.residual),
        *cells.max(1).T,
        mean_of(changes.raw > MIN_CHANGE),
        mean_of(changes.residual > MIN_CHANGE),
        mean_of(changes.moving > MIN_CHANGE),
        np.hypot(down, right),
        np.abs(right),
        np.abs(changes.lighter),
    ]
    block = np.concatenate([cells.swapaxes(1, 2).reshape(len(cells), -1), np.stack(figures, 1)], 1)
    return block / (np.float32(0.3) + np.sqrt((block * block).sum(1, keepdims=True)))


def _object_features(
    maps: np.ndarray, boxes: np.ndarray, owner: np.ndarray, palettes: np.ndarray
) -> np.ndarray:
    """(n_regions, 195): what the regions look like, not where they are."""
    n = len(boxes)
    parts = _quarters(maps, boxes.astype(np.float32), owner)
    colour = parts[:, :3] - np.array([0.5, 0, 0], np.float32)[:, None, None]
    colour *= np.array([1, 2, 2], np.float32)[:, None, None]
    blocks = [
        math.sqrt(0.4) * palettes,
        math.sqrt(0.2) * _pattern(parts[:, 3:9].reshape(n, -1), 0.15),
        math.sqrt(0.25) * colour.reshape(n, -1),
        math.sqrt(0.1) * (2 * np.sqrt(parts[:, 9:11]).reshape(n, -1) - np.float32(0.5)),
        math.sqrt(0.05) * mean_of(parts[:, 12])[:, None],
    ]
    return np.concatenate(blocks, 1)


def _quarters(maps: np.ndarray, boxes: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Means of the maps over the four quarters of each region, (n_regions, 13, 2, 2)."""
    height, width = maps.shape[2:]
    rows, columns = half_means(height, boxes[:, 1::2]), half_means(width, boxes[:, 0::2])
    ends = np.searchsorted(owner, np.arange(len(maps) + 1))
    strips = [
        (rows[start:end].reshape(-1, height) @ frame).reshape(len(frame), -1, 2, width)
        for frame, start, end in zip(maps, ends[:-1], ends[1:], strict=True)
    ]
    return np.concatenate(strips, 1).swapaxes(0, 1) @ columns.swapaxes(1, 2)[:, None]


def _soft_bins(values: np.ndarray, n_bins: int) -> np.ndarray:
    """Shares of values in [0, 1], (n, h, w), in the two nearest of n bins, (n, h, n_bins, w)."""
    shares = (values * np.float32(n_bins - 1))[:, :, None] - _centres(n_bins)
    np.abs(shares, out=shares)
    np.subtract(np.float32(1), shares, out=shares)
    return np.maximum(shares, 0, out=shares)


def _centres(n_bins: int) -> np.ndarray:
    return np.arange(n_bins, dtype=np.float32)[:, None]


def _palettes(planes: np.ndarray, boxes: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Square root of the soft colour histogram of each region, (n_regions, 150), length 1.

    Args:
        planes: (n, 3, h, w).
        boxes: x0, y0, x1, y1 of each region in pixels, (n_regions, 4) int.
        owner: the frame of each region, (n_regions,).
    """
    light = _soft_bins(planes[:, 0], _N_LIGHT)  # (n, h, 6, w)
    # Grayish colours are told apart more finely than vivid ones.
    chroma = 0.5 + 0.54 * planes[:, 1:] / (np.abs(planes[:, 1:]) + np.float32(0.08))
    red, yellow = (_soft_bins(chroma[:, k], _N_CHROMA) for k in (0, 1))
    n, height, _, width = light.shape
    shares = np.empty((len(boxes), _N_LIGHT, _N_CHROMA**2), np.float32)
    for k in range(n):
        joint = (red[k, :, :, None] * yellow[k, :, None]).reshape(height, -1, width)
        for i in np.flatnonzero(owner == k):
            x0, y0, x1, y1 = boxes[i].tolist()
            # A product per row: small enough for BLAS to stay on one thread, which leaves one to
            # the decoder.
            by_row = light[k, y0:y1, :, x0:x1] @ joint[y0:y1, :, x0:x1].swapaxes(1, 2)
            np.divide(by_row.sum(0), (y1 - y0) * (x1 - x0), out=shares[i])
    return np.sqrt(shares.reshape(len(boxes), -1))


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
        before = None if previous is None else views_of(previous[None])
        for start in range(0, n, AT_ONCE):
            views = views_of(images[start : start + AT_ONCE])
            self._encode_some(views, views.befores(before), seen, start)
            before = views.last()
        return seen

    def _encode_some(self, views: Views, before: Views, seen: Encoded, start: int) -> None:
        changes = changes_between(views, before)
        found = regions_in(views, changes, self.n_objects)
        step, slot, boxes = place_regions(seen, start, views, found)
        frames = slice(start, start + len(found))
        seen.features[frames], seen.object_features[step, slot] = _describe(
            views, changes, boxes, step - start
        )


def load(n_objects: int = 8) -> BuiltinEncoder:
    """The encoder without weights.

    Args:
        n_objects: object slots per frame.

    Raises:
        UsageError: `n_objects` is below 1.
    """
    return BuiltinEncoder(n_objects)
