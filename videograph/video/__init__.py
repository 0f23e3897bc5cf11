"""A file of any kind in, its time stamps and sampled frames out, streamed; `_media` says what second 0 is.

Files are read packet by packet, so that a damaged packet costs a frame and not the file.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame

from videograph.config import SPEEDS
from videograph.errors import UsageError, VideographError
from videograph.records import Clock, ReadReport, VideoInfo
from videograph.video._decoding import (
    GIVE_UP_PACKETS,
    Decoder,
    Painter,
    nothing_decoded,
    threads_for,
)
from videograph.video._grabbing import grab
from videograph.video._media import open_media, probe
from videograph.video._picking import Picked, Picker

__all__ = ["FrameBatch", "Reader", "grab", "open_media", "probe"]

SAMPLING = {
    "NONE": "exact frames",
    "PICKS": "exact frames",
    "NONREF": "nearest reference frames",
    "NONKEY": "key frames",
}
"""What is told of each way to skip: FFmpeg's words for the frames that a decoder leaves out, and "PICKS":
frames that no other refers to, unless they are on the screen at a pick."""
BATCH_STEPS = 32
"""Picks that are handed over at once: 16 s of video, 3.5 MB of pixels."""
KEY_FRAMES = 60
"""Key frames stand for all where a video has this many: enough to choose a summary from."""
KEY_GAP_SECONDS = (Fraction(21, 20), Fraction(12))
"""Gaps between key frames that always do (1 s, and a frame for rounding), and that never do beyond:
250 frames, as x264 sets them, last 10.4 s at 24 a second."""
KEY_GAP_SLACK = 2
"""Where a gap is this much longer than the start of the file promised, more is decoded from there on."""
REFERENCE_GAP_FRAMES = 5
"""Reference frames are seldom farther apart; where that is longer than a step, none is skipped."""
PROBE_GAP_SECONDS = Fraction(1, 40)
"""Shots cuts are looked for at most this often: every frame up to 40 a second."""
SHORTFALL_SECONDS = 1
"""A file that ends this much before its promise is said to be short; containers round."""


@dataclass(frozen=True)
class FrameBatch:
    """Pictures for the picks, in order of time."""

    pictures: np.ndarray
    """The different ones, (m, height, width, 3) uint8 RGB, turned as a player shows them, of one size in
    all batches; a key frame stands for many picks."""
    picture_of: np.ndarray
    """Which of them each pick shows, (n,) int64, from 0 on without a gap."""
    pts: np.ndarray
    """Start of each pick's frame in ticks from second 0, (n,) int64, strictly increasing."""
    cut_pts: np.ndarray
    """Start of the frame after the sharpest change since the pick before, (n,) int64, in ticks; later
    than that pick and at most the pick itself; the pick itself where nothing changed."""
    repeats: np.ndarray
    """True where the picture is that of the pick before, (n,) bool: no other was decoded in between."""
    done_seconds: float
    """How far the reading has come, in seconds of the video."""

    @property
    def images(self) -> np.ndarray:
        """The picture of each pick, (n, height, width, 3) uint8."""
        return self.pictures[self.picture_of]


class Reader:
    """Frames of a video sampled by presentation time, streamed in batches.

    Pick k is the frame on the screen k / `steps_per_second` after the first frame. A frame is picked once,
    so a slow or halting video has fewer picks than moments. "exact" decodes every frame; "balanced" leaves
    out those that are no picks and that no other frame refers to, which costs nothing but cuts that are
    placed a frame or two late. "fast" decodes key frames only, where there are enough of them (see
    `KEY_FRAMES`), and lets each stand for the picks around it; else the nearest frame that others refer to.
    Both leave the edges of blocks in B-frames unsmoothed (FFmpeg's `skip_loop_filter`), which changes these
    pictures by about a level of luma in 255.
    `report` tells what was done, once all batches were taken.

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
        self._paint = Painter(self.info, long_side)
        self._opened = open_media(path)
        self._container: InputContainer | None = None
        self._report: ReadReport | None = None
        self._frame: VideoFrame | None = None  # painted last
        self._image = np.empty((0, 0, 3), np.uint8)

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
        pictures: list[np.ndarray] = []
        times: list[tuple[int, int, bool, int]] = []
        before = None
        for ticks, image, cut in self._picks():
            if not pictures or image is not before:
                pictures.append(image)
            times.append((ticks, cut, image is before, len(pictures) - 1))
            before = image
            if len(times) == BATCH_STEPS:
                yield self._batch(pictures, times)
                pictures, times = [], []
        if times:
            yield self._batch(pictures, times)

    def _batch(
        self, pictures: list[np.ndarray], times: list[tuple[int, int, bool, int]]
    ) -> FrameBatch:
        pts, cuts, repeats, picture_of = np.array(times, dtype=np.int64).T.copy()
        done = float(pts[-1] * self.info.time_base)
        return FrameBatch(np.stack(pictures), picture_of, pts, cuts, repeats.astype(bool), done)

    def _picks(self) -> Iterator[tuple[int, np.ndarray, int]]:
        if self._container is None:
            raise RuntimeError("open the reader first: with Reader(path) as reader")
        decoder = Decoder(self._container, self.info, n_threads=threads_for(self.info))
        picker = Picker(self._step, decoder.pts)
        picker.cut.gap = int(PROBE_GAP_SECONDS / self.info.time_base)
        pace = _Pace(decoder, picker, self._speed, self.info)
        seen = array("q")  # ticks of picks and cuts
        for ticks, frame in pace.frames():
            for picked in picker.offer(ticks, frame):
                yield self._painted(picked, seen)
        clock = self._clock(decoder, seen)
        for picked in picker.last(clock.end):
            yield self._painted(picked, seen)
        self._report = self._tell(decoder, clock, pace)

    def _painted(self, picked: Picked, seen: array[int]) -> tuple[int, np.ndarray, int]:
        ticks, frame, cut = picked
        seen.extend((ticks, cut))
        if frame is not self._frame:
            self._frame, self._image = frame, self._paint.array(frame)
        return ticks, self._image, cut

    def _clock(self, decoder: Decoder, seen: array[int]) -> Clock:
        if decoder.last_ticks < 0:
            raise VideographError(nothing_decoded(self.info, decoder))
        return _clock(decoder, seen, self.info.time_base)

    def _tell(self, decoder: Decoder, clock: Clock, pace: _Pace) -> ReadReport:
        return ReadReport(
            clock=clock,
            decode_failures=decoder.failures,
            duration_shortfall=_shortfall(self.info, clock),
            sampling=pace.told(),
            timestamps="guessed" if decoder.guessed else "file",
        )


def _key_gap_seconds(info: VideoInfo) -> Fraction:
    """The longest gap between key frames at which these alone are enough."""
    least, most = KEY_GAP_SECONDS
    return min(most, max(least, (info.duration_seconds or 0) / Fraction(KEY_FRAMES)))


class _Pace:
    """How much a decoder may skip, watched and taken back where it would cost picks."""

    def __init__(self, decoder: Decoder, picker: Picker, speed: str, info: VideoInfo) -> None:
        self.decoder, self.picker = decoder, picker
        self.key_gap = int(_key_gap_seconds(info) / info.time_base)
        self.used: dict[str, None] = {}
        keys, frames = decoder.gaps()
        if speed == "exact" or decoder.guessed or frames * REFERENCE_GAP_FRAMES > picker.step:
            self._set("NONE")
        elif speed == "fast":
            self._set("NONKEY" if keys <= self.key_gap else "NONREF")
        else:
            self._set("PICKS")
        if speed != "exact" and decoder.reorders():
            # Only of B-frames: others hand their error on until the next key frame, which ranks of scores do
            # not stand where little moves. (Encoders that reorder nothing may call every frame a B-frame.)
            decoder.codec.options = {"skip_loop_filter": "bidir"}

    def _set(self, skip: str) -> None:
        self.skip = skip
        self.used[skip] = None
        self.decoder.codec.skip_frame = (
            skip if skip.startswith("NON") and skip != "NONE" else "DEFAULT"
        )
        self.picker.nearest = skip in ("NONREF", "NONKEY")
        self.picker.repeats = skip == "NONKEY"

    def frames(self) -> Iterator[tuple[int, VideoFrame]]:
        """As `Decoder.frames`, with the pace set anew where the file's build asks for it."""
        decoder = self.decoder
        before, failures, last_key = 0, 0, 0
        for packet in decoder.packets():
            decoder.note(packet)
            if packet.is_keyframe and self.skip == "NONKEY":
                ticks = decoder.ticks_of(packet) or last_key
                if ticks - last_key > KEY_GAP_SLACK * self.key_gap:
                    self._set("NONREF")  # from a key frame on all references are there
                last_key = ticks
            if self.skip == "NONKEY" and not packet.is_keyframe:
                continue  # the decoder would drop it too, but only after it went to a thread of its own
            if self.skip == "PICKS":
                decoder.codec.skip_frame = "DEFAULT" if self._is_wanted(packet) else "NONREF"
            for ticks, frame in decoder.decode(packet):
                if self.skip in ("PICKS", "NONREF") and failures == decoder.failures:
                    self._watch(before, ticks)
                before, failures = ticks, decoder.failures
                yield ticks, frame
            if decoder.refused_in_a_row >= GIVE_UP_PACKETS:
                return
        yield from decoder.flush()

    def _is_wanted(self, packet: Any) -> bool:
        ticks = self.decoder.ticks_of(packet)
        duration = Fraction(packet.duration or self.decoder.ticks_per_frame)
        return ticks is None or self.picker.wants(ticks, duration)

    def told(self) -> str:
        """Which frames stand for the picks, in the words of `ReadReport.sampling`."""
        used = ["NONREF" if skip == "PICKS" and self.picker.missed else skip for skip in self.used]
        return " and ".join(dict.fromkeys(SAMPLING[skip] for skip in used))

    def _watch(self, before: int, ticks: int) -> None:
        """Skip no more if a pick's time and more went by without a frame that was there."""
        if ticks - before > self.picker.step and any(
            before < t < ticks for t in self.decoder.pts.newest(256)
        ):
            self._set("NONE")


def _clock(decoder: Decoder, seen: array[int], time_base: Fraction) -> Clock:
    """The clock of all frames, from the packets.

    A frame that failed to decode still has its time, since the one before stays on the screen; only
    after the last frame that decoded, where nothing can be shown, refused packets are left out.
    """
    if decoder.guessed:
        pts = np.rint(np.arange(decoder.n_frames) * float(decoder.ticks_per_frame)).astype(np.int64)
    else:
        seen.append(decoder.last_ticks)
        pts = decoder.pts.sorted_with(seen)
    if decoder.refused_in_a_row:
        pts = pts[: np.searchsorted(pts, decoder.last_ticks, side="right")]
    length = _usual_length(pts, decoder)
    if pts[-1] == decoder.last_pts and decoder.last_duration > 0:
        length = decoder.last_duration
    return Clock(pts, int(pts[-1] + length), time_base)


def _usual_length(pts: np.ndarray, decoder: Decoder) -> int:
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
