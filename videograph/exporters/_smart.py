"""The exact skim of an H.264 file with most pictures copied: only the edges of spans are encoded anew.

A span is cut into at most three: a head up to the first picture at which a decoder can begin (IDR), a
body of coded pictures as they are, and a tail of the few that cannot be parted from what is shown after
the span. Head and tail are decoded and encoded with the profile of the file and under a number of
parameter sets of their own, so that both kinds of pictures find theirs in the one header of an mp4.

Whatever speaks against it (`Unfit`) leads to the way that encodes all: slower, and always right.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
from av import CodecContext, Packet, VideoFrame
from av.codec import codecs_available
from av.container import OutputContainer
from av.video.frame import PictureType

from videograph.exporters import _h264, _picture
from videograph.exporters._frames import Frames
from videograph.exporters._h264 import Unreadable
from videograph.exporters._picture import KEY_FRAME_SECONDS, OPTIONS, TICK
from videograph.exporters._remux import Source
from videograph.exporters._spans import Piece
from videograph.records import Summary
from videograph.video import open_media

LOOK_AHEAD = 40
"""Packets read beyond a span's end: pictures are coded at most 16 after one that is shown later."""
WORTH_SECONDS = Fraction(1, 4)
"""A shorter body is not worth a second cut."""


class Unfit(Exception):
    """Why a file's pictures cannot stand beside newly encoded ones."""


@dataclass(frozen=True)
class Part:
    """A stretch of a span, in seconds of the source."""

    start: Fraction
    end: Fraction
    stamps: tuple[int, ...] = ()
    """PTS of the packets to copy, in decoding order; none: encoded anew."""
    entry: Fraction = Fraction(0)
    """Where to seek so as to meet the first of them; an index may be imprecise."""


@dataclass(frozen=True)
class Plan:
    """Which pictures are copied, and under which parameter sets."""

    pieces: list[Piece]
    parts: list[list[Part]]
    """Of each piece."""
    sets: tuple[bytes, ...]
    """The file's own parameter sets."""
    own_number: int
    """The id of ours."""
    profile: str
    """In x264's words."""
    length_size: int
    """See `_h264.units`."""

    @property
    def copied_seconds(self) -> Fraction:
        """Seconds of the skim that are not encoded anew."""
        parts = [part for of_piece in self.parts for part in of_piece if part.stamps]
        return sum((part.end - part.start for part in parts), Fraction(0))


def plan(summary: Summary, pieces: list[Piece]) -> Plan:
    """Where each span is cut; nothing is decoded.

    Raises:
        Unfit: nothing can be copied, or its pictures cannot stand beside new ones.
    """
    info, report = summary.info, summary.report
    if info.codec != "h264" or info.pixel_format != "yuv420p":
        raise Unfit(f"{info.codec} in {info.pixel_format}, not h264 in yuv420p")
    if info.rotation or report.timestamps == "guessed" or report.decode_failures:
        raise Unfit("a turned picture, no time stamps, or damaged packets")
    if _picture.ENCODERS[0] not in codecs_available:
        raise Unfit("no encoder for the edges")
    with open_media(info.path) as container:
        source = Source(container, info, info.video_stream)
        try:
            return _plan(source, summary, pieces)
        except Unreadable as error:
            raise Unfit(f"the stream holds {error}") from error


def _plan(source: Source, summary: Summary, pieces: list[Piece]) -> Plan:
    codec = source.stream.codec_context
    if codec.width % 2 or codec.height % 2 or codec.sample_aspect_ratio not in (None, 0, 1):
        raise Unfit("odd sides, or pixels that are not square")
    length_size, sets = _h264.stored_sets(codec.extradata or b"")
    profile = _profile(sets)
    reader = _Reader(source, length_size, sets)
    parts = [reader.parts(piece) for piece in pieces]
    taken = {_h264.set_number(unit) for unit in sets}
    free = next((n for n in range(32) if n not in taken), None)
    if free is None:
        raise Unfit("parameter sets under every number")
    found = Plan(pieces, parts, tuple(sets), free, profile, length_size)
    if not found.copied_seconds:
        raise Unfit("no whole group of pictures in the spans")
    return found


def _profile(sets: list[bytes]) -> str:
    """The one profile of all sequences, in x264's words."""
    told = [_h264.sequence(u) for u in sets if _h264.kind(u) == _h264.SPS]
    profiles = {t.profile for t in told}
    if len(profiles) != 1 or not profiles <= set(_h264.PROFILES):
        raise Unfit(f"H.264 of profile {sorted(profiles)}")
    if not all(t.progressive for t in told):
        raise Unfit("interlaced pictures")
    return _h264.PROFILES[profiles.pop()]


class _Reader:
    """Finds what can be copied of each span."""

    def __init__(self, source: Source, length_size: int, sets: list[bytes]) -> None:
        self._source, self._length_size, self._sets = source, length_size, sets

    def parts(self, piece: Piece) -> list[Part]:
        """A span as head, body and tail; the body is missing where none is worth it."""
        group = self._group(piece)
        body = _body(group, piece)
        if body is None or body.end - body.start < WORTH_SECONDS:
            return [Part(piece.start, piece.end)]
        around = [Part(piece.start, body.start), body, Part(body.end, piece.end)]
        return [part for part in around if part.start < part.end]

    def _group(self, piece: Piece) -> list[tuple[Fraction, int]]:
        """Time and PTS of packets from the first IDR picture in the span, to beyond its end."""
        group: list[tuple[Fraction, int]] = []
        n_beyond = 0
        for seconds, packet in self._source.after(piece.start):
            begins = self._is_idr(packet)
            if (not group and seconds < piece.start) or (not group and not begins):
                if seconds >= piece.end:
                    break
                continue
            if begins and group and seconds >= piece.end:
                break
            group.append((seconds, packet.pts))
            n_beyond += seconds >= piece.end
            if n_beyond > LOOK_AHEAD:
                break
        return group

    def _is_idr(self, packet: Any) -> bool:
        kinds = set()
        for unit in _h264.units(bytes(packet), self._length_size):
            kinds.add(_h264.kind(unit))
            if _h264.kind(unit) in (_h264.SPS, _h264.PPS) and unit not in self._sets:
                raise Unfit("parameter sets that change on the way")
        if kinds & set(_h264.PARTITIONS):
            raise Unfit("slices in parts")
        return _h264.IDR_SLICE in kinds


def _body(group: list[tuple[Fraction, int]], piece: Piece) -> Part | None:
    """The longest run from the group's start that ends where nothing coded later is shown earlier."""
    if not group or min(group)[0] < group[0][0] or len(set(group)) < len(group):
        return None  # pictures shown before the one at which a decoder begins: not closed
    best, highest = None, group[0][0]
    later = _least_after(group)
    for n, (seconds, _) in enumerate(group, 1):
        highest = max(highest, seconds)
        next_shown = later[n]
        if highest < piece.end and (next_shown is None or highest < next_shown):
            end = piece.end if next_shown is None else min(next_shown, piece.end)
            best = Part(group[0][0], end, tuple(s for _, s in group[:n]), piece.start)
    return best


def _least_after(group: list[tuple[Fraction, int]]) -> list[Fraction | None]:
    """The earliest time among packets n, n + 1, ..., for each n; None past the last."""
    least: list[Fraction | None] = [None]
    for seconds, _ in reversed(group):
        least.append(seconds if least[-1] is None else min(seconds, least[-1]))
    return least[::-1]


def tracks(stack: ExitStack, out: OutputContainer, summary: Summary, plan: Plan) -> Iterator[Any]:
    """The skim's video packets; adds the stream to `out`, and sources to `stack`."""
    info = summary.info
    frames = stack.enter_context(Frames.of_pictures(summary))
    source = Source(stack.enter_context(open_media(info.path)), info, info.video_stream)
    edges = _Edges(frames, plan, source.stream.codec_context)
    header = sorted([*edges.sets, *plan.sets], key=_rank)
    template = _template(stack, header, edges.opening)
    stream: Any = out.add_stream_from_template(template, opaque=True)
    stream.time_base = TICK
    return _packets(stream, plan, source, edges)


def _rank(unit: bytes) -> tuple[int, int]:
    """Sequences first, that of the highest level at their head: it gives the header its level."""
    is_sequence = _h264.kind(unit) == _h264.SPS
    return (0, -_h264.sequence(unit).level) if is_sequence else (1, 0)


def _template(stack: ExitStack, header: list[bytes], opening: list[bytes]) -> Any:
    """A stream with that header. Only a file that is read can tell a stream's header, so one is made."""
    raw = b"".join(_h264.START_CODE + unit for unit in [*header, *opening])
    container = stack.enter_context(av.open(io.BytesIO(raw), format="h264"))
    return container.streams.video[0]


def _packets(stream: Any, plan: Plan, source: Source, edges: _Edges) -> Iterator[Any]:
    delay = _delay(plan, source)
    for piece, parts in zip(plan.pieces, plan.parts, strict=True):
        for part in parts:
            made = _copied(plan, source, piece, part) if part.stamps else edges.encoded(piece, part)
            for packet in made:
                packet.dts -= delay
                packet.stream = stream
                yield packet


def _delay(plan: Plan, source: Source) -> int:
    """Ticks by which decoding comes before showing, so that no copied picture is decoded too late."""
    delay = 0
    for piece, parts in zip(plan.pieces, plan.parts, strict=True):
        for part in parts:
            ticks = [_tick(piece, source.seconds(stamp)) for stamp in part.stamps]
            late = (slot - tick for slot, tick in zip(sorted(ticks), ticks, strict=True))
            delay = max(delay, *late) if ticks else delay
    return delay


def _tick(piece: Piece, seconds: Fraction) -> int:
    """When a moment of the source is shown, in ticks of the skim."""
    return round((piece.at + seconds - piece.start) / TICK)


def _copied(plan: Plan, source: Source, piece: Piece, part: Part) -> Iterator[Any]:
    """The packets of a body; the k-th to be decoded has the k-th time of showing as its DTS."""
    ticks = sorted(_tick(piece, source.seconds(stamp)) for stamp in part.stamps)
    until = dict(zip(ticks, [*ticks[1:], _tick(piece, part.end)], strict=True))
    wanted, slots = set(part.stamps), iter(ticks)
    for seconds, packet in source.after(part.entry):
        if packet.pts not in wanted:
            continue
        wanted.remove(packet.pts)
        units = _h264.units(bytes(packet), plan.length_size)
        moved = _packet(units, _tick(piece, seconds), next(slots))
        moved.duration = until[moved.pts] - moved.pts
        yield moved
        if not wanted:
            return
    raise Unfit(f"{len(wanted)} packets that were there are gone")


def _packet(units: list[bytes], pts: int, dts: int) -> Any:
    """A packet in Annex B; what the header holds is left out of it."""
    beside = (_h264.SPS, _h264.PPS, _h264.DELIMITER)
    kept = [u for u in units if _h264.kind(u) not in beside]
    packet: Any = Packet(b"".join(_h264.START_CODE + unit for unit in kept))
    packet.pts, packet.dts, packet.time_base = pts, dts, TICK
    packet.is_keyframe = any(_h264.kind(u) == _h264.IDR_SLICE for u in kept)
    return packet


class _Edges:
    """Encodes heads and tails, all under one pair of parameter sets, without pictures out of order."""

    def __init__(self, frames: Frames, plan: Plan, source: Any) -> None:
        self._frames, self._plan, self._source = frames, plan, source
        units = self._trial()
        self.sets = [u for u in units if _h264.kind(u) in (_h264.SPS, _h264.PPS)]
        """Their parameter sets."""
        self.opening = [u for u in units if u not in self.sets]
        """A picture encoded under them."""

    def encoded(self, piece: Piece, part: Part) -> Iterator[Any]:
        """The packets of a head or tail."""
        held: Any = None
        end = _tick(piece, part.end)
        for packet in self._encoded(piece, part):
            if held is not None:
                held.duration = packet.pts - held.pts
                yield held
            held = packet
        if held is not None:
            held.duration = end - held.pts
            yield held

    def _encoded(self, piece: Piece, part: Part) -> Iterator[Any]:
        codec = self._open()
        for seconds, frame in self._frames.between(part.start, part.end):
            if seconds >= part.start:
                frame.pts, frame.time_base = _tick(piece, seconds), TICK
                frame.pict_type = PictureType.NONE
                yield from self._wrapped(codec.encode(frame))
        yield from self._wrapped(codec.encode(None))

    def _wrapped(self, packets: list[Any]) -> Iterator[Any]:
        for packet in packets:
            units = _h264.units(bytes(packet), 0)
            if any(_h264.kind(u) in (_h264.SPS, _h264.PPS) and u not in self.sets for u in units):
                raise RuntimeError("the encoder's parameter sets change")  # never: same options
            assert packet.pts is not None
            yield _packet(units, packet.pts, packet.pts)

    def _trial(self) -> list[bytes]:
        codec = self._open()
        frame = VideoFrame(codec.width, codec.height, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frame.pts, frame.time_base = 0, TICK
        coded = [*codec.encode(frame), *codec.encode(None)]
        return _h264.units(b"".join(bytes(packet) for packet in coded), 0)

    def _open(self) -> Any:
        source, options = self._source, dict(OPTIONS["libx264"])
        options["x264-params"] = f"sps-id={self._plan.own_number}:bframes=0"
        codec: Any = CodecContext.create("libx264", "w")
        codec.width, codec.height, codec.pix_fmt = source.width, source.height, "yuv420p"
        codec.options = options | {"profile": self._plan.profile}
        codec.time_base = TICK
        rate = source.framerate or Fraction(25)
        codec.framerate = max(Fraction(1), min(Fraction(240), rate))
        codec.gop_size = max(1, round(codec.framerate * KEY_FRAME_SECONDS))
        for tag in ("colorspace", "color_range", "color_primaries", "color_trc"):
            setattr(codec, tag, getattr(source, tag))
        return codec
