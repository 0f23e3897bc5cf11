"""Subtitle files: which of those beside a video is meant, and what is in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from videograph.errors import VideographError
from videograph.language._clean import RawCue

SUFFIXES = (".srt", ".vtt", ".ass", ".ssa")
"""Subtitle files that are looked for beside a video, best first."""
MAX_BYTES = 32 << 20
"""Size above which a file is no subtitle file: the captions of a day, word by word, take a third of it."""
LANGUAGES = {
    "ar": "ara", "cs": "ces", "da": "dan", "de": "deu", "el": "ell", "en": "eng", "es": "spa", "fi": "fin",
    "fr": "fra", "he": "heb", "hi": "hin", "hu": "hun", "id": "ind", "it": "ita", "ja": "jpn", "ko": "kor",
    "nl": "nld", "no": "nor", "pl": "pol", "pt": "por", "ro": "ron", "ru": "rus", "sv": "swe", "th": "tha",
    "tr": "tur", "uk": "ukr", "vi": "vie", "zh": "zho",
}  # fmt: skip
"""The three letters that containers write for the two that people do."""
_OTHER_THREE = {
    "cze": "ces",
    "fre": "fra",
    "ger": "deu",
    "gre": "ell",
    "dut": "nld",
    "rum": "ron",
    "chi": "zho",
}

_FLAGS = frozenset({"forced", "signs", "sdh", "cc", "default", "full"})
_PARTIAL = frozenset({"forced", "signs"})
_TAG_PART = re.compile(r"[a-z]{2,3}(?:[-_][a-z0-9]{2,4})*\Z", re.IGNORECASE)
_TIME = re.compile(r"(-?)(?:(\d{1,4}):)?(\d{1,3}):(\d{1,2})(?:[.,](\d{1,9}))?")


def same_language(tag: str | None, wanted: str) -> bool:
    """Whether "en-GB", "eng" or "en" is the wanted language ("en")."""

    def base(code: str) -> str:
        code = re.split(r"[-_]", code.lower())[0]
        return LANGUAGES.get(code, _OTHER_THREE.get(code, code))

    return bool(tag) and base(str(tag)) == base(wanted)


def files_beside(video: Path, language: str) -> list[Path]:
    """Subtitle files of this video, best first: the wanted language, then none named, then others.

    They have the stem of the video, and may name a language and a kind: `film.srt`, `film.en.forced.vtt`.
    """
    ranked: list[tuple[tuple[bool, int, int, str], Path]] = []
    try:
        files = sorted(video.parent.iterdir())
    except OSError:  # a folder may be searched but not listed
        return []
    for file in files:
        kind = file.suffix.lower()
        if kind not in SUFFIXES or not file.name.startswith(video.stem):
            continue
        middle = file.name[len(video.stem) : -len(kind)]
        parts = [part.lower() for part in middle.split(".") if part]
        if (middle and not middle.startswith(".")) or not all(
            part in _FLAGS or _TAG_PART.match(part) for part in parts
        ):
            continue
        tags = [part for part in parts if part not in _FLAGS]
        language_rank = 1 if not tags else 0 if same_language(tags[0], language) else 2
        rank = (bool(_PARTIAL & set(parts)), language_rank, SUFFIXES.index(kind), file.name)
        ranked.append((rank, file))
    return [file for _, file in sorted(ranked)]


def read_file(path: Path) -> list[RawCue]:
    """Cues of a subtitle file (SubRip, WebVTT, ASS, SSA) in its own order and markup.

    Its second 0 is the moment at which a player starts the video, as is ours.

    Raises:
        VideographError: the file cannot be read, or holds no subtitles.
    """
    text = _decoded(path, _bytes(path)).replace("\r\n", "\n").replace("\r", "\n")
    if re.search(r"^[ \t]*\[(script info|events)\]", text, re.IGNORECASE | re.MULTILINE):
        cues = _ass(path, text)
    else:
        is_vtt = text.lstrip().startswith("WEBVTT")
        cues = list(_timed_blocks(text, ends_at_blank=is_vtt))
    if not cues:
        raise VideographError(
            f"{path} holds no subtitles. Allowed: SubRip (.srt), WebVTT (.vtt), ASS and SSA files "
            "with at least one timed line."
        )
    return cues


def _bytes(path: Path) -> bytes:
    try:
        if not path.exists():
            raise VideographError(f"there is no subtitle file {path}. Check its name.")
        if not path.is_file():
            raise VideographError(f"{path} is not a file. Give a subtitle file (.srt, .vtt, .ass).")
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise VideographError(
                f"{path} has {size / 1e6:.0f} MB; subtitles of a whole day have 10. "
                f"Allowed: up to {MAX_BYTES >> 20} MiB. Is it the right file?"
            )
        return path.read_bytes()
    except OSError as error:
        raise VideographError(
            f"{path} cannot be read ({error.strerror}). Check its rights."
        ) from error


def _decoded(path: Path, raw: bytes) -> str:
    """Text by its byte order mark, else UTF-8, else UTF-16 if every other byte is 0, else Windows-1252."""
    for mark, name in (
        (b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"),
        (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"),
    ):  # fmt: skip
        if raw.startswith(mark):
            return raw.decode(name, errors="replace")
    start = raw[:4096]
    if start[1::2].count(0) > 0.3 * len(start[1::2]):
        return raw.decode("utf-16-le", errors="replace")
    if start[::2].count(0) > 0.3 * len(start[::2]):
        return raw.decode("utf-16-be", errors="replace")
    if b"\0" in start:
        raise VideographError(f"{path} is not text. Give a subtitle file (.srt, .vtt, .ass).")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


def _timed_blocks(text: str, *, ends_at_blank: bool) -> Iterator[RawCue]:
    """Cues of SubRip and WebVTT, which differ in what ends a cue: the next one, or a blank line.

    Read here and not by pysubs2, which takes WebVTT's notes, styles and cue names for words, loses a
    line that is a number, and needs time that grows with the square of a damaged file's length.
    """
    times: tuple[Fraction, Fraction] | None = None
    lines: list[str] = []
    n_cues = 0
    for line in text.split("\n"):
        span = _span(line)
        if span is not None:
            if times is not None:
                yield (*times, "\n".join(_without_number(lines, n_cues + 1)))
            times, lines, n_cues = span, [], n_cues + 1
        elif times is not None and ends_at_blank and not line.strip():
            yield (*times, "\n".join(lines))
            times = None
        else:
            lines.append(line)
    if times is not None:
        yield (*times, "\n".join(lines))


def _without_number(lines: list[str], number: int) -> list[str]:
    """Lines of a cue without the number of the next one."""
    if lines and lines[-1].strip().isdecimal():
        after_blank = len(lines) > 1 and not lines[-2].strip()
        if after_blank or int(lines[-1]) == number:
            return lines[:-1]
    return lines


def _span(line: str) -> tuple[Fraction, Fraction] | None:
    if "-->" not in line or len(line) > 1000:
        return None
    before, after = line.split("-->", 1)
    start, end = _TIME.search(before), _TIME.search(after)
    return None if start is None or end is None else (_seconds(start), _seconds(end))


def _seconds(match: re.Match[str]) -> Fraction:
    sign, hours, minutes, seconds, part = match.groups()
    whole = int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds)
    exact = whole + (Fraction(int(part), 10 ** len(part)) if part else 0)
    return Fraction(-exact if sign else exact)


def _ass(path: Path, text: str) -> list[RawCue]:
    from pysubs2 import SSAFile

    style = "ssa" if "[v4 styles]" in text.lower() else "ass"
    try:
        events = SSAFile.from_string(text, format_=style).events
    except Exception as error:  # a damaged file makes the parser raise nearly anything
        raise VideographError(
            f"{path} is damaged: it cannot be read as {style.upper()} subtitles. "
            "Open it in a subtitle editor and save it again."
        ) from error
    return [
        (Fraction(e.start, 1000), Fraction(e.end, 1000), e.text) for e in events if not e.is_comment
    ]
