"""How SumMe's recipe was chosen: on the 11 videos that are in no fold, none of which is ever tested.

    python recipes/results_choice.py          all settings, mode 2 tau of single trainings and of their mean

Four parts, each scored by models of the other three; five seeds, each of which deals the parts anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from results import bench, folds, on_summe
from results_data import change
from results_linear import scorer_epochs, scorer_scores
from results_relational import captions_told, relational_examples
from results_trials import Bench, Variant, merged, spread_to_steps, standard

from videograph.datasets import BenchmarkVideo
from videograph.examples import Example
from videograph.learn import learn, make_plan, predict
from videograph.scoring import score_video

EPOCHS = {"epochs": 20}
"""As many steps of learning as 14 epochs of the folds' 17 videos are, about."""
SETTINGS = [
    on_summe("chosen", EPOCHS),
    on_summe("without words", EPOCHS, ()),
    on_summe("another video's captions", EPOCHS, ("others' captions",)),
    on_summe("captions as nodes too", EPOCHS, language="query"),
    on_summe("relative time encoding", EPOCHS, time_encoding="relative"),
    on_summe("K = 0", EPOCHS, n_recursions=0),
    on_summe("K = 3", EPOCHS, n_recursions=3),
    on_summe("width 32", EPOCHS, width=32),
    on_summe("width 128", EPOCHS, width=128),
    on_summe("no input dropout", EPOCHS, input_dropout=0.0),
    on_summe("input dropout .2", EPOCHS, input_dropout=0.2),
    on_summe("14 epochs", EPOCHS | {"epochs": 14}),
    on_summe("30 epochs", EPOCHS | {"epochs": 30}),
    on_summe("attention scorer", EPOCHS),
]
SEEDS = (0, 1, 2, 3, 4)


def part_scores(
    made: Sequence[Example], variant: Variant, held: Sequence[str], seed: int
) -> dict[str, np.ndarray]:
    """Standardised scores of the nodes of `held`, by a model of all others."""
    train = [e for e in made if e.key not in held]
    told = [e for e in made if e.key in held]
    if variant.name == "attention scorer":
        *_, scorer = scorer_epochs(train, seed, EPOCHS["epochs"])
        return {e.key: standard(scorer_scores(scorer, e)) for e in told}
    model = learn(make_plan(merged(variant, seed), train), train).model
    return {e.key: standard(predict(model, e.inputs).logits[0].double().numpy()) for e in told}


def judged(bench_: Bench, scores: dict[str, np.ndarray], size: int) -> float:
    """Mean tau over videos."""
    taus = [
        bench_.tau(k, spread_to_steps(s, bench_.users[k].shape[1], size), "mode2")[0]
        for k, s in scores.items()
    ]
    return float(np.mean(taus))


def main() -> None:
    """Print a line for each setting."""
    torch.set_num_threads(1)
    made = bench("summe21")
    keys = folds("summe", made)[0]["others"]
    untrained: dict[str, Callable[[BenchmarkVideo], np.ndarray]] = {
        "smoothed change": lambda v: change(v.features),
        "VideoGraph, training-free": lambda v: score_video(v.as_features("x")).scores,
        "caption unlike the others": lambda v: captions_told(v, made.vectors)["unlike the others"],
    }
    for name, score in untrained.items():
        taus = [made.tau(k, score(made.dataset.videos[k]), "mode2")[0] for k in keys]
        print(f"{name:28} {np.mean(taus):.3f}", flush=True)
    for variant in SETTINGS:
        seen = [e for e in relational_examples(made, variant) if e.key in keys]
        runs = []
        for seed in SEEDS:
            dealt = np.random.default_rng(seed).permutation(np.array(keys)).tolist()
            parts = [part_scores(seen, variant, dealt[p::4], seed) for p in range(4)]
            runs.append({k: row for part in parts for k, row in part.items()})
        single = [judged(made, run, variant.steps) for run in runs]
        together = {k: np.sum([run[k] for run in runs], axis=0) for k in keys}
        mean, sd = float(np.mean(single)), float(np.std(single, ddof=1))
        print(
            f"{variant.name:28} {mean:.3f} sd {sd:.3f}"
            f" together {judged(made, together, variant.steps):.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
