"""The embedded encoder's network: a small residual net, shared by the encoder and its recipe.

In training every convolution is followed by batch normalisation; what ships has it folded into the
convolution, so that no frame's features depend on its batch.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu
from torch.nn.utils.fusion import fuse_conv_bn_eval

INPUT_SIDE = 96
"""Frames are squashed to squares of this many pixels."""
CELL_SIDE = 16
"""Pixels of the input under one cell of the feature map, each way."""
_BATCH = 16  # frames that pass the network together: enough for speed, little memory


class EmbeddedNetwork(nn.Module):
    """Frames in, a map of features out.

    Args:
        widths: channels at a quarter, an eighth and a sixteenth of the input's side.
        depths: residual blocks at each of them.
        trunk_dim: channels of the last layer before the head.
        dim: channels of the map.
        folded: without batch normalisation, as shipped.
    """

    def __init__(
        self,
        widths: tuple[int, ...] = (32, 64, 160),
        depths: tuple[int, ...] = (1, 2, 2),
        trunk_dim: int = 256,
        dim: int = 192,
        folded: bool = False,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for n_in, n_out, depth in zip((3, *widths), widths, depths, strict=False):
            shrink = (6, 4, 1) if not layers else (2, 2, 0)
            layers += [_Conv(n_in, n_out, *shrink, folded), nn.ReLU()]
            layers += [_Block(n_out, folded) for _ in range(depth)]
        layers += [_Conv(widths[-1], trunk_dim, 1, 1, 0, folded), nn.ReLU()]
        self.trunk = nn.Sequential(*layers)
        self.head = nn.Conv2d(trunk_dim, dim, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        """Feature maps of frames; a map's mean is the frame's feature.

        Args:
            pixels: (n, 3, height, width), 0..255, sides that are multiples of 16.

        Returns:
            (n, dim, height / 16, width / 16).
        """
        return self.head(self.trunk((pixels - 127.5) / 64))


class _Conv(nn.Module):
    """A convolution and its batch normalisation, which folding takes into the weights."""

    def __init__(
        self, n_in: int, n_out: int, side: int, stride: int, padding: int, folded: bool
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_out, side, stride, padding, bias=folded)
        self.norm = nn.Identity() if folded else nn.BatchNorm2d(n_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))


class _Block(nn.Module):
    """Two 3 x 3 convolutions around which the input passes unchanged (He et al., CVPR 2016)."""

    def __init__(self, width: int, folded: bool) -> None:
        super().__init__()
        self.first = _Conv(width, width, 3, 1, 1, folded)
        self.second = _Conv(width, width, 3, 1, 1, folded)
        if isinstance(self.second.norm, nn.BatchNorm2d):
            nn.init.zeros_(self.second.norm.weight)  # starts as the identity, trains faster

    def forward(self, x: Tensor) -> Tensor:
        return relu(x + self.second(relu(self.first(x))))


def folded_state(network: EmbeddedNetwork) -> dict[str, Tensor]:
    """Weights for `EmbeddedNetwork(folded=True)` that compute what a trained network computes."""
    state = {k: v for k, v in network.state_dict().items() if k.startswith("head.")}
    for name, module in network.eval().named_modules():
        if isinstance(module, _Conv) and isinstance(module.norm, nn.BatchNorm2d):
            fused = fuse_conv_bn_eval(module.conv, module.norm)
            state |= {f"{name}.conv.{k}": v for k, v in fused.state_dict().items()}
    return {k: v.detach().clone() for k, v in state.items()}


def load_network(state: dict[str, Tensor]) -> EmbeddedNetwork:
    """The network of folded weights, in any precision, ready to see."""
    network = EmbeddedNetwork(folded=True)
    network.load_state_dict({name: value.float() for name, value in state.items()})
    # Channels last is what convolutions on a CPU want; the stubs of torch lack this form of `to`.
    return network.eval().to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


@torch.inference_mode()
def maps_of(network: EmbeddedNetwork, images: np.ndarray) -> np.ndarray:
    """Feature maps of frames of any size, (n, dim, 6, 6) float32.

    Args:
        network: with folded weights.
        images: (n, height, width, 3) uint8 RGB.
    """
    cells = INPUT_SIDE // CELL_SIDE
    maps = np.zeros((len(images), network.head.out_channels, cells, cells), np.float32)
    for start in range(0, len(images), _BATCH):
        batch = np.array(images[start : start + _BATCH])  # a copy: torch wants it writable
        pixels = torch.from_numpy(batch).permute(0, 3, 1, 2)
        square = interpolate(pixels, (INPUT_SIDE, INPUT_SIDE), mode="bilinear", antialias=True)
        square = square.float().contiguous(memory_format=torch.channels_last)
        maps[start : start + _BATCH] = network(square).numpy()
    return maps
