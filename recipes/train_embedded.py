"""Trains the embedded encoder's network from nothing: frames, teacher, folds, final weights.

    python recipes/train_embedded.py frames  --work W   # decode once: 2 frames a second
    python recipes/train_embedded.py views   --work W   # what MobileNetV2 says of augmented views
    python recipes/train_embedded.py train   --work W --fold 0   # 0..4, or all; resumes after a kill
    python recipes/train_embedded.py measure --work W   # ridge regression on the features, 5 folds
    python recipes/train_embedded.py ship    --work W   # fold-free weights into the package

Needs `pip install transformers onnx onnxruntime` beside videograph, and the shared data
(VIDEOGRAPH_DATA). One thread throughout: the same command gives the same weights on one machine.

A fold's network never sees a frame of the fold's test or validation videos: not as a view, not as the
partner that a view is mixed with, not in the space of the targets (a PCA of videos outside TVSum), not
as a rating. The teacher's own weights are only asked for targets; ours start at random.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import h5py
import numpy as np
import torch
from embedded_frames import DATA, make_frames, read_folds, read_table
from embedded_trainer import Frames, Trainer
from embedded_views import make_views
from safetensors.torch import load, save

from videograph.encoders._embedded_network import (
    EmbeddedNetwork,
    folded_state,
    load_network,
    maps_of,
)
from videograph.metrics import rank_correlation

N_VIEWS = 7712  # as many as were asked of the teacher for the shipped weights
SHIPPED = Path(__file__).resolve().parents[1] / "videograph/encoders/weights/embedded.safetensors"

# -- weights as the package reads them -------------------------------------------------------------


def train(work: Path, fold: int | None) -> None:
    """Train one network and write its folded float16 weights to `weights_file`."""
    frames = Frames(work, fold)
    trainer = Trainer(frames)
    print(f"{len(frames.picks)} rated frames, {len(frames.view_rows)} views", flush=True)
    trainer.run(weights_file(work, fold).with_suffix(".part"))
    large = np.load(work / "large.npy", mmap_mode="r")
    write_weights(trainer.average, large[frames.picks[::4]], weights_file(work, fold))


def weights_file(work: Path, fold: int | None) -> Path:
    """Where the weights of a fold, or of all videos, lie."""
    return work / f"embedded-{'all' if fold is None else f'fold{fold}'}.safetensors"


def write_weights(average: dict[str, torch.Tensor], images: np.ndarray, path: Path) -> None:
    """Fold, centre and scale the features on these images to a mean square length of 1, write."""
    network = EmbeddedNetwork()
    network.load_state_dict(average)
    state = folded_state(network)
    features = maps_of(load_network(state), images).mean((2, 3))
    centre = features.mean(0)
    length = float(np.sqrt(((features - centre) ** 2).sum(1).mean()))
    state["head.weight"] = state["head.weight"] / length
    state["head.bias"] = (state["head.bias"] - torch.from_numpy(centre)) / length
    path.write_bytes(save({name: value.half().contiguous() for name, value in state.items()}))


# -- what the features are worth -------------------------------------------------------------------


def measure(work: Path) -> None:
    """Mode 1 tau of ridge regression on each fold's own features, and on the teacher's beside them.

    Fitted on the fold's training videos; the penalty is chosen on its validation videos.
    """
    table, folds, lines = read_table(work), read_folds(), []
    large = np.load(work / "large.npy", mmap_mode="r")
    with h5py.File(DATA / "tvsum/tvsum_mobilenetv2.h5") as file:
        videos = [key for key in table if key.startswith("video_")]
        teacher = {key: file[key]["features"][:].astype(np.float32) for key in videos}
    for number, fold in enumerate(folds):
        network = load_network(load(weights_file(work, number).read_bytes()))
        ours = {}
        for key in teacher:
            start, n = table[key]
            ours[key] = maps_of(network, large[start : start + n]).mean((2, 3))
        lines.append([_ridge_tau(features, fold) for features in (ours, teacher)])
        print(f"fold {number}: embedded {lines[-1][0]:.4f}  teacher {lines[-1][1]:.4f}", flush=True)
    print("mean:   embedded {:.4f}  teacher {:.4f}".format(*np.mean(lines, axis=0)))


def _ridge_tau(features: dict[str, np.ndarray], fold: dict[str, list[str]]) -> float:
    with h5py.File(DATA / "tvsum/tvsum.h5") as file:
        ratings = {k: file[k]["gtscore"][:].astype(float) for k in features}
        users = {k: file[k]["user_anno"][:][:, file[k]["picks"][:]] for k in features}

    x = np.concatenate([features[k] for k in fold["train"]]).astype(float)
    y = np.concatenate([ratings[k] for k in fold["train"]])
    centre, spread = x.mean(0), x.std(0) + 1e-6
    x = (x - centre) / spread
    values, vectors = np.linalg.eigh(x.T @ x)
    answer = vectors.T @ (x.T @ (y - y.mean()))

    def tau(keys: list[str], penalty: float) -> float:
        slope = vectors @ (answer / (values + penalty))
        scores = {k: ((features[k] - centre) / spread) @ slope for k in keys}
        return float(np.mean([
            rank_correlation(scores[k], users[k], mode="mode1").tau[0] for k in keys
        ]))  # fmt: skip

    best = max(10.0 ** np.arange(0, 6.1, 0.5), key=lambda penalty: tau(fold["val"], penalty))
    return tau(fold["test"], best)


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
        make_views(args.work, N_VIEWS)
    elif args.command == "train":
        train(args.work, None if args.fold == "all" else int(args.fold))
    elif args.command == "measure":
        measure(args.work)
    else:
        shutil.copyfile(weights_file(args.work, None), SHIPPED)


if __name__ == "__main__":
    main()
