"""From a file to features at the picks: the reader and the encoder, side by side."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from videograph.encoders import Encoded, Encoder
from videograph.errors import VideographError
from videograph.records import Hook, ReadReport, VideoFeatures, VideoInfo, no_hook
from videograph.video import FrameBatch, Reader

MAX_THUMBNAILS = 512
"""Thumbnails kept of a video of any length, about 3 MB; thinned evenly beyond."""


@dataclass(frozen=True)
class Extraction:
    """A file, read and seen."""

    info: VideoInfo
    """What the file says of itself."""
    report: ReadReport
    """What became of it when it was read."""
    features: VideoFeatures
    """What the encoder saw at the picks."""
    thumbnails: dict[int, bytes]
    """JPEGs of evenly chosen steps, by step, in the size the encoder was given."""


def extract(
    path: str | Path,
    encoder: Encoder,
    *,
    speed: str = "balanced",
    steps_per_second: Fraction = Fraction(2),
    hook: Hook = no_hook,
) -> Extraction:
    """Features of a video at its picks; the next frames are decoded while these are encoded.

    Args:
        path: the video.
        encoder: who sees the frames.
        speed: see `SummarizeConfig.speed`.
        steps_per_second: picks a second of presentation time.
        hook: told of stage "read", in seconds of video.

    Raises:
        VideographError: the file cannot be read as a video.
    """
    thumbnails = Thumbnails()
    seen: list[Encoded] = []
    contrast: list[np.ndarray] = []
    pts: list[np.ndarray] = []
    cut_pts: list[np.ndarray] = []
    previous: np.ndarray | None = None
    with (
        Reader(
            path, steps_per_second=steps_per_second, speed=speed, long_side=encoder.frame_side
        ) as reader,
        ThreadPoolExecutor(1, "reader") as pool,
    ):
        total = reader.info.duration_seconds
        batches = iter(reader)
        upcoming = pool.submit(_next, batches)
        while (batch := upcoming.result()) is not None:
            upcoming = pool.submit(_next, batches)
            seen.append(encoder.encode(batch.images, previous))
            contrast.append(_contrast(batch.images))
            previous = batch.images[-1]
            pts.append(batch.pts)
            cut_pts.append(batch.cut_pts)
            thumbnails.add(batch.images)
            hook("read", float(batch.done_seconds), float(total) if total else None)
        report = reader.report
        if not seen:
            raise VideographError(f"{path} holds no frame that can be decoded. Try another copy.")
        features = _join(seen, np.concatenate(pts), np.concatenate(cut_pts), report, encoder)
        features = replace(features, contrast=np.concatenate(contrast))
        length = float(report.clock.duration)
        hook("read", length, length, features)
        return Extraction(reader.info, report, features, thumbnails.kept)


def _next(batches: object) -> FrameBatch | None:
    return next(batches, None)  # pyright: ignore[reportCallIssue, reportArgumentType]


def _contrast(images: np.ndarray) -> np.ndarray:
    """Standard deviation of brightness, (n,) float32; green stands for brightness, every 4th pixel."""
    green = images[:, ::4, ::4, 1].reshape(len(images), -1)
    return (green.std(axis=1) / 255).astype(np.float32)


def _join(
    seen: list[Encoded],
    pts: np.ndarray,
    cut_pts: np.ndarray,
    report: ReadReport,
    encoder: Encoder,
) -> VideoFeatures:
    clock = report.clock
    picks = np.searchsorted(clock.pts, pts, side="right") - 1
    cut_frames = np.searchsorted(clock.pts, cut_pts, side="right") - 1
    return VideoFeatures(
        features=np.concatenate([e.features for e in seen]),
        picks=picks,
        seconds=clock.seconds_of(picks),
        n_frames=clock.n_frames,
        encoder=encoder.name,
        object_features=np.concatenate([e.object_features for e in seen]),
        object_mask=np.concatenate([e.object_mask for e in seen]),
        object_boxes=np.concatenate([e.object_boxes for e in seen]),
        object_kinds=np.concatenate([e.object_kinds for e in seen]),
        cut_frames=cut_frames,
    )


class Thumbnails:
    """Evenly chosen small pictures of a video whose length is not known beforehand."""

    def __init__(self, most: int = MAX_THUMBNAILS) -> None:
        self.kept: dict[int, bytes] = {}
        """JPEG by step."""
        self._most = most
        self._stride = 1
        self._n_steps = 0

    def add(self, images: np.ndarray) -> None:
        """Take the next frames, (n, height, width, 3) uint8, and keep every stride-th."""
        for image in images:
            if self._n_steps % self._stride == 0:
                self.kept[self._n_steps] = jpeg(Image.fromarray(image), quality=65)
            self._n_steps += 1
            if len(self.kept) > self._most:
                self._stride *= 2
                self.kept = {s: j for s, j in self.kept.items() if s % self._stride == 0}


def jpeg(image: Image.Image, *, quality: int) -> bytes:
    """A picture as JPEG bytes."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
