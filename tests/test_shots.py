"""Shots: changes found where they are, and none where there is none."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, pairwise

import numpy as np
import pytest

from videograph.records import VideoFeatures
from videograph.shots import change_steps, find_shots


def scenes(lengths: list[int], *, noise: float = 0.05, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(len(lengths), 64))
    rows = np.repeat(means / np.linalg.norm(means, axis=1, keepdims=True), lengths, axis=0)
    return (rows + rng.normal(scale=noise, size=rows.shape)).astype(np.float32)


@pytest.mark.parametrize("seed", range(5))
def test_known_boundaries_are_found(seed: int) -> None:
    lengths = [12, 30, 7, 18, 25, 40, 9]
    found = change_steps(scenes(lengths, seed=seed))
    assert found.tolist() == np.cumsum(lengths)[:-1].tolist()


@pytest.mark.parametrize("repeated", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 3])
def test_exact_search_agrees_on_a_small_case(seed: int, repeated: bool) -> None:
    """Against every segmentation: nothing has a smaller KTS objective."""
    rows = scenes([4, 5, 3], noise=0.05, seed=seed).astype(np.float64)
    if repeated:
        rows = rows[[0, 0, 2, 3, 4, 4, 4, 4, 7, 8, 8, 8]]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    best = (np.inf, ())
    for m in range(6):
        for inner in combinations(range(2, 11), m):
            edges = [0, *inner, 12]
            if min(np.diff(edges)) < 2:
                continue
            parts = [rows[a:b] for a, b in pairwise(edges)]
            scatter = sum(((p - p.mean(0)) ** 2).sum() for p in parts)
            best = min(best, (scatter + (0.15 * m * (np.log(12 / m) + 1) if m else 0), inner))
    assert tuple(change_steps(rows, penalty=0.15)) == best[1]


def test_a_day_of_which_little_happens_is_cut() -> None:
    """172,800 steps, of which all but some hundred repeat the one before: as pairs they would fill 240 GB."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(100, 1000, 300)
    rows = np.repeat(scenes([1] * 300, noise=0), lengths, axis=0)[:172_800]
    assert len(rows) > 150_000
    assert change_steps(rows).tolist() == [n for n in np.cumsum(lengths) if n < len(rows)]


@pytest.mark.parametrize("noise", [0.02, 0.06, 0.1])
def test_features_that_flicker_are_not_cut_more_often(noise: float) -> None:
    """Up to a cosine of .6 from step to step; only the two scenes part."""
    assert change_steps(scenes([30, 40], noise=noise)).tolist() == [30]
    assert change_steps(scenes([70], noise=noise)).tolist() == []


@pytest.mark.parametrize("n_steps", [1, 2, 3, 6, 240])
def test_a_static_video_is_one_shot(n_steps: int) -> None:
    rows = np.ones((n_steps, 32), np.float32)
    assert len(change_steps(rows)) == 0
    noisy = rows + np.random.default_rng(0).normal(scale=0.01, size=rows.shape)
    assert len(change_steps(noisy)) == 0


def test_zero_features_do_no_harm() -> None:
    assert len(change_steps(np.zeros((50, 8)))) == 0


def test_shots_cover_the_video_and_start_at_the_true_cut() -> None:
    rows = scenes([10, 10])
    picks = np.arange(20) * 12
    cuts = picks.copy()
    cuts[10] = 113  # the cut lies between the picks 108 and 120
    features = VideoFeatures(
        features=rows,
        picks=picks,
        seconds=picks / 24,
        n_frames=245,
        encoder="test",
        cut_frames=cuts,
    )
    assert find_shots(features).bounds.tolist() == [[0, 113], [113, 245]]
    assert Fraction(find_shots(features).n_frames) == 245
