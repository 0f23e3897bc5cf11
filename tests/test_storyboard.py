from __future__ import annotations

import base64
import dataclasses
import html
import io
import json
import re
import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from conftest import skip_or_fail
from PIL import Image

from videograph.exporters import _curve, export, export_all, to_html
from videograph.records import (
    ChosenShot,
    Clock,
    Neighbour,
    ReadReport,
    Reason,
    SeenObject,
    Shots,
    Summary,
    VideoInfo,
)

# ---- a summary of a real clip, made by hand: this file is about the page, not about the choice ----


def jpeg(image: Image.Image, width: int) -> bytes:
    out = io.BytesIO()
    image.resize((width, round(image.height * width / image.width))).save(out, "JPEG", quality=85)
    return out.getvalue()


def read(video: Path) -> tuple[VideoInfo, Clock, np.ndarray, list[Image.Image]]:
    """The file, its clock, and two frames a second: their indices and pictures."""
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        base = stream.time_base or Fraction(1, 1000)
        pts, picks, pictures = [], [], []
        for i, frame in enumerate(container.decode(stream)):
            pts.append(frame.pts or 0)
            if (pts[-1] - pts[0]) * base * 2 >= len(picks):
                picks.append(i)
                pictures.append(frame.to_image())
        info = VideoInfo(
            video, container.format.name, stream.codec_context.name, "yuv420p", stream.width,
            stream.height, 0, stream.average_rate, base, pts[0] * base, None, stream.frames,
            stream.index, None,
        )  # fmt: skip
    ticks = np.array(pts) - pts[0]
    clock = Clock(ticks, int(ticks[-1] + np.median(np.diff(ticks))), base)
    return info, clock, np.array(picks), pictures


def story(video: Path, n_chosen: int = 3, **changes: Any) -> Summary:
    """Shots cut where the picture changes most; every other one chosen."""
    info, clock, picks, pictures = read(video)
    small = np.stack([np.asarray(p.resize((32, 18)), dtype=np.float32).ravel() for p in pictures])
    change = np.abs(np.diff(small, axis=0)).mean(axis=1)
    cuts = np.sort(np.argsort(change)[-2 * n_chosen :]) + 1
    edges = np.unique([0, *picks[cuts], clock.n_frames])
    shots = Shots(np.stack([edges[:-1], edges[1:]], axis=1))
    scores = np.convolve(np.append(change, change[-1]), np.ones(5) / 5, mode="same")
    scores = (0.15 + 0.8 * scores / scores.max()).astype(np.float32)
    in_shot = [(picks >= a) & (picks < b) for a, b in shots.bounds]
    shot_scores = np.array([float(scores[m].mean()) if m.any() else 0.1 for m in in_shot])
    distance = np.abs(small[:, None] - small[None]).mean(axis=2)
    numbers = sorted(np.argsort(-shot_scores)[:n_chosen].tolist())
    rank = {int(n): i + 1 for i, n in enumerate(np.argsort(-shot_scores))}
    chosen, images = [], []
    for n in numbers:
        steps = np.flatnonzero(in_shot[n])
        step = int(steps[np.argmax(scores[steps])])
        ties = [int(t) for t in np.argsort(distance[step]) if abs(t - step) > 1][:5]
        weights = np.exp(-distance[step, ties] / 20)
        reason = Reason(
            f"It stands out against its surroundings and speaks for {len(ties)} like moments.",
            rank[n],
            float(len(steps) * 1.7),
            tuple(
                Neighbour(t, clock.seconds(int(picks[t])), float(w))
                for t, w in zip(ties, weights / weights.sum() * 0.4, strict=True)
            ),
            (
                SeenObject("moving", (0.3, 0.2, 0.62, 0.85), 0.46),
                SeenObject("salient", (0.05, 0.1, 0.25, 0.5), 0.21),
                SeenObject("grid", (0.66, 0.33, 1.0, 0.66), 0.05),
            ),
        )
        a, b = (int(f) for f in shots.bounds[n])
        chosen.append(
            ChosenShot(
                n, a, b, clock.seconds(a), clock.seconds(b), float(shot_scores[n]),
                int(picks[step]), step, clock.seconds(int(picks[step])), reason,
            )
        )  # fmt: skip
        images.append(jpeg(pictures[step], min(1920, pictures[step].width)))
    summary = Summary(
        info=info,
        report=ReadReport(clock, 0, Fraction(0), "nearest reference frames"),
        shots=shots,
        shot_scores=shot_scores,
        picks=picks,
        seconds=clock.seconds_of(picks),
        scores=scores,
        chosen=tuple(chosen),
        budget="15%",
        budget_seconds=clock.duration * Fraction(15, 100),
        speed="balanced",
        seed=0,
        encoder="builtin-1",
        form="training-free",
        active={"objects": True, "n_recursions": 2},
        versions={"videograph": "0.1.0", "torch": "2.13.0"},
        keyframe_images=tuple(images),
        thumbnails={i: jpeg(p, 160) for i, p in enumerate(pictures)},
    )
    return dataclasses.replace(summary, **changes)


@pytest.fixture(scope="module")
def bikes(data: Path) -> Summary:
    return story(data / "videos/bikes_6shots.mp4")


def page(summary: Summary, folder: Path) -> str:
    assert export(summary, folder / "storyboard.html", force=True) == []
    return (folder / "storyboard.html").read_text("utf-8")


def embedded(text: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert found is not None
    return json.loads(found[1])


# ---- the file ----


def test_page_loads_nothing_but_the_video(bikes: Summary, tmp_path: Path) -> None:
    text = page(bikes, tmp_path)
    loads = re.findall(r'\b(?:src|href|poster)="([^"]*)"|url\(([^)]*)\)|@import', text)
    outside = {a or b for a, b in loads if not (a or b).startswith(("data:", "#"))}
    assert outside == {to_html.video_url(bikes.info.path, tmp_path)}
    assert not re.search(r"\b(https?:|//)[a-z0-9.-]+\.[a-z]{2,}", re.sub(r"www\.w3\.org", "", text))


def test_page_says_what_is_in_the_summary(bikes: Summary, tmp_path: Path) -> None:
    text = page(dataclasses.replace(bikes, warnings=("The file ends early.",)), tmp_path)
    shown = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())
    assert f"{len(bikes.chosen)} of {bikes.shots.n_shots} shots · budget 15%" in shown
    assert "Worth knowing The file ends early." in shown
    assert text.count('<li class="card') == len(bikes.chosen)
    for shot in bikes.chosen:
        assert shot.reason.text in shown
        assert f"rank {shot.reason.rank}" in shown
    for said in ("builtin-1", "training-free", "recursions 2", "torch 2.13.0", "nearest reference"):
        assert said in shown


def test_times_are_those_of_the_summary(bikes: Summary, tmp_path: Path) -> None:
    data = embedded(page(bikes, tmp_path))
    expected = [(float(s.start_seconds), float(s.end_seconds)) for s in bikes.chosen]
    assert np.allclose(data["chosen"], expected, atol=1e-4)
    assert np.allclose(data["spans"], np.array(bikes.spans, dtype=float), atol=1e-4)
    assert data["duration"] == pytest.approx(float(bikes.duration_seconds), abs=1e-3)
    assert len(data["shots"]) == bikes.shots.n_shots


HOSTILE = (
    "</script><script>document.title='caught'</script>"
    "<img src=x onerror=\"document.title='caught'\">\"'&{{ 7*7 }}"
)


def hostile(summary: Summary) -> Summary:
    """Somebody else's words in every place that takes words."""
    first = summary.chosen[0]
    seen = SeenObject(HOSTILE, (0.1, 0.1, 0.5, 0.5), 1.0)
    reason = dataclasses.replace(first.reason, text=HOSTILE, objects=(seen,))
    return dataclasses.replace(
        summary,
        info=dataclasses.replace(summary.info, title=HOSTILE, codec=HOSTILE),
        chosen=(dataclasses.replace(first, reason=reason), *summary.chosen[1:]),
        warnings=(HOSTILE,),
        budget=HOSTILE,
        form=HOSTILE,
        versions={HOSTILE: HOSTILE},
    )


def test_words_from_outside_stay_words(bikes: Summary, tmp_path: Path) -> None:
    text = page(hostile(bikes), tmp_path)
    assert "<script>document" not in text
    assert "<img src=x" not in text
    assert text.count("</script>") == 2
    assert "49" not in re.findall(r"<title>(.*?)</title>", text)[0]


def detected(summary: Summary) -> Summary:
    """The same, as if a detector had found its objects: two at the top edge, two of a kind."""
    objects = (
        SeenObject("kite", (0.82, 0.01, 0.98, 0.2), 0.0, 0.95),
        SeenObject("person", (0.1, 0.02, 0.4, 0.97), 0.0, 0.912),
        SeenObject("person", (0.5, 0.3, 0.8, 0.95), 0.0, 0.55),
        SeenObject("dining table", (0.0, 0.6, 1.0, 1.0), 0.0, 0.5),
    )
    return dataclasses.replace(
        summary,
        chosen=tuple(
            dataclasses.replace(s, reason=dataclasses.replace(s.reason, objects=objects))
            for s in summary.chosen
        ),
    )


def test_what_a_detector_found_is_named_with_its_confidence(bikes: Summary, tmp_path: Path) -> None:
    text = page(detected(bikes), tmp_path)
    labels = re.findall(r"<b>([^<]+)</b></i>", text)
    assert labels == ["kite 95 %", "person 91 %", "person 55 %", "dining table 50 %"] * len(
        bikes.chosen
    )
    assert text.count("<dd>2 × person, kite, dining table</dd>") == len(bikes.chosen)
    assert text.count(': 2 × person, kite, dining table" loading') == len(bikes.chosen)
    place = "left:10.00%;top:2.00%;width:30.00%;height:95.00%"
    assert text.count(f'class1 foot" style="{place}"') == len(bikes.chosen)
    assert text.count('class0 far below"') == len(bikes.chosen)
    assert "Show objects and confidence" in text
    assert 'id="objects" checked' in text


def test_regions_are_shown_on_demand_with_their_weight(bikes: Summary, tmp_path: Path) -> None:
    text = page(bikes, tmp_path)
    assert re.findall(r"<b>([^<]+)</b></i>", text)[:2] == ["moving 46 %", "salient 21 %"]
    assert "Show objects and weight" in text
    assert 'id="objects" checked' not in text


@pytest.mark.parametrize(
    ("video", "folder", "expected"),
    [
        ("a/clip.mp4", "a", "clip.mp4"),
        ("a/clip.mp4", "a/out", "../clip.mp4"),
        ("a/50% #1? ü.mp4", "a", "50%25%20%231%3F%20%C3%BC.mp4"),
        ("a/x:y.mp4", "a", "x%3Ay.mp4"),
        ("b/c/clip.mp4", "a", "../b/c/clip.mp4"),
    ],
)
def test_video_address(tmp_path: Path, video: str, folder: str, expected: str) -> None:
    assert to_html.video_url(tmp_path / video, tmp_path / folder) == expected


def test_video_far_away_is_named_whole(tmp_path: Path) -> None:
    address = to_html.video_url(tmp_path / "ä.mp4", tmp_path / "a/b/c/d")
    assert address == (tmp_path / "ä.mp4").as_uri()


@pytest.mark.parametrize(
    ("seconds", "decimals", "expected"),
    [(0, 0, "0:00"), (62.97, 0, "1:02"), (62.97, 1, "1:02.9"), (3723, 0, "1:02:03")],
)
def test_timecode(seconds: float, decimals: int, expected: str) -> None:
    assert to_html.timecode(seconds, decimals) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.04, "0.04 s"),
        (7.46, "7.5 s"),
        (59.6, "1 min"),
        (92, "1 min 32 s"),
        (7380, "2 h 3 min"),
    ],
)
def test_length(seconds: float, expected: str) -> None:
    assert to_html.length(seconds) == expected


def test_envelope_keeps_every_peak_and_the_mean() -> None:
    scores = np.random.default_rng(0).random(50_000).astype(np.float32)
    scores[31_234] = 2.0
    seconds, low, mean, high = _curve.envelope(np.arange(50_000) / 2, scores, 500)
    assert len(seconds) == len(low) == len(mean) == len(high) == 500
    assert high.max() == 2.0
    assert seconds[high.argmax()] == pytest.approx(31_234 / 2, abs=50)
    assert mean.mean() == pytest.approx(scores.mean(), abs=1e-3)
    assert np.all(low <= mean) and np.all(mean <= high)


def test_envelope_of_a_short_video_is_its_curve() -> None:
    scores = np.array([0.1, 0.9, 0.4], np.float32)
    seconds, low, mean, high = _curve.envelope(np.array([0.0, 0.5, 1.0]), scores, 500)
    assert seconds.tolist() == [0.0, 0.5, 1.0]
    assert np.allclose(low, scores) and np.allclose(mean, scores) and np.allclose(high, scores)


def test_every_shot_has_its_bar(bikes: Summary) -> None:
    drawn = _curve.timeline(bikes)
    assert drawn["chosen_bars"].count("M") == len(bikes.chosen)
    assert drawn["other_bars"].count("M") == bikes.shots.n_shots - len(bikes.chosen)
    whole = bikes.chosen[0]
    part = dataclasses.replace(whole, end_seconds=(whole.start_seconds + whole.end_seconds) / 2)
    drawn = _curve.timeline(dataclasses.replace(bikes, chosen=(part, *bikes.chosen[1:])))
    assert drawn["chosen_bars"].count("M") == len(bikes.chosen)
    assert drawn["other_bars"].count("M") == bikes.shots.n_shots - len(bikes.chosen) + 1


def test_flat_scores_have_an_axis() -> None:
    assert _curve.score_range(np.full(5, 0.5, np.float32)) == pytest.approx((0.4, 0.6))
    assert _curve.score_range(np.array([0.0, 1.0])) == (0.0, 1.0)


@pytest.mark.parametrize("duration", [0.5, 3, 61, 600, 5400, 86_400])
def test_ticks_are_few_and_round(duration: float) -> None:
    marks = _curve.ticks(duration)
    assert marks[0] == 0
    assert len(marks) <= 9
    assert marks[-1] <= duration


def test_pictures_are_small_and_whole(bikes: Summary, tmp_path: Path) -> None:
    cards = re.findall(
        r'<img src="data:image/jpeg;base64,([^"]+)" alt="(.+?)"', page(bikes, tmp_path)
    )
    assert len(cards) == len(bikes.chosen)
    for encoded, alt in cards:
        with Image.open(io.BytesIO(base64.b64decode(encoded))) as image:
            assert image.width <= 480
            assert image.width / image.height == pytest.approx(640 / 272, rel=0.5)
        assert alt.startswith("Key frame at 0:")


def test_page_of_a_day_stays_small(
    bikes: Summary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(to_html, "IMAGES_BYTES", 500 * 6000)  # as if there were thousands
    text = page(day_long(bikes, 500), tmp_path)
    assert text.count('<li class="card') == 500
    assert len(text) < 16_000_000


def day_long(summary: Summary, n_chosen: int) -> Summary:
    """Twenty-four hours, seven shots for each that is chosen."""
    n_steps, n_shots = 172_800, 7 * n_chosen
    clock = Clock(np.arange(n_steps), n_steps, Fraction(1, 2))
    edges = np.linspace(0, n_steps, n_shots + 1).astype(np.int64)
    scores = np.random.default_rng(0).random(n_steps).astype(np.float32)
    template = summary.chosen[0]

    def shot(i: int) -> ChosenShot:
        a, b = int(edges[7 * i]), int(edges[7 * i + 1])
        return dataclasses.replace(
            template, number=7 * i, start_frame=a, end_frame=b, start_seconds=clock.seconds(a),
            end_seconds=clock.seconds(b), keyframe=a, keyframe_step=a, keyframe_seconds=clock.seconds(a),
        )  # fmt: skip

    images = summary.keyframe_images
    thumbnail = next(iter(summary.thumbnails.values()))
    return dataclasses.replace(
        summary,
        report=ReadReport(clock, 0, Fraction(0), "nearest reference frames"),
        shots=Shots(np.stack([edges[:-1], edges[1:]], axis=1)),
        shot_scores=np.random.default_rng(1).random(n_shots),
        picks=np.arange(n_steps),
        seconds=np.arange(n_steps) / 2,
        scores=scores,
        chosen=tuple(shot(i) for i in range(n_chosen)),
        keyframe_images=tuple(images[i % len(images)] for i in range(n_chosen)),
        thumbnails=dict.fromkeys(range(0, n_steps, 338), thumbnail),
    )


def test_page_without_pictures_still_stands(bikes: Summary, tmp_path: Path) -> None:
    text = page(dataclasses.replace(bikes, keyframe_images=(), thumbnails={}), tmp_path)
    assert text.count("no picture") == len(bikes.chosen)


def test_stray_bytes_in_a_name_do_not_stop_the_page(bikes: Summary, tmp_path: Path) -> None:
    info = dataclasses.replace(bikes.info, path=Path("clip\udcff.mp4"), title=None)
    assert "clip?.mp4" in page(dataclasses.replace(bikes, info=info), tmp_path)


def test_only_this_summarys_own_results_are_linked(bikes: Summary, tmp_path: Path) -> None:
    (tmp_path / "skim.mp4").write_bytes(b"another video's")
    assert "Beside this page" not in page(bikes, tmp_path)
    export_all(bikes, tmp_path / "all", names=["html", "json"])
    shown = (tmp_path / "all/storyboard.html").read_text("utf-8")
    assert '<a href="summary.json">' in shown
    assert "skim.mp4" not in shown


# ---- in a browser ----


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        skip_or_fail("no Chromium on the PATH")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield running
        running.close()


@pytest.fixture(scope="module")
def folder(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary]:
    """A page with its video beside it, both under awkward names."""
    place = tmp_path_factory.mktemp("100% ü #1")
    video = place / "bikes & Söhne? #2.mp4"
    shutil.copy(data / "videos/bikes_6shots.mp4", video)
    summary = story(video)
    export(summary, place / "storyboard.html")
    return place, summary


class Watched:
    """A page, and everything that went wrong on it."""

    def __init__(self, browser: Any, file: Path, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.trouble: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda m: self.trouble.append(m.text) if m.type != "log" else None)
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.on("requestfailed", self._failed)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(file.as_uri())
        self.page.wait_for_function("() => document.getElementById('theme').hidden === false")

    def _failed(self, request: Any) -> None:
        if "ERR_ABORTED" not in request.failure:  # a player drops a range it needs no more
            self.trouble.append(f"{request.url} {request.failure}")

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def ready(self) -> None:
        self.page.wait_for_function("() => document.getElementById('video').readyState >= 2")

    def time(self) -> float:
        return self.page.evaluate("document.getElementById('video').currentTime")


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_loads_without_a_word_of_trouble(
    browser: Any, folder: tuple[Path, Summary], scheme: str
) -> None:
    with Watched(browser, folder[0] / "storyboard.html", color_scheme=scheme) as watched:
        watched.ready()
        for card in watched.page.locator(".card").all():
            card.scroll_into_view_if_needed()
        watched.page.wait_for_function(
            "() => document.querySelectorAll('.cards .tie img').length > 0"
        )
        watched.page.wait_for_function(
            "() => [...document.querySelectorAll('.cards img')].every(i => i.complete && i.naturalWidth > 0)"
        )
        light = watched.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", light))) > 384) == (scheme == "light")
        watched.page.locator("#theme").click()
        assert watched.page.evaluate("getComputedStyle(document.body).backgroundColor") != light
        assert all(url.startswith(("file:", "data:")) for url in watched.requests)
        assert watched.trouble == []


@pytest.mark.browser
def test_clicks_seek(browser: Any, folder: tuple[Path, Summary]) -> None:
    place, summary = folder
    with Watched(browser, place / "storyboard.html") as watched:
        watched.ready()
        video = watched.page.locator("#video")
        video.evaluate("video => { video.muted = true; video.playbackRate = 0.1; }")
        shot = summary.chosen[-1]
        watched.page.locator(".frame").last.click()
        watched.page.wait_for_function("() => !document.getElementById('video').paused")
        video.evaluate("video => video.pause()")
        assert watched.time() == pytest.approx(float(shot.start_seconds), abs=1.0)
        assert watched.time() >= float(shot.start_seconds)
        assert watched.page.locator(".card.now").count() == 1

        tie = shot.reason.neighbours[0]
        watched.page.locator(".card").last.locator(".tie").first.click()
        assert watched.time() == pytest.approx(float(tie.seconds), abs=0.05)

        plot = watched.page.locator("#plot")
        width = plot.bounding_box()["width"]
        plot.click(position={"x": width / 2, "y": 40})
        assert watched.time() == pytest.approx(float(summary.duration_seconds) / 2, abs=0.1)
        assert "score" in watched.page.locator("#tip").inner_text()
        plot.press("Home")
        assert watched.time() == pytest.approx(0, abs=0.05)
        watched.page.locator("#next").click()
        following = next(s for s in summary.chosen if s.start_seconds > 0)
        assert watched.time() == pytest.approx(float(following.start_seconds), abs=0.05)
        assert watched.trouble == []


@pytest.mark.browser
def test_the_summary_plays_only_what_was_chosen(browser: Any, folder: tuple[Path, Summary]) -> None:
    place, summary = folder
    with Watched(browser, place / "storyboard.html") as watched:
        watched.ready()
        spans = [[float(a), float(b)] for a, b in summary.spans]
        watched.page.evaluate(
            """() => { const video = document.getElementById('video'); window.seen = [];
            const label = document.querySelector('#play span'); video.muted = true;
            video.addEventListener('timeupdate', () => {
                window.seen.push([video.currentTime, label.textContent]); }); }"""
        )
        watched.page.locator("#play").click()
        watched.page.wait_for_function(
            "() => document.getElementById('video').paused && window.seen.length > 3",
            timeout=15_000,
        )
        seen = [time for time, _ in watched.page.evaluate("window.seen")]
        assert "Pause" in [label for _, label in watched.page.evaluate("window.seen")]
        late = 0.4  # a busy machine draws the page a few times a second only
        assert all(any(a <= t <= b + late for a, b in spans) for t in seen)
        assert all(any(a <= t <= b + late for t in seen) for a, b in spans)
        assert seen[-1] >= spans[-1][1] - 0.05
        assert watched.page.locator("#play").inner_text() == "Play the summary"
        assert watched.trouble == []


@pytest.mark.browser
def test_phone_has_no_sideways_scroll(browser: Any, folder: tuple[Path, Summary]) -> None:
    phone = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
    with Watched(browser, folder[0] / "storyboard.html", **phone) as watched:
        watched.ready()
        assert watched.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        watched.page.locator("#objects").tap()
        watched.page.locator("#plot").tap(position={"x": 300, "y": 30})
        assert watched.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert watched.page.locator("#tip").is_visible()
        assert watched.trouble == []


@pytest.mark.browser
@pytest.mark.parametrize("width", [360, 1280])
def test_boxes_lie_on_the_pictures_and_can_be_taken_away(
    browser: Any, folder: tuple[Path, Summary], tmp_path: Path, width: int
) -> None:
    export(detected(folder[1]), tmp_path / "storyboard.html")
    size = {"width": width, "height": 740}
    with Watched(browser, tmp_path / "storyboard.html", viewport=size) as watched:
        boxes = watched.page.locator(".card").first.locator(".box")
        picture = watched.page.locator(".frame").first.bounding_box()
        for box in boxes.all():
            for part in (box.bounding_box(), box.locator("b").bounding_box()):
                assert part["x"] >= picture["x"] - 3
                assert part["y"] >= picture["y"] - 3
                assert part["y"] + part["height"] <= picture["y"] + picture["height"] + 3
        first = boxes.nth(1).bounding_box()
        assert first["x"] - picture["x"] == pytest.approx(0.1 * picture["width"], abs=1)
        assert first["width"] == pytest.approx(0.3 * picture["width"], abs=1)
        opacity = "() => Number(getComputedStyle(document.querySelector('.boxes')).opacity)"
        watched.page.wait_for_function(f"() => ({opacity})() === 1")
        watched.page.locator("#objects").click()
        watched.page.wait_for_function(f"() => ({opacity})() === 0")
        watched.page.locator("#objects").click()
        watched.page.wait_for_function(f"() => ({opacity})() === 1")


@pytest.mark.browser
def test_page_without_its_video_says_so_and_works(
    browser: Any, folder: tuple[Path, Summary], tmp_path: Path
) -> None:
    place, summary = folder
    shutil.copy(place / "storyboard.html", tmp_path / "alone.html")
    with Watched(browser, tmp_path / "alone.html") as watched:
        watched.page.locator("#missing").wait_for(state="visible")
        assert summary.info.path.name in watched.page.locator("#missing").inner_text()
        assert not watched.page.locator("#play").is_visible()
        watched.page.locator(".frame").last.click()
        assert watched.page.locator(".card").last.get_attribute("aria-current") == "true"
        assert watched.page.evaluate("document.getElementById('still').naturalWidth") > 0
        assert [t for t in watched.trouble if "ERR_FILE_NOT_FOUND" not in t] == []


@pytest.mark.browser
def test_hostile_words_do_nothing(
    browser: Any, folder: tuple[Path, Summary], tmp_path: Path
) -> None:
    export(hostile(folder[1]), tmp_path / "storyboard.html")
    with Watched(browser, tmp_path / "storyboard.html") as watched:
        assert watched.page.title() == f"{HOSTILE} · storyboard"
        assert watched.page.locator("h1").inner_text() == HOSTILE
        watched.page.locator("#next").click()
        assert watched.page.locator("#now-why").inner_text() == HOSTILE
        assert watched.page.evaluate("document.images.length") > 0
        assert watched.trouble == []


@pytest.mark.browser
def test_every_part_can_be_reached_and_is_named(browser: Any, folder: tuple[Path, Summary]) -> None:
    with Watched(browser, folder[0] / "storyboard.html") as watched:
        watched.page.keyboard.press("Tab")
        assert watched.page.evaluate("document.activeElement.className") == "skip"
        unnamed = """() => [...document.querySelectorAll('button, a, [role=slider], video, input')]
            .filter(e => !(e.getAttribute('aria-label') || e.innerText || e.labels?.length)).length"""
        assert watched.page.evaluate(unnamed) == 0
        assert watched.page.locator("img:not([alt])").count() == 0
