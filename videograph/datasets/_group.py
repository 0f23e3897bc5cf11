"""One group of the field's h5 as a video: every key read, what short forms lack completed and said."""

from __future__ import annotations

from typing import Any

import numpy as np

from videograph.datasets import ASSUMED_RATE, SAMPLING, BenchmarkVideo
from videograph.datasets._h5 import array, scalar, text
from videograph.datasets._names import name_of
from videograph.datasets._ratings import Rated
from videograph.records import Shots, VideoFeatures, from_change_points
from videograph.shots import find_shots

_ARRAYS: dict[str, type[np.generic]] = {
    "features": np.float32,
    "gtscore": np.float32,
    "gtsummary": np.float32,
    "user_summary": np.float32,
    "user_anno": np.float32,
    "change_points": np.int64,
    "n_frame_per_seg": np.int64,
    "picks": np.int64,
    "word_features": np.float32,
    "word_mask": np.bool_,
}


def read_group(group: Any) -> dict[str, Any]:
    """What a group holds, by the field's words; None where a key is absent."""
    parts: dict[str, Any] = {name: array(group, name, dtype) for name, dtype in _ARRAYS.items()}
    for name in ("user_summary", "user_anno"):
        parts[name] = _bytes(name, parts[name])
    for name in ("n_frames", "n_steps", "fps"):
        parts[name] = scalar(group, name)
    for name in ("video_name", "video_id", "title", "category"):
        parts[name] = text(group, name)
    return parts


def _bytes(name: str, value: np.ndarray | None) -> np.ndarray | None:
    if value is None:
        return None
    if not np.isfinite(value).all() or (value != np.floor(value)).any() or (value < 0).any():
        raise ValueError(f"{name} holds values that are not whole numbers from 0 up")
    return np.minimum(value, 255).astype(np.uint8)


def complete_video(
    set_name: str, key: str, parts: dict[str, Any], rated: dict[str, Rated], notes: list[str]
) -> BenchmarkVideo:
    """The video of a group.

    Args:
        set_name: name of the data set, for the video's own name.
        key: name of the group.
        parts: what `read_group` found, with features of another file and captions.
        rated: official ratings by the video's name, often none.
        notes: grows by a sentence for everything that had to be completed.

    Raises:
        ValueError: something does not fit, in words.
    """
    picks = _picks(parts, notes)
    n_frames = _n_frames(parts, picks, notes)
    stored = parts["video_name"] or parts["video_id"]
    name, doubt = name_of(set_name, key, n_frames, stored)
    if doubt:
        notes.append(doubt)
    users = _ratings(parts, rated, name, n_frames)
    return BenchmarkVideo(
        key,
        n_frames,
        picks,
        name=name,
        shots=_shots(parts, picks, n_frames, notes),
        features=parts["features"],
        gtscore=parts["gtscore"],
        gtsummary=parts["gtsummary"],
        user_anno=users,
        user_summary=parts["user_summary"],
        fps=parts["fps"],
        title=parts["title"] or (rated[name].title if name in rated else ""),
        category=parts["category"] or (rated[name].category if name in rated else ""),
        objects=parts.get("objects"),
        captions=parts["captions"],
        word_features=parts["word_features"],
        word_mask=parts["word_mask"],
    )


def _picks(parts: dict[str, Any], notes: list[str]) -> np.ndarray:
    n_steps, picks = parts["n_steps"], parts["picks"]
    counted = {k: len(parts[k]) for k in ("features", "gtscore") if parts[k] is not None}
    if picks is None:
        n = next(iter(counted.values()), n_steps)
        if n is None:
            if parts["n_frames"] is None and parts["user_anno"] is None:
                raise ValueError("picks are missing, and nothing tells how many steps there are")
            n = -(-_counted_frames(parts) // SAMPLING)
        notes.append(f"picks were missing and taken as every {SAMPLING}th frame")
        return np.arange(int(n), dtype=np.int64) * SAMPLING
    if picks.ndim != 1:
        raise ValueError(f"picks have shape {picks.shape}; (n_steps,) is needed")
    if n_steps is not None and n_steps != len(picks):
        raise ValueError(f"n_steps is {n_steps:g}, but there are {len(picks)} picks")
    return picks


def _counted_frames(parts: dict[str, Any]) -> int:
    if parts["n_frames"] is not None:
        return int(parts["n_frames"])
    return int(parts["user_anno"].shape[-1])


def _n_frames(parts: dict[str, Any], picks: np.ndarray, notes: list[str]) -> int:
    if parts["n_frames"] is not None:
        return int(parts["n_frames"])
    for name in ("user_summary", "user_anno"):
        if parts[name] is not None:
            notes.append(f"n_frames was missing and read off {name}")
            return int(parts[name].shape[-1])
    if parts["change_points"] is not None and parts["change_points"].size:
        notes.append("n_frames was missing and read off change_points")
        return int(parts["change_points"].max()) + 1
    notes.append(
        "n_frames was missing and taken as one past the last pick: the true end is unknown"
    )
    return int(picks[-1]) + 1 if len(picks) else 0


def _shots(
    parts: dict[str, Any], picks: np.ndarray, n_frames: int, notes: list[str]
) -> Shots | None:
    change_points, lengths = parts["change_points"], parts["n_frame_per_seg"]
    if change_points is None:
        if parts["features"] is None or len(parts["features"]) != len(picks) or not len(picks):
            return None
        notes.append(
            "change_points were missing: shots found by KTS in the features, not the stored"
        )
        seconds = picks / (parts["fps"] or ASSUMED_RATE)
        return find_shots(VideoFeatures(parts["features"], picks, seconds, n_frames, "stored"))
    if change_points.ndim != 2 or change_points.shape[1] != 2 or len(change_points) == 0:
        raise ValueError(f"change_points have shape {change_points.shape}; (n_shots, 2) is needed")
    try:
        shots = from_change_points(change_points)
    except ValueError as error:
        raise ValueError(
            f"change_points: {error}; both ends must be inclusive and touch"
        ) from error
    if lengths is not None and not np.array_equal(lengths.reshape(-1), shots.lengths):
        raise ValueError("n_frame_per_seg is not last - first + 1 of change_points")
    return shots


def _ratings(
    parts: dict[str, Any], rated: dict[str, Rated], name: str, n_frames: int
) -> np.ndarray | None:
    if not rated:
        return parts["user_anno"]
    if name not in rated:
        raise ValueError(f'the ratings have no video "{name}"')
    users = rated[name].user_anno
    if abs(users.shape[1] - n_frames) > 1:
        raise ValueError(f"the ratings have {users.shape[1]} frames, the h5 has {n_frames}")
    # Two videos of the official annotations end one frame away from the h5.
    return np.pad(users, ((0, 0), (0, max(0, n_frames - users.shape[1]))), mode="edge")[
        :, :n_frames
    ]
