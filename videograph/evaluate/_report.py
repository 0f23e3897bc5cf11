"""The same table for a terminal, a paper, a program and a browser; no figure without its mode's name."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from rich.box import SIMPLE
from rich.console import Group
from rich.table import Table as RichTable
from rich.text import Text

from videograph.datasets import natural
from videograph.errors import UsageError, VideographError
from videograph.evaluate._table import Cell, Column, Row, Table

DASH = "–"
COLUMN_WIDTH = 19
"""Characters of a column on a terminal: an interval and its margin."""
KIND_STYLES = {
    "yours": "bold cyan",
    "difference": "bold cyan",
    "baseline": "cyan",
    "human": "green",
}


def figure(value: float, column: Column, *, signed: bool = False) -> str:
    """A figure with the column's decimals."""
    rounded = round(value, column.digits) + 0.0  # no minus before nought
    return f"{rounded:{'+' if signed else ''}.{column.digits}f}".replace("-", "−")


def _interval(cell: Cell, column: Column) -> str:
    return f"{figure(cell.low, column)} – {figure(cell.high, column)}"


def as_terminal(table: Table, width: int = 100) -> Group:
    """For Rich to print: means, with their intervals below, and every sentence that belongs to them.

    Args:
        table: what `evaluate` gave.
        width: characters of a line; columns that do not fit go into a further grid below.
    """
    n = max(1, (width - 2 - max(len(row.name) for row in table.rows)) // COLUMN_WIDTH)
    parts: list[Any] = [Text(f"! {text}", style="bold yellow") for text in table.warnings]
    parts.append(Text(table.title, style="bold"))
    parts += [_grid(table, table.columns[i : i + n]) for i in range(0, len(table.columns), n)]
    parts += [Text(f"{c.title}: {c.mode}", style="dim") for c in table.columns]
    parts += [Text(f"{name}: {value}", style="dim") for name, value in table.facts.items()]
    parts += [Text(f"- {note}", style="dim") for note in table.notes]
    return Group(*parts)


def _grid(table: Table, columns: Sequence[Column]) -> RichTable:
    grid = RichTable(header_style="bold", box=SIMPLE, pad_edge=False)
    grid.add_column("row", no_wrap=True)
    for column in columns:
        grid.add_column(column.title, justify="right", no_wrap=True)
    for row in table.rows:
        cells = [_terminal_cell(row, column) for column in columns]
        grid.add_row(Text(row.name, style=KIND_STYLES.get(row.kind, "")), *cells)
    return grid


def _terminal_cell(row: Row, column: Column) -> Text:
    cell = row.cells.get(column.key)
    if cell is None:
        return Text(DASH, style="dim")
    mean = figure(cell.mean, column, signed=row.kind == "difference")
    return Text.assemble((mean, "bold"), "\n", (_interval(cell, column), "dim"))


def as_markdown(table: Table) -> str:
    """For a paper's repository or an issue."""
    lines = [f"**{table.title}**", ""]
    lines += [f"> **Warning:** {text}" for text in table.warnings]
    lines += [""] if table.warnings else []
    lines.append("| row | " + " | ".join(c.title for c in table.columns) + " |")
    lines.append("|---|" + "---:|" * len(table.columns))
    for row in table.rows:
        cells = (_markdown_cell(row, column) for column in table.columns)
        lines.append(f"| {_plain(row.name)} | " + " | ".join(cells) + " |")
    lines += ["", "Mean [95 % interval]; ± sd over runs or draws where there are several.", ""]
    lines += [f"- {column.title}: {column.mode}" for column in table.columns]
    lines += [f"- {name}: {value}" for name, value in table.facts.items()]
    lines += [f"- {_plain(row.name)}: {row.note}" for row in table.rows if row.note]
    return "\n".join(lines + [f"- {note}" for note in table.notes]) + "\n"


def _markdown_cell(row: Row, column: Column) -> str:
    cell = row.cells.get(column.key)
    if cell is None:
        return DASH
    mean = figure(cell.mean, column, signed=row.kind == "difference")
    spread = "" if cell.sd is None else f" ± {figure(cell.sd, column)}"
    return f"{mean}{spread} [{_interval(cell, column)}]"


def _plain(text: str) -> str:
    return text.replace("|", "\\|")


def as_csv(table: Table) -> str:
    """A line per row and column: everything by name."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["row", "kind", "column", "mode", "mean", "low", "high", "sd", "n_videos"])
    for row in table.rows:
        for column in table.columns:
            cell = row.cells.get(column.key)
            if cell is not None:
                figures = [f"{v:.6f}" for v in (cell.mean, cell.low, cell.high)]
                sd = "" if cell.sd is None else f"{cell.sd:.6f}"
                names = [row.name, row.kind, column.key, column.mode]
                writer.writerow([*names, *figures, sd, len(cell.per_video)])
    return out.getvalue()


def as_json(table: Table) -> str:
    """Everything, also each video's figure."""
    return json.dumps(_record(table), ensure_ascii=False, indent=1) + "\n"


def _record(table: Table) -> dict[str, Any]:
    columns = [{"key": c.key, "title": c.title, "mode": c.mode} for c in table.columns]
    rows = [
        {
            "name": row.name,
            "kind": row.kind,
            "note": row.note,
            "figures": {column.key: _cell_record(row.cells[column.key])
                        for column in table.columns if column.key in row.cells},
        }
        for row in table.rows
    ]  # fmt: skip
    return {
        "title": table.title,
        "columns": columns,
        "rows": rows,
        "facts": dict(table.facts),
        "warnings": list(table.warnings),
        "notes": list(table.notes),
    }


def _cell_record(cell: Cell) -> dict[str, Any]:
    figures: dict[str, Any] = {"mean": cell.mean, "interval": [cell.low, cell.high]}
    if cell.sd is not None:
        figures["sd_over_runs"] = cell.sd
    return figures | {"per_video": dict(cell.per_video)}


def as_html(table: Table) -> str:
    """A page of its own, without a network: the table, and a bar for every video in a column of choice."""
    source = files("videograph.evaluate").joinpath("table.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    keys = sorted(
        {k for r in table.rows for c in r.cells.values() for k in c.per_video}, key=natural
    )
    return environment.from_string(source).render(
        table=table,
        dash=DASH,
        mean=lambda row, column: figure(
            row.cells[column.key].mean, column, signed=row.kind == "difference"
        ),
        interval=lambda cell, column: _interval(cell, column),
        spread=lambda cell, column: "" if cell.sd is None else f"± {figure(cell.sd, column)}",
        data={"record": _record(table), "videos": keys,
              "digits": {column.key: column.digits for column in table.columns}},
    )  # fmt: skip


FORMS: dict[str, Callable[[Table], str]] = {
    ".md": as_markdown,
    ".csv": as_csv,
    ".json": as_json,
    ".html": as_html,
}
"""Suffix -> writer."""


def write_table(table: Table, path: Path, *, force: bool = False) -> None:
    """The table as a file; the suffix says as what.

    Raises:
        UsageError: an unknown suffix, or something stands there and `force` is not given.
        VideographError: it could not be written.
    """
    refuse_taken(path, force=force)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        hidden = path.with_name(f".{path.name}.part")
        hidden.write_text(FORMS[path.suffix.lower()](table), encoding="utf-8")
        hidden.replace(path)
    except OSError as error:
        raise VideographError(f"cannot write {path}: {error.strerror or error}.") from error


def refuse_taken(path: Path, *, table: bool = True, force: bool = False) -> None:
    """Refuse before any work what would be refused after it.

    Raises:
        UsageError: something stands there and `force` is not given, or no `table` has that suffix.
    """
    if table and path.suffix.lower() not in FORMS:
        raise UsageError(f'cannot write a table to "{path.name}". Allowed: {", ".join(FORMS)}.')
    if path.exists() and not force:
        raise UsageError(f"{path} exists already. Try --force to replace it, or another place.")
