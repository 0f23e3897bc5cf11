"""From a file to features at the picks: the reader and the encoder, side by side."""

from __future__ import annotations

import io
import threading
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from videograph.encoders import Encoded, Encoder
from videograph.errors import VideographError
from videograph.records import Hook, ReadReport, VideoFeatures, VideoInfo, no_hook
from videograph.spill import Rows, tidy
from videograph.steady import Steady
from videograph.video import FrameBatch, Reader

MAX_THUMBNAILS = 512
"""Thumbnails kept of a video of any length, about 3 MB; thinned evenly beyond."""
MAX_EXPECTED = 200_000
"""Steps for which memory is laid out on a container's word, 27 hours; more are believed when they come."""

BATCHES_AHEAD = 4
"""Batches that are decoded before they are asked for, 3.5 MB each; loading torch takes about three."""


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
    skip_repeats: bool = True,
    hook: Hook = no_hook,
) -> Extraction:
    """Features of a video at its picks; the next frames are decoded while these are encoded.

    Args:
        path: the video.
        encoder: who sees the frames.
        speed: see `SummarizeConfig.speed`.
        steps_per_second: picks a second of presentation time.
        skip_repeats: picks that show what the last encoded one shows share its features (see `steady`);
            False encodes every picture that was decoded.
        hook: told of stage "read", in seconds of video.

    Raises:
        VideographError: the file cannot be read as a video.
    """
    with (
        Reader(
            path, steps_per_second=steps_per_second, speed=speed, long_side=encoder.frame_side
        ) as reader,
        ThreadPoolExecutor(1, "reader") as pool,
        closing(_ahead(pool, iter(reader))) as batches,
    ):
        if (prepare := getattr(encoder, "prepare", None)) is not None:
            threading.Thread(target=prepare, name="prepare", daemon=True).start()
        total = reader.info.duration_seconds
        n_expected = min(MAX_EXPECTED, int((total or 0) * steps_per_second) + 1)
        seen = _Seen(encoder, n_expected, skip_repeats)
        for batch in batches:
            seen.add(batch)
            hook("read", float(batch.done_seconds), float(total) if total else None)
        if not seen.n_steps:
            raise VideographError(f"{path} holds no frame that can be decoded. Try another copy.")
        report = replace(reader.report, n_encoded=seen.n_encoded)
        features = seen.features(report)
        length = float(report.clock.duration)
        hook("read", length, length, features)
    tidy()
    return Extraction(reader.info, report, features, seen.thumbnails.kept)


def _ahead(
    pool: ThreadPoolExecutor, batches: Iterator[FrameBatch]
) -> Generator[FrameBatch, None, None]:
    """The batches, with the next ones under way: the first waits for what the encoder has to load."""
    upcoming = deque(pool.submit(next, batches, None) for _ in range(BATCHES_AHEAD))
    try:
        while (batch := upcoming.popleft().result()) is not None:
            upcoming.append(pool.submit(next, batches, None))
            yield batch
    finally:
        for later in upcoming:
            later.cancel()


class _Seen:
    """What was seen so far, a row for each pick; of a long video on disk."""

    def __init__(self, encoder: Encoder, n_expected: int, skip_repeats: bool) -> None:
        self.n_steps = self.n_encoded = 0
        self.thumbnails = Thumbnails(n_expected)
        self._encoder = encoder
        self._steady = Steady() if skip_repeats else None
        self._rows = {f.name: Rows(n_expected) for f in fields(Encoded)}
        self._rows |= {name: Rows(n_expected) for name in ("contrast", "pts", "cut_pts")}
        self._previous: np.ndarray | None = None
        self._last: Encoded | None = None  # one row: what was encoded last

    def add(self, batch: FrameBatch) -> None:
        """Encode the pictures of a batch that show something new."""
        pictures = batch.pictures
        repeats = np.zeros(len(pictures), bool)
        repeats[0] = batch.repeats[0]  # the others differ from those before them
        fresh = ~repeats if self._steady is None else self._steady.look(pictures, repeats)
        known = [] if self._last is None else [self._last]
        known += self._encoded(pictures, fresh)
        rows = (np.cumsum(fresh) - (self._last is None))[batch.picture_of]
        for f in fields(Encoded):
            values = np.concatenate([getattr(part, f.name) for part in known])
            self._rows[f.name].add(values[rows])
        self._last = Encoded(*(getattr(known[-1], f.name)[-1:] for f in fields(Encoded)))
        self._previous = pictures[-1]
        self.n_steps += len(rows)
        self.n_encoded += int(fresh.sum())
        self._rows["contrast"].add(_contrast(pictures)[batch.picture_of])
        self._rows["pts"].add(batch.pts)
        self._rows["cut_pts"].add(batch.cut_pts)
        self.thumbnails.add(pictures, batch.picture_of)

    def _encoded(self, images: np.ndarray, fresh: np.ndarray) -> list[Encoded]:
        """The fresh pictures, encoded run by run, each seen against the picture before it."""
        edges = np.flatnonzero(np.diff(fresh, prepend=False, append=False))
        return [
            _compact(self._encoder.encode(images[a:b], images[a - 1] if a else self._previous))
            for a, b in edges.reshape(-1, 2)
        ]

    def features(self, report: ReadReport) -> VideoFeatures:
        """All of it, on the clock of the file."""
        whole: dict[str, Any] = {name: rows.whole() for name, rows in self._rows.items()}
        clock = report.clock
        picks = np.searchsorted(clock.pts, whole.pop("pts"), side="right") - 1
        cut_frames = np.searchsorted(clock.pts, whole.pop("cut_pts"), side="right") - 1
        return VideoFeatures(
            picks=picks,
            seconds=clock.seconds_of(picks),
            n_frames=clock.n_frames,
            encoder=self._encoder.name,
            cut_frames=cut_frames,
            **whole,
        )


def _compact(seen: Encoded) -> Encoded:
    """The same with object features of half the size, which are most of what is kept of a video."""
    return replace(seen, object_features=seen.object_features.astype(np.float16))


def _contrast(images: np.ndarray) -> np.ndarray:
    """Standard deviation of brightness, (n,) float32; green stands for brightness, every 4th pixel."""
    green = images[:, ::4, ::4, 1].reshape(len(images), -1)
    return (green.std(axis=1) / 255).astype(np.float32)


class Thumbnails:
    """Evenly chosen small pictures of a video whose length is not known for sure beforehand.

    Args:
        n_expected: steps that are likely to come; what would be thinned out later is not made.
        most: pictures kept.
    """

    def __init__(self, n_expected: int = 1, most: int = MAX_THUMBNAILS) -> None:
        self.kept: dict[int, bytes] = {}
        """JPEG by step."""
        self._most = most
        self._stride = 1
        while self._stride * most < n_expected:
            self._stride *= 2
        self._n_steps = 0

    def add(self, pictures: np.ndarray, picture_of: np.ndarray) -> None:
        """Take the next steps' pictures, (m, height, width, 3) uint8, and keep those of every stride-th step.

        Args:
            pictures: the different ones.
            picture_of: which of them each step shows, (n,).
        """
        for at in picture_of:
            if self._n_steps % self._stride == 0:
                self.kept[self._n_steps] = jpeg(Image.fromarray(pictures[at]), quality=65)
            self._n_steps += 1
            if len(self.kept) > self._most:
                self._stride *= 2
                self.kept = {s: j for s, j in self.kept.items() if s % self._stride == 0}


def jpeg(image: Image.Image, *, quality: int) -> bytes:
    """A picture as JPEG bytes."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
