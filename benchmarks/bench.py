"""Every figure of docs/performance.md in one go: printed, and saved as JSON, Markdown and a plot.

    make bench                                       # all, medians of five runs: hours on two cores
    python benchmarks/bench.py [--runs 5] [--quick] [--only scoring skim] [--out bench]

Each section is a script of this folder that can also be run by itself; it prints a Markdown table and
saves its figures as JSON. Ratios are taken within a run. --quick takes one run of short inputs, to see
that all of it works: its figures are held against no bar. A section that fails says why, the others go on,
and the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Section:
    """A script, and what it is asked for."""

    title: str
    script: str
    arguments: tuple[str, ...] = ()
    """Of a whole run; `{runs}` is filled in."""
    quick: tuple[str, ...] = ()
    """Of a quick one."""
    saves: bool = True
    """Whether it knows --json."""


RUNS = ("--runs", "{runs}")
SHORT = ("--runs", "1", "--seconds", "60")
SECTIONS = {
    "reading": Section(
        "Reading: the whole path beside decoding", "speed.py",
        (*RUNS, "--only", "all but the skim", "PySceneDetect"), SHORT,
    ),
    "quality": Section("What fast and balanced cost", "quality.py", (), ("--least", "60")),
    "length": Section(
        "A day of video", "length.py", (*RUNS, "--hours", "24"), ("--hours", "1", "--kinds", "static"),
    ),
    "seeing": Section("Seeing: a network as encoder", "encode.py", RUNS, ("--runs", "1")),
    "scoring": Section(
        "Scoring: the temporal graph of a day", "temporal_graph.py", (*RUNS, "--layers"),
        ("--runs", "1", "--steps", "300,3000", "--no-agreement"),
    ),
    "gpu": Section(
        "The same on a GPU", "temporal_graph.py", (*RUNS, "--device", "cuda", "--no-agreement"),
        ("--runs", "1", "--steps", "300,3000", "--device", "cuda", "--no-agreement"),
    ),
    "skim": Section("Writing the skim", "skim.py", RUNS, SHORT),
    "sync": Section("Sound in step", "sync.py", saves=False),
    "training": Section(
        "Training", "train_speed.py",
        ("--epochs", "5", "--forms", "one recursion", "tvsum.toml", "three recursions", "without objects"),
        ("--widths", "64", "--epochs", "1", "--forms", "one recursion"), saves=False,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Bar:
    """A figure and the bar it is held against."""

    told: str
    figure: Callable[[dict[str, Any]], float]
    """Reads it off all that was measured; KeyError or StopIteration where it was not."""
    bar: float
    at_least: bool = False


def reading(found: dict[str, Any], speed: str) -> float:
    rows = found["reading"].items()
    return next(r["ratio"] for name, r in rows if f"{speed}," in name and "all but" in name)


def length(found: dict[str, Any], row: str, column: str) -> float:
    return found["length"][row][column]


def forward(found: dict[str, Any], form: str, n_steps: int) -> dict[str, float]:
    rows = found["scoring"]["forward"]
    return next(r for r in rows if r["form"] == form and r["steps"] == n_steps)


DAY = 172_800
BARS = (
    Bar("balanced, of the time of decoding", lambda f: reading(f, "balanced"), 1.0),
    Bar("fast, of the time of decoding", lambda f: reading(f, "fast"), 0.4),
    Bar(
        "balanced: least tau with exact on the shared videos",
        lambda f: f["quality"]["balanced"]["least_tau"], 0.9, True,
    ),
    Bar("a busy day: peak, MB", lambda f: length(f, "busy 24 h", "peak_mb"), 1000),
    Bar(
        "a busy day: peak, of its ten minutes'",
        lambda f: length(f, "busy 24 h", "peak_mb") / length(f, "busy 0.167 h", "peak_mb"), 1.1,
    ),
    Bar(
        "a static day, of the time of a busy one",
        lambda f: length(f, "static 24 h", "seconds") / length(f, "busy 24 h", "seconds"), 1 / 3,
    ),
    Bar("sparse model, 24 h: seconds", lambda f: forward(f, "ours, sparse", DAY)["seconds"], 60),
    Bar(
        "sparse model, 24 h: peak of the whole process, MB",
        lambda f: forward(f, "ours, sparse", DAY)["peak_mb"], 2000,
    ),
    Bar("training-free, 24 h: seconds", lambda f: forward(f, "training-free", DAY)["seconds"], 60),
    Bar("training-free, 24 h: peak, MB", lambda f: forward(f, "training-free", DAY)["peak_mb"], 2000),
    Bar("tau of sparse against full, model", lambda f: f["scoring"]["agreement"]["model"], 0.95, True),
    Bar(
        "tau of sparse against full, training-free",
        lambda f: f["scoring"]["agreement"]["training_free"], 0.95, True,
    ),
    Bar("copied skim, of its play time", lambda f: f["skim"]["copy"]["ratio"], 0.05),
    Bar("exact skim, of its play time", lambda f: f["skim"]["exact"]["ratio"], 0.5),
    Bar("import videograph, s", lambda f: f["imports"]["import videograph"]["seconds"], 0.3),
    Bar("videograph --help, s", lambda f: f["imports"]["videograph --help"]["seconds"], 0.5),
)  # fmt: skip


def run_section(name: str, args: argparse.Namespace, folder: Path) -> tuple[Any, str]:
    """Figures and Markdown of a section.

    Raises:
        RuntimeError: the script failed; the last line it said.
    """
    section, saved = SECTIONS[name], folder / f"{name}.json"
    words = section.quick if args.quick else section.arguments
    command = [sys.executable, str(HERE / section.script)]
    command += [word.format(runs=args.runs) for word in words]
    command += ["--json", str(saved)] if section.saves else []
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE.parent)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["no reason given"])[-1])
    figures = json.loads(saved.read_text(encoding="utf-8")) if section.saves else None
    shown = " ".join(["python", f"benchmarks/{section.script}", *command[2:]])
    return figures, f"    {shown.split(' --json')[0]}\n\n{done.stdout.strip()}\n"


def imports(n_runs: int) -> tuple[dict[str, dict[str, float]], str]:
    """Seconds until the interpreter has imported the package, and until the help is printed."""
    commands = {
        "python (nothing imported)": [sys.executable, "-c", ""],
        "import videograph": [sys.executable, "-c", "import videograph"],
        "videograph --help": [sys.executable, "-m", "videograph.cli", "--help"],
    }
    runs = [{name: _timed(c) for name, c in commands.items()} for _ in range(max(2, n_runs))]
    rows = {
        name: {
            "seconds": statistics.median(run[name][0] for run in runs),
            "cpu_seconds": statistics.median(run[name][1] for run in runs),
        }
        for name in commands
    }
    lines = ["| command | s | processor s |", "|---|---|---|"]
    lines += [f"| {n} | {r['seconds']:.2f} | {r['cpu_seconds']:.2f} |" for n, r in rows.items()]
    return rows, "\n".join(lines) + "\n"


def _timed(command: list[str]) -> tuple[float, float]:
    start, before = time.perf_counter(), os.times()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds, after = time.perf_counter() - start, os.times()
    used = after.children_user - before.children_user
    return seconds, used + after.children_system - before.children_system


def why_skipped(name: str) -> str | None:
    """Why a section cannot be measured on this machine."""
    if name != "gpu":
        return None
    import torch

    if torch.cuda.is_available():
        return None
    return f"skipped: torch {torch.__version__} sees no CUDA device on this machine"


def verdicts(found: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for bar in BARS:
        try:
            figure = bar.figure(found)
        except (KeyError, StopIteration, TypeError):
            continue
        held = figure >= bar.bar if bar.at_least else figure <= bar.bar
        rows.append(
            {
                "figure": bar.told,
                "value": figure,
                "bar": bar.bar,
                "at_least": bar.at_least,
                "held": held,
            }
        )
    return rows


def as_table(rows: list[dict[str, Any]]) -> str:
    lines = ["| figure | measured | bar | |", "|---|---|---|---|"]
    for row in rows:
        word = "held" if row["held"] else "**not held**"
        lines.append(f"| {row['figure']} | {row['value']:.3g} | {row['bar']:.3g} | {word} |")
    return "\n".join(lines) + "\n"


def plot(found: dict[str, Any], path: Path) -> None:
    """Time of a forward over the steps, form by form, and what was measured of each bar."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(13, 5))
    rows = [r for r in found.get("scoring", {}).get("forward", []) if "seconds" in r]
    for form in dict.fromkeys(r["form"] for r in rows):
        mine = [(r["steps"], r["cpu_seconds"]) for r in rows if r["form"] == form]
        left.loglog(*zip(*mine, strict=True), marker="o", label=form)
    left.set(xlabel="steps", ylabel="processor seconds", title="Forward of a video")
    if rows:
        left.legend()
    bars = [b for b in found.get("bars", []) if b["value"] > 0]
    shares = [b["bar"] / b["value"] if b["at_least"] else b["value"] / b["bar"] for b in bars]
    right.barh([b["figure"] for b in bars], shares)
    right.axvline(1, color="black")
    right.set(xlabel="measured, as a share of the bar: left of 1 it is held")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def machine() -> dict[str, Any]:
    cpu = platform.processor() or platform.machine()
    names = Path("/proc/cpuinfo")
    if names.exists():
        lines = (x for x in names.read_text().splitlines() if x.startswith("model name"))
        cpu = next(lines, cpu).partition(":")[2].strip() or cpu
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {"cpu": cpu, "processors": os.cpu_count(), "system": platform.system(), "load": load}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="+", choices=[*SECTIONS, "imports"])
    parser.add_argument("--out", type=Path, default=Path("bench"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    runs = 1 if args.quick else args.runs
    found: dict[str, Any] = {"machine": machine(), "runs": runs}
    parts, failed = [], []
    wanted, start = args.only or ["imports", *SECTIONS], time.perf_counter()
    for i, name in enumerate(wanted, 1):
        minutes = (time.perf_counter() - start) / 60
        print(f"{name}: {i} of {len(wanted)}, {minutes:.0f} min so far", file=sys.stderr)
        title = SECTIONS[name].title if name in SECTIONS else "Imports"
        skipped = why_skipped(name)
        try:
            if skipped:
                found[name], text = {"skipped": skipped}, f"{skipped}\n"
            else:
                found[name], text = (
                    imports(runs) if name == "imports" else run_section(name, args, args.out)
                )
        except RuntimeError as error:
            failed.append(name)
            found[name], text = {"failed": str(error)}, f"failed: {error}\n"
        parts.append(f"## {title}\n\n{text}")
        print(parts[-1], flush=True)
    found["bars"] = [] if args.quick else verdicts(found)
    head = f"# Performance\n\n{found['machine']}, {runs} run(s)\n\n{as_table(found['bars'])}"
    print(as_table(found["bars"]))
    (args.out / "bench.md").write_text("\n".join([head, *parts]), encoding="utf-8")
    (args.out / "bench.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    plot(found, args.out / "bench.png")
    print(f"{args.out / 'bench.md'}, {args.out / 'bench.json'}, {args.out / 'bench.png'}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
