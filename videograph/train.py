"""A run of training in a folder of its own: settings, curves, the model, and a state to go on from.

    runs/NAME/config.toml   every setting, as resolved; the same file repeats the run
              losses.csv    a row for each epoch; losses.png: the same as curves
              model/        the checkpoint of the epoch that was kept
              state.pt      only while the run is unfinished: what --resume goes on from

Each file appears whole or not at all, so a run can be killed at any moment.
"""

from __future__ import annotations

import csv
import io
import os
import platform
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from videograph.checkpoint import Origin
from videograph.config import TrainConfig, read_settings, to_toml
from videograph.datasets import Dataset, load_dataset
from videograph.datasets._splits import Fold, load_splits
from videograph.errors import UsageError, VideographError
from videograph.examples import Example, examples_of, with_others_words
from videograph.learn import TABLES, Learned, Learner, Plan, learn, make_plan
from videograph.queries import query_examples
from videograph.records import Hook, no_hook

CONFIG, STATE, LOSSES, CURVES, MODEL = (
    "config.toml", "state.pt", "losses.csv", "losses.png", "model",
)  # fmt: skip
QUERY_SPLITS = ("leave_one_out", "validation", "all")
"""Allowed values of `TrainConfig.splits` where videos come with queries."""
JUDGES = 9
"""Queries of the validation video that choose the epoch: on hours of video each costs a second."""
VALIDATION_SHARE = 0.2
"""Share of the videos that choose the epoch where splits = "validation"."""


@dataclass(frozen=True)
class Run:
    """A finished run."""

    folder: Path
    """Where it lies."""
    model: Path
    """Its checkpoint: for `VideoGraph.from_pretrained`, or `summarize --model`."""
    epoch: int
    """Epoch that was kept, from 1."""
    n_epochs: int
    """Epochs that ran."""
    tau: float | None
    """Rank correlation on the validation videos at that epoch; None where there are none."""
    notes: tuple[str, ...] = ()
    """Sentences that a person should read."""


Settings = Mapping[str, Mapping[str, Any]]
"""What `config.read_settings` gives for `learn.TABLES`."""


def read_arguments(arguments: Sequence[str]) -> tuple[Settings, str]:
    """Settings from "CONFIG.toml" and "key=value", in any order, and the file's name without suffix.

    Raises:
        UsageError: more than one file, an unknown name, or a value of another type.
    """
    files = [Path(text) for text in arguments if "=" not in text]
    if len(files) > 1:
        raise UsageError(
            f"{len(files)} settings files: {', '.join(map(str, files))}. Allowed: one."
        )
    overrides = [text for text in arguments if "=" in text]
    settings = read_settings(files[0] if files else None, overrides, TABLES)
    return settings, files[0].stem if files else ""


def train(
    settings: Settings | Sequence[str],
    folder: str | Path,
    *,
    force: bool = False,
    resume: bool = False,
    hook: Hook = no_hook,
) -> Run:
    """Train a model as the settings say and keep everything in `folder`.

    Args:
        settings: what `config.read_settings` gave, or a list of "key=value".
        folder: the run's own; runs/NAME by custom.
        force: replace a run that is there.
        resume: go on with the run that is there; its settings are taken from it.
        hook: told of stage "train", in epochs.

    Raises:
        UsageError: settings or videos that do not fit, or a run that is there already.
        VideographError: a file cannot be read, or training diverged.
    """
    folder = Path(folder)
    if not isinstance(settings, Mapping):
        settings = read_settings(None, settings, TABLES)
    _refuse(folder, force=force, resume=resume)
    if resume:
        settings = _resumed(folder, settings)
        if (folder / MODEL).is_dir() and not (folder / STATE).exists():
            return _finished(folder)
    loaded = load_videos(settings)
    training, validation = loaded.training, loaded.validation
    plan = make_plan(settings, [*training, *validation])
    state = _read_state(folder) if resume else None
    Learner(plan, training, validation)  # refuses before anything is written or removed
    if not resume:
        _clear(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / CONFIG, to_toml(plan.tables()).encode())
    learned = learn(plan, training, validation, state=state, keep=_Keeper(folder), hook=hook)
    learned.model.origin = _origin(plan, loaded, learned, folder.resolve().name)
    return _finish(folder, replace(learned, notes=(*loaded.notes, *learned.notes)))


# -- the videos --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Loaded:
    """The videos of a run, in memory."""

    dataset: Dataset
    """The set they are of."""
    training: list[Example]
    """To learn from."""
    validation: list[Example]
    """To choose the epoch by."""
    notes: tuple[str, ...] = ()
    """Sentences that a person should read."""


def load_videos(settings: Settings) -> Loaded:
    """The videos that the settings name, split as they say.

    Raises:
        UsageError: no data set is named, or nothing of that name is there.
        VideographError: a file is malformed, or videos have no features.
    """
    config = TrainConfig(**settings.get("", {}))
    if not config.dataset:
        raise UsageError(
            "no videos to train on. Allowed: dataset=FILE.h5, or the name of a set in the data folder. "
            "Try videograph dataset build for videos of your own."
        )
    dataset = load_dataset(
        config.dataset, features=config.features or None, words=config.words or None
    )
    if dataset.query_videos:
        return _load_queries(config, dataset)
    fold = _fold(config, dataset)
    training, validation = examples_of(dataset, fold.train), examples_of(dataset, fold.val)
    if settings.get("model", {}).get("language") == "shuffled":
        mixed = with_others_words([*training, *validation], config.seed)
        training, validation = mixed[: len(training)], mixed[len(training) :]
    untold = [e for e in training if not e.has_labels]
    notes: list[str] = []
    if config.objective == "supervised" and len(untold) < len(training):
        training = [e for e in training if e.has_labels]
        notes += [f"{len(untold)} videos without labels were left out."] if untold else []
    return Loaded(dataset, training + _unlabelled(config), validation, tuple(notes))


def _fold(config: TrainConfig, dataset: Dataset) -> Fold:
    keys = tuple(dataset.videos)
    if config.splits == "all":
        return Fold(keys, (), ())
    if config.splits == "validation":
        labelled = [k for k, v in dataset.videos.items() if v.gtscore is not None]
        n = round(VALIDATION_SHARE * len(labelled)) if config.objective != "unsupervised" else 0
        order = torch.randperm(len(labelled), generator=torch.Generator().manual_seed(0)).tolist()
        held = {labelled[i] for i in order[:n]}
        return Fold(
            tuple(k for k in keys if k not in held), tuple(k for k in keys if k in held), ()
        )
    folds = load_splits(config.splits, keys, dataset.name).folds
    if config.fold >= len(folds):
        raise UsageError(f"fold is {config.fold}. Allowed: 0 to {len(folds) - 1}.")
    return folds[config.fold]


def _load_queries(config: TrainConfig, dataset: Dataset) -> Loaded:
    """All queries of some videos to learn from, those of another to choose the epoch by.

    "leave_one_out" leaves the fold's video for the test; which of the others validates turns with the seed.
    """
    keys = list(dataset.query_videos)
    if config.objective != "supervised" or config.splits not in QUERY_SPLITS:
        raise UsageError(
            f'objective is "{config.objective}", splits is "{config.splits}". Allowed for queries: '
            f"supervised; {', '.join(QUERY_SPLITS)}."
        )
    if config.splits == "leave_one_out":
        if config.fold >= len(keys):
            raise UsageError(f"fold is {config.fold}. Allowed: 0 to {len(keys) - 1}.")
        del keys[config.fold]
    held = keys.pop(config.seed % len(keys)) if config.splits != "all" and len(keys) > 1 else None
    judges = query_examples(dataset, [held]) if held else []
    return Loaded(dataset, query_examples(dataset, keys), judges[:: -(-len(judges) // JUDGES) or 1])


def _unlabelled(config: TrainConfig) -> list[Example]:
    if not config.unlabelled:
        return []
    if config.objective == "supervised":
        raise UsageError(
            'unlabelled videos teach nothing where the objective is "supervised". Allowed: mixed, '
            "unsupervised."
        )
    more = load_dataset(config.unlabelled)
    named = [replace(e, key=f"{more.path.name}/{e.key}") for e in examples_of(more)]
    return [e.without_labels() for e in named]


def _origin(plan: Plan, loaded: Loaded, learned: Learned, name: str) -> Origin:
    dataset = loaded.dataset
    return Origin(
        encoder=dataset.features,
        preprocessing=dataset.preprocessing,
        text_encoder=dataset.text_encoder if plan.model.has_language else "",
        name=name,
        objective=plan.train.objective,
        dataset=dataset.name,
        videos=tuple(dict.fromkeys(e.video or e.key for e in loaded.training)),
        epoch=learned.epoch,
        seed=plan.train.seed,
        versions={"python": platform.python_version()}
        | {name: version(name) for name in ("videograph", "torch", "numpy")},
    )


# -- the folder --------------------------------------------------------------------------------------


def _refuse(folder: Path, *, force: bool, resume: bool) -> None:
    if force and resume:
        raise UsageError("--force begins anew and --resume goes on. Allowed: one of them.")
    begun = [name for name in (CONFIG, STATE, LOSSES, MODEL) if (folder / name).exists()]
    if resume and not (folder / CONFIG).exists():
        raise UsageError(f"no run at {folder} to go on with. Leave --resume away to begin it.")
    if begun and not (force or resume):
        raise UsageError(
            f"{folder} holds a run already. Allowed: --resume to go on with it, --force to replace it, "
            "or another --name."
        )


def _clear(folder: Path) -> None:
    """Remove what a run wrote, and nothing else; the settings last, so that a half-removed run is one."""
    for name in (STATE, LOSSES, CURVES, CONFIG):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / MODEL, ignore_errors=True)


def _resumed(folder: Path, given: Settings) -> Settings:
    """The run's own settings; others may be given again, not changed."""
    stored = read_settings(folder / CONFIG, (), TABLES)
    for table, values in given.items():
        for name, value in values.items():
            if stored[table].get(name, value) != value:
                raise UsageError(
                    f"{name} is {value!r}, but the run was begun with {stored[table][name]!r}. Allowed: "
                    "the same. Try another --name."
                )
    return stored


class _Keeper:
    """Keeps state and losses between epochs, not more often than the settings say."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kept_at = time.monotonic()

    def __call__(self, learner: Learner) -> None:
        waited = time.monotonic() - self.kept_at
        if waited < learner.plan.train.save_seconds and not learner.is_done:
            return
        buffer = io.BytesIO()
        torch.save(learner.state(), buffer)
        _write(self.folder / STATE, buffer.getvalue())
        _write(self.folder / LOSSES, _csv(learner.history))
        self.kept_at = time.monotonic()


def _read_state(folder: Path) -> dict[str, Any] | None:
    if not (folder / STATE).is_file():
        return None
    try:
        return torch.load(folder / STATE, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise VideographError(
            f"{folder / STATE} is damaged ({type(error).__name__}). Try --force to begin anew."
        ) from error


def _finish(folder: Path, learned: Learned) -> Run:
    """Write the model, then the curves; the state goes last: until then the run can be resumed."""
    hidden = folder / f".{MODEL}.part"
    shutil.rmtree(hidden, ignore_errors=True)
    try:
        learned.model.save_pretrained(hidden)
        shutil.rmtree(folder / MODEL, ignore_errors=True)
        os.replace(hidden, folder / MODEL)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
    _write(folder / LOSSES, _csv(learned.history))
    _write(folder / CURVES, _curves(learned.history, learned.epoch))
    (folder / STATE).unlink(missing_ok=True)
    return replace(_finished(folder), notes=learned.notes)


def _finished(folder: Path) -> Run:
    from videograph.model import VideoGraph

    epoch = VideoGraph.from_pretrained(folder / MODEL).origin.epoch
    with (folder / LOSSES).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    tau = rows[epoch - 1].get("tau")
    return Run(folder, folder / MODEL, epoch, len(rows), float(tau) if tau else None)


def _write(path: Path, content: bytes) -> None:
    hidden = path.with_name(f".{path.name}.part")
    try:
        hidden.write_bytes(content)
        os.replace(hidden, path)
    finally:
        hidden.unlink(missing_ok=True)


def _csv(history: Sequence[Mapping[str, float]]) -> bytes:
    names = list(dict.fromkeys(name for row in history for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    return text.getvalue().encode()


def _curves(history: Sequence[Mapping[str, float]], kept: int) -> bytes:
    """Losses, and beside them the rank correlation on validation videos, as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    measured = [name for name in ("tau", "rho", "f1") if name in history[0]]
    validated = bool(measured)
    losses = figure.add_subplot(1, 2 if validated else 1, 1)
    others = ("epoch", "spread", "degree", "object_degree", *measured)
    for name in (n for n in history[0] if n not in others):
        _draw(losses, history, name)
    losses.set_title("losses on the training videos, before weighing")
    _finish_axes(losses, kept)
    if validated:
        agreement = figure.add_subplot(1, 2, 2)
        for name in measured:
            _draw(agreement, history, name)
        what = "F1 of the queries of" if "f1" in measured else "rank correlation on"
        agreement.set_title(f"{what} the validation videos")
        _finish_axes(agreement, kept)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _draw(axes: Any, history: Sequence[Mapping[str, float]], name: str) -> None:
    rows = [(row["epoch"], row[name]) for row in history if name in row]
    axes.plot(*zip(*rows, strict=True), label=name, marker="." if len(rows) < 20 else None)


def _finish_axes(axes: Any, kept: int) -> None:
    axes.axvline(kept, color="0.6", linestyle=":", label=f"kept: epoch {kept}")
    axes.set_xlabel("epoch")
    axes.legend(fontsize="small", frameon=False)
    axes.grid(alpha=0.2)
