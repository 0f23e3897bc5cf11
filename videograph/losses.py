"""What training wants: a function for each equation of docs/method.md, section 7.

Means run over real steps of a video, then over videos, so that a long video does not outvote a short
one. Letters: B videos, T steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from videograph.errors import UsageError
from videograph.graph import Edges, SparseEdges
from videograph.spatial import ObjectEdges

REGULARISERS = ("entropy", "affinity", "none")
"""Allowed values of `LossWeights.regulariser`."""
COLLAPSED_SPREAD = 0.01
"""Spread of a video's scores below which training without labels has settled on a constant."""


class Outcome(Protocol):
    """What a loss reads of `model.Output`."""

    @property
    def logits(self) -> Tensor:
        """Before the sigmoid, (B, T)."""
        ...

    @property
    def scores(self) -> Tensor:
        """p, (B, T)."""
        ...

    @property
    def concepts(self) -> Tensor | None:
        """Whether a step shows what a word names, before the sigmoid, (B, T, M)."""
        ...

    @property
    def features(self) -> Tensor:
        """phi~, input features with rows of length 1, (B, T, dim)."""
        ...

    @property
    def frame_mask(self) -> Tensor:
        """True for real steps, (B, T)."""
        ...

    @property
    def temporal(self) -> Sequence[Edges | SparseEdges]:
        """Temporal graph of each recursion."""
        ...

    @property
    def spatial(self) -> Sequence[Edges | ObjectEdges]:
        """Spatial graphs of each recursion."""
        ...

    def reconstruct(self) -> Tensor:
        """Features of each frame as its neighbours tell them, (B, T, dim)."""
        ...


@dataclass(frozen=True)
class Target:
    """What people said of a batch of videos; whatever a loss does not need may be missing."""

    keyframes: Tensor | None = None
    """1 for key frames, 0 for others, (B, T) float32."""
    importance: Tensor | None = None
    """Mean rating, (B, T) float32 in [0, 1]."""
    concepts: Tensor | None = None
    """1 where a step shows a concept of the query, (B, T, M) float32."""
    keyframe_share: float = 0.15
    """Share of key frames over the training videos: balances the classes of Eq. 11."""


@dataclass(frozen=True)
class LossWeights:
    """How much each part counts; a part of weight 0 is not computed."""

    keyframes: float = 0.0
    """Eq. 11."""
    soft_targets: bool = False
    """True puts the mean rating in the place of 0 and 1 in Eq. 11, without balancing."""
    importance: float = 0.0
    """Squared error to the mean rating (ours)."""
    ranking: float = 0.0
    """Order of pairs of steps (ours): what a rank correlation measures."""
    concepts: float = 0.0
    """eta: which of a query's concepts each step shows (section 9)."""
    structure: float = 0.01
    """beta: graph-structure regularisation, Eq. 12 or 13."""
    regulariser: str = "entropy"
    """"entropy" (Eq. 12), "affinity" (Eq. 13) or "none"."""
    reconstruction: float = 0.0
    """alpha_s of Eq. 17; 1 in Eq. 18."""
    diversity: float = 0.0
    """gamma_s of Eq. 17, gamma of Eq. 18."""
    length: float = 0.0
    """delta of Eq. 18."""
    length_share: float = 0.15
    """sigma: share of the video that scores should add up to."""

    def __post_init__(self) -> None:
        if self.regulariser not in REGULARISERS:
            known = ", ".join(f'"{name}"' for name in REGULARISERS)
            raise UsageError(f'regulariser is "{self.regulariser}". Allowed: {known}.')


SUPERVISED = LossWeights(keyframes=1.0)
"""Eq. 17 with its defaults."""
UNSUPERVISED = LossWeights(reconstruction=1.0, diversity=0.5, length=1.0)
"""Eq. 18 with its defaults."""


def keyframe_loss(
    logits: Tensor, target: Tensor, mask: Tensor, keyframe_share: float | None = None
) -> Tensor:
    """Eq. 11: cross entropy, both classes weighing the same over the training videos.

    Args:
        logits: (B, T).
        target: 0 or 1, or anything between, (B, T).
        mask: true for real steps, (B, T).
        keyframe_share: share of ones over the training videos; None weighs all steps alike.
    """
    losses = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    if keyframe_share is not None:
        share = min(max(keyframe_share, 1e-3), 1 - 1e-3)
        losses = losses * (target * 0.5 / share + (1 - target) * 0.5 / (1 - share))
    return _mean(losses, mask)


def importance_loss(scores: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Squared error to the mean rating, both (B, T) in [0, 1] (ours)."""
    return _mean((scores - target) ** 2, mask)


def concept_loss(logits: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Cross entropy of the concepts of a query, mean over concepts, then steps; both (B, T, M)."""
    losses = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return _mean(losses.mean(-1), mask)


def ranking_loss(logits: Tensor, target: Tensor, mask: Tensor, n_lags: int = 16) -> Tensor:
    """Pairs of steps in the wrong order, weighed by how far apart people rated them (ours).

    Each step meets `n_lags` others, drawn anew each time, so memory stays linear in T.
    """
    n = logits.shape[1]
    lags = torch.randint(1, max(2, n), (n_lags, 1), device=logits.device)
    other = (torch.arange(n, device=logits.device) - lags) % n  # (n_lags, T)
    gap = (target[:, None] - target[:, other]) * (mask[:, None] & mask[:, other])
    wrong = F.softplus(-gap.sign() * (logits[:, None] - logits[:, other]))
    weight = gap.abs()
    return ((weight * wrong).sum((1, 2)) / weight.sum((1, 2)).clamp(min=1e-6)).mean()


def entropy_regulariser(edges: Edges | SparseEdges | ObjectEdges) -> Tensor:
    """Eq. 12: mean row entropy as a share of its maximum, in [0, 1]; (...), one for each graph.

    Not the sum of |A_ij|: a row of a softmax adds up to 1 whatever the weights, so that has no gradient.
    """
    n = edges.n_valid.to(edges.q.dtype)
    most = n.clamp(min=2).log() * n.clamp(min=1)
    return edges.entropy().sum(-1) / most * (n > 1)


def affinity_regulariser(edges: Edges | SparseEdges | ObjectEdges) -> Tensor:
    """Eq. 13: mean squared affinity before the softmax; (...), one for each graph."""
    return edges.squared_affinity()


def structure_loss(output: Outcome, regulariser: str = "entropy") -> Tensor:
    """L_reg: the regulariser of all temporal graphs, and of all spatial graphs that have an object."""
    measure = entropy_regulariser if regulariser == "entropy" else affinity_regulariser
    total = output.logits.new_zeros(())
    for edges in output.temporal:
        total = total + measure(edges).mean()
    for edges in output.spatial:
        total = total + _mean(measure(edges), (edges.n_valid > 0) & output.frame_mask)
    return total / max(1, len(output.temporal))


def reconstruction_loss(features: Tensor, reconstructed: Tensor, mask: Tensor) -> Tensor:
    """Eq. 14: squared distance between a frame's features and what its neighbours tell of it.

    Args:
        features: rows of length 1, (B, T, dim).
        reconstructed: `Output.reconstruct()`, (B, T, dim).
        mask: (B, T).
    """
    return _mean(((features - reconstructed) ** 2).sum(-1), mask)


def diversity_loss(features: Tensor, scores: Tensor, eps: float = 1e-6) -> Tensor:
    """Eq. 15: mean cosine over pairs of frames, weighed by their scores, in O(T).

    It reads input features, which training cannot turn to please it.
    """
    own = (scores**2).sum(1)
    told = (scores**2 * (features**2).sum(-1)).sum(1)
    together = ((scores[..., None] * features).sum(1) ** 2).sum(-1)
    return ((together - told) / (scores.sum(1) ** 2 - own + eps)).mean()


def length_loss(scores: Tensor, mask: Tensor, share: float = 0.15) -> Tensor:
    """Eq. 16: scores should add up to a share of the video."""
    return ((_means(scores, mask) - share) ** 2).mean()


def supervised_loss(
    output: Outcome, target: Target, weights: LossWeights = SUPERVISED
) -> tuple[Tensor, dict[str, Tensor]]:
    """Eq. 17: the total, and its parts by name before weighing."""
    return total_loss(output, target, weights)


def unsupervised_loss(
    output: Outcome, weights: LossWeights = UNSUPERVISED
) -> tuple[Tensor, dict[str, Tensor]]:
    """Eq. 18: the total, and its parts by name before weighing."""
    return total_loss(output, None, weights)


def total_loss(
    output: Outcome, target: Target | None, weights: LossWeights
) -> tuple[Tensor, dict[str, Tensor]]:
    """Any mixture: parts that need people's word are left out where `target` is None.

    Returns:
        The weighed sum, and the parts by name (the fields of `LossWeights`) before weighing.
    """
    parts = {} if target is None else _told_parts(output, target, weights)
    if weights.structure and weights.regulariser != "none":
        parts["structure"] = structure_loss(output, weights.regulariser)
    if weights.reconstruction:
        parts["reconstruction"] = reconstruction_loss(
            output.features, output.reconstruct(), output.frame_mask
        )
    if weights.diversity:
        parts["diversity"] = diversity_loss(output.features, output.scores)
    if weights.length:
        parts["length"] = length_loss(output.scores, output.frame_mask, weights.length_share)
    total = output.logits.new_zeros(())
    for name, part in parts.items():
        total = total + getattr(weights, name) * part
    return total, parts


def _told_parts(output: Outcome, target: Target, weights: LossWeights) -> dict[str, Tensor]:
    mask, parts = output.frame_mask, {}
    if weights.keyframes and weights.soft_targets:
        parts["keyframes"] = keyframe_loss(output.logits, _given(target, "importance"), mask)
    elif weights.keyframes:
        wanted, share = _given(target, "keyframes"), target.keyframe_share
        parts["keyframes"] = keyframe_loss(output.logits, wanted, mask, share)
    if weights.importance:
        parts["importance"] = importance_loss(output.scores, _given(target, "importance"), mask)
    if weights.concepts:
        if output.concepts is None:
            raise UsageError("the model finds no concepts. Build it with concept_head = true.")
        parts["concepts"] = concept_loss(output.concepts, _given(target, "concepts"), mask)
    if weights.ranking:
        parts["ranking"] = ranking_loss(output.logits, _given(target, "importance"), mask)
    return parts


def _given(target: Target, name: str) -> Tensor:
    value = getattr(target, name)
    if value is None:
        raise UsageError(f"the labels hold no {name}, which the chosen loss needs. Choose another.")
    return value


@torch.no_grad()
def spread(output: Outcome) -> Tensor:
    """Standard deviation of each video's scores, (B,); below `COLLAPSED_SPREAD` they say nothing."""
    mean = _means(output.scores, output.frame_mask)
    return _means((output.scores - mean[:, None]) ** 2, output.frame_mask).sqrt()


@torch.no_grad()
def effective_degree(edges: Edges | SparseEdges | ObjectEdges) -> Tensor:
    """Mean exp(H) over the real nodes of each graph: 1 = each listens to one, n = to all alike."""
    degrees = edges.entropy().exp()
    real = torch.ones_like(degrees) if edges.mask is None else edges.mask
    return (degrees * real).sum(-1) / edges.n_valid.clamp(min=1)


@torch.no_grad()
def mean_degrees(output: Outcome) -> dict[str, float]:
    """`effective_degree` over recursions and videos: of frames ("degree") and, where two or more meet, of
    objects ("object_degree"). Sparse graphs are left out: their entropy would be a pass of its own."""
    frames = [effective_degree(e).mean() for e in output.temporal if isinstance(e, Edges)]
    objects = [effective_degree(e)[e.n_valid > 1] for e in output.spatial]
    met = [x.mean() for x in objects if len(x)]
    found = {"degree": frames, "object_degree": met}
    return {name: float(torch.stack(x).mean()) for name, x in found.items() if x}


def _means(x: Tensor, mask: Tensor) -> Tensor:
    """Mean over real steps of each video, (B,)."""
    return (x * mask).sum(1) / mask.sum(1).clamp(min=1)


def _mean(x: Tensor, mask: Tensor) -> Tensor:
    return _means(x, mask).mean()
