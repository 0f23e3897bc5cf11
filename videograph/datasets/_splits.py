"""Which videos train, choose and test: our fixed disjoint folds, and published files under their names.

Published files are rarely partitions: the five test sets of PGL-SUM's cover 18 of 25 SumMe and 34 of 50
TVSum videos. Reading them says so, and the sentence goes under every table made with them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from videograph.datasets import natural
from videograph.errors import UsageError, VideographError

FOLDER = Path(__file__).parent / "splits"
DISJOINT = "disjoint5"
"""Name of our default: five folds, each video tested once, 20 % of the others for validation."""


@dataclass(frozen=True)
class Fold:
    """One split."""

    train: tuple[str, ...]
    """Keys of the videos that may be learnt from."""
    val: tuple[str, ...]
    """Keys by which an epoch or an option may be chosen; empty in most published files."""
    test: tuple[str, ...]
    """Keys that are scored."""


@dataclass(frozen=True)
class Splits:
    """The folds of a table, and what is wrong with them."""

    name: str
    """"disjoint5", or the file's name."""
    folds: tuple[Fold, ...]
    """At least one, each with a test video."""
    warnings: tuple[str, ...] = ()
    """Why means over these folds are less than they seem: overlaps, leaks, videos never tested."""
    notes: tuple[str, ...] = ()
    """Which listed videos are not at hand."""

    @property
    def tested(self) -> tuple[str, ...]:
        """Every key that is tested, once, in natural order."""
        return tuple(sorted({key for fold in self.folds for key in fold.test}, key=natural))


def load_splits(spec: str, keys: Collection[str], dataset: str = "own") -> Splits:
    """The folds of a name or a file, restricted to the videos at hand.

    Args:
        spec: "disjoint5"; the name of a file of the package ("summe_dino_disjoint5"); or a JSON file:
            ours, or a list of {train, test} or {train_keys, test_keys} as published.
        keys: keys of the videos at hand.
        dataset: its name: "disjoint5" of TVSum and SumMe are fixed files; any other set is dealt out
            by a fixed seed.

    Raises:
        UsageError: nothing of that name.
        VideographError: the file is malformed, or lists none of the videos.
    """
    names = [f"{spec}.json", f"{dataset}_{spec}.json"]
    file = next((p for p in [Path(spec), *(FOLDER / n for n in names)] if p.is_file()), None)
    if file is None and spec == DISJOINT:
        return Splits(DISJOINT, _dealt(keys))
    if file is None:
        known = ", ".join([DISJOINT, *sorted(p.stem for p in FOLDER.glob("*.json"))])
        raise UsageError(f'no splits "{spec}". Allowed: {known}, or a JSON file.')
    folds = _read(file)
    here = [_restricted(fold, keys) for fold in folds]
    kept = tuple(fold for fold in here if fold.test)
    if not kept:
        raise VideographError(f"{file.name} tests none of the videos at hand. Do the keys agree?")
    listed = {k for fold in folds for part in (fold.train, fold.val, fold.test) for k in part}
    absent = len(listed - set(keys))
    note = f"{absent} videos of {file.name} are not at hand: its lists are shorter here"
    name = spec if spec == DISJOINT else file.stem
    return Splits(name, kept, _warnings(kept, keys), (note,) if absent else ())


def _restricted(fold: Fold, keys: Collection[str]) -> Fold:
    parts = ((key for key in part if key in keys) for part in (fold.train, fold.val, fold.test))
    return Fold(*(tuple(part) for part in parts))


def _read(file: Path) -> list[Fold]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VideographError(f"{file} is not readable JSON ({error}).") from error
    rows = content.get("folds") if isinstance(content, dict) else content
    if not isinstance(rows, list) or not rows:
        raise VideographError(f'{file} holds no list of splits, neither plain nor under "folds".')
    return [_fold(file, i, row) for i, row in enumerate(rows)]


def _fold(file: Path, i: int, row: Any) -> Fold:
    if not isinstance(row, dict) or not ("test" in row or "test_keys" in row):
        raise VideographError(f"{file}, split {i}: test or test_keys is missing.")
    parts = [row.get(name, row.get(f"{name}_keys", [])) for name in ("train", "val", "test")]
    for name, part in zip(("train", "val", "test"), parts, strict=True):
        if not isinstance(part, list) or not all(isinstance(key, str) for key in part):
            raise VideographError(
                f"{file}, split {i}: {name} is {part!r:.80}; a list of strings is needed, the keys of videos."
            )
    # Published keys may carry the h5 they belong to: "../data/eccv16_dataset_tvsum.h5/video_7".
    return Fold(*(tuple(key.rsplit("/", 1)[-1] for key in part) for part in parts))


def _warnings(kept: tuple[Fold, ...], keys: Collection[str]) -> tuple[str, ...]:
    said = []
    times = Counter(key for fold in kept for key in fold.test)
    if many := [key for key, n in times.items() if n > 1]:
        said.append(
            f"splits overlap: {len(many)} videos are tested more than once "
            f"(at most {max(times.values())} times), so means over splits count them again"
        )
    if never := [key for key in keys if key not in times]:
        said.append(f"{len(never)} of {len(keys)} videos are never tested by these splits")
    for i, fold in enumerate(kept):
        if leaked := set(fold.test) & (set(fold.train) | set(fold.val)):
            said.append(f"split {i} tests {len(leaked)} videos that it also trains or chooses on")
    return tuple(said)


def _dealt(keys: Collection[str], n_folds: int = 5, seed: int = 0) -> tuple[Fold, ...]:
    """Folds of any set of videos: shuffled by a fixed seed and dealt out, 20 % of the rest for validation."""
    rng = np.random.default_rng(seed)
    order = [str(k) for k in rng.permutation(np.array(sorted(keys, key=natural), dtype=object))]
    folds = []
    for i in range(min(n_folds, len(order))):
        test = order[i::n_folds]
        rest = [
            str(k) for k in rng.permutation(np.array([k for k in order if k not in test], object))
        ]
        n_val = round(0.2 * len(rest))
        parts = (rest[n_val:], rest[:n_val], test)
        folds.append(Fold(*(tuple(sorted(part, key=natural)) for part in parts)))
    return tuple(folds)
