"""Text of any origin as one line for people, and timed lines as sentences on the video's timeline."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Sequence
from fractions import Fraction

from videograph.records import TimedText

RawCue = tuple[Fraction, Fraction, str]
"""Start and end in seconds on the video's timeline, and text in any markup; nothing of it is checked."""

READ_SECONDS = 2
"""How long a line without a usable end stays, if none follows sooner."""
TOUCH_SECONDS = Fraction(1, 2)
"""Lines closer than this can belong together."""
SENTENCE_SECONDS, SENTENCE_LETTERS = 10, 240
"""Lines are joined to a sentence up to here: beyond it a span says too little about the moment."""
MIN_PUNCTUATED = 0.1
"""Share of lines that must end like a sentence before ends are believed: automatic captions have none."""
MAX_LETTERS = 2000
"""Letters of a line that are kept: far more than a screen shows."""

_ENDS = tuple('.?!…:;"”»)]。？！')
_TAG = re.compile(r"\{[^{}]*\}|<[^<>]*>")
_SPEAKER = re.compile(r"<v(?:\.[^\s<>]*)?\s+([^<>]+)>", re.IGNORECASE)
_DRAWING = re.compile(r"\{[^{}]*\\p[1-9][^{}]*\}")
_LINE_BREAK = re.compile(r"\\[Nn]|<br\s*/?>", re.IGNORECASE)
_CONTROLS = {0x200B, 0xFEFF, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}


def one_line(text: str) -> str:
    """Text without markup, entities, control characters and music signs; "" where no word is left."""
    text = _SPEAKER.sub(r" \1: ", text[: 4 * MAX_LETTERS])
    text = html.unescape(_TAG.sub("", _LINE_BREAK.sub(" ", text).replace("\\h", " ")))
    return as_said(text.replace("♪", " ").replace("♫", " "))


def as_said(text: str) -> str:
    """The words of a person on one line: only what would disturb a terminal is taken out."""
    kept = (" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in text[: 4 * MAX_LETTERS])
    line = " ".join("".join(c for c in kept if ord(c) not in _CONTROLS).split())
    return line[:MAX_LETTERS] if any(c.isalnum() for c in line) else ""


def as_texts(
    cues: Iterable[RawCue], source: str, duration: Fraction | None
) -> tuple[list[TimedText], int]:
    """Cues as clean sentences in order of time, and how many began after the end of the video.

    Cues may come in any order, overlap, lack an end or begin before 0. Lines that roll up the screen
    are taken once; a sentence that runs over several cues is joined, with the span of all of them.

    Args:
        cues: see `RawCue`.
        source: one of `records.WORD_SOURCES`.
        duration: end of the video in seconds; None where nobody knows.
    """
    lined = sorted((start, end, _lines(text)) for start, end, text in cues)
    inside, n_late = _on_timeline([cue for cue in lined if cue[2]], duration)
    texts = [
        TimedText(" ".join(lines), source, start, end) for start, end, lines in _unrolled(inside)
    ]
    return _sentences(texts), n_late


Cue = tuple[Fraction, Fraction, list[str]]


def _lines(text: str) -> list[str]:
    text = text[: 4 * MAX_LETTERS]  # of a damaged file all may be one cue
    if _DRAWING.search(text):
        return []
    lines = (one_line(line) for line in _LINE_BREAK.sub("\n", text).splitlines())
    return [line for line in lines if line]


def _on_timeline(cues: Sequence[Cue], duration: Fraction | None) -> tuple[list[Cue], int]:
    found: list[Cue] = []
    n_late = 0
    for i, (start, end, lines) in enumerate(cues):
        if end <= start:
            following = cues[i + 1][0] if i + 1 < len(cues) else start
            end = (
                min(start + READ_SECONDS, following) if following > start else start + READ_SECONDS
            )
        if duration is not None and start >= duration:
            n_late += 1
        elif end > 0:
            found.append((max(start, Fraction(0)), min(end, duration or end), lines))
    return found, n_late


def _unrolled(cues: Iterable[Cue]) -> list[Cue]:
    """Lines that the cue before still shows are left out; a cue of nothing else lengthens that one."""
    found: list[Cue] = []
    shown: list[str] = []
    for start, end, lines in cues:
        before = found[-1] if found else None
        touches = before is not None and start <= before[1] + TOUCH_SECONDS
        n_old = _n_repeated(shown, lines) if touches else 0
        if before is not None and n_old == len(lines):
            found[-1] = (before[0], max(before[1], end), before[2])
        else:
            found.append((start, end, lines[n_old:]))
        shown = lines
    return found


def _n_repeated(shown: list[str], lines: list[str]) -> int:
    """How many first lines are the last ones shown."""
    longest = min(len(shown), len(lines))
    return next((n for n in range(longest, 0, -1) if shown[-n:] == lines[:n]), 0)


def _sentences(texts: list[TimedText]) -> list[TimedText]:
    n_ended = sum(text.text.endswith(_ENDS) for text in texts)
    if n_ended < MIN_PUNCTUATED * len(texts):
        return texts
    found: list[TimedText] = []
    for text in texts:
        if found and _goes_on(found[-1], text):
            found[-1] = _joined(found[-1], text)
        else:
            found.append(text)
    return found


def _goes_on(first: TimedText, second: TimedText) -> bool:
    start, end, next_start, next_end = _times(first, second)
    return (
        not first.text.endswith(_ENDS)
        and second.text.lstrip("….- ")[:1].islower()
        and next_start >= end - TOUCH_SECONDS
        and next_start <= end + TOUCH_SECONDS
        and next_end - start <= SENTENCE_SECONDS
        and len(first.text) + len(second.text) < SENTENCE_LETTERS
    )


def _joined(first: TimedText, second: TimedText) -> TimedText:
    start, end, _, next_end = _times(first, second)
    return TimedText(f"{first.text} {second.text}", first.source, start, max(end, next_end))


def _times(first: TimedText, second: TimedText) -> tuple[Fraction, Fraction, Fraction, Fraction]:
    times = (first.start_seconds, first.end_seconds, second.start_seconds, second.end_seconds)
    return tuple(Fraction(0) if t is None else t for t in times)  # pyright: ignore[reportReturnType]
