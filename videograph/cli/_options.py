"""Options that several commands have, and where these print: results to stdout, all else to stderr."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from videograph.config import SPEEDS
from videograph.encoders import available_encoders

err = Console(stderr=True, highlight=False, soft_wrap=True)
out = Console(highlight=False, soft_wrap=True)


def warn(sentences: Iterable[str]) -> None:
    """Print what a person should read before they trust a result."""
    for sentence in sentences:
        err.print(sentence, markup=False, style="yellow")


Video = Annotated[Path, typer.Argument(metavar="VIDEO", help="Any video file that FFmpeg reads.")]
Unwanted = Annotated[
    list[str] | None, typer.Option("--not", help="What is to be left out. May repeat.")
]
Title = Annotated[str | None, typer.Option(help="Title in place of the file's own.")]
Subtitles = Annotated[
    Path | None,
    typer.Option(help="A subtitle file in place of those beside the video or inside it."),
]
Text = Annotated[
    str,
    typer.Option(
        help=f"Who compares words: {', '.join(available_encoders('load_text'))}; lexical needs no "
        "download, text:minilm knows synonyms."
    ),
]
Objects = Annotated[
    str | None, typer.Option(help="A detector that looks at a frame of each shot, as NAME:WHAT.")
]
ObjectsEvery = Annotated[
    int | None,
    typer.Option(
        min=1, help="The detector looks at every k-th pick instead. [default: a shot each]"
    ),
]
Device = Annotated[
    str,
    typer.Option(
        help="Where networks compute: auto (the first GPU, else the CPU), cpu, cuda, mps."
    ),
]
Captions = Annotated[
    str | None, typer.Option(help="A captioner that puts a frame of each shot into words.")
]
Speech = Annotated[
    str | None, typer.Option(help="Write down what is said: tiny, base, small, ... or a folder.")
]
From = Annotated[
    Path | None,
    typer.Option("--from", help="An h5 of videograph features, read in place of the video."),
]
UseCache = Annotated[
    bool, typer.Option("--cache/--no-cache", help="Use and keep what was computed before.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace results that stand there already.")]


Seen = Annotated[
    str, typer.Option("--encoder", help=f"Who sees the frames: {', '.join(available_encoders())}.")
]
Speed = Annotated[str, typer.Option(help=f"Which frames are looked at: {', '.join(SPEEDS)}.")]
Seed = Annotated[int, typer.Option(help="Seed of everything that draws at random.")]
