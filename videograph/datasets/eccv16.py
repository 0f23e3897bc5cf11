"""The field's h5: `eccv16_dataset_*_google_pool5.h5`, its short forms, and anybody's file of that form.

A group per video; keys as in Zhang et al. (ECCV 2016) and every repository since. A folder holds the
annotations as `NAME/NAME.h5`, frame features beside them in `NAME_FEATURES.h5`, sentences in
`captions.json`. What short forms lack is completed and said: a benchmark's own shots cannot be made up.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from videograph.datasets import (
    ASSUMED_RATE,
    SAMPLING,
    BenchmarkVideo,
    Caption,
    Dataset,
    Objects,
    natural,
)
from videograph.datasets._h5 import array, naming, open_h5, scalar, text
from videograph.datasets._names import name_of, recognise
from videograph.datasets._ratings import Rated, read_ratings
from videograph.errors import UsageError, VideographError
from videograph.records import Shots, VideoFeatures, from_change_points
from videograph.shots import find_shots

FORM = "an h5 with a group per video (eccv16_dataset_*.h5, your own), or a folder NAME with NAME.h5"
SHORT_NAMES = ("tvsum", "summe", "ovp", "youtube")


def reads(path: Path) -> bool:
    """Whether this is such a file or folder."""
    if path.is_dir():
        return (path / f"{path.name}.h5").is_file() and path.name != "qfvs"
    return path.suffix.lower() in (".h5", ".hdf5") and "qfvs" not in path.name.lower()


def load(
    path: Path,
    *,
    features: str | None = None,
    ratings: str | Path | None = None,
    words: str | Path | None = None,
) -> Dataset:
    """The videos of one h5 file or folder.

    Args:
        path: the file, or a folder as described above.
        features: "mobilenetv2" for `NAME_mobilenetv2.h5` in the folder, or any h5 with the same
            groups; None takes what the annotations hold. Videos without features are left out.
        ratings: `ydata-tvsum50.mat` or `ydata-tvsum50-anno.tsv`: TVSum's rank correlations need them.
        words: an h5 with `word_features` (and `word_mask`) in the same groups.

    Raises:
        UsageError: no features of that name.
        VideographError: a file that is malformed, with what is wrong and where.
    """
    notes: list[str] = []
    source = path / f"{path.name}.h5" if path.is_dir() else path
    rated = {} if ratings is None else read_ratings(Path(ratings))
    feature_path = None if features is None else _feature_file(path, features)
    groups, label = _read(source, notes), _label(source, features)
    set_name = _set_name(source, groups)
    if feature_path is not None:
        groups = _join(groups, _read_features(feature_path), feature_path, notes)
    if words is not None:
        groups = _join_words(groups, Path(words))
    said = _attributes(Path(words) if words is not None else source)
    captions = _captions(path)
    videos = {}
    for key, parts in groups.items():
        with naming(source, key):
            parts = {**parts, "captions": captions.get(key, ())}
            videos[key] = _video(set_name, key, parts, rated, notes)
    if not any(v.features is not None for v in videos.values()):
        label = "none"
    return Dataset(
        set_name,
        source,
        videos,
        features=label,
        text_encoder=said.get("text_encoder", ""),
        preprocessing=_attributes(feature_path or source).get("preprocessing", ""),
        notes=tuple(_set_notes(source) + _merged(notes)),
    )


def _feature_file(path: Path, features: str) -> Path:
    folder = path if path.is_dir() else path.parent
    beside = folder / f"{folder.name}_{features}.h5"
    for candidate in (beside, Path(features)):
        if candidate.is_file():
            return candidate
    known = [f.stem.removeprefix(f"{folder.name}_") for f in sorted(folder.glob("*_*.h5"))]
    raise UsageError(
        f'no features "{features}" at {beside}. Allowed: a path, or one of: {", ".join(known) or "none"}.'
    )


def _label(source: Path, features: str | None) -> str:
    """Who made the features: the file's attribute `encoder`, or what its name tells."""
    if features is not None:
        return Path(features).stem
    if encoder := _attributes(source).get("encoder"):
        return encoder
    return "google_pool5" if "google_pool5" in source.name else source.stem


def _set_name(source: Path, groups: dict[str, dict[str, Any]]) -> str:
    words = source.stem.lower().replace("-", "_").split("_")
    named = [name for name in SHORT_NAMES if name in words]
    if named:
        return named[0]
    return recognise({k: int(parts["n_frames"] or 0) for k, parts in groups.items()})


# -- one file ----------------------------------------------------------------------------------------

_ARRAYS: dict[str, type[np.generic]] = {
    "features": np.float32,
    "gtscore": np.float32,
    "gtsummary": np.float32,
    "user_summary": np.float32,
    "user_anno": np.float32,
    "change_points": np.int64,
    "n_frame_per_seg": np.int64,
    "picks": np.int64,
    "word_features": np.float32,
    "word_mask": np.bool_,
}


def _read(path: Path, notes: list[str]) -> dict[str, dict[str, Any]]:
    """What each group holds, by key, in natural order."""
    videos = {}
    with open_h5(path) as file:
        names = _class_names(file.attrs.get("classes"))
        for key in sorted(file, key=natural):
            group = file[key]
            if isinstance(group, h5py.Group) and _is_video(group):
                with naming(path, key):
                    videos[key] = {**_group(group), "objects": _objects(group, names)}
            else:
                notes.append(f"{path.name}: {key} is no video and was passed over")
        if not videos:
            raise VideographError(
                f"{path} holds no videos: no group has any of features, gtscore, user_summary, "
                f"user_anno. Found: {', '.join(sorted(file)[:5]) or 'nothing'}."
            )
    return videos


def _is_video(group: Any) -> bool:
    return any(key in group for key in ("features", "gtscore", "user_summary", "user_anno"))


def _group(group: Any) -> dict[str, Any]:
    parts: dict[str, Any] = {name: array(group, name, dtype) for name, dtype in _ARRAYS.items()}
    for name in ("user_summary", "user_anno"):
        parts[name] = _bytes(name, parts[name])
    for name in ("n_frames", "n_steps", "fps"):
        parts[name] = scalar(group, name)
    for name in ("video_name", "video_id", "title", "category"):
        parts[name] = text(group, name)
    return parts


def _bytes(name: str, value: np.ndarray | None) -> np.ndarray | None:
    if value is None:
        return None
    if not np.isfinite(value).all() or (value != np.floor(value)).any() or (value < 0).any():
        raise ValueError(f"{name} holds values that are not whole numbers from 0 up")
    return np.minimum(value, 255).astype(np.uint8)


def _read_features(path: Path) -> dict[str, dict[str, Any]]:
    """Features and objects of each group."""
    found = {}
    with open_h5(path) as file:
        names = _class_names(file.attrs.get("classes"))
        for key in file:
            group = file[key]
            if isinstance(group, h5py.Group) and "features" in group:
                with naming(path, key):
                    parts = {
                        "features": array(group, "features", np.float32),
                        "picks": array(group, "picks", np.int64),
                        "objects": _objects(group, names),
                    }
                found[key] = parts
    if not found:
        raise VideographError(f"{path} holds no features: no group has a key of that name.")
    return found


def _class_names(stored: Any) -> tuple[str, ...]:
    if stored is None:
        return ()
    if isinstance(stored, str | bytes):
        return tuple(json.loads(stored))
    return tuple(str(s) for s in np.asarray(stored).tolist())


def _objects(group: Any, class_names: tuple[str, ...]) -> Objects | None:
    features = array(group, "object_features", np.float32)
    mask = array(group, "object_mask", np.bool_)
    if features is None or mask is None:
        return None
    if features.ndim != 3 or features.shape[:2] != mask.shape:
        raise ValueError(f"object_features have shape {features.shape}, their mask {mask.shape}")
    return Objects(
        features,
        mask,
        boxes=array(group, "object_boxes", np.float32),
        classes=array(group, "object_classes", np.int64),
        scores=array(group, "object_scores", np.float32),
        class_names=class_names,
    )


def _join(
    groups: dict[str, dict[str, Any]],
    features: dict[str, dict[str, Any]],
    path: Path,
    notes: list[str],
) -> dict[str, dict[str, Any]]:
    missing = [key for key in groups if key not in features]
    if len(missing) == len(groups):
        raise VideographError(
            f"{path} has features of none of the videos. Do the group names agree?"
        )
    if missing:
        notes.append(f"{len(missing)} videos have no features in {path.name} and were left out")
    joined = {}
    for key, parts in groups.items():
        if key not in features:
            continue
        own = {name: value for name, value in features[key].items() if value is not None}
        with naming(path, key):
            _same_steps(parts, own)
        joined[key] = {**parts, **own}
    return joined


def _same_steps(parts: dict[str, Any], own: dict[str, Any]) -> None:
    picks = parts["picks"]
    if picks is not None and len(own["features"]) != len(picks):
        raise ValueError(f"{len(own['features'])} features for {len(picks)} picks")
    if picks is not None and "picks" in own and not np.array_equal(picks, own["picks"]):
        raise ValueError("the features were taken at other picks than the annotations")


def _join_words(groups: dict[str, dict[str, Any]], path: Path) -> dict[str, dict[str, Any]]:
    with open_h5(path) as file:
        told = [key for key in groups if key in file and "word_features" in file[key]]
        if not told:
            raise VideographError(
                f"{path} has word_features of none of the videos. Do the group names agree?"
            )
        joined = dict(groups)
        for key in told:
            with naming(path, key):
                joined[key] = {
                    **groups[key],
                    "word_features": array(file[key], "word_features", np.float32),
                    "word_mask": array(file[key], "word_mask", np.bool_),
                }
    return joined


def _captions(path: Path) -> dict[str, tuple[Caption, ...]]:
    file = path / "captions.json"
    if not path.is_dir() or not file.is_file():
        return {}
    try:
        listed = json.loads(file.read_text(encoding="utf-8"))["captions"]
        return {
            key: tuple(Caption(float(c["start_s"]), float(c["end_s"]), str(c["text"])) for c in row)
            for key, row in listed.items()
        }
    except (ValueError, KeyError, TypeError) as error:
        raise VideographError(
            f"{file} is not a list of captions with start_s, end_s, text by video ({error})."
        ) from error


# -- one video ---------------------------------------------------------------------------------------


def _video(
    set_name: str, key: str, parts: dict[str, Any], rated: dict[str, Rated], notes: list[str]
) -> BenchmarkVideo:
    picks = _picks(parts, notes)
    n_frames = _n_frames(parts, picks, notes)
    stored = parts["video_name"] or parts["video_id"]
    name, doubt = name_of(set_name, key, n_frames, stored)
    if doubt:
        notes.append(doubt)
    users = _ratings(parts, rated, name, n_frames)
    return BenchmarkVideo(
        key,
        n_frames,
        picks,
        name=name,
        shots=_shots(parts, picks, n_frames, notes),
        features=parts["features"],
        gtscore=parts["gtscore"],
        gtsummary=parts["gtsummary"],
        user_anno=users,
        user_summary=parts["user_summary"],
        fps=parts["fps"],
        title=parts["title"] or (rated[name].title if name in rated else ""),
        category=parts["category"] or (rated[name].category if name in rated else ""),
        objects=parts.get("objects"),
        captions=parts["captions"],
        word_features=parts["word_features"],
        word_mask=parts["word_mask"],
    )


def _picks(parts: dict[str, Any], notes: list[str]) -> np.ndarray:
    n_steps, picks = parts["n_steps"], parts["picks"]
    counted = {k: len(parts[k]) for k in ("features", "gtscore") if parts[k] is not None}
    if picks is None:
        n = next(iter(counted.values()), n_steps)
        if n is None:
            if parts["n_frames"] is None and parts["user_anno"] is None:
                raise ValueError("picks are missing, and nothing tells how many steps there are")
            n = -(-_counted_frames(parts) // SAMPLING)
        notes.append(f"picks were missing and taken as every {SAMPLING}th frame")
        return np.arange(int(n), dtype=np.int64) * SAMPLING
    if picks.ndim != 1:
        raise ValueError(f"picks have shape {picks.shape}; (n_steps,) is needed")
    if n_steps is not None and n_steps != len(picks):
        raise ValueError(f"n_steps is {n_steps:g}, but there are {len(picks)} picks")
    return picks


def _counted_frames(parts: dict[str, Any]) -> int:
    if parts["n_frames"] is not None:
        return int(parts["n_frames"])
    return int(parts["user_anno"].shape[-1])


def _n_frames(parts: dict[str, Any], picks: np.ndarray, notes: list[str]) -> int:
    if parts["n_frames"] is not None:
        return int(parts["n_frames"])
    for name in ("user_summary", "user_anno"):
        if parts[name] is not None:
            notes.append(f"n_frames was missing and read off {name}")
            return int(parts[name].shape[-1])
    if parts["change_points"] is not None and parts["change_points"].size:
        notes.append("n_frames was missing and read off change_points")
        return int(parts["change_points"].max()) + 1
    notes.append(
        "n_frames was missing and taken as one past the last pick: the true end is unknown"
    )
    return int(picks[-1]) + 1 if len(picks) else 0


def _shots(
    parts: dict[str, Any], picks: np.ndarray, n_frames: int, notes: list[str]
) -> Shots | None:
    change_points, lengths = parts["change_points"], parts["n_frame_per_seg"]
    if change_points is None:
        if parts["features"] is None or len(parts["features"]) != len(picks) or not len(picks):
            return None
        notes.append(
            "change_points were missing: shots found by KTS in the features, not the stored"
        )
        seconds = picks / (parts["fps"] or ASSUMED_RATE)
        return find_shots(VideoFeatures(parts["features"], picks, seconds, n_frames, "stored"))
    if change_points.ndim != 2 or change_points.shape[1] != 2 or len(change_points) == 0:
        raise ValueError(f"change_points have shape {change_points.shape}; (n_shots, 2) is needed")
    try:
        shots = from_change_points(change_points)
    except ValueError as error:
        raise ValueError(
            f"change_points: {error}; both ends must be inclusive and touch"
        ) from error
    if lengths is not None and not np.array_equal(lengths.reshape(-1), shots.lengths):
        raise ValueError("n_frame_per_seg is not last - first + 1 of change_points")
    return shots


def _ratings(
    parts: dict[str, Any], rated: dict[str, Rated], name: str, n_frames: int
) -> np.ndarray | None:
    if not rated:
        return parts["user_anno"]
    if name not in rated:
        raise ValueError(f'the ratings have no video "{name}"')
    users = rated[name].user_anno
    if abs(users.shape[1] - n_frames) > 1:
        raise ValueError(f"the ratings have {users.shape[1]} frames, the h5 has {n_frames}")
    # Two videos of the official annotations end one frame away from the h5.
    return np.pad(users, ((0, 0), (0, max(0, n_frames - users.shape[1]))), mode="edge")[
        :, :n_frames
    ]


# -- what a reader of the table must know ------------------------------------------------------------


def _attributes(path: Path) -> dict[str, str]:
    """What the file says of itself in words."""
    with open_h5(path) as file:
        return {name: value for name, value in file.attrs.items() if isinstance(value, str)}


def _set_notes(path: Path) -> list[str]:
    """Sentences the file says of itself: an attribute `note`."""
    with open_h5(path) as file:
        note = file.attrs.get("note")
    return [str(note)] if note else []


def _merged(notes: list[str]) -> list[str]:
    """Each sentence once, with how many videos it is true of."""
    counts = {note: notes.count(note) for note in notes}
    return [note if n == 1 else f"{note} ({n} videos)" for note, n in counts.items()]
