"""Features computed once: what is found again, what is not, and nothing that stops a summary."""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from videograph import cache as cache_room
from videograph.cache import Cache, extract_cached, objects_cached
from videograph.cli import main
from videograph.config import CacheConfig
from videograph.encoders import Detected, Encoder, load_encoder
from videograph.errors import UsageError, VideographError
from videograph.features import Extraction, extract
from videograph.packed import pack
from videograph.records import Clock, ReadReport, VideoFeatures
from videograph.shots import find_shots


@pytest.fixture(scope="module")
def video(data: Path) -> Path:
    return data / "videos" / "carphone_176x144.mp4"


@pytest.fixture(scope="module")
def seen(video: Path) -> Extraction:
    return extract(video, load_encoder("builtin"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own for the test, named by the environment."""
    monkeypatch.setenv("VIDEOGRAPH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("VIDEOGRAPH_CACHE_SIZE", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def extracted(seen: Extraction, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What had to be computed: the reader is watched, and answers at once."""
    calls: list[tuple[Any, ...]] = []

    def watched(path: Path, encoder: Encoder, **options: Any) -> Extraction:
        calls.append((path, encoder.name, options["speed"], options["steps_per_second"]))
        return seen

    monkeypatch.setattr(cache_room, "extract", watched)
    return calls


def same(a: Extraction, b: Extraction) -> bool:
    """Whether two extractions are equal in every array, type and value."""
    for mine, other in ((a.features, b.features), (a.report.clock, b.report.clock)):
        for field in fields(mine):
            x, y = getattr(mine, field.name), getattr(other, field.name)
            if isinstance(x, np.ndarray):
                if x.dtype != y.dtype or not np.array_equal(x, y):
                    return False
            elif x != y:
                return False
    reports = [replace(e.report, clock=a.report.clock) for e in (a, b)]
    return reports[0] == reports[1] and a.info == b.info and a.thumbnails == b.thumbnails


def only_entry(folder: Path, *, larger_than: int = 1000) -> Path:
    (entry,) = (p for p in folder.glob("*.npz") if p.stat().st_size > larger_than)
    return entry


# -- found again ------------------------------------------------------------------------------------


def test_the_second_time_nothing_is_read_and_all_is_equal(
    video: Path, seen: Extraction, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = load_encoder("builtin")
    told: list[tuple[Any, ...]] = []
    first = extract_cached(video, encoder)
    assert same(first, seen)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr(cache_room, "extract", refuse)
    monkeypatch.setattr(hashlib, "file_digest", refuse)
    second = extract_cached(video, encoder, hook=lambda *told_now: told.append(told_now))
    assert same(second, seen)
    length = float(seen.report.clock.duration)
    assert [(stage, done, total) for stage, done, total, _ in told] == [("read", length, length)]
    assert told[0][3] is second.features
    second.features.features[0] = 0  # writable, as what torch takes without a warning


def test_every_field_of_an_extraction_is_kept() -> None:
    assert [f.name for f in fields(Extraction)] == ["info", "report", "features", "thumbnails"]


def test_the_same_content_elsewhere_is_found_under_its_new_name(
    video: Path, folder: Path, tmp_path: Path, extracted: list[Any]
) -> None:
    copy = tmp_path / "moved.mp4"
    copy.write_bytes(video.read_bytes())
    encoder = load_encoder("builtin")
    extract_cached(video, encoder)
    assert extract_cached(copy, encoder).info.path == copy
    assert len(extracted) == 1


def test_another_encoder_speed_or_rate_is_computed(
    video: Path, folder: Path, extracted: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = load_encoder("builtin")
    other: Any = type("Other", (), {**{n: getattr(encoder, n) for n in
        ("dim", "object_dim", "n_objects", "frame_side")}, "name": "other-1"})()  # fmt: skip
    larger: Any = type("Larger", (), {**{n: getattr(encoder, n) for n in
        ("dim", "object_dim", "n_objects", "name")}, "frame_side": 512})()  # fmt: skip
    for _ in range(2):
        extract_cached(video, encoder)
        extract_cached(video, other)
        extract_cached(video, larger)
        extract_cached(video, encoder, speed="fast")
        extract_cached(video, encoder, steps_per_second=Fraction(1))
    assert len(extracted) == 5
    monkeypatch.setattr(cache_room, "FORMAT", 99)
    extract_cached(video, encoder)
    assert len(extracted) == 6


def test_without_use_nothing_is_looked_up_or_kept(
    video: Path, folder: Path, extracted: list[Any]
) -> None:
    for _ in range(2):
        extract_cached(video, load_encoder("builtin"), use=False)
    assert len(extracted) == 2
    assert not folder.exists()


def test_a_changed_file_is_seen_under_its_old_size_and_time(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_room, "RACY_SECONDS", -1)  # so that fresh files are remembered
    file = tmp_path / "film"
    file.write_bytes(b"a" * 1000)
    cache, before = Cache(), file.stat()
    first = cache.content(file)
    assert first == hashlib.blake2b(b"a" * 1000).hexdigest()
    assert cache.usage().n_entries == 1
    time.sleep(0.02)
    file.write_bytes(b"b" * 1000)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert cache.content(file) == hashlib.blake2b(b"b" * 1000).hexdigest()


def test_a_file_that_may_still_be_changing_is_read_every_time(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "film"
    file.write_bytes(b"a")
    Cache().content(file)
    assert Cache().usage().n_entries == 0


def test_a_video_that_changes_while_it_is_read_is_not_kept(
    video: Path, seen: Extraction, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "growing.mp4"
    file.write_bytes(video.read_bytes())

    def grows(path: Path, *_: object, **__: object) -> Extraction:
        with Path(path).open("ab") as growing:
            growing.write(b"more")
        return seen

    monkeypatch.setattr(cache_room, "extract", grows)
    extract_cached(file, load_encoder("builtin"))
    assert Cache().usage().n_entries == 0


def test_an_unreadable_video_fails_as_without_a_cache(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    for name, sentence in (("text.mp4", "is not a video"), ("none.mp4", "there is no file")):
        with pytest.raises(VideographError, match=sentence):
            extract_cached(tmp_path / name, load_encoder("builtin"))


@pytest.mark.parametrize("room", ["features.py", "video/__init__.py", "packed.py"])
def test_other_code_finds_nothing_that_this_code_made(
    room: str, video: Path, folder: Path, extracted: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    extract_cached(video, load_encoder("builtin"))
    read = Path.read_text

    def edited(path: Path, *arguments: Any, **options: Any) -> str:
        more = "\n# edited" if path.as_posix().endswith(f"videograph/{room}") else ""
        return read(path, *arguments, **options) + more

    monkeypatch.setattr(Path, "read_text", edited)
    cache_room.code_of.cache_clear()
    extract_cached(video, load_encoder("builtin"))
    monkeypatch.undo()
    cache_room.code_of.cache_clear()
    assert len(extracted) == 2


@dataclass(frozen=True)
class Wanted:
    threshold: float


class Finder:
    """Finds a thing in the middle of every frame, as surely as it was told to be."""

    name, names, n_objects, frame_side = "finder-1", ("none", "thing"), 2, 64
    looked = 0

    def __init__(self, threshold: float) -> None:
        self._wanted = Wanted(threshold)

    def detect(self, images: np.ndarray) -> Detected:
        Finder.looked += len(images)
        mask = np.tile([True, False], (len(images), 1))
        boxes = mask[..., None] * np.array([0.25, 0.25, 0.75, 0.75], np.float32)
        scores = mask * np.float32(self._wanted.threshold)
        return Detected(boxes.astype(np.float32), mask, scores, mask.astype(np.int8))


def test_objects_are_looked_for_once(
    video: Path, seen: Extraction, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, shots, told = load_encoder("builtin"), find_shots(seen.features), []
    monkeypatch.setattr(Finder, "looked", 0)
    first = objects_cached(seen, shots, Finder(0.5), encoder)
    n_looked = Finder.looked
    assert n_looked > 0
    assert first.features.object_names == ("none", "thing")
    again = objects_cached(seen, shots, Finder(0.5), encoder, hook=lambda *a: told.append(a[:3]))
    assert same(again, first)
    assert Finder.looked == n_looked
    assert told == [("objects", seen.features.n_steps, seen.features.n_steps)]
    objects_cached(seen, shots, Finder(0.9), encoder)
    assert Finder.looked == 2 * n_looked
    objects_cached(seen, shots, Finder(0.9), encoder, every=3)
    assert Finder.looked == 2 * n_looked + -(-seen.features.n_steps // 3)
    n_looked = Finder.looked
    objects_cached(seen, shots, Finder(0.5), encoder, use=False)
    assert Finder.looked > n_looked


# -- damaged, killed, crowded ------------------------------------------------------------------------


def _cut(share: float) -> Any:
    return lambda raw: raw[: int(len(raw) * share)]


def _flip(place: Callable[[bytes], int]) -> Any:
    def flip(raw: bytes) -> bytes:
        changed = bytearray(raw)
        changed[place(raw)] ^= 0xFF
        return bytes(changed)

    return flip


DAMAGES = {
    **{f"cut at {share}": _cut(share) for share in (0, 0.001, 0.3, 0.7, 0.99, 0.9999)},
    **{f"flipped at {share}": _flip(lambda raw, share=share: int(len(raw) * share))
       for share in (0.05, 0.2, 0.5, 0.8)},
    "flipped in the first header": _flip(lambda raw: 0),
    "flipped in the directory": _flip(lambda raw: raw.rindex(b"PK\1\2")),
    "flipped in the last record": _flip(lambda raw: raw.rindex(b"PK\5\6")),
    "something else": lambda raw: b"\x93NUMPY" + raw[:100],
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_computed_again(
    damage: str, video: Path, seen: Extraction, folder: Path, extracted: list[Any],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    encoder = load_encoder("builtin")
    extract_cached(video, encoder)
    entry = only_entry(folder)
    entry.write_bytes(DAMAGES[damage](entry.read_bytes()))
    with caplog.at_level(logging.INFO):
        assert same(extract_cached(video, encoder), seen)
    assert len(extracted) == 2
    assert "damaged entry of the cache removed" in caplog.text
    assert same(extract_cached(video, encoder), seen)
    assert len(extracted) == 2


def test_an_entry_that_lacks_an_array_is_computed_again(
    video: Path, seen: Extraction, folder: Path, extracted: list[Any]
) -> None:
    encoder = load_encoder("builtin")
    extract_cached(video, encoder)
    entry = only_entry(folder)
    arrays = pack(seen)
    del arrays["picks"]
    np.savez(entry, **arrays)  # pyright: ignore[reportArgumentType]
    assert same(extract_cached(video, encoder), seen)
    assert len(extracted) == 2


def test_many_puts_stay_within_the_bound_and_the_least_recently_used_go(tmp_path: Path) -> None:
    cache = Cache(CacheConfig(str(tmp_path), 1_000_000))
    rng = np.random.default_rng(0)
    for number in range(60):
        assert cache.put(f"key {number}", {"x": rng.random(int(rng.integers(1, 20_000)))})
        used = cache.get("key 0")
        assert used is not None  # asked for every time, so it stays
        usage = cache.usage()
        assert usage.n_bytes <= usage.max_bytes
        assert sum(p.stat().st_size for p in tmp_path.iterdir()) <= usage.max_bytes
        at = 1_000_000_000 * (number + 1)  # ages in order, whatever the file system rounds to
        for path in tmp_path.iterdir():
            if path.stat().st_mtime > 1e6:
                os.utime(path, ns=(at, at))
    assert cache.get("key 1") is None
    assert cache.get("key 59") is not None


def test_an_entry_that_would_drive_out_all_others_is_not_kept(tmp_path: Path) -> None:
    cache = Cache(CacheConfig(str(tmp_path), 1_000_000))
    assert cache.put("small", {"x": np.zeros(1000)})
    assert not cache.put("large", {"x": np.zeros(100_000)})
    assert cache.get("small") is not None


def run_python(code: str, *arguments: object, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )  # fmt: skip


CROWD = """
import sys, time, numpy as np
from videograph.cache import Cache
from videograph.config import CacheConfig
seed = int(sys.argv[2])
cache, rng = Cache(CacheConfig(sys.argv[1], 400_000)), np.random.default_rng(seed)
end, hits = time.time() + 2, 0
while time.time() < end:
    key = int(rng.integers(12))
    if rng.random() < 0.4:
        cache.put(f"{key}", {"x": np.full(10_000, key), "y": np.full(50, key)})
    elif rng.random() < 0.01:
        cache.clear()
    elif (kept := cache.get(f"{key}")) is not None:
        assert len(kept["x"]) == 10_000 and (kept["x"] == key).all() and (kept["y"] == key).all()
        hits += 1
print(hits)
"""


def test_processes_that_read_write_and_make_room_at_once_see_whole_entries(tmp_path: Path) -> None:
    crowd = [run_python(CROWD, tmp_path, seed) for seed in range(3)]
    for process in crowd:
        shown, wrong = process.communicate(timeout=60)
        assert process.returncode == 0, wrong
        assert int(shown) > 10
    assert not [p for p in tmp_path.iterdir() if p.suffix == ".part"]


EXTRACTOR = """
import hashlib, sys
from videograph.cache import extract_cached
from videograph.encoders import load_encoder
from videograph.packed import pack
arrays = pack(extract_cached(sys.argv[1], load_encoder("builtin")))
print(hashlib.sha256(b"".join(arrays[n].tobytes() for n in sorted(arrays))).hexdigest())
print([m for m in ("torch", "h5py", "transformers") if m in sys.modules])
"""


def test_two_processes_extract_one_video_at_once(
    video: Path, seen: Extraction, folder: Path
) -> None:
    pair = [run_python(EXTRACTOR, video) for _ in range(2)]
    arrays = pack(seen)
    digest = hashlib.sha256(b"".join(arrays[n].tobytes() for n in sorted(arrays))).hexdigest()
    for process in pair:
        shown, wrong = process.communicate(timeout=60)
        assert process.returncode == 0, wrong
        assert shown.split("\n")[:2] == [digest, "[]"]
    assert {p.suffix for p in folder.iterdir()} == {".npz"}


KILLED = """
import os, signal, sys, numpy as np, videograph.cache as room
from videograph.config import CacheConfig
cache = room.Cache(CacheConfig(sys.argv[1], 10_000_000))
cache.put("a", {"x": np.arange(1000)})
def half(file, arrays):
    file.write(b"PK" * 1000); file.flush(); os.kill(os.getpid(), signal.SIGKILL)
room.write_arrays = half
cache.put("a", {"x": np.arange(5)})
"""


def test_a_writer_that_is_killed_leaves_the_old_entry_and_is_swept_up(tmp_path: Path) -> None:
    process = run_python(KILLED, tmp_path)
    process.communicate(timeout=60)
    assert process.returncode == -9
    (part,) = tmp_path.glob(".*.part")
    cache = Cache(CacheConfig(str(tmp_path), 10_000_000))
    kept = cache.get("a")
    assert kept is not None
    assert len(kept["x"]) == 1000
    cache.put("b", {"x": np.arange(5)})
    assert part.exists()  # somebody may still be writing it
    long_ago = time.time() - 2 * cache_room.STALE_SECONDS
    os.utime(part, (long_ago, long_ago))
    cache.put("c", {"x": np.arange(5)})
    assert not part.exists()


FULL = """
import resource, sys
from videograph.cache import Cache, extract_cached
from videograph.encoders import load_encoder
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
print(extract_cached(sys.argv[1], load_encoder("builtin")).features.n_steps)
print(Cache().usage().n_entries)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files there")
def test_a_full_disk_stops_no_summary(video: Path, seen: Extraction, folder: Path) -> None:
    shown, wrong = run_python(FULL, video).communicate(timeout=60)
    assert (shown.split(), wrong) == ([str(seen.features.n_steps), "1"], "")  # 1: the small one
    assert not list(folder.glob(".*.part"))


@pytest.mark.parametrize("place", ["{tmp}/file", "{tmp}/file/below", "/proc/1/none", "/dev/null"])
def test_a_place_that_cannot_be_used_stops_no_summary(
    place: str, video: Path, seen: Extraction, tmp_path: Path, extracted: list[Any]
) -> None:
    (tmp_path / "file").write_text("taken")
    where = place.format(tmp=tmp_path)
    for _ in range(2):
        assert same(extract_cached(video, load_encoder("builtin"), folder=where), seen)
    assert len(extracted) == 2
    assert (tmp_path / "file").read_text() == "taken"


@pytest.mark.skipif(sys.platform == "win32", reason="homes are found another way there")
def test_a_missing_home_means_no_cache(
    video: Path, seen: Extraction, extracted: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import pwd

    def nobody(_: int) -> None:
        raise KeyError

    for name in ("HOME", "XDG_CACHE_HOME", "VIDEOGRAPH_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    assert Cache().folder is None
    assert same(extract_cached(video, load_encoder("builtin")), seen)
    assert len(extracted) == 1


# -- how fast, how large, where ----------------------------------------------------------------------


def ten_minutes(seen: Extraction) -> Extraction:
    """An extraction as of 10 minutes at 30 frames a second, with random features and 512 thumbnails."""
    rng, n = np.random.default_rng(0), 1200
    clock = Clock(np.arange(18_000, dtype=np.int64), 18_000, Fraction(1, 30))
    picks = np.arange(n, dtype=np.int64) * 15
    features = VideoFeatures(
        features=rng.random((n, 768), dtype=np.float32),
        picks=picks,
        seconds=clock.seconds_of(picks),
        n_frames=clock.n_frames,
        encoder="random-1",
        object_features=rng.random((n, 8, 256), dtype=np.float32),
        object_mask=np.ones((n, 8), bool),
        object_boxes=rng.random((n, 8, 4), dtype=np.float32),
        object_kinds=np.ones((n, 8), np.int8),
        contrast=rng.random(n, dtype=np.float32),
        cut_frames=picks,
    )
    thumbnails = {2 * step: b"\xff\xd8" + rng.bytes(7000) for step in range(512)}
    report = ReadReport(clock, 0, Fraction(0), "exact frames")
    return Extraction(seen.info, report, features, thumbnails)


def test_ten_minutes_are_there_in_an_instant(
    seen: Extraction, video: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = ten_minutes(seen)
    monkeypatch.setattr(cache_room, "extract", lambda *_, **__: long)
    encoder = load_encoder("builtin")
    extract_cached(video, encoder)
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        kept = extract_cached(video, encoder)
        taken.append(time.perf_counter() - start)
    assert same(kept, long)
    assert min(taken) < 0.3


@pytest.mark.parametrize(
    ("size", "n_bytes"),
    [("4GB", 4 * 10**9), ("500 MB", 5 * 10**8), ("2GiB", 1 << 31), ("1.5k", 1500), ("77", 77)],
)
def test_sizes(size: str, n_bytes: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEOGRAPH_CACHE_SIZE", size)
    assert CacheConfig.from_environment() == CacheConfig(str(folder), n_bytes)


@pytest.mark.parametrize("size", ["lots", "-1", "4 GX", "iB"])
def test_sizes_fail(size: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEOGRAPH_CACHE_SIZE", size)
    with pytest.raises(UsageError, match="Allowed: a size like 4GB, 500MB or 2GiB; 0 for none"):
        Cache()


@pytest.mark.parametrize("switch", ["VIDEOGRAPH_CACHE=off", "VIDEOGRAPH_CACHE_SIZE=0"])
def test_off(
    switch: str, folder: Path, video: Path, extracted: list[Any],
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv(*switch.split("="))
    assert not Cache().put("key", {"x": np.arange(3)})
    assert Cache().get("key") is None
    extract_cached(video, load_encoder("builtin"))
    assert not folder.exists()
    assert run("cache") == 0
    assert "off: nothing is kept" in capfd.readouterr().out


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    return int(stop.value.code or 0)


def test_the_command_tells_and_clears_what_is_ours(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("cache") == 0
    assert "0 entries, 0.0 MB of at most 4.29 GB" in capfd.readouterr().out
    Cache().put("key", {"x": np.zeros(500_000)})
    (folder / "notes.txt").write_text("not ours")
    (folder / "mine.npz").write_text("not ours")
    assert run("cache") == 0
    shown = capfd.readouterr().out
    assert str(folder) in shown
    assert "1 entries, 4.0 MB" in shown
    assert run("cache", "--clear") == 0
    assert "removed  1 entries, 4.0 MB" in capfd.readouterr().out
    assert sorted(p.name for p in folder.iterdir()) == ["mine.npz", "notes.txt"]
