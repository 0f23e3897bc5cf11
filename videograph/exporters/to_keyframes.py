"""Key frames: a folder with one JPEG per chosen shot, named so that they sort by time and tell it."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

from videograph.errors import VideographError
from videograph.records import Summary

SUFFIX = ""
FILE_NAME = "keyframes"
OURS = re.compile(r"\d{3,}_\d\d+h\d\dm\d\d\.\d{3}s\.jpg")


def is_ours(path: Path) -> bool:
    """Whether a file in a folder of key frames may be one of them."""
    return OURS.fullmatch(path.name) is not None


def write(summary: Summary, path: Path) -> list[str]:
    """Write the key frames as `001_00h01m23.500s.jpg`, ...: number in the summary, time in the video.

    Raises:
        VideographError: the summary was made without images.
    """
    if len(summary.keyframe_images) != len(summary.chosen):
        raise VideographError(
            f"the summary holds {len(summary.keyframe_images)} images for {len(summary.chosen)} shots. "
            "Summarize the video again to get its key frames."
        )
    path.mkdir(parents=True)
    n_digits = max(3, len(str(len(summary.chosen))))
    for number, (shot, image) in enumerate(
        zip(summary.chosen, summary.keyframe_images, strict=True), start=1
    ):
        name = f"{number:0{n_digits}}_{_clock_face(shot.keyframe_seconds)}.jpg"
        (path / name).write_bytes(image)
    return []


def _clock_face(seconds: Fraction) -> str:
    """A time without the colons that Windows forbids in names: "00h01m23.500s"."""
    thousandths = int(seconds * 1000)
    minutes, thousandths = divmod(thousandths, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}h{minutes:02}m{thousandths // 1000:02}.{thousandths % 1000:03}s"
