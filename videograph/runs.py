"""Runs of neighbouring nodes that show the same: one node with a weight, so that stillness costs nothing.

In a graph over all nodes, equal nodes ask, answer, hear and say the same at each recursion. A run of n of
them is therefore one node that counts n times in every softmax (`Edges.counting`) and in every mean, and the
scores are those of the whole graph but for rounding. That holds where nothing else tells such nodes apart:
not with a time encoding, nor in the sparse form, whose windows and landmarks count nodes. Only neighbours
are joined, not what comes back later: cost follows what happens.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from videograph.attention import LONG_STEPS
from videograph.inputs import Inputs
from videograph.spill import ROWS_AT_ONCE, pieces, rows_at

NODES_AT_A_TIME = 512
"""Nodes that are compared at once."""


@dataclass(frozen=True)
class Runs:
    """Which nodes of a video are one.

    Scores are the same as without; a node's strongest edges are not: they lead to what differs from it,
    not to the same picture a moment later.
    """

    number: Tensor
    """Run of each node, (T,) int64."""
    first: Tensor
    """First node of each run, (n,) int64."""
    lengths: Tensor
    """Nodes in each, (n,) float32."""

    def spread(self, rows: Tensor) -> Tensor:
        """Rows of runs (n, ...) as rows of nodes, (T, ...); large ones lie on disk."""
        return torch.from_numpy(rows_at(rows.numpy(), self.number.numpy(), ROWS_AT_ONCE))

    def edges(self, columns: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Edges (n, k) between runs as edges to one node of each, the middle one; -1 stays -1."""
        length = self.lengths[columns]
        middle = self.first[columns] + (length / 2).long()
        return torch.where(columns < 0, columns, middle), weights / length


def found_runs(inputs: Inputs, most: int) -> Runs | None:
    """Runs of equal nodes of one long video; None where it is short, or has more than `most` of them."""
    features, n = inputs.features[0], inputs.features.shape[1]
    if n <= LONG_STEPS:
        return None
    told = [features]
    if inputs.object_features is not None and inputs.object_mask is not None:
        told += [inputs.object_features[0].flatten(1), inputs.object_mask[0]]
    if inputs.word_mask is not None and inputs.word_mask.ndim == 3:
        told.append(inputs.word_mask[0])
    is_new = torch.ones(n, dtype=torch.bool, device=features.device)
    for at in pieces(n - 1, NODES_AT_A_TIME):
        pairs = ((x[at.start + 1 : at.stop + 1], x[at]) for x in told)
        is_new[at.start + 1 : at.stop + 1] = torch.stack([(a != b).any(1) for a, b in pairs]).any(0)
    first = is_new.nonzero()[:, 0]
    if len(first) > most:
        return None
    lengths = torch.diff(first, append=first.new_tensor([n])).float()
    return Runs(is_new.cumsum(0) - 1, first, lengths)


def first_of(inputs: Inputs, runs: Runs) -> Inputs:
    """What is seen and said at the first node of each run, and how often."""
    return replace(inputs.at(runs.first), counts=runs.lengths[None])
