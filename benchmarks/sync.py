"""Sound in step: how far apart clicks and flashes are in skims of the drawn sample.

    python benchmarks/sync.py

The sample carries a click with every flash. The skim is made of every other second of it, so that it
has more than 20 spans; an offset is that between a flash and the nearest click.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from measure_sync import offsets

import videograph
from videograph.sample import draw_sample


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        sample = Path(folder) / "sample.mp4"
        draw_sample(sample)
        summary = videograph.summarize(sample, budget="3s")
        clock, shot = summary.report.clock, summary.chosen[0]
        spans = []
        for second in range(0, int(clock.duration) - 1, 2):
            start, end = (clock.frame_at(Fraction(second + s)) for s in (0, 1))
            at = {"start_seconds": clock.seconds(start), "end_seconds": clock.seconds(end)}
            spans.append(replace(shot, start_frame=start, end_frame=end, **at))
        cut = replace(summary, chosen=tuple(spans))
        print("| file | spans | clicks | greatest offset, ms | at the last click, ms |")
        print("|---|---|---|---|---|")
        for name, options in (("exact", {}), ("--copy", {"copy": True})):
            skim = Path(folder) / f"{name.strip('-')}.mp4"
            videograph.export(cut, skim, **options)
            found = [1000 * x for x in offsets(skim)]
            print(
                f"| {name} | {len(cut.spans)} | {len(found)} | {max(found, key=abs):.2f} | {found[-1]:.2f} |"
            )


if __name__ == "__main__":
    main()
