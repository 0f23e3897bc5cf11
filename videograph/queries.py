"""Videos that are asked: each query of each video an example (docs/method.md, section 9).

The set has no pixels. Tags stand for what is seen: a step's objects are the concepts it shows, as word
vectors, its frame feature is their mean. The words are the query's concepts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
import torch

from videograph.datasets import Dataset, Query, QueryVideo
from videograph.datasets.qfvs import best_shots, concept_vectors, n_chosen
from videograph.examples import Example
from videograph.inputs import Inputs
from videograph.metrics import semantic_matching


def query_examples(dataset: Dataset, keys: Iterable[str] | None = None) -> list[Example]:
    """All queries of some videos, or of all; the arrays of a video are held once.

    Raises:
        VideographError: the concepts' word vectors do not fit them.
    """
    return [
        Example(
            f"{key}/{query.name}",
            inputs,
            keyframes=(wanted := _membership(query, video.n_shots)),
            importance=wanted,
            concepts=torch.from_numpy(video.tags[:, list(query.concepts)].astype(np.float32)),
            video=key,
            judge=_judge(video, query),
        )
        for key in (dataset.query_videos if keys is None else keys)
        for video in [dataset.query_videos[key]]
        for query, inputs in query_inputs(dataset, video)
    ]


def query_inputs(dataset: Dataset, video: QueryVideo) -> Iterator[tuple[Query, Inputs]]:
    """What a model reads of a video, for each of its queries."""
    vectors = concept_vectors(dataset)
    seen = _seen(video.tags > 0, vectors)
    for query in video.queries.values():
        words = torch.from_numpy(vectors[list(query.concepts)])[None]
        usable = torch.ones(words.shape[:2], dtype=torch.bool)
        yield query, replace(seen, word_features=words, word_mask=usable)


def _seen(tags: np.ndarray, vectors: np.ndarray) -> Inputs:
    """Tags (n_steps, n_concepts) as objects in slots, and their mean as the frame."""
    n_slots = max(1, int(tags.sum(1).max()))
    shown = np.argsort(~tags, axis=1, kind="stable")[:, :n_slots]  # concepts that are there first
    mask = np.take_along_axis(tags, shown, 1)
    objects = vectors[shown] * mask[..., None]
    frames = objects.sum(1)
    frames /= np.maximum(np.linalg.norm(frames, axis=1, keepdims=True), 1e-9)
    return Inputs(
        torch.from_numpy(frames)[None],
        torch.ones(1, len(tags), dtype=torch.bool),
        torch.from_numpy(objects)[None],
        torch.from_numpy(mask)[None],
    )


def _membership(query: Query, n_steps: int) -> torch.Tensor:
    chosen = torch.zeros(n_steps)
    chosen[torch.from_numpy(query.oracle)] = 1.0
    return chosen


def _judge(video: QueryVideo, query: Query) -> Callable[[np.ndarray], float]:
    """F1 of the best 2 % of the shots against the oracle, in percent."""

    def judge(scores: np.ndarray) -> float:
        chosen = best_shots(scores, n_chosen(video))
        return 100 * semantic_matching(video.tags, chosen, query.oracle).f1

    return judge
