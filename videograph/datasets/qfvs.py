"""Query-focused summaries of four long first-person videos (Sharghi, Laurel, Gong, CVPR 2017).

An h5, alone or in a folder `qfvs`: a group per video with `tags` (n_shots, n_concepts) 0/1 and
`queries/NAME` holding `concepts` (columns of tags) and `oracle` (shots, from 0); the attribute
`concepts` names the columns. A `concept_vectors.npy` beside it holds a word vector for each column.

The tags say what is in a shot. As published they are what people saw, and the score is computed from
them too: whoever reads them as a video's content is told what a perfect detector would see.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from videograph.datasets import Dataset, Query, QueryVideo, natural
from videograph.datasets._h5 import array, naming, open_h5, text
from videograph.errors import VideographError

FEATURES = "concept_tags"
"""What stands in for frames and objects, since the set has no pixels."""
SHARE_OF_SHOTS = 0.02
"""Length of a machine summary, as a share of the shots: UniVTG's convention, the original sets none."""
FORM = "an h5 of query-focused summaries, its name holding qfvs, or the folder qfvs around it"


def reads(path: Path) -> bool:
    """Whether this is such a file or folder."""
    if path.is_dir():
        return path.name == "qfvs" and (path / "qfvs.h5").is_file()
    return path.suffix.lower() in (".h5", ".hdf5") and "qfvs" in path.name.lower()


def load(path: Path) -> Dataset:
    """The videos, their tags and queries.

    Raises:
        VideographError: the file is malformed, with what is wrong and where.
    """
    source = path / "qfvs.h5" if path.is_dir() else path
    videos = {}
    with open_h5(source) as file:
        concepts = tuple(str(c) for c in np.asarray(file.attrs.get("concepts", ())).tolist())
        for key in sorted(file, key=natural):
            if "queries" in file[key]:
                with naming(source, key):
                    videos[key] = _video(key, file[key], len(concepts))
    if not videos:
        raise VideographError(f"{source} holds no videos: no group has queries.")
    named = "concept_vectors" if vectors_file(source).is_file() else "one_hot"
    return Dataset(
        "qfvs", source, query_videos=videos, concepts=concepts, features=FEATURES,
        text_encoder=named,
    )  # fmt: skip


def vectors_file(source: Path) -> Path:
    """Where the word vectors of the concepts are looked for."""
    return source.parent / "concept_vectors.npy"


def concept_vectors(dataset: Dataset) -> np.ndarray:
    """A row of length 1 for each concept, (n_concepts, dim) float32: word vectors, or one-hot without.

    Raises:
        VideographError: the file of vectors has other rows than there are concepts.
    """
    n_concepts = next(iter(dataset.query_videos.values())).tags.shape[1]
    file = vectors_file(dataset.path)
    if not file.is_file():
        return np.eye(n_concepts, dtype=np.float32)
    try:
        vectors = np.load(file, allow_pickle=False).astype(np.float32)
    except (OSError, ValueError) as error:
        raise VideographError(f"{file} cannot be read as an array ({error}).") from error
    if vectors.ndim != 2 or len(vectors) != n_concepts:
        raise VideographError(
            f"{file} has shape {vectors.shape}. Allowed: ({n_concepts}, dim), a row for each concept."
        )
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def n_chosen(video: QueryVideo) -> int:
    """Shots of a machine summary."""
    return max(1, int(SHARE_OF_SHOTS * video.n_shots))


def best_shots(scores: np.ndarray, n: int) -> np.ndarray:
    """The best-scored shots, earlier ones first among equals, (n,)."""
    return np.sort(np.argsort(-scores, kind="stable")[:n])


def _video(key: str, group: Any, n_concepts: int) -> QueryVideo:
    tags = array(group, "tags", np.uint8)
    if tags is None or tags.ndim != 2:
        shape = "missing" if tags is None else f"of shape {tags.shape}"
        raise ValueError(f"tags are {shape}; (n_shots, n_concepts) is needed")
    if n_concepts and tags.shape[1] != n_concepts:
        raise ValueError(f"tags have {tags.shape[1]} columns, but there are {n_concepts} concepts")
    queries = {
        name: _query(name, group["queries"][name], tags) for name in sorted(group["queries"])
    }
    return QueryVideo(key, tags, queries)


def _query(name: str, group: Any, tags: np.ndarray) -> Query:
    concepts, oracle = array(group, "concepts", np.int64), array(group, "oracle", np.int64)
    if concepts is None or oracle is None or len(oracle) == 0:
        raise ValueError(f"query {name} needs concepts and an oracle of at least one shot")
    for what, value, end in (("concepts", concepts, tags.shape[1]), ("oracle", oracle, len(tags))):
        if value.min() < 0 or value.max() >= end:
            raise ValueError(
                f"query {name}: {what} run from {value.min()} to {value.max()}, allowed: 0 to {end - 1} "
                "(published lists count shots from 1; here they count from 0)"
            )
    return Query(
        name,
        tuple(int(c) for c in concepts),
        np.unique(oracle),
        text=text(group, "text"),
        id=text(group, "id"),
    )
