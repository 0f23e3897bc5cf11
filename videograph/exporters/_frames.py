"""Decoded frames of rising spans, by seeking: the rest of the file is not decoded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from itertools import chain
from typing import Any

from av.error import FFmpegError

from videograph.exporters._spans import only, readable, seek
from videograph.records import Clock, Summary, VideoInfo
from videograph.video import open_media

SEEK_BACK_SECONDS = (0, 1, 5, 20)
"""Tries to land at or before a span, where an index is imprecise or key frames are damaged."""


class Frames:
    """Decoded frames of one stream in rising spans, by seeking where that spares decoding."""

    def __init__(self, info: VideoInfo, index: int, clock: Clock | None = None) -> None:
        self._info, self._index, self._clock = info, index, clock
        self._can_seek = clock is None
        self._reach = Fraction(1)  # longest way seen from a key frame to the span after it
        self._position: Fraction | None = None  # time of the last frame decoded

    @classmethod
    def of_pictures(cls, summary: Summary) -> Frames:
        """The video's frames; of one without time stamps, frame k has the time that the clock guessed."""
        guessed = summary.report.timestamps == "guessed"
        clock = summary.report.clock if guessed else None
        return cls(summary.info, summary.info.video_stream, clock)

    def __enter__(self) -> Frames:
        self._stack = ExitStack()
        self._open()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def _open(self) -> None:
        self._stack.close()
        self._container = self._stack.enter_context(open_media(self._info.path))
        self.stream = only(self._container, self._index)
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
                if first[0] <= start or start < back:
                    return

    def _seek(self, seconds: Fraction) -> bool:
        try:
            seek(self._container, self.stream, self._info.start_seconds + seconds)
            self._ready = self._decode()
        except FFmpegError:
            self._can_seek = False
            self._open()
        return self._can_seek

    def _decode(self) -> Iterator[tuple[Fraction, Any]]:
        n_frames = 0
        for packet in readable(self._container.demux(self.stream)):
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
