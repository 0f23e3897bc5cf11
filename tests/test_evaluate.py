"""The benchmark as a researcher meets it: score files in, one table out, nothing unnamed."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from rich.console import Console

from videograph import evaluate as benchmark
from videograph.cli import main
from videograph.config import EvaluateConfig
from videograph.datasets import BenchmarkVideo, Dataset, load_dataset
from videograph.errors import UsageError, VideographError
from videograph.evaluate import ScoreFile, evaluate
from videograph.records import Shots
from videograph.summary import knapsack, knapsack_many

QUICK = EvaluateConfig(n_draws=5)


@pytest.fixture(scope="module")
def tvsum(data: Path) -> benchmark.Table:
    """The whole table of TVSum, made once: at most 30 s of one core, even a busy one."""
    dataset = load_dataset(data / "tvsum", features="mobilenetv2")
    started = time.process_time()
    table = evaluate(dataset, config=EvaluateConfig(n_draws=5), baselines=["ridge"])
    assert time.process_time() - started < 30
    return table


@pytest.fixture(scope="module")
def summe(data: Path) -> Dataset:
    return load_dataset(data / "summe")


def small(n_videos: int = 6, *, rated: bool = False) -> Dataset:
    """Seeded videos of 300 frames with features, users who agree a little, and three shots or more."""
    videos = {}
    for i in range(n_videos):
        rng = np.random.default_rng(i)
        edges = np.concatenate(
            [[0], np.sort(rng.choice(np.arange(1, 20), 7, replace=False)) * 15, [300]]
        )
        truth = np.repeat(rng.random(8), np.diff(edges))
        users = np.stack([truth + 0.4 * rng.random(300) for _ in range(4)])
        masks = (users > np.quantile(users, 0.85, axis=1)[:, None]).astype(np.uint8)
        ratings = np.clip(1 + (users * 3.6).astype(int), 1, 5).astype(np.uint8)
        picks = np.arange(0, 300, 15)
        videos[f"video_{i + 1}"] = BenchmarkVideo(
            f"video_{i + 1}",
            300,
            picks,
            name=f"clip {i + 1}",
            shots=Shots(np.stack([edges[:-1], edges[1:]], axis=1)),
            features=np.column_stack([truth[picks], rng.random((20, 4))]).astype(np.float32),
            gtscore=(ratings if rated else masks)[:, picks].mean(axis=0).astype(np.float32),
            user_anno=ratings if rated else None,
            user_summary=None if rated else masks,
        )
    return Dataset("tvsum" if rated else "own", Path("small.h5"), videos, features="truth")


def truth_scores(dataset: Dataset, noise: float = 0.0, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    found = {}
    for key, video in dataset.videos.items():
        assert video.features is not None
        found[key] = video.features[:, 0] + noise * rng.random(video.n_steps)
    return found


def score_file(scores: dict[str, np.ndarray], name: str = "mine", **attributes: str) -> ScoreFile:
    return ScoreFile(name, {(-1, -1): scores}, attributes)


# -- the rows that always stand, on real data --------------------------------------------------------


def test_tvsum_rows(tvsum: benchmark.Table):
    """People, their mean and chance on the 40 videos, in every mode; F near what Otani et al. report."""
    table = tvsum
    human, top = table.row("human leave-one-out").cells, table.row("ceiling: mean user").cells
    chance = table.row("random").cells
    assert human["tau_mode1"].mean == pytest.approx(0.183, abs=0.001)
    assert human["rho_mode1"].mean == pytest.approx(0.211, abs=0.001)
    assert human["tau_mode2"].mean == pytest.approx(0.319, abs=0.001)
    assert top["tau_mode1"].mean == pytest.approx(0.383, abs=0.001)
    assert top["tau_mode2"].mean == pytest.approx(1)
    assert chance["tau_mode1"].mean == pytest.approx(0, abs=0.01)
    # Otani et al., CVPR 2019: random .57 / .78, human .54 / .78 with the released shots.
    assert chance["f_mean"].mean == pytest.approx(0.54, abs=0.03)
    assert human["f_mean"].mean == pytest.approx(0.54, abs=0.03)
    # Mode 4 measures the shots: chance reaches what people reach.
    assert chance["tau_mode4"].mean == pytest.approx(0.54, abs=0.03)
    assert human["tau_mode4"].mean == pytest.approx(0.53, abs=0.03)
    assert table.row("position").cells["tau_mode1"].mean == pytest.approx(0.094, abs=0.001)
    assert [c.key for c in table.columns][-1] == "rho_mode4"


def test_summe_rows(summe: Dataset):
    """Random F near Otani et al. (.19 / .41); people .31 / .54 on 25 videos, less on these 21."""
    table = evaluate(summe, config=EvaluateConfig(n_draws=20))
    chance, human = table.row("random").cells, table.row("human leave-one-out").cells
    assert (chance["f_mean"].mean, chance["f_max"].mean) == pytest.approx((0.18, 0.39), abs=0.02)
    assert (human["f_mean"].mean, human["f_max"].mean) == pytest.approx((0.298, 0.525), abs=0.002)
    assert table.row("uniform").cells["f_max"].mean == pytest.approx(0.22, abs=0.01)
    assert chance["tau_mode1"].mean == pytest.approx(0, abs=0.015)
    assert chance["tau_mode3"].mean == pytest.approx(0.09, abs=0.03)  # not 0: shots favour it
    assert human["tau_mode3"].mean == pytest.approx(0.284, abs=0.002)
    assert "tau_mode1" not in table.row("uniform").cells  # a summary ranks no steps


def test_ridge_on_tvsum(data: Path, tvsum: benchmark.Table):
    """The linear map of each frame's MobileNetV2 features: .158 / .208 in mode 1 with the fixed folds."""
    cells = tvsum.row("ridge").cells
    assert cells["tau_mode1"].mean == pytest.approx(0.158, abs=0.001)
    assert cells["rho_mode1"].mean == pytest.approx(0.208, abs=0.001)
    assert {"feature change", "typical", "untypical"} <= {row.name for row in tvsum.rows}
    folds = json.loads((data / "splits" / "tvsum_5fold.json").read_text(encoding="utf-8"))["folds"]
    assert set(cells["tau_mode1"].per_video) == {key for fold in folds for key in fold["test"]}


def test_qfvs_rows(data: Path, tmp_path: Path):
    """Chance near 47.1, the oracle at 100 less one shot, and a swapped query beside every row."""
    dataset = load_dataset(data / "qfvs")
    path = tmp_path / "first.h5"
    with h5py.File(path, "w") as file:  # a method that shows only what was asked for
        for key, video in dataset.query_videos.items():
            for name, query in video.queries.items():
                file[f"{key}/{name}"] = video.tags[:, list(query.concepts)].sum(axis=1)
    table = evaluate(dataset, [benchmark.read_scores(path)], config=EvaluateConfig(n_draws=3))
    assert table.row("random 2 %").cells["f1"].mean == pytest.approx(47.1, abs=0.6)
    oracle = table.row("oracle").cells["f1"].per_video
    assert len(oracle) == 180
    assert sum(value > 100 - 1e-9 for value in oracle.values()) == 176
    assert min(oracle.values()) == oracle["P02/Face_Food"] == pytest.approx(100 * 57 / 58)
    mine, tagged = table.row("first").cells, table.row("true tags").cells
    assert tagged["f1"].mean == pytest.approx(46.5, abs=0.6)
    assert mine["f1"].mean == pytest.approx(44.0, abs=0.1)  # earlier shots first among equals
    assert mine["on_query"].mean > 90 and mine["swapped"].mean < mine["f1"].mean - 5
    assert all("swapped" in row.cells for row in table.rows)


def test_the_mean_over_queries_comes_before_the_mean_over_videos(data: Path):
    table = evaluate(load_dataset(data / "qfvs"), config=EvaluateConfig(n_draws=1))
    cell = table.row("uniform 2 %").cells["f1"]
    by_video: dict[str, list[float]] = {}
    for label, value in cell.per_video.items():
        by_video.setdefault(label[:3], []).append(value)
    assert cell.mean == pytest.approx(np.mean([np.mean(v) for v in by_video.values()]))


# -- scores of any method ----------------------------------------------------------------------------


def test_score_files_of_every_form_give_the_same_row(tmp_path: Path):
    """h5 flat and grouped, npz, csv; by key or name; per step or per frame: one and the same table."""
    dataset = small()
    scores = truth_scores(dataset, 0.3)
    videos = dataset.videos
    with h5py.File(tmp_path / "flat.h5", "w") as file:
        for key, row in scores.items():
            file[key] = row
    with h5py.File(tmp_path / "grouped.h5", "w") as file:
        for key, row in scores.items():
            file[f"{key}/scores"], file[f"{key}/picks"] = row, videos[key].picks
    with h5py.File(tmp_path / "named.h5", "w") as file:
        for key, row in scores.items():
            file[videos[key].name] = np.repeat(row, 15)
    np.savez(tmp_path / "all.npz", **scores)  # pyright: ignore[reportArgumentType]
    lines = [
        f"{key},{i},{value!r}"
        for key, row in scores.items()
        for i, value in enumerate(map(float, row))
    ]
    (tmp_path / "all.csv").write_text(
        "video,step,score\n" + "\n".join(reversed(lines)), encoding="utf-8"
    )
    files = [benchmark.read_scores(p) for p in sorted(tmp_path.iterdir())]
    table = evaluate(dataset, files, config=QUICK)
    rows = [row for row in table.rows if row.kind == "yours"]
    assert [row.name for row in rows] == ["all", "all", "flat", "grouped", "named"]
    for row in rows[1:]:
        for column, cell in row.cells.items():
            assert cell.mean == pytest.approx(rows[0].cells[column].mean, abs=1e-6), column


def test_runs_are_averaged_and_their_spread_is_told():
    dataset = small()
    runs = [truth_scores(dataset, 0.5, seed) for seed in range(3)]
    stacked = {key: np.stack([run[key] for run in runs]) for key in dataset.videos}
    cell = evaluate(dataset, [score_file(stacked)], config=QUICK).row("mine").cells["tau_mode2"]
    singles = [
        evaluate(dataset, [score_file(run)], config=QUICK).row("mine").cells["tau_mode2"].mean
        for run in runs
    ]
    assert cell.mean == pytest.approx(np.mean(singles))
    assert cell.sd == pytest.approx(np.std(singles, ddof=1))
    assert cell.low < cell.mean < cell.high


def test_overlapping_splits_warn_and_count_twice(tmp_path: Path):
    dataset = small(4)
    splits = [
        {"train": [], "test": ["video_1", "video_2"]},
        {"train": ["video_1"], "test": ["video_1"]},
    ]
    path = tmp_path / "random_splits.json"
    path.write_text(json.dumps(splits), encoding="utf-8")
    files = [score_file(truth_scores(dataset, 2.0))]
    table = evaluate(dataset, files, config=replace(QUICK, splits=str(path)))
    said = " ".join(table.warnings)
    assert "splits overlap: 1 videos" in said and "2 of 4 videos are never tested" in said
    assert "also trains or chooses on" in said
    cell = table.row("mine").cells["tau_mode1"]
    one, two = cell.per_video["video_1"], cell.per_video["video_2"]
    assert cell.mean == pytest.approx(((one + two) / 2 + one) / 2)


def by_epoch(dataset: Dataset) -> ScoreFile:
    """Epoch 1 is good everywhere; epoch 2 is perfect on what split 0 tests and nothing elsewhere."""
    good, bad = truth_scores(dataset, 0.5), truth_scores(dataset, 50.0)
    perfect = truth_scores(dataset)
    spoilt = {key: perfect[key] if key in ("video_1",) else bad[key] for key in dataset.videos}
    return ScoreFile("epochs", {(-1, 1): good, (-1, 2): spoilt})


@pytest.fixture
def two_splits(tmp_path: Path) -> str:
    path = tmp_path / "two.json"
    folds = [{"train": ["video_3"], "val": ["video_2"], "test": ["video_1"]},
             {"train": ["video_1"], "val": ["video_3"], "test": ["video_2"]}]  # fmt: skip
    path.write_text(json.dumps({"folds": folds}), encoding="utf-8")
    return str(path)


def test_the_epoch_is_chosen_on_validation(two_splits: str):
    dataset = small(3)
    table = evaluate(dataset, [by_epoch(dataset)], config=replace(QUICK, splits=two_splits))
    row = table.row("epochs")
    assert row.note == "epochs 1, 1, chosen on validation by mode 2 tau"
    assert table.warnings == ("1 of 3 videos are never tested by these splits",)


def test_best_on_test_is_labelled(two_splits: str):
    """The legacy protocol takes the epoch that flatters each split, and says so in row and warning."""
    dataset = small(3)
    config = replace(QUICK, splits=two_splits, protocol="legacy-best-on-test")
    table = evaluate(dataset, [by_epoch(dataset)], config=config)
    row = table.row("epochs (epoch selected on TEST)")
    assert row.note == "epochs 2, 1, chosen on TEST by mode 2 tau"
    assert any("chosen on the videos it is scored on" in text for text in table.warnings)
    honest = evaluate(dataset, [by_epoch(dataset)], config=replace(QUICK, splits=two_splits))
    assert row.cells["tau_mode2"].mean > honest.row("epochs").cells["tau_mode2"].mean
    with pytest.raises(UsageError, match=r"needs scores of several epochs .* mine has one"):
        evaluate(dataset, [score_file(truth_scores(dataset))], config=config)


def test_a_file_that_says_it_chose_on_test_is_labelled():
    dataset = small(3)
    table = evaluate(dataset, [score_file(truth_scores(dataset), selected_on="test")], config=QUICK)
    assert table.rows[0].name == "mine (epoch selected on TEST)" and table.warnings


def test_a_model_that_learned_from_what_it_is_scored_on_is_told_of():
    dataset = small(3)
    file = score_file(truth_scores(dataset), trained_on="video_1 video_2")
    said = evaluate(dataset, [file], config=QUICK).warnings
    assert "mine: the model learned from 2 of the videos it is scored on" in said[0]


def test_missing_scores_leave_all_rows_without_the_video():
    dataset = small(4)
    scores = truth_scores(dataset)
    del scores["video_3"]
    table = evaluate(dataset, [score_file(scores)], config=QUICK)
    assert "mine has no scores of 1 of 4 tested videos (video_3, ...)" in table.warnings[0]
    assert all("video_3" not in c.per_video for row in table.rows for c in row.cells.values())


def test_constant_scores_count_as_zero_and_negative_ones_may_come():
    dataset = small(2)
    zero = {key: np.full(20, 0.5) for key in dataset.videos}
    low = {key: 3 - 9 * row for key, row in truth_scores(dataset).items()}
    table = evaluate(dataset, [score_file(zero, "flat"), score_file(low, "low")], config=QUICK)
    assert table.row("flat").cells["tau_mode1"].mean == 0
    assert any("a constant prediction ranks nothing" in note for note in table.notes)
    assert table.row("low").cells["tau_mode1"].mean < -0.2
    assert table.row("low").cells["f_mean"].mean > 0


SPOILT: dict[str, tuple[Callable[[Path], None], type[VideographError], str]] = {
    "none.h5": (lambda p: None, UsageError, "none.h5 is not there"),
    "x.txt": (lambda p: p.touch(), UsageError, r"x\.txt is no score file\. Allowed: \.h5"),
    "x.h5": (lambda p: p.touch(), VideographError, r"x\.h5 cannot be read as \.h5"),
    "x.npz": (lambda p: p.touch(), VideographError, r"x\.npz cannot be read as \.npz"),
    "objects.npz": (
        lambda p: np.savez(p, video_1=np.array([{}], dtype=object)),
        VideographError, r"objects\.npz cannot be read as \.npz .*allow_pickle",
    ),
    "empty.h5": (lambda p: h5py.File(p, "w").close(), VideographError, "holds no arrays of scores"),
    "a.csv": (
        lambda p: p.write_text("key,score\n", encoding="utf-8") and None,
        VideographError, "columns video, step or frame, score are needed; found key, score",
    ),
    "b.csv": (
        lambda p: p.write_text("video,step,score\na,0,.5\na,2,.5\n", encoding="utf-8") and None,
        VideographError, r"a: every step from 0 is needed once, got \[0, 2\]",
    ),
    "short.csv": (
        lambda p: p.write_text("video,step,score\nvideo_1,0\n", encoding="utf-8") and None,
        VideographError, r"short\.csv cannot be read .*line 2: step is 0, score is None; a whole number",
    ),
    "nameless.csv": (
        lambda p: p.write_text("step,score,video\n0,.5\n", encoding="utf-8") and None,
        VideographError, r"nameless\.csv cannot be read .*line 2: the video is missing",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILT)
def test_score_files_fail(name: str, tmp_path: Path):
    spoil, kind, message = SPOILT[name]
    spoil(tmp_path / name)
    with pytest.raises(kind, match=message):
        benchmark.read_scores(tmp_path / name)


def test_scores_that_do_not_fit_fail():
    dataset = small(2)
    short = score_file({key: np.ones(19) for key in dataset.videos})
    with pytest.raises(
        VideographError, match=r"mine, video_1: scores have shape \(19,\); 20 steps or 300"
    ):
        evaluate(dataset, [short], config=QUICK)
    holed = truth_scores(dataset)
    holed["video_2"][3] = np.nan
    with pytest.raises(VideographError, match="mine, video_2: 1 scores are NaN or infinite"):
        evaluate(dataset, [score_file(holed)], config=QUICK)
    with pytest.raises(VideographError, match=r"no scores of any tested video.*video_1"):
        evaluate(dataset, [score_file({"a": np.ones(20)})], config=QUICK)
    with pytest.raises(UsageError, match=r'no baseline "svm"\. Available: ridge'):
        evaluate(dataset, baselines=["svm"])
    with pytest.raises(UsageError, match='protocol is "field"'):
        EvaluateConfig(protocol="field")
    with pytest.raises(UsageError, match=r"seed is -1\. Allowed: 0 to"):
        EvaluateConfig(seed=-1)
    bare = replace(dataset.videos["video_1"], features=None)
    with pytest.raises(UsageError, match="needs features and gtscore; video_1 lacks them"):
        evaluate(replace(dataset, videos={"video_1": bare}), baselines=["ridge"], config=QUICK)


# -- comparing ---------------------------------------------------------------------------------------


def test_compare_is_paired():
    """Two noisy methods that differ by little on every video are told apart; a copy is not."""
    dataset = small(12)
    a, b = score_file(truth_scores(dataset, 0.2), "a"), score_file(truth_scores(dataset, 1.5), "b")
    table = benchmark.compare(dataset, a, b, config=QUICK)
    gap = table.rows[0]
    cell = gap.cells["tau_mode2"]
    one, two = (table.row(name).cells["tau_mode2"] for name in ("a", "b"))
    assert gap.kind == "difference" and cell.low > 0
    assert cell.mean == pytest.approx(
        np.mean([one.per_video[k] - two.per_video[k] for k in one.per_video])
    )
    said = next(note for note in table.notes if note.startswith("tau, mode 2"))
    assert "told apart" in said and "of 12" in said and "not told apart" not in said
    same = benchmark.compare(dataset, a, a, config=QUICK)
    assert "not told apart" in " ".join(same.notes)
    assert {"a (A)", "a (B)"} < {row.name for row in same.rows}


# -- protocol variants -------------------------------------------------------------------------------


HOLD, DROP, LAST = ([0, 10], [0, 9, 10, 20], [0, 10, 90])
"""Picks of three hand-made videos of 100 frames: shots 0-9, 10-19, 20-89, 90-99; only one short shot fits."""
VARIANTS: dict[str, tuple[EvaluateConfig, list[int], list[float], int, int]] = {
    # int(1000 mean): .5001 and .5004 become a tie, and the earlier shot of a tie is taken.
    "int1000": (EvaluateConfig(protocol="dsnet"), [*HOLD, 20], [0.5001, 0.5004, 0], 10, 0),
    # Shot 0 owes its lead to its last frame (mean .55 against .52), which GraVi-T leaves out.
    "mean_drop_last": (EvaluateConfig(shot_score="mean_drop_last"), DROP, [0.5, 1, 0.52, 0], 0, 10),
    # The video's last frame keeps 0: the last shot falls from .505 to .4545, below shot 0.
    "hold_last_zero": (EvaluateConfig(spread="hold_last_zero"), LAST, [0.5, 0, 0.505], 90, 0),
    "gravit": (EvaluateConfig(protocol="gravit"), DROP, [0.5, 1, 0.52, 0], 0, 10),
    # Where shots cover the video and lengths are whole, no capacity variant can choose otherwise.
    "pglsum": (EvaluateConfig(protocol="pglsum"), [*HOLD, 20], [0.5001, 0.5004, 0], 10, 10),
    "real": (EvaluateConfig(capacity="real"), [*HOLD, 20], [0.5001, 0.5004, 0], 10, 10),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_protocol_variants_by_hand(name: str):
    """The shot (named by its first frame) that ours chooses, and the one that the variant does."""
    config, picks, scores, ours, theirs = VARIANTS[name]
    shots = Shots(np.array([[0, 10], [10, 20], [20, 90], [90, 100]]))
    users = np.zeros((1, 100), np.uint8)
    for asked, start in ((EvaluateConfig(), ours), (config, theirs)):
        users[:] = 0
        users[0, start : start + 10] = 1
        video = BenchmarkVideo("a", 100, np.array(picks), shots=shots, user_summary=users)
        dataset = Dataset("own", Path("x.h5"), {"a": video})
        asked = replace(asked, splits="all", n_draws=1)
        cells = evaluate(dataset, [score_file({"a": np.array(scores)})], config=asked).rows[0].cells
        assert cells["f_mean"].mean == 1


def test_tvsum_without_ratings_has_no_mode_1():
    """The masks in TVSum's h5 are renderings: they serve F and mode 4, never mode 1."""
    rated, masked = small(3, rated=True), small(3)
    videos = {
        key: replace(masked.videos[key], gtscore=video.gtscore)
        for key, video in rated.videos.items()
    }
    table = evaluate(replace(rated, videos=videos), config=QUICK)
    assert [c.key for c in table.columns][:2] == ["tau_mode2", "rho_mode2"]
    assert "tau_mode4" in table.rows[0].cells and "tau_mode3" not in table.rows[0].cells
    assert any("give them with --ratings" in note for note in table.notes)
    assert "tau_mode2" not in table.row("human leave-one-out").cells


def test_the_digest_is_of_the_scores():
    dataset = small(2)
    a, b = (score_file(truth_scores(dataset, noise)) for noise in (0.1, 0.2))
    assert a.digest == score_file(truth_scores(dataset, 0.1), "other").digest != b.digest
    assert a.digest[:12] in evaluate(dataset, [a], config=QUICK).facts["scores"]


def test_single_variants_override_the_bundle():
    dataset = small(2)
    config = replace(QUICK, protocol="dsnet", spread="hold_last_zero", capacity="real")
    facts = evaluate(dataset, config=config).facts["summary"]
    assert "spread = hold_last_zero, shot_score = int1000, capacity = real" in facts
    with pytest.raises(UsageError, match='capacity is "big"'):
        evaluate(dataset, config=replace(QUICK, capacity="big"))


def test_user_reduce_differs():
    """max and mean over users, by hand: a summary that is one user's own."""
    users = np.zeros((2, 100), np.uint8)
    users[0, :15], users[1, 50:65] = 1, 1
    shots = Shots(np.array([[0, 15], [15, 50], [50, 65], [65, 100]]))
    video = BenchmarkVideo("a", 100, np.arange(0, 100, 5), shots=shots, user_summary=users)
    scores = np.zeros(20)
    scores[:3] = 1
    table = evaluate(Dataset("own", Path("x.h5"), {"a": video}), [score_file({"a": scores})],
                     config=replace(QUICK, splits="all"))  # fmt: skip
    cells = table.row("mine").cells
    assert (cells["f_max"].mean, cells["f_mean"].mean) == (1.0, 0.5)


def test_videos_without_annotations_have_coverage_and_redundancy():
    """Two kinds of shots; scores that choose one of each cover the video, of one kind half of it."""
    shots = Shots(np.array([[0, 30], [30, 100], [100, 130], [130, 200], [200, 400]]))
    kinds = np.array([[1.0, 0], [1, 0], [0, 1], [0, 1], [0, 1]])
    picks = np.arange(0, 400, 10)
    features = np.repeat(kinds, [3, 7, 3, 7, 20], axis=0).astype(np.float32)
    video = BenchmarkVideo("a", 400, picks, shots=shots, features=features)
    dataset = Dataset("own", Path("x.h5"), {"a": video})
    both, one = np.zeros(40), np.zeros(40)
    both[[*range(3), *range(10, 13)]] = 1
    one[:3] = 1
    files = [score_file({"a": both}, "both"), score_file({"a": one}, "one")]
    table = evaluate(dataset, files, config=replace(QUICK, splits="all"))
    assert [c.key for c in table.columns] == ["coverage", "redundancy"]
    assert table.row("both").cells["coverage"].mean == pytest.approx(1)
    assert table.row("both").cells["redundancy"].mean == pytest.approx(0)
    assert table.row("one").cells["coverage"].mean == pytest.approx(100 / 400)
    assert "no labels" in benchmark.FORMS[".md"](table)


def test_many_knapsacks_equal_single_ones():
    for seed in range(100):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(1, 20))
        weights = rng.integers(1, 60, n) * int(rng.integers(1, 3))
        values = rng.integers(0, [6, 1000][seed % 2], (5, n)).astype(float)
        capacity = float(weights.sum() * rng.random() * 0.6)
        single = np.stack([knapsack(row, weights, capacity) for row in values])
        assert (knapsack_many(values, weights, capacity) == single).all()


# -- every form of the table -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table() -> benchmark.Table:
    dataset = small(rated=True)
    return evaluate(
        dataset, [score_file(truth_scores(dataset, 0.5))], config=QUICK, baselines=["ridge"]
    )


def test_no_figure_without_its_mode(table: benchmark.Table):
    """Each correlation and F stands under a name that holds its mode, in all forms."""
    for column in table.columns:
        assert "mode" in column.title or "user" in column.title
    console = Console(width=250, file=io.StringIO(), record=True)
    console.print(benchmark.as_terminal(table, 250))
    for text in (console.export_text(), *(form(table) for form in benchmark.FORMS.values())):
        assert "mode 1" in text and "each user" in text
        assert "tau," in text or "tau_mode1" in text
    assert {row.kind for row in table.rows} == {"yours", "baseline", "reference", "human"}


def test_json_and_csv_hold_every_figure(table: benchmark.Table):
    record = json.loads(benchmark.FORMS[".json"](table))
    lines = list(csv.DictReader(io.StringIO(benchmark.FORMS[".csv"](table))))
    assert len(lines) == sum(len(row["figures"]) for row in record["rows"])
    mine = record["rows"][0]["figures"]["tau_mode1"]
    assert mine["mean"] == pytest.approx(np.mean(list(mine["per_video"].values())), abs=0.05)
    assert len(mine["per_video"]) == 6 and mine["interval"][0] < mine["mean"]
    assert float(lines[0]["mean"]) == pytest.approx(record["rows"][0]["figures"][lines[0]["column"]]["mean"],
                                                    abs=1e-6)  # fmt: skip
    assert "each user" in next(line["mode"] for line in lines if line["column"] == "tau_mode1")


def test_html_stands_alone(table: benchmark.Table):
    page = benchmark.FORMS[".html"](replace(table, title="<script>alert(1)</script>"))
    assert "http" not in page.replace("http-equiv", "") and "<script>alert" not in page
    assert "prefers-color-scheme: dark" in page and "video_6" in page


def test_a_narrow_terminal_breaks_the_table_into_grids(table: benchmark.Table):
    console = Console(width=80, file=io.StringIO(), record=True)
    console.print(benchmark.as_terminal(table, 80))
    text = console.export_text()
    assert "…" not in text and text.count("human leave-one-out") == 3


def test_tables_are_not_overwritten(table: benchmark.Table, tmp_path: Path):
    path = tmp_path / "t.md"
    benchmark.write_table(table, path)
    with pytest.raises(UsageError, match=r"t\.md exists already\. Try --force"):
        benchmark.write_table(table, path)
    benchmark.write_table(table, path, force=True)
    with pytest.raises(UsageError, match=r'cannot write a table to "t\.xls"\. Allowed: \.md'):
        benchmark.write_table(table, tmp_path / "t.xls")
    assert [p.name for p in tmp_path.iterdir()] == ["t.md"]


def test_the_same_command_gives_the_same_digits(table: benchmark.Table):
    dataset = small(rated=True)
    again = evaluate(
        dataset, [score_file(truth_scores(dataset, 0.5))], config=QUICK, baselines=["ridge"]
    )
    assert benchmark.FORMS[".json"](again) == benchmark.FORMS[".json"](table)


# -- models and the command line ---------------------------------------------------------------------


def test_predict_once_score_often(data: Path, tmp_path: Path):
    dataset = load_dataset(data / "summe", features="dino_vitb16")
    dataset = dataset.only(["video_13", "video_19"])
    path = tmp_path / "said.h5"
    file = benchmark.predict(dataset, path)
    assert file.name == "training-free" and file.attributes["features"] == "dino_vitb16"
    config = replace(QUICK, splits="all")
    first = evaluate(dataset, [benchmark.read_scores(path)], config=config).row("said")
    assert first == evaluate(dataset, [benchmark.read_scores(path)], config=config).row("said")
    with pytest.raises(VideographError, match="video_1 has no features"):
        benchmark.predict(load_dataset(data / "summe").only(["video_1"]), path)


def test_a_checkpoint_for_each_split(tmp_path: Path):
    """Trained models of two splits: each scores its own test videos, features of others are refused."""
    from videograph.checkpoint import Origin
    from videograph.config import ModelConfig
    from videograph.model import VideoGraph

    dataset = small(4)
    for i in range(4):
        model = VideoGraph(ModelConfig(feature_dim=5, width=8))
        model.origin = Origin(encoder="truth", videos=("video_1",))
        model.save_pretrained(tmp_path / f"split_{i}")
    config = QUICK
    file = benchmark.predict(
        dataset, tmp_path / "p.h5", model=f"{tmp_path}/split_{{split}}", config=config
    )
    table = evaluate(dataset, [file], config=config)
    assert len(table.row("p").cells["tau_mode1"].per_video) == 4
    assert any("learned from 1 of the videos" in text for text in table.warnings)
    with pytest.raises(UsageError, match='features are of encoder "other"'):
        benchmark.predict(
            replace(dataset, features="other"), tmp_path / "p.h5", model=str(tmp_path / "split_0")
        )


def test_a_model_with_language_hears_the_words(tmp_path: Path):
    """Scores follow the words of the data set; the control of other videos' words hears those."""
    import torch

    from videograph.config import ModelConfig
    from videograph.model import VideoGraph

    mute = small(2)
    rng = np.random.default_rng(0)
    told = {
        key: replace(video, word_features=rng.normal(size=(3, 4)).astype(np.float32))
        for key, video in mute.videos.items()
    }
    words = [video.word_features for video in told.values()]
    crossed = {
        key: replace(video, word_features=other)
        for (key, video), other in zip(told.items(), words[::-1], strict=True)
    }

    def said(language: str, dataset: Dataset) -> np.ndarray:
        torch.manual_seed(0)
        config = ModelConfig(feature_dim=5, word_dim=4, width=8, language=language)
        VideoGraph(config).save_pretrained(tmp_path / language)
        file = benchmark.predict(dataset, tmp_path / "p.h5", model=str(tmp_path / language))
        return np.concatenate([file.scores[-1, -1][key] for key in dataset.videos])

    talking, swapped = replace(mute, videos=told), replace(mute, videos=crossed)
    assert np.abs(said("both", talking) - said("both", mute)).max() > 1e-4
    assert said("none", talking) == pytest.approx(said("none", mute))
    heard_none = "learned with words and heard none"
    for language, warned in (("both", True), ("none", False)):
        said(language, mute)
        table = benchmark.evaluate(mute, [benchmark.read_scores(tmp_path / "p.h5")], config=QUICK)
        assert any(heard_none in warning for warning in table.warnings) is warned
    assert said("shuffled", talking) == pytest.approx(said("both", swapped))
    wide = {k: replace(v, word_features=np.ones((3, 7), np.float32)) for k, v in told.items()}
    with pytest.raises(UsageError, match=r"words have 7 numbers\. Allowed: 4"):
        said("both", replace(mute, videos=wide))


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    return int(stop.value.code or 0)


def test_words_on_the_command_line_reach_a_trained_model(
    data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    import h5py
    import torch

    from videograph.config import ModelConfig
    from videograph.model import VideoGraph

    torch.manual_seed(0)
    config = ModelConfig(feature_dim=1280, word_dim=4, width=8, n_recursions=0, topic_rank=3)
    VideoGraph(config).save_pretrained(tmp_path / "model")
    words, rng = tmp_path / "words.h5", np.random.default_rng(0)
    with h5py.File(words, "w") as file:
        for key in load_dataset(data / "tvsum").videos:
            file[f"{key}/word_features"] = rng.normal(size=(3, 4)).astype(np.float32)
    common = ["evaluate", "--dataset", data / "tvsum", "--features", "mobilenetv2", "--draws", 1]
    asked = [*common, "--model", tmp_path / "model", "--predictions"]
    assert run(*asked, tmp_path / "mute.h5") == 0
    assert "heard none" in capfd.readouterr().out
    assert run(*asked, tmp_path / "told.h5", "--words", words) == 0
    assert "heard none" not in capfd.readouterr().out
    a, b = (
        benchmark.read_scores(tmp_path / f"{name}.h5").scores[-1, -1] for name in ("mute", "told")
    )
    assert all(np.abs(a[key] - b[key]).max() > 1e-4 for key in a)
    assert run(*asked, tmp_path / "no.h5", "--words", "lexical") == 2
    told = capfd.readouterr()
    assert (
        told.out == "" and '"lexical" is no file' in told.err and not (tmp_path / "no.h5").exists()
    )


def test_command_line(data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    dataset = load_dataset(data / "summe")
    rng = np.random.default_rng(0)
    files = [tmp_path / "a.npz", tmp_path / "b.npz"]
    for file in files:
        np.savez(file, **{k: rng.random(v.n_steps) for k, v in dataset.videos.items()})
    page = tmp_path / "page.html"
    common = ["evaluate", "--dataset", data / "summe", "--draws", 1]
    assert run(*common, "--compare", *files, "-o", page) == 0
    said = capfd.readouterr().out
    assert "A - B" in said and "not told apart" in said and page.is_file()
    short = tmp_path / "short.csv"
    short.write_text("video,step,score\nvideo_1,0\n", encoding="utf-8")
    for arguments, code, message in [
        ([*common, "-o", page], 2, "exists already"),
        ([*common, "--baseline", "ridge", "--compare", page, page], 2, "--compare stands alone"),
        ([*common, "--seed", -1], 2, "seed is -1"),
        ([*common, "--scores", short], 1, "line 2"),
        (["evaluate", "--dataset", data / "README.md"], 2, "none of the forms"),
    ]:
        assert run(*arguments) == code
        told = capfd.readouterr()
        assert told.out == "" and message in told.err and "Traceback" not in told.err
