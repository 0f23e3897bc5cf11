"""videograph: a video that is too long becomes a summary to watch, read and edit.

import videograph

summary = videograph.summarize("match.mp4")
videograph.export(summary, "skim.mp4")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from videograph.exporters import export
    from videograph.pipeline import summarize
    from videograph.records import Summary

__version__ = "0.1.0"
__all__ = ["Summary", "export", "summarize"]

_ROOMS = {"summarize": "pipeline", "export": "exporters", "Summary": "records"}


def __getattr__(name: str) -> Any:
    # Torch and FFmpeg take a second to import; who only asks for the version should not wait.
    if name in _ROOMS:
        return getattr(importlib.import_module(f"videograph.{_ROOMS[name]}"), name)
    raise AttributeError(f"module 'videograph' has no attribute '{name}'")
