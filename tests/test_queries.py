"""Query-focused training: real tags as examples, a run on a small set, refusals."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from videograph.cli import main
from videograph.config import ModelConfig, read_settings
from videograph.datasets import load_dataset
from videograph.datasets.qfvs import best_shots, concept_vectors, n_chosen
from videograph.errors import UsageError, VideographError
from videograph.evaluate import predict as answer
from videograph.examples import batch_of
from videograph.learn import TABLES, Learner, learn, make_plan, predict
from videograph.losses import SUPERVISED, LossWeights, concept_loss, total_loss
from videograph.model import VideoGraph
from videograph.queries import query_examples
from videograph.train import load_videos, train

torch.set_num_threads(1)

TINY = ["model.width=8", "model.n_recursions=1", "epochs=2", "warmup_epochs=0", "device=cpu"]


def write_queries(folder: Path, n_videos: int = 3, n_shots: int = 70) -> Path:
    """Six concepts; the oracle of a query is the shots that show both of its concepts."""
    path, rng = folder / "qfvs_small.h5", np.random.default_rng(0)
    np.save(folder / "concept_vectors.npy", rng.normal(size=(6, 5)).astype(np.float32))
    with h5py.File(path, "w") as file:
        file.attrs["concepts"] = [f"Concept{i}" for i in range(6)]
        for v in range(1, n_videos + 1):
            tags = (rng.random((n_shots, 6)) < 0.4).astype(np.uint8)
            file[f"P0{v}/tags"] = tags
            for a, b in ((0, 1), (2, 5), (3, 4)):
                group = file.create_group(f"P0{v}/queries/Concept{a}_Concept{b}")
                group["concepts"], group["oracle"] = [a, b], np.flatnonzero(tags[:, a] & tags[:, b])
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_queries(tmp_path_factory.mktemp("qfvs"))


def test_real_tags_become_objects_frames_and_words(data: Path) -> None:
    dataset = load_dataset(data / "qfvs")
    examples = query_examples(dataset, ["P03"])
    assert len(examples) == 45 and {e.video for e in examples} == {"P03"}
    video, one = dataset.query_videos["P03"], examples[7]
    query = video.queries[one.key.partition("/")[2]]
    vectors = torch.from_numpy(concept_vectors(dataset))
    assert one.inputs.object_mask is not None and one.inputs.object_features is not None
    torch.testing.assert_close(
        one.inputs.object_mask.sum(-1)[0], torch.from_numpy(video.tags.sum(1).astype(np.int64))
    )
    shot = int(video.tags.sum(1).argmax())
    shown = vectors[torch.from_numpy(video.tags[shot] > 0)]
    torch.testing.assert_close(one.inputs.object_features[0, shot, : len(shown)], shown)
    mean = shown.sum(0) / shown.sum(0).norm()
    torch.testing.assert_close(one.inputs.features[0, shot], mean)
    torch.testing.assert_close(one.inputs.word_features, vectors[list(query.concepts)][None])
    assert one.keyframes is not None and one.concepts is not None
    np.testing.assert_array_equal(one.keyframes.nonzero().squeeze(-1), query.oracle)
    np.testing.assert_array_equal(one.concepts.numpy(), video.tags[:, list(query.concepts)])
    assert one.inputs.features is examples[8].inputs.features  # held once


def test_the_judge_is_the_tables_f1(data: Path) -> None:
    dataset = load_dataset(data / "qfvs")
    (one, *_) = query_examples(dataset, ["P04"])
    video = dataset.query_videos["P04"]
    assert one.judge is not None and one.keyframes is not None
    scores = one.keyframes.numpy() + np.linspace(0.1, 0, video.n_shots)
    assert len(best_shots(scores, n_chosen(video))) == 71
    assert 50 < one.judge(scores) < 100  # the oracle is shorter than 2 % of this video
    assert one.judge(-scores) < 40


def test_without_vectors_concepts_are_one_hot(small: Path, tmp_path: Path) -> None:
    alone = tmp_path / small.name
    alone.write_bytes(small.read_bytes())
    dataset = load_dataset(alone)
    np.testing.assert_array_equal(concept_vectors(dataset), np.eye(6))
    assert dataset.text_encoder == "one_hot"
    np.save(tmp_path / "concept_vectors.npy", np.zeros((4, 5), np.float32))
    with pytest.raises(VideographError, match=r"has shape \(4, 5\)\. Allowed: \(6, dim\)"):
        concept_vectors(dataset)


def test_concepts_are_found_by_their_words(small: Path) -> None:
    """A few steps on one video: the concept loss falls far under what a constant reaches."""
    examples = query_examples(load_dataset(small), ["P01"])
    settings = [*TINY, "learning_rate=0.02", "accumulate=1", "epochs=30", "model.dropout=0.0"]
    learned = learn(make_plan(read_settings(None, settings, TABLES), examples), examples)
    parts = [row["concepts"] for row in learned.history]
    assert parts[0] > 0.4 and parts[-1] < 0.2
    output = predict(learned.model, examples[0].inputs)
    assert output.concepts is not None and examples[0].concepts is not None
    right = (output.concepts[0] > 0) == (examples[0].concepts > 0.5)
    assert right.float().mean() > 0.9


def test_concept_loss_is_the_mean_cross_entropy() -> None:
    logits, target = torch.randn(2, 4, 3), (torch.rand(2, 4, 3) > 0.5).float()
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    each = torch.nn.functional.binary_cross_entropy(logits.sigmoid(), target, reduction="none")
    expected = (each[0].mean() + each[1, :2].mean()) / 2
    torch.testing.assert_close(concept_loss(logits, target, mask), expected)


def test_a_model_without_the_head_refuses_its_loss(small: Path) -> None:
    (one, *_) = query_examples(load_dataset(small), ["P01"])
    model = VideoGraph(ModelConfig(5, 5, 5, width=8))
    assert not any("find_concepts" in name for name in model.state_dict())  # older ones load
    _, target = batch_of([one], 0.15)
    assert target is not None and target.concepts is not None
    with pytest.raises(UsageError, match=r"finds no concepts\. Build it"):
        total_loss(model(one.inputs), target, LossWeights(concepts=1.0))
    assert "concepts" not in total_loss(model(one.inputs), target, SUPERVISED)[1]


def test_other_words_change_what_is_chosen(small: Path) -> None:
    one, other, _ = query_examples(load_dataset(small), ["P01"])
    plan = make_plan(read_settings(None, TINY, TABLES), [one, other])
    model = Learner(plan, [one, other]).model
    a, b = (predict(model, e.inputs).scores for e in (one, other))
    assert (a - b).abs().max() > 1e-3


def test_a_crop_is_a_run_of_steps(small: Path) -> None:
    (one, *_) = query_examples(load_dataset(small), ["P01"])
    part = one.between(10, 30)
    assert part.n_steps == 20 and part.keyframes is not None and one.keyframes is not None
    assert torch.equal(part.keyframes, one.keyframes[10:30])
    assert torch.equal(part.inputs.features, one.inputs.features[:, 10:30])
    assert part.inputs.word_features is one.inputs.word_features


def test_drawn_queries_and_crops_resume_bit_for_bit(small: Path) -> None:
    examples = query_examples(load_dataset(small), ["P01", "P02"])
    settings = [*TINY, "epochs=4", "n_queries=2", "crop_steps=32"]
    plan, buffer = make_plan(read_settings(None, settings, TABLES), examples), io.BytesIO()

    def keep(learner: Learner) -> None:
        if learner.epoch == 2:
            torch.save(learner.state(), buffer)

    whole = learn(plan, examples[:3], examples[3:], keep=keep)
    assert "f1" in whole.history[0]
    state = torch.load(io.BytesIO(buffer.getvalue()), weights_only=True)
    rest = learn(plan, examples[:3], examples[3:], state=state)
    assert rest.history == whole.history
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, rest.model.state_dict()[name])


def test_the_test_video_is_left_alone(small: Path) -> None:
    for seed in range(3):
        settings = [f"dataset={small}", "splits=leave_one_out", "fold=1", f"seed={seed}"]
        loaded = load_videos(read_settings(None, settings, TABLES))
        videos = [{e.video for e in part} for part in (loaded.training, loaded.validation)]
        assert videos == ([{"P03"}, {"P01"}] if seed % 2 == 0 else [{"P01"}, {"P03"}])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            ["splits=disjoint5"],
            'splits is "disjoint5". Allowed for queries: supervised; leave_one_',
        ),
        (["objective=unsupervised"], 'objective is "unsupervised"'),
        (["splits=leave_one_out", "fold=3"], "fold is 3. Allowed: 0 to 2."),
    ],
)
def test_other_settings_fail(small: Path, settings: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_videos(read_settings(None, [f"dataset={small}", *settings], TABLES))
    assert message in str(caught.value)


@pytest.fixture(scope="module")
def runs(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for fold in range(3):
        settings = [f"dataset={small}", "splits=leave_one_out", f"fold={fold}", *TINY]
        run = train(settings, folder / str(fold))
        assert run.n_epochs == 2 and run.tau is None
    return folder


def test_command_prints_the_model_beside_its_controls(
    small: Path, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments: list[Any] = ["evaluate", "--dataset", small, "--model", runs / "{split}" / "model"]
    arguments += ["--predictions", tmp_path / "mine.h5", "--draws", 2, "-o", tmp_path / "t.csv"]
    with pytest.raises(SystemExit) as ended:
        main([str(x) for x in arguments])
    assert ended.value.code == 0
    table = (tmp_path / "t.csv").read_text()
    shown = capsys.readouterr().out
    for row in ("mine", "random 2 %", "true tags", "oracle"):
        assert row in table and row.split()[0] in shown
    assert "mine,yours,swapped" in table
    assert "mine: reads the concept tags" in " ".join(shown.split())


def test_one_checkpoint_answers_for_the_video_it_did_not_see(
    small: Path, runs: Path, tmp_path: Path
) -> None:
    file = answer(load_dataset(small), tmp_path / "one.h5", model=str(runs / "2" / "model"))
    answered = {label.partition("/")[0] for held in file.scores.values() for label in held}
    origin = VideoGraph.from_pretrained(runs / "2" / "model").origin
    assert answered == {"P01", "P02", "P03"} - set(origin.videos) and "P03" in answered


def test_answers_that_would_be_no_result_fail(small: Path, runs: Path, tmp_path: Path) -> None:
    dataset = load_dataset(small)
    with pytest.raises(UsageError, match="training-free form reads frames"):
        answer(dataset, tmp_path / "a.h5", model="training-free")
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    for split in range(3):
        (wrong / str(split)).symlink_to(runs / str((split + 1) % 3))
    with pytest.raises(UsageError, match="for which it should answer"):
        answer(dataset, tmp_path / "b.h5", model=str(wrong / "{split}" / "model"))
    assert not (tmp_path / "b.h5").exists()
