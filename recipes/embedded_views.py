"""Views for train_embedded.py: frames as they are or changed, and what the teacher says of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from embedded_frames import DATA, OTHERS, groups_of, read_folds, read_table
from torch.nn import functional

VIEW_SIDE = 128
"""Pixels of a view: what the teacher is asked about."""
HINTS = {"eighth": (4,), "sixteenth": (8, 11), "thirtysecond": (13,)}
"""Layers of the teacher that are learned from, by the share of the input's side that their maps have.
Deeper ones know ImageNet's classes, not more about what people rate highly: docs/embedded-encoder.md."""


def make_views(work: Path, n_changed: int) -> None:
    """All frames as they are, `n_changed` views of changed ones, and the teacher's maps of each."""
    large = np.load(work / "large.npy", mmap_mode="r")
    groups = groups_of(read_table(work), read_folds())
    rng = np.random.default_rng(0)
    members = [np.flatnonzero(groups == g) for g in range(OTHERS + 1)]
    often = np.concatenate([*members[:OTHERS], *[members[OTHERS]] * 3])
    changed = rng.permutation(np.resize(rng.permutation(often), n_changed))
    frames = np.concatenate([np.arange(len(large)), changed])
    partners = np.full(len(frames), -1)

    def views() -> Iterator[torch.Tensor]:
        for row, frame in enumerate(frames):
            if row < len(large):
                yield _pixels(large[frame])
            else:
                view, partners[row] = _changed_view(rng, large, int(frame), groups[frame], members)
                yield view

    _ask(work, views(), len(frames))
    np.savez(work / "views.npz", frame=frames, partner=partners)


def _ask(work: Path, views: Iterator[torch.Tensor], n: int) -> None:
    """Write the views and the teacher's maps of them."""
    teacher, batch, start = _Teacher(work), [], 0
    images = _file(work / "views.npy", np.uint8, (n, VIEW_SIDE, VIEW_SIDE, 3))
    files: dict[str, np.ndarray] = {}
    for view in views:
        batch.append(view.round())
        end = start + len(batch)
        if len(batch) < 32 and end < n:
            continue
        pixels = torch.stack(batch)
        images[start:end] = pixels.byte().permute(0, 2, 3, 1).numpy()
        for name, maps in teacher(pixels).items():
            if name not in files:
                files[name] = _file(work / f"{name}.npy", np.float16, (n, *maps.shape[1:]))
            files[name][start:end] = maps
        if start % 3200 == 0:
            print(f"{end} of {n} views", flush=True)
        batch, start = [], end


def _file(path: Path, kind: type[np.generic], shape: tuple[int, ...]) -> np.ndarray:
    return np.lib.format.open_memmap(path, "w+", kind, shape)


class _Teacher:
    """MobileNetV2's maps; onnxruntime runs it several times as fast as PyTorch on a CPU."""

    def __init__(self, work: Path) -> None:
        import onnxruntime
        from transformers import AutoModel

        path = work / "teacher_maps.onnx"
        if not path.exists():
            model = AutoModel.from_pretrained(DATA / "weights/hf/mobilenet_v2_1.0_224").eval()
            torch.onnx.export(
                _Maps(model), (torch.zeros(2, 3, VIEW_SIDE, VIEW_SIDE),), str(path), dynamo=False,
                input_names=["x"], dynamic_axes={"x": {0: "n"}},
            )  # fmt: skip
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(path), options)

    def __call__(self, pixels: torch.Tensor) -> dict[str, np.ndarray]:
        """(n, 3, side, side), 0..255 -> maps by name of `HINTS`, (n, height, width, channels)."""
        found = self._session.run(None, {"x": (pixels / 127.5 - 1).numpy()})
        return {
            name: maps.transpose(0, 2, 3, 1) for name, maps in zip(HINTS, found, strict=True)
        }  # fmt: skip


class _Maps(torch.nn.Module):
    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x, seen = self.model.conv_stem(pixels), {}
        for number, layer in enumerate(self.model.layer):
            x = layer(x)
            seen[number] = x
        return tuple(torch.cat([seen[k] for k in layers], 1) for layers in HINTS.values())


def _changed_view(
    rng: np.random.Generator, large: np.ndarray, frame: int, group: int, members: list[np.ndarray]
) -> tuple[torch.Tensor, int]:
    """A part of a frame in other colours; every second time mixed with one of a frame of its group."""
    view = _other_colours(rng, _part(rng, large[frame]))
    how = rng.random()
    if how >= 0.5:
        return view, -1
    partner = int(rng.choice(members[group]) if rng.random() < 0.7 else rng.choice(members[OTHERS]))
    other = _other_colours(rng, _part(rng, large[partner]))
    if how < 0.25:
        share = float(rng.uniform(0.3, 0.7))
        return share * view + (1 - share) * other, partner
    axis, cut = (2 if how < 0.375 else 1), int(rng.integers(4, 13)) * VIEW_SIDE // 16
    parts = [view.narrow(axis, 0, cut), other.narrow(axis, cut, VIEW_SIDE - cut)]
    return torch.cat(parts, axis), partner


def _part(rng: np.random.Generator, frame: np.ndarray) -> torch.Tensor:
    area, shape = rng.uniform(0.3, 1.0), np.exp(rng.uniform(-0.3, 0.3))
    height, width = (int(min(224, 224 * np.sqrt(a))) for a in (area * shape, area / shape))
    y, x = rng.integers(0, 225 - height), rng.integers(0, 225 - width)
    part = _pixels(frame[y : y + height, x : x + width])
    return part.flip(2) if rng.random() < 0.5 else part


def _other_colours(rng: np.random.Generator, x: torch.Tensor) -> torch.Tensor:
    x = x * float(rng.uniform(0.6, 1.4))
    x = (x - x.mean()) * float(rng.uniform(0.6, 1.4)) + x.mean()
    gray = x.mean(0, keepdim=True)
    colour = 0.0 if rng.random() < 0.1 else float(rng.uniform(0.4, 1.5))
    tint = torch.tensor(rng.uniform(0.85, 1.15, (3, 1, 1)), dtype=torch.float32)
    return (((x - gray) * colour + gray) * tint).clamp(0, 255)


def _pixels(frame: np.ndarray) -> torch.Tensor:
    pixels = torch.from_numpy(np.array(frame)).permute(2, 0, 1)[None].float()
    size = (VIEW_SIDE, VIEW_SIDE)
    return functional.interpolate(pixels, size, mode="bilinear", antialias=True)[0]
