"""Detectors on real frames whose content is known, and tiny random models through the real loading code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from videograph.encoders import Detected, ObjectDetector, _boxes, _yolox, detector, load_objects
from videograph.encoders._pixels import preparation
from videograph.errors import UsageError, VideographError
from videograph.video import grab

PEOPLE = {
    8: (0.49, 0.04, 0.68, 0.91),
    24: (0.48, 0.07, 0.69, 0.96),
    52: (0.52, 0.01, 0.73, 0.94),
    76: (0.43, 0.13, 0.66, 0.99),
    94: (0.49, 0.05, 0.69, 0.91),
    118: (0.54, 0.03, 0.70, 0.93),
    124: (0.29, 0.40, 0.65, 1.00),
    134: (0.47, 0.00, 0.69, 0.88),
}
"""Seconds of persons_one_by_one.mp4 at which one person is in the room, and where, read off the picture."""
EMPTY = (2, 22, 46, 50, 74, 90, 92, 122, 138)
"""Seconds at which nobody is."""


@pytest.fixture(scope="module")
def yolox(data: Path) -> ObjectDetector:
    return load_objects(f"detector:{data}/weights/yolox_nano.onnx")


@pytest.fixture(scope="module")
def room(data: Path) -> dict[int, np.ndarray]:
    """Frames of the surveillance clip, by second."""
    seconds = sorted([*PEOPLE, *EMPTY])
    video = data / "videos/persons_one_by_one.mp4"
    images = grab(video, [Fraction(s) for s in seconds], long_side=416)
    return {s: np.asarray(image) for s, image in zip(seconds, images, strict=True)}


def found(detector: ObjectDetector, seen: Detected, i: int) -> list[tuple[str, np.ndarray]]:
    """Name and box of what is on the i-th frame."""
    return [
        (detector.names[seen.kinds[i, n]], seen.boxes[i, n]) for n in np.flatnonzero(seen.mask[i])
    ]


# -- a real detector -------------------------------------------------------------------------------


def test_people_are_found_where_they_are(
    yolox: ObjectDetector, room: dict[int, np.ndarray]
) -> None:
    seen = yolox.detect(np.stack([room[s] for s in PEOPLE]))
    for i, (second, box) in enumerate(PEOPLE.items()):
        people = [b for name, b in found(yolox, seen, i) if name == "person"]
        assert len(people) == 1, f"{len(people)} people at {second} s"
        assert _boxes.overlaps(np.array(box), people[0][None])[0] > 0.65, (second, people[0])


def test_nobody_is_found_in_the_empty_room(data: Path, room: dict[int, np.ndarray]) -> None:
    lenient = load_objects(f"detector:{data}/weights/yolox_nano.onnx", threshold=0.3)
    seen = lenient.detect(np.stack([room[s] for s in EMPTY]))
    for i, second in enumerate(EMPTY):
        assert "person" not in [name for name, _ in found(lenient, seen, i)], second


@pytest.mark.parametrize(
    ("video", "second", "names"),
    [
        ("dog_eating.mp4", 3, {"dog"}),
        ("bottles_static_camera.mp4", 3, {"bottle"}),
        ("sam2_bedroom.mp4", 3, {"person", "bed"}),
        ("meeting_room_2.webm", 3, {"person", "laptop"}),
    ],
)
def test_things_are_called_by_their_names(
    yolox: ObjectDetector, data: Path, video: str, second: int, names: set[str]
) -> None:
    (image,) = grab(data / "videos" / video, [Fraction(second)], long_side=416)
    seen = found(yolox, yolox.detect(np.asarray(image)[None]), 0)
    assert {name for name, _ in seen} == names


def test_boxes_do_not_depend_on_the_size_or_shape_of_the_frame(
    yolox: ObjectDetector, room: dict[int, np.ndarray]
) -> None:
    image = room[8]
    height, width = image.shape[:2]
    large = np.asarray(Image.fromarray(image).resize((2 * width, 2 * height)))
    tall = np.zeros((2 * width, width, 3), np.uint8)
    tall[:height] = image
    expected = yolox.detect(image[None]).boxes[0, 0]
    np.testing.assert_allclose(yolox.detect(large[None]).boxes[0, 0], expected, atol=0.03)
    squeezed = expected * np.array([1, height / (2 * width)] * 2)
    np.testing.assert_allclose(yolox.detect(tall[None]).boxes[0, 0], squeezed, atol=0.03)


def test_yolox_frames_together_and_alone(
    yolox: ObjectDetector, room: dict[int, np.ndarray]
) -> None:
    images = np.stack(list(room.values())[:3])
    assert_alike(yolox, images, tolerance=0)


class DecodedInFile:
    """The session of a file that was exported with its boxes in pixels."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.get_inputs = session.get_inputs

    def run(self, names: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        rows = self._session.run(names, inputs)[0].copy()
        cells, strides = _yolox.grid((416, 416))
        rows[0, :, :2] = (rows[0, :, :2] + cells) * strides
        rows[0, :, 2:4] = np.exp(rows[0, :, 2:4]) * strides
        return [rows]


def test_a_file_that_gives_pixels_finds_the_same(data: Path, room: dict[int, np.ndarray]) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(f"{data}/weights/yolox_nano.onnx")
    wanted = _boxes.Wanted(0.5, 8, overlap=0.45)
    made = [
        _yolox.YoloxDetector(s, (416, 416), _boxes.COCO_NAMES, "x-1", wanted)
        for s in (session, DecodedInFile(session))
    ]
    one, other = (detector.detect(room[8][None]) for detector in made)
    assert one.mask.any()
    np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-5)


# -- refusals --------------------------------------------------------------------------------------


def refused(kind: type[Exception], message: str, what: object, **options: Any) -> None:
    with pytest.raises(kind, match=message) as caught:
        load_objects(f"detector:{what}", **options)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_yolox_are_refused(data: Path, tmp_path: Path) -> None:
    refused(UsageError, r"there is no file .*/none\.onnx\. Allowed:", tmp_path / "none.onnx")
    text = tmp_path / "text.onnx"
    text.write_text("not a network")
    refused(VideographError, r"text\.onnx cannot be read as ONNX", text)
    faces = data / "weights/yunet_n_320_320.onnx"
    refused(
        VideographError,
        r"gives cls_8 \(1, 1600, 1\) .*, .*Allowed: one output \(1, 2100, 5 \+ kinds\)",
        faces,
    )


class Pictured:
    """The session of a file of another form."""

    def __init__(
        self, shape: list[object], kind: str = "tensor(float)", n_cells: int = 3549
    ) -> None:
        self._inputs = [SimpleNamespace(name="images", shape=shape, type=kind)] if shape else []
        self._n_cells = n_cells

    def get_inputs(self) -> list[Any]:
        return self._inputs

    def get_outputs(self) -> list[Any]:
        return [SimpleNamespace(name="output", shape=[1, "cells", 85], type="tensor(float)")]

    def run(self, names: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        return [np.zeros((1, self._n_cells, 85), np.float32)]


@pytest.mark.parametrize(
    ("session", "message"),
    [
        (
            Pictured([1, 3, 416, 416], "tensor(float16)"),
            r"takes images .* tensor\(float16\)\. Allowed",
        ),
        (Pictured([4, 3, 416, 416]), r"takes images \(4, 3, 416, 416\) .*Allowed: one picture"),
        (Pictured([]), r"takes nothing\. Allowed: one picture"),
        (
            Pictured([1, 3, 416, 416], n_cells=99),
            "it gives 99 boxes, not 3549.*Try to export it again",
        ),
    ],
)
def test_files_that_cannot_be_shown_a_picture_are_refused(
    session: Any, message: str, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_yolox, "_session", lambda path, device: session)
    refused(VideographError, message, data / "weights/yolox_nano.onnx")


def test_names_that_are_no_text_are_refused(data: Path, tmp_path: Path) -> None:
    shutil.copy(data / "weights/yolox_nano.onnx", tmp_path / "mine.onnx")
    (tmp_path / "mine.txt").write_bytes("Fuß\n".encode("latin-1") * 80)
    refused(VideographError, r"mine\.txt cannot be read as text .*UTF-8", tmp_path / "mine.onnx")


@pytest.mark.parametrize("told", ['{"size": {"height": 8, "width": 8}, "resample": "sharp"}', "[]"])
def test_a_preparation_that_makes_no_sense_is_refused(told: str, tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(told)
    with pytest.raises(VideographError, match="says of its pictures what is not understood"):
        preparation(tmp_path)


def test_options_out_of_range_are_refused(data: Path) -> None:
    file = data / "weights/yolox_nano.onnx"
    refused(UsageError, r"threshold is 1\.5\. Allowed: above 0, below 1", file, threshold=1.5)
    refused(UsageError, r"n_objects is 0\. Allowed: whole numbers from 1", file, n_objects=0)
    refused(
        UsageError,
        r'device is "tpu"\. Allowed for an \.onnx file here: auto, cpu',
        file,
        device="tpu",
    )


def test_other_kinds_need_names(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mine.onnx"
    shutil.copy(data / "weights/yolox_nano.onnx", file)
    beside = tmp_path / "mine.txt"
    beside.write_text("cat\ndog\n")
    refused(UsageError, r"mine\.txt has 2 names, mine\.onnx finds 80 kinds of object", file)
    beside.write_text("\n".join(f"thing {n}" for n in range(80)))
    assert load_objects(f"detector:{file}").names[:2] == ("none", "thing 0")
    beside.unlink()
    monkeypatch.setattr(_yolox, "COCO_NAMES", ("cat", "dog"))
    refused(UsageError, r"finds 80 kinds of object, and nothing names them\. Try a text file", file)


def test_frames_of_another_form_are_refused(yolox: ObjectDetector) -> None:
    with pytest.raises(UsageError, match=r"images are \(2, 8, 8\) uint8\. Allowed: \(n, height"):
        yolox.detect(np.zeros((2, 8, 8), np.uint8))


def test_no_frames(yolox: ObjectDetector) -> None:
    assert yolox.detect(np.zeros((0, 90, 160, 3), np.uint8)).boxes.shape == (0, 8, 4)


def test_names_no_model_has_are_refused(data: Path) -> None:
    refused(UsageError, r'no model "d-fin"\. Allowed: d-fine, rt-detr, owlv2', "d-fin")
    folder = data / "weights/hf/mobilenet_v2_1.0_224"
    refused(VideographError, r"holds a mobilenet_v2, which is no detector known here", folder)


# -- what is kept ----------------------------------------------------------------------------------


def test_a_thing_is_found_once_and_the_surest_come_first() -> None:
    boxes = np.array(
        [[0.1, 0.1, 0.5, 0.5], [0.12, 0.1, 0.5, 0.5], [0.12, 0.1, 0.5, 0.5], [0.6, 0.6, 1.2, 0.9],
         [0.3, 0.3, 0.3, 0.6]]
    )  # fmt: skip
    frame = _boxes.Proposals(boxes, np.array([0.6, 0.9, 0.7, 0.8, 0.95]), np.array([0, 0, 1, 0, 0]))
    seen = _boxes.settle([frame], _boxes.Wanted(0.5, 4))
    assert seen.scores[0].tolist() == pytest.approx([0.9, 0.8, 0.7, 0])
    assert seen.kinds[0].tolist() == [1, 1, 2, 0]
    np.testing.assert_allclose(seen.boxes[0, 1], [0.6, 0.6, 1.0, 0.9])
    assert _boxes.settle([frame], _boxes.Wanted(0.85, 1)).mask.tolist() == [[True]]


# -- models of transformers ------------------------------------------------------------------------

LABELS = {
    "id2label": {0: "person", 1: "dog", 2: "car"},
    "label2id": {"person": 0, "dog": 1, "car": 2},
}
SMALL = {
    "d_model": 32,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "decoder_layers": 2,
    "encoder_layers": 1,
    "num_queries": 12,
}
PYRAMID = {"encoder_hidden_dim": 32, "decoder_in_channels": [32] * 3, "num_feature_levels": 3}


def rt_detr() -> Any:
    from transformers import RTDetrConfig, RTDetrForObjectDetection, RTDetrResNetConfig

    eyes = RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 12, 16, 24], depths=[1] * 4, layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = RTDetrConfig(
        backbone_config=eyes, encoder_in_channels=[12, 16, 24], **SMALL, **PYRAMID, **LABELS
    )
    return RTDetrForObjectDetection(config)


def d_fine() -> Any:
    from transformers import DFineConfig, DFineForObjectDetection, HGNetV2Config

    eyes = HGNetV2Config(
        embedding_size=8, hidden_sizes=[12, 16, 24, 32], stem_channels=[3, 8, 8],
        stage_in_channels=[8, 12, 16, 24], stage_mid_channels=[8] * 4,
        stage_out_channels=[12, 16, 24, 32], stage_num_blocks=[1] * 4,
        stage_numb_of_layers=[1] * 4, out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = DFineConfig(
        backbone_config=eyes, encoder_in_channels=[16, 24, 32], **SMALL, **PYRAMID, **LABELS
    )
    return DFineForObjectDetection(config)


def detr() -> Any:
    from transformers import DetrConfig, DetrForObjectDetection, ResNetConfig

    eyes = ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 12, 16, 24], depths=[1] * 4, layer_type="basic",
        out_features=["stage4"],
    )  # fmt: skip
    return DetrForObjectDetection(DetrConfig(backbone_config=eyes, **SMALL, **LABELS))


def owlv2() -> Any:
    from transformers import Owlv2Config, Owlv2ForObjectDetection

    both = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    text = {"vocab_size": 99, "max_position_embeddings": 16, "bos_token_id": 1, "eos_token_id": 2}
    config = Owlv2Config(
        text_config={**both, **text, "pad_token_id": 0},
        vision_config={**both, "image_size": 64, "patch_size": 16},
        projection_dim=16,
    )
    model = Owlv2ForObjectDetection(config)
    for layer in (model.class_head.logit_scale, model.class_head.logit_shift):
        layer.weight.data.zero_()  # random ones make all as sure as can be
    return model


def grounding_dino() -> Any:
    from transformers import (
        BertConfig,
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        SwinConfig,
    )

    eyes = SwinConfig(
        image_size=64, embed_dim=8, depths=[1] * 3, num_heads=[1, 2, 2], window_size=4,
        out_features=["stage2", "stage3"],
    )  # fmt: skip
    ears = BertConfig(
        vocab_size=99, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=64,
    )  # fmt: skip
    config = GroundingDinoConfig(
        backbone_config=eyes, text_config=ears, num_feature_levels=3, max_text_len=32, **SMALL
    )
    return GroundingDinoForObjectDetection(config)


def tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = [
        "[PAD]",
        "[CLS]",
        "[SEP]",
        "[UNK]",
        ".",
        "a",
        "photo",
        "of",
        "person",
        "dog",
        "red",
        "car",
    ]
    made = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]",
        unk_token="[UNK]",
    )  # fmt: skip


SQUARE = {"size": {"height": 64, "width": 64}}
EDGES = {"size": {"shortest_edge": 64, "longest_edge": 96}}
FAMILIES: dict[str, tuple[Callable[[], Any], str, dict[str, Any]]] = {
    "rt-detr": (rt_detr, "RTDetr", SQUARE),
    "d-fine": (d_fine, "RTDetr", SQUARE),
    "detr": (detr, "Detr", EDGES),
    "owlv2": (owlv2, "Owlv2", SQUARE),
    "grounding-dino": (grounding_dino, "GroundingDino", EDGES),
}
OPEN = ("owlv2", "grounding-dino")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny random models of each family, as `save_pretrained` writes them."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    transformers.utils.logging.disable_progress_bar()
    place = tmp_path_factory.mktemp("models")
    for seed, (family, (make, processor, size)) in enumerate(FAMILIES.items()):
        torch.manual_seed(seed)
        make().save_pretrained(place / family)
        tokenizer().save_pretrained(place / family)
        getattr(transformers, f"{processor}ImageProcessorPil")(**size).save_pretrained(
            place / family
        )
    return {family: place / family for family in FAMILIES}


def load(folder: Path, **options: Any) -> ObjectDetector:
    return load_objects(
        f"detector:{folder}", names=("Person", "red car.", "dog"), device="cpu", **options
    )


def soft_frames(n: int = 5) -> np.ndarray:
    """Coloured blurs, (n, 72, 128, 3) uint8."""
    coarse = np.random.default_rng(0).integers(0, 256, (n, 5, 8, 3), dtype=np.uint8)
    return np.stack(
        [np.asarray(Image.fromarray(c).resize((128, 72), Image.Resampling.BICUBIC)) for c in coarse]
    )


def assert_alike(detector: ObjectDetector, images: np.ndarray, tolerance: float) -> None:
    together = detector.detect(images)
    assert together.mask.any()
    for i, image in enumerate(images):
        alone = detector.detect(image[None])
        for field in ("boxes", "scores", "kinds", "mask"):
            np.testing.assert_allclose(
                getattr(alone, field)[0], getattr(together, field)[i], atol=tolerance, err_msg=field
            )


@pytest.mark.parametrize("family", FAMILIES)
class TestEveryFamily:
    def test_it_loads_from_a_folder_and_keeps_to_the_form(
        self, family: str, folders: dict[str, Path]
    ) -> None:
        loaded = load(folders[family], threshold=0.05, n_objects=6)
        seen = loaded.detect(soft_frames())
        named = ("person", "red car", "dog") if family in OPEN else ("person", "dog", "car")
        assert loaded.names == ("none", *named)
        assert loaded.name.startswith("detector-") and 64 <= loaded.frame_side <= 96
        assert seen.boxes.shape == (5, 6, 4) and seen.boxes.dtype == np.float32
        assert (
            seen.mask.any()
            and not seen.boxes[~seen.mask].any()
            and not seen.kinds[~seen.mask].any()
        )
        inside = seen.boxes[seen.mask]
        assert inside.min() >= 0 and inside.max() <= 1 and (inside[:, 2:] > inside[:, :2]).all()
        assert (seen.scores[seen.mask] >= 0.05).all() and (np.diff(seen.scores) <= 0).all()
        assert set(seen.kinds[seen.mask].tolist()) <= {1, 2, 3}

    def test_frames_together_and_alone(self, family: str, folders: dict[str, Path]) -> None:
        assert_alike(load(folders[family], threshold=0.05), soft_frames(), tolerance=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_frames_are_prepared_as_the_library_does(family: str, folders: dict[str, Path]) -> None:
    theirs = processor_of(folders[family], family)(images=list(soft_frames(2)), return_tensors="np")
    pixels = preparation(folders[family]).pixels(soft_frames(2))
    apart = np.abs(pixels - theirs["pixel_values"])
    assert apart.mean() < (0.02 if family == "owlv2" else 1e-5)  # its library filter is another one


@pytest.mark.parametrize("family", ["rt-detr", "d-fine", "detr", "owlv2"])
def test_it_finds_what_the_library_itself_finds(family: str, folders: dict[str, Path]) -> None:
    seen = load(folders[family], threshold=0.05).detect(soft_frames(2))
    theirs = libraries_own(folders[family], family, soft_frames(2))
    assert seen.mask.any()
    for i, expected in enumerate(theirs):
        boxes = (expected["boxes"].numpy() / np.array([128, 72, 128, 72])).clip(0, 1)
        told = seen.scores[i] > expected["scores"].numpy().min() + 1e-4  # the library drops some
        for n in np.flatnonzero(seen.mask[i] & told):
            same = expected["labels"].numpy() + 1 == seen.kinds[i, n]
            same &= np.isclose(expected["scores"].numpy(), seen.scores[i, n], atol=1e-4)
            assert (same & np.isclose(boxes, seen.boxes[i, n], atol=1e-3).all(axis=1)).any()
        whole = (boxes[:, 2:] - boxes[:, :2] > _boxes.SLIVER).all(axis=1)
        assert seen.scores[i, 0] == pytest.approx(expected["scores"].numpy()[whole].max(), abs=1e-4)


def processor_of(folder: Path, family: str) -> Any:
    """The library's own image processor, of the kind that needs no torchvision."""
    transformers = pytest.importorskip("transformers")
    return getattr(transformers, f"{FAMILIES[family][1]}ImageProcessorPil").from_pretrained(folder)


def libraries_own(folder: Path, family: str, images: np.ndarray) -> list[dict[str, Any]]:
    """What transformers' own processor reads in the model's output on the same pixels."""
    import torch
    import transformers

    kind = "ZeroShotObjectDetection" if family in OPEN else "ObjectDetection"
    model = getattr(transformers, f"AutoModelFor{kind}").from_pretrained(folder).eval()
    inputs: dict[str, Any] = {"pixel_values": torch.tensor(preparation(folder).pixels(images))}
    if family in OPEN:
        said = [f"a photo of a {name}" for name in ("person", "red car", "dog")] * len(images)
        words = transformers.AutoTokenizer.from_pretrained(folder)(
            said, padding="max_length", max_length=16, return_tensors="pt"
        )
        inputs |= {key: words[key] for key in ("input_ids", "attention_mask")}
    with torch.inference_mode():
        output = model(**inputs)
    sizes = [image.shape[:2] for image in images]
    return processor_of(folder, family).post_process_object_detection(
        output, threshold=0.05, target_sizes=sizes
    )


def test_grounding_dino_names_a_box_by_its_likeliest_token(folders: dict[str, Path]) -> None:
    torch = pytest.importorskip("torch")
    from videograph.encoders._detr import GroundingDino

    config = pytest.importorskip("transformers").AutoConfig.from_pretrained(
        folders["grounding-dino"]
    )
    reading = GroundingDino(config, folders["grounding-dino"], ("person", "red car", "dog"))
    assert reading.inputs(2)["input_ids"][1].tolist() == [1, 8, 4, 10, 11, 4, 9, 4, 2]
    logits = torch.full((1, 1, 32), -9.0)
    logits[0, 0, [1, 4, 7]] = torch.tensor([0.0, 2.0, 5.0])  # person, car, and the last dot
    sure = reading.probabilities(logits)[0, 0].tolist()
    assert sure == pytest.approx([0.5, 0.8808, 0.0001], abs=1e-3)


@pytest.mark.parametrize("preset", OPEN)
def test_a_preset_that_was_told_nothing_is_not_downloaded(
    preset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detector, "fetch", lambda *_, **__: pytest.fail("it was fetched"))
    refused(
        UsageError, rf"{preset} finds what it is told to look for, and was told nothing", preset
    )


@pytest.mark.parametrize("family", OPEN)
def test_who_is_told_what_to_look_for_must_be_told(family: str, folders: dict[str, Path]) -> None:
    refused(
        UsageError,
        r"finds what it is told to look for, and was told nothing\. Try",
        folders[family],
    )
    refused(UsageError, r"was told nothing", folders[family], names=(" ", "."))


def test_more_names_than_it_reads_are_refused(folders: dict[str, Path]) -> None:
    names = [f"thing {n}" for n in range(20)]
    message = r"20 names make 62 tokens, grounding-dino reads 32\. Try fewer names"
    refused(UsageError, message, folders["grounding-dino"], names=names)


def test_damaged_folders_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(folders["rt-detr"], bare)
    (bare / "preprocessor_config.json").unlink()
    refused(VideographError, r"holds no preprocessor_config\.json, which says how pictures", bare)
    (bare / "preprocessor_config.json").write_text('{"size": {"max_side": 3}}')
    refused(VideographError, r"prepares pictures to size \{'max_side': 3\}\. Allowed: height", bare)
    (bare / "preprocessor_config.json").write_text("{")
    refused(VideographError, r"preprocessor_config\.json is not JSON", bare)
    config = json.loads((bare / "config.json").read_text("utf-8"))
    config["backbone_config"] = {"model_type": "timm_backbone", "backbone": "resnet50"}
    (bare / "config.json").write_text(json.dumps(config))
    if find_spec("timm") is None:
        refused(VideographError, r"sees through a network of timm, which is not installed", bare)
    (bare / "model.safetensors").unlink()
    refused(VideographError, r"bare holds no weights", bare)


def test_no_gpu_here_is_said(folders: dict[str, Path]) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    refused(
        UsageError, r'device is "cuda", but PyTorch finds none', folders["rt-detr"], device="cuda"
    )
