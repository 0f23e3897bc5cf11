"""How long a summary may be, in the words of people and in seconds of a video."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from videograph.errors import UsageError
from videograph.records import Clock

DEFAULT_SHARE = Fraction(15, 100)
"""Share of a video that a summary may take: Gygli et al., ECCV 2014, and the whole field since."""
DEFAULT_BUDGET = "15%"

# What "auto" may come to: long enough to tell something, short enough to be worth it.
AUTO_SHARES = (Fraction(5, 100), Fraction(30, 100))
AUTO_SECONDS = (Fraction(10), Fraction(300))


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


def allowed_seconds(
    budget: Budget, clock: Clock, worth: np.ndarray, lengths: np.ndarray
) -> Fraction:
    """What a budget that is no count of shots allows in a video.

    Args:
        budget: with a share, seconds, or "auto".
        clock: of the video.
        worth: of each shot, (n_shots,); "auto" takes those that stand out.
        lengths: of each shot in ticks of the clock, (n_shots,).
    """
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
