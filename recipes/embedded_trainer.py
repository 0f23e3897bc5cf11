"""Training for train_embedded.py: one network, from its frames to its averaged weights."""

from __future__ import annotations

import time
from pathlib import Path

import h5py
import numpy as np
import torch
from embedded_frames import (
    DATA,
    N_TARGETS,
    OTHERS,
    allowed_frames,
    allowed_views,
    groups_of,
    read_folds,
    read_table,
)
from torch.nn import functional

from videograph.encoders._embedded_network import CELL_SIDE, EmbeddedNetwork

SIZES = ((64, 80_000), (96, 20_000))  # side of the input, images seen at it when all videos train
N_PICKS = 19_922  # rated frames of all videos; with fewer, fewer images: as many per frame
BATCH = 32


class Frames:
    """What one network may learn from: its frames, views, targets, ratings; and how to draw them."""

    def __init__(self, work: Path, fold: int | None) -> None:
        table, folds = read_table(work), read_folds()
        keys = None if fold is None else folds[fold]["train"]
        self.small = np.load(work / "small.npy", mmap_mode="r")
        self.views = np.load(work / "views.npy", mmap_mode="r")
        self.maps = np.load(work / "maps.npy", mmap_mode="r")
        made = np.load(work / "views.npz")
        space = np.load(work / "space.npz")
        allowed = allowed_frames(table, keys)
        self.view_rows = allowed_views(allowed, made["frame"], made["partner"])
        self.targets, self.ratings = _targets(table, keys, space, len(allowed))
        self.picks = np.flatnonzero(allowed & ~np.isnan(self.ratings))
        others = groups_of(table, folds)[made["frame"]] == OTHERS
        maps = np.array(self.maps[others]).astype(np.float32)
        # Half whitened: the weak directions carry what tells alike frames apart, and noise.
        spread = maps.mean(1).var(0)
        self.scale = spread**-0.25
        self.scale /= np.sqrt((spread * self.scale**2).mean())
        self.map_variance = float((maps.var((0, 1)) * self.scale**2).mean())


def _targets(
    table: dict[str, tuple[int, int]], keys: list[str] | None, space: dict, n_frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """The teacher's pooled answer and the centred rating of each TVSum frame; NaN where none may be."""
    targets = np.zeros((n_frames, N_TARGETS), np.float32)
    ratings = np.full(n_frames, np.nan, np.float32)
    with (
        h5py.File(DATA / "tvsum/tvsum.h5") as labels,
        h5py.File(DATA / "tvsum/tvsum_mobilenetv2.h5") as teacher,
    ):
        for key in labels if keys is None else keys:
            rows = slice(table[key][0], sum(table[key]))
            pooled = teacher[key]["features"][:].astype(np.float32)
            targets[rows] = (pooled - space["mean"]) @ space["directions"][:, :N_TARGETS]
            gtscore = labels[key]["gtscore"][:]
            ratings[rows] = (gtscore - gtscore.mean()) / 0.1
    return targets, ratings


class Trainer:
    """One network's training: a one-cycle of AdamW, weights averaged along the way."""

    def __init__(self, frames: Frames) -> None:
        torch.manual_seed(0)
        self.frames, self.rng = frames, np.random.default_rng(0)
        self.scale = torch.from_numpy(frames.scale)
        self.network = EmbeddedNetwork().to(memory_format=torch.channels_last)
        self.rate = torch.nn.Linear(256, 1)
        torch.nn.init.zeros_(self.rate.weight)
        share = len(frames.picks) / N_PICKS
        self.sides = np.repeat(
            [side for side, _ in SIZES], [int(n * share) // BATCH for _, n in SIZES]
        )
        self.weights = [*self.network.parameters(), *self.rate.parameters()]
        decayed = [p for p in self.weights if p.ndim > 1]
        plain = [p for p in self.weights if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0}], 2e-3
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, 2e-3, total_steps=len(self.sides) + 1, pct_start=0.15
        )
        self.average: dict[str, torch.Tensor] = {}
        self.queues: dict[str, np.ndarray] = {
            "picks": np.array([], int),
            "views": np.array([], int),
        }
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
                print(f"{self.step}/{len(self.sides)} map, pooled, rating loss {shown}, "
                      f"{time.time() - began:.0f} s", flush=True)  # fmt: skip

    def _one_step(self, side: int) -> tuple[float, float, float]:
        pixels, pooled, maps, ratings = self._batch(side)
        half = BATCH // 2
        with torch.autocast("cpu", torch.bfloat16):
            trunk = self.network.trunk((pixels - 127.5) / 64)
            seen = self.network.head(trunk)
        seen, trunk = seen.float(), trunk.float().mean((2, 3))
        map_loss = functional.mse_loss(seen[half:], maps) / self.frames.map_variance
        pooled_loss = functional.mse_loss(seen.mean((2, 3)), pooled)
        rating_loss = torch.zeros(())
        if ratings is not None:
            rating_loss = functional.smooth_l1_loss(self.rate(trunk[:half])[:, 0], ratings)
        self.optimizer.zero_grad(set_to_none=True)
        (pooled_loss + 0.3 * map_loss + 0.1 * rating_loss).backward()
        torch.nn.utils.clip_grad_norm_(self.weights, 2.0)
        self.optimizer.step()
        self.schedule.step()
        self._average_weights()
        return map_loss.item(), pooled_loss.item(), rating_loss.item()

    def _batch(
        self, side: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Half picks, with pooled targets and ratings (None when mixed), half views, with maps."""
        half, frames, rng = BATCH // 2, self.frames, self.rng
        picks = self._draw("picks", frames.picks, half)
        rows = self._draw("views", frames.view_rows, half)
        maps = torch.from_numpy(frames.maps[rows]).float().view(-1, 8, 8, N_TARGETS)
        maps = maps.permute(0, 3, 1, 2) * self.scale[:, None, None]
        pooled = torch.cat(
            [torch.from_numpy(frames.targets[picks]) * self.scale, maps.mean((2, 3))]
        )
        maps = functional.adaptive_avg_pool2d(maps, side // CELL_SIDE)
        length = int(rng.integers(96, 129))
        y, x = rng.integers(0, 129 - length, 2)
        whole = torch.from_numpy(frames.small[picks]).permute(0, 3, 1, 2).float()
        views = torch.from_numpy(frames.views[rows]).permute(0, 3, 1, 2).float()
        part = whole[:, :, y : y + length, x : x + length]
        pixels = torch.cat([_squared(part, side), _squared(views, side)])
        if rng.random() < 0.5:
            pixels, maps = pixels.flip(3), maps.flip(3)
        mixed = rng.random() < 0.3
        if mixed:
            share, other = float(rng.uniform(0.5, 1)), torch.randperm(half)
            for both in (pixels, pooled):
                both[:half] = share * both[:half] + (1 - share) * both[:half][other]
        contrast = torch.empty(BATCH, 1, 1, 1).uniform_(0.8, 1.2)
        tint = torch.empty(BATCH, 3, 1, 1).uniform_(-0.15, 0.15)
        pixels = (pixels - 127.5) * contrast + 127.5 + 64 * tint
        ratings = None if mixed else torch.from_numpy(frames.ratings[picks])
        return pixels.contiguous(memory_format=torch.channels_last), pooled, maps, ratings

    def _draw(self, name: str, pool: np.ndarray, n: int) -> np.ndarray:
        if len(self.queues[name]) < n:
            self.queues[name] = np.concatenate([self.queues[name], self.rng.permutation(pool)])
        drawn, self.queues[name] = self.queues[name][:n], self.queues[name][n:]
        return drawn

    @torch.no_grad()
    def _average_weights(self) -> None:
        keep = min(0.99, (self.step + 1) / (self.step + 10))
        for name, value in self.network.state_dict().items():
            if name not in self.average or not value.is_floating_point():
                self.average[name] = value.clone()
            else:
                self.average[name].lerp_(value, 1 - keep)

    _PARTS = ("network", "rate", "optimizer", "schedule")

    def state_dict(self) -> dict:
        """All that an interrupted run needs to go on as if nothing had happened."""
        return {name: getattr(self, name).state_dict() for name in self._PARTS} | {
            "average": self.average, "queues": self.queues, "step": self.step,
            "numpy": self.rng.bit_generator.state, "torch": torch.get_rng_state(),
        }  # fmt: skip

    def load_state_dict(self, state: dict) -> None:
        """Go on from `state_dict()`."""
        for name in self._PARTS:
            getattr(self, name).load_state_dict(state[name])
        self.average, self.queues, self.step = state["average"], state["queues"], state["step"]
        self.rng.bit_generator.state = state["numpy"]
        torch.set_rng_state(state["torch"])


def _squared(pixels: torch.Tensor, side: int) -> torch.Tensor:
    if pixels.shape[2] == side:
        return pixels
    return functional.interpolate(pixels, (side, side), mode="bilinear", antialias=True)
