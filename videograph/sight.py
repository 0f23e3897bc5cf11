"""A video as far as it has to be looked at: frames, shots, objects, and the words that come of these.

Each is made when it is first asked for, and only then: a question about subtitles looks at nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property
from pathlib import Path

from videograph.answers import Told, told
from videograph.cache import Cache, extract_cached, objects_cached
from videograph.config import SummarizeConfig, WordsConfig
from videograph.encoders import (
    Encoder,
    ObjectDetector,
    load_captions,
    load_encoder,
    load_objects,
)
from videograph.errors import VideographError
from videograph.features import Extraction
from videograph.language import (
    caption_texts,
    nouns,
    object_texts,
    speech_texts,
)
from videograph.language._clean import as_texts
from videograph.language._subtitles import read_file
from videograph.records import Hook, Shots, TimedText, VideoFeatures, no_hook
from videograph.stored import Stored, is_stored, open_source


class Sight:
    """What can be seen in a video.

    Args:
        path: the video, or an h5 of features.
        encoder: who sees the frames, by name.
        words: which detector, captioner and recognizer look and listen.
        speed: see `SummarizeConfig.speed`.
        stored: an h5 of features of the video.
        cache: use and keep features.
        hook: told of stages "read" and "objects".
    """

    def __init__(
        self,
        path: str | Path,
        *,
        encoder: str = SummarizeConfig.encoder,
        words: WordsConfig | None = None,
        speed: str = SummarizeConfig.speed,
        stored: str | Path | None = None,
        cache: bool = True,
        hook: Hook = no_hook,
    ) -> None:
        self._path, self._encoder_name = Path(path), encoder
        self._words = words or WordsConfig()
        self._speed, self._cache, self._hook = speed, cache, hook
        self._file = stored if stored is not None else path if is_stored(path) else None

    @cached_property
    def stored(self) -> Stored | None:
        """The h5 that stands for the video, None where it is the video itself."""
        if self._file is None:
            return None
        return open_source(self._file, None if self._path == Path(self._file) else self._path)

    @cached_property
    def encoder(self) -> Encoder:
        """Who sees the frames."""
        return load_encoder(self._encoder_name, device=self._words.device)

    @property
    def speed(self) -> str:
        """How frames were taken, see `SummarizeConfig.speed`."""
        return self._speed if self.stored is None else self.stored.speed

    @property
    def has_video(self) -> bool:
        """Whether the video can be opened, for what needs its frames and sound."""
        return self.stored is None or self.stored.has_video

    @property
    def encoder_name(self) -> str:
        """Name and version of who saw the frames, or would."""
        return self.seen.features.encoder if self.stored is not None else self.encoder.name

    @cached_property
    def detector(self) -> ObjectDetector | None:
        """Who finds objects, None where nobody was asked; one that is told looks for what words name."""
        words = self._words
        if words.objects is None:
            return None
        named = [*words.query, *words.unwanted, words.title or "", *(c.text for c in self.captions)]
        return load_objects(words.objects, names=nouns(named), device=words.device)

    @cached_property
    def seen(self) -> Extraction:
        """The video as read and encoded, without a detector's objects."""
        if self.stored is not None:
            seen = self.stored.extraction
            length = float(seen.report.clock.duration)
            self._hook("read", length, length, seen.features)
            return seen
        return extract_cached(
            self._path,
            self.encoder,
            speed=self._speed,
            steps_per_second=SummarizeConfig.steps_per_second,
            hook=self._hook,
            use=self._cache,
        )

    @cached_property
    def shots(self) -> Shots:
        """Its shots."""
        if self.stored is not None and self.stored.shots is not None:
            return self.stored.shots
        from videograph.shots import find_shots  # SciPy: not for a question about subtitles

        return find_shots(self.seen.features)

    @cached_property
    def features(self) -> VideoFeatures:
        """What was seen, with the detector's objects where one was asked for."""
        if self.detector is None:
            return self.seen.features
        self._must_be_there(f"--objects {self._words.objects}")
        return objects_cached(
            self.seen,
            self.shots,
            self.detector,
            self.encoder,
            every=self._words.objects_every or "shots",
            hook=self._hook,
            use=self._cache,
        ).features

    @cached_property
    def captions(self) -> list[TimedText]:
        """What a captioner says of a frame of each shot, as far as one was asked for."""
        words = self._words
        if words.captions is None:
            return []
        self._must_be_there(f"--captions {words.captions}")
        captioner = load_captions(words.captions, device=words.device)
        return caption_texts(self.seen.info, self._spans(), captioner, hook=self._hook)

    def told(self, cache: Cache | None) -> Told:
        """What the video says of itself, from all sources that were asked for."""
        words = self._words
        if self.stored is None:
            return told(
                self._path, words, cache, self.looked_texts,
                encoder=self._encoder_name, speed=self._speed, info=self.seen.info,
            )  # fmt: skip
        texts = list(self.stored.texts)
        if words.subtitles is not None:
            texts = [t for t in texts if t.source != "subtitles"]
            cues = read_file(Path(words.subtitles))
            texts += as_texts(cues, "subtitles", self.seen.report.clock.duration)[0]
        if words.title is not None:
            texts = [t for t in texts if t.source != "title"]
            texts += [TimedText(words.title, "title")] if words.title.strip() else []
        texts += self.looked_texts() if words.looks else []
        return Told(tuple(texts), self.seen.report.clock.duration)

    def looked_texts(self) -> list[TimedText]:
        """Words that come of looking and listening: objects, captions, speech, as far as asked for."""
        words, info, found = self._words, self.seen.info, list[TimedText]()
        if words.speech is not None:
            self._must_be_there(f"--speech {words.speech}")
            found += speech_texts(info, words.speech, device=words.device, hook=self._hook)
        found += self.captions
        if words.objects is not None:
            found += through_shots(object_texts(self.features), self._spans())
        return found

    def _spans(self) -> list[tuple[Fraction, Fraction]]:
        clock = self.seen.report.clock
        return [(clock.seconds(int(a)), clock.seconds(int(b))) for a, b in self.shots.bounds]

    def with_objects_at(self, features: VideoFeatures, steps: Sequence[int]) -> VideoFeatures:
        """The features with objects at further steps, where a detector was asked for."""
        if self.detector is None:
            return features
        from videograph.objects import with_objects_at

        seen = self.seen
        return with_objects_at(
            features,
            steps,
            seen.info,
            seen.report.clock,
            self.detector,
            self.encoder,
            hook=self._hook,
        )

    def _must_be_there(self, option: str) -> None:
        if not self.has_video:
            raise VideographError(
                f"{self._path} is gone, and {option} looks at its frames. Try without it, or put the "
                "video beside its h5."
            )


def through_shots(
    texts: Sequence[TimedText], spans: Sequence[tuple[Fraction, Fraction]]
) -> list[TimedText]:
    """Names of objects over the whole shots, touching ones as one, in which a detector saw them once."""
    starts = [start for start, _ in spans]
    shots: dict[str, set[int]] = {}
    for text in texts:
        assert text.start_seconds is not None
        shot = max(bisect_right(starts, text.start_seconds) - 1, 0)
        shots.setdefault(text.text, set()).add(shot)
    return [
        TimedText(name, "objects", spans[run[0]][0], spans[run[-1]][1])
        for name, seen in shots.items()
        for run in _runs(sorted(seen))
    ]


def _runs(numbers: Sequence[int]) -> list[list[int]]:
    """Numbers that follow one another, together."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] + 1 == number:
            runs[-1].append(number)
        else:
            runs.append([number])
    return runs
