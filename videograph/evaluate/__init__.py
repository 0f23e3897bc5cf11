"""The benchmark: scores of any method against people, in every mode, beside the rows that always stand.

`evaluate` measures score files and references into a `Table`; `compare` pairs two score files; `predict`
lets a model score a data set once, into a file that is then scored as often as one likes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np

from videograph.config import EvaluateConfig
from videograph.datasets import Dataset
from videograph.datasets._splits import Splits
from videograph.errors import UsageError
from videograph.evaluate._choose import LEGACY, choose_epochs, splits_with
from videograph.evaluate._predict import UNHEARD, leaked, predict
from videograph.evaluate._qfvs import COLUMNS as QUERY_COLUMNS
from videograph.evaluate._qfvs import query_rows
from videograph.evaluate._report import FORMS, as_terminal, refuse_taken, write_table
from videograph.evaluate._rows import human_rows, reference_rows, ridge_scores
from videograph.evaluate._scores import ScoreFile, read_scores
from videograph.evaluate._table import Cell, Column, Judge, Row, Table, Values, collect
from videograph.metrics import bootstrap_interval
from videograph.summary import DEFAULT_BUDGET, PROTOCOLS, Protocol

__all__ = [
    "BASELINES", "FORMS", "Cell", "Column", "Row", "ScoreFile", "Table", "as_terminal", "compare",
    "evaluate", "predict", "read_scores", "refuse_taken", "write_table",
]  # fmt: skip

BASELINES = ("ridge",)
"""Built-in methods that learn from the training videos of each split."""


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
    splits, warnings = splits_with(dataset, files, config)
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


# -- the parts of a table ----------------------------------------------------------------------------


def _title(dataset: Dataset) -> str:
    names = {"tvsum": "TVSum", "summe": "SumMe", "ovp": "OVP", "youtube": "YouTube", "qfvs": "QFVS"}
    return names.get(dataset.name, dataset.path.stem)


def _protocol(config: EvaluateConfig) -> Protocol:
    bundle = PROTOCOLS["ours" if config.protocol == LEGACY else config.protocol]
    asked = {name: getattr(config, name) for name in ("capacity", "shot_score", "spread")}
    return replace(bundle, **{name: value for name, value in asked.items() if value is not None})


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
    epochs, note = choose_epochs(file, dataset, splits, config)
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
    if silent := set(file.attributes.get(UNHEARD, "").split()):
        warnings.append(
            f"{file.name}: the model learned with words and heard none of {len(silent)} videos; give those "
            "it was trained with: --words FILE.h5"
        )
    if learned := leaked(file, splits):
        warnings.append(
            f"{file.name}: the model learned from {len(learned)} of the videos it is scored on "
            f"({', '.join(learned[:3])}, ...): its row is no result"
        )
    return collect(name, "yours", measured, splits, seed=config.seed, note=note)


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
