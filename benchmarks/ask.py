"""What a question costs: `videograph ask` as a whole command, the first time and then with texts kept.

    python benchmarks/ask.py VIDEO [--text text:minilm] [--runs 7]

VIDEO needs subtitles beside it or inside it. Prints seconds on the clock and of the processor, the
median of the later runs, each with a question not asked before, and the load of the machine: on a busy
one only the processor's seconds say something.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from statistics import median

QUESTIONS = (
    "Is she looking for somebody?", "How dangerous is the hunt?", "Who guards the gate?",
    "Where is the red car?", "What did the doctor say?", "When does the train leave?",
    "the old house on the hill", "music and dance", "a cup of coffee", "rain in the city",
)  # fmt: skip


def seconds_of(command: list[str], cache: str) -> tuple[float, float]:
    """Seconds on the clock, and of the processor, of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    environment = os.environ | {"VIDEOGRAPH_CACHE": cache}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video")
    parser.add_argument("--text", default="lexical")
    parser.add_argument("--runs", type=int, default=7)
    arguments = parser.parse_args()
    command = [sys.executable, "-m", "videograph.cli", "ask", arguments.video]
    with tempfile.TemporaryDirectory() as cache:
        spent = [
            seconds_of([*command, QUESTIONS[i % len(QUESTIONS)], "--text", arguments.text], cache)
            for i in range(1 + arguments.runs)
        ]
    first, later = spent[0], spent[1:]
    print(f"text encoder {arguments.text}, load {os.getloadavg()[0]:.1f}")
    print(f"first question  {first[0]:.2f} s, processor {first[1]:.2f} s")
    walls, processor = (median(run[i] for run in later) for i in (0, 1))
    print(f"later questions {walls:.2f} s, processor {processor:.2f} s (median of {len(later)})")


if __name__ == "__main__":
    main()
