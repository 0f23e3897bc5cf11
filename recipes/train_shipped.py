"""The model that `videograph summarize` runs by itself: from TVSum's videos to a checkpoint.

    python recipes/train_shipped.py extract --work W   # what the embedded encoder of each fold sees
    python recipes/train_shipped.py folds --work W     # train and score the folds, five seeds
    python recipes/train_shipped.py ship --work W      # train on all videos, into the package
    python recipes/train_shipped.py card --work W      # write the folds' figures into the package anew

W is the folder of recipes/train_embedded.py, whose weights are read. Everything is measured on the way
that `summarize` takes: decoded from the video files at its picks, with the encoder of the fold, scored by
`score_video`. A fold's encoder and model have seen neither its test videos nor, but for the choice of the
epoch, its validation videos. What ships learns from all 40 for the epochs that the folds chose.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from embedded_frames import DATA, read_folds
from scipy.stats import rankdata

from videograph import __version__
from videograph.checkpoint import Origin
from videograph.encoders.embedded import load
from videograph.examples import Example
from videograph.features import extract
from videograph.inputs import inputs_from
from videograph.learn import Learned, learn, make_plan
from videograph.metrics import bootstrap_interval, human_correlation, rank_correlation
from videograph.model import VideoGraph
from videograph.records import VideoFeatures
from videograph.scoring import score_video

SHIPPED = Path(__file__).resolve().parents[1] / "videograph/models/default"
SEEDS = range(5)
HALF_FRAME = 1 / 6
"""Frame j of TVSum's files at hand shows the source at (j + 1/2) / 3 seconds."""
SETTINGS: dict[str, dict[str, Any]] = {
    "": dict(
        target="ranking", epochs=14, patience=0, batch_size=5, accumulate=1, learning_rate=3e-3,
        weight_decay=0.05, warmup_epochs=2, average=0.9, device="cpu",
    ),
    "model": dict(
        width=64, dropout=0.2, input_dropout=0.2, n_objects=4, language="none", steps_per_node=8,
        centre_features=True,
    ),
}  # fmt: skip


def features_file(work: Path, fold: int | None) -> Path:
    """Where the features of all videos by the encoder of a fold, or of all videos, lie."""
    return work / f"seen-{'all' if fold is None else fold}.h5"


def weights_file(work: Path, fold: int | None) -> Path:
    """The encoder's weights, see recipes/train_embedded.py."""
    return work / f"embedded-{'all' if fold is None else f'fold{fold}'}.safetensors"


ARRAYS = ("features", "picks", "seconds", "object_features", "object_mask")


def make_features(work: Path, fold: int | None) -> None:
    """What the encoder of a fold sees in every video, at the picks of `summarize`."""
    encoder, path = load(weights=weights_file(work, fold)), features_file(work, fold)
    part = path.with_suffix(".part")
    with h5py.File(part, "w") as file:
        file.attrs["encoder"] = encoder.name
        for video in sorted((DATA / "tvsum/videos").glob("*.mp4")):
            seen = extract(video, encoder).features
            group = file.create_group(video.stem)
            group.attrs["n_frames"] = seen.n_frames
            for name in ARRAYS:
                group[name] = getattr(seen, name)
    part.rename(path)


def read_features(work: Path, fold: int | None) -> dict[str, VideoFeatures]:
    """What `make_features` wrote."""
    with h5py.File(features_file(work, fold)) as file:
        return {
            key: VideoFeatures(
                **{name: group[name][:] for name in ARRAYS},
                n_frames=int(group.attrs["n_frames"]), encoder=str(file.attrs["encoder"]),
            )
            for key, group in file.items()
        }  # fmt: skip


class Ratings:
    """What TVSum's users said, at its own picks and at those of the files at hand."""

    def __init__(self) -> None:
        with h5py.File(DATA / "tvsum/tvsum.h5") as file:
            self.users = {k: g["user_anno"][:].astype(float) for k, g in file.items()}
            self.picks = {k: g["picks"][:] for k, g in file.items()}
            self.fps = {k: float(g["fps"][()]) for k, g in file.items()}

    def example(self, key: str, seen: VideoFeatures) -> Example:
        """A video to learn from: the mean rank that its users gave each step, from 0 to 1."""
        frames = np.rint((seen.seconds + HALF_FRAME) * self.fps[key]).astype(int)
        users = self.users[key][:, np.minimum(frames, self.users[key].shape[1] - 1)]
        order = rankdata(users, axis=1).mean(0)
        order = (order - order.min()) / max(float(np.ptp(order)), 1e-9)
        wanted = torch.as_tensor(order, dtype=torch.float32)
        return Example(key, inputs_from(seen), None, wanted, users, is_rated=True)

    def agreement(self, key: str, seen: VideoFeatures, scores: np.ndarray) -> tuple[float, float]:
        """Mode 1 tau and rho of step scores at TVSum's picks."""
        at = self.picks[key] / self.fps[key]
        nearest = np.abs(seen.seconds[None] + HALF_FRAME - at[:, None]).argmin(1)
        found = rank_correlation(scores[nearest], self.users[key][:, self.picks[key]], mode="mode1")
        return float(found.tau.mean()), float(found.rho.mean())


def train(
    examples: Mapping[str, Example], keys: Sequence[str], chosen_by: Sequence[str], seed: int,
    epochs: int | None = None,
) -> Learned:  # fmt: skip
    """A model of these videos; the epoch chosen by others, or the last of so many."""
    told = {**SETTINGS[""], "seed": seed, "select": "auto" if epochs is None else "last"}
    if epochs is not None:
        told["epochs"] = epochs
    learned_from = [examples[k] for k in keys]
    plan = make_plan({**SETTINGS, "": told}, learned_from)
    return learn(plan, learned_from, [examples[k] for k in chosen_by])


def measure(work: Path) -> None:
    """Train and score the folds whose features are there, and print the rows of docs/results.md."""
    for number, fold in enumerate(read_folds()):
        path = work / f"shipped-{number}.json"
        if not path.exists() and features_file(work, number).exists():
            path.write_text(json.dumps(_measured(read_features(work, number), fold)))
            print(f"fold {number} is measured", flush=True)
    told = _told(work)
    if not told:
        sys.exit(f"{work} has no features of a fold. Run extract first.")
    print(f"{len(told)} of 5 folds, epochs {[t['epochs'] for t in told]}\n")
    print("| scores | tau | 95 % interval | rho | sd over seeds |\n|---|---|---|---|---|")
    for name in told[0]["rows"]:
        table = _row(told, name)
        tau, interval = table[..., 0], bootstrap_interval(table[..., 0].mean(0), seed=0)
        spread = f"{tau.mean(1).std(ddof=1):.3f}" if len(tau) > 1 else "-"
        print(f"| {name} | {tau.mean():.3f} | {interval.low:.3f} to {interval.high:.3f} | "
              f"{table[..., 1].mean():.3f} | {spread} |")  # fmt: skip


def _told(work: Path) -> list[dict[str, Any]]:
    """What `measure` found of each fold."""
    return [json.loads(path.read_text()) for path in sorted(work.glob("shipped-*.json"))]


def _row(told: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
    """tau and rho of a row in all folds, (n_seeds, n_videos, 2)."""
    return np.concatenate([np.array(fold["rows"][name]) for fold in told], 1)


def _all_told(work: Path) -> list[dict[str, Any]]:
    told = _told(work)
    if len(told) != len(read_folds()):
        sys.exit(
            f"{work} has the figures of {len(told)} folds of {len(read_folds())}. Run folds first."
        )
    return told


def figure(work: Path) -> str:
    """The folds' figure as the model's card tells it."""
    told, ratings = _all_told(work), Ratings()
    people = np.mean([
        human_correlation(users[:, ratings.picks[k]], mode="mode1").tau[0]
        for k, users in ratings.users.items()
    ])  # fmt: skip
    five, one, place = (
        _row(told, name)[..., 0] for name in ("five trainings together", "one training", "position")
    )
    return (
        f"TVSum, five disjoint folds, from video files, mode 1: tau {five.mean():.3f} for five trainings "
        f"averaged, {one.mean():.3f} (sd {one.mean(1).std(ddof=1):.3f}) for one like this; chance 0, "
        f"position {place.mean():.3f}, people {people:.3f}. This one learned from all the videos, so it has "
        "no figure of its own there."
    )


def _measured(
    seen: Mapping[str, VideoFeatures], fold: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Epochs chosen, and tau and rho of each row, (n_seeds, n_videos, 2)."""
    ratings, test, both = Ratings(), fold["test"], [*fold["train"], *fold["val"]]
    examples = {k: ratings.example(k, seen[k]) for k in seen}

    def told(score: Callable[[str], np.ndarray]) -> list[tuple[float, float]]:
        return [ratings.agreement(k, seen[k], score(k)) for k in test]

    rows: dict[str, list[list[tuple[float, float]]]] = {
        "position": [told(lambda k: position(seen[k].n_steps))],
        "training-free": [told(lambda k: score_video(seen[k]).scores)],
    }
    chosen = [train(examples, fold["train"], fold["val"], seed) for seed in SEEDS]
    again = [train(examples, both, (), s, chosen[s].epoch) for s in SEEDS]
    for more, made in (("", chosen), (", validation videos too", again)):
        models = [learned.model for learned in made]
        rows[f"one training{more}"] = [
            told(lambda k, m=m: score_video(seen[k], model=m).scores) for m in models
        ]
        rows[f"five trainings together{more}"] = [
            told(lambda k, m=models: score_video(seen[k], model=m).scores)
        ]
    return {"epochs": [learned.epoch for learned in chosen], "rows": rows}


def position(n_steps: int) -> np.ndarray:
    """Minus the distance from the middle of the video."""
    return -np.abs(np.arange(n_steps) - (n_steps - 1) / 2)


def ship(work: Path) -> None:
    """Train on all videos, for as many epochs as the folds chose in the middle, and save."""
    ratings, seen = Ratings(), read_features(work, None)
    epochs = int(np.median([epoch for fold in _all_told(work) for epoch in fold["epochs"]]))
    examples = {k: ratings.example(k, seen[k]) for k in seen}
    for seed in SEEDS:
        model = train(examples, sorted(examples), (), seed, epochs).model
        model.origin = Origin(
            encoder=next(iter(seen.values())).encoder, preprocessing="2 steps a second",
            name="videograph-tvsum", objective="supervised", dataset="TVSum",
            videos=tuple(sorted(examples)), measured=figure(work), epoch=epochs, seed=seed,
            versions={"videograph": __version__},
        )  # fmt: skip
        save(model, seed)


def save(model: VideoGraph, seed: int) -> None:
    """Into the package, with a new card: one that is there would stay."""
    (SHIPPED / str(seed) / "README.md").unlink(missing_ok=True)
    model.save_pretrained(SHIPPED / str(seed))


def card(work: Path) -> None:
    """Write the folds' figures into the models that are there; their weights stay."""
    for seed in SEEDS:
        model = VideoGraph.from_pretrained(SHIPPED / str(seed))
        model.origin = replace(model.origin, measured=figure(work))
        save(model, seed)


def main() -> None:
    """The recipe's commands, see the module."""
    parser = argparse.ArgumentParser(description="Train the model that is shipped.")
    parser.add_argument("command", choices=("extract", "folds", "ship", "card"))
    parser.add_argument("--work", type=Path, required=True, help="folder of train_embedded.py")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.command == "extract":
        for fold in (*range(5), None):
            if (
                not features_file(args.work, fold).exists()
                and weights_file(args.work, fold).exists()
            ):
                make_features(args.work, fold)
    elif args.command == "folds":
        measure(args.work)
    elif args.command == "card":
        card(args.work)
    else:
        ship(args.work)


if __name__ == "__main__":
    main()
