"""The workshop of datasets: a file here reads one form in which benchmark videos and labels come.

A member defines `FORM` (what it reads, in words), `reads(path) -> bool` and `load(path, **options) ->
Dataset`, and is imported only when it is asked for. `load_dataset` takes a path, or the name of a set
that lies in the data folder.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from videograph.errors import UsageError, VideographError
from videograph.records import Shots, VideoFeatures

SAMPLING = 15
"""The field keeps every 15th frame, whatever the frame rate: 2 steps a second only at 30 frames a second."""
ASSUMED_RATE = 30.0
"""Frames a second where a file does not say; the rate only places words and draws axes."""


@dataclass(frozen=True)
class Caption:
    """What is seen or said in a stretch of a video, in words."""

    start_seconds: float
    """Where it starts."""
    end_seconds: float
    """Where it ends."""
    text: str
    """One sentence."""


@dataclass(frozen=True)
class Objects:
    """What a detector found at each step, best first."""

    features: np.ndarray
    """(n_steps, n_objects, object_dim) float32, 0 where masked."""
    mask: np.ndarray
    """True where a slot holds an object, (n_steps, n_objects) bool."""
    boxes: np.ndarray | None = None
    """x0, y0, x1, y1 as shares of width and height, (n_steps, n_objects, 4) float32."""
    classes: np.ndarray | None = None
    """Indices into `class_names`, -1 = none, (n_steps, n_objects) int64."""
    scores: np.ndarray | None = None
    """The detector's certainty, (n_steps, n_objects) float32."""
    class_names: tuple[str, ...] = ()
    """Names of the classes."""


@dataclass(frozen=True)
class BenchmarkVideo:
    """One video of a benchmark: what is known of it and what people said of it."""

    key: str
    """Name of its group in the field's files ("video_7"); splits list these."""
    n_frames: int
    """Frames of the original video."""
    picks: np.ndarray
    """Frame index of each step, (n_steps,) int64, increasing."""
    name: str = ""
    """The data set's own name of the video ("Jumps", "AwmHb44_ouw"); "" when unknown."""
    shots: Shots | None = None
    """Shots to choose from; None when the form has none and there are no features to find them in."""
    features: np.ndarray | None = None
    """Frame features, (n_steps, dim) float32."""
    gtscore: np.ndarray | None = None
    """The users' mean importance of each step, (n_steps,) float32 in [0, 1]."""
    gtsummary: np.ndarray | None = None
    """1 for a key frame, as stored, (n_steps,) float32."""
    user_anno: np.ndarray | None = None
    """Ratings 1 to 5 of every frame by each user, (n_users, n_frames) uint8 (TVSum)."""
    user_summary: np.ndarray | None = None
    """1 where a user would keep a frame, (n_users, n_frames) uint8."""
    fps: float | None = None
    """Frames a second of the original video; None when the file does not say."""
    title: str = ""
    """Title, "" when unknown."""
    category: str = ""
    """Topic, "" when unknown."""
    objects: Objects | None = None
    """Objects at each step, where the features came with some."""
    captions: tuple[Caption, ...] = ()
    """Sentences about stretches of the video, in order of time."""
    word_features: np.ndarray | None = None
    """What is said of the video, as a text encoder sees it, (n_words, dim) float32."""
    word_mask: np.ndarray | None = None
    """Words that each step may hear, (n_steps, n_words) bool; None: all words everywhere."""

    def __post_init__(self) -> None:
        self._check_steps()
        self._check_users()
        if self.shots is not None and self.shots.n_frames != self.n_frames:
            raise ValueError(
                f"change_points end at frame {self.shots.n_frames - 1}, "
                f"but n_frames is {self.n_frames}, so they must end at {self.n_frames - 1}"
            )

    def _check_steps(self) -> None:
        picks, n = self.picks, len(self.picks)
        if n == 0:
            raise ValueError("picks are empty: no step was sampled")
        if (np.diff(picks) <= 0).any():
            i = int(np.flatnonzero(np.diff(picks) <= 0)[0])
            raise ValueError(f"picks do not increase: {picks[i]} is followed by {picks[i + 1]}")
        if picks[0] < 0 or picks[-1] >= self.n_frames:
            raise ValueError(
                f"picks run from {picks[0]} to {picks[-1]}, but frames from 0 to {self.n_frames - 1}"
            )
        self._check_words()
        for name, rank in (("features", 2), ("gtscore", 1), ("gtsummary", 1)):
            value = getattr(self, name)
            if value is None:
                continue
            if value.ndim != rank or len(value) != n:
                shape = "(n_steps, dim)" if rank == 2 else "(n_steps,)"
                raise ValueError(
                    f"{name} have shape {value.shape}; picks ask for {shape} = ({n}, ...)"
                )
            if not np.isfinite(value).all():
                raise ValueError(
                    f"{name} hold {int((~np.isfinite(value)).sum())} NaN or infinite values"
                )

    def _check_words(self) -> None:
        words, mask = self.word_features, self.word_mask
        if words is not None and (words.ndim != 2 or not np.isfinite(words).all()):
            raise ValueError(
                f"word_features have shape {words.shape}; finite numbers (n_words, dim) are needed"
            )
        if mask is not None and (words is None or mask.shape != (len(self.picks), len(words))):
            raise ValueError(
                f"word_mask has shape {mask.shape}; (n_steps, n_words) of word_features is needed"
            )

    def _check_users(self) -> None:
        for name, low, high in (("user_summary", 0, 1), ("user_anno", 1, 5)):
            value = getattr(self, name)
            if value is None:
                continue
            if value.ndim != 2 or value.shape[1] != self.n_frames or len(value) == 0:
                raise ValueError(
                    f"{name} has shape {value.shape}; (n_users, {self.n_frames}) is needed"
                )
            if value.min() < low or value.max() > high:
                raise ValueError(
                    f"{name} runs from {value.min()} to {value.max()}; {low} to {high} is allowed"
                )

    def __repr__(self) -> str:
        dim = None if self.features is None else self.features.shape[1]
        return f"BenchmarkVideo({self.key!r}, {self.name!r}, n_steps={self.n_steps}, dim={dim})"

    @property
    def n_steps(self) -> int:
        """Sampled frames."""
        return len(self.picks)

    @property
    def users(self) -> np.ndarray | None:
        """What each user said of each frame, ratings before masks, (n_users, n_frames)."""
        return self.user_summary if self.user_anno is None else self.user_anno

    @property
    def seconds(self) -> np.ndarray:
        """Time of each step, (n_steps,) float64: benchmarks have frame numbers and a rate, no PTS."""
        return self.picks / (self.fps or ASSUMED_RATE)

    def as_features(self, encoder: str) -> VideoFeatures:
        """The video as the model reads it; `encoder` names who made the features.

        Raises:
            VideographError: there are no features.
        """
        if self.features is None:
            raise VideographError(
                f"{self.key} has no features. Give them with --features, or score files with --scores."
            )
        objects = self.objects
        return VideoFeatures(
            features=self.features,
            picks=self.picks,
            seconds=self.seconds,
            n_frames=self.n_frames,
            encoder=encoder,
            object_features=None if objects is None else objects.features,
            object_mask=None if objects is None else objects.mask,
            object_boxes=None if objects is None else objects.boxes,
        )


@dataclass(frozen=True)
class Query:
    """A question to a long video, and the shots people chose for it."""

    name: str
    """Its two concepts ("Book_Street")."""
    concepts: tuple[int, ...]
    """Columns of the video's `tags`."""
    oracle: np.ndarray
    """Shots of the oracle summary, from 0, increasing int64."""
    text: str = ""
    """The query as a sentence."""
    id: str = ""
    """Its number in the published lists ("VidQry_4")."""


@dataclass(frozen=True)
class QueryVideo:
    """A long video whose shots bear concepts, with its queries."""

    key: str
    """Name of the video ("P01")."""
    tags: np.ndarray
    """1 where a shot shows a concept, (n_shots, n_concepts) uint8."""
    queries: Mapping[str, Query]
    """By name, in alphabetical order."""

    @property
    def n_shots(self) -> int:
        """Shots of 5 seconds."""
        return len(self.tags)


@dataclass(frozen=True)
class Dataset:
    """Benchmark videos by key, and what the field does with them."""

    name: str
    """"tvsum", "summe", "ovp", "youtube", "qfvs", or "own" for anybody's videos."""
    path: Path
    """Where it was read from."""
    videos: Mapping[str, BenchmarkVideo] = field(default_factory=dict)
    """In the numbers' order (video_2 before video_10)."""
    query_videos: Mapping[str, QueryVideo] = field(default_factory=dict)
    """The same of a query-focused set."""
    concepts: tuple[str, ...] = ()
    """Names of the concepts of a query-focused set."""
    features: str = "none"
    """Who made the frame features ("google_pool5"); figures with other features do not compare."""
    text_encoder: str = ""
    """Who made the word features, "" where there are none or the file does not say."""
    preprocessing: str = ""
    """How frames were sampled for the features, "" where the file does not say."""
    notes: tuple[str, ...] = ()
    """Sentences that belong under every table: what was completed, left out or is not official."""

    def __repr__(self) -> str:
        n = len(self.videos) + len(self.query_videos)
        return f"Dataset({self.name!r}, {n} videos, features={self.features!r})"

    @property
    def user_reduce(self) -> str:
        """How F becomes one number: the mean on TVSum, the best user elsewhere (Zhang et al., 2016)."""
        return "mean" if self.name == "tvsum" else "max"

    def users_of(self, key: str) -> np.ndarray | None:
        """What each user said of each frame, (n_users, n_frames): ratings, or the frames they chose.

        None for TVSum without ratings: the masks in its h5 are made from them by shots and knapsack, and
        a rank correlation with those is another thing.
        """
        video = self.videos[key]
        return video.user_anno if self.name == "tvsum" else video.users

    def only(self, keys: Mapping[str, Any] | list[str] | tuple[str, ...]) -> Dataset:
        """The same with these videos only."""
        return replace(self, videos={k: v for k, v in self.videos.items() if k in keys})


def natural(key: str) -> tuple[str, int, str]:
    """Sorting key that puts video_2 before video_10."""
    stem = key.rstrip("0123456789")
    return (stem, int(key[len(stem) :] or -1), key)


def data_folders() -> Iterator[Path]:
    """Where named sets are looked for: $VIDEOGRAPH_DATA, then ./data."""
    if os.environ.get("VIDEOGRAPH_DATA"):
        yield Path(os.environ["VIDEOGRAPH_DATA"])
    yield Path("data")


def available_datasets() -> list[str]:
    """Names of the forms that `load_dataset` reads."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def _member(name: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{name}")


def load_dataset(spec: str | Path, **options: Any) -> Dataset:
    """A data set, by path or by name.

    Args:
        spec: a file or folder, or a name ("tvsum", "summe", "qfvs") of a folder inside
            $VIDEOGRAPH_DATA or ./data.
        options: `features`: which features, by name or path; `ratings`: the official annotation file
            that the field's TVSum h5 lacks. None is the form's own choice.

    Raises:
        UsageError: nothing of that name, or a file of no known form.
        VideographError: a file that is malformed, with what is wrong and where.
    """
    path = _find(str(spec))
    options = {name: value for name, value in options.items() if value is not None}
    for name in available_datasets():
        if not _member(name).reads(path):
            continue
        try:
            return _member(name).load(path, **options)
        except TypeError as error:
            if "unexpected keyword" not in str(error):
                raise
            raise UsageError(
                f"{path} takes no {', '.join(options)}: {_member(name).FORM}."
            ) from error
    forms = "; ".join(_member(name).FORM for name in available_datasets())
    raise UsageError(f"{path} has none of the forms that are read. {forms}.")


def _find(spec: str) -> Path:
    if Path(spec).exists():
        return Path(spec)
    tried = [folder / spec for folder in data_folders()]
    for path in tried:
        if path.exists():
            return path
    raise UsageError(
        f'no data set at "{spec}", nor at {" or ".join(str(p) for p in tried)}. Give a file or '
        "folder, or say with VIDEOGRAPH_DATA where the named sets lie."
    )
