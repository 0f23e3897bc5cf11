"""Speed and memory of the whole path, as ratios to pure decoding in the same run.

    python benchmarks/speed.py [--runs 3] [--seconds 600] [--only TEXT] [--json out.json]

Pure decode: PyAV decodes every frame of the file with automatic threads and converts nothing.
Every line is the median over the runs, taken in turns in fresh processes, imports included.
PySceneDetect's detect-adaptive stands beside (pip install scenedetect opencv-python-headless); it
only finds cuts.
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
from pathlib import Path

from media import DATA, ten_minutes

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
    return [*command, "-o", folder, "--force", *options]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--only", default="", help="lines that hold this text, beside the floor")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    video = ten_minutes(options.seconds)
    python = [sys.executable, "-c"]
    with tempfile.TemporaryDirectory() as folder:
        commands = {
            "decode every frame (PyAV, AUTO threads)": [*python, DECODE, str(video)],
            **{
                f"summarize --speed {speed}, all but the skim": summarize(
                    video, folder, "--speed", speed, "--export", FORMS
                )
                for speed in ("balanced", "fast", "exact")
            },
            "skim of 15 %, exact (with balanced analysis)": summarize(
                video, folder, "--export", "mp4"
            ),
            "skim of 15 %, --copy (with balanced analysis)": summarize(
                video, folder, "--export", "mp4", "--copy"
            ),
            "PySceneDetect detect-adaptive": [*python, SCENES, str(video)],
            "long_static.mp4 (2 h, 1 fps), all but the skim": summarize(
                DATA / "bad/long_static.mp4", folder, "--export", FORMS
            ),
        }
        long_static = DATA / "bad/long_static.mp4"
        commands["the whole command, skim included"] = summarize(video, folder)
        commands["long_static.mp4, the whole command, skim included"] = summarize(
            long_static, folder
        )
        try:
            import scenedetect  # noqa: F401
        except ImportError:
            del commands["PySceneDetect detect-adaptive"]
        floor = next(iter(commands))
        commands = {n: c for n, c in commands.items() if n == floor or options.only in n}
        runs = [{name: measured(c) for name, c in commands.items()} for _ in range(options.runs)]
    rows = {
        name: {
            "seconds": statistics.median(run[name][0] for run in runs),
            "ratio": statistics.median(run[name][0] / run[floor][0] for run in runs),
            "cpu_ratio": statistics.median(run[name][1] / run[floor][1] for run in runs),
            "peak_mb": max(run[name][2] for run in runs),
        }
        for name in commands
    }
    print(
        f"\n{video.name}, {options.runs} runs, {os.cpu_count()} processors, {platform.machine()}\n"
    )
    print("| what | median s | ratio to decode | ratio of processor time | x realtime | peak MB |")
    print("|---|---|---|---|---|---|")
    for name, row in rows.items():
        length = 7200 if name.startswith("long_static") else options.seconds
        print(
            f"| {name} | {row['seconds']:.1f} | {row['ratio']:.2f} | {row['cpu_ratio']:.2f} "
            f"| {length / row['seconds']:.0f} | {row['peak_mb']:.0f} |"
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
