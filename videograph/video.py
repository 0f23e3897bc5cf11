"""A file of any kind in, its time stamps and sampled frames out, streamed; the room that knows PyAV.

Second 0 is the first moment that a player shows: the earliest start of the picture and of the sound,
rounded down to a tick of the video stream. Every time here counts from it, in ticks of the stream's
time base or as a Fraction in seconds; a frame's number times a rate is used only where a file has no
time stamps at all, and then the report says so.

Files are read packet by packet, so that a damaged packet costs a frame and not the file.
"""

from __future__ import annotations

import math
from array import array
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Discard, Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from PIL import Image

from videograph.config import SPEEDS
from videograph.errors import UsageError, VideographError
from videograph.records import Clock, ReadReport, VideoInfo

SAMPLING = {"NONE": "exact frames", "NONREF": "nearest reference frames", "NONKEY": "key frames"}
"""What is told of each of FFmpeg's words for the frames that a decoder may skip."""
TEXT_CODECS = ("mov_text", "subrip", "srt", "ass", "ssa", "webvtt", "text", "microdvd", "ttml")
"""Subtitle codecs that hold text, not pictures of it."""

PLAYLISTS = ("concat", "hls")
"""Formats that only name other files."""

BATCH_STEPS = 32
"""Picks that are handed over at once: 16 s of video, 3.5 MB of pixels."""
GIVE_UP_PACKETS = 250
"""Packets refused in a row before a decoder counts as lost: 8 to 10 s of most videos."""
LOOK_AHEAD_SECONDS = 10
"""How far packets are looked at before the first is decoded, to learn how the file is built."""
LOOK_AHEAD_PACKETS = 600
"""The same for files whose packets tell no time: 10 s at 60 frames a second."""
KEY_GAP_SECONDS = Fraction(21, 20)
"""Key frames at most this far apart are dense enough to stand for all: 1 s, and a frame for rounding."""
REFERENCE_GAP_FRAMES = 5
"""Reference frames are seldom farther apart; where that is longer than a step, none is skipped."""
PROBE_GAP_SECONDS = Fraction(1, 40)
"""Shots cuts are looked for at most this often: every frame up to 40 a second."""
SHORTFALL_SECONDS = 1
"""A file that ends this much before its promise is said to be short; containers round."""

Picked = tuple[int, VideoFrame, int]
"""A sampled frame: its ticks, itself, and the ticks of the frame after the sharpest change before it."""


@contextmanager
def open_media(path: str | Path) -> Iterator[InputContainer]:
    """A media file opened for reading, and closed at the end whatever happens.

    Raises:
        VideographError: there is no such file, it is no media file, or FFmpeg refuses it later on.
    """
    path = Path(path)
    _refuse_unreadable(path)
    try:
        # "file:" keeps FFmpeg from taking a colon in a name for a protocol.
        container = av.open(f"file:{path}", metadata_errors="replace")
    except (FFmpegError, OSError, ValueError) as error:
        raise VideographError(_why_not_opened(path, error)) from error
    try:
        yield container
    except FFmpegError as error:
        raise VideographError(f"{path} cannot be read: {error.strerror or error}.") from error
    finally:
        container.close()


def _refuse_unreadable(path: Path) -> None:
    try:
        path.stat()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise VideographError(
            f"{path} cannot be reached ({error.strerror}). Check its name and its rights."
        ) from error
    if not path.exists():
        raise VideographError(f"there is no file {path}. Check its name, or give the full path.")
    if path.is_dir():
        raise VideographError(f"{path} is a folder, not a video. Give one of the files in it.")
    if path.stat().st_size == 0:
        raise VideographError(f"{path} is empty (0 bytes). Copy or download it again.")


def _why_not_opened(path: Path, error: Exception) -> str:
    if isinstance(error, PermissionError):
        return f"{path} may not be read (permission denied). Change its rights, or copy it."
    with path.open("rb") as file:
        start = file.read(12)
    if start[4:8] == b"ftyp":
        return (
            f"{path} is cut off: the index that an MP4 or MOV file keeps at its end is missing. "
            "Copy or download it again."
        )
    return f"{path} is not a video or damaged beyond reading. Try a file that a player opens."


def probe(path: str | Path) -> VideoInfo:
    """What a file says of itself.

    One frame is decoded where that is possible, since a picture's rotation stands beside it.

    Raises:
        VideographError: no such file, not a media file, or one without a moving picture.
    """
    with open_media(path) as container:
        stream = _video_stream(container, Path(path))
        audio = _audio_stream(container)
        start = _start(stream, audio)
        info = _info(Path(path), container, stream, audio, start)
        first = next((f for _, f in _Decoder(container, info, threads="NONE").frames()), None)
    info = _as_shown(info, stream, first)
    if info.width < 1 or info.height < 1:
        raise VideographError(
            f"{path} holds a picture without a size. Try another copy of the file."
        )
    return info


def _video_stream(container: InputContainer, path: Path) -> Any:
    """The default stream, else the largest; a picture that is attached to music is none."""
    if container.format.name in PLAYLISTS:
        raise VideographError(f"{path} is a playlist, not a video. Give one of the files it names.")
    streams = [s for s in container.streams.video if s.codec_context is not None]
    real = [s for s in streams if not s.disposition & _NO_VIDEO]
    if not real and container.streams.video:
        what = "only a cover picture" if streams else "only a stream of an unknown codec"
        raise VideographError(f"{path} holds {what}, no video. Give a file with a moving picture.")
    if not real or container.format.name == "tty":
        raise VideographError(f"{path} holds no video stream. Give a file with a moving picture.")
    return max(real, key=lambda s: (bool(s.disposition & _DEFAULT), s.width * s.height, -s.index))


_NO_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails
_DEFAULT = Disposition.default


def _audio_stream(container: InputContainer) -> Any:
    streams = [s for s in container.streams.audio if s.codec_context is not None]
    return max(streams, key=lambda s: (bool(s.disposition & _DEFAULT), -s.index), default=None)


def _start(stream: Any, audio: Any) -> Fraction:
    """The moment of the file's own clock that is second 0, a whole number of video ticks."""
    start = Fraction(stream.start_time or 0) * stream.time_base
    if audio is not None and audio.start_time is not None:
        # Sound before 0 is the codec's run-up, which players throw away.
        start = min(start, max(audio.start_time * audio.time_base, min(start, Fraction(0))))
    return start // stream.time_base * stream.time_base


def _info(
    path: Path, container: InputContainer, stream: Any, audio: Any, start: Fraction
) -> VideoInfo:
    return VideoInfo(
        path=path,
        container=container.format.name,
        codec=stream.codec_context.name,
        pixel_format=stream.pix_fmt or "unknown",
        width=stream.width,
        height=stream.height,
        rotation=0,
        average_rate=stream.average_rate or None,
        time_base=stream.time_base,
        start_seconds=start,
        duration_seconds=_promised_end(container, stream, start),
        n_frames=stream.frames or None,
        video_stream=stream.index,
        audio_stream=None if audio is None else audio.index,
        subtitle_streams=tuple(
            s.index
            for s in container.streams.subtitles
            if s.codec_context is not None and s.codec_context.name in TEXT_CODECS
        ),
        title=container.metadata.get("title") or None,
    )


def _promised_end(container: InputContainer, stream: Any, start: Fraction) -> Fraction | None:
    if stream.duration:
        return ((stream.start_time or 0) + stream.duration) * stream.time_base - start
    if container.duration:
        return Fraction((container.start_time or 0) + container.duration, av.time_base) - start
    return None


def _as_shown(info: VideoInfo, stream: Any, first: VideoFrame | None) -> VideoInfo:
    """The sizes a player shows: pixels made square, the picture turned."""
    width = first.width if first else info.width
    height = first.height if first else info.height
    aspect = stream.sample_aspect_ratio
    if aspect and Fraction(1, 4) <= aspect <= 4:
        width = round(width * aspect)
    rotation = round(-first.rotation / 90) * 90 % 360 if first else 0
    if rotation in (90, 270):
        width, height = height, width
    return replace(
        info,
        width=width,
        height=height,
        rotation=rotation,
        pixel_format=first.format.name if first else info.pixel_format,
    )


class _Decoder:
    """Frames of one video stream with their ticks, in order, errors survived and counted."""

    def __init__(
        self, container: InputContainer, info: VideoInfo, *, threads: str = "AUTO"
    ) -> None:
        self.stream: Any = container.streams[info.video_stream]
        self.codec = self.stream.codec_context
        self.codec.thread_type = threads
        for other in container.streams:
            if other.index != info.video_stream:
                other.discard = Discard.all
        self.failures = 0
        self.refused_in_a_row = 0
        self.pts = array("q")  # of every packet that shows a frame
        self.last_pts, self.last_duration = -1, 0
        self.last_ticks = -1
        self._container = container
        self.start = int(info.start_seconds / info.time_base)
        self._ahead: deque[Any] = deque()
        self._packets = self._demux()
        self.n_frames = 0
        rate = self.stream.average_rate or self.stream.guessed_rate or Fraction(25)
        self.ticks_per_frame = Fraction(1) / rate / info.time_base
        self.guessed = False  # that is, no time stamps: frames are counted
        self._look_ahead(info.time_base)

    def restart(self) -> None:
        """Go on from where the container was moved to."""
        self._ahead.clear()
        self._packets = self._demux()
        self.pts = array("q")
        self.last_pts, self.last_duration, self.last_ticks = -1, 0, -1
        self.refused_in_a_row = self.n_frames = 0

    def _demux(self) -> Iterator[Any]:
        try:
            yield from (p for p in self._container.demux(self.stream) if p.size)
        except FFmpegError:
            return  # what was read before stays

    def _look_ahead(self, time_base: Fraction) -> None:
        limit = int(LOOK_AHEAD_SECONDS / time_base)
        for packet in self._packets:
            self._ahead.append(packet)
            ticks = self.ticks_of(packet)
            if (ticks is not None and ticks > limit) or len(self._ahead) >= LOOK_AHEAD_PACKETS:
                break
        timed = sum(p.pts is not None for p in self._ahead)
        self.guessed = timed * 2 < len(self._ahead)

    def ticks_of(self, packet: Any) -> int | None:
        """Ticks from second 0 at which a packet's frame is shown; None when it does not say."""
        return None if packet.pts is None else packet.pts - self.start

    def gaps(self) -> tuple[float, float]:
        """Ticks between key frames, the longest, and between frames, the usual, at the file's start."""
        known = sorted((p.pts, p.is_keyframe) for p in self._ahead if p.pts is not None)
        if len(known) < 2:
            return 0, 0
        pts = np.array([t for t, _ in known])
        keys = np.array([t for t, is_key in known if is_key] + [known[-1][0]])
        return float(np.diff(keys).max(initial=0)), float(np.median(np.diff(pts)))

    def packets(self) -> Iterator[Any]:
        """Every packet of the stream, in the file's order."""
        while self._ahead:
            yield self._ahead.popleft()
        yield from self._packets

    def frames(self) -> Iterator[tuple[int, VideoFrame]]:
        """Ticks and frame of all that decodes, ticks strictly increasing, none below 0."""
        for packet in self.packets():
            self.note(packet)
            yield from self.decode(packet)
            if self.refused_in_a_row >= GIVE_UP_PACKETS:
                return
        yield from self.flush()

    def note(self, packet: Any) -> None:
        ticks = self.ticks_of(packet)
        if ticks is None or ticks < 0 or packet.is_discard:
            return
        self.pts.append(ticks)
        if ticks > self.last_pts:
            self.last_pts, self.last_duration = ticks, packet.duration or 0

    def decode(self, packet: Any) -> Iterator[tuple[int, VideoFrame]]:
        """Frames that a packet brings out, often those of earlier packets; None flushes."""
        try:
            frames = self.codec.decode(packet)
        except EOFError:
            return
        except FFmpegError:
            self.failures += 1
            self.refused_in_a_row += 1
            return
        for frame in frames:
            self.refused_in_a_row = 0
            ticks = self._ticks_of_frame(frame)
            if ticks > self.last_ticks:
                self.last_ticks = ticks
                yield ticks, frame

    def flush(self) -> Iterator[tuple[int, VideoFrame]]:
        """What the decoder still holds; an error in one of its frames does not lose the others."""
        for _ in range(64):
            before = (self.failures, self.last_ticks)
            yield from self.decode(None)
            if (self.failures, self.last_ticks) == before:
                return

    def _ticks_of_frame(self, frame: VideoFrame) -> int:
        self.n_frames += 1
        if self.guessed:
            return round((self.n_frames - 1) * self.ticks_per_frame)
        pts = frame.pts if frame.pts is not None else frame.dts
        return -1 if pts is None else pts - self.start


class _Picker:
    """Which of the frames that come by stand for the grid of picks."""

    def __init__(self, step: Fraction) -> None:
        self.step = step
        self.nearest = False
        self.cut = _CutFinder()
        self._origin, self._due = 0, -1  # `_due`: twice the ticks of the next moment, rounded down
        self._k = 0
        self._held: tuple[int, VideoFrame] | None = None

    def offer(self, ticks: int, frame: VideoFrame) -> Picked | None:
        """Show the next frame; returns the one before it if that is a pick."""
        pick = None
        if self._held is None:
            self._origin, self._due = ticks, 2 * ticks
        else:
            # Exact: the held frame is on the screen until this one. Nearest: it serves up to half way.
            pick = self._serve(self._held[0] + ticks if self.nearest else 2 * ticks)
        self._held = (ticks, frame)
        self.cut.see(ticks, frame)
        return pick

    def last(self, end: int) -> Picked | None:
        """The held frame, if a pick falls on it before the video's end."""
        return self._serve(2 * end)

    def _serve(self, twice_until: int) -> Picked | None:
        if self._held is None or twice_until <= self._due:
            return None
        self._k = math.ceil((Fraction(twice_until, 2) - self._origin) / self.step)
        self._due = math.floor(2 * (self._origin + self._k * self.step))
        ticks, frame = self._held
        return ticks, frame, self.cut.take(ticks)


class _CutFinder:
    """The frame after the sharpest change of luma since the last pick, from a few pixels of each."""

    ROWS, COLUMNS = 36, 64

    def __init__(self) -> None:
        self.gap = 0  # ticks between looks, at least
        self._before: np.ndarray | None = None
        self._looked = -(1 << 62)
        self._sharpest, self._ticks = -1.0, -1

    def see(self, ticks: int, frame: VideoFrame) -> None:
        if ticks - self._looked < self.gap:
            return
        self._looked = ticks
        luma = self._luma(frame)
        change = 0.0
        if luma is not None and self._before is not None and luma.shape == self._before.shape:
            change = float(np.abs(luma - self._before).mean())
        self._before = luma
        if change > self._sharpest:
            self._sharpest, self._ticks = change, ticks

    def take(self, pick: int) -> int:
        """The cut before a pick, which ends the search for it."""
        ticks = self._ticks if self._sharpest > 0 else pick
        self._sharpest, self._ticks = -1.0, -1
        return ticks

    def _luma(self, frame: VideoFrame) -> np.ndarray | None:
        """A sparse grid of the first plane, (<= 36, <= 64) int32 on a scale of 8 bits, or None."""
        try:
            plane: Any = frame.planes[0]
            bits = frame.format.components[0].bits
            pixels = np.frombuffer(plane, np.uint8 if bits <= 8 else np.uint16)
            rows = pixels[: len(pixels) // plane.height * plane.height].reshape(plane.height, -1)
            down = max(1, plane.height // self.ROWS)
            across = max(1, plane.width // self.COLUMNS)
            small = rows[down // 2 :: down, across // 2 : plane.width : across].astype(np.int32)
            return small >> (bits - 8) if bits > 8 else small
        except (ValueError, IndexError, TypeError, NotImplementedError):
            return None


@dataclass(frozen=True)
class FrameBatch:
    """Sampled frames, in order of time."""

    images: np.ndarray
    """(n, height, width, 3) uint8 RGB, turned as a player shows them, of one size in all batches."""
    pts: np.ndarray
    """Start of each frame in ticks from second 0, (n,) int64, strictly increasing."""
    cut_pts: np.ndarray
    """Start of the frame after the sharpest change since the pick before, (n,) int64, in ticks; later
    than that pick and at most the pick itself; the pick itself where nothing changed."""
    done_seconds: float
    """How far the reading has come, in seconds of the video."""


class Reader:
    """Frames of a video sampled by presentation time, streamed in batches.

    Pick k is the frame for the moment k / `steps_per_second` after the first frame: the one on the
    screen ("exact"), the nearest frame that others refer to ("balanced"), or the nearest key frame where
    these are at most a second apart ("fast"). A frame is picked once, so a slow or halting video has
    fewer picks than moments. `report` tells what was done, once all batches were taken.

    Args:
        path: the video.
        steps_per_second: picks a second.
        speed: one of `SPEEDS`.
        long_side: pixels of a picture's longer side, at most; pictures are never enlarged.

    Raises:
        UsageError: an unknown speed.
        VideographError: the file cannot be read, or not one frame of it can.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        steps_per_second: Fraction = Fraction(2),
        speed: str = "balanced",
        long_side: int = 256,
    ) -> None:
        if speed not in SPEEDS:
            raise UsageError(f'speed is "{speed}". Allowed: {", ".join(SPEEDS)}.')
        self.info = probe(path)
        self._step = Fraction(1) / Fraction(steps_per_second) / self.info.time_base
        self._speed = speed
        self._paint = _Painter(self.info, long_side)
        self._opened = open_media(path)
        self._container: InputContainer | None = None
        self._report: ReadReport | None = None

    def __enter__(self) -> Reader:
        self._container = self._opened.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._opened.__exit__(*error)
        self._container = None

    @property
    def report(self) -> ReadReport:
        """What became of the file; there after the last batch."""
        if self._report is None:
            raise RuntimeError("the report is there once all batches were taken")
        return self._report

    def __iter__(self) -> Iterator[FrameBatch]:
        images: list[np.ndarray] = []
        times: list[tuple[int, int]] = []
        for ticks, image, cut in self._picks():
            images.append(image)
            times.append((ticks, cut))
            if len(images) == BATCH_STEPS:
                yield self._batch(images, times)
                images, times = [], []
        if images:
            yield self._batch(images, times)

    def _batch(self, images: list[np.ndarray], times: list[tuple[int, int]]) -> FrameBatch:
        pts, cuts = np.array(times, dtype=np.int64).T.copy()
        done = float(pts[-1] * self.info.time_base)
        return FrameBatch(np.stack(images), pts, cuts, done)

    def _picks(self) -> Iterator[tuple[int, np.ndarray, int]]:
        if self._container is None:
            raise RuntimeError("open the reader first: with Reader(path) as reader")
        decoder = _Decoder(self._container, self.info)
        picker = _Picker(self._step)
        picker.cut.gap = int(PROBE_GAP_SECONDS / self.info.time_base)
        pace = _Pace(decoder, picker, self._speed)
        seen = array("q")  # ticks of picks and cuts
        for ticks, frame in pace.frames():
            picked = picker.offer(ticks, frame)
            if picked:
                yield self._painted(picked, seen)
        clock = self._clock(decoder, seen)
        picked = picker.last(clock.end)
        if picked:
            yield self._painted(picked, seen)
        self._report = self._tell(decoder, clock, pace)

    def _painted(self, picked: Picked, seen: array[int]) -> tuple[int, np.ndarray, int]:
        ticks, frame, cut = picked
        seen.extend((ticks, cut))
        return ticks, self._paint.array(frame), cut

    def _clock(self, decoder: _Decoder, seen: array[int]) -> Clock:
        if decoder.last_ticks < 0:
            raise VideographError(_nothing_decoded(self.info, decoder))
        return _clock(decoder, seen, self.info.time_base)

    def _tell(self, decoder: _Decoder, clock: Clock, pace: _Pace) -> ReadReport:
        return ReadReport(
            clock=clock,
            decode_failures=decoder.failures,
            duration_shortfall=_shortfall(self.info, clock),
            sampling=" and ".join(SAMPLING[skip] for skip in pace.used),
            timestamps="guessed" if decoder.guessed else "file",
        )


class _Pace:
    """How much a decoder may skip, watched and taken back where it would cost picks."""

    def __init__(self, decoder: _Decoder, picker: _Picker, speed: str) -> None:
        self.decoder, self.picker = decoder, picker
        self.key_gap = int(KEY_GAP_SECONDS / decoder.stream.time_base)
        self.used: dict[str, None] = {}
        keys, frames = decoder.gaps()
        if speed == "exact" or decoder.guessed or frames * REFERENCE_GAP_FRAMES > picker.step:
            self._set("NONE")
        elif speed == "fast" and keys <= self.key_gap:
            self._set("NONKEY")
        else:
            self._set("NONREF")
        if speed == "fast":
            # Costs about a level of luma in 255 and a fifth of the time; key frames are hardly changed.
            decoder.codec.options = {"skip_loop_filter": "all"}

    def _set(self, skip: str) -> None:
        self.skip = skip
        self.used[skip] = None
        self.decoder.codec.skip_frame = "DEFAULT" if skip == "NONE" else skip
        self.picker.nearest = skip != "NONE"

    def frames(self) -> Iterator[tuple[int, VideoFrame]]:
        """As `_Decoder.frames`, with the pace set anew where the file's build asks for it."""
        decoder = self.decoder
        before, failures, last_key = 0, 0, 0
        for packet in decoder.packets():
            decoder.note(packet)
            if packet.is_keyframe and self.skip == "NONKEY":
                ticks = decoder.ticks_of(packet) or last_key
                if ticks - last_key > 2 * self.key_gap:
                    self._set("NONREF")  # from a key frame on all references are there
                last_key = ticks
            for ticks, frame in decoder.decode(packet):
                if self.skip == "NONREF" and failures == decoder.failures:
                    self._watch(before, ticks)
                before, failures = ticks, decoder.failures
                yield ticks, frame
            if decoder.refused_in_a_row >= GIVE_UP_PACKETS:
                return
        yield from decoder.flush()

    def _watch(self, before: int, ticks: int) -> None:
        """Skip no more if a pick's time and more went by without a frame that was there."""
        if ticks - before > self.picker.step and any(
            before < t < ticks for t in self.decoder.pts[-256:]
        ):
            self._set("NONE")


class _Painter:
    """Decoded frames as RGB of one size, turned as a player shows them."""

    def __init__(self, info: VideoInfo, long_side: int | None) -> None:
        share = Fraction(1)
        if long_side is not None:
            share = min(share, Fraction(long_side, max(info.width, info.height)))
        self.width = max(1, round(info.width * share))
        self.height = max(1, round(info.height * share))
        self._quarter_turns = info.rotation // 90
        self._reformatter = VideoReformatter()

    def array(self, frame: VideoFrame) -> np.ndarray:
        """(height, width, 3) uint8, contiguous."""
        turned = self._quarter_turns % 2
        small = self._reformatter.reformat(
            frame,
            width=self.height if turned else self.width,
            height=self.width if turned else self.height,
            format="rgb24",
            interpolation="AREA",
        )
        return np.ascontiguousarray(np.rot90(small.to_ndarray(), -self._quarter_turns))


def _clock(decoder: _Decoder, seen: Sequence[int], time_base: Fraction) -> Clock:
    """The clock of all frames, from the packets.

    A frame that failed to decode still has its time, since the one before stays on the screen; only
    after the last frame that decoded, where nothing can be shown, refused packets are left out.
    """
    if decoder.guessed:
        pts = np.rint(np.arange(decoder.n_frames) * float(decoder.ticks_per_frame)).astype(np.int64)
    else:
        pts = np.unique(np.concatenate([np.array(decoder.pts, np.int64), np.array(seen, np.int64)]))
        pts = np.union1d(pts, [decoder.last_ticks])
    if decoder.refused_in_a_row:
        pts = pts[pts <= decoder.last_ticks]
    length = _usual_length(pts, decoder)
    if pts[-1] == decoder.last_pts and decoder.last_duration > 0:
        length = decoder.last_duration
    return Clock(pts, int(pts[-1] + length), time_base)


def _usual_length(pts: np.ndarray, decoder: _Decoder) -> int:
    if len(pts) > 1:
        return max(1, int(np.median(np.diff(pts[-1000:]))))
    return max(1, round(decoder.ticks_per_frame))


def _shortfall(info: VideoInfo, clock: Clock) -> Fraction:
    """Seconds by which a file ends before its promise, 0 when it keeps it or others account for it."""
    if info.duration_seconds is None:
        return Fraction(0)
    end = clock.duration
    frames = np.diff(clock.pts[-1000:])
    usual = int(np.median(frames)) * clock.time_base if len(frames) else Fraction(0)
    bar = max(Fraction(SHORTFALL_SECONDS), 4 * usual)
    if info.duration_seconds - end > bar:
        end = max(end, _end_of_the_rest(info))
    missing = info.duration_seconds - end
    return missing if missing > bar else Fraction(0)


def _end_of_the_rest(info: VideoInfo) -> Fraction:
    """Where sound and subtitles end, for a container that promises one length for all its streams."""
    end = Fraction(0)
    with open_media(info.path) as container:
        if container.streams[info.video_stream].duration:
            return end  # the promise was the video's own
        rest = [s for s in container.streams if s.type in ("audio", "subtitle")]
        try:
            for packet in container.demux(*rest) if rest else ():
                if packet.pts is not None:
                    stop = (packet.pts + (packet.duration or 0)) * packet.time_base
                    end = max(end, stop - info.start_seconds)
        except FFmpegError:
            pass  # as far as it goes
    return end


def grab(
    video: str | Path | VideoInfo, seconds: Sequence[Fraction], *, long_side: int | None = None
) -> Iterator[Image.Image]:
    """The frames on the screen at some moments, in order of time, turned as a player shows them.

    Where the frame itself cannot be decoded, the last one before it stands in, or the first one there is.

    Args:
        video: the file, or what `probe` told of it, which saves probing again.
        seconds: moments from second 0, sorted.
        long_side: pixels of the longer side, at most; None for full size.

    Raises:
        VideographError: the file cannot be read, or not one frame of it can.
    """
    info = video if isinstance(video, VideoInfo) else probe(video)
    paint = _Painter(info, long_side)
    with open_media(info.path) as container:
        finder = _Finder(container, info)
        for moment in seconds:
            yield Image.fromarray(paint.array(finder.frame_at(Fraction(moment))))


class _Finder:
    """The frame on the screen at a time, by seeking to the key frame before it and decoding on."""

    NEAR_SECONDS = 5  # without an index, decoding on beats a seek that may go back
    EXACT_SECONDS = 1  # so long before a moment on, no frame is skipped
    BACK_SECONDS = (0, 5, 30)  # where to begin, if nothing decodes from the nearest key frame on

    def __init__(self, container: InputContainer, info: VideoInfo) -> None:
        self._container, self._info = container, info
        self._decoder = _Decoder(container, info)
        self._may_seek = not self._decoder.guessed
        self._exact_from = 0
        self._begin()

    def _begin(self) -> None:
        self._frames = self._decode()
        self._held: tuple[int, VideoFrame] | None = None
        self._next: tuple[int, VideoFrame] | None = None

    def _decode(self) -> Iterator[tuple[int, VideoFrame]]:
        decoder = self._decoder
        for packet in decoder.packets():
            decoder.note(packet)
            early = self._may_seek and decoder.last_pts < self._exact_from
            decoder.codec.skip_frame = "NONREF" if early else "DEFAULT"
            yield from decoder.decode(packet)
        yield from decoder.flush()

    def frame_at(self, moment: Fraction) -> VideoFrame:
        """The frame that a moment shows, or the nearest one before it that decodes."""
        ticks = int(moment // self._info.time_base)
        self._exact_from = ticks - int(self.EXACT_SECONDS / self._info.time_base)
        if not self._is_near(ticks) or not self._found(ticks):
            self._search(ticks)
        self._again_if_skipped(ticks)
        found = self._held or self._next  # the first frame of all, for a moment before it
        if found is None:
            raise VideographError(_nothing_decoded(self._info, self._decoder))
        return found[1]

    def _search(self, ticks: int) -> None:
        for back in self.BACK_SECONDS if self._may_seek else ():
            self._seek(ticks - int(back / self._info.time_base))
            if self._found(ticks):
                return
        self._exact_from = 0
        self._seek(0)
        self._found(ticks)

    def _is_near(self, ticks: int) -> bool:
        """True when decoding on is no slower than a seek."""
        here = self._held[0] if self._held else 0
        if not self._may_seek or ticks < here:
            return not self._may_seek
        index: Any = getattr(self._decoder.stream, "index_entries", ())
        found = index.search_timestamp(ticks + self._decoder.start) if len(index) else -1
        if found >= 0:
            return index[found].timestamp - self._decoder.start <= here
        return ticks - here < self.NEAR_SECONDS / self._info.time_base

    def _seek(self, ticks: int) -> None:
        stamp = max(0, ticks) + self._decoder.start
        try:
            self._container.seek(stamp, stream=self._decoder.stream, backward=True)
        except FFmpegError:
            return  # decode on from where it stands
        self._decoder.restart()
        self._begin()

    def _found(self, ticks: int) -> bool:
        """Decode until a frame begins after `ticks`; True if one before it is held."""
        while self._next is None or self._next[0] <= ticks:
            following = next(self._frames, None)
            self._held = self._next or self._held
            self._next = following
            if following is None:
                break
        return self._held is not None and self._held[0] <= ticks

    def _again_if_skipped(self, ticks: int) -> None:
        """Where time stamps leap, the frame shown may be an old one, and be among the skipped."""
        held = self._held[0] if self._held else ticks
        if self._may_seek and any(held < t < self._exact_from for t in self._decoder.pts):
            self._exact_from = held
            self._seek(held)
            self._found(ticks)


def _nothing_decoded(info: VideoInfo, decoder: _Decoder) -> str:
    return (
        f"not one frame of {info.path} could be decoded ({decoder.failures} packets of {info.codec} "
        "refused). Try another copy of the file."
    )
