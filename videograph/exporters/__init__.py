"""The workshop of exporters: a file `to_NAME.py` here is an exporter; nothing else changes.

A member defines `SUFFIX` (".json"; "" for a folder), `FILE_NAME` (its file inside a result folder) and
`write(summary, path, **options) -> list[str]`, which writes to `path` as given (a fresh temporary
place; `export` moves it home when it is whole) and returns sentences a person should read.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from videograph.errors import UsageError, VideographError
from videograph.records import Hook, Summary, no_hook


def available_exporters() -> list[str]:
    """Names of the exporters: "mp4", "html", ..."""
    return sorted(
        m.name.removeprefix("to_") for m in pkgutil.iter_modules(__path__) if m.name[:3] == "to_"
    )


def load_exporter(name: str) -> ModuleType:
    """The exporter of that name."""
    if name not in available_exporters():
        raise UsageError(
            f'no exporter named "{name}". Available: {", ".join(available_exporters())}.'
        )
    return importlib.import_module(f"{__name__}.to_{name}")


def exporter_for(path: Path) -> str:
    """Name of the exporter that writes such a path, by its suffix; a folder holds key frames.

    Raises:
        UsageError: no exporter writes that suffix.
    """
    by_suffix = {load_exporter(name).SUFFIX: name for name in available_exporters()}
    if path.suffix.lower() not in by_suffix:
        known = ", ".join(sorted(s for s in by_suffix if s))
        raise UsageError(
            f'cannot export to "{path.name}". Allowed suffixes: {known}, or none for key frames.'
        )
    return by_suffix[path.suffix.lower()]


def export(
    summary: Summary,
    path: str | Path,
    *,
    name: str | None = None,
    force: bool = False,
    **options: Any,
) -> list[str]:
    """Write a summary to `path`; the suffix says as what.

    The file appears whole or not at all: it is written beside its place and moved there at the end.

    Args:
        summary: what `videograph.summarize` returned.
        path: where to; "skim.mp4", "storyboard.html", "summary.json", or a folder for key frames.
        name: the exporter, if not to be told by the suffix.
        force: replace what stands there.
        options: the exporter's own, e.g. `copy=True` for the skim.

    Returns:
        Sentences that a person should read (what was widened, what was left out), often none.

    Raises:
        UsageError: unknown suffix, or the place is taken and `force` is not given.
        VideographError: it could not be written.
    """
    path = Path(path)
    exporter = load_exporter(name if name else exporter_for(path))
    refuse_taken(path, source=summary.info.path, force=force)
    hidden = path.parent / f".{path.name}.{uuid.uuid4().hex[:8]}.part{exporter.SUFFIX}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        notes: list[str] = exporter.write(summary, hidden, **options)
        _replace(hidden, path)
    except OSError as error:
        raise VideographError(
            f"cannot write {path}: {error.strerror or error}. Try another folder with -o."
        ) from error
    finally:
        _remove(hidden)
    return notes


def export_all(
    summary: Summary,
    folder: str | Path,
    *,
    names: Sequence[str] | None = None,
    force: bool = False,
    copy: bool = False,
    hook: Hook = no_hook,
) -> tuple[dict[str, Path], list[str]]:
    """Write a summary in several forms into one folder, the page last, so that it sees the others.

    Args:
        summary: what `videograph.summarize` returned.
        folder: where to; made if missing.
        names: the exporters; None means all of them.
        force: replace what stands there.
        copy: cut the skim at key frames without encoding anew.
        hook: told of stage "skim", in seconds of skim.

    Returns:
        The path of each form, by exporter name, and sentences that a person should read.

    Raises:
        UsageError: an unknown name, or a place is taken and `force` is not given; nothing is written.
        VideographError: it could not be written.
    """
    paths = places(folder, names, source=summary.info.path, force=force)
    notes: list[str] = []
    for name, path in sorted(paths.items(), key=lambda item: item[0] == "html"):
        options: dict[str, Any] = {"copy": copy, "hook": hook} if name == "mp4" else {}
        notes += export(summary, path, name=name, force=force, **options)
    return paths, list(dict.fromkeys(notes))


def places(
    folder: str | Path, names: Sequence[str] | None, *, source: Path, force: bool = False
) -> dict[str, Path]:
    """Where each form will stand in a folder, by exporter name.

    Raises:
        UsageError: an unknown name, or a place is taken and `force` is not given.
    """
    if Path(folder).exists() and not Path(folder).is_dir():
        raise UsageError(f"{folder} is a file. Allowed: a folder for the results. Try another -o.")
    wanted = available_exporters() if names is None else list(dict.fromkeys(names))
    if not wanted:
        raise UsageError(f"--export names no form. Available: {', '.join(available_exporters())}.")
    paths = {name: Path(folder) / load_exporter(name).FILE_NAME for name in wanted}
    for path in paths.values():
        refuse_taken(path, source=source, force=force)
    return paths


def refuse_taken(path: Path, *, source: Path, force: bool) -> None:
    """Refuse to overwrite; called before any work, and again by `export`.

    Raises:
        UsageError: something stands at `path` and `force` is not given, or it is the video itself.
    """
    if not path.exists():
        return
    if source.exists() and path.samefile(source):
        raise UsageError(f"{path} is the video itself. Try another place with -o.")
    if not force:
        raise UsageError(f"{path} exists already. Try --force to replace it, or another place.")


def _replace(source: Path, target: Path) -> None:
    if target.is_dir() and source.is_dir():
        aside = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.old")
        target.rename(aside)
        source.rename(target)
        shutil.rmtree(aside)
    else:
        os.replace(source, target)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    elif path.exists():
        path.unlink()
