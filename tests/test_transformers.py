"""Hugging Face models as encoders: against the library's own results, on tiny random and on real weights."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file

import videograph
from videograph.encoders import load_encoder, load_text
from videograph.errors import UsageError, VideographError
from videograph.records import OBJECT_KINDS
from videograph.video import grab

FAMILIES = ("clip", "siglip", "siglip2_naflex", "dinov2", "vit_classifier")
MOBILENET = "weights/hf/mobilenet_v2_1.0_224"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("tiny")
    return {name: getattr(tiny_models, name)(root / name) for name in FAMILIES}


@pytest.fixture(scope="module")
def mobilenet(data: Path) -> Path:
    return data / MOBILENET


def noise(n: int = 3, height: int = 72, width: int = 128, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, height, width, 3), dtype=np.uint8)


def by_the_library(folder: Path, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frame vectors and patch tokens as a user of transformers would compute them."""
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    inputs = processor(list(images), return_tensors="pt", input_data_format="channels_last")
    with torch.inference_mode():
        call = getattr(model, "get_image_features", model)
        output = call(**inputs)
    return output.pooler_output.numpy(), output.last_hidden_state.numpy()


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class TestFamilies:
    @pytest.mark.parametrize("family", ["clip", "siglip", "siglip2_naflex"])
    def test_image_text_models_give_their_embedding_at_length_one(
        self, folders: dict[str, Path], family: str
    ) -> None:
        expected, _ = by_the_library(folders[family], noise())
        seen = load_encoder(f"transformers:{folders[family]}").encode(noise())
        np.testing.assert_allclose(seen.features, unit(expected), atol=1e-5)

    def test_vision_models_give_their_pooled_output(self, folders: dict[str, Path]) -> None:
        expected, _ = by_the_library(folders["dinov2"], noise())
        seen = load_encoder(f"transformers:{folders['dinov2']}").encode(noise())
        np.testing.assert_allclose(seen.features, expected, atol=1e-5)

    def test_a_pooler_without_weights_is_not_used(self, folders: dict[str, Path]) -> None:
        whole = transformers.ViTForImageClassification.from_pretrained(folders["vit_classifier"])
        encoder = load_encoder(f"transformers:{folders['vit_classifier']}")
        shown = noise(2, 32, 32)
        pixels = torch.from_numpy(shown).permute(0, 3, 1, 2) / 127.5 - 1
        with torch.inference_mode():
            expected = whole.eval()(pixels).logits
            class_token = torch.from_numpy(encoder.encode(shown).features)
            np.testing.assert_allclose(whole.classifier(class_token), expected, atol=1e-5)

    @pytest.mark.parametrize("family", FAMILIES)
    def test_batched_and_unbatched_agree(self, folders: dict[str, Path], family: str) -> None:
        encoder = load_encoder(f"transformers:{folders[family]}")
        frames = noise(6)
        whole = encoder.encode(frames)
        alone = [encoder.encode(frame[None]) for frame in frames]
        for field in ("features", "object_features", "object_boxes"):
            joined = np.concatenate([getattr(one, field) for one in alone])
            np.testing.assert_allclose(joined, getattr(whole, field), atol=1e-5, err_msg=field)

    def test_a_model_of_texts_is_refused(self, tmp_path: Path) -> None:
        config = transformers.BertConfig(**tiny_models.SIZES, vocab_size=99)
        tiny_models.save(transformers.BertModel(config), tmp_path)
        with pytest.raises(VideographError, match=r"cannot be read as a ImageProcessor"):
            load_encoder(f"transformers:{tmp_path}")


class TestObjects:
    @pytest.mark.parametrize(("family", "n_before"), [("clip", 1), ("siglip", 0), ("dinov2", 1)])
    def test_grid_cells_are_means_of_the_patch_tokens(
        self, folders: dict[str, Path], family: str, n_before: int
    ) -> None:
        _, tokens = by_the_library(folders[family], noise())
        seen = load_encoder(f"transformers:{folders[family]}").encode(noise())
        mean = tokens[:, n_before:].mean(1)  # nine cells of equal area
        np.testing.assert_allclose(seen.object_features.mean(1), mean, atol=1e-5)
        assert (seen.object_kinds == OBJECT_KINDS.index("grid")).all()

    def test_boxes_are_of_the_frame_not_of_the_middle_that_is_shown(
        self, folders: dict[str, Path]
    ) -> None:
        whole = load_encoder(f"transformers:{folders['siglip']}").encode(noise(1, 100, 200))
        middle = load_encoder(f"transformers:{folders['clip']}").encode(noise(1, 100, 200))
        third = 1 / 3
        np.testing.assert_allclose(
            whole.object_boxes[0, 0], [third, third, 2 * third, 2 * third], atol=1e-6
        )
        # The middle half of a 2:1 frame is shown, so that its centre cell is half as wide.
        np.testing.assert_allclose(
            middle.object_boxes[0, 0], [5 / 12, third, 7 / 12, 2 * third], atol=1e-6
        )

    def test_clusters_follow_what_is_seen(self, mobilenet: Path, data: Path) -> None:
        encoder = load_encoder(f"transformers:{mobilenet}", objects="clusters", n_objects=6)
        frame = np.asarray(
            next(iter(grab(data / "videos/dog_eating.mp4", [Fraction(1)], long_side=512)))
        )
        seen = encoder.encode(frame[None])
        mask = seen.object_mask[0]
        assert 2 <= mask.sum() <= 6 and mask[: mask.sum()].all()
        assert (seen.object_kinds[0, mask] == OBJECT_KINDS.index("cluster")).all()
        again = encoder.encode(frame[None])
        np.testing.assert_array_equal(again.object_boxes, seen.object_boxes)
        # The dog lies right of the middle, on nothing but grass: what stands out most is on it.
        x0, y0, x1, y1 = seen.object_boxes[0, 0]
        assert 0.35 < (x0 + x1) / 2 < 0.75 and 0.2 < (y0 + y1) / 2 < 0.8
        assert (x1 - x0) * (y1 - y0) < 0.6

    def test_none(self, folders: dict[str, Path]) -> None:
        encoder = load_encoder(f"transformers:{folders['clip']}", objects="none")
        assert encoder.encode(noise()).object_features.shape == (3, 0, 0)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"objects": "boxes"}, r'objects is "boxes"\. Allowed: grid, clusters, none'),
            ({"n_objects": 10}, r'n_objects is 10\. Allowed for "grid": up to 9'),
            ({"device": "tpu"}, r'device is "tpu"\. Allowed: auto, cpu, cuda, mps'),
        ],
    )
    def test_options_that_are_refused(
        self, folders: dict[str, Path], options: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(UsageError, match=message):
            load_encoder(f"transformers:{folders['clip']}", **options)


class TestPreprocessing:
    def test_the_pictures_are_those_of_the_preprocessor_config(self, mobilenet: Path) -> None:
        from videograph.encoders._preprocessing import PlainPixels, pixels_of

        config = json.loads((mobilenet / "preprocessor_config.json").read_text())
        pixels, _ = pixels_of(mobilenet)
        assert isinstance(pixels, PlainPixels)
        for height, width in ((144, 256), (360, 203), (300, 300)):
            frame = noise(1, height, width)[0]
            short = config["size"]["shortest_edge"]
            share = short / min(height, width)
            size = (short, int(height * share)) if width < height else (int(width * share), short)
            image = Image.fromarray(frame).resize(size, Image.Resampling(config["resample"]))
            crop = config["crop_size"]["width"]
            x, y = (size[0] - crop) // 2, (size[1] - crop) // 2
            shown = np.asarray(image.crop((x, y, x + crop, y + crop)), np.float64)
            expected = (shown * config["rescale_factor"] - config["image_mean"]) / config[
                "image_std"
            ]
            made = pixels(frame[None])["pixel_values"][0].permute(1, 2, 0).numpy()
            np.testing.assert_allclose(made, expected, atol=1e-6)

    @pytest.mark.parametrize(
        ("family", "kind"),
        [("clip", "PlainPixels"), ("siglip", "PlainPixels"), ("dinov2", "PlainPixels"),
         ("siglip2_naflex", "ProcessorPixels")],
    )  # fmt: skip
    def test_a_processor_that_does_more_is_used_itself(
        self, folders: dict[str, Path], family: str, kind: str
    ) -> None:
        from videograph.encoders._preprocessing import pixels_of

        pixels, _ = pixels_of(folders[family])
        assert type(pixels).__name__ == kind

    def test_torchvision_is_not_asked_for(self, folders: dict[str, Path]) -> None:
        from videograph.encoders._preprocessing import ProcessorPixels, pixels_of

        pixels, _ = pixels_of(folders["siglip2_naflex"])
        assert isinstance(pixels, ProcessorPixels) and pixels.processor.backend == "pil"


class TestWords:
    @pytest.mark.parametrize("family", ["clip", "siglip", "siglip2_naflex"])
    def test_texts_lie_in_the_space_of_the_frames(
        self, folders: dict[str, Path], family: str
    ) -> None:
        text = load_text(f"transformers:{folders[family]}")
        frames = load_encoder(f"transformers:{folders[family]}")
        assert text.space == frames.name and text.dim == frames.dim
        model = transformers.AutoModel.from_pretrained(folders[family], dtype=torch.float32).eval()
        tokenizer = transformers.AutoTokenizer.from_pretrained(folders[family])
        is_clip = family == "clip"
        padding: dict[str, Any] = {"padding": "max_length", "max_length": 16}
        sentences = ["a dog", "two dogs run"]
        tokens = tokenizer(
            sentences, return_tensors="pt", **({"padding": True} if is_clip else padding)
        )
        names = ("input_ids", "attention_mask") if is_clip else ("input_ids",)
        with torch.inference_mode():
            made = model.get_text_features(**{name: tokens[name] for name in names})
        expected = unit(made.pooler_output.numpy())
        np.testing.assert_allclose(text.encode_text(sentences), expected, atol=1e-5)

    def test_siglip_is_given_lower_case_as_in_its_training(self, folders: dict[str, Path]) -> None:
        low, high = load_text(f"transformers:{folders['siglip']}").encode_text(["a dog", "A DOG"])
        np.testing.assert_array_equal(low, high)

    def test_a_model_that_only_sees_has_no_words(self, folders: dict[str, Path]) -> None:
        with pytest.raises(UsageError, match=r"sees pictures only\. Allowed for words: .* clip"):
            load_text(f"transformers:{folders['dinov2']}")


class TestNames:
    def test_same_weights_same_name_wherever_they_lie(
        self, folders: dict[str, Path], tmp_path: Path
    ) -> None:
        copy = shutil.copytree(folders["clip"], tmp_path / "elsewhere")
        spec = f"transformers:{folders['clip']}"
        assert load_encoder(f"transformers:{copy}").name == load_encoder(spec).name

    def test_other_weights_other_name(self, folders: dict[str, Path], tmp_path: Path) -> None:
        other = tiny_models.clip(tmp_path / "clip", seed=1)
        names = [load_encoder(f"transformers:{f}").name for f in (folders["clip"], other)]
        assert names[0] != names[1] and all(n.startswith("transformers-clip-") for n in names)

    def test_other_pictures_other_name(self, folders: dict[str, Path], tmp_path: Path) -> None:
        copy = shutil.copytree(folders["dinov2"], tmp_path / "dinov2")
        file = next(f for f in copy.glob("*processor_config.json"))
        config = json.loads(file.read_text())
        config.get("image_processor", config)["resample"] = 2
        file.write_text(json.dumps(config))
        names = [load_encoder(f"transformers:{f}").name for f in (folders["dinov2"], copy)]
        assert names[0] != names[1]

    def test_other_objects_other_name(self, folders: dict[str, Path]) -> None:
        spec = f"transformers:{folders['clip']}"
        names = {load_encoder(spec, objects=o).name for o in ("grid", "clusters", "none")}
        assert len(names) == 3


class TestPrecision:
    def test_half_precision_in_the_file_is_float32_on_a_cpu(self, tmp_path: Path) -> None:
        folder = tiny_models.dinov2(tmp_path / "whole")
        half = shutil.copytree(folder, tmp_path / "half")
        model = transformers.AutoModel.from_pretrained(folder)
        model.to(torch.float16).save_pretrained(half)
        assert {w.dtype for w in load_file(half / "model.safetensors").values()} == {torch.float16}
        seen: list[torch.dtype] = []
        forward = transformers.Dinov2Model.forward

        def spy(self: Any, pixel_values: torch.Tensor, **rest: Any) -> Any:
            seen.extend([pixel_values.dtype, *(p.dtype for p in self.parameters())])
            return forward(self, pixel_values, **rest)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(transformers.Dinov2Model, "forward", spy)
            load_encoder(f"transformers:{half}", device="cpu").encode(noise())
        assert set(seen) == {torch.float32}

    def test_what_half_precision_cannot_hold_is_computed_in_float32(
        self, folders: dict[str, Path]
    ) -> None:
        from videograph.encoders._tower import Tower

        model = transformers.AutoModel.from_pretrained(
            folders["dinov2"], dtype=torch.float32
        ).eval()
        with torch.no_grad():
            model.layernorm.weight.fill_(60_000)  # times 2 is beyond float16
        inputs = {"pixel_values": torch.from_numpy(noise(1, 32, 32)).permute(0, 3, 1, 2) / 255}
        exact = Tower(model, has_pooler=True)(inputs)
        half = Tower(model.half(), has_pooler=True)
        seen = half(inputs)
        assert (
            exact.features.abs().max() > 65_504 and next(model.parameters()).dtype == torch.float32
        )
        np.testing.assert_allclose(
            unit(seen.features.numpy()), unit(exact.features.numpy()), atol=1e-2
        )

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
    def test_half_precision_on_a_gpu_differs_little(self, folders: dict[str, Path]) -> None:
        for family in FAMILIES:
            spec = f"transformers:{folders[family]}"
            cpu, gpu = (load_encoder(spec, device=device) for device in ("cpu", "cuda"))
            assert gpu.name == cpu.name
            np.testing.assert_allclose(
                unit(gpu.encode(noise()).features), unit(cpu.encode(noise()).features), atol=5e-3
            )

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
    def test_a_gpu_that_is_not_there_is_refused(self, folders: dict[str, Path]) -> None:
        with pytest.raises(UsageError, match=r'device is "cuda", but PyTorch finds none here'):
            load_encoder(f"transformers:{folders['clip']}", device="cuda")


class TestFolders:
    def refused(self, what: Path | str) -> str:
        with pytest.raises(VideographError) as caught:
            load_encoder(f"transformers:{what}")
        message = str(caught.value)
        assert "\n" not in message
        return message

    def test_pickled_weights(self, folders: dict[str, Path], tmp_path: Path) -> None:
        copy = shutil.copytree(folders["clip"], tmp_path / "pickled")
        (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
        message = self.refused(copy)
        assert "holds weights only as pytorch_model.bin. Allowed: safetensors" in message

    def test_weights_that_are_not_whole(self, folders: dict[str, Path], tmp_path: Path) -> None:
        copy = shutil.copytree(folders["dinov2"], tmp_path / "part")
        weights = load_file(copy / "model.safetensors")
        del weights["layernorm.weight"]
        save_file(weights, copy / "model.safetensors", {"format": "pt"})
        assert "lacks 1 weights of a Dinov2Model, layernorm.weight among them" in self.refused(copy)

    def test_damaged_weights(self, folders: dict[str, Path], tmp_path: Path) -> None:
        copy = shutil.copytree(folders["dinov2"], tmp_path / "cut")
        file = copy / "model.safetensors"
        file.write_bytes(file.read_bytes()[:-100])
        assert "cannot be read as a Model of transformers" in self.refused(copy)

    def test_no_model_at_all(self, tmp_path: Path) -> None:
        assert "holds no config.json" in self.refused(tmp_path)
        assert "Allowed: clip, siglip2, dinov2; a hub id" in self.refused("cilp")
        assert "Allowed: clip, siglip2, dinov2; a hub id" in self.refused(tmp_path / "nowhere")
        (tmp_path / "file").touch()
        assert "is a file. Allowed: the folder of a model" in self.refused(tmp_path / "file")

    def test_without_transformers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from videograph.encoders._hub import needs

        monkeypatch.setitem(sys.modules, "transformers", None)
        with pytest.raises(VideographError) as caught:
            needs("transformers")
        assert str(caught.value) == (
            "transformers is not installed, which this model needs. "
            "Try: pip install 'videograph[models]'"
        )


# -- the hub -------------------------------------------------------------------------------------------

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def answers(root: Path) -> type[BaseHTTPRequestHandler]:
    """The hub's replies for the models in a folder, as far as a download asks for them."""

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = self.path.partition("?")[0].strip("/").split("/")
            if parts[:2] == ["api", "models"]:
                self.tell_of(root / parts[2] / parts[3], "tree" in parts)
            else:
                self.give(root / parts[0] / parts[1] / "/".join(parts[4:]))

        do_HEAD = do_GET

        def tell_of(self, model: Path, as_tree: bool) -> None:
            if not model.is_dir():
                return self.reply(404, b"{}", {"X-Error-Code": "RepoNotFound"})
            sizes = {f.name: f.stat().st_size for f in model.iterdir()}
            tree: Any = [{"type": "file", "path": n, "size": s, "oid": n} for n, s in sizes.items()]
            if not as_tree:
                siblings = [{"rfilename": n, "size": s} for n, s in sizes.items()]
                tree = {"id": f"a/{model.name}", "sha": COMMIT, "siblings": siblings}
            self.reply(200, json.dumps(tree).encode(), {"Content-Type": "application/json"})

        def give(self, file: Path) -> None:
            if not file.is_file():
                return self.reply(404, b"", {"X-Error-Code": "EntryNotFound"})
            self.reply(200, file.read_bytes(), {"ETag": f'"{file.name}"', "X-Repo-Commit": COMMIT})

        def reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Hub


@pytest.fixture
def hub(folders: dict[str, Path], tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Fetches from a hub of our own: `a/whole`, `a/pickled`; call with online=False to shut it down."""
    models = tmp_path / "models" / "a"
    shutil.copytree(folders["clip"], models / "whole")
    (models / "whole" / "pytorch_model.bin").write_bytes(b"pickle")
    (models / "whole" / "code.py").write_text("raise SystemExit('never')")
    shutil.copytree(folders["clip"], models / "pickled")
    (models / "pickled" / "model.safetensors").rename(models / "pickled" / "pytorch_model.bin")
    server = ThreadingHTTPServer(("127.0.0.1", 0), answers(models.parent))
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def fetched(what: str, *, online: bool = True, **environment: str) -> Any:
        port = server.server_port if online else 9  # nobody listens at "discard"
        code = (
            "import sys; from videograph.encoders._hub import fetch; "
            "from videograph.errors import VideographError\n"
            "try: print(fetch(sys.argv[1], {}, instead='the encoder \"embedded\"'))\n"
            "except VideographError as e: print(e); sys.exit(e.exit_code)"
        )
        return subprocess.run(
            [sys.executable, "-c", code, what], capture_output=True, text=True, timeout=60,
            env={**os.environ, "HF_HOME": str(tmp_path / "cache"), "HF_HUB_DISABLE_XET": "1",
                 "HF_ENDPOINT": f"http://127.0.0.1:{port}", "HF_HUB_OFFLINE": "0", **environment},
        )  # fmt: skip

    yield fetched
    server.shutdown()
    server.server_close()


class TestHub:
    def test_a_download_is_announced_and_then_kept(
        self, hub: Callable[..., Any], folders: dict[str, Path], tmp_path: Path
    ) -> None:
        first = hub("a/whole")
        assert first.returncode == 0, first.stdout + first.stderr
        place = tmp_path / "cache" / "hub"
        assert f"Downloading a/whole (0 MB) to {place}" in first.stderr
        folder = Path(first.stdout.strip())
        assert folder.is_relative_to(place) and COMMIT in folder.parts
        assert {f.name for f in folder.iterdir()} == {f.name for f in folders["clip"].iterdir()}
        names = [load_encoder(f"transformers:{f}").name for f in (folder, folders["clip"])]
        assert names[0] == names[1]

        for environment in ({}, {"HF_HUB_OFFLINE": "1"}):
            later = hub("a/whole", online=False, **environment)
            assert (later.returncode, later.stdout) == (0, first.stdout)
            assert "Downloading" not in later.stderr

    def test_a_model_that_is_only_pickled_is_not_downloaded(self, hub: Callable[..., Any]) -> None:
        told = hub("a/pickled")
        assert told.returncode == 1 and "Downloading" not in told.stderr
        assert "a/pickled has no weights as safetensors. Allowed: safetensors" in told.stdout

    def test_a_model_that_does_not_exist(self, hub: Callable[..., Any]) -> None:
        told = hub("a/nothing")
        assert told.returncode == 1
        assert "the Hugging Face Hub has no model a/nothing" in told.stdout

    def test_offline_is_one_sentence_with_model_cache_and_way_out(
        self, hub: Callable[..., Any], tmp_path: Path
    ) -> None:
        told = hub("a/whole", HF_HUB_OFFLINE="1")
        assert (told.returncode, told.stderr) == (1, "")
        assert told.stdout == (
            f"a/whole is not in the cache ({tmp_path / 'cache' / 'hub'}), and HF_HUB_OFFLINE forbids "
            "to download it. Try: a folder with the model in place of a/whole, or the encoder "
            '"embedded", which needs no download.\n'
        )

    def test_without_a_network_the_command_says_so_at_once(
        self, data: Path, tmp_path: Path
    ) -> None:
        video = data / "videos/dog_eating.mp4"
        start = time.monotonic()
        told = subprocess.run(
            [sys.executable, "-m", "videograph.cli", "summarize", str(video),
             "--encoder", "transformers:clip", "-o", str(tmp_path / "out")],
            capture_output=True, text=True, timeout=60,
            env={**os.environ, "HF_HOME": str(tmp_path / "cache"), "COLUMNS": "1000",
                 "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "0"},
        )  # fmt: skip
        assert told.returncode == 1 and told.stdout == ""
        assert "Traceback" not in told.stderr and told.stderr.count("\n") == 1
        for part in ("openai/clip-vit-base-patch32", str(tmp_path / "cache"), '"embedded"'):
            assert part in told.stderr
        assert time.monotonic() - start < 40
        assert not (tmp_path / "out").exists()


# -- real weights --------------------------------------------------------------------------------------

DOGS = range(152, 270)
"""ImageNet's 118 breeds, behind the class "background"."""
KNOWN = [
    ("dog_eating.mp4", (1, 3, 5), DOGS),
    ("sam2_dog.mp4", (1, 5), DOGS),
    ("bottles_static_camera.mp4", (1, 3, 5), {"water bottle"}),
    ("carphone_176x144.mp4", (1, 3, 5), {"bow tie", "seat belt"}),
]
"""Video, seconds, and what is on the picture there."""


@pytest.mark.parametrize(("video", "seconds", "known"), KNOWN, ids=[k[0] for k in KNOWN])
def test_top_1_of_mobilenet_is_what_the_frame_shows(
    mobilenet: Path, data: Path, video: str, seconds: tuple[int, ...], known: Any
) -> None:
    encoder = load_encoder(f"transformers:{mobilenet}")
    images = grab(
        data / "videos" / video, [Fraction(s) for s in seconds], long_side=encoder.frame_side
    )
    features = encoder.encode(np.stack([np.asarray(image) for image in images])).features
    assert features.shape == (len(seconds), 1280)
    head = transformers.AutoModelForImageClassification.from_pretrained(mobilenet)
    best = head.classifier(torch.from_numpy(features)).argmax(-1).tolist()
    labels = [head.config.id2label[k] for k in best]
    assert all(k in known or label in known for k, label in zip(best, labels, strict=True)), labels


def test_a_video_is_summarized_with_it(mobilenet: Path, data: Path) -> None:
    summary = videograph.summarize(
        data / "videos/bikes_6shots.mp4", encoder=f"transformers:{mobilenet}", budget="30%"
    )
    assert summary.encoder == load_encoder(f"transformers:{mobilenet}").name
    assert summary.active["objects"] and summary.chosen
    assert summary.shots.n_shots >= 4  # six shots, one of them very short
