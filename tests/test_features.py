"""From file to features: what stands still is seen once, what changes is not lost."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from scipy.stats import kendalltau

from videograph.encoders import load_encoder
from videograph.features import Extraction, Thumbnails, extract
from videograph.scoring import score_video
from videograph.shots import find_shots
from videograph.steady import Steady


def real_picture(data: Path) -> np.ndarray:
    """A frame of a real clip, (144, 256, 3) uint8."""
    with av.open(str(data / "videos" / "persons_one_by_one.mp4")) as container:
        frame = next(container.decode(video=0))
        return frame.to_ndarray(format="rgb24", width=256, height=144)


def looked(images: np.ndarray) -> list[bool]:
    return Steady().look(images, np.zeros(len(images), bool)).tolist()


def noisy(image: np.ndarray, n: int, scale: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(scale=scale, size=(n, *image.shape))
    return np.clip(np.round(image + noise), 0, 255).astype(np.uint8)


# -- which pictures are new --------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0.0, 1.0, 3.0])
def test_noise_is_nothing_new(data: Path, scale: float) -> None:
    assert looked(noisy(real_picture(data), 40, scale)) == [True] + 39 * [False]


@pytest.mark.parametrize(("side", "contrast"), [(4, 40), (6, 20), (20, 10)])
def test_a_small_thing_that_moves_is_always_new(data: Path, side: int, contrast: int) -> None:
    images = noisy(np.minimum(real_picture(data), 200), 20, 0.5)
    for step, image in enumerate(images):
        image[60 : 60 + side, 20 + 8 * step : 20 + 8 * step + side] += np.uint8(contrast)
    assert all(looked(images))


def test_what_drifts_is_seen_again_when_it_has_drifted(data: Path) -> None:
    """A light that goes up by 12 levels in 240 steps: never a visible step, and never lost."""
    base = np.minimum(real_picture(data), 200).astype(float)
    images = noisy(base, 240, 0.5).astype(float) + np.linspace(0, 12, 240)[:, None, None, None]
    images = np.round(images).astype(np.uint8)
    new = np.array(looked(images))
    assert 8 <= new.sum() <= 60
    last = np.maximum.accumulate(np.where(new, np.arange(240), 0))
    assert np.abs(images.mean((1, 2, 3)) - images[last].mean((1, 2, 3))).max() < 1


def test_after_a_change_the_first_still_picture_is_seen(data: Path) -> None:
    picture = real_picture(data)
    images = np.stack([picture] * 3 + [picture[::-1]] * 4)
    assert looked(images) == [True, False, False, True, True, False, False]


def test_a_known_repetition_is_not_even_looked_at(data: Path) -> None:
    images = noisy(real_picture(data), 3, 60.0)
    assert Steady().look(images, np.array([False, True, False])).tolist() == [True, False, True]


@pytest.mark.parametrize("shape", [(1, 1), (2, 90), (3, 3), (17, 256)])
def test_pictures_of_any_size(shape: tuple[int, int]) -> None:
    images = np.full((3, *shape, 3), 60, np.uint8)
    images[2] = 90
    assert looked(images) == [True, False, True]


# -- a whole file ------------------------------------------------------------------------------------


def still_video(path: Path, data: Path, quality: str) -> Path:
    """Two minutes of a fixed camera, a thing passing by for 4 s in the middle."""
    picture = real_picture(data)
    with av.open(str(path), "w") as out:
        options = {"preset": "veryfast", "g": "50", "qp": quality}
        stream = out.add_stream("libx264", rate=5, options=options)
        stream.width, stream.height, stream.pix_fmt = 256, 144, "yuv420p"
        for index in range(600):
            image = picture.copy()
            if 300 <= index < 320:
                image[40:120, 60 + 2 * (index - 300) : 110 + 2 * (index - 300)] = (200, 60, 40)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        out.mux(stream.encode(None))
    return path


def seen(path: Path, **options: object) -> Extraction:
    return extract(path, load_encoder("builtin"), **options)  # type: ignore[arg-type]


def test_a_static_video_is_hardly_encoded_and_scored_the_same(data: Path, tmp_path: Path) -> None:
    """Without loss, so that what stands still is the same to the last bit."""
    path = still_video(tmp_path / "still.mp4", data, quality="0")
    short, full = seen(path), seen(path, skip_repeats=False)
    assert short.features.n_steps == full.report.n_encoded == 240
    assert short.report.n_encoded is not None and short.report.n_encoded < 12  # 5 %
    ours, theirs = (score_video(found.features).scores for found in (short, full))
    assert np.abs(ours - theirs).max() < 1e-6


def test_two_still_minutes_as_a_codec_leaves_them(data: Path) -> None:
    """A compressed file: what the codec changes at its key frames is no difference between scores."""
    found = seen(data / "bad" / "static.mp4")
    assert found.features.n_steps == 240 and found.report.n_encoded == 1
    assert np.ptp(score_video(found.features).scores) == 0


def test_what_a_codec_alone_changes_is_no_reason_to_look_again(data: Path, tmp_path: Path) -> None:
    """With key frames that pulse; where nothing else changes, scores would rank that noise."""
    path = still_video(tmp_path / "still.mp4", data, quality="26")
    short, full = seen(path), seen(path, skip_repeats=False)
    event = slice(112, 132)
    assert short.report.n_encoded is not None and short.report.n_encoded < 20
    ours, theirs = short.features.features, full.features.features
    assert np.abs(ours - theirs).max() < 0.02
    np.testing.assert_allclose(ours[120:128], theirs[120:128], atol=1e-4)
    assert np.array_equal(find_shots(short.features).bounds, find_shots(full.features).bounds)
    ours, theirs = (score_video(found.features).scores for found in (short, full))
    assert kendalltau(ours[event], theirs[event]).statistic > 0.9
    assert len(set(np.argsort(ours)[-8:]) & set(np.argsort(theirs)[-8:])) >= 7


@pytest.mark.parametrize("has_thing", [False, True], ids=["an empty room", "a small thing moves"])
def test_a_noisy_room_after_a_codec(data: Path, tmp_path: Path, has_thing: bool) -> None:
    """x264 makes 10 levels of RGB of a noise of 1.5; what is as large as a hand across a room is seen."""
    picture, path = real_picture(data).repeat(2, 0).repeat(2, 1), tmp_path / "room.mp4"
    rooms = [noisy(picture, 1, 1.5, seed)[0] for seed in range(8)]
    with av.open(str(path), "w") as out:
        options = {"preset": "veryfast", "crf": "28", "g": "10"}
        stream = out.add_stream("libx264", rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = 512, 288, "yuv420p"
        for index in range(600):
            image = rooms[index % 8].copy()
            if has_thing and index >= 200:  # 20 s
                left = 40 + (index - 200)
                image[180:196, left : left + 16] = (30, 60, 90)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        out.mux(stream.encode(None))
    found = seen(path, speed="fast")
    before, after = (rows[1:] != rows[:-1] for rows in np.split(found.features.features, [40]))
    assert found.report.sampling == "key frames"
    assert before.any(1).sum() <= 4  # of 10 key frames
    assert after.any(1).sum() <= 4 if not has_thing else after.any(1).sum() >= 18


def test_a_busy_video_is_encoded_in_full_and_the_same(data: Path) -> None:
    path = data / "videos" / "bikes_6shots.mp4"
    short, full = seen(path), seen(path, skip_repeats=False)
    assert short.report.n_encoded == short.features.n_steps
    for name in ("features", "object_features", "object_boxes", "contrast", "cut_frames"):
        np.testing.assert_array_equal(getattr(short.features, name), getattr(full.features, name))


def test_fast_encodes_key_frames_only(data: Path) -> None:
    found = seen(data / "videos" / "persons_one_by_one.mp4", speed="fast", skip_repeats=False)
    assert found.report.sampling == "key frames"
    assert found.features.n_steps == 279 and found.report.n_encoded == 140
    boxes, features = found.features.object_boxes, found.features.features
    assert boxes is not None
    repeated = (features[1:] == features[:-1]).all(1) & (boxes[1:] == boxes[:-1]).all((1, 2))
    assert repeated.sum() == 139


def test_objects_are_kept_at_half_the_size(data: Path) -> None:
    found = seen(data / "videos" / "carphone_176x144.mp4").features
    assert found.object_features is not None and found.object_features.dtype == np.float16
    assert found.features.dtype == np.float32


def test_more_steps_than_the_container_promised_all_count(data: Path) -> None:
    found = seen(data / "bad" / "zero_duration.mp4", steps_per_second=Fraction(8))
    assert found.info.duration_seconds is None
    assert len(found.features.features) == found.features.n_steps > 8


@pytest.mark.parametrize("n_expected", [1, 1000, 10_000])
def test_thumbnails_stay_few_and_even(n_expected: int) -> None:
    thumbnails = Thumbnails(n_expected, most=64)
    images = np.zeros((50, 8, 8, 3), np.uint8)
    for _ in range(20):
        thumbnails.add(images[:25], np.repeat(np.arange(25), 2))
    steps = sorted(thumbnails.kept)
    assert steps[0] == 0 and len(set(np.diff(steps))) == 1
    assert len(steps) <= 64 and (n_expected > 1000 or len(steps) > 32)
    assert Image.open(io.BytesIO(thumbnails.kept[0])).size == (8, 8)
