"""`features`, `dataset build` and `dataset check`: files of what videos show and people said of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from videograph.cli._options import Force, Objects, Seen, Speed, UseCache, err, out, warn
from videograph.config import SummarizeConfig
from videograph.encoders import available_encoders
from videograph.errors import VideographError
from videograph.progress import progress_hook


def features(
    videos: Annotated[
        list[Path], typer.Argument(metavar="VIDEO...", help="Video files that FFmpeg reads.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The h5 to write.")],
    encoder: Seen = SummarizeConfig.encoder,
    speed: Speed = SummarizeConfig.speed,
    objects: Objects = None,
    text_encoder: Annotated[
        str | None,
        typer.Option(
            help="Who makes features of subtitles, titles and descriptions: "
            f"{', '.join(available_encoders('load_text'))}. [default: none, the texts are kept]"
        ),
    ] = None,
    cache: UseCache = True,
    force: Force = False,
) -> None:
    """Write an h5 of features, objects and words of VIDEO: to ask and summarize without the video."""
    from videograph.collect import collect

    with progress_hook(err) as hook:
        found = collect(
            videos,
            output,
            encoder=encoder,
            speed=speed,
            objects=objects,
            text_encoder=text_encoder,
            cache=cache,
            force=force,
            hook=hook,
        )
    warn(found.notes)
    out.print(
        f"{found.path}: {found.n_videos} videos, {found.n_steps} steps ({found.encoder})",
        markup=False,
    )
    if found.left_out:
        raise VideographError(" ".join(found.left_out))


def dataset_build(
    videos: Annotated[Path, typer.Option(help="Folder of videos.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The h5 to write.")],
    labels: Annotated[
        Path | None,
        typer.Option(
            help="A CSV with the columns video, start_seconds, end_seconds, score and perhaps user "
            "(scores 1 to 5, or 0 to 1); or TVSum's .mat or .tsv, or SumMe's folder GT. [default: no "
            "labels]"
        ),
    ] = None,
    encoder: Seen = SummarizeConfig.encoder,
    speed: Speed = SummarizeConfig.speed,
    force: Force = False,
) -> None:
    """Write an h5 in the field's layout from a folder of videos and what people said of them."""
    from videograph.build import build

    with progress_hook(err) as hook:
        built = build(
            videos, output, labels=labels, encoder=encoder, speed=speed, force=force, hook=hook
        )
    warn(built.notes)
    out.print(
        f"{built.path}: {built.n_videos} videos, {built.n_labelled} with labels", markup=False
    )


def dataset_check(
    file: Annotated[Path, typer.Argument(metavar="FILE.h5", help="The h5 to look at.")],
) -> None:
    """Say what is wrong with FILE.h5, a sentence for each thing; exit code 1 if anything is."""
    from videograph.build import check

    found = check(file)
    for sentence in found.notes:
        out.print(f"{'note':>10}  {sentence}", markup=False)
    for sentence in found.wrong:
        out.print(f"{'PROBLEM':>10}  {sentence}", markup=False)
    if found.wrong:
        raise typer.Exit(1)
    out.print(f"{'ok':>10}  {file}: {found.n_videos} videos", markup=False)
