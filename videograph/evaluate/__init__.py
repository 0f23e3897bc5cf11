"""The benchmark: scores of any method against people, in every mode, beside the rows that always stand.

`evaluate` measures score files and references into a `Table`; `compare` pairs two score files; `predict`
lets a model score a data set once, into a file that is then scored as often as one likes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from videograph.config import EvaluateConfig
from videograph.datasets import Dataset
from videograph.datasets._splits import Fold, Splits, load_splits
from videograph.errors import UsageError, VideographError
from videograph.evaluate._qfvs import COLUMNS as QUERY_COLUMNS
from videograph.evaluate._qfvs import query_rows
from videograph.evaluate._report import FORMS, as_terminal, refuse_taken, write_table
from videograph.evaluate._rows import human_rows, reference_rows, ridge_scores
from videograph.evaluate._scores import ScoreFile, read_scores, write_scores
from videograph.evaluate._table import Cell, Column, Judge, Row, Table, Values, collect
from videograph.metrics import bootstrap_interval, rank_correlation
from videograph.summary import DEFAULT_BUDGET, PROTOCOLS, Protocol

__all__ = [
    "BASELINES", "FORMS", "Cell", "Column", "Row", "ScoreFile", "Table", "as_terminal", "compare",
    "evaluate", "predict", "read_scores", "refuse_taken", "write_table",
]  # fmt: skip

BASELINES = ("ridge",)
"""Built-in methods that learn from the training videos of each split."""
LEGACY = "legacy-best-on-test"
TRAINED_ON = "trained_on"
"""Attribute of a score file: keys that its model learned from; with the split's number, of that split's."""


def evaluate(
    dataset: Dataset,
    files: Sequence[ScoreFile] = (),
    *,
    config: EvaluateConfig | None = None,
    baselines: Sequence[str] = (),
) -> Table:
    """One table of a data set: your rows, the baselines asked for, references, people.

    Args:
        dataset: what `load_dataset` gave.
        files: what `read_scores` gave, a row each.
        config: splits, protocol, draws, seed.
        baselines: of `BASELINES`.

    Raises:
        UsageError: an unknown baseline or protocol, or splits that do not fit.
        VideographError: scores that do not fit the videos.
    """
    config = config or EvaluateConfig()
    if unknown := set(baselines) - set(BASELINES):
        raise UsageError(f'no baseline "{unknown.pop()}". Available: {", ".join(BASELINES)}.')
    if dataset.query_videos:
        return _query_table(dataset, list(files), config)
    protocol = _protocol(config)
    splits, warnings = _splits(dataset, files, config)
    judges = {
        key: Judge(dataset.videos[key], protocol, dataset.users_of(key)) for key in splits.tested
    }
    rows = [_row_of(file, dataset, judges, splits, config, warnings) for file in files]
    for name in baselines:
        scores = ridge_scores(dataset, splits)
        measured = [
            {key: judges[key].measure(row[None]) for key, row in fold.items()} for fold in scores
        ]
        note = "a linear map of each frame's features, fitted on train and validation videos"
        rows.append(collect(name, "baseline", measured, splits, seed=config.seed, note=note))
    rows += reference_rows(dataset, judges, splits, n_draws=config.n_draws, seed=config.seed)
    rows += human_rows(judges, splits, seed=config.seed)
    columns = _columns(dataset, judges)
    found = _summed(note for judge in judges.values() for note in judge.notes)
    if dataset.name == "tvsum" and not any(c.key == "tau_mode1" for c in columns):
        found.append("mode 1 needs the 20 ratings, which this file lacks: give them with --ratings")
    facts = _facts(dataset, splits, protocol, config, files)
    return Table(
        f"{_title(dataset)}, {len(splits.tested)} videos",
        columns,
        rows,
        facts,
        tuple([*warnings, *splits.warnings]),
        tuple([*dataset.notes, *splits.notes, *found]),
    )


def compare(
    dataset: Dataset, a: ScoreFile, b: ScoreFile, *, config: EvaluateConfig | None = None
) -> Table:
    """Whether A is better than B: the difference per video, with an interval over videos.

    The difference row pairs the videos, so that how hard each video is falls out. An interval that
    holds 0 means that these videos do not tell the two apart.
    """
    if a.name == b.name:
        a, b = replace(a, name=f"{a.name} (A)"), replace(b, name=f"{b.name} (B)")
    table = evaluate(dataset, [a, b], config=config)
    first, second = table.rows[:2]
    seed = (config or EvaluateConfig()).seed
    cells, said = {}, []
    for column in table.columns:
        if column.key not in first.cells or column.key not in second.cells:
            continue
        one, other = first.cells[column.key].per_video, second.cells[column.key].per_video
        per_video = {key: one[key] - other[key] for key in one if key in other}
        gain = bootstrap_interval(np.array(list(per_video.values())), seed=seed)
        cells[column.key] = Cell(gain.mean, gain.low, gain.high, None, per_video)
        better = sum(value > 0 for value in per_video.values())
        verdict = "not told apart" if gain.low <= 0 <= gain.high else "told apart"
        said.append(
            f"{column.title}: A - B = {gain.mean:+.{column.digits}f} "
            f"[{gain.low:+.{column.digits}f}, {gain.high:+.{column.digits}f}], A higher on {better} of "
            f"{len(per_video)}: {verdict}"
        )
    gap = Row(
        "A - B", "difference", cells, f"A is {first.name}, B is {second.name}; paired by video"
    )
    return replace(
        table,
        title=f"{first.name} (A) against {second.name} (B): {table.title}",
        rows=[gap, *table.rows],
        notes=(*said, *table.notes),
    )


def predict(
    dataset: Dataset,
    path: Path,
    *,
    model: str = "training-free",
    config: EvaluateConfig | None = None,
) -> ScoreFile:
    """Let a model score every video once and keep the scores in an h5.

    Args:
        dataset: videos with features.
        path: the h5 to write.
        model: "training-free", or a checkpoint; with "{split}" in it, one for each split, which then
            scores the split's validation and test videos.
        config: splits and seed.

    Raises:
        UsageError: no model there, or one that reads other features.
        VideographError: the videos have no features.
    """
    config = config or EvaluateConfig()
    attributes = {"model": model, "features": dataset.features, "dataset": dataset.name}
    if "{split}" not in model:
        scores, attributes[TRAINED_ON] = _scored(dataset, tuple(dataset.videos), model, config)
    else:
        scores = {}
        for i, fold in enumerate(_folds(dataset, config).folds):
            name = model.replace("{split}", str(i))
            held, learned = _scored(dataset, (*fold.val, *fold.test), name, config)
            scores |= {f"split_{i}/{key}": value for key, value in held.items()}
            attributes[f"{TRAINED_ON}_{i}"] = learned
    write_scores(path, scores, attributes)
    return replace(read_scores(path), name=model if model == "training-free" else path.stem)


def _scored(
    dataset: Dataset, keys: Sequence[str], model: str, config: EvaluateConfig
) -> tuple[dict[str, np.ndarray], str]:
    """Scores by key, and the videos of this data set that the model learned from."""
    from videograph.model import VideoGraph  # torch only where a model is asked
    from videograph.scoring import score_video

    loaded, learned = None, ()
    if model != "training-free":
        loaded = VideoGraph.from_pretrained(model)
        loaded.origin.admit(dataset.features)
        learned = loaded.origin.videos
    found = {}
    for key in keys:
        features = dataset.videos[key].as_features(dataset.features)
        found[key] = score_video(features, model=loaded, seed=config.seed).scores
    return found, " ".join(key for key in learned if key in dataset.videos)


def _leaked(file: ScoreFile, splits: Splits) -> list[str]:
    """Videos that are scored by a model that learned from them."""
    learned = file.attributes.get(TRAINED_ON, "")
    return [
        key
        for i, fold in enumerate(splits.folds)
        for key in fold.test
        if key in file.attributes.get(f"{TRAINED_ON}_{i}", learned).split()
    ]


# -- the parts of a table ----------------------------------------------------------------------------


def _title(dataset: Dataset) -> str:
    names = {"tvsum": "TVSum", "summe": "SumMe", "ovp": "OVP", "youtube": "YouTube", "qfvs": "QFVS"}
    return names.get(dataset.name, dataset.path.stem)


def _protocol(config: EvaluateConfig) -> Protocol:
    bundle = PROTOCOLS["ours" if config.protocol == LEGACY else config.protocol]
    asked = {name: getattr(config, name) for name in ("capacity", "shot_score", "spread")}
    return replace(bundle, **{name: value for name, value in asked.items() if value is not None})


def _folds(dataset: Dataset, config: EvaluateConfig) -> Splits:
    if config.splits == "all":
        return Splits("all videos, each once", (Fold((), (), tuple(dataset.videos)),))
    return load_splits(config.splits, list(dataset.videos), dataset.name)


def _splits(
    dataset: Dataset, files: Sequence[ScoreFile], config: EvaluateConfig
) -> tuple[Splits, list[str]]:
    """The folds, less the test videos that a score file lacks, and what to say of that."""
    splits, warnings = _folds(dataset, config), []
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


def _columns(dataset: Dataset, judges: Mapping[str, Judge]) -> list[Column]:
    columns = {c.key: c for judge in judges.values() for c in judge.columns()}
    usual = f"f_{dataset.user_reduce}"
    if usual in columns:
        words = f"{columns[usual].mode}: the field's choice on this set"
        columns[usual] = replace(columns[usual], mode=words)
    late = [key for key in columns if key.endswith("mode4")]
    return [columns[key] for key in [*(k for k in columns if k not in late), *late]]


def _row_of(
    file: ScoreFile,
    dataset: Dataset,
    judges: Mapping[str, Judge],
    splits: Splits,
    config: EvaluateConfig,
    warnings: list[str],
) -> Row:
    epochs, note = _epochs(file, dataset, splits, config)
    measured: list[dict[str, Values]] = []
    for i, fold in enumerate(splits.folds):
        rows = {key: file.of(i, epochs[i], dataset.videos[key]) for key in fold.test}
        measured.append({k: judges[k].measure(row) for k, row in rows.items() if row is not None})
    name = file.name
    if config.protocol == LEGACY or file.attributes.get("selected_on") == "test":
        name = f"{name} (epoch selected on TEST)"
        warnings.append(
            f"{file.name}: the epoch was chosen on the videos it is scored on; such a figure is too high"
            " and stands beside others of its kind only"
        )
    if leaked := _leaked(file, splits):
        warnings.append(
            f"{file.name}: the model learned from {len(leaked)} of the videos it is scored on "
            f"({', '.join(leaked[:3])}, ...): its row is no result"
        )
    return collect(name, "yours", measured, splits, seed=config.seed, note=note)


def _epochs(
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


def _facts(
    dataset: Dataset,
    splits: Splits,
    protocol: Protocol,
    config: EvaluateConfig,
    files: Sequence[ScoreFile],
) -> dict[str, str]:
    variants = ", ".join(f"{name} = {value}" for name, value in vars(protocol).items())
    listed = repr([(fold.train, fold.val, fold.test) for fold in splits.folds])
    return {
        "data set": f"{_title(dataset)} ({dataset.path.name})",
        "features": dataset.features,
        "splits": f"{splits.name}, {len(splits.folds)} folds, {_hash(listed)}",
        "summary": f"{DEFAULT_BUDGET} of the frames, {config.protocol}: {variants}, exact knapsack",
        "mean": "over runs, then each fold's test videos, then folds",
        "interval": "95 %, bootstrap over videos, 2000 resamples",
        "scores": ", ".join(f"{f.name}, sha256 {f.digest[:12]}" for f in files) or "none",
        "draws and seed": f"{config.n_draws} random draws, seed {config.seed}",
        "versions": f"videograph {version('videograph')}, numpy {np.__version__}",
    }


def _hash(text: str) -> str:
    return f"sha256 {hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _summed(notes: Any) -> list[str]:
    """Sentences about single videos, put together by what they say."""
    by_text: dict[str, list[str]] = {}
    for note in notes:
        key, _, text = note.partition(": ")
        by_text.setdefault(text, []).append(key)
    return [f"{text} ({len(keys)} videos: {', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})"
            for text, keys in by_text.items()]  # fmt: skip


def _query_table(dataset: Dataset, files: list[ScoreFile], config: EvaluateConfig) -> Table:
    rows, notes = query_rows(dataset, files, n_draws=config.n_draws, seed=config.seed)
    n_queries = sum(len(video.queries) for video in dataset.query_videos.values())
    facts = {
        "data set": f"QFVS ({dataset.path.name})",
        "summary": "the int(0.02 n_shots) best shots of each query (UniVTG's convention)",
        "mean": "over draws, then queries, then videos",
        "interval": "95 %, bootstrap over queries, 2000 resamples",
        "draws and seed": f"{config.n_draws} random draws, seed {config.seed}",
        "versions": f"videograph {version('videograph')}, numpy {np.__version__}",
    }
    said = [*notes, "chance is near 47 here: a row means what it is above the random one"]
    return Table(
        f"QFVS, {len(dataset.query_videos)} videos, {n_queries} queries",
        QUERY_COLUMNS, rows, facts, (), tuple([*dataset.notes, *said]),
    )  # fmt: skip
