"""Frame features and objects that lie in an h5 of their own, beside the annotations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from videograph.datasets import Objects
from videograph.datasets._h5 import array, naming, open_h5
from videograph.errors import VideographError


def read_features(path: Path) -> dict[str, dict[str, Any]]:
    """Features and objects of each group."""
    found = {}
    with open_h5(path) as file:
        names = class_names(file.attrs.get("classes"))
        for key in file:
            group = file[key]
            if isinstance(group, h5py.Group) and "features" in group:
                with naming(path, key):
                    parts = {
                        "features": array(group, "features", np.float32),
                        "picks": array(group, "picks", np.int64),
                        "objects": read_objects(group, names),
                    }
                found[key] = parts
    if not found:
        raise VideographError(f"{path} holds no features: no group has a key of that name.")
    return found


def class_names(stored: Any) -> tuple[str, ...]:
    """Names of a detector's classes, from the attribute `classes`: a list, or JSON of one."""
    if stored is None:
        return ()
    if isinstance(stored, str | bytes):
        return tuple(json.loads(stored))
    return tuple(str(s) for s in np.asarray(stored).tolist())


def read_objects(group: Any, names: tuple[str, ...]) -> Objects | None:
    """The objects of a group, None where it has none."""
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
        class_names=names,
    )
