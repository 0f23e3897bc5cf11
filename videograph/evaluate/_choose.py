"""Which videos and which epoch count: folds, missing scores, and the choice on validation, never on test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from videograph.config import EvaluateConfig
from videograph.datasets import Dataset
from videograph.datasets._splits import Fold, Splits, load_splits
from videograph.errors import UsageError, VideographError
from videograph.evaluate._scores import ScoreFile
from videograph.metrics import rank_correlation

LEGACY = "legacy-best-on-test"
"""The protocol that chooses the epoch on the videos it is scored on; its rows are labelled."""


def folds_of(dataset: Dataset, config: EvaluateConfig) -> Splits:
    """The folds that the configuration names, of the videos at hand."""
    if config.splits == "all":
        return Splits("all videos, each once", (Fold((), (), tuple(dataset.videos)),))
    return load_splits(config.splits, list(dataset.videos), dataset.name)


def splits_with(
    dataset: Dataset, files: Sequence[ScoreFile], config: EvaluateConfig
) -> tuple[Splits, list[str]]:
    """The folds, less the test videos that a score file lacks, and what to say of that."""
    splits, warnings = folds_of(dataset, config), []
    folds = list(splits.folds)
    for file in files:
        epoch = file.epochs[0]
        missing = {
            (i, key)
            for i, fold in enumerate(folds)
            for key in fold.test
            if file.of(i, epoch, dataset.videos[key]) is None
        }
        if missing:
            n = len({key for _, key in missing})
            warnings.append(
                f"{file.name} has no scores of {n} of {len(splits.tested)} tested videos "
                f"({', '.join(sorted({key for _, key in missing})[:3])}, ...): every row is without them"
            )
        folds = [
            replace(fold, test=tuple(key for key in fold.test if (i, key) not in missing))
            for i, fold in enumerate(folds)
        ]
    if not any(fold.test for fold in folds):
        raise VideographError(
            f"{files[-1].name} has no scores of any tested video. Arrays are needed under keys like "
            f"{next(iter(dataset.videos))}, or the videos' names."
        )
    return replace(
        splits, folds=tuple(folds)
    ), warnings  # an empty one stays: numbers keep their meaning


def choose_epochs(
    file: ScoreFile, dataset: Dataset, splits: Splits, config: EvaluateConfig
) -> tuple[list[int], str]:
    """The epoch that counts in each split, chosen on validation, or on test where that is asked."""
    legacy = config.protocol == LEGACY
    if len(file.epochs) == 1:
        if legacy:
            raise UsageError(
                f"{LEGACY} needs scores of several epochs (epoch_1/video_1, ...); {file.name} has one."
            )
        return [file.epochs[0]] * len(splits.folds), ""
    chosen = []
    for i, fold in enumerate(splits.folds):
        judged_on = fold.test if legacy else fold.val
        if not judged_on:
            raise UsageError(
                f"{file.name} has {len(file.epochs)} epochs, but split {i} has no validation videos to "
                f"choose by. Try --splits disjoint5, or one epoch in the file."
            )
        figures = [_headline(file, i, epoch, dataset, judged_on) for epoch in file.epochs]
        chosen.append(file.epochs[int(np.argmax(figures))])
    mode = "mode 1" if _mode(dataset) == "mode1" else "mode 2"
    where = "TEST" if legacy else "validation"
    return chosen, f"epochs {', '.join(map(str, chosen))}, chosen on {where} by {mode} tau"


def _mode(dataset: Dataset) -> str:
    return "mode1" if any(v.user_anno is not None for v in dataset.videos.values()) else "mode2"


def _headline(
    file: ScoreFile, split: int, epoch: int, dataset: Dataset, keys: Sequence[str]
) -> float:
    """Tau by which an epoch is chosen: mode 1 with ratings, mode 2 without; mean over videos."""
    found = []
    for key in keys:
        video, users = dataset.videos[key], dataset.users_of(key)
        scores = file.of(split, epoch, video)
        people = video.gtscore if users is None else users[:, video.picks]
        if scores is None or people is None:
            raise VideographError(
                f"{file.name} has no scores of {key} in epoch {epoch}, or nobody annotated it: the epoch "
                "cannot be chosen."
            )
        tau = rank_correlation(scores, np.atleast_2d(people), mode=_mode(dataset)).tau
        found.append(float(tau.mean()))
    return float(np.mean(found))
