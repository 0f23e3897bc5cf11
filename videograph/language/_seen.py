"""Words for what is seen: labels of objects, captions of frames."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from videograph.encoders import Captioner
from videograph.language._clean import as_said
from videograph.records import (
    OBJECT_KINDS,
    Hook,
    TimedText,
    VideoFeatures,
    VideoInfo,
    no_hook,
)

GONE_SECONDS = 2.0
"""An object that is missed for less than this was there all the time: detectors blink."""
CAPTION_IMAGES = 4
"""Frames that are captioned at once, and decoded before it."""

_NAMELESS = frozenset({*OBJECT_KINDS, "none"})


def object_texts(features: VideoFeatures) -> list[TimedText]:
    """Names of the objects that a detector saw, each with the spans in which it did, in order of time.

    Slots that nobody named ("grid", "salient", "moving") give no words. A step's span lasts to the next
    step.
    """
    if features.object_kinds is None or features.object_mask is None:
        return []
    seconds = np.asarray(features.seconds, dtype=np.float64)
    step = float(np.median(np.diff(seconds))) if len(seconds) > 1 else 1.0
    ends = np.append(seconds[1:], seconds[-1] + max(step, 1e-3))
    found: list[TimedText] = []
    for number, name in enumerate(features.object_names):
        label = as_said(name)
        if name in _NAMELESS or not label:
            continue
        seen = ((features.object_kinds == number) & features.object_mask).any(axis=1)
        for start, end in _spans(seconds[seen], ends[seen]):
            found.append(TimedText(label, "objects", _exact(start), _exact(end)))
    return sorted(found, key=lambda text: (text.start_seconds or 0, text.text))


def _spans(starts: np.ndarray, ends: np.ndarray) -> list[tuple[float, float]]:
    spans: list[tuple[float, float]] = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if spans and start - spans[-1][1] < GONE_SECONDS:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return spans


def _exact(seconds: float) -> Fraction:
    return Fraction(round(seconds * 1_000_000), 1_000_000)


def caption_texts(
    info: VideoInfo,
    spans: Sequence[tuple[Fraction, Fraction]],
    captioner: Captioner,
    *,
    hook: Hook = no_hook,
) -> list[TimedText]:
    """A caption for each span, usually a shot, of the frame in its middle.

    Args:
        info: the video, as `video.probe` tells of it.
        spans: start and end of each in seconds, in order of time.
        captioner: of the frames.
        hook: told of stage "captions", in spans.

    Raises:
        VideographError: not one frame can be decoded.
    """
    from videograph.video import grab

    middles = [(start + end) / 2 for start, end in spans]
    found: list[TimedText] = []
    waiting: list[np.ndarray] = []
    frames = grab(info, middles, long_side=captioner.frame_side) if spans else iter(())
    for number, frame in enumerate(frames, start=1):
        waiting.append(np.asarray(frame.convert("RGB")))
        if len(waiting) == CAPTION_IMAGES or number == len(spans):
            first = number - len(waiting)
            for i, sentence in enumerate(captioner.caption(np.stack(waiting))):
                if line := as_said(sentence):
                    found.append(TimedText(line, "captions", *spans[first + i]))
            waiting = []
            hook("captions", number, len(spans))
    hook("captions", len(spans), len(spans), found)
    return found
