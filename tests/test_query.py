"""Summaries led by words: answers come first, the title guides, and what had no effect says so."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import videograph
from videograph.checkpoint import Origin
from videograph.cli import main
from videograph.config import ModelConfig, WordsConfig
from videograph.datasets import Dataset, load_dataset
from videograph.errors import UsageError
from videograph.evaluate import predict
from videograph.evaluate._words import guides
from videograph.exporters import export
from videograph.metrics import bootstrap_interval, rank_correlation
from videograph.records import Clock, Scores, Shots, Summary, VideoFeatures, Words
from videograph.relevance import ANSWERS, Guide
from videograph.scoring import score_video
from videograph.sight import Sight
from videograph.summary import choose, parse_budget

QUERY = "How dangerous is the hunt?"
ANSWER = Fraction(73, 2), Fraction(39)


@pytest.fixture(scope="module")
def film(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Sintel trailer with its subtitles, in a folder of its own, and a cache for this file."""
    folder = tmp_path_factory.mktemp("film")
    for suffix in ("mp4", "vtt"):
        shutil.copy(data / "videos" / f"sintel_trailer_480p.{suffix}", folder / f"film.{suffix}")
    return folder / "film.mp4"


@pytest.fixture(scope="module", autouse=True)
def cached(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setenv("VIDEOGRAPH_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()


@pytest.fixture(scope="module")
def plain(film: Path) -> Summary:
    return videograph.summarize(film)


@pytest.fixture(scope="module")
def asked(film: Path) -> Summary:
    return videograph.summarize(film, query=QUERY)


def shown(summary: Summary, start: Fraction, end: Fraction) -> Fraction:
    """Seconds of a span that are in the summary."""
    spans = ((max(a, start), min(b, end)) for a, b in summary.spans)
    return sum((b - a for a, b in spans if b > a), Fraction(0))


# -- a summary under a query -----------------------------------------------------------------------


def test_the_answer_is_in_the_summary_whole_and_within_the_budget(
    plain: Summary, asked: Summary
) -> None:
    assert shown(asked, *ANSWER) == ANSWER[1] - ANSWER[0]
    assert asked.summary_seconds <= asked.budget_seconds == plain.budget_seconds
    assert asked.active["query"] and not asked.warnings
    short = videograph.summarize(asked.info.path, query=QUERY, budget="4s")
    assert shown(short, *ANSWER) > 1 and short.summary_seconds <= 4


def test_the_reason_quotes_what_answers(asked: Summary, tmp_path: Path) -> None:
    said = [s for s in asked.chosen if s.reason.words]
    assert said and all(s.start_seconds < ANSWER[1] and s.end_seconds > ANSWER[0] for s in said)
    best = min(asked.chosen, key=lambda s: s.reason.rank)
    assert best.reason.text.startswith(
        'Said here: "A dangerous quest for a lone hunter."; score rank'
    )
    assert best.reason.words[0].query == QUERY and best.reason.words[0].score >= ANSWERS
    export(asked, tmp_path / "summary.json")
    told = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    words = [w for shot in told["chosen"] for w in shot["reason"]["words"]]
    assert words[0]["text"] == "A dangerous quest for a lone hunter."


def test_a_query_that_nothing_answers_changes_nothing_and_says_so(
    film: Path, plain: Summary
) -> None:
    vain = videograph.summarize(film, query="a pizza with olives")
    assert vain.warnings == (
        'The query had no effect: nothing answers "a pizza with olives" among 4 timed texts. Try '
        "other words, or --text text:minilm, which knows synonyms.",
    )
    assert vain.spans == plain.spans and not vain.active["query"]


def test_a_video_without_words_says_so(data: Path) -> None:
    summary = videograph.summarize(data / "videos" / "bikes_6shots.mp4", query="a bike")
    assert len(summary.warnings) == 1
    assert summary.warnings[0].startswith("The words had no effect: nothing in bikes_6shots.mp4")


def test_what_is_unwanted_is_left_out(film: Path) -> None:
    words = WordsConfig(unwanted=("searching for someone",))
    without = videograph.summarize(film, words=words, budget="50%", encoder="builtin")
    plainly = videograph.summarize(film, budget="50%", encoder="builtin")
    cue = Fraction(37, 2), Fraction(41, 2)
    assert shown(plainly, *cue) == 2 and shown(without, *cue) == 0 and without.active["unwanted"]


def test_subtitles_and_title_may_be_given(film: Path, tmp_path: Path) -> None:
    file = tmp_path / "other.srt"
    file.write_text("1\n00:00:05,000 --> 00:00:09,000\nA pizza with olives.\n")
    summary = videograph.summarize(film, query="pizza", words=WordsConfig(subtitles=str(file)))
    assert shown(summary, Fraction(5), Fraction(9)) >= 3
    titled = WordsConfig(title="Gatekeepers")
    led = videograph.summarize(film, words=titled, model="training-free")
    assert led.active["title"] and not led.warnings
    told = videograph.summarize(film, words=titled).warnings
    assert told == ("The title had no effect: it leads the scores of --model training-free only.",)


def test_an_empty_query_is_refused(film: Path) -> None:
    with pytest.raises(UsageError, match=r'"\?" holds no word'):
        videograph.summarize(film, query="?")


def test_the_command_takes_words(film: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    arguments = ["summarize", film, "--query", "pizza", "--query", QUERY, "--not", "gatekeepers",
                 "--export", "json", "-o", tmp_path / "out"]  # fmt: skip
    with pytest.raises(SystemExit) as end:
        main([str(a) for a in arguments])
    assert end.value.code == 0 and capsys.readouterr().err == ""
    told = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    reasons = [shot["reason"]["text"] for shot in told["chosen"]]
    assert any(text.startswith("Said here") for text in reasons) and told["active"]["query"]


def test_stored_features_give_the_same_summary(film: Path, asked: Summary, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as end:
        main(["features", str(film), "-o", str(tmp_path / "film.h5")])
    assert end.value.code == 0
    stored = videograph.summarize(film, query=QUERY, stored=tmp_path / "film.h5")
    assert stored.spans == asked.spans and stored.chosen == asked.chosen


# -- forms of the model ----------------------------------------------------------------------------


def features(n_steps: int = 60, dim: int = 8) -> VideoFeatures:
    rows = np.random.default_rng(0).normal(size=(n_steps, dim)).astype(np.float32)
    picks = np.arange(n_steps, dtype=np.int64) * 15
    return VideoFeatures(rows, picks, picks / 30, 15 * n_steps, "own-1")


def a_guide(n_steps: int = 60) -> Guide:
    answers = np.zeros(n_steps, np.float32)
    answers[20:30] = 0.8
    return Guide(answers=answers)


def test_a_query_changes_the_edges_before_any_score() -> None:
    plain = score_video(features(), guide=Guide(), top_k=60)
    led = score_video(features(), guide=a_guide(), top_k=60)

    def weight_within(scores: Scores) -> float:
        inside = np.isin(scores.neighbours[20:30], np.arange(20, 30))
        return float((scores.neighbour_weights[20:30] * inside).sum())

    assert weight_within(led) > 1.02 * weight_within(plain)
    assert led.active["words"] and not plain.active["words"]


@pytest.mark.parametrize("language", ["none", "query", "both"])
def test_a_trained_model_is_led_too(language: str) -> None:
    import torch

    from videograph.model import VideoGraph

    torch.manual_seed(0)
    model = VideoGraph(ModelConfig(8, word_dim=5, width=16, language=language)).eval()
    model.origin = Origin(encoder="own-1", name="run-1")
    words = Words(np.eye(5, dtype=np.float32)[:2], None, np.array([True, False]))
    plain = score_video(features(), model=model, words=words)
    led = score_video(features(), model=model, words=words, guide=a_guide())
    assert led.scores[20:30].min() > np.delete(led.scores, np.s_[20:30]).max()
    np.testing.assert_allclose(led.scores[:20], 0.2 * plain.scores[:20], rtol=1e-5)
    assert led.active["query"] and led.active["words"] == (language != "none")


@pytest.mark.parametrize(("word_dim", "reads"), [(2048, True), (5, False)])
def test_summarize_lets_a_model_read_the_words_it_knows(
    film: Path, tmp_path: Path, word_dim: int, reads: bool
) -> None:
    import torch

    from videograph.encoders import load_encoder
    from videograph.model import VideoGraph

    sees = load_encoder("builtin")
    torch.manual_seed(0)
    model = VideoGraph(ModelConfig(sees.dim, word_dim=word_dim, width=16))
    model.origin = Origin(encoder=sees.name, name="run-1")
    model.save_pretrained(tmp_path / "model")
    summary = videograph.summarize(film, query=QUERY, model=tmp_path / "model", encoder="builtin")
    assert shown(summary, *ANSWER) == ANSWER[1] - ANSWER[0]
    assert summary.active["query"] and summary.active["words"] == reads
    told = 'The model "run-1" reads no such words: they led its scores afterwards.'
    assert summary.warnings == (() if reads else (told,))


def test_a_title_guides_by_its_place_in_the_graph() -> None:
    about = np.zeros(60, np.float32)
    about[40:] = 1
    about = (about - about.mean()) / about.std()
    gain = score_video(features(), guide=Guide(about=about)).scores - score_video(features()).scores
    assert gain[40:].mean() > gain[:40].mean() + 0.05


# -- on TVSum --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tvsum(data: Path) -> Dataset:
    return load_dataset(str(data / "tvsum"), features="mobilenetv2")


def test_titles_guide_better_than_nothing_on_tvsum(tvsum: Dataset) -> None:
    """40 videos, mode 1, lexical words: no download. With MiniLM: docs/results.md."""
    told = guides(tvsum, "lexical")
    gains = []
    for key, video in tvsum.videos.items():
        seen = video.as_features(tvsum.features)
        assert video.users is not None
        users = video.users[:, video.picks]
        both = [score_video(seen, guide=g).scores for g in (told[key], None)]
        led, plain = rank_correlation(np.stack(both), users, mode="mode1").tau
        gains.append(led - plain)
    found = bootstrap_interval(np.array(gains))
    assert len(gains) == 40 and found.low > 0 and found.mean > 0.005


def test_words_that_guide_are_for_the_form_without_training(tvsum: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="words guide the training-free form"):
        predict(tvsum, tmp_path / "p.h5", model="runs/x", words="lexical")
    with pytest.raises(UsageError, match="cannot be read as word features"):
        guides(tvsum, str(tmp_path / "no.h5"))


# -- the choice ------------------------------------------------------------------------------------


def test_first_shots_come_first_then_the_budget_is_filled() -> None:
    clock = Clock(np.arange(100), 100, Fraction(1))
    shots = Shots(np.array([[0, 30], [30, 40], [40, 60], [60, 65], [65, 100]]))
    scores = np.array([0.9, 0.2, 0.3, 0.8, 0.9])
    picks = np.array([0, 30, 40, 60, 65])
    first = np.array([False, True, True, False, False])

    def chosen(budget: str, **options: np.ndarray) -> list[int]:
        found = choose(scores, picks, shots, clock, parse_budget(budget), **options)
        return [span.number for span in found.spans]

    assert chosen("36s") == [0, 3]
    assert chosen("36s", first=first) == [1, 2, 3]
    assert chosen("20s", first=first) == [2]  # the better answer
    assert chosen("1 shots", first=first) == [2]
    assert chosen("5s", first=first) == [2]  # none fits: a piece of the best, not another shot
    assert chosen("36s", first=np.zeros(5, bool)) == [0, 3]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--device", "tpu"], 'device is "tpu". Allowed: auto, cpu, cuda, mps.'),
        (["--objects-every", "0"], "Invalid value for '--objects-every'"),
    ],
)
def test_where_and_how_often_networks_look_is_checked(
    options: list[str], sentence: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    weights = data / "weights"
    command = ["summarize", str(data / "videos" / "sam2_dog.mp4"), "-o", str(tmp_path / "out")]
    command += ["--encoder", f"transformers:{weights / 'hf' / 'mobilenet_v2_1.0_224'}"]
    with pytest.raises(SystemExit) as end:
        main([*command, *options])
    assert end.value.code == 2 and sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_detector_looks_at_every_kth_pick(data: Path) -> None:
    """Of the dog's 20 picks, five are looked at, and not the one that stands for its only shot alone."""
    words = WordsConfig(objects=f"detector:{data / 'weights' / 'yolox_nano.onnx'}")
    path, found = data / "videos" / "sam2_dog.mp4", []
    for every in (None, 4):
        sight = Sight(path, words=replace(words, objects_every=every), cache=False)
        found.append(sight.features.looked_at)
    shots, fourth = found
    assert shots.sum() == 1 and np.flatnonzero(fourth).tolist() == [0, 4, 8, 12, 16]
