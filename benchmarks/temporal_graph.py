"""Scoring of long videos: time, memory and agreement of the whole model's forward, and of one layer.

    python benchmarks/temporal_graph.py [--steps 300,...,172800] [--width 256] [--runs 5]
        [--json out.json] [--layers] [--no-agreement]

Steps are real ones (TVSum, MobileNetV2, 40 videos one after the other, repeated with noise), without
objects and words; of long videos on disk, as features.py leaves them. Every cell is a process of its own,
so that its peak is its own; a figure is the median of the runs. Forms that grow with the square of the
steps are left out where they would take more than --memory or --quadratic-steps, and say so. --layers
adds one temporal layer alone, with its training.

Agreement: Kendall's tau between the scores of the sparse and of the full graph on four hours (28,800
steps), by a model trained here for a few epochs on TVSum and by the training-free form.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import h5py
import numpy as np
import torch
from media import CACHE, DATA
from torch import Tensor

from videograph import spill, training_free
from videograph.config import ModelConfig
from videograph.graph import Edges, SparseEdges
from videograph.inputs import Inputs
from videograph.losses import entropy_regulariser
from videograph.model import TemporalStep, VideoGraph

FORMS = ("sparse", "full", "dense", "attention", "training-free")
TOLD = {
    "sparse": "ours, sparse",
    "full": "ours, full",
    "dense": "ours, adjacency written down",
    "attention": "plain attention, two layers",
    "training-free": "training-free",
}
QUADRATIC = ("full", "dense", "attention")
NOISE = 0.05
"""Noise of repeated steps, in standard deviations of the features."""
LAYER_FORMS = ("dense", "linear", "sparse")
DENSE_COPIES = {"scoring": 2, "training": 7}
"""Matrices of n_steps x n_steps that the plain layer holds at once, counted at 7,200 steps."""
AGREEMENT_STEPS = 28_800


def real_steps(n_steps: int, width: int | None = None) -> Tensor:
    """Features (1, n_steps, 1280): those of TVSum again and again, each time under fresh noise."""
    with h5py.File(DATA / "tvsum/tvsum_mobilenetv2.h5") as file:
        names = sorted(name for name in file if name.startswith("video_"))
        real = np.concatenate([file[name]["features"][:] for name in names])  # float16
    rng = np.random.default_rng(0)
    noise = NOISE * float(real[::50].astype(np.float32).std())
    steps = spill.empty((1, n_steps, real.shape[1]))
    for at in spill.pieces(n_steps, 1024):
        chunk = real[np.arange(at.start, at.stop) % len(real)].astype(np.float32)
        if at.start >= len(real):
            chunk += noise * rng.standard_normal(chunk.shape, np.float32)
        steps[0, at] = chunk
    return torch.from_numpy(steps)


def inputs_of(n_steps: int) -> Inputs:
    return Inputs(real_steps(n_steps), torch.ones(1, n_steps, dtype=torch.bool))


def model_of(form: str, dim: int, width: int) -> torch.nn.Module:
    """The network of a form, seeded, not trained."""
    torch.manual_seed(0)
    if form == "attention":
        from train_speed import Scorer

        return Scorer(dim, width).eval()
    kind = "full" if form == "dense" else form
    if form == "dense":
        Edges.aggregate = lambda self, values: self.dense() @ values
    return VideoGraph(ModelConfig(dim, width=width, temporal_edges=kind)).eval()


def forward(form: str, n_steps: int, width: int, device: str) -> dict[str, float]:
    """Seconds, processor seconds, MB at the peak and MB above what was held before scoring."""
    inputs = inputs_of(n_steps).to(device)
    warm = Inputs(inputs.features[:, :300], inputs.frame_mask[:, :300])
    score = scorer(form, inputs.features.shape[-1], width, device)
    score(warm)  # kernels are chosen, libraries loaded
    spill.tidy()
    made = memory_mb("VmHWM")  # to make the features
    before = from_here_mb()
    start, cpu = time.perf_counter(), time.process_time()
    score(inputs)
    if device == "cuda":
        torch.cuda.synchronize()
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    added = memory_mb("VmHWM") - before
    peak = max(made, before + added)
    return {"seconds": seconds, "cpu_seconds": cpu, "peak_mb": peak, "added_mb": added}


def scorer(form: str, dim: int, width: int, device: str) -> Any:
    if form == "training-free":
        return lambda inputs: training_free.score_training_free(inputs, None, 10)
    model = model_of(form, dim, width).to(device)
    plain = form == "attention"

    @torch.inference_mode()
    def score(inputs: Inputs) -> None:
        output = model(inputs.features) if plain else model(inputs)
        if not plain and output.temporal:
            output.temporal[-1].top(10) if form != "dense" else None  # what `explain` shows

    return score


def memory_mb(name: str) -> float:
    """What the system tells of this process: VmRSS, what it holds; VmHWM, the most since it was reset."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    line = next(x for x in status.read_text().splitlines() if x.startswith(name))
    return int(line.split()[1]) / 1024


def from_here_mb() -> float:
    """What is held now; the most that is held counts from here on."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return memory_mb("VmRSS")


# -- agreement of the sparse graph with the full one --


def agreement(n_steps: int, width: int) -> dict[str, float]:
    """Kendall's tau between the scores of the two graphs, of both forms."""
    from scipy.stats import kendalltau

    inputs = inputs_of(n_steps)
    model = VideoGraph.from_pretrained(trained(width)).eval()
    found: dict[str, list[np.ndarray]] = {"model": [], "training_free": []}
    for kind in ("full", "sparse"):
        model.config = replace(model.config, temporal_edges=kind)
        with torch.inference_mode():
            found["model"].append(model(inputs).scores[0].numpy())
        found["training_free"].append(scored_freely(inputs, kind))
    return {name: float(kendalltau(*pair).statistic) for name, pair in found.items()}


def scored_freely(inputs: Inputs, kind: str) -> np.ndarray:
    """Training-free scores with the graph of that kind, whatever the length."""
    full_steps = inputs.features.shape[1] if kind == "full" else 1
    with patch.object(
        training_free, "ModelConfig", partial(ModelConfig, full_steps=full_steps)
    ) as m:
        m.n_recursions = ModelConfig.n_recursions
        return training_free.score_training_free(inputs, None, 10).scores


def trained(width: int, epochs: int = 5) -> Path:
    """A model trained on TVSum's frames alone, kept in the cache folder."""
    folder = CACHE / f"tvsum_frames_{width}"
    if not (folder / "model").exists():
        command = [sys.executable, "-m", "videograph.cli", "train", "--name", folder.name]
        command += ["--runs", str(CACHE), "--force", f"dataset={DATA / 'tvsum'}"]
        command += ["features=mobilenetv2", "splits=disjoint5", "model.use_objects=false"]
        command += [f"model.width={width}", f"epochs={epochs}", "device=cpu"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder / "model"


# -- one layer --


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


def one_layer(form: str, task: str, n_steps: int, width: int) -> dict[str, float]:
    torch.manual_seed(0)
    step = TemporalStep(ModelConfig(width, width=width), finds_edges=True)
    nodes = torch.randn(1, n_steps, width)
    layer(form, step, nodes[:, :64])  # libraries are loaded, kernels chosen
    before, start, cpu = from_here_mb(), time.perf_counter(), time.process_time()
    if task == "scoring":
        with torch.inference_mode():
            layer(form, step, nodes)
    else:
        out, graph = layer(form, step, nodes)
        regulariser = (
            graph.regulariser() if isinstance(graph, Plain) else entropy_regulariser(graph)
        )
        (out.square().mean() + 0.01 * regulariser.mean()).backward()
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = memory_mb("VmHWM")
    return {"seconds": seconds, "cpu_seconds": cpu, "peak_mb": peak, "added_mb": peak - before}


# -- cells --


def cell(words: list[str], args: argparse.Namespace) -> dict[str, float]:
    """Medians over the runs of a measurement made in processes of its own."""
    command = [sys.executable, __file__, "--one", *words]
    command += ["--width", str(args.width), "--threads", str(args.threads)]
    command += ["--device", args.device]
    runs = []
    for _ in range(args.runs):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr)
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def left_out(form: str, n_steps: int, n_copies: int, args: argparse.Namespace) -> str | None:
    """Why a cell is not measured."""
    needed = 4 * n_steps**2 * n_copies / 1e9
    if form == "dense" and needed > args.memory:
        return f"left out: its edges alone take {needed:.0f} GB"
    if form in QUADRATIC and n_steps > args.quadratic_steps:
        return f"left out: {(n_steps / args.quadratic_steps) ** 2:.0f} x the time of {args.quadratic_steps:,}"
    return None


def forwards(args: argparse.Namespace) -> list[dict[str, Any]]:
    rows = []
    for n_steps in args.steps:
        for form in FORMS:
            row: dict[str, Any] = {"steps": n_steps, "form": TOLD[form]}
            why = left_out(form, n_steps, 3, args)
            if form == "training-free" and args.device != "cpu":
                why = "left out: made for the processor"
            row |= {"left_out": why} if why else cell(["forward", form, str(n_steps)], args)
            rows.append(row)
            print(line(row), flush=True)
    return rows


def growth(rows: list[dict[str, Any]]) -> str:
    """One table: a row for each length, processor seconds and added MB of each form."""
    forms = list(dict.fromkeys(row["form"] for row in rows))
    lines = [f"| steps | {' | '.join(forms)} |", "|---" * (len(forms) + 1) + "|"]
    for n_steps in dict.fromkeys(row["steps"] for row in rows):
        mine = {row["form"]: row for row in rows if row["steps"] == n_steps}
        cells = [
            "-" if "left_out" in row else f"{row['cpu_seconds']:.2f} s, {row['added_mb']:,.0f} MB"
            for row in (mine[form] for form in forms)
        ]
        lines.append(f"| {n_steps:,} | {' | '.join(cells)} |")
    reasons = {f"{row['form']}, {row['steps']:,}: {row['left_out']}"
               for row in rows if "left_out" in row}  # fmt: skip
    return "\n".join([*lines, "", *(f"- {reason}" for reason in sorted(reasons))])


def layers(args: argparse.Namespace) -> list[dict[str, Any]]:
    rows = []
    for n_steps in (n for n in args.steps if n <= args.quadratic_steps):
        for task, n_copies in DENSE_COPIES.items():
            for form in LAYER_FORMS:
                row: dict[str, Any] = {"steps": n_steps, "form": f"layer, {task}, {form}"}
                why = left_out(form, n_steps, n_copies, args)
                row |= {"left_out": why} if why else cell(["layer", form, task, str(n_steps)], args)
                rows.append(row)
                print(line(row), flush=True)
    return rows


def line(row: dict[str, Any]) -> str:
    start = f"| {row['steps']:,} | {row['form']} |"
    if "left_out" in row:
        return f"{start} {row['left_out']} | | | |"
    return (
        f"{start} {row['seconds']:.2f} | {row['cpu_seconds']:.2f} "
        f"| {row['peak_mb']:,.0f} | {row['added_mb']:,.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", default="300,1200,3000,7200,14400,28800,86400,172800")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--memory", type=float, default=6.0, help="GB that a dense cell may take")
    parser.add_argument("--quadratic-steps", type=int, default=28_800)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--layers", action="store_true")
    parser.add_argument("--no-agreement", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.steps = [int(n) for n in args.steps.split(",")]
    torch.set_num_threads(args.threads)
    if args.one:
        print(json.dumps(one(args)))
        return
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(
        f"width {args.width}, {args.threads} threads, torch {torch.__version__}, load {load:.1f}\n"
    )
    print("| steps | form | s | processor s | peak MB | MB added |\n|---|---|---|---|---|---|")
    found: dict[str, Any] = {"forward": forwards(args)}
    print(f"\nProcessor seconds and MB added:\n\n{growth(found['forward'])}\n")
    if args.layers:
        found["layers"] = layers(args)
    if not args.no_agreement:
        found["agreement"] = cell(
            ["agreement", str(AGREEMENT_STEPS)], argparse.Namespace(**vars(args) | {"runs": 1})
        )
        for name, tau in found["agreement"].items():
            print(f"\ntau of sparse against full, {AGREEMENT_STEPS:,} steps, {name}: {tau:.4f}")
    if args.json:
        args.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def one(args: argparse.Namespace) -> dict[str, float]:
    what, *words = args.one
    if what == "agreement":
        return agreement(int(words[0]), args.width)
    if what == "layer":
        return one_layer(words[0], words[1], int(words[2]), args.width)
    return forward(words[0], int(words[1]), args.width, args.device)


if __name__ == "__main__":
    main()
