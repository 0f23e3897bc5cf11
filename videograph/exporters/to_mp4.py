"""The skim: the chosen spans as one mp4, with sound in step.

Two ways. The exact one decodes the spans and encodes them again, so that every cut falls between the
two frames it was meant for. `copy=True` moves the coded packets unchanged: far faster, but a cut can
only fall on a key frame. Both place pictures and sound by the same list of spans in exact fractions,
so nothing adds up over many cuts.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
from av.container import OutputContainer
from av.error import FFmpegError

from videograph.errors import VideographError
from videograph.exporters import _picture, _remux, _smart, _sound
from videograph.exporters._frames import Frames
from videograph.exporters._spans import Piece, decode_time, pieces_of
from videograph.records import Hook, Summary, VideoInfo, no_hook
from videograph.video import probe

log = logging.getLogger(__name__)

SUFFIX = ".mp4"
FILE_NAME = "skim.mp4"

MAKESHIFT = (
    "The skim is MPEG-4, which browsers may not play: this build of FFmpeg has no H.264 encoder. "
    "PyAV's own wheels have one: pip install --force-reinstall --only-binary=av av"
)
CHAPTER_TICK = Fraction(1, 1000)


def write(summary: Summary, path: Path, *, copy: bool = False, hook: Hook = no_hook) -> list[str]:
    """Write the skim of a summary.

    The exact skim is H.264 in 4:2:0 with 8 bits, upright, with square pixels and even sides, each frame
    at its own time (a variable rate stays variable), and AAC with one or two channels at the source's
    rate. In both ways each span is a chapter, named by its time in the source.

    Args:
        summary: what `videograph.summarize` returned.
        path: where to.
        copy: move packets instead of encoding anew; spans widen to the key frame at or before them.
        hook: told "skim", seconds written, seconds in all.

    Returns:
        Sentences a person should read: what was widened, or which makeshift was used.

    Raises:
        UsageError: `copy` of a codec that an mp4 cannot hold.
        VideographError: nothing of the spans can be decoded, or the file cannot be written.
    """
    try:
        return (_write_copy if copy else _write_exact)(summary, path, hook)
    except FFmpegError as error:
        advice = "Leave out --copy to encode it anew." if copy else "Try another place with -o."
        raise VideographError(
            f"cannot write a skim of {summary.info.path.name} ({error.strerror}). {advice}"
        ) from error


def refuse_copy(video: Path) -> None:
    """Refuse `copy` of a video that an mp4 cannot hold, before it is read.

    Raises:
        UsageError: a codec that does not go into an mp4.
        VideographError: the file cannot be read as a video.
    """
    _remux.refuse_uncopyable(probe(video))


def _write_exact(summary: Summary, path: Path, hook: Hook) -> list[str]:
    pieces = pieces_of(summary.spans)
    try:
        _write_joined(summary, _smart.plan(summary, pieces), path, hook)
    except _smart.Unfit as why:
        log.info("All of the skim of %s is encoded anew: %s.", summary.info.path.name, why)
        return _write_encoded(summary, pieces, path, hook)
    return []


def _write_joined(summary: Summary, plan: _smart.Plan, path: Path, hook: Hook) -> None:
    """Copies whole groups of pictures and encodes the edges; the sound is always encoded."""
    with ExitStack() as stack:
        out = stack.enter_context(_open_output(path, summary.info, plan.pieces))
        tracks = [_smart.tracks(stack, out, summary, plan)]
        tracks += _sound_tracks(stack, out, summary.info, plan.pieces)
        _mux(out, tracks, plan.pieces[-1].at_end, hook)


def _sound_tracks(
    stack: ExitStack, out: OutputContainer, info: VideoInfo, pieces: list[Piece]
) -> list[Iterator[Any]]:
    if info.audio_stream is None:
        return []
    heard = stack.enter_context(Frames(info, info.audio_stream))
    return [_sound.encoded(_sound.add_audio(out, heard.stream), heard, pieces)]


def _write_encoded(summary: Summary, pieces: list[Piece], path: Path, hook: Hook) -> list[str]:
    info = summary.info
    with ExitStack() as stack:
        shown = stack.enter_context(Frames.of_pictures(summary))
        pictures = _picture.pictures_of(shown, pieces)
        first = next(pictures, None)
        if first is None:
            raise VideographError(
                f"cannot make a skim of {info.path.name}: none of the frames in its spans can be "
                "decoded. The key frames and the storyboard can still be exported."
            )
        out = stack.enter_context(_open_output(path, info, pieces))
        upright = _picture.Upright(first.frame, info)
        video = _picture.add_video(out, upright, _frame_rate(summary))
        pictures = chain([first], pictures)
        tracks = [_picture.encoded(video, pictures, upright, pieces[-1].at_end)]
        tracks += _sound_tracks(stack, out, info, pieces)
        _mux(out, tracks, pieces[-1].at_end, hook)
    return [] if video.codec_context.name == _picture.ENCODERS[0] else [MAKESHIFT]


def _write_copy(summary: Summary, path: Path, hook: Hook) -> list[str]:
    _remux.refuse_untimed(summary)
    _remux.refuse_uncopyable(summary.info)
    runs = _remux.plan(summary)
    pieces = pieces_of((run.start, run.end) for run in runs)
    with ExitStack() as stack:
        out = stack.enter_context(_open_output(path, summary.info, pieces))
        tracks = _remux.tracks(stack, out, summary.info, runs, pieces)
        _mux(out, tracks, pieces[-1].at_end, hook)
    return _remux.widening(summary, runs)


def _open_output(path: Path, info: VideoInfo, pieces: list[Piece]) -> OutputContainer:
    """An mp4 whose index comes first, so that a browser can start before it has all of it."""
    out = av.open(f"file:{path}", "w", format="mp4", options={"movflags": "+faststart"})
    out.metadata["title"] = f"{info.title or info.path.stem} - skim"
    out.set_chapters(
        [
            {
                "id": number,
                "start": round(piece.at / CHAPTER_TICK),
                "end": round(piece.at_end / CHAPTER_TICK),
                "time_base": CHAPTER_TICK,
                "metadata": {"title": f"from {_clock_face(piece.start)}"},
            }
            for number, piece in enumerate(pieces)
        ]
    )
    return out


def _clock_face(seconds: Fraction) -> str:
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def _frame_rate(summary: Summary) -> Fraction:
    """What the encoder's rate control may assume; times do not depend on it."""
    clock = summary.report.clock
    rate = Fraction(clock.n_frames) / clock.duration
    return max(Fraction(1), min(Fraction(240), rate)).limit_denominator(1001)


def _mux(out: OutputContainer, tracks: list[Iterator[Any]], total: Fraction, hook: Hook) -> None:
    """Write all tracks side by side, none ahead of the others, so that little is held in memory."""
    told = 0.0
    for packet in heapq.merge(*tracks, key=decode_time):
        done = float(decode_time(packet))
        out.mux(packet)
        if told + 1 <= done < total:
            told = done
            hook("skim", done, float(total))
    hook("skim", float(total), float(total))
