"""The figures of docs/results.md: one command each. SET is a key of `SETS`.

    python recipes/results.py references SET            rows without the model
    python recipes/results.py trials SET SEEDS [ROWS]   train and score variants, 5 folds each
    python recipes/results.py table SET                 the tables, from docs/results/*.json

Trials that are in docs/results/trials_SET.json already are not run again; delete the file to repeat all.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
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
from results_linear import RIDGE_TOPIC, LinearMap, attention_trial
from results_relational import captions_told, linear_scores, relational_examples
from results_trials import Bench, Variant, block_means, examples, run_examples

from videograph.evaluate._rows import position, seeded, typicality
from videograph.metrics import bootstrap_interval, human_correlation
from videograph.scoring import score_video

HERE = Path(__file__).resolve().parent.parent / "docs" / "results"
SETS = {
    "tvsum": ("tvsum", "mobilenetv2", "tvsum_5fold.json", "mode1"),
    "summe": ("summe", "dino_vitb16", "summe_dino_5fold.json", "mode2"),
    "summe_coordinates": ("summe", "dino_vitb16", "summe_dino_5fold.json", "mode2"),
    "summe21": ("summe", "dino_pca128", "", "mode2"),
}
"""Folder, picture features, folds and mode of the rank correlation; without folds nothing sees a label.

"summe" learns from inputs that compare across videos, "summe_coordinates" by TVSum's recipe.
"""
TAUGHT_BY = {"summe": "summe21"}
"""Where a set's folds learn from further videos: all videos, in features whose distances compare."""
BESIDE = {"summe": "smoothed feature change"}
"""What a method's scores are also averaged with; elsewhere "ridge, frames"."""


def variant(name: str, top: Any = None, loss: Any = None, **model: Any) -> Variant:
    """A row whose settings differ from the recipe's."""
    return Variant(name, {"": top or {}, "loss": loss or {}, "model": model})


_VALIDATION = ", validation videos too"
_ALONE = {"objective": "unsupervised", "select": "last", "epochs": 10}
_UNTAUGHT = variant("unsupervised", _ALONE, topic_rank=0)
_NO_TOPIC = variant("without topic", topic_rank=0)
_SCORER = variant("attention scorer", topic_rank=0)
_TOPIC_SCORER = Variant("attention scorer with topic")


def _in_numbers(of: Variant) -> list[Variant]:
    """One training, the mean of five and of ten, and each with the validation videos as teachers too."""
    numbers = {"": 1, ", mean of five trainings": 5, ", mean of ten trainings": 10}
    return [
        replace(of, name=f"{of.name}{tail}{_VALIDATION if more else ''}", members=n, refitted=more)
        for tail, n in numbers.items()
        for more in (False, True)
    ]


VARIANTS = [
    *_in_numbers(Variant("full")),
    *_in_numbers(_NO_TOPIC),
    variant("without words", language="none"),
    Variant("words shuffled", shuffled_words=True),
    variant("without objects", use_objects=False),
    variant("without words and objects", use_objects=False, language="none"),
    *(variant(f"K = {k}", n_recursions=k) for k in (0, 2, 3, 4, 5)),
    variant("K = 3, separate weights", n_recursions=3, share_weights=False),
    variant("without time encoding", time_encoding="none"),
    variant("without regulariser", loss={"structure": 0.0}),
    variant("frames shuffled", shuffle_frames=True),
    Variant("linear map as an input", extra=("change", "linear")),
    *_in_numbers(_SCORER),
    *_in_numbers(_TOPIC_SCORER),
    _UNTAUGHT,
]


def on_summe(
    name: str, top: Any = None, extra: tuple[str, ...] = ("captions",), **model: Any
) -> Variant:
    """A row of SumMe's, whose settings were chosen on the 11 videos that no fold tests."""
    settings = {
        "": {"select": "last", "epochs": SUMME_EPOCHS} | (top or {}),
        "model": {
            "time_encoding": "none",
            "input_dropout": 0.1,
            "language": "none",
            "topic_rank": 0,
        }
        | model,
    }
    return Variant(name, settings, "c", extra=extra, steps=4, relational=True, others=True)


SUMME_EPOCHS = 14


def _averaged(of: Variant) -> Variant:
    return replace(of, name=f"{of.name}, mean of five trainings", members=5)


_FULL, _WORDLESS = on_summe("full"), on_summe("without words", extra=())
_PLAIN = on_summe("attention scorer")
_SIX = on_summe("the fold's own videos only", {"epochs": 2 * SUMME_EPOCHS})
SUMME = [
    _FULL,
    _averaged(_FULL),
    replace(
        _averaged(_FULL), name="full, mean of five trainings, validation videos too", refitted=True
    ),
    _WORDLESS,
    _averaged(_WORDLESS),
    on_summe("another video's captions", extra=("others' captions",)),
    on_summe("captions as nodes too", language="query"),
    on_summe("with time encoding", time_encoding="relative"),
    on_summe("K = 0", n_recursions=0),
    on_summe("K = 2", n_recursions=2),
    on_summe("K = 3", n_recursions=3),
    replace(_SIX, others=False),
    _PLAIN,
    _averaged(_PLAIN),
]
SUMME21 = [
    _UNTAUGHT,
    variant("unsupervised, without words", _ALONE, language="none"),
    variant("unsupervised, K = 0", _ALONE, n_recursions=0, topic_rank=0),
    variant("unsupervised, K = 3", _ALONE, n_recursions=3, topic_rank=0),
    variant("unsupervised, without time encoding", _ALONE, time_encoding="none", topic_rank=0),
]
"""No labels are read, so all videos teach."""
COORDINATES = [
    replace(
        v, settings=dict(v.settings) | {"model": {**v.settings.get("model", {}), "topic_rank": 0}}
    )
    for v in VARIANTS
    if "topic" not in v.name
]
"""TVSum's rows without the topic: SumMe's videos have no title."""
ROWS = {"tvsum": VARIANTS, "summe_coordinates": COORDINATES, "summe": SUMME, "summe21": SUMME21}

_BOTH = "full + ridge, frames"
_MORE = ("", _VALIDATION)
PAIRS = [
    *(("full", other) for other in ("smoothed feature change", "position", "VideoGraph, training-free",
      "ridge, frames", "ridge, all inputs", RIDGE_TOPIC, "without topic", "without words", "words shuffled",
      "without objects", "without words and objects", *(f"K = {k}" for k in (0, 2, 3, 4, 5)),
      "attention scorer", "without time encoding", "without regulariser", "frames shuffled",
      "linear map as an input", "unsupervised")),
    ("K = 3", "K = 3, separate weights"),
    *((f"full{_VALIDATION}", other) for other in ("ridge, frames", "ridge, all inputs", "full",
      "attention scorer")),
    *((f"full, mean of {n} trainings{more}", other) for n in ("five", "ten") for more in _MORE
      for other in ("full", "ridge, frames", "ridge, all inputs", "human leave-one-out",
      RIDGE_TOPIC, f"without topic, mean of {n} trainings{more}",
      f"attention scorer, mean of {n} trainings{more}",
      f"{_TOPIC_SCORER.name}, mean of {n} trainings{more}")),
    (_TOPIC_SCORER.name, "attention scorer"),
    ("full", _TOPIC_SCORER.name),
    (RIDGE_TOPIC, "ridge, frames"),
    *((f"full, mean of ten trainings{more}", f"full, mean of five trainings{more}") for more in _MORE),
    *((f"full{more}", other) for more in ("", ", mean of five trainings",
      ", mean of five trainings, validation videos too") for other in (
      "smoothed feature change", "VideoGraph, training-free", "ridge, relational inputs",
      "caption unlike the others")),
    *(("full", other) for other in ("another video's captions", "captions as nodes too",
      "with time encoding", "the fold's own videos only", "ridge, relational inputs without words")),
    ("full, mean of five trainings", "without words, mean of five trainings"),
    *((f"{method}{more} + smoothed feature change", other) for method in ("full", "without words")
      for more in ("", ", mean of five trainings") for other in ("smoothed feature change",
      f"{method}{more}", f"attention scorer{more} + smoothed feature change")),
    ("full, mean of five trainings", "smoothed feature change"),
    ("ridge, relational inputs", "ridge, relational inputs without words"),
    ("attention scorer, mean of five trainings", "ridge, frames"),
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


def folds(name: str, made: Bench | None = None) -> list[dict[str, Any]]:
    """The disjoint folds, each with a validation part, and the videos of `made` that are in none; of a set
    without folds all videos, to learn from without labels and to be scored."""
    if not SETS[name][2]:
        assert made is not None
        every = list(made.users)
        return [{"fold": 0, "train": every, "val": [], "test": every, "others": []}]
    found = json.loads((DATA / "splits" / SETS[name][2]).read_text())["folds"]
    inside = {k for part in ("train", "val", "test") for k in found[0][part]}
    others = [k for k in made.users if k not in inside] if made else []
    return [{**fold, "others": others} for fold in found]


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
        (RIDGE_TOPIC, "F"),
    ):
        if not SETS[name][2] or (title == RIDGE_TOPIC and name != "tvsum"):
            continue
        linear, scores = LinearMap(made, kinds), {}
        for fold in folds(name):
            scores |= linear.test_scores(fold)
        row(title, lambda k, scores=scores: scores[k])
    if name in TAUGHT_BY:
        taught, scores = bench(TAUGHT_BY[name]), {}
        for title, extra in (
            ("ridge, relational inputs without words", ()),
            ("ridge, relational inputs", ("captions",)),
            ("ridge, relational inputs and place", ("captions", "places")),
        ):
            scores = {}
            for fold in folds(name, taught):
                scores |= linear_scores(taught, fold, SUMME[0].steps, extra)
            row(title, lambda k, scores=scores: scores[k])
        row(
            "caption unlike the others",
            lambda k: captions_told(videos[k], taught.vectors)["unlike the others"],
        )
    rows["human leave-one-out"] = {
        k: _pair(human_correlation(u, mode=mode)) for k, u in made.users.items()
    }
    row("ceiling: mean user", lambda k: made.users[k].mean(0))
    HERE.mkdir(parents=True, exist_ok=True)
    _save(HERE / f"references_{name}.json", rows)


def _pair(found: Any) -> tuple[float, float]:
    return float(found.tau[0]), float(found.rho[0])


def _mean(row: dict[str, Any], i: int) -> float:
    return float(np.mean([pair[i] for pair in row.values()]))


def _save(path: Path, rows: dict[str, Any]) -> None:
    """As JSON, a line for each row."""
    lines = (f"{json.dumps(key)}: {json.dumps(row)}" for key, row in _rounded(rows).items())
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


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
    made, mode, cache, kept = bench(TAUGHT_BY.get(name, name)), SETS[name][3], {}, {}
    parts, linear = folds(name, made), None
    if name in TAUGHT_BY:
        size = SUMME[0].steps
        moved = {k: block_means(change(v.features), size) for k, v in made.dataset.videos.items()}
        beside = [{k: moved[k] for k in fold["test"]} for fold in parts]
    elif not SETS[name][2]:
        beside = [{} for _ in parts]
    else:
        linear = LinearMap(made, "f")
        beside = [linear.test_blocks(fold) for fold in parts]
    rows = [v for v in ROWS[name] if not wanted or v.name in wanted]
    for seed in seeds:
        for chosen in rows:
            key = f"{chosen.name}/{seed}"
            if key in found:
                continue
            began, outcome = time.process_time(), []
            for i, fold in enumerate(parts):
                made_for = ("all" if chosen.relational else i, chosen.extra)
                if made_for not in cache:
                    cache[made_for] = (
                        relational_examples(made, chosen)
                        if chosen.relational
                        else examples(made, fold, chosen, linear)
                    )
                if chosen.name.startswith("attention scorer"):
                    outcome.append(
                        attention_trial(
                            made, fold, chosen, seed, cache[made_for], mode, beside[i], kept
                        )
                    )
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
            _save(path, found)
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
    of = name.removesuffix("_coordinates")
    fixed = json.loads((HERE / f"references_{of}.json").read_text())
    rows: dict[str, list[dict[str, Any]]] = {row: [values] for row, values in fixed.items()}
    for part, suffix in (("test", ""), ("beside", f" + {BESIDE.get(name, 'ridge, frames')}")):
        order = {v.name: i for i, v in enumerate(ROWS.get(name, []))}
        for key in sorted(found, key=lambda k: order.get(k.rpartition("/")[0], len(order))):
            outcome = found[key]
            if outcome[part]:
                rows.setdefault(key.rpartition("/")[0] + suffix, []).append(outcome[part])
    means = {row: _over_seeds(runs) for row, runs in rows.items()}
    print("| row | tau | rho | sd over seeds | seeds | validation tau |\n|---|---|---|---|---|---|")
    for row, runs in rows.items():
        sd = f"{np.std([_mean(r, 0) for r in runs], ddof=1):.3f}" if len(runs) > 1 else "-"
        n = "-" if row in fixed else len(runs)
        figures = f"{_mean(means[row], 0):.3f} | {_mean(means[row], 1):.3f} | {sd} | {n}"
        print(f"| {row} | {figures} | {_validation(found, row)} |")
    print("\n| difference in tau | mean and 95 % interval over videos |\n|---|---|")
    for a, b in dict.fromkeys(PAIRS):
        if a in means and b in means:
            gap = np.array([means[a][k][0] - means[b][k][0] for k in means[a]])
            print(f"| {a} minus {b} | {bootstrap_interval(gap)} |")


def _validation(found: dict[str, Any], row: str) -> str:
    """Mean tau on the validation videos at the epochs they chose, over folds, seeds and trainings."""
    runs = [run["validation"] for key, run in found.items() if key.rpartition("/")[0] == row]
    values = [tau for tau in np.ravel(np.array(runs, dtype=object)) if tau is not None]
    return f"{np.mean(values):.3f}" if values else "-"


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
