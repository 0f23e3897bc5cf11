"""Packets of a video stream in, frames with their times out, errors survived; and frames as RGB."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Discard
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from videograph.records import VideoInfo
from videograph.video._stamps import Stamps

GIVE_UP_PACKETS = 250
"""Packets refused in a row before a decoder counts as lost: 8 to 10 s of most videos."""
LOOK_AHEAD_SECONDS = 10
"""How far packets are looked at before the first is decoded, to learn how the file is built."""
LOOK_AHEAD_PACKETS = 600
"""The same for files whose packets tell no time: 10 s at 60 frames a second."""
MOST_THREADS = 8
"""Frames that are decoded side by side, on two processors too: a frame waits for those it refers to, and
with FFmpeg's own choice, of a frame more than processors, these stand still for a third of the time."""
FRAMES_BYTES = 32_000_000
"""What these frames may take: 8 of 1080p; of 4K not even 3, which is FFmpeg's own choice."""


class Decoder:
    """Frames of one video stream with their ticks, in order, errors survived and counted."""

    def __init__(
        self,
        container: InputContainer,
        info: VideoInfo,
        *,
        threads: str = "AUTO",
        n_threads: int = 0,
    ) -> None:
        self.stream: Any = container.streams[info.video_stream]
        self.codec = self.stream.codec_context
        self.codec.thread_type = threads
        self.codec.thread_count = n_threads  # 0: as FFmpeg sees fit
        for other in container.streams:
            if other.index != info.video_stream:
                other.discard = Discard.all
        self.failures = 0
        self.refused_in_a_row = 0
        self.pts = Stamps()  # of every packet that shows a frame
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
        self.pts = Stamps()
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

    def reorders(self) -> bool:
        """Whether frames at the file's start are shown in another order than they are decoded: B-frames."""
        pts = [p.pts for p in self._ahead if p.pts is not None]
        return pts != sorted(pts)

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
        """Remember when a packet's frame is shown, whether or not it will be decoded."""
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


class Painter:
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
            threads=1,  # more cost a hand-over each, and the decoder's threads their processor
        )
        return np.ascontiguousarray(np.rot90(small.to_ndarray(), -self._quarter_turns))


def threads_for(info: VideoInfo) -> int:
    """Threads that keep all processors busy with a whole video; 0 where FFmpeg's own choice does."""
    n_threads = min(MOST_THREADS, int(FRAMES_BYTES / max(1.5 * info.width * info.height, 1)))
    return n_threads if n_threads > (os.cpu_count() or 1) else 0


def nothing_decoded(info: VideoInfo, decoder: Decoder) -> str:
    """What is said of a file of which no frame decodes."""
    return (
        f"not one frame of {info.path} could be decoded ({decoder.failures} packets of {info.codec} "
        "refused). Try another copy of the file."
    )
