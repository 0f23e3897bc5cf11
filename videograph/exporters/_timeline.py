"""The chosen spans on a grid of frames: what every editing timeline is written from.

Our times are exact seconds; editors count frames at a rate they know. The border is here, and only
here: a rate is found for the file's clock, and each end of a span goes to the nearest frame of that
rate, from its own exact time, so that nothing adds up along the timeline (PySceneDetect's EDLs
drifted at 23.976 frames a second because they multiplied by a rounded rate).
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from unicodedata import category

import numpy as np

from videograph.records import ChosenShot, Clock, Summary
from videograph.spill import pieces

NTSC_FILM, NTSC, NTSC_DOUBLE = Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001)

EDITING_RATES = (
    NTSC_FILM, Fraction(24), Fraction(25), NTSC, Fraction(30), Fraction(50), NTSC_DOUBLE,
    Fraction(60),
)  # fmt: skip
"""Rates that every editor offers for a timeline."""

KNOWN_RATES = (
    *(Fraction(n) for n in (5, 6, 8, 10, 12)), Fraction(25, 2), Fraction(15), *EDITING_RATES,
    Fraction(48), Fraction(90), Fraction(100), Fraction(120000, 1001), Fraction(120), Fraction(240),
)  # fmt: skip
"""Rates that cameras and programs mean when a file's time stamps come near them."""

FRAMES_AT_ONCE = 1 << 17
"""Frames whose times are looked at together: a day has 2.6 million."""
SHOTS_AT_ONCE = 64
"""Shots whose times are looked up together."""

UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")
"""Unicode categories that break lines or files: control, surrogate, line and paragraph separator."""
NONCHARACTERS = "\ufffe\uffff"
"""XML forbids them."""

HIGHEST_RATE = 240
"""Above this a promised rate is a time base in disguise (WebM says 1000)."""


@dataclass(frozen=True)
class Cut:
    """One span of the summary, in frames of the timeline's rate."""

    start: int
    """First frame in the file."""
    end: int
    """One past the last frame in the file."""
    record: int
    """Frame of the timeline on which it begins."""
    shots: tuple[ChosenShot, ...]
    """The chosen shots within it, in order of time."""
    positions: tuple[int, ...]
    """Their places in the summary, from 1."""

    @property
    def n_frames(self) -> int:
        """Length in frames."""
        return self.end - self.start

    @property
    def name(self) -> str:
        """Places of its shots in the summary and its time in the file: "3 · 1:23", "3–5 · 1:23"."""
        ends = dict.fromkeys((self.positions[0], self.positions[-1]))
        return f"{'–'.join(map(str, ends))} · {clock_text(self.shots[0].start_seconds)}"


@dataclass(frozen=True)
class Timeline:
    """The summary as an editor sees it."""

    rate: Fraction
    """Frames a second."""
    n_source_frames: int
    """Length of the file in frames of that rate."""
    cuts: tuple[Cut, ...]
    """The spans, one after the other on the timeline."""
    notes: tuple[str, ...]
    """Sentences that a person should read."""

    @property
    def n_frames(self) -> int:
        """Length of the timeline in frames."""
        return sum(cut.n_frames for cut in self.cuts)

    def frame(self, seconds: Fraction) -> int:
        """The frame nearest to a time."""
        return nearest(seconds * self.rate)

    def marks(self, cut: Cut) -> list[tuple[int, int, ChosenShot]]:
        """Frame in the file, place in the summary, and shot, for each shot of a cut."""
        frames = [min(max(self.frame(s.start_seconds), cut.start), cut.end - 1) for s in cut.shots]
        return list(zip(frames, cut.positions, cut.shots, strict=True))


def timeline(summary: Summary, *, editing_rates_only: bool = False) -> Timeline:
    """The spans of a summary on the frame grid of its file.

    Args:
        summary: the summary.
        editing_rates_only: for formats whose readers know only `EDITING_RATES`; another rate gives
            way to one on whose grid its frames fall, where there is one.
    """
    clock = summary.report.clock
    rate, constant = frame_rate(clock, summary.info.average_rate)
    notes = [] if constant else [_variable_note(summary, rate)]
    if editing_rates_only and rate not in EDITING_RATES:
        notes.append(_unknown_rate_note(rate, editing_rate(rate)))
        rate = editing_rate(rate)
    spans = summary.spans
    n_source_frames = max(nearest(summary.duration_seconds * rate), len(spans))
    ranges = on_grid(spans, rate, n_source_frames)
    return Timeline(rate, n_source_frames, tuple(_cuts(summary, spans, ranges)), tuple(notes))


def frame_rate(clock: Clock, promised: Fraction | None) -> tuple[Fraction, bool]:
    """The rate whose frame numbers fit a clock, and whether one does within half a frame.

    A known rate that fits is taken before a strange one. Where none fits, the frame rate varies, and
    an editing rate near the usual distance between two frames has to do.
    """
    mean = clock.n_frames / clock.duration
    expected = promised if promised and 1 <= promised <= HIGHEST_RATE else mean
    best = min(KNOWN_RATES, key=lambda r: (round(_drift(clock, r), 2), _distance(r, expected)))
    for rate in (best, expected, mean.limit_denominator(1001)):
        if 0 < rate <= HIGHEST_RATE and _drift(clock, rate) < 0.5:
            return rate, True
    usual = 1 / (_usual_step(clock) * float(clock.time_base))
    return editing_rate(min(KNOWN_RATES, key=lambda r: _distance(r, usual))), False


def editing_rate(rate: Fraction) -> Fraction:
    """The editing rate that stands in for another: a multiple of it, else a part, else the nearest."""
    multiples = [r for r in EDITING_RATES if (r / rate).denominator == 1]
    parts = [r for r in EDITING_RATES if (rate / r).denominator == 1]
    if multiples or parts:
        return min(multiples) if multiples else max(parts)
    return min(EDITING_RATES, key=lambda r: _distance(r, rate))


def on_grid(
    spans: Sequence[tuple[Fraction, Fraction]], rate: Fraction, n_frames: int
) -> list[tuple[int, int]]:
    """Spans in frames, half-open: ends at the nearest frame, none empty, none overlapping.

    Args:
        spans: start and end in seconds, in order of time, not overlapping.
        rate: frames a second.
        n_frames: where the file ends; at least as many frames as there are spans.
    """
    ranges: list[tuple[int, int]] = []
    before = 0
    for start_seconds, end_seconds in spans:
        start = max(nearest(start_seconds * rate), before)
        before = max(nearest(end_seconds * rate), start + 1)
        ranges.append((start, before))
    limit = n_frames
    for i, (start, end) in reversed(list(enumerate(ranges))):  # what was pushed past the end
        end = min(end, limit)
        limit = min(start, end - 1)
        ranges[i] = (limit, end)
    return ranges


def timecode(frame: int, rate: Fraction) -> str:
    """A frame number as SMPTE timecode, "HH:MM:SS:FF"; drop-frame with ";" at 29.97 and 59.94.

    Drop-frame leaves out the first 2 (4 at 59.94) frame numbers of each minute but every tenth, so
    that the clock on the wall and the count agree (SMPTE ST 12-1). 23.976 is counted at 24 a second.
    """
    count = nearest(rate)
    separator = ":"
    if drops_frames(rate):
        separator = ";"
        dropped, per_minute = count // 15, count * 60 - count // 15
        tens, rest = divmod(frame, per_minute * 10 + dropped)
        minutes = max(0, (rest - dropped) // per_minute)
        frame += dropped * (9 * tens + minutes)
    seconds, frames = divmod(frame, count)
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours:02}:{minutes:02}:{seconds % 60:02}{separator}{frames:02}"


def frames_per_hour(rate: Fraction) -> int:
    """Frames between 00:00:00:00 and 01:00:00:00."""
    count = nearest(rate)
    return count * 3600 - (54 * (count // 15) if drops_frames(rate) else 0)


def drops_frames(rate: Fraction) -> bool:
    """Whether timecode at this rate is drop-frame by custom."""
    return rate in (NTSC, NTSC_DOUBLE)


def rate_text(rate: Fraction) -> str:
    """A rate for people: "25", "29.97", "23.976"."""
    return f"{float(rate):.3f}".rstrip("0").rstrip(".")


def nearest(value: Fraction) -> int:
    """The nearest whole number, halves up, so that equal distances stay equal."""
    return math.floor(value + Fraction(1, 2))


def file_uri(path: Path) -> str:
    """The absolute file URI of a path, percent-encoded."""
    return Path(os.path.abspath(path)).as_uri()


def clean(text: str) -> str:
    """Text that any UTF-8 file can hold on one line: no control characters, no lone surrogates."""
    kept = (" " if c in NONCHARACTERS or category(c) in UNPRINTABLE else c for c in text)
    return "".join(kept).strip()


def clock_text(seconds: Fraction) -> str:
    """A time for people: "1:23", or "1:01:23" from an hour on; cut, not rounded, as players do."""
    minutes, whole = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{whole:02}" if hours else f"{minutes}:{whole:02}"


def seconds_of(clock: Clock, frames: np.ndarray) -> np.ndarray:
    """As `Clock.seconds_of`, piece by piece: around each frame's time the system reads sixteen pages."""
    seconds = np.empty(frames.shape)
    for at in pieces(len(frames), SHOTS_AT_ONCE):
        seconds[at] = clock.seconds_of(frames[at])
    return seconds


def _cuts(
    summary: Summary, spans: Iterable[tuple[Fraction, Fraction]], ranges: Iterable[tuple[int, int]]
) -> Iterable[Cut]:
    record = 0
    waiting = deque(enumerate(summary.chosen, 1))
    for (_, end_seconds), (start, end) in zip(spans, ranges, strict=True):
        inside = [waiting.popleft()]
        while waiting and waiting[0][1].end_seconds <= end_seconds:
            inside.append(waiting.popleft())
        positions, shots = zip(*inside, strict=True)
        yield Cut(start, end, record, shots, positions)
        record += end - start


def _drift(clock: Clock, rate: Fraction) -> float:
    """How far, in frames, a frame lies at most from where a constant rate puts its number."""
    first, per_tick, most = int(clock.pts[0]), float(clock.time_base * rate), 0.0
    for at in pieces(clock.n_frames, FRAMES_AT_ONCE):
        ticks = clock.pts[at] - first
        apart = np.abs(ticks * per_tick - np.arange(at.start, at.stop))
        most = max(most, float(apart.max()))
    return most


def _usual_step(clock: Clock) -> float:
    """Usual distance between two frames, in ticks: a mean without the holes, for ticks may be coarse.

    In whole milliseconds the median step of 24 and of 23.976 frames a second is 42 alike.
    """
    steps = np.diff(clock.pts)
    median = np.median(steps)
    return float(np.mean(steps[np.abs(steps - median) < median / 4]))


def _distance(rate: Fraction, other: Fraction | float) -> float:
    return abs(math.log(rate / other))


def _variable_note(summary: Summary, rate: Fraction) -> str:
    clock = summary.report.clock
    mean = rate_text(clock.n_frames / clock.duration)
    return (
        f"The frame rate of {clean(summary.info.path.name)} varies ({mean} frames a second on average): "
        f"the timeline counts its time at {rate_text(rate)}, so a cut lies up to "
        f"{float(500 / rate):.0f} ms from the frame it means. Turn the file into one of constant rate "
        "first where your editor does not read variable rates."
    )


def _unknown_rate_note(rate: Fraction, instead: Fraction) -> str:
    return (
        f"Editors know no timeline of {rate_text(rate)} frames a second: this one runs at "
        f"{rate_text(instead)}, with each cut at the nearest frame. Open it in a project of that rate."
    )
