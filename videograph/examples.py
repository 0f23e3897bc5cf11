"""Videos as training wants them: inputs as tensors, held in memory once, and what people said of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from videograph.config import ModelConfig
from videograph.datasets import BenchmarkVideo, Dataset
from videograph.errors import UsageError, VideographError
from videograph.inputs import Inputs, collate, inputs_from
from videograph.losses import Target
from videograph.nodes import in_nodes, means, middles, node_size
from videograph.records import Words
from videograph.summary import DEFAULT_SHARE, select


@dataclass(frozen=True)
class Example:
    """One video to learn from, or to choose an epoch by."""

    key: str
    """Name of the video in its set."""
    inputs: Inputs
    """A batch of one."""
    keyframes: Tensor | None = None
    """1 for key frames, (n_steps,) float32; None without labels."""
    importance: Tensor | None = None
    """Mean rating, (n_steps,) float32 in [0, 1]; None without labels."""
    users: np.ndarray | None = None
    """What each user said of each step, (n_users, n_steps); None where only a mean is known."""
    is_rated: bool = False
    """True where users gave ratings, false where they chose frames."""
    concepts: Tensor | None = None
    """1 where a step shows a concept of the query, (n_steps, n_concepts) float32; None without query."""
    video: str = ""
    """Name of the video where it is asked more than once, each query an example."""
    judge: Callable[[np.ndarray], float] | None = None
    """How good scores (n_steps,) are, where that is not a rank correlation."""

    def __repr__(self) -> str:
        return f"Example({self.key!r}, n_steps={self.n_steps}, labels={self.has_labels})"

    @property
    def n_steps(self) -> int:
        """Sampled frames."""
        return self.inputs.features.shape[1]

    @property
    def has_labels(self) -> bool:
        """Whether people said anything."""
        return self.importance is not None

    def without_labels(self) -> Example:
        """The same, as if nobody had looked at it."""
        return Example(self.key, self.inputs)

    def to(self, device: torch.device) -> Example:
        """The same on another device; what is already there is not copied."""
        said = {n: getattr(self, n) for n in ("keyframes", "importance", "concepts")}
        moved = {name: None if x is None else x.to(device) for name, x in said.items()}
        return replace(self, inputs=self.inputs.to(device), **moved)

    def in_nodes(self, steps_per_node: int) -> Example:
        """The same with a node for every so many steps, to learn from; a node is a key frame if half of
        its steps are, and shows a concept if one of them does."""
        size = node_size(self.n_steps, steps_per_node)
        if size == 1:
            return self
        n, rows = (
            self.n_steps,
            {x: getattr(self, x) for x in ("keyframes", "importance", "concepts")},
        )
        found = {name: None if x is None else means(x, size) for name, x in rows.items()}
        if found["keyframes"] is not None:
            found["keyframes"] = (found["keyframes"] >= 0.5).float()
        if found["concepts"] is not None:
            found["concepts"] = (found["concepts"] > 0).float()
        users = None if self.users is None else self.users[:, middles(n, size)]
        inputs = in_nodes(self.inputs, size)
        return replace(self, inputs=inputs, users=users, judge=None, **found)

    def between(self, start: int, end: int) -> Example:
        """The steps from start to one before end, as an example to learn from."""
        steps = slice(start, end)
        said = {n: getattr(self, n) for n in ("keyframes", "importance", "concepts")}
        cut = {name: None if x is None else x[steps] for name, x in said.items()}
        return replace(self, inputs=self.inputs.between(start, end), users=None, judge=None, **cut)


def examples_of(dataset: Dataset, keys: Iterable[str] | None = None) -> list[Example]:
    """Videos of a set, in the order of `keys`, or all of them.

    Raises:
        VideographError: a video has no features.
    """
    return [
        _example(dataset, dataset.videos[key]) for key in (dataset.videos if keys is None else keys)
    ]


def words_of(video: BenchmarkVideo) -> Words | None:
    """What is said of a video, None where nothing is."""
    if video.word_features is None or not len(video.word_features):
        return None
    return Words(video.word_features, video.word_mask)


def _example(dataset: Dataset, video: BenchmarkVideo) -> Example:
    if video.features is None:
        raise VideographError(
            f"{video.key} of {dataset.path} has no features to learn from. Allowed: an h5 that holds "
            'features, or features="..." that names them. Try videograph dataset check.'
        )
    inputs = inputs_from(video.as_features(dataset.features), words_of(video))
    mean = _mean_rating(video)
    if mean is None:
        return Example(video.key, inputs)
    users = None if video.users is None else video.users[:, video.picks]
    keyframes = _keyframes(video, mean)
    return Example(
        video.key,
        inputs,
        None if keyframes is None else torch.as_tensor(keyframes),
        torch.as_tensor(mean, dtype=torch.float32),
        users,
        is_rated=video.user_anno is not None,
    )


def _mean_rating(video: BenchmarkVideo) -> np.ndarray | None:
    if video.gtscore is not None:
        return video.gtscore
    if video.users is None:
        return None
    mean = video.users[:, video.picks].mean(0)
    return ((mean - 1) / 4 if video.user_anno is not None else mean).astype(np.float32)


def _keyframes(video: BenchmarkVideo, mean: np.ndarray) -> np.ndarray | None:
    """The stored key frames, or the 15 % summary of the mean rating, at the picks; None without shots."""
    if video.gtsummary is not None and video.gtsummary.any():
        return (video.gtsummary > 0).astype(np.float32)
    if video.shots is None:
        return None
    chosen = select(np.clip(mean, 0, None), video.picks, video.shots).frame_mask(video.shots)
    if not chosen.any():  # every shot is longer than the budget: the best steps stand for it
        best = np.argsort(-mean, kind="stable")[: max(1, int(DEFAULT_SHARE * len(mean)))]
        return np.isin(np.arange(len(mean)), best).astype(np.float32)
    return chosen[video.picks].astype(np.float32)


def model_config(examples: Sequence[Example], options: Mapping[str, object]) -> ModelConfig:
    """The model that fits the inputs; sizes that `options` name must be theirs.

    Raises:
        UsageError: the videos have features of different sizes, or options ask for others.
    """
    sizes = {
        "feature_dim": _one_size("features", [e.inputs.features for e in examples]),
        "object_dim": _one_size("object_features", [e.inputs.object_features for e in examples]),
        "word_dim": _one_size("word_features", [e.inputs.word_features for e in examples]),
    }
    for name, size in sizes.items():
        if options.get(name, size) not in (size, 0):
            raise UsageError(f"model.{name} is {options[name]}. Allowed: {size}, as in the videos.")
    return ModelConfig(**{**sizes, **options})  # pyright: ignore[reportArgumentType]


def _one_size(name: str, values: Sequence[Tensor | None]) -> int:
    sizes = sorted({v.shape[-1] for v in values if v is not None})
    if len(sizes) > 1:
        raise UsageError(
            f"{name} have {' and '.join(map(str, sizes))} numbers in different videos. Allowed: one "
            "size, of one encoder. Try videograph dataset check."
        )
    return sizes[0] if sizes else 0


def with_others_words(examples: Sequence[Example], seed: int) -> list[Example]:
    """Each video with the words of another one, the same one for the same seed: a control.

    Words with times are heard at the same share of the video: what holds for the whole of it, as a title
    does, and what does not, stay so.

    Raises:
        UsageError: less than two videos have words.
    """
    with_words = [i for i, e in enumerate(examples) if e.inputs.word_features is not None]
    if len(with_words) < 2:
        raise UsageError(
            "words can be shuffled between two videos with words or more. Give words to more."
        )
    order = np.random.default_rng(seed).permutation(with_words)
    given = dict(zip(order.tolist(), np.roll(order, 1).tolist(), strict=True))
    return [_hearing(e, examples[given[i]]) if i in given else e for i, e in enumerate(examples)]


def _hearing(example: Example, other: Example) -> Example:
    words, mask = other.inputs.word_features, other.inputs.word_mask
    assert words is not None and mask is not None
    if mask.ndim == 3:
        at = torch.linspace(0, mask.shape[1] - 1, example.n_steps).round().long()
        mask = mask[:, at]
    return replace(example, inputs=replace(example.inputs, word_features=words, word_mask=mask))


def batch_of(examples: Sequence[Example], keyframe_share: float) -> tuple[Inputs, Target | None]:
    """Videos padded to one length, and what people said of them; None where they have no labels."""
    inputs = examples[0].inputs if len(examples) == 1 else collate([e.inputs for e in examples])
    if not examples[0].has_labels:
        return inputs, None
    keyframes = _padded([e.keyframes for e in examples])
    importance, concepts = (
        _padded([getattr(e, n) for e in examples]) for n in ("importance", "concepts")
    )
    return inputs, Target(keyframes, importance, concepts, keyframe_share)


def _padded(labels: Sequence[Tensor | None]) -> Tensor | None:
    known = [x for x in labels if x is not None]
    if len(known) < len(labels):
        return None
    return torch.nn.utils.rnn.pad_sequence(known, batch_first=True)


def keyframe_share(examples: Sequence[Example]) -> float:
    """Share of key frames over the steps of all videos with labels: balances the classes of Eq. 11."""
    labels = [e.keyframes for e in examples if e.keyframes is not None]
    return float(torch.cat(labels).mean()) if labels else 0.15
