"""Views for train_embedded.py: frames as they are or changed, and what the teacher says of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from embedded_frames import DATA, N_TARGETS, OTHERS, groups_of, read_folds, read_table
from torch.nn import functional


def make_views(work: Path, n_views: int) -> None:
    """Views of frames, plain or augmented, and the teacher's map of each in `N_TARGETS` directions."""
    rng = np.random.default_rng(0)
    teacher = _Teacher(work)
    large = np.load(work / "large.npy", mmap_mode="r")
    groups = groups_of(read_table(work), read_folds())
    members = [np.flatnonzero(groups == g) for g in range(OTHERS + 1)]
    mean, directions = _target_space(work, teacher, large[members[OTHERS][::3]])
    plain = [m[::2] for m in members[:OTHERS]] + [members[OTHERS]]
    changed = [m[1::2] for m in members[:OTHERS]] + [np.tile(members[OTHERS], 3)]
    frames = np.concatenate(plain + changed)
    is_changed = np.arange(len(frames)) >= sum(map(len, plain))
    n_again = sum(map(len, plain[:OTHERS]))
    rng.permutation(
        len(frames) + n_again
    )  # a first order, dropped; kept for the same draws after it
    order = rng.permutation(len(frames))
    rng.permutation(n_again)  # a second round of changed views that was never needed
    shape = (n_views, 64, N_TARGETS)
    images = np.lib.format.open_memmap(work / "views.npy", "w+", np.uint8, (n_views, 128, 128, 3))
    maps = np.lib.format.open_memmap(work / "maps.npy", "w+", np.float16, shape)
    partners = np.full(n_views, -1)
    for start in range(0, n_views, 32):
        rows = range(start, min(start + 32, n_views))
        batch = []
        for row in rows:
            frame = int(frames[order[row]])
            if is_changed[order[row]]:
                view, partners[row] = _changed_view(rng, large, frame, groups[frame], members)
            else:
                view = _pixels(large[frame], 256)
            batch.append(view)
        pixels = torch.stack(batch).round()
        images[start : rows.stop] = (
            functional.avg_pool2d(pixels, 2).round().byte().permute(0, 2, 3, 1)
        )
        maps[start : rows.stop] = (teacher(pixels) - mean) @ directions
    chosen = order[:n_views]
    np.savez(work / "views.npz", frame=frames[chosen], changed=is_changed[chosen], partner=partners)


class _Teacher:
    """MobileNetV2's last map; onnxruntime runs it nine times as fast as PyTorch on a CPU."""

    def __init__(self, work: Path) -> None:
        import onnxruntime
        from transformers import AutoModel

        path = work / "teacher.onnx"
        if not path.exists():
            model = AutoModel.from_pretrained(DATA / "weights/hf/mobilenet_v2_1.0_224").eval()
            torch.onnx.export(
                _LastMap(model), (torch.zeros(2, 3, 256, 256),), str(path), dynamo=False,
                input_names=["x"], dynamic_axes={"x": {0: "n"}},
            )  # fmt: skip
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(path), options)

    def __call__(self, pixels: torch.Tensor) -> np.ndarray:
        """(n, 3, 256, 256), 0..255 -> (n, 64, 1280) float32."""
        (maps,) = self._session.run(None, {"x": (pixels / 127.5 - 1).numpy()})
        return maps.reshape(len(maps), maps.shape[1], -1).transpose(0, 2, 1)


class _LastMap(torch.nn.Module):
    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.model(pixels).last_hidden_state


def _target_space(work: Path, teacher: _Teacher, frames: np.ndarray) -> tuple:
    """Mean and main directions of the teacher's map cells on videos outside TVSum."""
    moments, total, n = np.zeros((1280, 1280)), np.zeros(1280), 0
    for batch in np.array_split(frames, max(1, len(frames) // 16)):
        cells = teacher(torch.stack([_pixels(f, 256) for f in batch])).reshape(-1, 1280)
        moments += cells.T @ cells
        total += cells.sum(0)
        n += len(cells)
    mean = total / n
    _, vectors = np.linalg.eigh(moments / n - np.outer(mean, mean))
    mean, directions = mean.astype(np.float32), vectors[:, ::-1][:, :N_TARGETS].astype(np.float32)
    np.savez(work / "space.npz", mean=mean, directions=directions)
    return mean, directions


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
    axis, cut = (2 if how < 0.375 else 1), int(rng.integers(4, 13)) * 16
    return torch.cat([view.narrow(axis, 0, cut), other.narrow(axis, cut, 256 - cut)], axis), partner


def _part(rng: np.random.Generator, frame: np.ndarray) -> torch.Tensor:
    area, shape = rng.uniform(0.2, 0.9), np.exp(rng.uniform(-0.3, 0.3))
    height, width = (int(min(224, 224 * np.sqrt(a))) for a in (area * shape, area / shape))
    y, x = rng.integers(0, 225 - height), rng.integers(0, 225 - width)
    part = _pixels(frame[y : y + height, x : x + width], 256)
    return part.flip(2) if rng.random() < 0.5 else part


def _other_colours(rng: np.random.Generator, x: torch.Tensor) -> torch.Tensor:
    x = x * float(rng.uniform(0.6, 1.4))
    x = (x - x.mean()) * float(rng.uniform(0.6, 1.4)) + x.mean()
    gray = x.mean(0, keepdim=True)
    colour = 0.0 if rng.random() < 0.1 else float(rng.uniform(0.4, 1.5))
    tint = torch.tensor(rng.uniform(0.85, 1.15, (3, 1, 1)), dtype=torch.float32)
    return (((x - gray) * colour + gray) * tint).clamp(0, 255)


def _pixels(frame: np.ndarray, side: int) -> torch.Tensor:
    pixels = torch.from_numpy(np.array(frame)).permute(2, 0, 1)[None].float()
    return functional.interpolate(pixels, (side, side), mode="bilinear", align_corners=False)[0]
