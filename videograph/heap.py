"""What the C library does with freed memory: Linux's glibc is asked, elsewhere nothing happens.

By itself it learns from every large array that is freed to keep the next one of that size: good for a loop
that frees and takes the same again, such as training; bad for a long video, whose stages each take
something else and would leave a hundred megabytes behind.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # malloc.h
RETURNED_BYTES = 1 << 18
"""Arrays from here on are given back as soon as they are freed, once asked to."""
KEPT_BYTES, LARGE_BYTES = 1 << 28, 1 << 25
"""Free memory that is kept, and arrays that may lie in it, once asked to."""


def give_back() -> None:
    """Give memory back that was freed already."""
    if _trim is not None:
        _trim(0)


def give_back_at_once() -> None:
    """From now on: costs some time, since the system clears each page that is taken again."""
    if _set_option is not None:
        _set_option(_MMAP_THRESHOLD, RETURNED_BYTES)
        _set_option(_ARENA_MAX, 2)  # heaps; threads that come and go would leave one each


def keep_freed() -> None:
    """From now on keep what is freed: else the system clears it anew for every video of every epoch."""
    if _set_option is not None:
        _set_option(_TRIM_THRESHOLD, KEPT_BYTES)
        _set_option(_MMAP_THRESHOLD, LARGE_BYTES)


def _found(name: str) -> Callable[..., int] | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        return getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):  # another C library
        return None


_trim, _set_option = _found("malloc_trim"), _found("mallopt")
