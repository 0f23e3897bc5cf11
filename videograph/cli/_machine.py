"""`info`, `doctor` and `cache`: what lies here, and whether it works."""

from __future__ import annotations

from typing import Annotated

import typer

from videograph.cli._options import Video, out


def info(video: Video) -> None:
    """Print what VIDEO is: container, streams, size, rate, length as its header promises."""
    from videograph.doctor import describe
    from videograph.video import probe

    for name, value in describe(probe(video)).items():
        out.print(f"{name:>10}  {value}", markup=False)


def doctor() -> None:
    """Check that everything needed is here and works; prints what to do about what does not."""
    from videograph.doctor import examine

    findings = examine()
    for finding in findings:
        out.print(f"{'ok' if finding.ok else 'PROBLEM':>10}  {finding.text}", markup=False)
    if not all(f.ok for f in findings):
        raise typer.Exit(1)


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
