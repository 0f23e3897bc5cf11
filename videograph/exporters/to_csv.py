"""The chosen shots as a table, a row each (RFC 4180; UTF-8 with a mark, so that Excel reads it)."""

from __future__ import annotations

import csv
from fractions import Fraction
from pathlib import Path

from videograph.exporters._timeline import clean, nearest
from videograph.records import ChosenShot, Summary

SUFFIX = ".csv"
FILE_NAME = "summary.csv"

COLUMNS = (
    "position",  # place in the summary, from 1
    "shot_number",  # among all shots of the video, from 0
    "start_time",  # HH:MM:SS.mmm
    "end_time",
    "start_seconds",
    "end_seconds",
    "duration_seconds",
    "start_frame",
    "end_frame",  # one past the last
    "score",  # 0 to 1
    "rank",  # by score among all shots, 1 = highest
    "keyframe_seconds",
    "keyframe_frame",
    "stands_for_seconds",
    "reason",
)
"""Header of the table; units are in the names."""


def write(summary: Summary, path: Path) -> list[str]:
    """Write the table; there is never anything to add."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        table.writerows(_row(i, shot) for i, shot in enumerate(summary.chosen, 1))
    return []


def _row(position: int, shot: ChosenShot) -> tuple[object, ...]:
    return (
        position,
        shot.number,
        _time(shot.start_seconds),
        _time(shot.end_seconds),
        _decimal(shot.start_seconds),
        _decimal(shot.end_seconds),
        _decimal(shot.end_seconds - shot.start_seconds),
        shot.start_frame,
        shot.end_frame,
        _decimal(shot.score),
        shot.reason.rank,
        _decimal(shot.keyframe_seconds),
        shot.keyframe,
        _decimal(shot.reason.stands_for_seconds),
        _text(shot.reason.text),
    )


def _decimal(value: Fraction | float) -> str:
    return f"{float(value):.6f}"


def _time(seconds: Fraction) -> str:
    whole, milliseconds = divmod(nearest(seconds * 1000), 1000)
    minutes, second = divmod(whole, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{second:02}.{milliseconds:03}"


def _text(text: str) -> str:
    """Text that a spreadsheet does not take for a formula (OWASP, CSV injection)."""
    text = clean(text)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
