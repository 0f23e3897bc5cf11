"""From scores of steps to scores of frames and shots, and the benchmark's choice among these."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from videograph.errors import UsageError
from videograph.records import Shots
from videograph.spill import pieces, zeros
from videograph.summary._budget import DEFAULT_SHARE
from videograph.summary._knapsack import knapsack, knapsack_many

STEPS_AT_ONCE = 8192
"""Steps whose frames are given their scores at once."""
SHOTS_AT_ONCE = 256
"""Shots whose frames are read before their pages are given back."""


@dataclass(frozen=True)
class Protocol:
    """How scores become a summary; the variants that are in print, by name."""

    spread: str = "hold"
    """"hold": a score holds to the next pick, the last one to the end, 0 before the first (DSNet,
    PGL-SUM, CSTA); "hold_last_zero": the same, but the last frame keeps 0 (GraVi-T)."""
    shot_score: str = "mean_inclusive"
    """"mean_inclusive": mean over all frames of the shot (PGL-SUM, CSTA); "int1000":
    int(1000 * mean) (DSNet); "mean_drop_last": the shot's last frame is left out (GraVi-T)."""
    capacity: str = "floor_n_frames"
    """"floor_n_frames": int(n_frames * share) (DSNet); "floor_last_end": int((last shot's inclusive
    end + 1) * share) (PGL-SUM, CSTA); "real": n_frames * share, not rounded (GraVi-T)."""

    def __post_init__(self) -> None:
        for name, allowed in VARIANTS.items():
            if getattr(self, name) not in allowed:
                raise UsageError(
                    f'{name} is "{getattr(self, name)}". Allowed: {", ".join(allowed)}.'
                )


VARIANTS = {
    "spread": ("hold", "hold_last_zero"),
    "shot_score": ("mean_inclusive", "int1000", "mean_drop_last"),
    "capacity": ("floor_n_frames", "floor_last_end", "real"),
}
PROTOCOLS = {
    "ours": Protocol(),
    "dsnet": Protocol(shot_score="int1000"),
    "pglsum": Protocol(capacity="floor_last_end"),
    "gravit": Protocol("hold_last_zero", "mean_drop_last", "real"),
}
"""Bundles of variants by the public code that uses them; "pglsum" is also CA-SUM's and CSTA's."""


def spread_scores(
    scores: np.ndarray, picks: np.ndarray, n_frames: int, how: str = "hold"
) -> np.ndarray:
    """Scores of all frames, (n_frames,) float64, from those at the picks; or rows of such.

    Args:
        scores: (n_steps,), or (n_rows, n_steps).
        picks: frame index of each step, (n_steps,), increasing.
        n_frames: frames of the video.
        how: see `Protocol.spread`.
    """
    last = n_frames if how == "hold" else n_frames - 1
    edges = np.append(np.minimum(picks, last), last)
    scores = np.asarray(scores, np.float64)
    frame_scores = zeros((*scores.shape[:-1], n_frames), np.float64)
    lengths = np.diff(edges)
    for at in pieces(len(lengths), STEPS_AT_ONCE):  # a day has 2.6 million frames
        within = slice(edges[at.start], edges[at.stop])
        frame_scores[..., within] = np.repeat(scores[..., at], lengths[at], axis=-1)
    return frame_scores


def score_shots(frame_scores: np.ndarray, shots: Shots, how: str = "mean_inclusive") -> np.ndarray:
    """Score of each shot, (n_shots,) float64, or rows of such; `how`: see `Protocol.shot_score`.

    A shot of one frame scores 0 with "mean_drop_last", as an empty slice has nothing to say.
    """
    dropped = 1 if how == "mean_drop_last" else 0
    mean = np.zeros((*frame_scores.shape[:-1], shots.n_shots))
    for at in pieces(shots.n_shots, SHOTS_AT_ONCE):
        for i, (start, end) in enumerate(shots.bounds[at], at.start):
            if end - dropped > start:
                mean[..., i] = frame_scores[..., start : end - dropped].mean(axis=-1)
    return np.floor(1000 * mean) if how == "int1000" else mean


def frame_capacity(
    shots: Shots,
    share: Fraction | float,
    how: str = "floor_n_frames",
    n_frames: int | None = None,
) -> float:
    """Frames that a summary may hold.

    "floor_last_end" differs from "floor_n_frames" where the shots stop short of the video's end. "real"
    differs in the number only: shots are whole frames long, so whatever fits in it fits in its floor.

    Args:
        shots: the video's shots.
        share: share of the frames that may be chosen.
        how: see `Protocol.capacity`.
        n_frames: frames of the video; None: the shots cover it.
    """
    counted = shots.n_frames if n_frames is None or how == "floor_last_end" else n_frames
    frames = Fraction(str(share)) * counted  # as written: 0.15 is a little less in binary
    return float(frames) if how == "real" else int(frames)


@dataclass(frozen=True)
class Selection:
    """Which shots make the summary."""

    chosen: np.ndarray
    """(n_shots,) bool."""
    shot_scores: np.ndarray
    """(n_shots,) float64, as the protocol counts them."""
    frame_scores: np.ndarray
    """(n_frames,) float64."""

    def frame_mask(self, shots: Shots) -> np.ndarray:
        """The summary frame by frame, (n_frames,) bool; frames after the last shot are not in it."""
        mask = np.zeros(len(self.frame_scores), dtype=bool)
        mask[: shots.n_frames] = np.repeat(self.chosen, shots.lengths)
        return mask


def select(
    scores: np.ndarray,
    picks: np.ndarray,
    shots: Shots,
    *,
    share: Fraction | float = DEFAULT_SHARE,
    protocol: Protocol | str = "ours",
    n_frames: int | None = None,
) -> Selection:
    """The benchmark's summary: shots of greatest total score within a share of the frames.

    Args:
        scores: (n_steps,).
        picks: frame index of each step, (n_steps,).
        shots: the video's shots.
        share: share of the frames that may be chosen.
        protocol: a `Protocol`, or the name of one in `PROTOCOLS`.
        n_frames: frames of the video, where its shots stop short of the end; None: they cover it.

    Raises:
        UsageError: no protocol has that name.
    """
    if isinstance(protocol, str):
        if protocol not in PROTOCOLS:
            raise UsageError(f'no protocol named "{protocol}". Available: {", ".join(PROTOCOLS)}.')
        protocol = PROTOCOLS[protocol]
    n_frames = shots.n_frames if n_frames is None else n_frames
    frame_scores = spread_scores(scores, picks, n_frames, protocol.spread)
    shot_scores = score_shots(frame_scores, shots, protocol.shot_score)
    capacity = frame_capacity(shots, share, protocol.capacity, n_frames)
    return Selection(knapsack(shot_scores, shots.lengths, capacity), shot_scores, frame_scores)


def select_many(
    scores: np.ndarray,
    picks: np.ndarray,
    shots: Shots,
    *,
    share: Fraction | float = DEFAULT_SHARE,
    protocol: Protocol,
) -> np.ndarray:
    """What `select` chooses for each of many rows of scores, (n_rows, n_shots) bool.

    Args:
        scores: (n_rows, n_steps).
        picks: frame index of each step, (n_steps,).
        shots: the video's shots.
        share: share of the frames that may be chosen.
        protocol: how scores become a summary.
    """
    frame_scores = spread_scores(scores, picks, shots.n_frames, protocol.spread)
    values = score_shots(frame_scores, shots, protocol.shot_score)
    capacity = frame_capacity(shots, share, protocol.capacity)
    return knapsack_many(values, shots.lengths, capacity)
