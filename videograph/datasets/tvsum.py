"""TVSum as its authors give it: ratings, titles and topics, without features and shots."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from videograph.datasets import SAMPLING, BenchmarkVideo, Dataset
from videograph.datasets._names import TVSUM
from videograph.datasets._ratings import read_ratings

FORM = "ydata-tvsum50.mat or ydata-tvsum50-anno.tsv, the official TVSum ratings"


def reads(path: Path) -> bool:
    """Whether this is one of the two files."""
    return (
        path.is_file() and path.name.startswith("ydata-tvsum50") and path.suffix in (".mat", ".tsv")
    )


def load(path: Path) -> Dataset:
    """The rated videos; rank correlations need no more, F needs shots from an h5.

    Raises:
        VideographError: the file is malformed, with what is wrong and where.
    """
    numbers = {name: i for i, name in enumerate(TVSUM, start=1)}
    videos, notes = {}, ["no shots in this form: F and the modes of summaries cannot be given"]
    for row, (name, rated) in enumerate(read_ratings(path).items(), start=1):
        n_frames = rated.user_anno.shape[1]
        if name in TVSUM and abs(TVSUM[name] - n_frames) > 1:
            notes.append(f"{name} has {n_frames} frames here, officially {TVSUM[name]}")
        key = f"video_{numbers.get(name, row)}"
        picks = np.arange(0, n_frames, SAMPLING, dtype=np.int64)
        mean = rated.user_anno[:, picks].mean(axis=0)
        videos[key] = BenchmarkVideo(
            key,
            n_frames,
            picks,
            name=name,
            gtscore=((mean - 1) / 4).astype(np.float32),
            user_anno=rated.user_anno,
            title=rated.title,
            category=rated.category,
        )
    return Dataset("tvsum", path, videos, notes=tuple(notes))
