"""The pipeline: a line per stage, and the hook as its only window."""

from __future__ import annotations

import platform
from dataclasses import replace
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from videograph.config import SPEEDS, SummarizeConfig
from videograph.encoders import load_encoder
from videograph.errors import UsageError
from videograph.features import Extraction, extract, jpeg
from videograph.reasons import explain
from videograph.records import ChosenShot, Hook, Summary, no_hook
from videograph.shots import find_shots
from videograph.summary import Choice, choose, parse_budget, without_blanks
from videograph.video import grab

if TYPE_CHECKING:
    from videograph.model import VideoGraph

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
    hook: Hook = no_hook,
) -> Summary:
    """The summary of a video: which spans to watch, and why.

    Args:
        path: the video, any that FFmpeg reads.
        budget: a share (0.15, "15%"), a duration ("90s"), a count ("12 shots"), "auto", or None: 15 %.
        speed: "balanced", "fast" or "exact", see `SummarizeConfig.speed`.
        seed: of everything that draws at random; the same input and seed give the same summary.
        encoder: who sees the frames; `videograph.encoders.available_encoders()` lists the names.
        model: a checkpoint that read this encoder's features in training: a folder, or an id on the
            Hugging Face Hub; None scores without training.
        hook: `hook(stage, done, total, artefact)`, called as stages ("read", "shots", "score",
            "choose", "keyframes") advance and once at their ends; raising from it cancels.

    Raises:
        UsageError: an option is not allowed, or the model reads features of another encoder.
        VideographError: the file cannot be read as a video, or the model is damaged.
    """
    if speed not in SPEEDS:
        raise UsageError(f'speed is "{speed}". Allowed: {", ".join(SPEEDS)}.')
    if seed < 0:
        raise UsageError(f"seed is {seed}. Allowed: 0 or a whole number above it.")
    allowance = parse_budget(budget)
    sees = load_encoder(encoder)
    trained = None if model is None else _trained(model, sees.name)
    seen = extract(
        path,
        sees,
        speed=speed,
        steps_per_second=SummarizeConfig.steps_per_second,
        hook=hook,
    )
    features, clock = seen.features, seen.report.clock

    shots = find_shots(features)
    hook("shots", shots.n_shots, shots.n_shots, shots)

    from videograph.scoring import score_video  # torch: not before a frame was read

    scores = score_video(features, model=trained, seed=seed)
    scores = replace(scores, scores=without_blanks(scores.scores, features.contrast))
    hook("score", features.n_steps, features.n_steps, scores)

    choice = choose(
        scores.scores,
        features.picks,
        shots,
        clock,
        allowance,
        features.features,
        features.contrast,
    )
    chosen = explain(choice, scores, features, clock)
    hook("choose", len(chosen), len(chosen), chosen)

    images = _keyframe_images(seen, chosen, hook)
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
        speed=speed,
        seed=seed,
        encoder=features.encoder,
        form=scores.form,
        active=scores.active,
        versions=versions(),
        keyframe_images=images,
        thumbnails=seen.thumbnails,
        warnings=_warnings(seen, choice, speed),
    )


def _trained(spec: str | Path, encoder: str) -> VideoGraph:
    """The model, refused before a frame is read if it knows other features."""
    from videograph.model import VideoGraph

    model = VideoGraph.from_pretrained(spec)
    model.origin.admit(encoder)
    return model


def _keyframe_images(
    seen: Extraction, chosen: tuple[ChosenShot, ...], hook: Hook
) -> tuple[bytes, ...]:
    images: list[bytes] = []
    times = [shot.keyframe_seconds for shot in chosen]
    for image in grab(seen.info, times, long_side=KEYFRAME_SIDE):
        images.append(jpeg(image, quality=90))
        hook("keyframes", len(images), len(chosen))
    hook("keyframes", len(images), len(chosen), images)
    return tuple(images)


def _warnings(seen: Extraction, choice: Choice, speed: str) -> tuple[str, ...]:
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
    lengths = sum((_length(seen, s.start_frame, s.end_frame) for s in choice.spans), Fraction(0))
    if lengths > choice.budget_seconds:
        found.append("The budget is shorter than a frame; one frame was taken.")
    return tuple(found)


def _length(seen: Extraction, start: int, end: int) -> Fraction:
    clock = seen.report.clock
    return clock.seconds(end) - clock.seconds(start)


def versions() -> dict[str, str]:
    """Versions of Python, videograph and the libraries that shape a summary."""
    names = ("videograph", "av", "numpy", "ruptures", "scipy", "torch")
    return {"python": platform.python_version()} | {name: version(name) for name in names}
