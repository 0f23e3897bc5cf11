"""The summary of a person's own video: the benchmark's rule, with lengths in time, not frames."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from videograph.records import Clock, Shots
from videograph.summary._budget import Budget, allowed_seconds
from videograph.summary._knapsack import knapsack
from videograph.summary._novelty import novelty
from videograph.summary._protocol import score_shots, spread_scores


@dataclass(frozen=True)
class Span:
    """A chosen shot, or the best piece of one that is longer than the whole budget."""

    number: int
    """Number of the shot, from 0."""
    start_frame: int
    """First frame."""
    end_frame: int
    """One past the last frame."""
    keyframe_step: int
    """Step of the key frame: the best-scored clear one inside, the most central among equals."""
    keyframe: int
    """Frame index of the key frame, inside the span."""


@dataclass(frozen=True)
class Choice:
    """What `choose` made of a budget."""

    spans: tuple[Span, ...]
    """In order of time, at least one, none overlapping."""
    shot_scores: np.ndarray
    """(n_shots,) float64."""
    budget_seconds: Fraction
    """What the budget allows in this video."""


def choose(
    scores: np.ndarray,
    picks: np.ndarray,
    shots: Shots,
    clock: Clock,
    budget: Budget,
    rows: np.ndarray | None = None,
    contrast: np.ndarray | None = None,
    first: np.ndarray | None = None,
) -> Choice:
    """The summary of a person's own video: the benchmark's rule, with lengths in time, not frames.

    What people watch should not repeat itself, so that a shot's score counts by its novelty, if
    the frame features are given. Never empty: where no shot fits, the best shot is cut to the
    best-scored piece that does, one frame at least.

    Args:
        scores: (n_steps,).
        picks: frame index of each step, (n_steps,).
        shots: the video's shots.
        clock: its time stamps.
        budget: how long the summary may be.
        rows: frame features, (n_steps, dim).
        contrast: of each step's frame, (n_steps,); a key frame shall not be caught in a fade.
        first: shots that come before all others, as they answer a query, (n_shots,) bool; None: none.
    """
    frame_scores = spread_scores(scores, picks, shots.n_frames)
    shot_scores = score_shots(frame_scores, shots)
    worth = shot_scores
    if rows is not None:
        worth = shot_scores * novelty(shot_scores, picks, shots, rows)
    first = np.zeros(shots.n_shots, dtype=bool) if first is None else first
    worth = np.where(first, shot_scores, worth)  # who asks for it wants it all
    starts, ends = shots.bounds.T
    lengths = np.append(clock.pts[ends[:-1]], clock.end) - clock.pts[starts]
    if budget.n_shots is not None:
        best_first = np.lexsort((np.arange(shots.n_shots), lengths, -worth, ~first))
        chosen = np.isin(np.arange(shots.n_shots), best_first[: budget.n_shots])
        capacity = int(lengths[chosen].sum())
    else:
        allowed = allowed_seconds(budget, clock, worth, lengths)
        capacity = int(allowed / clock.time_base)
        chosen = _first_come(worth, lengths, capacity, first)
    bounds = shots.bounds[chosen]
    if not chosen.any():
        best = int(np.lexsort((lengths, -worth, ~first))[0])
        chosen[best] = True
        start, end = shots.bounds[best]
        ticks = np.append(clock.pts, clock.end)
        bounds = _best_piece(frame_scores, ticks, start, end, capacity)[None]
    clear = np.ones(len(picks), np.float32) if contrast is None else contrast
    spans = [
        Span(
            int(number),
            int(start),
            int(end),
            *_keyframe(scores, picks, clear, int(start), int(end)),
        )
        for number, (start, end) in zip(np.flatnonzero(chosen), bounds, strict=True)
    ]
    return Choice(tuple(spans), shot_scores, capacity * clock.time_base)


def _first_come(
    worth: np.ndarray, lengths: np.ndarray, capacity: int, first: np.ndarray
) -> np.ndarray:
    """Shots within the capacity, (n_shots,) bool: the best of the first ones that fit, then what fills it.

    Nothing but a first shot is chosen if there is one and none fits.
    """
    chosen = np.zeros(len(worth), dtype=bool)
    for shot in np.lexsort((lengths, -worth)):
        if first[shot] and lengths[chosen].sum() + lengths[shot] <= capacity:
            chosen[shot] = True
    if chosen.any() or not first.any():
        rest = ~first
        left = capacity - int(lengths[chosen].sum())
        chosen[rest] = knapsack(worth[rest], lengths[rest], left)
    return chosen


def _best_piece(
    frame_scores: np.ndarray, ticks: np.ndarray, start: int, end: int, capacity: int
) -> np.ndarray:
    """First frame and one past the last of the best-scored piece that fits, (2,) int64."""
    starts = np.arange(start, end)
    ends = np.searchsorted(ticks, ticks[starts] + capacity, side="right") - 1
    ends = np.clip(ends, starts + 1, end)
    sums = np.concatenate([[0.0], np.cumsum(frame_scores)])
    # A piece cut short by the shot's end loses the score it could have held.
    full = ends - starts >= np.max(ends - starts) - 1
    mean = np.where(full, (sums[ends] - sums[starts]) / (ends - starts), -1.0)
    off_centre = np.abs(ends + starts - (start + end))
    best = np.lexsort((off_centre, -np.round(mean, 9)))[0]
    return np.array([starts[best], ends[best]], dtype=np.int64)


def _keyframe(
    scores: np.ndarray, picks: np.ndarray, contrast: np.ndarray, start: int, end: int
) -> tuple[int, int]:
    """Step and frame of the best-scored clear frame of a span, the most central among equals."""
    inside = np.arange(*np.searchsorted(picks, (start, end)))
    if len(inside) == 0:
        step = int(np.argmin(np.abs(2 * picks - (start + end))))
        return step, int(np.clip(picks[step], start, end - 1))
    clear = inside[contrast[inside] >= contrast[inside].max() / 2]
    off_centre = np.abs(2 * picks[clear] - (start + end))
    step = int(clear[np.lexsort((off_centre, -scores[clear]))[0]])
    return step, int(picks[step])
