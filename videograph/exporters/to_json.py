"""The summary as JSON: everything a program needs to show, check or redo it.

Every field is described in docs/json.md. Times stand twice: as decimal seconds rounded to the
microsecond, and exactly, as a fraction in a string ("3003/250"), which `fractions.Fraction` reads.
"""

from __future__ import annotations

import json
import math
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from videograph.errors import VideographError
from videograph.exporters._timeline import clean, seconds_of
from videograph.records import ChosenShot, Reason, Summary, VideoInfo
from videograph.spill import pieces

SUFFIX = ".json"
FILE_NAME = "summary.json"

SCHEMA = "videograph.summary"
SCHEMA_VERSION = 1
"""Grows when a field changes its meaning or goes; a new field alone does not raise it."""
NUMBERS_AT_ONCE = 8192
"""Numbers of a long list that are written together."""


def write(summary: Summary, path: Path) -> list[str]:
    """Write the summary; there is never anything to add.

    Lists about all shots and steps are put in last and piece by piece: those of a day would take 100 MB.
    """
    mark, late = uuid.uuid4().hex, list[Iterator[str]]()

    def marked(parts: Iterator[str]) -> str:
        late.append(parts)
        return f"{mark}{len(late) - 1}"

    told = _content(
        summary,
        listed=lambda values: marked(_in_pieces(values)),
        each=lambda rows: marked(_one_by_one(rows)),
    )
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for part in re.split(f'("{mark}[0-9]+")', _json(told)):
            if part.startswith(f'"{mark}'):
                file.writelines(late[int(part.strip('"').removeprefix(mark))])
            else:
                file.write(part)
        file.write("\n")
    return []


def _one_by_one(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """A list in the first level of the file as JSON, of one row after the other."""
    before = "["
    for row in rows:
        yield before + f"\n{_json(row)}".replace("\n", "\n    ")
        before = ","
    yield "[]" if before == "[" else "\n  ]"


def _in_pieces(values: np.ndarray) -> Iterator[str]:
    """A list of numbers as JSON."""
    yield "["
    for at in pieces(len(values), NUMBERS_AT_ONCE):
        yield (", " if at.start else "") + json.dumps(_listed(values[at]), allow_nan=False)[1:-1]
    yield "]"


def read(path: Path) -> dict[str, Any]:
    """What `write` wrote, as plain dicts, lists and numbers.

    Raises:
        VideographError: the file cannot be read, or is not a summary of a version known here.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VideographError(
            f"cannot read {path} as a summary: {error}. Try a .json file that videograph exported."
        ) from error
    schema = found.get("schema") if isinstance(found, dict) else None
    version = found.get("schema_version") if isinstance(found, dict) else None
    if schema != SCHEMA or version != SCHEMA_VERSION:
        raise VideographError(
            f'{path} has schema "{schema}" version {version}. Readable: "{SCHEMA}" version '
            f"{SCHEMA_VERSION}. Try to export it anew with this videograph."
        )
    return found


def content(summary: Summary) -> dict[str, Any]:
    """The summary as plain dicts, lists, strings and numbers, in the order of docs/json.md."""
    return _content(summary, _listed, list)


def _content(
    summary: Summary,
    listed: Callable[[np.ndarray], Any],
    each: Callable[[Iterable[dict[str, Any]]], Any],
) -> dict[str, Any]:
    """The summary, with long columns as `listed` gives them, and what is said of each shot as `each` does."""
    report, clock = summary.report, summary.report.clock
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "file": _file(summary.info),
        "n_frames": clock.n_frames,
        **_time("duration", summary.duration_seconds),
        **_time("summary", summary.summary_seconds),
        "budget": summary.budget,
        **_time("budget", summary.budget_seconds),
        "chosen": each(_chosen(i, shot) for i, shot in enumerate(summary.chosen, 1)),
        "spans": each({**_time("start", a), **_time("end", b)} for a, b in summary.spans),
        "shots": {name: listed(values) for name, values in _shots(summary).items()},
        "steps": {
            "frame": listed(summary.picks),
            "seconds": listed(summary.seconds),
            "score": listed(summary.scores),
        },
        "decode_failures": report.decode_failures,
        "n_encoded": report.n_encoded,
        "duration_shortfall": _decimal(float(report.duration_shortfall)),
        "duration_shortfall_exact": str(report.duration_shortfall),
        "sampling": report.sampling,
        "timestamps": report.timestamps,
        "speed": summary.speed,
        "seed": summary.seed,
        "encoder": summary.encoder,
        "form": summary.form,
        "active": _plain(summary.active),
        "versions": _plain(summary.versions),
        "warnings": [clean(sentence) for sentence in summary.warnings],
    }


def _file(info: VideoInfo) -> dict[str, Any]:
    return {
        "name": clean(info.path.name),
        "path": _plain(info.path),
        "title": None if info.title is None else clean(info.title),
        "container": info.container,
        "codec": info.codec,
        "pixel_format": info.pixel_format,
        "width": info.width,
        "height": info.height,
        "rotation": info.rotation,
        "average_rate": None if info.average_rate is None else str(info.average_rate),
        "time_base": str(info.time_base),
        **_time("file_start", info.start_seconds),
        **_time("promised_duration", info.duration_seconds),
        "promised_n_frames": info.n_frames,
        "video_stream": info.video_stream,
        "audio_stream": info.audio_stream,
        "subtitle_streams": list(info.subtitle_streams),
    }


def _chosen(position: int, shot: ChosenShot) -> dict[str, Any]:
    return {
        "position": position,
        "number": shot.number,
        **_time("start", shot.start_seconds),
        **_time("end", shot.end_seconds),
        "start_frame": shot.start_frame,
        "end_frame": shot.end_frame,
        "score": _decimal(shot.score),
        "keyframe": {
            "frame": shot.keyframe,
            "step": shot.keyframe_step,
            **_time("", shot.keyframe_seconds),
        },
        "reason": _reason(shot.reason),
    }


def _reason(reason: Reason) -> dict[str, Any]:
    return {
        "text": clean(reason.text),
        "rank": reason.rank,
        "stands_for_seconds": _decimal(reason.stands_for_seconds),
        "neighbours": [
            {"step": n.step, **_time("", n.seconds), "weight": _decimal(n.weight)}
            for n in reason.neighbours
        ],
        "objects": [
            {
                "kind": o.kind,
                "box": _decimals(o.box),
                "weight": _decimal(o.weight),
                "score": None if o.score is None else _decimal(o.score),
            }
            for o in reason.objects
        ],
        "words": [
            {
                "source": e.source,
                "text": clean(e.text),
                "query": clean(e.query),
                "score": _decimal(e.score),
                **_time("start", e.start_seconds),
                **_time("end", e.end_seconds),
            }
            for e in reason.words
        ],
    }


def _shots(summary: Summary) -> dict[str, np.ndarray]:
    bounds = summary.shots.bounds
    seconds = seconds_of(summary.report.clock, bounds)
    chosen = np.zeros(summary.shots.n_shots, bool)
    chosen[[shot.number for shot in summary.chosen]] = True
    return {
        "start_frame": bounds[:, 0],
        "end_frame": bounds[:, 1],
        "start_seconds": seconds[:, 0],
        "end_seconds": seconds[:, 1],
        "score": summary.shot_scores,
        "chosen": chosen,
    }


def _time(name: str, seconds: Fraction | None) -> dict[str, float | str | None]:
    """A time twice: rounded to the microsecond, and exact."""
    key = f"{name}_seconds" if name else "seconds"
    exact = None if seconds is None else str(Fraction(seconds))
    return {key: None if seconds is None else _decimal(seconds), f"{key}_exact": exact}


def _decimal(value: Fraction | float) -> float | None:
    """Rounded to 6 places; None for what JSON has no number for."""
    number = round(float(value), 6)
    return number if math.isfinite(number) else None


def _listed(values: np.ndarray) -> list[Any]:
    return _decimals(values) if values.dtype.kind == "f" else values.tolist()


def _decimals(values: Any) -> list[float | None]:
    return [_decimal(value) for value in np.asarray(values, dtype=np.float64).tolist()]


def _plain(value: Any) -> Any:
    """Any value in the types of JSON; what has none becomes its text."""
    if isinstance(value, Mapping):
        return {clean(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return _decimal(value)
    if value is None or isinstance(value, bool | int):
        return value
    return str(value).encode("utf-8", "replace").decode("utf-8")


def _json(value: dict[str, Any]) -> str:
    """Indented JSON with lists of plain numbers on one line each, for a file people can scroll.

    A line break never stands inside a JSON string, so what this matches is never text.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2)
    return re.sub(r"\[\n[^\[\]{}\"]*\]", _one_line, text)


def _one_line(found: re.Match[str]) -> str:
    return f"[{' '.join(found[0][1:-1].split())}]"
