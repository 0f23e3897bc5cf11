"""Inputs that compare across videos: how each step stands to the other steps of its own video.

Coordinates of features that were reduced per video do not compare, distances within a video do. So
videos of any features can teach together. No input knows a label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from results_data import WORD_DIM, WordVectors, places, words_in
from results_trials import (
    Bench,
    Variant,
    block_means,
    middle_steps,
    shared_order,
    spread_to_steps,
    standard,
    words_of,
)
from scipy.ndimage import uniform_filter1d
from torch import as_tensor

from videograph.datasets import BenchmarkVideo
from videograph.examples import Example
from videograph.inputs import inputs_from
from videograph.records import VideoFeatures
from videograph.scoring import score_video

STEPS = 9
"""Steps over which an input is smoothed, where nothing else is said."""
NEAR = 4
"""Steps around a step that count as the same moment."""


def relational(features: np.ndarray) -> dict[str, np.ndarray]:
    """Inputs by name, (n_steps,) each, in units of the mean distance from the video's mean."""
    x = (features - features.mean(0)).astype(np.float64)
    x /= max(float(np.sqrt((x**2).sum(1).mean())), 1e-9)
    n, squares = len(x), (x**2).sum(1)
    far = np.sqrt(np.maximum(squares[:, None] + squares - 2 * x @ x.T, 0))
    moved = np.concatenate([[0.0], np.linalg.norm(x[1:] - x[:-1], axis=1)])
    later = np.arange(n)[:, None] - np.arange(n)
    wide = np.sqrt(np.maximum(_smooth(squares, 17) - (_smooth(x, 17) ** 2).sum(1), 0))
    nearest = np.sort(far, 1)[:, : max(2, n // 10)].mean(1)
    return {
        "change": _smooth(moved),
        "past": _smooth(_nearest(far, later >= NEAR)),  # how new it is
        "future": _smooth(_nearest(far, later <= -NEAR)),  # how soon it is seen no more
        "ratio": _smooth(moved) / np.maximum(_smooth(moved, 65), 1e-6),
        "rarity": _smooth(nearest),
        "spread": wide,
    }


def _smooth(rows: np.ndarray, n_steps: int = STEPS) -> np.ndarray:
    return uniform_filter1d(rows, n_steps, axis=0, mode="nearest")


def _nearest(far: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Distance to the nearest allowed step; where there is none, the mean of those of other steps."""
    found = np.where(allowed, far, np.inf).min(1)
    known = np.isfinite(found)
    return np.where(known, found, found[known].mean() if known.any() else 0.0)


def captions_told(video: BenchmarkVideo, vectors: WordVectors) -> dict[str, np.ndarray]:
    """What a step's caption says beside what those of the whole video say, (n_steps,) each."""
    said = np.zeros((video.n_steps, WORD_DIM))
    for caption in video.captions:
        here = (video.seconds >= caption.start_seconds) & (video.seconds < caption.end_seconds)
        said[here] = vectors.of_text(words_in(caption.text))
    later = np.arange(len(said))[:, None] - np.arange(len(said))
    far = np.sqrt(np.maximum(2 - 2 * said @ said.T, 0))
    return {
        "unlike the others": -_smooth(said @ said.mean(0)),
        "not said before": _smooth(_nearest(far, later >= NEAR)),
    }


def inputs_of(bench: Bench, key: str, extra: Sequence[str] = ()) -> np.ndarray:
    """What pictures show, the training-free score and `extra`, each standardised, (n_steps, n) float32.

    Args:
        bench: a set.
        key: one of its videos.
        extra: of "captions" (what is said at a step), "others' captions" (of the next video, stretched)
            and "places" (where in the video a step is).
    """
    video = bench.dataset.videos[key]
    assert video.features is not None
    found = relational(video.features)
    found["training-free"] = score_video(video.as_features("x")).scores
    if "captions" in extra:
        found |= captions_told(video, bench.vectors)
    if "others' captions" in extra:
        keys = list(bench.users)
        other = bench.dataset.videos[keys[(keys.index(key) + 1) % len(keys)]]
        at = np.linspace(0, other.n_steps - 1, video.n_steps)
        rows = captions_told(other, bench.vectors).items()
        found |= {name: np.interp(at, np.arange(other.n_steps), row) for name, row in rows}
    columns = [*found.values(), *(places(video.n_steps).T if "places" in extra else ())]
    return np.stack([standard(x) for x in columns], 1).astype(np.float32)


def relational_examples(bench: Bench, variant: Variant) -> list[Example]:
    """All videos of a set, as a model of relational inputs reads them."""
    return [_example(bench, key, variant) for key in bench.dataset.videos]


def _example(bench: Bench, key: str, variant: Variant) -> Example:
    video, users, size = bench.dataset.videos[key], bench.users[key], variant.steps
    middle = middle_steps(video.n_steps, size)
    features = VideoFeatures(
        block_means(inputs_of(bench, key, variant.extra), size), video.picks[middle],
        video.seconds[middle], video.n_frames, "relational",
    )  # fmt: skip
    return Example(
        key,
        inputs_from(features, words_of(video, bench.vectors, variant.sources, size)),
        None,
        as_tensor(block_means(shared_order(users), size)),
        users[:, middle],
    )


def linear_scores(
    bench: Bench, fold: Mapping[str, Sequence[str]], steps: int, extra: Sequence[str] = (),
    penalty: float = 0.03,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Step scores of the test videos by ridge regression on the same inputs and videos, validation too."""
    rows = {k: block_means(inputs_of(bench, k, extra), steps) for k in bench.users}
    seen = [*fold["train"], *fold["val"], *fold["others"]]
    gram = sum(rows[k].T @ rows[k] / len(rows[k]) for k in seen) / len(seen)
    wanted = sum(
        rows[k].T @ standard(block_means(shared_order(bench.users[k]), steps)) / len(rows[k])
        for k in seen
    ) / len(seen)
    weights = np.linalg.solve(gram + penalty * np.eye(len(gram)), wanted)
    return {
        k: spread_to_steps(rows[k] @ weights, bench.users[k].shape[1], steps) for k in fold["test"]
    }
