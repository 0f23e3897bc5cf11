"""Which frames stand for the grid of picks, and where between two picks the picture changed most."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from av.video.frame import VideoFrame

from videograph.video._stamps import Stamps

Picked = tuple[int, VideoFrame, int]
"""A pick: its ticks, the frame that stands for it, and the ticks of the frame after the sharpest change."""

EARLY_KEY = 0.9
"""A key frame after less than this share of the longest gap was set by an encoder that saw a cut."""
MISSED_AMONG = 64
"""Frames among which the one on the screen is looked for where frames are skipped only between picks: no
decoder holds back more, and no frame is stored farther from its place in time."""


class Picker:
    """Which of the frames that come by stand for the grid of picks.

    Where only key frames are decoded (`repeats`), there is a pick for every moment of the grid all the
    same, and one key frame stands for many; else a frame is picked once.
    """

    def __init__(self, step: Fraction, pts: Stamps) -> None:
        self.step = step
        self.nearest = False
        self.repeats = False
        self.cut = CutFinder()
        self._pts = pts  # ticks of all frames known so far
        self._n_passed = 0  # of these, before the last moment that was served
        self._origin, self._due = 0, -1  # `_due`: twice the ticks of the next moment, rounded down
        self._k = 0
        self._held: tuple[int, VideoFrame] | None = None
        self._longest = 0  # ticks between two key frames
        self._last_pick = -1
        self.missed = 0
        """Picks for which another frame stands than the one on the screen."""

    def wants(self, ticks: int, duration: Fraction) -> bool:
        """Whether a moment of the grid falls on a frame that begins at `ticks` and lasts so long."""
        if self._held is None:
            return True
        k = math.ceil((ticks - self._origin) / self.step)
        return self._origin + k * self.step < ticks + duration

    def offer(self, ticks: int, frame: VideoFrame) -> Iterator[Picked]:
        """Show the next frame; gives the picks that the one before it stands for."""
        if self._held is None:
            self._origin, self._due = ticks, 2 * ticks
        else:
            yield from self._serve(self._twice_until(ticks))
        self._held = (ticks, frame)
        self.cut.see(ticks, frame)

    def last(self, end: int) -> Iterator[Picked]:
        """Picks that the held frame stands for before the video's end."""
        return self._serve(2 * end)

    def _twice_until(self, ticks: int) -> int:
        """Twice the ticks until which the held frame serves, when the next one begins at `ticks`.

        Exact: it is on the screen until then. Nearest: half way; but a key frame that comes early
        begins a shot, and does not stand for what was before.
        """
        assert self._held is not None
        held = self._held[0]
        if not self.nearest:
            return 2 * ticks
        self._longest = max(self._longest, ticks - held)
        if self.repeats and ticks - held < EARLY_KEY * self._longest:
            return 2 * ticks
        return held + ticks

    def _serve(self, twice_until: int) -> Iterator[Picked]:
        if self._held is None or twice_until <= self._due:
            return
        self._count_missed()
        first, self._k = self._k, math.ceil((Fraction(twice_until, 2) - self._origin) / self.step)
        self._due = math.floor(2 * (self._origin + self._k * self.step))
        ticks, frame = self._held
        if not self.repeats:
            yield from self._picked(ticks, frame, self.cut.take(ticks))
            return
        moments = [math.floor(self._origin + k * self.step) for k in range(first, self._k)]
        for on_screen in self._on_screen(moments, ticks):
            yield from self._picked(on_screen, frame, ticks)

    def _on_screen(self, moments: list[int], otherwise: int) -> list[int]:
        """Ticks of the frames on the screen at later and later moments, whether or not they were decoded."""
        n = self._pts.n - self._n_passed + MISSED_AMONG
        known = np.sort(np.array(self._pts.newest(n), np.int64))
        places = np.searchsorted(known, moments, side="right")
        self._n_passed = self._pts.n - (len(known) - int(places[-1]))
        return [int(known[at - 1]) if at else otherwise for at in places]

    def _count_missed(self) -> None:
        assert self._held is not None
        moment, held = self._due // 2, self._held[0]
        on_screen = max((t for t in self._pts.newest(MISSED_AMONG) if t <= moment), default=held)
        self.missed += on_screen != held

    def _picked(self, ticks: int, frame: VideoFrame, cut: int) -> Iterator[Picked]:
        """The pick, unless that moment's frame was picked before."""
        if ticks > self._last_pick:
            yield ticks, frame, cut if self._last_pick < cut <= ticks else ticks
            self._last_pick = ticks


class CutFinder:
    """The frame after the sharpest change of luma since the last pick, from a few pixels of each."""

    ROWS, COLUMNS = 36, 64

    def __init__(self) -> None:
        self.gap = 0  # ticks between looks, at least
        self._before: np.ndarray | None = None
        self._looked = -(1 << 62)
        self._sharpest, self._ticks = -1, -1

    def see(self, ticks: int, frame: VideoFrame) -> None:
        """Compare the next frame with the one before, unless that was a moment ago."""
        if ticks - self._looked < self.gap:
            return
        self._looked = ticks
        luma = self._luma(frame)
        change = 0
        if luma is not None and self._before is not None and luma.shape == self._before.shape:
            difference = luma - self._before
            change = int(np.abs(difference, out=difference).sum(dtype=np.int64))
        self._before = luma
        if change > self._sharpest:
            self._sharpest, self._ticks = change, ticks

    def take(self, pick: int) -> int:
        """The cut before a pick, which ends the search for it."""
        ticks = self._ticks if self._sharpest > 0 else pick
        self._sharpest, self._ticks = -1, -1
        return ticks

    def _luma(self, frame: VideoFrame) -> np.ndarray | None:
        """A sparse grid of the first plane, (<= 36, <= 64) int16 on a scale of 8 bits, or None."""
        try:
            plane: Any = frame.planes[0]
            bits = frame.format.components[0].bits
            pixels = np.frombuffer(plane, np.uint8 if bits <= 8 else np.uint16)
            rows = pixels[: len(pixels) // plane.height * plane.height].reshape(plane.height, -1)
            down = max(1, plane.height // self.ROWS)
            across = max(1, plane.width // self.COLUMNS)
            small = rows[down // 2 :: down, across // 2 : plane.width : across]
            return (small >> (bits - 8) if bits > 8 else small).astype(np.int16)
        except (ValueError, IndexError, TypeError, NotImplementedError):
            return None
