"""The protocol: scores, picks, shots and a budget become a choice of shots.

One room for a user's video and for a published number. Only this room knows 15 %, the knapsack, and
how scores spread over frames. Where the field's public code disagrees with itself, each variant is a
named option and ours the default (`Protocol`).

    _budget      how long a summary may be
    _protocol    scores of frames and shots, and the benchmark's summary
    _knapsack    the shots of greatest total score that fit
    _novelty     what shows nothing, or what was seen already
    _choice      the summary of a person's own video
"""

from videograph.summary._budget import DEFAULT_BUDGET, DEFAULT_SHARE, Budget, parse_budget
from videograph.summary._choice import Choice, Span, choose
from videograph.summary._knapsack import knapsack, knapsack_many
from videograph.summary._novelty import novelty, without_blanks
from videograph.summary._protocol import (
    PROTOCOLS,
    VARIANTS,
    Protocol,
    Selection,
    frame_capacity,
    score_shots,
    select,
    select_many,
    spread_scores,
)

__all__ = [
    "DEFAULT_BUDGET", "DEFAULT_SHARE", "PROTOCOLS", "VARIANTS", "Budget", "Choice", "Protocol", "Selection",
    "Span", "choose", "frame_capacity", "knapsack", "knapsack_many", "novelty", "parse_budget",
    "score_shots", "select", "select_many", "spread_scores", "without_blanks",
]  # fmt: skip
