"""Trains the embedded encoder's network from nothing: frames, teacher, folds, final weights.

    python recipes/train_embedded.py frames  --work W   # decode once: 2 frames a second
    python recipes/train_embedded.py views   --work W   # what MobileNetV2 says of augmented views
    python recipes/train_embedded.py train   --work W --fold 0   # 0..4, or all; resumes after a kill
    python recipes/train_embedded.py measure --work W   # ridge regression on the features, 5 folds
    python recipes/train_embedded.py ship    --work W   # fold-free weights into the package

Needs `pip install transformers onnx onnxruntime` beside videograph, and the shared data
(VIDEOGRAPH_DATA). One thread throughout: the same command gives the same weights on one machine.

A fold's network never sees a frame of the fold's test or validation videos: not as a view, not as the
partner that a view is mixed with, not in the scales of the targets (those of videos outside TVSum), not as
a rating. The teacher's own weights are only asked for targets; ours start at random.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np
import torch
from embedded_frames import DATA, make_frames, read_folds, read_table
from embedded_trainer import Trainer, Views
from embedded_views import make_views
from results_trials import block_means, shared_order, spread_to_steps, standard
from safetensors.torch import load, save

from videograph.encoders._embedded_network import (
    EmbeddedNetwork,
    folded_state,
    load_network,
    see,
)
from videograph.metrics import rank_correlation

N_CHANGED = 28_000  # views of changed frames, beside all frames as they are
SHIPPED = Path(__file__).resolve().parents[1] / "videograph/encoders/weights/embedded.safetensors"

# -- weights as the package reads them -------------------------------------------------------------


def train(work: Path, fold: int | None) -> None:
    """Train one network and write its folded float16 weights to `weights_file`."""
    views = Views(work, fold)
    trainer = Trainer(views)
    print(f"{len(views.rows)} views, {len(trainer.sides)} steps", flush=True)
    trainer.run(weights_file(work, fold).with_suffix(".part"))
    plain = views.rows[views.rows < len(np.load(work / "large.npy", mmap_mode="r"))]
    spread = torch.cat([views.scales[2].cells, views.scales[3].cells])
    write_weights(trainer.average, spread, views.images[plain[::4]], weights_file(work, fold))


def weights_file(work: Path, fold: int | None) -> Path:
    """Where the weights of a fold, or of all videos, lie."""
    return work / f"embedded-{'all' if fold is None else f'fold{fold}'}.safetensors"


def write_weights(
    average: dict[str, torch.Tensor], spread: torch.Tensor, images: np.ndarray, path: Path
) -> None:
    """Fold; give the channels the teacher's spread; centre and scale the frame features of these images
    to a mean square length of 1, those of objects likewise; write."""
    network = EmbeddedNetwork()
    network.load_state_dict(average)
    features, _ = see(load_network(folded_state(network)), images)
    network.centre = torch.from_numpy(features.mean(0))
    centred = (features - features.mean(0)) * spread.numpy()
    length = float(np.sqrt((centred**2).sum(1).mean()))
    network.scale = spread / length
    state = folded_state(network)
    path.write_bytes(save({name: value.half().contiguous() for name, value in state.items()}))


# -- what the features are worth -------------------------------------------------------------------


PENALTIES = (1.0, 3.0, 10.0, 30.0)
LAYERS = (
    ("layer 8", "sixteenth", 0, 64),
    ("layer 11", "sixteenth", 64, 160),
    ("layer 13", "thirtysecond", 0, 160),
)
"""The teacher's layers that were learned from, by where `make_views` put their maps."""


def measure(work: Path) -> None:
    """Mode 1 tau of ridge regression on each fold's own features, and on the teacher's layers beside them.

    Means of 4 s about the video's mean against the users' mean ranks; the penalty is chosen on the fold's
    validation videos, then training and validation videos are fitted together.
    """
    table, users = read_table(work), _users()
    large = np.load(work / "large.npy", mmap_mode="r")
    teacher = _teacher(work, table, users)
    rows: dict[str, list[float]] = {}
    for number, fold in enumerate(read_folds()):
        network = load_network(load(weights_file(work, number).read_bytes()))
        ours = {k: see(network, large[s : s + n])[0] for k, (s, n) in table.items() if k in users}
        for name, features in {"embedded": ours, **teacher}.items():
            rows.setdefault(name, []).append(_ridge_tau(features, users, fold))
            print(f"fold {number}: {name} {rows[name][-1]:.3f}", flush=True)
    print(
        "\n| ridge regression on | fold 0 | 1 | 2 | 3 | 4 | mean |\n|---|---|---|---|---|---|---|"
    )
    for name, taus in rows.items():
        print(f"| {name} | " + " | ".join(f"{t:.3f}" for t in (*taus, np.mean(taus))) + " |")


def _users() -> dict[str, np.ndarray]:
    with h5py.File(DATA / "tvsum/tvsum.h5") as file:
        return {k: g["user_anno"][:][:, g["picks"][:]].astype(float) for k, g in file.items()}


def _teacher(
    work: Path, table: dict[str, tuple[int, int]], keys: Iterable[str]
) -> dict[str, dict[str, np.ndarray]]:
    """Means of the teacher's maps of every frame as it is, and its last answer, by layer and video."""
    found: dict[str, dict[str, np.ndarray]] = {}
    with h5py.File(DATA / "tvsum/tvsum_mobilenetv2.h5") as file:
        for key in keys:
            at = slice(table[key][0], sum(table[key]))
            for layer, name, start, end in LAYERS:
                maps = np.load(work / f"{name}.npy", mmap_mode="r")[at, ..., start:end]
                found.setdefault(f"MobileNetV2, {layer}", {})[key] = maps.astype(np.float32).mean(
                    (1, 2)
                )
            last = file[key]["features"][:].astype(np.float32)
            found.setdefault("MobileNetV2, the last one", {})[key] = last
    return found


def _ridge_tau(
    features: dict[str, np.ndarray], users: dict[str, np.ndarray], fold: dict[str, list[str]]
) -> float:
    means = {k: block_means(rows) for k, rows in features.items()}
    x = {k: rows - rows.mean(0) for k, rows in means.items()}
    length = np.sqrt(np.mean(np.concatenate([(rows**2).sum(1) for rows in x.values()])))
    y = {k: standard(block_means(shared_order(rows))) for k, rows in users.items()}

    def slope(keys: list[str], penalty: float) -> np.ndarray:
        rows = np.concatenate([x[k] for k in keys]).astype(float) / length
        wanted = rows.T @ np.concatenate([y[k] for k in keys])
        return np.linalg.solve(rows.T @ rows + penalty * np.eye(rows.shape[1]), wanted)

    def tau(keys: list[str], weights: np.ndarray) -> float:
        scores = {k: spread_to_steps(x[k] @ weights, users[k].shape[1]) for k in keys}
        return float(np.mean([
            rank_correlation(scores[k], users[k], mode="mode1").tau[0] for k in keys
        ]))  # fmt: skip

    best = max(PENALTIES, key=lambda penalty: tau(fold["val"], slope(fold["train"], penalty)))
    return tau(fold["test"], slope([*fold["train"], *fold["val"]], best))


def main() -> None:
    """The recipe's commands, see the module."""
    parser = argparse.ArgumentParser(description="Train the embedded encoder's network.")
    parser.add_argument("command", choices=("frames", "views", "train", "measure", "ship"))
    parser.add_argument("--work", type=Path, required=True, help="folder for all that is made")
    parser.add_argument("--fold", default="all", choices=(*"01234", "all"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.work.mkdir(parents=True, exist_ok=True)
    if args.command == "frames":
        make_frames(args.work)
    elif args.command == "views":
        make_views(args.work, N_CHANGED)
    elif args.command == "train":
        train(args.work, None if args.fold == "all" else int(args.fold))
    elif args.command == "measure":
        measure(args.work)
    else:
        shutil.copyfile(weights_file(args.work, None), SHIPPED)


if __name__ == "__main__":
    main()
