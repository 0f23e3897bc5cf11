"""`summarize` and `ask`: what a video is, in short and on a question."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from videograph.cli._options import (
    Captions,
    Device,
    Force,
    From,
    Objects,
    ObjectsEvery,
    Seed,
    Seen,
    Speech,
    Speed,
    Subtitles,
    Text,
    Title,
    Unwanted,
    UseCache,
    Video,
    err,
    out,
    warn,
)
from videograph.config import SummarizeConfig, WordsConfig
from videograph.exporters import available_exporters
from videograph.progress import progress_hook
from videograph.summary import DEFAULT_BUDGET


def summarize(
    video: Video,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder for the results. [default: VIDEO-summary]"),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            help='Length of the summary: 15%, 0.15, 90s, 1m30s, "12 shots" or auto. '
            f"[default: {DEFAULT_BUDGET}]"
        ),
    ] = SummarizeConfig.budget,
    speed: Speed = SummarizeConfig.speed,
    seed: Seed = SummarizeConfig.seed,
    encoder: Seen = SummarizeConfig.encoder,
    model: Annotated[
        str | None,
        typer.Option(
            help="A trained model: a folder, as videograph train writes it, or an id on the Hugging "
            "Face Hub; or training-free. [default: the encoder's own, if one comes with videograph]"
        ),
    ] = None,
    export: Annotated[
        str | None,
        typer.Option(
            help=f"Forms to write, by comma, of: {', '.join(available_exporters())}. [default: all]"
        ),
    ] = None,
    query: Annotated[
        list[str] | None,
        typer.Option(help="What is looked for: its answers fill the budget first. May repeat."),
    ] = None,
    unwanted: Unwanted = None,
    title: Title = None,
    subtitles: Subtitles = None,
    text: Text = WordsConfig.text,
    objects: Objects = None,
    objects_every: ObjectsEvery = None,
    captions: Captions = None,
    speech: Speech = None,
    device: Device = WordsConfig.device,
    stored: From = None,
    cache: UseCache = True,
    copy: Annotated[
        bool,
        typer.Option(
            "--copy", help="Cut the skim at key frames, without encoding it anew: faster."
        ),
    ] = False,
    force: Force = False,
) -> None:
    """Summarize VIDEO: a skim, key frames, a storyboard page, chapters, timelines for editors."""
    from videograph.exporters import export_all, places
    from videograph.pipeline import summarize
    from videograph.reasons import spoken

    folder = output if output is not None else Path(f"{video.stem}-summary")
    names = None if export is None else [n.strip() for n in export.split(",") if n.strip()]
    places(folder, names, source=video, force=force, copy=copy)
    words = WordsConfig(
        tuple(query or ()), tuple(unwanted or ()), title,
        None if subtitles is None else str(subtitles), text, objects, objects_every, captions, speech,
        device,
    )  # fmt: skip
    with progress_hook(err) as hook:
        summary = summarize(
            video, budget=budget, speed=speed, seed=seed, encoder=encoder, model=model, words=words,
            stored=stored, cache=cache, hook=hook,
        )  # fmt: skip
        paths, notes = export_all(summary, folder, names=names, force=force, copy=copy, hook=hook)
    warn([*summary.warnings, *notes])
    out.print(
        f"{spoken(float(summary.summary_seconds))} of {spoken(float(summary.duration_seconds))}, "
        f"{len(summary.chosen)} of {summary.shots.n_shots} shots",
        markup=False,
    )
    for name, path in paths.items():
        out.print(f"{name:>10}  {path}", markup=False)


def ask(
    video: Video,
    question: Annotated[
        list[str],
        typer.Argument(metavar="QUESTION...", help="What is looked for; of several, any answers."),
    ],
    n_moments: Annotated[int, typer.Option("-n", help="Moments shown at most.")] = 5,
    unwanted: Unwanted = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for a picture of each moment.")
    ] = None,
    title: Title = None,
    subtitles: Subtitles = None,
    text: Text = WordsConfig.text,
    encoder: Annotated[
        str, typer.Option(help="Who sees the frames; asked where --text shares its space.")
    ] = SummarizeConfig.encoder,
    objects: Objects = None,
    objects_every: ObjectsEvery = None,
    captions: Captions = None,
    speech: Speech = None,
    device: Device = WordsConfig.device,
    stored: From = None,
    cache: UseCache = True,
    force: Force = False,
) -> None:
    """Print the moments of VIDEO that answer QUESTION, best first, and what makes them answers."""
    from videograph import ask as asking
    from videograph.answers import no_answer
    from videograph.moments import as_line

    words = WordsConfig(
        (), tuple(unwanted or ()), title, None if subtitles is None else str(subtitles), text,
        objects, objects_every, captions, speech, device,
    )  # fmt: skip
    if output is not None:
        asking.refuse_folder(output, force=force)
    with progress_hook(err) as hook:
        answer = asking.ask(
            video, question, n_moments=n_moments, words=words, encoder=encoder, stored=stored,
            cache=cache, hook=hook,
        )  # fmt: skip
    warn(answer.warnings)
    if not answer.moments:
        sentence = no_answer(answer.query, answer.n_texts, text)
        err.print(f"{sentence[0].upper()}{sentence[1:]}", markup=False, style="yellow")
    if as_json:
        print(json.dumps(asking.as_json(answer), ensure_ascii=False, indent=2))
    for moment in () if as_json else answer.moments:
        out.print(as_line(moment), markup=False)
    if output is not None:
        for path in asking.write_pictures(answer, output, force=force):
            err.print(str(path), markup=False)
