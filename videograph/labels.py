"""What people said of videos of your own: spans with scores from a CSV, or the official annotations.

The CSV has a header and a line per span: `video` (file name, with or without suffix), `start_seconds`,
`end_seconds`, `score`, and `user` where several people rated. Scores are whole numbers from 1 to 5, or
anything from 0 to 1 (so 1 for "keep"); what no span covers has the lowest score.
"""

from __future__ import annotations

import csv
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from videograph.datasets import load_dataset
from videograph.errors import VideographError
from videograph.records import Clock

COLUMNS = ("video", "start_seconds", "end_seconds", "score")
RATINGS, SHARES = "ratings", "shares"
"""Scales of scores: 1 to 5, as TVSum's; 0 to 1, as SumMe's."""


@dataclass(frozen=True)
class Span:
    """A stretch of a video that one user gave a score."""

    start_seconds: float
    """Start."""
    end_seconds: float
    """End, not included."""
    score: float
    """On the scale of `Labels`."""
    line: int
    """Where in the file."""


@dataclass(frozen=True)
class Opinions:
    """What all users said of one video: spans of each, or a value of every frame they saw."""

    key: str = ""
    """Official name of the group, "" for the next free one."""
    spans: Mapping[str, Sequence[Span]] = field(default_factory=dict)
    """By user, in order of time."""
    frames: np.ndarray | None = None
    """(n_users, n_frames of the annotated copy)."""

    def at(self, clock: Clock, lowest: float) -> np.ndarray:
        """Scores of every frame of the file at hand, (n_users, n_frames) float32.

        Annotations made on a copy with another number of frames are placed by their share of the
        length; one or two frames more or less are an edge, not another copy.
        """
        n = clock.n_frames
        if self.frames is not None:
            n_seen = self.frames.shape[1]
            if abs(n - n_seen) <= 2:
                return self.frames[:, np.minimum(np.arange(n), n_seen - 1)].astype(np.float32)
            edges = clock.seconds_of(np.arange(n + 1)) / float(clock.duration)
            middles = (edges[:-1] + edges[1:]) / 2
            return self.frames[:, (middles * n_seen).astype(np.int64)].astype(np.float32)
        starts = clock.seconds_of(np.arange(n))
        scores = np.full((len(self.spans), n), lowest, np.float32)
        for row, spans in zip(scores, self.spans.values(), strict=True):
            for span in spans:
                row[(starts >= span.start_seconds) & (starts < span.end_seconds)] = span.score
        return scores


@dataclass(frozen=True)
class Labels:
    """What people said of a folder of videos."""

    scale: str
    """`RATINGS` or `SHARES`."""
    opinions: Mapping[str, Opinions]
    """By name of the video, as its file is called."""
    must_exist: bool
    """Whether a named video that is not there is an error: not where a whole data set is named."""

    @property
    def lowest(self) -> float:
        """Score of what nobody mentioned."""
        return 1.0 if self.scale == RATINGS else 0.0


def read_labels(path: Path) -> Labels:
    """Labels of a CSV, or of any data set that `load_dataset` reads (TVSum's .mat or .tsv, SumMe's GT).

    Raises:
        UsageError: nothing there, or of no known form.
        VideographError: it is malformed, with what is wrong and where.
    """
    if path.suffix.lower() == ".csv":
        return _read_csv(path)
    opinions: dict[str, Opinions] = {}
    scales = set()
    for video in load_dataset(path).videos.values():
        if video.users is not None:
            scales.add(RATINGS if video.user_anno is not None else SHARES)
            opinions[video.name or video.key] = Opinions(video.key, frames=video.users)
    if len(scales) != 1:
        raise VideographError(f"{path} holds no labels of users, or two kinds of them.")
    return Labels(scales.pop(), opinions, must_exist=False)


def _read_csv(path: Path) -> Labels:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise VideographError(f"cannot read {path} as CSV in UTF-8: {error}.") from error
    missing = [name for name in COLUMNS if not rows or name not in rows[0]]
    if missing:
        raise VideographError(
            f"{path.name} lacks {', '.join(missing)}. Allowed: a first line with the columns "
            f"{', '.join(COLUMNS)} and perhaps user, then a line per span."
        )
    found: dict[str, dict[str, list[Span]]] = {}
    for line, row in enumerate(rows, start=2):
        spans = found.setdefault(str(row["video"]).strip(), {})
        spans.setdefault((row.get("user") or "").strip(), []).append(_span(path, line, row))
    opinions = {name: Opinions(spans=_in_order(path, users)) for name, users in found.items()}
    return Labels(_scale(path, opinions), opinions, must_exist=True)


def _span(path: Path, line: int, row: Mapping[str, str]) -> Span:
    numbers = []
    for name in COLUMNS[1:]:
        try:
            numbers.append(float(row[name]))
        except (TypeError, ValueError):
            raise VideographError(
                f'{path.name}, line {line}: {name} is "{row[name]}". Allowed: a number, as in 12.5.'
            ) from None
    start, end, score = numbers
    if not 0 <= start < end < np.inf:
        raise VideographError(
            f"{path.name}, line {line}: the span runs from {start:g} to {end:g} s. Allowed: a start from "
            "0 on, and an end after it."
        )
    return Span(start, end, score, line)


def _in_order(path: Path, users: Mapping[str, Sequence[Span]]) -> dict[str, list[Span]]:
    ordered = {}
    for user, spans in users.items():
        ordered[user] = sorted(spans, key=lambda span: span.start_seconds)
        for one, two in zip(ordered[user], ordered[user][1:], strict=False):
            if two.start_seconds < one.end_seconds:
                raise VideographError(
                    f"{path.name}, lines {one.line} and {two.line}: spans of one user overlap. Allowed: "
                    "one score at a time."
                )
    return ordered


def _scale(path: Path, opinions: Mapping[str, Opinions]) -> str:
    spans = [s for o in opinions.values() for user in o.spans.values() for s in user]
    low, high = min(s.score for s in spans), max(s.score for s in spans)
    if low >= 0 and high <= 1:
        return SHARES
    if low >= 1 and high <= 5 and all(s.score == int(s.score) for s in spans):
        return RATINGS
    raise VideographError(
        f"{path.name}: scores run from {low:g} to {high:g}. Allowed: 0 to 1, or whole numbers from 1 to 5."
    )


def match(labels: Labels, files: Sequence[Path], source: Path) -> dict[Path, Opinions]:
    """Labels of each file, by its name with or without suffix, or by the official key.

    Raises:
        VideographError: a CSV names a video that is not there, or none of the files has labels.
    """
    named = {name: f for f in files for name in (f.stem, f.name)}
    found: dict[Path, Opinions] = {}
    for name, opinions in labels.opinions.items():
        file = named.get(name) or named.get(opinions.key)
        if file is not None:
            found[file] = opinions
        elif labels.must_exist:
            close = difflib.get_close_matches(name, list(named), n=1, cutoff=0.0)
            nearest = f" Nearest: {close[0]}." if close else ""
            raise VideographError(
                f'{source.name} names a video "{name}", which is not there.{nearest}'
            )
    if not found:
        raise VideographError(
            f"{source} has labels of none of the {len(files)} videos. Do the names of the files agree "
            f"with, for instance, {next(iter(labels.opinions))}?"
        )
    return found
