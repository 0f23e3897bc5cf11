"""What is said in a video that has no subtitles, by faster-whisper."""

from __future__ import annotations

import importlib
import os
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

from videograph.errors import VideographError
from videograph.language._clean import RawCue, as_texts
from videograph.records import Hook, TimedText, VideoInfo, no_hook


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
        VideographError: faster-whisper is missing, or the model is, or the sound cannot be decoded.
    """
    if info.audio_stream is None:
        return []
    listener = _listener(model, device)
    offset = _sound_start(info)
    cues: list[RawCue] = []
    total = None if info.duration_seconds is None else float(info.duration_seconds)
    try:
        # "file:" keeps FFmpeg from taking a colon in a name for a protocol.
        segments, _ = listener.transcribe(f"file:{info.path}", language=language, vad_filter=True)
        for segment in segments:
            start, end = (Fraction(round(1000 * t), 1000) for t in (segment.start, segment.end))
            cues.append((start + offset, end + offset, segment.text))
            hook("speech", float(segment.end), total)
    except Exception as error:  # of PyAV, CTranslate2, the tokenizer: too many to name
        raise VideographError(
            f"the sound of {info.path} cannot be transcribed ({_line(error)}). "
            "Try subtitles in its place, or another model."
        ) from error
    texts, _ = as_texts(cues, "speech", info.duration_seconds)
    hook("speech", total or 0.0, total, texts)
    return texts


def _listener(model: str | Path, device: str) -> Any:
    try:
        hearing: Any = importlib.import_module("faster_whisper").WhisperModel
    except ImportError as error:
        raise VideographError(
            "faster-whisper is not installed, which hears speech. "
            "Try: pip install 'videograph[speech]'"
        ) from error
    options = {"device": device, "compute_type": "int8" if device == "cpu" else "default"}
    local = Path(model).expanduser()
    if local.is_dir():
        model = local
    try:
        try:
            return hearing(str(model), local_files_only=True, **options)
        except ValueError:  # no such size, no such device: a second try would tell the same
            raise
        except Exception:
            if local.is_dir() or os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0"):
                raise
            print(
                f"Downloading the speech model {model} to {_cache()}", file=sys.stderr, flush=True
            )
            return hearing(str(model), **options)
    except Exception as error:  # of the hub, its transport, CTranslate2: too many to name
        raise VideographError(
            f"the speech model {model} cannot be loaded ({_line(error)}). Looked for in {_cache()}. "
            "Try: a folder with a Whisper model in CTranslate2's form, or subtitles beside the video."
        ) from error


def _cache() -> str:
    from huggingface_hub import constants

    return str(constants.HF_HUB_CACHE)


def _sound_start(info: VideoInfo) -> Fraction:
    """When the sound begins on the video's timeline: the model counts from its own first sample."""
    from videograph.video import open_media

    with open_media(info.path) as container:
        stream = container.streams.audio[0]
        return Fraction(stream.start_time or 0) * (stream.time_base or 1) - info.start_seconds


def _line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".")[:200]
