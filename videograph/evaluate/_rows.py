"""The rows that always stand: what chance, place, change, a linear map and people reach."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping

import numpy as np
from scipy.ndimage import uniform_filter1d

from videograph.datasets import BenchmarkVideo, Dataset
from videograph.datasets._splits import Splits
from videograph.errors import UsageError
from videograph.evaluate._table import Judge, Row, Values, collect
from videograph.summary import DEFAULT_SHARE

N_SLICES = 20
"""Slices of the uniform summary, spread evenly, together as long as a summary may be."""
SMOOTHING_STEPS = 9
"""Steps over which feature change is averaged: 4.5 seconds at 2 steps a second."""
RIDGE_LENGTH = 10.0
"""Length to which each frame's features are scaled for the ridge baseline. With it, the penalties of 1000 and
300 that are stated with the known figures give each of them to .001 (docs/benchmark.md)."""
RIDGE_LAMBDA = 1000.0
"""Penalty of the ridge baseline."""


def seeded(seed: int, video: BenchmarkVideo) -> np.random.Generator:
    """Draws of a video that do not depend on which other videos are there."""
    return np.random.default_rng([seed, zlib.crc32(video.key.encode())])


def position(video: BenchmarkVideo) -> np.ndarray:
    """1 in the middle of the video, 0 at its ends, (n_steps,): people skip intros and credits."""
    share = (video.picks + 0.5) / video.n_frames
    return 1 - 2 * np.abs(share - 0.5)


def feature_change(video: BenchmarkVideo) -> np.ndarray:
    """How much the features change around each step, smoothed, in [0, 1], (n_steps,)."""
    assert video.features is not None
    unit = _unit(video.features)
    change = np.zeros(len(unit))
    change[1:] = 1 - (unit[1:] * unit[:-1]).sum(axis=1)
    return _scaled(uniform_filter1d(change, SMOOTHING_STEPS, mode="nearest"))


def typicality(video: BenchmarkVideo) -> np.ndarray:
    """Cosine of each step to the video's mean feature, in [0, 1], (n_steps,)."""
    assert video.features is not None
    unit = _unit(video.features)
    mean = unit.mean(axis=0)
    return _scaled(unit @ (mean / max(float(np.linalg.norm(mean)), 1e-12)))


def uniform(video: BenchmarkVideo) -> np.ndarray:
    """Evenly spread slices, together as long as a summary may be, (n_frames,) bool."""
    mask = np.zeros(video.n_frames, dtype=bool)
    starts = np.arange(N_SLICES) * video.n_frames / N_SLICES
    lengths = video.n_frames * float(DEFAULT_SHARE) / N_SLICES
    middle = (video.n_frames / N_SLICES - lengths) / 2
    for start in starts + middle:
        mask[round(start) : round(start + lengths)] = True
    return mask


def _unit(features: np.ndarray) -> np.ndarray:
    rows = features.astype(np.float64)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _scaled(values: np.ndarray) -> np.ndarray:
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else np.zeros(len(values))


def reference_rows(
    dataset: Dataset, judges: Mapping[str, Judge], splits: Splits, *, n_draws: int, seed: int
) -> list[Row]:
    """Chance, slices, place and change, without a look at any label.

    Args:
        dataset: the videos.
        judges: key -> what measures.
        splits: which videos count.
        n_draws: random predictions per video.
        seed: of the draws and the bootstrap.
    """
    videos = {key: dataset.videos[key] for key in splits.tested}

    def row(name: str, note: str, score: Callable[[BenchmarkVideo], np.ndarray]) -> Row:
        values = {k: judges[k].measure(np.atleast_2d(score(v))) for k, v in videos.items()}
        return collect(name, "reference", values, splits, seed=seed, note=note)

    note = f"uniform scores in [0, 1], mean over {n_draws} draws"
    rows = [row("random", note, lambda v: seeded(seed, v).random((n_draws, v.n_steps)))]
    slices: dict[str, Values] = {
        k: judges[k].measure_summaries(uniform(v)[None])
        for k, v in videos.items()
        if judges[k].masks is not None and v.shots is not None
    }
    if slices:
        note = f"{N_SLICES} equal slices, no shots; a summary without scores, so modes 1 and 2 are empty"
        rows.append(collect("uniform", "reference", slices, splits, seed=seed, note=note))
    rows.append(row("position", "minus the distance from the middle of the video", position))
    if all(v.features is not None for v in videos.values()):
        note = f"cosine change from step to step, smoothed over {SMOOTHING_STEPS}"
        rows.append(row("feature change", note, feature_change))
        rows.append(row("typical", "cosine to the video's mean feature", typicality))
        rows.append(row("untypical", "the opposite of typical", lambda v: 1 - typicality(v)))
    return rows


def human_rows(judges: Mapping[str, Judge], splits: Splits, *, seed: int) -> list[Row]:
    """One person against the others, and the persons' mean as the prediction."""
    tested = [key for key in splits.tested if judges[key].at_picks is not None]
    if not tested:
        return []
    people = {key: judges[key].human() for key in tested}
    mean = {key: judges[key].measure(ceiling(judges[key])) for key in tested}
    rows = [
        collect(
            "human leave-one-out", "human", people, splits, seed=seed,
            note="each user as the prediction for the others",
        ),
        collect(
            "ceiling: mean user", "human", mean, splits, seed=seed,
            note="the users' mean as the prediction; mode 2 is 1 by definition",
        ),
    ]  # fmt: skip
    return [row for row in rows if row.cells]


def ceiling(judge: Judge) -> np.ndarray:
    """The users' mean as a prediction in [0, 1], (1, n_steps)."""
    users = np.asarray(judge.at_picks)
    mean = users.mean(axis=0, dtype=np.float64)[None]
    return (mean - 1) / 4 if judge.video.user_anno is not None else mean


# -- the ridge baseline ------------------------------------------------------------------------------


def ridge_scores(dataset: Dataset, splits: Splits) -> list[dict[str, np.ndarray]]:
    """Scores of each split's test videos from a linear map of each frame's features, fitted on the rest.

    Every video counts its own steps against `gtscore`; the fit is on train and validation videos
    (nothing is chosen), with an intercept, each row of features scaled to `RIDGE_LENGTH`.

    Raises:
        UsageError: features or scores are missing, or a split has nothing to learn from.
    """
    lacking = [k for k, v in dataset.videos.items() if v.features is None or v.gtscore is None]
    if lacking:
        raise UsageError(
            f"the ridge baseline needs features and gtscore; {lacking[0]} lacks them. Give --features."
        )
    moments = {key: _moments(video) for key, video in dataset.videos.items()}
    scores = []
    for i, fold in enumerate(splits.folds):
        seen = [key for key in (*fold.train, *fold.val) if key in moments]
        if not seen:
            raise UsageError(f"the ridge baseline has nothing to learn from in split {i}.")
        weights = _solve([moments[key] for key in seen])
        scores.append({key: _applied(dataset.videos[key], weights) for key in fold.test})
    return scores


def _moments(video: BenchmarkVideo) -> tuple[np.ndarray, np.ndarray]:
    """Sums of squares of one video's [1, features] and with its scores, so that folds only add."""
    assert video.features is not None and video.gtscore is not None
    rows = np.column_stack([np.ones(video.n_steps), RIDGE_LENGTH * _unit(video.features)])
    return rows.T @ rows, rows.T @ video.gtscore.astype(np.float64)


def _solve(moments: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    gram = np.sum([m[0] for m in moments], axis=0)
    target = np.sum([m[1] for m in moments], axis=0)
    penalty = np.full(len(gram), RIDGE_LAMBDA)
    penalty[0] = 0.0  # the intercept is free
    return np.linalg.solve(gram + np.diag(penalty), target)


def _applied(video: BenchmarkVideo, weights: np.ndarray) -> np.ndarray:
    assert video.features is not None
    return RIDGE_LENGTH * _unit(video.features) @ weights[1:] + weights[0]
