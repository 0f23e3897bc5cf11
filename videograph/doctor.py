"""What a file is, and whether this machine can do the work: for `info` and `doctor`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from pathlib import Path

from videograph.records import VideoInfo


@dataclass(frozen=True)
class Finding:
    """One thing that was checked."""

    ok: bool
    """Whether it is as it should be."""
    text: str
    """What was found, and what to try if it is not ok."""


def describe(info: VideoInfo) -> dict[str, str]:
    """Facts of a file, by name, as people read them."""
    from videograph.reasons import spoken

    turned = f", turned by {info.rotation} degrees" if info.rotation else ""
    rate = f"{float(info.average_rate):.3f} on average" if info.average_rate else "not stated"
    length = spoken(float(info.duration_seconds)) if info.duration_seconds else "not stated"
    facts = {
        "file": str(info.path),
        "container": info.container,
        "video": f"{info.codec}, {info.width}x{info.height}{turned}, {info.pixel_format}",
        "frames/s": rate,
        "length": length,
        "frames": str(info.n_frames) if info.n_frames else "not stated",
        "sound": "none" if info.audio_stream is None else f"stream {info.audio_stream}",
        "subtitles": ", ".join(f"stream {i}" for i in info.subtitle_streams) or "none",
    }
    return facts | ({"title": info.title} if info.title else {})


def examine() -> list[Finding]:
    """Everything that `summarize` needs on this machine, tried out."""
    return [
        _try("libraries", _libraries),
        _try("codecs", _codecs),
        _try("drawing, writing and summarizing a short video", _round_trip),
    ]


def _try(what: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(True, f"{what}: {check()}")
    except PackageNotFoundError as error:
        return Finding(False, f"{what}: {error.name} is not installed. Try pip install videograph.")
    except Exception as error:  # a doctor reports whatever is wrong
        return Finding(False, f"{what}: {error}. Try pip install --force-reinstall videograph.")


def _libraries() -> str:
    from videograph.pipeline import versions

    return ", ".join(f"{name} {number}" for name, number in versions().items())


def _codecs() -> str:
    from av.codec import Codec

    for name in ("libx264", "aac"):
        Codec(name, "w")  # raises with a sentence of its own
    return f"H.264 and AAC can be written; {os.cpu_count()} processors"


def _round_trip() -> str:
    from videograph.exporters import export
    from videograph.pipeline import summarize
    from videograph.sample import draw_sample

    with tempfile.TemporaryDirectory() as folder:
        sample = Path(folder) / "sample.mp4"
        draw_sample(sample, n_scenes=2, seconds=4)
        export(summarize(sample, budget=0.5), Path(folder) / "skim.mp4")
        size = (Path(folder) / "skim.mp4").stat().st_size
    return f"works, {size / 1000:.0f} kB of skim"
