"""VideoGraph: every claim of the paper as a property that a fault would break."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau
from torch import Tensor

from videograph import losses
from videograph.config import ModelConfig
from videograph.dropout import InputDropout
from videograph.errors import UsageError
from videograph.graph import Edges
from videograph.inputs import Inputs, collate, inputs_from, words_for
from videograph.losses import LossWeights, Target
from videograph.model import Output, VideoGraph
from videograph.records import VideoFeatures, Words
from videograph.scoring import score_video
from videograph.spatial import ObjectEdges

torch.set_num_threads(1)  # small tensors: a second thread only waits

T, N, M = 17, 4, 5
DIM, OBJECT_DIM, WORD_DIM = 11, 7, 6
OPTIONS: list[dict[str, Any]] = [
    {},
    {"share_weights": False},
    {"refine_edges": False, "share_weights": False},
    {"tie_affinity": True},
    {"fusion": "late"},
    {"topic_rank": 5},
    {"object_pooling": "mean"},
    {"use_objects": False},
    {"language": "none"},
    {"n_recursions": 0},
    {"time_encoding": "sinusoidal"},
    {"time_encoding": "relative", "centre_features": True},
    {"temporal_edges": "sparse", "window": 3, "n_landmarks": 4},
]
PLAIN = OPTIONS[:10]
"""Those that do not look at the order of steps."""


def model(seed: int = 0, **options: Any) -> VideoGraph:
    torch.manual_seed(seed)
    given: dict[str, Any] = {"width": 16, "reconstruct": True, **options}
    return VideoGraph(ModelConfig(DIM, OBJECT_DIM, WORD_DIM, **given)).eval()


def video(seed: int = 0, n_steps: int = T, *, timed: bool = False) -> Inputs:
    g = torch.Generator().manual_seed(seed)
    objects = torch.rand(1, n_steps, N, generator=g) > 0.3
    objects[:, n_steps // 2] = False  # a step without objects
    said = torch.rand(1, n_steps, M, generator=g) > 0.4 if timed else torch.ones(1, M) > 0
    return Inputs(
        torch.randn(1, n_steps, DIM, generator=g),
        torch.ones(1, n_steps, dtype=torch.bool),
        torch.randn(1, n_steps, N, OBJECT_DIM, generator=g) * objects[..., None],
        objects,
        torch.randn(1, M, WORD_DIM, generator=g),
        said,
    )


def adjacency(edges: Any) -> Tensor:
    assert isinstance(edges, Edges | ObjectEdges)
    return edges.dense()


def close(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("options", PLAIN, ids=str)
def test_permuted_steps_permute_the_scores(options: dict[str, Any]) -> None:
    net, inputs = model(**options), video(timed=True)
    shuffled, order = inputs.shuffled(seed=3)
    close(net(shuffled).scores, net(inputs).scores[:, order])


@pytest.mark.parametrize("options", PLAIN, ids=str)
def test_permuted_objects_keep_the_scores(options: dict[str, Any]) -> None:
    net, inputs, order = model(**options), video(), torch.tensor([2, 0, 3, 1])
    assert inputs.object_features is not None and inputs.object_mask is not None
    other = replace(
        inputs,
        object_features=inputs.object_features[:, :, order],
        object_mask=inputs.object_mask[:, :, order],
    )
    close(net(other).scores, net(inputs).scores)


@pytest.mark.parametrize("change", [{"time_encoding": "relative"}, {"time_encoding": "sinusoidal"},
    {"temporal_edges": "sparse", "window": 2, "n_landmarks": 3}], ids=str)  # fmt: skip
def test_order_matters_where_it_is_let_in(change: dict[str, Any]) -> None:
    net, inputs = model(**change), video()
    shuffled, order = inputs.shuffled(seed=3)
    assert (net(shuffled).scores - net(inputs).scores[:, order]).abs().max() > 1e-4


def padded(inputs: Inputs) -> Inputs:
    """More steps, objects and words, all padding, filled with NaN."""
    longer = collate([inputs, video(9, T + 6)])
    one = longer._map(lambda x: x[:1])
    assert one.object_features is not None and one.word_features is not None
    assert one.object_mask is not None and one.word_mask is not None
    nan = float("nan")
    grown = torch.nn.functional.pad(one.object_features, (0, 0, 0, 2))
    objects = torch.nn.functional.pad(one.object_mask, (0, 2))
    words = torch.nn.functional.pad(one.word_features, (0, 0, 0, 3))
    said = torch.nn.functional.pad(one.word_mask, (0, 3))
    known = said if said.ndim == 2 else said.any(1)
    return Inputs(
        one.features.masked_fill(~one.frame_mask[..., None], nan),
        one.frame_mask,
        grown.masked_fill(~objects[..., None], nan),
        objects,
        words.masked_fill(~known[..., None], nan),
        said,
    )


@pytest.mark.parametrize("timed", [False, True], ids=["untimed", "timed"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_padding_moves_no_score(options: dict[str, Any], timed: bool) -> None:
    net, inputs = model(**options), video(timed=timed)
    alone = net(inputs)
    for batch in (padded(inputs), collate([inputs, video(9, T + 6, timed=timed)])):
        output = net(batch)
        close(output.scores[:1, :T], alone.scores)
        assert (output.scores[0, T:] == 0).all()
        close(losses.diversity_loss(*_first(output)), losses.diversity_loss(*_first(alone)))
        if alone.temporal:
            one, other = alone.temporal[-1], output.temporal[-1]
            close(losses.entropy_regulariser(other)[:1], losses.entropy_regulariser(one))
        # Where a node's own edge is nearly 1, little is left when it is taken out: fewer digits.
        told, told_alone = output.reconstruct()[:1, :T], alone.reconstruct()
        torch.testing.assert_close(told, told_alone, atol=1e-3, rtol=1e-3)


def _first(output: Output) -> tuple[Tensor, Tensor]:
    return output.features[:1], output.scores[:1]


def test_chunks_of_steps_give_the_same_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    net, inputs = model(), video(timed=True)
    whole = net(inputs)
    monkeypatch.setattr("videograph.model.STEPS_AT_A_TIME", 5)
    with torch.no_grad():
        chunked = net(inputs)
    close(chunked.scores, whole.scores)
    close(chunked.object_weights, whole.object_weights)
    assert chunked.spatial == ()


def test_without_recursion_it_is_a_classifier_of_each_frame() -> None:
    net, inputs = model(n_recursions=0), video()
    output = net(inputs)
    close(output.logits, net.classify(output.nodes).squeeze(-1))
    assert not any("spatial" in name or "temporal" in name for name, _ in net.named_parameters())
    assert losses.structure_loss(output) == 0
    changed = inputs.features.clone()
    changed[0, 0] += 1  # another first frame moves no other score
    close(net(replace(inputs, features=changed)).scores[:, 1:], output.scores[:, 1:])


def test_other_words_change_the_edges() -> None:
    inputs, net = video(), model()
    other = replace(inputs, word_features=torch.randn(1, M, WORD_DIM))
    a, b = net(inputs), net(other)
    assert (adjacency(a.spatial[0]) - adjacency(b.spatial[0])).abs().max() > 1e-3
    assert (adjacency(a.temporal[0]) - adjacency(b.temporal[0])).abs().max() > 1e-3


def test_late_words_change_scores_but_no_edge() -> None:
    inputs, net = video(), model(fusion="late")
    a, b = net(inputs), net(replace(inputs, word_features=torch.randn(1, M, WORD_DIM)))
    for one, other in zip((*a.spatial, *a.temporal), (*b.spatial, *b.temporal), strict=True):
        assert torch.equal(adjacency(one), adjacency(other))
    assert (a.scores - b.scores).abs().max() > 1e-4


def test_the_topic_is_what_is_said_of_the_whole_video() -> None:
    net, other = (model(topic_rank=5, n_recursions=0) for _ in range(2))
    assert other.topic is not None
    torch.nn.init.zeros_(other.topic.join.weight)
    always, sometimes = video(), video(timed=True)
    assert not sometimes.word_mask.all(1).any()
    close(net(sometimes).scores, other(sometimes).scores)
    moved = net(always).logits - other(always).logits
    assert moved.std() > 0.01  # frames differ in what they have of it


def test_a_long_video_has_its_topic_in_one_map(monkeypatch: pytest.MonkeyPatch) -> None:
    net, inputs = model(topic_rank=5), collate([video(), video(9, T + 6)])
    short = net(inputs)
    monkeypatch.setattr("videograph.topic.TURNED_STEPS", T)
    close(net(inputs).scores, short.scores)


def test_late_fusion_has_no_topic() -> None:
    assert model(topic_rank=5, fusion="late").topic is None
    assert model(topic_rank=5, language="none").topic is None


@pytest.mark.parametrize("topic_rank", [0, 5])
def test_no_language_is_an_empty_mask(topic_rank: int) -> None:
    net, inputs = model(topic_rank=topic_rank), video()
    assert inputs.word_mask is not None
    silent = net(replace(inputs, word_mask=torch.zeros_like(inputs.word_mask)))
    without = model(language="none")
    without.load_state_dict(net.state_dict(), strict=False)
    assert torch.isfinite(silent.scores).all()
    close(without(inputs).scores, silent.scores)
    close(net(replace(inputs, word_features=None, word_mask=None)).scores, silent.scores)


def test_untimed_words_are_timed_words_heard_everywhere() -> None:
    net, inputs = model(), video()
    close(net(replace(inputs, word_mask=torch.ones(1, T, M) > 0)).scores, net(inputs).scores)


def test_recursion_changes_the_structure() -> None:
    inputs = video()
    output = model()(inputs)
    assert len(output.temporal) == len(output.spatial) == 3
    first, second, _ = (adjacency(e) for e in output.temporal)
    assert (first - second).abs().max() > 1e-4
    assert (adjacency(output.spatial[0]) - adjacency(output.spatial[1])).abs().max() > 1e-4
    kept = model(refine_edges=False)(inputs)
    assert torch.equal(adjacency(kept.temporal[0]), adjacency(kept.temporal[2]))
    assert torch.equal(adjacency(kept.spatial[0]), adjacency(kept.spatial[2]))


def test_without_objects_there_is_no_spatial_graph() -> None:
    net, inputs = model(use_objects=False), video()
    output = net(inputs)
    assert output.spatial == () and output.object_weights is None
    bare = replace(inputs, object_features=None, object_mask=None)
    assert torch.equal(net(bare).scores, output.scores)


def test_a_model_of_objects_reads_a_video_without_any() -> None:
    net, inputs = model(), video()
    assert inputs.object_mask is not None
    none = net(replace(inputs, object_mask=torch.zeros_like(inputs.object_mask)))
    close(net(replace(inputs, object_features=None, object_mask=None)).scores, none.scores)


def test_slots_beyond_n_objects_are_not_read() -> None:
    inputs = video()
    assert inputs.object_features is not None and inputs.object_mask is not None
    two = replace(
        inputs,
        object_features=inputs.object_features[:, :, :2],
        object_mask=inputs.object_mask[:, :, :2],
    )
    close(model(n_objects=2)(inputs).scores, model()(two).scores)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_gradient_reaches_every_parameter(options: dict[str, Any]) -> None:
    net = model(dropout=0.0, **options).train()
    output = net(collate([video(timed=True), video(5, T - 3)]))
    target = Target(
        torch.randint(0, 2, output.scores.shape).float(), torch.rand_like(output.scores)
    )
    weights = LossWeights(1, structure=1, reconstruction=1, diversity=1, length=1, ranking=1)
    losses.total_loss(output, target, weights)[0].backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


def test_one_video_can_be_overfitted() -> None:
    torch.manual_seed(0)
    inputs, net = video(n_steps=40), model(width=32, dropout=0.0).train()
    ratings = torch.rand(1, 40)
    target = Target((ratings > ratings.quantile(0.85)).float(), ratings)
    weights = LossWeights(keyframes=1.0, ranking=1.0)
    steps = torch.optim.Adam(net.parameters(), lr=3e-3)
    parts = {}
    for _ in range(300):
        steps.zero_grad()
        output = net(inputs)
        total, parts = losses.supervised_loss(output, target, weights)
        total.backward()
        steps.step()
    assert parts["keyframes"] < 0.05
    assert kendalltau(net(inputs).logits[0].detach(), ratings[0]).statistic > 0.95


def test_training_without_labels_does_not_collapse() -> None:
    """Two scenes, one seldom: scores must differ after training on Eq. 18."""
    torch.manual_seed(0)
    scenes = torch.randn(2, DIM)
    rows = scenes[(torch.arange(60) > 44).long()] + 0.1 * torch.randn(60, DIM)
    inputs = Inputs(rows[None], torch.ones(1, 60, dtype=torch.bool))
    net = model(initial_score=0.15, use_objects=False, language="none").train()
    steps = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(150):
        steps.zero_grad()
        losses.unsupervised_loss(net(inputs))[0].backward()
        steps.step()
    assert losses.spread(net.eval()(inputs)).item() > 0.05


def test_training_is_deterministic() -> None:
    def trained(seed: int) -> Tensor:
        net, inputs = model(seed).train(), video()
        steps = torch.optim.Adam(net.parameters(), lr=1e-3)
        for _ in range(2):
            steps.zero_grad()
            weights = LossWeights(ranking=1.0, reconstruction=1.0)
            losses.total_loss(net(inputs), Target(importance=torch.rand(1, T)), weights)[
                0
            ].backward()
            steps.step()
        return net.eval()(inputs).scores

    assert torch.equal(trained(0), trained(0))
    assert not torch.equal(trained(0), trained(1))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("n_steps", [1, 2])
def test_tiny_and_constant_videos_are_finite(options: dict[str, Any], n_steps: int) -> None:
    net, inputs = model(**options), video(n_steps=n_steps)
    constant = replace(inputs, features=torch.ones_like(inputs.features))
    nothing = Inputs(torch.zeros_like(inputs.features), inputs.frame_mask)
    for one in (inputs, constant, nothing):
        output = net(one)
        assert torch.isfinite(output.scores).all()
        total, _ = losses.unsupervised_loss(output)
        total.backward()
        assert all(p.grad is None or torch.isfinite(p.grad).all() for p in net.parameters())


def test_relative_places_do_not_depend_on_padding_or_rate() -> None:
    net = model(time_encoding="relative", use_objects=False, n_recursions=0, language="none")
    rows = torch.ones(1, 9, DIM)
    twice = torch.ones(1, 17, DIM)
    nine = net(Inputs(rows, rows[..., 0] > 0)).scores
    seventeen = net(Inputs(twice, twice[..., 0] > 0)).scores
    close(nine, seventeen[:, ::2])


def test_other_features_are_refused() -> None:
    inputs = video()
    with pytest.raises(UsageError, match="frame features have 3 numbers, the model reads 11"):
        model()(replace(inputs, features=inputs.features[..., :3]))
    with pytest.raises(UsageError, match="no decoder"):
        model(reconstruct=False)(inputs).reconstruct()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"feature_dim": 0}, r"feature_dim is 0. Allowed: 1 to"),
        ({"n_recursions": -1}, r"n_recursions is -1. Allowed: 0 to 64"),
        ({"dropout": 1.0}, r"dropout is 1.0. Allowed: 0 to 0.99"),
        ({"fusion": "middle"}, r'fusion is "middle". Allowed: "early", "late"'),
        ({"language": "latin"}, r'language is "latin". Allowed: "none", "query"'),
        (
            {"temporal_edges": "half"},
            r'temporal_edges is "half". Allowed: "full", "sparse", "auto"',
        ),
        ({"head": "two"}, r'head is "two". Allowed: "keyframes", "importance"'),
    ],
)
def test_a_model_that_cannot_be_built_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ModelConfig(**{"feature_dim": 4, **options})


def seen(rows: np.ndarray, n_objects: int = 3, seed: int = 0) -> VideoFeatures:
    rng, n = np.random.default_rng(seed), len(rows)
    objects = mask = None
    if n_objects:
        objects = rng.normal(size=(n, n_objects, OBJECT_DIM)).astype(np.float32)
        mask = rng.random((n, n_objects)) > 0.3
        mask[n // 2] = False
        objects *= mask[..., None]
    steps = np.arange(n)
    return VideoFeatures(
        rows.astype(np.float32), steps * 15, steps / 2.0, n * 15, "test", objects, mask
    )


def scenes(n_steps: int = 120, seed: int = 0) -> np.ndarray:
    """Three quarters of one scene, then three short ones."""
    rng = np.random.default_rng(seed)
    scene = np.repeat(rng.normal(size=(4, DIM)), [3 * n_steps // 4, n_steps // 12 + 1,
        n_steps // 12 + 1, n_steps // 12 + 1], axis=0)[:n_steps]  # fmt: skip
    return scene + 0.05 * rng.normal(size=scene.shape)


@pytest.mark.parametrize("n_objects", [0, 3])
def test_scores_without_training(n_objects: int) -> None:
    features = seen(scenes(), n_objects)
    scores = score_video(features, top_k=4)
    n = features.n_steps
    assert scores.scores.shape == (n,) and scores.scores.dtype == np.float32
    assert (scores.scores >= 0).all() and (scores.scores <= 1).all()
    assert scores.scores[100:].mean() > scores.scores[:80].mean() + 0.2  # seldom scenes count
    assert scores.neighbours.shape == (n, 4)
    assert (scores.neighbours != np.arange(n)[:, None]).all()
    assert (scores.neighbours[:80] < 92).mean() > 0.95  # frames of a scene are tied to their like
    assert np.array_equal(score_video(features, top_k=4).scores, scores.scores)
    assert scores.form == "training-free" and scores.active["objects"] == bool(n_objects)
    if n_objects:
        assert scores.object_weights is not None and features.object_mask is not None
        assert (scores.object_weights[~features.object_mask] == 0).all()
        some = features.object_mask.any(1)
        np.testing.assert_allclose(scores.object_weights[some].sum(1), 1, rtol=1e-5)
    else:
        assert scores.object_weights is None


@pytest.mark.parametrize("with_model", [False, True])
@pytest.mark.parametrize("n_objects", [0, 3])
@pytest.mark.parametrize("n_steps", [1, 2, 5, 40])
def test_odd_videos_have_finite_scores(n_steps: int, n_objects: int, with_model: bool) -> None:
    net = model(reconstruct=False) if with_model else None
    for rows in (scenes(n_steps), np.full((n_steps, DIM), 0.37), np.zeros((n_steps, DIM))):
        scores = score_video(seen(rows, n_objects), model=net)
        assert np.isfinite(scores.scores).all() and scores.scores.shape == (n_steps,)
        assert np.isfinite(scores.neighbour_weights).all()
        assert scores.neighbours.shape == (n_steps, 10)


def test_objects_of_another_width_are_refused() -> None:
    features = seen(scenes(20), 3)
    assert features.object_features is not None
    other = replace(features, object_features=features.object_features[..., 1:])
    with pytest.raises(
        UsageError, match=rf"have {OBJECT_DIM - 1} numbers each. Allowed: {OBJECT_DIM}"
    ):
        score_video(other, model=model(reconstruct=False))


def test_a_short_video_of_two_scenes_is_not_scored_flat() -> None:
    assert np.ptp(score_video(seen(scenes(8), 0)).scores) > 0.3


def test_the_users_words_raise_what_speaks_of_them() -> None:
    """Words with times, in a space of their own: the user asks for what is said in the middle."""
    rng = np.random.default_rng(0)
    spoken = rng.normal(size=(3, 9)).astype(np.float32)
    query = spoken[1:2] + 0.1 * rng.normal(size=(1, 9)).astype(np.float32)
    mask = np.zeros((90, 4), bool)
    mask[:30, 0] = mask[30:60, 1] = mask[60:, 2] = mask[:, 3] = True
    words = Words(np.concatenate([spoken, query]), mask, np.array([False, False, False, True]))
    features = seen(np.random.default_rng(1).normal(size=(90, DIM)), 0)
    asked, plain = score_video(features, words=words), score_video(features)
    assert asked.active["query"] and asked.active["words"]
    gain = asked.scores - plain.scores
    assert gain[30:60].mean() > max(gain[:30].mean(), gain[60:].mean()) + 0.05


def test_the_users_words_meet_pictures_in_a_shared_space() -> None:
    rows = scenes()
    words = Words(rows[-1:].astype(np.float32), None, np.array([True]), shares_space=True)
    asked = score_video(seen(rows, 0), words=words)
    assert asked.scores[-5:].mean() > 0.8


def test_a_models_scores_come_with_its_graph() -> None:
    net, features = model(reconstruct=False), seen(scenes())
    words = Words(np.random.default_rng(0).normal(size=(M, WORD_DIM)).astype(np.float32))
    scores = score_video(features, model=net, words=words, top_k=3)
    assert scores.active["objects"] and scores.active["words"]
    assert scores.neighbours.shape == (120, 3) and (scores.neighbour_weights > 0).all()
    assert scores.object_weights is not None and scores.object_weights.shape == (120, 3)
    mixed = score_video(features, model=model(shuffle_frames=True, reconstruct=False), words=words)
    np.testing.assert_allclose(mixed.scores, scores.scores, atol=1e-5)  # equivariant: a control
    assert np.array_equal(mixed.neighbours[:, :1], scores.neighbours[:, :1])


def test_a_users_words_stand_in_place_of_the_videos() -> None:
    rng = np.random.default_rng(0)
    asked = np.array([False, False, True])
    words = Words(
        rng.normal(size=(3, WORD_DIM)).astype(np.float32), rng.random((9, 3)) > 0.5, asked
    )
    for language, wanted in (("query", [2]), ("both", [0, 1, 2]), ("shuffled", [0, 1, 2])):
        chosen = words_for(language, words)
        assert chosen is not None and chosen.mask is not None and words.mask is not None
        assert np.array_equal(chosen.features, words.features[wanted])
        assert np.array_equal(chosen.mask, words.mask[:, wanted])
    assert words_for("none", words) is None
    own = replace(words, is_query=None)
    assert words_for("query", own) is own


def test_arrays_that_may_not_be_written_are_read() -> None:
    rows = scenes(20).astype(np.float32)
    rows.flags.writeable = False
    features = replace(seen(rows), features=rows)
    assert inputs_from(features).features.shape == (1, 20, DIM)


def test_training_mode_of_a_model_survives_scoring() -> None:
    net = model(reconstruct=False).train()
    score_video(seen(scenes(20)), model=net)
    assert net.training


LONG = """
import resource, sys, torch
from videograph.config import ModelConfig
from videograph.inputs import Inputs
from videograph.model import VideoGraph
torch.manual_seed(0)
torch.set_num_threads(1)
config = ModelConfig(32, width=64, n_recursions=1, n_landmarks=256)
n = 172_800  # a day at 2 steps a second
inputs = Inputs(torch.randn(1, n, 32), torch.ones(1, n, dtype=torch.bool))
net = VideoGraph(config).eval()
assert net.is_sparse(n)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with torch.inference_mode():
    output = net(inputs)
assert torch.isfinite(output.scores).all()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def test_a_day_of_video_fits() -> None:
    """Its temporal graph has 119 GB of edges; scoring adds less than 800 MB."""
    done = subprocess.run([sys.executable, "-c", LONG], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 800


def test_inputs_are_dropped_in_training_only_by_their_share_and_their_mean_stays() -> None:
    drop, ones = InputDropout(0.2), torch.ones(300, 1001, requires_grad=True)
    torch.manual_seed(0)
    seen = drop(ones)
    seen.sum().backward()
    seen = seen.detach()
    assert ones.grad is not None
    assert torch.equal(ones.grad, seen)
    assert abs(float((seen == 0).float().mean()) - 0.2) < 5e-3
    assert abs(float(seen.mean()) - 1.0) < 5e-3
    torch.manual_seed(0)
    assert torch.equal(drop(ones), seen)
    assert not torch.equal(drop(ones), seen)
    assert torch.equal(drop.eval()(ones), ones)
    assert torch.equal(InputDropout(0.0)(ones), ones)
