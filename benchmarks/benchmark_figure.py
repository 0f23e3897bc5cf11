"""Draw docs/images/benchmark-modes.svg: one and the same prediction in each mode, beside chance and people.

videograph evaluate --dataset tvsum --features mobilenetv2 --baseline ridge -o tvsum.json
videograph evaluate --dataset summe --features dino_pca128 -o summe.json
python benchmarks/benchmark_figure.py tvsum.json summe.json     (needs matplotlib)
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

OUTPUT = Path(__file__).parent.parent / "docs" / "images" / "benchmark-modes.svg"
PANELS = (
    ("TVSum, 40 videos: ridge on MobileNetV2 features", "ridge",
     {"tau_mode1": "tau, mode 1\n(each user)", "tau_mode2": "tau, mode 2\n(mean user)",
      "tau_mode4": "tau, mode 4\n(summaries)", "f_mean": "F, mean user"}),
    ("SumMe, 21 videos: smoothed feature change", "feature change",
     {"tau_mode1": "tau, mode 1\n(each user)", "tau_mode2": "tau, mode 2\n(mean user)",
      "tau_mode3": "tau, mode 3\n(summaries)", "f_max": "F, best user"}),
)  # fmt: skip
MARKS = (
    ("random", "chance", "#8a8f96", "X"),
    ("human leave-one-out", "one person", "#2f7d4f", "D"),
    ("ceiling: mean user", "people's mean", "#9fd3b0", "D"),
)


def main() -> None:
    plt.rcParams |= {
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "svg.hashsalt": "videograph",
    }
    figure, axes = plt.subplots(1, 2, figsize=(11, 3.6), sharex=True)
    for axis, path, panel in zip(axes, sys.argv[1:], PANELS, strict=True):
        draw(axis, json.loads(Path(path).read_text(encoding="utf-8")), *panel)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncol=4, frameon=False)
    figure.tight_layout(rect=(0, 0.09, 1, 1))
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(OUTPUT, facecolor="white", metadata={"Date": None})
    print(OUTPUT)


def draw(axis: Any, record: dict[str, Any], title: str, mine: str, columns: dict[str, str]) -> None:
    rows = {row["name"]: row["figures"] for row in record["rows"]}
    places = range(len(columns))[::-1]
    for name, label, colour, shape in MARKS:
        means = [rows[name][key]["mean"] for key in columns]
        axis.scatter(means, places, color=colour, marker=shape, s=55, label=label, zorder=2)
    cells = [rows[mine][key] for key in columns]
    means = [cell["mean"] for cell in cells]
    ends = [
        [c["mean"] - c["interval"][0] for c in cells],
        [c["interval"][1] - c["mean"] for c in cells],
    ]
    axis.errorbar(means, places, xerr=ends, fmt="o", color="#0b6e99", ms=8, lw=2, zorder=3,
                  label="the same prediction (95 % interval)")  # fmt: skip
    axis.set_yticks(places, columns.values())
    axis.set_ylim(-0.6, len(columns) - 0.4)
    axis.set_xlim(-0.06, 1.04)
    axis.set_title(title, loc="left", fontsize=10)
    axis.grid(axis="x", color="#e4e2dc")
    axis.spines[["top", "right", "left"]].set_visible(False)


if __name__ == "__main__":
    main()
