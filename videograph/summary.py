"""The protocol: scores, picks, shots and a budget become a choice of shots.

One file for a user's video and for a published number. Only this file knows 15 %, the knapsack, and
how scores spread over frames. Where the field's public code disagrees with itself, each variant is a
named option and ours the default (`Protocol`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from videograph.errors import UsageError
from videograph.records import Clock, Shots
from videograph.spill import ROWS_AT_ONCE, mean, pieces

DEFAULT_SHARE = Fraction(15, 100)
"""Share of a video that a summary may take: Gygli et al., ECCV 2014, and the whole field since."""
DEFAULT_BUDGET = "15%"

# What "auto" may come to: long enough to tell something, short enough to be worth it.
AUTO_SHARES = (Fraction(5, 100), Fraction(30, 100))
AUTO_SECONDS = (Fraction(10), Fraction(300))


@dataclass(frozen=True)
class Protocol:
    """How scores become a summary; the variants that are in print, by name."""

    spread: str = "hold"
    """"hold": a score holds to the next pick, the last one to the end, 0 before the first (DSNet,
    PGL-SUM, CSTA); "hold_last_zero": the same, but the last frame keeps 0 (GraVi-T)."""
    shot_score: str = "mean_inclusive"
    """"mean_inclusive": mean over all frames of the shot (PGL-SUM, CSTA); "int1000":
    int(1000 * mean) (DSNet); "mean_drop_last": the shot's last frame is left out (GraVi-T)."""
    capacity: str = "floor_n_frames"
    """"floor_n_frames": int(n_frames * share) (DSNet); "floor_last_end": int((last shot's inclusive
    end + 1) * share) (PGL-SUM, CSTA); "real": n_frames * share, not rounded (GraVi-T)."""

    def __post_init__(self) -> None:
        for name, allowed in VARIANTS.items():
            if getattr(self, name) not in allowed:
                raise UsageError(
                    f'{name} is "{getattr(self, name)}". Allowed: {", ".join(allowed)}.'
                )


VARIANTS = {
    "spread": ("hold", "hold_last_zero"),
    "shot_score": ("mean_inclusive", "int1000", "mean_drop_last"),
    "capacity": ("floor_n_frames", "floor_last_end", "real"),
}
PROTOCOLS = {
    "ours": Protocol(),
    "dsnet": Protocol(shot_score="int1000"),
    "pglsum": Protocol(capacity="floor_last_end"),
    "gravit": Protocol("hold_last_zero", "mean_drop_last", "real"),
}
"""Bundles of variants by the public code that uses them; "pglsum" is also CA-SUM's and CSTA's."""


@dataclass(frozen=True)
class Budget:
    """How long a summary may be: exactly one of the three, or none of them for "auto"."""

    text: str
    """As people read it ("15%")."""
    share: Fraction | None = None
    """Share of the video's length, in (0, 1]."""
    seconds: Fraction | None = None
    """Length in seconds."""
    n_shots: int | None = None
    """Number of shots, whatever their length."""


def parse_budget(budget: str | float | Fraction | None) -> Budget:
    """The budget that a person means.

    Args:
        budget: a share ("15%", 0.15, "0.15"), a duration ("90s", "1m30s", "2h"), a count
            ("12 shots"), "auto", or None for the default.

    Raises:
        UsageError: it is none of these.
    """
    text = DEFAULT_BUDGET if budget is None else str(budget).strip()
    if text == "auto":
        return Budget(text)
    if match := re.fullmatch(r"(\d+)\s*shots?", text):
        if int(match[1]) > 0:
            return Budget(text, n_shots=int(match[1]))
    elif match := re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", text):
        if 0 < Fraction(match[1]) <= 100:
            return Budget(text, share=Fraction(match[1]) / 100)
    elif re.fullmatch(r"\d*\.?\d+", text):
        if 0 < Fraction(text) <= 1:
            return Budget(text, share=Fraction(text))
    elif (seconds := _seconds(text)) > 0:
        return Budget(text, seconds=seconds)
    is_percent = re.fullmatch(r"\d+(\.\d+)?", text) and 1 < Fraction(text) <= 100
    try_percent = f" For {text} %, write {text}%." if is_percent else ""
    raise UsageError(
        f'budget is {text}. Allowed: a share in (0, 1] ("15%", 0.15), a duration ("90s", "1m30s"), '
        f'a count ("12 shots") or "auto".{try_percent}'
    )


def _seconds(text: str) -> Fraction:
    match = re.fullmatch(r"(?:(\d+)\s*h)?\s*(?:(\d+)\s*m(?:in)?)?\s*(?:(\d+(?:\.\d+)?)\s*s)?", text)
    hours, minutes, seconds = match.groups() if match else (None, None, None)
    return Fraction(hours or 0) * 3600 + Fraction(minutes or 0) * 60 + Fraction(seconds or 0)


def spread_scores(
    scores: np.ndarray, picks: np.ndarray, n_frames: int, how: str = "hold"
) -> np.ndarray:
    """Scores of all frames, (n_frames,) float64, from those at the picks; or rows of such.

    Args:
        scores: (n_steps,), or (n_rows, n_steps).
        picks: frame index of each step, (n_steps,), increasing.
        n_frames: frames of the video.
        how: see `Protocol.spread`.
    """
    last = n_frames if how == "hold" else n_frames - 1
    edges = np.append(np.minimum(picks, last), last)
    scores = np.asarray(scores, np.float64)
    frame_scores = np.zeros((*scores.shape[:-1], n_frames))
    frame_scores[..., edges[0] : last] = np.repeat(scores, np.diff(edges), axis=-1)
    return frame_scores


def score_shots(frame_scores: np.ndarray, shots: Shots, how: str = "mean_inclusive") -> np.ndarray:
    """Score of each shot, (n_shots,) float64, or rows of such; `how`: see `Protocol.shot_score`.

    A shot of one frame scores 0 with "mean_drop_last", as an empty slice has nothing to say.
    """
    dropped = 1 if how == "mean_drop_last" else 0
    mean = np.zeros((*frame_scores.shape[:-1], shots.n_shots))
    for i, (start, end) in enumerate(shots.bounds):
        if end - dropped > start:
            mean[..., i] = frame_scores[..., start : end - dropped].mean(axis=-1)
    return np.floor(1000 * mean) if how == "int1000" else mean


def frame_capacity(
    shots: Shots,
    share: Fraction | float,
    how: str = "floor_n_frames",
    n_frames: int | None = None,
) -> float:
    """Frames that a summary may hold.

    "floor_last_end" differs from "floor_n_frames" where the shots stop short of the video's end. "real"
    differs in the number only: shots are whole frames long, so whatever fits in it fits in its floor.

    Args:
        shots: the video's shots.
        share: share of the frames that may be chosen.
        how: see `Protocol.capacity`.
        n_frames: frames of the video; None: the shots cover it.
    """
    counted = shots.n_frames if n_frames is None or how == "floor_last_end" else n_frames
    frames = Fraction(str(share)) * counted  # as written: 0.15 is a little less in binary
    return float(frames) if how == "real" else int(frames)


N_CLOSE_CALLS = 24
"""Items settled exactly for a first bound: enough for a tight one, few enough for no time."""


def knapsack(values: np.ndarray, weights: np.ndarray, capacity: float) -> np.ndarray:
    """The subset of greatest value that fits, (n,) bool: exact 0/1 knapsack.

    Items that no best solution can hold, or lack, are settled first by the Lagrangian bound at the
    critical ratio; over the rest, the undominated (weight, value) pairs are listed item by item
    (Nemhauser & Ullmann, 1969). The time so depends on the hard core, not on the capacity's size.
    Ties go to the smaller total weight, then to earlier items. Items worth nothing stay out.

    Args:
        values: (n,), at least 0.
        weights: (n,) whole numbers, above 0.
        capacity: total weight allowed.
    """
    values = np.asarray(values, dtype=np.float64)
    weights = np.asarray(weights, dtype=np.int64)
    grain = int(np.gcd.reduce(weights)) if len(weights) else 1
    weights, capacity = weights // grain, int(capacity // grain)
    chosen = np.zeros(len(values), dtype=bool)
    fits = np.flatnonzero((weights <= capacity) & (values > 0))
    if weights[fits].sum() <= capacity:
        chosen[fits] = True
        return chosen
    settled_in, core, gains, gap = _settle(values[fits], weights[fits], capacity)
    chosen[fits[settled_in]] = True
    room = capacity - int(weights[chosen].sum())
    core = fits[core]
    chosen[core] = _undominated(values[core], weights[core], room, gains, gap)
    return chosen


def _settle(
    values: np.ndarray, weights: np.ndarray, capacity: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Indices that every best solution holds, those that remain open, their gains, the gap.

    The gain of an item is its value less its weight at the critical price; the gap is what a best
    solution can lose against taking all gains. Going against the sign of a gain costs its size.
    """
    ratio = values / weights
    order = np.argsort(-ratio, kind="stable")
    filled = np.cumsum(weights[order])
    critical = ratio[order[np.searchsorted(filled, capacity, side="right")]]
    gain = values - critical * weights
    upper = critical * capacity + gain[gain > 0].sum()
    # A solution to beat: sides taken by the sign of the gain, the closest calls settled exactly.
    close = np.sort(np.argsort(np.abs(gain), kind="stable")[:N_CLOSE_CALLS])
    taken = gain > 0
    taken[close] = False
    room = capacity - int(weights[taken].sum())
    taken[close] = _undominated(values[close], weights[close], room)
    lower = values[taken].sum()
    gap = upper - lower + 1e-9 * max(1.0, lower)  # rounding must not settle a tie
    is_open = np.abs(gain) <= gap
    return np.flatnonzero(~is_open & (gain > 0)), np.flatnonzero(is_open), gain[is_open], gap


def _undominated(
    values: np.ndarray,
    weights: np.ndarray,
    capacity: int,
    gains: np.ndarray | None = None,
    gap: float = np.inf,
) -> np.ndarray:
    """The best subset that fits, (n,) bool, by listing the undominated (weight, value) pairs.

    With the items' gains, partial subsets that have lost more than the gap are given up.
    """
    total_weight, total_value, lost = np.zeros(1, np.int64), np.zeros(1), np.zeros(1)
    gains = np.zeros(len(values)) if gains is None else gains
    history: list[np.ndarray] = []
    for value, weight, gain in zip(values[::-1], weights[::-1], gains[::-1], strict=True):
        n = np.searchsorted(total_weight, capacity - weight, side="right")
        w = np.concatenate([total_weight[:n] + weight, total_weight])
        v = np.concatenate([total_value[:n] + value, total_value])
        cost = np.concatenate([lost[:n] + max(-gain, 0.0), lost + max(gain, 0.0)])
        order = np.lexsort((-v, w))  # stable: among equals the earlier item is taken
        best = np.maximum.accumulate(v[order])
        keep = order[np.concatenate([[True], v[order][1:] > best[:-1]])]
        keep = keep[cost[keep] <= gap]
        history.append(np.where(keep < n, keep, n - 1 - keep))  # >= 0: taken; -1 - parent: not
        total_weight, total_value, lost = w[keep], v[keep], cost[keep]
    chosen = np.zeros(len(values), dtype=bool)
    state = len(total_value) - 1
    for i, parents in enumerate(reversed(history)):
        chosen[i] = parents[state] >= 0
        state = parents[state] if chosen[i] else -1 - parents[state]
    return chosen


@dataclass(frozen=True)
class Selection:
    """Which shots make the summary."""

    chosen: np.ndarray
    """(n_shots,) bool."""
    shot_scores: np.ndarray
    """(n_shots,) float64, as the protocol counts them."""
    frame_scores: np.ndarray
    """(n_frames,) float64."""

    def frame_mask(self, shots: Shots) -> np.ndarray:
        """The summary frame by frame, (n_frames,) bool; frames after the last shot are not in it."""
        mask = np.zeros(len(self.frame_scores), dtype=bool)
        mask[: shots.n_frames] = np.repeat(self.chosen, shots.lengths)
        return mask


def select(
    scores: np.ndarray,
    picks: np.ndarray,
    shots: Shots,
    *,
    share: Fraction | float = DEFAULT_SHARE,
    protocol: Protocol | str = "ours",
    n_frames: int | None = None,
) -> Selection:
    """The benchmark's summary: shots of greatest total score within a share of the frames.

    Args:
        scores: (n_steps,).
        picks: frame index of each step, (n_steps,).
        shots: the video's shots.
        share: share of the frames that may be chosen.
        protocol: a `Protocol`, or the name of one in `PROTOCOLS`.
        n_frames: frames of the video, where its shots stop short of the end; None: they cover it.

    Raises:
        UsageError: no protocol has that name.
    """
    if isinstance(protocol, str):
        if protocol not in PROTOCOLS:
            raise UsageError(f'no protocol named "{protocol}". Available: {", ".join(PROTOCOLS)}.')
        protocol = PROTOCOLS[protocol]
    n_frames = shots.n_frames if n_frames is None else n_frames
    frame_scores = spread_scores(scores, picks, n_frames, protocol.spread)
    shot_scores = score_shots(frame_scores, shots, protocol.shot_score)
    capacity = frame_capacity(shots, share, protocol.capacity, n_frames)
    return Selection(knapsack(shot_scores, shots.lengths, capacity), shot_scores, frame_scores)


def select_many(
    scores: np.ndarray,
    picks: np.ndarray,
    shots: Shots,
    *,
    share: Fraction | float = DEFAULT_SHARE,
    protocol: Protocol,
) -> np.ndarray:
    """What `select` chooses for each of many rows of scores, (n_rows, n_shots) bool.

    Args:
        scores: (n_rows, n_steps).
        picks: frame index of each step, (n_steps,).
        shots: the video's shots.
        share: share of the frames that may be chosen.
        protocol: how scores become a summary.
    """
    frame_scores = spread_scores(scores, picks, shots.n_frames, protocol.spread)
    values = score_shots(frame_scores, shots, protocol.shot_score)
    capacity = frame_capacity(shots, share, protocol.capacity)
    return knapsack_many(values, shots.lengths, capacity)


LARGEST_TABLE = 10_000_000
"""Cells of the knapsack's table beyond which rows are better solved one by one."""


def knapsack_many(values: np.ndarray, weights: np.ndarray, capacity: float) -> np.ndarray:
    """What `knapsack` chooses for each of many rows of values, (n_rows, n) bool.

    The table of all capacities (Bellman, 1957), whose cost is shared by the rows; ties as there.

    Args:
        values: (n_rows, n), at least 0.
        weights: (n,) whole numbers, above 0.
        capacity: total weight allowed.
    """
    weights = np.asarray(weights, dtype=np.int64)
    grain = int(np.gcd.reduce(weights))
    cells = len(weights) * (int(capacity // grain) + 1)
    if len(values) < 4 or cells > LARGEST_TABLE:
        return np.stack([knapsack(row, weights, capacity) for row in values])
    n = max(1, LARGEST_TABLE // cells)
    parts = [values[i : i + n] for i in range(0, len(values), n)]
    return np.concatenate(
        [_by_table(part, weights // grain, int(capacity // grain)) for part in parts]
    )


def _by_table(values: np.ndarray, weights: np.ndarray, capacity: int) -> np.ndarray:
    n_rows, n = values.shape
    best, used = np.zeros((n_rows, capacity + 1)), np.zeros((n_rows, capacity + 1), np.int32)
    takes = np.zeros((n, n_rows, capacity + 1), dtype=bool)
    for i in reversed(range(n)):
        w = int(weights[i])
        if w > capacity:
            continue
        rest = capacity + 1 - w
        value, weight = best[:, :rest] + values[:, i, None], used[:, :rest] + w
        better = value > best[:, w:]
        better |= (value == best[:, w:]) & (weight <= used[:, w:])
        better &= values[:, i, None] > 0
        takes[i, :, w:] = better
        best[:, w:] = np.where(better, value, best[:, w:])
        used[:, w:] = np.where(better, weight, used[:, w:])
    rows, room = np.arange(n_rows), np.full(n_rows, capacity)
    chosen = np.zeros((n_rows, n), dtype=bool)
    for i in range(n):
        chosen[:, i] = takes[i, rows, room]
        room -= chosen[:, i] * weights[i]
    return chosen


@dataclass(frozen=True)
class Span:
    """A chosen shot, or the best piece of one that is longer than the whole budget."""

    number: int
    """Number of the shot, from 0."""
    start_frame: int
    """First frame."""
    end_frame: int
    """One past the last frame."""
    keyframe_step: int
    """Step of the key frame: the best-scored clear one inside, the most central among equals."""
    keyframe: int
    """Frame index of the key frame, inside the span."""


@dataclass(frozen=True)
class Choice:
    """What `choose` made of a budget."""

    spans: tuple[Span, ...]
    """In order of time, at least one, none overlapping."""
    shot_scores: np.ndarray
    """(n_shots,) float64."""
    budget_seconds: Fraction
    """What the budget allows in this video."""


BLANK_CONTRAST = 0.02
"""Frames of less contrast (black, white, fog) show nothing: five grey levels of 255."""


def without_blanks(scores: np.ndarray, contrast: np.ndarray | None) -> np.ndarray:
    """Scores with 0 for frames on which nothing can be seen, unless all are so, (n_steps,)."""
    if contrast is None or not (contrast >= BLANK_CONTRAST).any():
        return scores
    return np.where(contrast >= BLANK_CONTRAST, scores, 0).astype(scores.dtype)


def novelty(
    shot_scores: np.ndarray, picks: np.ndarray, shots: Shots, rows: np.ndarray
) -> np.ndarray:
    """How little of each shot is in any better-scored shot already, (n_shots,) float64 in [0, 1].

    1 less the greatest cosine between the shot's mean frame feature and those of better shots,
    after the video's mean is taken off. A scene that comes back counts in full once.

    Args:
        shot_scores: (n_shots,).
        picks: frame index of each step, (n_steps,).
        shots: the video's shots.
        rows: frame features, (n_steps, dim).
    """
    number = np.searchsorted(shots.bounds[:, 1], picks, side="right")
    means = np.zeros((shots.n_shots, rows.shape[1]), np.float32)
    usual = mean(rows)
    for at in pieces(len(rows), ROWS_AT_ONCE):
        np.add.at(means, number[at], rows[at] - usual)
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    best_first = np.lexsort((np.arange(shots.n_shots), -shot_scores))
    means = means[best_first]
    likeness = np.zeros(shots.n_shots)
    for start in range(0, shots.n_shots, 512):  # in blocks: a day has ten thousand shots
        block = means[start : start + 512] @ means[: start + 512].T
        better = np.tri(*block.shape, k=start - 1, dtype=bool)
        likeness[start : start + 512] = np.max(block, axis=1, initial=0.0, where=better)
    novel = np.empty(shots.n_shots)
    novel[best_first] = 1 - np.clip(likeness, 0, 1)
    return novel


def choose(
    scores: np.ndarray,
    picks: np.ndarray,
    shots: Shots,
    clock: Clock,
    budget: Budget,
    rows: np.ndarray | None = None,
    contrast: np.ndarray | None = None,
    first: np.ndarray | None = None,
) -> Choice:
    """The summary of a person's own video: the benchmark's rule, with lengths in time, not frames.

    What people watch should not repeat itself, so that a shot's score counts by its novelty, if
    the frame features are given. Never empty: where no shot fits, the best shot is cut to the
    best-scored piece that does, one frame at least.

    Args:
        scores: (n_steps,).
        picks: frame index of each step, (n_steps,).
        shots: the video's shots.
        clock: its time stamps.
        budget: how long the summary may be.
        rows: frame features, (n_steps, dim).
        contrast: of each step's frame, (n_steps,); a key frame shall not be caught in a fade.
        first: shots that come before all others, as they answer a query, (n_shots,) bool; None: none.
    """
    frame_scores = spread_scores(scores, picks, shots.n_frames)
    shot_scores = score_shots(frame_scores, shots)
    worth = shot_scores
    if rows is not None:
        worth = shot_scores * novelty(shot_scores, picks, shots, rows)
    first = np.zeros(shots.n_shots, dtype=bool) if first is None else first
    worth = np.where(first, shot_scores, worth)  # who asks for it wants it all
    ticks = np.append(clock.pts, clock.end)
    lengths = ticks[shots.bounds[:, 1]] - ticks[shots.bounds[:, 0]]
    if budget.n_shots is not None:
        best_first = np.lexsort((np.arange(shots.n_shots), lengths, -worth, ~first))
        chosen = np.isin(np.arange(shots.n_shots), best_first[: budget.n_shots])
        capacity = int(lengths[chosen].sum())
    else:
        allowed = _allowed_seconds(budget, clock, worth, lengths)
        capacity = int(allowed / clock.time_base)
        chosen = _first_come(worth, lengths, capacity, first)
    bounds = shots.bounds[chosen]
    if not chosen.any():
        best = int(np.lexsort((lengths, -worth, ~first))[0])
        chosen[best] = True
        start, end = shots.bounds[best]
        bounds = _best_piece(frame_scores, ticks, start, end, capacity)[None]
    clear = np.ones(len(picks), np.float32) if contrast is None else contrast
    spans = [
        Span(
            int(number),
            int(start),
            int(end),
            *_keyframe(scores, picks, clear, int(start), int(end)),
        )
        for number, (start, end) in zip(np.flatnonzero(chosen), bounds, strict=True)
    ]
    return Choice(tuple(spans), shot_scores, capacity * clock.time_base)


def _first_come(
    worth: np.ndarray, lengths: np.ndarray, capacity: int, first: np.ndarray
) -> np.ndarray:
    """Shots within the capacity, (n_shots,) bool: the best of the first ones that fit, then what fills it.

    Nothing but a first shot is chosen if there is one and none fits.
    """
    chosen = np.zeros(len(worth), dtype=bool)
    for shot in np.lexsort((lengths, -worth)):
        if first[shot] and lengths[chosen].sum() + lengths[shot] <= capacity:
            chosen[shot] = True
    if chosen.any() or not first.any():
        rest = ~first
        left = capacity - int(lengths[chosen].sum())
        chosen[rest] = knapsack(worth[rest], lengths[rest], left)
    return chosen


def _allowed_seconds(
    budget: Budget, clock: Clock, worth: np.ndarray, lengths: np.ndarray
) -> Fraction:
    if budget.seconds is not None:
        return min(budget.seconds, clock.duration)
    if budget.share is not None:
        return budget.share * clock.duration
    low, high = AUTO_SHARES
    share = Fraction(int(lengths[_stands_out(worth)].sum()), int(lengths.sum()))
    seconds = min(max(share, low), high) * clock.duration
    return min(max(seconds, AUTO_SECONDS[0]), AUTO_SECONDS[1], clock.duration)


def _stands_out(worth: np.ndarray) -> np.ndarray:
    """Shots above the break that parts the worths best into two groups (Otsu, 1979), (n_shots,) bool."""
    ordered = np.sort(worth)
    n_low = np.arange(1, len(ordered))
    sums = np.cumsum(ordered)
    low = sums[:-1] / n_low
    high = (sums[-1] - sums[:-1]) / (len(ordered) - n_low)
    between = n_low * (len(ordered) - n_low) * (high - low) ** 2
    if len(between) == 0 or between.max() <= 0:
        return np.zeros(len(ordered), dtype=bool)
    return worth > ordered[np.argmax(between)]


def _best_piece(
    frame_scores: np.ndarray, ticks: np.ndarray, start: int, end: int, capacity: int
) -> np.ndarray:
    """First frame and one past the last of the best-scored piece that fits, (2,) int64."""
    starts = np.arange(start, end)
    ends = np.searchsorted(ticks, ticks[starts] + capacity, side="right") - 1
    ends = np.clip(ends, starts + 1, end)
    sums = np.concatenate([[0.0], np.cumsum(frame_scores)])
    # A piece cut short by the shot's end loses the score it could have held.
    full = ends - starts >= np.max(ends - starts) - 1
    mean = np.where(full, (sums[ends] - sums[starts]) / (ends - starts), -1.0)
    off_centre = np.abs(ends + starts - (start + end))
    best = np.lexsort((off_centre, -np.round(mean, 9)))[0]
    return np.array([starts[best], ends[best]], dtype=np.int64)


def _keyframe(
    scores: np.ndarray, picks: np.ndarray, contrast: np.ndarray, start: int, end: int
) -> tuple[int, int]:
    """Step and frame of the best-scored clear frame of a span, the most central among equals."""
    off_centre = np.abs(2 * picks - (start + end))
    inside = np.flatnonzero((picks >= start) & (picks < end))
    if len(inside) == 0:
        step = int(np.argmin(off_centre))
        return step, int(np.clip(picks[step], start, end - 1))
    clear = inside[contrast[inside] >= contrast[inside].max() / 2]
    step = int(clear[np.lexsort((off_centre[clear], -scores[clear]))[0]])
    return step, int(picks[step])
