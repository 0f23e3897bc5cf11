"""Spatial graphs of all frames at once, over the objects that are there (Eq. 4-6).

Few frames fill all their slots: on TVSum four of ten are filled. So nodes are rows of real objects, those
of a frame side by side, and `BLOCK` rows at a time are one small dense matrix in which an object sees
those of its frame only: whatever is asked of objects is a product of such blocks, and nothing is put into
slots and back. Letters: B videos, T steps, N slots, R real
objects in all, L rows, C blocks of P rows, d width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from videograph.attention import NEVER, attend_and_tell, unit

BLOCK = 32
"""Rows of a block: wide enough for fast products, narrow enough that little of them is other frames'."""
TINY = 1e-6
"""Length under which a row counts as zero."""


@dataclass(frozen=True)
class Slots:
    """Where the objects of a batch are: the row of each. What is left of a block is rows of its own,
    which hold some real object again and are read by nobody."""

    mask: Tensor
    """True for real objects, (B, T, N) bool."""
    slots: Tensor
    """Slot of each real object among all B T N, (R,) int64, rising."""
    real: Tensor
    """Its row, (R,) int64, rising."""
    places: Tensor
    """Slot of each row, (L,) int64."""
    per_video: tuple[int, ...]
    """Rows of each video; they add up to L."""
    block: int
    """P."""

    @staticmethod
    def of(mask: Tensor) -> Slots:
        """The places that a mask (B, T, N) names."""
        counts, block = mask.sum(-1), max(BLOCK, mask.shape[-1])
        starts, per_video = _starts(counts.tolist(), block)
        number = mask.cumsum(-1)[mask] - 1  # of an object in its step
        real = torch.tensor(starts, device=mask.device)[counts.flatten() > 0]
        real = real.repeat_interleave(counts[counts > 0]) + number
        slots = mask.flatten().nonzero().squeeze(-1)
        places = slots[:1].expand(sum(per_video)).clone().index_copy_(0, real, slots)
        return Slots(mask, slots, real, places, per_video, block)

    @cached_property
    def counts(self) -> Tensor:
        """Real objects of each step, (B, T)."""
        return self.mask.sum(-1)

    @cached_property
    def steps(self) -> Tensor:
        """Step of each row among all B T, (L,)."""
        return self.places // self.mask.shape[-1]

    @cached_property
    def real_steps(self) -> Tensor:
        """Step of each real object among all B T, (R,)."""
        return self.steps.index_select(0, self.real)

    @cached_property
    def first(self) -> Tensor:
        """How many real objects came before each step, (B T,)."""
        return self.counts.flatten().cumsum(0) - self.counts.flatten()

    @cached_property
    def together(self) -> Tensor:
        """Which rows of a block are of one frame, (C, P, P) bool; those left over are a frame, too."""
        steps = torch.full_like(self.steps, -1).index_copy_(0, self.real, self.real_steps)
        steps = self.blocks(steps)
        return steps[:, :, None] == steps[:, None]

    def pack(self, x: Tensor) -> Tensor:
        """Objects of (B, T, N, dim) as rows, (L, dim)."""
        return x.flatten(0, 2).index_select(0, self.places)

    def blocks(self, x: Tensor) -> Tensor:
        """Rows (L, ...) in blocks, (C, P, ...)."""
        return (
            x.unflatten(0, (-1, self.block)) if len(x) else x.new_zeros(0, self.block, *x.shape[1:])
        )

    def everywhere(self, x: Tensor) -> Tensor:
        """Rows (L, ...) in their slots, (B, T, N, ...), 0 elsewhere."""
        whole = x.new_zeros(self.mask.numel(), *x.shape[1:])
        whole = whole.index_copy(0, self.slots, x.index_select(0, self.real))
        return whole.unflatten(0, self.mask.shape)

    def total(self, x: Tensor, weights: Tensor) -> Tensor:
        """Sum of each step's rows (L, width) times their weights (L,), (B T, width), without a gradient."""
        if not len(self.real):
            return x.new_zeros(self.counts.numel(), x.shape[1])
        weights = weights.index_select(0, self.real)
        return F.embedding_bag(self.real, x, self.first, mode="sum", per_sample_weights=weights)


def _starts(counts: Sequence[Sequence[int]], block: int) -> tuple[list[int], tuple[int, ...]]:
    """First row of each step with objects, and the rows of each video: no step lies in two blocks."""
    starts, per_video, row = [], [], 0
    for video in counts:
        before = row
        for count in video:
            if row % block + count > block:
                row += -row % block
            starts.append(row)
            row += count
        row += -row % block
        per_video.append(row - before)
    return starts, tuple(per_video)


@dataclass(frozen=True)
class ObjectEdges:
    """Adjacency softmax_row(scale * cos(q, r)) among the objects of each frame (Eq. 4)."""

    q: Tensor
    """What each object asks for, rows of length 1, (L, d)."""
    r: Tensor
    """What each object answers to, rows of length 1, (L, d)."""
    scale: Tensor
    """Lambda."""
    slots: Slots
    """Where they are."""
    _told: list[Tensor] = field(default_factory=list, repr=False, compare=False)
    """Entropies of rows, once aggregating has seen them."""

    @property
    def mask(self) -> Tensor:
        """True for real objects, (B, T, N) bool."""
        return self.slots.mask

    @property
    def n_valid(self) -> Tensor:
        """Real objects of each graph, (B, T)."""
        return self.slots.counts

    def dense(self) -> Tensor:
        """The adjacencies, (B, T, N, N); rows and columns of empty slots are 0."""
        q, r = (self.slots.everywhere(x) for x in (self.q * self.scale, self.r))
        logits = (q @ r.transpose(-1, -2)).masked_fill(~self.mask[..., None, :], NEVER)
        return logits.softmax(-1) * (self.mask[..., None] & self.mask[..., None, :])

    def aggregate(self, values: Tensor) -> Tensor:
        """A @ values of rows: what each object hears from its frame's, (L, width)."""
        blocks, slots = self.slots.blocks, self.slots
        heard, entropy = attend_and_tell(
            blocks(self.q * self.scale), blocks(self.r), blocks(values), slots.together
        )
        self._told[:] = [entropy.flatten()]
        return heard.flatten(0, 1)

    def entropy(self) -> Tensor:
        """Entropy of each row in nats, (B, T, N): H_i of Eq. 12; 0 for empty slots."""
        if not self._told:
            self.aggregate(self.q[:, :0])
        return self.slots.everywhere(self._told[0])

    def squared_affinity(self) -> Tensor:
        """Mean of cos(q_i, r_j)^2 over all pairs of a frame's objects, (B, T): Eq. 13."""
        cosines = self.slots.blocks(self.q) @ self.slots.blocks(self.r).transpose(1, 2)
        by_row = (cosines**2).masked_fill(~self.slots.together, 0.0).sum(-1).flatten()
        return self.slots.everywhere(by_row).sum(-1) / self.n_valid.clamp(min=1) ** 2


def object_edges(q: Tensor, r: Tensor, scale: Tensor, slots: Slots) -> ObjectEdges:
    """The spatial graphs of what objects ask for and answer to, rows (L, d) of any length."""
    return ObjectEdges(unit(q), unit(r), scale, slots)


def pool(
    asked: Tensor, objects: Sequence[Tensor], scale: Tensor, slots: Slots
) -> tuple[list[Tensor], Tensor]:
    """A frame's objects as one vector, weighed by scale * cos(asked, object) (Eq. 6).

    Args:
        asked: (B, T, d).
        objects: rows (L, d) of each recursion.

    Returns:
        (B, T, d) of each, 0 where there is no object, and each slot's share in the last, (B, T, N),
        without a gradient.
    """
    *pooled, shares = _Pool.apply(asked.flatten(0, 1), scale, slots, *objects)  # pyright: ignore[reportGeneralTypeIssues]
    return [g.unflatten(0, asked.shape[:2]) for g in pooled], slots.everywhere(shares)


def pool_evenly(objects: Tensor, slots: Slots) -> tuple[Tensor, Tensor]:
    """As `pool` of one recursion, all objects of a frame weighing the same."""
    real = slots.mask.to(objects.dtype)
    shares = real / real.sum(-1, keepdim=True).clamp(min=1)
    by_row = objects.index_select(0, slots.real) * shares[slots.mask][:, None]
    whole = objects.new_zeros(real.numel() // real.shape[-1], objects.shape[-1])
    return whole.index_add(0, slots.real_steps, by_row).unflatten(0, real.shape[:2]), shares


class _Pool(torch.autograd.Function):
    """Of each recursion, with s the cosines of a step and its objects x_i, p the softmax of scale * s, and
    u the step's own vector y at length 1:

    dl_i = p_i (g . x_i - sum_k p_k g . x_k), dx_i = p_i g + scale dl_i (u - s_i x_i / |x_i|) / |x_i|,
    dy = (v - u (u . v)) / |y| with v = sum_i scale dl_i x_i / |x_i|.
    """

    @staticmethod
    def forward(
        ctx: Any, asked: Tensor, scale: Tensor, slots: Slots, *objects: Tensor
    ) -> tuple[Tensor, ...]:
        share = 1 / _length(asked)[:, None]
        whole = asked * share
        u = whole.index_select(0, slots.steps)  # (L, d)
        pooled, kept = [], []
        for x in objects:
            x_share = 1 / _length(x)
            cosines = (x * u).sum(-1).mul_(x_share)
            shares = _shares(scale * cosines, slots)
            pooled.append(slots.total(x, shares))
            kept += [x, x_share, cosines, shares]
        ctx.save_for_backward(whole, share, u, scale, *kept)
        ctx.slots = slots
        ctx.mark_non_differentiable(kept[-1])
        return *pooled, kept[-1]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        whole, share, u, scale, *kept = ctx.saved_tensors
        slots, told, for_objects = ctx.slots, torch.zeros_like(u), []
        for_scale = torch.zeros_like(scale)
        for k, gradient in enumerate(gradients[:-1]):
            x, x_share, cosines, shares = kept[4 * k : 4 * k + 4]
            g = gradient.index_select(0, slots.steps)
            slope = (x * g).sum(-1).mul_(shares)
            slope -= shares * _sums(slope, slots)
            for_scale += (slope * cosines).sum()
            slope *= scale * x_share
            told.addcmul_(x, slope[:, None])
            for_x = g.mul_(shares[:, None]).addcmul_(u, slope[:, None])
            slope *= cosines * x_share
            for_objects.append(for_x.addcmul_(x, slope[:, None], value=-1))
        v = slots.total(told, torch.ones_like(told[:, 0]))
        for_asked = v.addcmul_(whole, (v * whole).sum(-1, keepdim=True), value=-1).mul_(share)
        return for_asked, for_scale, None, *for_objects


def _shares(logits: Tensor, slots: Slots) -> Tensor:
    """Softmax over each step's rows (L,); 0 in rows that are left over."""
    logits, steps = logits.index_select(0, slots.real), slots.real_steps
    most = logits.new_full((slots.counts.numel(),), NEVER).scatter_reduce_(0, steps, logits, "amax")
    e = (logits - most.index_select(0, steps)).exp_()
    total = torch.zeros_like(most).index_add_(0, steps, e)
    e /= total.index_select(0, steps)
    return e.new_zeros(len(slots.places)).index_copy_(0, slots.real, e)


def _sums(x: Tensor, slots: Slots) -> Tensor:
    """What each step's rows (L,) add up to, at each of them; 0 must stand in rows that are left over."""
    total = x.new_zeros(slots.counts.numel()).index_add_(0, slots.steps, x)
    return total.index_select(0, slots.steps)


def _length(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x, dim=-1).clamp(min=TINY)
