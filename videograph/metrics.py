"""How well a summary or a row of scores agrees with people: each measure with its source and its mode.

The same prediction gives four different "tau" in print, so nothing here returns a rank correlation
without the mode it belongs to. Everything is numpy: a video at a time, no files, no model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import kendalltau, rankdata

MODES = {
    "mode1": "step scores against each user, mean over users",
    "mode2": "step scores against the mean user",
    "mode3": "binary summary of all frames against the mean of the users' masks",
    "mode4": "mode 3 where the users' masks are themselves shots + knapsack (TVSum)",
}
"""The conventions in print. Mode 1: Otani et al. (CVPR 2019), PGL-SUM, CA-SUM, CSTA, LLMVS and SummDiff on
TVSum. Mode 2: GraVi-T, VideoSAGE, LGRLN. Mode 3: CSTA, LLMVS, SummDiff on SumMe. Mode 4: MSVA's code."""

USER_REDUCES = {"max": "best user", "mean": "mean over users"}
"""How F becomes one number: the best user on SumMe, the mean on TVSum (Zhang et al., ECCV 2016)."""

_LARGEST_TABLE = 4_000_000
"""Cells of a contingency table beyond which counting pairs by table stops being cheap."""


# -- F: overlap of binary summaries ------------------------------------------------------------------


def f_scores(summaries: np.ndarray, users: np.ndarray) -> np.ndarray:
    """F of a summary against each user, in [0, 1]: (n_users,), or (n_summaries, n_users) of many.

    P = overlap / |summary|, R = overlap / |user|, F = 2PR / (P + R), 0 without overlap (Zhang et al.,
    "Video Summarization with Long Short-term Memory", ECCV 2016; the rule of DSNet and PGL-SUM).

    Args:
        summaries: above 0 where a frame is in the summary, (n_frames,) or (n_summaries, n_frames).
        users: the same of each user, (n_users, n_frames).
    """
    chosen, kept = np.asarray(summaries) > 0, np.asarray(users) > 0
    if kept.ndim != 2 or chosen.shape[-1] != kept.shape[1]:
        raise ValueError(f"a summary of shape {chosen.shape} against users of {kept.shape}")
    overlap = chosen.astype(np.float32) @ kept.T.astype(np.float32)  # counts: exact below 2^24
    # 2PR / (P + R) with P and R written out: both sums are 0 only when nothing overlaps.
    sizes = chosen.sum(axis=-1, keepdims=True) + kept.sum(axis=1)
    return 2.0 * overlap.astype(np.float64) / np.maximum(sizes, 1)


def reduce_users(per_user: np.ndarray, user_reduce: str) -> float:
    """One F from the users' F: `user_reduce` is "max" or "mean"."""
    if user_reduce not in USER_REDUCES:
        raise ValueError(f'user_reduce is "{user_reduce}". Allowed: {", ".join(USER_REDUCES)}.')
    return float(per_user.max() if user_reduce == "max" else per_user.mean())


def human_f(users: np.ndarray) -> dict[str, float]:
    """F of a user against the others: {"mean": ..., "max": ...}, mean over the users left out.

    Gygli et al. (ECCV 2014) for the pairwise mean, Otani et al. (CVPR 2019) for both.

    Args:
        users: 1 where a user selects a frame, (n_users, n_frames), at least two users.
    """
    if len(users) < 2:
        raise ValueError(f"a human row needs two users, got {len(users)}")
    rows = [f_scores(users[i], np.delete(users, i, axis=0)) for i in range(len(users))]
    return {
        name: float(np.mean([reduce_users(row, name) for row in rows])) for name in USER_REDUCES
    }


# -- rank correlation --------------------------------------------------------------------------------


@dataclass(frozen=True)
class RankCorrelation:
    """Kendall tau-b and Spearman rho of some predictions for one video, in one named mode."""

    mode: str
    """One of `MODES`."""
    tau: np.ndarray
    """Kendall tau-b of each prediction, mean over the references, (n_predictions,) float64."""
    rho: np.ndarray
    """Spearman rho of the same, (n_predictions,) float64."""
    n_references: int
    """References that were used: users in mode 1, otherwise 1."""
    n_constant_references: int
    """References without two different values: skipped."""
    constant: np.ndarray
    """True where a prediction has one value only: it says nothing and counts as 0, (n_predictions,)."""

    def __repr__(self) -> str:
        tau, rho = self.tau.mean(), self.rho.mean()
        return f"RankCorrelation({self.mode}: tau={tau:.3f}, rho={rho:.3f})"


def rank_correlation(
    predictions: np.ndarray, references: np.ndarray, *, mode: str
) -> RankCorrelation:
    """Kendall tau-b and Spearman rho of one or many predictions, named.

    Args:
        predictions: (n,) or (n_predictions, n): step scores in modes 1 and 2, summaries in 3 and 4
            (quicker as bool).
        references: the users, (n_users, n): mode 1 takes each, the others their mean.
        mode: one of `MODES`.

    Raises:
        ValueError: an unknown mode, shapes that do not fit, or numbers that are not finite.
    """
    if mode not in MODES:
        raise ValueError(f'mode is "{mode}". Allowed: {", ".join(MODES)}.')
    predictions, references = np.atleast_2d(predictions), np.atleast_2d(references)
    if mode != "mode1":
        references = references.mean(axis=0, keepdims=True, dtype=np.float64)
    _check_pairs(predictions, references)
    useful, constant = _varies(references), ~_varies(predictions)
    tau = rho = np.zeros(len(predictions))
    if useful.any() and predictions.dtype == np.bool_:
        tau, rho = (x.mean(axis=1) for x in _of_masks(predictions, references[useful]))
    elif useful.any():
        tau = kendall_tau_b(predictions, references[useful]).mean(axis=1)
        rho = spearman_rho(predictions, references[useful]).mean(axis=1)
    return RankCorrelation(mode, tau, rho, int(useful.sum()), int((~useful).sum()), constant)


def _varies(rows: np.ndarray) -> np.ndarray:
    return (rows != rows[:, :1]).any(axis=1)


def _check_pairs(predictions: np.ndarray, references: np.ndarray) -> None:
    if predictions.shape[1] != references.shape[1]:
        raise ValueError(
            f"predictions have {predictions.shape[1]} values, references {references.shape[1]}"
        )
    if not (np.isfinite(predictions).all() and np.isfinite(references).all()):
        raise ValueError("scores are not finite numbers")


def kendall_tau_b(predictions: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Kendall's tau-b of every prediction with every reference, (n_predictions, n_references).

    Exact: concordant minus discordant pairs are counted in the contingency table of the two rankings
    (Agresti, "Analysis of Ordinal Categorical Data", 2010), which is small because people rate on few
    levels; all references are counted at once. A constant side gives 0.

    Args:
        predictions: (n_predictions, n).
        references: (n_references, n).
    """
    levels = _Levels(np.atleast_2d(references))
    return np.stack([levels.tau_b(row) for row in np.atleast_2d(predictions)])


class _Levels:
    """References as level numbers, made once and shared by many predictions."""

    def __init__(self, references: np.ndarray) -> None:
        self.references = references
        numbered = [np.unique(row, return_inverse=True)[1] for row in references]
        self.n_levels = 1 + max(int(row.max()) for row in numbered)
        self.cells = np.stack([i * self.n_levels + row for i, row in enumerate(numbered)])
        self.untied = np.array([_untied_pairs(np.bincount(row)) for row in numbered])

    def tau_b(self, prediction: np.ndarray) -> np.ndarray:
        """Tau-b of one prediction with each reference, (n_references,)."""
        values, numbers = np.unique(prediction, return_inverse=True)
        shape = (len(self.references), self.n_levels, len(values))
        n_cells = shape[0] * shape[1] * shape[2]
        if n_cells > _LARGEST_TABLE:
            return np.array([_scipy_tau(prediction, row) for row in self.references])
        cells = self.cells * len(values) + numbers
        table = np.bincount(cells.ravel(), minlength=n_cells).reshape(shape)
        untied = _untied_pairs(np.bincount(numbers)) * self.untied
        return _concordant_minus_discordant(table) / np.sqrt(np.maximum(untied, 1.0))


def _concordant_minus_discordant(table: np.ndarray) -> np.ndarray:
    """Counted from tables of (n_references, n_levels, n_values), (n_references,) float64."""
    n = int(table[0].sum())
    table = table.astype(np.int32 if n < 30_000 else np.int64)  # sums stay below n^2
    smaller = np.cumsum(table, axis=2, dtype=table.dtype) - table  # smaller predictions, by level
    lower = np.cumsum(smaller, axis=1, dtype=table.dtype)  # ... and a level up to this one
    difference = 2 * lower - smaller - lower[:, -1:]  # those below minus those above
    return np.einsum("rlv,rlv->r", table, difference).astype(np.float64)


def _untied_pairs(counts: np.ndarray) -> float:
    """Pairs of items that stand in different groups."""
    n = int(counts.sum())
    return (n * (n - 1) - float((counts.astype(np.int64) * (counts - 1)).sum())) / 2


def _scipy_tau(prediction: np.ndarray, reference: np.ndarray) -> float:
    if np.ptp(prediction) == 0 or np.ptp(reference) == 0:
        return 0.0
    return float(kendalltau(prediction, reference, method="asymptotic")[0])  # pyright: ignore[reportArgumentType]


def spearman_rho(predictions: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Spearman's rho, ties at their mean rank, (n_predictions, n_references); a constant side gives 0."""
    return _unit_ranks(predictions) @ _unit_ranks(references).T


def _of_masks(masks: np.ndarray, references: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tau-b and rho of 0/1 rows, (n_masks, n_references) each, from one sum of ranks (Mann, Whitney, 1947).

    With r the centred ranks of a reference and n1 ones among n, concordant minus discordant pairs are
    2 sum(r over the ones), of n1 (n - n1) pairs that the mask tells apart.
    """
    n, ones = masks.shape[1], masks.sum(axis=1).astype(np.float64)
    ranks = rankdata(references, axis=1) - (n + 1) / 2
    sums = masks.astype(np.float64) @ ranks.T
    apart = np.maximum(ones * (n - ones), 1.0)[:, None]
    untied = [_untied_pairs(np.unique(row, return_counts=True)[1]) for row in references]
    tau = 2 * sums / np.sqrt(apart * np.array(untied))
    return tau, sums / np.sqrt(apart / n * (ranks**2).sum(axis=1))


def _unit_ranks(rows: np.ndarray) -> np.ndarray:
    ranks = rankdata(np.atleast_2d(rows), axis=1)
    ranks = ranks - ranks.mean(axis=1, keepdims=True)
    return ranks / np.maximum(np.linalg.norm(ranks, axis=1, keepdims=True), 1e-12)


def human_correlation(users: np.ndarray, *, mode: str) -> RankCorrelation:
    """What a person reaches: each user as the prediction for the others, mean over users.

    Mode 1 compares with each other user, so it is the mean over pairs of users (TVSum .177 / .204 for
    all 50 videos, Otani et al., CVPR 2019). The other modes compare with the mean of the other users.

    Args:
        users: ratings at the picks (mode 1, 2) or masks of all frames (mode 3, 4), (n_users, n).
        mode: one of `MODES`.
    """
    useful = _varies(users)
    kept = users[useful]
    if len(kept) < 2:
        raise ValueError(f"a human row needs two users whose values differ, got {len(kept)}")
    tau, rho = np.empty(len(kept)), np.empty(len(kept))
    for i, user in enumerate(kept):
        others = np.delete(kept, i, axis=0)
        one = rank_correlation(user, others, mode=mode)
        tau[i], rho[i] = one.tau[0], one.rho[0]
    mean = np.array([tau.mean()]), np.array([rho.mean()])
    return RankCorrelation(mode, *mean, len(kept), int((~useful).sum()), np.array([False]))


# -- query-focused summaries -------------------------------------------------------------------------


@dataclass(frozen=True)
class Matching:
    """A query's machine summary against its oracle summary."""

    precision: float
    """Matched similarity per machine shot."""
    recall: float
    """Matched similarity per oracle shot."""
    f1: float
    """2PR / (P + R), 0 if nothing matches."""


def semantic_matching(tags: np.ndarray, machine: np.ndarray, oracle: np.ndarray) -> Matching:
    """Query-focused precision, recall and F1 by matching shots on the concepts they show.

    Two shots are as similar as the intersection over union of their concept sets (two empty sets: 0);
    the bipartite matching of largest total similarity W gives P = W / |machine|, R = W / |oracle|
    (Sharghi, Laurel, Gong: "Query-Focused Video Summarization", CVPR 2017).

    Args:
        tags: 1 where a shot shows a concept, (n_shots, n_concepts).
        machine: shots of the machine summary, from 0.
        oracle: shots of the oracle summary, from 0.
    """
    if len(machine) == 0 or len(oracle) == 0:
        return Matching(0.0, 0.0, 0.0)
    similarity = concept_iou(tags[np.asarray(machine)], tags[np.asarray(oracle)])
    rows, columns = linear_sum_assignment(similarity, maximize=True)
    weight = float(similarity[rows, columns].sum())
    precision, recall = weight / len(machine), weight / len(oracle)
    f1 = 2 * precision * recall / (precision + recall) if weight > 0 else 0.0
    return Matching(precision, recall, f1)


def concept_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of concept sets, (n_a, n_concepts) and (n_b, n_concepts) -> (n_a, n_b)."""
    a, b = (np.asarray(a) > 0).astype(np.float64), (np.asarray(b) > 0).astype(np.float64)
    both = a @ b.T
    either = a.sum(axis=1)[:, None] + b.sum(axis=1)[None, :] - both
    return both / np.maximum(either, 1.0)


# -- summaries without annotations -------------------------------------------------------------------


def coverage(shot_features: np.ndarray, lengths: np.ndarray, chosen: np.ndarray) -> float:
    """How well the chosen shots stand for the video: cosine of each shot to its nearest chosen one.

    Mean over shots, weighted by length: the representativeness of Gygli et al. (CVPR 2015) with cosine
    in place of distance. 1 when every shot is chosen.

    Args:
        shot_features: mean feature of each shot, (n_shots, dim).
        lengths: frames of each shot, (n_shots,).
        chosen: numbers of the chosen shots, at least one.
    """
    unit = _unit_rows(shot_features)
    nearest = (unit @ unit[np.asarray(chosen)].T).max(axis=1)
    return float(np.average(nearest, weights=lengths))


def redundancy(shot_features: np.ndarray, chosen: np.ndarray) -> float:
    """How alike the chosen shots are: mean cosine over their pairs, 0 for a single shot.

    One minus the diversity reward of Zhou, Qiao, Xiang ("Deep Reinforcement Learning for Unsupervised
    Video Summarization", AAAI 2018).
    """
    unit = _unit_rows(shot_features)[np.asarray(chosen)]
    n = len(unit)
    if n < 2:
        return 0.0
    return float(((unit @ unit.T).sum() - n) / (n * (n - 1)))


def _unit_rows(rows: np.ndarray) -> np.ndarray:
    rows = np.asarray(rows, dtype=np.float64)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms > 0, norms, 1.0)


# -- how sure a mean over videos is ------------------------------------------------------------------


@dataclass(frozen=True)
class Interval:
    """A mean over videos and the 95 % interval that resampling the videos gives."""

    mean: float
    """Mean over the videos."""
    low: float
    """2.5th percentile of the resampled means."""
    high: float
    """97.5th percentile."""
    n_videos: int
    """Videos it rests on."""

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap_interval(
    values: np.ndarray,
    weights: np.ndarray | None = None,
    *,
    seed: int = 0,
    n_resamples: int = 2000,
) -> Interval:
    """Mean over videos with its percentile-bootstrap 95 % interval (Efron, Tibshirani, 1993).

    For "is A better than B", give the differences per video: pairing removes how hard each video is.

    Args:
        values: a figure per video, (n_videos,).
        weights: how much each video counts, where splits make them unequal, (n_videos,).
        seed: of the resampling.
        n_resamples: how many times the videos are drawn anew.
    """
    values = np.asarray(values, dtype=np.float64)
    if len(values) == 0:
        raise ValueError("no videos to take a mean over")
    weights = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    draws = np.random.default_rng(seed).integers(len(values), size=(n_resamples, len(values)))
    means = (values * weights)[draws].sum(axis=1) / weights[draws].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    mean = float((values * weights).sum() / weights.sum())
    return Interval(mean, float(low), float(high), len(values))
