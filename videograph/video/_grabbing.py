"""The frames on the screen at some moments, found by seeking."""

from __future__ import annotations

import os
from collections import deque
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

LANES = 3
"""Moments that are looked up side by side, each with a share of the processors: threads of one decoder
wait for one another after each seek, and decode frames beyond the one that is looked for."""
AHEAD = 6
"""Pictures that are looked for or wait to be taken: three lanes are busy, and memory holds no more."""

NEWEST = 4096
"""Packets among which a skipped frame is looked for: 68 s at 60 frames a second."""


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
        lanes = _lanes(info, long_side, open_files, len(seconds))
        places = [lanes[0].place_of(at) for at in seconds]  # before a lane moves about in the file
        turn = 0
        coming: deque[Future[Image.Image]] = deque()
        for i, at in enumerate(seconds):
            if len(coming) == AHEAD:
                yield coming.popleft().result()
            turn += i > 0 and places[i] != places[i - 1]  # one place: what is decoded is shared
            coming.append(lanes[turn % len(lanes)].show(at))
        while coming:
            yield coming.popleft().result()


def _lanes(
    info: VideoInfo, long_side: int | None, open_files: ExitStack, n_moments: int
) -> list[_Lane]:
    """One lane with all processors, or several that share them."""
    n_threads = max(1, (os.cpu_count() or 1) // LANES)
    if n_moments > LANES:
        lanes = [_Lane(info, long_side, open_files, n_threads) for _ in range(LANES)]
        if lanes[0].may_seek:
            return lanes
    return [_Lane(info, long_side, open_files, 0)]


class _Lane:
    """The file, opened once more, and a thread that looks up moments in it one by one."""

    def __init__(
        self, info: VideoInfo, long_side: int | None, open_files: ExitStack, n_threads: int
    ) -> None:
        self._paint = Painter(info, long_side)
        container = open_files.enter_context(open_media(info.path))
        self._finder = _Finder(container, info, n_threads)
        self._thread = open_files.enter_context(ThreadPoolExecutor(1, "grab"))

    @property
    def may_seek(self) -> bool:
        """Whether a moment can be looked up without all that was before it."""
        return self._finder.may_seek

    def place_of(self, moment: Fraction) -> tuple[int, int]:
        """What moments share which are best looked up one after the other."""
        return self._finder.place_of(Fraction(moment))

    def show(self, moment: Fraction) -> Future[Image.Image]:
        """The picture of a moment, soon."""
        return self._thread.submit(self._shown, Fraction(moment))

    def _shown(self, moment: Fraction) -> Image.Image:
        return Image.fromarray(self._paint.array(self._finder.frame_at(moment)))


class _Finder:
    """The frame on the screen at a time, by seeking to the key frame before it and decoding on."""

    NEAR_SECONDS = 5  # without an index, decoding on beats a seek that may go back
    PLACE_SECONDS = 10  # longer than most groups of pictures, where an index names them all
    BACK_SECONDS = (0, 5, 30)  # where to begin, if nothing decodes from the nearest key frame on

    def __init__(self, container: InputContainer, info: VideoInfo, n_threads: int) -> None:
        self._container, self._info = container, info
        self._decoder = Decoder(container, info, n_threads=n_threads)
        self.may_seek = not self._decoder.guessed
        self._wanted: int | None = None  # ticks of the moment looked for; None: skip nothing
        self._begin()

    def _begin(self) -> None:
        self._frames = self._decode()
        self._held: tuple[int, VideoFrame] | None = None
        self._next: tuple[int, VideoFrame] | None = None

    def _decode(self) -> Iterator[tuple[int, VideoFrame]]:
        decoder = self._decoder
        for packet in decoder.packets():
            decoder.note(packet)
            decoder.codec.skip_frame = "DEFAULT" if self._is_wanted(packet) else "NONREF"
            yield from decoder.decode(packet)
        yield from decoder.flush()

    def _is_wanted(self, packet: Any) -> bool:
        """False for a frame that ends before the moment; one after it may be asked for next."""
        ticks = self._decoder.ticks_of(packet)
        if self._wanted is None or ticks is None:
            return True
        return self._wanted - ticks < max(packet.duration or 0, self._decoder.ticks_per_frame)

    def frame_at(self, moment: Fraction) -> VideoFrame:
        """The frame that a moment shows, or the nearest one before it that decodes."""
        ticks = int(moment // self._info.time_base)
        self._wanted = ticks if self.may_seek else None
        if not self._is_near(ticks) or not self._found(ticks):
            self._search(ticks)
        self._again_if_skipped(ticks)
        found = self._held or self._next  # the first frame of all, for a moment before it
        if found is None:
            raise VideographError(nothing_decoded(self._info, self._decoder))
        return found[1]

    def place_of(self, moment: Fraction) -> tuple[int, int]:
        """A group of pictures, as far as the file's index tells them apart yet, and some seconds in it."""
        ticks = int(moment // self._info.time_base)
        key = self._key_before(ticks)
        seconds = (ticks - (key or 0)) * self._info.time_base
        return key or 0, int(seconds // self.PLACE_SECONDS)

    def _key_before(self, ticks: int) -> int | None:
        """Ticks of the last key frame before a moment that the file's index knows yet, or None."""
        index: Any = getattr(self._decoder.stream, "index_entries", ())
        found = index.search_timestamp(ticks + self._decoder.start) if len(index) else -1
        return index[found].timestamp - self._decoder.start if found >= 0 else None

    def _search(self, ticks: int) -> None:
        for back in self.BACK_SECONDS if self.may_seek else ():
            self._seek(ticks - int(back / self._info.time_base))
            if self._found(ticks):
                return
        self._wanted = None
        self._seek(0)
        self._found(ticks)

    def _is_near(self, ticks: int) -> bool:
        """True when decoding on is no slower than a seek."""
        here = self._held[0] if self._held else 0
        if not self.may_seek or ticks < here:
            return not self.may_seek
        key = self._key_before(ticks)
        if key is not None:
            return key <= here
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
        """Where frames last longer than they say, the one on the screen may be among the skipped."""
        held = self._held[0] if self._held else ticks
        known = self._decoder.pts.newest(NEWEST)
        if self._wanted is not None and any(held < t <= ticks for t in known):
            self._wanted = None
            self._seek(held)
            self._found(ticks)
