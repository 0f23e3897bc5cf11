"""Speed and memory of the whole path, as ratios to pure decoding in the same run.

    python benchmarks/speed.py [--runs 5] [--seconds 600] [--only TEXT ...] [--json out.json]

What was computed before is not used (--no-cache). tau and overlap: of the scores and of the chosen spans
with those of `exact`, see quality.py. Pure decode: PyAV decodes every frame of the file with automatic
threads and converts nothing. Every line is the median over the runs, taken in turns in fresh processes,
imports included. PySceneDetect's detect-adaptive stands beside (pip install scenedetect
opencv-python-headless); it only finds cuts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from media import DATA, ten_minutes
from quality import against_exact

SPEEDS = ("balanced", "fast", "exact")
FLOOR = "decode every frame (PyAV, AUTO threads)"
ANALYSIS = "summarize --speed {}, all but the skim"
FORMS = "csv,edl,fcpxml,html,json,keyframes,otio,vtt"
DECODE = (
    "import av, sys\n"
    "with av.open(sys.argv[1]) as c:\n"
    "    s = c.streams.video[0]; s.thread_type = 'AUTO'\n"
    "    for f in c.decode(s): pass\n"
)
SCENES = (
    "import sys\n"
    "from scenedetect import AdaptiveDetector, detect\n"
    "detect(sys.argv[1], AdaptiveDetector())\n"
)


def measured(command: list[str]) -> tuple[float, float, float]:
    """Seconds, processor seconds and peak resident MB of a command in a process of its own."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError((process.stderr.read() if process.stderr else b"").decode())
    seconds = time.perf_counter() - start
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def summarize(video: Path, folder: str, *options: str) -> list[str]:
    command = [sys.executable, "-m", "videograph.cli", "summarize", str(video)]
    return [*command, "-o", folder, "--force", "--no-cache", *options]


def lines(video: Path, folder: Path) -> dict[str, list[str]]:
    """The command behind each line of the table, the floor first."""
    python = [sys.executable, "-c"]
    long_static = DATA / "bad/long_static.mp4"
    commands = {FLOOR: [*python, DECODE, str(video)]}
    for speed in SPEEDS:
        options = ("--speed", speed, "--export", FORMS)
        commands[ANALYSIS.format(speed)] = summarize(video, str(folder / speed), *options)
    rest = str(folder / "rest")
    commands |= {
        "skim of 15 %, exact (with balanced analysis)": summarize(video, rest, "--export", "mp4"),
        "skim of 15 %, --copy (with balanced analysis)": summarize(
            video, rest, "--export", "mp4", "--copy"
        ),
        "long_static.mp4 (2 h, 1 fps), all but the skim": summarize(
            long_static, rest, "--export", FORMS
        ),
        "the whole command, skim included": summarize(video, rest),
        "long_static.mp4, the whole command, skim included": summarize(long_static, rest),
    }
    if find_spec("scenedetect"):
        commands["PySceneDetect detect-adaptive"] = [*python, SCENES, str(video)]
    return commands


def qualities(folder: Path) -> dict[str, dict[str, float]]:
    """tau and overlap with `exact` of the lines whose summaries lie in the folder."""
    found = {
        speed: json.loads((folder / speed / "summary.json").read_text(encoding="utf-8"))
        for speed in SPEEDS
        if (folder / speed / "summary.json").exists()
    }
    if "exact" not in found:
        return {}
    return {
        ANALYSIS.format(speed): against_exact(told, found["exact"]) for speed, told in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument(
        "--only",
        nargs="+",
        default=[""],
        help="lines that hold one of these texts, beside the floor",
    )
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    video = ten_minutes(options.seconds)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        commands = {
            n: c
            for n, c in lines(video, folder).items()
            if n == FLOOR or any(text in n for text in options.only)
        }
        runs = [{name: measured(c) for name, c in commands.items()} for _ in range(options.runs)]
        quality = qualities(folder)
    rows = {name: row_of(runs, name) | quality.get(name, {}) for name in commands}
    print(
        f"\n{video.name}, {options.runs} runs, {os.cpu_count()} processors, {platform.machine()}, "
        f"load {os.getloadavg()[0]:.1f}\n"
    )
    print("| what | median s | ratio to decode | ratio of processor time | x realtime | peak MB "
          "| tau | overlap |\n|---|---|---|---|---|---|---|---|")  # fmt: skip
    for name, row in rows.items():
        length = 7200 if name.startswith("long_static") else options.seconds
        print(
            f"| {name} | {row['seconds']:.1f} | {row['ratio']:.2f} | {row['cpu_ratio']:.2f} "
            f"| {length / row['seconds']:.0f} | {row['peak_mb']:.0f} "
            f"| {row.get('tau', float('nan')):.3f} | {row.get('overlap', float('nan')):.2f} |"
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


def row_of(runs: list[dict[str, tuple[float, float, float]]], name: str) -> dict[str, float]:
    """Medians over the runs; ratios are taken within a run."""
    return {
        "seconds": statistics.median(run[name][0] for run in runs),
        "ratio": statistics.median(run[name][0] / run[FLOOR][0] for run in runs),
        "cpu_ratio": statistics.median(run[name][1] / run[FLOOR][1] for run in runs),
        "peak_mb": max(run[name][2] for run in runs),
    }


if __name__ == "__main__":
    main()
