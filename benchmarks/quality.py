"""What `fast` and `balanced` cost in quality, against `exact`, on the shared real videos.

    python benchmarks/quality.py [--least SECONDS] [--json out.json]

tau: Kendall's tau-b between the scores, each step of `exact` beside the step that the other speed has on
the screen then. Overlap: seconds that both summaries show, as a share of the mean of their lengths.
Encoded: pictures that the encoder saw, of the picks.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
from media import DATA
from scipy.stats import kendalltau

LEAST_SECONDS = 10
"""Shorter clips have too few steps for a rank correlation to mean something."""


def tau(scores: np.ndarray, seconds: np.ndarray, exact: np.ndarray, moments: np.ndarray) -> float:
    """Kendall's tau-b of scores at `seconds` with exact ones at `moments`; nan where either is constant."""
    at = np.clip(np.searchsorted(seconds, moments, side="right") - 1, 0, len(scores) - 1)
    return float(kendalltau(scores[at], exact).statistic)


def overlap(one: list[tuple[float, float]], other: list[tuple[float, float]]) -> float:
    """Seconds in both lists of spans, as a share of their mean length."""
    both = sum(max(0.0, min(b, d) - max(a, c)) for a, b in one for c, d in other)
    return 2 * both / sum(b - a for a, b in one + other)


def against_exact(found: dict[str, Any], exact: dict[str, Any]) -> dict[str, float]:
    """tau and overlap of two summaries in the form of summary.json."""
    scores, seconds, theirs, moments = (
        np.array(summary["steps"][column])
        for summary in (found, exact)
        for column in ("score", "seconds")
    )
    spans = [[(s["start_seconds"], s["end_seconds"]) for s in f["spans"]] for f in (found, exact)]
    return {"tau": tau(scores, seconds, theirs, moments), "overlap": overlap(*spans)}


def _summary(path: Path, speed: str) -> tuple[dict[str, Any], int | None]:
    from videograph import summarize
    from videograph.exporters.to_json import content

    summary = summarize(path, speed=speed, cache=False)
    return content(summary), summary.report.n_encoded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--least", type=float, default=LEAST_SECONDS)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    told = json.loads((DATA / "videos/videos.json").read_text(encoding="utf-8"))["videos"]
    rows: dict[str, dict[str, Any]] = {}
    print(
        "| video | steps | speed | frames | tau | overlap | encoded |\n|---|---|---|---|---|---|---|"
    )
    for name in sorted(n for n, facts in told.items() if facts["duration_s"] >= options.least):
        exact, _ = _summary(DATA / "videos" / name, "exact")
        for speed in ("balanced", "fast"):
            found, n_encoded = _summary(DATA / "videos" / name, speed)
            row = {"n_steps": len(found["steps"]["score"]), "sampling": found["sampling"],
                   "n_encoded": n_encoded, **against_exact(found, exact)}  # fmt: skip
            rows[f"{name} {speed}"] = row
            print(
                f"| {name} | {row['n_steps']} | {speed} | {row['sampling']} | {row['tau']:.3f} "
                f"| {row['overlap']:.2f} | {n_encoded} |",
                flush=True,
            )
    for speed in ("balanced", "fast"):
        some = [row for name, row in rows.items() if name.endswith(speed)]
        for what in ("tau", "overlap"):
            values = [row[what] for row in some if not np.isnan(row[what])]
            rows.setdefault(speed, {})[what] = statistics.median(values)
            rows[speed][f"least_{what}"] = min(values)
            print(
                f"{speed}: {what} median {statistics.median(values):.3f}, least {min(values):.3f}"
            )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
