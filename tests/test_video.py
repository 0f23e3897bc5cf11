"""Reading: every kind of file, damaged ones too; picks by time; exact frames at a time."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import PictureType

from videograph.errors import UsageError, VideographError
from videograph.records import ReadReport
from videograph.video import Reader, grab, open_media, probe
from videograph.video._decoding import threads_for

REFUSED = {
    "attached_picture.m4a": "only a cover picture",
    "audio_only.m4a": "no video stream",
    "audio_only.mp4": "no video stream",
    "empty.mp4": "is empty",
    "text.mp4": "is not a video",
    "truncated_no_index.mp4": "is cut off",
}


def read(path: Path, **options: object) -> tuple[np.ndarray, np.ndarray, np.ndarray, ReadReport]:
    """Images, picks and cuts in ticks, and the report of a whole file."""
    with Reader(path, **options) as reader:  # type: ignore[arg-type]
        batches = list(reader)
    images = np.concatenate([b.images for b in batches])
    pts = np.concatenate([b.pts for b in batches])
    return images, pts, np.concatenate([b.cut_pts for b in batches]), reader.report


def decoded(path: Path) -> list[tuple[Fraction, np.ndarray]]:
    """Seconds and RGB of every frame, without videograph."""
    with av.open(str(path)) as container:
        frames = [
            (f.pts * f.time_base, f.to_ndarray(format="rgb24")) for f in container.decode(video=0)
        ]
    return [(t - frames[0][0], image) for t, image in frames]


@pytest.fixture(scope="module")
def bad(data: Path) -> Path:
    return data / "bad"


@pytest.fixture(scope="module")
def facts(bad: Path) -> dict[str, dict]:
    return json.loads((bad / "bad.json").read_text(encoding="utf-8"))["files"]


def test_every_odd_file_reads_or_says_why_not(bad: Path, facts: dict[str, dict]) -> None:
    for name, fact in facts.items():
        if name in REFUSED:
            with pytest.raises(VideographError, match=REFUSED[name]) as caught:
                probe(bad / name)
            assert "\n" not in str(caught.value)
        elif name != "long_static.mp4":
            images, pts, cuts, report = read(bad / name)
            clock = report.clock
            assert images.dtype == np.uint8 and images.flags.c_contiguous, name
            assert max(images.shape[1:3]) <= 256, name
            assert 0 <= clock.n_frames - fact["frames_decoded"] <= fact["packets_failed"] + 13, name
            assert np.isin(pts, clock.pts).all() and np.isin(cuts, clock.pts).all(), name
            assert (cuts <= pts).all() and (cuts[1:] > pts[:-1]).all(), name


def test_every_real_video_probes_and_starts(data: Path) -> None:
    facts = json.loads((data / "videos" / "videos.json").read_text(encoding="utf-8"))["videos"]
    for name, fact in facts.items():
        info = probe(data / "videos" / name)
        assert info.codec and info.width > 0 and info.duration_seconds, name
        with Reader(info.path, steps_per_second=Fraction(32)) as reader:
            batch = next(iter(reader))
        assert batch.images.shape[0] == len(batch.pts) > 0, name
        assert abs(float(info.duration_seconds) - fact["container_duration_s"]) < 0.2, name


@pytest.mark.parametrize("speed", ["balanced", "fast", "exact"])
def test_real_videos_read_to_their_end(data: Path, speed: str) -> None:
    for name, frames in (
        ("bikes_6shots.mp4", 250),
        ("popcorn_trailer_300x180.webm", 1549),
        ("fades_synthetic.mp4", 250),
        ("carphone_176x144.mp4", 120),
    ):
        _, pts, _, report = read(data / "videos" / name, speed=speed)
        assert report.clock.n_frames == frames, name
        assert report.decode_failures == 0 and report.duration_shortfall == 0, name
        assert abs(len(pts) - 2 * float(report.clock.duration)) <= 2, name


def test_missing_file_and_folder_fail(tmp_path: Path) -> None:
    with pytest.raises(VideographError, match="there is no file"):
        probe(tmp_path / "none.mp4")
    with pytest.raises(VideographError, match="is a folder"):
        probe(tmp_path)
    with pytest.raises(UsageError, match="Allowed: balanced, fast, exact"):
        Reader(tmp_path / "none.mp4", speed="quick")


def test_undecodable_file_fails_in_a_sentence(bad: Path, tmp_path: Path) -> None:
    broken = bytearray((bad / "video_without_audio.mp4").read_bytes())
    at = broken.index(b"mdat") + 4
    end = broken.index(b"moov") if broken.index(b"moov") > at else len(broken)
    broken[at:end] = bytes(end - at)
    path = tmp_path / "zeros.mp4"
    path.write_bytes(broken)
    with pytest.raises(VideographError, match="not one frame of"), Reader(path) as reader:
        list(reader)
    with pytest.raises(VideographError, match="not one frame of"):
        list(grab(path, [Fraction(0)]))


def test_colon_and_emoji_in_a_name(bad: Path, tmp_path: Path) -> None:
    path = tmp_path / "pipe:a 🎬 b.mp4"
    path.write_bytes((bad / "one_frame.mp4").read_bytes())
    assert len(read(path)[1]) == 1


def test_info(bad: Path) -> None:
    info = probe(bad / "many_streams.mkv")
    assert (info.video_stream, info.audio_stream, info.width) == (1, 2, 480)
    assert probe(bad / "embedded_subtitles.mkv").subtitle_streams == (1,)
    assert probe(bad / "ten_bit.mp4").pixel_format == "yuv420p10le"
    assert probe(bad / "zero_duration.mp4").duration_seconds is None
    late = probe(bad / "late_start.mp4")
    assert (late.start_seconds, late.duration_seconds) == (5, 3)


def test_late_start_begins_at_zero(bad: Path) -> None:
    report = read(bad / "late_start.mp4")[3]
    assert report.clock.pts[0] == 0 and report.clock.duration == 3


def test_rotated_stands_upright(bad: Path) -> None:
    info = probe(bad / "rotated.mp4")
    assert (info.rotation, info.width, info.height) == (90, 270, 480)
    first = read(bad / "rotated.mp4", long_side=480)[0][0].astype(int)
    base = read(bad / "base.mp4", long_side=480)[0][0].astype(int)
    assert first.shape == (480, 270, 3)
    assert np.abs(first - np.rot90(base, -1)).mean() < 8 < np.abs(first - np.rot90(base, 1)).mean()


def test_damage_is_counted_and_survived(bad: Path) -> None:
    report = read(bad / "noise_middle.mp4", speed="exact")[3]
    assert report.decode_failures == 13
    assert report.clock.n_frames == 288 and report.duration_shortfall == 0


@pytest.mark.parametrize(
    ("name", "missing"), [("truncated_half.mp4", 6.8), ("truncated.webm", 1.2)]
)
def test_a_file_that_ends_early_says_so(bad: Path, name: str, missing: float) -> None:
    assert float(read(bad / name)[3].duration_shortfall) == pytest.approx(missing, abs=0.1)


def test_one_injected_fault_is_one_failure(bad: Path, tmp_path: Path) -> None:
    with av.open(str(bad / "base.mp4")) as container:
        packets = [p for p in container.demux(video=0) if p.size]
        target = packets[100]
        position, size = target.pos, target.size
    content = bytearray((bad / "base.mp4").read_bytes())
    content[position : position + size] = b"\xff" * size
    path = tmp_path / "fault.mp4"
    path.write_bytes(content)
    report = read(path, speed="exact")[3]
    assert report.decode_failures == 1 and report.clock.n_frames == 288


def test_exact_picks_are_what_the_screen_shows(bad: Path) -> None:
    frames = decoded(bad / "vfr.mp4")
    times = [t for t, _ in frames]
    on_screen = {
        max(t for t in times if t <= Fraction(k, 2)) for k in range(24) if Fraction(k, 2) < 11.58
    }
    images, pts, _, report = read(bad / "vfr.mp4", speed="exact", long_side=480)
    picked = [int(p) * report.clock.time_base for p in pts]
    assert picked == sorted(on_screen)
    assert report.sampling == "exact frames"
    whole = dict(frames)
    errors = [np.abs(i.astype(int) - whole[t]).mean() for i, t in zip(images, picked, strict=True)]
    assert max(errors) < 2


@pytest.mark.parametrize(
    "name", ["bikes_6shots.mp4", "bottles_static_camera.mp4", "paper_craft.webm"]
)
def test_balanced_picks_are_the_exact_ones(data: Path, name: str) -> None:
    images, pts, _, report = read(data / "videos" / name, speed="balanced")
    exact, theirs, _, _ = read(data / "videos" / name, speed="exact")
    assert report.sampling == "exact frames"
    np.testing.assert_array_equal(pts, theirs)
    errors = np.abs(images.astype(int) - exact).mean((1, 2, 3))
    assert errors.mean() < 3 and errors.max() < 6  # the decoder leaves block edges as they are


def test_fast_picks_are_near_and_the_same_frames(data: Path) -> None:
    path = data / "videos" / "bikes_6shots.mp4"
    frames = {t: image for t, image in decoded(path)}
    images, pts, _, report = read(path, speed="fast", long_side=640)
    assert report.sampling == "nearest reference frames"
    for k, (image, ticks) in enumerate(zip(images, pts, strict=True)):
        seconds = int(ticks) * report.clock.time_base
        assert abs(seconds - Fraction(k, 2)) <= Fraction(3, 25)
        assert np.abs(image.astype(int) - frames[seconds]).mean() < 3


def test_fast_takes_key_frames_only_where_they_are_dense(data: Path, bad: Path) -> None:
    _, pts, _, report = read(data / "videos" / "persons_one_by_one.mp4", speed="fast")
    assert report.sampling == "key frames" and len(pts) == 279
    assert read(bad / "base.mp4", speed="fast")[3].sampling == "nearest reference frames"


@pytest.fixture(scope="module")
def ten_minutes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[int]]:
    """6,000 frames of 9 scenes, key frames every 10 s and at cuts; and where the scenes begin."""
    path = tmp_path_factory.mktemp("long") / "scenes.mp4"
    starts = [0, 437, 1044, 1871, 2650, 3333, 4075, 4912, 5555]
    rng = np.random.default_rng(0)
    scenes = [rng.integers(0, 256, (3, 4, 3), np.uint8).repeat(16, 0).repeat(16, 1) for _ in starts]
    with av.open(str(path), "w") as out:
        options = {"preset": "ultrafast", "g": "100", "forced-idr": "1"}
        stream = out.add_stream("libx264", rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(6000):
            scene = scenes[int(np.searchsorted(starts, index, side="right")) - 1]
            frame = av.VideoFrame.from_ndarray(scene, format="rgb24")
            frame.pict_type = PictureType.I if index in starts else PictureType.NONE
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path, starts


def test_far_key_frames_are_enough_in_a_long_video(ten_minutes: tuple[Path, list[int]]) -> None:
    """Sixty of them; each stands for the picks around it, none for the shot before it."""
    path, starts = ten_minutes
    images, pts, cuts, report = read(path, speed="fast")
    assert report.sampling == "key frames" and report.clock.n_frames == 6000
    frames = np.searchsorted(report.clock.pts, pts)
    np.testing.assert_array_equal(frames, 5 * np.arange(1200))
    exact = read(path, speed="exact")[0]
    assert np.abs(images.astype(int) - exact).mean((1, 2, 3)).max() < 8
    assert set(starts[1:]) <= set(np.searchsorted(report.clock.pts, cuts))


def test_slow_video_loses_no_frame_to_skipping(bad: Path) -> None:
    _, pts, _, report = read(bad / "5_fps.mp4")
    assert report.sampling == "exact frames" and len(pts) == 12
    with Reader(bad / "long_static.mp4") as reader:
        assert next(iter(reader)).pts.tolist() == [k * 16384 for k in range(32)]


def test_a_file_without_time_stamps_is_counted(bad: Path) -> None:
    _, _, _, report = read(bad / "no_timestamps.h264")
    assert report.timestamps == "guessed" and report.clock.n_frames == 48
    assert report.clock.duration == Fraction(48, 25)


def test_cut_pts_stand_at_the_true_cuts(data: Path) -> None:
    facts = json.loads((data / "videos" / "videos.json").read_text(encoding="utf-8"))["videos"]
    cuts_of = facts["bikes_6shots.mp4"]["hard_cuts"][:4]  # after the fifth there is no pick
    for speed in ("exact", "balanced"):
        _, _, cuts, report = read(data / "videos" / "bikes_6shots.mp4", speed=speed)
        found = np.searchsorted(report.clock.pts, cuts)
        assert max(np.abs(found - cut).min() for cut in cuts_of) <= (0 if speed == "exact" else 2)


@pytest.mark.parametrize(
    "name", ["base.mp4", "vfr.mp4", "late_start.mp4", "no_timestamps.h264", "120_fps.mp4"]
)
def test_grab_shows_exactly_the_frame(bad: Path, name: str) -> None:
    info = probe(bad / name)
    if name.endswith("h264"):
        with av.open(str(bad / name)) as container:
            frames = [
                (Fraction(i, 25), f.to_ndarray(format="rgb24"))
                for i, f in enumerate(container.decode(video=0))
            ]
    else:
        frames = decoded(bad / name)
    last = frames[-1][0]
    moments = [last * k / 7 + Fraction(1, 1000) for k in range(8)]
    for moment, image in zip(moments, grab(info, moments), strict=True):
        shown = max((t, i) for i, (t, _) in enumerate(frames) if t <= moment)[1]
        error = [
            np.abs(np.asarray(image).astype(int) - f).mean()
            for _, f in frames[max(0, shown - 1) : shown + 2]
        ]
        assert error[min(shown, 1)] < 2


def numbered(path: Path, seconds: list[Fraction]) -> Path:
    """H.264 with B-frames that others refer to, a key frame every 50; frame k shows k in eight blocks."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"crf": "20", "g": "50", "bf": "4",
                                "x264-params": "b-pyramid=normal:scenecut=0:b-adapt=0"})  # fmt: skip
        stream.width, stream.height, stream.pix_fmt = 128, 32, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for k, at in enumerate(seconds):
            bits = [255 * (k >> bit & 1) for bit in range(8)]
            image = np.broadcast_to(np.repeat(bits, 16)[None, :, None], (32, 128, 3))
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image, np.uint8))
            frame.pts, frame.time_base = int(at * 1000), Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("name", ["even.mp4", "uneven.mkv"])
def test_grab_shows_the_frames_meant_in_groups_and_gaps(tmp_path: Path, name: str) -> None:
    gaps = [40, 40, 200] if name == "uneven.mkv" else [40]  # longer than the stream's rate tells
    starts = [0, *np.cumsum(np.resize(gaps, 229)).tolist()]
    path = numbered(tmp_path / name, [Fraction(ms, 1000) for ms in starts])
    asked = sorted([*range(7, starts[-1], 730), *range(2100, 2400, 20)])  # far apart, and together
    pictures = grab(path, [Fraction(ms, 1000) for ms in asked])
    shown = [
        sum((np.asarray(p)[16, 8 + 16 * bit, 1] > 127) << bit for bit in range(8)) for p in pictures
    ]
    meant = [sum(start <= ms for start in starts) - 1 for ms in asked]
    assert [int(k) for k in shown] == meant


def test_large_pictures_are_not_held_by_many_threads(bad: Path) -> None:
    info = probe(bad / "base.mp4")
    assert threads_for(info) in (0, 8)  # 0: as many processors as that
    assert threads_for(replace(info, width=7680, height=4320)) == 0


def test_grab_from_damaged_and_turned_files(bad: Path) -> None:
    images = list(grab(bad / "noise_middle.mp4", [Fraction(k) for k in range(12)], long_side=100))
    assert [i.size for i in images] == [(100, 56)] * 12
    assert len(list(grab(bad / "truncated_half.mp4", [Fraction(1), Fraction(11)]))) == 2
    assert next(grab(bad / "rotated.mp4", [Fraction(0)])).size == (270, 480)


def test_open_media_closes_and_translates(bad: Path) -> None:
    with open_media(bad / "base.mp4") as container:
        assert container.streams.video
    with (
        pytest.raises(VideographError, match="cannot be read"),
        open_media(bad / "base.mp4") as container,
    ):
        raise av.error.InvalidDataError(1, "broken", "base.mp4")
