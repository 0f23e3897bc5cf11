"""The storyboard: one page that shows the summary, says why, and plays the video beside it.

The page is a single file that loads nothing but the video. Its template, style and script lie
beside this file; what they show is worked out here, so the page says the same without a script.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
import numpy as np
from markupsafe import Markup
from PIL import Image

from videograph.exporters._curve import timeline
from videograph.exporters._timeline import seconds_of
from videograph.records import ChosenShot, SeenObject, Summary

SUFFIX = ".html"
FILE_NAME = "storyboard.html"

IMAGE_WIDTHS = (480, 320, 240, 160)
"""Widths of the key frames in pixels; the first at which all of them fit into `IMAGES_BYTES`."""
IMAGES_BYTES = 24_000_000
"""Room for key frames: phones still open such a page, and a day of video stays below it."""
THUMBNAILS_BYTES = 6_000_000
"""Room for thumbnails; beyond it they are thinned evenly."""
N_HOVER_STEPS = 20_000
"""Steps whose score can be read off the curve; beyond it every n-th."""
LABEL_SHARE = 16 / 320
"""Height of a box's label as a share of a card's width on a phone, the narrowest place."""
N_NEIGHBOURS = 4
"""Neighbours shown on a card, one row of small pictures."""
MAX_CLIMB = 3
"""Folders up from the page to which the video still counts as lying near it."""
SAMPLINGS = {
    "exact frames": "the frame shown at each half second",
    "nearest reference frames": "the nearest reference frame",
    "key frames": "key frames of the file only",
}


def write(summary: Summary, path: Path, *, beside: Sequence[str] = ()) -> list[str]:
    """Write the page to `path`; its links count from the folder of `path`.

    Args:
        summary: what to show.
        path: where to.
        beside: names of this summary's other results in the same folder, to link to.
    """
    with path.open("wb") as file:  # piece by piece: a day's page with its pictures is 40 MB
        for piece in _template().generate(**_page(summary, path, beside)):
            file.write(piece.encode("utf-8", "replace"))  # a file name may hold stray surrogates
    return []


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["timecode"] = timecode
    environment.filters["in_words"] = length
    environment.filters["share"] = share
    return environment.from_string(_resource("storyboard.html.j2"))


def _resource(name: str) -> str:
    return files("videograph.exporters").joinpath(name).read_text("utf-8")


def _page(summary: Summary, path: Path, beside: Sequence[str]) -> dict[str, Any]:
    """All that the template shows."""
    script = _resource("storyboard.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    name = summary.info.path.name
    return {
        "summary": summary,
        "title": summary.info.title or name,
        "name": name,
        "video": video_url(summary.info.path, path.parent),
        "decimals": sum(summary.duration_seconds < limit for limit in (3, 600)),
        "cards": _cards(summary),
        "detected": _is_detected(summary),
        "timeline": timeline(summary),
        "made": _made(summary),
        "siblings": list(beside),
        "data": _data(summary),
        "style": Markup(_resource("storyboard.css")),
        "script": Markup(script),
        "script_hash": digest,
    }


def video_url(video: Path, folder: Path) -> str:
    """Address of the video as seen from a page in `folder`, percent-encoded.

    Relative where the two lie near each other, so that they can travel together; absolute elsewhere.
    """
    video, folder = Path(os.path.abspath(video)), Path(os.path.abspath(folder))
    try:
        parts = Path(os.path.relpath(video, folder)).parts
    except ValueError:  # another drive
        return video.as_uri()
    if parts.count("..") > MAX_CLIMB:
        return video.as_uri()
    return "/".join(quote(os.fsencode(part), safe="") for part in parts)


def timecode(seconds: float | Fraction, decimals: int = 0) -> str:
    """A time as players write it: "1:02", "1:02:03", "0:07.5"."""
    units = 10**decimals
    whole, rest = divmod(int(float(seconds) * units + 1e-6), units)
    minutes, s = divmod(whole, 60)
    hours, m = divmod(minutes, 60)
    text = f"{hours}:{m:02}:{s:02}" if hours else f"{m}:{s:02}"
    return f"{text}.{rest:0{decimals}}" if decimals else text


def length(seconds: float | Fraction) -> str:
    """A duration in words: "0.04 s", "7.5 s", "1 min 32 s", "2 h 3 min"."""
    if seconds < 1:
        return f"{float(seconds):.2f} s"
    if seconds < 10:
        return f"{float(seconds):.1f} s"
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    if hours:
        return f"{hours} h {m} min" if m else f"{hours} h"
    if m:
        return f"{m} min {s} s" if s else f"{m} min"
    return f"{s} s"


def share(part: float) -> str:
    """A share in per cent, with as many digits as say something."""
    if part < 0.001:
        return "< 0.1 %"
    return f"{100 * part:.1f} %" if part < 0.1 else f"{100 * part:.0f} %"


def _data_url(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def shrink(jpeg: bytes, width: int) -> bytes:
    """The same picture as a JPEG at most `width` pixels wide."""
    with Image.open(io.BytesIO(jpeg)) as image:
        size = (width, max(1, round(image.height * width / image.width)))
        image.draft("RGB", size)  # JPEG decodes faster at a half, a quarter or an eighth
        small = image.convert("RGB")
    if small.width > width:
        small = small.resize(size, Image.Resampling.HAMMING)  # fast, and good when shrinking
    out = io.BytesIO()
    small.save(out, "JPEG", quality=80, optimize=True)
    return out.getvalue()


def _images(summary: Summary) -> Iterator[bytes]:
    """Pictures of the cards, small enough together; the nearest thumbnail where there is no key frame."""
    images = summary.keyframe_images
    if len(images) != len(summary.chosen):
        return (_nearest_thumbnail(summary, shot.keyframe_step) for shot in summary.chosen)
    width = _image_width(images)
    return (shrink(image, width) for image in images)


def _image_width(images: Sequence[bytes]) -> int:
    """The largest width at which all pictures fit, judged by a dozen of them."""
    sample = [images[i] for i in np.linspace(0, len(images) - 1, min(12, len(images))).astype(int)]
    for width in IMAGE_WIDTHS:
        mean = sum(len(shrink(image, width)) for image in sample) / len(sample)
        if mean * len(images) <= IMAGES_BYTES:
            return width
    return IMAGE_WIDTHS[-1]


def _nearest_thumbnail(summary: Summary, step: int) -> bytes:
    if not summary.thumbnails:
        return b""
    return summary.thumbnails[min(summary.thumbnails, key=lambda other: abs(other - step))]


def _thumbnails(summary: Summary) -> list[tuple[float, str]]:
    """Time and base64 JPEG of the thumbnails the page carries, in order of time."""
    steps = sorted(summary.thumbnails)
    size = sum(len(summary.thumbnails[step]) for step in steps)
    every = max(1, -(-size // THUMBNAILS_BYTES))
    return [
        (round(float(summary.seconds[s]), 3), base64.b64encode(summary.thumbnails[s]).decode())
        for s in steps[::every]
    ]


def _cards(summary: Summary) -> Iterator[dict[str, Any]]:
    """What the cards show, one by one."""
    styles: dict[str, int] = {}
    room = 100 * LABEL_SHARE * summary.info.width / summary.info.height
    for shot, image in zip(summary.chosen, _images(summary), strict=True):
        yield {
            "shot": shot,
            "image": _data_url(image) if image else None,
            "objects": [
                _box(seen, styles, room) for seen in shot.reason.objects if seen.kind != "none"
            ],
            "neighbours": shot.reason.neighbours[:N_NEIGHBOURS],
            "seen": _seen(shot),
        }


def _box(seen: SeenObject, styles: dict[str, int], room: float) -> dict[str, Any]:
    """A box in per cent of the picture; a detector's classes take turns among three styles.

    Its label stands above it. Where there is no room: below it, or, if it is tall, in it at its foot.
    """
    x0, y0, x1, y1 = (100 * min(1.0, max(0.0, edge)) for edge in seen.box)
    kind = seen.kind
    if seen.score is not None or kind not in ("moving", "salient", "grid", "cluster"):
        kind = f"class{styles.setdefault(kind, len(styles)) % 3}"
    number = seen.weight if seen.score is None else seen.score
    label = f"{seen.kind} {share(number)}"
    side = "" if y0 >= room else "below" if y1 + room <= 100 else "foot"
    return {
        "x": x0,
        "y": y0,
        "w": x1 - x0,
        "h": y1 - y0,
        "style": kind,
        "label": label,
        "side": side,
    }


def _is_detected(summary: Summary) -> bool:
    """Whether a detector named the objects; else they are regions that the encoder found."""
    return any(seen.score is not None for shot in summary.chosen for seen in shot.reason.objects)


def _seen(shot: ChosenShot) -> str:
    """The objects of a card in words: "person, 2 × chair"; the grid is not worth a word."""
    kinds = (
        seen.kind for seen in shot.reason.objects if seen.kind not in ("none", "grid", "cluster")
    )
    counts = Counter(kinds).most_common()
    return ", ".join(kind if n == 1 else f"{n} × {kind}" for kind, n in counts)


def _made(summary: Summary) -> list[tuple[str, str]]:
    """How the summary came about, as names and values."""
    info, report = summary.info, summary.report
    rate = f" at {float(info.average_rate):.4g} frames/s" if info.average_rate else ""
    return [
        ("Video", f"{info.width} × {info.height}, {info.codec}{rate}, {length(report.clock.duration)}"),
        ("Encoder", summary.encoder),
        ("Model", summary.form),
        ("Active parts", _active(summary) or "none"),
        ("Frames seen", f"{len(summary.picks)}, {SAMPLINGS.get(report.sampling, report.sampling)}"
                        f" ({summary.speed})"),
        ("Budget", f"{summary.budget}, that is {length(summary.budget_seconds)}"),
        ("Seed", str(summary.seed)),
        ("Time stamps", "read from the file" if report.timestamps == "file" else report.timestamps),
        ("Decode failures", str(report.decode_failures)),
        ("Duration shortfall", length(report.duration_shortfall) if report.duration_shortfall else "none"),
        ("Versions", ", ".join(f"{k} {v}" for k, v in summary.versions.items()) or "not recorded"),
    ]  # fmt: skip


def _active(summary: Summary) -> str:
    """Parts that ran: a switch by its name, a setting with its value."""
    parts = {
        name.removeprefix("n_").replace("_", " "): value for name, value in summary.active.items()
    }
    return ", ".join(
        name if value is True else f"{name} {value}"
        for name, value in parts.items()
        if value is not False and value is not None
    )


def _data(summary: Summary) -> dict[str, Any]:
    """What the script needs: times in seconds, scores, thumbnails."""
    every = max(1, -(-len(summary.scores) // N_HOVER_STEPS))
    starts = seconds_of(summary.report.clock, summary.shots.bounds[:, 0])
    return {
        "duration": round(float(summary.duration_seconds), 3),
        "chosen": [_times(shot.start_seconds, shot.end_seconds) for shot in summary.chosen],
        "keys": _times(*(shot.keyframe_seconds for shot in summary.chosen)),
        "spans": [_times(*span) for span in summary.spans],
        "shots": [round(float(start), 3) for start in starts],
        "shot_scores": [round(float(score), 3) for score in summary.shot_scores],
        "seconds": [round(float(s), 2) for s in summary.seconds[::every]],
        "scores": [round(float(s), 3) for s in summary.scores[::every]],
        "thumbnails": _thumbnails(summary),
    }


def _times(*seconds: Fraction) -> list[float]:
    return [round(float(s), 4) for s in seconds]
