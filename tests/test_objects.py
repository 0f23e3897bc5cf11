"""What a detector sees at some steps of a real clip, and what becomes of it."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from videograph.encoders import Detected, ObjectDetector, load_encoder, load_objects
from videograph.errors import UsageError
from videograph.exporters import export
from videograph.features import Extraction, extract
from videograph.objects import (
    BATCH_FRAMES,
    CROP_SIDE,
    crop,
    region_features,
    representatives,
    with_objects,
    with_objects_at,
)
from videograph.pipeline import summarize
from videograph.reasons import explain
from videograph.records import Shots, VideoFeatures
from videograph.scoring import score_video
from videograph.shots import find_shots
from videograph.summary import choose, parse_budget
from videograph.video import grab

SOMEBODY = ((8, 18.5), (24, 44), (52, 68), (76, 86), (94, 118), (124, 134))
"""Spans of persons_one_by_one.mp4 in which a person stands or walks in the room, found by looking."""
NOBODY = ((0, 4), (21.5, 22.5), (46, 50), (71.5, 74.5), (88, 92.5), (121.5, 122.5), (137, 139))
"""Spans in which the room is empty; what lies between is left out: feet and heads at the edges."""


class Watched:
    """A detector, and the batches it was shown."""

    def __init__(self, detector: ObjectDetector) -> None:
        self.name, self.names = detector.name, detector.names
        self.n_objects, self.frame_side = detector.n_objects, detector.frame_side
        self.batches: list[int] = []
        self._detector = detector

    def detect(self, images: np.ndarray) -> Detected:
        self.batches.append(len(images))
        return self._detector.detect(images)


@pytest.fixture(scope="module")
def detector(data: Path) -> ObjectDetector:
    return load_objects(f"detector:{data}/weights/yolox_nano.onnx")


@pytest.fixture(scope="module")
def seen(data: Path) -> Extraction:
    return extract(data / "videos/persons_one_by_one.mp4", load_encoder("builtin"), speed="fast")


@pytest.fixture(scope="module")
def shots(seen: Extraction) -> Shots:
    return find_shots(seen.features)


def look(seen: Extraction, shots: Shots, detector: Any, **options: Any) -> VideoFeatures:
    clock = seen.report.clock
    return with_objects(
        seen.features, shots, seen.info, clock, detector, load_encoder("builtin"), **options
    )


@pytest.fixture(scope="module")
def every_ten(seen: Extraction, shots: Shots, detector: ObjectDetector) -> VideoFeatures:
    return look(seen, shots, detector, every=10)


def array(features: VideoFeatures, name: str) -> np.ndarray:
    value = getattr(features, name)
    assert isinstance(value, np.ndarray)
    return value


def within(spans: tuple[tuple[float, float], ...], second: float) -> bool:
    return any(a <= second <= b for a, b in spans)


def names_at(features: VideoFeatures, step: int) -> list[str]:
    slots = np.flatnonzero(array(features, "object_mask")[step])
    return [features.object_names[k] for k in array(features, "object_kinds")[step, slots]]


def test_every_tenth_step_has_the_people_who_are_there(every_ten: VideoFeatures) -> None:
    steps = np.flatnonzero(array(every_ten, "looked_at"))
    assert steps.tolist() == list(range(0, every_ten.n_steps, 10))
    judged = 0
    for step in steps:
        second = float(every_ten.seconds[step])
        if within(SOMEBODY, second) or within(NOBODY, second):
            n_people = names_at(every_ten, step).count("person")
            assert n_people == within(SOMEBODY, second), f"{n_people} people at {second} s"
            judged += 1
    assert judged > 15


def test_steps_not_looked_at_have_nothing(every_ten: VideoFeatures) -> None:
    elsewhere = ~array(every_ten, "looked_at")
    assert elsewhere.sum() > 200
    for name in ("object_mask", "object_boxes", "object_scores", "object_kinds", "object_features"):
        assert not array(every_ten, name)[elsewhere].any(), name


def test_a_picture_that_stands_still_is_looked_at_once(
    data: Path, detector: ObjectDetector
) -> None:
    """Two still minutes: three pictures were encoded, and no more are shown to the detector."""
    still = extract(data / "bad/static.mp4", load_encoder("builtin"))
    watched, whole = Watched(detector), find_shots(still.features)
    few = look(still, whole, watched, every=10)
    assert np.flatnonzero(array(few, "looked_at")).tolist() == list(range(0, 240, 10))
    assert 1 <= sum(watched.batches) <= 3
    for name in ("object_mask", "object_boxes", "object_kinds", "object_features"):
        rows = array(few, name)[array(few, "looked_at")]
        np.testing.assert_array_equal(rows[-1], rows[-2])


def test_regions_are_described_by_the_encoder_of_the_frames(every_ten: VideoFeatures) -> None:
    mask, features = array(every_ten, "object_mask"), array(every_ten, "object_features")
    assert (
        features.shape == (*mask.shape, load_encoder("builtin").dim)
        and features.dtype == np.float32
    )
    assert (np.linalg.norm(features[mask], axis=1) > 0.1).all()
    assert not features[~mask].any()


def test_regions_of_a_kind_look_alike(data: Path, detector: ObjectDetector) -> None:
    seconds = [Fraction(s) for s in (1, 3, 5, 7)]
    frames = grab(data / "videos/meeting_room_2.webm", seconds, long_side=416)
    images = np.stack([np.asarray(frame) for frame in frames])
    found = detector.detect(images)
    features = region_features(images, found, load_encoder("builtin"))
    people, laptops = (
        features[found.mask & (found.kinds == detector.names.index(name))]
        for name in ("person", "laptop")
    )
    assert min(len(people), len(laptops)) >= 4
    assert likeness(people, people) > likeness(people, laptops) + 0.05
    alone = region_features(
        images[2:3], Detected(*(v[2:3] for v in vars(found).values())), load_encoder("builtin")
    )
    np.testing.assert_array_equal(alone[0], features[2])


def likeness(rows: np.ndarray, others: np.ndarray) -> float:
    """Mean cosine."""
    unit = [r / np.linalg.norm(r, axis=1, keepdims=True) for r in (rows, others)]
    return float((unit[0] @ unit[1].T).mean())


def test_one_frame_of_each_shot_is_looked_at_in_small_batches(
    seen: Extraction, shots: Shots, detector: ObjectDetector
) -> None:
    watched, told = Watched(detector), []
    found = look(seen, shots, watched, hook=lambda *call: told.append(call))
    steps = np.flatnonzero(array(found, "looked_at"))
    assert steps.tolist() == representatives(seen.features, shots).tolist()
    a, b = shots.bounds.T
    picks = seen.features.picks[steps]
    assert ((a <= picks) & (picks < b)).all()
    assert sum(watched.batches) == shots.n_shots and max(watched.batches) <= BATCH_FRAMES
    assert [call[:3] for call in told[-2:]] == [("objects", len(steps), len(steps))] * 2
    assert told[-1][3] is found and [call[1] for call in told] == sorted(call[1] for call in told)


def test_a_representative_is_the_most_typical_step() -> None:
    rows = np.array([[1, 0], [0, 1], [1, 1], [0, 5], [1, 1]], np.float32)
    features = VideoFeatures(rows, np.arange(0, 50, 10), np.arange(5.0), 60, "x-1")
    shots = Shots(np.array([[0, 30], [30, 35], [35, 39], [39, 60]]))
    assert representatives(features, shots).tolist() == [2, 3, 4]


def test_further_steps_are_added_and_old_ones_left_alone(
    seen: Extraction, every_ten: VideoFeatures, detector: ObjectDetector
) -> None:
    watched = Watched(detector)
    step = int(np.searchsorted(every_ten.seconds, 129))
    assert not array(every_ten, "looked_at")[step]
    more = with_objects_at(
        every_ten, [step, 10, 0], seen.info, seen.report.clock, watched, load_encoder("builtin")
    )
    assert watched.batches == [1]
    assert "person" in names_at(more, step)
    rest = np.arange(more.n_steps) != step
    for name in ("object_mask", "object_boxes", "object_scores", "object_features", "looked_at"):
        np.testing.assert_array_equal(array(more, name)[rest], array(every_ten, name)[rest])
    assert not array(every_ten, "looked_at")[step]
    assert names_at(every_ten, step) == []


def test_other_distances_and_encoders_are_refused(
    seen: Extraction, shots: Shots, detector: ObjectDetector
) -> None:
    with pytest.raises(UsageError, match=r'every is 0\. Allowed: "shots", or a whole number k'):
        look(seen, shots, detector, every=0)
    with pytest.raises(UsageError, match=r"every is 'frames'\. Allowed"):
        look(seen, shots, detector, every="frames")
    with pytest.raises(
        UsageError, match=r"frames were encoded by builtin-1, the boxes would be by em"
    ):
        with_objects(
            seen.features, shots, seen.info, seen.report.clock, detector, load_encoder("embedded")
        )


def test_a_crop_shows_the_box_and_a_little_around_it() -> None:
    image = np.zeros((90, 160, 3), np.uint8)
    image[30:60, 40:120] = 255
    inside = crop(image, np.array([0.25, 1 / 3, 0.75, 2 / 3]))
    assert inside.shape == (CROP_SIDE, CROP_SIDE, 3)
    bright = (inside[..., 0] > 127).mean(axis=0)
    margin = CROP_SIDE * 16 / 227
    assert np.flatnonzero(bright > 0.5)[0] == pytest.approx(margin, abs=2)
    assert (bright > 0.5).sum() == pytest.approx(CROP_SIDE - 2 * margin, abs=3)
    assert crop(image, np.array([0.0, 0.0, 1.0, 1.0])).shape == inside.shape
    assert crop(image, np.array([0.999, 0.999, 1.0, 1.0])).shape == inside.shape


def test_what_was_seen_is_told_drawn_and_written(
    data: Path, detector: ObjectDetector, tmp_path: Path
) -> None:
    """From the file to the page: a dog that eats is a dog in the reason, the page and the JSON."""
    video, encoder = data / "videos/dog_eating.mp4", load_encoder("builtin")
    seen = extract(video, encoder)
    shots, clock = find_shots(seen.features), seen.report.clock
    features = look(seen, shots, detector, every=8)
    scores = score_video(features)
    choice = choose(
        scores.scores, features.picks, shots, clock, parse_budget("40%"), features.features,
        features.contrast,
    )  # fmt: skip
    keyframes = [span.keyframe_step for span in choice.spans]
    features = with_objects_at(features, keyframes, seen.info, clock, detector, encoder)
    chosen = explain(choice, scores, features, clock)
    assert all("in view: dog" in shot.reason.text for shot in chosen)
    weighed = [o.weight for shot in chosen for o in shot.reason.objects]
    looked_at_before = [step % 8 == 0 for step in keyframes]
    assert any(weighed) == any(looked_at_before)

    summary = written(video, chosen, shots, choice.shot_scores, scores.scores)
    export(summary, tmp_path / "storyboard.html")
    export(summary, tmp_path / "summary.json")
    assert tmp_path.joinpath("storyboard.html").read_text("utf-8").count("<b>dog ") >= len(chosen)
    told = json.loads(tmp_path.joinpath("summary.json").read_text("utf-8"))
    for shot in told["chosen"]:
        (dog,) = (o for o in shot["reason"]["objects"] if o["kind"] == "dog")
        assert 0.5 <= dog["score"] <= 1
        assert len(dog["box"]) == 4 and dog["box"][2] - dog["box"][0] > 0.2


def written(video: Path, chosen: Any, shots: Shots, shot_scores: Any, scores: Any) -> Any:
    """A summary of the video with these spans in place of its own."""
    import dataclasses

    return dataclasses.replace(
        summarize(video), chosen=chosen, shots=shots, shot_scores=shot_scores, scores=scores,
        keyframe_images=(),
    )  # fmt: skip
