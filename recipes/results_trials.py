"""One trial: train a variant of VideoGraph on a fold, choose its epoch on validation, score the test.

The machine-readable outcome of each trial is an entry of docs/results/trials_SET.json: what the table is
made of. Trials that are there already are not run again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from results_data import Said, WordVectors, change, words_in
from scipy.ndimage import uniform_filter1d
from scipy.stats import rankdata

from videograph.datasets import BenchmarkVideo, Dataset
from videograph.examples import Example, with_others_words
from videograph.inputs import inputs_from
from videograph.learn import Learned, Learner, learn, make_plan, predict
from videograph.metrics import rank_correlation
from videograph.records import VideoFeatures, Words

STEPS = 8
"""Steps that become one node: 4 seconds, two of the units that TVSum's annotators rated."""
N_PRINCIPAL = 96
"""Directions kept of frame features."""
MAX_WORDS = 96


def blocks(n_steps: int, size: int = STEPS) -> np.ndarray:
    """Block of each step, (n_steps,); the last one takes the rest."""
    return np.minimum(np.arange(n_steps) // size, max(0, n_steps // size - 1))


def block_means(rows: np.ndarray, size: int = STEPS) -> np.ndarray:
    """Mean of each block, (n_blocks, ...)."""
    number = blocks(len(rows), size)
    sums = np.zeros((number[-1] + 1, *rows.shape[1:]))
    np.add.at(sums, number, rows)
    counts = np.bincount(number).reshape(-1, *[1] * (rows.ndim - 1))
    return (sums / counts).astype(np.float32)


def spread_to_steps(scores: np.ndarray, n_steps: int, size: int = STEPS) -> np.ndarray:
    """Scores of blocks at every step, straight lines between the blocks' middles, (n_steps,)."""
    number = blocks(n_steps, size)
    middles = np.bincount(number, np.arange(n_steps)) / np.bincount(number)
    return np.interp(np.arange(n_steps), middles, scores)


def middle_steps(n_steps: int, size: int = STEPS) -> np.ndarray:
    """Middle step of each block, (n_blocks,)."""
    number = blocks(n_steps, size)
    first = np.searchsorted(number, np.arange(number[-1] + 1))
    return np.minimum(first + (size - 1) // 2, n_steps - 1)


SHARES = (1.0, 0.5, 0.5)
"""Mean squared length of the three parts of `_looks`."""


def _looks(features: np.ndarray) -> np.ndarray:
    """Each block's mean frame, the largest value of each feature in it, and the mean of the 9 blocks
    around, each about its mean over the video; square roots first, which tame the few large values."""
    root = np.sign(features) * np.sqrt(np.abs(features))
    number = blocks(len(features))
    top = np.full((number[-1] + 1, root.shape[1]), -np.inf)
    np.maximum.at(top, number, root)
    mean = block_means(features)
    mean = np.sign(mean) * np.sqrt(np.abs(mean))
    wide = uniform_filter1d(mean, 9, axis=0, mode="nearest")
    parts = [part - part.mean(0) for part in (mean, top, wide)]
    return np.concatenate(parts, 1).astype(np.float32)


@dataclass
class Bench:
    """A data set, made ready once: what does not depend on the fold."""

    dataset: Dataset
    vectors: WordVectors
    frames: dict[str, np.ndarray] = field(default_factory=dict)
    """What the frames of each block show, see `_looks`."""
    users: dict[str, np.ndarray] = field(default_factory=dict)
    """What each user said at each step."""

    def __post_init__(self) -> None:
        for key, video in self.dataset.videos.items():
            assert video.features is not None and video.users is not None
            self.frames[key] = _looks(video.features)
            self.users[key] = video.users[:, video.picks].astype(np.float64)
        dim = len(next(iter(self.frames.values()))[0]) // len(SHARES)
        for at, share in enumerate(SHARES):
            part = slice(at * dim, (at + 1) * dim)
            sizes = [(rows[:, part] ** 2).sum(1) for rows in self.frames.values()]
            for rows in self.frames.values():
                rows[:, part] *= np.sqrt(share / np.concatenate(sizes).mean())

    def tau(self, key: str, scores: np.ndarray, mode: str) -> tuple[float, float]:
        """Rank correlation of step scores, tau and rho."""
        found = rank_correlation(scores, self.users[key], mode=mode)
        return float(found.tau[0]), float(found.rho[0])


def shared_order(users: np.ndarray) -> np.ndarray:
    """Mean over users of their ranks within the video, from 0 to 1, (n_steps,): what tau asks for."""
    ranks = rankdata(users, axis=1)
    mean = ranks.mean(0)
    return ((mean - mean.min()) / max(float(np.ptp(mean)), 1e-9)).astype(np.float32)


class Principal:
    """Frame features in their main directions over the training videos, mean square length 1 in all."""

    def __init__(self, rows: np.ndarray, n: int = N_PRINCIPAL, power: float = 1.0) -> None:
        self.mean = rows.mean(0)
        centred = rows - self.mean
        values, vectors = np.linalg.eigh((centred.T @ centred / len(rows)).astype(np.float64))
        top = vectors[:, ::-1][:, :n]
        scale = np.maximum(values[::-1][:n], 1e-9) ** ((power - 1) / 2)
        weights = top * scale
        self.map = (weights / np.sqrt(((centred[::4] @ weights) ** 2).mean())).astype(np.float32)

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """(n, dim) -> (n, n_principal)."""
        return ((rows - self.mean) @ self.map).astype(np.float32)


def said_of(video: BenchmarkVideo, sources: str) -> list[Said]:
    """Title, word by word ("t"), and captions, each as one phrase ("c"), with times."""
    said = [Said(w, 0) for w in words_in(video.title)] if "t" in sources else []
    if "c" in sources:
        for caption in video.captions:
            said.append(Said(caption.text, 1, caption.start_seconds, caption.end_seconds))
    return said


def words_of(
    video: BenchmarkVideo, vectors: WordVectors, sources: str, size: int = STEPS
) -> Words | None:
    """Word features (vector, kind, nearness to the title) and the blocks at which each is heard."""
    said = [s for s in said_of(video, sources) if vectors.of_text(words_in(s.text)).any()]
    seconds = block_means(video.seconds, size)
    title = vectors.of_text(words_in(video.title))
    rows, masks = [], []
    for s in said:
        vector = vectors.of_text(words_in(s.text))
        rows.append([*vector, *np.eye(3)[s.kind], 2 * float(vector @ title)])
        masks.append((seconds >= s.start_seconds) & (seconds < s.end_seconds))
    if "o" in sources and video.objects is not None and video.objects.classes is not None:
        number = blocks(video.n_steps, size)
        for c in np.unique(video.objects.classes[video.objects.mask]):
            name = [w for w in words_in(video.objects.class_names[c]) if w in vectors.vectors]
            if c < 0 or not name:
                continue
            vector = vectors.vectors[name[0]]
            here = ((video.objects.classes == c) & video.objects.mask).any(1)
            rows.append([*vector, *np.eye(3)[2], 2 * float(vector @ title)])
            masks.append(np.bincount(number, here) > 0)
    if not rows:
        return None
    return Words(np.array(rows, np.float32), np.array(masks, bool).T)


@dataclass(frozen=True)
class Variant:
    """A row of the table: what differs from the full model."""

    name: str
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Tables of `learn.make_plan`, over the recipe's own."""
    sources: str = "tco"
    """Where words come from."""
    shuffled_words: bool = False
    extra: tuple[str, ...] = ("change",)
    """Further frame inputs."""
    n_principal: int = N_PRINCIPAL
    power: float = 1.0
    refitted: bool = False
    """Train once more on training and validation videos together, for as many epochs as validation chose."""
    members: int = 1
    """Trainings, each from a seed of its own, whose scores are averaged, standardised within the video."""
    steps: int = STEPS
    """Steps that become one node."""
    relational: bool = False
    """Frame inputs are those of `results_relational`."""
    others: bool = False
    """Learn from the videos of the set that are in no fold, too."""
    target: str = "order"
    """"order": the users' mean rank; "mean": gtscore."""


RECIPE: dict[str, dict[str, Any]] = {
    "": dict(
        target="ranking", select="auto", epochs=14, patience=0, batch_size=5, accumulate=1,
        learning_rate=3e-3, weight_decay=0.05, warmup_epochs=2, average=0.9, device="cpu",
    ),
    "model": dict(
        width=64, n_recursions=1, dropout=0.2, input_dropout=0.2, n_objects=3, topic_rank=128,
        time_encoding="relative",
    ),
    "loss": {},
}  # fmt: skip


def merged(variant: Variant, seed: int) -> dict[str, dict[str, Any]]:
    """The recipe with the variant's settings."""
    return {
        table: {
            **values,
            **variant.settings.get(table, {}),
            **({"seed": seed} if not table else {}),
        }
        for table, values in RECIPE.items()
    }


def examples(
    bench: Bench, fold: Mapping[str, Sequence[str]], variant: Variant, linear: Any
) -> list[Example]:
    """All videos as a fold's model reads them; `linear` gives the score of a linear map, see there."""
    guess = linear.as_input(fold) if "linear" in variant.extra else {}
    train = np.concatenate([bench.frames[k] for k in fold["train"]])
    reduce = Principal(train, variant.n_principal, variant.power)
    found = []
    for key, video in bench.dataset.videos.items():
        found.append(_example(bench, key, video, reduce, variant, guess.get(key)))
    return found


def _example(
    bench: Bench, key: str, video: BenchmarkVideo, reduce: Principal, variant: Variant,
    guess: np.ndarray | None,
) -> Example:  # fmt: skip
    columns = [reduce(bench.frames[key])]
    if guess is not None:
        columns.append(3 * guess[:, None])
    if "change" in variant.extra:
        moved = block_means(change(video.features))[:, None]
        columns.append(3 * (moved - moved.mean()) / max(float(moved.std()), 1e-6))
    middle = middle_steps(video.n_steps)
    objects = video.objects
    users = bench.users[key]
    features = VideoFeatures(
        np.concatenate(columns, 1).astype(np.float32), video.picks[middle], video.seconds[middle],
        video.n_frames, bench.dataset.features,
        object_features=None if objects is None else _scaled(objects.features[middle]),
        object_mask=None if objects is None else objects.mask[middle],
    )  # fmt: skip
    words = words_of(video, bench.vectors, variant.sources) if variant.sources else None
    wanted = shared_order(users) if variant.target == "order" else video.gtscore
    return Example(
        key,
        inputs_from(features, words),
        None,
        torch.as_tensor(block_means(np.asarray(wanted))),
        users[:, middle],
        is_rated=video.user_anno is not None,
    )


def _scaled(rows: np.ndarray) -> np.ndarray:
    return rows / max(float(np.sqrt((rows**2).mean())), 1e-9) if rows.size else rows


def run_examples(
    bench: Bench, fold: Mapping[str, Sequence[str]], variant: Variant, seed: int,
    made: Sequence[Example], mode: str,
    beside: Mapping[str, np.ndarray], kept: dict[Any, Any],
) -> dict[str, Any]:  # fmt: skip
    """Train, choose the epoch, score the fold's test videos: tau and rho of each.

    "beside" is the same of the mean with the scores in `beside`, a linear map's or change, both
    standardised within the video.
    `kept` holds what was learned before: rows that share a training run it once.
    """
    outcome: dict[str, Any] = {"epoch": [], "validation": [], "test": {}, "beside": {}}
    scores: dict[str, Any] = dict.fromkeys(fold["test"], 0.0)
    for member in range(variant.members):
        own = seed * variant.members + member
        shown = with_others_words(made, own) if variant.shuffled_words else made
        by_key = {e.key: e for e in shown}
        learned, validation = _learned(fold, variant, own, by_key, kept)
        outcome["epoch"].append(learned.epoch)
        outcome["validation"].append(validation)
        for key in fold["test"]:
            output = predict(learned.model, by_key[key].inputs, own)
            scores[key] = scores[key] + standard(output.logits[0].double().numpy())
    for key, row in scores.items():
        n_steps = len(bench.users[key][0])
        steps = spread_to_steps(row, n_steps, variant.steps)
        outcome["test"][key] = bench.tau(key, steps, mode)
        if key in beside:
            joined = standard(row) + standard(beside[key])
            steps = spread_to_steps(joined, n_steps, variant.steps)
            outcome["beside"][key] = bench.tau(key, steps, mode)
    return outcome


def _learned(
    fold: Mapping[str, Sequence[str]], variant: Variant, seed: int, by_key: Mapping[str, Example],
    kept: dict[Any, Any],
) -> tuple[Learned, float | None]:  # fmt: skip
    """A model of the fold's training videos, and the best mean tau on its validation videos."""
    train = [by_key[k] for k in learned_from(fold, variant)]
    validation = [by_key[k] for k in fold["val"]]
    key = (repr(replace(variant, name="", members=1, refitted=False)), seed, fold["fold"])
    if key not in kept:
        kept[key] = learn(make_plan(merged(variant, seed), train), train, validation)
    learned: Learned = kept[key]
    best = learned.history[learned.epoch - 1].get("tau")
    if variant.refitted:
        if (*key, "refitted") not in kept:
            plan = make_plan(_to_the_end(variant, seed), train)
            learner = Learner(plan, [*train, *validation])
            while learner.epoch < learned.epoch:
                learner.run_epoch()
            kept[*key, "refitted"] = learner.result()
        learned = kept[*key, "refitted"]
    return learned, best


def learned_from(fold: Mapping[str, Sequence[str]], variant: Variant) -> list[str]:
    """Videos that teach before the epoch is chosen."""
    return [*fold["train"], *(fold["others"] if variant.others else ())]


def _to_the_end(variant: Variant, seed: int) -> dict[str, dict[str, Any]]:
    """The settings, without a choice of epoch."""
    settings = merged(variant, seed)
    return {**settings, "": {**settings[""], "select": "last"}}


def standard(row: np.ndarray) -> np.ndarray:
    """Mean 0, standard deviation 1."""
    return (row - row.mean()) / max(float(row.std()), 1e-9)
