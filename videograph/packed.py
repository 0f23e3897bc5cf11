"""An extraction as plain arrays and back: the form that the cache and the h5 of features share.

Every array of the records goes under its field's name; what is no array goes into `record`, JSON in
UTF-8. Fields are read off the dataclasses, so a field that a record gains is kept without a word here.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from videograph.features import Extraction
from videograph.records import Clock, ReadReport, VideoFeatures, VideoInfo
from videograph.spill import ROWS_AT_ONCE, SPILL_BYTES, empty, pieces

PIECE_BYTES = 4 << 20
FORMAT = 1
"""Grows when what is packed can no longer be read by the same rules."""

_STEPS = "n_steps"
_SHAPES: dict[str, tuple[str, tuple[str | int, ...]]] = {
    "features": ("float32", (_STEPS, "dim")),
    "picks": ("int64", (_STEPS,)),
    "seconds": ("float64", (_STEPS,)),
    "object_features": ("float", (_STEPS, "n_objects", "object_dim")),
    "object_mask": ("bool", (_STEPS, "n_objects")),
    "object_boxes": ("float32", (_STEPS, "n_objects", 4)),
    "object_kinds": ("int", (_STEPS, "n_objects")),
    "object_scores": ("float32", (_STEPS, "n_objects")),
    "looked_at": ("bool", (_STEPS,)),
    "contrast": ("float32", (_STEPS,)),
    "cut_frames": ("int64", (_STEPS,)),
    "pts": ("int64", ("n_frames",)),
    "thumbnails": ("uint8", ("n_bytes",)),
    "thumbnail_steps": ("int64", ("n_thumbnails",)),
    "thumbnail_ends": ("int64", ("n_thumbnails",)),
}
"""Type and shape of the known arrays, "int" and "float" of any width; equal names are equal sizes."""
_KINDS = {"f": "f", "i": "iu", "u": "iu", "b": "b"}
"""Kinds of stored numbers that may stand for each wanted kind, in numpy's letters."""
_OBJECTS = ("object_features", "object_mask", "object_boxes", "object_kinds")


def pack(extraction: Extraction) -> dict[str, np.ndarray]:
    """The arrays of an extraction, none of them copied."""
    clock = extraction.report.clock
    steps = sorted(extraction.thumbnails)
    jpegs = [extraction.thumbnails[step] for step in steps]
    arrays = {n: v for n, v in _fields_of(extraction.features).items() if isinstance(v, np.ndarray)}
    record = {
        "format": FORMAT,
        "info": _plain(extraction.info),
        "report": _plain(extraction.report),
        "features": _plain(extraction.features),
        "clock": _plain(clock),
    }
    return arrays | {
        "pts": clock.pts,
        "thumbnails": np.frombuffer(b"".join(jpegs), np.uint8),
        "thumbnail_steps": np.array(steps, np.int64),
        "thumbnail_ends": np.cumsum([len(j) for j in jpegs], dtype=np.int64),
        "record": np.frombuffer(json.dumps(record).encode(), np.uint8),
    }


def unpack(arrays: Mapping[str, np.ndarray]) -> Extraction:
    """The extraction that was packed, every array and value checked.

    Raises:
        ValueError: what is missing or malformed, in words.
    """
    record = _record(arrays)
    checked = _checked({name: value for name, value in arrays.items() if name != "record"})
    info = _build(VideoInfo, record, "info", {})
    clock = _build(Clock, record, "clock", checked)
    report = _build(ReadReport, record, "report", {"clock": clock})
    features = _build(VideoFeatures, record, "features", checked)
    _check_features(features, clock)
    return Extraction(info, report, features, _thumbnails(checked, features.n_steps))


def relocated(extraction: Extraction, path: Path) -> Extraction:
    """The same extraction of a file that lies at `path`."""
    return replace(extraction, info=replace(extraction.info, path=path))


def write_arrays(file: BinaryIO, arrays: Mapping[str, np.ndarray]) -> None:
    """Arrays as an uncompressed npz, as `np.savez` writes it; long ones piece by piece."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as entry:
        for name, array in arrays.items():
            if array.dtype.hasobject:
                raise ValueError(f"{name} holds objects, no numbers")
            array = np.ascontiguousarray(array).reshape(array.shape)
            with entry.open(f"{name}.npy", "w", force_zip64=True) as out:
                header = np.lib.format.header_data_from_array_1_0(array)
                np.lib.format.write_array_header_1_0(out, header)
                data = array.reshape(-1)
                for at in pieces(data.size, max(1, PIECE_BYTES // array.itemsize)):
                    out.write(data[at].tobytes())


def read_arrays(file: BinaryIO) -> dict[str, np.ndarray]:
    """What `write_arrays` or `np.savez` wrote, writable; large arrays lie on disk (see `spill`).

    Raises:
        Exception: whatever damaged bytes do to zip and npy readers; each array has a checksum.
    """
    found: dict[str, np.ndarray] = {}
    with np.load(file, allow_pickle=False) as entry:
        for name in entry.files:
            if entry.zip.getinfo(f"{name}.npy").file_size <= SPILL_BYTES:
                found[name] = entry[name]
                continue
            with entry.zip.open(f"{name}.npy") as packed:
                found[name] = _read_long(packed)
    return found


def _read_long(packed: Any) -> np.ndarray:
    version = np.lib.format.read_magic(packed)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    shape, is_fortran, kind = read[version](packed)
    if is_fortran or kind.hasobject:
        raise ValueError("an array of another build than those that are kept")
    array = empty(shape, kind)
    data = array.reshape(-1)
    for at in pieces(data.size, max(1, PIECE_BYTES // kind.itemsize)):
        n_bytes = (at.stop - at.start) * kind.itemsize
        data[at] = np.frombuffer(packed.read(n_bytes), kind)
    if packed.read(1):  # also checks the sum of what was read
        raise ValueError("an array is longer than it says")
    return array


# -- what is no array --------------------------------------------------------------------------------


def _fields_of(record: Any) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in fields(record)}


def _plain(record: Any) -> dict[str, Any]:
    """The fields of a record that JSON can hold; arrays and other records have places of their own."""
    values = _fields_of(record).items()
    return {n: _as_json(v) for n, v in values if not isinstance(v, np.ndarray | Clock)}


def _as_json(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value.absolute())
    return str(value) if isinstance(value, Fraction) else value


def _record(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    try:
        record = json.loads(_of(arrays, "record").tobytes())
    except ValueError as error:
        raise ValueError("record is missing or no JSON") from error
    found = record.get("format") if isinstance(record, dict) else None
    if found != FORMAT:
        raise ValueError(f"record is of format {found}; format {FORMAT} is read here")
    return record


def _of(arrays: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    if name not in arrays:
        raise ValueError(f"{name} is missing")
    return arrays[name]


def _build(kind: type[Any], record: dict[str, Any], table: str, parts: Mapping[str, Any]) -> Any:
    """A record of a kind: fields from `parts` where they are there, else from its table of JSON."""
    told = record.get(table)
    if not isinstance(told, dict):
        raise ValueError(f"record has no table {table}")
    values: dict[str, Any] = {}
    for field in fields(kind):
        name = f"{table}.{field.name}"
        if field.name in parts:
            values[field.name] = parts[field.name]
        elif field.name in told:
            values[field.name] = _value(field, told[field.name], name)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"{field.name if 'ndarray' in str(field.type) else name} is missing")
    return kind(**values)


def _value(field: Field[Any], value: Any, name: str) -> Any:
    """A value of JSON as its field wants it."""
    kind, _, optional = str(field.type).partition(" | ")
    if value is None and optional == "None":
        return None
    try:
        return _READ[kind](value)
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise ValueError(f"record: {name} is {value!r}; {field.type} is needed") from error


def _exactly(kind: type[Any]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise TypeError
        return value

    return read


def _path(value: Any) -> Path:
    if not isinstance(value, str) or not value or "\0" in value:
        raise TypeError
    return Path(value)


def _fraction(value: Any) -> Fraction:
    return Fraction(_exactly(str)(value))


_READ: dict[str, Callable[[Any], Any]] = {
    "str": _exactly(str),
    "int": _exactly(int),
    "bool": _exactly(bool),
    "float": float,
    "Path": _path,
    "Fraction": _fraction,
    "tuple[int, ...]": lambda value: tuple(_exactly(int)(v) for v in _exactly(list)(value)),
    "tuple[str, ...]": lambda value: tuple(_exactly(str)(v) for v in _exactly(list)(value)),
}


# -- arrays ------------------------------------------------------------------------------------------


def _checked(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays in the types that the records name, shapes agreeing; unknown ones as they are."""
    sizes: dict[str | int, int] = {}
    checked = dict(arrays)
    for name, (dtype, shape) in _SHAPES.items():
        if name not in arrays:
            continue
        value, wanted = arrays[name], np.dtype(dtype)
        if value.dtype.kind not in _KINDS[wanted.kind]:
            raise ValueError(f"{name} holds {value.dtype}; {dtype} is needed")
        _check_shape(name, value, shape, sizes)
        checked[name] = value if dtype in ("int", "float") else value.astype(wanted, copy=False)
        if wanted.kind == "f" and not _all_finite(checked[name]):
            raise ValueError(f"{name} holds NaN or infinite values")
    return checked


def _all_finite(array: np.ndarray) -> bool:
    return all(np.isfinite(array[at]).all() for at in pieces(len(array), ROWS_AT_ONCE))


def _check_shape(
    name: str, value: np.ndarray, shape: tuple[str | int, ...], sizes: dict[str | int, int]
) -> None:
    expected = [size if isinstance(size, int) else sizes.get(size) for size in shape]
    fits = len(shape) == value.ndim and all(
        size in (None, found) for size, found in zip(expected, value.shape, strict=True)
    )
    if not fits:
        told = ", ".join(f"{n}" if s in (None, n) else f"{n} = {s}"
                         for n, s in zip(shape, expected, strict=True))  # fmt: skip
        raise ValueError(f"{name} has shape {value.shape}; ({told}) is needed")
    sizes.update((n, s) for n, s in zip(shape, value.shape, strict=True) if isinstance(n, str))


def _check_features(features: VideoFeatures, clock: Clock) -> None:
    """What features, objects and clock must agree on, beyond what each record checks of itself."""
    if features.n_frames != clock.n_frames:
        raise ValueError(f"n_frames is {features.n_frames}, but pts has {clock.n_frames} frames")
    if not np.allclose(features.seconds, clock.seconds_of(features.picks), atol=1e-6):
        raise ValueError("seconds are not the times of the picks")
    there = [name for name in _OBJECTS if getattr(features, name) is not None]
    if there and len(there) < len(_OBJECTS):
        missing = next(name for name in _OBJECTS if name not in there)
        raise ValueError(f"{missing} is missing beside {there[0]}")
    kinds, cuts = features.object_kinds, features.cut_frames
    if (
        kinds is not None
        and kinds.size
        and not 0 <= kinds.min() <= kinds.max() < len(features.object_names)
    ):
        raise ValueError(f"object_kinds run past the {len(features.object_names)} object_names")
    if cuts is not None and not 0 <= cuts.min() <= cuts.max() < features.n_frames:
        raise ValueError("cut_frames lie outside the video")


def _thumbnails(arrays: Mapping[str, np.ndarray], n_steps: int) -> dict[int, bytes]:
    data = _of(arrays, "thumbnails").tobytes()
    steps = _of(arrays, "thumbnail_steps").tolist()
    ends = [0, *_of(arrays, "thumbnail_ends").tolist()]
    rising = all(a < b for a, b in pairwise(ends))
    if not rising or ends[-1] != len(data):
        raise ValueError("thumbnail_ends do not divide the bytes of thumbnails")
    if steps != sorted(set(steps)) or (steps and not 0 <= steps[0] <= steps[-1] < n_steps):
        raise ValueError(f"thumbnail_steps are not rising steps of {n_steps}")
    jpegs = [data[a:b] for a, b in pairwise(ends)]
    if not all(jpeg.startswith(b"\xff\xd8") for jpeg in jpegs):
        raise ValueError("thumbnails are no JPEGs")
    return dict(zip(steps, jpegs, strict=True))
