"""What detectors have in common: boxes that name the same thing once, most certain first; COCO's names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from videograph.encoders import Detected
from videograph.errors import UsageError

N_OBJECTS = 8
"""Object slots per frame where nothing else is asked for: as many as models read."""
SLIVER = 1 / 256
"""Share of the frame's width or height below which a box is the edge of something outside the frame."""

COCO_NAMES = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat",
    "traffic light", "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog",
    "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella",
    "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite",
    "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich",
    "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch",
    "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote",
    "keyboard", "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book",
    "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip
"""The 80 kinds of object of the COCO data set, in the order in which detectors number them."""


@dataclass(frozen=True)
class Wanted:
    """What is kept of all that a detector proposes."""

    threshold: float
    """Least confidence."""
    n_objects: int = N_OBJECTS
    """Object slots per frame."""
    overlap: float = 0.5
    """Boxes of one kind that share more (intersection over union) are one thing: the best one stays."""

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise UsageError(f"threshold is {self.threshold}. Allowed: above 0, below 1. Try 0.3.")
        if not isinstance(self.n_objects, int) or self.n_objects < 1:
            raise UsageError(
                f"n_objects is {self.n_objects!r}. Allowed: whole numbers from 1. Try {N_OBJECTS}."
            )


@dataclass(frozen=True)
class Proposals:
    """What a detector proposes on one frame."""

    boxes: np.ndarray
    """x0, y0, x1, y1 as shares of width and height, (n, 4) float; may lie partly outside."""
    scores: np.ndarray
    """Confidence, (n,) in [0, 1]."""
    kinds: np.ndarray
    """What it is, (n,) int, 0 = the first name after "none"."""


def settle(frames: Sequence[Proposals], wanted: Wanted) -> Detected:
    """The certain ones among the proposals, each thing once, most certain first."""
    shape = (len(frames), wanted.n_objects)
    found = Detected(
        boxes=np.zeros((*shape, 4), np.float32),
        mask=np.zeros(shape, bool),
        scores=np.zeros(shape, np.float32),
        kinds=np.zeros(shape, np.int16),
    )
    for i, frame in enumerate(frames):
        boxes = np.clip(frame.boxes, 0.0, 1.0)
        keep = _distinct(boxes, frame, wanted)
        slots = slice(0, len(keep))
        found.boxes[i, slots], found.mask[i, slots] = boxes[keep], True
        found.scores[i, slots], found.kinds[i, slots] = frame.scores[keep], frame.kinds[keep] + 1
    return found


def _distinct(boxes: np.ndarray, frame: Proposals, wanted: Wanted) -> list[int]:
    """Greedy suppression of lesser boxes, kind by kind; at most `n_objects` indices, best first."""
    seen = (frame.scores >= wanted.threshold) & (boxes[:, 2:] - boxes[:, :2] > SLIVER).all(axis=1)
    kept: list[int] = []
    for i in np.argsort(-frame.scores, kind="stable"):
        if len(kept) == wanted.n_objects:
            break
        rivals = [k for k in kept if frame.kinds[k] == frame.kinds[i]]
        if seen[i] and not (overlaps(boxes[i], boxes[rivals]) > wanted.overlap).any():
            kept.append(int(i))
    return kept


def overlaps(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of a box, (4,), with others, (n, 4): (n,)."""
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[2:], others[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    areas = (others[:, 2:] - others[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
    return shared / np.maximum(areas - shared, 1e-12)


def refuse_strange(images: np.ndarray) -> None:
    """Refuse what is no batch of frames.

    Raises:
        UsageError: the images are not (n, height, width, 3) uint8.
    """
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
        raise UsageError(
            f"images are {images.shape} {images.dtype}. Allowed: (n, height, width, 3) uint8, RGB."
        )


def names_to_look_for(names: Sequence[str], what: str) -> tuple[str, ...]:
    """The names as detectors that are told want them: small letters, no dots, each once.

    Args:
        names: as a person or a query gave them.
        what: the detector, for the message.

    Raises:
        UsageError: nothing is left.
    """
    tidy = (" ".join(name.lower().replace(".", " ").split()) for name in names)
    asked = tuple(dict.fromkeys(name for name in tidy if name))
    if not asked:
        raise UsageError(
            f"{what} finds what it is told to look for, and was told nothing. Try a query, "
            'names=("person", "dog"), or detector:d-fine, which knows its kinds.'
        )
    return asked
