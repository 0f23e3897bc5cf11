"""Key frames as a folder of images."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from videograph.errors import UsageError, VideographError
from videograph.exporters import export
from videograph.records import ChosenShot, Clock, ReadReport, Reason, Shots, Summary, VideoInfo


def jpeg(shade: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (32, 18), (shade, shade, shade)).save(file, "JPEG")
    return file.getvalue()


def summary_at(*moments: Fraction, images: int | None = None) -> Summary:
    """A summary with a key frame at each of the moments."""
    clock = Clock(np.arange(2000), 2000, Fraction(100))
    info = VideoInfo(
        path=Path("film.mp4"), container="mov", codec="h264", pixel_format="yuv420p", width=32,
        height=18, rotation=0, average_rate=None, time_base=clock.time_base,
        start_seconds=Fraction(0), duration_seconds=None, n_frames=None, video_stream=0,
        audio_stream=None,
    )  # fmt: skip
    chosen = tuple(
        ChosenShot(
            number=k, start_frame=k, end_frame=k + 1, start_seconds=clock.seconds(k),
            end_seconds=clock.seconds(k + 1), score=0.5, keyframe=k, keyframe_step=k,
            keyframe_seconds=moment, reason=Reason("", 1, 1.0),
        )
        for k, moment in enumerate(moments)
    )  # fmt: skip
    return Summary(
        info=info, report=ReadReport(clock, 0, Fraction(0), "exact frames"),
        shots=Shots(np.array([[0, 2000]])), shot_scores=np.array([0.5]), picks=np.array([0]),
        seconds=np.array([0.0]), scores=np.array([0.5], np.float32), chosen=chosen, budget="15%",
        budget_seconds=Fraction(1), speed="exact", seed=0, encoder="none", form="none", active={},
        versions={},
        keyframe_images=tuple(
            jpeg(10 * k) for k in range(len(moments) if images is None else images)
        ),
    )  # fmt: skip


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_one_image_per_shot_named_by_time(tmp_path: Path) -> None:
    summary = summary_at(Fraction(0), Fraction(167, 2), Fraction(36_000_001, 9_999))
    assert export(summary, tmp_path / "keyframes") == []
    assert names(tmp_path / "keyframes") == [
        "001_00h00m00.000s.jpg",
        "002_00h01m23.500s.jpg",
        "003_01h00m00.360s.jpg",
    ]
    for name, image in zip(names(tmp_path / "keyframes"), summary.keyframe_images, strict=True):
        assert (tmp_path / "keyframes" / name).read_bytes() == image
        with Image.open(tmp_path / "keyframes" / name) as opened:
            assert opened.size == (32, 18)


def test_names_sort_by_time_and_suit_every_system(tmp_path: Path) -> None:
    summary = summary_at(*(Fraction(k * 997, 10) for k in range(1200)))
    export(summary, tmp_path / "many")
    found = names(tmp_path / "many")
    assert found[0].startswith("0001_") and found[-1].startswith("1200_33h12m")
    assert [n[5:] for n in found] == sorted(n[5:] for n in found)
    assert not set("".join(found)) & set('<>:"/\\|?* ')


def test_a_folder_is_replaced_only_when_asked(tmp_path: Path) -> None:
    export(summary_at(Fraction(0), Fraction(1)), tmp_path / "keyframes")
    with pytest.raises(UsageError, match="exists already"):
        export(summary_at(Fraction(2)), tmp_path / "keyframes")
    export(summary_at(Fraction(2)), tmp_path / "keyframes", force=True)
    assert names(tmp_path / "keyframes") == ["001_00h00m02.000s.jpg"]
    assert names(tmp_path) == ["keyframes"]


def test_a_summary_without_images_fails(tmp_path: Path) -> None:
    with pytest.raises(VideographError, match="0 images for 2 shots"):
        export(summary_at(Fraction(0), Fraction(1), images=0), tmp_path / "keyframes")
    assert list(tmp_path.iterdir()) == []
