"""What the model reads: a batch of videos as padded tensors, made of what encoders saw and words say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from videograph.attention import LONG_STEPS, long_empty
from videograph.records import VideoFeatures, Words
from videograph.spill import pieces

TAKEN_AT_A_TIME = 128
"""Steps that are picked out of a long video before its pages are given back."""


@dataclass(frozen=True)
class Inputs:
    """A batch of videos, padded to one length; what lies under a false mask is never read."""

    features: Tensor
    """Frame features, (B, T, dim) float32."""
    frame_mask: Tensor
    """True for real steps, (B, T) bool."""
    object_features: Tensor | None = None
    """Region features, (B, T, N, object_dim) float32 or float16."""
    object_mask: Tensor | None = None
    """True for real objects, (B, T, N) bool."""
    word_features: Tensor | None = None
    """Text features, (B, M, word_dim) float32."""
    word_mask: Tensor | None = None
    """True for usable words, (B, M) bool, or (B, T, M) for words with times."""
    counts: Tensor | None = None
    """How many equal steps each one stands for, (B, T) float32; None: one each."""

    def to(self, device: torch.device | str) -> Inputs:
        """The same batch on another device."""
        return self._map(lambda x: x.to(device))

    def shuffled(self, seed: int) -> tuple[Inputs, Tensor]:
        """Steps of all videos in another order, and that order: new step i is old step order[i]."""
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(self.features.shape[1], generator=generator)
        order = order.to(self.features.device)
        words: dict[str, Any] = {"word_features": self.word_features}
        if self.word_mask is not None and self.word_mask.ndim == 2:
            words["word_mask"] = self.word_mask
        untold = replace(self, **dict.fromkeys(words))
        return replace(untold._map(lambda x: x[:, order]), **words), order

    def between(self, start: int, end: int) -> Inputs:
        """Steps from start to one before end; words without times stay."""
        return self._of_steps(lambda x: x[:, start:end])

    def at(self, chosen: Tensor) -> Inputs:
        """Some steps, (n,) int64; words without times stay. Of a long video piece by piece: around each
        of them the system reads sixteen pages."""
        return self._of_steps(lambda x: _rows_at(x, chosen))

    def _of_steps(self, change: Callable[[Tensor], Tensor]) -> Inputs:
        timed = self.word_mask is not None and self.word_mask.ndim == 3
        whole: dict[str, Any] = {"word_features": self.word_features}
        whole |= {} if timed else {"word_mask": self.word_mask}
        return replace(replace(self, **dict.fromkeys(whole))._map(change), **whole)

    def _map(self, change: Callable[[Tensor], Tensor]) -> Inputs:
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        changed: dict[str, Any] = {k: v if v is None else change(v) for k, v in values.items()}
        return Inputs(**changed)


def _rows_at(x: Tensor, chosen: Tensor) -> Tensor:
    if torch.is_grad_enabled() or x.shape[1] <= LONG_STEPS:
        return x[:, chosen]
    taken = long_empty(x, len(x), len(chosen), *x.shape[2:])
    for at in pieces(len(chosen), TAKEN_AT_A_TIME):
        taken[:, at] = x[:, chosen[at]]
    return taken


def inputs_from(features: VideoFeatures, words: Words | None = None) -> Inputs:
    """One video as a batch of one."""
    said, usable = None, None
    if words is not None and len(words.features):
        said = words.features
        usable = np.ones(len(said), bool) if words.mask is None else words.mask
    return Inputs(
        features=_tensor(features.features, np.float32),
        frame_mask=torch.ones(1, features.n_steps, dtype=torch.bool),
        object_features=_maybe(features.object_features, _half_or_single(features)),
        object_mask=_maybe(features.object_mask, np.bool_),
        word_features=_maybe(said, np.float32),
        word_mask=_maybe(usable, np.bool_),
    )


def _half_or_single(features: VideoFeatures) -> type[np.generic]:
    """Objects stay as they are kept, in half precision: all of a day's at once would be gigabytes."""
    objects = features.object_features
    return np.float16 if objects is not None and objects.dtype == np.float16 else np.float32


def _tensor(array: np.ndarray, kind: type[np.generic]) -> Tensor:
    return torch.from_numpy(np.require(array, kind, ["C", "W"]))[None]


def _maybe(array: np.ndarray | None, kind: type[np.generic]) -> Tensor | None:
    return None if array is None else _tensor(array, kind)


def words_for(language: str, words: Words | None) -> Words | None:
    """The words that a model of that `ModelConfig.language` is to read: "query" takes a user's words in
    place of the video's own, where there are any. Whose words they are ("shuffled") is the caller's."""
    if words is None or language == "none" or not len(words.features):
        return None
    asked = words.is_query
    if language != "query" or asked is None or not asked.any():
        return words
    mask = None if words.mask is None else words.mask[..., asked]
    return replace(words, features=words.features[asked], mask=mask, is_query=asked[asked])


def collate(videos: Sequence[Inputs]) -> Inputs:
    """Several videos as one batch, padded with 0 to the longest; a missing part is all padding."""
    timed = any(v.word_mask is not None and v.word_mask.ndim == 3 for v in videos)
    columns: dict[str, Any] = {}
    for name in (f.name for f in fields(Inputs)):
        values = [getattr(v, name) for v in videos]
        if name == "word_mask" and timed:
            values = [_timed(v) for v in videos]
        columns[name] = _stacked(values)
    return Inputs(**columns)


def _timed(video: Inputs) -> Tensor | None:
    mask = video.word_mask
    if mask is None or mask.ndim == 3:
        return mask
    return mask[:, None].expand(-1, video.features.shape[1], -1)


def _stacked(values: list[Tensor | None]) -> Tensor | None:
    present = [v for v in values if v is not None]
    if not present:
        return None
    shape = [max(v.shape[axis] for v in present) for axis in range(1, present[0].ndim)]
    rows = []
    for value in values:
        if value is None:
            rows.append(present[0].new_zeros(1, *shape))
            continue
        pad = [
            p
            for axis in range(value.ndim - 1, 0, -1)
            for p in (0, shape[axis - 1] - value.shape[axis])
        ]
        rows.append(F.pad(value, pad))
    return torch.cat(rows)
