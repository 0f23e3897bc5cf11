"""Scores of one video: by a trained model, or by the same recursive graph without any training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.special import expit, logit
from torch import Tensor

from videograph.attention import LONG_STEPS
from videograph.errors import UsageError
from videograph.graph import Edges, SparseEdges
from videograph.inputs import Inputs, inputs_from, words_for
from videograph.model import VideoGraph
from videograph.nodes import in_nodes, middles, node_of, node_size, to_steps
from videograph.records import Scores, VideoFeatures, Words
from videograph.relevance import Guide, guided
from videograph.runs import Runs, first_of, found_runs
from videograph.spill import ROWS_AT_ONCE, rows_at, tidy, zeros
from videograph.training_free import score_training_free


def score_video(
    features: VideoFeatures,
    *,
    model: VideoGraph | Sequence[VideoGraph] | None = None,
    words: Words | None = None,
    guide: Guide | None = None,
    seed: int = 0,
    top_k: int = 10,
) -> Scores:
    """Key-frame score of every step, with the graph behind it.

    A user's words lead the scores of every form: in the training-free graph they are in the nodes,
    a trained model reads them as its `ModelConfig.language` says, and whatever comes out is then led
    by how far each step answers them (`relevance.guided`). `Scores.active` tells which of it happened.

    Args:
        features: what the encoder saw.
        model: trained weights; None scores by the same recursive graph without any (training-free). Of
            several trainings each scores, and the mean counts: of their logits, each about its mean over
            the video and by its spread. Graph, objects and name are then those of the first.
        words: what is said of the video, or asked of it, as the model reads it.
        guide: what the words say of each step, as `relevance.guide` finds it.
        seed: shuffles steps where the model is configured so; nothing else is random.
        top_k: strongest edges kept for each step.

    Raises:
        UsageError: the features are not those that the model reads.
    """
    if model is None:
        scores = score_training_free(inputs_from(features, words), words, top_k, guide)
    else:
        members = [model] if isinstance(model, VideoGraph) else model
        scores = _together(_said_by(members, features, words, seed, top_k))
    return scores if guide is None else _led(scores, guide)


def _said_by(
    members: Sequence[VideoGraph],
    features: VideoFeatures,
    words: Words | None,
    seed: int,
    top_k: int,
) -> list[Scores]:
    """What each says, edges only of the first; nodes are made once for those that read alike."""
    for model in members:
        model.origin.admit(features.encoder)
        _admit_objects(model, features)
    found, kind, nodes = list[Scores](), None, None
    # The first comes last: what finding its edges takes is kept by the library that multiplies.
    for model in (*members[1:], members[0]):
        config = model.config
        alike = config.language, config.steps_per_node, config.full_steps, model.joins_equals()
        if nodes is None or alike != kind:
            kind = alike
            nodes = _nodes_for(model, inputs_from(features, words_for(config.language, words)))
        found.append(_score_with(model, nodes, seed, top_k if model is members[0] else None))
        if features.n_steps > LONG_STEPS:
            tidy()
    return [found[-1], *found[:-1]]


def _together(found: Sequence[Scores]) -> Scores:
    """The first, with the mean of all scores."""
    if len(found) == 1:
        return found[0]
    total = np.zeros(len(found[0].scores))
    for one in found:
        logits = logit(np.clip(one.scores.astype(np.float64), 1e-6, 1 - 1e-6))
        total += (logits - logits.mean()) / max(logits.std(), 1e-6)
    return replace(found[0], scores=expit(total / len(found)).astype(np.float32))


def _led(scores: Scores, guide: Guide) -> Scores:
    active = {
        **scores.active,
        "query": guide.is_answered,
        "unwanted": guide.unwanted is not None,
    }
    return replace(scores, scores=guided(scores.scores, guide), active=active)


def _admit_objects(model: VideoGraph, features: VideoFeatures) -> None:
    """Let objects pass that are as wide as those the model learned from."""
    config, objects = model.config, features.object_features
    if config.has_objects and objects is not None and objects.shape[-1] != config.object_dim:
        raise UsageError(
            f"the objects have {objects.shape[-1]} numbers each. Allowed: {config.object_dim}, as those "
            "that this model was trained on. Try without --objects, or train a model on such objects."
        )


@dataclass(frozen=True)
class _Nodes:
    """A video as a model reads it."""

    inputs: Inputs
    n_steps: int
    size: int
    """Steps of a node."""
    runs: Runs | None
    """Nodes that are one, because they show the same."""

    @property
    def number(self) -> np.ndarray:
        """Row of `inputs` that each node is, (n_nodes,) int64."""
        if self.runs is None:
            return np.arange(self.inputs.features.shape[1])
        return self.runs.number.numpy()


@torch.inference_mode()
def _nodes_for(model: VideoGraph, inputs: Inputs) -> _Nodes:
    n_steps = inputs.features.shape[1]
    size = node_size(n_steps, model.config.steps_per_node)
    inputs = in_nodes(inputs, size)
    runs = None
    if model.joins_equals():
        n_nodes, most = inputs.features.shape[1], model.config.full_steps
        runs = found_runs(inputs, n_nodes - 1 if n_nodes <= most else min(n_nodes // 2, most))
    return _Nodes(inputs if runs is None else first_of(inputs, runs), n_steps, size, runs)


@torch.inference_mode()
def _score_with(model: VideoGraph, nodes: _Nodes, seed: int, top_k: int | None) -> Scores:
    """What it says of the steps; with `top_k` None the scores alone."""
    was_training, inputs = model.training, nodes.inputs
    order = torch.arange(inputs.features.shape[1])
    if model.config.shuffle_frames:
        inputs, order = inputs.shuffled(seed)
    output = model.eval()(inputs.to(model.classify.weight.device))
    model.train(was_training)
    back = order.argsort()
    columns, weights = _strongest(output.temporal, len(order), top_k or 0)
    columns, weights = torch.where(columns >= 0, order[columns], -1)[back], weights[back]
    if nodes.runs is not None:
        columns, weights = nodes.runs.edges(columns, weights)
    pooled = None if top_k is None else output.object_weights
    scores = Scores(
        scores=output.scores.cpu()[0, back].numpy(),
        neighbours=columns.numpy(),
        neighbour_weights=weights.numpy(),
        object_weights=None if pooled is None else pooled.cpu()[0, back].numpy(),
        form=model.origin.name or "model",
        active=_active(model, inputs),
    )
    return scores if nodes.size == 1 and nodes.runs is None else _at_steps(scores, nodes)


def _at_steps(found: Scores, nodes: _Nodes) -> Scores:
    """What is said of nodes, said of their steps; a node's neighbours are the others' middle steps."""
    n_steps, size, row = nodes.n_steps, nodes.size, nodes.number
    number, chosen = row[node_of(n_steps, size)], middles(n_steps, size)
    weights = found.object_weights
    if weights is not None:  # the model saw the objects of the middle steps only
        seen = zeros((n_steps, weights.shape[1]), weights.dtype)
        seen[chosen] = weights[row]
        weights = seen
    neighbours = np.where(found.neighbours >= 0, chosen[found.neighbours], -1)
    return replace(
        found,
        scores=to_steps(found.scores[row], n_steps, size),
        neighbours=rows_at(neighbours, number, ROWS_AT_ONCE),
        neighbour_weights=rows_at(found.neighbour_weights, number, ROWS_AT_ONCE),
        object_weights=weights,
    )


def _strongest(temporal: Sequence[Edges | SparseEdges], n: int, k: int) -> tuple[Tensor, Tensor]:
    if not temporal or not k:
        return torch.full((n, k), -1), torch.zeros(n, k)
    top = temporal[-1].top(k)
    return top.columns[0].cpu(), top.weights[0].cpu()


def _any(mask: Tensor | None) -> bool:
    return mask is not None and bool(mask.any())


def _active(model: VideoGraph, inputs: Inputs) -> dict[str, object]:
    config = model.config
    return {
        "objects": config.has_objects and _any(inputs.object_mask),
        "words": config.has_language and _any(inputs.word_mask),
        "n_recursions": config.n_recursions,
        "temporal_edges": "sparse" if model.is_sparse(inputs.features.shape[1]) else "full",
        "time_encoding": config.time_encoding,
    }
