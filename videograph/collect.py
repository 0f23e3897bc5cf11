"""Videos seen once: their features, objects and words in one h5, to be summarized and asked without
them, and to train on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from videograph.cache import extract_cached, objects_cached
from videograph.config import SPEEDS, SummarizeConfig
from videograph.encoders import (
    Encoder,
    ObjectDetector,
    TextEncoder,
    load_encoder,
    load_objects,
    load_text,
)
from videograph.errors import UsageError, VideographError
from videograph.language import read_texts, words_from
from videograph.records import Hook, no_hook
from videograph.shots import find_shots
from videograph.stored import Stored, refuse_place, write_extractions


@dataclass(frozen=True)
class Collected:
    """What `collect` wrote."""

    path: Path
    """The h5."""
    n_videos: int
    """Videos in it."""
    n_steps: int
    """Sampled frames of all of them."""
    encoder: str
    """Name and version of who saw them."""
    notes: tuple[str, ...] = ()
    """Sentences that a person should read."""
    left_out: tuple[str, ...] = ()
    """A sentence for each video that could not be read."""


def collect(
    videos: Sequence[str | Path],
    output: str | Path,
    *,
    encoder: str = SummarizeConfig.encoder,
    speed: str = SummarizeConfig.speed,
    objects: str | None = None,
    text_encoder: str | None = None,
    cache: bool = True,
    force: bool = False,
    hook: Hook = no_hook,
) -> Collected:
    """Write an h5 of features of videos, see `stored`; one that cannot be read does not stop the others.

    Args:
        videos: the files.
        output: the h5; it appears whole or not at all.
        encoder: who sees the frames.
        speed: which frames stand for the picks, see `SummarizeConfig.speed`.
        objects: a detector, whose objects take the place of the encoder's own regions.
        text_encoder: who makes features of subtitles, titles and descriptions; None: only texts are kept.
        cache: look for features that were computed before, and keep these.
        force: replace a file that is there.
        hook: told of stages "read" and "objects" of each video, then of "videos".

    Raises:
        UsageError: an option is not allowed, or the place is taken.
        VideographError: none of the videos can be read, or the h5 cannot be written.
    """
    output = Path(output)
    if not videos:
        raise UsageError("no videos were given. Allowed: one or several video files.")
    if speed not in SPEEDS:
        raise UsageError(f'speed is "{speed}". Allowed: {", ".join(SPEEDS)}.')
    refuse_place(output, force=force)
    collector = _Collector(
        load_encoder(encoder),
        None if objects is None else load_objects(objects),
        None if text_encoder is None else load_text(text_encoder),
        speed,
        cache,
        hook,
    )
    keys = write_extractions(output, collector.stored([Path(v) for v in videos]), force=force)
    found = Collected(
        output,
        len(keys),
        collector.n_steps,
        collector.encoder.name,
        tuple(collector.notes),
        tuple(collector.left_out),
    )
    hook("videos", len(videos), len(videos), found)
    return found


class _Collector:
    """Sees videos one by one, and remembers what a person should know of them."""

    def __init__(
        self,
        encoder: Encoder,
        detector: ObjectDetector | None,
        text_encoder: TextEncoder | None,
        speed: str,
        cache: bool,
        hook: Hook,
    ) -> None:
        self.encoder, self._detector, self._text_encoder = encoder, detector, text_encoder
        self._speed, self._cache, self._hook = speed, cache, hook
        self.n_steps = 0
        self.notes: list[str] = []
        self.left_out: list[str] = []

    def stored(self, files: list[Path]) -> Iterator[Stored]:
        """Each video that can be read.

        Raises:
            VideographError: none can be.
        """
        n_read = 0
        for done, file in enumerate(files, start=1):
            try:
                video = self._see(file)
            except UsageError:
                raise
            except VideographError as error:
                self.left_out.append(str(error))
                continue
            n_read += 1
            self.n_steps += video.extraction.features.n_steps
            yield video
            self._hook("videos", done, len(files))
        if not n_read:
            raise VideographError(" ".join(self.left_out))

    def _see(self, file: Path) -> Stored:
        steps_per_second = SummarizeConfig.steps_per_second
        seen = extract_cached(
            file,
            self.encoder,
            speed=self._speed,
            steps_per_second=steps_per_second,
            hook=self._hook,
            use=self._cache,
        )
        shots = find_shots(seen.features)
        if self._detector is not None:
            seen = objects_cached(
                seen, shots, self._detector, self.encoder, hook=self._hook, use=self._cache
            )
        name = "" if self._text_encoder is None else self._text_encoder.name
        video = Stored(seen, self._speed, steps_per_second, shots, text_encoder=name)
        return self._with_words(video)

    def _with_words(self, video: Stored) -> Stored:
        features = video.extraction.features
        texts = tuple(read_texts(video.extraction.info, warn=self.notes.append))
        video = replace(video, texts=texts)
        if self._text_encoder is None or not texts:
            return video
        words = words_from(texts, self._text_encoder, features.seconds, frames=features.encoder)
        return replace(video, word_features=words.features, word_mask=words.mask)
