"""The loop: plain PyTorch, one for learning with labels, without, and both.

Each epoch draws from a seed of its own, so a run that goes on from a kept state is, on a CPU, bit for
bit the run that was never stopped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from videograph.config import ModelConfig, TrainConfig
from videograph.errors import UsageError, VideographError
from videograph.examples import Example, batch_of, keyframe_share, model_config
from videograph.heap import keep_freed
from videograph.inputs import Inputs
from videograph.losses import (
    COLLAPSED_SPREAD,
    SUPERVISED,
    UNSUPERVISED,
    LossWeights,
    Target,
    mean_degrees,
    spread,
    total_loss,
)
from videograph.metrics import rank_correlation
from videograph.model import Output, VideoGraph
from videograph.nodes import in_nodes, node_size, to_steps
from videograph.records import Hook, no_hook

TARGETS = {
    "keyframes": SUPERVISED,
    "soft": LossWeights(keyframes=1.0, soft_targets=True),
    "importance": LossWeights(importance=1.0),
    "ranking": LossWeights(ranking=1.0),
}
"""What `TrainConfig.target` sets where the table [loss] says nothing."""

TABLES: Mapping[str, type[Any]] = {"": TrainConfig, "model": ModelConfig, "loss": LossWeights}
"""The tables of a training's settings."""


@dataclass(frozen=True)
class Plan:
    """Everything that decides a run, besides the videos."""

    train: TrainConfig
    """How it learns."""
    model: ModelConfig
    """What learns."""
    loss: LossWeights
    """What it is to become better at."""

    def tables(self) -> dict[str, dict[str, Any]]:
        """All settings by table, as config.toml keeps them."""
        return {"": asdict(self.train), "model": asdict(self.model), "loss": asdict(self.loss)}


def make_plan(settings: Mapping[str, Mapping[str, Any]], examples: Sequence[Example]) -> Plan:
    """What `config.read_settings` gave, completed from the videos and the objective.

    Raises:
        UsageError: settings that contradict each other or the videos.
    """
    train = TrainConfig(**settings.get("", {}))
    base = UNSUPERVISED if train.objective == "unsupervised" else TARGETS[train.target]
    if train.objective == "mixed":
        parts = {n: getattr(UNSUPERVISED, n) for n in ("reconstruction", "diversity", "length")}
        base = replace(base, **parts)
    loss = replace(base, **settings.get("loss", {}))
    options: dict[str, Any] = {"reconstruct": loss.reconstruction > 0}
    if train.objective == "unsupervised":
        options["initial_score"] = loss.length_share
    elif train.target in ("importance", "soft"):
        options["head"] = "importance"
    if train.objective == "supervised" and any(e.concepts is not None for e in examples):
        options["concept_head"] = True
    options |= settings.get("model", {})
    if options.get("concept_head") and options.get("language") == "none":
        options["concept_head"] = False  # nothing is asked
    if options.get("concept_head") and "concepts" not in settings.get("loss", {}):
        loss = replace(loss, concepts=1.0)
    if loss.reconstruction > 0 and not options["reconstruct"]:
        raise UsageError(
            f"loss.reconstruction is {loss.reconstruction:g}, but model.reconstruct is false. Allowed: "
            "true, or a weight of 0."
        )
    return Plan(train, model_config(examples, options), loss)


def device_of(name: str) -> torch.device:
    """ "auto", "cpu" or "cuda" as a device.

    Raises:
        UsageError: there is no GPU that torch can use.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError('device is "cuda", but torch finds no GPU. Allowed here: cpu, auto.')
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


@dataclass(frozen=True)
class Learned:
    """What came of a run."""

    model: VideoGraph
    """With the weights of the epoch that was kept, on the CPU, ready to score."""
    epoch: int
    """That epoch, from 1."""
    history: list[dict[str, float]]
    """A row for each epoch: losses, and rank correlation where videos validate."""
    notes: tuple[str, ...] = ()
    """Sentences that a person should read."""


def learn(
    plan: Plan,
    train: Sequence[Example],
    validation: Sequence[Example] = (),
    *,
    state: Mapping[str, Any] | None = None,
    keep: Callable[[Learner], None] | None = None,
    hook: Hook = no_hook,
) -> Learned:
    """A model that has learned from `train`; `validation` chooses the epoch, nothing else.

    Args:
        plan: what `make_plan` gave.
        train: videos to learn from; those without labels teach what needs none.
        validation: videos with labels, or none: then the last epoch is kept.
        state: what `Learner.state` gave: the run goes on from there.
        keep: called after each epoch with the learner, to keep its state.
        hook: told of stage "train", in epochs.

    Raises:
        UsageError: nothing to learn from, or labels that the target needs are missing.
        VideographError: training diverged.
    """
    learner = Learner(plan, train, validation)
    if state is not None:
        learner.restore(state)
    total = plan.train.epochs
    while not learner.is_done:
        learner.run_epoch()
        hook("train", learner.epoch, total)
        if keep is not None:
            keep(learner)
    learned = learner.result()
    hook("train", total, total, learned)
    return learned


class Learner:
    """A run under way: `run_epoch` until `is_done`, then `result`."""

    def __init__(
        self, plan: Plan, train: Sequence[Example], validation: Sequence[Example] = ()
    ) -> None:
        config = plan.train
        self.plan = plan
        self.device = device_of(config.device)
        keep_freed()
        if config.objective == "unsupervised":
            train = [e.without_labels() for e in train]
        _check(plan, train)
        train = [e.in_nodes(plan.model.steps_per_node) for e in train]
        self.train = [e.to(self.device) for e in train]
        self.validation = [e.to(self.device) for e in validation if e.has_labels]
        self.mode = _mode(config, self.validation)
        self.keyframe_share = keyframe_share(train)
        with _seeded(config.seed, 0, self.device):
            self.model = VideoGraph(plan.model).to(self.device)
        self.average = None
        if config.average > 0:
            self.average = AveragedModel(
                self.model, multi_avg_fn=get_ema_multi_avg_fn(config.average)
            )
        self.optimizer = _optimizer(self.model, config)
        self.epoch = 0
        self.history: list[dict[str, float]] = []
        self.best_epoch = 0
        self.best_weights: dict[str, Tensor] = {}

    @property
    def kept(self) -> VideoGraph:
        """The model that is validated and kept: the mean of the past where so configured."""
        return self.model if self.average is None else self.average.module  # pyright: ignore[reportReturnType]

    @property
    def is_done(self) -> bool:
        """Whether all epochs have run, or none got better for too long."""
        config = self.plan.train
        waited = self.epoch - self.best_epoch
        patient = not (config.patience and self.mode != "last") or waited < config.patience
        return self.epoch >= config.epochs or not patient

    def run_epoch(self) -> None:
        """Learn from every video once, then validate."""
        config = self.plan.train
        with _seeded(config.seed, self.epoch + 1, self.device):
            parts = self._learn_epoch()
        row = {"epoch": self.epoch + 1, **parts, **self._validate()}
        self.epoch += 1
        self.history.append(row)
        if self.mode == "last" or not self.best_epoch or row[self.measure] > self._best():
            self.best_epoch = self.epoch
            self.best_weights = {n: w.detach().clone() for n, w in self.kept.state_dict().items()}

    @property
    def measure(self) -> str:
        """What the epoch is chosen by."""
        return "f1" if self.mode == "judged" else "tau"

    def _best(self) -> float:
        return self.history[self.best_epoch - 1][self.measure]

    def _learn_epoch(self) -> dict[str, float]:
        config = self.plan.train
        self.model.train()
        drawn = _drawn(self.train, config.n_queries, config.crop_steps)
        batches = _batches(drawn, config.batch_size)
        sums: dict[str, float] = {}
        for start in range(0, len(batches), config.accumulate):
            group = batches[start : start + config.accumulate]
            self._set_rate(self.epoch + start / len(batches))
            for name, value in self._step(group).items():
                sums[name] = sums.get(name, 0.0) + value
        return {name: value / len(drawn) for name, value in sums.items()}

    def _step(self, group: Sequence[Sequence[Example]]) -> dict[str, float]:
        """Move the weights once; loss and its parts, summed over videos."""
        config, n_videos = self.plan.train, sum(len(batch) for batch in group)
        self.optimizer.zero_grad(set_to_none=True)
        sums: dict[str, float] = {}
        for batch in group:
            inputs, target = batch_of(batch, self.keyframe_share)
            if self.plan.model.shuffle_frames:
                inputs, target = _shuffled(inputs, target)
            output = self.model(inputs)
            total, parts = total_loss(output, target, self.plan.loss)
            told = {"loss": total.detach(), **{n: p.detach() for n, p in parts.items()}}
            for name, value in {**told, **mean_degrees(output)}.items():
                sums[name] = sums.get(name, 0.0) + float(value) * len(batch)
            (total * (len(batch) / n_videos)).backward()
        if not math.isfinite(sums["loss"]):
            raise VideographError(
                f"training diverged in epoch {self.epoch + 1}: the loss is {sums['loss']}. Try a lower "
                f"learning_rate than {config.learning_rate:g}."
            )
        nn.utils.clip_grad_norm_(self.model.parameters(), config.clip_norm)
        self.optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.model)
        return sums

    def _set_rate(self, epoch: float) -> None:
        config = self.plan.train
        left = max(1e-9, config.epochs - config.warmup_epochs)
        falling = 0.5 * (1 + math.cos(math.pi * max(0.0, epoch - config.warmup_epochs) / left))
        rising = min(1.0, (epoch + 1) / max(1, config.warmup_epochs))
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate * rising * falling

    def _validate(self) -> dict[str, float]:
        """Mean rank correlation over the validation videos, and how much their scores differ."""
        if not self.validation:
            return {}
        if self.mode == "judged":
            return self._judge()
        taus, rhos, spreads = [], [], []
        mode = "mode2" if self.mode == "last" else self.mode
        for example in self.validation:
            output, scores = self._score(example)
            found = rank_correlation(scores, _references(example, mode), mode=mode)
            taus.append(float(found.tau[0]))
            rhos.append(float(found.rho[0]))
            spreads.append(float(spread(output)[0]))
        means = (float(np.mean(values)) for values in (taus, rhos, spreads))
        return dict(zip(("tau", "rho", "spread"), means, strict=True))

    def _judge(self) -> dict[str, float]:
        """Mean figure of the validation queries, as their examples measure it."""
        found = []
        for example in self.validation:
            assert example.judge is not None
            found.append(example.judge(self._score(example)[1]))
        return {"f1": float(np.mean(found))}

    def _score(self, example: Example) -> tuple[Output, np.ndarray]:
        """What the model that is kept says of a video's nodes, and its scores at every step."""
        size = node_size(example.n_steps, self.plan.model.steps_per_node)
        inputs = in_nodes(example.inputs, size)
        output = predict(self.kept, inputs, self.plan.train.seed)
        scores = output.scores[0].double().cpu().numpy()
        return output, to_steps(scores, example.n_steps, size)

    def state(self) -> dict[str, Any]:
        """All that the run needs to go on, as tensors and plain values."""
        return {
            "videos": self._videos(),
            "epoch": self.epoch,
            "history": self.history,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "best_epoch": self.best_epoch,
            "best_weights": self.best_weights,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state of the same plan and videos.

        Raises:
            UsageError: it learned from other videos.
        """
        if state["videos"] != self._videos():
            raise UsageError(
                "the run was begun with other videos. Allowed: the same, to go on. Try another name."
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.epoch, self.history = state["epoch"], list(state["history"])
        self.best_epoch, self.best_weights = state["best_epoch"], dict(state["best_weights"])

    def _videos(self) -> list[list[str]]:
        return [[f"{e.key} {e.n_steps}" for e in part] for part in (self.train, self.validation)]

    def result(self) -> Learned:
        """The model of the epoch that is kept."""
        with _seeded(0, 0, torch.device("cpu")):  # first weights, drawn only to be replaced
            model = VideoGraph(self.plan.model)
        model.load_state_dict({name: w.cpu() for name, w in self.best_weights.items()})
        return Learned(model.eval(), self.best_epoch, self.history, tuple(self._notes(model)))

    def _notes(self, model: VideoGraph) -> Iterator[str]:
        if self.mode == "last" and self.plan.train.objective != "unsupervised":
            yield "No validation videos chose the epoch: the last one was kept."
        videos = {e.video or e.key: e for e in self.train}.values()  # of a video's queries, one
        outputs = [predict(model, e.inputs.to("cpu")) for e in videos]
        flat = sum(float(spread(output)[0]) < COLLAPSED_SPREAD for output in outputs)
        if flat > len(videos) / 2:
            yield (
                f"Scores of {flat} of {len(videos)} training videos hardly differ within the video: the "
                "model settled on a constant. Try another learning_rate, or more weight on loss.diversity."
            )


@torch.inference_mode()
def predict(model: VideoGraph, inputs: Inputs, seed: int = 0) -> Output:
    """What the model says of a batch, dropout off; in the order of `inputs`, shuffled inside if so built."""
    was_training = model.training
    model.eval()
    if not model.config.shuffle_frames:
        output = model(inputs)
    else:
        shuffled, order = inputs.shuffled(seed)
        output = model(shuffled)
        back = order.argsort()
        output = replace(
            output,
            logits=output.logits[:, back],
            scores=output.scores[:, back],
            frame_mask=inputs.frame_mask,
        )
    model.train(was_training)
    return output


def _check(plan: Plan, train: Sequence[Example]) -> None:
    if not train:
        raise UsageError(
            "there is no video to train on. Allowed: at least one. See splits and fold."
        )
    config = plan.train
    unlabelled = [e.key for e in train if not e.has_labels]
    if config.objective == "supervised" and unlabelled:
        raise UsageError(
            f"{len(unlabelled)} training videos have no labels ({', '.join(unlabelled[:3])}), but the "
            'objective is "supervised". Allowed: mixed, unsupervised, or videos with labels only.'
        )


def _mode(config: TrainConfig, validation: Sequence[Example]) -> str:
    """How the epoch is chosen: "mode1", "mode2", "judged" or "last"."""
    if config.objective == "unsupervised" or config.select == "last" or not validation:
        return "last"
    if config.select == "auto" and all(e.judge is not None for e in validation):
        return "judged"
    if config.select != "auto":
        if config.select == "mode1" and any(e.users is None for e in validation):
            raise UsageError(
                'select is "mode1", but labels of each user are not known. Allowed: mode2, auto, last.'
            )
        return config.select
    return "mode1" if all(e.is_rated for e in validation) else "mode2"


def _references(example: Example, mode: str) -> np.ndarray:
    """(n_users, n_steps)."""
    if mode == "mode2" or example.users is None:
        assert example.importance is not None
        return example.importance.double().cpu().numpy()[None]
    return example.users


def _batches(examples: Sequence[Example], size: int) -> list[list[Example]]:
    """All videos in a new order, `size` at a time; videos with and without labels never share a batch."""
    order = torch.randperm(len(examples)).tolist()
    told = [examples[i] for i in order if examples[i].has_labels]
    untold = [examples[i] for i in order if not examples[i].has_labels]
    batches = [part[i : i + size] for part in (told, untold) for i in range(0, len(part), size)]
    return [batches[i] for i in torch.randperm(len(batches)).tolist()]


def _drawn(examples: Sequence[Example], n_queries: int, crop_steps: int) -> list[Example]:
    """What an epoch learns from: all, or so many queries of each video, and no longer runs of steps."""
    by_video: dict[str, list[Example]] = {}
    for example in examples:
        by_video.setdefault(example.video or example.key, []).append(example)
    drawn = []
    for group in by_video.values():
        order = torch.randperm(len(group)).tolist() if 0 < n_queries < len(group) else None
        drawn += group if order is None else [group[i] for i in order[:n_queries]]
    return [_cropped(e, crop_steps) for e in drawn] if crop_steps else drawn


def _cropped(example: Example, n_steps: int) -> Example:
    if example.n_steps <= n_steps:
        return example
    start = int(torch.randint(example.n_steps - n_steps + 1, ()).item())
    return example.between(start, start + n_steps)


def _shuffled(inputs: Inputs, target: Target | None) -> tuple[Inputs, Target | None]:
    inputs, order = inputs.shuffled(int(torch.randint(1 << 31, ()).item()))
    if target is None:
        return inputs, None
    said = {n: getattr(target, n) for n in ("keyframes", "importance", "concepts")}
    return inputs, replace(
        target, **{n: None if x is None else x[:, order] for n, x in said.items()}
    )


def _optimizer(model: VideoGraph, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW; scales, biases and norms are not pulled to 0."""
    maps = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": maps}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(
        groups, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )


@contextmanager
def _seeded(seed: int, epoch: int, device: torch.device) -> Iterator[None]:
    """Random numbers of one epoch of one seed; the caller's own generators go on undisturbed."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0]))
        yield
