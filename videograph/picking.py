"""Which frames stand for the grid of picks, and where between two picks the picture changed most."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from av.video.frame import VideoFrame

Picked = tuple[int, VideoFrame, int]
"""A sampled frame: its ticks, itself, and the ticks of the frame after the sharpest change before it."""


class Picker:
    """Which of the frames that come by stand for the grid of picks."""

    def __init__(self, step: Fraction) -> None:
        self.step = step
        self.nearest = False
        self.cut = CutFinder()
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


class CutFinder:
    """The frame after the sharpest change of luma since the last pick, from a few pixels of each."""

    ROWS, COLUMNS = 36, 64

    def __init__(self) -> None:
        self.gap = 0  # ticks between looks, at least
        self._before: np.ndarray | None = None
        self._looked = -(1 << 62)
        self._sharpest, self._ticks = -1.0, -1

    def see(self, ticks: int, frame: VideoFrame) -> None:
        """Compare the next frame with the one before, unless that was a moment ago."""
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
