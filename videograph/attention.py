"""Attention with its gradient written out: what nodes hear, and how widely they listen, in one pass.

A graph's regulariser needs the same softmax that its convolution runs over. Here each entry of it is
computed once for both, in blocks of rows, so that no more than a block is held whatever the length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from videograph.spill import empty, pieces

BLOCK_ENTRIES = 1 << 18
"""Entries held at a time where all must be seen one by one: 1 MB in float32."""
KEPT_ENTRIES = 1 << 21
"""Entries that may be kept for the backward pass, 8 MB in float32: about 1,450 steps. More are computed
anew there, so that memory stays linear in the number of nodes."""
HOT_ENTRIES = 1 << 17
"""Of those that are kept, entries worked on at a time on a processor: 512 KB, which stay in its cache from
the logits to what is heard."""
LONG_STEPS, STEPS_AT_A_TIME = 4_096, 1_024
"""A video of more steps is worked on some steps at a time where no gradient is wanted."""
NEVER = -1e9
"""Logit of an edge that does not exist; finite, so that a row without edges has finite gradients."""


def attend_and_tell(
    q: Tensor, r: Tensor, values: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    """P @ values, (b, n, width), and the entropy of each row of P in nats, (b, n); P = softmax(q r^T).

    Args:
        q: scale folded in, (b, n, d).
        r: (b, m, d).
        values: (b, m, width).
        mask: real columns, (b, 1 or n, m), or None where all are; a row without any is an average.
    """
    return _Attend.apply(q, r, values, mask)  # pyright: ignore[reportReturnType]


def unit(x: Tensor) -> Tensor:
    """Rows of length 1; a row of zeros stays one."""
    return _Unit.apply(x) if x.requires_grad else _unit(x)[0]  # pyright: ignore[reportReturnType]


def row_blocks(n_rows: int, entries_per_row: int, most: int | None = None) -> Iterator[slice]:
    """Slices of rows that hold at most `most` entries, `BLOCK_ENTRIES` by default."""
    step = max(1, (BLOCK_ENTRIES if most is None else most) // max(1, entries_per_row))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def by_steps(n_steps: int, make: Callable[[slice], Tensor]) -> Tensor:
    """What `make` makes of all steps, (b, n_steps, ...): of single steps, whatever is beside them.

    Of a long video without gradients, some steps at a time, and on the processor the result lies on disk
    where it is large (see `spill`).
    """
    if torch.is_grad_enabled() or n_steps <= LONG_STEPS:
        return make(slice(None))
    result = None
    for at in pieces(n_steps, STEPS_AT_A_TIME):
        part = make(at)
        if result is None:
            result = long_empty(part, part.shape[0], n_steps, *part.shape[2:])
        result[:, at] = part
    assert result is not None
    return result


def long_empty(like: Tensor, *shape: int) -> Tensor:
    """A tensor to be filled, of another's kind and place; a large one on the processor lies on disk."""
    if like.device.type != "cpu":
        return like.new_empty(shape)
    return torch.from_numpy(empty(shape, like.new_empty(0).numpy().dtype))


class _Attend(torch.autograd.Function):
    """With l the logits, P their softmax, g and h the gradients of what is heard and of the entropy H:

    dl_ij = P_ij (g_i . v_j - g_i . heard_i - h_i (log P_ij + H_i))
    """

    @staticmethod
    def forward(
        ctx: Any, q: Tensor, r: Tensor, values: Tensor, mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        entries = len(q) * r.shape[1]
        keeps = any(ctx.needs_input_grad) and entries * q.shape[1] <= KEPT_ENTRIES
        kept = [q.new_empty(*q.shape[:2], r.shape[1]) for _ in range(2 * keeps)]
        ctx.kept = tuple(kept)
        heard = q.new_empty(*q.shape[:2], values.shape[-1])  # in place: pieces scatter the heap
        partition, entropy = q.new_empty(q.shape[:2]), q.new_empty(q.shape[:2])
        for rows in row_blocks(q.shape[1], entries, _at_once(q) if keeps else None):
            logits, shares = _softmax(
                q[:, rows], r, _rows_of(mask, rows), tuple(x[:, rows] for x in kept)
            )
            partition[:, rows], entropy[:, rows] = _told(logits, shares)
            heard[:, rows] = shares @ values
        ctx.save_for_backward(q, r, values, mask, heard, entropy - partition)
        ctx.set_materialize_grads(False)
        return heard, entropy

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        q, r, values, mask, heard, level = ctx.saved_tensors
        g, h = gradients
        if g is None and h is None:
            return None, None, None, None
        for_q, for_r = torch.empty_like(q), torch.zeros_like(r)
        hears = g is not None and ctx.needs_input_grad[2]
        for_values = torch.zeros_like(values) if hears else None
        entries = len(q) * r.shape[1]
        for rows in row_blocks(q.shape[1], entries, _at_once(q) if ctx.kept else None):
            if ctx.kept:
                logits, shares = (x[:, rows] for x in ctx.kept)
            else:
                logits, shares = _softmax(q[:, rows], r, _rows_of(mask, rows))
            part = None if g is None else g[:, rows]
            said = None if h is None else h[:, rows, None]
            slope = _slope(part, said, values, logits, heard[:, rows], level[:, rows, None])
            slope *= shares
            for_q[:, rows] = slope @ r
            for_r += slope.transpose(1, 2) @ q[:, rows]
            if for_values is not None and part is not None:
                for_values += shares.transpose(1, 2) @ part
        return for_q, for_r, for_values, None


def _slope(
    g: Tensor | None, h: Tensor | None, values: Tensor, logits: Tensor, heard: Tensor, level: Tensor
) -> Tensor:
    """dl / P of `_Attend`, (b, rows, m); level is H less the logsumexp, so that log P + H = l + level."""
    if g is None:
        assert h is not None
        return (logits + level) * -h
    if h is None:
        return (g @ values.transpose(1, 2)).sub_(_row_dot(g, heard)[..., None])
    slope = (g @ values.transpose(1, 2)).addcmul_(logits, -h)  # baddbmm is 3 times as slow here
    return slope.sub_(_row_dot(g, heard)[..., None] + h * level)


def _softmax(
    q: Tensor, r: Tensor, mask: Tensor | None, into: tuple[Tensor, ...] = ()
) -> tuple[Tensor, Tensor]:
    """Logits and shares, (b, rows, m), in the two tensors `into`, or in new ones."""
    logits, shares = into or (None, None)
    logits = torch.bmm(q, r.transpose(1, 2), out=logits)
    if mask is not None:
        logits.masked_fill_(~mask, NEVER)
    return logits, torch.softmax(logits, -1, out=shares)


def _at_once(q: Tensor) -> int:
    return KEPT_ENTRIES if q.is_cuda else HOT_ENTRIES


def _told(logits: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
    """Logsumexp and entropy of each row, without another exponential: the largest share is known."""
    partition = logits.amax(-1) - shares.amax(-1).log()
    return partition, partition - _row_dot(shares, logits)


def _rows_of(mask: Tensor | None, rows: slice) -> Tensor | None:
    return mask if mask is None or mask.shape[1] == 1 else mask[:, rows]


def _row_dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(-1)


class _Unit(torch.autograd.Function):
    """x / |x| by rows: its gradient is what is left of g across the row, over |x|."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y, share = _unit(x)
        ctx.save_for_backward(y, share)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (g,) = gradients
        y, share = ctx.saved_tensors
        return torch.addcmul(g, y, _row_dot(g, y)[..., None], value=-1).mul_(share)


def _unit(x: Tensor) -> tuple[Tensor, Tensor]:
    share = 1 / torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp(min=1e-6)
    return x * share, share
