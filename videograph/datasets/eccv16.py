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
    Caption,
    Dataset,
    natural,
)
from videograph.datasets._features import class_names, read_features, read_objects
from videograph.datasets._group import complete_video, read_group
from videograph.datasets._h5 import array, naming, open_h5
from videograph.datasets._names import recognise
from videograph.datasets._ratings import read_ratings
from videograph.errors import UsageError, VideographError

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
        groups = _join(groups, read_features(feature_path), feature_path, notes)
    if words is not None:
        groups = _join_words(groups, Path(words))
    said = _attributes(Path(words) if words is not None else source)
    captions = _captions(path)
    videos = {}
    for key, parts in groups.items():
        with naming(source, key):
            parts = {**parts, "captions": captions.get(key, ())}
            videos[key] = complete_video(set_name, key, parts, rated, notes)
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


def _read(path: Path, notes: list[str]) -> dict[str, dict[str, Any]]:
    """What each group holds, by key, in natural order."""
    videos = {}
    with open_h5(path) as file:
        names = class_names(file.attrs.get("classes"))
        for key in sorted(file, key=natural):
            group = file[key]
            if isinstance(group, h5py.Group) and _is_video(group):
                with naming(path, key):
                    videos[key] = {**read_group(group), "objects": read_objects(group, names)}
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
