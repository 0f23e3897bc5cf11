"""Long inputs made once from the shared real clips, in a cache folder outside the repository."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import PictureType

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("VIDEOGRAPH_DATA", ROOT.parent / "shared" / "data"))
CACHE = Path(os.environ.get("VIDEOGRAPH_BENCH", Path.home() / ".cache" / "videograph-bench"))
WIDTH, HEIGHT, RATE = 1280, 720, 30
SAMPLE_RATE = 48_000
SMALL = (640, 360)
MIN_HEIGHT = 360
"""Clips below would be blown up to 720p and be too easy to decode."""


def ten_minutes(seconds: int = 600, preset: str = "faster") -> Path:
    """720p, 30 frames a second, H.264 with AAC: real clips cut together, about `seconds` long."""
    path = CACHE / f"clips_{seconds}s_720p_{preset}.mp4"
    if path.exists():
        return path
    CACHE.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.mp4")
    with av.open(str(part), "w", format="mp4") as out:
        video = out.add_stream("libx264", rate=RATE, options={"preset": preset, "crf": "22"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.time_base = Fraction(1, RATE)
        sound = out.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        for index, frame in enumerate(_frames(seconds * RATE)):
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            frame.pict_type = PictureType.NONE  # else the source's key frames are forced on x264
            out.mux(video.encode(frame))
            out.mux(sound.encode(_tone(index)))
            if index % 1000 == 0:
                print(f"  {path.name}: {index} of {seconds * RATE} frames", flush=True)
        out.mux(video.encode(None))
        out.mux(sound.encode(None))
    part.rename(path)
    return path


def long_video(hours: int, kind: str) -> Path:
    """H.264 at 640x360 and 30 frames a second, copied together without encoding anew.

    "busy" repeats the ten minutes of clips, "static" ten minutes of a room where for half a minute something
    goes by. 1.3 and 0.2 GB a day. Matroska, as recorders write it: its index names key frames only, where an
    mp4's lists every frame, and FFmpeg holds that in memory.
    """
    path = CACHE / f"{kind}_{hours}h_360p.mkv"
    if not path.exists():
        _repeated(_busy_part() if kind == "busy" else _static_part(), hours * 6, path)
    return path


def _busy_part() -> Path:
    path = CACHE / "busy_part.mp4"
    if not path.exists():
        with av.open(str(ten_minutes())) as source:
            source.streams.video[0].thread_type = "AUTO"
            _encode(source.decode(video=0), path, crf=28)
    return path


def _static_part() -> Path:
    path = CACHE / "static_part.mp4"
    if not path.exists():
        with av.open(str(DATA / "videos/persons_one_by_one.mp4")) as source:
            frames = (f.reformat(SMALL[0], SMALL[1], "rgb24") for f in source.decode(video=0))
            thing = [f.to_ndarray() for f, _ in zip(frames, range(300), strict=False)]
        _encode(_room(thing), path, crf=28)
    return path


def _room(passing: list[np.ndarray]) -> Iterator[av.VideoFrame]:
    """Ten minutes: the first picture with noise of a camera, and in the fifth minute all of them."""
    rng = np.random.default_rng(0)
    noise = rng.normal(scale=1.5, size=(8, *passing[0].shape)).astype(np.float32)
    empty = [_noisy(passing[0], grain) for grain in noise]
    for index in range(600 * RATE):
        at = (index - 300 * RATE) // 3  # ten pictures a second
        grain = index % len(noise)
        is_passing = 0 <= at < len(passing)
        shown = _noisy(passing[at], noise[grain]) if is_passing else empty[grain]
        yield av.VideoFrame.from_ndarray(shown, format="rgb24")


def _noisy(picture: np.ndarray, grain: np.ndarray) -> np.ndarray:
    return np.clip(picture + grain, 0, 255).astype(np.uint8)


def _encode(frames: Iterator[av.VideoFrame], path: Path, crf: int) -> None:
    part = path.with_suffix(".part.mp4")
    with av.open(str(part), "w", format="mp4") as out:
        options = {"preset": "veryfast", "crf": str(crf)}
        video = out.add_stream("libx264", rate=RATE, options=options)
        (video.width, video.height), video.pix_fmt = SMALL, "yuv420p"
        for index, frame in enumerate(frames):
            small = frame.reformat(*SMALL, "yuv420p")
            small.pts, small.time_base = index, Fraction(1, RATE)
            small.pict_type = PictureType.NONE
            out.mux(video.encode(small))
        out.mux(video.encode(None))
    part.rename(path)


def _repeated(source: Path, times: int, path: Path) -> None:
    """A file `times` over, its packets copied and their times moved on."""
    part = path.with_suffix(".part.mkv")
    with av.open(str(source)) as one:
        packets = [(bytes(p), p.pts, p.dts, p.duration, p.is_keyframe)
                   for p in one.demux(video=0) if p.size]  # fmt: skip
        stream = one.streams.video[0]
        length = sum(duration for _, _, _, duration, _ in packets)
        with av.open(str(part), "w", format="matroska") as out:
            video = out.add_stream_from_template(stream)
            for k in range(times):
                for data, pts, dts, duration, is_keyframe in packets:
                    packet = av.Packet(data)
                    packet.stream, packet.time_base = video, stream.time_base
                    packet.pts, packet.dts = pts + k * length, dts + k * length
                    packet.duration, packet.is_keyframe = duration, is_keyframe
                    out.mux(packet)
    part.rename(path)


def _frames(n_frames: int) -> Iterator[av.VideoFrame]:
    told = json.loads((DATA / "videos/videos.json").read_text(encoding="utf-8"))["videos"]
    clips = sorted(name for name, facts in told.items() if facts["height"] >= MIN_HEIGHT)
    random.Random(0).shuffle(clips)
    made = 0
    while True:
        for name in clips:
            for frame in _resampled(DATA / "videos" / name):
                yield frame
                made += 1
                if made == n_frames:
                    return


def _resampled(path: Path) -> Iterator[av.VideoFrame]:
    """The clip at RATE frames a second: each output frame is the one on the screen at its time."""
    with av.open(str(path)) as source:
        stream = source.streams.video[0]
        stream.thread_type = "AUTO"
        made, start = 0, None
        for frame in source.decode(stream):
            now = frame.time  # kept: who takes the frame gives it another time
            start = now if start is None else start
            while made / RATE <= now - start:
                yield frame.reformat(WIDTH, HEIGHT, "yuv420p")
                made += 1


def _tone(index: int) -> av.AudioFrame:
    n = SAMPLE_RATE // RATE
    t = (np.arange(n) + index * n) / SAMPLE_RATE
    wave = (0.1 * np.sin(2 * np.pi * 220 * t)).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, index * n, Fraction(1, SAMPLE_RATE)
    return frame


if __name__ == "__main__":
    print(ten_minutes())
