"""The pipeline: a line per stage, and the hook as its only window."""

from __future__ import annotations

import importlib
import platform
import threading
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videograph.answers import heard_by, no_answer, nothing_to_ask, words_for_model
from videograph.cache import Cache
from videograph.config import SPEEDS, SummarizeConfig, WordsConfig
from videograph.errors import UsageError
from videograph.features import Extraction, jpeg
from videograph.heap import give_back_at_once
from videograph.language import query_texts
from videograph.models import TRAINING_FREE, shipped_for
from videograph.moments import cut_out
from videograph.reasons import explain
from videograph.records import ChosenShot, Hook, Scores, Summary, no_hook
from videograph.relevance import Guide, Heard, guide
from videograph.sight import Sight
from videograph.spill import Pile, tidy
from videograph.summary import Budget, choose, parse_budget, without_blanks
from videograph.video import grab

if TYPE_CHECKING:
    from videograph.model import VideoGraph

LONG_SECONDS = 3600
"""A video this long is worth the second or two that its reading could have hidden."""
KEYFRAME_SIDE = 1920
"""Long side of key-frame pictures: full HD is enough to print, 8K would fill the memory."""


def summarize(
    path: str | Path,
    *,
    budget: str | float | None = SummarizeConfig.budget,
    speed: str = SummarizeConfig.speed,
    seed: int = SummarizeConfig.seed,
    encoder: str = SummarizeConfig.encoder,
    model: str | Path | None = None,
    query: str | Sequence[str] = (),
    words: WordsConfig | None = None,
    stored: str | Path | None = None,
    cache: bool = True,
    hook: Hook = no_hook,
) -> Summary:
    """The summary of a video: which spans to watch, and why.

    Args:
        path: the video, any that FFmpeg reads, or an h5 that `videograph features` made of it.
        budget: a share (0.15, "15%"), a duration ("90s"), a count ("12 shots"), "auto", or None: 15 %.
        speed: "balanced", "fast" or "exact", see `SummarizeConfig.speed`.
        seed: of everything that draws at random; the same input and seed give the same summary.
        encoder: who sees the frames; `videograph.encoders.available_encoders()` lists the names.
        model: a checkpoint that read this encoder's features in training: a folder, or an id on the
            Hugging Face Hub; "training-free": none; None: the one in the package that read them, or none.
        query: what is looked for; of several, anything. The budget is filled with its answers first.
        words: what is to be left out, where words come from, and who compares them.
        stored: an h5 of features to read in place of the video.
        cache: use features that were computed before, and keep these.
        hook: `hook(stage, done, total, artefact)`, called as stages ("read", "shots", "objects",
            "score", "choose", "keyframes") advance and once at their ends; raising from it cancels.

    Raises:
        UsageError: an option is not allowed, or the model reads features of another encoder.
        VideographError: the file cannot be read as a video, or the model is damaged.
    """
    allowance, words = _checked(budget, speed, seed, query, words)
    sight = Sight(
        path,
        encoder=encoder,
        words=words,
        speed=speed,
        stored=stored,
        cache=cache,
        hook=_preparing(hook),
    )
    asked = None
    if model is not None and model != TRAINING_FREE:
        asked = _trained(model, sight.encoder_name)
    seen, shots, features = sight.seen, sight.shots, sight.features
    clock = seen.report.clock
    hook("shots", shots.n_shots, shots.n_shots, shots)
    tidy()

    kept = Cache() if cache else None
    told = sight.told(kept)
    heard = heard_by(words, told.texts, kept)
    led = guide(heard, features.seconds, pictures=features.features, encoder=features.encoder)
    shots, answering = cut_out(shots, led.evidence, clock, led.refused)

    from videograph.scoring import score_video  # torch: not before a frame was read

    trained = asked if model is not None else _shipped(features.encoder)
    read = words_for_model(heard, features, asked)
    scores = score_video(features, model=trained, words=read, guide=led, seed=seed)
    scores = replace(scores, scores=without_blanks(scores.scores, features.contrast))
    hook("score", features.n_steps, features.n_steps, scores)
    tidy()

    choice = choose(
        scores.scores,
        features.picks,
        shots,
        clock,
        allowance,
        features.features,
        features.contrast,
        answering,
    )
    tidy()
    features = sight.with_objects_at(features, [span.keyframe_step for span in choice.spans])
    chosen = explain(choice, scores, features, clock, led.evidence)
    hook("choose", len(chosen), len(chosen), chosen)

    tidy()
    images = _keyframe_images(seen, chosen, hook) if sight.has_video else ()
    tidy()
    return Summary(
        info=seen.info,
        report=seen.report,
        shots=shots,
        shot_scores=choice.shot_scores,
        picks=features.picks,
        seconds=features.seconds,
        scores=scores.scores,
        chosen=chosen,
        budget=allowance.text,
        budget_seconds=choice.budget_seconds,
        speed=sight.speed,
        seed=seed,
        encoder=features.encoder,
        form=scores.form,
        active={**scores.active, **({"detector": sight.detector.name} if sight.detector else {})},
        versions=versions(),
        keyframe_images=images,
        thumbnails=seen.thumbnails,
        warnings=(
            *told.warnings,
            *_of_words(words, heard, led, scores, sight, asked is not None),
            *_warnings(seen, chosen, choice.budget_seconds, sight.speed),
        ),
    )


def _preparing(hook: Hook) -> Hook:
    """The hook; with the first frames that are read it begins to import torch, which takes a second or two
    in which the decoder works on. (Not before: a file that is refused shall be refused at once.) While a
    long video is read, its container's index takes as much memory as torch: torch comes afterwards."""
    loader = threading.Thread(target=importlib.import_module, args=("videograph.scoring",))

    def prepared(stage: str, done: float, total: float | None, artefact: Any = None) -> None:
        is_early = stage == "read" and total is not None and total > LONG_SECONDS
        if is_early:
            give_back_at_once()
        elif loader.ident is None:
            loader.start()
        hook(stage, done, total, artefact)

    return prepared


def _checked(
    budget: str | float | None,
    speed: str,
    seed: int,
    query: str | Sequence[str],
    words: WordsConfig | None,
) -> tuple[Budget, WordsConfig]:
    """The request, refused before any work."""
    if speed not in SPEEDS:
        raise UsageError(f'speed is "{speed}". Allowed: {", ".join(SPEEDS)}.')
    if seed < 0:
        raise UsageError(f"seed is {seed}. Allowed: 0 or a whole number above it.")
    words = words or WordsConfig()
    asked = (query,) if isinstance(query, str) else tuple(query)
    words = replace(words, query=(*words.query, *asked))
    query_texts(words.query, words.unwanted)
    return parse_budget(budget), words


def _shipped(encoder: str) -> list[VideoGraph] | None:
    """The package's own trainings on that encoder's features, if there are any."""
    from videograph.model import VideoGraph

    return [VideoGraph.from_pretrained(folder) for folder in shipped_for(encoder)] or None


def _trained(spec: str | Path, encoder: str) -> VideoGraph:
    """The model, refused before a frame is read if it knows other features."""
    from videograph.model import VideoGraph

    model = VideoGraph.from_pretrained(spec)
    model.origin.admit(encoder)
    return model


def _keyframe_images(
    seen: Extraction, chosen: tuple[ChosenShot, ...], hook: Hook
) -> Sequence[bytes]:
    images = Pile()
    times = [shot.keyframe_seconds for shot in chosen]
    for image in grab(seen.info, times, long_side=KEYFRAME_SIDE):
        images.add(jpeg(image, quality=90))
        hook("keyframes", len(images), len(chosen))
    hook("keyframes", len(images), len(chosen), images)
    return images


def _of_words(
    words: WordsConfig, heard: Heard, led: Guide, scores: Scores, sight: Sight, has_own_model: bool
) -> list[str]:
    """What a person should know of their query before they trust the summary."""
    if not (words.query or words.unwanted):
        if words.title is not None and scores.form != TRAINING_FREE:
            return ["The title had no effect: it leads the scores of --model training-free only."]
        return []
    if led.answers is None and led.unwanted is None:
        why = nothing_to_ask(sight.seen.info.path.name, words.text, sight.seen.features.encoder)
        return [f"The words had no effect: {why}"]
    if words.query and not led.is_answered:
        n_texts = sum(t.start_seconds is not None for t in heard.texts)
        return [f"The query had no effect: {no_answer(words.query, n_texts, words.text)}"]
    if has_own_model and not scores.active.get("words"):
        return [f'The model "{scores.form}" reads no such words: they led its scores afterwards.']
    return []


def _warnings(
    seen: Extraction, chosen: Sequence[ChosenShot], allowed: Fraction, speed: str
) -> tuple[str, ...]:
    report, name = seen.report, seen.info.path.name
    end = float(report.clock.duration)
    found: list[str] = []
    if report.duration_shortfall > 0:
        promised = end + float(report.duration_shortfall)
        found.append(
            f"{name} ends at {end:.1f} s, but its container promises {promised:.1f} s "
            f"(duration_shortfall {float(report.duration_shortfall):.1f} s). "
            "The summary covers what could be read."
        )
    if report.decode_failures:
        found.append(
            f"{report.decode_failures} packets of {name} could not be decoded (decode_failures)."
        )
    if report.timestamps == "guessed":
        found.append(f"{name} carries no time stamps; a constant frame rate was assumed.")
    if speed == "fast" and report.sampling != "key frames":
        found.append(
            f"Key frames are too far apart in {name}; {report.sampling} were used instead of them."
        )
    lengths = sum((shot.end_seconds - shot.start_seconds for shot in chosen), Fraction(0))
    if lengths > allowed:
        found.append("The budget is shorter than a frame; one frame was taken.")
    return tuple(found)


def versions() -> dict[str, str]:
    """Versions of Python, videograph and the libraries that shape a summary."""
    names = ("videograph", "av", "numpy", "scipy", "torch")
    return {"python": platform.python_version()} | {name: version(name) for name in names}
