"""Training: what is learned, what may choose, and that no kill and no seed goes unnoticed."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image

from videograph.cli import main
from videograph.config import ModelConfig, TrainConfig, read_settings, to_toml
from videograph.datasets import load_dataset
from videograph.errors import UsageError, VideographError
from videograph.examples import Example, batch_of, examples_of, keyframe_share, with_others_words
from videograph.learn import TABLES, Learned, Learner, learn, make_plan, predict
from videograph.metrics import rank_correlation
from videograph.model import VideoGraph
from videograph.scoring import score_video
from videograph.train import train

TINY = ["model.width=8", "model.n_recursions=1", "model.dropout=0.1", "learning_rate=0.01"]


def write_set(path: Path, n_videos: int = 5, *, rated: bool = True, labels: bool = True) -> Path:
    """Videos whose ratings can be read off one feature, with objects and words, seeded."""
    rng = np.random.default_rng(3)
    with h5py.File(path, "w") as file:
        file.attrs.update(
            encoder="tiny-1", text_encoder="words-1", preprocessing="every 15th frame"
        )
        for i in range(n_videos):
            n = 20 + 3 * i
            features = rng.normal(size=(n, 6)).astype(np.float32)
            ratings = np.clip(np.round(3 + 1.2 * features[:, 0]), 1, 5).astype(np.uint8)
            group = file.create_group(f"video_{i + 1}")
            group["features"] = features
            group["picks"], group["n_frames"] = np.arange(n) * 15, n * 15
            starts = np.arange(0, n * 15, 30)
            ends = np.append(starts[1:], n * 15) - 1
            group["change_points"] = np.stack([starts, ends], 1)
            group["object_features"] = rng.normal(size=(n, 2, 4)).astype(np.float32)
            group["object_mask"] = np.ones((n, 2), bool)
            group["word_features"] = rng.normal(size=(3, 5)).astype(np.float32)
            if labels:
                group["gtscore"] = ((ratings - 1) / 4).astype(np.float32)
                users = np.repeat(np.stack([ratings, np.roll(ratings, 1)]), 15, axis=1)
                if rated:
                    group["user_anno"] = users
                else:
                    group["user_summary"] = (users > 3).astype(np.uint8)
    return path


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny networks on many threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def h5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("set") / "tiny.h5")


@pytest.fixture(scope="module")
def examples(h5: Path) -> list[Example]:
    return examples_of(load_dataset(h5))


def learned(examples: list[Example], *settings: str, n_validation: int = 1) -> Learned:
    given = read_settings(None, [*TINY, *settings], TABLES)
    cut = len(examples) - n_validation
    return learn(make_plan(given, examples), examples[:cut], examples[cut:])


def same_weights(a: VideoGraph, b: VideoGraph) -> bool:
    theirs = b.state_dict()
    return all(torch.equal(weights, theirs[name]) for name, weights in a.state_dict().items())


# -- examples ----------------------------------------------------------------------------------------


def test_examples_hold_what_people_said(examples: list[Example]) -> None:
    first = examples[0]
    assert first.users is not None and first.users.shape == (2, 20) and first.is_rated
    assert first.keyframes is not None and 0 < float(first.keyframes.mean()) <= 0.25
    assert first.inputs.word_features is not None and first.inputs.object_mask is not None
    assert 0 < keyframe_share(examples) < 0.25


def test_padded_batches_hold_every_video(examples: list[Example]) -> None:
    inputs, target = batch_of(examples[:3], 0.15)
    assert inputs.features.shape == (3, 26, 6)
    assert inputs.frame_mask.sum(1).tolist() == [20, 23, 26]
    assert target is not None and target.keyframes is not None
    assert target.keyframes.shape == (3, 26)
    assert batch_of([examples[0].without_labels()], 0.15)[1] is None


def test_stored_keyframes_win(tmp_path: Path) -> None:
    path = write_set(tmp_path / "tiny.h5", 1)
    with h5py.File(path, "a") as file:
        file["video_1/gtsummary"] = np.eye(20, dtype=np.float32)[4]
    (example,) = examples_of(load_dataset(path))
    assert example.keyframes is not None and example.keyframes.nonzero().flatten().tolist() == [4]


def test_a_video_of_long_shots_has_keyframes_too(tmp_path: Path) -> None:
    path = write_set(tmp_path / "tiny.h5", 1)
    with h5py.File(path, "a") as file:
        del file["video_1/change_points"]
        file["video_1/change_points"] = np.array([[0, 149], [150, 299]])
    (example,) = examples_of(load_dataset(path))
    assert example.keyframes is not None and example.importance is not None
    assert example.keyframes.sum() == 3
    assert example.importance[example.keyframes > 0].min() >= example.importance.median()


def test_shuffled_words_keep_what_holds_for_the_whole_video(examples: list[Example]) -> None:
    def with_title(e: Example) -> Example:
        words = e.inputs.word_features
        assert words is not None
        said = torch.zeros(1, e.n_steps, words.shape[1], dtype=torch.bool)
        said[..., 0] = True
        said[:, : e.n_steps // 2, 1:] = True
        return replace(e, inputs=replace(e.inputs, word_mask=said))

    for e in with_others_words([with_title(e) for e in examples], seed=1):
        assert e.inputs.word_mask is not None
        assert e.inputs.word_mask.shape[:2] == (1, e.n_steps)
        assert e.inputs.word_mask[..., 0].all() and not e.inputs.word_mask[..., 1:].all(1).any()


def test_shuffled_words_are_another_videos(examples: list[Example]) -> None:
    told = with_others_words(examples, seed=1)
    for mine, theirs in zip(examples, told, strict=True):
        assert mine.inputs.word_features is not None and theirs.inputs.word_features is not None
        assert not torch.equal(mine.inputs.word_features, theirs.inputs.word_features)
    again = with_others_words(examples, seed=1)
    assert all(
        torch.equal(a.inputs.word_features, b.inputs.word_features)  # pyright: ignore[reportArgumentType]
        for a, b in zip(told, again, strict=True)
    )


def test_videos_without_features_fail(tmp_path: Path) -> None:
    path = write_set(tmp_path / "tiny.h5", 1)
    with h5py.File(path, "a") as file:
        del file["video_1/features"], file["video_1/object_features"]
    with pytest.raises(VideographError, match=r"video_1 of .* has no features to learn from"):
        examples_of(load_dataset(path))


# -- the loop ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["keyframes", "soft", "importance", "ranking"])
def test_every_target_is_learned(examples: list[Example], target: str) -> None:
    run = learned(examples, f"target={target}", "epochs=30", "warmup_epochs=2")
    assert run.history[-1]["loss"] < run.history[0]["loss"]
    assert run.history[run.epoch - 1]["tau"] == max(row["tau"] for row in run.history)
    if target != "keyframes":  # 3 key frames in 20 steps say little of the rest
        assert run.history[run.epoch - 1]["tau"] > 0.2


def test_same_seed_same_model_and_another_differs(examples: list[Example]) -> None:
    torch.manual_seed(1)
    one = learned(examples, "epochs=2")
    torch.manual_seed(2)  # the caller's own random numbers play no part
    before = torch.get_rng_state()
    two = learned(examples, "epochs=2")
    assert torch.equal(torch.get_rng_state(), before)
    assert same_weights(one.model, two.model) and one.history == two.history
    assert not same_weights(one.model, learned(examples, "epochs=2", "seed=1").model)


@pytest.mark.parametrize(
    "settings",
    [
        (), ("average=0.9",), ("batch_size=2", "accumulate=1"), ("model.shuffle_frames=true",),
        ("model.time_encoding=relative",), ("patience=1",),
    ],
)  # fmt: skip
def test_going_on_from_a_state_is_the_same_run(
    examples: list[Example], settings: tuple[str, ...]
) -> None:
    plan = make_plan(read_settings(None, [*TINY, "epochs=4", *settings], TABLES), examples)
    states: list[dict[str, object]] = []

    def keep(learner: Learner) -> None:
        if learner.epoch == 2:
            torch.save(learner.state(), buffer)

    import io

    buffer = io.BytesIO()
    whole = learn(plan, examples[:4], examples[4:], keep=keep)
    if buffer.tell():
        states.append(torch.load(io.BytesIO(buffer.getvalue()), weights_only=True))
        rest = learn(plan, examples[:4], examples[4:], state=states[0])
        assert same_weights(rest.model, whole.model) and rest.history == whole.history


def test_effective_degrees_are_logged(examples: list[Example]) -> None:
    plan = make_plan(read_settings(None, [*TINY, "epochs=1"], TABLES), examples)
    (row,) = learn(plan, examples[:3]).history
    assert 1 <= row["degree"] <= max(e.n_steps for e in examples)
    assert ("object_degree" in row) == plan.model.has_objects


def test_one_video_can_be_learned_by_heart(examples: list[Example]) -> None:
    run = learned(
        examples[:1], "epochs=150", "accumulate=1", "target=importance", "model.dropout=0.0",
        "model.width=16", "select=last", n_validation=0,
    )  # fmt: skip
    scores = predict(run.model, examples[0].inputs).scores.double().numpy()
    assert examples[0].importance is not None
    tau = rank_correlation(scores, examples[0].importance.double().numpy(), mode="mode2").tau[0]
    assert tau > 0.85  # ratings come in 5 steps, so ties keep tau-b under 1
    assert "No validation videos" in run.notes[0]


def test_unsupervised_never_sees_labels(examples: list[Example]) -> None:
    told = learned(examples, "objective=unsupervised", "epochs=3")
    untold = learned([e.without_labels() for e in examples], "objective=unsupervised", "epochs=3")
    assert same_weights(told.model, untold.model)
    assert told.epoch == 3  # the last one: labels choose nothing
    assert set(untold.history[0]) == {
        "epoch", "loss", "structure", "reconstruction", "diversity", "length", "degree", "object_degree",
    }  # fmt: skip
    assert told.model.config.initial_score == 0.15 and told.model.decoder is not None


def test_mixed_learns_from_both(examples: list[Example]) -> None:
    some = [examples[0], *(e.without_labels() for e in examples[1:3]), *examples[3:]]
    run = learned(some, "objective=mixed", "epochs=2", "batch_size=2")
    assert {"keyframes", "reconstruction", "diversity"} <= set(run.history[0])
    assert not same_weights(run.model, learned(some[:1] + some[3:], "epochs=2").model)


def test_a_constant_is_reported(examples: list[Example]) -> None:
    run = learned(examples, "objective=unsupervised", "epochs=1", "learning_rate=1e-9",
                  "loss.length_share=0.001")  # fmt: skip
    assert any("settled on a constant" in note for note in run.notes)


def test_patience_stops_early(examples: list[Example]) -> None:
    run = learned(examples, "epochs=200", "patience=3")
    assert len(run.history) == run.epoch + 3


def test_divergence_fails(examples: list[Example]) -> None:
    from dataclasses import replace

    broken = replace(examples[0].inputs, features=examples[0].inputs.features * torch.nan)
    with pytest.raises(VideographError, match=r"diverged in epoch 1: .* Try a lower learning_rate"):
        learned([replace(examples[0], inputs=broken), *examples[1:]], "epochs=1")


def test_missing_labels_fail(examples: list[Example]) -> None:
    some = [examples[0].without_labels(), *examples[1:]]
    with pytest.raises(UsageError, match=r"1 training videos have no labels \(video_1\)"):
        learned(some, "epochs=1")
    with pytest.raises(UsageError, match="there is no video to train on"):
        learned(examples[:1], "epochs=1")


def test_modes_follow_the_labels(tmp_path: Path, examples: list[Example]) -> None:
    plan = make_plan(read_settings(None, TINY, TABLES), examples)
    assert Learner(plan, examples[:4], examples[4:]).mode == "mode1"
    assert Learner(plan, examples, []).mode == "last"
    chosen = examples_of(load_dataset(write_set(tmp_path / "own.h5", rated=False)))
    assert Learner(plan, chosen[:4], chosen[4:]).mode == "mode2"


# -- settings ----------------------------------------------------------------------------------------


def test_settings_come_back_the_same(examples: list[Example], tmp_path: Path) -> None:
    plan = make_plan(read_settings(None, [*TINY, "dataset=a\\ b é", "seed=3"], TABLES), examples)
    (tmp_path / "config.toml").write_text(to_toml(plan.tables()), encoding="utf-8")
    assert make_plan(read_settings(tmp_path / "config.toml", (), TABLES), examples) == plan


def test_overrides_win(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("epochs = 3\nseed = 1\n[model]\nwidth = 4\n")
    given = read_settings(tmp_path / "a.toml", ["epochs=5", "loss.structure=1"], TABLES)
    assert given == {
        "": {"epochs": 5, "seed": 1},
        "model": {"width": 4},
        "loss": {"structure": 1.0},
    }


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("epoch=3", r'no setting "epoch"\. Nearest: epochs'),
        ("model.widht=3", r'no setting "model\.widht"\. Nearest: model\.width'),
        ("width=3", r'no setting "width"\. Nearest: model\.width'),
        ("epochs=many", r"epochs is 'many'\. Allowed: a whole number\."),
        ("learning_rate=true", r"learning_rate is True\. Allowed: a number\."),
        ("epochs", r'"epochs" is no setting\. Allowed: KEY=VALUE'),
    ],
)
def test_other_settings_fail(setting: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_settings(None, [setting], TABLES)


def test_settings_files_that_cannot_be_read_fail(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("epochs = = 3")
    with pytest.raises(VideographError, match=r"bad\.toml is not TOML"):
        read_settings(tmp_path / "bad.toml", (), TABLES)
    with pytest.raises(UsageError, match=r"cannot read .*none\.toml: No such file"):
        read_settings(tmp_path / "none.toml", (), TABLES)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["objective=unsupervised", "select=mode1"], "which looks at labels"),
        (["objective=guess"], 'objective is "guess"'),
        (["epochs=0"], "epochs is 0"),
        (["model.reconstruct=false", "objective=mixed"], r"model\.reconstruct is false"),
        (["model.feature_dim=7"], r"model\.feature_dim is 7\. Allowed: 6"),
    ],
)
def test_contradictions_fail(examples: list[Example], settings: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_plan(read_settings(None, settings, TABLES), examples)


def test_cuda_without_a_gpu_fails(examples: list[Example]) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(UsageError, match=r'device is "cuda", but torch finds no GPU'):
        learned(examples, "device=cuda", "epochs=1")


def test_every_published_config_can_be_read() -> None:
    files = sorted((Path(__file__).parent.parent / "configs").glob("*.toml"))
    assert files
    for file in files:
        given = read_settings(file, (), TABLES)
        TrainConfig(**given[""])
        ModelConfig(feature_dim=1, **given["model"])


# -- a run in its folder -----------------------------------------------------------------------------


def test_a_run_leaves_everything(h5: Path, tmp_path: Path) -> None:
    run = train([*TINY, f"dataset={h5}", "epochs=2"], tmp_path / "runs" / "one")
    assert {p.name for p in run.folder.iterdir()} == {
        "config.toml", "losses.csv", "losses.png", "model"
    }  # fmt: skip
    rows = list(csv.DictReader((run.folder / "losses.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2"] and run.tau == float(
        rows[run.epoch - 1]["tau"]
    )
    with Image.open(run.folder / "losses.png") as picture:
        assert picture.size == (1100, 440)
    assert tomllib.loads((run.folder / "config.toml").read_text())["model"]["feature_dim"] == 6
    origin = VideoGraph.from_pretrained(run.model).origin
    assert (origin.encoder, origin.text_encoder, origin.name) == ("tiny-1", "words-1", "one")
    assert origin.preprocessing == "every 15th frame" and len(origin.videos) == 4


def test_the_saved_config_repeats_the_run(h5: Path, tmp_path: Path) -> None:
    one = train([*TINY, f"dataset={h5}", "epochs=2"], tmp_path / "one")
    settings = read_settings(one.folder / "config.toml", (), TABLES)
    two = train(settings, tmp_path / "two")
    assert (one.model / "model.safetensors").read_bytes() == (
        two.model / "model.safetensors"
    ).read_bytes()


def test_a_run_is_not_overwritten(h5: Path, tmp_path: Path) -> None:
    settings = [*TINY, f"dataset={h5}", "epochs=1"]
    run = train(settings, tmp_path / "one")
    (run.folder / "notes.txt").write_text("mine")
    with pytest.raises(
        UsageError, match=r"holds a run already\. Allowed: --resume to go on with it"
    ):
        train(settings, run.folder)
    assert train([], run.folder, resume=True) == run  # finished: nothing is left to do
    again = train([*settings, "epochs=2"], run.folder, force=True)
    assert again.n_epochs == 2 and (run.folder / "notes.txt").read_text() == "mine"


def test_resuming_fails_with_a_sentence(h5: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no run at .* to go on with"):
        train([], tmp_path / "none", resume=True)
    run = train([*TINY, f"dataset={h5}", "epochs=1"], tmp_path / "one")
    with pytest.raises(UsageError, match="epochs is 9, but the run was begun with 1"):
        train(["epochs=9"], run.folder, resume=True)
    with pytest.raises(UsageError, match="--force begins anew and --resume goes on"):
        train([], run.folder, resume=True, force=True)
    (run.folder / "state.pt").write_bytes(b"PK")
    with pytest.raises(VideographError, match=r"state\.pt is damaged .* Try --force"):
        train([], run.folder, resume=True)


def test_a_refused_run_removes_nothing(h5: Path, tmp_path: Path) -> None:
    run = train([*TINY, f"dataset={h5}", "epochs=1"], tmp_path / "one")
    with pytest.raises(UsageError):
        train(
            [f"dataset={h5}", "select=mode1", "fold=9", "splits=disjoint5"], run.folder, force=True
        )
    with pytest.raises(UsageError, match="no videos to train on"):
        train([], tmp_path / "two")
    assert (run.model / "model.safetensors").exists() and not (tmp_path / "two").exists()


def test_unlabelled_videos_join(h5: Path, tmp_path: Path) -> None:
    more = write_set(tmp_path / "more.h5", 2, labels=False)
    settings = [*TINY, f"dataset={h5}", f"unlabelled={more}", "epochs=1"]
    with pytest.raises(UsageError, match="unlabelled videos teach nothing"):
        train(settings, tmp_path / "run")
    run = train([*settings, "objective=mixed"], tmp_path / "run")
    assert "more.h5/video_1" in VideoGraph.from_pretrained(run.model).origin.videos


def test_videos_without_labels_are_left_out_with_a_note(tmp_path: Path) -> None:
    path = write_set(tmp_path / "tiny.h5", 3)
    with h5py.File(path, "a") as file:
        del file["video_2/gtscore"], file["video_2/user_anno"]
    run = train([*TINY, f"dataset={path}", "splits=all", "epochs=1"], tmp_path / "run")
    assert run.notes[0] == "1 videos without labels were left out."
    assert VideoGraph.from_pretrained(run.model).origin.videos == ("video_1", "video_3")


def test_killed_and_resumed_equals_uninterrupted(h5: Path, tmp_path: Path) -> None:
    settings = [*TINY, f"dataset={h5}", "epochs=30", "save_seconds=0", "average=0.9"]
    whole = train(settings, tmp_path / "whole")
    command = [sys.executable, "-m", "videograph.cli", "train", *settings, "--runs", str(tmp_path)]
    process = subprocess.Popen(
        [*command, "--name", "killed"], env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    losses, state = tmp_path / "killed" / "losses.csv", tmp_path / "killed" / "state.pt"
    deadline = time.monotonic() + 60
    while not (losses.exists() and losses.read_bytes().count(b"\n") > 3):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL and state.exists()
    assert not (tmp_path / "killed" / "model").exists()
    resumed = train([], tmp_path / "killed", resume=True)
    for name in ("model/model.safetensors", "losses.csv"):
        assert (resumed.folder / name).read_bytes() == (whole.folder / name).read_bytes()
    assert (resumed.epoch, resumed.tau) == (whole.epoch, whole.tau)
    assert not list(resumed.folder.glob(".*"))


def test_command_trains_one_video_by_heart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_set(tmp_path / "own.h5", 1)
    (tmp_path / "own.toml").write_text(
        f'dataset = "{path}"\nsplits = "all"\nepochs = 150\naccumulate = 1\ntarget = "importance"\n'
        "learning_rate = 0.01\n[model]\nwidth = 16\ndropout = 0.0\nn_recursions = 1\n"
    )
    with pytest.raises(SystemExit) as ended:
        main(["train", "own.toml", "seed=2"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.splitlines()[0] == "epoch 150 of 150"
    model = VideoGraph.from_pretrained(tmp_path / "runs" / "own" / "model")
    dataset = load_dataset(path)
    video = dataset.videos["video_1"]
    (example,) = examples_of(dataset)
    heard = predict(model, example.inputs).scores[0].double().numpy()
    assert video.gtscore is not None
    assert rank_correlation(heard, video.gtscore, mode="mode2").tau[0] > 0.85
    assert score_video(video.as_features(dataset.features), model=model).form == "own"


def test_command_refuses_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train", "epochz=3"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith('no setting "epochz". Nearest: epochs')
