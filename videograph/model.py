"""VideoGraph, bottom up: features and words in, a key-frame score per step out.

After Park, Lee, Sohn, "Language-guided Recursive Spatiotemporal Graph Modeling for Video Summarization"
(IJCV 2025); equation numbers are those of docs/method.md. Letters at line ends: B videos, T steps,
N slots for objects, L rows of them (see `spatial`), M words, d width.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videograph.attention import LONG_STEPS, attend_and_tell, by_steps, long_empty
from videograph.checkpoint import Checkpointed
from videograph.config import ModelConfig
from videograph.dropout import InputDropout
from videograph.errors import UsageError
from videograph.graph import Edges, SparseEdges, sparse_edges, unit
from videograph.inputs import Inputs
from videograph.spatial import ObjectEdges, Slots, object_edges, pool, pool_evenly
from videograph.spill import pieces
from videograph.topic import Topic

Step = TypeVar("Step", bound=nn.Module)

STEPS_AT_A_TIME = 512
"""Steps whose objects are held at once when no gradient is wanted."""


@dataclass(frozen=True)
class Output:
    """What the model says, and of its graphs what the losses and `explain` need."""

    logits: Tensor
    """Before the sigmoid, (B, T)."""
    scores: Tensor
    """Key-frame score p, (B, T) in [0, 1]; 0 under a false mask."""
    seen: Tensor
    """Frame features as read, (B, T, dim)."""
    frame_mask: Tensor
    """As given, (B, T) bool."""
    temporal: tuple[Edges | SparseEdges, ...]
    """The temporal graph of each recursion; of sparse or long ones without gradients only the last."""
    spatial: tuple[ObjectEdges, ...]
    """The spatial graphs of each recursion; empty without objects or gradients."""
    nodes: Tensor
    """z^K, the nodes that are classified, (B, T, d)."""
    read: Tensor
    """y^K, the nodes that the last temporal graph ran over, (B, T, d)."""
    object_weights: Tensor | None
    """Share of each object in its frame's last node, (B, T, N)."""
    decoder: nn.Module | None = None
    """dec of Eq. 14."""
    concepts: Tensor | None = None
    """Whether each step shows what each word names, before the sigmoid, (B, T, M)."""

    @property
    def features(self) -> Tensor:
        """Frame features with rows of length 1, (B, T, dim): phi~ of Eq. 14-15."""
        return unit(self.seen)

    def reconstruct(self) -> Tensor:
        """Each frame's features as its neighbours in the last temporal graph tell them (Eq. 14).

        Raises:
            UsageError: the model was built without `reconstruct`.
        """
        if self.decoder is None:
            raise UsageError("the model has no decoder. Build it with reconstruct = true.")
        graph = self.temporal[-1] if self.temporal else uniform_edges(self.read, self.frame_mask)
        return self.decoder(graph.without_self(self.read, self.scores))


def uniform_edges(nodes: Tensor, mask: Tensor) -> Edges:
    """The graph in which all nodes are equally near: what Eq. 14 uses where there is no recursion."""
    nothing = nodes.new_zeros(*nodes.shape[:-1], 1)
    return Edges(nothing, nothing, nodes.new_ones(()), mask)


class Temperature(nn.Module):
    """Lambda, learned as its logarithm, kept in [1, 100]: beyond that a softmax is one-hot and mute."""

    def __init__(self, initial: float = 10.0) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(initial)))

    def forward(self) -> Tensor:
        """Lambda, a scalar."""
        return self.log_scale.clamp(0.0, math.log(100.0)).exp()


class Projection(nn.Sequential):
    """Features of any kind to the common width (Eq. 1)."""

    def __init__(self, dim: int, width: int) -> None:
        super().__init__(nn.Linear(dim, width), nn.LayerNorm(width))

    def with_more(self, features: Tensor, more: Tensor) -> Tensor:
        """The same with something added before the layer norm, (..., width)."""
        return self[1](self[0](features) + more)


class Listening(nn.Module):
    """Nodes take in the words that are near to them (Eq. 2 for objects, Eq. 3 for frames)."""

    def __init__(self, width: int, has_language: bool) -> None:
        super().__init__()
        self.scale = Temperature() if has_language else None
        self.map = nn.Linear(width, width)

    def forward(
        self, nodes: Tensor, words: Tensor | None, mask: Tensor | None, slots: Slots | None = None
    ) -> Tensor:
        """Nodes that have heard the usable words; without words the same map.

        Args:
            nodes: frames, (B, T, d), or with `slots` rows of objects, (L, d).
            words: (B, M, d), or None.
            mask: true for usable words, (B, T or 1, M).
            slots: where the objects are.
        """
        if words is None or mask is None:
            heard = nodes
        elif slots is None:
            heard = nodes + self.context(nodes, words, mask)
        else:
            heard = nodes + self._among(nodes, words, mask, slots)
        return F.relu(self.map(heard))

    def context(self, nodes: Tensor, words: Tensor, mask: Tensor) -> Tensor:
        """sum_m s_m u_m over the usable words, (B, T, d); 0 where there are none."""
        assert self.scale is not None
        heard, _ = attend_and_tell(self.scale() * unit(nodes), unit(words), words, mask)
        return heard * mask.any(-1, keepdim=True)

    def _among(self, objects: Tensor, words: Tensor, mask: Tensor, slots: Slots) -> Tensor:
        """The same for rows of objects, video after video, (L, d)."""
        counts = list(slots.per_video)
        if mask.shape[1] > 1:  # words with times: an object may hear those of its step
            usable = mask.flatten(0, 1).index_select(0, slots.steps).split(counts)
        else:
            usable = mask.unbind(0)
        rows = objects.split(counts)
        return torch.cat([
            self.context(rows[b][None], words[b : b + 1], usable[b][None])[0]
            for b in range(len(words))
        ])  # fmt: skip


class Pooling(nn.Module):
    """A frame's objects as one vector, weighed by the frame, or all alike (Eq. 3, 6)."""

    def __init__(self, width: int, kind: str) -> None:
        super().__init__()
        self.scale = Temperature() if kind == "attention" else None
        self.query = nn.Linear(width, width) if kind == "attention" else None

    def forward(
        self, frames: Tensor, objects: Sequence[Tensor], slots: Slots
    ) -> tuple[list[Tensor], Tensor]:
        """Rows of objects (L, d) of each recursion pooled, (B, T, d), 0 where there is none; each
        slot's share in the last, (B, T, N)."""
        if self.query is not None and self.scale is not None:
            return pool(self.query(frames), objects, self.scale(), slots)
        found = [pool_evenly(x, slots) for x in objects]
        return [g for g, _ in found], found[-1][1]


class Relation(nn.Module):
    """Which node attends to which: the two sides of the edges and their lambda (Eq. 4, 8)."""

    def __init__(self, width: int, tied: bool) -> None:
        super().__init__()
        self.scale = Temperature()
        self.q = nn.Linear(width, width)
        self.r = None if tied else nn.Linear(width, width)

    def forward(self, nodes: Tensor, mask: Tensor | None) -> Edges:
        """Edges between all nodes, (B, n, d)."""
        return Edges(*self._of_length_one(nodes), self.scale(), mask)

    def among(self, objects: Tensor, slots: Slots) -> ObjectEdges:
        """Edges between the objects of each frame, rows (L, d)."""
        return object_edges(*self.sides(objects), self.scale(), slots)

    def sparse(self, nodes: Tensor, mask: Tensor | None, config: ModelConfig) -> SparseEdges:
        """Edges to a window and to landmarks, (B, T, d)."""
        q, r = self._of_length_one(nodes)
        return sparse_edges(
            q, r, self.scale(), mask, window=config.window, n_landmarks=config.n_landmarks
        )

    def _of_length_one(self, nodes: Tensor) -> tuple[Tensor, Tensor]:
        side = self.q if self.r is None else self.r
        q = by_steps(nodes.shape[1], lambda at: unit(self.q(nodes[:, at])))
        r = q if side is self.q else by_steps(nodes.shape[1], lambda at: unit(side(nodes[:, at])))
        return q, r

    def sides(self, nodes: Tensor) -> tuple[Tensor, Tensor]:
        """What nodes ask for and answer to, before normalisation."""
        q = self.q(nodes)
        return q, q if self.r is None else self.r(nodes)


class Convolution(nn.Module):
    """Nodes take in their neighbours: LN(x + act(A x W)) (Eq. 5, 9)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.map = nn.Linear(width, width, bias=False)
        self.norm = nn.LayerNorm(width)

    def forward(self, nodes: Tensor, edges: Edges | SparseEdges | ObjectEdges) -> Tensor:
        """Updated nodes, (..., n, d) or (L, d)."""
        return self.norm(nodes + F.relu(edges.aggregate(self.map(nodes))))

    def long(self, nodes: Tensor, edges: Edges | SparseEdges, mask: Tensor | None) -> Tensor:
        """The same among frames, (B, T, d), 0 under a false mask; of a long video some at a time."""
        said = by_steps(nodes.shape[1], lambda at: self.map(nodes[:, at]))
        heard = edges.aggregate(said)
        return by_steps(
            nodes.shape[1],
            lambda at: _keep(self.norm(nodes[:, at] + F.relu(heard[:, at])), mask, at),
        )


class SpatialStep(nn.Module):
    """One recursion among the objects of each frame (Eq. 4-5)."""

    def __init__(self, config: ModelConfig, *, finds_edges: bool) -> None:
        super().__init__()
        self.relation = Relation(config.width, config.tie_affinity) if finds_edges else None
        self.convolve = Convolution(config.width)


class TemporalStep(nn.Module):
    """One recursion among frames (Eq. 7-9)."""

    def __init__(self, config: ModelConfig, *, finds_edges: bool) -> None:
        super().__init__()
        self.join = nn.Linear(config.width * (1 + config.has_objects), config.width)
        self.norm = nn.LayerNorm(config.width)
        self.relation = Relation(config.width, config.tie_affinity) if finds_edges else None
        self.convolve = Convolution(config.width)


class ConceptHead(nn.Module):
    """Which of the query's concepts a step shows: the sigmoid of lambda cos(W z, u) + b (section 9)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.map = nn.Linear(width, width)
        self.scale = Temperature()
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, nodes: Tensor, words: Tensor) -> Tensor:
        """Before the sigmoid, (B, T, M)."""
        return self.scale() * unit(self.map(nodes)) @ unit(words).transpose(1, 2) + self.bias


class VideoGraph(nn.Module, Checkpointed):
    """The language-guided recursive spatiotemporal graph; every part is switched by its `ModelConfig`."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        width, objects, language = config.width, config.has_objects, config.has_language
        self.project_frames = Projection(config.feature_dim, width)
        self.project_objects = Projection(config.object_dim, width) if objects else None
        self.project_words = Projection(config.word_dim, width) if language else None
        early = language and config.fusion == "early"
        self.topic = Topic(config) if early and config.topic_rank else None
        self.frames_listen = Listening(width, early)
        self.objects_listen = Listening(width, early) if objects else None
        self.late = Listening(width, True) if language and not early else None
        self.late_norm = nn.LayerNorm(width) if self.late else None
        self.pool = Pooling(width, config.object_pooling) if objects else None
        self.join = nn.Linear(width * (1 + objects), width)
        self.norm = nn.LayerNorm(width)
        self.spatial = _listed(_steps(SpatialStep, config) if objects else [])
        self.temporal = _listed(_steps(TemporalStep, config))
        self.classify = nn.Linear(width, 1)
        self.dropout = nn.Dropout(config.dropout)
        self.input_dropout = InputDropout(config.input_dropout)
        self.decoder = nn.Linear(width, config.feature_dim) if config.reconstruct else None
        self.find_concepts = ConceptHead(width) if language and config.concept_head else None
        self._initialise()

    def forward(self, inputs: Inputs) -> Output:
        """Scores of a batch, and the graphs behind them."""
        inputs = _cleaned(inputs, self.config)
        mask = None if bool(inputs.frame_mask.all()) else inputs.frame_mask
        words, word_mask = self._words(inputs)  # u, (B, M, d)
        frames = self._frames(inputs, words, word_mask)  # f^, (B, T, d)
        pooled, spatial, object_weights = self._objects(inputs, frames, words, word_mask)  # g^0..K
        n_steps = frames.shape[1]
        join = next(_joined([self.join], frames, pooled[:1]))
        nodes = by_steps(n_steps, lambda at: _keep(self.norm(join(at)), mask, at))  # z^0, Eq. 3
        steps = [_step(self.temporal, k) for k in range(self.config.n_recursions)]
        said = _joined([step.join for step in steps], frames, pooled[1:])  # W_2 [f^ ; g^k]
        # Of a long video only the last graph is kept: each holds two arrays as large as `nodes`.
        is_long = n_steps > LONG_STEPS or self.is_sparse(n_steps)
        lean = is_long and not torch.is_grad_enabled()
        read, edges, temporal = nodes, None, []
        for step, joined in zip(steps, said, strict=True):
            read = by_steps(n_steps, partial(_read, step, nodes, joined, mask))  # y^k, Eq. 7
            if edges is None or self.config.refine_edges:
                if lean:
                    edges = None
                    temporal.clear()
                edges = self._temporal_edges(step.relation, read, mask, inputs.counts)  # Eq. 8
            nodes = step.convolve.long(read, edges, mask)  # z^k, Eq. 9
            temporal.append(edges)
        if self.late is not None and self.late_norm is not None and words is not None:
            assert word_mask is not None
            nodes = by_steps(n_steps, partial(self._late, nodes, words, word_mask, mask))
        logits = by_steps(
            n_steps, lambda at: self.classify(self.dropout(nodes[:, at])).squeeze(-1)
        )  # Eq. 10
        scores = _keep(logits.sigmoid(), mask)  # p, (B, T)
        concepts = None
        if self.find_concepts is not None and words is not None:
            find = self.find_concepts
            concepts = by_steps(n_steps, lambda at: find(nodes[:, at], words))
        return Output(
            logits, scores, inputs.features, inputs.frame_mask, tuple(temporal), spatial,
            nodes, read, object_weights, self.decoder, concepts,
        )  # fmt: skip

    def _late(
        self, nodes: Tensor, words: Tensor, word_mask: Tensor, mask: Tensor | None, at: slice
    ) -> Tensor:
        assert self.late is not None and self.late_norm is not None
        usable = _steps_of(word_mask, at)
        assert usable is not None
        heard = self.late.context(nodes[:, at], words, usable)
        return _keep(self.late_norm(nodes[:, at] + F.relu(self.late.map(heard))), mask, at)

    def is_sparse(self, n_steps: int) -> bool:
        """Whether the temporal graph of that many steps is the approximate one."""
        kind = self.config.temporal_edges
        return kind == "sparse" or (kind == "auto" and n_steps > self.config.full_steps)

    def joins_equals(self) -> bool:
        """Whether equal steps may be one that counts for all (see `runs`): where only what they show
        tells them apart, and every step sees every other."""
        config = self.config
        by_time = config.time_encoding != "none" or config.shuffle_frames
        return not by_time and config.temporal_edges != "sparse"

    def _temporal_edges(
        self, relation: Relation | None, nodes: Tensor, mask: Tensor | None, counts: Tensor | None
    ) -> Edges | SparseEdges:
        assert relation is not None
        if self.is_sparse(nodes.shape[1]):
            return relation.sparse(nodes, mask, self.config)
        return relation(nodes, mask).counting(counts)

    def _words(self, inputs: Inputs) -> tuple[Tensor | None, Tensor | None]:
        if self.project_words is None or inputs.word_features is None:
            return None, None
        assert inputs.word_mask is not None
        mask = inputs.word_mask if inputs.word_mask.ndim == 3 else inputs.word_mask[:, None]
        return self.project_words(inputs.word_features), mask  # (B, M, d), (B, T or 1, M)

    def _frames(self, inputs: Inputs, words: Tensor | None, word_mask: Tensor | None) -> Tensor:
        places, heard = _places(inputs.frame_mask, self.config), self._early(words)
        about = self.topic.about(inputs) if self.topic else None

        def make(at: slice) -> Tensor:
            seen = self.input_dropout(inputs.features[:, at])
            if self.topic is None or about is None:
                frames = self.project_frames(seen)
            else:
                frames = self.project_frames.with_more(seen, self.topic(seen, about))  # Eq. 1a
            frames = frames + places(at)  # f, (B, T, d)
            return self.frames_listen(frames, heard, _steps_of(word_mask, at))

        return by_steps(inputs.frame_mask.shape[1], make)

    def _objects(
        self, inputs: Inputs, frames: Tensor, words: Tensor | None, word_mask: Tensor | None
    ) -> tuple[list[Tensor], tuple[ObjectEdges, ...], Tensor | None]:
        """Objects pooled after each recursion, g^0..g^K; spatial graphs look at one frame only, so
        without a gradient they run over a chunk of steps at a time, and only the pooled nodes stay."""
        if self.project_objects is None:
            return [], (), None
        if torch.is_grad_enabled():
            return self._see(inputs, frames, words, word_mask, slice(None))
        filled: list[Tensor] = []
        for at in pieces(frames.shape[1], STEPS_AT_A_TIME):
            pooled, _, weights = self._see(inputs, frames, words, word_mask, at)
            parts = [*pooled, weights]
            shapes = [(len(p), frames.shape[1], p.shape[-1]) for p in parts]
            filled = filled or [
                long_empty(p, *shape) for p, shape in zip(parts, shapes, strict=True)
            ]
            for whole, part in zip(filled, parts, strict=True):
                whole[:, at] = part
        return filled[:-1], (), filled[-1]

    def _see(
        self, inputs: Inputs, frames: Tensor, words: Tensor | None, word_mask: Tensor | None,
        steps: slice,
    ) -> tuple[list[Tensor], tuple[ObjectEdges, ...], Tensor]:  # fmt: skip
        assert self.project_objects and self.objects_listen and self.pool
        frames, (features, slots) = frames[:, steps], _real_objects(inputs, self.config, steps)
        word_mask = _steps_of(word_mask, steps)
        objects = self.project_objects(self.input_dropout(features))  # v, (L, d)
        objects = self.objects_listen(objects, self._early(words), word_mask, slots)  # Eq. 2
        nodes, edges, graphs = [objects], None, []
        for k in range(self.config.n_recursions):
            step = _step(self.spatial, k)
            if edges is None or self.config.refine_edges:
                assert step.relation is not None
                edges = step.relation.among(nodes[-1], slots)  # Eq. 4
            nodes.append(step.convolve(nodes[-1], edges))  # x^k, Eq. 5
            graphs.append(edges)
        pooled, weights = self.pool(frames, nodes, slots)  # g^0..g^K, Eq. 6
        return pooled, tuple(graphs), weights

    def _early(self, words: Tensor | None) -> Tensor | None:
        return words if self.config.fusion == "early" else None

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight, 0.1 if module.bias is None else 1.0)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        if self.topic is not None:
            self.topic.initialise()
        share = self.config.initial_score
        nn.init.constant_(self.classify.bias, math.log(share / (1 - share)))


def _steps(kind: Callable[..., Step], config: ModelConfig) -> Sequence[Step]:
    n = min(1, config.n_recursions) if config.share_weights else config.n_recursions
    return [kind(config, finds_edges=k == 0 or config.refine_edges) for k in range(n)]


def _listed(steps: Sequence[Step]) -> Sequence[Step]:
    return cast(Sequence[Step], nn.ModuleList(steps))


def _step(steps: Sequence[Step], k: int) -> Step:
    return steps[min(k, len(steps) - 1)]


def _keep(x: Tensor, mask: Tensor | None, at: slice = slice(None)) -> Tensor:
    """0 under a false mask of the steps that x is of."""
    if mask is None:
        return x
    mask = mask[:, at]
    return x * mask.reshape(*mask.shape, *[1] * (x.ndim - mask.ndim))


def _steps_of(mask: Tensor | None, at: slice) -> Tensor | None:
    """Words usable at some steps; a mask without times stays."""
    return mask if mask is None or mask.shape[1] == 1 else mask[:, at]


def _read(
    step: TemporalStep, nodes: Tensor, joined: Callable[[slice], Tensor], mask: Tensor | None,
    at: slice,
) -> Tensor:  # fmt: skip
    return _keep(step.norm(nodes[:, at] + joined(at)), mask, at)


def _joined(
    joins: Sequence[nn.Linear], frames: Tensor, pooled: Sequence[Tensor]
) -> Iterator[Callable[[slice], Tensor]]:
    """W [f^ ; g^k] of each k at some steps, or W f^ without objects; what frames say is the same
    wherever W is."""
    said: dict[nn.Linear, Tensor] = {}
    for k, join in enumerate(joins):
        if join not in said:
            said[join] = by_steps(frames.shape[1], partial(_first_half, join, frames))
        yield partial(_both_halves, join, said[join], pooled[k] if pooled else None)


def _first_half(join: nn.Linear, frames: Tensor, at: slice) -> Tensor:
    return F.linear(frames[:, at], join.weight[:, : frames.shape[-1]], join.bias)


def _both_halves(join: nn.Linear, said: Tensor, pooled: Tensor | None, at: slice) -> Tensor:
    if pooled is None:
        return said[:, at]
    return said[:, at] + F.linear(pooled[:, at], join.weight[:, said.shape[-1] :])


def _cleaned(inputs: Inputs, config: ModelConfig) -> Inputs:
    """Padding set to 0, whatever it held; the video's mean taken off if so configured."""
    mask = inputs.frame_mask
    if inputs.features.shape[-1] != config.feature_dim:
        raise UsageError(
            f"frame features have {inputs.features.shape[-1]} numbers, the model reads"
            f" {config.feature_dim}. Use the encoder it was trained with."
        )
    features = inputs.features
    if not bool(mask.all()):
        features = features.clone()
        features[~mask] = 0.0
    if config.centre_features:
        counts = inputs.counts
        n_real = (mask if counts is None else counts).sum(1).clamp(min=1)[:, None, None]
        mean = sum(_total(features, counts, at) for at in _few(features)) / n_real
        whole = features
        features = by_steps(mask.shape[1], lambda at: (whole[:, at] - mean) * mask[:, at, None])
    words = inputs.word_features
    if words is not None and inputs.word_mask is not None:
        used = inputs.word_mask if inputs.word_mask.ndim == 2 else inputs.word_mask.any(1)
        words = words.masked_fill(~used[..., None], 0.0)
    return replace(inputs, features=features, word_features=words)


def _total(features: Tensor, counts: Tensor | None, at: slice) -> Tensor:
    """Sum of some steps' features, each as often as it counts, (B, 1, dim)."""
    if counts is None:
        return features[:, at].sum(1, keepdim=True)
    return counts[:, None, at] @ features[:, at]


def _few(features: Tensor) -> Iterator[slice]:
    """All steps, those of a long video some at a time where no gradient is wanted."""
    n_steps = features.shape[1]
    is_long = n_steps > LONG_STEPS and not torch.is_grad_enabled()
    return pieces(n_steps, STEPS_AT_A_TIME if is_long else n_steps)


def _real_objects(inputs: Inputs, config: ModelConfig, steps: slice) -> tuple[Tensor, Slots]:
    """Features (L, object_dim) and places of the real objects of some steps, in `n_objects` slots at
    most; one empty slot where none came."""
    frame_mask = inputs.frame_mask[:, steps]
    if inputs.object_features is None or inputs.object_mask is None:
        nothing = inputs.features.new_zeros(0, config.object_dim)
        return nothing, Slots.of(torch.zeros_like(frame_mask[..., None]))
    mask = inputs.object_mask[:, steps, : config.n_objects] & frame_mask[..., None]
    slots = Slots.of(mask)
    objects = slots.pack(inputs.object_features[:, steps, : config.n_objects])
    return objects.to(inputs.features.dtype), slots


def _places(mask: Tensor, config: ModelConfig) -> Callable[[slice], Tensor]:
    """Time encoding of some steps, (B, T, d), or 0: sines of the step's number, or of its share of the
    video."""
    if config.time_encoding == "none":
        nothing = mask.new_zeros((), dtype=torch.float32)
        return lambda at: nothing
    number = (mask.cumsum(1) - 1).clamp(min=0).float()  # (B, T)
    half = (config.width + 1) // 2
    rank = torch.arange(half, device=mask.device) / max(1, half)
    if config.time_encoding == "relative":
        share = number / (mask.sum(1, keepdim=True) - 1).clamp(min=1)
        place, turns = share, math.pi * 64**rank  # from half a turn over the video to 32
    else:
        place, turns = number, 10_000**-rank

    def places(at: slice) -> Tensor:
        angles = place[:, at, None] * turns
        return torch.cat([angles.sin(), angles.cos()], -1)[..., : config.width]

    return places
