"""Spatial graphs over real objects only: what is written down slot by slot, values and gradients alike."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from videograph.spatial import Slots, object_edges, pool, pool_evenly

B, T, N, D = 2, 9, 4, 5


def random_slots(seed: int = 0) -> Slots:
    """Steps with none, one (in any slot), some and all of their objects."""
    mask = torch.rand(B, T, N, generator=torch.Generator().manual_seed(seed)) > 0.5
    mask[0, 0], mask[0, 1], mask[1, 2] = False, True, torch.tensor([False, False, True, False])
    return Slots.of(mask)


def random_rows(slots: Slots, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(len(slots.rows), D, dtype=torch.float64, generator=generator)
    return rows.requires_grad_()


def slot_by_slot(slots: Slots, rows: Tensor) -> Tensor:
    """(B, T, N, D), by the definition of a mask."""
    return rows.new_zeros(B, T, N, rows.shape[-1]).masked_scatter(slots.mask[..., None], rows)


def unit(x: Tensor) -> Tensor:
    return x / x.norm(dim=-1, keepdim=True).clamp(min=1e-9)


def written_down(q: Tensor, r: Tensor, scale: Tensor, slots: Slots) -> Tensor:
    """A by Eq. 4, (B, T, N, N)."""
    cosines = unit(slot_by_slot(slots, q)) @ unit(slot_by_slot(slots, r)).transpose(-1, -2)
    logits = (scale * cosines).masked_fill(~slots.mask[..., None, :], -1e9)
    pairs = slots.mask[..., None] & slots.mask[..., None, :]
    return logits.softmax(-1) * pairs


def assert_same(value: Tensor, expected: Tensor, inputs: list[Tensor]) -> None:
    torch.testing.assert_close(value, expected)
    weights = torch.randn(value.shape, generator=torch.Generator().manual_seed(7)).to(value.dtype)
    got, wanted = (
        torch.autograd.grad((x * weights).sum(), inputs, retain_graph=True)
        for x in (value, expected)
    )
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other)


@pytest.fixture
def scale() -> Tensor:
    return torch.tensor(10.0, dtype=torch.float64, requires_grad=True)


def test_edges_are_those_of_every_frames_matrix(scale: Tensor) -> None:
    slots = random_slots()
    q, r = random_rows(slots, 1), random_rows(slots, 2)
    edges, a = object_edges(q, r, scale, slots), written_down(q, r, scale, slots)
    assert_same(edges.dense(), a, [q, r, scale])
    entropy = -(a * a.clamp(min=1e-300).log()).sum(-1)
    assert_same(edges.entropy(), entropy, [q, r, scale])
    assert torch.equal(edges.n_valid, slots.mask.sum(-1))


def test_what_is_heard_is_the_matrix_times_the_values(scale: Tensor) -> None:
    slots = random_slots()
    q, r, values = (random_rows(slots, seed) for seed in (1, 2, 3))
    heard = slot_by_slot(slots, object_edges(q, r, scale, slots).aggregate(values))
    expected = written_down(q, r, scale, slots) @ slot_by_slot(slots, values)
    assert_same(heard, expected, [q, r, scale, values])


def test_squared_affinity_is_the_mean_over_pairs(scale: Tensor) -> None:
    slots = random_slots()
    q, r = random_rows(slots, 1), random_rows(slots, 2)
    cosines = unit(slot_by_slot(slots, q)) @ unit(slot_by_slot(slots, r)).transpose(-1, -2)
    n = slots.mask.sum(-1).clamp(min=1)
    expected = (cosines**2).sum((-1, -2)) / n**2
    assert_same(object_edges(q, r, scale, slots).squared_affinity(), expected, [q, r])


def test_pooling_weighs_by_the_frame(scale: Tensor) -> None:
    slots = random_slots()
    x = random_rows(slots, 1)
    asked = torch.randn(B, T, D, dtype=torch.float64, requires_grad=True)
    pooled, shares = pool(asked, x, scale, slots)
    objects = slot_by_slot(slots, x)
    cosines = (unit(objects) * unit(asked)[..., None, :]).sum(-1)
    logits = (scale * cosines).masked_fill(~slots.mask, -1e9)
    expected = logits.softmax(-1) * slots.mask
    assert_same(pooled, (expected[..., None] * objects).sum(-2), [asked, x, scale])
    torch.testing.assert_close(shares, expected.detach())


def test_pooling_evenly_is_the_mean() -> None:
    slots = random_slots()
    x = random_rows(slots, 1)
    pooled, shares = pool_evenly(x, slots)
    n = slots.mask.sum(-1, keepdim=True).clamp(min=1)
    assert_same(pooled, slot_by_slot(slots, x).sum(-2) / n, [x])
    torch.testing.assert_close(shares, (slots.mask / n).double())


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_no_objects_and_full_slots(share: float, scale: Tensor) -> None:
    slots = Slots.of(torch.full((B, T, N), share > 0))
    x = random_rows(slots, 1)
    edges = object_edges(x, x, scale, slots)
    assert edges.aggregate(x).shape == x.shape
    pooled, _ = pool(torch.ones(B, T, D, dtype=torch.float64), x, scale, slots)
    assert torch.isfinite(pooled).all() and (share > 0 or (pooled == 0).all())


def test_alike_objects_are_heard_alike(scale: Tensor) -> None:
    slots = Slots.of(torch.ones(B, T, N, dtype=torch.bool))
    x = torch.ones(len(slots.rows), D, dtype=torch.float64)
    entropy = object_edges(x, x, scale, slots).entropy()
    torch.testing.assert_close(entropy, torch.full_like(entropy, math.log(N)))
