"""Time and peak memory of the temporal layer (Eq. 8-9 and the entropy of Eq. 12), beside a plain dense one.

    python benchmarks/temporal_graph.py [--steps 300,1200,7200,14400] [--width 256] [--threads 2]

Every cell is a process of its own, so that its peak is its own. "scoring" is one recursion without
gradients, "training" one with L_reg and backward. A dense cell that would not fit in --memory is left
out and says what its edges alone would take.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import torch
from torch import Tensor

from videograph.config import ModelConfig
from videograph.graph import Edges, SparseEdges
from videograph.losses import entropy_regulariser
from videograph.model import TemporalStep

FORMS = ("dense", "linear", "sparse")
DENSE_COPIES = {"scoring": 2, "training": 7}
"""Matrices of n_steps x n_steps that the plain layer holds at once, counted at 7,200 steps."""


class Plain:
    """The same edges the way they are usually written: the whole adjacency, kept for backward."""

    def __init__(self, edges: Edges) -> None:
        self.adjacency = (edges.scale * edges.q @ edges.r.transpose(-1, -2)).softmax(-1)

    def aggregate(self, values: Tensor) -> Tensor:
        return self.adjacency @ values

    def regulariser(self) -> Tensor:
        a = self.adjacency
        n_steps = a.new_tensor(float(a.shape[-1]))
        return -(a * (a + 1e-12).log()).sum(-1).mean() / n_steps.log()


def layer(
    form: str, step: TemporalStep, nodes: Tensor
) -> tuple[Tensor, Plain | Edges | SparseEdges]:
    assert step.relation is not None
    if form == "sparse":
        edges = step.relation.sparse(nodes, None, ModelConfig(1))
    else:
        edges = step.relation(nodes, None)
    graph = Plain(edges) if form == "dense" and isinstance(edges, Edges) else edges
    heard = graph.aggregate(step.convolve.map(nodes))
    return step.convolve.norm(nodes + heard.relu()), graph


def measure(form: str, task: str, n_steps: int, width: int) -> dict[str, float]:
    torch.manual_seed(0)
    step = TemporalStep(ModelConfig(width, width=width), finds_edges=True)
    nodes = torch.randn(1, n_steps, width)
    layer(form, step, nodes[:, :64])  # libraries are loaded, kernels chosen
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    if task == "scoring":
        with torch.inference_mode():
            layer(form, step, nodes)
    else:
        out, graph = layer(form, step, nodes)
        regulariser = (
            graph.regulariser() if isinstance(graph, Plain) else entropy_regulariser(graph)
        )
        (out.square().mean() + 0.01 * regulariser.mean()).backward()
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": seconds, "megabytes": (peak - base) / 1024}


def cell(form: str, task: str, n_steps: int, args: argparse.Namespace) -> str:
    needed = 4 * n_steps**2 * DENSE_COPIES[task] / 1e9
    if form == "dense" and needed > args.memory:
        return f"left out: {needed:.1f} GB"
    command = [sys.executable, __file__, "--one", form, task, str(n_steps)]
    command += ["--width", str(args.width), "--threads", str(args.threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    return f"{result['seconds']:.2f} s, {result['megabytes']:,.0f} MB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", default="300,1200,7200,14400")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory", type=float, default=6.0, help="GB that a dense cell may take")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.one:
        form, task, n_steps = args.one
        print(json.dumps(measure(form, task, int(n_steps), args.width)))
        return
    print(
        f"One temporal layer, width {args.width}, {args.threads} threads, torch {torch.__version__};"
    )
    print("time, and peak memory above that of the loaded libraries.\n")
    print("| steps | task | plain dense | ours, linear memory | ours, sparse |")
    print("|---|---|---|---|---|")
    for n_steps in map(int, args.steps.split(",")):
        for task in DENSE_COPIES:
            cells = " | ".join(cell(form, task, n_steps, args) for form in FORMS)
            print(f"| {n_steps:,} | {task} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
