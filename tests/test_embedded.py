"""The encoder with our own network: its weights, its maps, its regions, and its recipe's honesty."""

from __future__ import annotations

import importlib.util
import socket
import sys
from importlib.resources import files
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest
import torch

from videograph.encoders import load_encoder
from videograph.encoders._embedded_network import (
    INPUT_SIDE,
    OBJECT_DIM,
    EmbeddedNetwork,
    folded_state,
    load_network,
    see,
)
from videograph.encoders.embedded import EmbeddedEncoder, load
from videograph.errors import UsageError, VideographError
from videograph.records import OBJECT_KINDS

RECIPES = Path(__file__).resolve().parent.parent / "recipes"


def noise(n: int = 3, height: int = 108, width: int = 192) -> np.ndarray:
    coarse = np.random.default_rng(0).integers(0, 256, (n, height // 12, width // 12, 3), np.uint8)
    return coarse.repeat(12, axis=1).repeat(12, axis=2)


@pytest.fixture(scope="module")
def encoder() -> EmbeddedEncoder:
    return load()


class TestWeights:
    def test_load_needs_no_network(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise AssertionError("the network was asked")

        monkeypatch.setattr(socket.socket, "connect", refuse)
        assert load_encoder("embedded").encode(noise(1)).features.any()

    def test_are_small(self) -> None:
        file = files("videograph.encoders").joinpath("weights/embedded.safetensors")
        assert 1_000_000 < len(file.read_bytes()) <= 3_000_000

    def test_name_changes_with_the_weights(self, encoder: EmbeddedEncoder, tmp_path: Path) -> None:
        from safetensors.torch import save_file

        state = {name: value.half() for name, value in folded_state(EmbeddedNetwork()).items()}
        save_file(state, tmp_path / "other.safetensors")
        other = load(weights=tmp_path / "other.safetensors")
        assert encoder.name.startswith("embedded-2-") and other.name.startswith("embedded-2-")
        assert other.name != encoder.name

    def test_missing_weights_fail(self, tmp_path: Path) -> None:
        with pytest.raises(VideographError, match=r"cannot be read .* use the encoder \"builtin\""):
            load(weights=tmp_path / "none.safetensors")

    def test_damaged_weights_fail_in_a_sentence(self, tmp_path: Path) -> None:
        from safetensors.torch import save_file

        (tmp_path / "noise.safetensors").write_bytes(b"no tensors at all")
        save_file({"stem": torch.zeros(3)}, tmp_path / "other.safetensors")
        for name in ("noise", "other"):
            damaged = load(weights=tmp_path / f"{name}.safetensors")
            damaged.prepare()  # silent: there may never be a frame
            with pytest.raises(
                VideographError, match=r'damaged, or of another network .*"builtin"'
            ):
                damaged.encode(noise(1))

    def test_quick_arithmetic_sees_the_same(self) -> None:
        from safetensors.torch import load as load_tensors

        file = files("videograph.encoders").joinpath("weights/embedded.safetensors")
        state, seen = load_tensors(file.read_bytes()), []
        for precision in (torch.float32, torch.bfloat16):
            features, maps = see(load_network(state, precision), noise(4))
            seen.append(np.concatenate([features.ravel(), maps.ravel()]))
        exact, quick = seen
        assert not np.array_equal(exact, quick)
        assert exact @ quick / np.linalg.norm(exact) / np.linalg.norm(quick) > 0.999

    def test_sizes_are_those_of_the_network(self, encoder: EmbeddedEncoder) -> None:
        features, maps = see(encoder._network, noise(2))
        assert (encoder.dim, encoder.object_dim) == (features.shape[1], maps.shape[1])

    def test_folding_changes_nothing(self) -> None:
        torch.manual_seed(0)
        network = EmbeddedNetwork()
        with torch.no_grad():
            for module in network.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    assert module.running_mean is not None and module.running_var is not None
                    module.running_mean.normal_()
                    module.running_var.uniform_(0.5, 2)
                    module.weight.uniform_(0.5, 1.5)
                    module.bias.normal_()
        network.eval()
        images = noise(2, 144, 144)[:, :INPUT_SIDE, :INPUT_SIDE]
        pixels = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float()
        folded = see(load_network(folded_state(network), torch.float32), images)
        with torch.inference_mode():
            for ours, theirs in zip(folded, network.seen(pixels), strict=True):
                np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-4, atol=1e-4)


class TestEncoding:
    def test_thread_count_does_not_matter(self, encoder: EmbeddedEncoder) -> None:
        threads = torch.get_num_threads()
        try:
            torch.set_num_threads(1)
            one = encoder.encode(noise(20))
            torch.set_num_threads(2)
            two = encoder.encode(noise(20))
        finally:
            torch.set_num_threads(threads)
        np.testing.assert_allclose(one.features, two.features, atol=1e-5)
        np.testing.assert_allclose(one.object_features, two.object_features, atol=1e-5)

    def test_grid_features_average_to_the_frame(self) -> None:
        """On a flat picture the regions are a 3 x 3 grid, which covers each cell of the map once."""
        seen = load(n_objects=9).encode(np.full((1, 96, 96, 3), 90, np.uint8))
        assert (seen.object_kinds[0] == OBJECT_KINDS.index("grid")).all()
        np.testing.assert_allclose(
            seen.object_features[0].mean(0), seen.features[0, :OBJECT_DIM], rtol=1e-3, atol=1e-4
        )

    @pytest.mark.parametrize("shape", [(9, 16), (36, 300), (1080, 1920)])
    def test_frames_of_any_size(self, encoder: EmbeddedEncoder, shape: tuple[int, int]) -> None:
        seen = encoder.encode(np.full((1, *shape, 3), 200, np.uint8))
        assert np.isfinite(seen.features).all() and seen.object_mask.any()

    def test_a_shot_is_closer_to_itself_than_to_others(
        self, encoder: EmbeddedEncoder, data: Path
    ) -> None:
        with av.open(str(data / "videos/bikes_6shots.mp4")) as file:
            frames = [f.to_ndarray(format="rgb24") for f in file.decode(video=0)]
        starts, n_each = (0, 30, 76, 137, 187), 4
        picks = [s + k * 5 + 2 for s in starts for k in range(n_each)]
        features = encoder.encode(np.stack([frames[i] for i in picks])).features
        features /= np.linalg.norm(features, axis=1, keepdims=True)
        alike = features @ features.T
        same = np.kron(np.eye(len(starts)), np.ones((n_each, n_each))).astype(bool)
        inside = alike[same & ~np.eye(len(picks), dtype=bool)]
        assert inside.mean() > alike[~same].mean() + 0.3

    @pytest.mark.parametrize("n_objects", [0, -1, 2.5])
    def test_object_slots_fail(self, n_objects: int) -> None:
        with pytest.raises(UsageError, match=r"n_objects is .* Allowed: whole numbers from 1"):
            load(n_objects=n_objects)

    @pytest.mark.parametrize(
        "images", [np.zeros((2, 8, 8, 3), np.float32), np.zeros((8, 8, 3), np.uint8)]
    )
    def test_other_images_fail(self, encoder: EmbeddedEncoder, images: np.ndarray) -> None:
        with pytest.raises(UsageError, match=r"Allowed: \(n, height, width, 3\) uint8, RGB"):
            encoder.encode(images)


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(RECIPES))
    spec = importlib.util.spec_from_file_location("embedded_frames", RECIPES / "embedded_frames.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "embedded_frames", module)
    spec.loader.exec_module(module)
    return module


class TestRecipe:
    @pytest.mark.parametrize("number", range(5))
    def test_a_fold_never_sees_its_test_or_validation_videos(
        self, recipe: ModuleType, data: Path, number: int
    ) -> None:
        fold = recipe.read_folds()[number]
        keys = [key for part in ("train", "val", "test") for key in fold[part]]
        table = {key: (10 * i, 10) for i, key in enumerate([*keys, "other.mp4"])}
        rng = np.random.default_rng(number)
        n_frames = 10 * len(table)
        frame = rng.integers(0, n_frames, 4000)
        partner = np.where(rng.random(4000) < 0.5, -1, rng.integers(0, n_frames, 4000))
        allowed = recipe.allowed_frames(table, fold["train"])
        rows = recipe.allowed_views(allowed, frame, partner)
        shown = np.union1d(frame[rows], partner[rows][partner[rows] >= 0])
        owners = {[*table][i // 10] for i in shown}
        assert owners == {*fold["train"], "other.mp4"}

    def test_views_mix_within_a_fold_only(self, recipe: ModuleType, data: Path) -> None:
        folds = recipe.read_folds()
        table = {key: (i, 1) for i, key in enumerate(k for f in folds for k in f["test"])}
        table["other.mp4"] = (len(table), 1)
        groups = recipe.groups_of(table, folds)
        assert [groups[table[f["test"][0]][0]] for f in folds] == [0, 1, 2, 3, 4]
        assert groups[-1] == recipe.OTHERS
