"""What a table is made of: rows measured on every video in named modes, and their means with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from videograph.datasets import BenchmarkVideo
from videograph.datasets._splits import Splits
from videograph.metrics import (
    MODES,
    bootstrap_interval,
    coverage,
    f_scores,
    human_correlation,
    human_f,
    rank_correlation,
    redundancy,
)
from videograph.summary import Protocol, select_many


@dataclass(frozen=True)
class Column:
    """One figure of a table; its mode is part of its name."""

    key: str
    """Name in CSV and JSON ("tau_mode1")."""
    title: str
    """Name over the column ("tau, mode 1")."""
    mode: str
    """What is compared with what, in words, with who uses it."""
    digits: int = 3
    """Decimals that are printed."""


def correlation_columns(mode: str, words: str = "") -> list[Column]:
    """Tau and rho of a mode."""
    number = mode.removeprefix("mode")
    text = words or MODES[mode]
    return [
        Column(f"tau_{mode}", f"tau, mode {number}", f"Kendall tau-b, mode {number}: {text}"),
        Column(f"rho_{mode}", f"rho, mode {number}", f"Spearman rho, mode {number}: {text}"),
    ]


F_COLUMNS = {
    "mean": Column("f_mean", "F, mean user", "F of the summary, mean over users"),
    "max": Column("f_max", "F, best user", "F of the summary, best user"),
}


UNLABELLED = [
    Column(
        "coverage",
        "coverage, no labels",
        "cosine of each shot to the nearest chosen one, by length",
    ),
    Column(
        "redundancy", "redundancy, no labels", "mean cosine between chosen shots: less is better"
    ),
]
"""For videos that nobody annotated: how well the chosen shots stand for all, and how alike they are."""


@dataclass(frozen=True)
class Cell:
    """A figure with how sure it is."""

    mean: float
    """Mean over the splits of the mean over their test videos."""
    low: float
    """Lower end of the bootstrap 95 % interval over videos."""
    high: float
    """Upper end."""
    sd: float | None
    """Standard deviation of the mean over runs or draws; None for a single one."""
    per_video: Mapping[str, float]
    """Mean over runs of each video (or query)."""


@dataclass(frozen=True)
class Row:
    """A method, a reference or a person."""

    name: str
    """What it is called in the table."""
    kind: str
    """"yours", "baseline", "reference" or "human"."""
    cells: Mapping[str, Cell]
    """By column key; a column that means nothing here is missing."""
    note: str = ""
    """How it was made, in a sentence."""


@dataclass(frozen=True)
class Table:
    """A whole table, with everything needed to read and repeat it."""

    title: str
    """What was evaluated on what."""
    columns: Sequence[Column]
    """In order."""
    rows: Sequence[Row]
    """In order: yours first, then references, then people."""
    facts: Mapping[str, str]
    """Data set, features, splits, protocol, seeds, versions: name -> value."""
    warnings: tuple[str, ...] = ()
    """What makes these figures less than they seem; printed above the table."""
    notes: tuple[str, ...] = ()
    """What a careful reader wants to know; printed below."""

    def row(self, name: str) -> Row:
        """The row of that name."""
        return next(row for row in self.rows if row.name == name)


Values = dict[str, np.ndarray]
"""Column key -> figure of each run, (n_runs,)."""


@dataclass
class Judge:
    """One video's annotations, made ready once to measure many predictions."""

    video: BenchmarkVideo
    """The video."""
    protocol: Protocol
    """How scores become a summary."""
    users: np.ndarray | None
    """What people said of each frame, (n_users, n_frames); None where only their mean score is known."""
    masks: np.ndarray | None = field(init=False)
    """The users' summaries frame by frame, (n_users, n_frames) uint8; None without shots or users."""
    mask_mode: str = field(init=False)
    """"mode3" where people chose these frames, "mode4" where the masks are made from ratings."""
    notes: list[str] = field(default_factory=list)
    """What was found on the way."""

    def __post_init__(self) -> None:
        video = self.video
        self.mask_mode = "mode3" if self.users is video.user_summary else "mode4"
        self.masks = video.user_summary
        if self.masks is None and video.user_anno is not None and video.shots is not None:
            # Ratings as summaries, by the same shots and knapsack (Song et al., CVPR 2015).
            every_frame, shots = np.arange(video.n_frames), video.shots
            chosen = select_many(video.user_anno, every_frame, shots, protocol=self.protocol)
            self.masks = np.repeat(chosen, shots.lengths, axis=1).astype(np.uint8)

    @property
    def at_picks(self) -> np.ndarray | None:
        """Users at the steps, (n_users, n_steps); the mean score alone where no users are known."""
        if self.users is not None:
            return self.users[:, self.video.picks]
        return None if self.video.gtscore is None else self.video.gtscore[None]

    def columns(self) -> list[Column]:
        """What can be measured on this video."""
        found: list[Column] = []
        if self.users is not None:
            found += correlation_columns("mode1")
        if self.at_picks is not None:
            found += correlation_columns("mode2")
        if self.masks is not None and self.video.shots is not None:
            found += [*correlation_columns(self.mask_mode), *F_COLUMNS.values()]
        return found or (UNLABELLED if self._can_cover else [])

    @property
    def _can_cover(self) -> bool:
        video = self.video
        return self.at_picks is None and video.features is not None and video.shots is not None

    def measure(self, scores: np.ndarray) -> Values:
        """All figures of some predictions, (n_runs, n_steps)."""
        values: Values = {}
        users = self.at_picks
        modes = [] if users is None else ["mode1", "mode2"][self.users is None :]
        for mode in modes:
            values |= self._correlated(scores, users, mode)
        if self.masks is not None and self.video.shots is not None:
            values |= self.measure_summaries(self.summaries(scores))
        elif self._can_cover:
            values |= self._covered(self.chosen(scores))
        return values

    def _covered(self, chosen: np.ndarray) -> Values:
        """Coverage and redundancy of chosen shots, (n_runs, n_shots) bool."""
        assert self.video.shots is not None and self.video.features is not None
        bounds, lengths = self.video.shots.bounds, self.video.shots.lengths
        last = np.searchsorted(self.video.picks, bounds[:, 1])
        first = np.searchsorted(self.video.picks, bounds[:, 0])
        first = np.maximum(np.minimum(first, last - 1), 0)  # no pick inside: the one before it
        spans = zip(first, np.maximum(last, 1), strict=True)
        shots = np.stack([self.video.features[a:b].mean(axis=0) for a, b in spans])
        rows = [np.flatnonzero(row) for row in chosen]
        covered = [coverage(shots, lengths, row) if len(row) else 0.0 for row in rows]
        return {
            "coverage": np.array(covered),
            "redundancy": np.array([redundancy(shots, row) for row in rows]),
        }

    def chosen(self, scores: np.ndarray) -> np.ndarray:
        """The shots that predictions choose, (n_runs, n_shots) bool.

        The knapsack reads values from 0 up: scores outside [0, 1] are brought there by their smallest
        and largest, which leaves every ranking as it was.
        """
        assert self.video.shots is not None
        low, high = scores.min(axis=1, keepdims=True), scores.max(axis=1, keepdims=True)
        outside = (low < 0) | (high > 1)
        scaled = (scores - low) / np.where(high > low, high - low, 1.0)
        if outside.any():
            self._note(
                f"{self.video.key}: scores outside [0, 1] were scaled to it before the knapsack"
            )
        rows = np.where(outside, scaled, scores)
        return select_many(rows, self.video.picks, self.video.shots, protocol=self.protocol)

    def summaries(self, scores: np.ndarray) -> np.ndarray:
        """The summaries that predictions make, (n_runs, n_frames) bool."""
        assert self.video.shots is not None
        return np.repeat(self.chosen(scores), self.video.shots.lengths, axis=1)

    def measure_summaries(self, masks: np.ndarray) -> Values:
        """Figures of summaries frame by frame, (n_runs, n_frames) bool."""
        values = self._correlated(masks, self.masks, self.mask_mode)
        per_user = f_scores(masks, np.asarray(self.masks))
        return values | {"f_mean": per_user.mean(axis=1), "f_max": per_user.max(axis=1)}

    def _correlated(self, rows: np.ndarray, users: Any, mode: str) -> Values:
        result = rank_correlation(rows, users, mode=mode)
        if result.constant.any():
            self._note(f"{self.video.key}: a constant prediction ranks nothing and counts as 0")
        if result.n_constant_references:
            self._note(
                f"{self.video.key}: {result.n_constant_references} users of one value skipped"
            )
        return {f"tau_{mode}": result.tau, f"rho_{mode}": result.rho}

    def _note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)

    def human(self) -> Values:
        """A person against the others, in every mode."""
        values: Values = {}
        if self.users is not None and len(self.users) > 1:
            for mode in ("mode1", "mode2"):
                one = human_correlation(np.asarray(self.at_picks), mode=mode)
                values |= {f"tau_{mode}": one.tau, f"rho_{mode}": one.rho}
        if self.masks is not None and self.video.shots is not None and len(self.masks) > 1:
            one = human_correlation(self.masks.astype(bool), mode=self.mask_mode)
            values |= {f"tau_{self.mask_mode}": one.tau, f"rho_{self.mask_mode}": one.rho}
            values |= {f"f_{name}": np.array([f]) for name, f in human_f(self.masks).items()}
        return values


def collect(
    name: str,
    kind: str,
    per_video: Mapping[str, Values] | Sequence[Mapping[str, Values]],
    splits: Splits,
    *,
    seed: int,
    note: str = "",
) -> Row:
    """A row from figures by video.

    Args:
        name: what the row is called.
        kind: see `Row.kind`.
        per_video: key -> figures; or such a mapping for each split, where scores differ by split.
        splits: each split's test videos count alike, and each split counts alike.
        seed: of the bootstrap.
        note: how the row was made.
    """
    by_split = [per_video] * len(splits.folds) if isinstance(per_video, Mapping) else per_video
    found: dict[str, list[tuple[str, float, np.ndarray]]] = {}
    for fold, values in zip(splits.folds, by_split, strict=True):
        for key in fold.test:
            for column, figures in values.get(key, {}).items():
                found.setdefault(column, []).append((key, 1.0 / len(fold.test), figures))
    cells = {column: _cell(places, seed) for column, places in found.items()}
    return Row(name, kind, cells, note)


def _cell(found: list[tuple[str, float, np.ndarray]], seed: int) -> Cell:
    weights: dict[str, float] = {}
    sums: dict[str, np.ndarray] = {}
    for key, weight, values in found:
        weights[key] = weights.get(key, 0.0) + weight
        sums[key] = sums.get(key, 0.0) + weight * values
    names = list(sums)
    runs = np.stack([sums[k] / weights[k] for k in names])  # (n_videos, n_runs)
    weight = np.array([weights[k] for k in names])
    interval = bootstrap_interval(runs.mean(axis=1), weight, seed=seed)
    by_run = np.average(runs, axis=0, weights=weight)
    sd = float(by_run.std(ddof=1)) if len(by_run) > 1 else None
    per_video = dict(zip(names, runs.mean(axis=1).tolist(), strict=True))
    return Cell(interval.mean, interval.low, interval.high, sd, per_video)
