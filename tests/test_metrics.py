"""Metrics against hand-made cases, scipy, and the figures of the literature on the real annotations."""

from __future__ import annotations

from itertools import combinations, permutations
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from videograph import metrics


def ratings_at_picks(data: Path) -> dict[str, np.ndarray]:
    """The 20 annotators of each TVSum video at its picks, read without any of our loaders."""
    with h5py.File(data / "tvsum" / "tvsum.h5") as f:
        return {k: f[k]["user_anno"][:][:, f[k]["picks"][:]] for k in f}


def masks(data: Path) -> dict[str, np.ndarray]:
    """The users' frame selections of each SumMe video."""
    with h5py.File(data / "summe" / "summe.h5") as f:
        return {k: f[k]["user_summary"][:] for k in f}


# -- F -----------------------------------------------------------------------------------------------


def test_f_by_hand():
    summary = np.array([1, 1, 0, 0, 0, 0])
    users = np.array([[1, 1, 0, 0, 0, 0], [0, 1, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1], [0] * 6])
    # P = 1/2, R = 1/3 for the second user
    assert metrics.f_scores(summary, users) == pytest.approx([1, 2 * (1 / 6) / (5 / 6), 0, 0])
    assert metrics.reduce_users(np.array([0.2, 0.6]), "max") == pytest.approx(0.6)
    assert metrics.reduce_users(np.array([0.2, 0.6]), "mean") == pytest.approx(0.4)


def test_f_of_an_empty_summary_is_zero():
    assert metrics.f_scores(np.zeros(4), np.ones((2, 4))).tolist() == [0.0, 0.0]


def test_f_fails():
    with pytest.raises(ValueError, match=r"summary of shape \(3,\) against users of \(2, 4\)"):
        metrics.f_scores(np.zeros(3), np.ones((2, 4)))
    with pytest.raises(ValueError, match=r'user_reduce is "median"\. Allowed: max, mean'):
        metrics.reduce_users(np.ones(3), "median")
    with pytest.raises(ValueError, match="needs two users"):
        metrics.human_f(np.ones((1, 4)))


def test_human_f_on_summe(data: Path):
    """Pairwise F of people, against a plain loop; Otani et al. give .31 / .54 for all 25 videos."""
    mean, best = [], []
    for users in masks(data).values():
        per_user = []
        for i, user in enumerate(users):
            row = []
            for j, other in enumerate(users):
                both = float(np.logical_and(user, other).sum())
                p, r = both / user.sum(), both / other.sum()
                if i != j:
                    row.append(2 * p * r / (p + r) if both else 0.0)
            per_user.append(row)
        mean.append(np.mean(per_user))
        best.append(np.mean(np.max(per_user, axis=1)))
    ours = [metrics.human_f(users) for users in masks(data).values()]
    assert [h["mean"] for h in ours] == pytest.approx(mean, abs=1e-12)
    assert [h["max"] for h in ours] == pytest.approx(best, abs=1e-12)
    assert (np.mean(mean), np.mean(best)) == pytest.approx((0.297, 0.523), abs=0.001)


# -- rank correlation --------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(300))
def test_tau_and_rho_equal_scipy(seed: int):
    """Random lengths and random numbers of levels, from two to all different."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 200))
    predictions = rng.integers(rng.integers(1, 40), size=(2, n)) / 7
    references = np.stack([rng.integers(levels, size=n) for levels in (1, 2, 5, 30)]) * 0.25
    references = np.vstack([references, rng.random(n)])
    tau = metrics.kendall_tau_b(predictions, references)
    rho = metrics.spearman_rho(predictions, references)
    for i, p in enumerate(predictions):
        for j, r in enumerate(references):
            known = np.ptp(p) > 0 and np.ptp(r) > 0
            assert tau[i, j] == pytest.approx(kendalltau(p, r)[0] if known else 0, abs=1e-12)
            assert rho[i, j] == pytest.approx(spearmanr(p, r)[0] if known else 0, abs=1e-12)


def test_tau_of_long_rows_of_many_levels():
    """Where the table of pairs would be too large, the same number comes from elsewhere."""
    rng = np.random.default_rng(0)
    x, y = rng.random((1, 3000)), rng.random((2, 3000)).round(3)
    y[1] = 0.5
    tau = metrics.kendall_tau_b(x, y)
    assert tau[0, 0] == pytest.approx(kendalltau(x[0], y[0])[0], abs=1e-12)
    assert tau[0, 1] == 0


@pytest.mark.parametrize("mode", ["mode1", "mode3"])
def test_masks_take_a_shorter_way_to_the_same_number(mode: str):
    rng = np.random.default_rng(5)
    users = rng.integers(2, size=(6, 300))
    masks = np.vstack([rng.random((4, 300)) < 0.15, np.zeros((1, 300), bool)])
    short = metrics.rank_correlation(masks, users, mode=mode)
    long = metrics.rank_correlation(masks.astype(float), users, mode=mode)
    assert short.tau == pytest.approx(long.tau, abs=1e-12)
    assert short.rho == pytest.approx(long.rho, abs=1e-12)
    assert short.constant.tolist() == long.constant.tolist() == [False] * 4 + [True]


def test_rank_correlation_modes_differ():
    """One prediction, three users: each mode by hand."""
    users = np.array([[1, 2, 3, 4], [1, 2, 3, 4], [4, 3, 2, 1]])
    prediction = np.array([0.1, 0.2, 0.3, 0.4])
    each = metrics.rank_correlation(prediction, users, mode="mode1")
    mean = metrics.rank_correlation(prediction, users, mode="mode2")
    assert each.tau[0] == pytest.approx((1 + 1 - 1) / 3)
    assert mean.tau[0] == pytest.approx(1)
    assert (each.mode, mean.mode) == ("mode1", "mode2")
    assert (each.n_references, mean.n_references) == (3, 1)
    assert repr(each) == "RankCorrelation(mode1: tau=0.333, rho=0.333)"


def test_mode_3_compares_a_mask_with_the_mean_mask():
    users = np.array([[1, 1, 0, 0], [1, 0, 0, 0]])
    summary = np.array([1, 0, 0, 0])
    got = metrics.rank_correlation(summary, users, mode="mode3")
    assert got.tau[0] == pytest.approx(kendalltau(summary, [1, 0.5, 0, 0])[0])


def test_a_constant_prediction_counts_as_zero_and_says_so():
    got = metrics.rank_correlation(np.full(4, 0.3), np.array([[1, 2, 3, 4]]), mode="mode1")
    assert (got.tau[0], got.rho[0], got.constant[0]) == (0, 0, True)


def test_a_constant_user_is_skipped_and_counted():
    users = np.array([[1, 2, 3, 4], [3, 3, 3, 3]])
    got = metrics.rank_correlation(np.arange(4), users, mode="mode1")
    assert (got.tau[0], got.n_references, got.n_constant_references) == (1, 1, 1)
    nobody = metrics.rank_correlation(np.arange(4), users[1:], mode="mode1")
    assert (nobody.tau[0], nobody.n_references) == (0, 0)


def test_rank_correlation_fails():
    users = np.array([[1, 2, 3]])
    with pytest.raises(ValueError, match=r'mode is "tau"\. Allowed: mode1, mode2, mode3, mode4'):
        metrics.rank_correlation(np.arange(3), users, mode="tau")
    with pytest.raises(ValueError, match="predictions have 4 values, references 3"):
        metrics.rank_correlation(np.arange(4), users, mode="mode1")
    with pytest.raises(ValueError, match="not finite"):
        metrics.rank_correlation(np.array([0, np.nan, 1]), users, mode="mode1")
    with pytest.raises(ValueError, match="two users whose values differ, got 1"):
        metrics.human_correlation(users, mode="mode1")


def test_a_ranking_agrees_with_itself_and_disagrees_with_its_reverse():
    x = np.random.default_rng(1).random(50)
    assert metrics.kendall_tau_b(x, np.stack([x, -x]))[0] == pytest.approx([1, -1])
    assert metrics.spearman_rho(x, np.stack([x, -x]))[0] == pytest.approx([1, -1])


def test_human_row_of_tvsum_in_mode_1(data: Path):
    """Leave-one-out by scipy over pairs of people; all 50 videos have .177 / .204 in print."""
    tau, rho, ours = [], [], []
    for users in ratings_at_picks(data).values():
        useful = users[np.ptp(users, axis=1) > 0]
        pairs = combinations(useful, 2)
        tau.append(np.mean([kendalltau(a, b, method="asymptotic")[0] for a, b in pairs]))
        rho.append(spearmanr(useful, axis=1)[0][np.triu_indices(len(useful), 1)].mean())
        ours.append(metrics.human_correlation(users, mode="mode1"))
    assert [h.tau[0] for h in ours] == pytest.approx(tau, abs=1e-9)
    assert [h.rho[0] for h in ours] == pytest.approx(rho, abs=1e-9)
    assert (np.mean(tau), np.mean(rho)) == pytest.approx((0.183, 0.211), abs=0.001)


def test_ceiling_and_mode_2_of_tvsum(data: Path):
    """The annotators' mean in mode 1, and one annotator against the mean of the others in mode 2."""
    ceiling, human = [], []
    for users in ratings_at_picks(data).values():
        useful = users[np.ptp(users, axis=1) > 0]
        mean = useful.mean(axis=0)
        ours = metrics.rank_correlation(users.mean(axis=0), users, mode="mode1")
        assert ours.tau[0] == pytest.approx(np.mean([kendalltau(mean, u)[0] for u in useful]))
        assert ours.rho[0] == pytest.approx(np.mean([spearmanr(mean, u)[0] for u in useful]))
        others = [(u, np.delete(useful, i, axis=0).mean(axis=0)) for i, u in enumerate(useful)]
        one = metrics.human_correlation(users, mode="mode2")
        assert one.tau[0] == pytest.approx(np.mean([kendalltau(a, b)[0] for a, b in others]))
        assert one.rho[0] == pytest.approx(np.mean([spearmanr(a, b)[0] for a, b in others]))
        ceiling.append([ours.tau[0], ours.rho[0]])
        human.append([one.tau[0], one.rho[0]])
    assert np.mean(ceiling, axis=0) == pytest.approx([0.383, 0.479], abs=0.001)
    assert np.mean(human, axis=0) == pytest.approx([0.319, 0.403], abs=0.001)


# -- query-focused -----------------------------------------------------------------------------------


def test_semantic_matching_by_hand():
    #               A  B  C
    tags = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0]])
    # machine {0, 2}, oracle {1, 2}: IoU(0, 1) = 1/2, IoU(2, 2) = 1, W = 3/2
    got = metrics.semantic_matching(tags, np.array([0, 2]), np.array([1, 2]))
    assert (got.precision, got.recall, got.f1) == pytest.approx((0.75, 0.75, 0.75))
    # machine {0}: W = 1/2, P = 1/2, R = 1/4
    short = metrics.semantic_matching(tags, np.array([0]), np.array([1, 2]))
    assert (short.precision, short.recall) == pytest.approx((0.5, 0.25))
    assert short.f1 == pytest.approx(2 * 0.5 * 0.25 / 0.75)
    untagged = metrics.semantic_matching(tags, np.array([3]), np.array([3]))
    assert untagged.f1 == 0
    assert metrics.semantic_matching(tags, np.array([], dtype=int), np.array([1])).f1 == 0


def test_semantic_matching_is_the_best_matching():
    """Against all matchings of small random cases."""
    rng = np.random.default_rng(3)
    for _ in range(30):
        tags = rng.integers(2, size=(9, 4))
        machine, oracle = rng.choice(9, 4, replace=False), rng.choice(9, 5, replace=False)
        iou = metrics.concept_iou(tags[machine], tags[oracle])
        best = max(sum(iou[i, j] for i, j in enumerate(p)) for p in permutations(range(5), 4))
        got = metrics.semantic_matching(tags, machine, oracle)
        assert got.precision * 4 == pytest.approx(best)


def test_the_oracle_matches_itself(data: Path):
    """F1 is 1 on 176 of 180 queries; four of P02 hold its last shot, which the table leaves untagged."""
    below = {}
    with h5py.File(data / "qfvs" / "qfvs.h5") as f:
        for video in f:
            tags, dense = f[video]["tags"][:], f[video]["dense_tags"][:]
            for name, query in f[video]["queries"].items():
                oracle = query["oracle"][:]
                f1 = metrics.semantic_matching(tags, oracle, oracle).f1
                if f1 < 1 - 1e-9:
                    below[video, name] = f1
                    assert (
                        np.flatnonzero(tags.sum(axis=1) == 0).max() == oracle.max() == len(tags) - 1
                    )
                    assert f1 == pytest.approx((len(oracle) - 1) / len(oracle))
                if video == "P02":  # the text lists do tag that shot
                    assert metrics.semantic_matching(dense, oracle, oracle).f1 == pytest.approx(1)
    assert [video for video, _ in below] == ["P02"] * 4
    assert min(below.values()) == below["P02", "Face_Food"] == pytest.approx(57 / 58)


# -- without annotations -----------------------------------------------------------------------------


def test_coverage_and_redundancy_by_hand():
    features = np.array([[1.0, 0], [2.0, 0], [0, 3.0]])
    lengths = np.array([1, 1, 2])
    assert metrics.coverage(features, lengths, np.array([0])) == pytest.approx((1 + 1 + 0) / 4)
    assert metrics.coverage(features, lengths, np.array([0, 2])) == pytest.approx(1)
    assert metrics.redundancy(features, np.array([0, 1])) == pytest.approx(1)
    assert metrics.redundancy(features, np.array([0, 2])) == pytest.approx(0)
    assert metrics.redundancy(features, np.array([0, 1, 2])) == pytest.approx(1 / 3)
    assert metrics.redundancy(features, np.array([0])) == 0


# -- intervals ---------------------------------------------------------------------------------------


def test_bootstrap_interval():
    values = np.random.default_rng(0).normal(0.2, 0.1, size=40)
    got = metrics.bootstrap_interval(values)
    assert got == metrics.bootstrap_interval(values)
    assert got.low < got.mean < got.high and got.n_videos == 40
    # the normal theory says 1.96 standard errors to each side
    assert got.high - got.low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(40), rel=0.1)
    assert str(metrics.bootstrap_interval(np.array([0.5]))) == "0.500 [0.500, 0.500]"
    with pytest.raises(ValueError, match="no videos"):
        metrics.bootstrap_interval(np.array([]))
