"""Time and peak memory of the whole path over the length of a video, busy and static.

    python benchmarks/length.py [--runs 5] [--hours 2 24] [--kinds busy static] [--speed fast]
                                [--encoders embedded builtin] [--json out.json]

The files are made once, by copying (see media.py); ten minutes of each kind stand beside. Everything but
the skim is written, nothing is taken from a cache. Times are medians over the runs, which take the lines in
turns; the peak is the largest of them. Bars: a day under 1 GB and at most 10 % above its ten minutes; a
static day at most a third of the time of a busy one. The first encoder's lines have plain names in the JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from pathlib import Path

from media import CACHE, long_video
from speed import FORMS, measured, summarize

TEN_MINUTES = 1 / 6
COLUMNS = (
    "encoder", "video", "steps", "pictures encoded", "s", "processor s", "x realtime", "peak MB",
    "beside its 10 min",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--hours", type=int, nargs="+", default=[2, 24])
    parser.add_argument("--kinds", nargs="+", default=["busy", "static"])
    parser.add_argument("--encoders", nargs="+", default=["embedded"])
    parser.add_argument("--speed", default="fast")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    lines = {
        (encoder, kind, hours): CACHE / f"{kind}_part.mp4" if hours < 1 else long_video(hours, kind)
        for encoder in options.encoders
        for kind in options.kinds
        for hours in (TEN_MINUTES, *options.hours)
    }
    taken: dict[tuple[str, str, float], list[dict[str, float]]] = {line: [] for line in lines}
    for _ in range(options.runs):
        for line, path in lines.items():
            taken[line].append(_run(path, line[0], options.speed))
    rows = {line: _row(runs, line[2]) for line, runs in taken.items()}
    print(f"{options.runs} runs, --speed {options.speed}, load {os.getloadavg()[0]:.1f}\n")
    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|")
    for (encoder, kind, hours), row in rows.items():
        beside = row["peak_mb"] / rows[encoder, kind, TEN_MINUTES]["peak_mb"]
        print(
            f"| {encoder} | {kind}, {hours:.3g} h | {row['n_steps']:.0f} | {row['n_encoded']:.0f} "
            f"| {row['seconds']:.0f} | {row['cpu_seconds']:.1f} | {row['x_realtime']:.0f} "
            f"| {row['peak_mb']:.0f} | {beside:.2f} |"
        )
    if options.json:
        named = {_name(line, options.encoders[0]): row for line, row in rows.items()}
        options.json.write_text(json.dumps(named, indent=2) + "\n")


def _name(line: tuple[str, str, float], first: str) -> str:
    encoder, kind, hours = line
    return f"{kind} {hours:.3g} h" + ("" if encoder == first else f", {encoder}")


def _run(path: Path, encoder: str, speed: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        options = ("--encoder", encoder, "--speed", speed, "--export", FORMS)
        seconds, cpu_seconds, peak_mb = measured(summarize(path, folder, *options))
        told = json.loads((Path(folder) / "summary.json").read_text(encoding="utf-8"))
    return {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "peak_mb": peak_mb,
        "n_steps": len(told["steps"]["score"]),
        "n_encoded": told["n_encoded"],
    }


def _row(runs: list[dict[str, float]], hours: float) -> dict[str, float]:
    row = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    row["peak_mb"] = max(run["peak_mb"] for run in runs)
    return row | {"x_realtime": hours * 3600 / row["seconds"]}


if __name__ == "__main__":
    main()
