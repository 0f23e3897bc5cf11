"""Writing the skim: seconds of work for a second of skim, three ways.

    python benchmarks/skim.py [--runs 5] [--seconds 600] [--video FILE] [--json out.json]

The ten minutes of 720p are summarized once (15 %, balanced); then the same skim is written in turns as a
copy, exactly (whole groups of pictures copied, edges encoded) and exactly with every picture encoded
anew. Ratios are to the play time of the chosen spans; processor seconds are divided by the processors, so
that they tell what an idle machine would take. Each way runs in a process of its own, imports left out.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from media import ten_minutes

WAYS = {
    "copy": "`--copy`, widened to key frames",
    "exact": "exact",
    "encoded": "exact, every picture encoded anew",
}
BARS = {"copy": 0.05, "exact": 0.5}


def write(way: str, pickled: Path, path: Path) -> dict[str, float]:
    """Seconds and processor seconds that one way takes, and what it made."""
    from videograph.exporters import _smart, to_mp4
    from videograph.exporters._spans import pieces_of
    from videograph.records import no_hook

    summary = pickle.loads(pickled.read_bytes())
    pieces = pieces_of(summary.spans)
    start, cpu = time.perf_counter(), os.times()
    if way == "encoded":
        to_mp4._write_encoded(summary, pieces, path, no_hook)
    else:
        to_mp4.write(summary, path, copy=way == "copy")
    seconds, after = time.perf_counter() - start, os.times()
    try:
        copied = float(_smart.plan(summary, pieces).copied_seconds) if way == "exact" else 0.0
    except _smart.Unfit:
        copied = 0.0
    played = float(summary.summary_seconds)
    used = after.user - cpu.user + after.system - cpu.system
    return {
        "seconds": seconds,
        "ratio": seconds / played,
        "cpu_ratio": used / (os.cpu_count() or 1) / played,
        "copied_share": copied / played,
        "megabytes": path.stat().st_size / 1e6,
    }


def measure(video: Path, n_runs: int) -> dict[str, dict[str, float]]:
    """Medians of each way, the runs in turns."""
    import videograph

    summary = videograph.summarize(video)
    print(
        f"{video.name}: {len(summary.spans)} spans, {float(summary.summary_seconds):.1f} s of "
        f"{float(summary.duration_seconds):.0f} s; {os.cpu_count()} processors, "
        f"load {os.getloadavg()[0]:.1f}\n",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        pickled = Path(folder) / "summary"
        pickled.write_bytes(pickle.dumps(summary))
        runs = [{way: _apart(way, pickled) for way in WAYS} for _ in range(n_runs)]
    return {
        way: {key: statistics.median(run[way][key] for run in runs) for key in runs[0][way]}
        for way in WAYS
    }


def _apart(way: str, pickled: Path) -> dict[str, float]:
    target = pickled.with_name(f"{way}.mp4")
    command = [sys.executable, __file__, "--one", way, str(pickled), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--video", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(write(args.one[0], *map(Path, args.one[1:]))))
        return
    rows: dict[str, Any] = measure(args.video or ten_minutes(args.seconds), args.runs)
    print("| skim | s | of its play time | in processor time | copied share | MB | bar |")
    print("|---|---|---|---|---|---|---|")
    for way, row in rows.items():
        bar = f"{BARS[way]}" if way in BARS else ""
        print(
            f"| {WAYS[way]} | {row['seconds']:.2f} | {row['ratio']:.3f} | {row['cpu_ratio']:.3f} "
            f"| {row['copied_share']:.0%} | {row['megabytes']:.1f} | {bar} |"
        )
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
