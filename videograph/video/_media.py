"""A file of any kind opened, and what it says of itself.

Second 0 is the first moment that a player shows: the earliest start of the picture and of the sound,
rounded down to a tick of the video stream. Every time counts from it, in ticks of the stream's time base
or as a Fraction in seconds; a frame's number times a rate is used only where a file has no time stamps at
all, and then the report says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.frame import VideoFrame

from videograph.errors import VideographError
from videograph.records import VideoInfo
from videograph.video._decoding import Decoder

TEXT_CODECS = ("mov_text", "subrip", "srt", "ass", "ssa", "webvtt", "text", "microdvd", "ttml")
"""Subtitle codecs that hold text, not pictures of it."""

PLAYLISTS = ("concat", "hls")
"""Formats that only name other files."""


@contextmanager
def open_media(path: str | Path) -> Iterator[InputContainer]:
    """A media file opened for reading, and closed at the end whatever happens.

    Raises:
        VideographError: there is no such file, it is no media file, or FFmpeg refuses it later on.
    """
    path = Path(path)
    _refuse_unreadable(path)
    try:
        # "file:" keeps FFmpeg from taking a colon in a name for a protocol.
        container = av.open(f"file:{path}", metadata_errors="replace")
    except (FFmpegError, OSError, ValueError) as error:
        raise VideographError(_why_not_opened(path, error)) from error
    try:
        yield container
    except FFmpegError as error:
        raise VideographError(f"{path} cannot be read: {error.strerror or error}.") from error
    finally:
        container.close()


def _refuse_unreadable(path: Path) -> None:
    try:
        path.stat()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise VideographError(
            f"{path} cannot be reached ({error.strerror}). Check its name and its rights."
        ) from error
    if not path.exists():
        raise VideographError(f"there is no file {path}. Check its name, or give the full path.")
    if path.is_dir():
        raise VideographError(f"{path} is a folder, not a video. Give one of the files in it.")
    if path.stat().st_size == 0:
        raise VideographError(f"{path} is empty (0 bytes). Copy or download it again.")


def _why_not_opened(path: Path, error: Exception) -> str:
    if isinstance(error, PermissionError):
        return f"{path} may not be read (permission denied). Change its rights, or copy it."
    with path.open("rb") as file:
        start = file.read(12)
    if start[4:8] == b"ftyp":
        return (
            f"{path} is cut off: the index that an MP4 or MOV file keeps at its end is missing. "
            "Copy or download it again."
        )
    return f"{path} is not a video or damaged beyond reading. Try a file that a player opens."


def probe(path: str | Path) -> VideoInfo:
    """What a file says of itself.

    One frame is decoded where that is possible, since a picture's rotation stands beside it.

    Raises:
        VideographError: no such file, not a media file, or one without a moving picture.
    """
    with open_media(path) as container:
        stream = _video_stream(container, Path(path))
        audio = _audio_stream(container)
        start = _start(stream, audio)
        info = _info(Path(path), container, stream, audio, start)
        first = next((f for _, f in Decoder(container, info, threads="NONE").frames()), None)
    info = _as_shown(info, stream, first)
    if info.width < 1 or info.height < 1:
        raise VideographError(
            f"{path} holds a picture without a size. Try another copy of the file."
        )
    return info


def _video_stream(container: InputContainer, path: Path) -> Any:
    """The default stream, else the largest; a picture that is attached to music is none."""
    if container.format.name in PLAYLISTS:
        raise VideographError(f"{path} is a playlist, not a video. Give one of the files it names.")
    streams = [s for s in container.streams.video if s.codec_context is not None]
    real = [s for s in streams if not s.disposition & _NO_VIDEO]
    if not real and container.streams.video:
        what = "only a cover picture" if streams else "only a stream of an unknown codec"
        raise VideographError(f"{path} holds {what}, no video. Give a file with a moving picture.")
    if not real or container.format.name == "tty":
        raise VideographError(f"{path} holds no video stream. Give a file with a moving picture.")
    return max(real, key=lambda s: (bool(s.disposition & _DEFAULT), s.width * s.height, -s.index))


_NO_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails
_DEFAULT = Disposition.default


def _audio_stream(container: InputContainer) -> Any:
    streams = [s for s in container.streams.audio if s.codec_context is not None]
    return max(streams, key=lambda s: (bool(s.disposition & _DEFAULT), -s.index), default=None)


def _start(stream: Any, audio: Any) -> Fraction:
    """The moment of the file's own clock that is second 0, a whole number of video ticks."""
    start = Fraction(stream.start_time or 0) * stream.time_base
    if audio is not None and audio.start_time is not None:
        # Sound before 0 is the codec's run-up, which players throw away.
        start = min(start, max(audio.start_time * audio.time_base, min(start, Fraction(0))))
    return start // stream.time_base * stream.time_base


def _info(
    path: Path, container: InputContainer, stream: Any, audio: Any, start: Fraction
) -> VideoInfo:
    return VideoInfo(
        path=path,
        container=container.format.name,
        codec=stream.codec_context.name,
        pixel_format=stream.pix_fmt or "unknown",
        width=stream.width,
        height=stream.height,
        rotation=0,
        average_rate=stream.average_rate or None,
        time_base=stream.time_base,
        start_seconds=start,
        duration_seconds=_promised_end(container, stream, start),
        n_frames=stream.frames or None,
        video_stream=stream.index,
        audio_stream=None if audio is None else audio.index,
        subtitle_streams=tuple(
            s.index
            for s in container.streams.subtitles
            if s.codec_context is not None and s.codec_context.name in TEXT_CODECS
        ),
        title=container.metadata.get("title") or None,
    )


def _promised_end(container: InputContainer, stream: Any, start: Fraction) -> Fraction | None:
    if stream.duration:
        return ((stream.start_time or 0) + stream.duration) * stream.time_base - start
    if container.duration:
        return Fraction((container.start_time or 0) + container.duration, av.time_base) - start
    return None


def _as_shown(info: VideoInfo, stream: Any, first: VideoFrame | None) -> VideoInfo:
    """The sizes a player shows: pixels made square, the picture turned."""
    width = first.width if first else info.width
    height = first.height if first else info.height
    aspect = stream.sample_aspect_ratio
    if aspect and Fraction(1, 4) <= aspect <= 4:
        width = round(width * aspect)
    rotation = round(-first.rotation / 90) * 90 % 360 if first else 0
    if rotation in (90, 270):
        width, height = height, width
    return replace(
        info,
        width=width,
        height=height,
        rotation=rotation,
        pixel_format=first.format.name if first else info.pixel_format,
    )
