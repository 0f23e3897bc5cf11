"""The copied skim: coded packets moved unchanged, each span widened to begin at a key frame.

Frames that a span's last pictures refer to come along with them, so a span may also end a few frames
later. Sound packets follow one another without a gap: which packets stand for a span is chosen so that
sound and picture never differ by more than half a packet, about 12 ms, however many cuts there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from av.container import OutputContainer

from videograph.errors import UsageError, VideographError
from videograph.exporters._spans import Piece, only, readable, seek
from videograph.records import Clock, Summary, VideoInfo
from videograph.video import open_media

VIDEO_CODECS = ("h264", "hevc", "av1", "vp9", "mpeg4")
AUDIO_CODECS = ("aac", "mp3", "opus", "ac3", "eac3", "flac", "alac")
"""What an mp4 can hold and players can play from one."""
TICK = Fraction(1, 90000)
"""Seconds per video tick of the copy."""
SEEK_BACK_SECONDS = (0, 1, 5, 20, 60)
"""Tries to find a key frame before a span, where an index is imprecise."""
LEAD_SECONDS = 1
"""Sound is read from so long before a span."""
COARSE_TICK = Fraction(1, 8000)
"""Containers that count time in longer ticks (webm: milliseconds) round the duration of a packet."""


@dataclass(frozen=True)
class Copied:
    """A run of video packets that can be decoded without any other."""

    start: Fraction
    """Time of its key frame in seconds."""
    end: Fraction
    """Where its last frame ends."""
    stamps: tuple[int, ...]
    """PTS of its packets in the file's ticks, in decoding order."""
    entry: Fraction
    """Time to seek to so as to meet the key frame: before it, where an index is imprecise."""


def refuse_untimed(summary: Summary) -> None:
    """Refuse packets that do not say when they are shown.

    Raises:
        UsageError: the stream has no time stamps.
    """
    if summary.report.timestamps == "guessed":
        raise UsageError(
            f"{summary.info.path.name} has no time stamps, so its packets cannot be copied. "
            "Leave out --copy."
        )


def refuse_uncopyable(info: VideoInfo) -> None:
    """Refuse what an mp4 cannot hold; known before a frame is read.

    Raises:
        UsageError: a codec that does not go into an mp4.
    """
    with open_media(info.path) as container:
        for index, allowed in (
            (info.video_stream, VIDEO_CODECS),
            (info.audio_stream, AUDIO_CODECS),
        ):
            if index is None:
                continue
            stream: Any = container.streams[index]
            name = stream.codec.canonical_name
            if stream.type == "audio" and not stream.rate:
                name += " of an unknown rate"
            if name not in allowed:
                raise UsageError(
                    f"{info.path.name} holds {stream.type} in {name}, which cannot be copied into an "
                    f"mp4. Allowed: {', '.join(allowed)}. Leave out --copy to encode the skim anew."
                )


def plan(summary: Summary) -> list[Copied]:
    """The spans as they can be copied; those that come to touch are one. Nothing is decoded.

    Raises:
        VideographError: no span has a key frame before it.
    """
    runs: list[Copied] = []
    with open_media(summary.info.path) as container:
        source = Source(container, summary.info, summary.info.video_stream)
        for start, end in summary.spans:
            run = source.run(start, end, summary.report.clock)
            if run is None:
                continue
            if runs and run.start <= runs[-1].end:
                run = _joined(runs.pop(), run)
            runs.append(run)
    if not runs:
        raise VideographError(
            f"no key frame was found before any span of {summary.info.path.name}. Leave out --copy."
        )
    return runs


def widening(summary: Summary, runs: list[Copied]) -> list[str]:
    """A sentence on what the copy holds beyond the chosen spans, if anything."""
    asked, made = summary.summary_seconds, sum((r.end - r.start for r in runs), Fraction(0))
    exact = {(run.start, run.end) for run in runs}
    n_widened = sum(span not in exact for span in summary.spans)
    if made == asked:
        return []
    return [
        f"{n_widened} {'span' if n_widened == 1 else 'spans'} widened by "
        f"{float(made - asked):.1f} s in all to begin at key frames; "
        f"the skim lasts {float(made):.1f} s instead of {float(asked):.1f} s."
    ]


def _joined(before: Copied, after: Copied) -> Copied:
    known = set(before.stamps)
    stamps = before.stamps + tuple(s for s in after.stamps if s not in known)
    return Copied(before.start, max(before.end, after.end), stamps, before.entry)


def tracks(
    stack: ExitStack, out: OutputContainer, info: VideoInfo, runs: list[Copied], pieces: list[Piece]
) -> list[Iterator[Any]]:
    """The skim's packets, an iterator per stream; adds the streams to `out`, and sources to `stack`."""
    source = Source(stack.enter_context(open_media(info.path)), info, info.video_stream)
    video: Any = out.add_stream_from_template(source.stream, opaque=True)
    if source.stream.codec.canonical_name == "hevc":
        video.codec_context.codec_tag = "hvc1"  # Apple's players want this name of the two
    found = [_video_packets(video, source, runs, pieces)]
    if info.audio_stream is not None:
        source = Source(stack.enter_context(open_media(info.path)), info, info.audio_stream)
        found.append(
            _audio_packets(out.add_stream_from_template(source.stream, opaque=True), source, pieces)
        )
    return found


class Source:
    """Packets of one stream of an open file."""

    def __init__(self, container: Any, info: VideoInfo, index: int) -> None:
        self.stream = only(container, index)
        self._container, self._start = container, info.start_seconds

    def after(self, seconds: Fraction) -> Iterator[tuple[Fraction, Any]]:
        """Time and packet of what follows the last key frame before a time, in decoding order."""
        seek(self._container, self.stream, self._start + seconds)
        for packet in readable(self._container.demux(self.stream)):
            if packet.size and packet.pts is not None:
                yield self.seconds(packet.pts), packet

    def seconds(self, stamp: int) -> Fraction:
        """Our time of a PTS in the file's ticks."""
        return stamp * self.stream.time_base - self._start

    def run(self, start: Fraction, end: Fraction, clock: Clock) -> Copied | None:
        """The packets needed to show all frames from `start` to `end`, from a key frame."""
        for back in SEEK_BACK_SECONDS:
            run = self._run(start - back, start, end, clock)
            if run is not None or start < back:
                return run
        return None

    def _run(self, entry: Fraction, start: Fraction, end: Fraction, clock: Clock) -> Copied | None:
        key, top = None, Fraction(0)
        stamps: list[int] = []
        for seconds, packet in self.after(entry):
            if packet.is_keyframe and seconds <= start:
                key = top = seconds
                stamps = []
            if key is None or seconds < key:  # pictures that lean on frames before the key frame
                if seconds > end:
                    return None
                continue
            if seconds > top:
                # All frames up to `top` are here: a later one is coded once those before it are.
                if _end_of(top, clock) >= end:
                    break
                top = seconds
            stamps.append(packet.pts)
        return None if key is None else Copied(key, _end_of(top, clock), tuple(stamps), entry)


def _end_of(seconds: Fraction, clock: Clock) -> Fraction:
    """When the frame that is on the screen at a time makes way for the next."""
    return clock.seconds(clock.frame_at(seconds) + 1)


def _video_packets(
    stream: Any, source: Source, runs: list[Copied], pieces: list[Piece]
) -> Iterator[Any]:
    decode_ticks = iter(_decode_ticks(source, runs, pieces))
    for run, piece in zip(runs, pieces, strict=True):
        wanted, last = set(run.stamps), max(run.stamps)
        for seconds, packet in source.after(run.entry):
            if packet.pts in wanted:
                wanted.remove(packet.pts)
                length = (packet.duration or 0) * packet.time_base
                if packet.pts == last:
                    length = piece.end - seconds
                packet.pts = round((piece.at + seconds - piece.start) / TICK)
                packet.dts = next(decode_ticks)
                packet.time_base, packet.duration, packet.stream = (
                    TICK,
                    round(length / TICK),
                    stream,
                )
                yield packet
            if not wanted:
                break


def _decode_ticks(source: Source, runs: list[Copied], pieces: list[Piece]) -> list[int]:
    """DTS of all packets in decoding order: their PTS sorted, and early enough for every one.

    The file's own may be missing (Matroska has none) and would not rise across cuts.
    """
    ticks = [
        round((piece.at + source.seconds(stamp) - piece.start) / TICK)
        for run, piece in zip(runs, pieces, strict=True)
        for stamp in run.stamps
    ]
    in_order = np.sort(np.array(ticks, dtype=np.int64))
    return (in_order - max(0, int((in_order - ticks).max()))).tolist()


def _audio_packets(stream: Any, source: Source, pieces: list[Piece]) -> Iterator[Any]:
    tick = Fraction(1, source.stream.rate or 48000)
    at = Fraction(0)  # where the sound so far ends
    for piece in pieces:
        for seconds, packet in source.after(piece.start - LEAD_SECONDS):
            length = _length(packet, source.stream)
            if at + length / 2 > piece.at_end or seconds >= piece.end + length:
                break
            place = piece.at + seconds - piece.start
            if place < at - length / 2:
                continue  # it is nearer to what came before
            at = place if place > at + length else at  # more than rounding: the file has a gap here
            packet.pts = packet.dts = round(at / tick)
            packet.time_base, packet.duration, packet.stream = tick, round(length / tick), stream
            at += length
            yield packet


def _length(packet: Any, stream: Any) -> Fraction:
    samples = stream.codec_context.frame_size
    if packet.duration and (packet.time_base <= COARSE_TICK or not samples):
        return packet.duration * packet.time_base
    return Fraction(samples or 1024, stream.rate or 48000)
