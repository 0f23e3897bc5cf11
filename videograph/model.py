"""VideoGraph, bottom up: features and words in, a key-frame score per step out.

After Park, Lee, Sohn, "Language-guided Recursive Spatiotemporal Graph Modeling for Video Summarization"
(IJCV 2025); equation numbers are those of docs/method.md. Letters at line ends: B videos, T steps,
N objects, M words, d width.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar, cast

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor, nn
from torch.nn import functional as F

from videograph.checkpoint import Checkpointed
from videograph.config import ModelConfig
from videograph.errors import UsageError
from videograph.graph import (
    Edges,
    SparseEdges,
    masked_softmax,
    sparse_edges,
    unit,
)
from videograph.records import Scores, VideoFeatures

Step = TypeVar("Step", bound=nn.Module)

STEPS_AT_A_TIME = 2_048
"""Steps whose objects are held at once when no gradient is wanted."""
TRAINING_FREE_SCALE = 1.0
"""Lambda of the training-free temporal graph: each node hears the whole video (measured on TVSum)."""
OBJECT_SHARE, WORD_SHARE = 0.5, 0.3
"""Length of the object and the word part of a training-free node, beside a frame part of about 1."""
SMOOTHED_STEPS = 17
"""Steps over which training-free scores are smoothed: people rate seconds, not frames."""
N_PRINCIPAL = 96
"""Directions kept of the features where nothing is learned."""


@dataclass(frozen=True)
class Words:
    """What is said of a video, or asked of it, as the text encoder sees it."""

    features: np.ndarray
    """One row per word or phrase, (n_words, dim) float32."""
    mask: np.ndarray | None = None
    """Words usable at each step, (n_steps, n_words) bool, or (n_words,); None: all, everywhere."""
    is_query: np.ndarray | None = None
    """True for the user's own words, (n_words,) bool; None: none are."""
    shares_space: bool = False
    """True where the encoder of the frames was trained to put pictures and words in one space."""


@dataclass(frozen=True)
class Inputs:
    """A batch of videos, padded to one length; what lies under a false mask is never read."""

    features: Tensor
    """Frame features, (B, T, dim) float32."""
    frame_mask: Tensor
    """True for real steps, (B, T) bool."""
    object_features: Tensor | None = None
    """Region features, (B, T, N, object_dim) float32."""
    object_mask: Tensor | None = None
    """True for real objects, (B, T, N) bool."""
    word_features: Tensor | None = None
    """Text features, (B, M, word_dim) float32."""
    word_mask: Tensor | None = None
    """True for usable words, (B, M) bool, or (B, T, M) for words with times."""

    def to(self, device: torch.device | str) -> Inputs:
        """The same batch on another device."""
        return self._map(lambda x: x.to(device))

    def shuffled(self, seed: int) -> tuple[Inputs, Tensor]:
        """Steps of all videos in another order, and that order: new step i is old step order[i]."""
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(self.features.shape[1], generator=generator)
        order = order.to(self.features.device)
        words: dict[str, Any] = {"word_features": self.word_features}
        if self.word_mask is not None and self.word_mask.ndim == 2:
            words["word_mask"] = self.word_mask
        untold = replace(self, **dict.fromkeys(words))
        return replace(untold._map(lambda x: x[:, order]), **words), order

    def _map(self, change: Callable[[Tensor], Tensor]) -> Inputs:
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        changed: dict[str, Any] = {k: v if v is None else change(v) for k, v in values.items()}
        return Inputs(**changed)


@dataclass(frozen=True)
class Output:
    """What the model says, and of its graphs what the losses and `explain` need."""

    logits: Tensor
    """Before the sigmoid, (B, T)."""
    scores: Tensor
    """Key-frame score p, (B, T) in [0, 1]; 0 under a false mask."""
    features: Tensor
    """Input frame features with rows of length 1, (B, T, dim): phi~ of Eq. 14-15."""
    frame_mask: Tensor
    """As given, (B, T) bool."""
    temporal: tuple[Edges | SparseEdges, ...]
    """The temporal graph of each recursion; uniform edges where there is no recursion."""
    spatial: tuple[Edges, ...]
    """The spatial graphs of each recursion, (B, T, N, N); empty without objects or gradients."""
    nodes: Tensor
    """z^K, the nodes that are classified, (B, T, d)."""
    read: Tensor
    """y^K, the nodes that the last temporal graph ran over, (B, T, d)."""
    object_weights: Tensor | None
    """Share of each object in its frame's last node, (B, T, N)."""
    decoder: nn.Module | None = None
    """dec of Eq. 14."""

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


class Listening(nn.Module):
    """Nodes take in the words that are near to them (Eq. 2 for objects, Eq. 3 for frames)."""

    def __init__(self, width: int, has_language: bool) -> None:
        super().__init__()
        self.scale = Temperature() if has_language else None
        self.map = nn.Linear(width, width)

    def forward(self, nodes: Tensor, words: Tensor | None, mask: Tensor | None) -> Tensor:
        """Nodes that have heard the usable words, (B, T, N, d); without words the same map."""
        heard = nodes if words is None else nodes + self.context(nodes, words, mask)
        return F.relu(self.map(heard))  # (B, T, N, d)

    def context(self, nodes: Tensor, words: Tensor, mask: Tensor | None) -> Tensor:
        """sum_m s_m u_m over the usable words; 0 where there are none."""
        assert self.scale is not None and mask is not None
        near = self.scale() * unit(nodes) @ unit(words)[:, None].transpose(-1, -2)  # (B, T, N, M)
        return masked_softmax(near, mask[:, :, None]) @ words[:, None]  # (B, T, N, d)


class Pooling(nn.Module):
    """A frame's objects as one vector, weighed by the frame, or all alike (Eq. 3, 6)."""

    def __init__(self, width: int, kind: str) -> None:
        super().__init__()
        self.scale = Temperature() if kind == "attention" else None
        self.query = nn.Linear(width, width) if kind == "attention" else None

    def forward(self, frames: Tensor, objects: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Pooled objects, (B, T, d), 0 where there is none, and each one's share, (B, T, N)."""
        weights = masked_softmax(self._logits(frames, objects), mask)  # (B, T, N)
        return (weights[..., None, :] @ objects).squeeze(-2), weights  # (B, T, d)

    def _logits(self, frames: Tensor, objects: Tensor) -> Tensor:
        if self.query is None or self.scale is None:
            return objects.new_zeros(objects.shape[:-1])
        asked = unit(self.query(frames))[..., None]  # (B, T, d, 1)
        return self.scale() * (unit(objects) @ asked).squeeze(-1)


class Relation(nn.Module):
    """Which node attends to which: the two sides of the edges and their lambda (Eq. 4, 8)."""

    def __init__(self, width: int, tied: bool) -> None:
        super().__init__()
        self.scale = Temperature()
        self.q = nn.Linear(width, width)
        self.r = None if tied else nn.Linear(width, width)

    def forward(self, nodes: Tensor, mask: Tensor | None) -> Edges:
        """Edges between all nodes, (..., n, d)."""
        q, r = self.sides(nodes)
        return Edges(unit(q), unit(r), self.scale(), mask)

    def sparse(self, nodes: Tensor, mask: Tensor | None, config: ModelConfig) -> SparseEdges:
        """Edges to a window and to landmarks, (B, T, d)."""
        q, r = self.sides(nodes)
        return sparse_edges(
            unit(q), r, self.scale(), mask, window=config.window, n_landmarks=config.n_landmarks
        )

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

    def forward(self, nodes: Tensor, edges: Edges | SparseEdges) -> Tensor:
        """Updated nodes, (..., n, d)."""
        return self.norm(nodes + F.relu(edges.aggregate(self.map(nodes))))


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
        self.input_dropout = nn.Dropout(config.input_dropout)
        self.decoder = nn.Linear(width, config.feature_dim) if config.reconstruct else None
        self._initialise()

    def forward(self, inputs: Inputs) -> Output:
        """Scores of a batch, and the graphs behind them."""
        inputs = _cleaned(inputs, self.config)
        mask = None if bool(inputs.frame_mask.all()) else inputs.frame_mask
        words, word_mask = self._words(inputs)  # u, (B, M, d)
        frames = self._frames(inputs, words, word_mask)  # f^, (B, T, d)
        pooled, spatial, object_weights = self._objects(inputs, frames, words, word_mask)  # g^0..K
        nodes = _keep(self.norm(self.join(_beside(frames, pooled, 0))), mask)  # z^0, Eq. 3
        read, edges, temporal = nodes, None, []
        for k in range(self.config.n_recursions):
            step = _step(self.temporal, k)
            read = _keep(
                step.norm(nodes + step.join(_beside(frames, pooled, k + 1))), mask
            )  # Eq. 7
            if edges is None or self.config.refine_edges:
                edges = self._temporal_edges(step.relation, read, mask)  # Eq. 8
            nodes = _keep(step.convolve(read, edges), mask)  # z^k, Eq. 9
            temporal.append(edges)
        if self.late is not None and self.late_norm is not None and words is not None:
            heard = self.late.context(nodes[:, :, None], words, word_mask).squeeze(2)
            nodes = _keep(self.late_norm(nodes + F.relu(self.late.map(heard))), mask)
        logits = self.classify(self.dropout(nodes)).squeeze(-1)  # Eq. 10
        scores = _keep(logits.sigmoid(), mask)  # p, (B, T)
        return Output(
            logits, scores, unit(inputs.features), inputs.frame_mask, tuple(temporal), spatial,
            nodes, read, object_weights, self.decoder,
        )  # fmt: skip

    def is_sparse(self, n_steps: int) -> bool:
        """Whether the temporal graph of that many steps is the approximate one."""
        kind = self.config.temporal_edges
        return kind == "sparse" or (kind == "auto" and n_steps > self.config.full_steps)

    def _temporal_edges(
        self, relation: Relation | None, nodes: Tensor, mask: Tensor | None
    ) -> Edges | SparseEdges:
        assert relation is not None
        if self.is_sparse(nodes.shape[1]):
            return relation.sparse(nodes, mask, self.config)
        return relation(nodes, mask)

    def _words(self, inputs: Inputs) -> tuple[Tensor | None, Tensor | None]:
        if self.project_words is None or inputs.word_features is None:
            return None, None
        assert inputs.word_mask is not None
        mask = inputs.word_mask if inputs.word_mask.ndim == 3 else inputs.word_mask[:, None]
        return self.project_words(inputs.word_features), mask  # (B, M, d), (B, T or 1, M)

    def _frames(self, inputs: Inputs, words: Tensor | None, word_mask: Tensor | None) -> Tensor:
        frames = self.project_frames(self.input_dropout(inputs.features))  # f, (B, T, d)
        frames = frames + _places(inputs.frame_mask, self.config)
        return self.frames_listen(frames[:, :, None], self._early(words), word_mask).squeeze(2)

    def _objects(
        self, inputs: Inputs, frames: Tensor, words: Tensor | None, word_mask: Tensor | None
    ) -> tuple[list[Tensor], tuple[Edges, ...], Tensor | None]:
        """Objects pooled after each recursion, g^0..g^K; spatial graphs look at one frame only, so
        without a gradient they run over a chunk of steps at a time, and only the pooled nodes stay."""
        if self.project_objects is None:
            return [], (), None
        if torch.is_grad_enabled():
            return self._see(inputs, frames, words, word_mask, slice(None))
        parts = []
        for start in range(0, frames.shape[1], STEPS_AT_A_TIME):
            steps = slice(start, start + STEPS_AT_A_TIME)
            pooled, _, weights = self._see(inputs, frames, words, word_mask, steps)
            parts.append([*pooled, weights])
        joined = [torch.cat(column, 1) for column in zip(*parts, strict=True)]
        return joined[:-1], (), joined[-1]

    def _see(
        self, inputs: Inputs, frames: Tensor, words: Tensor | None, word_mask: Tensor | None,
        steps: slice,
    ) -> tuple[list[Tensor], tuple[Edges, ...], Tensor]:  # fmt: skip
        assert self.project_objects and self.objects_listen and self.pool
        frames, (features, mask) = frames[:, steps], _slots(inputs, frames, self.config, steps)
        if word_mask is not None and word_mask.shape[1] > 1:
            word_mask = word_mask[:, steps]
        objects = self.project_objects(self.input_dropout(features))  # v, (B, T, N, d)
        objects = _keep(self.objects_listen(objects, self._early(words), word_mask), mask)  # Eq. 2
        first, weights = self.pool(frames, objects, mask)
        pooled, edges, graphs = [first], None, []
        for k in range(self.config.n_recursions):
            step = _step(self.spatial, k)
            if edges is None or self.config.refine_edges:
                assert step.relation is not None
                edges = step.relation(objects, mask)  # Eq. 4
            objects = _keep(step.convolve(objects, edges), mask)  # x^k, Eq. 5
            g, weights = self.pool(frames, objects, mask)  # Eq. 6
            pooled.append(g)
            graphs.append(edges)
        return pooled, tuple(graphs), weights

    def _early(self, words: Tensor | None) -> Tensor | None:
        return words if self.config.fusion == "early" else None

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight, 0.1 if module.bias is None else 1.0)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        share = self.config.initial_score
        nn.init.constant_(self.classify.bias, math.log(share / (1 - share)))


def _steps(kind: Callable[..., Step], config: ModelConfig) -> Sequence[Step]:
    n = min(1, config.n_recursions) if config.share_weights else config.n_recursions
    return [kind(config, finds_edges=k == 0 or config.refine_edges) for k in range(n)]


def _listed(steps: Sequence[Step]) -> Sequence[Step]:
    return cast(Sequence[Step], nn.ModuleList(steps))


def _step(steps: Sequence[Step], k: int) -> Step:
    return steps[min(k, len(steps) - 1)]


def _keep(x: Tensor, mask: Tensor | None) -> Tensor:
    """0 under a false mask."""
    return x if mask is None else x * mask.reshape(*mask.shape, *[1] * (x.ndim - mask.ndim))


def _beside(frames: Tensor, pooled: list[Tensor], k: int) -> Tensor:
    """[f^ ; g^k], or f^ alone without objects."""
    return torch.cat([frames, pooled[k]], -1) if pooled else frames


def _cleaned(inputs: Inputs, config: ModelConfig) -> Inputs:
    """Padding set to 0, whatever it held; the video's mean taken off if so configured."""
    mask = inputs.frame_mask
    if inputs.features.shape[-1] != config.feature_dim:
        raise UsageError(
            f"frame features have {inputs.features.shape[-1]} numbers, the model reads"
            f" {config.feature_dim}. Use the encoder it was trained with."
        )
    features = inputs.features.masked_fill(~mask[..., None], 0.0)
    if config.centre_features:
        mean = features.sum(1, keepdim=True) / mask.sum(1).clamp(min=1)[:, None, None]
        features = (features - mean) * mask[..., None]
    words = inputs.word_features
    if words is not None and inputs.word_mask is not None:
        used = inputs.word_mask if inputs.word_mask.ndim == 2 else inputs.word_mask.any(1)
        words = words.masked_fill(~used[..., None], 0.0)
    return replace(inputs, features=features, word_features=words)


def _slots(
    inputs: Inputs, frames: Tensor, config: ModelConfig, steps: slice
) -> tuple[Tensor, Tensor]:
    """Object features and mask of some steps, at most `n_objects` slots; an empty slot if none came."""
    if inputs.object_features is None or inputs.object_mask is None:
        shape = (*frames[:, steps].shape[:2], 1)
        nothing = frames.new_zeros(*shape, config.object_dim)
        return nothing, torch.zeros(shape, dtype=torch.bool, device=frames.device)
    mask = inputs.object_mask[:, steps, : config.n_objects] & inputs.frame_mask[:, steps, None]
    features = inputs.object_features[:, steps, : config.n_objects]
    return features.masked_fill(~mask[..., None], 0.0), mask


def _places(mask: Tensor, config: ModelConfig) -> Tensor:
    """Time encoding, (B, T, d), or 0: sines of the step's number, or of its share of the video."""
    if config.time_encoding == "none":
        return mask.new_zeros((), dtype=torch.float32)
    number = (mask.cumsum(1) - 1).clamp(min=0).float()  # (B, T)
    half = (config.width + 1) // 2
    rank = torch.arange(half, device=mask.device) / max(1, half)
    if config.time_encoding == "relative":
        share = number / (mask.sum(1, keepdim=True) - 1).clamp(min=1)
        angles = share[..., None] * math.pi * 64**rank  # from half a turn over the video to 32
    else:
        angles = number[..., None] * 10_000**-rank
    return torch.cat([angles.sin(), angles.cos()], -1)[..., : config.width]


def inputs_from(features: VideoFeatures, words: Words | None = None) -> Inputs:
    """One video as a batch of one."""
    said, usable = None, None
    if words is not None and len(words.features):
        said = words.features
        usable = np.ones(len(said), bool) if words.mask is None else words.mask
    return Inputs(
        features=_tensor(features.features, np.float32),
        frame_mask=torch.ones(1, features.n_steps, dtype=torch.bool),
        object_features=_maybe(features.object_features, np.float32),
        object_mask=_maybe(features.object_mask, np.bool_),
        word_features=_maybe(said, np.float32),
        word_mask=_maybe(usable, np.bool_),
    )


def _tensor(array: np.ndarray, kind: type[np.generic]) -> Tensor:
    return torch.from_numpy(np.require(array, kind, ["C", "W"]))[None]


def _maybe(array: np.ndarray | None, kind: type[np.generic]) -> Tensor | None:
    return None if array is None else _tensor(array, kind)


def words_for(language: str, words: Words | None) -> Words | None:
    """The words that a model of that `ModelConfig.language` is to read: "query" takes a user's words in
    place of the video's own, where there are any. Whose words they are ("shuffled") is the caller's."""
    if words is None or language == "none" or not len(words.features):
        return None
    asked = words.is_query
    if language != "query" or asked is None or not asked.any():
        return words
    mask = None if words.mask is None else words.mask[..., asked]
    return replace(words, features=words.features[asked], mask=mask, is_query=asked[asked])


def collate(videos: Sequence[Inputs]) -> Inputs:
    """Several videos as one batch, padded with 0 to the longest; a missing part is all padding."""
    timed = any(v.word_mask is not None and v.word_mask.ndim == 3 for v in videos)
    columns: dict[str, Any] = {}
    for name in (f.name for f in fields(Inputs)):
        values = [getattr(v, name) for v in videos]
        if name == "word_mask" and timed:
            values = [_timed(v) for v in videos]
        columns[name] = _stacked(values)
    return Inputs(**columns)


def _timed(video: Inputs) -> Tensor | None:
    mask = video.word_mask
    if mask is None or mask.ndim == 3:
        return mask
    return mask[:, None].expand(-1, video.features.shape[1], -1)


def _stacked(values: list[Tensor | None]) -> Tensor | None:
    present = [v for v in values if v is not None]
    if not present:
        return None
    shape = [max(v.shape[axis] for v in present) for axis in range(1, present[0].ndim)]
    rows = []
    for value in values:
        if value is None:
            rows.append(present[0].new_zeros(1, *shape))
            continue
        pad = [
            p
            for axis in range(value.ndim - 1, 0, -1)
            for p in (0, shape[axis - 1] - value.shape[axis])
        ]
        rows.append(F.pad(value, pad))
    return torch.cat(rows)


def score_video(
    features: VideoFeatures,
    *,
    model: VideoGraph | None = None,
    words: Words | None = None,
    seed: int = 0,
    top_k: int = 10,
) -> Scores:
    """Key-frame score of every step, with the graph behind it.

    Args:
        features: what the encoder saw.
        model: trained weights; None scores by the same recursive graph without any (training-free).
        words: what is said of the video, or asked of it.
        seed: shuffles steps where the model is configured so; nothing else is random.
        top_k: strongest edges kept for each step.

    Raises:
        UsageError: the features are not those that the model reads.
    """
    inputs = inputs_from(features, words)
    if model is None:
        return _score_training_free(inputs, words, top_k)
    model.origin.admit(features.encoder)
    return _score_with(model, inputs, seed, top_k)


@torch.inference_mode()
def _score_with(model: VideoGraph, inputs: Inputs, seed: int, top_k: int) -> Scores:
    was_training, config = model.training, model.config
    order = torch.arange(inputs.features.shape[1])
    if config.shuffle_frames:
        inputs, order = inputs.shuffled(seed)
    output = model.eval()(inputs.to(model.classify.weight.device))
    model.train(was_training)
    back = order.argsort()
    columns, weights = _strongest(output.temporal, len(order), top_k)
    columns = torch.where(columns >= 0, order[columns], -1)
    pooled = output.object_weights
    return Scores(
        scores=output.scores.cpu()[0, back].numpy(),
        neighbours=columns[back].numpy(),
        neighbour_weights=weights[back].numpy(),
        object_weights=None if pooled is None else pooled.cpu()[0, back].numpy(),
        form=model.origin.name or "model",
        active=_active(model, inputs),
    )


def _strongest(temporal: Sequence[Edges | SparseEdges], n: int, k: int) -> tuple[Tensor, Tensor]:
    if not temporal:
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


@torch.inference_mode()
def _score_training_free(inputs: Inputs, words: Words | None, top_k: int) -> Scores:
    """The recursive graph with orthogonal maps in the place of learned ones.

    A step counts by what its neighbours in the graph do not tell of it (summed over the recursions),
    and by how much the picture changes around it: both as ranks, smoothed over some seconds.
    Figures and the variants tried: docs/results.md.
    """
    features = inputs.features[0]
    frames = _principal(_centred(features))  # f, (T, d)
    pooled, weights = _training_free_objects(inputs)  # g^1..g^K
    said = WORD_SHARE * _said(inputs, words)
    z, surprise, edges = frames, torch.zeros(len(frames)), _training_free_edges(frames)
    for g in pooled:
        y = unit(torch.cat([z[:, : frames.shape[1]] + frames, OBJECT_SHARE * g, said], -1))  # Eq. 7
        edges = _training_free_edges(y)  # Eq. 8
        heard = edges.aggregate(y[None])[0]
        surprise = surprise + (y - heard).norm(dim=-1)
        z = unit(y + heard)  # Eq. 9
    change = F.pad((features[1:] - features[:-1]).norm(dim=-1), (1, 0))
    scores = (_ranks(_smooth(surprise)) + _ranks(_smooth(change))) / 2
    relevance = _relevance(frames.shape[0], inputs, words)
    if relevance is not None:
        scores = (scores + _ranks(_smooth(relevance))) / 2
    top = edges.top(top_k)
    return Scores(
        scores=scores.float().numpy(),
        neighbours=top.columns[0].numpy(),
        neighbour_weights=top.weights[0].numpy(),
        object_weights=None if weights is None else weights.numpy(),
        form="training-free",
        active={
            "objects": _any(inputs.object_mask),
            "words": bool(said.any()),
            "query": relevance is not None,
            "n_recursions": len(pooled),
            "temporal_edges": "sparse" if isinstance(edges, SparseEdges) else "full",
            "time_encoding": "none",
        },
    )


def _training_free_edges(nodes: Tensor) -> Edges | SparseEdges:
    config, y, scale = ModelConfig(1), nodes[None], nodes.new_tensor(TRAINING_FREE_SCALE)
    if len(nodes) <= config.full_steps:
        return Edges(y, y, scale)
    return sparse_edges(y, y, scale, None, window=config.window, n_landmarks=config.n_landmarks)


def _training_free_objects(inputs: Inputs) -> tuple[list[Tensor], Tensor | None]:
    """g^1..g^K: objects after each spatial graph, pooled with most weight on what the video seldom shows."""
    n_recursions = ModelConfig.n_recursions
    if inputs.object_features is None or inputs.object_mask is None:
        nothing = inputs.features.new_zeros(inputs.features.shape[1], 0)
        return [nothing] * n_recursions, None
    mask = inputs.object_mask[0]
    objects = _principal(_centred(inputs.object_features[0][mask]))
    real = objects.new_zeros(*mask.shape, objects.shape[-1])
    real[mask] = objects
    pooled, weights = [], None
    for _ in range(n_recursions):
        edges = Edges(real, real, real.new_tensor(10.0), mask)  # Eq. 4
        real = unit(real + edges.aggregate(real))  # Eq. 5
        usual = real.sum((0, 1)) / mask.sum().clamp(min=1)
        weights = masked_softmax(5 * (real - usual).norm(dim=-1), mask)
        pooled.append((weights[:, None] @ real).squeeze(1))  # Eq. 6
    return pooled, weights


def _said(inputs: Inputs, words: Words | None) -> Tensor:
    """What is said at each step: mean of the timed words, against their mean over the video, (T, d)."""
    mask = inputs.word_mask
    if words is None or inputs.word_features is None or mask is None or mask.ndim == 2:
        return inputs.features.new_zeros(inputs.features.shape[1], 0)
    heard = mask[0].float() @ unit(inputs.word_features[0])  # (T, d)
    heard = heard / mask[0].sum(-1, keepdim=True).clamp(min=1)
    silent = ~mask[0].any(-1, keepdim=True)
    return _principal(_centred(heard).masked_fill(silent, 0.0))


def _relevance(n_steps: int, inputs: Inputs, words: Words | None) -> Tensor | None:
    """How near each step is to the user's words, (T,): by what is said there, or by the picture."""
    if words is None or words.is_query is None or not words.is_query.any():
        return None
    assert inputs.word_features is not None and inputs.word_mask is not None
    asked = torch.as_tensor(words.is_query)
    told = unit(inputs.word_features[0])
    near = told @ unit(told[asked].mean(0))  # (M,)
    if words.shares_space:
        return unit(inputs.features[0]) @ unit(told[asked].mean(0))
    mask = inputs.word_mask[0].expand(n_steps, -1) & ~asked
    if inputs.word_mask.ndim == 2 or not mask.any():
        return None
    return near.expand(n_steps, -1).masked_fill(~mask, -1.0).amax(-1)


def _centred(rows: Tensor) -> Tensor:
    """Rows less their mean, of length 1; rows that are the mean but for rounding are 0."""
    if not len(rows):
        return rows
    centred = rows - rows.mean(0)
    length = rows.norm(dim=-1, keepdim=True)
    return unit(centred) * (centred.norm(dim=-1, keepdim=True) > 1e-4 * length)


def _principal(rows: Tensor) -> Tensor:
    """Rows in the few directions in which they differ most (Halko, Martinsson, Tropp 2011): an
    orthogonal map to a common width, by a seeded range finder on at most 8,192 of them."""
    n, width = rows.shape
    if not n or width <= N_PRINCIPAL:
        return rows
    some = rows[:: -(-n // 8_192)]
    generator = torch.Generator().manual_seed(0)
    probe = torch.randn(width, N_PRINCIPAL, generator=generator)
    for _ in range(3):
        probe = torch.linalg.qr(some.T @ (some @ probe)).Q
    return rows @ probe


def _smooth(x: Tensor) -> Tensor:
    """Means over `SMOOTHED_STEPS`, in a short video over an eighth of it."""
    half = min(SMOOTHED_STEPS // 2, len(x) // 16)
    return F.avg_pool1d(x[None], 2 * half + 1, 1, half, count_include_pad=False)[0]


def _ranks(x: Tensor) -> Tensor:
    """Ranks from 0 to 1, ties shared; all 0.5 where all are alike (to rounding)."""
    if len(x) < 2 or float(x.max() - x.min()) <= 1e-5 * float(x.abs().max()):
        return torch.full_like(x, 0.5)
    return torch.as_tensor((rankdata(x.numpy()) - 1) / (len(x) - 1))
