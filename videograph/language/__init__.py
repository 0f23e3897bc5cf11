"""Words that go with a video, or are asked of it: gathered, cleaned, timed, and put before the model.

Each text keeps its source, and a source that is trusted more comes first: the user's query, subtitles,
title, description, speech, captions, object labels (`records.WORD_SOURCES`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from videograph.errors import UsageError, VideographError
from videograph.language._clean import RawCue, as_said, as_texts
from videograph.language._inside import read_description, read_streams
from videograph.language._nouns import nouns
from videograph.language._seen import caption_texts, object_texts
from videograph.language._speech import speech_texts
from videograph.language._subtitles import files_beside, read_file
from videograph.language._words import MAX_WORDS, words_from
from videograph.records import TimedText, VideoInfo

__all__ = [
    "MAX_WORDS", "caption_texts", "nouns", "object_texts", "query_texts", "read_texts", "speech_texts",
    "words_from",
]  # fmt: skip


def _silent(sentence: str) -> None:
    """Warn nobody."""


def read_texts(
    info: VideoInfo,
    *,
    query: Sequence[str] = (),
    unwanted: Sequence[str] = (),
    title: str | None = None,
    subtitles: Path | None = None,
    language: str = "en",
    warn: Callable[[str], None] = _silent,
) -> list[TimedText]:
    """Words that are at hand without a network: query, subtitles, title, description, in this order.

    Subtitles are those of `subtitles`, else of the best file beside the video with its stem
    (`film.srt`, `film.en.vtt`), else of the best text stream inside it.

    Args:
        info: the video, as `video.probe` tells of it.
        query: what the user looks for, a sentence or words each.
        unwanted: what the user wants to be left out.
        title: in place of the file's title tag.
        subtitles: a subtitle file to read in place of those found; it must be readable.
        language: taken where subtitles are there in several.
        warn: told a sentence about each file or stream that is damaged and was left out, and about
            subtitles that lie after the end of the video.

    Raises:
        UsageError: a query is empty.
        VideographError: the named subtitle file cannot be read, or the video cannot be opened again.
    """
    found = query_texts(query, unwanted)
    found += _subtitles(info, subtitles, language, warn)
    if line := as_said(info.title or "" if title is None else title):
        found.append(TimedText(line, "title"))
    return found + read_description(info)


def query_texts(query: Sequence[str], unwanted: Sequence[str] = ()) -> list[TimedText]:
    """A user's own words; the wanted ones first.

    Raises:
        UsageError: one of them holds no word.
    """
    found: list[TimedText] = []
    for wanted, phrases in ((True, query), (False, unwanted)):
        for phrase in phrases:
            line = as_said(phrase)
            if not line:
                option = "--query" if wanted else "--not"
                raise UsageError(
                    f'"{phrase}" holds no word. Allowed: words or a sentence. '
                    f'Try {option} "the dog jumps".'
                )
            found.append(TimedText(line, "query", wanted=wanted))
    return found


def _subtitles(
    info: VideoInfo, named: Path | None, language: str, warn: Callable[[str], None]
) -> list[TimedText]:
    if named is not None:
        return _on_timeline(info, read_file(Path(named)), Path(named).name, warn)
    for file in files_beside(info.path, language):
        try:
            cues = read_file(file)
        except VideographError as error:
            warn(f"subtitles beside {info.path.name} were left out: {error}")
            continue
        if texts := _on_timeline(info, cues, file.name, warn):
            return texts
    return _on_timeline(
        info, read_streams(info, language, warn), f"the subtitles inside {info.path.name}", warn
    )


def _on_timeline(
    info: VideoInfo, cues: list[RawCue], name: str, warn: Callable[[str], None]
) -> list[TimedText]:
    texts, n_late = as_texts(cues, "subtitles", info.duration_seconds)
    if n_late:
        warn(
            f"{n_late} of {len(cues)} lines of {name} begin after the end of the video and were "
            "left out. Do they belong to another cut of it?"
        )
    return texts
