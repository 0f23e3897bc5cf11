"""Time stamps of all frames of a video: the newest at hand, all of them in order at the end."""

from __future__ import annotations

from array import array

import numpy as np

from videograph.spill import Rows, pieces

KEPT = 1 << 16
"""Newest time stamps that stay at hand: 18 minutes at 60 frames a second, half a megabyte."""
MERGED_AT_ONCE = 1 << 17
"""Time stamps that are put in order at once: a megabyte."""


class Stamps:
    """Ticks of frames in the order in which they are stored; of a long video the older ones on disk."""

    def __init__(self) -> None:
        self.n = 0
        """How many were added."""
        self._newest = array("q")
        self._older = Rows()
        self._last_of_older: int | None = None
        self._in_order = True  # no block begins before the end of the one before it

    def append(self, ticks: int) -> None:
        """Take the next frame's."""
        self._newest.append(ticks)
        self.n += 1
        if len(self._newest) == 2 * KEPT:
            self._put_away(KEPT)

    def newest(self, n: int) -> array[int]:
        """The last n, at least 1, as far as they are still at hand; in any order."""
        return self._newest[-n:]

    def _put_away(self, n: int) -> None:
        """Let the n earliest go to the older ones; B-frames to come may belong between the others."""
        ordered = _each_once(np.array(self._newest, np.int64))
        block = ordered[:n]
        self._newest = array("q", ordered[n:].tobytes())
        if len(block):
            last = self._last_of_older
            self._in_order &= last is None or int(block[0]) > last
            self._last_of_older = int(block[-1])
            self._older.add(block)

    def sorted_with(self, more: array[int]) -> np.ndarray:
        """All of them and some more, sorted, each once, (n,) int64; nothing is added afterwards."""
        others = _each_once(np.array(more, np.int64))
        newest = self._newest[:]  # stay at hand
        self._put_away(len(newest))
        self._newest = newest
        stamps = self._older.whole().astype(np.int64, copy=False)
        if not self._in_order:
            stamps = _each_once(stamps)
        merged, begin = Rows(len(stamps)), 0
        for at in pieces(len(stamps), MERGED_AT_ONCE):
            last = at.stop == len(stamps)
            end = len(others) if last else int(np.searchsorted(others, stamps[at.stop]))
            merged.add(_each_once(np.concatenate([stamps[at], others[begin:end]])))
            begin = end
        return merged.whole() if len(stamps) else others


def _each_once(ticks: np.ndarray) -> np.ndarray:
    """Sorted, each once: as `np.unique`, which is ten times slower for what is nearly sorted."""
    ordered = np.sort(ticks)
    is_new = np.ones(len(ordered), bool)
    is_new[1:] = ordered[1:] > ordered[:-1]
    return ordered[is_new]
