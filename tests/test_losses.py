"""Losses against their equations written out, and against the traps they avoid."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from videograph import losses
from videograph.errors import UsageError
from videograph.graph import Edges, unit
from videograph.losses import LossWeights, Target

MASK = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])


@dataclass
class Said:
    """An outcome made by hand."""

    logits: Tensor
    features: Tensor
    frame_mask: Tensor = field(default_factory=lambda: MASK)
    temporal: tuple[Edges, ...] = ()
    spatial: tuple[Edges, ...] = ()
    concepts: Tensor | None = None

    @property
    def scores(self) -> Tensor:
        return self.logits.sigmoid() * self.frame_mask

    def reconstruct(self) -> Tensor:
        return torch.zeros_like(self.features)


def said(seed: int = 0) -> Said:
    torch.manual_seed(seed)
    return Said(torch.randn(2, 6, requires_grad=True), unit(torch.randn(2, 6, 5)) * MASK[..., None])


def edges(*shape: int, mask: Tensor | None = None, scale: float = 10.0) -> Edges:
    q, r = (unit(torch.randn(*shape, 8)).requires_grad_() for _ in range(2))
    return Edges(q, r, torch.tensor(scale), mask)


def test_keyframe_loss_is_equation_11() -> None:
    output, y = said(), (torch.rand(2, 6) > 0.5).float()
    p, videos = output.logits.sigmoid(), []
    for b, n in enumerate((6, 4)):
        omega = torch.where(y[b, :n] == 1, 0.5 / 0.2, 0.5 / 0.8)
        likely = y[b, :n] * p[b, :n].log() + (1 - y[b, :n]) * (1 - p[b, :n]).log()
        videos.append(-(omega * likely).mean())
    expected = torch.stack(videos).mean()
    torch.testing.assert_close(losses.keyframe_loss(output.logits, y, MASK, 0.2), expected)


def test_balanced_classes_weigh_the_same() -> None:
    """15 key frames in 100 pull as hard as the 85 others."""
    logits = torch.zeros(1, 100, requires_grad=True)
    y = (torch.arange(100) < 15).float()[None]
    losses.keyframe_loss(logits, y, torch.ones(1, 100, dtype=torch.bool), 0.15).backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad[y == 1].sum(), -logits.grad[y == 0].sum())


def test_soft_targets_are_best_met_by_their_own_value() -> None:
    target = torch.full((1, 4), 0.3)
    logits = torch.full((1, 4), math.log(0.3 / 0.7), requires_grad=True)
    losses.keyframe_loss(logits, target, torch.ones(1, 4, dtype=torch.bool)).backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, torch.zeros(1, 4), atol=1e-7, rtol=0)


def test_importance_loss_leaves_padding_out() -> None:
    scores, target = torch.rand(2, 6), torch.rand(2, 6)
    expected = ((scores - target)[0].square().mean() + (scores - target)[1, :4].square().mean()) / 2
    torch.testing.assert_close(losses.importance_loss(scores, target, MASK), expected)


def test_ranking_loss_wants_the_order_of_the_ratings() -> None:
    target = torch.rand(1, 50)
    mask = torch.ones(1, 50, dtype=torch.bool)
    right = losses.ranking_loss(10 * target, target, mask)
    wrong = losses.ranking_loss(-10 * target, target, mask)
    assert right < 0.5 < wrong
    constant = losses.ranking_loss(target, torch.ones(1, 50), mask)
    assert constant == 0


def test_entropy_regulariser_lies_between_one_hot_and_average() -> None:
    torch.manual_seed(0)
    n = 20
    uniform = Edges(torch.zeros(1, n, 4), torch.zeros(1, n, 4), torch.tensor(1.0))
    torch.testing.assert_close(losses.entropy_regulariser(uniform), torch.ones(1))
    torch.testing.assert_close(losses.effective_degree(uniform), torch.tensor([float(n)]))
    one_hot = Edges(torch.eye(n)[None], torch.eye(n)[None], torch.tensor(100.0))
    torch.testing.assert_close(losses.entropy_regulariser(one_hot), torch.zeros(1))
    torch.testing.assert_close(losses.effective_degree(one_hot), torch.ones(1))
    single = edges(1, 1)
    assert losses.entropy_regulariser(single) == 0


@pytest.mark.parametrize("measure", [losses.entropy_regulariser, losses.affinity_regulariser])
@pytest.mark.parametrize("n", [6, 100])
def test_the_regulariser_is_not_constant(measure: object, n: int) -> None:
    graph = edges(1, n)
    for gradient in torch.autograd.grad(measure(graph).mean(), [graph.q, graph.r]):  # pyright: ignore
        assert gradient.norm() > 1e-4


def test_l1_on_a_softmax_is_constant() -> None:
    """The trap: it looks like a sparsity penalty and has no gradient."""
    graph = edges(1, 6)
    for gradient in torch.autograd.grad(graph.dense().abs().sum(), [graph.q, graph.r]):
        torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-5, rtol=0)


def test_structure_loss_is_the_mean_over_recursions() -> None:
    objects = torch.rand(2, 6, 3) > 0.4
    objects[0, 0] = False  # a step without objects has no graph
    objects &= MASK[..., None]
    output = said()
    output.temporal = (edges(2, 6, mask=MASK), edges(2, 6, mask=MASK))
    output.spatial = (edges(2, 6, 3, mask=objects), edges(2, 6, 3, mask=objects))
    expected = []
    for temporal, spatial in zip(output.temporal, output.spatial, strict=True):
        among_objects = losses.entropy_regulariser(spatial)
        real = objects.any(-1)
        steps = torch.stack([among_objects[b][real[b]].mean() for b in range(2)])
        expected.append(losses.entropy_regulariser(temporal).mean() + steps.mean())
    torch.testing.assert_close(losses.structure_loss(output), torch.stack(expected).mean())
    assert losses.structure_loss(said()) == 0  # no recursion


def test_diversity_loss_is_the_weighed_mean_cosine() -> None:
    output = said()
    p, x, videos = output.scores, output.features, []
    for b in range(2):
        pairs = p[b, :, None] * p[b] * (1 - torch.eye(6))
        videos.append((pairs * (x[b] @ x[b].T)).sum() / (pairs.sum() + 1e-6))
    torch.testing.assert_close(losses.diversity_loss(x, p), torch.stack(videos).mean())


def test_length_loss_is_zero_at_the_share() -> None:
    scores = torch.full((2, 6), 0.15) * MASK
    assert losses.length_loss(scores, MASK, 0.15) < 1e-12
    torch.testing.assert_close(losses.length_loss(scores, MASK, 0.5), torch.tensor(0.35**2))


def test_totals_are_the_weighed_sums_of_their_parts() -> None:
    output = said()
    output.temporal = (edges(2, 6, mask=MASK),)
    target = Target((torch.rand(2, 6) > 0.8).float(), torch.rand(2, 6), 0.2)
    weights = LossWeights(keyframes=1, importance=2, ranking=0.5, structure=0.1, diversity=0.2)
    total, parts = losses.supervised_loss(output, target, weights)
    assert list(parts) == ["keyframes", "importance", "ranking", "structure", "diversity"]
    expected = sum(getattr(weights, name) * part for name, part in parts.items())
    torch.testing.assert_close(total, expected)
    total, parts = losses.unsupervised_loss(output)
    assert list(parts) == ["structure", "reconstruction", "diversity", "length"]
    torch.testing.assert_close(parts["reconstruction"], torch.tensor(1.0))  # unit rows against 0
    assert losses.supervised_loss(output, target)[1].keys() == {"keyframes", "structure"}
    _, mixed = losses.total_loss(output, target, LossWeights(keyframes=1, length=1))
    assert mixed.keys() == {"keyframes", "structure", "length"}


def test_missing_labels_are_named() -> None:
    with pytest.raises(UsageError, match="the labels hold no keyframes"):
        losses.supervised_loss(said(), Target(importance=torch.rand(2, 6)))
    with pytest.raises(UsageError, match="the labels hold no importance"):
        losses.total_loss(said(), Target(torch.rand(2, 6)), LossWeights(ranking=1))


def test_an_unknown_regulariser_is_refused() -> None:
    with pytest.raises(UsageError, match=r'regulariser is "l1". Allowed: "entropy", "affinity"'):
        LossWeights(regulariser="l1")


def test_spread_tells_a_collapse() -> None:
    output = Said(torch.zeros(2, 6), torch.zeros(2, 6, 5))
    assert (losses.spread(output) < losses.COLLAPSED_SPREAD).all()
    assert (losses.spread(said()) > losses.COLLAPSED_SPREAD).all()


def test_degrees_tell_one_hot_from_average() -> None:
    output = said()
    uniform = Edges(torch.zeros(2, 6, 3, 8), torch.zeros(2, 6, 3, 8), torch.tensor(1.0))
    one_hot = Edges(torch.eye(6).repeat(2, 1, 1), torch.eye(6).repeat(2, 1, 1), torch.tensor(100.0))
    output.temporal, output.spatial = (one_hot, one_hot), (uniform,)
    found = losses.mean_degrees(output)
    assert found["degree"] == pytest.approx(1) and found["object_degree"] == pytest.approx(3)
    assert losses.mean_degrees(said()) == {}
