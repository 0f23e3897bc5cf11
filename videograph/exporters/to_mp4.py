"""The skim: the chosen spans as one mp4, with sound in step.

Two ways. The exact one decodes the spans and encodes them again, so every cut falls between the two
frames it was meant for. `copy=True` moves the coded packets unchanged: far faster, but a cut can only
fall on a key frame. Both place pictures and sound from the same list of spans in exact fractions, so
nothing adds up over many cuts.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
from av import AudioFrame, AudioResampler, VideoFrame
from av.codec import codecs_available
from av.container import OutputContainer
from av.error import FFmpegError
from av.filter import Graph
from av.stream import Discard
from av.video.frame import PictureType

from videograph.errors import VideographError
from videograph.records import Clock, Hook, Summary, VideoInfo, no_hook
from videograph.video import open_media

SUFFIX = ".mp4"
FILE_NAME = "skim.mp4"

VIDEO_ENCODERS = ("libx264", "mpeg4")
"""In order of preference. PyAV's own wheels carry both; a system build may lack the first."""
VIDEO_OPTIONS = {
    # x264's result depends on the number of threads: a fixed one makes the same skim on any machine.
    "libx264": {"preset": "veryfast", "crf": "20", "forced-idr": "1", "threads": "8"},
    "mpeg4": {"qscale": "3", "threads": "1"},
}
TICK = Fraction(1, 60000)
"""Seconds per video tick: whole ticks per frame at 24, 25, 30, 29.97, 50, 60 and 120 a second, and below
MPEG-4's limit of 65535 ticks a second."""
KEY_FRAME_SECONDS = 2
"""A player can jump this finely within a skim."""
AUDIO_RATES = (
    96000,
    88200,
    64000,
    48000,
    44100,
    32000,
    24000,
    22050,
    16000,
    12000,
    11025,
    8000,
    7350,
)
"""Samples a second that AAC knows; any other rate becomes `FALLBACK_RATE`."""
FALLBACK_RATE = 48000
AUDIO_BITS = {"mono": 96_000, "stereo": 160_000}
AUDIO_BLOCK = 1024
"""Samples in an AAC packet."""
JITTER_SECONDS = Fraction(1, 200)
"""Stamps of neighbouring audio frames that disagree by less are rounding (a webm counts milliseconds)."""
FADE_SECONDS = Fraction(4, 1000)
"""Sound fades at both ends of a span for so long: a hard cut in a wave is heard as a click."""
AUDIO_LEAD_SECONDS = Fraction(1, 4)
"""Sound is decoded from so long before a span: codecs need a few packets to come to themselves."""
TURNS = {
    0: (),
    90: (("transpose", "clock"),),
    180: (("hflip", ""), ("vflip", "")),
    270: (("transpose", "cclock"),),
}
"""Filters that turn a coded picture clockwise."""
MAKESHIFT = (
    "The skim is MPEG-4 and browsers may not play it: this build of FFmpeg has no H.264 encoder. "
    "PyAV's own wheels have one (pip install --force-reinstall --only-binary=av av)."
)
SEEK_BACK_SECONDS = (0, 1, 5, 20)
"""Tries to land at or before a span, where an index is imprecise or key frames are damaged."""


@dataclass(frozen=True)
class _Piece:
    """A span and its place in the skim, all in seconds."""

    start: Fraction
    end: Fraction
    at: Fraction

    @property
    def at_end(self) -> Fraction:
        return self.at + self.end - self.start


def write(summary: Summary, path: Path, *, copy: bool = False, hook: Hook = no_hook) -> list[str]:
    """Write the skim of a summary.

    The exact skim is H.264 in 4:2:0, 8 bits, upright, with square pixels and even sides, each frame at
    its own time (variable rates stay variable), and AAC with one or two channels at the source's rate.
    Each span is a chapter named by its time in the source.

    Args:
        summary: what `videograph.summarize` returned.
        path: where to.
        copy: move packets instead of encoding anew; spans widen to the key frame at or before them.
        hook: told "skim", seconds written, seconds in all.

    Returns:
        Sentences a person should read: what was widened, or which makeshift was used.

    Raises:
        UsageError: `copy` of a codec that an mp4 cannot hold.
        VideographError: nothing of the spans can be decoded, or the file cannot be written.
    """
    try:
        return _write_exact(summary, path, hook)
    except FFmpegError as error:
        raise VideographError(
            f"cannot write a skim of {summary.info.path.name}: {error.strerror}. "
            "Try another place with -o, or leave the skim out."
        ) from error


def _pieces(spans: list[tuple[Fraction, Fraction]]) -> list[_Piece]:
    pieces: list[_Piece] = []
    for start, end in spans:
        pieces.append(_Piece(start, end, pieces[-1].at_end if pieces else Fraction(0)))
    return pieces


def _open_output(path: Path, info: VideoInfo, pieces: list[_Piece]) -> OutputContainer:
    """An mp4 whose index comes first, so that a browser can start before it has all of it."""
    out = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
    out.metadata["title"] = f"{info.title or info.path.stem} - skim"
    out.set_chapters(
        [
            {
                "id": number,
                "start": round(piece.at * 1000),
                "end": round(piece.at_end * 1000),
                "time_base": Fraction(1, 1000),
                "metadata": {"title": f"from {_clock_face(piece.start)}"},
            }
            for number, piece in enumerate(pieces)
        ]
    )
    return out


def _clock_face(seconds: Fraction) -> str:
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def _mux(out: OutputContainer, packets: Iterator[Any], total: Fraction, hook: Hook) -> None:
    told = Fraction(0)
    for packet in packets:
        done = min(total, max(Fraction(0), packet.dts * packet.time_base))
        out.mux(packet)
        if done >= told + 1:
            told = done
            hook("skim", float(told), float(total))
    hook("skim", float(total), float(total))


# -- exact: decode the spans, encode them anew --


def _write_exact(summary: Summary, path: Path, hook: Hook) -> list[str]:
    pieces = _pieces(summary.spans)
    with ExitStack() as stack:
        pictures = _pictures(stack.enter_context(_Frames.of_pictures(summary)), pieces)
        first = next(pictures, None)
        if first is None:
            raise VideographError(
                f"cannot make a skim of {summary.info.path.name}: none of the frames in its spans "
                "can be decoded. The key frames and the storyboard can still be exported."
            )
        out = stack.enter_context(_open_output(path, summary.info, pieces))
        upright = _Upright(first.frame, summary.info)
        video = _add_video(out, upright, _frame_rate(summary))
        notes = [] if video.codec_context.name == VIDEO_ENCODERS[0] else [MAKESHIFT]
        tracks = [_video_packets(video, chain([first], pictures), upright, pieces[-1].at_end)]
        if summary.info.audio_stream is not None:
            sounds = stack.enter_context(_Frames(summary.info, summary.info.audio_stream))
            audio = _add_audio(out, sounds.stream)
            tracks.append(_audio_packets(audio, sounds, pieces))
        _mux(out, heapq.merge(*tracks, key=_decode_time), pieces[-1].at_end, hook)
    return notes


def _decode_time(packet: Any) -> Fraction:
    return packet.dts * packet.time_base


def _frame_rate(summary: Summary) -> Fraction:
    """What the rate control may assume; times do not depend on it."""
    clock = summary.report.clock
    rate = Fraction(clock.n_frames) / clock.duration
    return max(Fraction(1), min(Fraction(240), rate)).limit_denominator(1001)


class _Frames:
    """Decoded frames of one stream in rising spans, by seeking where that spares decoding."""

    def __init__(self, info: VideoInfo, index: int, clock: Clock | None = None) -> None:
        self._info, self._index, self._clock = info, index, clock
        self._can_seek = clock is None
        self._reach = Fraction(1)  # longest way seen from a key frame to the span after it
        self._position: Fraction | None = None  # time of the last frame decoded

    @classmethod
    def of_pictures(cls, summary: Summary) -> _Frames:
        """The video's frames; of one without time stamps, frame k has the time that the clock guessed."""
        guessed = summary.report.timestamps == "guessed"
        clock = summary.report.clock if guessed else None
        return cls(summary.info, summary.info.video_stream, clock)

    def __enter__(self) -> _Frames:
        self._stack = ExitStack()
        self._open()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def _open(self) -> None:
        self._stack.close()
        self._container = self._stack.enter_context(open_media(self._info.path))
        for stream in self._container.streams:
            stream.discard = Discard.default if stream.index == self._index else _IGNORE
        self.stream: Any = self._container.streams[self._index]
        self.stream.codec_context.thread_type = "AUTO"
        self._ready = self._decode()

    def between(self, start: Fraction, end: Fraction) -> Iterator[tuple[Fraction, Any]]:
        """Time and frame of what is at least partly shown (heard) from `start` to `end`, in order."""
        self._approach(start)
        last: list[tuple[Fraction, Any]] = []
        for seconds, frame in self._ready:
            if seconds >= end:
                last.append((seconds, frame))
                break
            last = [(seconds, frame)]
            yield seconds, frame
        self._ready = chain(last, self._ready)  # the next span may begin in them

    def _approach(self, start: Fraction) -> None:
        """Stand at a frame at or before `start`, or where no seeking brings us before it."""
        position = self._position
        if not self._can_seek or (position is not None and start - position <= self._reach):
            return
        for back in SEEK_BACK_SECONDS:
            if not self._seek(start - back):
                return
            first = next(self._ready, None)
            if first is not None:
                self._ready = chain([first], self._ready)
                self._reach = max(self._reach, start - first[0])
                if first[0] <= start or start <= back:
                    return

    def _seek(self, seconds: Fraction) -> bool:
        ticks = (self._info.start_seconds + seconds) / self.stream.time_base
        try:
            self._container.seek(int(ticks // 1), stream=self.stream)
            self._ready = self._decode()
        except FFmpegError:
            self._can_seek = False
            self._open()
        return self._can_seek

    def _decode(self) -> Iterator[tuple[Fraction, Any]]:
        n_frames = 0
        for packet in _readable(self._container.demux(self.stream)):
            try:
                frames = packet.decode()
            except (FFmpegError, EOFError):
                continue
            for frame in frames:
                seconds = self._seconds(frame, n_frames)
                n_frames += 1
                if seconds is not None:
                    self._position = seconds
                    yield seconds, frame

    def _seconds(self, frame: Any, number: int) -> Fraction | None:
        if self._clock is not None:
            return self._clock.seconds(number) if number < self._clock.n_frames else None
        ticks = frame.pts if frame.pts is not None else frame.dts
        return None if ticks is None else ticks * frame.time_base - self._info.start_seconds


_IGNORE = Discard.all


def _readable(packets: Iterator[Any]) -> Iterator[Any]:
    """Packets up to where the file ends or cannot be read any more."""
    try:
        yield from packets
    except FFmpegError:
        return


@dataclass(frozen=True)
class _Picture:
    """A frame of the skim."""

    at: Fraction
    frame: VideoFrame
    opens: bool
    """Whether it is the first of its span."""

    @property
    def pts(self) -> int:
        return round(self.at / TICK)


def _pictures(frames: _Frames, pieces: list[_Piece]) -> Iterator[_Picture]:
    """Frames whose time lies in a span, each at its own time less what was cut away before it."""
    for piece in pieces:
        opens = True
        for seconds, frame in frames.between(piece.start, piece.end):
            if seconds >= piece.start:
                yield _Picture(piece.at + seconds - piece.start, frame, opens)
                opens = False


class _Upright:
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
        if size == self._shown:
            steps.append(("crop", f"{self.width}:{self.height}:0:0"))  # an odd side loses a line
        else:
            steps.append(("scale", f"{self.width}:{self.height}"))
        return [*steps, ("format", "yuv420p")]


def _add_video(out: OutputContainer, upright: _Upright, rate: Fraction) -> Any:
    name = next(name for name in VIDEO_ENCODERS if name in codecs_available)
    stream: Any = out.add_stream(name, rate=rate, options=VIDEO_OPTIONS[name])
    codec = stream.codec_context
    codec.width, codec.height, codec.pix_fmt = upright.width, upright.height, "yuv420p"
    codec.time_base = TICK
    codec.gop_size = max(1, round(rate * KEY_FRAME_SECONDS))
    for tag in ("colorspace", "color_range", "color_primaries", "color_trc"):
        setattr(codec, tag, getattr(upright.first, tag))
    return stream


def _video_packets(
    stream: Any, pictures: Iterator[_Picture], upright: _Upright, end: Fraction
) -> Iterator[Any]:
    """Encoded frames; each lasts until the next, the last one to the end of the skim."""
    for picture, until in _with_end(pictures, end):
        frame = upright(picture.frame)
        frame.pts, frame.time_base = picture.pts, TICK
        frame.duration = until - picture.pts
        frame.pict_type = PictureType.I if picture.opens else PictureType.NONE
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _with_end(pictures: Iterator[_Picture], end: Fraction) -> Iterator[tuple[_Picture, int]]:
    """Pictures with strictly rising ticks, the first at 0, and the tick where the next one starts."""
    held: _Picture | None = None
    for picture in pictures:
        if held is None:
            held = replace(picture, at=Fraction(0))
        elif picture.pts > held.pts:
            yield held, picture.pts
            held = picture
    if held is not None:
        yield held, max(round(end / TICK), held.pts + 1)


def _add_audio(out: OutputContainer, source: Any) -> Any:
    rate = source.rate if source.rate in AUDIO_RATES else FALLBACK_RATE
    layout = "mono" if source.codec_context.channels == 1 else "stereo"
    stream: Any = out.add_stream("aac", rate=rate, layout=layout)
    stream.codec_context.bit_rate = AUDIO_BITS[layout]
    stream.codec_context.time_base = Fraction(1, rate)
    return stream


def _audio_packets(stream: Any, frames: _Frames, pieces: list[_Piece]) -> Iterator[Any]:
    rate, layout = stream.codec_context.sample_rate, stream.codec_context.layout
    chunks = chain.from_iterable(_sound(frames, piece, rate, layout) for piece in pieces)
    at = 0
    for block in _blocks(chunks):
        frame = AudioFrame.from_ndarray(block, format="fltp", layout=layout.name)
        frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
        at += block.shape[1]
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _sound(frames: _Frames, piece: _Piece, rate: int, layout: Any) -> Iterator[np.ndarray]:
    """All samples of a piece and no other, silent where the file has none; (n_channels, n) float32."""
    cursor, end = round(piece.at * rate), round(piece.at_end * rate)
    first, n_channels = cursor, layout.nb_channels
    heard = frames.between(piece.start - AUDIO_LEAD_SECONDS, piece.end)
    for seconds, samples in _joined(heard, rate, layout):
        at = round((piece.at + seconds - piece.start) * rate)
        samples = samples[:, max(0, cursor - at) : max(0, end - at)]
        at = max(at, cursor)
        if samples.shape[1]:
            yield np.zeros((n_channels, at - cursor), np.float32)
            yield samples * _fade(at, samples.shape[1], first, end, rate)
            cursor = at + samples.shape[1]
    while cursor < end:
        n = min(end - cursor, rate)
        yield np.zeros((n_channels, n), np.float32)
        cursor += n


def _fade(at: int, n: int, first: int, end: int, rate: int) -> np.ndarray:
    """Loudness of samples `at` to `at + n` of a span, rising from 0 and falling to 0 at its ends."""
    inside = np.arange(at, at + n) + 0.5
    steps = np.minimum(inside - first, end - inside) / float(FADE_SECONDS * rate)
    return np.minimum(steps, 1).astype(np.float32)


def _joined(
    heard: Iterator[tuple[Fraction, Any]], rate: int, layout: Any
) -> Iterator[tuple[Fraction, np.ndarray]]:
    """Samples at `rate` with the time of the first, put end to end where stamps differ by rounding only.

    Where they differ by more the file has a gap or an overlap, and the stamp is believed.
    """
    resampler, form = None, None
    expected = at = Fraction(0)
    for seconds, frame in heard:
        frame_form = (frame.sample_rate, frame.layout.name, frame.format.name)
        if resampler is None or abs(seconds - expected) > JITTER_SECONDS or frame_form != form:
            if resampler is not None:
                yield from _timed(resampler.resample(None), at, rate)
            resampler, form = AudioResampler("fltp", layout, rate), frame_form
            expected = at = seconds
        expected += Fraction(frame.samples, frame.sample_rate)
        frame.pts = None
        for start, samples in _timed(resampler.resample(frame), at, rate):
            yield start, samples
            at = start + Fraction(samples.shape[1], rate)
    if resampler is not None:
        yield from _timed(resampler.resample(None), at, rate)


def _timed(frames: list[Any], at: Fraction, rate: int) -> Iterator[tuple[Fraction, np.ndarray]]:
    for frame in frames:
        yield at, frame.to_ndarray()
        at += Fraction(frame.samples, rate)


def _blocks(chunks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """The same samples in blocks of `AUDIO_BLOCK`, the last one shorter."""
    held: list[np.ndarray] = []
    n = 0
    for chunk in chunks:
        held.append(chunk)
        n += chunk.shape[1]
        if n >= AUDIO_BLOCK:
            whole = np.concatenate(held, axis=1)
            n %= AUDIO_BLOCK
            for start in range(0, whole.shape[1] - n, AUDIO_BLOCK):
                yield np.ascontiguousarray(whole[:, start : start + AUDIO_BLOCK])
            held = [whole[:, whole.shape[1] - n :]]
    if n:
        yield np.ascontiguousarray(np.concatenate(held, axis=1))
