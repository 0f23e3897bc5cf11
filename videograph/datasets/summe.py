"""SumMe as its authors give it: a folder `GT` with a MATLAB 5 file per video.

`user_score` (n_frames, n_users) is above 0 where a user selects a frame, numbering the segments;
`gt_score` (n_frames, 1) is the share of users; `FPS`, `nFrames` (Gygli et al., ECCV 2014).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from videograph.datasets import SAMPLING, BenchmarkVideo, Dataset, natural
from videograph.datasets._h5 import naming
from videograph.datasets._names import SUMME
from videograph.errors import VideographError

FORM = "a folder GT of SumMe's .mat files, or the folder that holds it"


def reads(path: Path) -> bool:
    """Whether this is such a folder."""
    return path.is_dir() and any(_folder(path).glob("*.mat"))


def _folder(path: Path) -> Path:
    return path / "GT" if (path / "GT").is_dir() else path


def load(path: Path) -> Dataset:
    """The users' selections; rank correlations need no more, F needs shots from an h5.

    Raises:
        VideographError: a file is malformed, with what is wrong and where.
    """
    order = {name: f"video_{i}" for i, name in enumerate(SUMME, start=1)}
    notes = ["no shots in this form: F and the modes of summaries cannot be given"]
    videos = {}
    for file in sorted(_folder(path).glob("*.mat")):
        key = order.get(file.stem, file.stem)
        with naming(file, key):
            videos[key] = _video(file, key)
        if SUMME.get(file.stem, videos[key].n_frames) != videos[key].n_frames:
            notes.append(
                f"{file.stem} has {videos[key].n_frames} frames, officially {SUMME[file.stem]}"
            )
    videos = {key: videos[key] for key in sorted(videos, key=natural)}
    return Dataset("summe", path, videos, notes=tuple(notes))


def _video(file: Path, key: str) -> BenchmarkVideo:
    fields = _fields(file)
    if "user_score" not in fields:
        found = ", ".join(name for name in fields if not name.startswith("__"))
        raise ValueError(f"user_score is missing; found: {found or 'nothing'}")
    users = (np.asarray(fields["user_score"]) > 0).astype(np.uint8).T
    n_frames = users.shape[1]
    picks = np.arange(0, n_frames, SAMPLING, dtype=np.int64)
    return BenchmarkVideo(
        key,
        n_frames,
        picks,
        name=file.stem,
        gtscore=users[:, picks].mean(axis=0).astype(np.float32),
        user_summary=users,
        fps=float(np.asarray(fields["FPS"]).reshape(-1)[0]) if "FPS" in fields else None,
    )


def _fields(file: Path) -> dict[str, Any]:
    try:
        return loadmat(file)
    except (OSError, ValueError, NotImplementedError, MatReadError) as error:
        raise VideographError(f"{file} is not a MATLAB 5 file ({error}).") from error
