"""What every member of a workshop must keep; one section per workshop, members found by name."""

from __future__ import annotations

import csv
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import opentimelineio as otio
import pytest
from PIL import Image

import videograph
from videograph.encoders import Encoded, Encoder, available_encoders, load_encoder
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

# -- encoders --------------------------------------------------------------------------------------

ENCODED_FIELDS = tuple(Encoded.__dataclass_fields__)


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
def encoder_name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def encoder(encoder_name: str) -> Encoder:
    return load_encoder(encoder_name)


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
        self, encoder_name: str, encoder: Encoder
    ) -> None:
        assert encoder.name.startswith(encoder_name) and encoder.name != encoder_name
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

    def test_same_frames_same_features(self, encoder_name: str, encoder: Encoder) -> None:
        once = encoder.encode(drawn_frames())
        again = load_encoder(encoder_name).encode(drawn_frames())
        for field in ENCODED_FIELDS:
            np.testing.assert_array_equal(getattr(once, field), getattr(again, field), field)

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


def test_an_unknown_encoder_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(UsageError, match=r'no encoder named "nothing"\. Available: .*builtin'):
        load_encoder("nothing")


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
