"""Graphs that are never written down: edges known by the two sides of an inner product.

A temporal graph over n_steps frames has n_steps x n_steps edges. `Edges` gives all that the model and
its losses ask of them (what each node hears, entropy, strongest edges) in memory linear in n_steps;
`SparseEdges` does so in time linear in it too, as an approximation. Everything here is a pure function
of its tensors; equation numbers are those of docs/method.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from videograph.attention import (
    LONG_STEPS,
    NEVER,
    attend_and_tell,
    by_steps,
    long_empty,
    row_blocks,
    unit,
)
from videograph.spill import pieces, release

SMALL = 64
"""Nodes up to which a graph is simply written down: the spatial graphs."""
SPARSE_ROWS = 256
"""Rows of a sparse graph worked on at a time."""


@dataclass(frozen=True)
class TopEdges:
    """The strongest edges of each node."""

    columns: Tensor
    """Nodes they lead to, best first, (..., n, k) int64; -1 where there is no further node."""
    weights: Tensor
    """Their weights in the full graph, (..., n, k); 0 where there is none."""
    kept: Tensor
    """Their sum, (..., n): what the pruned graph keeps of each node's edges, itself left out."""


@dataclass(frozen=True)
class Edges:
    """Adjacency A = softmax_row(scale * q r^T) of one or many fully connected graphs (Eq. 4, 8)."""

    q: Tensor
    """What each node asks for, rows of length 1, (..., n, d)."""
    r: Tensor
    """What each node answers to, rows of length 1, (..., n, d)."""
    scale: Tensor
    """Lambda, one positive number; learned, so it carries a gradient."""
    mask: Tensor | None = None
    """True for real nodes, (..., n) bool; None when all are."""
    _told: list[Tensor] = field(default_factory=list, repr=False, compare=False)
    """Entropies, once aggregating with a gradient has seen them."""

    @property
    def n_valid(self) -> Tensor:
        """Real nodes of each graph, (...)."""
        if self.mask is None:
            return torch.full(self.q.shape[:-2], self.q.shape[-2], device=self.q.device)
        return self.mask.sum(-1)

    def counting(self, counts: Tensor | None) -> Edges:
        """The graph in which each node stands for so many equal ones, (B, n): log n more in each row's
        softmax, as one more number of the inner product. None: one each."""
        if counts is None:
            return self
        more = counts.log()[..., None]
        one, n = 1 / self.scale.expand_as(more), self.q.shape[1]
        q = by_steps(n, lambda at: torch.cat([self.q[:, at], one[:, at]], -1))
        r = by_steps(n, lambda at: torch.cat([self.r[:, at], more[:, at]], -1))
        return Edges(q, r, self.scale, self.mask)

    def dense(self) -> Tensor:
        """The adjacency itself, (..., n, n); rows and columns of padded nodes are 0."""
        logits = self._asks() @ self.r.transpose(-1, -2)
        if self.mask is None:
            return logits.softmax(-1)
        return masked_softmax(logits, self.mask[..., None, :]) * self.mask[..., None]

    def aggregate(self, values: Tensor) -> Tensor:
        """A @ values: what each node hears from all, (..., n, width)."""
        if self.q.shape[-2] <= SMALL:
            return self.dense() @ values
        if not torch.is_grad_enabled():
            n, r, mask = self.q.shape[-2], self.r, self.mask
            if self.q.ndim != 3:
                return self._keep(attend(self._asks(), r, values, mask), 2)
            # Widened once, not for each piece of the rows.
            wide = by_steps(n, lambda at: _widened(values[:, at], r.shape[-1]))
            heard = by_steps(n, lambda at: attend(self.q[:, at] * self.scale, r, wide, mask))
            return self._keep(heard[..., : values.shape[-1]], 2)
        heard, entropy = self._hear(values)
        self._told[:] = [entropy]
        return heard

    def log_partition(self) -> Tensor:
        """Logsumexp of each row's logits, (..., n)."""
        q, r, mask = self._flat()
        if q.shape[1] <= SMALL:
            return _logits(q, r, mask).logsumexp(-1).view(self.q.shape[:-1])
        result: Tensor = _RowLogSumExp.apply(q, r, mask)  # pyright: ignore[reportAssignmentType]
        return result.view(self.q.shape[:-1])

    def entropy(self) -> Tensor:
        """Entropy of each row in nats, (..., n), 0 for padded nodes: H_i of Eq. 12."""
        return self._told[0] if self._told else self._hear(self.q[..., :0])[1]

    def _hear(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """A @ values, (..., n, width), and the entropy of each row, (..., n)."""
        q, r, mask = self._flat()
        columns = None if mask is None else mask[:, None]
        flat = values.reshape(len(q), *values.shape[-2:])
        heard, entropy = attend_and_tell(q, r, flat, columns)
        return self._keep(heard.view(values.shape), 2), self._keep(entropy.view(self.q.shape[:-1]))

    def _flat(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """q with the scale folded in, r, (b, n, d), and the mask, (b, n)."""
        n, d = self.q.shape[-2:]
        mask = None if self.mask is None else self.mask.reshape(-1, n)
        return self._asks().reshape(-1, n, d), self.r.reshape(-1, n, d), mask

    def squared_affinity(self) -> Tensor:
        """Mean of (q_i . r_j)^2 over all pairs of real nodes, (...): Eq. 13 by <q^T q, r^T r>."""
        q, r = self._keep(self.q, 2), self._keep(self.r, 2)
        total = ((q.transpose(-1, -2) @ q) * (r.transpose(-1, -2) @ r)).sum((-1, -2))
        return total / self.n_valid.clamp(min=1) ** 2

    def self_weights(self) -> Tensor:
        """A_ii, (..., n)."""
        own = (self._asks() * self.r).sum(-1)
        return self._keep((own - self.log_partition()).exp())

    def without_self(self, values: Tensor, weights: Tensor, eps: float = 1e-6) -> Tensor:
        """What a node's neighbours hold, its own value left out: r_t of Eq. 14, (..., n, width).

        Args:
            values: (..., n, width).
            weights: how much each node has to say, (..., n).
        """
        said = torch.cat([weights[..., None] * values, weights[..., None]], -1)
        heard = self.aggregate(said) - self.self_weights()[..., None] * said
        return heard[..., :-1] / (heard[..., -1:] + eps)

    @torch.no_grad()
    def top(self, k: int) -> TopEdges:
        """The k strongest edges of each node to others, found in blocks of rows."""
        lead, (q, r, mask) = self.q.shape[:-2], self._flat()
        n = q.shape[1]
        weights = q.new_empty(len(q), n, min(k, n))  # filled in place: see _RowLogSumExp
        columns = torch.empty_like(weights, dtype=torch.long)
        for rows in row_blocks(n, len(q) * n):
            block = _logits(q[:, rows], r, mask).softmax(-1)
            own = torch.arange(rows.start, rows.stop, device=q.device)
            block[:, torch.arange(len(own)), own] = -1.0
            best = block.topk(min(k, n), dim=-1)
            weights[:, rows], columns[:, rows] = best.values, best.indices
        if mask is not None:
            weights = weights.masked_fill(~(mask[..., None] & _pick(mask, columns)), -1.0)
        return _top_edges(columns.view(*lead, n, -1), weights.view(*lead, n, -1), k)

    def _asks(self) -> Tensor:
        return self.q * self.scale

    def _keep(self, x: Tensor, n_trailing: int = 1) -> Tensor:
        return (
            x
            if self.mask is None
            else x * self.mask.reshape(*self.mask.shape, *[1] * (n_trailing - 1))
        )


@dataclass(frozen=True)
class SparseEdges:
    """Each node sees its window and, beyond it, means of equal runs of nodes ("landmarks").

    A landmark counts as many times as it has nodes outside the window; one softmax runs over window
    and landmarks. Where all nodes of a run are alike this equals `Edges`; elsewhere it approximates.
    Padded nodes are taken out first, so padding changes nothing.
    """

    q: Tensor
    """As in `Edges`, (n_videos, n, d)."""
    r: Tensor
    """As in `Edges`, (n_videos, n, d)."""
    scale: Tensor
    """As in `Edges`."""
    mask: Tensor
    """True for real nodes, (n_videos, n) bool."""
    landmarks: tuple[Tensor, ...]
    """What each landmark answers to, rows of at most length 1, (n_landmarks, d) for each video."""
    runs: tuple[int, ...]
    """Nodes of a run, for each video; the last run may be shorter."""
    window: int
    """Nodes seen one by one on either side."""

    @property
    def n_valid(self) -> Tensor:
        """Real nodes of each video, (n_videos,)."""
        return self.mask.sum(-1)

    def aggregate(self, values: Tensor) -> Tensor:
        """A @ values, (n_videos, n, width)."""
        return self._each(lambda band, v: band.hear(v, band.means(v), band.spread(v))[0], values)

    def log_partition(self) -> Tensor:
        """Logsumexp of each row's logits, (n_videos, n)."""
        return self._each(lambda band, v: band.hear(v, band.means(v))[1], self.r)

    def entropy(self) -> Tensor:
        """Entropy of each row in nats, a landmark's weight spread over its nodes, (n_videos, n)."""

        def one(band: _Band, r: Tensor) -> Tensor:
            heard, partition = band.hear(r, band.landmarks)
            return partition - band.scale * (band.q * heard).sum(-1)

        return self._each(one, self.r)

    def squared_affinity(self) -> Tensor:
        """Eq. 13 over all pairs, as in `Edges`."""
        return Edges(self.q, self.r, self.scale, self.mask).squared_affinity()

    def self_weights(self) -> Tensor:
        """A_ii, (n_videos, n)."""
        own = (self.q * self.scale * self.r).sum(-1)
        return (own - self.log_partition()).exp() * self.mask

    def without_self(self, values: Tensor, weights: Tensor, eps: float = 1e-6) -> Tensor:
        """As in `Edges`."""
        said = torch.cat([weights[..., None] * values, weights[..., None]], -1)
        heard = self._each(lambda band, v: band.hear(v, band.means(v))[0], said)  # shares stay >= 0
        heard = heard - self.self_weights()[..., None] * said
        return heard[..., :-1] / (heard[..., -1:] + eps)

    @torch.no_grad()
    def top(self, k: int) -> TopEdges:
        """The k strongest edges to others; a landmark beyond the window is one edge to the middle of its
        run, with the weight of one of its nodes."""
        n = self.q.shape[1]
        if len(self.q) == 1 and bool(self.mask.all()):
            _, band = next(self._bands())
            best = band.top(k)
            return TopEdges(best.columns[None], best.weights[None], best.kept[None])
        columns = self.mask.new_full((len(self.q), n, k), -1, dtype=torch.int64)
        weights = self.q.new_zeros(len(self.q), n, k)
        for video, band in self._bands():
            real = self.mask[video].nonzero().squeeze(-1)
            best = band.top(k)
            columns[video, real] = torch.where(best.columns >= 0, real[best.columns], -1)
            weights[video, real] = best.weights
        return TopEdges(columns, weights, weights.sum(-1))

    def _bands(self) -> Iterator[tuple[int, _Band]]:
        for video, (landmarks, run) in enumerate(zip(self.landmarks, self.runs, strict=True)):
            q, r = self._real(video, self.q), self._real(video, self.r)
            yield video, _Band(q, r, self.scale, landmarks, run, self.window)

    def _real(self, video: int, x: Tensor) -> Tensor:
        """Rows of the real nodes, without a copy where all are."""
        mask = self.mask[video]
        return x[video] if bool(mask.all()) else x[video][mask]

    def _each(self, measure: Callable[[_Band, Tensor], Tensor], values: Tensor) -> Tensor:
        results = []
        for video, band in self._bands():
            measured = measure(band, self._real(video, values))
            if len(measured) < self.q.shape[1]:
                real = self.mask[video].nonzero().squeeze(-1)
                padded = measured.new_zeros(self.q.shape[1], *measured.shape[1:])
                measured = padded.index_copy(0, real, measured)
            results.append(measured)
        return torch.stack(results) if len(results) > 1 else results[0][None]


@dataclass(frozen=True)
class _Band:
    """A sparse graph over the n real nodes of one video."""

    q: Tensor
    r: Tensor
    scale: Tensor
    landmarks: Tensor
    run: int
    window: int

    def means(self, values: Tensor) -> Tensor:
        """Values of the landmarks, (n_landmarks, width)."""
        return _run_means(values, self.run)[: len(self.landmarks)]

    def spread(self, values: Tensor) -> Tensor:
        """How answers and values vary together within runs, times lambda where that is small, (d, width).

        Within a run, nodes that answer more weigh more: to first order in lambda their values shift by
        lambda q times this covariance. Above 1 the order does not hold, and the shift is kept at that of 1.
        """
        means, far = _run_means(self.r, self.run), _run_means(values, self.run)
        within = _product(self.r, values) - (means * _run_sizes(self.r, self.run)).T @ far
        return self.scale.clamp(max=1.0) * within / max(1, len(self.r))

    def hear(
        self, values: Tensor, far: Tensor, spread: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """A @ (values of nodes, far values of landmarks) and the logsumexp of each row.

        Args:
            values: (n, width).
            far: (n_landmarks, width).
            spread: as `spread` gives it; None: all nodes of a run weigh the same.
        """
        if torch.is_grad_enabled():  # backward works chunk by chunk too, at twice the time
            parts = [
                checkpoint(self._hear_rows, rows, values, far, spread, use_reentrant=False)
                for rows in self._chunks()
            ]
            return torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts])  # pyright: ignore
        heard = long_empty(values, len(self.q), values.shape[-1])
        partition = self.q.new_empty(len(self.q))
        for rows in self._chunks():
            heard[rows], partition[rows] = self._hear_rows(rows, values, far, spread)
        return heard, partition

    def top(self, k: int) -> TopEdges:
        """As `SparseEdges.top`, columns counted among the real nodes."""
        weights = long_empty(self.q, len(self.q), k)
        columns = long_empty(self._firsts, len(self.q), k)
        kept = self.q.new_empty(len(self.q))
        middles = (self._firsts + self.run // 2).clamp(max=len(self.r) - 1)
        for rows in self._chunks():
            near, logits = self._logits(rows)
            partition, wide = logits.logsumexp(-1, keepdim=True), near.stop - near.start
            logits[:, wide:] -= self._log_sizes  # one of the run's nodes, not all of them
            met, outside = self._outside(rows, near)
            partly = outside < self._sizes[met]
            logits[:, wide:][:, met].masked_fill_(partly, NEVER)
            own = torch.arange(rows.stop - rows.start, device=self.q.device)
            logits[own, own + rows.start - near.start] = NEVER
            best = logits.topk(min(k, logits.shape[-1]), dim=-1)
            nodes = torch.arange(near.start, near.stop, device=self.q.device)
            found = _top_edges(
                torch.cat([nodes, middles])[best.indices], (best.values - partition).exp(), k
            )
            columns[rows], weights[rows], kept[rows] = found.columns, found.weights, found.kept
        return TopEdges(columns, weights, kept)

    @cached_property
    def _firsts(self) -> Tensor:
        """First node of each run, (n_landmarks,)."""
        return torch.arange(len(self.landmarks), device=self.q.device) * self.run

    @cached_property
    def _log_sizes(self) -> Tensor:
        """Logarithm of how many nodes each run has, (n_landmarks,)."""
        return self._sizes.to(self.q.dtype).log()

    @cached_property
    def _sizes(self) -> Tensor:
        return (len(self.r) - self._firsts).clamp(max=self.run)

    def _chunks(self) -> Iterator[slice]:
        for start in range(0, len(self.q), SPARSE_ROWS):
            yield slice(start, min(start + SPARSE_ROWS, len(self.q)))
            release()

    def _hear_rows(
        self, rows: slice, values: Tensor, far: Tensor, spread: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        near, logits = self._logits(rows)
        highest = logits.detach().amax(-1, keepdim=True)
        shares = (logits - highest).exp_()
        total = shares.sum(-1, keepdim=True)
        heard = (shares @ torch.cat([values[near], far])) / total
        if spread is not None:
            beyond = shares[:, near.stop - near.start :].sum(-1, keepdim=True) / total
            heard = heard + beyond * (self.q[rows] @ spread)
        return heard, (total.log() + highest).squeeze(-1)

    def _logits(self, rows: slice) -> tuple[slice, Tensor]:
        """Columns seen one by one; logits of those and of the landmarks.

        A landmark counts as often as it has nodes outside the window. Only near the window does that
        differ from row to row; the rest of the bias is one row for the whole video.
        """
        near = slice(max(0, rows.start - self.window), min(len(self.r), rows.stop + self.window))
        wide = near.stop - near.start
        bias = self.q.new_zeros(rows.stop - rows.start, wide + len(self.landmarks))
        i = torch.arange(rows.start, rows.stop, device=self.q.device)[:, None]
        apart = (i - torch.arange(near.start, near.stop, device=self.q.device)).abs()
        bias[:, :wide].masked_fill_(apart > self.window, NEVER)
        bias[:, wide:] = self._log_sizes
        met, outside = self._outside(rows, near)
        bias[:, wide:][:, met] = outside.to(bias.dtype).log().clamp(min=NEVER)
        keys = torch.cat([self.r[near], self.landmarks])
        return near, torch.addmm(bias, self.q[rows] * self.scale, keys.T)

    def _outside(self, rows: slice, near: slice) -> tuple[slice, Tensor]:
        """Runs that the window of some row meets; how many of their nodes each row does not see."""
        i = torch.arange(rows.start, rows.stop, device=self.q.device)[:, None]
        met = slice(near.start // self.run, min(-(-near.stop // self.run), len(self.landmarks)))
        first = self._firsts[met]
        end = (first + self.run).clamp(max=len(self.r))
        seen = torch.minimum(end, i + self.window + 1) - torch.maximum(first, i - self.window)
        return met, end - first - seen.clamp(min=0)


def sparse_edges(
    q: Tensor, r: Tensor, scale: Tensor, mask: Tensor | None, *, window: int, n_landmarks: int
) -> SparseEdges:
    """A sparse graph over the same nodes as `Edges` would have.

    Args:
        q: rows of length 1, (n_videos, n, d).
        r: rows of any length, (n_videos, n, d).
        window: nodes seen one by one on either side.
        n_landmarks: runs at most; 0 for the window alone.
    """
    mask = mask if mask is not None else torch.ones(q.shape[:2], dtype=torch.bool, device=q.device)
    answers = r
    lengths, r = mask.sum(-1).tolist(), by_steps(r.shape[1], lambda at: unit(answers[:, at]))
    runs = tuple(max(1, -(-int(n) // max(1, n_landmarks))) for n in lengths)
    rows = (r[b] if mask[b].all() else r[b][mask[b]] for b in range(len(r)))
    means = (_run_means(row, run) for row, run in zip(rows, runs, strict=True))
    landmarks = tuple(_answer(mean if n_landmarks else mean[:0]) for mean in means)
    return SparseEdges(q, r, scale, mask, landmarks, runs, window)


def _answer(means: Tensor) -> Tensor:
    """What runs answer to: their mean, lengthened to the square root of its length.

    Unlike nodes have a short mean, but the mean of exponentials is that of the nearest of them: the mean
    itself answers too little, at length 1 too much. Measured on TVSum: docs/performance.md.
    """
    return means * means.norm(dim=-1, keepdim=True).clamp(min=1e-6).rsqrt()


def masked_softmax(logits: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last axis where `mask` holds, 0 elsewhere; over an empty set all 0, never NaN."""
    some = mask.any(-1, keepdim=True)
    return logits.masked_fill(~mask & some, float("-inf")).softmax(-1) * some


def attend(q: Tensor, r: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
    """softmax_row(q r^T) values by fused attention, nothing of size n x n written down.

    Args:
        q: scale folded in, because a scale given as a number carries no gradient, (..., rows, d).
        r: (..., n, d).
        values: (..., n, width).
        mask: real columns, (..., n), or None for the fastest kernel.
    """
    lead, n, width = values.shape[:-2], values.shape[-2], values.shape[-1]
    common, n_rows = max(width, q.shape[-1]), q.shape[-2]  # the fused CPU kernel wants one width
    q, r, values = (_widened(x, common).reshape(-1, 1, x.shape[-2], common) for x in (q, r, values))
    some = None
    if mask is not None:
        mask = mask.reshape(-1, 1, 1, n)
        some = mask.any(-1, keepdim=True)
        mask = mask | ~some  # an empty set would be NaN: let it see all, then drop it
    heard = F.scaled_dot_product_attention(q, r, values, attn_mask=mask, scale=1.0)
    heard = heard if some is None else heard * some
    return heard[..., :width].reshape(*lead, n_rows, width)


def _widened(x: Tensor, width: int) -> Tensor:
    """0 in further columns; itself, not a copy, where it is wide enough."""
    return x if x.shape[-1] >= width else F.pad(x, (0, width - x.shape[-1]))


class _RowLogSumExp(torch.autograd.Function):
    """Logsumexp of the rows of q r^T in blocks of rows, computed anew in backward."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, r: Tensor, mask: Tensor | None) -> Tensor:
        result = q.new_empty(q.shape[:2])  # filled in place: kept pieces would scatter the heap
        for rows in row_blocks(q.shape[1], len(q) * q.shape[1]):
            result[:, rows] = _logits(q[:, rows], r, mask).logsumexp(-1)
        ctx.save_for_backward(q, r, result)
        ctx.mask = mask
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        q, r, result = ctx.saved_tensors
        (gradient,) = gradients
        for_q, for_r = torch.empty_like(q), torch.zeros_like(r)
        for rows in row_blocks(q.shape[1], len(q) * q.shape[1]):
            weights = (_logits(q[:, rows], r, ctx.mask) - result[:, rows, None]).exp()
            weights = weights * gradient[:, rows, None]
            for_q[:, rows] = weights @ r
            for_r += weights.transpose(-1, -2) @ q[:, rows]
        return for_q, for_r, None


def _logits(q: Tensor, r: Tensor, mask: Tensor | None) -> Tensor:
    logits = q @ r.transpose(-1, -2)
    return logits if mask is None else logits.masked_fill(~mask[..., None, :], NEVER)


def _pick(mask: Tensor, columns: Tensor) -> Tensor:
    """Whether the nodes named by columns (b, n, k) are real ones."""
    return mask.gather(1, columns.flatten(1)).view_as(columns)


def _top_edges(columns: Tensor, weights: Tensor, k: int) -> TopEdges:
    none = weights <= 0
    pad = (0, k - columns.shape[-1])
    columns = F.pad(columns.masked_fill(none, -1), pad, value=-1)
    weights = F.pad(weights.masked_fill(none, 0.0), pad)
    return TopEdges(columns, weights, weights.sum(-1))


def _run_means(x: Tensor, run: int) -> Tensor:
    """Means of equal runs of rows, the last run perhaps shorter: (n, d) to (n_runs, d)."""
    n_runs, at_once = -(-len(x) // run), max(1, LONG_STEPS // run) * run
    if torch.is_grad_enabled() or len(x) <= at_once:
        sums = F.pad(x, (0, 0, 0, n_runs * run - len(x))).view(n_runs, run, -1).sum(1)
        return sums / _run_sizes(x, run)
    return torch.cat([_run_means(x[at], run) for at in pieces(len(x), at_once)])


def _product(x: Tensor, y: Tensor) -> Tensor:
    """x^T y, (d, width)."""
    if torch.is_grad_enabled() or len(x) <= LONG_STEPS:
        return x.T @ y
    total = x.new_zeros(x.shape[1], y.shape[1])
    for at in pieces(len(x), LONG_STEPS):
        total.addmm_(x[at].T, y[at])
    return total


def _run_sizes(x: Tensor, run: int) -> Tensor:
    """Rows of each run, (n_runs, 1) in the type of `x`."""
    first = torch.arange(0, len(x), run, device=x.device)
    return (len(x) - first).clamp(max=run).to(x.dtype)[:, None]
