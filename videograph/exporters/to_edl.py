"""The summary as a CMX 3600 edit decision list, which every editor reads.

Plain ASCII lines: an event per span, cut to cut, source timecode from 00:00:00:00 at second 0 of the
file, record timecode from 01:00:00:00. The format has no place for the rate: a comment under the
first event says which rate the project must have.
"""

from __future__ import annotations

import textwrap
import unicodedata
from pathlib import Path

from videograph.exporters._timeline import (
    Cut,
    Timeline,
    clean,
    clock_text,
    drops_frames,
    frames_per_hour,
    rate_text,
    timecode,
    timeline,
)
from videograph.records import Summary

SUFFIX = ".edl"
FILE_NAME = "timeline.edl"

REEL = "AX"
"""What editors call a source without a tape."""
MAX_EVENTS = 999
"""Event numbers of the format have three digits."""
COMMENT_WIDTH = 70


def write(summary: Summary, path: Path) -> list[str]:
    """Write the list; returns sentences on the rate, long lists and names that ASCII cannot hold."""
    lane = timeline(summary, editing_rates_only=True)
    name = ascii_text(summary.info.path.name)
    lines = [
        f"TITLE: {ascii_text(summary.info.path.stem)[:COMMENT_WIDTH]}",
        f"FCM: {'DROP FRAME' if drops_frames(lane.rate) else 'NON-DROP FRAME'}",
        "",
    ]
    exact = "" if lane.rate.denominator == 1 else f" ({lane.rate})"
    rate_comment = f"* FRAME RATE: {rate_text(lane.rate)}{exact}"
    channels = "V" if summary.info.audio_stream is None else "AA/V"
    for number, cut in enumerate(lane.cuts, 1):
        lines += _event(number, cut, lane, channels, name)
        lines += [rate_comment] if number == 1 else []
    path.write_bytes("".join(f"{line}\r\n" for line in lines).encode("ascii"))
    return [*lane.notes, *_notes(summary, lane, name)]


def ascii_text(text: str) -> str:
    """Text in printable ASCII: accents fall off, what has no ASCII becomes "_"."""
    plain = unicodedata.normalize("NFKD", clean(text))
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return "".join(c if c.isascii() else "_" for c in plain) or "_"


def _event(number: int, cut: Cut, lane: Timeline, channels: str, name: str) -> list[str]:
    first = frames_per_hour(lane.rate) + cut.record
    frames = (cut.start, cut.end, first, first + cut.n_frames)
    codes = " ".join(timecode(frame, lane.rate) for frame in frames)
    lines = [
        f"{number:03}  {REEL:<8} {channels:<5} C        {codes}",
        f"* FROM CLIP NAME: {name}",
    ]
    for frame, position, shot in lane.marks(cut):
        at = timecode(first + frame - cut.start, lane.rate)
        label = f"{position} AT {clock_text(shot.start_seconds)} SCORE {shot.score:.3f}"
        lines.append(f"* LOC: {at} GREEN   {label}")
        reason = textwrap.wrap(ascii_text(shot.reason.text), COMMENT_WIDTH)
        lines += [f"* COMMENT: {line}" for line in reason]
    return lines


def _notes(summary: Summary, lane: Timeline, name: str) -> list[str]:
    notes = []
    if name != summary.info.path.name:
        notes.append(
            f'An EDL holds only ASCII: {clean(summary.info.path.name)} is called "{name}" in it. '
            "Point your editor to the file by hand, or use the .otio or .fcpxml timeline."
        )
    if len(lane.cuts) > MAX_EVENTS:
        notes.append(
            f"The EDL has {len(lane.cuts)} events and the format numbers {MAX_EVENTS}: the numbers "
            "have four digits from there on, which most editors read. The .otio timeline has no limit."
        )
    last = max(lane.cuts[-1].end, frames_per_hour(lane.rate) + lane.n_frames)
    if last > 24 * frames_per_hour(lane.rate):
        notes.append(
            "The EDL runs past 24 hours, where timecode starts anew: hours above 23 are written as "
            "they are. If your editor refuses them, use the .otio timeline."
        )
    return notes
