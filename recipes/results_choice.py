"""How SumMe's recipe was chosen: on the 11 videos that are in no fold, none of which is ever tested.

    python recipes/results_choice.py          all settings, mode 2 tau of single trainings and of their mean

Four parts, each scored by models of the other three; two seeds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from results import NO_WORDS, bench, folds, on_summe
from results_relational import relational_examples
from results_trials import Bench, Variant, merged, spread_to_steps, standard

from videograph.examples import Example
from videograph.learn import learn, make_plan, predict

EPOCHS = {"epochs": 20}
"""As many steps of learning as 14 epochs of the folds' 17 videos are, about."""
SETTINGS = [
    on_summe("chosen", EPOCHS, **NO_WORDS),
    on_summe("captions as words", EPOCHS),
    on_summe("K = 0", EPOCHS, n_recursions=0, **NO_WORDS),
    on_summe("width 16", EPOCHS, **(NO_WORDS | {"width": 16})),
    on_summe("width 64", EPOCHS, **(NO_WORDS | {"width": 64})),
    on_summe("no input dropout", EPOCHS, input_dropout=0.0, **NO_WORDS),
    on_summe("learning rate 6e-3", EPOCHS | {"learning_rate": 6e-3}, **NO_WORDS),
]


def part_scores(
    made: Sequence[Example], variant: Variant, held: Sequence[str], seed: int
) -> dict[str, np.ndarray]:
    """Standardised scores of the nodes of `held`, by a model of all others."""
    train = [e for e in made if e.key not in held]
    model = learn(make_plan(merged(variant, seed), train), train).model
    told = [e for e in made if e.key in held]
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
    for variant in SETTINGS:
        seen = [e for e in relational_examples(made, variant) if e.key in keys]
        runs = []
        for seed in (0, 1):
            parts = [part_scores(seen, variant, keys[p::4], seed) for p in range(4)]
            runs.append({k: row for part in parts for k, row in part.items()})
        both = {k: runs[0][k] + runs[1][k] for k in keys}
        single = np.mean([judged(made, run, variant.steps) for run in runs])
        print(
            f"{variant.name:24} {single:.3f} mean {judged(made, both, variant.steps):.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
