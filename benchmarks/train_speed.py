"""Seconds an epoch of VideoGraph beside a plain two-layer self-attention scorer of the same width.

    python benchmarks/train_speed.py [--data ../shared/data/tvsum] [--widths 64 128 256] [--epochs 5]

Both learn from the same videos (those of fold 0 of TVSum with MobileNetV2 features, six objects and,
with --words, words) with the same optimizer, four videos to a step; epochs of all take turns, so that
other work on the machine falls on all. Time is processor time of one thread, median of the epochs.

Forms read every sampled frame, one video at a time, and so does "plain attention"; where nothing else is
said they have three recursions. In "nodes of 8 steps" a run of steps is one node, as in the shipped model,
and four videos are padded to one length; "tvsum.toml" is the recipe of configs/tvsum.toml: such nodes, three
objects each, one recursion, five videos. "plain, same nodes" is the plain scorer on the same nodes, four
videos at once. Each is shown beside the plain one on steps and beside the plain one on nodes.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videograph.config import read_settings
from videograph.datasets import load_dataset
from videograph.datasets._splits import load_splits
from videograph.examples import Example, batch_of, examples_of
from videograph.learn import TABLES, Learner, make_plan
from videograph.losses import keyframe_loss

_NODES = ["model.steps_per_node=8", "batch_size=4", "accumulate=1"]
FORMS: dict[str, list[str]] = {
    "three recursions": [],
    "without regulariser": ["loss.structure=0"],
    "without words": ["model.language=none"],
    "without objects": ["model.use_objects=false"],
    "without either": ["model.use_objects=false", "model.language=none"],
    "one recursion": ["model.n_recursions=1"],
    "one recursion, topic": ["model.n_recursions=1", "model.topic_rank=128"],
    "two recursions": ["model.n_recursions=2"],
    "K = 0": ["model.n_recursions=0"],
    "nodes of 8 steps": _NODES,
    "nodes of 8 steps, two recursions": [*_NODES, "model.n_recursions=2"],
    "tvsum.toml": [],
    "tvsum.toml, three recursions": ["model.n_recursions=3"],
    "tvsum.toml, every step": ["model.steps_per_node=1"],
}
CONFIG = Path(__file__).resolve().parent.parent / "configs" / "tvsum.toml"


PLAIN, PLAIN_NODES = "plain attention", "plain, same nodes"


class AttentionLayer(nn.Module):
    """LN(x + V softmax(q k^T / sqrt d)), then LN(x + two maps): a transformer layer with one head."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.wide = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        q, k, v = (part[:, None] for part in self.qkv(x).chunk(3, -1))
        heard = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)[:, 0]
        x = self.first(x + self.out(heard))
        return self.second(x + self.wide(x))


class Scorer(nn.Module):
    """The plain one: projection, two layers, a score; frames only."""

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.project = nn.Sequential(nn.Linear(dim, width), nn.LayerNorm(width))
        self.layers = nn.ModuleList([AttentionLayer(width), AttentionLayer(width)])
        self.classify = nn.Sequential(nn.Dropout(0.3), nn.Linear(width, 1))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        x = self.project(x)
        for layer in self.layers:
            x = layer(x, mask)
        return self.classify(x).squeeze(-1)


def plain_epoch(videos: Sequence[Example], width: int, batch_size: int) -> Callable[[], None]:
    """Four videos to a step of the optimizer, `batch_size` of them at once."""
    model = Scorer(videos[0].inputs.features.shape[-1], width).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, fused=True)

    def epoch() -> None:
        for start in range(0, len(videos), 4):
            optimizer.zero_grad(set_to_none=True)
            group = videos[start : start + 4]
            for at in range(0, len(group), batch_size):
                batch = group[at : at + batch_size]
                inputs, target = batch_of(batch, 0.15)
                assert target is not None and target.keyframes is not None
                real = inputs.frame_mask
                mask = None if len(batch) == 1 else real[:, None, None]
                logits = model(inputs.features, mask)
                loss = keyframe_loss(logits, target.keyframes, real, 0.15)
                (loss * len(batch) / 4).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()

    return epoch


def our_epoch(videos: Sequence[Example], name: str, width: int) -> Callable[[], object]:
    config = CONFIG if name.startswith("tvsum.toml") else None
    settings = read_settings(config, [f"model.width={width}", "device=cpu", *FORMS[name]], TABLES)
    return Learner(make_plan(settings, videos), videos).run_epoch


def all_epochs(
    videos: Sequence[Example], width: int, forms: Sequence[str]
) -> dict[str, Callable[[], object]]:
    nodes = [video.in_nodes(8) for video in videos]
    epochs: dict[str, Callable[[], object]] = {
        PLAIN: plain_epoch(videos, width, 1),
        PLAIN_NODES: plain_epoch(nodes, width, 4),
    }
    return epochs | {name: our_epoch(videos, name, width) for name in forms}


def seconds(epochs: dict[str, Callable[[], object]], n: int) -> dict[str, float]:
    """Median processor seconds of each, taking turns; a first turn warms up."""
    found: dict[str, list[float]] = {name: [] for name in epochs}
    for turn in range(n + 1):
        for name, epoch in epochs.items():
            start = time.process_time()
            epoch()
            if turn:
                found[name].append(time.process_time() - start)
    return {name: statistics.median(values) for name, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/tvsum"))
    parser.add_argument("--words", help="an h5 with word_features of the videos")
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--epochs", type=int, default=5)
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
    print(f"{'width':>6} {'form':<22} {'s/epoch':>8} {'x plain':>8} {'x plain on nodes':>17}")
    for width in arguments.widths:
        found = seconds(all_epochs(videos, width, arguments.forms), arguments.epochs)
        for name, value in found.items():
            beside = [value / found[plain] for plain in (PLAIN, PLAIN_NODES)]
            print(
                f"{width:>6} {name:<22} {value:>8.3f} {beside[0]:>8.2f} {beside[1]:>17.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
