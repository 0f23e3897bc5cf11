"""Checkpoints: what is saved comes back bit for bit, and everything else is refused with a sentence."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import HfApi
from safetensors.torch import load_file, save_file

import videograph
from videograph.checkpoint import Origin
from videograph.config import ModelConfig
from videograph.errors import UsageError, VideographError
from videograph.model import VideoGraph
from videograph.records import VideoFeatures
from videograph.scoring import score_video

CONFIG = ModelConfig(feature_dim=6, object_dim=4, word_dim=3, width=8, n_recursions=2)
ORIGIN = Origin(
    "builtin-1", "2 steps a second", "minilm", "run-7", "supervised", "own", ("video_1",), 3, 5
)


@pytest.fixture
def model() -> VideoGraph:
    torch.manual_seed(0)
    model = VideoGraph(CONFIG).eval()
    model.origin = ORIGIN
    return model


@pytest.fixture
def folder(model: VideoGraph, tmp_path: Path) -> Path:
    model.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def video(encoder: str = "builtin-1", dim: int = 6) -> VideoFeatures:
    rng = np.random.default_rng(0)
    picks = np.arange(9) * 15
    return VideoFeatures(
        rng.random((9, dim), np.float32), picks, picks / 30, 140, encoder,
        object_features=rng.random((9, 2, 4), np.float32), object_mask=np.ones((9, 2), bool),
    )  # fmt: skip


def test_reloads_bit_for_bit(model: VideoGraph, folder: Path) -> None:
    again = VideoGraph.from_pretrained(folder)
    assert (again.config, again.origin, again.training) == (CONFIG, ORIGIN, False)
    theirs, ours = again.state_dict(), model.state_dict()
    assert list(theirs) == list(ours)
    assert all(torch.equal(theirs[name], ours[name]) for name in ours)
    np.testing.assert_array_equal(
        score_video(video(), model=again).scores, score_video(video(), model=model).scores
    )


def test_a_folder_needs_no_network(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def call(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("the hub was asked")

    monkeypatch.setattr("videograph.checkpoint.hf_hub_download", call)
    assert VideoGraph.from_pretrained(str(folder)).config == CONFIG
    (folder / "model.safetensors").unlink()
    with pytest.raises(UsageError, match=r"holds no model.safetensors. Allowed: a folder with"):
        VideoGraph.from_pretrained(folder)


def test_a_hub_id_is_downloaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def download(repo_id: str, name: str, **options: Any) -> str:
        asked.append((repo_id, name, options["revision"]))
        return str(folder / name)

    monkeypatch.setattr("videograph.checkpoint.hf_hub_download", download)
    assert VideoGraph.from_pretrained("somebody/graph", revision="v2").origin == ORIGIN
    assert asked == [
        ("somebody/graph", "config.json", "v2"), ("somebody/graph", "model.safetensors", "v2")
    ]  # fmt: skip


def test_push_uploads_the_same_files(model: VideoGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    class Made:
        repo_id = "somebody/graph"

    pushed: dict[str, set[str]] = {}

    def upload(self: HfApi, *, repo_id: str, folder_path: Path, **rest: Any) -> str:
        pushed[repo_id] = {p.name for p in Path(folder_path).iterdir()}
        assert VideoGraph.from_pretrained(folder_path).origin == ORIGIN
        return "https://example.org/commit"

    monkeypatch.setattr(HfApi, "create_repo", lambda self, **options: Made())
    monkeypatch.setattr(HfApi, "upload_folder", upload)
    model.push_to_hub("somebody/graph")
    assert pushed == {"somebody/graph": {"config.json", "model.safetensors", "README.md"}}


def test_card_says_what_it_reads(folder: Path) -> None:
    card = (folder / "README.md").read_text(encoding="utf-8")
    for text in ("**builtin-1**", "minilm", "1 videos of own", "supervised, epoch 3, seed 5"):
        assert text in card
    assert "Measured" not in card


def test_card_of_the_shipped_models_tells_the_folds_figure_and_chance() -> None:
    shipped = sorted((Path(videograph.__file__).parent / "models" / "default").iterdir())
    assert shipped
    for folder in shipped:
        card = (folder / "README.md").read_text(encoding="utf-8")
        origin = VideoGraph.from_pretrained(folder).origin
        assert "tau 0.1" in origin.measured and "chance" in origin.measured
        assert f"\n- Measured: {origin.measured}\n- Width" in card


def test_nothing_hidden_is_left_behind(folder: Path) -> None:
    assert {p.name for p in folder.iterdir()} == {"config.json", "model.safetensors", "README.md"}


@pytest.mark.parametrize("spec", ["nowhere", "a/b/c", "/not/here"])
def test_no_model_there_fails(spec: str) -> None:
    with pytest.raises(UsageError, match=r"no model at .* Allowed: a folder with config.json"):
        VideoGraph.from_pretrained(spec)


def test_hub_out_of_reach_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def call(*args: Any, **kwargs: Any) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("videograph.checkpoint.hf_hub_download", call)
    with pytest.raises(VideographError, match=r"Hugging Face Hub \(no route to host\)"):
        VideoGraph.from_pretrained("somebody/graph")


@pytest.mark.parametrize("change", ["missing", "surplus", "shape"])
def test_other_weights_fail(folder: Path, change: str) -> None:
    file = folder / "model.safetensors"
    tensors = load_file(file)
    if change == "missing":
        del tensors["classify.bias"]
    elif change == "surplus":
        tensors["stranger"] = torch.zeros(1)
    else:
        tensors["classify.bias"] = torch.zeros(2)
    save_file(tensors, file)
    with pytest.raises(VideographError, match="1 are missing, surplus or of another shape"):
        VideoGraph.from_pretrained(folder)


def test_cut_off_weights_fail(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(VideographError, match="not a readable safetensors file"):
        VideoGraph.from_pretrained(folder)


def test_pickles_are_not_read(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save(VideoGraph(CONFIG).state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(UsageError, match=r"holds no model\.safetensors"):
        VideoGraph.from_pretrained(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not a readable config"),
        ("[]", "not a readable config"),
        ('{"format": "other"}', 'is of format "other". Allowed: "videograph-1"'),
        ('{"format": "videograph-1", "model": {}, "origin": {}}', "does not describe a model"),
        ('{"format": "videograph-1", "model": {"magic": 1}, "origin": {}}', "Try a newer"),
    ],
)
def test_other_configs_fail(folder: Path, content: str, message: str) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(VideographError, match=message):
        VideoGraph.from_pretrained(folder)


def test_config_names_encoder_and_sizes(folder: Path) -> None:
    content = json.loads((folder / "config.json").read_text())
    assert content["origin"]["encoder"] == "builtin-1"
    assert content["origin"]["preprocessing"] == "2 steps a second"
    assert content["model"]["feature_dim"] == 6


def test_features_of_another_encoder_fail(model: VideoGraph) -> None:
    with pytest.raises(UsageError, match=r'of encoder "clip"\. Allowed: "builtin-1", which this'):
        score_video(video("clip"), model=model)
    model.origin = replace(ORIGIN, encoder="")  # nobody said: only sizes are checked
    assert score_video(video("clip"), model=model).form == "run-7"
    with pytest.raises(UsageError, match="frame features have 5 numbers, the model reads 6"):
        score_video(video("clip", dim=5), model=model)


def test_options_fail(folder: Path) -> None:
    with pytest.raises(UsageError, match="a checkpoint takes no strict"):
        VideoGraph.from_pretrained(folder, strict=False)
