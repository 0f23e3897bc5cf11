"""YOLOX-style detectors from an ONNX file, through onnxruntime.

Such a file takes one picture, (1, 3, height, width) float32, BGR, 0-255, with its shape kept, in the top
left corner, the rest gray 114. It gives (1, n_cells, 5 + n_kinds): for each cell of the grids of strides
8, 16 and 32 the box's centre and size, how sure it is of any object, and of each kind, as probabilities.
Boxes are either in pixels, or still the network's own: centre = (xy + cell) * stride, size = exp(wh) *
stride. After Ge et al., "YOLOX: Exceeding YOLO Series in 2021", and its public demo code.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from videograph.encoders import Detected
from videograph.encoders._boxes import COCO_NAMES, Proposals, Wanted, refuse_strange, settle
from videograph.encoders._hub import needs
from videograph.errors import UsageError, VideographError

STRIDES = (8, 16, 32)
GRAY = 114
THRESHOLD = 0.5
"""Least confidence. YOLOX-nano is above it for nearly all people, dogs, cars and laptops of home videos,
and below it for most of what it only imagines, such as the legs of a table as a skateboard."""
DEFAULT_SIDE = 640
"""Side in pixels of the input of a file that takes any size: the one YOLOX was trained at."""
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class YoloxDetector:
    """Finds the kinds of object that its file was trained for."""

    def __init__(
        self, session: Any, size: tuple[int, int], names: tuple[str, ...], name: str, wanted: Wanted
    ) -> None:
        self.name = name
        self.names = ("none", *names)
        self.n_objects = wanted.n_objects
        self.frame_side = max(size)
        self._session, self._size, self._wanted = session, size, wanted
        self._input = session.get_inputs()[0].name
        self._cells, self._strides = grid(size)
        blank = self._run(np.full((*size, 3), GRAY, np.uint8))
        if len(blank) != len(self._cells):
            raise ValueError(f"it gives {len(blank)} boxes, not {len(self._cells)}")
        self._in_pixels = are_pixels(blank, size)

    def detect(self, images: np.ndarray) -> Detected:
        """Objects on frames, see `encoders.ObjectDetector.detect`.

        Raises:
            UsageError: the images are not (n, height, width, 3) uint8.
        """
        refuse_strange(images)
        return settle([self._propose(image) for image in images], self._wanted)

    def _propose(self, image: np.ndarray) -> Proposals:
        picture, scale = letterbox(image, self._size)
        rows = self._run(picture)
        sure = rows[:, 4:5] * rows[:, 5:]
        likely = np.flatnonzero(sure.max(axis=1) >= self._wanted.threshold)
        boxes = self._boxes(rows)[likely] / (scale * np.array([*image.shape[1::-1]] * 2))
        return Proposals(boxes, sure[likely].max(axis=1), sure[likely].argmax(axis=1))

    def _run(self, picture: np.ndarray) -> np.ndarray:
        """Rows of one picture of the network's size, (n_cells, 5 + n_kinds)."""
        bgr = np.ascontiguousarray(picture[None, :, :, ::-1].transpose(0, 3, 1, 2), np.float32)
        return self._session.run(None, {self._input: bgr})[0][0]

    def _boxes(self, rows: np.ndarray) -> np.ndarray:
        """x0, y0, x1, y1 in pixels of the network's picture, (n_cells, 4)."""
        centres, sizes = rows[:, :2], rows[:, 2:4]
        if not self._in_pixels:
            centres = (centres + self._cells) * self._strides
            sizes = np.exp(np.minimum(sizes, 20)) * self._strides
        return np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)


def letterbox(image: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, float]:
    """The frame in the top left corner of a gray picture of (height, width), and its scale."""
    height, width = image.shape[:2]
    scale = min(size[0] / height, size[1] / width)
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = np.full((*size, 3), GRAY, np.uint8)
    resized = Image.fromarray(image).resize(small, Image.Resampling.BILINEAR)
    picture[: small[1], : small[0]] = np.asarray(resized)
    return picture, scale


def grid(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Column and row of each cell, (n_cells, 2), and its stride, (n_cells, 1), row by row."""
    cells, strides = [], []
    for stride in STRIDES:
        rows, columns = np.indices((size[0] // stride, size[1] // stride))
        cells.append(np.stack([columns.ravel(), rows.ravel()], axis=1))
        strides.append(np.full((rows.size, 1), stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(strides).astype(np.float32)


def are_pixels(rows: np.ndarray, size: tuple[int, int]) -> bool:
    """Whether a file has turned its boxes into pixels: their centres lie all over the picture then."""
    return float(np.median(rows[:, 0])) > size[1] / 8


# -- the file ----------------------------------------------------------------------------------------


def load_yolox(
    path: Path, *, threshold: float | None, n_objects: int, device: str
) -> YoloxDetector:
    """The detector in an ONNX file.

    Its names are COCO's where it finds 80 kinds; else a text file of the same name ("mine.onnx",
    "mine.txt") holds them, one a line.

    Raises:
        UsageError: no such file, device or threshold; kinds without names.
        VideographError: the file is no ONNX, or not of this style.
    """
    wanted = Wanted(THRESHOLD if threshold is None else threshold, n_objects, overlap=0.45)
    if not path.is_file():
        raise UsageError(f"there is no file {path}. Allowed: a YOLOX detector as an .onnx file.")
    session = _session(path, device)
    size, n_kinds = _shapes(path, session)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    names = _names(path, n_kinds)
    try:
        return YoloxDetector(session, size, names, f"detector-{path.stem}-{digest}", wanted)
    except Exception as error:  # of onnxruntime, or of what came out: the first picture it is shown
        raise VideographError(
            f"{path} cannot look at a picture of {size[0]} x {size[1]} ({_line(error)}). Try to export "
            "it again, with a fixed size."
        ) from error


def _session(path: Path, device: str) -> Any:
    onnxruntime = needs("onnxruntime")
    there = onnxruntime.get_available_providers()
    found = [name for name, provider in PROVIDERS.items() if provider in there]
    if device not in ("auto", *found):
        raise UsageError(
            f'device is "{device}". Allowed for an .onnx file here: auto, {", ".join(found)}.'
        )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    chosen = found[-1] if device == "auto" else device
    try:
        return onnxruntime.InferenceSession(
            str(path),
            options,
            providers=[PROVIDERS[name] for name in dict.fromkeys((chosen, "cpu"))],
        )
    except (
        Exception
    ) as error:  # onnxruntime has a class for each kind of fault, none of them public
        raise VideographError(
            f"{path} cannot be read as ONNX ({_line(error)}). Allowed: a YOLOX detector."
        ) from error


def _line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".")[:200]


def _shapes(path: Path, session: Any) -> tuple[tuple[int, int], int]:
    """Height and width of the input, and how many kinds are told apart; anything else is refused."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    shape = inputs[0].shape if len(inputs) == 1 and inputs[0].type == "tensor(float)" else []
    if len(shape) != 4 or shape[1] != 3 or (isinstance(shape[0], int) and shape[0] != 1):
        raise VideographError(
            f"{path} takes {_told(inputs)}. Allowed: one picture, (1, 3, height, width) float32."
        )
    side = [edge if isinstance(edge, int) else DEFAULT_SIDE for edge in shape[2:]]
    size, n_cells = (side[0], side[1]), len(grid((side[0], side[1]))[0])
    given = outputs[0].shape
    fits = len(outputs) == 1 and len(given) == 3 and isinstance(given[2], int) and given[2] > 5
    if not fits or (isinstance(given[1], int) and given[1] != n_cells):
        raise VideographError(
            f"{path} gives {_told(outputs)}. Allowed: one output (1, {n_cells}, 5 + kinds), as YOLOX has."
        )
    return size, given[2] - 5


def _told(values: Any) -> str:
    told = (f"{value.name} {tuple(value.shape)} {value.type}" for value in values[:4])
    return ", ".join(told) or "nothing"


def _names(path: Path, n_kinds: int) -> tuple[str, ...]:
    beside = path.with_suffix(".txt")
    if beside.is_file():
        try:
            lines = beside.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise VideographError(
                f"{beside} cannot be read as text ({_line(error)}). Allowed: UTF-8, a name a line."
            ) from error
        names = tuple(line.strip() for line in lines if line.strip())
        if len(names) != n_kinds:
            raise UsageError(
                f"{beside} has {len(names)} names, {path.name} finds {n_kinds} kinds of object. "
                "Allowed: a line for each."
            )
        return names
    if n_kinds != len(COCO_NAMES):
        raise UsageError(
            f"{path} finds {n_kinds} kinds of object, and nothing names them. Try a text file {beside} "
            "with a name on each line."
        )
    return COCO_NAMES
