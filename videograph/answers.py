"""Words of a video and of its user, gathered from all sources and kept: for asking and for summarizing.

Nothing here needs torch. Texts and their rows are kept in the cache, so that a second question costs
reading two small files; a video is opened and a model loaded only for what is not there yet.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from videograph.cache import Cache, code_of, stamp, stamps_of_model
from videograph.config import SummarizeConfig, WordsConfig
from videograph.encoders import TextEncoder, load_text
from videograph.language import query_texts, read_texts, words_from
from videograph.records import TimedText, VideoFeatures, VideoInfo, Words
from videograph.relevance import NEUTRAL, Heard

if TYPE_CHECKING:
    from videograph.model import VideoGraph

Look = Callable[[], Sequence[TimedText]]
"""Looks at the video itself: captions, speech, names of objects."""


@dataclass(frozen=True)
class Told:
    """What a video says of itself."""

    texts: tuple[TimedText, ...]
    """From all sources but the user."""
    duration_seconds: Fraction
    """Promised end of the video; the end of the last text where the file does not say."""
    warnings: tuple[str, ...] = ()
    """Sentences about sources that were damaged."""


def heard_by(words: WordsConfig, texts: Sequence[TimedText], cache: Cache | None) -> Heard:
    """The user's words and the video's own, as the text encoder sees them.

    Raises:
        UsageError: a query is empty, or there is no such encoder.
        VideographError: the encoder cannot be loaded.
    """
    rows, asked = (
        KeptRows(words.text, cache, words.device),
        query_texts(words.query, words.unwanted),
    )
    own = rows.of([text.text for text in texts]) if texts else None
    asking, neutral = rows.of([text.text for text in asked]), rows.of(NEUTRAL)
    together = asking if own is None else np.concatenate([asking, own])
    return Heard((*asked, *texts), together, neutral, rows.space)


def words_for_model(
    heard: Heard, features: VideoFeatures, model: VideoGraph | None
) -> Words | None:
    """All words as a trained model reads them; None where it reads none, or those of another encoder."""
    if model is None or not model.config.has_language or not heard.texts:
        return None
    if heard.rows.shape[1] != model.config.word_dim:
        return None
    return words_from(heard.texts, _AsHeard(heard), features.seconds, frames=features.encoder)


class _AsHeard:
    """The text encoder whose rows are at hand already."""

    name = ""

    def __init__(self, heard: Heard) -> None:
        self._rows = heard.rows
        self.dim = int(heard.rows.shape[1])
        self.space = heard.space

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        assert len(texts) == len(self._rows), "all texts, in their order"
        return self._rows


def told(
    path: Path,
    words: WordsConfig,
    cache: Cache | None,
    look: Look,
    *,
    encoder: str = SummarizeConfig.encoder,
    speed: str = SummarizeConfig.speed,
    info: VideoInfo | None = None,
) -> Told:
    """What a video says of itself, kept for its next question.

    Args:
        path: the video.
        words: which sources are asked.
        cache: where it is kept; None: nowhere.
        look: called for the sources that need more than reading, if any is asked for.
        encoder, speed: who sees the frames for it, and which; both shape the shots that it speaks of.
        info: what the file says of itself, where it was opened already.

    Raises:
        VideographError: the video or a named subtitle file cannot be read.
    """
    key = None if cache is None else _key(path, words, encoder, speed)
    kept = None if cache is None or key is None else cache.get(key)
    if kept is not None and "told" in kept:
        return _unpacked(kept["told"])
    if info is None:
        from videograph.video import probe  # PyAV: not where the texts are at hand

        info = probe(path)
    warnings: list[str] = []
    texts = read_texts(
        info, title=words.title, subtitles=_maybe_path(words.subtitles), warn=warnings.append
    )
    if words.looks:
        texts += look()
    ends = [text.end_seconds for text in texts if text.end_seconds is not None]
    found = Told(
        tuple(texts), info.duration_seconds or max(ends, default=Fraction(1)), tuple(warnings)
    )
    if cache is not None and key is not None and key == _key(path, words, encoder, speed):
        cache.put(key, {"told": _packed(found)})
    return found


def _maybe_path(name: str | None) -> Path | None:
    return None if name is None else Path(name)


def _key(path: Path, words: WordsConfig, encoder: str, speed: str) -> str | None:
    """All that the texts depend on: the file, those beside it, options, models; None: not to be kept."""
    from videograph.language._subtitles import files_beside

    try:
        looking = _looking(words, encoder, speed) if words.looks else []
        beside = [words.subtitles] if words.subtitles else files_beside(path, "en")
        stamps = [[str(file), *stamp(Path(file))] for file in [path.absolute(), *beside]]
    except OSError:
        return None
    if looking is None:
        return None
    code = code_of("sight" if words.looks else "language")
    return json.dumps(["told", stamps, words.title, looking, _versions(), code])


def _looking(words: WordsConfig, encoder: str, speed: str) -> list[Any] | None:
    """What texts depend on that come of looking and listening; None where a model may change any time."""
    models = [words.speech or ""]  # a size or a folder; the others are "NAME:WHAT"
    models += [(spec or "").partition(":")[2] for spec in (words.objects, words.captions, encoder)]
    if any(map(_is_fleeting, models)):
        return None
    asked = [*words.query, *words.unwanted] if words.objects else []  # some detectors are told
    named = [words.speech, words.objects, words.captions, encoder]
    files = [stamps_of_model(what) for what in models if what]
    return [named, files, speed, words.objects_every, words.device, asked]


def _is_fleeting(what: str) -> bool:
    """Whether the hub is asked for a newer model each time."""
    return what.endswith("@main")


def _versions() -> list[str]:
    """Of all that reads, looks and listens, as far as it is installed."""
    found: list[str] = []
    for name in ("videograph", "av", "pysubs2", "transformers", "onnxruntime", "faster-whisper"):
        with suppress(PackageNotFoundError):
            found.append(f"{name} {version(name)}")
    return found


def _packed(found: Told) -> np.ndarray:
    spans = [
        [
            t.text,
            t.source,
            *(None if s is None else str(s) for s in (t.start_seconds, t.end_seconds)),
        ]
        for t in found.texts
    ]
    plain = [spans, str(found.duration_seconds), found.warnings]
    return np.frombuffer(json.dumps(plain).encode(), np.uint8)


def _unpacked(kept: np.ndarray) -> Told:
    spans, duration, warnings = json.loads(kept.tobytes())
    texts = [
        TimedText(text, source, None if start is None else Fraction(start), end and Fraction(end))
        for text, source, start, end in spans
    ]
    return Told(tuple(texts), Fraction(duration), tuple(warnings))


def nothing_to_ask(name: str, text: str, encoder: str) -> str:
    """Why a video cannot be asked, and the ways out."""
    return (
        f"nothing in {name} can be asked: it has no subtitles, and {text} does not see what {encoder} "
        "sees. Try --subtitles FILE, --objects DETECTOR, --captions MODEL, or both --encoder and --text "
        "transformers:clip."
    )


def no_answer(query: Sequence[str], n_texts: int, text: str) -> str:
    """That nothing answers, in a sentence."""
    asked = " or ".join(f'"{q}"' for q in query)
    among = f"{n_texts} timed texts" if n_texts else "the pictures"
    other = " Try other words, or --text text:minilm, which knows synonyms." if text == "lexical" else (
        " Try other words."
    )  # fmt: skip
    return f"nothing answers {asked} among {among}.{other}"


class KeptRows:
    """Rows of texts, kept: the encoder is loaded only for texts that it has not seen together before.

    Args:
        spec: "NAME" or "NAME:WHAT" of a text encoder, see `encoders`.
        cache: where rows are kept; None: nowhere.
        device: where the encoder computes.
    """

    def __init__(self, spec: str, cache: Cache | None, device: str = "auto") -> None:
        # Hashing words is quicker than a file.
        is_kept = spec != "lexical" and not _is_fleeting(spec)
        self._spec, self._cache = spec, cache if is_kept else None
        self._device = device
        self.space: str | None = None
        """Name of the frame encoder in whose space the rows lie, once there are some."""

    @cached_property
    def _encoder(self) -> TextEncoder:
        return load_text(self._spec, device=self._device)

    def of(self, texts: Sequence[str]) -> np.ndarray:
        """A row for each text, see `encoders.TextEncoder`."""
        key = "" if self._cache is None else self._key(texts)
        kept = None if self._cache is None else self._cache.get(key)
        if kept is not None and set(kept) == {"rows", "space"} and len(kept["rows"]) == len(texts):
            self.space = kept["space"].tobytes().decode().strip() or None
            return kept["rows"]
        rows, self.space = self._encoder.encode_text(texts), self._encoder.space
        if self._cache is not None:
            space = np.frombuffer((self.space or " ").encode(), np.uint8)
            self._cache.put(key, {"rows": rows, "space": space})
        return rows

    def _key(self, texts: Sequence[str]) -> str:
        said = hashlib.blake2b("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()
        files = stamps_of_model(self._spec.partition(":")[2])
        return json.dumps(["rows", self._spec, files, self._device, _versions(), said])
