"""Training for train_embedded.py: one network, from its views to its averaged weights."""

from __future__ import annotations

import time
from pathlib import Path

import h5py
import numpy as np
import torch
from embedded_frames import (
    DATA,
    OTHERS,
    allowed_frames,
    allowed_views,
    groups_of,
    read_folds,
    read_table,
)
from embedded_views import HINTS, VIEW_SIDE
from torch.nn import functional

from videograph.encoders._embedded_network import DIM, STAGES, EmbeddedNetwork

SIDES = ((96, 160_000), (128, 40_000))
"""Side of the input, and views seen at it when all videos train; with fewer, as many per view."""
BATCH = 32
PARTS = ((0, 1.0, 0.1), (1, 0.5, 0.1), (2, 0.5, 1.0), (3, 1.0, 1.0))
"""For each stage from the second on: weight of its map and of the map's mean in the loss."""
_RATING = 0.1


class Views:
    """What one network may learn from: its views, the teacher's maps of them, ratings."""

    def __init__(self, work: Path, fold: int | None) -> None:
        table, folds = read_table(work), read_folds()
        keys = None if fold is None else folds[fold]["train"]
        made = np.load(work / "views.npz")
        self.images = np.load(work / "views.npy", mmap_mode="r")
        self.maps = {name: np.load(work / f"{name}.npy", mmap_mode="r") for name in HINTS}
        allowed = allowed_frames(table, keys)
        self.rows = allowed_views(allowed, made["frame"], made["partner"])
        self.share = len(self.rows) / len(self.images)
        self.ratings = _ratings(table, keys, len(self.images))
        plain = groups_of(table, folds) == OTHERS  # rows of plain views are frames
        self.scales = [_Scale(maps) for maps in self.targets(np.flatnonzero(plain)[::2])]

    def targets(self, rows: np.ndarray) -> list[torch.Tensor]:
        """The teacher's maps for the stages from the second on, (n, channels, height, width)."""
        maps = [
            torch.from_numpy(np.asarray(self.maps[name][rows])).float().permute(0, 3, 1, 2)
            for name in HINTS
        ]
        widths = [width for width, _, _ in STAGES[1:]]
        eighth, sixteenth, last = maps
        return [eighth, *sixteenth.split(widths[1:3], 1), last]


class _Scale:
    """Of a map's channels: mean, spread over cells, spread of a frame's mean."""

    def __init__(self, maps: torch.Tensor) -> None:
        self.mean = maps.mean((0, 2, 3))
        self.cells = maps.std((0, 2, 3))
        self.frames = maps.mean((2, 3)).std(0)

    def __call__(self, maps: torch.Tensor) -> torch.Tensor:
        return (maps - self.mean[:, None, None]) / self.cells[:, None, None]


def _ratings(table: dict[str, tuple[int, int]], keys: list[str] | None, n: int) -> np.ndarray:
    """The centred mean rating of each plain view of these TVSum videos; NaN elsewhere, (n,)."""
    ratings = np.full(n, np.nan, np.float32)
    with h5py.File(DATA / "tvsum/tvsum.h5") as labels:
        for key in labels if keys is None else keys:
            gtscore = labels[key]["gtscore"][:]
            ratings[table[key][0] : sum(table[key])] = (gtscore - gtscore.mean()) / 0.1
    return ratings


class Trainer:
    """One network's training: a one-cycle of AdamW, weights averaged along the way."""

    def __init__(self, views: Views) -> None:
        torch.manual_seed(0)
        self.views, self.rng = views, np.random.default_rng(0)
        self.network = EmbeddedNetwork().to(memory_format=torch.channels_last)
        self.rate = torch.nn.Linear(DIM, 1)
        torch.nn.init.zeros_(self.rate.weight)
        counts = [int(n * views.share) // BATCH for _, n in SIDES]
        self.sides = np.repeat([side for side, _ in SIDES], counts)
        self.weights = [*self.network.parameters(), *self.rate.parameters()]
        decayed = [p for p in self.weights if p.ndim > 1]
        plain = [p for p in self.weights if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": 0.03}, {"params": plain, "weight_decay": 0}], 3e-3
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, 3e-3, total_steps=len(self.sides) + 1, pct_start=0.1
        )
        self.average: dict[str, torch.Tensor] = {}
        self.queue = np.array([], int)
        self.step = 0

    def run(self, part: Path) -> None:
        """Train to the end, leaving `part` to resume from every 300 steps."""
        if part.exists():
            self.load_state_dict(torch.load(part, weights_only=False))
        began, losses = time.time(), []
        while self.step < len(self.sides):
            losses.append(self._one_step(int(self.sides[self.step])))
            self.step += 1
            if self.step % 300 == 0:
                torch.save(self.state_dict(), part)
                shown = " ".join(f"{x:.3f}" for x in np.mean(losses[-300:], 0))
                print(f"{self.step}/{len(self.sides)} unexplained (map, mean by stage), rating: {shown}, "
                      f"{time.time() - began:.0f} s", flush=True)  # fmt: skip

    def _one_step(self, side: int) -> list[float]:
        rows = self._draw()
        pixels, targets, ratings = self._batch(rows, side)
        with torch.autocast("cpu", torch.bfloat16):
            maps = self.network(pixels)[1:]
        told, total, means = [], torch.zeros(()), []
        for (stage, map_weight, mean_weight), target in zip(PARTS, targets, strict=True):
            seen, scale = maps[stage].float(), self.views.scales[stage]
            means.append(seen.mean((2, 3)))
            by_cell = functional.mse_loss(
                seen, functional.adaptive_avg_pool2d(target, seen.shape[-1])
            )
            off = (means[-1] - target.mean((2, 3))) * (scale.cells / scale.frames)
            by_frame = (off**2).mean()
            total = total + map_weight * by_cell + mean_weight * by_frame
            told += [by_cell.item(), by_frame.item()]
        known = ~ratings.isnan()
        if known.any():
            said = self.rate(torch.cat(means[2:], 1))[known, 0]
            rating_loss = functional.smooth_l1_loss(said, ratings[known])
            total = total + _RATING * rating_loss
            told.append(rating_loss.item())
        else:
            told.append(0.0)
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.weights, 2.0)
        self.optimizer.step()
        self.schedule.step()
        self._average_weights()
        return told

    def _batch(
        self, rows: np.ndarray, side: int
    ) -> tuple[torch.Tensor, list[torch.Tensor], torch.Tensor]:
        pixels = torch.from_numpy(np.asarray(self.views.images[rows])).permute(0, 3, 1, 2).float()
        targets = [s(t) for s, t in zip(self.views.scales, self.views.targets(rows), strict=True)]
        if side != VIEW_SIDE:
            pixels = functional.interpolate(pixels, (side, side), mode="bilinear", antialias=True)
        if self.rng.random() < 0.5:
            pixels, targets = pixels.flip(3), [t.flip(3) for t in targets]
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        return pixels, targets, torch.from_numpy(self.views.ratings[rows])

    def _draw(self) -> np.ndarray:
        if len(self.queue) < BATCH:
            self.queue = np.concatenate([self.queue, self.rng.permutation(self.views.rows)])
        drawn, self.queue = np.sort(self.queue[:BATCH]), self.queue[BATCH:]
        return drawn

    @torch.no_grad()
    def _average_weights(self) -> None:
        keep = min(0.995, (self.step + 1) / (self.step + 10))
        for name, value in self.network.state_dict().items():
            if name not in self.average or not value.is_floating_point():
                self.average[name] = value.clone()
            else:
                self.average[name].lerp_(value, 1 - keep)

    _PARTS = ("network", "rate", "optimizer", "schedule")

    def state_dict(self) -> dict:
        """All that an interrupted run needs to go on as if nothing had happened."""
        return {name: getattr(self, name).state_dict() for name in self._PARTS} | {
            "average": self.average, "queue": self.queue, "step": self.step,
            "numpy": self.rng.bit_generator.state, "torch": torch.get_rng_state(),
        }  # fmt: skip

    def load_state_dict(self, state: dict) -> None:
        """Go on from `state_dict()`."""
        for name in self._PARTS:
            getattr(self, name).load_state_dict(state[name])
        self.average, self.queue, self.step = state["average"], state["queue"], state["step"]
        self.rng.bit_generator.state = state["numpy"]
        torch.set_rng_state(state["torch"])
