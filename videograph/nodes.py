"""Steps in runs, one node each: people judge seconds, frames are sampled every half.

A model whose `ModelConfig.steps_per_node` is above 1 reads runs of so many steps as the nodes of its
temporal graph: their mean frame, the objects of their middle step, what is said at any of them. Its scores
come back to the steps along straight lines between the middles of the nodes. A short video has shorter
runs, or its curve would be a line between two nodes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from videograph.inputs import Inputs
from videograph.spill import ROWS_AT_ONCE, empty, pieces

LEAST_NODES = 8
"""Nodes that a video has before they grow to `steps_per_node`: half a minute at 2 steps a second."""


def node_size(n_steps: int, most: int) -> int:
    """Steps in each node of a video, at least 1 and at most `most`."""
    return max(1, min(most, n_steps // LEAST_NODES))


def node_of(n_steps: int, size: int) -> np.ndarray:
    """Node of each step, (n_steps,) int64; what is left over at the end joins the last whole run."""
    return np.minimum(np.arange(n_steps) // size, max(0, n_steps // size - 1))


def middles(n_steps: int, size: int) -> np.ndarray:
    """Middle step of each node, (n_nodes,) int64, the earlier one of two."""
    starts = np.arange(max(1, n_steps // size)) * size
    return np.minimum(starts + (size - 1) // 2, n_steps - 1)


def means(rows: Tensor, size: int) -> Tensor:
    """Mean of each node's steps, (n_nodes, ...) of (n_steps, ...)."""
    n_nodes = max(1, len(rows) // size)
    last = (n_nodes - 1) * size
    whole = rows[:last].unflatten(0, (n_nodes - 1, size)).mean(1)
    return torch.cat([whole, rows[last:].mean(0, keepdim=True)])


def in_nodes(inputs: Inputs, size: int) -> Inputs:
    """One video's nodes as a batch of one; itself where a step is a node."""
    if size == 1:
        return inputs
    n_steps = inputs.features.shape[1]
    chosen = torch.from_numpy(middles(n_steps, size)).to(inputs.features.device)
    frames, said = _frames(inputs.features[0], size)[None], inputs.word_mask
    if said is not None and said.ndim == 3:
        said = (means(said[0].float(), size) > 0)[None]
    whole = {"features": inputs.features[..., :0], "word_mask": None}
    nodes = replace(inputs, **whole).at(chosen)
    return replace(nodes, features=frames, word_mask=said)


def _frames(features: Tensor, size: int) -> Tensor:
    """Mean frames, of long videos piece by piece."""
    n_nodes = max(1, len(features) // size)
    per_piece = max(1, ROWS_AT_ONCE // size)
    if n_nodes <= per_piece or features.is_cuda:
        return means(features, size)
    found = torch.from_numpy(empty((n_nodes, features.shape[1])))
    for at in pieces(n_nodes, per_piece):
        end = len(features) if at.stop == n_nodes else at.stop * size
        found[at] = means(features[at.start * size : end], size)
    return found


def to_steps(values: np.ndarray, n_steps: int, size: int) -> np.ndarray:
    """Values of nodes at every step, straight lines between the middles of the nodes, (n_steps,)."""
    if size == 1:
        return values
    number = node_of(n_steps, size)
    centres = np.bincount(number, np.arange(n_steps)) / np.bincount(number)
    return np.interp(np.arange(n_steps), centres, values).astype(values.dtype)
