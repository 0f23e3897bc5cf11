"""`evaluate` and `train`: what a method is worth, and how a model comes to be."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from videograph.cli._options import Force, Seed, err, out, warn
from videograph.config import EVALUATE_PROTOCOLS, EvaluateConfig
from videograph.errors import UsageError
from videograph.progress import progress_hook
from videograph.summary import VARIANTS


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
            help="An h5 of word features that --model hears, as in training. For --model training-free "
            "also a text encoder: titles guide it."
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
    seed: Seed = EvaluateConfig.seed,
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
    guide = words if model == "training-free" else None
    heard = None if guide else words
    if heard and not Path(heard).is_file():
        raise UsageError(
            f'"{heard}" is no file; a trained model hears an h5 of word features. Try that which it was '
            "trained with, or --model training-free."
        )
    found = load_dataset(dataset, features=features, ratings=ratings, words=heard)
    if model:
        files.append(benchmark.predict(found, predictions, model=model, words=guide, config=config))
    if compare:
        pair = [benchmark.read_scores(path) for path in compare]
        table = benchmark.compare(found, *pair, config=config)
    else:
        table = benchmark.evaluate(found, files, config=config, baselines=baseline or [])
    out.print(benchmark.as_terminal(table, out.width))
    for path in outputs:
        benchmark.write_table(table, path, force=force)


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
    warn(run.notes)
    agreement = "" if run.tau is None else f", tau {run.tau:.3f} on the validation videos"
    out.print(f"epoch {run.epoch} of {run.n_epochs}{agreement}", markup=False)
    out.print(f"{'model':>10}  {run.model}", markup=False)
    out.print(f"{'curves':>10}  {run.folder / 'losses.png'}", markup=False)
