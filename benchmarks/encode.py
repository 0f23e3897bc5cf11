"""What it costs to see: a frame through our own encoders, a video through a Hugging Face model.

    python benchmarks/encode.py [--model FOLDER] [--video FILE] [--threads 2] [--runs 5] [--json out.json]

First the encoders in the package, on one thread: processor milliseconds a frame, as the reader delivers
frames. Then frames a second, x realtime and the share of decoding of a model, MobileNetV2 at 224 px of the
shared data. Encode: real frames of the video, as the reader delivers them, prepared and run through the
network; preparing alone stands beside. Then the stages of reading the same video: decoding (with scaling,
as the pipeline asks for it) and encoding each by itself, both at once as `features.extract` does them, and
the whole command in a process of its own, imports included. Every figure is the median over the runs;
processor seconds tell more than seconds on a busy machine, whose load is printed.
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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from media import DATA

from videograph.encoders import Encoder, load_encoder
from videograph.encoders._preprocessing import pixels_of
from videograph.features import extract
from videograph.video import Reader

MODEL = DATA / "weights/hf/mobilenet_v2_1.0_224"
VIDEO = DATA / "videos/bbb_30s_720p.webm"
OURS = ("builtin", "embedded")
N_FRAMES = 32
"""Frames of one timed encode: a batch of the reader."""


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Seconds and processor seconds of all threads."""
    start, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start, time.process_time() - used


def batches(video: Path, encoder: Encoder) -> list[np.ndarray]:
    with Reader(video, long_side=encoder.frame_side) as reader:
        return [batch.images for batch in reader]


def milliseconds_of_ours(video: Path, n_runs: int) -> dict[str, float]:
    """Processor time of a frame through each encoder in the package, the median of runs that take turns."""
    torch.set_num_threads(1)
    encoders = {name: load_encoder(name) for name in OURS}
    seen = {name: batches(video, encoder) for name, encoder in encoders.items()}
    for name, encoder in encoders.items():
        encoder.encode(seen[name][0])  # loads what it needs
    runs = [
        {
            name: timed(lambda e=encoder, n=name: [e.encode(part) for part in seen[n]])[1]
            for name, encoder in encoders.items()
        }
        for _ in range(n_runs)
    ]
    return {
        name: 1000 * statistics.median(run[name] for run in runs) / sum(map(len, seen[name]))
        for name in encoders
    }


def command(video: Path, model: Path, threads: int) -> tuple[float, float]:
    """The whole command, with a JSON file as its only result."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "videograph.cli", "summarize", str(video), "--export", "json",
             "--encoder", f"transformers:{model}", "-o", folder, "--force"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env={**os.environ, "VIDEOGRAPH_CACHE": folder, "OMP_NUM_THREADS": str(threads)},
        )  # fmt: skip
        start = time.perf_counter()
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise RuntimeError((process.stderr.read() if process.stderr else b"").decode())
        return time.perf_counter() - start, usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--video", type=Path, default=VIDEO)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    ours = milliseconds_of_ours(options.video, options.runs)
    print("\n| encoder | ms a frame |\n|---|---|")
    for name, each in ours.items():
        print(f"| {name} | {each:.1f} |")
    torch.set_num_threads(options.threads)
    encoder = load_encoder(f"transformers:{options.model}", device="cpu")
    pixels, _ = pixels_of(options.model)
    seen = batches(options.video, encoder)
    n_steps = sum(len(part) for part in seen)
    some = np.concatenate(seen)[:N_FRAMES]
    works: dict[str, Callable[[], tuple[float, float]]] = {
        "encode": lambda: timed(lambda: encoder.encode(some)),
        "prepare": lambda: timed(lambda: pixels(some)),
        "decode the video": lambda: timed(lambda: batches(options.video, encoder)),
        "encode the video": lambda: timed(lambda: [encoder.encode(part) for part in seen]),
        "decode and encode": lambda: timed(lambda: extract(options.video, encoder)),
        "videograph summarize": lambda: command(options.video, options.model, options.threads),
    }
    runs = [{name: work() for name, work in works.items()} for _ in range(options.runs)]
    rows = {
        name: [statistics.median(run[name][k] for run in runs) for k in (0, 1)] for name in works
    }
    with Reader(options.video) as reader:
        length = float(reader.info.duration_seconds or 0)
    load = ", ".join(f"{x:.1f}" for x in os.getloadavg())
    print(
        f"\n{encoder.name}, {options.video.name} ({length:.0f} s, {n_steps} steps), "
        f"{options.threads} threads of {os.cpu_count()} processors, {platform.machine()}, load {load}, "
        f"{options.runs} runs\n"
    )
    print("| what | seconds | processor seconds | |\n|---|---|---|---|")
    for name, (seconds, used) in rows.items():
        speed = (
            f"{len(some) / seconds:.0f} frames a second, {len(some) / used:.0f} a processor second"
            if name in ("encode", "prepare")
            else f"{length / seconds:.1f} x realtime"
        )
        print(f"| {name} | {seconds:.2f} | {used:.2f} | {speed} |")
    shares = [rows["decode the video"][k] / (rows["decode the video"][k] + rows["encode the video"][k])
              for k in (0, 1)]  # fmt: skip
    print(f"\nDecoding is {shares[0]:.0%} of reading by time, {shares[1]:.0%} by processor time.")
    if options.json:
        options.json.write_text(json.dumps({**rows, "ms_a_frame": ours}, indent=2) + "\n")


if __name__ == "__main__":
    main()
