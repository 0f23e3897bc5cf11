"""Why a shot is in the summary: its rank, what it stands for in the graph, what is seen in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from videograph.moments import told_by
from videograph.records import (
    ChosenShot,
    Clock,
    Evidence,
    Neighbour,
    Reason,
    Scores,
    SeenObject,
    VideoFeatures,
)
from videograph.spill import ROWS_AT_ONCE, mean, pieces, release, rows_at
from videograph.summary import Choice, Span

N_NEIGHBOURS = 4
"""Neighbours shown for a key frame: a glance, not a list."""
N_EVIDENCE = 5
"""Pieces of evidence shown for a shot."""
TENTHS_BELOW_SECONDS = 600
"""In shorter videos, neighbours lie within a second of one another: their times carry tenths."""


def explain(
    choice: Choice,
    scores: Scores,
    features: VideoFeatures,
    clock: Clock,
    evidence: Sequence[Evidence] = (),
) -> tuple[ChosenShot, ...]:
    """The chosen spans, each with its times, its key frame and the reason why it is there.

    Args:
        choice: the chosen spans.
        scores: of the steps.
        features: what was seen.
        clock: the video's time stamps.
        evidence: what in the video answers the user's query.
    """
    ranks = np.empty(len(choice.shot_scores), dtype=np.int64)
    ranks[np.argsort(-choice.shot_scores, kind="stable")] = np.arange(1, len(ranks) + 1)
    represented = stands_for(features, [s.keyframe_step for s in choice.spans], clock)
    return tuple(
        ChosenShot(
            number=span.number,
            start_frame=span.start_frame,
            end_frame=span.end_frame,
            start_seconds=clock.seconds(span.start_frame),
            end_seconds=clock.seconds(span.end_frame),
            score=float(choice.shot_scores[span.number]),
            keyframe=span.keyframe,
            keyframe_step=span.keyframe_step,
            keyframe_seconds=clock.seconds(span.keyframe),
            reason=_with_words(
                _reason(
                    span,
                    int(ranks[span.number]),
                    len(ranks),
                    float(seconds),
                    scores,
                    features,
                    clock,
                ),
                [e for e in evidence if _is_within(e, span, clock)],
            ),
        )
        for span, seconds in zip(choice.spans, represented, strict=True)
    )


def stands_for(features: VideoFeatures, keyframe_steps: Sequence[int], clock: Clock) -> np.ndarray:
    """Seconds of the video that are most like each key frame, (n_keyframes,) float64.

    Likeness is the cosine of the frame features less their mean over the video; every step goes to
    the nearest key frame, and brings the time until the next step.
    """
    rows, usual = features.features, mean(features.features)
    keys = _of_length_one(rows_at(rows, np.asarray(keyframe_steps)) - usual).T
    nearest = np.empty(len(rows), dtype=np.int64)
    for at in pieces(len(rows), ROWS_AT_ONCE):  # a day times its key frames would be gigabytes
        nearest[at] = np.argmax(_of_length_one(rows[at] - usual) @ keys, axis=1)
    nearest[np.asarray(keyframe_steps)] = np.arange(len(keyframe_steps))
    held = np.diff(np.append(features.seconds, float(clock.duration)))
    return np.bincount(nearest, weights=held, minlength=len(keyframe_steps))


def _of_length_one(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _reason(
    span: Span,
    rank: int,
    n_shots: int,
    represented: float,
    scores: Scores,
    features: VideoFeatures,
    clock: Clock,
) -> Reason:
    neighbours = _neighbours(span.keyframe_step, scores, features, clock)
    objects = _objects(span.keyframe_step, scores, features)
    release()
    parts = [
        f"Score rank {rank} of {n_shots} shots" if n_shots > 1 else "The only shot",
        f"the nearest key frame to {spoken(represented)} of the video",
    ]
    if neighbours:
        tenths = clock.duration < TENTHS_BELOW_SECONDS
        times = ", ".join(timecode(float(n.seconds), tenths=tenths) for n in neighbours[:3])
        parts.append(f"tied most strongly to {times}")
    parts += _in_view(objects)
    return Reason(
        text="; ".join(parts) + ".",
        rank=rank,
        stands_for_seconds=represented,
        neighbours=neighbours,
        objects=objects,
    )


def _is_within(piece: Evidence, span: Span, clock: Clock) -> bool:
    start, end = clock.seconds(span.start_frame), clock.seconds(span.end_frame)
    return piece.start_seconds < end and start < piece.end_seconds


def _with_words(reason: Reason, evidence: Sequence[Evidence]) -> Reason:
    """The reason led by what answers the query in this shot, the best piece in words."""
    if not evidence:
        return reason
    best = told_by(evidence[0])
    rest = reason.text[0].lower() + reason.text[1:]
    text = f"{best[0].upper()}{best[1:]}; {rest}"
    return replace(reason, text=text, words=tuple(evidence[:N_EVIDENCE]))


def _neighbours(
    step: int, scores: Scores, features: VideoFeatures, clock: Clock
) -> tuple[Neighbour, ...]:
    pairs = zip(scores.neighbours[step], scores.neighbour_weights[step], strict=True)
    return tuple(
        Neighbour(int(j), clock.seconds(int(features.picks[j])), float(weight))
        for j, weight in list(pairs)[:N_NEIGHBOURS]
        if j >= 0
    )


def _in_view(objects: Sequence[SeenObject]) -> list[str]:
    """What is seen, in words: a detector's things by name, else how many regions move or stand out."""
    named = Counter(o.kind for o in objects if o.score is not None)
    if named:
        return ["in view: " + ", ".join(counted(kind, n) for kind, n in named.most_common())]
    counts = Counter(o.kind for o in objects if o.kind != "grid")
    if not counts:
        return []
    regions = " and ".join(f"{n} {kind}" for kind, n in counts.most_common())
    return [f"{regions} region{'s' if sum(counts.values()) > 1 else ''} in view"]


def counted(name: str, n: int) -> str:
    """A thing and how often, without bending the word: "dog", "2 × dog"."""
    return name if n == 1 else f"{n} × {name}"


def _objects(step: int, scores: Scores, features: VideoFeatures) -> tuple[SeenObject, ...]:
    mask, boxes = features.object_mask, features.object_boxes
    if mask is None or boxes is None:
        return ()
    kinds, certain = features.object_kinds, features.object_scores
    seen = [
        SeenObject(
            kind=features.object_names[kinds[step, n]] if kinds is not None else "object",
            box=tuple(float(x) for x in boxes[step, n]),  # pyright: ignore[reportArgumentType]
            weight=_weight(scores, step, int(n), int(mask[step].sum())),
            score=None if certain is None else float(certain[step, n]),
        )
        for n in np.flatnonzero(mask[step])
    ]
    return tuple(sorted(seen, key=lambda o: (-o.weight, -(o.score or 0))))


def _weight(scores: Scores, step: int, slot: int, n_seen: int) -> float:
    weights = scores.object_weights
    if weights is None:
        return 1 / n_seen
    return float(weights[step, slot]) if slot < weights.shape[1] else 0.0


def timecode(seconds: float, *, tenths: bool = False) -> str:
    """Time as players write it: 1:23, 1:02:03, with tenths 1:23.4."""
    whole = int(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    text = f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
    return f"{text}.{int(seconds * 10) % 10}" if tenths else text


def spoken(seconds: float) -> str:
    """A length as people say it: 42 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"
