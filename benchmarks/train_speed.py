"""Seconds an epoch of VideoGraph beside a plain two-layer self-attention scorer of the same width.

    python benchmarks/train_speed.py [--data ../shared/data/tvsum] [--widths 64 128 256] [--epochs 2]

Both learn from the same videos (those of fold 0 of TVSum with MobileNetV2 features, six objects and,
with --words, words), one video at a time, with the same optimizer; epochs of the two take turns, so that
other work on the machine falls on both. Time is processor time of one thread, best of the epochs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videograph.config import read_settings
from videograph.datasets import load_dataset
from videograph.datasets._splits import load_splits
from videograph.examples import Example, examples_of
from videograph.learn import TABLES, Learner, make_plan
from videograph.losses import keyframe_loss

FORMS: dict[str, list[str]] = {
    "full": [],
    "without regulariser": ["loss.structure=0"],
    "without words": ["model.language=none"],
    "without objects": ["model.use_objects=false"],
    "without either": ["model.use_objects=false", "model.language=none"],
    "one recursion": ["model.n_recursions=1"],
    "K = 0": ["model.n_recursions=0"],
}


class AttentionLayer(nn.Module):
    """LN(x + V softmax(q k^T / sqrt d)), then LN(x + two maps): a transformer layer with one head."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.wide = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (part[:, None] for part in self.qkv(x).chunk(3, -1))
        x = self.first(x + self.out(F.scaled_dot_product_attention(q, k, v)[:, 0]))
        return self.second(x + self.wide(x))


class Scorer(nn.Module):
    """The plain one: projection, two layers, a score; frames only."""

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(dim, width), nn.LayerNorm(width), AttentionLayer(width), AttentionLayer(width),
            nn.Dropout(0.3), nn.Linear(width, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).squeeze(-1)


def plain_epoch(videos: Sequence[Example], width: int) -> Callable[[], None]:
    model = Scorer(videos[0].inputs.features.shape[-1], width).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, fused=True)

    def epoch() -> None:
        for start in range(0, len(videos), 4):
            optimizer.zero_grad(set_to_none=True)
            for video in videos[start : start + 4]:
                assert video.keyframes is not None
                logits = model(video.inputs.features)
                loss = keyframe_loss(logits, video.keyframes[None], video.inputs.frame_mask, 0.15)
                (loss / 4).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()

    return epoch


def our_epoch(videos: Sequence[Example], settings: Sequence[str]) -> Callable[[], object]:
    plan = make_plan(read_settings(None, settings, TABLES), videos)
    return Learner(plan, videos).run_epoch


def seconds(epochs: dict[str, Callable[[], object]], n: int) -> dict[str, float]:
    """Best processor seconds of each, taking turns; a first turn warms up."""
    best = dict.fromkeys(epochs, float("inf"))
    for turn in range(n + 1):
        for name, epoch in epochs.items():
            start = time.process_time()
            epoch()
            if turn:
                best[name] = min(best[name], time.process_time() - start)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/tvsum"))
    parser.add_argument("--words", help="an h5 with word_features of the videos")
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--forms", nargs="+", choices=list(FORMS), default=list(FORMS))
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    dataset = load_dataset(arguments.data, features="mobilenetv2", words=arguments.words)
    videos = examples_of(dataset, load_splits("disjoint5", dataset.videos, "tvsum").folds[0].train)
    steps = sum(video.n_steps for video in videos)
    print(
        f"{len(videos)} videos, {steps} steps, {arguments.threads} thread(s), torch {torch.__version__}"
    )
    print(f"{'width':>6} {'form':<22} {'s/epoch':>8} {'x plain':>8}")
    for width in arguments.widths:
        epochs: dict[str, Callable[[], object]] = {"plain attention": plain_epoch(videos, width)}
        for name in arguments.forms:
            settings = [f"model.width={width}", "device=cpu", *FORMS[name]]
            epochs[name] = our_epoch(videos, settings)
        found = seconds(epochs, arguments.epochs)
        for name, value in found.items():
            ratio = value / found["plain attention"]
            print(f"{width:>6} {name:<22} {value:>8.2f} {ratio:>8.1f}", flush=True)


if __name__ == "__main__":
    main()
