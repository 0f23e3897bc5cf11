"""Options: frozen dataclasses, a reason per field. The command line reads its defaults from here."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

SPEEDS = ("balanced", "fast", "exact")
"""Which frames stand for the picks, see `SummarizeConfig.speed`."""


@dataclass(frozen=True)
class SummarizeConfig:
    """How `videograph.summarize` works on one video."""

    budget: str | None = None
    """Length of the summary: "15%", "0.15", "90s", "12 shots" or "auto"; None is summary.py's default."""
    speed: str = "balanced"
    """"exact" takes the frame shown at each pick; "balanced" the nearest reference frame, which spares
    decoding the frames nothing depends on; "fast" key frames only, where they are dense enough."""
    seed: int = 0
    """Seed of everything that draws at random."""
    encoder: str = "builtin"
    """Who sees the frames; `encoders.available_encoders()` lists the names."""
    steps_per_second: Fraction = Fraction(2)
    """Picks a second of presentation time: the field's 2, so that trained models see what they know."""
