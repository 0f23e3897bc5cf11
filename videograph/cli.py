"""The command line: Typer and Rich over the library; results go to stdout, all else to stderr."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from typer.exceptions import TyperException

from videograph import __version__
from videograph.config import (
    EVALUATE_PROTOCOLS,
    SPEEDS,
    EvaluateConfig,
    SummarizeConfig,
    WordsConfig,
)
from videograph.encoders import available_encoders
from videograph.errors import UsageError, VideographError
from videograph.exporters import available_exporters
from videograph.progress import progress_hook
from videograph.summary import DEFAULT_BUDGET, VARIANTS

app = typer.Typer(
    name="videograph",
    help="A video that is too long becomes a summary to watch, read and edit.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
err = Console(stderr=True, highlight=False, soft_wrap=True)
out = Console(highlight=False, soft_wrap=True)

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


@app.command()
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
    speed: Annotated[
        str, typer.Option(help=f"Which frames are looked at: {', '.join(SPEEDS)}.")
    ] = SummarizeConfig.speed,
    seed: Annotated[
        int, typer.Option(help="Seed of everything that draws at random.")
    ] = SummarizeConfig.seed,
    encoder: Annotated[
        str, typer.Option(help=f"Who sees the frames: {', '.join(available_encoders())}.")
    ] = SummarizeConfig.encoder,
    model: Annotated[
        str | None,
        typer.Option(
            help="A trained model: a folder, as videograph train writes it, or an id on the Hugging "
            "Face Hub. [default: none, training-free]"
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
    for sentence in [*summary.warnings, *notes]:
        err.print(sentence, markup=False, style="yellow")
    out.print(
        f"{spoken(float(summary.summary_seconds))} of {spoken(float(summary.duration_seconds))}, "
        f"{len(summary.chosen)} of {summary.shots.n_shots} shots",
        markup=False,
    )
    for name, path in paths.items():
        out.print(f"{name:>10}  {path}", markup=False)


@app.command()
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
    for sentence in answer.warnings:
        err.print(sentence, markup=False, style="yellow")
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


@app.command()
def info(video: Video) -> None:
    """Print what VIDEO is: container, streams, size, rate, length as its header promises."""
    from videograph.doctor import describe
    from videograph.video import probe

    for name, value in describe(probe(video)).items():
        out.print(f"{name:>10}  {value}", markup=False)


@app.command()
def doctor() -> None:
    """Check that everything needed is here and works; prints what to do about what does not."""
    from videograph.doctor import examine

    findings = examine()
    for finding in findings:
        out.print(f"{'ok' if finding.ok else 'PROBLEM':>10}  {finding.text}", markup=False)
    if not all(f.ok for f in findings):
        raise typer.Exit(1)


@app.command()
def evaluate(
    dataset: Annotated[
        str,
        typer.Option("--dataset", help="A name (tvsum, summe, qfvs), an h5 file, or a folder."),
    ],
    scores: Annotated[
        list[Path] | None,
        typer.Option(help="Scores of any method: h5, npz or csv. May be given more than once."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help='A checkpoint, "training-free", or a checkpoint per split with "{split}" in its place.'
        ),
    ] = None,
    words: Annotated[
        str | None,
        typer.Option(
            help="An h5 of word features, or a text encoder: titles guide --model training-free."
        ),
    ] = None,
    baseline: Annotated[
        list[str] | None, typer.Option(help="A built-in method that is trained: ridge.")
    ] = None,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(help="Two score files: is the first better? Paired by video."),
    ] = None,
    features: Annotated[
        str | None, typer.Option(help="Frame features beside the annotations: a name or an h5.")
    ] = None,
    ratings: Annotated[
        Path | None, typer.Option(help="ydata-tvsum50.mat or -anno.tsv, which TVSum's h5 lacks.")
    ] = None,
    splits: Annotated[
        str, typer.Option(help="disjoint5, all, or a JSON file of splits, ours or published.")
    ] = EvaluateConfig.splits,
    protocol: Annotated[
        str, typer.Option(help=f"How scores become a summary: {', '.join(EVALUATE_PROTOCOLS)}.")
    ] = EvaluateConfig.protocol,
    capacity: Annotated[
        str | None,
        typer.Option(help=f"Instead of the protocol's: {', '.join(VARIANTS['capacity'])}."),
    ] = EvaluateConfig.capacity,
    shot_score: Annotated[
        str | None,
        typer.Option(help=f"Instead of the protocol's: {', '.join(VARIANTS['shot_score'])}."),
    ] = EvaluateConfig.shot_score,
    spread: Annotated[
        str | None,
        typer.Option(help=f"Instead of the protocol's: {', '.join(VARIANTS['spread'])}."),
    ] = EvaluateConfig.spread,
    draws: Annotated[
        int, typer.Option(help="Random predictions per video for the row of chance.")
    ] = EvaluateConfig.n_draws,
    seed: Annotated[
        int, typer.Option(help="Seed of everything that draws at random.")
    ] = EvaluateConfig.seed,
    predictions: Annotated[
        Path, typer.Option(help="Where --model keeps what it predicts, to be scored again.")
    ] = Path("predictions.h5"),
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "-o", "--output", help="Also as a file: .md, .csv, .json or .html. May repeat."
        ),
    ] = None,
    force: Force = False,
) -> None:
    """Score any method against people, in every mode, beside chance and what people reach."""
    from videograph import evaluate as benchmark
    from videograph.datasets import load_dataset

    if compare and (scores or model or baseline):
        raise UsageError("--compare stands alone: without --scores, --model and --baseline.")
    if words and not model:
        raise UsageError("--words guides a model. Try --model training-free beside it.")
    outputs = output or []
    for path in [*outputs, *([predictions] if model else [])]:
        benchmark.refuse_taken(path, table=path in outputs, force=force)
    config = EvaluateConfig(splits, protocol, capacity, shot_score, spread, draws, seed)
    files = [benchmark.read_scores(path) for path in scores or []]
    found = load_dataset(dataset, features=features, ratings=ratings)
    if model:
        files.append(benchmark.predict(found, predictions, model=model, words=words, config=config))
    if compare:
        pair = [benchmark.read_scores(path) for path in compare]
        table = benchmark.compare(found, *pair, config=config)
    else:
        table = benchmark.evaluate(found, files, config=config, baselines=baseline or [])
    out.print(benchmark.as_terminal(table, out.width))
    for path in outputs:
        benchmark.write_table(table, path, force=force)


@app.command()
def train(
    settings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CONFIG.toml KEY=VALUE",
            help="Settings: a TOML file, and single ones that win over it, as in epochs=50 "
            "model.width=64.",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the run. [default: that of the file, or run]")
    ] = None,
    runs: Annotated[Path, typer.Option(help="Folder of all runs.")] = Path("runs"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run that was stopped.")
    ] = False,
    force: Force = False,
) -> None:
    """Train a model on videos with labels, or without: settings, curves and model go to runs/NAME.

    The videos are an h5 in the field's layout (dataset=FILE.h5); `videograph dataset build` makes one
    of videos of your own.
    """
    from videograph.train import read_arguments, train

    given, stem = read_arguments(settings or [])
    with progress_hook(err) as hook:
        run = train(given, runs / (name or stem or "run"), force=force, resume=resume, hook=hook)
    for sentence in run.notes:
        err.print(sentence, markup=False, style="yellow")
    agreement = "" if run.tau is None else f", tau {run.tau:.3f} on the validation videos"
    out.print(f"epoch {run.epoch} of {run.n_epochs}{agreement}", markup=False)
    out.print(f"{'model':>10}  {run.model}", markup=False)
    out.print(f"{'curves':>10}  {run.folder / 'losses.png'}", markup=False)


@app.command()
def features(
    videos: Annotated[
        list[Path], typer.Argument(metavar="VIDEO...", help="Video files that FFmpeg reads.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The h5 to write.")],
    encoder: Annotated[
        str, typer.Option(help=f"Who sees the frames: {', '.join(available_encoders())}.")
    ] = SummarizeConfig.encoder,
    speed: Annotated[
        str, typer.Option(help=f"Which frames are looked at: {', '.join(SPEEDS)}.")
    ] = SummarizeConfig.speed,
    objects: Annotated[
        str | None,
        typer.Option(
            help="A detector that looks at a frame of each shot, as NAME:WHAT. [default: none]"
        ),
    ] = None,
    text_encoder: Annotated[
        str | None,
        typer.Option(
            help="Who makes features of subtitles, titles and descriptions: "
            f"{', '.join(available_encoders('load_text'))}. [default: none, the texts are kept]"
        ),
    ] = None,
    cache: Annotated[
        bool, typer.Option("--cache/--no-cache", help="Use features that were computed before.")
    ] = True,
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
    for sentence in found.notes:
        err.print(sentence, markup=False, style="yellow")
    out.print(
        f"{found.path}: {found.n_videos} videos, {found.n_steps} steps ({found.encoder})",
        markup=False,
    )
    if found.left_out:
        raise VideographError(" ".join(found.left_out))


@app.command()
def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove everything that is kept.")] = False,
) -> None:
    """Show where features are kept that were computed once, and how much there is."""
    from videograph.cache import Cache

    kept = Cache()
    found = kept.clear() if clear else kept.usage()
    if found.folder is None:
        out.print("off: nothing is kept", markup=False)
        return
    told = f"{found.n_entries} entries, {found.n_bytes / 1e6:.1f} MB"
    limit = f" of at most {found.max_bytes / 1e9:.2f} GB"
    out.print(f"{'folder':>10}  {found.folder}", markup=False)
    out.print(f"{'removed' if clear else 'kept':>10}  {told}{'' if clear else limit}", markup=False)


dataset_app = typer.Typer(
    name="dataset",
    help="Videos of your own with labels, as the h5 that training reads.",
    no_args_is_help=True,
)
app.add_typer(dataset_app)


@dataset_app.command("build")
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
    encoder: Annotated[str, typer.Option(help="Who sees the frames.")] = SummarizeConfig.encoder,
    speed: Annotated[
        str, typer.Option(help=f"Which frames are looked at: {', '.join(SPEEDS)}.")
    ] = SummarizeConfig.speed,
    force: Force = False,
) -> None:
    """Write an h5 in the field's layout from a folder of videos and what people said of them."""
    from videograph.build import build

    with progress_hook(err) as hook:
        built = build(
            videos, output, labels=labels, encoder=encoder, speed=speed, force=force, hook=hook
        )
    for sentence in built.notes:
        err.print(sentence, markup=False, style="yellow")
    out.print(
        f"{built.path}: {built.n_videos} videos, {built.n_labelled} with labels", markup=False
    )


@dataset_app.command("check")
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


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        out.print(__version__)
        raise typer.Exit()


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line: exit code 0, 1 (the file), 2 (the request), 130 (Ctrl+C)."""
    debug = os.environ.get("VIDEOGRAPH_DEBUG") == "1"
    logging.basicConfig(level=logging.INFO if debug else logging.ERROR)
    try:
        signal.signal(signal.SIGTERM, _terminate)
        code = app(list(sys.argv[1:] if arguments is None else arguments), standalone_mode=False)
        if code == 130:  # what Typer makes of Ctrl+C
            raise KeyboardInterrupt
    except (VideographError, TyperException) as error:
        if debug:
            raise
        text = error.format_message() if isinstance(error, TyperException) else str(error)
        err.print(text, markup=False, style="red")
        code = error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        err.print("Stopped. Nothing half-written was left behind.", markup=False)
        code = 130
    except BrokenPipeError:  # the reader of a pipe went away: nobody is left to be told
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except (
        OSError
    ) as error:  # what no room could foresee: a full disk, a name too long, a lost drive
        if debug:
            raise
        where = f"{error.filename}: " if error.filename else ""
        err.print(
            f"{where}{error.strerror or error}. Try another place.", markup=False, style="red"
        )
        code = 1
    sys.exit(code or 0)


def _terminate(signum: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt  # so that what is being written is cleared away


if __name__ == "__main__":
    main()
