"""Videos of your own in the field's layout: one h5 with features, shots and labels; and what is wrong
with such a file."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from videograph.config import SPEEDS, SummarizeConfig
from videograph.datasets import BenchmarkVideo, load_dataset, natural
from videograph.datasets._h5 import open_h5
from videograph.encoders import load_encoder
from videograph.errors import UsageError, VideographError
from videograph.features import extract
from videograph.labels import RATINGS, Labels, Opinions, match, read_labels
from videograph.records import OBJECT_KINDS, Hook, Shots, no_hook, to_change_points
from videograph.shots import find_shots
from videograph.summary import select

SUFFIXES = (
    ".3gp", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts",
    ".webm", ".wmv",
)  # fmt: skip
"""Files of a folder that are taken for videos."""


@dataclass(frozen=True)
class Built:
    """What `build` wrote."""

    path: Path
    """The h5."""
    n_videos: int
    """Videos in it."""
    n_labelled: int
    """Those of them that people said something of."""
    notes: tuple[str, ...] = ()
    """Sentences that a person should read."""


def build(
    videos: str | Path,
    output: str | Path,
    *,
    labels: str | Path | None = None,
    encoder: str = SummarizeConfig.encoder,
    speed: str = SummarizeConfig.speed,
    force: bool = False,
    hook: Hook = no_hook,
) -> Built:
    """Write an h5 in the field's layout from a folder of videos and what people said of them.

    Args:
        videos: the folder.
        output: the h5; it appears whole or not at all.
        labels: see `labels.read_labels`; None: features only, for training without labels.
        encoder: who sees the frames.
        speed: which frames stand for the picks, see `SummarizeConfig.speed`.
        force: replace an h5 that is there.
        hook: told of stage "videos", in videos.

    Raises:
        UsageError: no videos there, or an h5 that is there already.
        VideographError: labels are malformed or do not fit the videos, or no video can be read.
    """
    folder, output = Path(videos), Path(output)
    files = _files(folder)
    if speed not in SPEEDS:
        raise UsageError(f'speed is "{speed}". Allowed: {", ".join(SPEEDS)}.')
    if output.exists() and not force:
        raise UsageError(
            f"{output} is there already. Allowed: --force to replace it, or another name."
        )
    if not output.parent.is_dir():
        raise UsageError(f"there is no folder {output.parent} to write {output.name} to.")
    said = None if labels is None else read_labels(Path(labels))
    opinions = {} if said is None else match(said, files, Path(str(labels)))
    builder = _Builder(load_encoder(encoder), speed, said)
    hidden = output.with_name(f".{output.name}.{os.getpid()}.part")
    try:
        with h5py.File(hidden, "w") as h5:
            for done, (file, key) in enumerate(_keys(files, opinions).items(), start=1):
                builder.add(h5, key, file, opinions.get(file))
                hook("videos", done, len(files))
            builder.finish(h5)
        os.replace(hidden, output)
    finally:
        hidden.unlink(missing_ok=True)
    built = Built(output, builder.n_videos, builder.n_labelled, tuple(builder.notes))
    hook("videos", len(files), len(files), built)
    return built


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UsageError(
            f"no folder of videos at {folder}. Allowed: a folder with video files in it."
        )
    files = [f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES and f.is_file()]
    files = sorted((f for f in files if not f.name.startswith(".")), key=lambda f: natural(f.stem))
    if not files:
        raise UsageError(
            f"{folder} holds no videos. Allowed: files that end in {', '.join(SUFFIXES)}."
        )
    return files


def _keys(files: Sequence[Path], opinions: dict[Path, Opinions]) -> dict[Path, str]:
    """Names of the groups: official ones where the labels have them, else numbers from 1."""
    official = {file: o.key for file, o in opinions.items() if o.key}
    free = (f"video_{i}" for i in range(1, 1 << 31) if f"video_{i}" not in official.values())
    keys = {file: official.get(file) or next(free) for file in files}
    return dict(sorted(keys.items(), key=lambda item: natural(item[1])))


class _Builder:
    """Adds videos to an open h5, one group each."""

    def __init__(self, encoder: Any, speed: str, labels: Labels | None) -> None:
        self.encoder, self.speed, self.labels = encoder, speed, labels
        self.n_videos, self.n_labelled = 0, 0
        self.notes: list[str] = []

    def add(self, h5: Any, key: str, file: Path, opinions: Opinions | None) -> None:
        """See a video and write its group; one that cannot be read is left out with a note."""
        try:
            seen = extract(
                file, self.encoder, speed=self.speed,
                steps_per_second=SummarizeConfig.steps_per_second,
            )  # fmt: skip
        except VideographError as error:
            self.notes.append(f"{file.name} was left out: {error}")
            return
        features, clock = seen.features, seen.report.clock
        shots = find_shots(features)
        group = h5.create_group(key)
        kinds = features.object_kinds
        parts = {
            "features": features.features,
            "object_features": features.object_features,
            "object_mask": features.object_mask,
            "object_boxes": features.object_boxes,
            "object_classes": None if kinds is None else np.where(kinds > 0, kinds, -1),
            "picks": features.picks,
            "seconds": features.seconds,
            "change_points": to_change_points(shots),
            "n_frame_per_seg": shots.lengths,
            "n_frames": clock.n_frames,
            "n_steps": features.n_steps,
            "fps": float(Fraction(clock.n_frames) / clock.duration),
            "video_name": file.stem,
            "title": seen.info.title or "",
        }
        if opinions is not None and self.labels is not None:
            scores = opinions.at(clock, self.labels.lowest)
            parts |= label_arrays(scores, self.labels.scale, features.picks, shots)
            self.n_labelled += 1
            self._note_spans(file, opinions, float(clock.duration))
        elif self.labels is not None:
            self.notes.append(
                f"{file.name} has no labels: it can only be learnt from without them."
            )
        for name, value in parts.items():
            if value is not None:
                _store(group, name, value)
        self.n_videos += 1

    def _note_spans(self, file: Path, opinions: Opinions, duration: float) -> None:
        late = [
            s for spans in opinions.spans.values() for s in spans if s.end_seconds > duration + 1
        ]
        if late:
            self.notes.append(
                f"{file.name} ends at {duration:.1f} s, but the span of line {late[0].line} at "
                f"{late[0].end_seconds:.1f} s."
            )

    def finish(self, h5: Any) -> None:
        """What the file says of itself."""
        if not self.n_videos:
            raise VideographError(" ".join(["none of the videos can be read.", *self.notes]))
        h5.attrs["encoder"] = self.encoder.name
        h5.attrs["preprocessing"] = (
            f"{SummarizeConfig.steps_per_second} steps a second, {self.speed}, "
            f"long side {self.encoder.frame_side} pixels"
        )
        h5.attrs["classes"] = json.dumps(OBJECT_KINDS)
        h5.attrs["made_by"] = f"videograph {version('videograph')}"


def label_arrays(
    scores: np.ndarray, scale: str, picks: np.ndarray, shots: Shots
) -> dict[str, np.ndarray]:
    """The field's label arrays of one video.

    `user_summary` of users who rate is the 15 % summary of their ratings, as in the field's TVSum file.

    Args:
        scores: of each user and frame, (n_users, n_frames).
        scale: `labels.RATINGS` or `labels.SHARES`.
        picks: (n_steps,).
        shots: to choose from.
    """
    share = (scores - 1) / 4 if scale == RATINGS else scores
    is_mask = bool(np.isin(scores, (0, 1)).all()) and scale != RATINGS
    gtscore = share[:, picks].mean(0).astype(np.float32)
    users = scores if is_mask else [_summary(row[picks], picks, shots) for row in share]
    arrays = {
        "gtscore": gtscore,
        "gtsummary": _summary(gtscore, picks, shots)[picks].astype(np.float32),
        "user_summary": np.asarray(users).astype(np.uint8),
    }
    return arrays | ({"user_anno": scores.astype(np.uint8)} if scale == RATINGS else {})


def _summary(scores: np.ndarray, picks: np.ndarray, shots: Shots) -> np.ndarray:
    return select(scores, picks, shots).frame_mask(shots)


def _store(group: Any, name: str, value: Any) -> None:
    if isinstance(value, np.ndarray) and value.ndim > 1:
        group.create_dataset(name, data=value, compression="gzip", compression_opts=1, shuffle=True)
    else:
        group[name] = value


# -- what is wrong with a file -----------------------------------------------------------------------


@dataclass(frozen=True)
class Checked:
    """What `check` found."""

    n_videos: int
    """Groups that were looked at."""
    wrong: tuple[str, ...]
    """One sentence for each thing that keeps the file from being used."""
    notes: tuple[str, ...]
    """One sentence for each thing that a user should know."""


def check(path: str | Path) -> Checked:
    """Everything that is wrong with an h5 in the field's layout, video by video.

    Raises:
        VideographError: it is missing, or no HDF5 at all.
    """
    path = Path(path)
    with open_h5(path) as file:
        keys = sorted((k for k in file if isinstance(file[k], h5py.Group)), key=natural)
        attributes = dict(file.attrs)
    wrong: list[str] = (
        [] if keys else [f"{path.name} holds no groups: a group per video is needed."]
    )
    videos: list[BenchmarkVideo] = []
    notes: list[str] = []
    for key in keys:
        try:
            dataset = _alone(path, key, attributes)
        except VideographError as error:
            wrong.append(str(error))
            continue
        videos += dataset.videos.values()
        notes += [f"{path.name}, {key}: {_sentence(note)}" for note in dataset.notes]
        wrong += [f"{path.name}, {key}: {text}" for text in _faults(dataset.videos.values())]
    wrong += [f"{path.name}: {text}" for text in _disagreements(videos)]
    notes += [f"{path.name}: {text}" for text in _hints(videos, attributes)]
    return Checked(len(keys), tuple(wrong), tuple(dict.fromkeys(notes)))


def _alone(path: Path, key: str, attributes: dict[str, Any]) -> Any:
    """One video as the reader reads it: through a file of the same name that links to its group only."""
    with tempfile.TemporaryDirectory() as folder:
        one = Path(folder) / path.name
        with h5py.File(one, "w") as file:
            file[key] = h5py.ExternalLink(path.resolve(), f"/{key}")
            file.attrs.update({k: v for k, v in attributes.items() if k != "note"})
        return load_dataset(one)


def _faults(videos: Iterable[BenchmarkVideo]) -> Iterator[str]:
    """What the reader lets pass because evaluation can do without, and training cannot."""
    for video in videos:
        objects = video.objects
        if video.features is None:
            yield "features are missing; (n_steps, dim) is needed to train or to score."
        if video.gtscore is not None and not (0 <= video.gtscore.min() <= video.gtscore.max() <= 1):
            low, high = video.gtscore.min(), video.gtscore.max()
            yield f"gtscore runs from {low:g} to {high:g}; 0 to 1 is allowed."
        if objects is not None and len(objects.mask) != video.n_steps:
            yield f"object_mask has {len(objects.mask)} steps; picks ask for {video.n_steps}."
        if objects is not None and not np.isfinite(objects.features[objects.mask]).all():
            yield "object_features hold NaN or infinite values where object_mask is true."


def _disagreements(videos: Sequence[BenchmarkVideo]) -> Iterator[str]:
    dims = {
        "features": {v.features.shape[1] for v in videos if v.features is not None},
        "object_features": {v.objects.features.shape[2] for v in videos if v.objects is not None},
        "word_features": {v.word_features.shape[1] for v in videos if v.word_features is not None},
    }
    for name, sizes in dims.items():
        if len(sizes) > 1:
            told = " and ".join(str(s) for s in sorted(sizes))
            yield f"{name} have {told} numbers in different videos; one encoder gives one size."


def _hints(videos: Sequence[BenchmarkVideo], attributes: dict[str, Any]) -> Iterator[str]:
    unlabelled = [v.key for v in videos if v.gtscore is None and v.users is None]
    constant = [v.key for v in videos if v.gtscore is not None and np.ptp(v.gtscore) == 0]
    if unlabelled:
        yield f"{len(unlabelled)} videos have no labels ({', '.join(unlabelled[:3])})."
    if constant:
        yield f"gtscore is the same at every step of {', '.join(constant[:3])}: nothing to learn there."
    if "encoder" not in attributes:
        yield (
            "no attribute encoder names who made the features; a model trained on them cannot refuse "
            "those of another."
        )


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
