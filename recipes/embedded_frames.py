"""Frames and folds for train_embedded.py: what there is to see, and who may see it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import h5py
import numpy as np

DATA = Path(
    os.environ.get("VIDEOGRAPH_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)
OTHERS = 5  # group of the frames outside TVSum; TVSum's groups are its test folds 0..4


def make_frames(work: Path) -> None:
    """TVSum's picks and two frames a second of the other videos, as squares of 224 pixels."""
    import av

    large: list[np.ndarray] = []
    table: dict[str, tuple[int, int]] = {}

    def add(key: str, images: list[np.ndarray]) -> None:
        table[key] = (len(large), len(images))
        large.extend(images)

    with h5py.File(DATA / "tvsum/tvsum.h5") as labels:
        for key in sorted(labels, key=lambda k: int(k[6:])):
            with av.open(str(DATA / f"tvsum/videos/{key}.mp4")) as file:
                frames = [f.to_ndarray(format="rgb24") for f in file.decode(video=0)]
            # Frame j of these files shows the source at (j + 1/2) / 3 seconds.
            steps = np.rint(labels[key]["picks"][:] / labels[key]["fps"][()] * 3 - 0.5)
            add(key, [frames[i] for i in np.clip(steps.astype(int), 0, len(frames) - 1)])
    for path in sorted((DATA / "summe/videos").glob("*.mp4")) + sorted((DATA / "videos").iterdir()):
        drawn = "timecode" in path.name or "synthetic" in path.name
        if path.suffix not in (".vtt", ".json") and not drawn:
            add(path.name, _two_a_second(path))
    np.save(work / "large.npy", np.stack(large))
    (work / "frames.json").write_text(json.dumps(table), encoding="utf-8")


def _two_a_second(path: Path) -> list[np.ndarray]:
    import av

    images, last = [], -9.0
    with av.open(str(path)) as file:
        for frame in file.decode(video=0):
            if frame.time is not None and frame.time - last >= 0.499:
                last = frame.time
                square = frame.reformat(224, 224, "rgb24", interpolation="AREA")
                images.append(square.to_ndarray())
    return images


def read_table(work: Path) -> dict[str, tuple[int, int]]:
    """First frame and number of frames of each video."""
    return {k: (s, n) for k, (s, n) in json.loads((work / "frames.json").read_text()).items()}


def read_folds() -> list[dict[str, list[str]]]:
    """TVSum's five folds: keys of train, val and test videos."""
    return json.loads((DATA / "splits/tvsum_5fold.json").read_text())["folds"]


def groups_of(table: dict[str, tuple[int, int]], folds: list) -> np.ndarray:
    """The fold in whose test each frame lies, or `OTHERS`, (n_frames,)."""
    groups = np.full(sum(n for _, n in table.values()), OTHERS, np.int8)
    for number, fold in enumerate(folds):
        for key in fold["test"]:
            start, n = table[key]
            groups[start : start + n] = number
    return groups


def allowed_frames(table: dict[str, tuple[int, int]], keys: list[str] | None) -> np.ndarray:
    """True for the frames of these TVSum videos (None: all) and of all other videos, (n_frames,)."""
    allowed = np.zeros(sum(n for _, n in table.values()), bool)
    for key, (start, n) in table.items():
        allowed[start : start + n] = keys is None or key in keys or not key.startswith("video_")
    return allowed


def allowed_views(allowed: np.ndarray, frame: np.ndarray, partner: np.ndarray) -> np.ndarray:
    """Rows of the views that show nothing but allowed frames; partner -1 is none."""
    return np.flatnonzero(allowed[frame] & ((partner < 0) | allowed[np.maximum(partner, 0)]))
