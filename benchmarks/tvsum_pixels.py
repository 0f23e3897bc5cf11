"""From pixels to tau: the scores of `videograph.summarize` on TVSum's videos against its raters.

    python benchmarks/tvsum_pixels.py [--json out.json]

The 40 videos at hand hold 3 frames a second (frame j shows the source at (j + 1/2) / 3 s) without
sound. Mode 1: Kendall tau-b and Spearman rho of the scores with each of the 20 raters, mean over the
raters, then over the videos. Beside it, in the same mode: random scores, the position (minus the
distance from the middle) and the smoothed change of the very same frame features.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import h5py
import numpy as np
from media import DATA
from scipy.ndimage import uniform_filter1d

from videograph.encoders import load_encoder
from videograph.features import extract
from videograph.metrics import bootstrap_interval, rank_correlation
from videograph.scoring import score_video

HALF_FRAME = 1 / 6


def smoothed_change(features: np.ndarray, width: int = 9) -> np.ndarray:
    rows = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    change = np.concatenate([[0.0], np.linalg.norm(np.diff(rows, axis=0), axis=1)])
    return uniform_filter1d(change, width, mode="nearest")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", default="builtin")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    encoder, rng = load_encoder(options.encoder), np.random.default_rng(0)
    rows: dict[str, list[tuple[float, float]]] = {}
    with h5py.File(DATA / "tvsum/tvsum.h5") as file:
        for key in file:
            group = file[key]
            picks, users = group["picks"][:], group["user_anno"][:]
            at = picks / float(group["fps"][()])
            seen = extract(DATA / f"tvsum/videos/{key}.mp4", encoder).features
            nearest = np.abs(seen.seconds[None] + HALF_FRAME - at[:, None]).argmin(1)
            predictions = {
                "summarize": score_video(seen).scores[nearest],
                "random (100 draws)": rng.random((100, len(picks))),
                "position": -np.abs(np.arange(len(picks)) - (len(picks) - 1) / 2),
                "smoothed change": smoothed_change(seen.features)[nearest],
            }
            for name, scores in predictions.items():
                found = rank_correlation(scores, users[:, picks], mode="mode1")
                rows.setdefault(name, []).append((float(found.tau.mean()), float(found.rho.mean())))
            print(key, f"{rows['summarize'][-1][0]:.3f}", flush=True)
    print(f"\nTVSum, {len(rows['summarize'])} videos, mode 1, encoder {encoder.name}\n")
    print("| scores | tau | 95 % interval over videos | rho |\n|---|---|---|---|")
    told = {}
    for name, pairs in rows.items():
        tau, rho = np.array(pairs).T
        interval = bootstrap_interval(tau, seed=0)
        told[name] = {"tau": tau.mean(), "rho": rho.mean(), "per_video_tau": tau.tolist()}
        print(
            f"| {name} | {tau.mean():.3f} | {interval.low:.3f} to {interval.high:.3f} | {rho.mean():.3f} |"
        )
    if options.json:
        options.json.write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()
