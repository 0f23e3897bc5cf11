"""A sample video that the package draws itself: a small story with sound, subtitles and known truth.

What is drawn is told in full (`SampleStory`), so that a test can check what was found against it. A lamp
in the top right corner flashes about once a second, and at the very start of each flash a click sounds:
in any cut of the video, sound is in step where flash and click still meet.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.subtitles.subtitle import SubtitleSet
from PIL import Image, ImageDraw

from videograph.errors import UsageError
from videograph.sample_scenes import END, HEIGHT, STORY, WIDTH, Look, Painter

FRAMES_PER_SECOND = 25
SAMPLES_PER_SECOND = 48000
SAMPLES_PER_FRAME = SAMPLES_PER_SECOND // FRAMES_PER_SECOND  # 1920
AAC_SAMPLES = 1024
TITLE = "One day"
"""Title tag of the file."""
MIN_SCENE_SECONDS = 1
LAMP_BOX = (592, 8, 631, 47)
"""Housing of the lamp, left, top, right, bottom, inclusive: black. Its upper half is white for the first
frame of a flash only, the lower half for both, so that half a flash at a cut is no onset."""
CLICK_HZ, CLICK_SECONDS = 2000, 0.02
SUBTITLE_HEADER = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, \
Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, \
MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,0

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""
"""FFmpeg's text encoders read cues as lines of an ASS file, and want its head first."""


@dataclass(frozen=True)
class SampleScene:
    """One scene of the sample."""

    title: str
    """What is seen, as a chapter would be called."""
    start_seconds: Fraction
    """Start of its first frame."""
    end_seconds: Fraction
    """End of its last frame."""
    dull: bool
    """True where next to nothing happens."""


@dataclass(frozen=True)
class SampleCue:
    """One subtitle of the sample."""

    start_seconds: Fraction
    """When it appears."""
    end_seconds: Fraction
    """When it goes."""
    text: str
    """What it says."""


@dataclass(frozen=True)
class SampleStory:
    """The truth about a drawn sample."""

    path: Path
    """The file."""
    title: str
    """Its title tag."""
    scenes: tuple[SampleScene, ...]
    """What is shown, without a gap from 0 to the end."""
    click_seconds: tuple[Fraction, ...]
    """When a click sounds and a flash begins."""
    cues: tuple[SampleCue, ...]
    """The embedded subtitles."""


def draw_sample(
    path: str | Path, *, seed: int = 0, n_scenes: int = 8, seconds: int | Fraction = 68
) -> SampleStory:
    """Draw a sample video: H.264 640x360 at 25 frames a second, AAC stereo, mov_text subtitles.

    The same seed and sizes give the same video, on one version of the libraries byte for byte.

    Args:
        path: where to, an .mp4; its folder is there. The file appears whole or not at all.
        seed: of colours, places, lengths and click times.
        n_scenes: scenes, the end card among them.
        seconds: length of all, rounded to frames; at least a second per scene.

    Raises:
        UsageError: no scene, or too little time for them.
    """
    if n_scenes < 1 or seconds < n_scenes * MIN_SCENE_SECONDS:
        raise UsageError(
            f"{n_scenes} scenes in {float(seconds):g} s. Allowed: at least one scene, and "
            f"{MIN_SCENE_SECONDS} s for each. Try seconds={max(1, n_scenes) * 5}."
        )
    path = Path(path)
    rng = np.random.default_rng(seed)
    looks = _looks(n_scenes)
    bounds = _bounds(rng, looks, round(seconds * FRAMES_PER_SECOND))
    clicks = _click_frames(rng, int(bounds[-1]))
    story = _story(path, looks, bounds, clicks)
    hidden = path.with_name(f".{path.name}.{os.getpid()}.part.mp4")
    try:
        _write(hidden, story, rng, looks, bounds, clicks)
        os.replace(hidden, path)
    finally:
        hidden.unlink(missing_ok=True)
    return story


def _looks(n_scenes: int) -> list[Look]:
    return [STORY[i % len(STORY)] for i in range(n_scenes - 1)] + [END]


def _bounds(rng: np.random.Generator, looks: list[Look], n_frames: int) -> np.ndarray:
    """First frame of each scene and the end of all, (n_scenes + 1,) int64."""
    weights = np.array([look.weight for look in looks]) * rng.uniform(0.85, 1.15, len(looks))
    least = MIN_SCENE_SECONDS * FRAMES_PER_SECOND
    spare = n_frames - least * len(looks)
    ends = np.cumsum(weights / weights.sum() * spare + least)
    return np.concatenate([[0], np.rint(ends)]).astype(np.int64)


def _click_frames(rng: np.random.Generator, n_frames: int) -> list[int]:
    """About one frame a second, never two closer than half a second."""
    every = np.arange(FRAMES_PER_SECOND // 2, n_frames - 3, FRAMES_PER_SECOND)
    return (every + rng.integers(-6, 7, len(every))).tolist()


def _story(path: Path, looks: list[Look], bounds: np.ndarray, clicks: list[int]) -> SampleStory:
    times = [Fraction(int(b), FRAMES_PER_SECOND) for b in bounds]
    spans = list(zip(looks, times[:-1], times[1:], strict=True))
    return SampleStory(
        path=path,
        title=TITLE,
        scenes=tuple(SampleScene(look.title, start, end, look.dull) for look, start, end in spans),
        click_seconds=tuple(Fraction(c, FRAMES_PER_SECOND) for c in clicks),
        cues=tuple(
            SampleCue(start + Fraction(1, 5), min(end - Fraction(1, 5), start + 4), look.line)
            for look, start, end in spans
        ),
    )


def _write(
    path: Path, story: SampleStory, rng: np.random.Generator, looks: list[Look], bounds: np.ndarray,
    clicks: list[int],
) -> None:  # fmt: skip
    painters = [look.paint(rng) for look in looks]
    sound = _sound(looks, bounds, clicks)
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        container.metadata["title"] = story.title
        video, audio, text = _streams(container)
        _write_cues(container, text, story)
        written = 0
        for number, picture in enumerate(_pictures(painters, bounds, clicks)):
            frame = av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FRAMES_PER_SECOND)
            container.mux(video.encode(frame))
            due = (number + 1) * SAMPLES_PER_FRAME
            while written + AAC_SAMPLES <= due or (due == sound.shape[1] and written < due):
                container.mux(audio.encode(_audio_frame(sound, written)))
                written += AAC_SAMPLES
        container.mux(video.encode())
        container.mux(audio.encode())


def _streams(container: Any) -> tuple[Any, Any, Any]:
    video = container.add_stream(
        "libx264", rate=FRAMES_PER_SECOND, options={"crf": "23", "preset": "veryfast"}
    )
    video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    video.codec_context.thread_count = 1  # more: other bytes from run to run
    audio = container.add_stream("aac", rate=SAMPLES_PER_SECOND, layout="stereo")
    audio.bit_rate = 128000
    text = container.add_stream("mov_text")
    text.codec_context.subtitle_header = SUBTITLE_HEADER
    text.codec_context.time_base = text.time_base = Fraction(1, 1000)
    text.metadata["language"] = "eng"
    return video, audio, text


def _write_cues(container: Any, stream: Any, story: SampleStory) -> None:
    for number, cue in enumerate(story.cues):
        start, length = (
            round(cue.start_seconds * 1000),
            round((cue.end_seconds - cue.start_seconds) * 1000),
        )
        line = f"{number},0,Default,,0,0,0,,{cue.text}".encode()
        packet = stream.codec_context.encode_subtitle(SubtitleSet.create(line, 0, length))
        packet.stream, packet.time_base = stream, Fraction(1, 1000)
        packet.pts = packet.dts = start
        packet.duration = length
        container.mux(packet)


def _pictures(
    painters: list[Painter], bounds: np.ndarray, clicks: list[int]
) -> Iterator[Image.Image]:
    onsets = set(clicks)
    for painter, start, end in zip(painters, bounds[:-1], bounds[1:], strict=True):
        for number in range(int(start), int(end)):
            seconds = (number - start) / FRAMES_PER_SECOND
            picture = painter(seconds, (number - start) / (end - start))
            _lamp(picture, first=number in onsets, second=number - 1 in onsets)
            yield picture


def _lamp(picture: Image.Image, *, first: bool, second: bool) -> None:
    left, top, right, bottom = LAMP_BOX
    middle = (top + bottom) // 2
    canvas = ImageDraw.Draw(picture)
    canvas.rectangle(LAMP_BOX, fill=(0, 0, 0))
    if first:
        canvas.rectangle((left + 4, top + 4, right - 4, middle), fill=(255, 255, 255))
    if first or second:
        canvas.rectangle((left + 4, middle + 1, right - 4, bottom - 4), fill=(255, 255, 255))


def _sound(looks: list[Look], bounds: np.ndarray, clicks: list[int]) -> np.ndarray:
    """Melody and clicks, (2, n_samples) float32 in [-1, 1]."""
    track = np.zeros((2, int(bounds[-1]) * SAMPLES_PER_FRAME), np.float32)
    for look, start, end in zip(looks, bounds[:-1], bounds[1:], strict=True):
        part = track[:, start * SAMPLES_PER_FRAME : end * SAMPLES_PER_FRAME]
        part += _melody(look.notes, part.shape[1])
    click = _click()
    for frame in clicks:
        at = frame * SAMPLES_PER_FRAME
        track[:, at : at + len(click)] += click[: track.shape[1] - at]
    return track


def _melody(notes: tuple[int, ...], n_samples: int) -> np.ndarray:
    """Half-second notes that swell and fade, wandering between left and right, (2, n_samples)."""
    seconds = np.arange(n_samples) / SAMPLES_PER_SECOND
    number = (seconds * 2).astype(np.int64)
    hertz = np.array(notes)[number % len(notes)]
    swell = np.sin(np.pi * ((seconds * 2) % 1)) ** 2
    tone = 0.09 * swell * np.sin(2 * np.pi * hertz * (seconds - number / 2))
    side = 0.5 + 0.3 * np.sin(2 * np.pi * seconds / 7)
    return np.stack([tone * (1 - side), tone * side]).astype(np.float32)


def _click() -> np.ndarray:
    """A short burst, half a millisecond from silence to full, (n,) float32."""
    seconds = np.arange(int(CLICK_SECONDS * SAMPLES_PER_SECOND)) / SAMPLES_PER_SECOND
    envelope = np.minimum(seconds / 0.0005, 1) * np.exp(-seconds / 0.006)
    return (0.8 * envelope * np.cos(2 * np.pi * CLICK_HZ * seconds)).astype(np.float32)


def _audio_frame(sound: np.ndarray, start: int) -> Any:
    part = np.ascontiguousarray(sound[:, start : start + AAC_SAMPLES])
    frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="stereo")
    frame.sample_rate, frame.pts = SAMPLES_PER_SECOND, start
    frame.time_base = Fraction(1, SAMPLES_PER_SECOND)
    return frame
