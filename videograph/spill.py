"""Arrays as long as a video, laid on disk beyond some megabytes: a day needs the memory of ten minutes.

A spilled array is a plain numpy array over a mapped temporary file. Who knows nothing of it uses it as any
other; who goes over it in `pieces` releases it after each, and the pages of the file that were looked at
no longer count as the process's memory (their contents stay, in the file and in the system's cache of it).
The file has no name from the start, so that nothing is left of it however the process ends. Where the disk
has no room for it beside `SPARE_BYTES`, the array stays in memory: a summary that needs more memory is
better than a full disk, or none.
"""

from __future__ import annotations

import logging
import math
import mmap
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, overload

import numpy as np

from videograph.heap import give_back

log = logging.getLogger(__name__)

SPILL_BYTES = 1 << 20
"""Arrays up to this size stay in memory."""
SPARE_BYTES = 1 << 30
"""What is left free on the disk whatever happens."""
ROWS_AT_ONCE = 1024
"""Rows of a long array that are worked on at once: some megabytes."""
_BLOCK_BYTES = 4 << 20

_mapped: dict[int, weakref.ref[_Map]] = {}
"""Maps in use by the address at which they begin."""


class _Map(mmap.mmap):
    """A mapped temporary file; arrays over it hold it, and with the last of them it is gone."""


def empty(shape: Sequence[int], dtype: Any = np.float32) -> np.ndarray:
    """An array to be filled, on disk if it is large; what it holds before is 0 or anything."""
    kind, n_bytes = np.dtype(dtype), math.prod(shape) * np.dtype(dtype).itemsize
    if n_bytes > SPILL_BYTES:
        try:
            with _file(n_bytes) as file:
                _reserve(file, n_bytes)
                return _over(file, shape, kind)
        except OSError as error:
            _told(n_bytes, error)
    return np.empty(shape, kind)


def zeros(shape: Sequence[int], dtype: Any = np.float32) -> np.ndarray:
    """As `empty`, holding 0."""
    array = empty(shape, dtype)
    if not is_spilled(array):
        array.fill(0)  # a new file holds nothing else
    return array


def kept(array: np.ndarray) -> np.ndarray:
    """The same array, on disk if it is large."""
    if array.nbytes <= SPILL_BYTES:
        return array
    copy = empty(array.shape, array.dtype)
    for at in pieces(len(array), ROWS_AT_ONCE * ROWS_AT_ONCE // max(1, array[0].size)):
        copy[at] = array[at]
    return copy


def release() -> None:
    """Let the pages of all spilled arrays go; they, and views of them, can be used as before."""
    for known in list(_mapped.values()):
        held = known()
        if held is not None and hasattr(held, "madvise"):  # not on Windows, which does so by itself
            held.madvise(mmap.MADV_DONTNEED)


def tidy() -> None:
    """Give memory back that was freed: between two stages of a long video, glibc would keep 200 MB of it."""
    release()
    give_back()


def is_spilled(array: np.ndarray) -> bool:
    """Whether an array, or what it is a view of, lies on disk."""
    return _address(array) in _mapped


def pieces(n_rows: int, n_at_once: int) -> Iterator[slice]:
    """Slices of so many rows, one after the other; after each, spilled arrays are released."""
    for start in range(0, n_rows, n_at_once):
        yield slice(start, min(start + n_at_once, n_rows))
        release()


class Rows:
    """An array that grows row by row: in memory up to `SPILL_BYTES`, then in a file.

    Args:
        n_expected: rows that are likely to come; if no more do, nothing is copied.
    """

    def __init__(self, n_expected: int = 0) -> None:
        self._n, self._n_expected = 0, n_expected
        self._array: np.ndarray | None = None  # in memory
        self._file: Any = None  # or here
        self._shape: tuple[int, ...] = ()
        self._kind = np.dtype(np.float32)
        self._stays = False  # the disk has no room

    def add(self, rows: np.ndarray) -> None:
        """Take the next rows, of the shape and kind of the first ones."""
        if not self._n:
            self._shape, self._kind = rows.shape[1:], rows.dtype
            if not self._fits_memory(self._n_expected):
                self._open()
        elif self._file is None and not self._fits_memory(self._n + len(rows)):
            self._open()
        if self._file is None or not self._written(rows):
            self._held(rows)
        self._n += len(rows)

    def whole(self) -> np.ndarray:
        """All of them, (n_rows, ...); nothing is added afterwards."""
        if self._file is None:
            return np.empty(0) if self._array is None else self._array[: self._n]
        with self._file as file:
            shape = (self._n, *self._shape)
            return _over(file, shape, self._kind) if self._n else np.empty(shape, self._kind)

    def _fits_memory(self, n_rows: int) -> bool:
        return self._stays or n_rows * self._row_bytes <= SPILL_BYTES

    @property
    def _row_bytes(self) -> int:
        return math.prod(self._shape) * self._kind.itemsize

    def _open(self) -> None:
        """Go on in a file, what is there already first."""
        n_bytes = max(self._n, self._n_expected) * self._row_bytes
        try:
            self._file = _file(n_bytes)
            if self._array is not None:
                self._write(self._array[: self._n])
            self._array = None
        except OSError as error:
            self._back(n_bytes, error)

    def _write(self, rows: np.ndarray) -> None:
        data = _bytes(np.ascontiguousarray(rows, self._kind))
        while len(data):
            data = data[self._file.write(data) :]  # a disk that fills up takes a part first

    def _written(self, rows: np.ndarray) -> bool:
        try:
            self._write(rows)
        except OSError as error:
            self._back(self._n * self._row_bytes, error)
            return False
        return True

    def _back(self, n_bytes: int, error: OSError) -> None:
        """Into memory again: somebody else has filled the disk meanwhile."""
        _told(n_bytes, error)
        self._stays = True
        if self._file is not None and self._array is None:
            read = np.empty((self._n, *self._shape), self._kind)
            with self._file as file:
                file.seek(0)
                data = _bytes(read)
                while len(data):
                    data = data[file.readinto(data) :]
            self._array = read
        self._file = None

    def _held(self, rows: np.ndarray) -> None:
        end = self._n + len(rows)
        if self._array is None:
            n_rows = max(end, self._n_expected)
            self._array = np.empty((n_rows, *self._shape), self._kind)
        elif end > len(self._array):
            grown = np.empty((end + end // 2, *self._shape), self._kind)
            grown[: self._n] = self._array[: self._n]
            self._array = grown
        self._array[self._n : end] = rows


def mean(rows: np.ndarray) -> np.ndarray:
    """Mean of rows, (dim,) float32, of long arrays piece by piece."""
    if rows.nbytes <= SPILL_BYTES:
        return rows.mean(axis=0, dtype=np.float32)
    total = np.zeros(rows.shape[1:])
    for at in pieces(len(rows), ROWS_AT_ONCE):
        total += rows[at].sum(axis=0, dtype=np.float64)
    return (total / len(rows)).astype(np.float32)


def rows_at(array: np.ndarray, places: np.ndarray, n_at_once: int = 64) -> np.ndarray:
    """`array[places]`, piece by piece: around each of them the system reads sixteen pages.

    Args:
        array: (n_rows, ...).
        places: rows that are taken, (n,); the result lies on disk if it is large.
        n_at_once: rows of a piece, more where they lie side by side.
    """
    taken = empty((len(places), *array.shape[1:]), array.dtype)
    for at in pieces(len(places), n_at_once):
        taken[at] = array[places[at]]
    return taken


class Pile(Sequence[bytes]):
    """Pieces of bytes, such as pictures, beyond `SPILL_BYTES` in a file; read one at a time."""

    def __init__(self) -> None:
        self._rows, self._ends = Rows(), [0]
        self._whole: np.ndarray | None = None

    def __reduce__(self) -> tuple[Callable[[list[bytes]], Pile], tuple[list[bytes]]]:
        return _piled, (list(self),)  # pickled with all that is in it: the file has no name

    def add(self, piece: bytes) -> None:
        """Put another on top; not after one was read."""
        self._rows.add(np.frombuffer(piece, np.uint8))
        self._ends.append(self._ends[-1] + len(piece))

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        at = range(len(self))[index]
        if self._whole is None:
            self._whole = self._rows.whole()
        piece = self._whole[self._ends[at] : self._ends[at + 1]].tobytes()
        release()
        return piece


def _piled(found: list[bytes]) -> Pile:
    pile = Pile()
    for piece in found:
        pile.add(piece)
    return pile


def _file(n_bytes: int) -> Any:
    """A new temporary file without a name.

    Raises:
        OSError: there is no place for so much.
    """
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if n_bytes > free - SPARE_BYTES:
        raise OSError(f"{folder} has {free >> 20} MB free, of which {SPARE_BYTES >> 20} stay so")
    return tempfile.TemporaryFile(prefix="videograph-", buffering=0)


def _reserve(file: Any, n_bytes: int) -> None:
    """Have the disk keep so much: a mapped page that finds no place later would end the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, n_bytes)
        return
    block = bytes(_BLOCK_BYTES)
    for start in range(0, n_bytes, _BLOCK_BYTES):
        file.write(block[: n_bytes - start])


def _over(file: Any, shape: Sequence[int], kind: np.dtype) -> np.ndarray:
    held = _Map(file.fileno(), math.prod(shape) * kind.itemsize)
    array = np.frombuffer(held, kind).reshape(shape)
    address = _address(array)
    _mapped[address] = weakref.ref(held, lambda _: _mapped.pop(address, None))
    return array


def _bytes(array: Any) -> memoryview:
    return memoryview(array).cast("B")


def _address(array: np.ndarray) -> int:
    """Where the memory begins that an array is a view of."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array.__array_interface__["data"][0]


def _told(n_bytes: int, error: OSError) -> None:
    log.warning(
        "%d MB stay in memory that would lie on disk: %s. TMPDIR names another folder.",
        n_bytes >> 20,
        error,
    )
