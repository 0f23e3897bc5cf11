"""The frames on the screen at some moments, found by seeking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from PIL import Image

from videograph.errors import VideographError
from videograph.records import VideoInfo
from videograph.video._decoding import Decoder, Painter, nothing_decoded
from videograph.video._media import open_media, probe

LANES = 2
"""Moments that are looked up side by side: after each seek a decoder's threads wait for one another."""


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
    with ExitStack() as open_files:
        lanes = [_Lane(info, long_side, open_files)]
        if len(seconds) > LANES and lanes[0].may_seek:
            lanes += [_Lane(info, long_side, open_files) for _ in range(LANES - 1)]
        coming = [lane.show(at) for lane, at in zip(lanes, seconds, strict=False)]
        for i in range(len(seconds)):
            image = coming[i % len(lanes)].result()
            if i + len(lanes) < len(seconds):
                coming[i % len(lanes)] = lanes[i % len(lanes)].show(seconds[i + len(lanes)])
            yield image


class _Lane:
    """The file, opened once more, and a thread that looks up moments in it one by one."""

    def __init__(self, info: VideoInfo, long_side: int | None, open_files: ExitStack) -> None:
        self._paint = Painter(info, long_side)
        self._finder = _Finder(open_files.enter_context(open_media(info.path)), info)
        self._thread = open_files.enter_context(ThreadPoolExecutor(1, "grab"))

    @property
    def may_seek(self) -> bool:
        """Whether a moment can be looked up without all that was before it."""
        return self._finder.may_seek

    def show(self, moment: Fraction) -> Future[Image.Image]:
        """The picture of a moment, soon."""
        return self._thread.submit(self._shown, Fraction(moment))

    def _shown(self, moment: Fraction) -> Image.Image:
        return Image.fromarray(self._paint.array(self._finder.frame_at(moment)))


class _Finder:
    """The frame on the screen at a time, by seeking to the key frame before it and decoding on."""

    NEAR_SECONDS = 5  # without an index, decoding on beats a seek that may go back
    EXACT_SECONDS = 1  # so long before a moment on, no frame is skipped
    BACK_SECONDS = (0, 5, 30)  # where to begin, if nothing decodes from the nearest key frame on

    def __init__(self, container: InputContainer, info: VideoInfo) -> None:
        self._container, self._info = container, info
        self._decoder = Decoder(container, info)
        self.may_seek = not self._decoder.guessed
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
            early = self.may_seek and decoder.last_pts < self._exact_from
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
            raise VideographError(nothing_decoded(self._info, self._decoder))
        return found[1]

    def _search(self, ticks: int) -> None:
        for back in self.BACK_SECONDS if self.may_seek else ():
            self._seek(ticks - int(back / self._info.time_base))
            if self._found(ticks):
                return
        self._exact_from = 0
        self._seek(0)
        self._found(ticks)

    def _is_near(self, ticks: int) -> bool:
        """True when decoding on is no slower than a seek."""
        here = self._held[0] if self._held else 0
        if not self.may_seek or ticks < here:
            return not self.may_seek
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
        if self.may_seek and any(held < t < self._exact_from for t in self._decoder.pts):
            self._exact_from = held
            self._seek(held)
            self._found(ticks)
