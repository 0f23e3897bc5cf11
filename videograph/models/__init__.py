"""Models that come with the package: which of them reads what an encoder sees."""

from __future__ import annotations

import json
from pathlib import Path

FOLDER = Path(__file__).parent
TRAINING_FREE = "training-free"
"""What is asked for in place of a model to have none."""


def shipped_for(encoder: str, folder: Path = FOLDER) -> list[Path]:
    """The checkpoints that learned together from features of that encoder, its name and version; none
    where none did."""
    return [
        config.parent
        for config in sorted(folder.glob("*/*/config.json"))
        if json.loads(config.read_text(encoding="utf-8"))["origin"]["encoder"] == encoder
    ]
