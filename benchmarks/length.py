"""Time and peak memory of the whole path over the length of a video, busy and static.

    python benchmarks/length.py [--hours 2 24] [--kinds busy static] [--speed balanced] [--json out.json]

The files are made once, by copying (see media.py); ten minutes of each kind stand beside. Everything but
the skim is written. Bars: a day under 1 GB and at most 10 % above its ten minutes; a static day at most a
third of the time of a busy one.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from media import CACHE, long_video
from speed import FORMS, measured, summarize


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=int, nargs="+", default=[2, 24])
    parser.add_argument("--kinds", nargs="+", default=["busy", "static"])
    parser.add_argument("--speed", default="balanced")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows: dict[str, dict[str, float]] = {}
    columns = ("video", "s", "processor s", "x realtime", "peak MB", "pictures encoded")
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|", flush=True)
    for kind in options.kinds:
        files = {1 / 6: CACHE / f"{kind}_part.mp4"}
        files |= {hours: long_video(hours, kind) for hours in options.hours}
        for hours, path in files.items():
            row = _row(path, hours, options.speed)
            rows[f"{kind} {hours:.3g} h"] = row
            print(
                f"| {kind}, {hours:.3g} h | {row['seconds']:.0f} | {row['cpu_seconds']:.0f} "
                f"| {row['x_realtime']:.0f} | {row['peak_mb']:.0f} | {row['n_encoded'] or '-'} |",
                flush=True,
            )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


def _row(path: Path, hours: float, speed: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        options = ("--speed", speed, "--export", FORMS)
        seconds, cpu_seconds, peak_mb = measured(summarize(path, folder, *options))
        told = json.loads((Path(folder) / "summary.json").read_text(encoding="utf-8"))
    return {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "peak_mb": peak_mb,
        "x_realtime": hours * 3600 / seconds,
        "n_steps": len(told["steps"]["score"]),
        "n_encoded": told.get("n_encoded"),
    }


if __name__ == "__main__":
    main()
