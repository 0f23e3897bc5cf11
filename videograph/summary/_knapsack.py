"""The 0/1 knapsack, exactly: for one row of values, and for many that share their weights."""

from __future__ import annotations

import numpy as np

from videograph.spill import Rows, release

N_CLOSE_CALLS = 24
"""Items settled exactly for a first bound: enough for a tight one, few enough for no time."""


N_BACK = 128
"""Items on the way back after which the pages that hold it are given back: a day's take 70 MB."""


def knapsack(values: np.ndarray, weights: np.ndarray, capacity: float) -> np.ndarray:
    """The subset of greatest value that fits, (n,) bool: exact 0/1 knapsack.

    Items that no best solution can hold, or lack, are settled first by the Lagrangian bound at the
    critical ratio; over the rest, the undominated (weight, value) pairs are listed item by item
    (Nemhauser & Ullmann, 1969). The time so depends on the hard core, not on the capacity's size.
    Ties go to the smaller total weight, then to earlier items. Items worth nothing stay out.

    Args:
        values: (n,), at least 0.
        weights: (n,) whole numbers, above 0.
        capacity: total weight allowed.
    """
    values = np.asarray(values, dtype=np.float64)
    weights = np.asarray(weights, dtype=np.int64)
    grain = int(np.gcd.reduce(weights)) if len(weights) else 1
    weights, capacity = weights // grain, int(capacity // grain)
    chosen = np.zeros(len(values), dtype=bool)
    fits = np.flatnonzero((weights <= capacity) & (values > 0))
    if weights[fits].sum() <= capacity:
        chosen[fits] = True
        return chosen
    settled_in, core, gains, gap = _settle(values[fits], weights[fits], capacity)
    chosen[fits[settled_in]] = True
    room = capacity - int(weights[chosen].sum())
    core = fits[core]
    chosen[core] = _undominated(values[core], weights[core], room, gains, gap)
    return chosen


def _settle(
    values: np.ndarray, weights: np.ndarray, capacity: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Indices that every best solution holds, those that remain open, their gains, the gap.

    The gain of an item is its value less its weight at the critical price; the gap is what a best
    solution can lose against taking all gains. Going against the sign of a gain costs its size.
    """
    ratio = values / weights
    order = np.argsort(-ratio, kind="stable")
    filled = np.cumsum(weights[order])
    critical = ratio[order[np.searchsorted(filled, capacity, side="right")]]
    gain = values - critical * weights
    upper = critical * capacity + gain[gain > 0].sum()
    # A solution to beat: sides taken by the sign of the gain, the closest calls settled exactly.
    close = np.sort(np.argsort(np.abs(gain), kind="stable")[:N_CLOSE_CALLS])
    taken = gain > 0
    taken[close] = False
    room = capacity - int(weights[taken].sum())
    taken[close] = _undominated(values[close], weights[close], room)
    lower = values[taken].sum()
    gap = upper - lower + 1e-9 * max(1.0, lower)  # rounding must not settle a tie
    is_open = np.abs(gain) <= gap
    return np.flatnonzero(~is_open & (gain > 0)), np.flatnonzero(is_open), gain[is_open], gap


def _undominated(
    values: np.ndarray,
    weights: np.ndarray,
    capacity: int,
    gains: np.ndarray | None = None,
    gap: float = np.inf,
) -> np.ndarray:
    """The best subset that fits, (n,) bool, by listing the undominated (weight, value) pairs.

    With the items' gains, partial subsets that have lost more than the gap are given up.
    """
    total_weight, total_value, lost = np.zeros(1, np.int64), np.zeros(1), np.zeros(1)
    gains = np.zeros(len(values)) if gains is None else gains
    history, ends = Rows(), [0]  # on disk where it is long
    for value, weight, gain in zip(values[::-1], weights[::-1], gains[::-1], strict=True):
        n = np.searchsorted(total_weight, capacity - weight, side="right")
        w = np.concatenate([total_weight[:n] + weight, total_weight])
        v = np.concatenate([total_value[:n] + value, total_value])
        cost = np.concatenate([lost[:n] + max(-gain, 0.0), lost + max(gain, 0.0)])
        order = np.lexsort((-v, w))  # stable: among equals the earlier item is taken
        best = np.maximum.accumulate(v[order])
        keep = order[np.concatenate([[True], v[order][1:] > best[:-1]])]
        keep = keep[cost[keep] <= gap]
        parents = np.where(keep < n, keep, n - 1 - keep)  # >= 0: taken; -1 - parent: not
        history.add(parents.astype(np.int32))
        ends.append(ends[-1] + len(parents))
        total_weight, total_value, lost = w[keep], v[keep], cost[keep]
    chosen = np.zeros(len(values), dtype=bool)
    state, taken = len(total_value) - 1, history.whole()
    for i, start in enumerate(reversed(ends[:-1])):
        if i % N_BACK == 0:
            release()
        parent = int(taken[start + state])
        chosen[i] = parent >= 0
        state = parent if parent >= 0 else -1 - parent
    release()
    return chosen


LARGEST_TABLE = 10_000_000
"""Cells of the knapsack's table beyond which rows are better solved one by one."""


def knapsack_many(values: np.ndarray, weights: np.ndarray, capacity: float) -> np.ndarray:
    """What `knapsack` chooses for each of many rows of values, (n_rows, n) bool.

    The table of all capacities (Bellman, 1957), whose cost is shared by the rows; ties as there.

    Args:
        values: (n_rows, n), at least 0.
        weights: (n,) whole numbers, above 0.
        capacity: total weight allowed.
    """
    weights = np.asarray(weights, dtype=np.int64)
    grain = int(np.gcd.reduce(weights))
    cells = len(weights) * (int(capacity // grain) + 1)
    if len(values) < 4 or cells > LARGEST_TABLE:
        return np.stack([knapsack(row, weights, capacity) for row in values])
    n = max(1, LARGEST_TABLE // cells)
    parts = [values[i : i + n] for i in range(0, len(values), n)]
    return np.concatenate(
        [_by_table(part, weights // grain, int(capacity // grain)) for part in parts]
    )


def _by_table(values: np.ndarray, weights: np.ndarray, capacity: int) -> np.ndarray:
    n_rows, n = values.shape
    best, used = np.zeros((n_rows, capacity + 1)), np.zeros((n_rows, capacity + 1), np.int32)
    takes = np.zeros((n, n_rows, capacity + 1), dtype=bool)
    for i in reversed(range(n)):
        w = int(weights[i])
        if w > capacity:
            continue
        rest = capacity + 1 - w
        value, weight = best[:, :rest] + values[:, i, None], used[:, :rest] + w
        better = value > best[:, w:]
        better |= (value == best[:, w:]) & (weight <= used[:, w:])
        better &= values[:, i, None] > 0
        takes[i, :, w:] = better
        best[:, w:] = np.where(better, value, best[:, w:])
        used[:, w:] = np.where(better, weight, used[:, w:])
    rows, room = np.arange(n_rows), np.full(n_rows, capacity)
    chosen = np.zeros((n_rows, n), dtype=bool)
    for i in range(n):
        chosen[:, i] = takes[i, rows, room]
        room -= chosen[:, i] * weights[i]
    return chosen
