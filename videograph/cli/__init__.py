"""The command line: Typer and Rich over the library; results go to stdout, all else to stderr.

    _options    what several commands share
    _watch      summarize, ask
    _study      evaluate, train
    _collect    features, dataset build, dataset check
    _machine    info, doctor, cache

Each command is a function of these rooms; what it needs beyond its options is imported when it runs.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException

from videograph import __version__
from videograph.cli._collect import dataset_build, dataset_check, features
from videograph.cli._machine import cache, doctor, info
from videograph.cli._options import err, out
from videograph.cli._study import evaluate, train
from videograph.cli._watch import ask, summarize
from videograph.errors import VideographError

app = typer.Typer(
    name="videograph",
    help="A video that is too long becomes a summary to watch, read and edit.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for _command in (summarize, ask, info, doctor, evaluate, train, features, cache):
    app.command()(_command)
dataset_app = typer.Typer(
    name="dataset",
    help="Videos of your own with labels, as the h5 that training reads.",
    no_args_is_help=True,
)
dataset_app.command("build")(dataset_build)
dataset_app.command("check")(dataset_check)
app.add_typer(dataset_app)


@app.callback(invoke_without_command=True)
def _root(
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
