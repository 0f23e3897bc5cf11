"""The drawn sample: as told, the same for a seed, and in step."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import measure_sync
import numpy as np
import pytest

from videograph.errors import UsageError
from videograph.sample import SampleStory, draw_sample
from videograph.video import Reader, probe


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> SampleStory:
    return draw_sample(tmp_path_factory.mktemp("sample") / "day.mp4", n_scenes=8, seconds=24)


def test_the_file_is_as_told(story: SampleStory) -> None:
    info = probe(story.path)
    assert (info.width, info.height, info.codec, info.title) == (640, 360, "h264", "One day")
    assert info.audio_stream is not None and len(info.subtitle_streams) == 1
    assert info.start_seconds == 0 and info.duration_seconds == 24 and info.n_frames == 600
    starts, ends = [s.start_seconds for s in story.scenes], [s.end_seconds for s in story.scenes]
    assert starts == [0, *ends[:-1]] and ends[-1] == 24
    assert sum(s.dull for s in story.scenes) == 1


def test_cuts_stand_where_promised(story: SampleStory) -> None:
    with Reader(story.path, speed="exact") as reader:
        cuts = np.concatenate([b.cut_pts for b in reader])
    found = {int(c) * reader.info.time_base for c in cuts}
    assert {s.start_seconds for s in story.scenes[1:]} <= found


def test_the_dull_scene_is_the_stillest(story: SampleStory) -> None:
    with Reader(story.path, speed="exact", long_side=128) as reader:
        batches = list(reader)
    images = np.concatenate([b.images for b in batches]).astype(int)[:, 12:]  # without the lamp
    seconds = np.concatenate([b.pts for b in batches]) * float(reader.info.time_base)
    change = np.abs(np.diff(images, axis=0)).mean((1, 2, 3))
    stillness = {
        s.title: change[(seconds[:-1] >= s.start_seconds) & (seconds[1:] < s.end_seconds)].mean()
        for s in story.scenes
    }
    assert min(stillness, key=stillness.__getitem__) == "Waiting"


def test_subtitles_can_be_read_back(story: SampleStory) -> None:
    with av.open(str(story.path)) as container:
        stream = container.streams.subtitles[0]
        packets = [p for p in container.demux(stream) if p.size > 2]
        found = [
            (
                p.pts * stream.time_base,
                (p.pts + p.duration) * stream.time_base,
                bytes(p)[2:].decode(),
            )
            for p in packets
        ]
    told = [(c.start_seconds, c.end_seconds, c.text) for c in story.cues]
    assert [t for *_, t in found] == [t for *_, t in told]
    ends = [x for start, end, _ in found for x in (start, end)]
    assert np.allclose(
        [float(x) for x in ends], [float(x) for a, b, _ in told for x in (a, b)], atol=0.001
    )


def test_click_and_flash_coincide(story: SampleStory) -> None:
    offsets = measure_sync.offsets(story.path)
    assert len(offsets) == len(story.click_seconds)
    assert np.abs(offsets).max() < 0.005
    flashes = measure_sync.flash_seconds(story.path)
    assert np.allclose(flashes, [float(c) for c in story.click_seconds], atol=0.001)


def test_measuring_sees_sound_that_is_late(story: SampleStory, tmp_path: Path) -> None:
    late = tmp_path / "late.mp4"
    with av.open(str(story.path)) as source, av.open(str(late), "w") as target:
        picture, sound = source.streams.video[0], source.streams.audio[0]
        streams = {s: target.add_stream_from_template(s) for s in (picture, sound)}
        for packet in source.demux(picture, sound):
            if packet.dts is not None:
                if packet.stream.type == "audio":
                    shift = int(Fraction(8, 100) / packet.time_base)
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                packet.stream = streams[packet.stream]
                target.mux(packet)
    assert np.median(measure_sync.offsets(late)) == pytest.approx(0.08, abs=0.005)


def test_a_seed_gives_one_video(tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.mp4" for name in "abc"]
    told = [
        draw_sample(f, seed=s, n_scenes=3, seconds=3) for f, s in zip(files, (1, 1, 2), strict=True)
    ]
    assert files[0].read_bytes() == files[1].read_bytes() != files[2].read_bytes()
    assert told[0].click_seconds == told[1].click_seconds
    assert sorted(tmp_path.iterdir()) == files


def test_many_scenes_repeat_the_day(tmp_path: Path) -> None:
    story = draw_sample(tmp_path / "days.mp4", n_scenes=24, seconds=24)
    assert len(story.scenes) == 24 and story.scenes[-1].title == "The end"
    assert all(s.end_seconds - s.start_seconds == 1 for s in story.scenes)


def test_too_little_time_fails(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"9 scenes in 5 s\. Allowed: .* Try seconds=45\."):
        draw_sample(tmp_path / "short.mp4", n_scenes=9, seconds=5)
