"""The nouns of videograph: what flows from one stage to the next, frozen, with shape and unit.

Frame numbers count frames in presentation order from 0; spans are half-open. The field's h5 files
hold shots with both ends inclusive: `to_change_points` and `from_change_points` are the only border.
Times are seconds on the file's own timeline, 0 being the first moment a player shows, and come from
presentation time stamps (PTS), never from a frame number divided by a rate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np

OBJECT_KINDS = ("none", "grid", "salient", "moving", "cluster")
"""How an object slot was found where no detector named it; `object_kinds` holds indices into this tuple."""

WORD_SOURCES = (
    "query",
    "subtitles",
    "title",
    "description",
    "speech",
    "captions",
    "objects",
)
"""Where words come from, most trusted first."""


class Hook(Protocol):
    """The pipeline's only window. Raising from it cancels the run."""

    def __call__(self, stage: str, done: float, total: float | None, artefact: Any = None) -> None:
        """Tell that `done` of `total` of `stage` is there; once, at its end, with what it made.

        `total` is None while nobody can know it.
        """
        ...


def no_hook(stage: str, done: float, total: float | None, artefact: Any = None) -> None:
    """Watch nothing: the hook of a caller who gave none."""


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


@dataclass(frozen=True)
class VideoInfo:
    """What a file says of itself, before a frame of it is decoded."""

    path: Path
    """The file."""
    container: str
    """Container format, in FFmpeg's words ("mov,mp4,m4a,3gp,3g2,mj2")."""
    codec: str
    """Video codec ("h264")."""
    pixel_format: str
    """Pixel format as coded ("yuv420p")."""
    width: int
    """Pixels across as shown, that is after rotation."""
    height: int
    """Pixels down as shown, that is after rotation."""
    rotation: int
    """Degrees clockwise by which a player turns the coded picture: 0, 90, 180 or 270."""
    average_rate: Fraction | None
    """Frames a second on average, as promised; None when the file does not say. Never used for times."""
    time_base: Fraction
    """Seconds per tick of the video stream's PTS."""
    start_seconds: Fraction
    """The file's own time stamp of the moment that is second 0 here."""
    duration_seconds: Fraction | None
    """Promised end of the video stream on our timeline; None when the file does not say."""
    n_frames: int | None
    """Frames as promised by the header; None when it does not say."""
    video_stream: int
    """Index of the video stream that is read."""
    audio_stream: int | None
    """Index of the audio stream that goes into a skim; None for a silent file."""
    subtitle_streams: tuple[int, ...] = ()
    """Indices of the text subtitle streams."""
    title: str | None = None
    """Title tag of the file."""


@dataclass(frozen=True)
class Clock:
    """Which frame is on the screen when: the PTS of every frame."""

    pts: np.ndarray
    """Start of each frame in ticks from second 0, (n_frames,) int64, strictly increasing."""
    end: int
    """Where the last frame ends, in ticks."""
    time_base: Fraction
    """Seconds per tick."""

    def __post_init__(self) -> None:
        _check(self.pts.ndim == 1 and len(self.pts) > 0, f"pts has shape {self.pts.shape}")
        _check(bool(np.all(self.pts[1:] > self.pts[:-1])), "pts do not increase")
        _check(self.end > self.pts[-1], "the last frame ends before it starts")

    def __repr__(self) -> str:
        return f"Clock(n_frames={self.n_frames}, end={float(self.duration):.3f} s)"

    @property
    def n_frames(self) -> int:
        """Frames in the video."""
        return len(self.pts)

    @property
    def duration(self) -> Fraction:
        """End of the last frame, in seconds."""
        return self.end * self.time_base

    def seconds(self, frame: int) -> Fraction:
        """Start of a frame in seconds; for `n_frames`, the end of the last one."""
        return (self.end if frame == self.n_frames else int(self.pts[frame])) * self.time_base

    def seconds_of(self, frames: np.ndarray) -> np.ndarray:
        """Starts of many frames in seconds, float64, for drawing and arithmetic that may round."""
        frames = np.asarray(frames)
        ticks = np.where(
            frames == self.n_frames, self.end, self.pts[np.minimum(frames, self.n_frames - 1)]
        )
        return ticks.astype(np.float64) * float(self.time_base)

    def frame_at(self, seconds: Fraction | float) -> int:
        """Index of the frame on the screen at a time; the first one before it, the last one after."""
        ticks = int(Fraction(seconds) // self.time_base)
        return int(
            np.clip(np.searchsorted(self.pts, ticks, side="right") - 1, 0, len(self.pts) - 1)
        )


@dataclass(frozen=True)
class ReadReport:
    """What became of a file when it was read."""

    clock: Clock
    """PTS of all frames of the file, also of those that were not decoded."""
    decode_failures: int
    """Packets that the decoder refused."""
    duration_shortfall: Fraction
    """Seconds that the container promises and the file does not hold; 0 when it keeps its promise."""
    sampling: str
    """Which frames stand for the picks: "exact frames", "nearest reference frames", "key frames"."""
    timestamps: str = "file"
    """"file", or "guessed" where the stream has none and a constant rate had to be assumed."""
    n_encoded: int | None = None
    """Pictures that the encoder saw; the other picks show what it had seen. None: nobody counted."""


@dataclass(frozen=True)
class VideoFeatures:
    """What the encoder saw at the picks."""

    features: np.ndarray
    """Frame features, (n_steps, dim) float32."""
    picks: np.ndarray
    """Frame index of each step, (n_steps,) int64, strictly increasing."""
    seconds: np.ndarray
    """Time of each step in seconds, (n_steps,) float64: `picks` read off the clock."""
    n_frames: int
    """Frames of the whole video."""
    encoder: str
    """Name and version of the encoder that made the features."""
    object_features: np.ndarray | None = None
    """Region features, (n_steps, n_objects, object_dim) float16 or float32, 0 where masked."""
    object_mask: np.ndarray | None = None
    """True where a slot holds an object, (n_steps, n_objects) bool."""
    object_boxes: np.ndarray | None = None
    """Boxes x0, y0, x1, y1 as shares of width and height, (n_steps, n_objects, 4) float32."""
    object_kinds: np.ndarray | None = None
    """How each slot was found, or what it is, (n_steps, n_objects) int8: indices into
    `object_names`; int16 where there are more than 127 of them."""
    object_names: tuple[str, ...] = OBJECT_KINDS
    """What `object_kinds` means: `OBJECT_KINDS`, or "none" and a detector's class names after it."""
    object_scores: np.ndarray | None = None
    """The detector's confidence, (n_steps, n_objects) float32 in [0, 1], 0 where masked; None without one."""
    looked_at: np.ndarray | None = None
    """True for steps where a detector looked for objects, (n_steps,) bool; None: all were looked at."""
    contrast: np.ndarray | None = None
    """Standard deviation of each frame's brightness, (n_steps,) float32 in [0, 0.5]; 0 = one flat tone."""
    cut_frames: np.ndarray | None = None
    """Frame after the sharpest change since the step before, (n_steps,) int64, in (picks[t-1], picks[t]]."""

    def __post_init__(self) -> None:
        n = len(self.picks)
        _check(n > 0, "no steps")
        _check(self.features.ndim == 2, f"features have shape {self.features.shape}")
        for name in ("features", "seconds", "object_features", "object_mask", "object_boxes",
                     "object_kinds", "object_scores", "looked_at", "contrast", "cut_frames"):  # fmt: skip
            value = getattr(self, name)
            _check(value is None or len(value) == n, f"{name} does not have {n} steps")
        _check(bool(np.all(np.diff(self.picks) > 0)), "picks do not increase")
        _check(self.picks[0] >= 0 and self.picks[-1] < self.n_frames, "picks lie outside the video")

    def __repr__(self) -> str:
        objects = None if self.object_features is None else self.object_features.shape
        return f"VideoFeatures(features={self.features.shape}, object_features={objects})"

    @property
    def n_steps(self) -> int:
        """Sampled frames."""
        return len(self.picks)


@dataclass(frozen=True)
class TimedText:
    """A word, phrase or sentence that goes with a video, and the span in which it holds."""

    text: str
    """One line without markup, never empty."""
    source: str
    """One of `WORD_SOURCES`."""
    start_seconds: Fraction | None = None
    """Start of its span on the video's timeline; None: it holds for the whole video."""
    end_seconds: Fraction | None = None
    """End of its span; None: it holds for the whole video."""
    wanted: bool = True
    """False for what a user asks to leave out; only a query can be unwanted."""

    def __post_init__(self) -> None:
        _check(bool(self.text.strip()), "a text is empty")
        _check(self.source in WORD_SOURCES, f'no source of words is named "{self.source}"')
        start, end = self.start_seconds, self.end_seconds
        _check((start is None) == (end is None), "a span has only one end")
        _check(start is None or end is None or start < end, "a text ends before it starts")
        _check(self.wanted or self.source == "query", "only a query can be unwanted")


@dataclass(frozen=True)
class Words:
    """What is said of a video, or asked of it, as the text encoder sees it."""

    features: np.ndarray
    """One row per word or phrase, (n_words, dim) float32."""
    mask: np.ndarray | None = None
    """Words usable at each step, (n_steps, n_words) bool, or (n_words,); None: all, everywhere."""
    is_query: np.ndarray | None = None
    """True for the user's own words, (n_words,) bool; None: none are."""
    is_unwanted: np.ndarray | None = None
    """True for those of the user's words that are to be left out, (n_words,) bool; None: none are."""
    shares_space: bool = False
    """True where the encoder of the frames was trained to put pictures and words in one space."""


@dataclass(frozen=True)
class Shots:
    """The video cut into shots, without a gap."""

    bounds: np.ndarray
    """First frame and one past the last of each shot, (n_shots, 2) int64; together [0, n_frames)."""

    def __post_init__(self) -> None:
        b = self.bounds
        _check(b.ndim == 2 and b.shape[1] == 2 and len(b) > 0, f"bounds have shape {b.shape}")
        _check(b[0, 0] == 0, "shots do not start at frame 0")
        _check(bool(np.all(b[:, 1] > b[:, 0])), "a shot is empty")
        _check(bool(np.all(b[1:, 0] == b[:-1, 1])), "shots leave a gap or overlap")

    def __repr__(self) -> str:
        return f"Shots(n_shots={self.n_shots}, n_frames={self.n_frames})"

    @property
    def n_shots(self) -> int:
        """Number of shots."""
        return len(self.bounds)

    @property
    def n_frames(self) -> int:
        """Frames of the video."""
        return int(self.bounds[-1, 1])

    @property
    def lengths(self) -> np.ndarray:
        """Frames in each shot, (n_shots,) int64; `n_frame_per_seg` of the h5 form."""
        return self.bounds[:, 1] - self.bounds[:, 0]


def from_change_points(change_points: np.ndarray) -> Shots:
    """Shots from the h5 form, (n_shots, 2) with both ends inclusive."""
    bounds = np.asarray(change_points, dtype=np.int64).copy()
    bounds[:, 1] += 1
    return Shots(bounds)


def to_change_points(shots: Shots) -> np.ndarray:
    """The h5 form of shots, (n_shots, 2) int64, both ends inclusive."""
    change_points = shots.bounds.copy()
    change_points[:, 1] -= 1
    return change_points


@dataclass(frozen=True)
class Scores:
    """What the model says of each step, and the graph that made it say so."""

    scores: np.ndarray
    """Key-frame score of each step, (n_steps,) float32 in [0, 1]."""
    neighbours: np.ndarray
    """The k strongest other nodes of each node in the last temporal graph, (n_steps, k) int64, -1 = none."""
    neighbour_weights: np.ndarray
    """Their edge weights, (n_steps, k) float32; a row of the full graph sums to 1."""
    object_weights: np.ndarray | None
    """Share of each object slot in its frame's pooled node, (n_steps, n_objects) float32."""
    form: str
    """How the model came to its weights: "training-free", "unsupervised", or a checkpoint's name."""
    active: Mapping[str, Any] = field(default_factory=dict)
    """Which parts of the model ran (objects, words, n_recursions, temporal_edges, ...)."""

    def __post_init__(self) -> None:
        n = len(self.scores)
        _check(self.neighbours.shape == self.neighbour_weights.shape, "edges and weights differ")
        _check(len(self.neighbours) == n, "edges do not have a row per step")


@dataclass(frozen=True)
class Neighbour:
    """One frame that a key frame is tied to in the temporal graph."""

    step: int
    """Step of the neighbour."""
    seconds: Fraction
    """Its time."""
    weight: float
    """Edge weight: the share of this neighbour among all of the node's edges."""


@dataclass(frozen=True)
class SeenObject:
    """One object of a key frame."""

    kind: str
    """One of `OBJECT_KINDS`, or a detector's class name."""
    box: tuple[float, float, float, float]
    """x0, y0, x1, y1 as shares of width and height."""
    weight: float
    """Share of this object in its frame's node; 0 for what was found after the scores."""
    score: float | None = None
    """A detector's confidence in [0, 1]; None for regions that no detector named."""


@dataclass(frozen=True)
class Evidence:
    """Something in a video that answers a query."""

    source: str
    """One of `WORD_SOURCES`, or "picture" where a frame itself is near the query."""
    text: str
    """What is said or named there; "" for a picture."""
    query: str
    """Which of the user's queries it answers."""
    score: float
    """How well, in [0, 1]; from 0.5 on it counts as an answer."""
    start_seconds: Fraction
    """Start of its span on the video's timeline."""
    end_seconds: Fraction
    """End of its span."""


@dataclass(frozen=True)
class Reason:
    """Why a shot was chosen."""

    text: str
    """One sentence for people."""
    rank: int
    """Place of the shot among all shots by score, 1 = highest."""
    stands_for_seconds: float
    """Seconds of the video whose nearest chosen key frame, by features, is this one."""
    neighbours: tuple[Neighbour, ...] = ()
    """Strongest neighbours of the key frame in the temporal graph, best first."""
    objects: tuple[SeenObject, ...] = ()
    """Objects of the key frame, heaviest first."""
    words: tuple[Evidence, ...] = ()
    """What in this shot answers the user's query, best first; nothing without a query."""


@dataclass(frozen=True)
class ChosenShot:
    """One span of the summary."""

    number: int
    """Number of the shot among all shots of the video, from 0."""
    start_frame: int
    """First frame."""
    end_frame: int
    """One past the last frame."""
    start_seconds: Fraction
    """Start of the first frame."""
    end_seconds: Fraction
    """End of the last frame."""
    score: float
    """Mean frame score of the shot, in [0, 1]."""
    keyframe: int
    """Frame index of its key frame."""
    keyframe_step: int
    """Step of its key frame."""
    keyframe_seconds: Fraction
    """Time of its key frame."""
    reason: Reason
    """Why it is in the summary."""


@dataclass(frozen=True)
class Summary:
    """A video in short: the chosen spans, and all that is needed to show, check and export them."""

    info: VideoInfo
    """The file."""
    report: ReadReport
    """What became of it when it was read."""
    shots: Shots
    """All shots of the video."""
    shot_scores: np.ndarray
    """Mean frame score of each shot, (n_shots,) float64."""
    picks: np.ndarray
    """Frame index of each step, (n_steps,) int64."""
    seconds: np.ndarray
    """Time of each step, (n_steps,) float64."""
    scores: np.ndarray
    """Key-frame score of each step, (n_steps,) float32 in [0, 1]."""
    chosen: tuple[ChosenShot, ...]
    """The summary's spans, in order of time, never empty."""
    budget: str
    """The budget as asked ("15%")."""
    budget_seconds: Fraction
    """What it allows, in seconds."""
    speed: str
    """"exact", "balanced" or "fast"."""
    seed: int
    """Seed of everything that draws at random."""
    encoder: str
    """Encoder of the features."""
    form: str
    """How the model came to its weights, see `Scores.form`."""
    active: Mapping[str, Any]
    """Which parts of the model ran."""
    versions: Mapping[str, str]
    """Versions of videograph and of the libraries that shape the result."""
    keyframe_images: Sequence[bytes] = ()
    """JPEG of each chosen shot's key frame, in the order of `chosen`, long side at most 1920 pixels."""
    thumbnails: Mapping[int, bytes] = field(default_factory=dict)
    """Small JPEGs by step, thinned evenly on long videos; the nearest one stands in for a missing step."""
    warnings: tuple[str, ...] = ()
    """Sentences that a person should read before trusting the summary."""

    def __post_init__(self) -> None:
        _check(len(self.chosen) > 0, "the summary is empty")
        _check(len(self.scores) == len(self.picks) == len(self.seconds), "steps disagree")
        _check(len(self.shot_scores) == self.shots.n_shots, "shot scores disagree with shots")

    def __repr__(self) -> str:
        return (
            f"Summary({self.info.path.name!r}, {len(self.chosen)} of {self.shots.n_shots} shots, "
            f"{float(self.summary_seconds):.1f} of {float(self.duration_seconds):.1f} s)"
        )

    @property
    def duration_seconds(self) -> Fraction:
        """Length of the video that could be read."""
        return self.report.clock.duration

    @property
    def summary_seconds(self) -> Fraction:
        """Length of the summary."""
        return sum((s.end_seconds - s.start_seconds for s in self.chosen), Fraction(0))

    @property
    def spans(self) -> list[tuple[Fraction, Fraction]]:
        """The one span list of skims and timelines: start and end in seconds, touching shots merged."""
        merged: list[tuple[Fraction, Fraction]] = []
        for shot in self.chosen:
            if merged and merged[-1][1] == shot.start_seconds:
                merged[-1] = (merged[-1][0], shot.end_seconds)
            else:
                merged.append((shot.start_seconds, shot.end_seconds))
        return merged
