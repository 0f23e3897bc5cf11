"""Shots: kernel temporal segmentation (KTS) of the frame features, through ruptures.

KTS (Potapov et al., ECCV 2014) minimises, over the number m of change points and their places, the
scatter within segments + C m (log(T / m) + 1). For a fixed price per change point the best
segmentation is found exactly by KernelCPD with PELT; the price that KTS's penalty asks for is its
slope, C log(T / m), so that the pair is found in a few rounds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import ruptures

from videograph.records import Shots, VideoFeatures

PENALTY = 0.1
"""C, in units of scatter of features of length 1; chosen on the shared videos whose cuts are known."""
MIN_SHOT_STEPS = 2
"""Shots shorter than a second (at 2 steps a second) are more flicker than shot."""
N_ROUNDS = 6


def change_steps(features: np.ndarray, *, penalty: float = PENALTY) -> np.ndarray:
    """Steps at which a new shot starts, (n_changes,) int64, without step 0.

    Args:
        features: (n_steps, dim); rows are brought to length 1.
        penalty: C of the KTS penalty; greater means fewer shots.
    """
    n_steps = len(features)
    if n_steps < 2 * MIN_SHOT_STEPS:
        return np.empty(0, dtype=np.int64)
    rows = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    search: Any = ruptures.KernelCPD(kernel="linear", min_size=MIN_SHOT_STEPS)
    search.fit(rows.astype(np.float64))
    tried: dict[int, tuple[float, np.ndarray]] = {}
    n_changes = max(1, n_steps // 10)
    for _ in range(N_ROUNDS):
        price = penalty * max(np.log(n_steps / n_changes), 1e-3)
        ends = np.asarray(search.predict(pen=price), dtype=np.int64)
        n_found = len(ends) - 1
        if n_found in tried:
            break
        tried[n_found] = (_objective(rows, ends, penalty), ends[:-1])
        n_changes = max(1, n_found)
    if 0 not in tried:
        tried[0] = (_objective(rows, np.array([n_steps]), penalty), np.empty(0, np.int64))
    return min(tried.values(), key=lambda pair: pair[0])[1]


def _objective(rows: np.ndarray, ends: np.ndarray, penalty: float) -> float:
    starts = np.concatenate([[0], ends[:-1]])
    sums = np.add.reduceat(rows, starts, axis=0)
    scatter = (rows**2).sum() - ((sums**2).sum(axis=1) / (ends - starts)).sum()
    m = len(ends) - 1
    return float(scatter + (penalty * m * (np.log(len(rows) / m) + 1) if m else 0.0))


def find_shots(features: VideoFeatures, *, penalty: float = PENALTY) -> Shots:
    """The video cut where its frame features change, without a gap.

    A change lies between two picks; it is put at `cut_frames`, the sharpest change between the two,
    where the reader saw one, and at the later pick otherwise.

    Args:
        features: what the encoder saw.
        penalty: C of the KTS penalty; greater means fewer shots.
    """
    starts = features.picks if features.cut_frames is None else features.cut_frames
    inner = starts[change_steps(features.features, penalty=penalty)]
    edges = np.concatenate([[0], inner, [features.n_frames]]).astype(np.int64)
    return Shots(np.stack([edges[:-1], edges[1:]], axis=1))
