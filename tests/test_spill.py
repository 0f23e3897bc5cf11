"""Arrays as long as a video: on disk beyond a size, and nobody can tell but by the memory."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from videograph import attention, graph, inputs, packed, spill, training_free
from videograph.config import ModelConfig
from videograph.encoders import load_encoder
from videograph.features import extract
from videograph.model import VideoGraph
from videograph.pipeline import summarize
from videograph.records import Scores, VideoFeatures
from videograph.scoring import score_video
from videograph.shots import change_steps, find_shots
from videograph.spill import (
    Pile,
    Rows,
    empty,
    is_spilled,
    kept,
    mean,
    pieces,
    release,
    rows_at,
    zeros,
)

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@pytest.fixture
def all_spilled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever is longer than a few numbers goes to disk, and is worked on in small pieces."""
    monkeypatch.setattr(spill, "SPILL_BYTES", 64)
    for room in (attention, graph, inputs, training_free):
        monkeypatch.setattr(room, "LONG_STEPS", 16)
    monkeypatch.setattr(attention, "STEPS_AT_A_TIME", 24)
    monkeypatch.setattr(training_free, "STEPS_AT_A_TIME", 24)
    yield


def filled(n: int, dim: int = 3) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n, dim)).astype(np.float32)


@pytest.mark.parametrize("n_expected", [0, 5, 40, 400])
@pytest.mark.parametrize("most", [0, 100, 1 << 20])
def test_rows_come_back_as_they_were_added(
    monkeypatch: pytest.MonkeyPatch, n_expected: int, most: int
) -> None:
    monkeypatch.setattr(spill, "SPILL_BYTES", most)
    rows, grown = filled(50), Rows(n_expected)
    for start in range(0, 50, 7):
        grown.add(rows[start : start + 7])
    whole = grown.whole()
    assert is_spilled(whole) == (most < 50 * 12)
    np.testing.assert_array_equal(whole, rows)
    whole[3] = 7  # as any other array
    release()
    assert (whole[3] == 7).all() and (torch.from_numpy(whole)[3] == 7).all()


@pytest.mark.usefixtures("all_spilled")
def test_arrays_to_be_filled_lie_on_disk_too() -> None:
    array = zeros((30, 4))
    assert is_spilled(array) and is_spilled(array[3:]) and not array.any()
    np.testing.assert_array_equal(kept(filled(99)), filled(99))
    assert is_spilled(kept(filled(99))) and not is_spilled(kept(filled(2)))
    for at in pieces(30, 8):
        array[at] = 2
    assert (array == 2).all() and not is_spilled(np.zeros(30))
    rows, places = filled(300), np.arange(299, -1, -2)
    np.testing.assert_array_equal(rows_at(empty_of(rows), places), rows[places])
    np.testing.assert_allclose(mean(empty_of(filled(5000))), filled(5000).mean(0), atol=1e-6)


def empty_of(rows: np.ndarray) -> np.ndarray:
    array = empty(rows.shape)
    array[:] = rows
    return array


HEAP = """
import sys
import numpy as np
from videograph import heap
getattr(heap, sys.argv[1])()
arrays = [np.ones(1 << 17) for _ in range(64)]  # 1 MB each
del arrays
with open("/proc/self/status") as file:
    print(next(int(line.split()[1]) for line in file if line.startswith("VmRSS")))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have another heap")
def test_freed_memory_goes_back_or_stays_as_it_is_wanted() -> None:
    kept, given_back = (
        int(
            subprocess.run(
                [sys.executable, "-c", HEAP, name], capture_output=True, check=True
            ).stdout
        )
        for name in ("keep_freed", "give_back_at_once")
    )
    assert kept - given_back > 48 * 1024  # of 64 MB, in KB


def test_a_pile_of_pictures_is_read_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "SPILL_BYTES", 20)
    pictures, pile = [bytes([i]) * (i + 1) for i in range(9)], Pile()
    for picture in pictures:
        pile.add(picture)
    assert list(pile) == pictures and pile[-1] == pictures[-1] and pile[2:4] == pictures[2:4]
    assert len(Pile()) == 0 and list(Pile()) == []
    assert (
        list(pickle.loads(pickle.dumps(pile))) == pictures
    )  # a summary can be sent to another process
    with pytest.raises(IndexError):
        pile[9]


def test_a_full_disk_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The last gigabyte of a disk is not taken: what finds no room stays in memory, and that is said."""
    monkeypatch.setattr(spill, "SPILL_BYTES", 64)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(0, 0, 1 << 30))
    grown = Rows(100)
    grown.add(filled(40))
    np.testing.assert_array_equal(grown.whole(), filled(40))
    assert not is_spilled(grown.whole()) and not is_spilled(empty((40, 40)))
    assert "stay in memory" in caplog.text and "TMPDIR" in caplog.text


def test_a_disk_that_fills_up_meanwhile_costs_nothing_but_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(spill, "SPILL_BYTES", 64)
    rows, grown = filled(60), Rows()
    grown.add(rows[:20])
    grown.add(rows[20:30])
    write, taken = grown._file.write, [90]

    class Full:
        def __init__(self, file: Any) -> None:
            self.file = file

        def write(self, data: memoryview) -> int:
            if not taken:
                raise OSError(28, "No space left on device")
            return write(data[: taken.pop()])  # a part still fits

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

        def __enter__(self) -> Any:
            return self.file.__enter__()

        def __exit__(self, *error: Any) -> None:
            self.file.__exit__(*error)

    grown._file = Full(grown._file)
    grown.add(rows[30:45])
    grown.add(rows[45:])
    np.testing.assert_array_equal(grown.whole(), rows)
    assert not is_spilled(grown.whole())


HOLD = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a background job
import numpy as np
from videograph import spill
rows = spill.Rows(1 << 20)
rows.add(np.ones((1 << 16, 64), np.float32))
whole = spill.empty((1 << 16, 64))
print("there", flush=True)
time.sleep(60)
"""


@LINUX
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_on_disk_however_a_run_ends(tmp_path: Path, how: signal.Signals) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    run = subprocess.Popen(
        [sys.executable, "-c", HOLD],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    assert run.stdout is not None and run.stdout.readline() == b"there\n"
    held = [
        os.readlink(p)
        for p in Path(f"/proc/{run.pid}/fd").iterdir()
        if p.exists() or p.is_symlink()
    ]
    assert any(str(tmp_path) in name for name in held), "it does lie there"
    assert list(tmp_path.iterdir()) == [], "without a name, even while it runs"
    run.send_signal(how)
    run.wait(10)
    run.stdout.close()
    assert list(tmp_path.iterdir()) == []


@LINUX
def test_what_was_looked_at_is_no_longer_memory() -> None:
    script = """
import numpy as np
from videograph import spill
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
grown, before = spill.Rows(), resident()
for _ in range(64):
    grown.add(np.ones((1 << 14, 64), np.float32))
whole, total = grown.whole(), 0.0
for at in spill.pieces(len(whole), 1 << 13):
    total += whole[at].sum(dtype=np.float64)
assert total == 64 << 20, total
print(resident() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 40 << 20, "of 256 MB"


@pytest.mark.parametrize("large", [64, 1 << 20], ids=["on disk", "in memory"])
def test_what_is_kept_is_read_back_whatever_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: int
) -> None:
    monkeypatch.setattr(packed, "SPILL_BYTES", large)
    monkeypatch.setattr(spill, "SPILL_BYTES", large)
    monkeypatch.setattr(packed, "PIECE_BYTES", 100)
    arrays = {"rows": filled(50).reshape(50, 1, 3), "one": np.array(7), "none": np.empty((0, 4)),
              "half": filled(40).astype(np.float16), "is": filled(9)[:, 0] > 0}  # fmt: skip
    with (tmp_path / "kept.npz").open("xb") as file:
        packed.write_arrays(file, arrays)
    with (tmp_path / "kept.npz").open("rb") as file, np.load(file, allow_pickle=False) as theirs:
        for name, array in arrays.items():
            np.testing.assert_array_equal(theirs[name], array)
    with (tmp_path / "kept.npz").open("rb") as file:
        read = packed.read_arrays(file)
    assert is_spilled(read["rows"]) == (large == 64) and list(read) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)
        assert read[name].dtype == array.dtype
    whole = bytearray((tmp_path / "kept.npz").read_bytes())
    whole[whole.index(arrays["rows"].tobytes()[:24]) + 30] ^= 1
    (tmp_path / "kept.npz").write_bytes(whole)
    with (tmp_path / "kept.npz").open("rb") as file, pytest.raises(zipfile.BadZipFile):
        packed.read_arrays(file)


# -- the same results ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def seen(data: Path) -> VideoFeatures:
    return extract(data / "videos/bikes_6shots.mp4", load_encoder("builtin"), speed="fast").features


def model_of(seen: VideoFeatures, **options: Any) -> VideoGraph:
    torch.manual_seed(0)
    assert seen.object_features is not None
    dims = {
        "object_dim": seen.object_features.shape[-1],
        "n_objects": seen.object_features.shape[1],
    }
    config = ModelConfig(seen.features.shape[1], width=16, **dims, **options)
    return VideoGraph(config).eval()


def agree(ours: Scores, theirs: Scores) -> None:
    np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-5)
    np.testing.assert_allclose(ours.neighbour_weights, theirs.neighbour_weights, atol=1e-5)
    assert ours.object_weights is not None and theirs.object_weights is not None
    np.testing.assert_allclose(ours.object_weights, theirs.object_weights, atol=1e-5)


@pytest.mark.parametrize("edges", ["full", "sparse"])
@pytest.mark.parametrize(
    "options",
    [{}, {"centre_features": True, "time_encoding": "relative"}, {"refine_edges": False}],
    ids=["plain", "centred", "one graph"],
)
def test_a_model_scores_the_same_in_pieces(
    seen: VideoFeatures, edges: str, options: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    model = model_of(seen, temporal_edges=edges, window=8, n_landmarks=6, **options)
    at_once = score_video(seen, model=model)
    request.getfixturevalue("all_spilled")
    agree(score_video(seen, model=model), at_once)


def test_without_training_scores_are_the_same_in_pieces(
    seen: VideoFeatures, request: pytest.FixtureRequest
) -> None:
    at_once = score_video(seen)
    request.getfixturevalue("all_spilled")
    in_pieces = score_video(seen)
    np.testing.assert_allclose(in_pieces.scores, at_once.scores, atol=1e-5)
    assert in_pieces.object_weights is not None and at_once.object_weights is not None
    np.testing.assert_allclose(in_pieces.object_weights, at_once.object_weights, atol=1e-5)


def test_shots_are_the_same_in_pieces(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features = extract(data / "videos/chaplin_bw.mp4", load_encoder("builtin")).features
    at_once = find_shots(features).bounds
    monkeypatch.setattr("videograph.shots._BLOCK", 7)
    monkeypatch.setattr("videograph.shots.ROWS_AT_ONCE", 5)
    np.testing.assert_array_equal(find_shots(features).bounds, at_once)
    assert len(change_steps(features.features, penalty=0.02)) >= len(at_once) - 1


def test_a_whole_summary_is_the_same_on_disk(data: Path, request: pytest.FixtureRequest) -> None:
    path = data / "videos/bikes_6shots.mp4"
    ours = summarize(path, cache=False)
    request.getfixturevalue("all_spilled")
    theirs = summarize(path, cache=False)
    np.testing.assert_allclose(theirs.scores, ours.scores, atol=1e-5)
    assert theirs.spans == ours.spans
    assert list(theirs.keyframe_images) == list(ours.keyframe_images)
    assert [s.reason.text for s in theirs.chosen] == [s.reason.text for s in ours.chosen]
