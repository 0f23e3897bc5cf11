"""The score curve of the storyboard: SVG paths and marks over 1000 x 100 units, stretched by the page."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from videograph.exporters._timeline import seconds_of
from videograph.records import ChosenShot, Summary

N_CURVE_POINTS = 500
"""Points of the score curve; with more steps than that, each is the mean of a stretch."""
N_KEY_MARKS = 300
"""Key frames marked on the curve; more of them would be a solid bar."""
TICK_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600)
"""Distances of time marks that people read with ease."""


def timeline(summary: Summary) -> dict[str, Any]:
    """The score curve as SVG paths over 1000 x 100 units, and its marks along them."""
    duration = float(summary.duration_seconds)
    low, high = score_range(summary.scores)

    def x(seconds: float | Fraction) -> float:
        return 1000 * min(1.0, max(0.0, float(seconds) / duration))

    def y(score: float) -> float:
        return 100 - 100 * (score - low) / (high - low)

    seconds, lows, means, highs = envelope(summary.seconds, summary.scores, N_CURVE_POINTS)

    def line(values: np.ndarray) -> list[str]:
        points = zip(map(x, seconds), map(y, values), strict=True)
        return [f"{across:.2f} {down:.1f}" for across, down in points]

    curve = "L".join([f"0 {y(means[0]):.1f}", *line(means), f"1000 {y(means[-1]):.1f}"])
    spread = (
        "L".join([*line(highs), *reversed(line(lows))]) if len(means) < len(summary.scores) else ""
    )
    marked = summary.chosen if len(summary.chosen) <= N_KEY_MARKS else ()
    bands = [(x(a), x(b)) for a, b in summary.spans]
    return {
        "curve": f"M{curve}",
        "area": f"M0 100L{curve}L1000 100Z",
        "spread": f"M{spread}Z" if spread else "",
        "bands": "".join(f"M{a:.2f} 0H{b:.2f}V100H{a:.2f}Z" for a, b in bands),
        "keys": [x(shot.keyframe_seconds) for shot in marked],
        "ticks": [(tick, x(tick)) for tick in ticks(duration)],
        "low": low,
        "high": high,
        **_strip(summary, x),
    }


def score_range(scores: np.ndarray) -> tuple[float, float]:
    """Ends of the score axis: tenths around all scores, so that a flat curve can still be read."""
    low = np.floor(10 * float(scores.min()) + 1e-6) / 10
    high = np.ceil(10 * float(scores.max()) - 1e-6) / 10
    if high - low < 0.1:
        low, high = max(0.0, low - 0.1), min(1.0, high + 0.1)
    return float(low), float(high)


def envelope(
    seconds: np.ndarray, scores: np.ndarray, n_points: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Times, and the lowest, mean and highest score of at most `n_points` stretches of like length."""
    starts = np.linspace(0, len(scores), min(n_points, len(scores)), endpoint=False).astype(int)
    counts = np.diff(np.append(starts, len(scores)))
    return (
        np.add.reduceat(seconds, starts) / counts,
        np.minimum.reduceat(scores, starts),
        np.add.reduceat(scores, starts, dtype=np.float64) / counts,
        np.maximum.reduceat(scores, starts),
    )


def ticks(duration: float) -> list[int]:
    """Times for the axis, at most nine of them, on distances people read with ease."""
    step = next((t for t in TICK_SECONDS if duration / t <= 8), TICK_SECONDS[-1])
    return list(range(0, int(duration) + 1, step))


def _strip(summary: Summary, x: Callable[[float], float]) -> dict[str, str]:
    """All shots as bars, chosen and others apart, as SVG paths over 1000 x 100 units."""
    bounds = seconds_of(summary.report.clock, summary.shots.bounds)
    top = max(float(summary.shot_scores.max()), 1e-9)
    chosen = {shot.number: shot for shot in summary.chosen}

    def bar(start: float, end: float, score: float) -> str:
        left, right = x(start), x(end)
        right = max(left + 0.2, right - min(1.0, 0.15 * (right - left)))  # a gap between shots
        return f"M{left:.2f} 100V{88 - 88 * max(0.0, score) / top:.0f}H{right:.2f}V100Z"

    shots = enumerate(zip(bounds.tolist(), summary.shot_scores.tolist(), strict=True))
    others = [
        bar(start, end, score)
        for number, ((start, end), score) in shots
        if number not in chosen or _length(chosen[number]) < end - start - 1e-3  # taken in part
    ]
    taken = [
        bar(float(shot.start_seconds), float(shot.end_seconds), summary.shot_scores[shot.number])
        for shot in summary.chosen
    ]
    return {"chosen_bars": "".join(taken), "other_bars": "".join(others)}


def _length(shot: ChosenShot) -> float:
    return float(shot.end_seconds - shot.start_seconds)
