"""Spatial graphs over real objects only: what is written down slot by slot, values and gradients alike."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from videograph.spatial import BLOCK, Slots, object_edges, pool, pool_evenly

B, T, N, D = 2, 9, 4, 5


def random_slots(seed: int = 0) -> Slots:
    """Steps with none, one (in any slot), some and all of their objects."""
    mask = torch.rand(B, T, N, generator=torch.Generator().manual_seed(seed)) > 0.5
    mask[0, 0], mask[0, 1], mask[1, 2] = False, True, torch.tensor([False, False, True, False])
    return Slots.of(mask)


def random_rows(slots: Slots, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(len(slots.places), D, dtype=torch.float64, generator=generator)
    return rows.requires_grad_()


def slot_by_slot(slots: Slots, rows: Tensor) -> Tensor:
    """(B, T, N, D), by the definition of a mask."""
    found = rows.index_select(0, slots.real)
    return rows.new_zeros(*slots.mask.shape, rows.shape[-1]).masked_scatter(
        slots.mask[..., None], found
    )


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
    recursions = [random_rows(slots, 1), random_rows(slots, 2)]
    asked = torch.randn(B, T, D, dtype=torch.float64, requires_grad=True)
    pooled, shares = pool(asked, recursions, scale, slots)
    expected = torch.zeros(0)
    for x, found in zip(recursions, pooled, strict=True):
        objects = slot_by_slot(slots, x)
        cosines = (unit(objects) * unit(asked)[..., None, :]).sum(-1)
        logits = (scale * cosines).masked_fill(~slots.mask, -1e9)
        expected = logits.softmax(-1) * slots.mask
        assert_same(found, (expected[..., None] * objects).sum(-2), [asked, x, scale])
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
    (pooled,), _ = pool(torch.ones(B, T, D, dtype=torch.float64), [x], scale, slots)
    assert torch.isfinite(pooled).all() and (share > 0 or (pooled == 0).all())


def test_alike_objects_are_heard_alike(scale: Tensor) -> None:
    slots = Slots.of(torch.ones(B, T, N, dtype=torch.bool))
    x = torch.ones(len(slots.places), D, dtype=torch.float64)
    entropy = object_edges(x, x, scale, slots).entropy()
    torch.testing.assert_close(entropy, torch.full_like(entropy, math.log(N)))


def test_a_frame_lies_in_one_block_and_every_object_in_one_row() -> None:
    for n_slots in (1, 3, 7, 40):  # more slots than a block has rows make wider blocks
        mask = torch.rand(3, 50, n_slots, generator=torch.Generator().manual_seed(n_slots)) > 0.4
        slots = Slots.of(mask)
        assert len(slots.places) == sum(slots.per_video) and slots.block == max(BLOCK, n_slots)
        assert torch.equal(slots.places[slots.real], mask.flatten().nonzero().squeeze(-1))
        for steps, blocks in _by_step(slots):
            assert len(set(blocks.tolist())) == 1, steps
        ends = torch.tensor(slots.per_video).cumsum(0)
        videos = torch.bucketize(slots.real, ends, right=True)
        assert torch.equal(videos, slots.real_steps // mask.shape[1])


def _by_step(slots: Slots) -> list[tuple[int, Tensor]]:
    steps = slots.real_steps
    return [(int(s), slots.real[steps == s] // slots.block) for s in steps.unique()]


def test_rows_that_are_left_over_tell_nobody_anything(scale: Tensor) -> None:
    slots = random_slots()
    q, r, values = (random_rows(slots, seed) for seed in (1, 2, 3))
    edges = object_edges(q, r, scale, slots)
    heard = edges.aggregate(values).index_select(0, slots.real)
    (pooled,), _ = pool(torch.ones(B, T, D, dtype=torch.float64), [values], scale, slots)
    total = heard.sum() + edges.entropy().sum() + edges.squared_affinity().sum() + pooled.sum()
    left = torch.ones(len(values), dtype=torch.bool).index_fill(0, slots.real, False)
    assert left.any()
    for found in torch.autograd.grad(total, [q, r, values]):
        assert (found[left] == 0).all() and (found[~left] != 0).any()
