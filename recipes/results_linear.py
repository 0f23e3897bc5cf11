"""What the model stands beside: ridge regression, and a plain self-attention scorer."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from results_data import change, classes, mean_object, places, title_cosine, words_in
from results_trials import (
    Bench,
    Variant,
    block_means,
    learned_from,
    merged,
    shared_order,
    spread_to_steps,
    standard,
)
from torch import nn

from videograph.config import ModelConfig
from videograph.examples import Example, batch_of
from videograph.inputs import Inputs
from videograph.losses import ranking_loss
from videograph.metrics import rank_correlation
from videograph.topic import Topic

PENALTIES = (1.0, 3.0, 10.0, 30.0)
WEIGHTS = {"f": 1.0, "F": 1.0, "o": 1.0, "c": 0.25, "d": 0.25, "p": 0.25, "t": 0.1}
"""Squared weight of each group of inputs: frames, frames and their products with the title, objects,
classes, change, place, nearness of captions to the title."""
TOPIC_WEIGHT = 6.0
"""How much the products with the title weigh beside the frames; of 1, 3 and 6, by validation."""
RIDGE_TOPIC = "ridge, frames times title"


class LinearMap:
    """Ridge regression on block means, each video about its own mean; penalty chosen on validation."""

    def __init__(self, bench: Bench, kinds: str) -> None:
        self.bench, self.keys = bench, list(bench.users)
        self.rows, n = {}, 0
        for key in self.keys:
            self.rows[key] = np.arange(n, n + len(bench.frames[key]))
            n += len(bench.frames[key])
        self.target = np.concatenate(
            [standard(block_means(shared_order(bench.users[k]))) for k in self.keys]
        )
        self.kernel = sum(WEIGHTS[kind] * self._kernel(kind) for kind in kinds)

    def _kernel(self, kind: str) -> np.ndarray:
        if kind == "F":
            titles = np.stack([self._title(k) for k in self.keys])
            video = np.repeat(np.arange(len(self.keys)), [len(self.rows[k]) for k in self.keys])
            near = (1 + TOPIC_WEIGHT * titles @ titles.T) / (1 + TOPIC_WEIGHT)
            return self._kernel("f") * near[np.ix_(video, video)]
        rows = np.concatenate([_centred(_inputs(self.bench, k, kind)) for k in self.keys]).astype(
            np.float32
        )
        return (rows @ rows.T / (rows**2).sum(1).mean()).astype(np.float64)

    def _title(self, key: str) -> np.ndarray:
        return self.bench.vectors.of_text(words_in(self.bench.dataset.videos[key].title))

    def fitted(
        self, train: Sequence[str], keys: Sequence[str], penalty: float
    ) -> dict[str, np.ndarray]:
        """Block scores of `keys` by the map that `train` gives."""
        seen = np.concatenate([self.rows[k] for k in train])
        gram = self.kernel[np.ix_(seen, seen)] + penalty * np.eye(len(seen))
        weights = np.linalg.solve(gram, self.target[seen])
        return {k: self.kernel[np.ix_(self.rows[k], seen)] @ weights for k in keys}

    def penalty(self, fold: Mapping[str, Sequence[str]]) -> float:
        """The penalty with the best tau on the fold's validation videos."""
        taus = [
            np.mean(
                [self._tau(k, s) for k, s in self.fitted(fold["train"], fold["val"], p).items()]
            )
            for p in PENALTIES
        ]
        return PENALTIES[int(np.argmax(taus))]

    def _tau(self, key: str, scores: np.ndarray) -> float:
        users = self.bench.users[key]
        return self.bench.tau(key, spread_to_steps(scores, users.shape[1]), "mode2")[0]

    def test_blocks(self, fold: Mapping[str, Sequence[str]]) -> dict[str, np.ndarray]:
        """Block scores of the test videos, fitted on train and validation videos."""
        return self.fitted([*fold["train"], *fold["val"]], fold["test"], self.penalty(fold))

    def test_scores(self, fold: Mapping[str, Sequence[str]]) -> dict[str, np.ndarray]:
        """The same at every step."""
        made = self.test_blocks(fold)
        return {k: spread_to_steps(s, self.bench.users[k].shape[1]) for k, s in made.items()}

    def as_input(
        self, fold: Mapping[str, Sequence[str]], n_parts: int = 5
    ) -> dict[str, np.ndarray]:
        """Block scores of all videos; never by a map that was fitted to that video."""
        penalty, train = self.penalty(fold), list(fold["train"])
        made = self.fitted(train, fold["val"], penalty)
        made |= self.fitted([*train, *fold["val"]], fold["test"], penalty)
        for part in range(n_parts):
            held = train[part::n_parts]
            made |= self.fitted([k for k in train if k not in held], held, penalty)
        return {k: standard(s) for k, s in made.items()}


def _inputs(bench: Bench, key: str, kind: str) -> np.ndarray:
    video = bench.dataset.videos[key]
    if kind == "f":
        return bench.frames[key]
    if kind == "p":
        return places(len(bench.frames[key]))
    make = {"o": mean_object, "c": classes, "d": lambda v: change(v.features)[:, None],
            "t": lambda v: title_cosine(v, bench.vectors)[:, None]}[kind]  # fmt: skip
    return block_means(make(video))


def _centred(rows: np.ndarray) -> np.ndarray:
    return rows - rows.mean(0)


class AttentionScorer(nn.Module):
    """Self-attention over all steps, then two layers for each: after VASNet (Fajtl et al., 2018).

    With a `topic_rank` the title also says which features count, as in VideoGraph.
    """

    def __init__(self, inputs: Inputs, width: int = 64, topic_rank: int = 0) -> None:
        super().__init__()
        dim = inputs.features.shape[-1]
        self.enter = nn.Sequential(nn.Dropout(0.2), nn.Linear(dim, width), nn.LayerNorm(width))
        self.attend = nn.MultiheadAttention(width, 1, batch_first=True)
        self.norm = nn.LayerNorm(width)
        self.score = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Dropout(0.2), nn.Linear(width, 1)
        )
        self.topic = None
        if topic_rank:
            assert inputs.word_features is not None
            word_dim = inputs.word_features.shape[-1]
            config = ModelConfig(dim, word_dim=word_dim, width=width, topic_rank=topic_rank)
            self.topic = Topic(config)
            self.topic.initialise()

    def forward(self, inputs: Inputs) -> torch.Tensor:
        """(B, T)."""
        mask = inputs.frame_mask
        drop, project, norm = self.enter
        seen = drop(inputs.features)
        x = project(seen)
        if self.topic is not None and (about := self.topic.about(inputs)) is not None:
            x = x + self.topic(seen, about)
        x = norm(x)
        heard, _ = self.attend(x, x, x, key_padding_mask=~mask, need_weights=False)
        return self.score(self.norm(x + heard)).squeeze(-1)


def attention_trial(
    bench: Bench, fold: Mapping[str, Sequence[str]], variant: Variant, seed: int,
    made: Sequence[Example], mode: str, beside: Mapping[str, np.ndarray], kept: dict[Any, Any],
) -> dict[str, Any]:  # fmt: skip
    """As `results_trials.run_examples`, of the scorer; `kept` holds what was trained before."""
    outcome: dict[str, Any] = {"epoch": [], "validation": [], "test": {}, "beside": {}}
    scores: dict[str, Any] = dict.fromkeys(fold["test"], 0.0)
    by_key = {e.key: e for e in made}
    for member in range(variant.members):
        own = seed * variant.members + member
        key = ("attention", repr(replace(variant, name="", members=1)), own, fold["fold"])
        if key not in kept:
            kept[key] = _trained(fold, variant, by_key, own, mode)
        epoch, best, model = kept[key]
        outcome["epoch"].append(epoch)
        outcome["validation"].append(best)
        for name in fold["test"]:
            scores[name] = scores[name] + standard(scorer_scores(model, by_key[name]))
    for name, row in scores.items():
        n_steps = bench.users[name].shape[1]
        steps = spread_to_steps(row, n_steps, variant.steps)
        outcome["test"][name] = bench.tau(name, steps, mode)
        if name in beside:
            joined = standard(row) + standard(beside[name])
            steps = spread_to_steps(joined, n_steps, variant.steps)
            outcome["beside"][name] = bench.tau(name, steps, mode)
    return outcome


def _trained(
    fold: Mapping[str, Sequence[str]], variant: Variant, by_key: Mapping[str, Example], seed: int,
    mode: str,
) -> tuple[int, float, nn.Module]:  # fmt: skip
    """The epoch that the validation videos choose, their tau, and the scorer of that epoch; refitted:
    of another training for as long, on the validation videos too."""
    train = [by_key[k] for k in learned_from(fold, variant)]
    validation = [by_key[k] for k in fold["val"]]
    settings = merged(variant, seed)
    n_epochs, rank = settings[""]["epochs"], settings["model"]["topic_rank"]
    best, chosen = -1.0, (0, nn.Module())
    for epoch, model in enumerate(scorer_epochs(train, seed, n_epochs, rank), 1):
        taus = [
            rank_correlation(scorer_scores(model, e), e.users, mode=mode).tau[0] for e in validation
        ]
        if np.mean(taus) > best or settings[""]["select"] == "last":
            best, chosen = float(np.mean(taus)), (epoch, copy.deepcopy(model))
    epoch, model = chosen
    if variant.refitted:
        *_, model = scorer_epochs([*train, *validation], seed, epoch, rank)
    return epoch, best, model


def scorer_epochs(
    train: Sequence[Example], seed: int, n_epochs: int, topic_rank: int = 0
) -> Iterator[nn.Module]:
    """The scorer after each epoch, by the same recipe: inputs, loss, and running mean of weights."""
    torch.manual_seed(seed)
    model = AttentionScorer(train[0].inputs, topic_rank=topic_rank)
    kept = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9)
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.05)
    for _ in range(n_epochs):
        model.train()
        order = torch.randperm(len(train)).tolist()
        for i in range(0, len(order), 5):
            inputs, target = batch_of([train[j] for j in order[i : i + 5]], 0.15)
            assert target is not None and target.importance is not None
            loss = ranking_loss(model(inputs), target.importance, inputs.frame_mask)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            kept.update_parameters(model)
        yield kept


@torch.inference_mode()
def scorer_scores(model: nn.Module, example: Example) -> np.ndarray:
    """Of each node, (n_nodes,)."""
    model.eval()
    return model(example.inputs)[0].double().numpy()
