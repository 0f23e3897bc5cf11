"""How long the whole TVSum table takes from stored scores: prints seconds of wall clock and of CPU.

python benchmarks/evaluate_speed.py [DATA]    (default: ../shared/data, or $VIDEOGRAPH_DATA)
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from videograph import evaluate as benchmark
from videograph.datasets import load_dataset


def main() -> None:
    data = Path(
        sys.argv[1] if len(sys.argv) > 1 else os.environ.get("VIDEOGRAPH_DATA", "../shared/data")
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stored.npz"
        videos = load_dataset(data / "tvsum").videos
        rng = np.random.default_rng(0)
        np.savez(path, **{key: rng.random(v.n_steps) for key, v in videos.items()})  # pyright: ignore
        wall, cpu = time.perf_counter(), time.process_time()
        table = benchmark.evaluate(load_dataset(data / "tvsum"), [benchmark.read_scores(path)])
        for suffix in benchmark.FORMS:
            benchmark.write_table(table, Path(folder) / f"table{suffix}")
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(
        f"TVSum, {len(videos)} videos, {len(table.rows)} rows, 100 draws: {wall:.1f} s wall clock, "
        f"{cpu:.1f} s of CPU (load average {load:.1f} on {os.cpu_count()} cores)"
    )


if __name__ == "__main__":
    main()
