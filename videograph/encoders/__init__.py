"""The workshop of encoders: a file here is an encoder, its name is the file's name.

A member defines one or more loaders, and is imported only when it is asked for:

    load(what=None, **options) -> Encoder                   frames
    load_objects(what=None, **options) -> ObjectDetector    objects
    load_text(what=None, **options) -> TextEncoder          words
    load_captions(what=None, **options) -> Captioner        sentences for frames

It is asked for as "NAME" or "NAME:WHAT" ("builtin", "transformers:clip", "transformers:./my-clip"); `what`
is a parameter only of a member that has a choice of models.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from videograph.errors import UsageError


@dataclass(frozen=True)
class Encoded:
    """What an encoder sees on a batch of frames."""

    features: np.ndarray
    """(n, dim) float32."""
    object_features: np.ndarray
    """(n, n_objects, object_dim) float32, 0 where masked."""
    object_mask: np.ndarray
    """(n, n_objects) bool."""
    object_boxes: np.ndarray
    """x0, y0, x1, y1 as shares of width and height, (n, n_objects, 4) float32, 0 where masked."""
    object_kinds: np.ndarray
    """(n, n_objects) int8, indices into `records.OBJECT_KINDS`."""


class Encoder(Protocol):
    """Frames in, features out. Held to shape, dtype, range and determinism by test_contracts.py."""

    name: str
    """Name and version, e.g. "builtin-1"; other features are other names."""
    dim: int
    """Width of `features`."""
    object_dim: int
    """Width of `object_features`."""
    n_objects: int
    """Object slots per frame."""
    frame_side: int
    """Long side, in pixels, at which frames are to be delivered."""

    # An encoder may also have `prepare()`, called in a thread of its own while the first frames are decoded.

    def encode(self, images: np.ndarray, previous: np.ndarray | None = None) -> Encoded:
        """Features of consecutive sampled frames.

        Args:
            images: (n, height, width, 3) uint8 RGB, in order of time.
            previous: the sampled frame before them, (height, width, 3) uint8, or None at the start
                of a video; motion is seen against it. A video encoded in batches of any size gives
                the same result.
        """
        ...


@dataclass(frozen=True)
class Detected:
    """What a detector finds on a batch of frames, most confident first, empty slots last."""

    boxes: np.ndarray
    """x0, y0, x1, y1 as shares of width and height, (n, n_objects, 4) float32, 0 where masked."""
    mask: np.ndarray
    """True where a slot holds an object, (n, n_objects) bool."""
    scores: np.ndarray
    """Confidence, (n, n_objects) float32 in [0, 1], 0 where masked."""
    kinds: np.ndarray
    """What it is, (n, n_objects) int16, indices into `ObjectDetector.names`; 0 where masked."""


class ObjectDetector(Protocol):
    """Frames in, named boxes out; features of the boxes come from the encoder of the frames."""

    name: str
    """Name and version of detector and weights."""
    names: tuple[str, ...]
    """"none", then what it can find."""
    n_objects: int
    """Object slots per frame."""
    frame_side: int
    """Long side, in pixels, at which frames are to be delivered."""

    def detect(self, images: np.ndarray) -> Detected:
        """Objects on frames, (n, height, width, 3) uint8 RGB; each frame for itself."""
        ...


class TextEncoder(Protocol):
    """Texts in, vectors out."""

    name: str
    """Name and version; vectors of other names do not compare."""
    dim: int
    """Width of a vector."""
    space: str | None
    """Name of the frame encoder whose features lie in the same space; None for texts alone."""

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        """A row of length 1 for each text, (n, dim) float32; a text without any known word is 0."""
        ...


class Captioner(Protocol):
    """Frames in, a sentence for each out."""

    name: str
    """Name and version."""
    frame_side: int
    """Long side, in pixels, at which frames are to be delivered."""

    def caption(self, images: np.ndarray) -> list[str]:
        """A sentence for each frame of (n, height, width, 3) uint8 RGB."""
        ...


ROLES = {
    "load": "encoder",
    "load_objects": "object detector",
    "load_text": "text encoder",
    "load_captions": "captioner",
}
"""What a loader of a member makes, in words for people."""


def available_encoders(loader: str = "load") -> list[str]:
    """Names of the members that define this loader, one of `ROLES`; none of them is imported."""
    folder = Path(__path__[0])
    names = (m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))
    return sorted(
        n for n in names
        if re.search(rf"^def {loader}\(", (folder / f"{n}.py").read_text(encoding="utf-8"), re.M)
    )  # fmt: skip


def load_encoder(spec: str, **options: object) -> Encoder:
    """The frame encoder of that name ("NAME" or "NAME:WHAT"); `options` are the member's own.

    `device` ("auto", "cpu", "cuda", "mps") may always be given; who needs no such choice never sees it.

    Raises:
        UsageError: no member of that name, or the member knows no such model.
    """
    return _load("load", spec, options)


def load_objects(spec: str, **options: object) -> ObjectDetector:
    """The object detector of that name, as `load_encoder`."""
    return _load("load_objects", spec, options)


def load_text(spec: str, **options: object) -> TextEncoder:
    """The text encoder of that name, as `load_encoder`."""
    return _load("load_text", spec, options)


def load_captions(spec: str, **options: object) -> Captioner:
    """The captioner of that name, as `load_encoder`."""
    return _load("load_captions", spec, options)


def _load(loader: str, spec: str, options: dict[str, object]) -> Any:
    name, colon, what = spec.partition(":")
    known = available_encoders(loader)
    if name not in known:
        raise UsageError(f'no {ROLES[loader]} named "{name}". Available: {", ".join(known)}.')
    member = importlib.import_module(f"{__name__}.{name}")
    load = getattr(member, loader)
    takes = inspect.signature(load).parameters
    if "device" not in takes:  # NumPy's members compute where they are
        options.pop("device", None)
    if colon:
        options = {"what": what, **options}
        if "what" not in takes:
            raise UsageError(f'"{name}" has one model only, got "{spec}". Try: {name}.')
    return load(**options)
