"""The summary as an OpenTimelineIO timeline: a video track, and an audio track where there is sound.

Each span is a clip that points into the original file; each chosen shot is a marker with its score
and reason. Marker and source ranges are in the file's own time, frame 0 at second 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videograph.exporters._timeline import Cut, Timeline, clean, clock_text, file_uri, timeline
from videograph.records import ChosenShot, Summary

if TYPE_CHECKING:
    import opentimelineio as otio

SUFFIX = ".otio"
FILE_NAME = "timeline.otio"
NO_CLIPS = '"children": []'
"""A track without clips in the library's JSON; inside a string its quotes would have backslashes."""
CLIP_INDENT = 10 * " "


def write(summary: Summary, path: Path) -> list[str]:
    """Write the timeline at the file's own rate; returns a sentence where that rate varies.

    Clips are put into the tracks one by one as they are written: those of a day would take 30 MB.
    """
    import opentimelineio as otio

    lane = timeline(summary)
    kinds = [otio.schema.TrackKind.Video]
    if summary.info.audio_stream is not None:
        kinds.append(otio.schema.TrackKind.Audio)
    result = otio.schema.Timeline(
        name=clean(summary.info.path.stem), metadata={"videograph": _run_facts(summary)}
    )
    for kind in kinds:
        result.tracks.append(otio.schema.Track(name=kind, kind=kind))
    start, *ends = result.to_json_string(indent=2).split(NO_CLIPS)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(start)
        for end in ends:
            file.writelines(_clips(summary, lane))
            file.write(end)
        file.write("\n")
    return list(lane.notes)


def _clips(summary: Summary, lane: Timeline) -> Iterator[str]:
    """The clips of a track, as the library would write them in their place."""
    before = '"children": ['
    for cut in lane.cuts:
        text = _clip(summary, lane, cut).to_json_string(indent=2)
        yield before + f"\n{text}".replace("\n", f"\n{CLIP_INDENT}")
        before = ","
    yield f"\n{CLIP_INDENT[:-2]}]"


def _clip(summary: Summary, lane: Timeline, cut: Cut) -> otio.schema.Clip:
    import opentimelineio as otio

    return otio.schema.Clip(
        name=cut.name,
        source_range=_range(lane, cut.start, cut.end),
        media_reference=otio.schema.ExternalReference(
            target_url=file_uri(summary.info.path),
            available_range=_range(lane, 0, lane.n_source_frames),
        ),
        markers=[_marker(lane, frame, at, shot) for frame, at, shot in lane.marks(cut)],
        metadata={"videograph": {"shots": [_shot_facts(shot) for shot in cut.shots]}},
    )


def _marker(lane: Timeline, frame: int, position: int, shot: ChosenShot) -> otio.schema.Marker:
    import opentimelineio as otio

    return otio.schema.Marker(
        name=f"{position} · {clock_text(shot.start_seconds)}",
        marked_range=_range(lane, frame, frame + 1),
        color=otio.schema.MarkerColor.GREEN,
        comment=clean(shot.reason.text),
        metadata={"videograph": _shot_facts(shot)},
    )


def _range(lane: Timeline, start: int, end: int) -> otio.opentime.TimeRange:
    from opentimelineio.opentime import RationalTime, TimeRange

    rate = float(lane.rate)
    return TimeRange(RationalTime(start, rate), RationalTime(end - start, rate))


def _shot_facts(shot: ChosenShot) -> dict[str, Any]:
    return {
        "number": shot.number,
        "start_seconds": str(shot.start_seconds),
        "end_seconds": str(shot.end_seconds),
        "keyframe_seconds": str(shot.keyframe_seconds),
        "score": round(float(shot.score), 6),
        "rank": shot.reason.rank,
        "stands_for_seconds": round(float(shot.reason.stands_for_seconds), 3),
        "reason": clean(shot.reason.text),
    }


def _run_facts(summary: Summary) -> dict[str, Any]:
    return {
        "budget": summary.budget,
        "encoder": summary.encoder,
        "form": summary.form,
        "seed": summary.seed,
        "versions": dict(summary.versions),
    }
