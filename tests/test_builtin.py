"""The encoder without weights: what it boxes, what its features tell apart, what it survives."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from videograph.encoders import Encoded
from videograph.encoders.builtin import load
from videograph.errors import UsageError
from videograph.records import OBJECT_KINDS

MOVING, SALIENT, GRID = (OBJECT_KINDS.index(k) for k in ("moving", "salient", "grid"))


def texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Coloured patches of several sizes, as in pictures, (height, width, 3) float64 in 0..255."""
    rng = np.random.default_rng(seed)
    wall = np.full((height, width, 3), 128.0)
    for block, contrast in ((6, 20), (18, 35), (60, 50)):
        patches = rng.uniform(-contrast, contrast, (height // block + 2, width // block + 2, 3))
        wall += np.kron(patches, np.ones((block, block, 1)))[:height, :width]
    return gaussian_filter(wall, (1, 1, 0))


def painted(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def boxes_of(seen: Encoded, step: int, kind: int) -> np.ndarray:
    return seen.object_boxes[step][seen.object_kinds[step] == kind]


def iou(one: np.ndarray, other: np.ndarray) -> float:
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    shared = float(np.prod(np.maximum(high - low, 0)))
    areas = [float(np.prod(box[2:] - box[:2])) for box in (one, other)]
    return shared / (sum(areas) - shared)


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))


def frames_of(path: Path, start: Fraction, end: Fraction, height: int, width: int) -> np.ndarray:
    """Two frames a second of a span of a file."""
    frames, due = [], start
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            now = Fraction(frame.pts) * frame.time_base
            if now >= end:
                break
            if now >= due:
                frames.append(frame.to_ndarray(format="rgb24", width=width, height=height))
                due += Fraction(1, 2)
    return np.stack(frames)


# -- what moves ------------------------------------------------------------------------------------


@pytest.mark.parametrize("step_pixels", [14, 60])
def test_a_square_that_moves_over_a_wall_is_boxed_where_it_is(step_pixels: int) -> None:
    wall, side = painted(texture(144, 256)), 40
    frames = np.repeat(wall[None], 3, axis=0)
    lefts = [20 + step_pixels * step for step in range(3)]
    for frame, left in zip(frames, lefts, strict=True):
        frame[50 : 50 + side, left : left + side] = (20, 200, 60)
        frame[60:80, left + 10 : left + 30] = (240, 240, 20)
    seen = load().encode(frames)
    for step in (1, 2):
        expected = np.array([lefts[step] / 256, 50 / 144, (lefts[step] + side) / 256, 90 / 144])
        found = boxes_of(seen, step, MOVING)
        assert len(found) > 0 and max(iou(box, expected) for box in found) > 0.5


def test_a_still_wall_has_nothing_that_moves() -> None:
    seen = load().encode(np.repeat(painted(texture(144, 256))[None], 4, axis=0))
    assert not (seen.object_kinds == MOVING).any()


@pytest.mark.parametrize("shift", [(0, 5), (0, 22), (7, -13)])
def test_a_pan_alone_moves_nothing(shift: tuple[int, int]) -> None:
    wide = texture(300, 500, seed=1)
    places = [(80 + k * shift[0], 120 + k * shift[1]) for k in range(4)]
    frames = np.stack([painted(wide[y : y + 144, x : x + 256]) for y, x in places])
    seen = load().encode(frames)
    assert (seen.object_kinds == MOVING).sum() <= 1


def test_what_moves_during_a_pan_is_still_found() -> None:
    wide, side = texture(144, 420, seed=2), 36
    frames = np.stack([painted(wide[:, 12 * k : 12 * k + 256]) for k in range(4)])
    for step, frame in enumerate(frames):
        frame[50 : 50 + side, 60 + 30 * step : 60 + 30 * step + side] = (250, 250, 250)
    seen = load().encode(frames)
    for step in (1, 2, 3):
        left = 60 + 30 * step
        expected = np.array([left / 256, 50 / 144, (left + side) / 256, (50 + side) / 144])
        assert max(iou(box, expected) for box in boxes_of(seen, step, MOVING)) > 0.4


def test_light_that_changes_moves_nothing() -> None:
    wall = texture(144, 256)
    frames = np.stack([painted(wall * 0.7 + add) for add in (0, 15, 30)])
    assert not (load().encode(frames).object_kinds == MOVING).any()


def test_a_cut_moves_nothing() -> None:
    frames = np.stack([painted(texture(144, 256, seed)) for seed in (3, 4)])
    assert not (load().encode(frames).object_kinds == MOVING).any()


# -- what stands out, and the grid -----------------------------------------------------------------


@pytest.mark.parametrize("colour", [(220, 30, 30), (20, 20, 20), (120, 160, 90)])
def test_a_blob_stands_out(colour: tuple[int, int, int]) -> None:
    frame = painted(0.1 * texture(144, 256) + 120)
    y, x = np.mgrid[:144, :256]
    frame[((x - 170) / 30) ** 2 + ((y - 60) / 25) ** 2 < 1] = colour
    seen = load().encode(frame[None])
    expected = np.array([140 / 256, 35 / 144, 200 / 256, 85 / 144])
    assert seen.object_kinds[0, 0] == SALIENT
    assert iou(seen.object_boxes[0, 0], expected) > 0.5


@pytest.mark.parametrize("n_objects", [1, 8, 12])
def test_where_nothing_stands_out_there_is_a_grid_centre_first(n_objects: int) -> None:
    seen = load(n_objects=n_objects).encode(np.full((1, 144, 256, 3), 90, np.uint8))
    n = min(n_objects, 9)
    assert (seen.object_kinds[0] == [GRID] * n + [0] * (n_objects - n)).all()
    np.testing.assert_allclose(seen.object_boxes[0, 0], [1 / 3, 1 / 3, 2 / 3, 2 / 3], atol=0.02)
    corners = {tuple(box) for box in seen.object_boxes[0, :n].tolist()}
    assert len(corners) == n


def test_regions_of_one_kind_do_not_repeat_each_other() -> None:
    seen = load().encode(np.stack([painted(texture(144, 256, seed)) for seed in range(8)]))
    for step in range(8):
        boxes = boxes_of(seen, step, SALIENT)
        pairs = [(a, b) for i, a in enumerate(boxes) for b in boxes[:i]]
        assert all(iou(a, b) <= 0.5 for a, b in pairs)


# -- features --------------------------------------------------------------------------------------


def test_frames_of_a_scene_are_alike_and_scenes_are_not() -> None:
    scenes = [texture(144, 300, seed) * 0.6 + tone for seed, tone in ((5, 0), (6, 90))]
    frames = [painted(scene[:, 4 * k : 4 * k + 256]) for scene in scenes for k in range(3)]
    features = load().encode(np.stack(frames)).features
    within = [cosine(features[k], features[k + 1]) for k in (0, 1, 3, 4)]
    assert min(within) > 0.95
    assert cosine(features[2], features[3]) < 0.8


def test_an_object_keeps_its_features_where_it_goes() -> None:
    frames = np.repeat(painted(0.1 * texture(144, 256) + 120)[None], 3, axis=0)
    frames[0, 30:70, 40:80] = frames[1, 80:120, 170:210] = (220, 40, 30)
    frames[2, 30:70, 40:80] = (30, 60, 210)
    red, red_elsewhere, blue = load().encode(frames, frames[0] * 0 + 120).object_features[:, 0]
    assert cosine(red, red_elsewhere) > 0.9
    assert cosine(red, blue) < 0.7


def test_a_previous_frame_changes_only_what_is_told_by_motion() -> None:
    wall = painted(texture(144, 256))
    alone = load().encode(wall[None])
    after_cut = load().encode(wall[None], painted(texture(144, 256, seed=9)))
    assert cosine(alone.features[0], after_cut.features[0]) > 0.9
    assert not np.array_equal(alone.features, after_cut.features)


# -- what it survives ------------------------------------------------------------------------------

SIZES = [
    (144, 256),
    (256, 144),
    (48, 64),
    (256, 256),
    (101, 255),
    (20, 256),
    (256, 7),
    (1, 1),
    (3, 2),
]


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[1]}x{s[0]}")
@pytest.mark.parametrize("content", ["black", "white", "gray picture", "noise", "half"])
def test_any_size_and_content_gives_finite_features(size: tuple[int, int], content: str) -> None:
    frames = np.zeros((3, *size, 3), np.uint8)
    rng = np.random.default_rng(0)
    if content == "white":
        frames[:] = 255
    elif content == "gray picture":
        frames[:] = rng.integers(0, 256, (3, *size, 1))
    elif content == "noise":
        frames[:] = rng.integers(0, 256, frames.shape)
    elif content == "half":
        frames[:, : size[0] // 2] = 255
    seen = load().encode(frames)
    assert np.isfinite(seen.features).all() and np.isfinite(seen.object_features).all()
    assert np.linalg.norm(seen.features, axis=1).min() > 0.1
    assert np.linalg.norm(seen.features, axis=1).max() < 3
    boxes = seen.object_boxes[seen.object_mask]
    assert seen.object_mask.any(1).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all() and boxes.min() >= 0 and boxes.max() <= 1


def test_batches_of_any_size_give_the_very_same() -> None:
    frames = np.stack([painted(np.roll(texture(144, 256), 9 * k, 1)) for k in range(19)])
    encoder = load()
    whole = encoder.encode(frames)
    for size in (1, 3, 8):
        starts = range(0, len(frames), size)
        parts = [encoder.encode(frames[s : s + size], frames[s - 1] if s else None) for s in starts]
        for name in Encoded.__dataclass_fields__:
            joined = np.concatenate([getattr(part, name) for part in parts])
            np.testing.assert_array_equal(joined, getattr(whole, name), name)


@pytest.mark.parametrize("times", [2, 3])
def test_a_frame_of_larger_pixels_has_the_same_features(times: int) -> None:
    frames = np.stack([painted(texture(144, 256, seed)) for seed in (1, 2)])
    large = frames.repeat(times, axis=1).repeat(times, axis=2)
    np.testing.assert_allclose(
        load().encode(large).features, load().encode(frames).features, atol=1e-5
    )


def test_the_last_pixels_of_an_odd_frame_count() -> None:
    frames = np.stack([painted(texture(143, 255, seed)) for seed in (1, 2)])
    whole = np.pad(frames, ((0, 0), (0, 1), (0, 1), (0, 0)), mode="edge")
    np.testing.assert_array_equal(load().encode(frames).features, load().encode(whole).features)


def test_frames_that_are_a_view_are_read_right() -> None:
    frames = np.stack([painted(texture(144, 256, seed)) for seed in (1, 2)])
    mirrored = frames[:, :, ::-1]
    np.testing.assert_array_equal(
        load().encode(mirrored).features, load().encode(mirrored.copy()).features
    )


@pytest.mark.parametrize("n_objects", [0, -3, 2.5])
def test_a_senseless_number_of_objects_is_refused(n_objects: int) -> None:
    with pytest.raises(UsageError, match=rf"n_objects is {n_objects}\. Allowed: .* Try 8"):
        load(n_objects=n_objects)


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((144, 256, 3), np.uint8),
        np.zeros((2, 8, 8, 3), np.float32),
        np.zeros((1, 8, 8), "u1"),
    ],
)
def test_what_is_not_frames_is_refused(images: np.ndarray) -> None:
    with pytest.raises(
        UsageError, match=r"images are \(.*\. Allowed: \(n, height, width, 3\) uint8"
    ):
        load().encode(images)


# -- real clips ------------------------------------------------------------------------------------


def test_the_person_before_a_fixed_camera_is_boxed_as_moving(data: Path) -> None:
    """Frame differencing against the empty room says where the person is."""
    path = data / "videos" / "persons_one_by_one.mp4"
    frames = frames_of(path, Fraction(4), Fraction(10), 144, 256)
    empty = frames[0].astype(int)
    seen = load().encode(frames)
    hits, chances = 0, 0
    for step in range(1, len(frames)):
        now, before = frames[step].astype(int), frames[step - 1].astype(int)
        changed = np.abs(now - before).sum(2) > 90
        person = np.abs(now - empty).sum(2) > 120
        if changed.mean() < 0.03 or person.mean() < 0.03:
            continue
        rows, columns = np.nonzero(person)
        box = np.percentile(columns, [2, 98]) / 256, np.percentile(rows, [2, 98]) / 144
        place = np.array([box[0][0], box[1][0], box[0][1], box[1][1]])
        chances += 1
        hits += any(iou(found, place) > 0.4 for found in boxes_of(seen, step, MOVING))
    assert chances >= 3
    assert hits / chances > 0.6


def test_cuts_of_a_real_clip_stand_apart_from_its_shots(data: Path) -> None:
    frames = frames_of(data / "videos" / "bikes_6shots.mp4", Fraction(0), Fraction(60), 109, 256)
    features = load().encode(frames).features
    alike = np.array([cosine(a, b) for a, b in pairwise(features)])
    cuts = [2, 6, 10, 14]
    assert alike[cuts].max() < 0.65
    assert np.delete(alike, cuts).min() > alike[cuts].max()
    assert np.median(np.delete(alike, cuts)) > 0.85
