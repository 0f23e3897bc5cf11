"""Features computed once: a folder of entries by what made them, bounded, shared by processes.

An entry is an uncompressed npz, whose CRC-32 per array tells a damaged one. It is written beside its
place and moved there whole, so that nobody sees half of it; its modification time is its last use, and
the least recently used go first. Whatever goes wrong here costs time and never a summary: the features
are computed as if there were no cache, and the log says why.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import logging
import os
import re
import stat
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass, replace
from fractions import Fraction
from functools import lru_cache, partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

from videograph.config import CacheConfig
from videograph.encoders import Encoder, ObjectDetector
from videograph.features import Extraction, extract
from videograph.objects import with_objects
from videograph.packed import FORMAT, pack, read_arrays, relocated, unpack, write_arrays
from videograph.records import Hook, Shots, no_hook

log = logging.getLogger(__name__)

LARGEST_SHARE = 0.5
"""An entry larger than this share of the cache is not kept: it would drive everything else out."""
BLOCK_BYTES = 4096
"""The least that a file costs on disk: small entries are counted as this much."""
STALE_SECONDS = 3600
"""Age at which an unfinished file belongs to a process that was killed."""
RACY_SECONDS = 2
"""A file changed so recently may change again under the same time stamp: FAT counts in 2 s."""
NO_MAKERS = ("config", "encoders", "errors", "records")
"""Rooms that say how things are called and asked for, and make nothing that is kept."""

_ENTRY = re.compile(r"[0-9a-f]{40}\.npz")
_PART = re.compile(r"\.[0-9a-f]{40}\.[0-9a-f]{32}\.part")


@dataclass(frozen=True)
class Usage:
    """What the cache holds."""

    folder: Path | None
    """Where it lies; None: it is switched off, or there is no place for it."""
    n_entries: int
    """Entries in it."""
    n_bytes: int
    """What they take, in bytes."""
    max_bytes: int
    """What they may take."""


class Cache:
    """Arrays by key, in a folder that may be shared, full, read-only or gone.

    Args:
        config: where and how large; None reads the environment, see `CacheConfig.from_environment`.
    """

    def __init__(self, config: CacheConfig | None = None) -> None:
        config = CacheConfig.from_environment() if config is None else config
        self.max_bytes = config.max_bytes
        self.folder = _folder(config) if config.max_bytes > 0 else None

    def get(self, key: str) -> dict[str, np.ndarray] | None:
        """The arrays kept under a key, writable; None where there are none, or they are damaged."""
        if self.folder is None:
            return None
        path = self._path(self.folder, key)
        try:
            with path.open("rb") as file:
                arrays = read_arrays(file)
        except OSError:  # none there, or none that can be read
            return None
        except Exception as error:  # whatever damaged bytes do to zip and npy readers
            self._drop(path, error)
            return None
        _touch(path)
        return arrays

    def put(self, key: str, arrays: Mapping[str, np.ndarray]) -> bool:
        """Keep arrays under a key, in place of what is there; whether that went well."""
        n_bytes = sum(max(a.nbytes, 1) for a in arrays.values())
        if self.folder is None or n_bytes > self.max_bytes * LARGEST_SHARE:
            return False
        path = self._path(self.folder, key)
        part = path.with_name(f".{path.stem}.{uuid.uuid4().hex}.part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with part.open("xb") as file:
                write_arrays(file, arrays)
            self._make_room(_cost(part.stat().st_size), spare=path)
            os.replace(part, path)
        except OSError as error:  # read-only, full, taken by a file, gone
            log.info("not kept in the cache: %s", error)
            return False
        finally:
            _remove(part)
        return True

    def drop(self, key: str, why: Exception) -> None:
        """Forget an entry that turned out to be damaged."""
        if self.folder is not None:
            self._drop(self._path(self.folder, key), why)

    def content(self, path: str | Path) -> str:
        """BLAKE2b of a whole file, in hex; read again only where its size or times have changed.

        Raises:
            OSError: it cannot be read.
        """
        path = Path(path).absolute()
        before = stamp(path)
        key = f"content {path} {before}"
        kept = self.get(key)
        if kept is not None and set(kept) == {"digest"}:
            return kept["digest"].tobytes().hex()
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "blake2b").digest()
        settled = time.time() - max(before[1], before[2]) / 1e9 > RACY_SECONDS
        if settled and stamp(path) == before:
            self.put(key, {"digest": np.frombuffer(digest, np.uint8)})
        return digest.hex()

    def usage(self) -> Usage:
        """What is there now."""
        files = list(self._files())
        n_entries = sum(_ENTRY.fullmatch(path.name) is not None for path, _ in files)
        n_bytes = sum(_cost(found.st_size) for _, found in files)
        return Usage(self.folder, n_entries, n_bytes, self.max_bytes)

    def clear(self) -> Usage:
        """Remove every entry, and nothing else that lies in the folder; what was there."""
        before = self.usage()
        for path, _ in self._files():
            _remove(path)
        return before

    def _make_room(self, n_bytes: int, *, spare: Path) -> None:
        """Remove the least recently used until so many bytes fit; also what killed writers left."""
        files = sorted(self._files(), key=lambda item: item[1].st_mtime_ns)
        total = sum(_cost(found.st_size) for path, found in files if _is_entry(path, spare))
        for path, found in files:
            if _is_entry(path, spare):
                if total + n_bytes > self.max_bytes:
                    _remove(path)
                    total -= _cost(found.st_size)
            elif path != spare and time.time() - found.st_mtime > STALE_SECONDS:
                _remove(path)

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        """Our own files with their sizes and times; those that vanish meanwhile are passed over."""
        if self.folder is None or not self.folder.is_dir():
            return
        for path in self.folder.iterdir():
            if _ENTRY.fullmatch(path.name) or _PART.fullmatch(path.name):
                try:
                    yield path, path.stat()
                except OSError:
                    continue

    def _path(self, folder: Path, key: str) -> Path:
        name = hashlib.blake2b(key.encode("utf-8", "surrogateescape"), digest_size=20).hexdigest()
        return folder / f"{name}.npz"

    def _drop(self, path: Path, error: Exception) -> None:
        log.info("damaged entry of the cache removed: %s (%s)", path, error)
        _remove(path)


def extract_cached(
    path: str | Path,
    encoder: Encoder,
    *,
    speed: str = "balanced",
    steps_per_second: Fraction = Fraction(2),
    hook: Hook = no_hook,
    folder: str | Path | None = None,
    use: bool = True,
) -> Extraction:
    """`features.extract`, done once for a content, an encoder and the way frames are taken.

    Args:
        path: the video.
        encoder: who sees the frames.
        speed: see `SummarizeConfig.speed`.
        steps_per_second: picks a second of presentation time.
        hook: told of stage "read", in seconds of video; of a kept one, once.
        folder: of the cache; None: as the environment says.
        use: False neither looks into the cache nor keeps anything.

    Raises:
        VideographError: the file cannot be read as a video.
    """
    made_by = [*_seen_by(encoder), speed, str(steps_per_second)]
    make = partial(
        extract, path, encoder, speed=speed, steps_per_second=steps_per_second, hook=hook
    )
    seen, is_kept = _once(Path(path), ["extraction", *made_by], "features", make, folder, use)
    if is_kept:
        length = float(seen.report.clock.duration)
        hook("read", length, length, seen.features)
    return seen


def objects_cached(
    seen: Extraction,
    shots: Shots,
    detector: ObjectDetector,
    encoder: Encoder,
    *,
    every: str | int = "shots",
    hook: Hook = no_hook,
    folder: str | Path | None = None,
    use: bool = True,
) -> Extraction:
    """The extraction with a detector's objects, `objects.with_objects`, looked for once.

    Args:
        seen: of `extract_cached`, with the same encoder.
        shots: of the same video.
        detector: who finds objects.
        encoder: who describes the boxes.
        every: see `with_objects`.
        hook: told of stage "objects", in frames looked at; of kept ones, once.
        folder, use: see `extract_cached`.

    Raises:
        UsageError: `every` is not allowed, or the encoder is not that of the features.
        VideographError: the file cannot be read any more.
    """

    def make() -> Extraction:
        found = with_objects(
            seen.features, shots, seen.info, seen.report.clock, detector, encoder,
            every=every, hook=hook,
        )  # fmt: skip
        return replace(seen, features=found)

    picks, bounds = seen.features.picks, shots.bounds
    steps = hashlib.blake2b(picks.tobytes() + bounds.tobytes(), digest_size=16).hexdigest()
    made_by = [*_seen_by(encoder), _settings(detector), steps, every]
    found, is_kept = _once(seen.info.path, ["objects", *made_by], "objects", make, folder, use)
    if is_kept:
        n_steps = found.features.n_steps
        hook("objects", n_steps, n_steps, found.features)
    return found


def _once(
    path: Path,
    made_by: Sequence[object],
    room: str,
    make: Callable[[], Extraction],
    folder: str | Path | None,
    use: bool,
) -> tuple[Extraction, bool]:
    """What `make` makes of a video, or made of the same content before; and whether that was so."""
    config = CacheConfig.from_environment()
    cache = Cache(config if folder is None else CacheConfig(str(folder), config.max_bytes))
    key = _key(cache, path, made_by, room) if use else None
    if key is not None and (kept := _kept(cache, key, path)) is not None:
        return kept, True
    made = make()
    if key is not None and key == _key(cache, path, made_by, room):
        cache.put(key, pack(made))
    return made, False


def _kept(cache: Cache, key: str, path: Path) -> Extraction | None:
    arrays = cache.get(key)
    try:
        return None if arrays is None else relocated(unpack(arrays), path)
    except ValueError as error:
        cache.drop(key, error)
        return None


def _key(cache: Cache, path: Path, made_by: Sequence[object], room: str) -> str | None:
    """Everything that an extraction depends on; None where nothing can be kept of such a file."""
    try:
        if cache.folder is None or not stat.S_ISREG(path.stat().st_mode):
            return None
        content, code = cache.content(path), code_of(room)
    except OSError as error:  # if it is the video's fault, the reader says what is wrong with it
        log.info("not looked for in the cache: %s", error)
        return None
    versions = [FORMAT, version("videograph"), version("av")]
    return json.dumps([content, *made_by, *versions, code])


def _seen_by(encoder: Encoder) -> list[object]:
    return [encoder.name, encoder.frame_side, encoder.dim, encoder.object_dim, encoder.n_objects]


def _settings(detector: ObjectDetector) -> str:
    """Name, kinds, and whatever else a detector was told, as its threshold: all its plain values."""
    kinds = (str, int, float, tuple)
    held = [(n, v) for n, v in vars(detector).items() if isinstance(v, kinds) or is_dataclass(v)]
    return repr([detector.name, detector.names, detector.n_objects, *sorted(held, key=str)])


@lru_cache
def code_of(first: str) -> str:
    """Digest of the sources of a room and of all that it imports: only what made an entry finds it."""
    package, found, ahead = Path(__file__).parent, dict[str, str](), [first, "features", "packed"]
    while ahead:
        name = ahead.pop()
        if name not in found and name not in NO_MAKERS:
            room = package / name
            files = sorted(room.glob("*.py")) if room.is_dir() else [room.with_suffix(".py")]
            found[name] = "".join(file.read_text(encoding="utf-8") for file in files)
            ahead += re.findall(r"^ *from videograph\.(\w+)", found[name], re.MULTILINE)
    told = "".join(found[name] for name in sorted(found))
    return hashlib.blake2b(told.encode(), digest_size=16).hexdigest()


def stamp(path: Path) -> tuple[int, ...]:
    """What changes with a file, read without opening it: size, times in ns, and its place on disk."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev


def stamps_of_model(what: str) -> list[tuple[str, *tuple[int, ...]]]:
    """Stamps of what a model consists of on this machine, nothing being opened; none of a preset.

    Args:
        what: a folder; a file, with whose name others beside it may begin (names of kinds, weights); or
            a hub id, of which the hub's cache notes the commit.
    """
    place = Path(what).expanduser()
    if place.is_dir():
        files = [*place.glob("*"), *place.glob("*/*")]
    elif place.is_file():
        files = list(place.parent.glob(f"{glob.escape(place.stem)}.*"))
    else:
        from huggingface_hub import constants

        repo, _, revision = what.partition("@")
        folder = Path(constants.HF_HUB_CACHE, f"models--{repo.replace('/', '--')}", "refs")
        files = [folder / (revision or "main")]
    return sorted((str(file), *stamp(file)) for file in files if file.is_file())


def _folder(config: CacheConfig) -> Path | None:
    """Where entries lie, absolute; None where nobody can tell, as without a home."""
    try:
        if config.folder:
            return Path(config.folder).expanduser().absolute()
        from platformdirs import user_cache_path

        found = user_cache_path("videograph", appauthor=False)
    except (OSError, RuntimeError) as error:
        log.info("no place for a cache: %s", error)
        return None
    return found if found.is_absolute() else None


def _is_entry(path: Path, spare: Path) -> bool:
    return path != spare and _ENTRY.fullmatch(path.name) is not None


def _cost(n_bytes: int) -> int:
    return max(n_bytes, BLOCK_BYTES)


def _touch(path: Path) -> None:
    # A folder may be read-only; and another process may have made room meanwhile.
    with contextlib.suppress(OSError):
        os.utime(path)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.info("cannot remove %s: %s", path, error)
