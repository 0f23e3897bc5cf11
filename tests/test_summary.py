"""The protocol: budgets, spreading, shot scores, the knapsack, and the choice for own videos."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp

from videograph.errors import UsageError
from videograph.records import Clock, Shots, from_change_points, to_change_points
from videograph.summary import (
    PROTOCOLS,
    VARIANTS,
    Protocol,
    choose,
    frame_capacity,
    knapsack,
    novelty,
    parse_budget,
    score_shots,
    select,
    spread_scores,
    without_blanks,
)


def shots_of(*lengths: int) -> Shots:
    edges = np.concatenate([[0], np.cumsum(lengths)])
    return Shots(np.stack([edges[:-1], edges[1:]], 1))


def clock_of(n_frames: int, rate: int = 25) -> Clock:
    return Clock(np.arange(n_frames, dtype=np.int64), n_frames, Fraction(1, rate))


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("15%", "share", Fraction(15, 100)),
        (0.15, "share", Fraction(15, 100)),
        ("0.15", "share", Fraction(15, 100)),
        (None, "share", Fraction(15, 100)),
        (1, "share", 1),
        ("90s", "seconds", 90),
        ("1m30s", "seconds", 90),
        ("2 min", "seconds", 120),
        ("1h", "seconds", 3600),
        ("2.5s", "seconds", Fraction(5, 2)),
        ("12 shots", "n_shots", 12),
        ("1 shot", "n_shots", 1),
    ],
)
def test_budgets_people_write(text: str, field: str, value: Fraction) -> None:
    assert getattr(parse_budget(text), field) == value


@pytest.mark.parametrize("text", [15, "0", 0, "-1", "150%", "0 shots", "soon", "", "0s", "nan"])
def test_budget_fails(text: str) -> None:
    with pytest.raises(UsageError, match=r"^budget is .*Allowed: a share in \(0, 1\]"):
        parse_budget(text)


def test_budget_of_15_is_told_how_to_write_15_percent() -> None:
    with pytest.raises(UsageError, match="For 15 %, write 15%"):
        parse_budget(15)


def test_scores_hold_until_the_next_pick() -> None:
    scores, picks = np.array([1.0, 2.0, 3.0]), np.array([1, 3, 4])
    assert spread_scores(scores, picks, 7).tolist() == [0, 1, 1, 2, 3, 3, 3]
    assert spread_scores(scores, picks, 7, "hold_last_zero").tolist() == [0, 1, 1, 2, 3, 3, 0]


def test_shot_score_variants_differ_as_the_public_code_does() -> None:
    frames, shots = np.array([0.1, 0.2, 0.6, 0.5004, 0.9]), shots_of(3, 1, 1)
    assert score_shots(frames, shots) == pytest.approx([0.3, 0.5004, 0.9])
    assert score_shots(frames, shots, "mean_drop_last") == pytest.approx([0.15, 0, 0])
    assert score_shots(frames, shots, "int1000").tolist() == [300, 500, 900]


def test_capacity_variants_where_shots_stop_short() -> None:
    """Shots cover 90 of 101 frames: 15 frames of the video, 13 of what the shots cover, 15.15 unrounded."""
    shots, picks, scores = shots_of(14, 13, 63), np.array([0, 14, 27]), np.array([0.9, 0.8, 0.1])
    capacities = [frame_capacity(shots, 0.15, how, 101) for how in VARIANTS["capacity"]]
    assert capacities == [15, 13, 15.15]
    chosen = {
        how: select(scores, picks, shots, protocol=Protocol(capacity=how), n_frames=101)
        for how in VARIANTS["capacity"]
    }
    first_frames = {how: int(s.frame_mask(shots).argmax()) for how, s in chosen.items()}
    assert first_frames == {"floor_n_frames": 0, "floor_last_end": 14, "real": 0}
    mask = chosen["floor_last_end"].frame_mask(shots)
    assert (len(mask), int(mask.sum())) == (101, 13)


def test_capacity_variants_where_shots_cover_the_video() -> None:
    shots = shots_of(5, 5)
    assert frame_capacity(shots, 0.15) == frame_capacity(shots, 0.15, "floor_last_end") == 1
    assert frame_capacity(shots_of(50, 50), 0.15) == 15  # 0.15 in binary would give 14


@pytest.mark.parametrize("seed", range(50))
def test_real_capacity_differs_in_the_number_only(seed: int) -> None:
    """Lengths are whole, so no shot fits in 1.5 frames that does not fit in 1: the choice is the same."""
    rng = np.random.default_rng(seed)
    shots = shots_of(*rng.integers(1, 9, 12))
    real, floor = (frame_capacity(shots, 0.3, how) for how in ("real", "floor_n_frames"))
    assert floor <= real < floor + 1
    values = rng.random(12)
    same = knapsack(values, shots.lengths, real) == knapsack(values, shots.lengths, floor)
    assert same.all()


def test_unknown_protocols_are_refused() -> None:
    with pytest.raises(UsageError, match='no protocol named "vasnet"'):
        select(np.ones(1), np.zeros(1, int), shots_of(4), protocol="vasnet")
    with pytest.raises(UsageError, match=r'spread is "linear"\. Allowed: hold, hold_last_zero'):
        Protocol(spread="linear")


def brute_force(values: np.ndarray, weights: np.ndarray, capacity: float) -> np.ndarray:
    """Best value, then least weight, then earliest items; nothing worthless."""
    best_key, best = None, None
    for bits in itertools.product([True, False], repeat=len(values)):
        mask = np.array(bits)
        if weights[mask].sum() > capacity or (values[mask] == 0).any():
            continue
        key = (round(values[mask].sum(), 9), -weights[mask].sum())
        if best_key is None or key > best_key:
            best_key, best = key, mask
    assert best is not None
    return best


@pytest.mark.parametrize("seed", range(60))
def test_knapsack_equals_brute_force_ties_included(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 9))
    values = rng.integers(0, 5, n).astype(float) if seed % 2 else rng.random(n)
    weights, capacity = rng.integers(1, 15, n), int(rng.integers(0, 40))
    assert (
        knapsack(values, weights, capacity).tolist()
        == brute_force(values, weights, capacity).tolist()
    )


@pytest.mark.parametrize("block", range(4))
def test_knapsack_reaches_an_independent_solvers_value(block: int) -> None:
    """1,000 random videos of 12 to 25 shots, 250 in each block, against HiGHS."""
    for seed in range(250 * block, 250 * (block + 1)):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(12, 26))
        values, weights = rng.random(n), rng.integers(20, 400, n)
        capacity = int(weights.sum() * rng.uniform(0.1, 0.5))
        chosen = knapsack(values, weights, capacity)
        solved = milp(
            -values,
            integrality=np.ones(n),
            bounds=Bounds(0, 1),
            constraints=LinearConstraint(weights[None].astype(float), -np.inf, capacity),
            options={"mip_rel_gap": 0.0},
        )
        assert weights[chosen].sum() <= capacity
        assert values[chosen].sum() == pytest.approx(-solved.fun, abs=1e-9), seed


def test_knapsack_of_a_days_shots() -> None:
    rng = np.random.default_rng(0)
    values, weights = rng.random(12_000), rng.integers(30, 300, 12_000) * 1001
    capacity = int(weights.sum() * 0.15)
    chosen = knapsack(values, weights, capacity)
    assert 0.999 * capacity < weights[chosen].sum() <= capacity


def test_selection_fills_the_share_with_the_best_shots() -> None:
    shots = shots_of(10, 10, 10, 70)
    scores, picks = np.array([0.1, 0.9, 0.2, 0.3]), np.array([0, 10, 20, 30])
    selection = select(scores, picks, shots)
    assert selection.chosen.tolist() == [False, True, False, False]
    assert selection.frame_mask(shots).sum() == 10
    assert [int(select(scores, picks, shots, protocol=p).chosen.sum()) for p in PROTOCOLS] == [
        1
    ] * 4


def test_change_points_cross_the_border_and_back() -> None:
    change_points = np.array([[0, 4], [5, 9]])
    shots = from_change_points(change_points)
    assert shots.bounds.tolist() == [[0, 5], [5, 10]]
    assert to_change_points(shots).tolist() == change_points.tolist()
    with pytest.raises(ValueError, match="gap"):
        from_change_points(np.array([[0, 4], [6, 9]]))


@pytest.mark.parametrize("seed", range(15))
@pytest.mark.parametrize("budget", ["15%", "3s", "0.4s", "2 shots", "auto", "100%", "0.001s"])
def test_choice_is_never_empty_inside_the_video_and_within_budget(seed: int, budget: str) -> None:
    rng = np.random.default_rng(seed)
    shots = shots_of(*rng.integers(1, 200, rng.integers(1, 30)))
    picks = np.unique(np.append(0, rng.integers(0, shots.n_frames, 60)))
    scores = np.zeros(len(picks)) if seed % 5 == 0 else rng.random(len(picks))
    gaps = rng.integers(1, 5, shots.n_frames)
    clock = Clock(np.cumsum(gaps) - gaps[0], int(gaps.sum()) + 1, Fraction(1, 50))
    choice = choose(scores, picks, shots, clock, parse_budget(budget))
    assert choice.spans
    length = Fraction(0)
    before = 0
    for span in choice.spans:
        first, last = shots.bounds[span.number]
        assert max(before, first) <= span.start_frame < span.end_frame <= last
        assert span.start_frame <= span.keyframe < span.end_frame
        length += clock.seconds(span.end_frame) - clock.seconds(span.start_frame)
        before = span.end_frame
    one_frame = (
        len(choice.spans) == 1 and choice.spans[0].end_frame - choice.spans[0].start_frame == 1
    )
    assert length <= choice.budget_seconds or one_frame
    if budget == "2 shots":
        assert len(choice.spans) == min(2, shots.n_shots)


def test_a_single_long_shot_is_cut_to_its_best_piece() -> None:
    picks = np.arange(0, 1000, 10)
    scores = np.where((picks >= 600) & (picks < 700), 0.9, 0.1)
    choice = choose(scores, picks, shots_of(1000), clock_of(1000), parse_budget("10%"))
    (span,) = choice.spans
    assert (span.start_frame, span.end_frame) == (600, 700)
    assert span.keyframe == 650


def test_auto_takes_what_stands_out_within_reason() -> None:
    clock, shots = clock_of(25 * 600), shots_of(*[250] * 60)
    scores = np.where(np.arange(60) % 6 == 0, 0.9, 0.1)
    choice = choose(scores, np.arange(60) * 250, shots, clock, parse_budget("auto"))
    assert [s.number for s in choice.spans] == list(range(0, 60, 6))
    flat = choose(np.full(60, 0.5), np.arange(60) * 250, shots, clock, parse_budget("auto"))
    assert flat.budget_seconds == 30


def test_what_was_seen_already_counts_less() -> None:
    shots, picks = shots_of(25, 25, 25, 25), np.array([0, 25, 50, 75])
    rows = np.array([[1, 0, 0], [1, 0, 0.05], [0, 1, 0], [0, 0, 1]], np.float32)
    scores = np.array([0.9, 0.8, 0.5, 0.4])
    novel = novelty(scores, picks, shots, rows)
    assert novel[0] == 1
    assert novel[1] < 0.01
    assert novel[2:].min() > 0.9
    budget = parse_budget("50%")
    plain = choose(scores, picks, shots, clock_of(100), budget)
    varied = choose(scores, picks, shots, clock_of(100), budget, rows)
    assert [s.number for s in plain.spans] == [0, 1]
    assert [s.number for s in varied.spans] == [0, 2]


def test_novelty_of_a_day_in_blocks_equals_that_of_one_block() -> None:
    rng = np.random.default_rng(0)
    n = 1300
    shots, picks = shots_of(*[2] * n), np.arange(n) * 2
    rows, scores = rng.normal(size=(n, 8)).astype(np.float32), rng.random(n)
    centred = rows - rows.mean(0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    cosines = np.where(scores[None] > scores[:, None], centred @ centred.T, 0)
    assert novelty(scores, picks, shots, rows) == pytest.approx(
        1 - np.clip(cosines.max(1), 0, 1), abs=1e-5
    )


def test_blank_frames_score_nothing_unless_all_are_blank() -> None:
    scores = np.array([0.5, 0.6, 0.7], np.float32)
    hushed = without_blanks(scores, np.array([0.0, 0.2, 0.01]))
    assert hushed.tolist() == pytest.approx([0, 0.6, 0])
    assert without_blanks(scores, np.zeros(3)).tolist() == scores.tolist()


def test_key_frames_are_not_caught_in_a_fade() -> None:
    picks, scores = np.array([0, 10, 20, 30]), np.array([0.9, 0.5, 0.6, 0.4])
    contrast = np.array([0.05, 0.2, 0.19, 0.2])
    budget = parse_budget(1)
    (span,) = choose(scores, picks, shots_of(40), clock_of(40), budget, None, contrast).spans
    assert span.keyframe == 20
