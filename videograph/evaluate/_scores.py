"""Score files: whatever a method said of each video, from anybody, in h5, npz or csv.

One array of scores per video, under its key ("video_7") or name ("Jumps"): (n_steps,), or (n_frames,),
which is read at the picks, or (n_seeds, ...) of several runs. In h5 and npz, parts of the path named
`split_i` and `epoch_j` tell scores of different trainings apart: "split_0/epoch_12/video_7".
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import h5py
import numpy as np

from videograph.datasets import BenchmarkVideo, natural
from videograph.errors import UsageError, VideographError

SUFFIXES = (".h5", ".hdf5", ".npz", ".csv")
ALL = -1
"""Split or epoch number of scores that do not name one."""


@dataclass(frozen=True)
class ScoreFile:
    """The scores of one method."""

    name: str
    """What its row is called."""
    scores: Mapping[tuple[int, int], Mapping[str, np.ndarray]]
    """(split, epoch) -> video or query -> scores as they were stored; `ALL` where none is named."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """What the file says of itself: `selected_on`, `model`, `features`."""

    @property
    def epochs(self) -> list[int]:
        """Epoch numbers in the file; [ALL] when it has none."""
        return sorted({epoch for _, epoch in self.scores})

    @property
    def digest(self) -> str:
        """SHA-256 of all scores, whatever form they were stored in."""
        found = hashlib.sha256()
        for place in sorted(self.scores):
            for key, value in sorted(self.scores[place].items()):
                rows = np.ascontiguousarray(value, dtype=np.float64)
                found.update(f"{place} {key} {rows.shape}".encode() + rows.tobytes())
        return found.hexdigest()

    def of(self, split: int, epoch: int, video: BenchmarkVideo) -> np.ndarray | None:
        """Step scores of a video, (n_runs, n_steps) float64; None when the file has none.

        Raises:
            VideographError: an array that fits neither steps nor frames, or holds NaN.
        """
        for key in ((split, epoch), (ALL, epoch)):
            for name in (video.key, video.name):
                if name and name in self.scores.get(key, {}):
                    return self._at_steps(self.scores[key][name], video)
        return None

    def _at_steps(self, value: np.ndarray, video: BenchmarkVideo) -> np.ndarray:
        rows = np.atleast_2d(np.asarray(value, dtype=np.float64))
        if rows.ndim == 2 and rows.shape[1] == video.n_frames != video.n_steps:
            rows = rows[:, video.picks]
        if rows.ndim != 2 or rows.shape[1] != video.n_steps:
            raise VideographError(
                f"{self.name}, {video.key}: scores have shape {value.shape}; {video.n_steps} steps or "
                f"{video.n_frames} frames are needed."
            )
        if not np.isfinite(rows).all():
            n_bad = int((~np.isfinite(rows)).sum())
            raise VideographError(f"{self.name}, {video.key}: {n_bad} scores are NaN or infinite.")
        return rows


def read_scores(path: str | Path) -> ScoreFile:
    """The scores in a file.

    Raises:
        UsageError: it is missing, or of none of the three forms.
        VideographError: it cannot be read, or holds no scores.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path.name} is no score file. Allowed: {', '.join(SUFFIXES)}.")
    if not path.is_file():
        raise UsageError(f"{path} is not there.")
    attributes: dict[str, str] = {}
    try:
        if path.suffix == ".csv":
            flat = _from_csv(path)
        elif path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                flat = {name: file[name] for name in file.files}
        else:
            with h5py.File(path, "r") as file:
                attributes = {str(name): str(value) for name, value in file.attrs.items()}
                flat = _from_h5(file)
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise VideographError(f"{path} cannot be read as {path.suffix} ({error}).") from error
    if not flat:
        raise VideographError(f"{path} holds no arrays of scores.")
    return ScoreFile(path.stem, _sorted(flat), attributes)


def _from_h5(file: Any) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}

    def visit(name: str, item: Any) -> None:
        stem, _, last = name.rpartition("/")
        if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "biuf" or item.ndim == 0:
            return
        if last in ("scores", "score", "importance"):  # a group per video, the scores inside
            found[stem] = item[()]
        elif not isinstance(file.get(stem) if stem else None, h5py.Group) or _holds_videos(
            file[stem]
        ):
            found[name] = item[()]

    file.visititems(visit)
    return found


def _holds_videos(group: Any) -> bool:
    """A group with "scores" is one video, and its other arrays are not."""
    return not any(name in group for name in ("scores", "score", "importance"))


def _from_csv(path: Path) -> dict[str, np.ndarray]:
    """Columns video, step (or frame) and score; a row each, in any order."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        names = reader.fieldnames or []
        order = next((n for n in ("step", "frame") if n in names), None)
        if "video" not in names or "score" not in names or order is None:
            raise ValueError(
                f"columns video, step or frame, score are needed; found {', '.join(names)}"
            )
        rows: dict[str, list[tuple[int, float]]] = {}
        for row in reader:
            try:
                pair = int(row[order]), float(row["score"])
            except (
                TypeError,
                ValueError,
            ) as error:  # TypeError: the row is shorter than the header
                raise ValueError(
                    f"line {reader.line_num}: {order} is {row[order]}, score is {row['score']}; "
                    "a whole number and a number are needed"
                ) from error
            if row["video"] is None:
                raise ValueError(f"line {reader.line_num}: the video is missing")
            rows.setdefault(row["video"], []).append(pair)
    found = {}
    for video, pairs in rows.items():
        numbers = sorted(number for number, _ in pairs)
        if numbers != list(range(len(numbers))):
            raise ValueError(f"{video}: every {order} from 0 is needed once, got {numbers[:4]} ...")
        found[video] = np.array([score for _, score in sorted(pairs)])
    return found


def _sorted(flat: Mapping[str, np.ndarray]) -> dict[tuple[int, int], dict[str, np.ndarray]]:
    found: dict[tuple[int, int], dict[str, np.ndarray]] = {}
    for path, value in flat.items():
        numbers = {"split": ALL, "epoch": ALL}
        rest = []
        for part in path.split("/"):
            match = re.fullmatch(r"(split|fold|epoch)_?(\d+)", part)
            if match:
                numbers["epoch" if match[1] == "epoch" else "split"] = int(match[2])
            else:
                rest.append(part)
        found.setdefault((numbers["split"], numbers["epoch"]), {})["/".join(rest)] = value
    return found


def write_scores(
    path: Path, scores: Mapping[str, np.ndarray], attributes: Mapping[str, str]
) -> None:
    """Keep what a model said, so that it can be scored as often as one likes.

    Args:
        path: an h5 file, written whole or not at all.
        scores: (n_steps,) or (n_runs, n_steps) by key, or by "split_i/key".
        attributes: what the reader of the file must know.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_name(f".{path.name}.part")
    try:
        with h5py.File(hidden, "w") as file:
            for key in sorted(scores, key=natural):
                file.create_dataset(key, data=np.asarray(scores[key], dtype=np.float32))
            file.attrs.update(dict(attributes))
        hidden.replace(path)
    finally:
        hidden.unlink(missing_ok=True)
