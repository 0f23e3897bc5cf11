"""Stillness costs nothing: neighbouring nodes that show the same are one, and the scores stay as they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from videograph import inputs, runs, scoring
from videograph.config import ModelConfig
from videograph.encoders import load_encoder
from videograph.features import extract
from videograph.inputs import inputs_from
from videograph.model import VideoGraph
from videograph.models import shipped_for
from videograph.records import VideoFeatures, Words
from videograph.runs import found_runs
from videograph.scoring import score_video

ARRAYS = ("features", "object_features", "object_mask", "object_boxes", "object_kinds", "contrast")


def still(seen: VideoFeatures, least: int = 3, most: int = 9) -> VideoFeatures:
    """The same video by a camera that often sees the same for a while."""
    times = np.random.default_rng(0).integers(least, most, seen.n_steps)
    rows = np.repeat(np.arange(seen.n_steps), times)
    n = len(rows)
    repeated: dict[str, Any] = {name: getattr(seen, name)[rows] for name in ARRAYS}
    return replace(
        seen, picks=np.arange(n), seconds=np.arange(n) / 2, n_frames=n, cut_frames=None, **repeated
    )


@pytest.fixture(scope="module")
def seen(data: Path) -> VideoFeatures:
    path = data / "videos/bikes_6shots.mp4"
    return still(extract(path, load_encoder("builtin"), speed="fast").features)


@pytest.fixture
def joined(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Long is what has more than 16 steps; how many nodes were left of each video, 0 for None."""
    left: list[int] = []

    def found(*args: Any) -> runs.Runs | None:
        one = found_runs(*args)
        left.append(0 if one is None else len(one.first))
        return one

    monkeypatch.setattr(scoring, "found_runs", found)
    for room in (runs, inputs):
        monkeypatch.setattr(room, "LONG_STEPS", 16)
    return left


def model_of(seen: VideoFeatures, **options: Any) -> VideoGraph:
    torch.manual_seed(0)
    assert seen.object_features is not None
    _, n_objects, object_dim = seen.object_features.shape
    dims = {"object_dim": object_dim, "n_objects": n_objects}
    return VideoGraph(ModelConfig(seen.features.shape[1], width=16, **dims, **options)).eval()


def timed_words(seen: VideoFeatures) -> Words:
    """Two texts, each heard in a part of the video, and one heard everywhere."""
    mask = np.zeros((seen.n_steps, 3), bool)
    mask[:, 2] = True
    mask[: seen.n_steps // 3, 0] = mask[seen.n_steps // 2 :, 1] = True
    return Words(np.random.default_rng(1).standard_normal((3, 5)).astype(np.float32), mask)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"centre_features": True, "steps_per_node": 2},
        {"word_dim": 5, "language": "both", "fusion": "late", "refine_edges": False},
        {"word_dim": 5, "language": "both", "topic_rank": 3},
        {"tie_affinity": True, "share_weights": False, "object_pooling": "mean"},
    ],
    ids=["plain", "nodes of two steps", "timed words", "topic", "tied"],
)
def test_a_model_scores_the_same_with_and_without_joining(
    seen: VideoFeatures, options: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    model = model_of(seen, **options)
    words = timed_words(seen) if "word_dim" in options else None
    apart = score_video(seen, model=model, words=words)
    left = request.getfixturevalue("joined")
    together = score_video(seen, model=model, words=words)
    assert 0 < left[0] < 0.75 * seen.n_steps / options.get("steps_per_node", 1)
    assert np.ptp(apart.scores) > 1e-3
    np.testing.assert_allclose(together.scores, apart.scores, atol=1e-5)
    assert together.object_weights is not None and apart.object_weights is not None
    np.testing.assert_allclose(together.object_weights, apart.object_weights, atol=1e-5)


def test_the_trainings_of_the_package_score_the_same(
    data: Path, request: pytest.FixtureRequest
) -> None:
    path = data / "videos/persons_one_by_one.mp4"
    seen = still(extract(path, load_encoder("embedded"), speed="fast").features, 20, 60)
    members = [VideoGraph.from_pretrained(folder) for folder in shipped_for(seen.encoder)]
    assert len(members) > 1 and all(m.joins_equals() for m in members)
    apart = score_video(seen, model=members)
    left = request.getfixturevalue("joined")
    together = score_video(seen, model=members)
    assert len(left) == 1 and 0 < left[0] < seen.n_steps / 8 / 2  # found once for all of them
    np.testing.assert_allclose(together.scores, apart.scores, atol=1e-5)


def test_without_training_too_and_edges_lead_to_what_differs(
    seen: VideoFeatures, request: pytest.FixtureRequest
) -> None:
    one_by_one = score_video(seen)
    request.getfixturevalue("joined")
    together = score_video(seen)
    np.testing.assert_allclose(together.scores, one_by_one.scores, atol=1e-5)
    n = seen.n_steps
    assert together.neighbours.max() < n and (together.neighbours[:, 0] >= 0).all()
    own = np.abs(seen.features[together.neighbours[:, 0]] - seen.features).max(1)
    assert (own > 0).all()
    weight = one_by_one.neighbour_weights.sum(1) - together.neighbour_weights.sum(1)
    assert (weight > -1e-5).all()


def test_a_models_edges_lead_to_what_differs_with_the_weight_of_one_step(
    seen: VideoFeatures, request: pytest.FixtureRequest
) -> None:
    model = model_of(seen)
    apart = score_video(seen, model=model, top_k=seen.n_steps)
    request.getfixturevalue("joined")
    together = score_video(seen, model=model, top_k=3)
    for step in (0, 40, seen.n_steps - 1):
        weight = dict(zip(apart.neighbours[step], apart.neighbour_weights[step], strict=True))
        led = together.neighbours[step]
        assert not any((seen.features[i] == seen.features[step]).all() for i in led)
        expected = [weight[i] for i in led]
        np.testing.assert_allclose(together.neighbour_weights[step], expected, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"time_encoding": "relative"},
        {"shuffle_frames": True},
        {"temporal_edges": "sparse", "window": 8, "n_landmarks": 6},
    ],
)
def test_where_time_tells_equal_steps_apart_none_are_joined(
    seen: VideoFeatures, options: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    model = model_of(seen, **options)
    apart = score_video(seen, model=model)
    left = request.getfixturevalue("joined")
    np.testing.assert_array_equal(score_video(seen, model=model).scores, apart.scores)
    assert not left and not model.joins_equals()


def test_nodes_are_equal_in_frame_objects_and_words_and_side_by_side(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runs, "LONG_STEPS", 4)
    rows = np.array([0, 0, 1, 1, 1, 1, 0, 0], np.float32)[:, None]
    objects, mask = np.zeros((8, 2, 3), np.float32), np.ones((8, 2), bool)
    objects[3:, 1, 2] = 1
    mask[7, 0] = False
    picks = np.arange(8)
    seen = VideoFeatures(
        rows, picks, picks / 2, 8, "noise-1", object_features=objects, object_mask=mask
    )
    timed = np.arange(8)[:, None] >= 5

    def starts(video: VideoFeatures, words: Words | None = None, most: int = 7) -> list[int] | None:
        found = found_runs(inputs_from(video, words), most)
        if found is None:
            return None
        assert found.lengths.sum() == 8 and found.number[found.first].tolist() == list(
            range(len(found.first))
        )
        return found.first.tolist()

    plain = replace(seen, object_features=None, object_mask=None)
    assert starts(plain) == [0, 2, 6]  # what comes back is another run
    assert starts(seen) == [0, 2, 3, 6, 7]
    assert starts(plain, Words(np.ones((1, 4), np.float32), timed)) == [0, 2, 5, 6]
    assert starts(seen, most=4) is None
    monkeypatch.setattr(runs, "LONG_STEPS", 8)
    assert starts(plain) is None
