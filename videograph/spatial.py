"""Spatial graphs of all frames at once, over the objects that are there (Eq. 4-6).

Few frames fill all their slots: on TVSum four of ten are filled, and four frames of ten have no two
objects to relate. So nodes are rows of real objects only, and are put into slots only where objects of
one frame meet. Gradients are written out, for a video has hundreds of graphs of a handful of nodes.
Letters: B videos, T steps, N slots, R real objects in all, S steps with two objects or more, d width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from videograph.attention import NEVER

TINY = 1e-6
"""Length under which a row counts as zero."""


@dataclass(frozen=True)
class Slots:
    """Where the objects of a batch are. A step is crowded if it has two or more: only there do they meet."""

    mask: Tensor
    """True for real objects, (B, T, N) bool."""
    rows: Tensor
    """Slot of each real object among all B T N, (R,) int64, rising."""
    crowded: Tensor
    """Crowded steps among all B T, (S,) int64."""
    crowd: Tensor
    """Slots of crowded steps, (S, N) bool."""
    meeting: Tensor
    """Which of the R objects are in crowded steps, int64."""
    places: Tensor
    """Their slots among the S N, int64."""
    alone: Tensor
    """Which of the R objects are not, int64."""

    @staticmethod
    def of(mask: Tensor) -> Slots:
        """The places that a mask (B, T, N) names."""
        flat = mask.flatten(0, 1)
        many = flat.sum(-1) > 1
        rows, crowd = flat.flatten().nonzero().squeeze(-1), flat[many]
        meets = many.index_select(0, rows // mask.shape[-1])
        found = (x.nonzero().squeeze(-1) for x in (meets, crowd.flatten(), ~meets))
        return Slots(mask, rows, many.nonzero().squeeze(-1), crowd, *found)

    @property
    def steps(self) -> Tensor:
        """Step of each object among all B T, (R,)."""
        return self.rows // self.mask.shape[-1]

    def pack(self, x: Tensor) -> Tensor:
        """Real objects of (B, T, N, dim) as rows, (R, dim)."""
        return x.flatten(0, 2).index_select(0, self.rows)

    def spread(self, x: Tensor) -> Tensor:
        """Rows (R, ...) that meet in their slots, (S, N, ...), 0 elsewhere."""
        slots = x.new_zeros(self.crowd.numel(), *x.shape[1:])
        slots.index_copy_(0, self.places, x.index_select(0, self.meeting))
        return slots.unflatten(0, self.crowd.shape)

    def gather(self, x: Tensor) -> Tensor:
        """Slots (S, N, ...) as rows again, (R, ...), 0 for those alone."""
        rows = x.new_zeros(len(self.rows), *x.shape[2:])
        return rows.index_copy_(0, self.meeting, x.flatten(0, 1).index_select(0, self.places))

    def everywhere(self, met: Tensor, alone: Tensor | float) -> Tensor:
        """Slots (S, N, ...) among all slots, (B, T, N, ...), `alone` for an object that is alone."""
        whole = met.new_zeros(self.mask.numel(), *met.shape[2:])
        whole.index_copy_(0, self.rows, self.gather(met))
        if len(self.alone):
            whole[self.rows.index_select(0, self.alone)] = alone
        return whole.unflatten(0, self.mask.shape)


@dataclass(frozen=True)
class ObjectEdges:
    """Adjacency softmax_row(scale * cos(q, r)) among the objects of each frame (Eq. 4)."""

    weights: Tensor
    """The adjacencies of crowded steps, (S, N, N); rows and columns of empty slots are 0."""
    spreads: Tensor
    """Entropy of each of their rows in nats, (S, N); 0 for empty slots."""
    q: Tensor
    """What each object asks for, (R, d)."""
    r: Tensor
    """What each object answers to, (R, d)."""
    slots: Slots
    """Where they are."""

    @property
    def mask(self) -> Tensor:
        """True for real objects, (B, T, N) bool."""
        return self.slots.mask

    @property
    def n_valid(self) -> Tensor:
        """Real objects of each graph, (B, T)."""
        return self.mask.sum(-1)

    def dense(self) -> Tensor:
        """The adjacencies, (B, T, N, N); an object that is alone listens to itself."""
        itself = torch.eye(self.mask.shape[-1]).to(self.weights)
        places = self.slots.rows.index_select(0, self.slots.alone) % self.mask.shape[-1]
        return self.slots.everywhere(self.weights, itself.index_select(0, places))

    def aggregate(self, values: Tensor) -> Tensor:
        """A @ values of rows: what each object hears from its frame's, (R, width)."""
        return _Hear.apply(self.weights, values, self.slots)  # pyright: ignore[reportReturnType]

    def entropy(self) -> Tensor:
        """Entropy of each row in nats, (B, T, N): H_i of Eq. 12."""
        return self.slots.everywhere(self.spreads, 0.0)

    def squared_affinity(self) -> Tensor:
        """Mean of cos(q_i, r_j)^2 over all pairs of a frame's objects, (B, T): Eq. 13."""
        q, r = (x / _length(x)[:, None] for x in (self.q, self.r))
        met = ((self.slots.spread(q) @ self.slots.spread(r).transpose(1, 2)) ** 2).sum(2)
        itself = ((q * r).sum(-1) ** 2).index_select(0, self.slots.alone)
        return self.slots.everywhere(met, itself).sum(-1) / self.n_valid.clamp(min=1) ** 2


def object_edges(q: Tensor, r: Tensor, scale: Tensor, slots: Slots) -> ObjectEdges:
    """The spatial graphs of what objects ask for and answer to, rows (R, d) of any length."""
    weights, spreads = _Affinity.apply(q, r, scale, slots)  # pyright: ignore[reportGeneralTypeIssues]
    return ObjectEdges(weights, spreads, q, r, slots)


def pool(asked: Tensor, objects: Tensor, scale: Tensor, slots: Slots) -> tuple[Tensor, Tensor]:
    """A frame's objects as one vector, weighed by scale * cos(asked, object) (Eq. 6).

    Args:
        asked: (B, T, d).
        objects: (R, d).

    Returns:
        (B, T, d), 0 where there is no object, and each slot's share, (B, T, N), without a gradient.
    """
    pooled, shares = _Pool.apply(asked.flatten(0, 1), objects, scale, slots)  # pyright: ignore[reportGeneralTypeIssues]
    return pooled.unflatten(0, asked.shape[:2]), slots.everywhere(shares, 1.0)


def pool_evenly(objects: Tensor, slots: Slots) -> tuple[Tensor, Tensor]:
    """As `pool`, all objects of a frame weighing the same."""
    real = slots.mask.to(objects.dtype)
    shares = real / real.sum(-1, keepdim=True).clamp(min=1)
    by_row = objects * slots.pack(shares[..., None])
    whole = objects.new_zeros(real.numel() // real.shape[-1], objects.shape[-1])
    return whole.index_add(0, slots.steps, by_row).unflatten(0, real.shape[:2]), shares


class _Affinity(torch.autograd.Function):
    """Adjacency and entropy of its rows. With s the cosines, P the softmax of scale * s:

    dl_ij = P_ij (g_ij - sum_k P_ik g_ik - h_i (log P_ij + H_i)), and of a cosine
    dq_i = sum_j ds_ij r_j / (|q_i| |r_j|) - q_i sum_j ds_ij s_ij / |q_i|^2, dr_j alike.
    """

    @staticmethod
    def forward(
        ctx: Any, q: Tensor, r: Tensor, scale: Tensor, slots: Slots
    ) -> tuple[Tensor, Tensor]:
        q_slots, r_slots = slots.spread(q), slots.spread(r)
        q_share, r_share = slots.spread(1 / _length(q)), slots.spread(1 / _length(r))
        cosines = q_slots @ r_slots.transpose(1, 2)
        cosines *= q_share[:, :, None] * r_share[:, None, :]
        logs = _log_softmax(scale * cosines, slots.crowd)
        shares = logs.exp().mul_(slots.crowd[:, :, None])
        spreads = -(shares * logs).sum(-1)
        ctx.save_for_backward(
            q_slots, r_slots, q_share, r_share, cosines, logs, shares, spreads, scale
        )
        ctx.slots = slots
        ctx.set_materialize_grads(False)
        return shares, spreads

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        q, r, q_share, r_share, cosines, logs, shares, spreads, scale = ctx.saved_tensors
        g, h = gradients
        slope = torch.zeros_like(shares)
        if g is not None:
            slope += g - (shares * g).sum(-1, keepdim=True)
        if h is not None:
            slope -= h[..., None] * (logs + spreads[..., None])
        slope *= shares
        told = slope * cosines
        slope *= (scale * q_share)[:, :, None] * r_share[:, None, :]
        for_q = slope @ r
        for_q -= (scale * told.sum(2) * q_share**2)[..., None] * q
        for_r = slope.transpose(1, 2) @ q
        for_r -= (scale * told.sum(1) * r_share**2)[..., None] * r
        return ctx.slots.gather(for_q), ctx.slots.gather(for_r), told.sum(), None


class _Hear(torch.autograd.Function):
    """Adjacencies (S, N, N) times rows (R, width); an object that is alone hears itself."""

    @staticmethod
    def forward(ctx: Any, weights: Tensor, values: Tensor, slots: Slots) -> Tensor:
        spread = slots.spread(values)
        ctx.save_for_backward(weights, spread)
        ctx.slots = slots
        return _with_alone(slots.gather(weights @ spread), values, slots)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        weights, spread = ctx.saved_tensors
        slots, (g,) = ctx.slots, gradients
        told = slots.spread(g)
        for_values = _with_alone(slots.gather(weights.transpose(1, 2) @ told), g, slots)
        return told @ spread.transpose(1, 2), for_values, None


def _with_alone(rows: Tensor, own: Tensor, slots: Slots) -> Tensor:
    return rows.index_copy_(0, slots.alone, own.index_select(0, slots.alone))


class _Pool(torch.autograd.Function):
    """As `_Affinity`, with the frame as the only one that asks; an object that is alone is all there is."""

    @staticmethod
    def forward(
        ctx: Any, asked: Tensor, objects: Tensor, scale: Tensor, slots: Slots
    ) -> tuple[Tensor, Tensor]:
        x, y = slots.spread(objects), asked.index_select(0, slots.crowded)  # (S, N, d), (S, d)
        x_share, y_share = slots.spread(1 / _length(objects)), 1 / _length(y)[:, None]
        cosines = (x * y[:, None]).sum(-1).mul_(x_share * y_share)  # (S, N)
        shares = _log_softmax((scale * cosines)[:, None], slots.crowd).exp().squeeze(1)
        pooled = torch.zeros_like(asked)
        pooled.index_copy_(0, slots.crowded, (shares[..., None] * x).sum(1))
        lonely = slots.steps.index_select(0, slots.alone)
        pooled.index_copy_(0, lonely, objects.index_select(0, slots.alone))
        ctx.save_for_backward(y, x, y_share, x_share, cosines, shares, scale, lonely)
        ctx.slots = slots
        ctx.mark_non_differentiable(shares)
        return pooled, shares

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        y, x, y_share, x_share, cosines, shares, scale, lonely = ctx.saved_tensors
        slots, whole = ctx.slots, gradients[0]
        g = whole.index_select(0, slots.crowded)
        slope = (x * g[:, None]).sum(-1)
        slope = shares * (slope - (shares * slope).sum(-1, keepdim=True))
        told = slope * cosines
        slope *= scale * x_share * y_share
        for_y = (slope[..., None] * x).sum(1)
        for_y -= scale * told.sum(-1, keepdim=True) * y_share**2 * y
        for_x = (shares[..., None] * g[:, None]).addcmul_(slope[..., None], y[:, None])
        for_x.addcmul_((scale * told * x_share**2)[..., None], x, value=-1)
        for_objects = slots.gather(for_x)
        for_objects.index_copy_(0, slots.alone, whole.index_select(0, lonely))
        for_asked = torch.zeros_like(whole).index_copy_(0, slots.crowded, for_y)
        return for_asked, for_objects, told.sum(), None


def _log_softmax(logits: Tensor, crowd: Tensor) -> Tensor:
    """Over the real columns, (S, rows, N); columns are brought to the front, where rows of a handful of
    numbers are worked on side by side."""
    logits = logits.masked_fill(~crowd[:, None], NEVER)
    return logits.permute(2, 0, 1).contiguous().log_softmax(0).permute(1, 2, 0).contiguous()


def _length(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x, dim=-1).clamp(min=TINY)
