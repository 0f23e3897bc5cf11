"""Runs of steps as nodes: what a node holds, how scores come back, and that training reads them so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from videograph.config import ModelConfig
from videograph.errors import UsageError
from videograph.examples import Example
from videograph.inputs import inputs_from
from videograph.learn import learn, make_plan
from videograph.model import VideoGraph
from videograph.nodes import in_nodes, middles, node_of, node_size, to_steps
from videograph.records import VideoFeatures, Words
from videograph.scoring import score_video


def video(n_steps: int = 21, dim: int = 6, seed: int = 0) -> VideoFeatures:
    rng = np.random.default_rng(seed)
    return VideoFeatures(
        rng.standard_normal((n_steps, dim)).astype(np.float32),
        np.arange(n_steps) * 15,
        np.arange(n_steps) * 0.5,
        n_steps * 15,
        "noise-1",
        object_features=rng.standard_normal((n_steps, 2, 4)).astype(np.float32),
        object_mask=rng.random((n_steps, 2)) < 0.7,
    )


def model(**options: Any) -> VideoGraph:
    torch.manual_seed(0)
    return VideoGraph(ModelConfig(feature_dim=6, object_dim=4, width=8, **options)).eval()


def test_what_is_left_over_joins_the_last_whole_run() -> None:
    assert node_of(11, 4).tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1]
    assert middles(11, 4).tolist() == [1, 5]
    assert node_of(3, 8).tolist() == [0, 0, 0] and middles(3, 8).tolist() == [2]


@pytest.mark.parametrize("n_steps", [1, 7, 8, 21, 3001])
def test_a_node_is_its_mean_frame_and_its_middle_steps_objects(n_steps: int) -> None:
    seen = video(n_steps)
    timed = np.random.default_rng(1).random((n_steps, 3)) < 0.1
    nodes = in_nodes(inputs_from(seen, Words(np.ones((3, 5), np.float32), timed)), 8)
    number, chosen = node_of(n_steps, 8), middles(n_steps, 8)
    mean = [seen.features[number == k].mean(0) for k in range(number[-1] + 1)]
    heard = [timed[number == k].any(0) for k in range(number[-1] + 1)]
    np.testing.assert_allclose(nodes.features[0], mean, atol=1e-6)
    assert seen.object_mask is not None and nodes.object_mask is not None
    assert nodes.object_mask[0].numpy().tolist() == seen.object_mask[chosen].tolist()
    assert nodes.word_mask is not None and nodes.word_mask[0].tolist() == np.array(heard).tolist()
    assert nodes.frame_mask.shape == (1, number[-1] + 1) and bool(nodes.frame_mask.all())


def test_scores_lie_on_lines_between_the_middles() -> None:
    steps = to_steps(np.array([0.0, 1.0, 0.0], np.float32), 13, 4)
    assert steps.dtype == np.float32 and len(steps) == 13
    np.testing.assert_allclose(steps[:6], [0, 0, 0.125, 0.375, 0.625, 0.875], atol=1e-6)
    assert to_steps(np.array([0.3], np.float32), 5, 8).tolist() == [np.float32(0.3)] * 5


def test_a_video_is_scored_by_its_nodes() -> None:
    seen, scorer = video(70), model(steps_per_node=4)
    scores = score_video(seen, model=scorer, top_k=3)
    with torch.inference_mode():
        expected = scorer(in_nodes(inputs_from(seen), 4)).scores[0].numpy()
    np.testing.assert_allclose(scores.scores, to_steps(expected, 70, 4), atol=1e-6)
    chosen = middles(70, 4)
    assert scores.neighbours.shape == (70, 3) and set(scores.neighbours.flat) <= set(chosen)
    assert (scores.neighbours[:4] == scores.neighbours[0]).all()
    assert scores.object_weights is not None
    assert set(np.flatnonzero(scores.object_weights.any(1))) <= set(chosen)
    assert scores.object_weights.any()


def test_a_short_video_has_shorter_nodes() -> None:
    assert [node_size(n, 8) for n in (1, 20, 40, 100, 128, 9000)] == [1, 2, 5, 8, 8, 8]
    seen, scorer = video(20), model(steps_per_node=8)
    with torch.inference_mode():
        expected = scorer(in_nodes(inputs_from(seen), 2)).scores[0].numpy()
    scores = score_video(seen, model=scorer).scores
    np.testing.assert_allclose(scores, to_steps(expected, 20, 2), atol=1e-6)


def test_training_learns_from_nodes_and_is_judged_by_steps() -> None:
    """Ratings that follow one feature, under noise from step to step that a run averages out."""
    examples = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        wave = np.repeat(rng.standard_normal(20), 8).astype(np.float32)
        seen = video(160, seed=seed)
        seen.features[:, 0] = wave + rng.standard_normal(160)
        rating = (wave - wave.min()) / np.ptp(wave)
        examples.append(Example(f"v{seed}", inputs_from(seen), None, torch.from_numpy(rating)))
    settings = {
        "": {
            "target": "ranking",
            "epochs": 40,
            "learning_rate": 0.02,
            "warmup_epochs": 1,
            "patience": 0,
        },
        "model": {"width": 8, "n_recursions": 1, "use_objects": False, "steps_per_node": 8},
    }
    plan = make_plan(settings, examples[:3])
    learned = learn(plan, examples[:3], examples[3:])
    assert learned.model.config.steps_per_node == 8
    assert max(row["tau"] for row in learned.history) > 0.3


def test_no_steps_in_a_node_are_refused() -> None:
    with pytest.raises(UsageError, match="steps_per_node is 0"):
        ModelConfig(feature_dim=4, steps_per_node=0)


def test_of_several_trainings_the_mean_counts() -> None:
    seen, members = video(), [model(), model(n_recursions=1)]
    alone = [score_video(seen, model=m).scores.astype(np.float64) for m in members]
    logits = [np.log(p / (1 - p)) for p in alone]
    mean = np.mean([(x - x.mean()) / x.std() for x in logits], axis=0)
    together = score_video(seen, model=members)
    np.testing.assert_allclose(together.scores, 1 / (1 + np.exp(-mean)), atol=1e-5)
    first = score_video(seen, model=members[0])
    assert (together.neighbours == first.neighbours).all() and together.form == first.form
