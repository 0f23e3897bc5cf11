"""Where in a video an answer lies: spans of evidence, and shots cut so that such a span can be shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from videograph.records import Clock, Evidence, Shots

MARGIN_SECONDS = Fraction(1)
"""Shown before and after what answers: nobody understands a sentence cut at its first letter."""
LEAST_SECONDS = Fraction(3)
"""The shortest moment that is shown."""
MOST_EVIDENCE = 5
"""Pieces of evidence kept of a moment."""


@dataclass(frozen=True)
class Moment:
    """A span of a video that answers a query."""

    start_seconds: Fraction
    """Where it starts."""
    end_seconds: Fraction
    """Where it ends."""
    score: float
    """How well it answers, in [0, 1], at least 0.5."""
    keyframe_seconds: Fraction
    """The moment's picture: the middle of its span."""
    evidence: tuple[Evidence, ...]
    """What makes it an answer, best first."""


def moments(evidence: Sequence[Evidence]) -> tuple[Moment, ...]:
    """Moments of a video, best first; evidence of the same time is one moment.

    A moment has the span of its best piece of evidence; another piece is of the same time if one of
    the two covers half of the other.
    """
    spans: list[list[Evidence]] = []
    for piece in sorted(evidence, key=lambda e: (-e.score, e.start_seconds)):
        for group in spans:
            if _same_time(group[0], piece):
                group.append(piece)
                break
        else:
            spans.append([piece])
    return tuple(
        Moment(
            start_seconds=group[0].start_seconds,
            end_seconds=group[0].end_seconds,
            score=group[0].score,
            keyframe_seconds=(group[0].start_seconds + group[0].end_seconds) / 2,
            evidence=tuple(group[:MOST_EVIDENCE]),
        )
        for group in spans
    )


def _same_time(first: Evidence, second: Evidence) -> bool:
    start = max(first.start_seconds, second.start_seconds)
    end = min(first.end_seconds, second.end_seconds)
    shorter = min(
        first.end_seconds - first.start_seconds, second.end_seconds - second.start_seconds
    )
    return 2 * (end - start) >= shorter


def cut_out(
    shots: Shots, evidence: Sequence[Evidence], clock: Clock, refused: Sequence[Evidence] = ()
) -> tuple[Shots, np.ndarray]:
    """Shots cut also where an answer starts and ends, and which of them lie in one, (n_shots,) bool.

    What people ask for is often shorter than a shot; cut out, it fits into a summary. The moment has a
    margin, and a cut of the video that lies within the margin bounds it instead. What they refuse is
    cut out without a margin, and is no answer.
    """
    answering = np.zeros(shots.n_frames, dtype=bool)
    cuts = set(shots.bounds[1:, 0].tolist())
    inner = np.array(sorted(cuts), dtype=np.int64)
    for piece in evidence:
        start, end = _with_margin(piece, clock, inner)
        answering[start:end] = True
    unwanted = np.zeros(shots.n_frames, dtype=bool)
    for piece in refused:
        unwanted[clock.frame_at(piece.start_seconds) : clock.frame_at(piece.end_seconds) + 1] = True
    answering &= ~unwanted
    changes = np.flatnonzero(np.diff(answering) | np.diff(unwanted)) + 1
    edges = np.unique(np.concatenate([[0], inner, changes, [shots.n_frames]])).astype(np.int64)
    cut = Shots(np.stack([edges[:-1], edges[1:]], axis=1))
    return cut, answering[edges[:-1]]


def _with_margin(piece: Evidence, clock: Clock, cuts: np.ndarray) -> tuple[int, int]:
    """First frame and one past the last of what is shown of a moment."""
    lacking = LEAST_SECONDS - (piece.end_seconds - piece.start_seconds)
    margin = max(MARGIN_SECONDS, lacking / 2)
    said = clock.frame_at(piece.start_seconds), clock.frame_at(piece.end_seconds)
    start = clock.frame_at(piece.start_seconds - margin)
    end = clock.frame_at(piece.end_seconds + margin) + 1
    before = cuts[(cuts > start) & (cuts <= said[0])]
    after = cuts[(cuts > said[1]) & (cuts < end)]
    return int(before[-1]) if len(before) else start, int(after[0]) if len(after) else end


def as_line(moment: Moment) -> str:
    """A moment on a line: its times, its score, and what makes it an answer."""
    times = f"{_clock(moment.start_seconds)} - {_clock(moment.end_seconds)}"
    return f"{times:>19}  {moment.score:.2f}  {'; '.join(map(told_by, moment.evidence))}"


def _clock(seconds: Fraction) -> str:
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    short = f"{minutes}:{rest // 10:02}.{rest % 10}"
    return f"{hours}:{short:0>7}" if hours else short


def told_by(piece: Evidence) -> str:
    """A piece of evidence in words for people: 'said here: "I'm searching for someone."'."""
    return f'{_VERBS[piece.source]}: "{piece.text or piece.query}"'


_VERBS = {
    "subtitles": "said here",
    "speech": "heard here",
    "captions": "shown here",
    "objects": "seen here",
    "picture": "looks like",
    "title": "title",
    "description": "description",
    "query": "asked",
}
