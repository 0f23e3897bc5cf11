"""Graphs: what never writes the adjacency down agrees with what does, gradients included."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from scipy.stats import kendalltau
from torch import Tensor

from videograph import attention, graph
from videograph.graph import Edges, masked_softmax, sparse_edges, unit

N, D = 150, 12


def random_edges(
    *shape: int, seed: int = 0, n_padded: int = 0, dtype: torch.dtype = torch.float64
) -> Edges:
    generator = torch.Generator().manual_seed(seed)
    q, r = (unit(torch.randn(*shape, D, generator=generator, dtype=dtype)) for _ in range(2))
    mask = None
    if n_padded:
        mask = torch.ones(*shape, dtype=torch.bool)
        mask[0, ..., -n_padded:] = False
    scale = torch.tensor(10.0, dtype=dtype, requires_grad=True)
    return Edges(q.requires_grad_(), r.requires_grad_(), scale, mask)


def written_down(edges: Edges) -> Tensor:
    """A by its definition, Eq. 4 and 8."""
    logits = edges.scale * edges.q @ edges.r.transpose(-1, -2)
    if edges.mask is not None:
        logits = logits.masked_fill(~edges.mask[..., None, :], -math.inf)
    return logits.softmax(-1) * (1 if edges.mask is None else edges.mask[..., None])


def gradients(edges: Edges, value: Tensor) -> list[Tensor]:
    weights = torch.randn(value.shape, generator=torch.Generator().manual_seed(7)).to(value.dtype)
    return list(torch.autograd.grad((value * weights).sum(), [edges.q, edges.r, edges.scale]))


def assert_same(edges: Edges, value: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(value, expected, atol=1e-10, rtol=1e-8)
    for got, wanted in zip(gradients(edges, value), gradients(edges, expected), strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-9, rtol=1e-7)


@pytest.fixture(params=[0, 40], ids=["whole", "padded"])
def edges(request: pytest.FixtureRequest) -> Edges:
    return random_edges(2, N, n_padded=request.param)


def keep(edges: Edges, x: Tensor) -> Tensor:
    return x if edges.mask is None else x * edges.mask[..., None]


def in_blocks(monkeypatch: pytest.MonkeyPatch, n_entries: int) -> None:
    """Many blocks of rows, none of them kept for the backward pass."""
    monkeypatch.setattr(attention, "BLOCK_ENTRIES", n_entries)
    monkeypatch.setattr(attention, "KEPT_ENTRIES", 0)


@pytest.mark.parametrize("width", [5, D, 20])
def test_fused_attention_is_the_dense_graph(edges: Edges, width: int) -> None:
    values = torch.randn(2, N, width, dtype=torch.float64)
    assert_same(edges, keep(edges, edges.aggregate(values)), written_down(edges) @ values)


def test_entropy_is_the_dense_graphs(edges: Edges, monkeypatch: pytest.MonkeyPatch) -> None:
    in_blocks(monkeypatch, 20 * N)
    a = written_down(edges)
    dense = -(a * a.clamp(min=1e-300).log()).sum(-1)
    assert_same(edges, edges.entropy(), dense)


@pytest.mark.parametrize("n_entries", [None, 20 * N], ids=["kept", "blocks"])
def test_hearing_and_its_entropy_share_one_pass(
    edges: Edges, monkeypatch: pytest.MonkeyPatch, n_entries: int | None
) -> None:
    """Both asked for, as in training: values and gradients are those of the matrix written down."""
    if n_entries is not None:
        in_blocks(monkeypatch, n_entries)
    values = torch.randn(2, N, D, dtype=torch.float64)
    heard, a = keep(edges, edges.aggregate(values)), written_down(edges)
    dense = -(a * a.clamp(min=1e-300).log()).sum(-1)
    assert_same(
        edges, torch.cat([heard, edges.entropy()[..., None]], -1),
        torch.cat([a @ values, dense[..., None]], -1),
    )  # fmt: skip


def test_entropy_of_small_graphs() -> None:
    edges = random_edges(3, 7, 6, n_padded=2)
    a = written_down(edges)
    assert_same(edges, edges.entropy(), -(a * a.clamp(min=1e-300).log()).sum(-1))


def test_gradient_of_blocks_by_finite_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "SMALL", 2)
    in_blocks(monkeypatch, 20)
    edges = random_edges(1, 9)
    torch.autograd.gradcheck(
        lambda q, r: Edges(q, r, edges.scale.detach()).entropy(), (edges.q, edges.r)
    )


def test_squared_affinity_is_the_dense_mean(edges: Edges) -> None:
    squares = (edges.q @ edges.r.transpose(-1, -2)) ** 2
    if edges.mask is not None:
        squares = squares * edges.mask[:, None] * edges.mask[..., None]
    expected = squares.sum((-1, -2)) / edges.n_valid**2
    torch.testing.assert_close(edges.squared_affinity(), expected)


def test_neighbours_without_oneself_are_the_dense_graphs(edges: Edges) -> None:
    values = torch.randn(2, N, 6, dtype=torch.float64)
    p = keep(edges, torch.rand(2, N, 1, dtype=torch.float64)).squeeze(-1)
    a = written_down(edges)
    a = a - torch.diag_embed(a.diagonal(dim1=-1, dim2=-2))
    expected = (a @ (p[..., None] * values)) / (a @ p[..., None] + 1e-6)
    assert_same(edges, edges.without_self(values, p, eps=1e-6), expected)


def test_top_edges_are_the_dense_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    in_blocks(monkeypatch, 7 * N)
    edges = random_edges(2, N, n_padded=40)
    top = edges.top(5)
    a = written_down(edges).detach()
    a = a - torch.diag_embed(a.diagonal(dim1=-1, dim2=-2))
    wanted = a.topk(5)
    torch.testing.assert_close(top.weights, wanted.values)
    torch.testing.assert_close(top.kept, wanted.values.sum(-1))
    real = edges.mask
    assert real is not None
    assert torch.equal(top.columns[real], wanted.indices[real])
    assert (top.columns[~real] == -1).all()


def test_top_edges_of_fewer_nodes_than_asked() -> None:
    top = random_edges(1, 3).top(5)
    assert top.columns.shape == (1, 3, 5)
    assert (top.columns[..., 2:] == -1).all()
    assert (top.weights[..., 2:] == 0).all()
    assert (random_edges(1, 1).top(2).columns == -1).all()


def test_an_empty_graph_is_zero_not_nan() -> None:
    for n in (5, 100):  # written down, and fused
        edges = random_edges(2, n)
        empty = Edges(edges.q, edges.r, edges.scale, torch.zeros(2, n, dtype=torch.bool))
        for value in (empty.aggregate(edges.r), empty.entropy(), empty.squared_affinity()):
            assert (value == 0).all()
            got = torch.autograd.grad(value.sum(), [edges.q, edges.r], retain_graph=True)
            assert all(torch.isfinite(g).all() for g in got)
        assert (empty.dense() == 0).all()
    assert (masked_softmax(torch.randn(3), torch.zeros(3, dtype=torch.bool)) == 0).all()


def sparse(
    nodes: Tensor, window: int, n_landmarks: int, mask: Tensor | None = None
) -> graph.SparseEdges:
    return sparse_edges(
        unit(nodes), nodes, nodes.new_tensor(5.0), mask, window=window, n_landmarks=n_landmarks
    )


def full(nodes: Tensor, mask: Tensor | None = None) -> Edges:
    return Edges(unit(nodes), unit(nodes), nodes.new_tensor(5.0), mask)


def test_a_sparse_graph_whose_window_sees_all_is_the_full_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(graph, "SPARSE_ROWS", 16)
    nodes = torch.randn(2, 70, D, dtype=torch.float64)
    mask = torch.ones(2, 70, dtype=torch.bool)
    mask[1, 50:] = False
    one, other = sparse(nodes, 70, 0, mask), full(nodes, mask)
    values = torch.randn(2, 70, 4, dtype=torch.float64)
    weights = torch.rand(2, 70, dtype=torch.float64) * mask
    row = mask[..., None]
    torch.testing.assert_close(one.aggregate(values) * row, other.aggregate(values) * row)
    torch.testing.assert_close(one.entropy(), other.entropy())
    torch.testing.assert_close(one.squared_affinity(), other.squared_affinity())
    torch.testing.assert_close(
        one.without_self(values, weights) * row, other.without_self(values, weights) * row
    )
    assert torch.equal(one.top(3).columns, other.top(3).columns)


def test_landmarks_on_runs_of_equal_nodes_are_the_full_graph() -> None:
    nodes = torch.randn(20, D, dtype=torch.float64).repeat_interleave(5, 0)[None, :97]
    one, other = sparse(nodes, 7, 20), full(nodes)
    assert one.runs == (5,)
    torch.testing.assert_close(one.aggregate(nodes), other.aggregate(nodes))
    torch.testing.assert_close(one.entropy(), other.entropy())
    torch.testing.assert_close(one.self_weights(), other.self_weights())


@pytest.mark.parametrize(("scale", "run", "bound", "agreed"), [
    (1.0, 15, 0.006, 0.95), (1.0, 85, 0.02, 0.84), (10.0, 15, 0.05, 0.88), (10.0, 85, 0.08, 0.78),
])  # fmt: skip
def test_the_sparse_approximation_is_bounded(
    data: Path, scale: float, run: int, bound: float, agreed: float
) -> None:
    """Real frames, runs as long as 4 and 24 hours have: what nodes hear lies near what all of them say."""
    nodes = real_frames(data)
    scaled, n_landmarks = torch.tensor(scale), -(-nodes.shape[1] // run)
    one = sparse_edges(nodes, nodes, scaled, None, window=64, n_landmarks=n_landmarks)
    heard, all_say = one.aggregate(nodes), Edges(nodes, nodes, scaled).aggregate(nodes)
    assert (heard - all_say).norm(dim=-1).mean() < bound
    surprise = [(nodes - x).norm(dim=-1)[0].numpy() for x in (heard, all_say)]
    assert kendalltau(*surprise).statistic > agreed


def real_frames(data: Path) -> Tensor:
    """2,000 steps of TVSum's videos in the directions in which they differ most, (1, 2000, 96)."""
    with h5py.File(data / "tvsum/tvsum_mobilenetv2.h5") as file:
        names = sorted(name for name in file if name.startswith("video_"))[:4]
        rows = np.concatenate([file[name]["features"][:] for name in names]).astype(np.float32)
    centred = torch.from_numpy(rows - rows.mean(0))[:2000]
    torch.manual_seed(0)
    return unit(centred @ torch.pca_lowrank(centred, 96, center=False)[2])[None]


def test_without_gradients_a_sparse_graph_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows that inference fills in place are those that training puts together."""
    monkeypatch.setattr(graph, "SPARSE_ROWS", 16)
    mask = torch.ones(2, 70, dtype=torch.bool)
    mask[1, 50:] = False
    nodes = torch.randn(2, 70, D, dtype=torch.float64)
    edges = sparse(nodes, 6, 9, mask)
    with torch.inference_mode():
        alone = edges.aggregate(nodes), edges.entropy()
    torch.testing.assert_close(alone[0], edges.aggregate(nodes))
    torch.testing.assert_close(alone[1], edges.entropy())


def test_sparse_gradients_come_through_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = torch.randn(1, 40, 5, dtype=torch.float64, requires_grad=True)
    whole = torch.autograd.grad(sparse(nodes, 6, 5).aggregate(nodes).square().sum(), nodes)[0]
    monkeypatch.setattr(graph, "SPARSE_ROWS", 7)
    chunks = torch.autograd.grad(sparse(nodes, 6, 5).aggregate(nodes).square().sum(), nodes)[0]
    torch.testing.assert_close(chunks, whole)


def test_sparse_top_edges_lead_to_real_nodes() -> None:
    top = sparse(torch.randn(1, 300, D), 4, 10).top(6)
    own = torch.arange(300)[None, :, None]
    assert ((top.columns >= 0) & (top.columns < 300) & (top.columns != own)).all()
    assert (top.weights.diff(dim=-1) <= 0).all()
    assert (top.kept <= 1).all()


LINEAR = """
import resource, torch
from videograph.graph import Edges, unit
torch.set_num_threads(1)
nodes = torch.randn(1, 8_000, 16)
x = nodes.clone().requires_grad_()
edges = Edges(unit(x), unit(x), torch.tensor(10.0))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
(edges.aggregate(x).square().sum() + edges.without_self(x, torch.rand(1, 8_000)).sum()).backward()
edges.top(5)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def test_memory_is_linear() -> None:
    """8,000 nodes have 256 MB of edges in float32; forward, backward and the top edges hold none."""
    done = subprocess.run(
        [sys.executable, "-c", LINEAR], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 100
