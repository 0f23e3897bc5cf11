"""How far each moment of a video answers what is asked of it: numpy only, so that an answer is quick.

Cosines of different encoders do not compare (0.3 is a lot for one, nothing for another), nor do those
of a common and a rare sentence for one encoder. So a cosine counts by how far it stands above those
that the same two sentences have to neutral ones: the mean of both differences, each in standard
deviations (S-norm: Kenny, "Bayesian Speaker Verification with Heavy-Tailed Priors", Odyssey 2010).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from videograph.records import Evidence, TimedText

NEUTRAL = (
    "A man is talking to the camera.", "A woman walks down the street.",
    "The sun sets over the sea.", "I think we should go home now.",
    "How much does it cost?", "Thank you very much for coming.",
    "A black screen with white letters.", "She opened the door and looked outside.",
    "The meeting starts at nine o'clock.", "Two children play with a ball.",
    "He works in a large office.", "A cup of coffee stands on the table.",
    "The train arrives at the station.", "Please call me back tomorrow.",
    "Birds fly over the trees.", "We have to solve this problem.",
    "They bought a new car last year.", "A cat sleeps on the sofa.",
    "The music was loud and fast.", "What is your name?",
    "The team won the game.", "It is raining in the city.",
    "My mother cooks dinner.", "Put the box on the shelf.",
    "The doctor reads a letter.", "A plane crosses the sky.",
    "This is very important for us.", "The old house stands on a hill.",
    "Nobody knows what happened.", "Cut the bread with a knife.",
    "The teacher writes on the board.", "Press the button to begin.",
)  # fmt: skip
"""Sentences of everyday talk and of captions, on 32 matters: what anything is compared with."""
LEAST_SPREAD = 0.05
"""Standard deviation of neutral cosines below which they say nothing: hashed words mostly share none."""
ENOUGH = 2.5
"""Standard deviations at which a text answers: score 0.5. Right answers of MiniLM to the questions of
tests/questions.json lie at 3.2 and above, unrelated sentences at 1.7 and below:
`pytest tests/test_ask.py -k far_above -s` prints it."""
ANSWERS = 0.5
"""Score from which something counts as an answer."""
QUERY_SHARE = 0.8
"""Share of the answer in a step's score under a query; the rest is what the video is like anyway."""
MAX_EVIDENCE = 64
"""Pieces of evidence kept, best first."""


@dataclass(frozen=True)
class Heard:
    """The texts of a video and of its user as a text encoder sees them."""

    texts: tuple[TimedText, ...]
    """In any order."""
    rows: np.ndarray
    """A row for each text, (n_texts, dim) float32."""
    neutral: np.ndarray
    """Rows of `NEUTRAL`, (n_neutral, dim) float32."""
    space: str | None = None
    """Name of the frame encoder in whose space the rows lie; None for texts alone."""

    def of(self, chosen: Sequence[int]) -> np.ndarray:
        """Rows of some texts."""
        return self.rows[np.asarray(chosen, dtype=np.int64)]


@dataclass(frozen=True)
class Guide:
    """What words say of the steps of a video, whatever model scores it."""

    about: np.ndarray | None = None
    """How near what is heard and seen at each step is to the video's title and description, (n_steps,)
    float32 of mean 0 and deviation 1; None where there is no title, or nothing to hold against it."""
    answers: np.ndarray | None = None
    """How far each step answers the user's query, (n_steps,) float32 in [0, 1], `ANSWERS` and above
    being an answer; None without a query, or where nothing in the video can be asked."""
    unwanted: np.ndarray | None = None
    """The same of what the user wants to be left out."""
    evidence: tuple[Evidence, ...] = ()
    """What answers the query, best first; only where it is not unwanted."""
    refused: tuple[Evidence, ...] = ()
    """What is unwanted, worst first."""

    @property
    def is_answered(self) -> bool:
        """Whether anything in the video answers the query."""
        return self.answers is not None and bool((self.answers >= ANSWERS).any())


def guide(
    heard: Heard,
    seconds: np.ndarray,
    *,
    pictures: np.ndarray | None = None,
    encoder: str = "",
) -> Guide:
    """What the user's words, or else the video's title, say of each step.

    Timed texts of all sources are asked, and the pictures where words share their space.

    Args:
        heard: texts of the video and of the user.
        seconds: time of each step, (n_steps,), increasing.
        pictures: frame features, (n_steps, dim).
        encoder: name of the encoder that made them.
    """
    if heard.space is None or heard.space != encoder:
        pictures = None
    asked = [i for i, t in enumerate(heard.texts) if t.source == "query" and t.wanted]
    unwanted = [i for i, t in enumerate(heard.texts) if not t.wanted]
    about = [i for i, t in enumerate(heard.texts) if t.source in ("title", "description")]
    if not asked and not unwanted:
        return Guide(about=_about(heard, about, seconds, pictures))
    refused, refusals = _answers(heard, unwanted, seconds, pictures)
    answers, evidence = _answers(heard, asked, seconds, pictures)
    if answers is not None and refused is not None:
        answers = answers * (1 - _certain(refused))
        evidence = _less(evidence, refusals)
    return Guide(
        about=None if asked else _about(heard, about, seconds, pictures),
        answers=answers,
        unwanted=refused,
        evidence=tuple(evidence[:MAX_EVIDENCE]),
        refused=tuple(refusals),
    )


def _certain(scores: np.ndarray) -> np.ndarray:
    return np.where(scores >= ANSWERS, scores, 0.0).astype(np.float32)


def _timed(heard: Heard) -> list[int]:
    return [
        i
        for i, text in enumerate(heard.texts)
        if text.start_seconds is not None and text.source != "query"
    ]


def _answers(
    heard: Heard, asked: Sequence[int], seconds: np.ndarray, pictures: np.ndarray | None
) -> tuple[np.ndarray | None, list[Evidence]]:
    """Best score at each step over what is asked, and the evidence, best first."""
    said = _timed(heard)
    if not asked or (not said and pictures is None):
        return None, []
    steps = np.zeros(len(seconds), dtype=np.float32)
    evidence: list[Evidence] = []
    queries = heard.of(asked)
    scores = matching(queries, heard.of(said), heard.neutral)  # (n_asked, n_said)
    for k, i in enumerate(said):
        best = int(np.argmax(scores[:, k]))
        text, score = heard.texts[i], float(scores[best, k])
        at = span_of(text, seconds)
        steps[at] = np.maximum(steps[at], score)
        if score >= ANSWERS:
            query = heard.texts[asked[best]].text
            assert text.start_seconds is not None and text.end_seconds is not None
            evidence.append(
                Evidence(text.source, text.text, query, score, text.start_seconds, text.end_seconds)
            )
    if pictures is not None:
        seen = matching_pictures(queries, pictures, heard.neutral)  # (n_asked, n_steps)
        steps = np.maximum(steps, seen.max(0))
        evidence += _seen(seen, [heard.texts[i].text for i in asked], seconds)
    evidence.sort(key=lambda e: (-e.score, e.start_seconds))
    return steps, evidence


def span_of(text: TimedText, seconds: np.ndarray) -> slice:
    """Steps at which a timed text holds; the nearest one where it falls between two."""
    assert text.start_seconds is not None and text.end_seconds is not None
    first, last = np.searchsorted(seconds, [float(text.start_seconds), float(text.end_seconds)])
    if first == last:
        middle = float(text.start_seconds + text.end_seconds) / 2
        first = int(np.argmin(np.abs(seconds - middle)))
        last = first + 1
    return slice(int(first), int(last))


def matching(asked: np.ndarray, said: np.ndarray, neutral: np.ndarray) -> np.ndarray:
    """Scores in [0, 1) of rows of length 1 against each other, (n_asked, n_said) float32."""
    cosines = asked @ said.T
    of_asked, of_said = asked @ neutral.T, said @ neutral.T
    return _squashed((_above(cosines, of_asked[:, None]) + _above(cosines, of_said[None])) / 2)


def matching_pictures(asked: np.ndarray, pictures: np.ndarray, neutral: np.ndarray) -> np.ndarray:
    """Scores of words against pictures in one space, (n_asked, n_steps): no picture is neutral."""
    rows = pictures / np.maximum(np.linalg.norm(pictures, axis=1, keepdims=True), 1e-12)
    return _squashed(_above(asked @ rows.T, (rows @ neutral.T)[None], least=1e-3))


def _above(cosines: np.ndarray, neutral: np.ndarray, least: float = LEAST_SPREAD) -> np.ndarray:
    return (cosines - neutral.mean(-1)) / np.maximum(neutral.std(-1), least)


def _squashed(deviations: np.ndarray) -> np.ndarray:
    above = np.maximum(deviations, 0)
    return (above / (above + ENOUGH)).astype(np.float32)


def _seen(seen: np.ndarray, asked: Sequence[str], seconds: np.ndarray) -> list[Evidence]:
    """Runs of steps whose pictures answer, each at its best."""
    best = seen.max(0)
    inside = np.flatnonzero(best >= ANSWERS)
    found: list[Evidence] = []
    for run in np.split(inside, np.flatnonzero(np.diff(inside) > 1) + 1):
        if not len(run):
            continue
        peak = int(run[np.argmax(best[run])])
        end = run[-1] + 1
        step = float(np.median(np.diff(seconds))) if len(seconds) > 1 else 1.0
        until = float(seconds[end]) if end < len(seconds) else float(seconds[-1]) + step
        found.append(
            Evidence(
                "picture", "", asked[int(np.argmax(seen[:, peak]))], float(best[peak]),
                Fraction(float(seconds[run[0]])).limit_denominator(1_000_000),
                Fraction(until).limit_denominator(1_000_000),
            )
        )  # fmt: skip
    return found


def _less(evidence: list[Evidence], refusals: list[Evidence]) -> list[Evidence]:
    """Evidence where nothing unwanted holds, lowered by it; what is no answer any more is left out."""
    kept: list[Evidence] = []
    for piece in evidence:
        over = [r.score for r in refusals
                if r.start_seconds < piece.end_seconds and piece.start_seconds < r.end_seconds]  # fmt: skip
        lowered = piece.score * (1 - max(over, default=0.0))
        if lowered >= ANSWERS:
            kept.append(replace(piece, score=lowered))
    return sorted(kept, key=lambda e: (-e.score, e.start_seconds))


def _about(
    heard: Heard, about: Sequence[int], seconds: np.ndarray, pictures: np.ndarray | None
) -> np.ndarray | None:
    """Nearness to the title, a mean over the sources that speak of moments, each standardised."""
    if not about:
        return None
    subject = heard.of(about).mean(0)
    subject = subject / max(float(np.linalg.norm(subject)), 1e-12)
    near: dict[str, np.ndarray] = {}
    for i in _timed(heard):
        text = heard.texts[i]
        steps = near.setdefault(text.source, np.full(len(seconds), np.nan, dtype=np.float32))
        at = span_of(text, seconds)
        steps[at] = np.fmax(steps[at], heard.rows[i] @ subject)
    parts = [_standard(steps) for steps in near.values()]
    if pictures is not None:
        rows = pictures / np.maximum(np.linalg.norm(pictures, axis=1, keepdims=True), 1e-12)
        parts.append(_standard(rows @ subject))
    parts = [part for part in parts if part is not None]
    return np.mean(parts, axis=0).astype(np.float32) if parts else None


def _standard(near: np.ndarray) -> np.ndarray | None:
    """Mean 0 and deviation 1, silent steps being as far from the subject as any; None if all are alike."""
    near = np.where(np.isnan(near), np.nanmin(near), near)
    spread = float(near.std())
    return None if spread < 1e-6 else (near - near.mean()) / spread


def guided(scores: np.ndarray, words: Guide) -> np.ndarray:
    """Scores of any model in [0, 1], led by the user's words: answers first, what is unwanted at 0.

    Args:
        scores: (n_steps,) float32.
        words: what the words say of the same steps.
    """
    if words.is_answered and words.answers is not None:
        scores = (1 - QUERY_SHARE) * scores + QUERY_SHARE * words.answers
    if words.unwanted is not None:
        scores = np.where(words.unwanted >= ANSWERS, 0, scores)
    return scores.astype(np.float32)
