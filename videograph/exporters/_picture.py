"""The exact skim's picture: frames of the spans, upright, encoded at their own times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from av import VideoFrame
from av.codec import codecs_available
from av.codec.context import Flags
from av.container import OutputContainer
from av.filter import Graph
from av.video.frame import PictureType

from videograph.exporters._frames import Frames
from videograph.exporters._spans import Piece
from videograph.records import VideoInfo

ENCODERS = ("libx264", "mpeg4")
"""In order of preference. PyAV's own wheels carry both; a system build may lack the first."""
OPTIONS = {
    # The same skim every time, on any machine: with more threads x264's result depends on how many,
    # and differs from run to run (build 165; not where deblocking is off).
    "libx264": {
        "preset": "veryfast",
        "crf": "20",
        "forced-idr": "1",
        "threads": "1",
    },
    "mpeg4": {"qscale": "3", "threads": "1"},
}
TICK = Fraction(1, 60000)
"""Seconds per tick: whole ticks per frame at 24, 25, 30, 29.97, 50, 60 and 120 a second, and below
MPEG-4's limit of 65535 ticks a second."""
KEY_FRAME_SECONDS = 2
"""A player can jump this finely within a skim."""
TURNS = {
    0: (),
    90: (("transpose", "clock"),),
    180: (("hflip", ""), ("vflip", "")),
    270: (("transpose", "cclock"),),
}
"""Filters that turn a coded picture clockwise."""


@dataclass(frozen=True)
class Picture:
    """A frame of the skim."""

    at: Fraction
    frame: VideoFrame
    opens: bool
    """Whether it is the first of its span."""

    @property
    def pts(self) -> int:
        return round(self.at / TICK)


def pictures_of(frames: Frames, pieces: list[Piece]) -> Iterator[Picture]:
    """Frames whose time lies in a span, each at its own time less what was cut away before it."""
    for piece in pieces:
        opens = True
        for seconds, frame in frames.between(piece.start, piece.end):
            if seconds >= piece.start:
                yield Picture(piece.at + seconds - piece.start, frame, opens)
                opens = False


class Upright:
    """Frames as a player would show them: turned, pixels square, sides even, 4:2:0 in 8 bits."""

    def __init__(self, first: VideoFrame, info: VideoInfo) -> None:
        self._turn = TURNS[info.rotation]
        self.width, self.height = max(2, info.width // 2 * 2), max(2, info.height // 2 * 2)
        self._shown = (info.width, info.height)
        self._turned = info.rotation in (90, 270)
        self._form: tuple[Any, ...] = ()
        self.first = self(first)

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        form = (frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range)
        if form != self._form:
            self._graph = self._build(frame)
            self._form = form
        self._graph.push(frame)
        return self._graph.vpull()

    def _build(self, frame: VideoFrame) -> Graph:
        graph = Graph()
        source = graph.add(
            "buffer",
            video_size=f"{frame.width}x{frame.height}",
            pix_fmt=frame.format.name,
            time_base=str(frame.time_base),
            pixel_aspect="1/1",
            colorspace=str(int(frame.colorspace)),
            range=str(int(frame.color_range)),
        )
        steps = [graph.add(name, arguments) for name, arguments in self._steps(frame)]
        graph.link_nodes(source, *steps, graph.add("buffersink")).configure()
        return graph

    def _steps(self, frame: VideoFrame) -> list[tuple[str, str]]:
        size = (frame.height, frame.width) if self._turned else (frame.width, frame.height)
        steps = list(self._turn)
        if size == self._shown and min(size) > 1:
            steps.append(("crop", f"{self.width}:{self.height}:0:0"))  # an odd side loses a line
        else:
            steps.append(("scale", f"{self.width}:{self.height}"))
        return [*steps, ("format", "yuv420p")]


def add_video(out: OutputContainer, upright: Upright, rate: Fraction) -> Any:
    name = next(name for name in ENCODERS if name in codecs_available)
    stream: Any = out.add_stream(name, rate=rate, options=OPTIONS[name])
    codec = stream.codec_context
    codec.width, codec.height, codec.pix_fmt = upright.width, upright.height, "yuv420p"
    codec.time_base = TICK
    codec.flags |= Flags.frame_duration  # else the last frame's length is guessed
    codec.gop_size = max(1, round(rate * KEY_FRAME_SECONDS))
    for tag in ("colorspace", "color_range", "color_primaries", "color_trc"):
        setattr(codec, tag, getattr(upright.first, tag))
    return stream


def encoded(
    stream: Any, pictures: Iterator[Picture], upright: Upright, end: Fraction
) -> Iterator[Any]:
    """Encoded frames; each lasts until the next, the last one to the end of the skim."""
    for picture, until in _with_end(pictures, end):
        frame = upright(picture.frame)
        frame.pts, frame.time_base = picture.pts, TICK
        frame.duration = until - picture.pts
        frame.pict_type = PictureType.I if picture.opens else PictureType.NONE
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _with_end(pictures: Iterator[Picture], end: Fraction) -> Iterator[tuple[Picture, int]]:
    """Pictures with strictly rising ticks, the first at 0, and the tick where the next one starts."""
    held: Picture | None = None
    for picture in pictures:
        if held is None:
            held = replace(picture, at=Fraction(0))
        elif picture.pts > held.pts:
            yield held, picture.pts
            held = picture
    if held is not None:
        yield held, max(round(end / TICK), held.pts + 1)
