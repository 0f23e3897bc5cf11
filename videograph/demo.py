"""`make demo`: the main job on a drawn sample video, or on the user's."""

from __future__ import annotations

import argparse
from pathlib import Path

from videograph.cli import main as videograph
from videograph.sample import draw_sample


def main() -> None:
    """Draw the sample if no video is given, summarize, and say where to look."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, default=Path("demo"))
    parser.add_argument("--video", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    video = options.video
    if video is None:
        video = options.out / "sample.mp4"
        video.parent.mkdir(parents=True, exist_ok=True)
        print(f"Drawing the sample video {video} ...", flush=True)
        draw_sample(video, seed=options.seed)
    folder = options.out / f"{video.stem}-summary"
    arguments = ["summarize", str(video), "-o", str(folder), "--seed", str(options.seed), "--force"]
    try:
        videograph(arguments)
    except SystemExit as stop:
        if stop.code:
            raise
    print(f"\nStoryboard: {(folder / 'storyboard.html').resolve().as_uri()}")
    print(f"Skim:       {(folder / 'skim.mp4').resolve()}")


if __name__ == "__main__":
    main()
