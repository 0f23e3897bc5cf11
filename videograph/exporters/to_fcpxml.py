"""The summary as FCPXML 1.9, for Final Cut Pro and DaVinci Resolve.

One asset (the original file), one sequence, an asset-clip per span, a marker per chosen shot. Every
time is a whole number of frames, written as a fraction of a second ("1001/30000s"), so nothing is
"not on an edit frame boundary". Element order and attributes follow Apple's DTD for version 1.9.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from fractions import Fraction
from pathlib import Path

import av

from videograph.errors import VideographError
from videograph.exporters._timeline import (
    Cut,
    Timeline,
    clean,
    clock_text,
    drops_frames,
    file_uri,
    timeline,
)
from videograph.records import Summary, VideoInfo
from videograph.video import open_media

SUFFIX = ".fcpxml"
FILE_NAME = "timeline.fcpxml"

FORMAT, ASSET = "r1", "r2"


def write(summary: Summary, path: Path) -> list[str]:
    """Write the timeline; returns sentences where the file's rate varies or editors lack it."""
    lane = timeline(summary, editing_rates_only=True)
    name = clean(summary.info.path.name)
    root = ET.Element("fcpxml", version="1.9")
    _resources(ET.SubElement(root, "resources"), summary.info, lane, name)
    event = ET.SubElement(ET.SubElement(root, "library"), "event", name="videograph")
    project = ET.SubElement(event, "project", name=f"Summary of {name}")
    spine = ET.SubElement(_sequence(project, lane), "spine")
    for cut in lane.cuts:
        _clip(spine, cut, lane)
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    path.write_text(
        f'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE fcpxml>\n{text}\n', encoding="utf-8"
    )
    return list(lane.notes)


def time(frames: int, rate: Fraction) -> str:
    """A number of frames as FCPXML's rational seconds, never reduced to hide the frame."""
    return f"{frames * rate.denominator}/{rate.numerator}s" if frames else "0s"


def _resources(resources: ET.Element, info: VideoInfo, lane: Timeline, name: str) -> None:
    size = {"width": str(info.width), "height": str(info.height)}
    ET.SubElement(resources, "format", {"id": FORMAT, "frameDuration": time(1, lane.rate), **size})
    duration = time(lane.n_source_frames, lane.rate)
    asset = {"id": ASSET, "name": name, "start": "0s", "duration": duration}
    asset |= {"hasVideo": "1", "format": FORMAT, "videoSources": "1"} | _sound(info)
    element = ET.SubElement(resources, "asset", asset)
    ET.SubElement(element, "media-rep", kind="original-media", src=file_uri(info.path))


def _sound(info: VideoInfo) -> dict[str, str]:
    """What an asset says of its sound; channels and rate only while the file is there to ask."""
    if info.audio_stream is None:
        return {}
    sound = {"hasAudio": "1", "audioSources": "1"}
    try:
        with open_media(info.path) as container:
            codec = container.streams[info.audio_stream].codec_context
            if isinstance(codec, av.AudioCodecContext) and codec.channels and codec.sample_rate:
                sound["audioChannels"] = str(codec.channels)
                sound["audioRate"] = str(codec.sample_rate)
    except (VideographError, OSError, IndexError):
        pass  # the attributes are optional, and an editor reads them off the file
    return sound


def _sequence(project: ET.Element, lane: Timeline) -> ET.Element:
    return ET.SubElement(
        project,
        "sequence",
        format=FORMAT,
        duration=time(lane.n_frames, lane.rate),
        tcStart="0s",
        tcFormat=_timecode_format(lane),
    )


def _clip(spine: ET.Element, cut: Cut, lane: Timeline) -> None:
    clip = ET.SubElement(
        spine,
        "asset-clip",
        ref=ASSET,
        name=cut.name,
        offset=time(cut.record, lane.rate),
        start=time(cut.start, lane.rate),
        duration=time(cut.n_frames, lane.rate),
        tcFormat=_timecode_format(lane),
    )
    for frame, position, shot in lane.marks(cut):
        ET.SubElement(
            clip,
            "marker",
            start=time(frame, lane.rate),
            duration=time(1, lane.rate),
            value=f"{position} · {clock_text(shot.start_seconds)} · score {shot.score:.2f}",
            note=clean(shot.reason.text),
        )


def _timecode_format(lane: Timeline) -> str:
    return "DF" if drops_frames(lane.rate) else "NDF"
