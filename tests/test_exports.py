"""The exporters of text: JSON, CSV, WebVTT, OpenTimelineIO, EDL, FCPXML."""

from __future__ import annotations

import csv
import itertools
import json
import re
import unicodedata
import xml.etree.ElementTree as ET
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import av
import numpy as np
import opentimelineio as otio
import pytest

from videograph import records as r
from videograph.errors import VideographError
from videograph.exporters import _timeline, export, load_exporter, to_json
from videograph.pipeline import summarize

DOCS = Path(__file__).resolve().parent.parent / "docs"
TEXT_EXPORTERS = ("json", "csv", "vtt", "otio", "edl", "fcpxml")
NTSC_FILM, NTSC, NTSC_DOUBLE = (Fraction(n, 1001) for n in (24000, 30000, 60000))
ODD_NAME = 'Tom & Jerry\'s "50%" #1 <é> 影片?.mp4'


def constant_clock(rate: Fraction, seconds: int, time_base: Fraction | None = None) -> r.Clock:
    """Frames at a constant rate; with a coarse time base, rounded to it as containers do."""
    n_frames = int(seconds * rate)
    time_base = time_base or 1 / (rate * 512)
    step = 1 / (rate * time_base)
    doubled = 2 * np.arange(n_frames + 1, dtype=np.int64) * step.numerator + step.denominator
    ticks = doubled // (2 * step.denominator)
    return r.Clock(ticks[:-1], int(ticks[-1]), time_base)


def variable_clock(n_frames: int, seed: int = 0) -> r.Clock:
    """A phone's clock: 30 frames a second that slow down to 12 in the dark, with a hole."""
    steps = np.random.default_rng(seed).choice(
        [30, 33, 34, 60, 83], n_frames, p=[0.1, 0.5, 0.2, 0.1, 0.1]
    )
    steps[n_frames // 2] = 2000
    ends = np.cumsum(steps)
    return r.Clock(np.concatenate([[0], ends[:-1]]), int(ends[-1]), Fraction(1, 1000))


def make_summary(
    clock: r.Clock | None = None,
    *,
    name: str = "match.mp4",
    rate: Fraction | None = Fraction(25),
    n_shots: int = 10,
    chosen: tuple[int, ...] = (1, 4, 5, 8),
    audio: int | None = 1,
    seed: int = 0,
) -> r.Summary:
    """A summary of a video that is only a clock, drawn from a seed."""
    rng = np.random.default_rng(seed)
    clock = clock or constant_clock(Fraction(25), 60)
    inner = np.sort(rng.choice(np.arange(1, clock.n_frames), n_shots - 1, replace=False))
    edges = np.concatenate([[0], inner, [clock.n_frames]]).astype(np.int64)
    shots = r.Shots(np.stack([edges[:-1], edges[1:]], axis=1))
    picks = np.unique(np.linspace(0, clock.n_frames - 1, min(120, clock.n_frames)).astype(np.int64))
    scores = rng.random(len(picks)).astype(np.float32)
    shot_scores = rng.random(n_shots)
    info = r.VideoInfo(
        path=Path("/films") / name, container="mov,mp4,m4a,3gp,3g2,mj2", codec="h264",
        pixel_format="yuv420p", width=1280, height=720, rotation=0, average_rate=rate,
        time_base=clock.time_base, start_seconds=Fraction(0), duration_seconds=clock.duration,
        n_frames=clock.n_frames, video_stream=0, audio_stream=audio, title="A title",
    )  # fmt: skip
    return r.Summary(
        info=info, report=r.ReadReport(clock, 0, Fraction(0), "exact frames"), shots=shots,
        shot_scores=shot_scores, picks=picks, seconds=clock.seconds_of(picks), scores=scores,
        chosen=tuple(_chosen(clock, shots, shot_scores, number) for number in chosen),
        budget="15%", budget_seconds=clock.duration * Fraction(15, 100), speed="exact", seed=0,
        encoder="builtin-1", form="training-free",
        active={"objects": True, "words": False, "n_recursions": np.int64(3), "threshold": 0.5},
        versions={"videograph": "0.1.0"}, warnings=("Three packets could not be decoded.",),
    )  # fmt: skip


def _chosen(clock: r.Clock, shots: r.Shots, scores: np.ndarray, number: int) -> r.ChosenShot:
    start, end = (int(frame) for frame in shots.bounds[number])
    rank = int((scores > scores[number]).sum()) + 1
    reason = r.Reason(
        text=f"Stands for 42 s of the video, most of all for 00:0{number % 10}.",
        rank=rank,
        stands_for_seconds=41.7,
        neighbours=(r.Neighbour(3, clock.seconds(min(3, clock.n_frames - 1)), 0.25),),
        objects=(r.SeenObject("moving", (0.1, 0.2, 0.5, 0.75), 0.6),),
        words=(r.Evidence("subtitles", "A dog!", "dogs", 0.75, Fraction(1, 3), Fraction(2)),),
    )
    middle = (start + end) // 2
    return r.ChosenShot(
        number=number, start_frame=start, end_frame=end, start_seconds=clock.seconds(start),
        end_seconds=clock.seconds(end), score=float(scores[number]), keyframe=middle,
        keyframe_step=0, keyframe_seconds=clock.seconds(middle), reason=reason,
    )  # fmt: skip


CLOCKS = {
    "23.976": (constant_clock(NTSC_FILM, 300), NTSC_FILM, NTSC_FILM),
    "24": (constant_clock(Fraction(24), 300), Fraction(24), Fraction(24)),
    "25": (constant_clock(Fraction(25), 300), Fraction(25), Fraction(25)),
    "29.97 over an hour": (constant_clock(NTSC, 4000), NTSC, NTSC),
    "29.97 in whole milliseconds": (constant_clock(NTSC, 600, Fraction(1, 1000)), NTSC, NTSC),
    "23.976 in a WebM that says 1000": (
        constant_clock(NTSC_FILM, 600, Fraction(1, 1000)), Fraction(1000), NTSC_FILM),
    "59.94": (constant_clock(NTSC_DOUBLE, 700), NTSC_DOUBLE, NTSC_DOUBLE),
    "60 without a promise": (constant_clock(Fraction(60), 100), None, Fraction(60)),
    "120": (constant_clock(Fraction(120), 60), Fraction(120), Fraction(120)),
    "5": (constant_clock(Fraction(5), 300), Fraction(5), Fraction(5)),
    "12.5": (constant_clock(Fraction(25, 2), 300), Fraction(25, 2), Fraction(25, 2)),
    "29.8333": (constant_clock(Fraction(179, 6), 300), Fraction(179, 6), Fraction(179, 6)),
}  # fmt: skip


@pytest.fixture(params=CLOCKS)
def at_rate(request: pytest.FixtureRequest) -> tuple[r.Summary, Fraction]:
    clock, promised, rate = CLOCKS[request.param]
    return make_summary(clock, rate=promised, n_shots=40, chosen=tuple(range(1, 40, 3))), rate


def written(summary: r.Summary, name: str, folder: Path) -> tuple[Path, list[str]]:
    path = folder / load_exporter(name).FILE_NAME
    return path, export(summary, path)


# --- what all of them promise -------------------------------------------------------------------


@pytest.mark.parametrize("name", TEXT_EXPORTERS)
def test_same_summary_gives_the_same_bytes(name: str, tmp_path: Path):
    first, _ = written(make_summary(), name, tmp_path / "a")
    second, _ = written(make_summary(), name, tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()
    assert first.suffix == load_exporter(name).SUFFIX
    assert first.read_bytes().endswith(b"\n")


@pytest.mark.parametrize("name", TEXT_EXPORTERS)
@pytest.mark.parametrize(
    "video", [ODD_NAME, "видео 影片 🎬.mp4", "line\nbreak\x07.mp4", "bad\udcff.mp4"]
)
def test_odd_file_names_give_valid_text(name: str, video: str, tmp_path: Path):
    path, _ = written(make_summary(name=video), name, tmp_path)
    text = path.read_bytes().decode("utf-8")
    if name == "fcpxml":
        ET.fromstring(text)
    elif name in ("json", "otio"):
        json.loads(text)
    elif name == "edl":
        assert text.isascii()


def test_names_keep_what_a_line_can_hold():
    kept = "a  b\u00a0c 👩‍🚀 é.mp4"
    assert _timeline.clean(kept) == kept
    assert _timeline.clean("a\nb\u2028c\udcff\uffff\x00.mp4\n") == "a b c   .mp4"


@pytest.mark.parametrize("name", TEXT_EXPORTERS)
def test_one_frame_video(name: str, tmp_path: Path):
    clock = r.Clock(np.array([0]), 1, Fraction(1, 25))
    path, notes = written(make_summary(clock, n_shots=1, chosen=(0,)), name, tmp_path)
    assert path.stat().st_size > 20
    assert notes == []


# --- the grid -----------------------------------------------------------------------------------


def test_rate_is_found_from_the_clock(at_rate):
    summary, rate = at_rate
    assert _timeline.frame_rate(summary.report.clock, summary.info.average_rate) == (rate, True)


def test_short_clip_takes_the_promised_rate():
    clock = constant_clock(NTSC_FILM, 1, Fraction(1, 1000))
    assert _timeline.frame_rate(clock, NTSC_FILM) == (NTSC_FILM, True)
    one = r.Clock(np.array([0]), 40, Fraction(1, 1000))
    assert _timeline.frame_rate(one, None) == (Fraction(25), True)


def test_variable_rate_takes_an_editing_rate_and_says_so():
    timeline = _timeline.timeline(make_summary(variable_clock(3000), rate=Fraction(2711, 100)))
    assert timeline.rate in (NTSC, Fraction(30))
    (note,) = timeline.notes
    assert "match.mp4 varies" in note
    assert "17 ms" in note


@pytest.mark.parametrize("rate", [NTSC_FILM, Fraction(24), NTSC, Fraction(30), NTSC_DOUBLE])
def test_a_hole_does_not_change_the_rate(rate: Fraction):
    clock = constant_clock(rate, 60, Fraction(1, 1000))
    pts = np.where(np.arange(clock.n_frames) < 700, clock.pts, clock.pts + 1234)
    holed = r.Clock(pts, clock.end + 1234, clock.time_base)
    assert _timeline.frame_rate(holed, None) == (rate, False)


@pytest.mark.parametrize(
    ("rate", "instead"),
    [(5, 25), (10, 30), (12, 24), (15, 30), (48, 24), (100, 50), (120, 60), (240, 60)],
)
def test_rates_that_editors_lack_give_way_to_one_on_the_same_grid(rate: int, instead: int):
    assert _timeline.editing_rate(Fraction(rate)) == instead


def test_spans_on_the_grid_are_near_whole_and_apart(at_rate):
    summary, rate = at_rate
    timeline = _timeline.timeline(summary)
    assert timeline.notes == ()
    before = record = 0
    for cut, (start, end) in zip(timeline.cuts, summary.spans, strict=True):
        assert abs(cut.start - start * rate) <= Fraction(1, 2)
        assert abs(cut.end - end * rate) <= Fraction(1, 2)
        assert before <= cut.start < cut.end <= timeline.n_source_frames
        assert cut.record == record
        before, record = cut.end, record + cut.n_frames
    assert timeline.n_frames == record


@pytest.mark.parametrize("seed", range(5))
def test_spans_finer_than_the_grid_stay_whole_and_apart(seed: int):
    rng = np.random.default_rng(seed)
    edges = np.sort(rng.choice(240, 80, replace=False))
    spans = [(Fraction(int(a), 240), Fraction(int(b), 240)) for a, b in edges.reshape(-1, 2)]
    ranges = _timeline.on_grid(spans, Fraction(60), 60)
    assert all(0 <= start < end <= 60 for start, end in ranges)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(ranges))


@cache
def labels(count: int, dropped: int, minutes: int) -> list[str]:
    """Every timecode of so many minutes, counted off one by one as SMPTE ST 12-1 says."""
    mark = ";" if dropped else ":"
    return [
        f"{minute // 60:02}:{minute % 60:02}:{second:02}{mark}{frame:02}"
        for minute in range(minutes)
        for second in range(60)
        for frame in range(count)
        if not (dropped and minute % 10 and second == 0 and frame < dropped)
    ]


@pytest.mark.parametrize(
    ("rate", "count", "dropped"),
    [
        (NTSC, 30, 2),
        (NTSC_DOUBLE, 60, 4),
        (NTSC_FILM, 24, 0),
        (Fraction(25), 25, 0),
        (Fraction(30), 30, 0),
    ],
)
def test_timecode_counts_as_smpte_says(rate: Fraction, count: int, dropped: int):
    expected = labels(count, dropped, 71)
    near = [i for i, label in enumerate(expected) if label[6:8] in ("00", "59") or label < "00:01"]
    assert [_timeline.timecode(i, rate) for i in near] == [expected[i] for i in near]
    assert expected[_timeline.frames_per_hour(rate)][:8] == "01:00:00"
    assert expected[_timeline.frames_per_hour(rate)][9:] == "00"


def test_drop_frame_keeps_to_the_wall_clock():
    frame = round(10 * 3600 * NTSC)
    assert _timeline.timecode(frame, NTSC).startswith(("10:00:00", "09:59:59"))


# --- JSON ---------------------------------------------------------------------------------------


def test_json_holds_the_summary_exactly(tmp_path: Path):
    summary = make_summary(constant_clock(NTSC, 90), rate=NTSC)
    path, _ = written(summary, "json", tmp_path)
    found = to_json.read(path)
    assert [Fraction(c["start_seconds_exact"]) for c in found["chosen"]] == [
        c.start_seconds for c in summary.chosen
    ]
    assert [
        (Fraction(s["start_seconds_exact"]), Fraction(s["end_seconds_exact"]))
        for s in found["spans"]
    ] == (summary.spans)
    for got, shot in zip(found["chosen"], summary.chosen, strict=True):
        assert got["start_seconds"] == pytest.approx(float(shot.start_seconds), abs=1e-6)
        assert got["keyframe"]["frame"] == shot.keyframe
        assert got["reason"]["text"] == shot.reason.text
    assert found["steps"]["frame"] == summary.picks.tolist()
    assert found["shots"]["chosen"].count(True) == len(summary.chosen)
    assert found["active"]["n_recursions"] == 3


def test_json_keeps_number_lists_on_a_line_and_leaves_text_alone(tmp_path: Path):
    tricky = "[\n 1, 2 ] stays [ 1,  2 ]"
    summary = replace(make_summary(), active={"note": tricky})
    path, _ = written(summary, "json", tmp_path)
    assert to_json.read(path)["active"]["note"] == tricky
    assert len(path.read_text(encoding="utf-8").splitlines()) < 400


def test_json_has_no_nan(tmp_path: Path):
    summary = replace(make_summary(), active={"loss": float("nan"), "best": np.float32("inf")})
    path, _ = written(summary, "json", tmp_path)
    json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert to_json.read(path)["active"] == {"loss": None, "best": None}


def test_json_read_refuses_another_schema(tmp_path: Path):
    path = tmp_path / "other.json"
    path.write_text('{"schema": "videograph.summary", "schema_version": 99}', encoding="utf-8")
    with pytest.raises(
        VideographError, match=r'version 99. Readable: "videograph.summary" version 1'
    ):
        to_json.read(path)
    path.write_text("[]", encoding="utf-8")
    with pytest.raises(VideographError, match='schema "None"'):
        to_json.read(path)


def test_json_read_refuses_what_is_no_json(tmp_path: Path):
    path = tmp_path / "no.json"
    path.write_text("no", encoding="utf-8")
    with pytest.raises(VideographError, match=r"cannot read .*Try a \.json file"):
        to_json.read(path)


JSON_TYPES = {
    str: "string", bool: "boolean", int: "integer", float: "number", dict: "object",
    type(None): "null",
}  # fmt: skip


def leaves(value: object, path: str = "") -> list[tuple[str, str | None]]:
    """Path and type of every value; None for the type of what an empty list would hold."""
    if isinstance(value, list):
        return [leaf for item in value for leaf in leaves(item, f"{path}[]")] or [
            (f"{path}[]", None)
        ]
    if isinstance(value, dict) and path not in ("active", "versions"):  # open by design
        return [leaf for k, v in value.items() for leaf in leaves(v, f"{path}.{k}".lstrip("."))]
    return [(path, JSON_TYPES[type(value)])]


def documented_types() -> dict[str, list[str]]:
    text = (DOCS / "json.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]+)` \| ([a-z ]+) \|", text, re.MULTILINE)
    return {path: types.split(" or ") for path, types in rows}


def example() -> dict[str, object]:
    text = (DOCS / "json.md").read_text(encoding="utf-8")
    return json.loads(text.split("```json\n")[1].split("```")[0])


@pytest.mark.parametrize("source", ["summary", "documented example"])
def test_json_is_as_documented_every_key_both_ways_and_its_type(source: str):
    found = leaves(to_json.content(make_summary()) if source == "summary" else example())
    documented = documented_types()
    assert list(dict.fromkeys(path for path, _ in found)) == list(documented)
    for path, kind in found:
        assert kind is None or kind in documented[path], path


# --- CSV ----------------------------------------------------------------------------------------


def test_csv_is_a_row_per_shot(tmp_path: Path):
    summary = make_summary()
    path, _ = written(summary, "csv", tmp_path)
    assert path.read_bytes().startswith(b"\xef\xbb\xbfposition,")
    assert path.read_bytes().count(b"\r\n") == 1 + len(summary.chosen)
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row, shot in zip(rows, summary.chosen, strict=True):
        assert float(row["start_seconds"]) == pytest.approx(float(shot.start_seconds), abs=1e-6)
        assert int(row["end_frame"]) == shot.end_frame
        assert row["reason"] == shot.reason.text


def test_csv_survives_quotes_breaks_and_formulas(tmp_path: Path):
    summary = make_summary(chosen=(2,))
    nasty = '=HYPERLINK("x"), a\n"b"'
    shot = replace(summary.chosen[0], reason=replace(summary.chosen[0].reason, text=nasty))
    path, _ = written(replace(summary, chosen=(shot,)), "csv", tmp_path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["reason"] == '\'=HYPERLINK("x"), a "b"'


# --- WebVTT -------------------------------------------------------------------------------------


def test_vtt_cues_lie_on_the_original(tmp_path: Path):
    summary = make_summary(constant_clock(NTSC, 4000), rate=NTSC, n_shots=30, chosen=(3, 4, 17, 29))
    path, _ = written(summary, "vtt", tmp_path)
    blocks = path.read_text(encoding="utf-8").strip().split("\n\n")
    assert blocks[0] == "WEBVTT"
    for i, (block, shot) in enumerate(zip(blocks[2:], summary.chosen, strict=True), 1):
        number, times, title = block.split("\n")
        start, end = (_vtt_seconds(t) for t in times.split(" --> "))
        assert number == str(i)
        assert abs(start - shot.start_seconds) <= Fraction(1, 2000)
        assert abs(end - shot.end_seconds) <= Fraction(1, 2000)
        assert re.fullmatch(rf"{i} · [\d:]+ · stands for 42 s", title)


def _vtt_seconds(text: str) -> Fraction:
    hours, minutes, seconds = text.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)


def test_vtt_escapes_markup_and_arrows(tmp_path: Path):
    path, _ = written(make_summary(name="a --> b & <c>.mp4"), "vtt", tmp_path)
    text = path.read_text(encoding="utf-8")
    assert "a --&gt; b &amp; &lt;c&gt;.mp4" in text
    assert text.count("-->") == 4


# --- OpenTimelineIO -----------------------------------------------------------------------------


def inside(inner: otio.opentime.TimeRange, outer: otio.opentime.TimeRange) -> bool:
    return (
        outer.start_time <= inner.start_time
        and inner.end_time_exclusive() <= outer.end_time_exclusive()
    )


def test_otio_reads_back_with_the_spans_of_the_summary(at_rate, tmp_path: Path):
    summary, rate = at_rate
    path, notes = written(summary, "otio", tmp_path)
    assert notes == []
    timeline = otio.adapters.read_from_file(str(path))
    assert [t.kind for t in timeline.tracks] == ["Video", "Audio"]
    for track in timeline.tracks:
        for clip, (start, end) in zip(track, summary.spans, strict=True):
            seen = clip.source_range
            assert seen.start_time.rate == float(rate)
            assert abs(seen.start_time.value / rate - start) <= 1 / (2 * rate)
            assert abs(seen.end_time_exclusive().value / rate - end) <= 1 / (2 * rate)
            assert inside(seen, clip.available_range())
            assert all(inside(marker.marked_range, seen) for marker in clip.markers)
    n_markers = sum(len(clip.markers) for clip in timeline.tracks[0])
    assert n_markers == len(summary.chosen)


def test_otio_silent_file_has_no_audio_track_and_finds_odd_names(tmp_path: Path):
    summary = make_summary(name=ODD_NAME, audio=None)
    path, _ = written(summary, "otio", tmp_path)
    timeline = otio.adapters.read_from_file(str(path))
    assert [t.kind for t in timeline.tracks] == ["Video"]
    url = next(iter(timeline.tracks[0])).media_reference.target_url
    assert unquote(urlsplit(url).path) == f"/films/{ODD_NAME}"
    facts = next(iter(timeline.tracks[0])).metadata["videograph"]["shots"][0]
    assert facts["reason"] == summary.chosen[0].reason.text


# --- EDL ----------------------------------------------------------------------------------------

EVENT = re.compile(r"(\d+)  AX {6} (\S+) +C {8}(\S+) (\S+) (\S+) (\S+)")


def edl_events(path: Path) -> list[tuple[str, ...]]:
    lines = path.read_bytes().decode("ascii").split("\r\n")
    return [found.groups() for found in map(EVENT.fullmatch, lines) if found]


@pytest.mark.parametrize(
    ("which", "dropped"),
    [
        ("23.976", 0),
        ("25", 0),
        ("29.97 over an hour", 2),
        ("59.94", 4),
        ("29.97 in whole milliseconds", 2),
    ],
)
def test_edl_does_not_drift(which: str, dropped: int, tmp_path: Path):
    clock, promised, rate = CLOCKS[which]
    chosen = tuple(range(1, 120, 2))
    summary = make_summary(clock, rate=promised, n_shots=120, chosen=chosen)
    path, _ = written(summary, "edl", tmp_path)
    text = path.read_text(encoding="ascii")
    assert f"FCM: {'DROP' if dropped else 'NON-DROP'} FRAME" in text
    frame_of = {
        label: i
        for i, label in enumerate(labels(round(rate), dropped, 62 + int(clock.duration) // 60))
    }
    record = frame_of["01:00:00;00" if dropped else "01:00:00:00"]
    for event, (start, end) in zip(edl_events(path), summary.spans, strict=True):
        source_in, source_out, record_in, record_out = (frame_of[t] for t in event[2:])
        assert abs(source_in - start * rate) <= Fraction(1, 2)
        assert abs(source_out - end * rate) <= Fraction(1, 2)
        assert record_in == record
        assert record_out - record_in == source_out - source_in
        record = record_out


def test_edl_names_channels_and_clip(tmp_path: Path):
    path, notes = written(make_summary(), "edl", tmp_path / "sound")
    assert notes == []
    assert {event[1] for event in edl_events(path)} == {"AA/V"}
    assert path.read_text(encoding="ascii").count("* FROM CLIP NAME: match.mp4") == 3
    silent, _ = written(make_summary(audio=None), "edl", tmp_path / "silent")
    assert {event[1] for event in edl_events(silent)} == {"V"}


def test_edl_says_how_a_name_was_changed(tmp_path: Path):
    name = unicodedata.normalize("NFC", "Été 影.mp4")
    path, (note,) = written(make_summary(name=name), "edl", tmp_path)
    assert "* FROM CLIP NAME: Ete _.mp4" in path.read_text(encoding="ascii")
    assert f'{name} is called "Ete _.mp4" in it' in note


def test_edl_says_when_it_has_more_events_than_the_format_numbers(tmp_path: Path):
    summary = make_summary(
        constant_clock(Fraction(25), 900), n_shots=2002, chosen=tuple(range(0, 2002, 2))
    )
    path, (note,) = written(summary, "edl", tmp_path)
    assert [event[0] for event in edl_events(path)][998:] == ["999", "1000", "1001"]
    assert "1001 events" in note


def test_edl_says_when_it_runs_past_a_day(tmp_path: Path):
    clock = constant_clock(Fraction(5), 25 * 3600)
    path, notes = written(
        make_summary(clock, rate=Fraction(5), n_shots=50, chosen=(1, 49)), "edl", tmp_path
    )
    assert "past 24 hours" in notes[-1]
    assert edl_events(path)[-1][3] == "25:00:00:00"


# --- FCPXML -------------------------------------------------------------------------------------

# From Apple's DTD for FCPXML 1.9: attributes each element may bear, and its children in order.
FCPXML_ATTRIBUTES = {
    "fcpxml": {"version"},
    "resources": set(),
    "format": {"id", "name", "frameDuration", "fieldOrder", "width", "height", "colorSpace"},
    "asset": {
        "id", "name", "uid", "start", "duration", "hasVideo", "format", "hasAudio", "videoSources",
        "audioSources", "audioChannels", "audioRate",
    },
    "media-rep": {"kind", "sig", "src", "suggestedFilename"},
    "library": {"location", "colorProcessing"},
    "event": {"name", "uid"},
    "project": {"name", "uid", "id", "modDate"},
    "sequence": {"format", "duration", "tcStart", "tcFormat", "audioLayout", "audioRate"},
    "spine": {"lane", "offset", "name", "format"},
    "asset-clip": {"ref", "offset", "name", "start", "duration", "format", "tcStart", "tcFormat"},
    "marker": {"start", "duration", "value", "note"},
}  # fmt: skip
FCPXML_CHILDREN = {
    "fcpxml": ["resources", "library"], "resources": ["format", "asset"], "asset": ["media-rep"],
    "library": ["event"], "event": ["project"], "project": ["sequence"], "sequence": ["spine"],
}  # fmt: skip


def fcpxml_seconds(text: str) -> Fraction:
    assert re.fullmatch(r"\d+(/\d+)?s", text)
    return Fraction(text[:-1])


@pytest.mark.parametrize("which", CLOCKS)
def test_fcpxml_times_are_whole_frames_of_the_spans(which: str, tmp_path: Path):
    clock, promised, rate = CLOCKS[which]
    summary = make_summary(clock, rate=promised, n_shots=60, chosen=tuple(range(0, 60, 2)))
    path, notes = written(summary, "fcpxml", tmp_path)
    root = ET.parse(path).getroot()
    frame = fcpxml_seconds(root.find("resources/format").get("frameDuration"))
    assert 1 / frame in _timeline.EDITING_RATES
    assert (frame == 1 / rate) == (notes == [])
    for element in root.iter():
        for key in {"start", "duration", "offset", "tcStart"} & set(element.attrib):
            assert (fcpxml_seconds(element.get(key)) / frame).denominator == 1
    offset = Fraction(0)
    for clip, (start, end) in zip(root.iter("asset-clip"), summary.spans, strict=True):
        begin, length = fcpxml_seconds(clip.get("start")), fcpxml_seconds(clip.get("duration"))
        assert abs(begin - start) <= frame / 2
        assert abs(begin + length - end) <= frame / 2 or length == frame
        assert fcpxml_seconds(clip.get("offset")) == offset
        for marker in clip.iter("marker"):
            assert begin <= fcpxml_seconds(marker.get("start")) < begin + length
        offset += length
    assert fcpxml_seconds(root.find(".//sequence").get("duration")) == offset


def test_fcpxml_is_built_as_the_dtd_says(tmp_path: Path):
    path, _ = written(make_summary(name=ODD_NAME), "fcpxml", tmp_path)
    assert path.read_text(encoding="utf-8").splitlines()[1] == "<!DOCTYPE fcpxml>"
    root = ET.parse(path).getroot()
    for element in root.iter():
        assert set(element.attrib) <= FCPXML_ATTRIBUTES[element.tag]
        if element.tag in FCPXML_CHILDREN:
            assert [child.tag for child in element] == FCPXML_CHILDREN[element.tag]
    ids = {element.get("id") for element in root.find("resources")}
    assert {clip.get("ref") for clip in root.iter("asset-clip")} <= ids
    assert root.find("resources/asset").get("name") == ODD_NAME
    assert unquote(urlsplit(root.find(".//media-rep").get("src")).path) == f"/films/{ODD_NAME}"


def test_fcpxml_drop_frame_and_sound(tmp_path: Path):
    ntsc = make_summary(constant_clock(NTSC, 60), rate=NTSC, audio=None)
    root = ET.parse(written(ntsc, "fcpxml", tmp_path / "ntsc")[0]).getroot()
    assert root.find(".//sequence").get("tcFormat") == "DF"
    assert root.find("resources/asset").get("hasAudio") is None
    root = ET.parse(written(make_summary(), "fcpxml", tmp_path / "pal")[0]).getroot()
    assert root.find(".//sequence").get("tcFormat") == "NDF"
    assert root.find("resources/asset").get("hasAudio") == "1"


# --- real files -----------------------------------------------------------------------------------


@pytest.fixture(
    scope="module", params=["base.mp4", "vfr.mp4", "120_fps.mp4", "ten_bit.mp4", "видео 影片.mp4"]
)
def real(request: pytest.FixtureRequest, data: Path) -> r.Summary:
    return summarize(data / "bad" / request.param, budget="40%")


def test_otio_of_a_real_file_points_to_its_spans(real: r.Summary, tmp_path: Path):
    timeline = otio.adapters.read_from_file(str(written(real, "otio", tmp_path)[0]))
    clips = list(timeline.tracks[0])
    assert Path(unquote(urlsplit(clips[0].media_reference.target_url).path)).samefile(
        real.info.path
    )
    for clip, (start, end) in zip(clips, real.spans, strict=True):
        half_frame = 0.5 / clip.source_range.start_time.rate + 1e-9
        assert abs(clip.source_range.start_time.to_seconds() - start) <= half_frame
        assert abs(clip.source_range.end_time_exclusive().to_seconds() - end) <= half_frame
    length = clips[0].available_range().duration
    assert abs(length.to_seconds() - real.duration_seconds) <= 0.5 / length.rate + 1e-9


def test_fcpxml_of_a_real_file_tells_its_sound(real: r.Summary, tmp_path: Path):
    asset = ET.parse(written(real, "fcpxml", tmp_path)[0]).getroot().find("resources/asset")
    with av.open(str(real.info.path)) as container:
        sound = [s for s in container.streams if s.index == real.info.audio_stream]
        expected = (str(sound[0].channels), str(sound[0].rate)) if sound else (None, None)
    assert (asset.get("audioChannels"), asset.get("audioRate")) == expected


def test_json_of_a_real_file_reads_back(real: r.Summary, tmp_path: Path):
    found = to_json.read(written(real, "json", tmp_path)[0])
    assert found["file"]["name"] == real.info.path.name
    assert found["n_frames"] == real.report.clock.n_frames
    assert Fraction(found["summary_seconds_exact"]) == real.summary_seconds
    assert {path for path, kind in leaves(found) if kind} <= {*documented_types()}
