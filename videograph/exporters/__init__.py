"""The workshop of exporters: a file `to_NAME.py` here is an exporter; nothing else changes.

A member defines `SUFFIX` (".json"; "" for a folder), `FILE_NAME` (its file inside a result folder) and
`write(summary, path, **options) -> list[str]`, which writes to `path` as given (a fresh temporary
place; `export` moves it home when it is whole) and returns sentences a person should read. One that
makes a folder also defines `is_ours(path) -> bool`, true for files it may have written: a folder that
holds anything else is never replaced.
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
from videograph.spill import tidy


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
    refuse_taken(path, exporter, source=summary.info.path, force=force)
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
        names: the exporters; None means all that can be written, see `left_out`.
        force: replace what stands there.
        copy: cut the skim at key frames without encoding anew.
        hook: told of stage "skim", in seconds of skim.

    Returns:
        The path of each form that was written, by exporter name, and sentences that a person should read.

    Raises:
        UsageError: an unknown name, or a place is taken and `force` is not given; nothing is written.
        VideographError: some forms could not be written; the others are.
    """
    paths = places(folder, names, source=summary.info.path, force=force, copy=copy)
    notes: list[str] = []
    if names is None:
        lacking = {name: why for name in paths if (why := left_out(name, summary))}
        paths = {name: path for name, path in paths.items() if name not in lacking}
        notes += lacking.values()
    failures: list[VideographError] = []
    written: list[str] = []
    for name, path in sorted(paths.items(), key=lambda item: item[0] == "html"):
        options: dict[str, Any] = {}
        if name == "mp4":
            options = {"copy": copy, "hook": hook}
        elif name == "html":
            options = {"beside": written}
        try:
            notes += export(summary, path, name=name, force=force, **options)
            written.append(path.name)
        except VideographError as error:
            failures.append(error)
        tidy()  # what a form of a day took is not needed for the next
    if failures:
        raise type(failures[0])(" ".join(dict.fromkeys(str(f) for f in failures)))
    return paths, list(dict.fromkeys(notes))


def left_out(name: str, summary: Summary) -> str | None:
    """Why a form cannot be written of a summary that was made from stored features, None if it can.

    A skim is cut from the video itself; key frames are read from it when the summary is made. All other
    forms live on what the summary holds.
    """
    video = summary.info.path
    if video.is_file():
        return None
    gone = f"{video.name} is not at {video.absolute().parent} any more"
    if name == "mp4":
        return f"No skim was written: {gone}."
    if name == "keyframes" and not summary.keyframe_images:
        return f"No key frames were written: {gone}. The page shows thumbnails in their place."
    return None


def places(
    folder: str | Path,
    names: Sequence[str] | None,
    *,
    source: Path,
    force: bool = False,
    copy: bool = False,
) -> dict[str, Path]:
    """Where each form will stand in a folder, by exporter name; refuses before any work is done.

    Raises:
        UsageError: an unknown name, a place is taken and `force` is not given, the folder cannot be
            written to, or `copy` is asked of a video that cannot be copied.
    """
    _refuse_unwritable(Path(folder))
    wanted = available_exporters() if names is None else list(dict.fromkeys(names))
    if not wanted:
        raise UsageError(f"--export names no form. Available: {', '.join(available_exporters())}.")
    paths = {name: Path(folder) / load_exporter(name).FILE_NAME for name in wanted}
    for name, path in paths.items():
        refuse_taken(path, load_exporter(name), source=source, force=force)
    if copy and "mp4" in paths:
        load_exporter("mp4").refuse_copy(source)
    return paths


def _refuse_unwritable(folder: Path) -> None:
    try:
        there = next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())
    except OSError as error:
        raise UsageError(f"{folder} cannot be used: {error.strerror}. Try another -o.") from error
    if not there.is_dir():
        raise UsageError(f"{there} is a file. Allowed: a folder for the results. Try another -o.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"{there} may not be written to. Try another folder with -o.")


def refuse_taken(path: Path, exporter: ModuleType, *, source: Path, force: bool) -> None:
    """Refuse to overwrite; called before any work, and again by `export`.

    Raises:
        UsageError: something stands at `path` and `force` is not given; with it, if that is the video
            itself, or something that no exporter wrote.
    """
    if not path.exists():
        return
    if source.exists() and path.samefile(source):
        raise UsageError(f"{path} is the video itself. Try another place with -o.")
    if not force:
        raise UsageError(f"{path} exists already. Try --force to replace it, or another place.")
    if path.is_dir() != (exporter.SUFFIX == ""):
        kind = "a folder" if path.is_dir() else "a file"
        raise UsageError(f"{path} is {kind}, which --force does not replace. Try another place.")
    if path.is_dir():
        strangers = [p.name for p in sorted(path.iterdir()) if not exporter.is_ours(p)]
        if strangers:
            raise UsageError(
                f"{path} holds {strangers[0]}, which is not ours to replace. Try another place."
            )


def _replace(source: Path, target: Path) -> None:
    if target.is_dir() and source.is_dir():
        aside = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.old")
        target.rename(aside)
        try:
            source.rename(target)
        finally:
            if target.exists():
                shutil.rmtree(aside)
            else:
                aside.rename(target)
    else:
        os.replace(source, target)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    elif path.exists():
        path.unlink()
