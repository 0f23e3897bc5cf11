"""Data sets of your own: from videos and labels to an h5, a model and a summary; and what is refused."""

from __future__ import annotations

import csv
import json
from fractions import Fraction
from pathlib import Path

import h5py
import numpy as np
import pytest

from videograph.build import Built, build, check, label_arrays
from videograph.cli import main
from videograph.config import SummarizeConfig
from videograph.datasets import load_dataset
from videograph.encoders import load_encoder
from videograph.errors import UsageError, VideographError
from videograph.labels import RATINGS, SHARES, Opinions, read_labels
from videograph.records import Clock, Shots
from videograph.sample import draw_sample

SEEN_BY = load_encoder(SummarizeConfig.encoder)
HEADER = "video,start_seconds,end_seconds,score,user"


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for seed, name in enumerate(("cats", "dogs")):
        draw_sample(folder / f"{name}.mp4", seed=seed, n_scenes=2, seconds=4)
    return folder


@pytest.fixture(scope="module")
def built(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("built")
    labels = write_csv(
        folder / "labels.csv",
        ["cats,0,2,5,ann", "cats,2,4,2,ann", "cats,1,3,4,bob", "dogs.mp4,0.5,2,3,ann"],
    )
    return build(videos, folder / "own.h5", labels=labels)


def write_csv(path: Path, rows: list[str], header: str = HEADER) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def clock(n_frames: int, rate: int = 10) -> Clock:
    return Clock(np.arange(n_frames, dtype=np.int64), n_frames, Fraction(1, rate))


# -- build -------------------------------------------------------------------------------------------


def test_built_file_is_read_like_any_other(built: Built) -> None:
    dataset = load_dataset(built.path)
    assert (built.n_videos, built.n_labelled, built.notes) == (2, 2, ())
    assert dataset.features == SEEN_BY.name and dataset.preprocessing.startswith("2 steps a second")
    video = dataset.videos["video_1"]
    assert (video.name, video.n_frames, video.fps) == ("cats", 100, 25.0)
    assert video.features is not None and video.features.dtype == np.float32
    assert video.objects is not None and video.objects.class_names[2] == "salient"
    assert video.shots is not None and video.shots.n_frames == 100
    assert video.user_anno is not None and video.user_anno.shape == (2, 100)
    assert video.user_anno[:, [0, 30, 60, 99]].tolist() == [[5, 5, 2, 2], [1, 4, 4, 1]]
    assert video.gtscore is not None
    np.testing.assert_allclose(video.gtscore, (video.user_anno[:, video.picks].mean(0) - 1) / 4)
    assert check(built.path).wrong == ()


def test_features_are_those_of_summarize(built: Built, videos: Path) -> None:
    from videograph.features import extract

    seen = extract(videos / "cats.mp4", SEEN_BY).features
    stored = load_dataset(built.path).videos["video_1"]
    assert stored.features is not None and stored.objects is not None
    np.testing.assert_array_equal(stored.features, seen.features)
    np.testing.assert_array_equal(stored.objects.features, np.asarray(seen.object_features))
    np.testing.assert_array_equal(stored.picks, seen.picks)


def test_train_and_summarize_your_own(
    built: Built, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: str) -> int:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        return int(ended.value.code or 0)

    config = Path(__file__).parent.parent / "configs" / "own.toml"
    settings = [str(config), f"dataset={built.path}", "epochs=2", "model.width=8"]
    assert run("train", *settings, "--runs", str(tmp_path), "--name", "mine") == 0
    model = str(tmp_path / "mine" / "model")
    common = ["--budget", "50%", "--export", "json", "-o", str(tmp_path / "out")]
    assert run("summarize", str(videos / "dogs.mp4"), "--model", model, *common) == 0
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["form"] == "mine"

    config = tmp_path / "mine" / "model" / "config.json"
    config.write_text(config.read_text().replace(f'"{SEEN_BY.name}"', '"clip-9"'))
    capsys.readouterr()
    assert (
        run("summarize", str(videos / "dogs.mp4"), "--model", model, "-o", str(tmp_path / "b")) == 2
    )
    assert capsys.readouterr().err.startswith(
        f'the features are of encoder "{SEEN_BY.name}". Allowed: "clip-9"'
    )
    assert not (tmp_path / "b").exists()


def test_commands_build_and_check(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = write_csv(tmp_path / "labels.csv", ["cats,0,1,1"], HEADER.removesuffix(",user"))
    output = str(tmp_path / "own.h5")
    with pytest.raises(SystemExit) as ended:
        main(["dataset", "build", "--videos", str(videos), "--labels", str(labels), "-o", output])
    said = capsys.readouterr()
    assert ended.value.code == 0 and said.out == f"{output}: 2 videos, 1 with labels\n"
    assert "dogs.mp4 has no labels" in said.err
    with h5py.File(output, "a") as file:
        file["video_1/gtscore"][0] = 3
    with pytest.raises(SystemExit) as ended:
        main(["dataset", "check", output])
    assert ended.value.code == 1
    told = capsys.readouterr().out
    assert "PROBLEM  own.h5, video_1: gtscore runs from 0 to 3; 0 to 1 is allowed." in told
    assert "note  own.h5: 1 videos have no labels (video_2)." in told


def test_official_annotations_fit_by_key_and_are_stretched(videos: Path, tmp_path: Path) -> None:
    labels = tmp_path / "official.h5"
    with h5py.File(labels, "w") as file:
        group = file.create_group("video_7")
        group["user_summary"] = np.repeat([[0, 1], [0, 0]], 600, axis=1).astype(np.uint8)
        group["video_name"], group["n_frames"] = "dogs", 1200
    built = build(videos, tmp_path / "own.h5", labels=labels)
    video = load_dataset(built.path).videos["video_7"]
    assert video.name == "dogs" and video.user_summary is not None
    assert video.user_summary.sum(1).tolist() == [50, 0] and video.user_summary[0, 50] == 1
    assert built.n_labelled == 1 and "cats.mp4 has no labels" in built.notes[0]


def test_what_cannot_be_read_is_left_out(videos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "some"
    folder.mkdir()
    (folder / "good.mp4").write_bytes((videos / "cats.mp4").read_bytes())
    (folder / "bad.mp4").write_bytes(b"no video")
    built = build(folder, tmp_path / "own.h5")
    assert built.n_videos == 1 and built.notes[0].startswith("bad.mp4 was left out: ")
    (folder / "good.mp4").unlink()
    with pytest.raises(VideographError, match="none of the videos can be read"):
        build(folder, tmp_path / "two.h5")
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["own.h5"]


def test_nothing_is_overwritten(built: Built, videos: Path) -> None:
    with pytest.raises(UsageError, match=r"is there already\. Allowed: --force"):
        build(videos, built.path)


def test_no_videos_fails(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder of videos at"):
        build(tmp_path / "none", tmp_path / "own.h5")
    with pytest.raises(UsageError, match=r"holds no videos\. Allowed: files that end in"):
        build(tmp_path, tmp_path / "own.h5")


# -- labels ------------------------------------------------------------------------------------------


def test_gaps_have_the_lowest_score(tmp_path: Path) -> None:
    shares = read_labels(write_csv(tmp_path / "a.csv", ["x,1,2,0.5,"]))
    ratings = read_labels(write_csv(tmp_path / "b.csv", ["x,1,2,3,"]))
    assert (shares.scale, ratings.scale) == (SHARES, RATINGS)
    for labels, row in ((shares, [0] * 10 + [0.5] * 10), (ratings, [1] * 10 + [3] * 10)):
        assert labels.opinions["x"].at(clock(20), labels.lowest).tolist() == [row]


def test_a_frame_more_is_no_other_copy() -> None:
    frames = np.arange(10)[None]
    seen = Opinions(frames=frames)
    assert seen.at(clock(11), 0)[0].tolist() == [*range(10), 9]
    assert seen.at(clock(5), 0)[0].tolist() == [1, 3, 5, 7, 9]


def test_label_arrays_are_the_fields() -> None:
    shots = Shots(np.array([[0, 10], [10, 20], [20, 100]]))
    picks = np.arange(0, 100, 5)
    ratings = np.ones((2, 100), np.float32)
    ratings[:, 10:20] = 5
    arrays = label_arrays(ratings, RATINGS, picks, shots)
    assert arrays["gtscore"][2:4].tolist() == [1, 1] and arrays["gtscore"].sum() == 2
    assert np.flatnonzero(arrays["gtsummary"]).tolist() == [2, 3]
    assert np.flatnonzero(arrays["user_summary"][1]).tolist() == list(range(10, 20))
    kept = label_arrays((ratings == 5).astype(np.float32), SHARES, picks, shots)
    assert "user_anno" not in kept and kept["user_summary"].sum() == 20
    doubtful = label_arrays(ratings / 5, SHARES, picks, shots)
    assert doubtful["user_summary"].sum() == 20  # the 15 % summary of each user's shares


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["cats,0,x,1,"], r'line 2: end_seconds is "x"\. Allowed: a number'),
        (["cats,3,2,1,"], r"line 2: the span runs from 3 to 2 s"),
        (["cats,0,2,1,a", "cats,1,3,1,a"], r"lines 2 and 3: spans of one user overlap"),
        (["cats,0,2,0,a", "cats,2,3,7,a"], r"scores run from 0 to 7\. Allowed: 0 to 1"),
        (["cats,0,2,2.5,a"], r"scores run from 2\.5 to 2\.5"),
        (["cat,0,2,1,a"], r'names a video "cat", which is not there\. Nearest: cats'),
        ([], r"lacks video, start_seconds, end_seconds, score"),
    ],
)
def test_other_labels_fail(videos: Path, tmp_path: Path, rows: list[str], message: str) -> None:
    labels = write_csv(tmp_path / "labels.csv", rows)
    with pytest.raises(VideographError, match=message):
        build(videos, tmp_path / "own.h5", labels=labels)
    assert not (tmp_path / "own.h5").exists()


def test_annotations_of_other_videos_fail(videos: Path, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "official.h5", "w") as file:
        file["video_1/user_summary"] = np.ones((1, 50), np.uint8)
        file["video_1/n_frames"], file["video_1/n_steps"] = 50, 4
    with pytest.raises(VideographError, match="has labels of none of the 2 videos"):
        build(videos, tmp_path / "own.h5", labels=tmp_path / "official.h5")


def test_ratings_of_tvsum_are_read(data: Path) -> None:
    labels = read_labels(data / "tvsum" / "tvsum.h5")
    assert labels.scale == RATINGS and len(labels.opinions) == 40


# -- check -------------------------------------------------------------------------------------------


def test_check_tells_each_fault(built: Built, tmp_path: Path) -> None:
    broken = tmp_path / "broken.h5"
    broken.write_bytes(built.path.read_bytes())
    with h5py.File(broken, "a") as file:
        file["video_1/change_points"][0, 1] += 2
        del file["video_2/features"]
        file["video_2/features"] = np.full((8, 3), np.nan, np.float32)
        file.copy("video_1", "video_3")
        del file["video_3/picks"], file["video_3/change_points"]
        file["video_3/picks"] = np.arange(8)[::-1]
        del file.attrs["encoder"]
    found = check(broken)
    assert found.n_videos == 3 and len(found.wrong) == 3
    assert found.wrong[0].startswith("broken.h5, video_1: change_points")
    assert found.wrong[1].startswith("broken.h5, video_2: features hold 24 NaN")
    assert found.wrong[2].startswith("broken.h5, video_3: picks do not increase")
    assert any("no attribute encoder" in note for note in found.notes)


def test_check_compares_videos(built: Built, tmp_path: Path) -> None:
    other = tmp_path / "other.h5"
    other.write_bytes(built.path.read_bytes())
    with h5py.File(other, "a") as file:
        del file["video_2/features"], file["video_1/user_anno"], file["video_1/gtscore"]
        file["video_2/features"] = np.ones((8, 3), np.float32)
        file["video_1/gtscore"] = np.ones(8, np.float32)
    found = check(other)
    assert found.wrong == (
        f"other.h5: features have 3 and {SEEN_BY.dim} numbers in different videos; one encoder gives "
        "one size.",
    )
    assert any("gtscore is the same at every step of video_1" in note for note in found.notes)


def test_check_needs_a_file(tmp_path: Path) -> None:
    (tmp_path / "page.h5").write_text("<html>")
    for name, message in (("none.h5", "is not there"), ("page.h5", "not a readable HDF5 file")):
        with pytest.raises(VideographError, match=message):
            check(tmp_path / name)
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass
    assert check(tmp_path / "empty.h5").wrong == (
        "empty.h5 holds no groups: a group per video is needed.",
    )


def test_the_documented_columns_are_the_ones_read(tmp_path: Path) -> None:
    with write_csv(tmp_path / "a.csv", ["x,0,1,1,u"]).open() as file:
        assert csv.DictReader(file).fieldnames == HEADER.split(",")
