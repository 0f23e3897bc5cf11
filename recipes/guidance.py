"""Is the training-free form better where the title guides it? TVSum, mode 1, paired over the 40 videos.

    python recipes/word_features.py ../shared/data/tvsum --features mobilenetv2 -o runs/tvsum_words.h5
    python recipes/guidance.py runs/tvsum_words.h5

The title says what a video is about; its captions and the names of its objects say where. In the rows
"by folds" the title's weight is chosen on the videos of four folds, by the lower end of their interval,
and scored on the fifth. The control guides each video by another one's title, of another topic.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from videograph.datasets import Dataset, load_dataset
from videograph.datasets._splits import load_splits
from videograph.evaluate._words import guides
from videograph.inputs import inputs_from
from videograph.metrics import bootstrap_interval, rank_correlation
from videograph.relevance import Guide
from videograph.training_free import ABOUT_WEIGHT, score_training_free

WEIGHTS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
"""Weights of the title that were tried."""
DATA = Path(os.environ.get("VIDEOGRAPH_DATA", "../shared/data"))
ROWS = {
    "title, met in captions and object names": ("title", "captions", "objects"),
    "title, met in captions": ("title", "captions"),
    "title, met in object names": ("title", "objects"),
}


def taus(dataset: Dataset, told: Mapping[str, Guide | None], weight: float) -> np.ndarray:
    """Mode 1 Kendall's tau of each video, (n_videos,)."""
    found = []
    for key, video in dataset.videos.items():
        inputs = inputs_from(video.as_features(dataset.features))
        scores = score_training_free(inputs, None, 1, told[key], about_weight=weight).scores
        assert video.users is not None
        found.append(rank_correlation(scores, video.users[:, video.picks], mode="mode1").tau[0])
    return np.array(found)


def by_folds(dataset: Dataset, gains: Mapping[float, np.ndarray]) -> tuple[np.ndarray, list[float]]:
    """Gain of each video at the weight that the other folds choose, and these weights."""
    keys = list(dataset.videos)
    gain, chosen = np.zeros(len(keys)), []
    for fold in load_splits("disjoint5", keys, "tvsum").folds:
        held = np.isin(keys, fold.test)
        best = max(gains, key=lambda w: bootstrap_interval(gains[w][~held]).low)
        gain[held] = gains[best][held]
        chosen.append(best)
    return gain, chosen


def strangers(dataset: Dataset, seed: int) -> dict[str, str]:
    """Another video's title for each video, of another topic."""
    keys = list(dataset.videos)
    rng = np.random.default_rng(seed)
    while True:
        drawn = rng.permutation(keys)
        pairs = zip(keys, drawn, strict=True)
        if all(dataset.videos[a].category != dataset.videos[b].category for a, b in pairs):
            return {a: dataset.videos[b].title for a, b in zip(keys, drawn, strict=True)}


def row(name: str, tau: float, gain: np.ndarray, note: str = "") -> None:
    """A line of the table in docs/results.md."""
    interval = bootstrap_interval(gain)
    print(
        f"| {name} | {tau:.3f} | {interval.mean:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]"
        f" | {note or '-'} |",
        flush=True,
    )


def main() -> None:
    """Run the recipe."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", help="h5 of recipes/word_features.py, or a text encoder")
    parser.add_argument("--features", default="mobilenetv2")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    dataset = load_dataset(str(DATA / "tvsum"), features=arguments.features)
    plain = taus(dataset, dict.fromkeys(dataset.videos), 0)
    print("| guided by | tau | gain over unguided, 95 % interval | note |\n|---|---|---|---|")
    print(f"| nothing | {plain.mean():.3f} | - | - |")
    for name, sources in ROWS.items():
        told = guides(dataset, arguments.words, sources=sources)
        gains = {w: taus(dataset, told, w) - plain for w in WEIGHTS}
        gain = gains[ABOUT_WEIGHT]
        row(name, plain.mean() + gain.mean(), gain, f"weight {ABOUT_WEIGHT}, the default")
        gain, chosen = by_folds(dataset, gains)
        row(f"{name}, by folds", plain.mean() + gain.mean(), gain, f"weights {sorted(chosen)}")
        if name.endswith("captions and object names"):
            for weight, gain in gains.items():
                row(f"{name}, weight {weight}", plain.mean() + gain.mean(), gain)
    controls = [
        taus(dataset, guides(dataset, arguments.words, titles=strangers(dataset, seed)),
             ABOUT_WEIGHT) - plain
        for seed in range(5)
    ]  # fmt: skip
    gain = np.mean(controls, axis=0)
    row("another video's title (control, 5 draws)", plain.mean() + gain.mean(), gain)


if __name__ == "__main__":
    main()
