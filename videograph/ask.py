"""Ask a video: its moments that answer a question, each with what makes it an answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache as once
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from videograph.answers import heard_by, nothing_to_ask, told
from videograph.cache import Cache
from videograph.config import SummarizeConfig, WordsConfig
from videograph.errors import UsageError, VideographError
from videograph.moments import Moment, moments
from videograph.records import Hook, no_hook
from videograph.relevance import Heard, guide

if TYPE_CHECKING:
    from videograph.sight import Sight

PICTURE_SIDE = 1920
"""Long side of the pictures of moments."""


@dataclass(frozen=True)
class Answer:
    """What a video answers."""

    path: Path
    """The video."""
    query: tuple[str, ...]
    """What was asked."""
    moments: tuple[Moment, ...]
    """Where it is answered, best first; none where nothing answers."""
    n_texts: int
    """Timed texts that were asked."""
    sources: tuple[str, ...]
    """What was asked: sources of these texts, and "picture" where frames were."""
    text_encoder: str
    """Who compared the words, as named in the request."""
    warnings: tuple[str, ...] = ()
    """Sentences that a person should read."""


def ask(
    path: str | Path,
    query: str | Sequence[str],
    *,
    n_moments: int = 5,
    words: WordsConfig | None = None,
    encoder: str = SummarizeConfig.encoder,
    stored: str | Path | None = None,
    cache: bool = True,
    hook: Hook = no_hook,
) -> Answer:
    """Moments of a video that answer a question, best first.

    What is said is asked always. Frames are asked where `encoder` and `words.text` share a space,
    objects, captions and speech where they are named; all of it is kept, so that the next question is quick.

    Args:
        path: the video.
        query: a question or words; of several, a moment answers any.
        n_moments: how many are wanted at most.
        words: what is to be left out, where words come from, and who compares them.
        encoder: who sees the frames.
        stored: an h5 of features of this video, to be read in its place.
        cache: look for what was kept, and keep what is found.
        hook: told of stages "read", "objects" and so on, where the video is looked at.

    Raises:
        UsageError: an empty question, or an unknown encoder.
        VideographError: the video cannot be read, or nothing in it can be asked.
    """
    queries = (query,) if isinstance(query, str) else tuple(query)
    words = replace(words or WordsConfig(), query=queries)
    if not queries:
        raise UsageError('nothing was asked. Try: videograph ask VIDEO "the dog jumps".')
    if n_moments < 1:
        raise UsageError(f"{n_moments} moments were asked for. Allowed: 1 or more.")
    kept = Cache() if cache else None
    path = Path(path)

    @once
    def sight() -> Sight:
        from videograph.sight import Sight  # PyAV, h5py: not where all is kept

        return Sight(path, encoder=encoder, words=words, stored=stored, cache=cache, hook=hook)

    if stored is not None or path.suffix.lower() in (".h5", ".hdf5"):
        found = sight().told(kept)
    else:
        found = told(path, words, kept, lambda: sight().looked_texts(), encoder=encoder)
    heard = heard_by(words, found.texts, kept)
    seen = sight().features if _sees(heard, sight) else None
    sources = _sources(heard, seen is not None)
    if not sources:
        raise VideographError(nothing_to_ask(path.name, words.text, encoder))
    seconds = seen.seconds if seen is not None else _grid(found.duration_seconds)
    led = guide(
        heard, seconds,
        pictures=None if seen is None else seen.features,
        encoder="" if seen is None else seen.encoder,
    )  # fmt: skip
    return Answer(
        path, queries, moments(led.evidence)[:n_moments],
        sum(t.start_seconds is not None for t in found.texts), sources, words.text, found.warnings,
    )  # fmt: skip


def _sees(heard: Heard, sight: Callable[[], Sight]) -> bool:
    """Whether words and frames share a space; where words have none, nothing is loaded to see."""
    return heard.space is not None and heard.space == sight().encoder_name


def _grid(duration: Fraction) -> np.ndarray:
    """Times at which a video that was not looked at is asked, as picks would lie."""
    step = 1 / SummarizeConfig.steps_per_second
    return np.arange(0, max(float(duration), float(step)), float(step))


def _sources(heard: Heard, sees: bool) -> tuple[str, ...]:
    timed = (t.source for t in heard.texts if t.start_seconds is not None and t.source != "query")
    return (*dict.fromkeys(timed), *(("picture",) if sees else ()))


def write_pictures(answer: Answer, folder: str | Path, *, force: bool = False) -> list[Path]:
    """Pictures of the moments, best first: "1 at 0m18s.jpg".

    Raises:
        UsageError: see `refuse_folder`.
        VideographError: the video cannot be read any more, or the pictures cannot be written.
    """
    from videograph.features import jpeg
    from videograph.video import grab, probe

    folder = Path(folder)
    refuse_folder(folder, force=force)
    order = sorted(range(len(answer.moments)), key=lambda i: answer.moments[i].keyframe_seconds)
    times = [answer.moments[i].keyframe_seconds for i in order]
    found: dict[int, Path] = {}
    info = probe(answer.path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for i, image in zip(order, grab(info, times, long_side=PICTURE_SIDE), strict=True):
            seconds = int(answer.moments[i].keyframe_seconds)
            path = folder / f"{i + 1} at {seconds // 60}m{seconds % 60:02}s.jpg"
            part = path.with_name(f".{path.name}.part")
            part.write_bytes(jpeg(image, quality=90))
            part.replace(path)
            found[i] = path
    except OSError as error:
        raise VideographError(f"cannot write pictures to {folder} ({error.strerror}).") from error
    return [found[i] for i in sorted(found)]


def refuse_folder(folder: Path, *, force: bool) -> None:
    """Refuse a place for pictures before any work is done.

    Raises:
        UsageError: it is a file, or holds files already and `force` is not given.
    """
    if folder.is_file():
        raise UsageError(f"{folder} is a file. Allowed: a folder.")
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise UsageError(f"{folder} holds files already. Try --force, or another place with -o.")


def as_json(answer: Answer) -> dict[str, Any]:
    """The answer as plain dicts, lists, strings and numbers; times also as exact fractions."""
    return {
        "schema": "videograph.answer",
        "schema_version": 1,
        "file": str(answer.path),
        "query": list(answer.query),
        "asked": list(answer.sources),
        "n_texts": answer.n_texts,
        "text_encoder": answer.text_encoder,
        "moments": [
            {
                **_span(moment.start_seconds, moment.end_seconds),
                "keyframe_seconds": round(float(moment.keyframe_seconds), 6),
                "score": round(moment.score, 6),
                "evidence": [
                    {
                        "source": piece.source,
                        "text": piece.text,
                        "query": piece.query,
                        "score": round(piece.score, 6),
                        **_span(piece.start_seconds, piece.end_seconds),
                    }
                    for piece in moment.evidence
                ],
            }
            for moment in answer.moments
        ],
        "warnings": list(answer.warnings),
    }


def _span(start: Fraction, end: Fraction) -> dict[str, Any]:
    return {
        "start_seconds": round(float(start), 6),
        "start_exact": str(start),
        "end_seconds": round(float(end), 6),
        "end_exact": str(end),
    }
