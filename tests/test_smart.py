"""The joined skim: whole groups of pictures copied bit for bit, edges encoded anew, nothing else seen."""

from __future__ import annotations

import functools
import http.server
import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from measure_sync import offsets
from test_skim import browser, durations, summary_of  # noqa: F401 (a fixture)

from videograph.exporters import _h264, _smart, export
from videograph.exporters._spans import pieces_of
from videograph.records import Summary
from videograph.sample import draw_sample

WIDTH, HEIGHT, N_FRAMES = 176, 96, 150
SPANS = [(7, 52), (61, 64), (70, 133), (140, 150)]
KEYS = {"keyint": "24", "min-keyint": "24", "scenecut": "0"}


def draw(path: Path, *, rate: int = 25, options: dict[str, str] | None = None, **x264: str) -> None:
    """Frames that show their own number in eight bright or dark fields, over moving noise."""
    noise = np.random.default_rng(0).integers(90, 160, (HEIGHT, WIDTH + N_FRAMES), np.uint8)
    params = ":".join(f"{k}={v}" for k, v in (KEYS | x264).items())
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"preset": "medium", "x264-params": params} | (options or {})
        for number in range(N_FRAMES):
            luma = noise[:, number : number + WIDTH].copy()
            for bit in range(8):
                luma[32:64, bit * 22 : bit * 22 + 22] = 235 if number >> bit & 1 else 16
            frame = av.VideoFrame.from_ndarray(luma, format="gray").reformat(format="yuv420p")
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def shown(luma: np.ndarray) -> int:
    """The number that a frame shows."""
    return sum(
        int(luma[40:56, bit * 22 + 6 : bit * 22 + 16].mean() > 125) << bit for bit in range(8)
    )


def decoded(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray() for frame in container.decode(video=0)]


def numbers(path: Path) -> list[int]:
    return [shown(picture[:HEIGHT]) for picture in decoded(path)]


def plan_of(summary: Summary) -> _smart.Plan:
    return _smart.plan(summary, pieces_of(summary.spans))


CHOSEN = [k for a, b in SPANS for k in range(a, b)]
STREAMS: dict[str, tuple[str, dict[str, str], dict[str, str]]] = {
    "b-pyramid": (".mp4", {}, {"bframes": "5", "b-pyramid": "normal", "b-adapt": "0"}),
    "no b-frames": (".mp4", {}, {"bframes": "0"}),
    "baseline": (".mp4", {"profile": "baseline"}, {}),
    "main": (".mp4", {"profile": "main"}, {"ref": "5"}),
    "slices": (".mp4", {}, {"slices": "4"}),
    "matroska": (".mkv", {}, {}),
    "transport stream": (".ts", {}, {}),
    "scaled matrices": (".mp4", {}, {"cqm": "jvt"}),
    "sets in number 1": (".mp4", {}, {"sps-id": "1"}),
}


@pytest.mark.parametrize("name", STREAMS)
def test_frames_are_those_chosen_and_copied_ones_are_the_files(name: str, tmp_path: Path) -> None:
    suffix, options, x264 = STREAMS[name]
    clip = tmp_path / f"clip{suffix}"
    draw(clip, options=options, **x264)
    summary = summary_of(clip, lambda _: SPANS)
    plan = plan_of(summary)
    assert plan.copied_seconds > 2.4  # of 4.8; groups begin at 24, 48, 72, ...
    assert export(summary, tmp_path / "skim.mp4") == []
    assert numbers(tmp_path / "skim.mp4") == CHOSEN
    source, skim = decoded(clip), decoded(tmp_path / "skim.mp4")
    same = [np.array_equal(source[k], mine) for k, mine in zip(CHOSEN, skim, strict=True)]
    assert sum(same) >= plan.copied_seconds * 25
    edges = [i for i, equal in enumerate(same) if not equal]
    assert edges and all(_psnr(source[CHOSEN[i]], skim[i]) > 34 for i in edges)
    assert durations(tmp_path / "skim.mp4")["video"] == pytest.approx(len(CHOSEN) / 25, abs=1e-3)


def _psnr(a: np.ndarray, b: np.ndarray) -> float:
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2))


def test_pictures_are_copied_bit_for_bit(tmp_path: Path) -> None:
    draw(tmp_path / "clip.mp4")
    export(summary_of(tmp_path / "clip.mp4", lambda _: SPANS), tmp_path / "skim.mp4")
    plan = plan_of(summary_of(tmp_path / "clip.mp4", lambda _: SPANS))
    wanted = {stamp for parts in plan.parts for part in parts for stamp in part.stamps}
    there = set(_slices(tmp_path / "skim.mp4").values())
    assert {s for pts, s in _slices(tmp_path / "clip.mp4").items() if pts in wanted} <= there


def _slices(path: Path) -> dict[int, bytes]:
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size and p.pts is not None]
        return {
            p.pts: b"".join(u for u in _h264.units(bytes(p), 4) if _h264.kind(u) in (1, 5))
            for p in packets
        }


def test_times_rise_and_every_cut_can_be_jumped_to(tmp_path: Path) -> None:
    draw(tmp_path / "clip.mp4", bframes="5")
    export(summary_of(tmp_path / "clip.mp4", lambda _: SPANS), tmp_path / "skim.mp4")
    with av.open(str(tmp_path / "skim.mp4")) as container:
        stream = container.streams.video[0]
        packets = [p for p in container.demux(stream) if p.size]
        stamps = [(p.dts, p.pts) for p in packets]
        assert all(a[0] < b[0] for a, b in itertools.pairwise(stamps))
        assert all(dts <= pts for dts, pts in stamps)
        for position in range(len(CHOSEN)):
            container.seek(int(position / 25 / stream.time_base), stream=stream)
            at = (f for f in container.decode(stream) if f.time >= position / 25 - 1e-3)
            assert shown(next(at).to_ndarray()[:HEIGHT]) == CHOSEN[position]


@pytest.mark.parametrize(
    ("x264", "options", "why"),
    [
        ({"tff": "1", "interlaced": "1"}, {}, "interlaced"),
        ({"keyint": "infinite"}, {}, "no whole group"),
    ],
)
def test_what_cannot_be_joined_is_encoded_anew(
    tmp_path: Path, x264: dict[str, str], options: dict[str, str], why: str
) -> None:
    draw(tmp_path / "clip.mp4", options=options, **x264)
    summary = summary_of(tmp_path / "clip.mp4", lambda _: SPANS)
    with pytest.raises(_smart.Unfit, match=why):
        plan_of(summary)
    assert export(summary, tmp_path / "skim.mp4") == []
    assert numbers(tmp_path / "skim.mp4") == CHOSEN


def test_an_open_group_is_no_place_to_begin(tmp_path: Path) -> None:
    """With open groups only the first picture of a file is one that a decoder can begin at."""
    draw(tmp_path / "clip.mp4", **{"open-gop": "1", "bframes": "3"})
    summary = summary_of(tmp_path / "clip.mp4", lambda _: [(0, 40), (60, 130)])
    parts = plan_of(summary).parts
    assert parts[0][0].stamps and not any(p.stamps for p in parts[1])
    export(summary, tmp_path / "skim.mp4")
    assert numbers(tmp_path / "skim.mp4") == [*range(40), *range(60, 130)]


def test_a_file_of_two_encodings_is_encoded_anew(tmp_path: Path) -> None:
    """Two streams glued together, as some cameras do: the second one's sets are not in the header."""
    draw(tmp_path / "one.h264", ref="1")
    draw(tmp_path / "two.h264", ref="4")
    raw = b"".join((tmp_path / f"{n}.h264").read_bytes() for n in ("one", "two"))
    (tmp_path / "both.h264").write_bytes(raw)
    with (
        av.open(str(tmp_path / "both.h264")) as source,
        av.open(str(tmp_path / "b.ts"), "w") as out,
    ):
        stream: Any = out.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(p for p in source.demux(video=0) if p.size):
            packet.pts = packet.dts = number * 3600
            packet.stream = stream
            out.mux(packet)
    summary = summary_of(tmp_path / "b.ts", lambda clock: [(10, clock.n_frames - 10)])
    with pytest.raises(_smart.Unfit, match="parameter sets that change"):
        plan_of(summary)


def test_sound_stays_in_step_where_pictures_are_copied(tmp_path: Path) -> None:
    draw_sample(tmp_path / "sample.mp4", n_scenes=4, seconds=20)
    summary = summary_of(
        tmp_path / "sample.mp4",
        lambda clock: [
            (k, min(k + 90, clock.n_frames)) for k in range(5, clock.n_frames - 20, 110)
        ],
    )
    assert plan_of(summary).copied_seconds > 0
    export(summary, tmp_path / "skim.mp4")
    found = offsets(tmp_path / "skim.mp4")
    assert len(found) > 10 and max(map(abs, found)) < 0.002


def test_real_films(data: Path, tmp_path: Path) -> None:
    path = data / "videos" / "sintel_trailer_480p.mp4"
    summary = summary_of(path, lambda _: [(200, 330), (500, 620)])
    assert plan_of(summary).copied_seconds > 1
    export(summary, tmp_path / "skim.mp4")
    skim = decoded(tmp_path / "skim.mp4")
    wanted = {*range(200, 330), *range(500, 620)}
    with av.open(str(path)) as container:
        frames = enumerate(container.decode(video=0))
        source = [f.to_ndarray() for k, f in frames if k in wanted]
    assert len(skim) == len(source)
    assert all(np.array_equal(a, b) or _psnr(a, b) > 36 for a, b in zip(skim, source, strict=True))


def test_parameter_sets_that_end_early_fail() -> None:
    for broken in (b"\x67\x64", b"\x67\x64\x00\x1f\x00"):
        with pytest.raises(_h264.Unreadable, match="ends early"):
            _h264.sequence(broken)
    with pytest.raises(_h264.Unreadable, match="ends early"):
        _h264.stored_sets(b"\1\x64\0\x1f\xff\xe1\0")
    with pytest.raises(_h264.Unreadable, match="ends early"):
        _h264.units(b"\0\0\0\x20\x65", 4)


def _parameters(number: int) -> bytes:
    """The head of a picture parameter set of that number."""
    code = f"{number + 1:b}"
    bits = "0" * (len(code) - 1) + code + "1"
    return b"\x68" + int(bits.ljust(16, "0"), 2).to_bytes(2, "big")


def test_a_stream_that_uses_every_number_is_encoded_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(tmp_path / "clip.mp4")
    stored = _h264.stored_sets

    def crowded(extradata: bytes) -> tuple[int, list[bytes]]:
        size, sets = stored(extradata)
        return size, [*sets, *map(_parameters, range(1, 32))]

    monkeypatch.setattr(_h264, "stored_sets", crowded)
    summary = summary_of(tmp_path / "clip.mp4", lambda _: SPANS)
    with pytest.raises(_smart.Unfit, match="under every number"):
        plan_of(summary)
    export(summary, tmp_path / "skim.mp4")
    assert numbers(tmp_path / "skim.mp4") == CHOSEN


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The folder over HTTP with ranges refused: a page may look at pictures of its own site only."""
    handler = functools.partial(_Quiet, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


LOOK = """async (times) => {
    const blob = await (await fetch('skim.mp4')).blob();
    const video = document.createElement('video');
    const failed = new Promise((_, reject) => {
        video.onerror = () => reject(new Error(video.error.message));
    });
    video.src = URL.createObjectURL(blob);
    await Promise.race([new Promise(done => video.onloadeddata = done), failed]);
    const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
    const pen = canvas.getContext('2d', {willReadFrequently: true});
    const look = () => {
        pen.drawImage(video, 0, 0);
        let number = 0;
        for (let bit = 0; bit < 8; bit++) {
            const field = pen.getImageData(bit * 22 + 6, 40, 10, 16).data;
            let sum = 0;
            for (let i = 0; i < field.length; i += 4) sum += field[i + 1];
            if (sum / (field.length / 4) > 125) number |= 1 << bit;
        }
        return number;
    };
    const found = [];
    for (const time of times) {
        const there = new Promise(done => video.onseeked = done);
        video.currentTime = time;
        await Promise.race([there, failed]);
        // A busy machine may still show the picture before, which no two places here share: look again.
        let number = look();
        for (let i = 0; i < 200 && number === found.at(-1); i++) {
            await new Promise(done => setTimeout(done, 20));
            number = look();
        }
        found.push(number);
    }
    return found;
}"""


@pytest.mark.browser
def test_a_browser_shows_the_same_frames(browser: Any, served: str, tmp_path: Path) -> None:  # noqa: F811
    draw(tmp_path / "clip.mp4", bframes="3")
    export(summary_of(tmp_path / "clip.mp4", lambda _: SPANS), tmp_path / "skim.mp4")
    (tmp_path / "page.html").write_text("<!doctype html>")
    positions = [*range(0, len(CHOSEN), 3), len(CHOSEN) - 1]
    page = browser.new_page()
    page.goto(f"{served}/page.html")
    found = page.evaluate(LOOK, [(k + 0.5) / 25 for k in positions])
    page.close()
    assert found == [CHOSEN[k] for k in positions]
