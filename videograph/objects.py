"""Objects that a detector names, at some of the steps: boxes, confidence, names and region features.

A detector costs far more than an encoder, so it looks at one frame of each shot, or at every k-th
pick, and at the key frames of the summary; while the picture stands still, once. A step that was not
looked at has no objects: its mask is False, its boxes, scores and kinds are 0, and `looked_at` tells it
from a step where none was found. The regions that the encoder itself had found are gone; their features
and a detector's do not compare.

A region's features are the encoder's features of the picture in the box, so `object_dim` is the
encoder's `dim`, and where the encoder shares a space with words, objects can be asked for by words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from PIL import Image

from videograph.encoders import Detected, Encoder, ObjectDetector
from videograph.errors import UsageError
from videograph.records import Clock, Hook, Shots, VideoFeatures, VideoInfo, no_hook
from videograph.spill import ROWS_AT_ONCE, pieces
from videograph.video import grab

BATCH_FRAMES = 8
"""Frames shown to the detector at once; a few megabytes, whatever the video's length."""
CROP_SIDE = 224
"""Pixels to which the picture in a box is brought, whatever its shape."""
CROP_MARGIN = 16 / 227
"""Share of the crop's side on each side that shows what is around the box. With the stretching, it is
the best of the variants in Girshick et al., "Rich feature hierarchies" (CVPR 2014), appendix A."""

FILLED = (
    "object_features",
    "object_mask",
    "object_boxes",
    "object_scores",
    "object_kinds",
    "looked_at",
)
"""Fields of the features that a detector fills."""


def with_objects(
    features: VideoFeatures,
    shots: Shots,
    info: VideoInfo,
    clock: Clock,
    detector: ObjectDetector,
    encoder: Encoder,
    *,
    every: str | int = "shots",
    hook: Hook = no_hook,
) -> VideoFeatures:
    """The features with the detector's objects in place of the encoder's own regions.

    Args:
        features: what the encoder saw.
        shots: of the same video.
        info, clock: the file and its clock, to fetch frames.
        detector: who finds objects.
        encoder: who described the frames, and now describes the boxes.
        every: "shots", the most typical step of each shot; or k, every k-th step from the first on. Steps
            that show the same picture, since nothing changed, are looked at once.
        hook: told of stage "objects", in frames looked at.

    Raises:
        UsageError: `every` is neither, or the encoder is not that of the features.
        VideographError: the file cannot be read any more.
    """
    _refuse_strangers(features, encoder)
    steps = steps_to_look_at(features, shots, every)
    blank = _without_objects(features, detector, encoder)
    shown = _pictures(features.features)[steps]
    is_new = np.diff(shown, prepend=-1) > 0
    seen = _look(blank, steps[is_new], info, clock, detector, encoder, hook)
    source = steps[is_new][np.cumsum(is_new) - 1]
    for name in FILLED:
        array = _array(seen, name)
        array[steps[~is_new]] = array[source[~is_new]]
    hook("objects", len(steps), len(steps), seen)
    return seen


def _pictures(rows: np.ndarray) -> np.ndarray:
    """Number of the picture that each step shows, (n_steps,) int64, rising: while nothing changes, the
    encoder saw one picture, and its row stands for all the steps (see `steady`)."""
    number = np.zeros(len(rows), np.int64)
    for at in pieces(len(rows) - 1, ROWS_AT_ONCE):
        held = rows[at.start : at.stop + 1]
        number[at.start + 1 : at.stop + 1] = (held[1:] != held[:-1]).any(1)
    return np.cumsum(number)


def steps_to_look_at(features: VideoFeatures, shots: Shots, every: str | int) -> np.ndarray:
    """Steps that stand for the rest, (n,) int64, rising: see `every` of `with_objects`."""
    if every == "shots":
        return representatives(features, shots)
    if isinstance(every, str | bool) or every < 1:
        raise UsageError(
            f'every is {every!r}. Allowed: "shots", or a whole number k from 1 for every k-th step.'
        )
    return np.arange(0, features.n_steps, every)


def representatives(features: VideoFeatures, shots: Shots) -> np.ndarray:
    """The step of each shot that is most like the shot's mean, (n,) int64; shots without a step have none."""
    edges = np.searchsorted(features.picks, np.append(shots.bounds[:, 0], shots.n_frames))
    return np.array(
        [a + _typical(features.features[a:b]) for a, b in pairwise(edges) if b > a],
        dtype=np.int64,
    )


def _typical(rows: np.ndarray) -> int:
    mean = rows.mean(axis=0)
    lengths = np.linalg.norm(rows, axis=1)
    return int(np.argmax(rows @ mean / np.maximum(lengths, 1e-12)))


def with_objects_at(
    features: VideoFeatures,
    steps: Sequence[int],
    info: VideoInfo,
    clock: Clock,
    detector: ObjectDetector,
    encoder: Encoder,
    *,
    hook: Hook = no_hook,
) -> VideoFeatures:
    """The features of `with_objects` with the objects of further steps, such as the key frames.

    Key frames are known only after the scores; what is found now had no part in those, and weighs 0.

    Args:
        features: of `with_objects`, with the same detector and encoder.
        steps: where to look; those that were looked at before are not looked at again.
        info, clock, detector, encoder, hook: as in `with_objects`.
    """
    looked_at = _array(features, "looked_at")
    new = np.unique([step for step in steps if not looked_at[step]]).astype(np.int64)
    seen = _look(features, new, info, clock, detector, encoder, hook)
    hook("objects", len(new), len(new), seen)
    return seen


# -- looking -----------------------------------------------------------------------------------------


def _look(
    features: VideoFeatures,
    steps: np.ndarray,
    info: VideoInfo,
    clock: Clock,
    detector: ObjectDetector,
    encoder: Encoder,
    hook: Hook,
) -> VideoFeatures:
    """A copy of the features with the objects of these steps filled in, read in one pass."""
    filled = {name: _copied(features, name) for name in FILLED}
    moments = [clock.seconds(int(features.picks[step])) for step in steps]
    side = max(detector.frame_side, encoder.frame_side)
    frames = (np.asarray(image) for image in grab(info, moments, long_side=side))
    done = 0
    for images in _batches(frames):
        at = steps[done : done + len(images)]
        found = detector.detect(images)
        filled["looked_at"][at] = True
        filled["object_mask"][at], filled["object_boxes"][at] = found.mask, found.boxes
        filled["object_scores"][at], filled["object_kinds"][at] = found.scores, found.kinds
        filled["object_features"][at] = region_features(images, found, encoder)
        done += len(images)
        hook("objects", done, len(steps))
    return replace(features, **filled)


def _batches(frames: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    held: list[np.ndarray] = []
    for frame in frames:
        held.append(frame)
        if len(held) == BATCH_FRAMES:
            yield np.stack(held)
            held = []
    if held:
        yield np.stack(held)


def region_features(images: np.ndarray, found: Detected, encoder: Encoder) -> np.ndarray:
    """The encoder's features of the picture in each box, (n, n_objects, dim) float32, 0 where masked.

    Each box is encoded for itself: to an encoder that sees motion, a batch of them would be a film.

    Args:
        images: frames, (n, height, width, 3) uint8.
        found: what was detected on them.
        encoder: who describes them.
    """
    features = np.zeros((*found.mask.shape, encoder.dim), np.float32)
    for i, slot in np.argwhere(found.mask):
        picture = crop(images[i], found.boxes[i, slot])
        features[i, slot] = encoder.encode(picture[None]).features[0]
    return features


def crop(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The picture in a box and a little around it, stretched to a square, (`CROP_SIDE`, `CROP_SIDE`, 3).

    Args:
        image: (height, width, 3) uint8.
        box: x0, y0, x1, y1 as shares of width and height.
    """
    height, width = image.shape[:2]
    x0, y0, x1, y1 = (float(v) for v in box * np.array([width, height, width, height]))
    right, down = (margin * CROP_MARGIN / (1 - 2 * CROP_MARGIN) for margin in (x1 - x0, y1 - y0))
    left, top = min(max(0.0, x0 - right), width - 1.0), min(max(0.0, y0 - down), height - 1.0)
    edges = (left, top, max(left + 1, min(width, x1 + right)), max(top + 1, min(height, y1 + down)))
    small = Image.fromarray(image).resize(
        (CROP_SIDE, CROP_SIDE), Image.Resampling.BILINEAR, box=edges
    )
    return np.asarray(small)


# -- arrays ------------------------------------------------------------------------------------------


def _without_objects(
    features: VideoFeatures, detector: ObjectDetector, encoder: Encoder
) -> VideoFeatures:
    shape = (features.n_steps, detector.n_objects)
    small = len(detector.names) <= np.iinfo(np.int8).max + 1
    return replace(
        features,
        object_features=np.zeros((*shape, encoder.dim), np.float32),
        object_mask=np.zeros(shape, bool),
        object_boxes=np.zeros((*shape, 4), np.float32),
        object_scores=np.zeros(shape, np.float32),
        object_kinds=np.zeros(shape, np.int8 if small else np.int16),
        object_names=detector.names,
        looked_at=np.zeros(features.n_steps, bool),
    )


def _copied(features: VideoFeatures, name: str) -> np.ndarray:
    """A copy in which the rows of steps that were not looked at, zeros, take no memory yet."""
    array, looked_at = _array(features, name), np.flatnonzero(_array(features, "looked_at"))
    copy = np.zeros(array.shape, array.dtype)
    copy[looked_at] = array[looked_at]
    return copy


def _array(features: VideoFeatures, name: str) -> np.ndarray:
    value = getattr(features, name)
    assert value is not None, f"{name} is there after with_objects"
    return value


def _refuse_strangers(features: VideoFeatures, encoder: Encoder) -> None:
    if features.encoder != encoder.name:
        raise UsageError(
            f"the frames were encoded by {features.encoder}, the boxes would be by {encoder.name}. "
            f"Allowed: one encoder for both. Try {features.encoder}."
        )
