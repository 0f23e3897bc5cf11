"""The skim: sound in step at every cut, exactly the chosen frames, whatever the file."""

from __future__ import annotations

import contextlib
import math
import shutil
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from conftest import skip_or_fail
from measure_sync import offsets

from videograph.errors import UsageError, VideographError
from videograph.exporters import _frames, _picture, export
from videograph.records import (
    ChosenShot,
    Clock,
    ReadReport,
    Reason,
    Shots,
    Summary,
    VideoInfo,
)
from videograph.sample import draw_sample
from videograph.video import probe

FRAME_SECONDS = 1 / 25
Frames = list[tuple[int, int]]
"""First frame and one past the last of each span."""


# -- summaries by hand --


def clock_of(info: VideoInfo) -> Clock:
    """The PTS of all packets; frames at 25 a second where there are none."""
    with av.open(str(info.path)) as container:
        stream = container.streams[info.video_stream]
        packets = [p for p in container.demux(stream) if p.size]
    timed = [(p.pts, p.duration or 1) for p in packets if p.pts is not None]
    if not timed:
        return Clock(np.arange(len(packets)), len(packets), Fraction(1, 25))
    start = int(info.start_seconds / info.time_base)
    last, length = max(timed)
    pts = np.unique([p - start for p, _ in timed])
    return Clock(pts, last - start + length, info.time_base)


def summary_of(path: Path, choose: Callable[[Clock], Frames], **options: Any) -> Summary:
    """A summary whose spans are frames `choose(clock)`."""
    info = probe(path)
    clock = clock_of(info)
    guessed = clock.time_base == Fraction(1, 25) and info.container == "h264"
    chosen = tuple(
        ChosenShot(
            number=number, start_frame=start, end_frame=end, start_seconds=clock.seconds(start),
            end_seconds=clock.seconds(end), score=0.5, keyframe=start, keyframe_step=0,
            keyframe_seconds=clock.seconds(start), reason=Reason("", 1, 1.0),
        )
        for number, (start, end) in enumerate(choose(clock))
    )  # fmt: skip
    report = ReadReport(clock, 0, Fraction(0), "exact frames", "guessed" if guessed else "file")
    return Summary(
        info=info, report=report, shots=Shots(np.array([[0, clock.n_frames]])),
        shot_scores=np.array([0.5]), picks=np.array([0]), seconds=np.array([0.0]),
        scores=np.array([0.5], np.float32), chosen=chosen, budget="15%",
        budget_seconds=Fraction(1), speed="exact", seed=0, encoder="none", form="none", active={},
        versions={}, **options,
    )  # fmt: skip


def every_other(n: int) -> Callable[[Clock], Frames]:
    """`n` spans over the whole video, as long as the gaps between them."""

    def choose(clock: Clock) -> Frames:
        edges = np.linspace(0, clock.n_frames, 2 * n + 1).astype(int).tolist()
        pairs = zip(edges[0::2], edges[1::2], strict=False)
        return [(a, b) for a, b in pairs if a < b] or [(0, 1)]

    return choose


def around(moments: list[Fraction], seed: int = 1) -> Callable[[Clock], Frames]:
    """Spans of half a second or less, each around one of the moments."""

    def choose(clock: Clock) -> Frames:
        rng = np.random.default_rng(seed)
        spans: Frames = []
        for moment in moments:
            frame = clock.frame_at(clock.seconds(0) + moment)
            start, end = frame - int(rng.integers(1, 7)), frame + int(rng.integers(2, 7))
            start, end = max(start, spans[-1][1] + 1 if spans else 0), min(end, clock.n_frames)
            if start <= frame:
                spans.append((start, end))
        return spans

    return choose


# -- reading results --


def frames_of(path: Path) -> list[tuple[Fraction, np.ndarray]]:
    """Time and grey picture of each frame that decodes."""
    found = []
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            with contextlib.suppress(av.FFmpegError):
                for frame in packet.decode():
                    found.append((frame.pts * frame.time_base, frame.to_ndarray(format="gray")))
    return found


def sound_of(path: Path) -> tuple[np.ndarray, int]:
    """Mono wave placed by its time stamps from second 0, and samples a second."""
    parts = []
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("flt", "mono")
        for frame in container.decode(audio=0):
            start = round(float(frame.time) * frame.sample_rate)
            parts += [(start, r.to_ndarray()[0]) for r in resampler.resample(frame)]
        rate = container.streams.audio[0].rate
    wave = np.zeros(max(at + len(p) for at, p in parts), np.float32)
    for at, part in parts:
        wave[max(0, at) : at + len(part)] = part[max(0, -at) :]
    return wave, rate


def durations(path: Path) -> dict[str, float]:
    """Seconds of each stream."""
    with av.open(str(path)) as container:
        return {
            s.type: float(s.duration * s.time_base)
            for s in container.streams
            if s.type in ("video", "audio")
        }


# -- clips --


def draw_clip(
    path: Path,
    *,
    seconds: int = 6,
    video: str = "libx264",
    audio: str | None = "aac",
    every: Fraction = Fraction(2, 5),
    heard: tuple[float, float] | None = None,
    rate: int = 48000,
) -> list[Fraction]:
    """A small clip with a white frame and a click every now and then; returns when.

    Args:
        path: where to; the suffix tells the container.
        seconds: length.
        video: encoder.
        audio: encoder, or None.
        every: seconds between flashes.
        heard: from when to when there is sound at all.
        rate: samples a second.
    """
    moments = [every * k + Fraction(1, 5) for k in range(int(seconds / every))]
    wave = _clicks(moments, seconds, rate)
    start, end = (round(s * rate) for s in heard or (0, seconds))
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream(video, rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.gop_size = 20
        sound: Any = out.add_stream(audio, rate=rate, layout="mono") if audio else None
        flashes = {int(m * 25) for m in moments}
        for k in range(seconds * 25):
            picture = np.full((64, 96, 3), 250 if k in flashes else 30, np.uint8)
            picture[40:, k * 3 % 80 : k * 3 % 80 + 16] = 90
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = k
            out.mux(stream.encode(frame))
            for at in range(start, min(end, (k + 1) * rate // 25), 960) if sound else ():
                part = av.AudioFrame.from_ndarray(
                    wave[None, at : min(end, at + 960)], "fltp", "mono"
                )
                part.sample_rate, part.pts, part.time_base = rate, at, Fraction(1, rate)
                out.mux(sound.encode(part))
                start = at + part.samples
        for track in [stream, sound] if sound else [stream]:
            out.mux(track.encode(None))
    return moments


def _clicks(moments: list[Fraction], seconds: int, rate: int) -> np.ndarray:
    wave = np.zeros(seconds * rate, np.float32)
    click = 0.8 * np.sin(2 * np.pi * 1500 * np.arange(rate // 100) / rate)
    for moment in moments:
        at = int(moment * rate)
        wave[at : at + len(click)] = click
    return wave


def apart(path: Path) -> list[float]:
    """Seconds from each white frame of a drawn clip to the nearest click."""
    frames = [(float(t), p.mean() > 128) for t, p in frames_of(path)]
    wave, rate = sound_of(path)
    loud = np.flatnonzero(np.abs(wave) > 0.2)
    clicks = loud[np.diff(loud, prepend=-rate) > rate // 20] / rate
    flashes = [t for t, white in frames if white]
    return [float(clicks[np.abs(clicks - t).argmin()] - t) for t in flashes]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary]:
    """The drawn sample, and a summary of more than 20 spans that holds its clicks."""
    path = tmp_path_factory.mktemp("sample") / "sample.mp4"
    story = draw_sample(path, n_scenes=4, seconds=30)
    return path, summary_of(path, around(list(story.click_seconds)))


# -- sound in step --


def test_every_click_of_the_sample_meets_its_flash(
    sample: tuple[Path, Summary], tmp_path: Path
) -> None:
    _, summary = sample
    assert len(summary.spans) >= 20
    assert export(summary, tmp_path / "skim.mp4") == []
    found = offsets(tmp_path / "skim.mp4")
    assert len(found) >= 20
    assert max(map(abs, found)) < 0.002  # also at the last cut; a frame has 0.04
    for length in durations(tmp_path / "skim.mp4").values():
        assert abs(length - float(summary.summary_seconds)) < FRAME_SECONDS


def test_a_copy_keeps_sound_in_step_and_says_what_it_widened(
    sample: tuple[Path, Summary], tmp_path: Path
) -> None:
    _, summary = sample
    started = time.perf_counter()
    export(summary, tmp_path / "exact.mp4")
    between = time.perf_counter()
    notes = export(summary, tmp_path / "copy.mp4", copy=True)
    ended = time.perf_counter()
    print(f"copy takes {(ended - between) / (between - started):.3f} of the exact skim's time")
    assert len(notes) == 1 and "spans widened by" in notes[0] and "key frames" in notes[0]
    assert max(map(abs, offsets(tmp_path / "copy.mp4"))) < FRAME_SECONDS / 2


def test_nothing_adds_up_over_a_hundred_cuts(tmp_path: Path) -> None:
    moments = draw_clip(tmp_path / "clip.mp4", seconds=60, rate=44100)
    summary = summary_of(tmp_path / "clip.mp4", around(moments))
    assert len(summary.spans) > 120
    export(summary, tmp_path / "skim.mp4")
    found = apart(tmp_path / "skim.mp4")
    assert len(found) == len(summary.spans)
    assert max(map(abs, found)) < 0.002
    seconds = durations(tmp_path / "skim.mp4")
    assert seconds["video"] == pytest.approx(float(summary.summary_seconds), abs=1e-4)
    assert seconds["audio"] == pytest.approx(float(summary.summary_seconds), abs=1e-3)


@pytest.mark.parametrize(
    ("suffix", "video", "audio"),
    [
        (".mkv", "libx264", "libopus"),
        (".mkv", "libx265", "aac"),
        (".ts", "libx264", "aac"),
        (".mp4", "mpeg4", "libmp3lame"),
    ],
)
def test_copies_of_many_codecs_keep_in_step(
    tmp_path: Path, suffix: str, video: str, audio: str
) -> None:
    clip = tmp_path / f"clip{suffix}"
    moments = draw_clip(clip, seconds=20, video=video, audio=audio)
    drift = float(np.mean(apart(clip)))
    summary = summary_of(clip, around(moments[::3]))
    export(summary, tmp_path / "copy.mp4", copy=True)
    found = apart(tmp_path / "copy.mp4")
    assert len(found) >= len(summary.spans)
    assert max(abs(f - drift) for f in found) < FRAME_SECONDS / 2


def test_webm_with_opus(tmp_path: Path) -> None:
    moments = draw_clip(tmp_path / "clip.webm", video="libvpx", audio="libopus")
    summary = summary_of(tmp_path / "clip.webm", around(moments))
    export(summary, tmp_path / "skim.mp4")
    found = apart(tmp_path / "skim.mp4")
    assert len(found) == len(summary.spans)
    assert max(map(abs, found)) < 0.003


def test_sound_that_starts_late_and_ends_early_is_silent_around(tmp_path: Path) -> None:
    moments = draw_clip(tmp_path / "clip.mp4", heard=(1.5, 4.5))
    summary = summary_of(tmp_path / "clip.mp4", around(moments))
    export(summary, tmp_path / "skim.mp4")
    found = [f for f in apart(tmp_path / "skim.mp4") if abs(f) < 0.1]
    assert len(found) == sum(1.5 < m < 4.5 for m in moments)
    assert max(map(abs, found)) < 0.002
    assert durations(tmp_path / "skim.mp4")["audio"] == pytest.approx(
        float(summary.summary_seconds), abs=1e-3
    )


def test_real_sound_lies_where_it_lay(data: Path, tmp_path: Path) -> None:
    """A VP8 and Vorbis film in 720p: each span's wave is found in the source at its own time."""
    path = data / "videos" / "bbb_30s_720p.webm"
    summary = summary_of(path, lambda clock: [(k, k + 8) for k in range(30, clock.n_frames, 100)])
    export(summary, tmp_path / "skim.mp4")
    (source, rate), (skim, skim_rate) = sound_of(path), sound_of(tmp_path / "skim.mp4")
    assert rate == skim_rate
    at, n_checked = Fraction(0), 0
    for start, end in summary.spans:
        n = int((end - start) * rate)
        here, there = int(at * rate), int((start + summary.info.start_seconds) * rate)
        lag = _lag(skim[here : here + n], source[there : there + n], rate // 100)
        at += end - start
        if lag is not None:
            n_checked += 1
            assert abs(lag) <= rate // 500
    assert n_checked >= 5


def _lag(a: np.ndarray, b: np.ndarray, most: int) -> int | None:
    """Samples by which `a` comes later than `b`; None where there is too little to hear."""
    if min(np.abs(a).max(), np.abs(b).max()) < 0.02:
        return None
    inner = slice(most, min(len(a), len(b)) - most)
    scores = [float(a[inner.start + k : inner.stop + k] @ b[inner]) for k in range(-most, most + 1)]
    return int(np.argmax(scores)) - most


# -- the right pictures --


def test_variable_rate_keeps_every_frame_at_its_own_time(data: Path, tmp_path: Path) -> None:
    path = data / "bad" / "vfr.mp4"
    spans = [(3, 20), (40, 64), (70, 95)]
    summary = summary_of(path, lambda _: spans)
    export(summary, tmp_path / "skim.mp4")
    clock, source = summary.report.clock, frames_of(path)
    expected, at = [], Fraction(0)
    for start, end in spans:
        expected += [(at + clock.seconds(k) - clock.seconds(start), k) for k in range(start, end)]
        at += clock.seconds(end) - clock.seconds(start)
    skim = frames_of(tmp_path / "skim.mp4")
    assert len(skim) == len(expected)
    for (seconds, picture), (expected_seconds, k) in zip(skim, expected, strict=True):
        assert abs(seconds - expected_seconds) < Fraction(1, 10_000)
        assert _psnr(picture, source[k][1]) > 32
    assert durations(tmp_path / "skim.mp4")["video"] == pytest.approx(float(at), abs=0.017)


def _psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = float(np.mean((a.astype(float) - b) ** 2))
    return 99.0 if error == 0 else 10 * math.log10(255**2 / error)


def test_a_turned_video_comes_out_upright(data: Path, tmp_path: Path) -> None:
    path = data / "bad" / "rotated.mp4"
    summary = summary_of(path, lambda _: [(5, 15)])
    export(summary, tmp_path / "skim.mp4")
    (_, picture), *_ = frames_of(tmp_path / "skim.mp4")
    assert picture.shape == (480, 270)
    assert _psnr(picture, np.rot90(frames_of(path)[5][1], -1)) > 30
    export(summary, tmp_path / "copy.mp4", copy=True)
    assert probe(tmp_path / "copy.mp4").rotation == 90
    with av.open(str(tmp_path / "skim.mp4")) as container:
        assert next(container.decode(video=0)).rotation == 0


SIZES = {"odd_size.mp4": (354, 200), "yuv444.mp4": (354, 200)}
ODD_FILES = (
    "late_start.mp4", "video_without_audio.mp4", "one_frame.mp4", "ten_bit.mp4", "gray.mp4",
    "gray_h264.mp4", "odd_size.mp4", "yuv444.mp4", "many_streams.mkv", "no_timestamps.h264",
    "zero_duration.mp4", "truncated.webm", "wrong_extension.mp4", "120_fps.mp4", "видео 影片.mp4",
)  # fmt: skip


@pytest.mark.parametrize("name", ODD_FILES)
def test_odd_files(data: Path, tmp_path: Path, name: str) -> None:
    path = data / "bad" / name
    summary = summary_of(path, every_other(4))
    assert export(summary, tmp_path / "skim.mp4") == []
    info = probe(tmp_path / "skim.mp4")
    assert (info.codec, info.pixel_format) == ("h264", "yuv420p")
    assert (info.width, info.height) == SIZES.get(name, (480, 270))
    skim = frames_of(tmp_path / "skim.mp4")
    assert skim[0][0] == 0
    assert len(skim) == sum(shot.end_frame - shot.start_frame for shot in summary.chosen)
    lengths = durations(tmp_path / "skim.mp4")
    assert ("audio" in lengths) == (summary.info.audio_stream is not None)
    for length in lengths.values():
        assert length == pytest.approx(float(summary.summary_seconds), abs=0.002)


@pytest.mark.parametrize("name", ["noise_middle.mp4", "truncated_half.mp4"])
@pytest.mark.parametrize("copy", [False, True])
def test_damaged_files(data: Path, tmp_path: Path, name: str, copy: bool) -> None:
    summary = summary_of(data / "bad" / name, every_other(6))
    export(summary, tmp_path / "skim.mp4", copy=copy)
    skim = frames_of(tmp_path / "skim.mp4")
    n_chosen = sum(shot.end_frame - shot.start_frame for shot in summary.chosen)
    assert len(skim) > 0.8 * n_chosen
    lengths = durations(tmp_path / "skim.mp4")
    if not copy:
        assert abs(lengths["audio"] - float(summary.summary_seconds)) < FRAME_SECONDS
    assert (
        abs(lengths["audio"] - lengths["video"]) < 0.7
    )  # a hole of noise at the very end, at most


def test_a_copy_holds_the_very_frames(data: Path, tmp_path: Path) -> None:
    path = data / "bad" / "base.mp4"
    summary = summary_of(path, lambda _: [(60, 70), (150, 160), (170, 171), (260, 288)])
    export(summary, tmp_path / "copy.mp4", copy=True)
    source = {p.tobytes(): k for k, (_, p) in enumerate(frames_of(path))}
    copied = [source.get(p.tobytes()) for _, p in frames_of(tmp_path / "copy.mp4")]
    assert None not in copied
    assert set(copied) >= {
        k for a, b in [(60, 70), (150, 160), (170, 171), (260, 288)] for k in range(a, b)
    }
    assert copied == sorted(set(copied))


def test_a_copy_of_whole_groups_widens_nothing(tmp_path: Path) -> None:
    draw_clip(tmp_path / "clip.mp4", video="mpeg4", audio=None)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        keys = [k for k, p in enumerate(container.demux(video=0)) if p.size and p.is_keyframe]
    spans = [(keys[1], keys[2]), (keys[4], keys[6])]
    summary = summary_of(tmp_path / "clip.mp4", lambda _: spans)
    assert export(summary, tmp_path / "copy.mp4", copy=True) == []
    assert len(frames_of(tmp_path / "copy.mp4")) == keys[2] - keys[1] + keys[6] - keys[4]


def test_av1_can_be_copied(data: Path, tmp_path: Path) -> None:
    summary = summary_of(data / "tvsum" / "videos" / "video_1.mp4", lambda _: [(300, 320)])
    export(summary, tmp_path / "copy.mp4", copy=True)
    assert probe(tmp_path / "copy.mp4").codec == "libdav1d"
    assert len(frames_of(tmp_path / "copy.mp4")) >= 20


def test_only_the_spans_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_clip(tmp_path / "clip.mp4", seconds=20, audio=None)
    n_decoded = 0
    seconds_of = _frames.Frames._seconds

    def counted(self: Any, *arguments: Any) -> Any:
        nonlocal n_decoded
        n_decoded += 1
        return seconds_of(self, *arguments)

    monkeypatch.setattr(_frames.Frames, "_seconds", counted)
    summary = summary_of(tmp_path / "clip.mp4", lambda _: [(100, 110), (455, 465)])
    export(summary, tmp_path / "skim.mp4")
    assert n_decoded < 100  # of 500; key frames lie at most 20 frames before the spans


# -- the file around them --


def test_the_same_summary_gives_the_same_bytes(data: Path, tmp_path: Path) -> None:
    summary = summary_of(data / "bad" / "base.mp4", every_other(3))
    for copy in (False, True):
        export(summary, tmp_path / "one.mp4", copy=copy, force=True)
        export(summary, tmp_path / "two.mp4", copy=copy, force=True)
        is_same = (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()
        assert is_same  # said of a name: to show how two files differ would take minutes


@pytest.mark.parametrize("copy", [False, True])
def test_title_chapters_and_index_first(data: Path, tmp_path: Path, copy: bool) -> None:
    summary = summary_of(data / "bad" / "base.mp4", lambda _: [(0, 24), (240, 264)])
    export(summary, tmp_path / "skim.mp4", copy=copy)
    with av.open(str(tmp_path / "skim.mp4")) as container:
        assert container.metadata["title"] == "base - skim"
        chapters = container.chapters()
    assert [c["metadata"]["title"] for c in chapters][:1] == ["from 0:00:00"]
    assert len(chapters) == 2 and chapters[0]["start"] == 0
    assert chapters[1]["start"] == chapters[0]["end"]
    raw = (tmp_path / "skim.mp4").read_bytes()
    assert raw.index(b"moov") < raw.index(b"mdat")


def test_progress_is_told_and_can_cancel(data: Path, tmp_path: Path) -> None:
    summary = summary_of(data / "bad" / "base.mp4", every_other(2))
    told: list[tuple[str, float, float | None]] = []
    export(summary, tmp_path / "skim.mp4", hook=lambda *a, **_: told.append(a[:3]))
    assert {t[0] for t in told} == {"skim"} and {t[2] for t in told} == {6.0}
    done = [t[1] for t in told]
    assert done == sorted(done) and done[-1] == 6.0 and len(done) >= 4

    def cancel(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(summary, tmp_path / "other.mp4", hook=cancel)
    assert [p.name for p in tmp_path.iterdir()] == ["skim.mp4"]


def test_a_build_without_h264_makes_do_and_says_so(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_picture, "ENCODERS", ("no_such_encoder", "mpeg4"))
    summary = summary_of(data / "bad" / "base.mp4", every_other(2))
    (note,) = export(summary, tmp_path / "skim.mp4")
    assert "MPEG-4" in note and "H.264" in note and "Try" not in note
    assert len(frames_of(tmp_path / "skim.mp4")) == 144


# -- refusals --


def test_copying_what_an_mp4_cannot_hold_fails(data: Path, tmp_path: Path) -> None:
    summary = summary_of(data / "videos" / "bbb_30s_720p.webm", every_other(2))
    with pytest.raises(UsageError, match=r"video in vp8.*Allowed: h264.*Leave out --copy"):
        export(summary, tmp_path / "copy.mp4", copy=True)


def test_copying_sound_that_an_mp4_cannot_hold_fails(tmp_path: Path) -> None:
    draw_clip(tmp_path / "clip.mkv", audio="pcm_s16le")
    summary = summary_of(tmp_path / "clip.mkv", every_other(2))
    with pytest.raises(UsageError, match=r"audio in pcm_s16le.*Allowed: aac.*Leave out --copy"):
        export(summary, tmp_path / "copy.mp4", copy=True)


def test_copying_without_time_stamps_fails(data: Path, tmp_path: Path) -> None:
    summary = summary_of(data / "bad" / "no_timestamps.h264", every_other(2))
    with pytest.raises(UsageError, match=r"no time stamps.*Leave out --copy"):
        export(summary, tmp_path / "copy.mp4", copy=True)


@pytest.mark.parametrize(
    ("copy", "message"), [(False, "none of the frames"), (True, "no key frame was found")]
)
def test_a_file_that_vanished_or_broke_meanwhile_fails(
    data: Path, tmp_path: Path, copy: bool, message: str
) -> None:
    path = tmp_path / "base.mp4"
    shutil.copy(data / "bad" / "base.mp4", path)
    summary = summary_of(path, lambda _: [(200, 250)])
    raw = bytearray(path.read_bytes())
    media = raw.index(b"mdat") + 8
    path.write_bytes(bytes(raw[:media]))
    with pytest.raises(VideographError, match=message):
        export(summary, tmp_path / "skim.mp4", copy=copy)
    path.unlink()
    with pytest.raises(VideographError, match="there is no file"):
        export(summary, tmp_path / "skim.mp4", copy=copy)
    assert list(tmp_path.iterdir()) == []


# -- in a browser --


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        skip_or_fail("no Chromium on the PATH")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--mute-audio"]
        )
        yield running
        running.close()


@pytest.mark.browser
@pytest.mark.parametrize("copy", [False, True])
def test_a_browser_plays_it_to_the_end(
    browser: Any, data: Path, tmp_path: Path, copy: bool
) -> None:
    summary = summary_of(data / "bad" / "base.mp4", every_other(8))
    export(summary, tmp_path / "skim.mp4", copy=copy)
    (tmp_path / "page.html").write_text("<video id=v src=skim.mp4 preload=auto></video>")
    page = browser.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    played = page.evaluate(
        """async () => {
            const video = document.getElementById('v');
            const ended = new Promise((resolve, reject) => {
                video.onended = resolve;
                video.onerror = () => reject(new Error(video.error.message));
            });
            video.playbackRate = 4;
            await video.play();
            await ended;
            return {duration: video.duration, at: video.currentTime, width: video.videoWidth,
                    n: video.getVideoPlaybackQuality().totalVideoFrames};
        }"""
    )
    page.close()
    assert played["width"] == 480 and played["n"] > 20
    assert played["at"] == played["duration"]
    assert played["duration"] == pytest.approx(
        max(durations(tmp_path / "skim.mp4").values()), abs=0.05
    )
