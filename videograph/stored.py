"""Videos as an h5 of features: all that a summary needs of them but the pictures; written and read.

The file is a data set in the field's layout (a group per video: `features`, `picks`, `change_points`
inclusive, ...), so that training and evaluation read it as it is, and holds besides what
`packed.pack` makes: objects, clock, thumbnails, and how the file was read.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from videograph.cache import Cache
from videograph.datasets import natural
from videograph.datasets._h5 import open_h5, text
from videograph.errors import UsageError, VideographError
from videograph.features import Extraction
from videograph.packed import pack, relocated, unpack
from videograph.records import (
    Shots,
    TimedText,
    VideoFeatures,
    from_change_points,
    to_change_points,
)

SUFFIXES = (".h5", ".hdf5")
"""What files of features end in."""
JSON_PARTS = ("record", "source", "texts")
"""Datasets that hold JSON, with a checksum as HDF5 keeps none of single values."""
MADE_BY = "Try: videograph features VIDEO -o FILE.h5, which writes such files."
DAMAGED = (AttributeError, KeyError, OSError, RuntimeError, TypeError, UnicodeError, ValueError)
"""What h5py and the records raise on a file that is damaged, or somebody else's."""


@dataclass(frozen=True)
class Stored:
    """A video as an h5 of features holds it."""

    extraction: Extraction
    """The file, read and seen; `info.path` is where the video is, or was."""
    speed: str
    """Which frames stand for the picks, see `SummarizeConfig.speed`."""
    steps_per_second: Fraction
    """Picks a second of presentation time."""
    shots: Shots | None = None
    """The shots; None: those that `find_shots` finds in the features."""
    texts: tuple[TimedText, ...] = ()
    """What is said in it or of it."""
    word_features: np.ndarray | None = None
    """A row per word or phrase, (n_words, word_dim) float32; None: only the texts are known."""
    word_mask: np.ndarray | None = None
    """Words usable at each step, (n_steps, n_words) bool; None: all, everywhere."""
    text_encoder: str = ""
    """Name and version of who made `word_features`."""
    content: str = ""
    """BLAKE2b of the whole video, in hex; "" if it was gone already when this was written."""
    size: int = 0
    """The video's length in bytes."""
    mtime_ns: int = 0
    """When the video was last changed, in ns, as its file system told."""
    key: str = ""
    """Name of its group in the file ("video_1")."""

    @property
    def has_video(self) -> bool:
        """Whether the video can be opened, for what needs its pictures and sound."""
        return self.extraction.info.path.is_file()


# -- writing -----------------------------------------------------------------------------------------


def write_extraction(path: str | Path, video: Stored, *, force: bool = False) -> None:
    """Write one video, see `write_extractions`."""
    write_extractions(path, [video], force=force)


def write_extractions(
    path: str | Path, videos: Iterable[Stored], *, force: bool = False
) -> tuple[str, ...]:
    """Write videos as an h5 of features; it appears whole or not at all.

    Args:
        path: the h5.
        videos: taken one by one, so that a generator needs the memory of one; all of one encoder.
        force: replace a file that is there.

    Returns:
        Names of the groups.

    Raises:
        UsageError: the place is taken, no folder, or no h5.
        VideographError: there are no videos, or of several encoders, or it could not be written.
    """
    path = Path(path)
    refuse_place(path, force=force)
    hidden = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    keys: list[str] = []
    try:
        with h5py.File(hidden, "w") as file:
            for number, video in enumerate(videos, start=1):
                keys.append(f"video_{number}")
                _write_head(file, video)
                _write_group(file.create_group(keys[-1]), video)
            if not keys:
                raise VideographError(f"there is no video to write to {path}.")
        os.replace(hidden, path)
    except OSError as error:
        raise VideographError(
            f"cannot write {path} ({str(error).splitlines()[0]}). Try another place with -o."
        ) from error
    finally:
        hidden.unlink(missing_ok=True)
    return tuple(keys)


def refuse_place(path: Path, *, force: bool) -> None:
    """Refuse a place for an h5 before any work is done.

    Raises:
        UsageError: it is taken and `force` is not given, has another suffix, or there is no folder.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f'{path} is no name for features. Allowed: a name that ends in ".h5".')
    if path.is_dir():
        raise UsageError(f"{path} is a folder. Allowed: a name for a file.")
    if path.exists() and not force:
        raise UsageError(f"{path} exists already. Try --force to replace it, or another place.")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent} to write {path.name} to.")


def _write_head(file: Any, video: Stored) -> None:
    """What the file says of all its videos, which must agree on it."""
    features = video.extraction.features
    head = {
        "encoder": features.encoder,
        "preprocessing": f"{video.steps_per_second} steps a second, {video.speed}",
        "classes": json.dumps(features.object_names),
        "text_encoder": video.text_encoder,
        "made_by": f"videograph {version('videograph')}",
    }
    for name, value in head.items():
        if file.attrs.setdefault(name, value) != value:
            raise VideographError(
                f"the videos of one file need one {name}; got {file.attrs[name]} and {value}."
            )


def _write_group(group: Any, video: Stored) -> None:
    extraction, arrays = video.extraction, pack(video.extraction)
    clock, features = extraction.report.clock, extraction.features
    shots = _found(features) if video.shots is None else video.shots
    kinds = arrays.pop("object_kinds", None)
    record = arrays.pop("record").tobytes().decode()
    parts: dict[str, Any] = arrays | {
        "object_classes": None if kinds is None else np.where(kinds > 0, kinds, -1),
        "change_points": to_change_points(shots),
        "n_frame_per_seg": shots.lengths,
        "n_frames": clock.n_frames,
        "n_steps": features.n_steps,
        "fps": float(clock.n_frames / clock.duration),
        "video_name": extraction.info.path.stem,
        "title": extraction.info.title or "",
        "word_features": video.word_features,
        "word_mask": video.word_mask,
        "texts": json.dumps([_as_json(t) for t in video.texts]),
        "record": record,
        "source": json.dumps(_source(video)),
    }
    for name, value in parts.items():
        if value is not None:
            _store(group, name, value)


def _found(features: VideoFeatures) -> Shots:
    from videograph.shots import find_shots  # SciPy: not where a file is only read

    return find_shots(features)


def _source(video: Stored) -> dict[str, Any]:
    path = video.extraction.info.path
    content, size, mtime_ns = video.content, video.size, video.mtime_ns
    if not content and path.is_file():
        found = path.stat()
        content, size, mtime_ns = Cache().content(path), found.st_size, found.st_mtime_ns
    return {
        "speed": video.speed,
        "steps_per_second": str(video.steps_per_second),
        "content": content,
        "size": size,
        "mtime_ns": mtime_ns,
    }


def _store(group: Any, name: str, value: Any) -> None:
    """A dataset; arrays carry checksums, and are packed where that saves something."""
    if isinstance(value, np.ndarray) and value.size:
        packs = value.dtype != np.uint8  # thumbnails are JPEGs
        how = {"compression": "gzip", "compression_opts": 1, "shuffle": True} if packs else {}
        group.create_dataset(name, data=value, fletcher32=True, **how)
    else:
        # Names of files may hold bytes that are no UTF-8; HDF5 keeps text as UTF-8 only.
        group[name] = value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
    if name in JSON_PARTS:
        group[name].attrs["blake2b"] = _digest(str(value))


def _digest(told: str) -> str:
    return hashlib.blake2b(told.encode(), digest_size=16).hexdigest()


def _as_json(said: TimedText) -> dict[str, Any]:
    return {
        "text": said.text,
        "source": said.source,
        "start_seconds": None if said.start_seconds is None else str(said.start_seconds),
        "end_seconds": None if said.end_seconds is None else str(said.end_seconds),
        "wanted": said.wanted,
    }


# -- reading -----------------------------------------------------------------------------------------


def is_stored(path: str | Path) -> bool:
    """Whether this is named like a file of features, not like a video."""
    return Path(path).suffix.lower() in SUFFIXES


def stored_names(path: str | Path) -> dict[str, str]:
    """The videos of an h5: name of the file by name of the group.

    Raises:
        VideographError: it is missing, unreadable, or holds no video.
    """
    path = Path(path)
    names = {}
    with open_h5(path) as file:
        with _explaining(path):
            keys = sorted((k for k in file if isinstance(file[k], h5py.Group)), key=natural)
            if not keys:
                raise ValueError("it holds no groups, one for each video")
        for key in keys:
            with _explaining(path, key):
                names[key] = _recorded_path(file[key]).name
    return names


def _recorded_path(group: Any) -> Path:
    """Where the video was, the rest of the record unread."""
    info = _json(group, "record").get("info")
    if not isinstance(info, dict) or not isinstance(info.get("path"), str):
        raise ValueError("record does not tell where the video was")
    return Path(info["path"])


def _json(group: Any, name: str) -> Any:
    if name not in group:
        raise ValueError(f"{name} is missing")
    told = text(group, name)
    if group[name].attrs.get("blake2b") != _digest(told):
        raise ValueError(f"{name} is damaged (its checksum differs)")
    return json.loads(told)


def read_extraction(path: str | Path, key: str | None = None) -> Stored:
    """A video of an h5 of features, every array and value checked.

    Args:
        path: the h5.
        key: name of its group; None: the only one.

    Raises:
        UsageError: the file holds several videos and none was named, or none of that name.
        VideographError: it is missing, damaged or of another kind: what is missing or malformed.
    """
    path = Path(path)
    names = stored_names(path)
    if key is None and len(names) > 1:
        raise UsageError(f"{path} holds {len(names)} videos. Name one of: {_listed(names)}.")
    key = next(iter(names)) if key is None else key
    if key not in names:
        raise UsageError(f'{path} holds no video "{key}". Available: {_listed(names)}.')
    with open_h5(path) as file, _explaining(path, key):
        return _read_group(file, file[key], key)


def _read_group(file: Any, group: Any, key: str) -> Stored:
    arrays = {n: np.asarray(d[()]) for n, d in group.items() if d.shape and d.dtype.kind in "biuf"}
    source, texts = _json(group, "source"), _json(group, "texts")
    arrays["record"] = np.frombuffer(text(group, "record").encode(), np.uint8)
    classes = arrays.pop("object_classes", None)
    if classes is not None:
        arrays["object_kinds"] = np.maximum(classes, 0).astype(classes.dtype)
    extraction = unpack(arrays)
    features = extraction.features
    words, mask = _words(arrays, features.n_steps)
    return Stored(
        extraction,
        speed=str(source["speed"]),
        steps_per_second=Fraction(source["steps_per_second"]),
        shots=_shots(arrays, features.n_frames),
        texts=tuple(_said(t) for t in texts),
        word_features=words,
        word_mask=mask,
        text_encoder=str(file.attrs.get("text_encoder", "")),
        content=str(source["content"]),
        size=int(source["size"]),
        mtime_ns=int(source["mtime_ns"]),
        key=key,
    )


def _shots(arrays: dict[str, np.ndarray], n_frames: int) -> Shots:
    change_points = arrays.get("change_points")
    if change_points is None or change_points.ndim != 2 or change_points.shape[1] != 2:
        raise ValueError("change_points are missing or not of shape (n_shots, 2)")
    shots = from_change_points(change_points)
    if shots.n_frames != n_frames:
        raise ValueError(f"change_points end at frame {shots.n_frames} of {n_frames}")
    return shots


def _words(
    arrays: dict[str, np.ndarray], n_steps: int
) -> tuple[np.ndarray | None, np.ndarray | None]:
    words, mask = arrays.get("word_features"), arrays.get("word_mask")
    if words is None:
        return None, None
    if words.ndim != 2 or words.dtype.kind != "f" or not np.isfinite(words).all():
        raise ValueError("word_features are not finite numbers of shape (n_words, word_dim)")
    if mask is not None and (mask.dtype.kind != "b" or mask.shape != (n_steps, len(words))):
        raise ValueError(f"word_mask is not of type bool and shape ({n_steps}, {len(words)})")
    return words.astype(np.float32, copy=False), mask


def _said(told: dict[str, Any]) -> TimedText:
    spans = {n: None if told[n] is None else Fraction(told[n])
             for n in ("start_seconds", "end_seconds")}  # fmt: skip
    return TimedText(str(told["text"]), str(told["source"]), **spans, wanted=told["wanted"] is True)


@contextmanager
def _explaining(path: Path, key: str = "") -> Iterator[None]:
    """Turn whatever a damaged or foreign file leads to into one sentence."""
    try:
        yield
    except VideographError:
        raise
    except DAMAGED as error:
        where = f"{path}, {key}" if key else f"{path}"
        why = (str(error).splitlines() or ["unknown"])[0].rstrip(".")
        if type(error) is not ValueError:  # ours are; h5py's tell what it stumbled over
            why = f"it is damaged ({why})"
        raise VideographError(f"{where} cannot be used: {why}. {MADE_BY}") from error


# -- where a video is accepted -----------------------------------------------------------------------


def open_source(path: str | Path, video: str | Path | None = None) -> Stored:
    """A video of an h5 of features, `info.path` being where the video lies now.

    It is looked for at `video`, at its recorded place and beside the h5; a file there that is not the
    one that was read is refused. Where it is gone, `has_video` is False.

    Args:
        path: the h5.
        video: the video itself, or its name (of file or group) in an h5 that holds several.

    Raises:
        UsageError: it is not told which video is meant.
        VideographError: the h5 cannot be used, or what lies at the video's place is another video.
    """
    path = Path(path)
    stored = read_extraction(path, _chosen(path, stored_names(path), video))
    recorded = stored.extraction.info.path
    given = [Path(video)] if video is not None and Path(video).is_file() else []
    for place in [*given, recorded, path.absolute().parent / recorded.name]:
        if place.is_file():
            if stored.content:  # else nothing is known of it
                _refuse_another(place, stored, path)
            return replace(stored, extraction=relocated(stored.extraction, place))
    return stored


def _chosen(path: Path, names: dict[str, str], video: str | Path | None) -> str | None:
    """The group that is meant; None where there is only one to mean."""
    if video is None:
        return None
    wanted = Path(video)
    known = [key for key in names if key == str(video)]
    known = known or [key for key, name in names.items() if name == wanted.name]
    known = known or [key for key, name in names.items() if Path(name).stem == str(video)]
    if len(known) == 1:
        return known[0]
    if not known and len(names) == 1 and wanted.is_file():
        return None  # renamed: its content tells
    got = f"{len(known)} videos" if known else "no video"
    raise UsageError(f'{path} holds {got} named "{video}". Name one of: {_listed(names)}.')


def _listed(names: dict[str, str]) -> str:
    shown = [f"{key} ({name})" for key, name in list(names.items())[:10]]
    return ", ".join(shown) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def _refuse_another(place: Path, stored: Stored, path: Path) -> None:
    """Refuse what is not the video; one that has its old size and time is not read to know."""
    try:
        found = place.stat()
        same = found.st_size == stored.size and (
            found.st_mtime_ns == stored.mtime_ns or Cache().content(place) == stored.content
        )
    except OSError as error:
        raise VideographError(f"{place} cannot be read ({error.strerror}).") from error
    if not same:
        raise VideographError(
            f"{place} is not the video that {path.name} was made from, or has changed since. Try: "
            f"videograph features {place} -o {path.name} --force, or move it out of the way."
        )
