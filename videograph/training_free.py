"""VideoGraph without training: the recursive graph with orthogonal maps in the place of learned ones.

Equation numbers are those of docs/method.md. Letters: T steps, N objects, M words, d directions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from videograph.attention import LONG_STEPS, by_steps, long_empty
from videograph.config import ModelConfig
from videograph.graph import Edges, SparseEdges, masked_softmax, sparse_edges, unit
from videograph.inputs import Inputs
from videograph.records import Scores, Words
from videograph.relevance import Guide
from videograph.runs import Runs, first_of, found_runs
from videograph.spill import pieces

TRAINING_FREE_SCALE = 1.0
"""Lambda of the training-free temporal graph: each node hears the whole video (measured on TVSum)."""
OBJECT_SHARE, WORD_SHARE = 0.5, 0.3
"""Length of the object and the word part of a training-free node, beside a frame part of about 1."""
ABOUT_SHARE, ASKED_SHARE = 0.3, 1.0
"""Length of the part of a node that says how near it is to the title, and how far it answers a user: who
asks wants the moments that answer tied together, as closely as by what is seen."""
ABOUT_WEIGHT = 0.2
"""Weight of the nearness to the title beside all else: chosen on folds of TVSum, docs/results.md."""
SMOOTHED_STEPS = 17
"""Steps over which training-free scores are smoothed: people rate seconds, not frames."""
N_PRINCIPAL = 96
"""Directions kept of the features where nothing is learned."""
N_SAMPLED = 8_192
"""Rows from which these directions are found."""
NOISE = 0.01
"""Share of a feature's length below which a difference is noise, of the camera or of the codec: it stays as
small as it is, where larger ones are brought to length 1."""
SAME = 3e-3
"""Difference of two scores, in lengths of a node, below which neither step ranks before the other."""
STEPS_AT_A_TIME = 512
"""Steps whose objects are held at once beside the result, 15 MB of temporaries."""


@torch.inference_mode()
def score_training_free(
    inputs: Inputs,
    words: Words | None,
    top_k: int,
    guide: Guide | None = None,
    *,
    about_weight: float = ABOUT_WEIGHT,
) -> Scores:
    """The recursive graph with orthogonal maps in the place of learned ones.

    A step counts by what its neighbours in the graph do not tell of it (summed over the recursions),
    and by how much the picture changes around it: both as ranks, smoothed over some seconds. What
    words say of a step is in its node before any edge is drawn (Eq. 2, 3); nearness to the title then
    goes over the last edges, and so reaches steps that look alike and of which nothing is said.
    Figures and the variants tried: docs/results.md.
    """
    features = inputs.features[0]
    runs = None
    if words is None and not _asked(1, guide).shape[1]:
        runs = found_runs(inputs, min(len(features) // 2, ModelConfig(1).full_steps))
        inputs = inputs if runs is None else first_of(inputs, runs)
    frames = _principal_frames(inputs.features[0], runs)  # f, (T, d)
    pooled, weights = _training_free_objects(inputs, runs)  # g^1..g^K
    said = WORD_SHARE * _said(inputs, words)
    asked = _asked(len(frames), guide)
    z, surprise, edges = frames, torch.zeros(len(frames)), None
    for g in pooled:
        y = _joined(z, frames, g, said, asked)  # Eq. 7
        edges = _training_free_edges(y, runs)  # Eq. 8
        heard = edges.aggregate(y[None])[0]
        for at in _chunks(len(y)):
            surprise[at] += (y[at] - heard[at]).norm(dim=-1)
            heard[at] = _unless_noise(y[at] + heard[at])
        z = heard  # Eq. 9
    assert edges is not None, "there is at least one recursion"
    top = edges.top(top_k)
    columns, tied = top.columns[0], top.weights[0]
    if runs is not None:
        surprise, weights = surprise[runs.number], None if weights is None else runs.spread(weights)
        columns, tied = (runs.spread(x) for x in runs.edges(columns, tied))
    change = _change(features) / _spread(features)
    scores = (_ranks(_smooth(surprise), SAME) + _ranks(_smooth(change), SAME)) / 2
    is_about = guide is not None and guide.about is not None
    if guide is not None and guide.about is not None:
        near = edges.aggregate(torch.as_tensor(guide.about)[None, :, None])[0, :, 0]
        scores = _ranks(
            (1 - about_weight) * _standard(scores) + about_weight * _standard(_smooth(near))
        )
    relevance = _relevance(len(features), inputs, words) if guide is None else None
    if relevance is not None:
        scores = (scores + _ranks(_smooth(relevance))) / 2
    return Scores(
        scores=scores.float().numpy(),
        neighbours=columns.numpy(),
        neighbour_weights=tied.numpy(),
        object_weights=None if weights is None else weights.numpy(),
        form="training-free",
        active={
            "objects": inputs.object_mask is not None and bool(inputs.object_mask.any()),
            "words": bool(said.any() or asked.any()),
            "title": is_about,
            "query": relevance is not None,
            "n_recursions": len(pooled),
            "temporal_edges": "sparse" if isinstance(edges, SparseEdges) else "full",
            "time_encoding": "none",
        },
    )


def _asked(n_steps: int, guide: Guide | None) -> Tensor:
    """What words say of each step, a column for each thing they tell of, (T, 0 to 3)."""
    if guide is None:
        return torch.zeros(n_steps, 0)
    parts = (
        (ABOUT_SHARE, guide.about),
        (ASKED_SHARE, guide.answers),
        (ASKED_SHARE, guide.unwanted),
    )
    told = [share * torch.as_tensor(part)[:, None] for share, part in parts if part is not None]
    return torch.cat(told, -1) if told else torch.zeros(n_steps, 0)


def _standard(x: Tensor) -> Tensor:
    """Mean 0 and deviation 1; 0 where all are alike."""
    spread = x.std(correction=0)
    return (x - x.mean()) / spread if float(spread) > 1e-6 else torch.zeros_like(x)


def _training_free_edges(nodes: Tensor, runs: Runs | None = None) -> Edges | SparseEdges:
    config, y, scale = ModelConfig(1), nodes[None], nodes.new_tensor(TRAINING_FREE_SCALE)
    if len(nodes) <= config.full_steps:
        return Edges(y, y, scale).counting(None if runs is None else runs.lengths[None])
    return sparse_edges(y, y, scale, None, window=config.window, n_landmarks=config.n_landmarks)


def _training_free_objects(
    inputs: Inputs, runs: Runs | None = None
) -> tuple[list[Tensor], Tensor | None]:
    """g^1..g^K: objects after each spatial graph, pooled with most weight on what the video seldom shows."""
    n_recursions = ModelConfig.n_recursions
    if inputs.object_features is None or inputs.object_mask is None:
        nothing = inputs.features.new_zeros(inputs.features.shape[1], 0)
        return [nothing] * n_recursions, None
    mask = inputs.object_mask[0]
    real = _principal_objects(inputs.object_features[0], mask, runs)
    pooled, weights = [], real.new_empty(mask.shape)
    n_seen = _total(mask, slice(None), runs).clamp(min=1)
    for _ in range(n_recursions):
        total = real.new_zeros(real.shape[-1])
        for at in _chunks(len(real)):
            edges = Edges(real[at], real[at], real.new_tensor(10.0), mask[at])  # Eq. 4
            real[at] = unit(real[at] + edges.aggregate(real[at]))  # Eq. 5
            total += _total(real, at, runs)
        usual = total / n_seen
        for at in _chunks(len(real)):
            unusual = (real[at] - usual).norm(dim=-1)
            weights[at] = masked_softmax(5 * unusual, mask[at])
        pooled.append(
            _of_steps(len(real), lambda at: (weights[at, None] @ real[at]).squeeze(1))
        )  # Eq. 6
    return pooled, weights


def _principal_frames(features: Tensor, runs: Runs | None = None) -> Tensor:
    """As `_principal(_centred(features))`, a chunk of steps at a time: a day's features are large."""
    mean = _mean(features, runs)
    some = _every(features, N_SAMPLED, runs) if len(features) else features
    probe = _directions(_centred(some, mean))
    if probe is None:
        return _centred(features, mean)
    return _of_steps(len(features), lambda at: _centred(features[at], mean) @ probe)


def _spread(features: Tensor) -> Tensor:
    """How far the steps lie from their mean, on average, or `NOISE` of their length where that is more."""
    mean, far, length = _mean(features), features.new_zeros(()), features.new_zeros(())
    for at in _chunks(len(features)):
        far = far + (features[at] - mean).norm(dim=-1).sum()
        length = length + features[at].norm(dim=-1).sum()
    return (torch.maximum(far, NOISE * length) / len(features)).clamp(min=1e-12)


def _change(features: Tensor) -> Tensor:
    """How far each step lies from the one before it, (T,); 0 for the first."""
    change = features.new_zeros(len(features))
    for at in _chunks(len(features) - 1):
        after = features[at.start + 1 : at.stop + 1]
        change[at.start + 1 : at.stop + 1] = (after - features[at]).norm(dim=-1)
    return change


def _principal_objects(features: Tensor, mask: Tensor, runs: Runs | None = None) -> Tensor:
    """As `_principal(_centred(...))` of all real objects, a chunk of steps at a time, (T, N, d)."""
    mean = features.new_zeros(features.shape[-1], dtype=torch.float32)
    for at in _chunks(len(features)):
        mean += _total(features, at, runs)  # masked slots hold 0
    mean /= _total(mask, slice(None), runs).clamp(min=1)
    n_sampled = N_SAMPLED // max(1, mask.shape[1])
    some = _every(features, n_sampled, runs)[_every(mask, n_sampled, runs)]
    probe = _directions(_centred(some.float(), mean))
    real = long_empty(mean, *mask.shape, features.shape[-1] if probe is None else N_PRINCIPAL)
    for at in _chunks(len(features)):
        rows = _centred(features[at][mask[at]].float(), mean)
        real[at] = 0
        real[at][mask[at]] = rows if probe is None else rows @ probe
    return real


def _joined(z: Tensor, frames: Tensor, pooled: Tensor, said: Tensor, asked: Tensor) -> Tensor:
    """What a node was and its frame show, its objects, words and question, side by side."""
    width = frames.shape[1]

    def make(at: slice) -> Tensor:
        own = [z[at, :width] + frames[at], OBJECT_SHARE * pooled[at], said[at], asked[at]]
        return _unless_noise(torch.cat(own, -1))

    return _of_steps(len(z), make)


def _of_steps(n_steps: int, make: Callable[[slice], Tensor]) -> Tensor:
    """As `by_steps`, of one video."""
    return by_steps(n_steps, lambda at: make(at)[None])[0]


def _every(rows: Tensor, n_sampled: int, runs: Runs | None = None) -> Tensor:
    """Rows of evenly chosen steps, taken piece by piece: a page of each would be all that is on disk."""
    if runs is not None:
        return rows[runs.number[:: -(-len(runs.number) // n_sampled)]]
    stride = -(-len(rows) // n_sampled)
    if len(rows) <= LONG_STEPS:
        return rows[::stride]
    at_once = max(1, LONG_STEPS // stride) * stride
    return torch.cat([rows[at][::stride].clone() for at in pieces(len(rows), at_once)])


def _mean(rows: Tensor, runs: Runs | None = None) -> Tensor:
    """Mean over all steps, of many a piece at a time."""
    if len(rows) <= LONG_STEPS and runs is None:
        return rows.mean(0)
    n_steps, total = len(rows), rows.new_zeros(rows.shape[-1], dtype=torch.float64)
    if runs is not None:
        n_steps = len(runs.number)
    for at in _chunks(len(rows)):
        some = rows[at] if runs is None else rows[at] * runs.lengths[at, None]
        total += some.sum(0, dtype=torch.float64)
    return (total / n_steps).to(rows.dtype)


def _total(objects: Tensor, at: slice, runs: Runs | None) -> Tensor:
    """Sum over some nodes' objects, (T, N, ...) to (...), each as often as it is seen."""
    some = objects[at] if objects.dtype == torch.bool else objects[at].float()
    return (
        some.sum((0, 1))
        if runs is None
        else torch.tensordot(runs.lengths[at], some.sum(1).float(), 1)
    )


def _chunks(n_steps: int) -> Iterator[slice]:
    return pieces(n_steps, STEPS_AT_A_TIME)


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


def _centred(rows: Tensor, mean: Tensor | None = None) -> Tensor:
    """Rows less their mean, of length 1, or shorter where they are the mean but for noise."""
    if not len(rows):
        return rows
    centred = rows - (rows.mean(0) if mean is None else mean)
    return _unless_noise(centred, rows.norm(dim=-1, keepdim=True))


def _unless_noise(rows: Tensor, beside: Tensor | float = 1.0) -> Tensor:
    """Rows of length 1; those within `NOISE` of 0 (in units of `beside`) grow by 1 / NOISE at most."""
    least = torch.as_tensor(NOISE * beside).clamp(min=1e-12)
    return rows / torch.maximum(rows.norm(dim=-1, keepdim=True), least)


def _principal(rows: Tensor) -> Tensor:
    """Rows in the few directions in which they differ most: an orthogonal map to a common width."""
    probe = _directions(rows[:: -(-len(rows) // N_SAMPLED)] if len(rows) else rows)
    return rows if probe is None else rows @ probe


def _directions(some: Tensor) -> Tensor | None:
    """The directions in which rows differ most, (width, d), by a seeded range finder (Halko,
    Martinsson, Tropp, 2011); None where there are no rows, or few columns anyway."""
    n, width = some.shape
    if not n or width <= N_PRINCIPAL:
        return None
    generator = torch.Generator().manual_seed(0)
    probe = torch.randn(width, N_PRINCIPAL, generator=generator)
    for _ in range(3):
        probe = torch.linalg.qr(some.T @ (some @ probe)).Q
    return probe


def _smooth(x: Tensor) -> Tensor:
    """Means over `SMOOTHED_STEPS`, in a short video over an eighth of it."""
    half = min(SMOOTHED_STEPS // 2, len(x) // 16)
    return F.avg_pool1d(x[None], 2 * half + 1, 1, half, count_include_pad=False)[0]


def _ranks(x: Tensor, same: float = 0.0) -> Tensor:
    """Ranks from 0 to 1, ties shared (also of values that round to the same multiple of `same`); all 0.5
    where all are alike (to rounding)."""
    if same:
        x = ((x - x.median()) / same).round()  # what is usual lies together, whatever its value
    if len(x) < 2 or float(x.max() - x.min()) <= 1e-5 * float(x.abs().max()):
        return torch.full_like(x, 0.5)
    # As scipy.stats.rankdata, which takes 35 MB and half a second to load.
    _, group, counts = torch.unique(x, return_inverse=True, return_counts=True)
    middle = counts.cumsum(0) - (counts + 1) / 2
    return middle.double()[group] / (len(x) - 1)
