"""What is said in a video that has no subtitles, by faster-whisper."""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

from videograph.errors import UsageError, VideographError
from videograph.language._clean import RawCue, as_texts
from videograph.records import Hook, TimedText, VideoInfo, no_hook

COMPUTE_TYPES = {"auto": "auto", "cpu": "int8", "cuda": "default"}
"""What CTranslate2 computes with, by device: "auto" is the fastest that it has there, 8 bits on a CPU."""


def speech_texts(
    info: VideoInfo,
    model: str | Path = "small",
    *,
    language: str | None = None,
    device: str = "auto",
    hook: Hook = no_hook,
) -> list[TimedText]:
    """Sentences that are spoken, with their spans; none for a silent video.

    Silence and music are skipped (Silero VAD). On a CPU the model computes with 8-bit weights, four times
    as fast as with 32 bits.

    Args:
        info: the video, as `video.probe` tells of it.
        model: a size ("tiny", "base", "small", "medium", "large-v3", "turbo"), a hub id, or a folder
            with a Whisper model in CTranslate2's form.
        language: what is spoken ("en"); None listens for it first.
        device: "auto", "cpu" or "cuda".
        hook: told of stage "speech", in seconds of video.

    Raises:
        UsageError: no such size, or no such device.
        VideographError: faster-whisper is missing, or the model is, or the sound cannot be decoded.
    """
    if info.audio_stream is None:
        return []
    listener = _listener(model, device)
    sound, offset = _sound(info)
    cues: list[RawCue] = []
    total = None if info.duration_seconds is None else float(info.duration_seconds)
    for segment in _segments(listener, info, sound, language):
        start, end = (Fraction(round(1000 * t), 1000) for t in (segment.start, segment.end))
        cues.append((start + offset, end + offset, segment.text))
        hook("speech", float(segment.end), total)
    texts, _ = as_texts(cues, "speech", info.duration_seconds)
    hook("speech", total or 0.0, total, texts)
    return texts


def _segments(
    listener: Any, info: VideoInfo, sound: str | BinaryIO, language: str | None
) -> Iterator[Any]:
    """What is heard, piece by piece; only errors of the listener are told as such, a hook's are not."""
    try:
        heard, _ = listener.transcribe(sound, language=language, vad_filter=True)
        segments = iter(heard)
    except Exception as error:
        raise _unheard(info, error) from error
    while True:
        try:
            segment = next(segments, None)
        except Exception as error:  # of PyAV, CTranslate2, the tokenizer: too many to name
            raise _unheard(info, error) from error
        if segment is None:
            return
        yield segment


def _unheard(info: VideoInfo, error: Exception) -> VideographError:
    return VideographError(
        f"the sound of {info.path} cannot be transcribed ({_line(error)}). "
        "Try subtitles in its place, or another model."
    )


def _listener(model: str | Path, device: str) -> Any:
    try:
        hearing: Any = importlib.import_module("faster_whisper").WhisperModel
    except ImportError as error:
        raise VideographError(
            "faster-whisper is not installed, which hears speech. "
            "Try: pip install 'videograph[speech]'"
        ) from error
    if device not in COMPUTE_TYPES:
        raise UsageError(f'device is "{device}". Allowed for speech: {", ".join(COMPUTE_TYPES)}.')
    options = {"device": device, "compute_type": COMPUTE_TYPES[device]}
    local = Path(model).expanduser()
    what = str(local) if local.is_dir() else str(model)
    is_offline = os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "on", "yes")
    try:
        try:
            return hearing(what, local_files_only=True, **options)
        except ValueError as error:
            if "model size" not in str(error):
                raise
            raise UsageError(
                f'no speech model "{model}". Allowed: tiny, base, small, medium, large-v3, turbo; '
                "a hub id; a folder with a Whisper model in CTranslate2's form."
            ) from error
        except Exception:
            if local.is_dir() or is_offline:
                raise
            print(
                f"Downloading the speech model {model} to {_cache()}", file=sys.stderr, flush=True
            )
            return hearing(what, **options)
    except UsageError:
        raise
    except Exception as error:  # of the hub, its transport, CTranslate2: too many to name
        why = "not there, and HF_HUB_OFFLINE forbids to download it" if is_offline else _line(error)
        place = f"in {local}" if local.is_dir() else f"in the cache ({_cache()})"
        raise VideographError(
            f"the speech model {model} cannot be loaded: {_line(error) if local.is_dir() else why}. "
            f"Looked for {place}. Try: a folder with a Whisper model in CTranslate2's form, or "
            "subtitles beside the video."
        ) from error


def _cache() -> str:
    from huggingface_hub import constants

    return str(constants.HF_HUB_CACHE)


def _sound(info: VideoInfo) -> tuple[str | BinaryIO, Fraction]:
    """What is listened to, and when it begins on the video's timeline.

    The model hears the first sound of a file and counts from its own first sample. Of a video whose
    default sound is another one, such as one with comments before it, it is given a copy of that alone.
    """
    from videograph.video import open_media

    with open_media(info.path) as container:
        stream: Any = container.streams[info.audio_stream or 0]
        start = Fraction(stream.start_time or 0) * (stream.time_base or 1) - info.start_seconds
        if stream.index == container.streams.audio[0].index:
            # "file:" keeps FFmpeg from taking a colon in a name for a protocol.
            return f"file:{info.path}", start
        return _alone(container, stream), start


def _alone(container: Any, stream: Any) -> BinaryIO:
    """The packets of a stream as a file in memory: a megabyte a minute."""
    import av

    held = io.BytesIO()
    with av.open(held, "w", format="matroska") as out:
        copy: Any = out.add_stream_from_template(stream, opaque=True)
        for packet in container.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                out.mux(packet)
    held.seek(0)
    return held


def _line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".")[:200]
