"""The embedded encoder's network: a small convolutional net, shared by the encoder and its recipe.

In training every convolution is followed by batch normalisation; what ships has it folded into the
convolution, so that no frame's features depend on its batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu
from torch.nn.utils.fusion import fuse_conv_bn_eval

INPUT_SIDE = 128
"""Frames are squashed to squares of this many pixels."""
CELL_SIDE = 16
"""Pixels of the input under one cell of the map that objects are read from, each way."""
STAGES = (
    (24, 2, (2, 2)),
    (32, 2, (4, 3, 3)),
    (64, 2, (4, 3, 3)),
    (96, 1, (3, 2)),
    (160, 2, (2, 1)),
)
"""Channels, stride, and how many times wider each block is inside."""
OBJECT_DIM = STAGES[3][0]
"""Numbers of an object: channels of the map before the last."""
DIM = OBJECT_DIM + STAGES[4][0]
"""Numbers of a frame: of both maps."""
_BATCH = 16  # frames that pass the network together: enough for speed, little memory


class EmbeddedNetwork(nn.Module):
    """Frames in, maps of features out.

    Args:
        folded: without batch normalisation, as shipped.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, folded: bool = False) -> None:
        super().__init__()
        width = STAGES[0][0]
        self.stem = _Conv(3, width, 3, 2, folded)
        stages = []
        for n_out, stride, wider in STAGES:
            first = _Block(width, n_out, stride, wider[0], folded)
            others = [_Block(n_out, n_out, 1, times, folded) for times in wider[1:]]
            stages.append(nn.Sequential(first, *others))
            width = n_out
        self.stages = nn.ModuleList(stages)
        self.register_buffer("centre", torch.zeros(DIM))
        self.register_buffer("scale", torch.ones(DIM))

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """Maps of frames, one of each stage.

        Args:
            pixels: (n, 3, height, width), 0..255, sides that are multiples of 32.

        Returns:
            (n, channels, height / s, width / s), s = 4, 8, 16, 16, 32.
        """
        x, maps = relu(self.stem((pixels - 127.5) / 64), inplace=True), []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps

    def seen(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Frame features (n, DIM), and the map of object features (n, OBJECT_DIM, cells, cells)."""
        near, far = (found.float() for found in self(pixels)[-2:])
        frames = torch.cat([near.mean((2, 3)), far.mean((2, 3))], 1)
        centre, scale = self.centre[:OBJECT_DIM, None, None], self.scale[:OBJECT_DIM, None, None]
        return (frames - self.centre) * self.scale, (near - centre) * scale


class _Conv(nn.Module):
    """A convolution and its batch normalisation, which folding takes into the weights."""

    def __init__(self, n_in: int, n_out: int, side: int, stride: int, folded: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_out, side, stride, (side - 1) // 2, bias=folded)
        self.norm = nn.Identity() if folded else nn.BatchNorm2d(n_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))


class _Block(nn.Module):
    """A wide 3 x 3 convolution, then back to few channels: Fused-MBConv (Tan and Le, ICML 2021)."""

    def __init__(self, n_in: int, n_out: int, stride: int, wider: int, folded: bool) -> None:
        super().__init__()
        self.wide = _Conv(n_in, n_in * wider, 3, stride, folded)
        self.narrow = _Conv(n_in * wider, n_out, 1, 1, folded)
        self.adds = n_in == n_out and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        y = self.narrow(relu(self.wide(x), inplace=True))
        return y.add_(x) if self.adds else y


def folded_state(network: EmbeddedNetwork) -> dict[str, Tensor]:
    """Weights for `EmbeddedNetwork(folded=True)` that compute what a trained network computes."""
    state = {"centre": network.centre, "scale": network.scale}
    for name, module in network.eval().named_modules():
        if isinstance(module, _Conv) and isinstance(module.norm, nn.BatchNorm2d):
            fused = fuse_conv_bn_eval(module.conv, module.norm)
            state |= {f"{name}.conv.{k}": v for k, v in fused.state_dict().items()}
    return {k: v.detach().clone() for k, v in state.items()}


def load_network(state: dict[str, Tensor], precision: torch.dtype | None = None) -> EmbeddedNetwork:
    """The network of folded weights, ready to see.

    Args:
        state: in any precision.
        precision: that convolutions are computed in; None takes the quicker one of this processor.
    """
    network = EmbeddedNetwork(folded=True)
    network.load_state_dict({name: value.float() for name, value in state.items()})
    # Channels last is what convolutions on a CPU want; the stubs of torch lack this form of `to`.
    network = network.eval().to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    precision = precision or quick_precision()
    for module in network.modules():  # not the scale of what comes out, which stays exact
        if isinstance(module, nn.Conv2d):
            module.to(precision)
    return network


def quick_precision() -> torch.dtype:
    """bfloat16 where the processor multiplies it itself: it is twice as quick there, far slower elsewhere."""
    able = getattr(torch.cpu, "get_capabilities", dict)()  # torch before 2.11 does not tell
    is_quick = able.get("avx512_bf16") or able.get("amx_bf16")
    return torch.bfloat16 if is_quick else torch.float32


@contextmanager
def _one_thread() -> Iterator[None]:
    """Torch's threads wait for work by spinning, on processors that the decoder's threads need."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        if before > 1:  # 1: or another encoder is in here too, and will set what was
            torch.set_num_threads(before)


@torch.inference_mode()
def see(
    network: EmbeddedNetwork, images: np.ndarray | Sequence[np.ndarray], side: int = INPUT_SIDE
) -> tuple[np.ndarray, np.ndarray]:
    """What the network sees in frames of any size.

    Args:
        network: with folded weights.
        images: (n, height, width, 3) uint8 RGB.
        side: pixels of the squares it looks at.

    Returns:
        Frame features (n, DIM) float32, and maps (n, OBJECT_DIM, side / 16, side / 16) float32.
    """
    cells, precision = side // CELL_SIDE, network.stem.conv.weight.dtype
    features = np.zeros((len(images), DIM), np.float32)
    maps = np.zeros((len(images), OBJECT_DIM, cells, cells), np.float32)
    with _one_thread():
        for start in range(0, len(images), _BATCH):
            at = slice(start, start + _BATCH)
            copied = np.array(images[at])  # torch wants what may be written to
            pixels = torch.from_numpy(copied).permute(0, 3, 1, 2)
            square = interpolate(pixels, (side, side), mode="bilinear", antialias=True)
            square = square.to(precision).contiguous(memory_format=torch.channels_last)
            frames, near = network.seen(square)
            features[at], maps[at] = frames.numpy(), near.numpy()
    return features, maps
