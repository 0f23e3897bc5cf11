"""Where a model computes, and in which precision: half on a GPU, float32 on a CPU, never otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from videograph.errors import UsageError

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda", "mps")
"""What `device` may be; "auto" is the first GPU there is, else the CPU."""


def choose_device(device: str = "auto") -> torch.device:
    """The device of that name.

    Raises:
        UsageError: no such name, or this machine (or this build of PyTorch) has none.
    """
    import torch

    if device not in DEVICES:
        raise UsageError(f'device is "{device}". Allowed: {", ".join(DEVICES)}.')
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if device == "auto":
        return torch.device(next(name for name, found in there.items() if found))
    if not there[device]:
        found = ", ".join(name for name, is_there in there.items() if is_there)
        raise UsageError(f'device is "{device}", but PyTorch finds none here. There is: {found}.')
    return torch.device(device)


def precision(device: torch.device) -> torch.dtype:
    """float16 on a GPU, float32 on a CPU."""
    import torch

    return torch.float32 if device.type == "cpu" else torch.float16
