"""Texts as the rows that the model reads: which of them, at which step, and whose."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from videograph.encoders import TextEncoder
from videograph.errors import UsageError
from videograph.records import TimedText, Words

MAX_WORDS = 256
"""Language nodes per video, see `words_from`."""
Group = list[int]


def words_from(
    texts: Sequence[TimedText],
    encoder: TextEncoder,
    seconds: np.ndarray,
    *,
    frames: str | None = None,
) -> Words:
    """Texts as features of the model, at most `MAX_WORDS` rows.

    The same text of the same source, said several times, is one row that holds in all its spans. If
    that is still too many, timed texts of a source are gathered into runs of neighbours of equal
    number; a run is the mean of its texts' features, and holds wherever one of them does. So each
    cue of a long film stays within the graph at its own moment, though more softly. A user's words
    and untimed ones are never gathered.

    Args:
        texts: as `read_texts` gives them.
        encoder: of the texts.
        seconds: time of each step, (n_steps,), increasing.
        frames: name of the encoder of the frames; words share its space if the text encoder says so.

    Returns:
        Rows of length 1; `mask` (n_steps, n_words) is True where a step's time lies in a span of the
        text, or is the nearest to it. Without texts, no rows.

    Raises:
        UsageError: more query words and untimed texts than there can be rows.
    """
    groups = _groups(texts)
    rows = encoder.encode_text([text.text for text in texts])
    features = np.zeros((len(groups), encoder.dim), dtype=np.float32)
    mask = np.zeros((len(seconds), len(groups)), dtype=bool)
    for column, group in enumerate(groups):
        mean = rows[group].mean(axis=0)
        features[column] = mean / max(float(np.linalg.norm(mean)), 1e-12)
        for i in group:
            mask[:, column] |= _steps(texts[i], seconds)
    firsts = [texts[group[0]] for group in groups]
    shares = encoder.space is not None and (frames is None or encoder.space == frames)
    return Words(
        features=features,
        mask=mask,
        is_query=np.array([t.source == "query" for t in firsts], dtype=bool),
        is_unwanted=np.array([not t.wanted for t in firsts], dtype=bool),
        shares_space=shares,
    )


def _groups(texts: Sequence[TimedText]) -> list[Group]:
    """Indices of the texts of each row, in order of source and time."""
    same: dict[tuple[str, bool, bool, str], Group] = {}
    for i, text in enumerate(texts):
        timed = text.start_seconds is not None
        same.setdefault((text.source, text.wanted, timed, text.text.casefold()), []).append(i)
    whole = [
        group for (source, _, timed, _), group in same.items() if not timed or source == "query"
    ]
    timed = [group for (source, _, timed, _), group in same.items() if timed and source != "query"]
    room = MAX_WORDS - len(whole)
    if room < bool(timed):
        raise UsageError(
            f"{len(whole)} queries and untimed texts are too many. Allowed: up to {MAX_WORDS - 1}. "
            "Try fewer --query options."
        )
    return whole + (timed if len(timed) <= room else _gathered(timed, texts, room))


def _gathered(groups: list[Group], texts: Sequence[TimedText], room: int) -> list[Group]:
    by_source: dict[str, list[Group]] = {}
    for group in groups:
        by_source.setdefault(texts[group[0]].source, []).append(group)
    found: list[Group] = []
    for members in by_source.values():
        share = max(1, (room - len(by_source)) * len(members) // len(groups))
        members = sorted(members, key=lambda g: _middle(texts[g[0]]))
        for run in np.array_split(np.arange(len(members)), min(share, len(members))):
            found.append([i for k in run for i in members[k]])
    return found


def _steps(text: TimedText, seconds: np.ndarray) -> np.ndarray:
    """Steps at which a text holds, (n_steps,) bool, at least one of them."""
    if text.start_seconds is None or text.end_seconds is None:
        return np.ones(len(seconds), dtype=bool)
    holds = (seconds >= float(text.start_seconds)) & (seconds < float(text.end_seconds))
    if not holds.any() and len(seconds):
        holds[np.argmin(np.abs(seconds - _middle(text)))] = True
    return holds


def _middle(text: TimedText) -> float:
    start, end = text.start_seconds or 0, text.end_seconds or 0
    return float(start + end) / 2
