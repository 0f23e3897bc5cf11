"""TVSum's official annotations: what 20 people said of every two seconds of 50 videos.

`matlab/ydata-tvsum50.mat` is MATLAB 7.3, that is HDF5: `tvsum50/FIELD` is a column of references, one
per video, to arrays stored the MATLAB way round; strings are rows of character codes. The same in text:
`data/ydata-tvsum50-anno.tsv` has a line per user and video (id, category, scores by comma), and
`ydata-tvsum50-info.tsv` beside it the titles (Song et al., CVPR 2015).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from videograph.datasets._h5 import open_h5
from videograph.errors import UsageError, VideographError

SOURCE = "https://github.com/yalesong/tvsum"


@dataclass(frozen=True)
class Rated:
    """One video's ratings."""

    user_anno: np.ndarray
    """Ratings 1 to 5 of every frame, (n_users, n_frames) uint8."""
    title: str
    """Title on YouTube, "" when unknown."""
    category: str
    """Topic, two letters."""


def read_ratings(path: Path) -> dict[str, Rated]:
    """The ratings by YouTube id, in the file's order, which is the field's numbering.

    Args:
        path: `ydata-tvsum50.mat` or `ydata-tvsum50-anno.tsv`.

    Raises:
        UsageError: neither of the two.
        VideographError: it is malformed, with what is wrong and where.
    """
    if path.suffix == ".mat":
        return _read_mat(path)
    if path.suffix == ".tsv":
        return _read_tsv(path)
    raise UsageError(
        f"{path.name} holds no TVSum ratings. Allowed: ydata-tvsum50.mat or ydata-tvsum50-anno.tsv "
        f"of {SOURCE}."
    )


def _read_mat(path: Path) -> dict[str, Rated]:
    needed = ("video", "user_anno", "nframes")
    with open_h5(path) as file:
        if "tvsum50" not in file:
            raise VideographError(
                f"{path} has no struct tvsum50. Found: {', '.join(sorted(file))}."
            )
        table = file["tvsum50"]
        missing = [name for name in needed if name not in table]
        if missing:
            raise VideographError(f"{path}: tvsum50 lacks {', '.join(missing)}.")
        columns = {name: _column(file, table[name]) for name in table}
        rated = {}
        for i, codes in enumerate(columns["video"]):
            key = _string(codes)
            title, category = (
                _string(columns[name][i]) if name in columns else ""
                for name in ("title", "category")
            )
            n_frames = int(np.asarray(columns["nframes"][i]).reshape(-1)[0])
            rated[key] = Rated(
                _users(path, key, columns["user_anno"][i], n_frames), title, category
            )
    return rated


def _column(file: Any, field: Any) -> list[np.ndarray]:
    return [file[reference][()] for reference in np.asarray(field).reshape(-1)]


def _string(codes: np.ndarray) -> str:
    return "".join(chr(int(c)) for c in np.asarray(codes).reshape(-1) if int(c))


def _users(path: Path, key: str, value: np.ndarray, n_frames: int) -> np.ndarray:
    """(n_users, n_frames): h5py shows MATLAB's (n_frames, n_users) already turned."""
    if value.ndim != 2 or n_frames not in value.shape:
        raise VideographError(
            f"{path.name}, {key}: user_anno has shape {value.shape}, but nframes is {n_frames}."
        )
    value = value if value.shape[1] == n_frames else value.T
    if value.min() < 1 or value.max() > 5:
        raise VideographError(
            f"{path.name}, {key}: ratings run from {value.min():g} to {value.max():g}; 1 to 5 is allowed."
        )
    return value.astype(np.uint8)


def _read_tsv(path: Path) -> dict[str, Rated]:
    rows: dict[str, list[np.ndarray]] = {}
    categories: dict[str, str] = {}
    for number, line in enumerate(_lines(path), start=1):
        cells = line.split("\t")
        try:
            key, category, scores = cells
            rows.setdefault(key, []).append(np.array(scores.split(","), dtype=np.float64))
        except ValueError as error:
            raise VideographError(
                f"{path.name}, line {number}: an id, a category and scores by comma are needed, "
                f"with tabs between; found {len(cells)} columns ({error})."
            ) from error
        categories[key] = category
    titles = _titles(path.with_name(path.name.replace("-anno", "-info")))
    return {key: _stacked(path, key, users, titles, categories) for key, users in rows.items()}


def _stacked(
    path: Path,
    key: str,
    users: list[np.ndarray],
    titles: dict[str, str],
    categories: dict[str, str],
) -> Rated:
    lengths = {len(user) for user in users}
    if len(lengths) > 1:
        raise VideographError(
            f"{path.name}, {key}: users rate {sorted(lengths)} frames; one number is needed."
        )
    value = _users(path, key, np.stack(users), lengths.pop())
    return Rated(value, titles.get(key, ""), categories[key])


def _titles(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    rows = csv.DictReader(_lines(path), delimiter="\t", quoting=csv.QUOTE_NONE)
    return {
        row["video_id"]: row["title"] for row in rows if row.get("video_id") and row.get("title")
    }


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise VideographError(f"cannot read {path}: {error.strerror or error}.") from error
    return [line for line in text.splitlines() if line.strip()]
