"""The image part of a Hugging Face model: from its inputs to one vector a frame and a map of vectors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from videograph.errors import VideographError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

OPTIONAL = ("pooler.", "vision_model.pooler.", "embeddings.mask_token")
"""Weights a model may lack: poolers are gone round then, mask tokens serve training only."""


class Seen(NamedTuple):
    """What a model makes of a batch."""

    features: Tensor
    """One vector a frame, (n, dim) float32."""
    maps: Tensor
    """Vectors by place, (n, rows, columns, object_dim) float32."""


class Tower:
    """Calls a model so that both its vectors and its maps come out, whatever its family."""

    def __init__(self, model: Any, *, has_pooler: bool) -> None:
        self.shares_text = hasattr(model, "get_text_features")
        """Whether its vectors lie in one space with those of texts."""
        if not self.shares_text:  # a language model that is shown pictures: only its eye is of use
            model = getattr(model, "vision_model", None) or getattr(model, "vision_tower", model)
        self.model = model
        self._call = model.get_image_features if self.shares_text else model
        self._has_pooler = has_pooler

    def __call__(self, inputs: Mapping[str, Tensor]) -> Seen:
        """Vectors of the frames; on a GPU in half precision, unless they overflow it.

        Raises:
            VideographError: the model is none that sees pictures.
        """
        import torch

        parameter = next(self.model.parameters())
        ready = {
            name: _moved(value, parameter.device, parameter.dtype) for name, value in inputs.items()
        }
        with torch.inference_mode():
            try:
                seen = self._read(self._call(**ready), ready)
            except (TypeError, ValueError, KeyError, AttributeError) as error:
                raise VideographError(
                    f"{type(self.model).__name__} cannot encode frames alone ({error}). "
                    "Try a vision or an image-text model, such as clip, siglip2 or dinov2."
                ) from error
        if parameter.dtype != torch.float32 and not all(x.isfinite().all() for x in seen):
            self.model.float()  # float16 ends at 65504, and a few models go beyond it
            return self(inputs)
        return seen

    def _read(self, output: Any, inputs: Mapping[str, Tensor]) -> Seen:
        state = output.last_hidden_state
        pooled = getattr(output, "pooler_output", None) if self._has_pooler else None
        if state.ndim == 4:  # convolutional: (n, dim, rows, columns)
            maps, lead = state.permute(0, 2, 3, 1), None
        else:
            rows, columns = self._grid(state.shape[1], inputs)
            # NaFlex pads after the patches; all others have class and register tokens before them.
            n_before = 0 if "spatial_shapes" in inputs else state.shape[1] - rows * columns
            patches = state[:, n_before : n_before + rows * columns]
            maps = patches.reshape(len(state), rows, columns, -1)
            lead = state[:, 0] if n_before else None
        if pooled is None:
            pooled = maps.mean((1, 2)) if lead is None else lead
        return Seen(pooled.flatten(1).float(), maps.float())

    def _grid(self, n_tokens: int, inputs: Mapping[str, Tensor]) -> tuple[int, int]:
        """Rows and columns of patches among the tokens."""
        if "spatial_shapes" in inputs:
            rows, columns = inputs["spatial_shapes"][0].tolist()
            return rows, columns
        config = getattr(self.model.config, "vision_config", None) or self.model.config
        patch = getattr(config, "patch_size", None)
        if isinstance(patch, int) and inputs["pixel_values"].ndim == 4:
            height, width = inputs["pixel_values"].shape[2:]
            rows, columns = height // patch, width // patch
            if 0 < rows * columns <= n_tokens < rows * columns + 64:
                return rows, columns
        side = math.isqrt(n_tokens)  # patches that were merged on the way, as in Swin
        return side, side


def _moved(value: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    value = value.to(device)
    return value.to(dtype) if value.is_floating_point() else value
