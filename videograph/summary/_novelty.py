"""What is worth less to a person: frames on which nothing can be seen, scenes seen already."""

from __future__ import annotations

import numpy as np

from videograph.records import Shots
from videograph.spill import ROWS_AT_ONCE, mean, pieces, rows_at, zeros

BLANK_CONTRAST = 0.02
"""Frames of less contrast (black, white, fog) show nothing: five grey levels of 255."""
SHOTS_AT_ONCE = 64
"""Shots that are held against all better ones together."""


def without_blanks(scores: np.ndarray, contrast: np.ndarray | None) -> np.ndarray:
    """Scores with 0 for frames on which nothing can be seen, unless all are so, (n_steps,)."""
    if contrast is None or not (contrast >= BLANK_CONTRAST).any():
        return scores
    return np.where(contrast >= BLANK_CONTRAST, scores, 0).astype(scores.dtype)


def novelty(
    shot_scores: np.ndarray, picks: np.ndarray, shots: Shots, rows: np.ndarray
) -> np.ndarray:
    """How little of each shot is in any better-scored shot already, (n_shots,) float64 in [0, 1].

    1 less the greatest cosine between the shot's mean frame feature and those of better shots,
    after the video's mean is taken off. A scene that comes back counts in full once.

    Args:
        shot_scores: (n_shots,).
        picks: frame index of each step, (n_steps,).
        shots: the video's shots.
        rows: frame features, (n_steps, dim).
    """
    number = np.searchsorted(shots.bounds[:, 1], picks, side="right")
    means = zeros((shots.n_shots, rows.shape[1]))
    usual = mean(rows)
    for at in pieces(len(rows), ROWS_AT_ONCE):
        np.add.at(means, number[at], rows[at] - usual)
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    best_first = np.lexsort((np.arange(shots.n_shots), -shot_scores))
    means = rows_at(means, best_first)
    likeness = np.zeros(shots.n_shots)
    for at in pieces(shots.n_shots, SHOTS_AT_ONCE):  # a day has ten thousand
        block = means[at] @ means[: at.stop].T
        better = np.tri(*block.shape, k=at.start - 1, dtype=bool)
        likeness[at] = np.max(block, axis=1, initial=0.0, where=better)
    novel = np.empty(shots.n_shots)
    novel[best_first] = 1 - np.clip(likeness, 0, 1)
    return novel
