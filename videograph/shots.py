"""Shots: kernel temporal segmentation (KTS) of the frame features, exact for each price.

KTS (Potapov et al., ECCV 2014) minimises, over the number m of change points and their places, the
scatter within segments + C m (log(T / m) + 1). For a fixed price per change point the best
segmentation is found by dynamic programming with pruning (PELT: Killick, Fearnhead, Eckley, JASA 2012);
the price that KTS's penalty asks for is its slope, C log(T / m), so that the pair is found in a few rounds.

Steps that repeat the features of the step before are one point with a weight: to part them gains nothing,
and a camera that looks at an empty room all night costs nothing.

Searched here and not by ruptures, whose steps have no weights: equal ones cost it the square of their
number, 15 s for 20,000 (0.01 s here) and minutes for the 172,800 of a day. Both find the same minimum and
may differ in ties only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from videograph.records import Shots, VideoFeatures
from videograph.spill import ROWS_AT_ONCE, pieces

PENALTY = 0.1
"""Least C, in units of scatter of features of length 1; chosen on videos whose cuts are known."""
PENALTY_PER_CHANGE = 2.0
"""C for each unit of the usual change (median of 1 - cosine) from step to step: features of some networks
flicker where nothing happens, and 0.1 would cut every second. Chosen with MobileNetV2 on the same videos."""
MIN_SHOT_STEPS = 2
"""Shots shorter than a second (at 2 steps a second) are more flicker than shot."""
MAX_SHOT_POINTS = 2048
"""No shot holds more different steps (17 minutes at 2 a second): without a bound, an unchanging video
would cost the square of its length."""
N_ROUNDS = 6
_BLOCK = 128  # points whose products with all open starts are one multiplication


def usual_penalty(features: np.ndarray) -> float:
    """C that suits features, (n_steps, dim): more where they change much from any step to the next."""
    if len(features) < 2:
        return PENALTY
    change = np.empty(len(features) - 1, np.float32)
    for at in pieces(len(change), ROWS_AT_ONCE):
        rows = features[at.start : at.stop + 1].astype(np.float32)
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        change[at] = 1 - np.einsum("td,td->t", rows[1:], rows[:-1])
    return max(PENALTY, PENALTY_PER_CHANGE * float(np.median(change)))


def change_steps(features: np.ndarray, *, penalty: float | None = None) -> np.ndarray:
    """Steps at which a new shot starts, (n_changes,) int64, without step 0.

    Args:
        features: (n_steps, dim); rows are brought to length 1.
        penalty: C of the KTS penalty; greater means fewer shots. None: `usual_penalty`.
    """
    if penalty is None:
        penalty = usual_penalty(features)
    n_steps = len(features)
    if n_steps < 2 * MIN_SHOT_STEPS:
        return np.empty(0, dtype=np.int64)
    points = _Points(features)
    none = np.empty(0, dtype=np.int64)
    tried = {0: (points.scatter(none), none)}
    n_changes = max(1, n_steps // 10)
    for _ in range(N_ROUNDS):
        price = penalty * max(np.log(n_steps / n_changes), 1e-3)
        inner = _cheapest(points, price)
        n_found = len(inner)
        if n_found in tried:
            break
        tax = penalty * n_found * (np.log(n_steps / n_found) + 1)
        tried[n_found] = (points.scatter(inner) + tax, inner)
        n_changes = max(1, n_found)
    return points.steps[min(tried.values(), key=lambda pair: pair[0])[1]]


class _Points:
    """Runs of equal rows; entry i of each array speaks of all rows before point i.

    The sums themselves, as long as the video and wide, are formed anew with every pass.
    """

    def __init__(self, features: np.ndarray) -> None:
        self._features = features
        self.dim = features.shape[1]
        self._first = _changes(features)
        self.steps = np.append(self._first, len(features)).astype(np.int64)
        """Number of rows, (n_points + 1,) int64: the step at which the point begins."""
        self.squares = np.zeros(len(self.steps))
        """Sum of their squared lengths, (n_points + 1,) float64."""
        self.lengths = np.zeros(len(self.steps))
        """Squared length of their sum, (n_points + 1,) float64."""
        for block, sums, squares in self._blocks():
            self.lengths[block] = (sums**2).sum(1)
            self.squares[block] = squares
        np.cumsum(self.squares, out=self.squares)

    def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Points from 1 on, some at a time, and the sums of all rows before each, (n, dim) float64."""
        yield from ((block, sums) for block, sums, _ in self._blocks())

    def _blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        carry = np.zeros(self._features.shape[1])
        for at in pieces(len(self._first), _BLOCK):
            counts = np.diff(self.steps[at.start : at.stop + 1])
            rows = self._features[self._first[at]].astype(np.float64)
            rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
            rows *= counts[:, None]
            squares = (rows**2).sum(1) / counts
            rows[0] += carry
            sums = np.cumsum(rows, axis=0, out=rows)
            carry = sums[-1].copy()
            yield np.arange(at.start, at.stop) + 1, sums, squares

    def scatter(self, inner: np.ndarray) -> float:
        """Scatter within the segments that begin at 0 and at the points `inner`, rising."""
        ends = np.append(inner, len(self.steps) - 1)
        held, before, before_steps = self.squares[-1], np.zeros(self._features.shape[1]), 0
        for block, sums in self.blocks():
            for point in ends[(ends >= block[0]) & (ends <= block[-1])]:
                now, steps = sums[point - block[0]], int(self.steps[point])
                held -= ((now - before) ** 2).sum() / (steps - before_steps)
                before, before_steps = now.copy(), steps
        return float(held)


def _changes(features: np.ndarray) -> np.ndarray:
    """Steps whose row is not that of the step before, (n_points,) int64."""
    is_new = np.ones(len(features), bool)
    for at in pieces(len(features) - 1, ROWS_AT_ONCE):
        rows = features[at.start : at.stop + 1]
        is_new[at.start + 1 : at.stop + 1] = (rows[1:] != rows[:-1]).any(1)
    return np.flatnonzero(is_new)


def _cheapest(points: _Points, price: float) -> np.ndarray:
    """Points at which the segments of least scatter + `price` x changes begin, without 0."""
    n = len(points.steps) - 1
    best = np.full(n + 1, np.inf)  # least cost of all before a point
    best[0] = -price
    before = np.zeros(n + 1, np.int64)
    opened = _Starts(np.zeros(1, np.int64), np.full(1, np.inf), np.zeros((1, points.dim)))
    for block, block_sums in points.blocks():
        starts = np.concatenate([opened.points, block])
        sums = np.concatenate([opened.sums, block_sums])
        products = block_sums @ sums.T
        column = np.arange(len(opened.points))  # of the open starts
        gone = opened.gone
        for row, point in enumerate(block):
            at = starts[column]
            count = points.steps[point] - points.steps[at]
            square = points.lengths[point] + points.lengths[at] - 2 * products[row, column]
            cost = best[at] + (points.squares[point] - points.squares[at]) - square / count
            fits = np.where(count >= MIN_SHOT_STEPS, cost, np.inf)
            least = int(fits.argmin())
            best[point], before[point] = fits[least] + price, at[least]
            # From here on a start that costs more is worse than to start here, as soon as that may.
            worse = (fits >= best[point]) & np.isfinite(fits) & np.isinf(gone)
            gone[worse] = points.steps[point] + MIN_SHOT_STEPS
            stays = gone > points.steps[min(point + 1, n)]
            column = np.append(column[stays], len(opened.points) + row)[-MAX_SHOT_POINTS:]
            gone = np.append(gone[stays], np.inf)[-MAX_SHOT_POINTS:]
        opened = _Starts(starts[column], gone, sums[column])
    return _walk_back(before)


@dataclass(frozen=True)
class _Starts:
    """Where the segment that is looked at may have begun."""

    points: np.ndarray
    gone: np.ndarray
    """Step from which each is known to be worse than another; infinite: it is not."""
    sums: np.ndarray
    """Sum of all rows before each, (n, dim) float64."""


def _walk_back(before: np.ndarray) -> np.ndarray:
    inner, point = [], int(before[-1])
    while point > 0:
        inner.append(point)
        point = int(before[point])
    return np.array(inner[::-1], dtype=np.int64)


def find_shots(features: VideoFeatures, *, penalty: float | None = None) -> Shots:
    """The video cut where its frame features change, without a gap.

    A change lies between two picks; it is put at `cut_frames`, the sharpest change between the two,
    where the reader saw one, and at the later pick otherwise.

    Args:
        features: what the encoder saw.
        penalty: C of the KTS penalty; greater means fewer shots. None: `usual_penalty`.
    """
    starts = features.picks if features.cut_frames is None else features.cut_frames
    inner = starts[change_steps(features.features, penalty=penalty)]
    edges = np.concatenate([[0], inner, [features.n_frames]]).astype(np.int64)
    return Shots(np.stack([edges[:-1], edges[1:]], axis=1))
