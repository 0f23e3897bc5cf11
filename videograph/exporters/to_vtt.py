"""The chosen shots as WebVTT chapters of the original video, for `<track kind="chapters">`.

A cue per chosen shot on the original's own time line; in chapters, cues may leave gaps (W3C WebVTT).
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from videograph.exporters._timeline import clean, clock_text, nearest
from videograph.records import ChosenShot, Summary

SUFFIX = ".vtt"
FILE_NAME = "chapters.vtt"


def write(summary: Summary, path: Path) -> list[str]:
    """Write the chapters; there is never anything to add."""
    note = f"NOTE Chapters of {escape(summary.info.path.name)}: the shots chosen by videograph."
    blocks = ["WEBVTT", note]
    before = 0
    for position, shot in enumerate(summary.chosen, 1):
        start = max(nearest(shot.start_seconds * 1000), before)
        before = max(nearest(shot.end_seconds * 1000), start + 1)
        blocks.append(f"{position}\n{stamp(start)} --> {stamp(before)}\n{title(position, shot)}")
    path.write_text("\n\n".join(blocks) + "\n", encoding="utf-8", newline="\n")
    return []


def title(position: int, shot: ChosenShot) -> str:
    """A chapter's name: its place, when it begins, how much of the video it stands for."""
    words = [str(position), clock_text(shot.start_seconds)]
    share = nearest(Fraction(float(shot.reason.stands_for_seconds)))
    if share >= 1:
        words.append(f"stands for {f'{share} s' if share < 120 else clock_text(Fraction(share))}")
    return escape(" · ".join(words))


def stamp(milliseconds: int) -> str:
    """A WebVTT time stamp, HH:MM:SS.mmm."""
    seconds, milliseconds = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}.{milliseconds:03}"


def escape(text: str) -> str:
    """Text as WebVTT allows it in a cue or a note: one line, without markup and without an arrow."""
    return clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
