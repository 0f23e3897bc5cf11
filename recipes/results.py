"""The figures of docs/results.md: one command each.

    python recipes/results.py references            rows without the model
    python recipes/results.py trials [SEEDS] [ROWS] train and score variants, 5 folds each
    python recipes/results.py table                 the tables, from docs/results/*.json

Trials that are in docs/results/trials.json already are not run again; delete the file to repeat all.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from results_data import (
    DATA,
    WordVectors,
    change,
    load,
    title_cosine,
    words_in,
)
from results_linear import LinearMap, attention_trial
from results_trials import Bench, Variant, examples, run_examples

from videograph.evaluate._rows import position, seeded, typicality
from videograph.metrics import bootstrap_interval, human_correlation
from videograph.scoring import score_video

HERE = Path(__file__).resolve().parent.parent / "docs" / "results"
SETS = {
    "tvsum": ("tvsum", "mobilenetv2", "tvsum_5fold.json", "mode1"),
    "summe": ("summe", "dino_vitb16", "summe_dino_5fold.json", "mode2"),
    "summe21": ("summe", "dino_pca128", "", "mode2"),
}
"""Folder, picture features, folds and mode of the rank correlation; without folds nothing is trained."""


def variant(name: str, top: Any = None, loss: Any = None, **model: Any) -> Variant:
    """A row whose settings differ from the recipe's."""
    return Variant(name, {"": top or {}, "loss": loss or {}, "model": model})


VARIANTS = [
    variant("full"),
    Variant("full, validation videos too", refitted=True),
    Variant("full, mean of five trainings", members=5),
    Variant("full, mean of five trainings, validation videos too", members=5, refitted=True),
    variant("without words", language="none"),
    variant("without objects", use_objects=False),
    variant("K = 0", n_recursions=0),
    variant("without words and objects", use_objects=False, language="none"),
    Variant("words shuffled", shuffled_words=True),
    variant("K = 1", n_recursions=1),
    variant("without time encoding", time_encoding="none"),
    variant("without regulariser", loss={"structure": 0.0}),
    variant("frames shuffled", shuffle_frames=True),
    variant("separate weights", share_weights=False),
    variant("K = 2", n_recursions=2),
    Variant("linear map as an input", extra=("change", "linear")),
    variant("K = 4", n_recursions=4),
    variant("K = 5", n_recursions=5),
    variant("unsupervised", {"objective": "unsupervised", "select": "last", "epochs": 10}),
]  # fmt: skip


_BOTH = "full + ridge, frames"
PAIRS = [
    *(("full", other) for other in ("smoothed feature change", "position", "VideoGraph, training-free",
      "ridge, frames", "ridge, all inputs", "without words", "words shuffled", "without objects",
      "without words and objects", "K = 0", "K = 1", "attention scorer",
      "without time encoding", "without regulariser", "frames shuffled", "separate weights",
      "unsupervised")),
    ("full, validation videos too", "ridge, frames"),
    ("full, validation videos too", "ridge, all inputs"),
    ("full, validation videos too", "full"),
    ("full, validation videos too", "attention scorer"),
    *((f"full, mean of five trainings{more}", other) for more in ("", ", validation videos too")
      for other in ("full", "ridge, frames", "ridge, all inputs", "human leave-one-out")),
    ("VideoGraph, training-free", "smoothed feature change"),
    ("attention scorer", "ridge, frames"),
    ("without words and objects", "ridge, frames"),
    ("without words and objects + ridge, frames", "ridge, frames"),
    *((_BOTH, other) for other in ("ridge, frames", "ridge, all inputs", "full",
      "without words + ridge, frames", "without objects + ridge, frames", "K = 0 + ridge, frames",
      "without words and objects + ridge, frames")),
]  # fmt: skip
"""Rows whose difference is shown with its interval."""


def bench(name: str) -> Bench:
    """A set, made ready."""
    folder, features, _, _ = SETS[name]
    dataset = load(folder, features)
    sentences = [words_in(c.text) for v in dataset.videos.values() for c in v.captions]
    sentences += [words_in(v.title) for v in dataset.videos.values()]
    return Bench(dataset, WordVectors(sentences))


def folds(name: str) -> list[dict[str, Any]]:
    """The disjoint folds, each with a validation part."""
    return json.loads((DATA / "splits" / SETS[name][2]).read_text())["folds"]


def references(name: str) -> None:
    """Rows without the model; tau and rho of each video go to docs/results."""
    made, mode = bench(name), SETS[name][3]
    rows: dict[str, dict[str, Any]] = {}

    def row(title: str, score: Callable[[str], np.ndarray]) -> None:
        rows[title] = {k: made.tau(k, score(k), mode) for k in made.users}
        print(f"{title:32} {_mean(rows[title], 0):.4f} {_mean(rows[title], 1):.4f}", flush=True)

    videos = made.dataset.videos
    row("random", lambda k: seeded(0, videos[k]).random(videos[k].n_steps))
    row("position", lambda k: position(videos[k]))
    row("typical", lambda k: typicality(videos[k]))
    row("smoothed feature change", lambda k: change(videos[k].features))
    if name == "tvsum":
        row("title-caption cosine", lambda k: title_cosine(videos[k], made.vectors))
    training_free = {k: score_video(v.as_features("x")).scores for k, v in videos.items()}
    row("VideoGraph, training-free", lambda k: training_free[k])
    for title, kinds in (
        ("ridge, frames", "f"),
        ("ridge, all inputs", "fdp" + "oct" * (name == "tvsum")),
    ):
        if not SETS[name][2]:
            continue
        linear, scores = LinearMap(made, kinds), {}
        for fold in folds(name):
            scores |= linear.test_scores(fold)
        row(title, lambda k, scores=scores: scores[k])
    rows["human leave-one-out"] = {
        k: _pair(human_correlation(u, mode=mode)) for k, u in made.users.items()
    }
    row("ceiling: mean user", lambda k: made.users[k].mean(0))
    HERE.mkdir(parents=True, exist_ok=True)
    (HERE / f"references_{name}.json").write_text(json.dumps(_rounded(rows), indent=0))


def _pair(found: Any) -> tuple[float, float]:
    return float(found.tau[0]), float(found.rho[0])


def _mean(row: dict[str, Any], i: int) -> float:
    return float(np.mean([pair[i] for pair in row.values()]))


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(v) for v in value]
    return round(value, 4) if isinstance(value, float) else value


def trials(name: str, seeds: list[int], wanted: list[str]) -> None:
    """Train and score every variant that is not there yet; a fold's inputs are made once."""
    path = HERE / f"trials_{name}.json"
    found = json.loads(path.read_text()) if path.is_file() else {}
    made, mode, cache, kept = bench(name), SETS[name][3], {}, {}
    linear = LinearMap(made, "f")
    beside = [linear.test_blocks(fold) for fold in folds(name)]
    rows = [v for v in VARIANTS if not wanted or v.name in wanted]
    names = {v.name: v for v in rows} | (
        {"attention scorer": None} if not wanted or "attention scorer" in wanted else {}
    )
    for seed in seeds:
        for title, chosen in names.items():
            key = f"{title}/{seed}"
            if key in found:
                continue
            began, outcome = time.process_time(), []
            for i, fold in enumerate(folds(name)):
                inputs = chosen or VARIANTS[0]
                made_for = (i, inputs.extra)
                if made_for not in cache:
                    cache[made_for] = examples(made, fold, inputs, linear)
                if chosen is None:
                    outcome.append(attention_trial(made, fold, cache[made_for], seed, mode))
                else:
                    outcome.append(
                        run_examples(
                            made, fold, chosen, seed, cache[made_for], mode, beside[i], kept
                        )
                    )
            found[key] = {
                "epochs": [o["epoch"] for o in outcome],
                "validation": [o.get("validation") for o in outcome],
                "test": {k: v for o in outcome for k, v in o["test"].items()},
                "beside": {k: v for o in outcome for k, v in o.get("beside", {}).items()},
                "cpu_seconds": time.process_time() - began,
            }
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(_rounded(found), indent=0))
            t, b = (
                _mean(found[key][part], 0) if found[key][part] else 0 for part in ("test", "beside")
            )
            print(
                f"{key:34} {t:.4f} beside {b:.4f} cpu {found[key]['cpu_seconds']:.0f} s",
                flush=True,
            )


def table(name: str) -> None:
    """Mean over videos and seeds, sd over seeds, and paired differences, as Markdown."""
    path = HERE / f"trials_{name}.json"
    found = json.loads(path.read_text()) if path.is_file() else {}
    fixed = json.loads((HERE / f"references_{name}.json").read_text())
    rows: dict[str, list[dict[str, Any]]] = {row: [values] for row, values in fixed.items()}
    for part, suffix in (("test", ""), ("beside", " + ridge, frames")):
        for key, outcome in found.items():
            if outcome[part]:
                rows.setdefault(key.rpartition("/")[0] + suffix, []).append(outcome[part])
    means = {row: _over_seeds(runs) for row, runs in rows.items()}
    print("| row | tau | rho | sd over seeds | seeds |\n|---|---|---|---|---|")
    for row, runs in rows.items():
        sd = f"{np.std([_mean(r, 0) for r in runs], ddof=1):.3f}" if len(runs) > 1 else "-"
        n = "-" if row in fixed else len(runs)
        print(f"| {row} | {_mean(means[row], 0):.3f} | {_mean(means[row], 1):.3f} | {sd} | {n} |")
    print("\n| difference in tau | mean and 95 % interval over videos |\n|---|---|")
    for a, b in PAIRS:
        if a in means and b in means:
            gap = np.array([means[a][k][0] - means[b][k][0] for k in means[a]])
            print(f"| {a} minus {b} | {bootstrap_interval(gap)} |")


def _over_seeds(runs: list[dict[str, Any]]) -> dict[str, list[float]]:
    return {k: np.mean([run[k] for run in runs], axis=0).tolist() for k in runs[0]}


if __name__ == "__main__":
    torch.set_num_threads(1)
    what, name = sys.argv[1], sys.argv[2]
    if what == "references":
        references(name)
    elif what == "trials":
        trials(name, [int(s) for s in sys.argv[3].split(",")], sys.argv[4:])
    else:
        table(name)
