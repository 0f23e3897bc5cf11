"""Progress on a terminal: a line per stage with what is left and how many times faster than play."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.progress import TimeRemainingColumn as Remaining
from rich.text import Text

from videograph.records import Hook, no_hook

TITLES = {
    "read": "Reading",
    "shots": "Finding shots",
    "score": "Scoring",
    "choose": "Choosing",
    "keyframes": "Key frames",
    "skim": "Writing the skim",
}
IN_SECONDS = ("read", "skim")
"""Stages that count seconds of video; only of these can one say how they compare with playing."""


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.0f}x" if speed and task.fields["in_seconds"] else "", style="cyan")


@contextmanager
def progress_hook(console: Console) -> Iterator[Hook]:
    """A hook that draws progress on `console`; on anything but a terminal, one that draws nothing."""
    if not console.is_terminal:
        yield no_hook
        return
    with Progress(
        TextColumn("{task.description:<16}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        _Speed(),
        Remaining(compact=True, elapsed_when_finished=True),
        console=console,
    ) as progress:
        tasks: dict[str, TaskID] = {}

        def hook(stage: str, done: float, total: float | None, artefact: Any = None) -> None:
            if stage not in tasks:
                title = TITLES.get(stage, stage.capitalize())
                tasks[stage] = progress.add_task(title, in_seconds=stage in IN_SECONDS)
            progress.update(tasks[stage], completed=done, total=total)

        yield hook
