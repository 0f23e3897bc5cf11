"""What a video file itself says: its subtitle streams and its tags."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from typing import Any

from videograph.errors import VideographError
from videograph.language._clean import RawCue, as_said
from videograph.language._subtitles import same_language
from videograph.records import TimedText, VideoInfo

DESCRIPTION_TAGS = ("description", "synopsis", "comment")
"""Tags that say more of a file than its title, best first."""
MAX_SENTENCES = 16
"""Sentences of a description that are kept: below them stand links and thanks."""
_NOT_ABOUT_IT = re.compile(
    r"https?://|www\.|@|\bencod|\b(?:lavf|libx26|handbrake|ffmpeg)", re.IGNORECASE
)


def read_streams(info: VideoInfo, language: str, warn: Callable[[str], None]) -> list[RawCue]:
    """Cues of the best subtitle stream that has any: wanted language, whole, default, first.

    Times are shifted to the video's timeline, see `VideoInfo.start_seconds`.
    """
    from videograph.video import open_media  # av: not for those who only ask a cached video

    if not info.subtitle_streams:
        return []
    with open_media(info.path) as container:
        order = sorted(info.subtitle_streams, key=lambda i: _rank(container.streams[i], language))
    for index in order:
        try:
            cues = _stream_cues(info, index)
        except VideographError as error:
            warn(f"subtitles inside {info.path.name} (stream {index}) were left out: {error}")
            continue
        if cues:
            return cues
    return []


def _rank(stream: Any, language: str) -> tuple[bool, bool, bool, int]:
    from av.stream import Disposition

    return (
        bool(stream.disposition & Disposition.forced),
        not same_language(stream.metadata.get("language"), language),
        not stream.disposition & Disposition.default,
        stream.index,
    )


def _stream_cues(info: VideoInfo, index: int) -> list[RawCue]:
    from av.error import FFmpegError
    from av.stream import Discard

    from videograph.video import open_media

    cues: list[RawCue] = []
    with open_media(info.path) as container:
        for other in container.streams:
            if other.index != index:
                other.discard = Discard.all
        stream: Any = container.streams[index]
        for packet in _undamaged(container.demux(stream)):
            with suppress(FFmpegError):  # a damaged packet costs a line
                cues.extend(_packet_cues(packet, info.start_seconds))
    return cues


def _undamaged(packets: Iterator[Any]) -> Iterator[Any]:
    """Packets up to where the file ends, or ends in damage."""
    from av.error import FFmpegError

    with suppress(FFmpegError):
        yield from packets


def _packet_cues(packet: Any, start_seconds: Fraction) -> list[RawCue]:
    if packet.pts is None or not packet.size:
        return []
    start = Fraction(packet.pts) * packet.time_base - start_seconds
    end = start + Fraction(packet.duration or 0) * packet.time_base
    found = packet.decode()
    rects = [r for item in found for r in getattr(item, "rects", (item,))]
    return [(start, end, _ass_text(rect.ass)) for rect in rects if getattr(rect, "ass", b"")]


def _ass_text(line: bytes) -> str:
    """The last of the nine fields of FFmpeg's ASS events: order, layer, style, ..., effect, text."""
    return line.decode("utf-8", errors="replace").split(",", 8)[-1]


def read_description(info: VideoInfo) -> list[TimedText]:
    """Sentences of the description tags, without links and what programs wrote; untimed."""
    from videograph.video import open_media

    with open_media(info.path) as container:
        tags = {str(k).lower(): str(v) for k, v in container.metadata.items()}
    found: dict[str, None] = {}
    for name in DESCRIPTION_TAGS:
        for line in tags.get(name, "").splitlines():
            found.update(dict.fromkeys(_sentences_of(line)))
    return [TimedText(line, "description") for line in list(found)[:MAX_SENTENCES]]


def _sentences_of(line: str) -> list[str]:
    parts = (as_said(part) for part in re.split(r"(?<=[.!?])\s+", line))
    return [p for p in parts if len(p.split()) > 1 and not _NOT_ABOUT_IT.search(p)]
