"""Videos as an h5 of features: kept whole, refused in a sentence, and enough to summarize without them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from test_cache import same

from videograph import summarize
from videograph.build import check
from videograph.cli import main
from videograph.datasets import load_dataset
from videograph.encoders import load_encoder
from videograph.errors import UsageError, VideographError
from videograph.examples import examples_of, model_config
from videograph.exporters import available_exporters, export_all
from videograph.features import Extraction, extract
from videograph.packed import relocated
from videograph.records import Summary, TimedText, VideoFeatures
from videograph.shots import find_shots
from videograph.stored import (
    Stored,
    open_source,
    read_extraction,
    stored_names,
    write_extraction,
    write_extractions,
)

TEXTS = (
    TimedText("the dog, it jumps: \N{DOG}", "title"),
    TimedText("over there", "subtitles", Fraction(1, 3), Fraction(7, 5)),
    TimedText("no cats", "query", wanted=False),
)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEOGRAPH_CACHE", str(tmp_path_factory.getbasetemp() / "stored-cache"))


@pytest.fixture(scope="module")
def video(data: Path) -> Path:
    return data / "videos" / "carphone_176x144.mp4"


@pytest.fixture(scope="module")
def seen(video: Path) -> Extraction:
    return extract(video, load_encoder("builtin"))


@pytest.fixture(scope="module")
def stored(seen: Extraction) -> Stored:
    """With objects as of a detector, texts and features of words."""
    features, rng = seen.features, np.random.default_rng(0)
    assert features.object_mask is not None
    assert features.object_features is not None
    named = replace(
        features,
        object_features=features.object_features.astype(np.float16),
        object_names=("none", "cat", "dog", "a car"),
        object_scores=rng.random(features.object_mask.shape, np.float32) * features.object_mask,
        object_kinds=np.where(features.object_mask, 2, 0).astype(np.int8),
    )
    return Stored(
        replace(seen, features=named),
        speed="balanced",
        steps_per_second=Fraction(2),
        shots=find_shots(features),
        texts=TEXTS,
        word_features=rng.random((3, 5), np.float32),
        word_mask=rng.random((features.n_steps, 3)) < 0.5,
        text_encoder="random-1",
    )


@pytest.fixture
def h5(stored: Stored, tmp_path: Path) -> Path:
    path = tmp_path / "one.h5"
    write_extraction(path, stored)
    return path


# -- whole and back ----------------------------------------------------------------------------------


def test_all_of_it_comes_back(stored: Stored, h5: Path, video: Path) -> None:
    back = read_extraction(h5)
    assert same(back.extraction, stored.extraction)
    assert back.texts == TEXTS
    assert back.shots is not None
    assert stored.shots is not None
    assert np.array_equal(back.shots.bounds, stored.shots.bounds)
    for name in ("word_features", "word_mask"):
        assert np.array_equal(getattr(back, name), getattr(stored, name))
    for name in ("speed", "steps_per_second", "text_encoder"):
        assert getattr(back, name) == getattr(stored, name)
    assert back.key == "video_1"
    assert back.size == video.stat().st_size
    assert back.has_video


def test_a_bare_video_comes_back_and_its_shots_are_found(seen: Extraction, tmp_path: Path) -> None:
    bare = replace(
        seen.features,
        object_features=None, object_mask=None, object_boxes=None, object_kinds=None,
        contrast=None, cut_frames=None,
    )  # fmt: skip
    video = Stored(Extraction(seen.info, seen.report, bare, {}), "fast", Fraction(1, 3))
    write_extraction(tmp_path / "bare.hdf5", video)
    back = read_extraction(tmp_path / "bare.hdf5")
    assert same(back.extraction, video.extraction)
    assert back.steps_per_second == Fraction(1, 3)
    assert back.shots is not None
    assert np.array_equal(back.shots.bounds, find_shots(bare).bounds)
    assert back.word_features is None


def test_the_same_video_makes_the_same_file(stored: Stored, tmp_path: Path) -> None:
    for name in ("a.h5", "b.h5"):
        write_extraction(tmp_path / name, stored)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_it_is_a_data_set_in_the_fields_layout(stored: Stored, h5: Path) -> None:
    found = check(h5)
    assert (found.n_videos, found.wrong) == (1, ())
    dataset = load_dataset(h5)
    (video,) = dataset.videos.values()
    features = stored.extraction.features
    assert dataset.features == "builtin-1"
    assert dataset.text_encoder == "random-1"
    assert np.array_equal(video.features, features.features)
    assert np.array_equal(video.picks, features.picks)
    assert video.n_frames == features.n_frames
    assert video.name == "carphone_176x144"
    assert video.shots is not None
    assert stored.shots is not None
    assert np.array_equal(video.shots.bounds, stored.shots.bounds)
    assert np.array_equal(video.word_features, stored.word_features)
    assert video.objects is not None
    assert video.objects.class_names == ("none", "cat", "dog", "a car")
    assert np.array_equal(video.objects.classes, np.where(features.object_mask, 2, -1))
    with h5py.File(h5) as file:
        change_points = file["video_1/change_points"][:]
        assert (change_points[0, 0], change_points[-1, 1]) == (0, features.n_frames - 1)
        assert (np.diff(change_points).ravel() + 1 == file["video_1/n_frame_per_seg"][:]).all()


def test_training_reads_it(stored: Stored, h5: Path) -> None:
    (example,) = examples_of(load_dataset(h5))
    features = stored.extraction.features
    assert features.object_features is not None
    sizes = model_config([example], {})
    assert sizes.feature_dim == features.features.shape[1]
    assert sizes.object_dim == features.object_features.shape[2]
    assert sizes.word_dim == 5
    assert example.n_steps == features.n_steps
    assert not example.has_labels


# -- refused -----------------------------------------------------------------------------------------


def change(path: Path, edit: Callable[[Any], object]) -> None:
    with h5py.File(path, "r+") as file:
        edit(file["video_1"])


def put(name: str, value: Callable[[Any], Any]) -> Callable[[Any], None]:
    """Replace a dataset by what `value` makes of it."""

    def edit(group: Any) -> None:
        new = value(group[name][()])
        del group[name]
        group[name] = new

    return edit


def put_json(name: str, value: Callable[[Any], object]) -> Callable[[Any], None]:
    """Replace a value of JSON, checksum and all, as another version of the program might."""

    def edit(group: Any) -> None:
        from videograph.stored import _digest

        told = json.loads(group[name].asstr()[()])
        value(told)
        del group[name]
        group[name] = json.dumps(told)
        group[name].attrs["blake2b"] = _digest(json.dumps(told))

    return edit


def set_first(value: Any) -> Callable[[np.ndarray], np.ndarray]:
    def change_first(array: np.ndarray) -> np.ndarray:
        array.flat[0] = value
        return array

    return change_first


REFUSALS: dict[str, tuple[Callable[[Any], object], str]] = {
    **{f"no {name}": (lambda g, name=name: g.__delitem__(name), f"{name} is missing") for name in
       ("features", "picks", "seconds", "pts", "thumbnails", "thumbnail_steps", "thumbnail_ends",
        "record", "source", "texts", "object_boxes")},
    "no shots": (lambda g: g.__delitem__("change_points"), "change_points are missing"),
    "flat features": (put("features", lambda a: a.ravel()), r"\(n_steps, dim\) is needed"),
    "whole features": (put("features", lambda a: a.astype(int)), "features holds int64; float32 is"),
    "NaN": (put("features", set_first(np.nan)), "features holds NaN or infinite values"),
    "short features": (put("features", lambda a: a[1:]), "picks has shape"),
    "picks that fall": (put("picks", lambda a: a[::-1]), "picks do not increase"),
    "picks beyond": (put("picks", lambda a: a + 9999), "picks lie outside the video"),
    "other times": (put("seconds", lambda a: a + 1), "seconds are not the times of the picks"),
    "fewer frames": (put("pts", lambda a: a[:-1]), "but pts has"),
    "pts that stand": (put("pts", lambda a: a * 0), "pts do not increase"),
    "narrow boxes": (put("object_boxes", lambda a: a[..., :3]), "object_boxes has shape"),
    "unknown class": (put("object_classes", lambda a: a * 0 + 9), "object_kinds run past the 4"),
    "cuts beyond": (put("cut_frames", lambda a: a + 9999), "cut_frames lie outside the video"),
    "shots beyond": (put("change_points", lambda a: a + np.array([0, 1])), "change_points end at frame"),
    "shots apart": (put("change_points", set_first(3)), "shots do not start at frame 0"),
    "no pictures": (put("thumbnails", set_first(0)), "thumbnails are no JPEGs"),
    "fewer pictures": (put("thumbnails", lambda a: a[:-1]), "thumbnail_ends do not divide"),
    "steps beyond": (put("thumbnail_steps", lambda a: a + 99), "thumbnail_steps are not rising"),
    "word mask": (put("word_mask", lambda a: a.T), "word_mask is not of type bool and shape"),
    "word features": (put("word_features", set_first(np.inf)), "word_features are not finite"),
    "changed record": (put("record", lambda a: a[:-1]), r"record is damaged \(its checksum"),
    "later format": (put_json("record", lambda r: r.update(format=7)), "record is of format 7"),
    "no info": (put_json("record", lambda r: r.pop("info")), "record does not tell where"),
    "no width": (put_json("record", lambda r: r["info"].pop("width")), "info.width is missing"),
    "wide": (put_json("record", lambda r: r["info"].update(width="a")), "info.width is 'a'; int is"),
    "no tick": (put_json("record", lambda r: r["clock"].update(time_base="1/0")), "clock.time_base"),
    "a source": (put_json("texts", lambda t: t[0].update(source="hearsay")), 'is named "hearsay"'),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_what_is_missing_or_malformed_is_named(case: str, h5: Path) -> None:
    edit, sentence = REFUSALS[case]
    change(h5, edit)
    with pytest.raises(VideographError, match=sentence) as told:
        read_extraction(h5)
    assert "one.h5, video_1 cannot be used: " in str(told.value)
    assert "\n" not in str(told.value)


def test_foreign_files_fail(data: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.h5").write_bytes(b"")
    with h5py.File(tmp_path / "hollow.h5", "w"):
        pass
    for path, sentence in (
        (data / "tvsum" / "tvsum.h5", "video_1 cannot be used: record is missing. Try: videograph"),
        (data / "bad" / "text.mp4", "is not a readable HDF5 file"),
        (tmp_path / "empty.h5", "is not a readable HDF5 file"),
        (tmp_path / "hollow.h5", "it holds no groups"),
        (tmp_path / "none.h5", "is not there"),
    ):
        with pytest.raises(VideographError, match=sentence):
            read_extraction(path)


def test_damage_anywhere_is_one_sentence_or_does_no_harm(h5: Path, stored: Stored) -> None:
    whole, rng = h5.read_bytes(), np.random.default_rng(0)
    refused = 0
    for round_ in range(40):
        if round_ % 3 == 0:
            damaged = whole[: int(rng.integers(len(whole)))]
        else:
            changed = np.frombuffer(whole, np.uint8).copy()
            at = rng.integers(
                len(whole) if round_ % 3 == 1 else 20_000, size=int(rng.integers(1, 30))
            )
            changed[at] ^= rng.integers(1, 256, size=len(at)).astype(np.uint8)
            damaged = changed.tobytes()
        h5.write_bytes(damaged)
        try:
            assert same(read_extraction(h5).extraction, stored.extraction)
        except VideographError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 20


def test_places_fail_before_any_work(h5: Path, stored: Stored, tmp_path: Path) -> None:
    def never() -> Any:
        raise AssertionError("work was done")
        yield

    before = h5.read_bytes()
    for path, sentence in (
        (h5, "exists already. Try --force"),
        (tmp_path / "film.mp4", 'Allowed: a name that ends in ".h5"'),
        (tmp_path / "none" / "f.h5", "there is no folder"),
    ):
        with pytest.raises(UsageError, match=sentence):
            write_extractions(path, never())
    (tmp_path / "folder.h5").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        write_extraction(tmp_path / "folder.h5", stored, force=True)
    assert h5.read_bytes() == before


def test_a_write_that_fails_leaves_what_was_there(h5: Path, stored: Stored, tmp_path: Path) -> None:
    def fails() -> Any:
        yield stored
        raise VideographError("the second one broke")

    before = h5.read_bytes()
    with pytest.raises(VideographError, match="the second one broke"):
        write_extractions(h5, fails(), force=True)
    with pytest.raises(VideographError, match="there is no video to write"):
        write_extractions(h5, [], force=True)
    assert h5.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["one.h5"]
    write_extraction(h5, replace(stored, texts=()), force=True)
    assert read_extraction(h5).texts == ()


def test_videos_of_two_encoders_fail(stored: Stored, tmp_path: Path) -> None:
    other: VideoFeatures = replace(stored.extraction.features, encoder="other-2")
    second = replace(stored, extraction=replace(stored.extraction, features=other))
    with pytest.raises(VideographError, match="need one encoder; got builtin-1 and other-2"):
        write_extractions(tmp_path / "two.h5", [stored, second])
    assert list(tmp_path.iterdir()) == []


# -- in place of a video -----------------------------------------------------------------------------


@pytest.fixture
def moving(stored: Stored, video: Path, tmp_path: Path) -> tuple[Path, Path]:
    """An h5 and its video, which may be moved."""
    film = tmp_path / "films" / "film.mp4"
    film.parent.mkdir()
    shutil.copy(video, film)
    path = tmp_path / "film.h5"
    write_extraction(path, replace(stored, extraction=relocated(stored.extraction, film)))
    return path, film


def test_the_video_is_found_where_it_was_where_it_is_told_and_beside(
    moving: tuple[Path, Path], tmp_path: Path
) -> None:
    path, film = moving
    assert open_source(path).extraction.info.path == film
    assert open_source(path, "film").extraction.info.path == film
    copy = shutil.copyfile(film, tmp_path / "copy.mp4")  # younger: told by its content
    assert open_source(path, copy).extraction.info.path == copy
    other = film.rename(tmp_path / "renamed.mp4")
    assert open_source(path, other).extraction.info.path == other
    gone = open_source(path)
    assert gone.extraction.info.path == film
    assert not gone.has_video
    beside = other.rename(tmp_path / "film.mp4")
    assert open_source(path).extraction.info.path == beside
    assert open_source(path).has_video


@pytest.mark.parametrize("more", [b"x", b""])
def test_another_video_in_its_place_fails(moving: tuple[Path, Path], more: bytes) -> None:
    path, film = moving
    raw = film.read_bytes()
    film.write_bytes(raw[:-1] + (b"\0" if raw[-1] else b"\1") + more)
    with pytest.raises(VideographError, match=r"is not the video that film\.h5 was made from"):
        open_source(path)


def test_one_of_several_is_named(stored: Stored, data: Path, tmp_path: Path) -> None:
    other = data / "videos" / "bikes_6shots.mp4"
    path = tmp_path / "two.h5"
    second = replace(stored, extraction=relocated(stored.extraction, other), content="x", size=1)
    write_extractions(path, [stored, second])
    assert stored_names(path) == {"video_1": "carphone_176x144.mp4", "video_2": "bikes_6shots.mp4"}
    for name in (
        "video_1",
        "carphone_176x144",
        "carphone_176x144.mp4",
        stored.extraction.info.path,
    ):
        assert open_source(path, name).key == "video_1"
    for name, sentence in (
        (None, "holds 2 videos. Name one of: video_1 .carphone_176x144.mp4., video_2"),
        ("film", 'holds no video named "film". Name one of: video_1'),
    ):
        with pytest.raises(UsageError, match=sentence):
            open_source(path, name)
    with pytest.raises(UsageError, match=r'holds no video "video_3"\. Available: video_1'):
        read_extraction(path, "video_3")


@pytest.fixture(scope="module")
def gone(video: Path) -> Summary:
    """A summary as of stored features whose video is nowhere."""
    summary = summarize(video, budget="40%")
    nowhere = replace(summary.info, path=Path("/nowhere/carphone.mp4"))
    return replace(summary, info=nowhere, keyframe_images=())


def test_without_the_video_all_forms_but_pictures_are_written(
    gone: Summary, tmp_path: Path
) -> None:
    paths, notes = export_all(gone, tmp_path)
    assert set(paths) == set(available_exporters()) - {"mp4", "keyframes"}
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(p.name for p in paths.values())
    assert sum("carphone.mp4 is not at /nowhere any more" in note for note in notes) == 2
    assert any(note.startswith("No skim was written") for note in notes)
    assert any(note.startswith("No key frames were written") for note in notes)
    page = paths["html"].read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64") >= len(gone.chosen)


def test_forms_asked_for_by_name_fail_without_the_video(gone: Summary, tmp_path: Path) -> None:
    with pytest.raises(VideographError, match="there is no file"):
        export_all(gone, tmp_path, names=["mp4", "json"])
    assert [p.name for p in tmp_path.iterdir()] == ["summary.json"]


# -- the command -------------------------------------------------------------------------------------


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    return int(stop.value.code or 0)


def test_the_command_writes_what_can_be_read_and_names_the_rest(
    data: Path, video: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    named = data / "videos" / "mdn_rabbit_320x240.mp4"  # has subtitles beside it
    bad, path = data / "bad" / "text.mp4", tmp_path / "all.h5"
    words = ("--text-encoder", "lexical")
    assert run("features", video, bad, named, "-o", path, *words) == 1
    shown = capfd.readouterr()
    assert "all.h5: 2 videos" in shown.out
    assert "embedded-2-" in shown.out
    assert "text.mp4 is not a video" in shown.err
    assert len(shown.err.strip().splitlines()) == 1
    heard = read_extraction(path, "video_2")
    assert [text.source for text in heard.texts] == ["subtitles"] * len(heard.texts)
    assert heard.word_features is not None
    assert heard.text_encoder.startswith("lexical")
    assert same(
        read_extraction(path, "video_1").extraction, extract(video, load_encoder("embedded"))
    )
    assert run("features", video, "-o", path) == 2
    assert "exists already" in capfd.readouterr().err
    assert run("features", video, "-o", path, "--force", "--speed", "fast", "--no-cache") == 0
    assert read_extraction(path).speed == "fast"


def test_summarize_from_an_h5_says_what_the_video_says(
    video: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    film, path = tmp_path / "film.mp4", tmp_path / "film.h5"
    shutil.copyfile(video, film)
    assert run("features", film, "-o", path) == 0
    assert run("summarize", film, "-o", tmp_path / "a", "--export", "json,csv,vtt") == 0
    film.unlink()
    capfd.readouterr()
    assert run("summarize", path, "-o", tmp_path / "b") == 0
    shown = capfd.readouterr()
    for name in ("summary.json", "summary.csv", "chapters.vtt"):
        told = [(tmp_path / folder / name).read_text(encoding="utf-8-sig") for folder in "ab"]
        assert told[0] == told[1]
    assert not (tmp_path / "b" / "skim.mp4").exists()
    assert f"No skim was written: film.mp4 is not at {tmp_path} any more." in shown.err


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["{bad}", "-o", "{out}.h5"], 1, "is not a video"),
        (["{video}", "-o", "{out}.mp4"], 2, 'a name that ends in ".h5"'),
        (["{video}", "-o", "{out}.h5", "--encoder", "cilp"], 2, 'no encoder named "cilp"'),
        (["{video}", "-o", "{out}.h5", "--objects", "cilp"], 2, 'no object detector named "cilp"'),
        (["{video}", "-o", "{out}.h5", "--text-encoder", "no"], 2, 'no text encoder named "no"'),
        (["{video}", "-o", "{out}.h5", "--speed", "best"], 2, 'speed is "best"'),
        (["-o", "{out}.h5"], 2, "Missing argument 'VIDEO...'"),
    ],
)
def test_the_command_fails(
    arguments: list[str], code: int, sentence: str, video: Path, data: Path, tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    places = {"bad": data / "bad" / "text.mp4", "video": video, "out": tmp_path / "out"}
    assert run("features", *(a.format(**places) for a in arguments)) == code
    shown = capfd.readouterr()
    assert sentence in shown.err
    assert len(shown.err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
