"""The table of query-focused summaries: semantic matching per query, chance and a swapped query beside it.

Steps as in UniVTG's and EgoVLPv2's public code: score every shot for a query, keep the best 2 %, match
with the oracle (Sharghi, Laurel, Gong, CVPR 2017). Chance is near 47, so no row stands without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from videograph.datasets import Dataset, Query, QueryVideo
from videograph.datasets._splits import Fold, Splits
from videograph.datasets.qfvs import FEATURES, best_shots, n_chosen
from videograph.errors import VideographError
from videograph.evaluate._scores import ALL, ScoreFile
from videograph.evaluate._table import Column, Row, Values, collect
from videograph.metrics import semantic_matching

COLUMNS = [
    Column(
        "f1", "F1, QFVS", "semantic-IoU matching of the best 2 % shots with the oracle, in %", 1
    ),
    Column("precision", "P, QFVS", "matched similarity per machine shot, in %", 1),
    Column("recall", "R, QFVS", "matched similarity per oracle shot, in %", 1),
    Column("on_query", "on query", "share of machine shots with a concept of the query, in %", 1),
    Column(
        "swapped", "F1, query swapped", "F1 of the same against another query's oracle, in %", 1
    ),
]
Chooser = Callable[[QueryVideo, Query], np.ndarray]
"""Shots of the machine summary, or (n_draws, n_chosen) of them."""


def swapped(video: QueryVideo, query: Query) -> Query:
    """The next query of the video that shares no concept with this one, or simply the next."""
    names = list(video.queries)
    start = names.index(query.name) + 1
    turned = [video.queries[n] for n in names[start:] + names[: start - 1]]
    apart = [other for other in turned if not set(other.concepts) & set(query.concepts)]
    return (apart or turned or [query])[0]


def measure(video: QueryVideo, query: Query, chosen: np.ndarray) -> Values:
    """All figures of a query's machine summaries, in percent, (n_draws,) each."""
    other = swapped(video, query)
    rows = []
    for machine in np.atleast_2d(chosen):
        match = semantic_matching(video.tags, machine, query.oracle)
        control = semantic_matching(video.tags, machine, other.oracle)
        shown = video.tags[machine][:, list(query.concepts)].any(axis=1).mean()
        rows.append([match.f1, match.precision, match.recall, shown, control.f1])
    figures = 100 * np.array(rows).T
    return {column.key: row for column, row in zip(COLUMNS, figures, strict=True)}


def query_splits(dataset: Dataset, keys: Mapping[str, list[str]]) -> Splits:
    """A fold for each video, its queries the test: the mean over queries, then over videos."""
    folds = [Fold((), (), tuple(names)) for names in keys.values() if names]
    return Splits("mean over queries, then over videos", tuple(folds))


def query_rows(
    dataset: Dataset, files: list[ScoreFile], *, n_draws: int, seed: int
) -> tuple[list[Row], list[str]]:
    """The rows of the table and what must be said with them.

    Raises:
        VideographError: a score file answers none of the queries, or its arrays do not fit.
    """
    notes = []
    answered = _answered(dataset, files)
    n_all = sum(len(v.queries) for v in dataset.query_videos.values())
    n_here = sum(len(names) for names in answered.values())
    if n_here < n_all:
        notes.append(f"only {n_here} of {n_all} queries have scores: every row is over these")
    if told := [f.name for f in files if f.attributes.get("features") == FEATURES]:
        notes.append(
            f"{', '.join(told)}: reads the concept tags, from which the score is computed too, as a perfect "
            "detector would give them: not comparable with published rows, which read pixels; the row "
            '"true tags" has the same input and no training'
        )
    splits = query_splits(dataset, answered)

    def row(name: str, kind: str, note: str, choose: Chooser) -> Row:
        values = {}
        for key in answered:
            video = dataset.query_videos[key]
            for label in answered[key]:
                query = video.queries[label.partition("/")[2]]
                values[label] = measure(video, query, choose(video, query))
        return collect(name, kind, values, splits, seed=seed, note=note)

    made = [row(f.name, "yours", "the best 2 % of shots by score", _by_score(f)) for f in files]
    rng = np.random.default_rng(seed)

    def random(video: QueryVideo, query: Query) -> np.ndarray:
        n = n_chosen(video)
        return np.argsort(rng.random((n_draws, video.n_shots)), axis=1)[:, :n]

    def even(video: QueryVideo, query: Query) -> np.ndarray:
        n = n_chosen(video)
        return ((np.arange(n) + 0.5) * video.n_shots / n).astype(np.int64)

    def tagged(video: QueryVideo, query: Query) -> np.ndarray:
        held = video.tags[:, list(query.concepts)].sum(axis=1)
        ties = rng.random((n_draws, video.n_shots))  # many shots show as many: none is better
        return np.stack([best_shots(held + row, n_chosen(video)) for row in ties])

    def oracle(video: QueryVideo, query: Query) -> np.ndarray:
        return query.oracle

    by_tags = "shots by how many of the query's concepts they show, ties at random; uses labels"
    itself = "the oracle against itself; an untagged shot matches nothing"
    made += [
        row("random 2 %", "reference", f"2 % of the shots, mean over {n_draws} draws", random),
        row("uniform 2 %", "reference", "evenly spaced shots", even),
        row("true tags", "reference", by_tags, tagged),
        row("oracle", "human", itself, oracle),
    ]
    return made, notes


def _answered(dataset: Dataset, files: list[ScoreFile]) -> dict[str, list[str]]:
    """Video -> labels ("P01/Book_Street") of the queries that every file answers."""
    labels = {
        key: [f"{key}/{name}" for name in video.queries]
        for key, video in dataset.query_videos.items()
    }
    for file in files:
        held = set(file.scores.get((ALL, ALL), {}))
        labels = {key: [label for label in row if label in held] for key, row in labels.items()}
    if not any(labels.values()):
        raise VideographError(
            "the scores answer none of the queries. Arrays are needed under VIDEO/QUERY, as P01/Book_Street."
        )
    return labels


def _by_score(file: ScoreFile) -> Chooser:
    held = file.scores[ALL, ALL]

    def choose(video: QueryVideo, query: Query) -> np.ndarray:
        values = np.atleast_2d(np.asarray(held[f"{video.key}/{query.name}"], dtype=np.float64))
        if values.shape[1] != video.n_shots or not np.isfinite(values).all():
            raise VideographError(
                f"{file.name}, {video.key}/{query.name}: {video.n_shots} finite scores are needed, "
                f"one per shot; got shape {values.shape}."
            )
        return np.stack([best_shots(row, n_chosen(video)) for row in values])

    return choose
