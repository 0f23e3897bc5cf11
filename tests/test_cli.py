"""The command line as people use it: every real and damaged file, every refusal, Ctrl+C."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import DATA
from rich.console import Console

import videograph
from videograph.cli import main
from videograph.errors import UsageError
from videograph.exporters import available_exporters, load_exporter
from videograph.progress import progress_hook
from videograph.sample import draw_sample

FILES = sorted(
    p
    for folder in ("videos", "bad")
    for p in (DATA / folder).glob("*")
    if p.suffix not in (".json", ".vtt")
)
UNREADABLE = {
    "attached_picture.m4a", "audio_only.m4a", "audio_only.mp4", "empty.mp4", "text.mp4",
    "truncated_no_index.mp4",
}  # fmt: skip


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "a sample.mp4"
    draw_sample(path, n_scenes=4, seconds=12)
    return path


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """Turn a hang into a failure."""

    def stop(signum: int, frame: object) -> None:
        raise TimeoutError(f"still running after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop, at_most(240):
        main([str(a) for a in arguments])
    return int(stop.value.code or 0)


def test_the_shared_files_are_there(data: Path) -> None:
    assert len([f for f in FILES if f.parent.name == "videos"]) == 34
    assert len([f for f in FILES if f.parent.name == "bad"]) == 30


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.name)
def test_every_file_gives_a_summary_or_one_clear_sentence(
    file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    code = run("summarize", file, "-o", folder)
    shown = capfd.readouterr()
    assert "Traceback" not in shown.err
    if file.name in UNREADABLE:
        assert code in (1, 2)
        assert shown.out == ""
        assert len(shown.err.strip().splitlines()) == 1
        assert file.name in shown.err
        assert not folder.exists()
        return
    assert code == 0, shown.err
    written = {p.name: p for p in folder.iterdir()}
    assert set(written) == {load_exporter(n).FILE_NAME for n in available_exporters()}
    for path in written.values():
        assert path.stat().st_size > 0
    told = json.loads(written["summary.json"].read_text(encoding="utf-8"))
    assert told["chosen"]
    assert len(list(written["keyframes"].iterdir())) == len(told["chosen"])
    for shot in told["chosen"]:
        assert 0 <= shot["start_seconds"] < shot["end_seconds"] <= told["duration_seconds"] + 1e-6


def test_damage_is_reported(tmp_path: Path, data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert (
        run("summarize", data / "bad/truncated_half.mp4", "-o", tmp_path, "--export", "json") == 0
    )
    assert "duration_shortfall" in capfd.readouterr().err
    told = json.loads((tmp_path / "summary.json").read_text())
    assert told["duration_shortfall"] > 5
    assert (
        run("summarize", data / "bad/noise_middle.mp4", "-o", tmp_path / "n", "--export", "json")
        == 0
    )
    assert "could not be decoded" in capfd.readouterr().err
    assert json.loads((tmp_path / "n/summary.json").read_text())["decode_failures"] > 0


def test_same_input_and_seed_give_the_same_output(sample: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert (
            run("summarize", sample, "-o", tmp_path / name, "--seed", 3, "--export", "json,html")
            == 0
        )
    for file in ("summary.json", "storyboard.html"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@pytest.mark.parametrize("speed", ["fast", "exact"])
@pytest.mark.parametrize("budget", ["auto", "2 shots", "3s"])
def test_speeds_and_budgets(speed: str, budget: str, sample: Path, tmp_path: Path) -> None:
    assert (
        run(
            "summarize",
            sample,
            "-o",
            tmp_path,
            "--speed",
            speed,
            "--budget",
            budget,
            "--export",
            "json",
        )
        == 0
    )
    told = json.loads((tmp_path / "summary.json").read_text())
    assert told["speed"] == speed
    assert told["sampling"]
    if budget == "2 shots":
        assert len(told["chosen"]) == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--budget", "15"], "budget is 15. Allowed: a share in (0, 1]"),
        (["--speed", "best"], 'speed is "best". Allowed: balanced, fast, exact.'),
        (["--export", "gif"], 'no exporter named "gif". Available: csv, edl'),
        (["--export", ","], "--export names no form. Available: csv, edl"),
        (["--seed", "x"], "Invalid value for '--seed'"),
        (["--seed", "-1"], "seed is -1. Allowed: 0 or a whole number above it."),
        (["--encoder", "cilp"], 'no encoder named "cilp". Available: builtin, embedded'),
        (["--fast"], "No such option: --fast"),
    ],
)
def test_usage_fails(
    arguments: list[str],
    sentence: str,
    sample: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert run("summarize", sample, "-o", tmp_path / "out", *arguments) == 2
    shown = capfd.readouterr()
    assert sentence in shown.err
    assert len(shown.err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_missing_file_and_bad_places_fail(
    sample: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("summarize", tmp_path / "nothing.mp4") in (1, 2)
    assert "nothing.mp4" in capfd.readouterr().err
    assert run("summarize", tmp_path) in (1, 2)
    capfd.readouterr()
    assert run("summarize", sample, "-o", sample) == 2
    assert "is a file" in capfd.readouterr().err
    assert run("info", tmp_path / "nothing.mp4") in (1, 2)


def test_results_are_not_overwritten_without_force(
    sample: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "summary.json"
    mine.write_text("mine")
    assert run("summarize", sample, "-o", tmp_path, "--export", "json,keyframes") == 2
    assert "exists already. Try --force" in capfd.readouterr().err
    assert mine.read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["summary.json"]
    for _ in range(2):
        assert (
            run("summarize", sample, "-o", tmp_path, "--export", "json,keyframes", "--force") == 0
        )
    assert json.loads(mine.read_text())["chosen"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["keyframes", "summary.json"]


def test_the_video_itself_is_never_overwritten(tmp_path: Path) -> None:
    video = tmp_path / "skim.mp4"
    draw_sample(video, n_scenes=2, seconds=4)
    before = video.read_bytes()
    assert run("summarize", video, "-o", tmp_path, "--export", "mp4", "--force") == 2
    assert video.read_bytes() == before


def test_interrupt_leaves_nothing_half_written(sample: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    code = (
        "import sys; from videograph.exporters import to_mp4\n"
        "import os, signal; write = to_mp4.write\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a background job\n"
        "def interrupted(summary, path, **options):\n"
        "    write(summary, path, **options)\n"
        "    os.kill(os.getpid(), signal.SIGINT); import time; time.sleep(5)\n"
        "to_mp4.write = interrupted\n"
        "from videograph.cli import main; main(sys.argv[1:])"
    )
    stopped = subprocess.run(
        [
            sys.executable,
            "-c",
            code,
            "summarize",
            str(sample),
            "-o",
            str(folder),
            "--export",
            "mp4",
        ],
        capture_output=True,
        text=True,
    )
    assert stopped.returncode == 130
    assert stopped.stderr.strip() == "Stopped. Nothing half-written was left behind."
    assert not folder.exists() or list(folder.iterdir()) == []


@pytest.mark.parametrize("stage", ["read", "score", "keyframes"])
def test_termination_in_any_stage_stops_at_once(stage: str, sample: Path, tmp_path: Path) -> None:
    code = (
        "import os, signal, sys, time; from videograph import pipeline\n"
        "summarize = pipeline.summarize\n"
        "def stopped(*arguments, hook, **options):\n"
        "    def watch(stage, done, total, artefact=None):\n"
        f"        if stage == {stage!r}:\n"
        "            os.kill(os.getpid(), signal.SIGTERM); time.sleep(5)\n"
        "    return summarize(*arguments, hook=watch, **options)\n"
        "pipeline.summarize = stopped\n"
        "from videograph.cli import main; main(sys.argv[1:])"
    )
    folder = tmp_path / "out"
    process = subprocess.run(
        [sys.executable, "-c", code, "summarize", str(sample), "-o", str(folder)],
        capture_output=True,
        text=True,
    )
    assert process.returncode == 130
    assert process.stderr.strip() == "Stopped. Nothing half-written was left behind."
    assert not folder.exists()


def test_quiet_in_a_pipe_and_loud_on_a_terminal(sample: Path, tmp_path: Path) -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "videograph.cli", "summarize", str(sample), "-o", str(tmp_path / "o"),
         "--export", "json"],
        capture_output=True, text=True, check=True,
        env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    assert shown.stderr == ""
    assert shown.stdout.splitlines()[-1].split()[0] == "json"
    screen = io.StringIO()
    with progress_hook(Console(file=screen, force_terminal=True, width=100)) as hook:
        videograph.summarize(sample, hook=hook)
    for word in ("Reading", "Scoring", "Key frames", "100%", "x"):
        assert word in screen.getvalue()


def test_info_and_doctor(sample: Path, data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("info", sample) == 0
    shown = capfd.readouterr().out
    assert "h264" in shown
    assert "640x360" in shown
    assert run("info", data / "bad/rotated.mp4") == 0
    assert "270x480, turned by 90 degrees" in capfd.readouterr().out
    assert run("doctor") == 0
    assert "PROBLEM" not in capfd.readouterr().out
    assert run("--version") == 0
    assert capfd.readouterr().out.strip() == videograph.__version__


def test_the_hook_sees_every_stage_and_cancels(sample: Path) -> None:
    stages: list[str] = []

    def hook(stage: str, done: float, total: float | None, artefact: object = None) -> None:
        assert total is None or done <= total + 1
        if artefact is not None:
            stages.append(stage)

    summary = videograph.summarize(sample, hook=hook)
    assert stages == ["read", "shots", "score", "choose", "keyframes"]
    assert sum(summary.scores > 0.5) > 0

    def cancel(stage: str, done: float, total: float | None, artefact: object = None) -> None:
        raise InterruptedError(stage)

    with pytest.raises(InterruptedError, match="read"):
        videograph.summarize(sample, hook=cancel)


def test_make_demos_program(sample: Path, tmp_path: Path) -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "videograph.demo", "--video", str(sample), "--out", str(tmp_path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    storyboard, skim = (line.split(maxsplit=1)[1] for line in shown.stdout.splitlines()[-2:])
    assert Path(storyboard.removeprefix("file://").replace("%20", " ")).is_file()
    assert Path(skim).is_file()


def test_the_front_door_in_python(sample: Path, tmp_path: Path) -> None:
    summary = videograph.summarize(sample, budget="3s", speed="exact")
    assert isinstance(summary, videograph.Summary)
    assert 0 < summary.summary_seconds <= 3
    videograph.export(summary, tmp_path / "mine.json")
    assert (tmp_path / "mine.json").stat().st_size > 0
    with pytest.raises(UsageError, match="Allowed suffixes"):
        videograph.export(summary, tmp_path / "mine.gif")


def test_force_replaces_only_what_is_ours(
    sample: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "keyframes" / "thesis.txt"
    mine.parent.mkdir()
    mine.write_text("years of work")
    assert run("summarize", sample, "-o", tmp_path, "--export", "keyframes", "--force") == 2
    assert "holds thesis.txt, which is not ours to replace" in capfd.readouterr().err
    assert mine.read_text() == "years of work"
    (tmp_path / "summary.json").mkdir()
    assert run("summarize", sample, "-o", tmp_path, "--export", "json", "--force") == 2
    assert "is a folder, which --force does not replace" in capfd.readouterr().err


def test_names_that_look_like_protocols(tmp_path: Path, data: Path) -> None:
    video = tmp_path / "9:30 talk: one.mp4"
    video.write_bytes((data / "bad/base.mp4").read_bytes())
    subprocess.run(
        [sys.executable, "-m", "videograph.cli", "summarize", video.name, "--export", "mp4,fcpxml"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    folder = tmp_path / "9:30 talk: one-summary"
    assert sorted(p.name for p in folder.iterdir()) == ["skim.mp4", "timeline.fcpxml"]
    assert "audioRate" in (folder / "timeline.fcpxml").read_text("utf-8")


def test_copy_is_refused_before_any_work(
    tmp_path: Path, data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    webm = data / "videos/bbb_30s_720p.webm"
    assert run("summarize", webm, "-o", tmp_path / "o", "--copy") == 2
    assert "Leave out --copy" in capfd.readouterr().err
    assert not (tmp_path / "o").exists()


def test_one_failing_form_does_not_stop_the_others(
    sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from videograph.exporters import to_csv

    def fails(*arguments: object) -> list[str]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(to_csv, "write", fails)
    assert run("summarize", sample, "-o", tmp_path / "o", "--export", "csv,json,vtt") == 1
    assert sorted(p.name for p in (tmp_path / "o").iterdir()) == ["chapters.vtt", "summary.json"]


def test_odd_inputs_get_a_sentence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    playlist = tmp_path / "list.ffconcat"
    playlist.write_text("ffconcat version 1.0\nfile a.mp4\n")
    for video in (playlist, Path("a" * 300 + ".mp4")):
        assert run("summarize", video, "-o", tmp_path / "o") in (1, 2)
        assert len(capfd.readouterr().err.strip().splitlines()) == 1
    assert run("info", "x" * 300) == 1
    capfd.readouterr()
    assert run("summarize", playlist, "-o", tmp_path / ("b" * 300)) in (1, 2)
    assert "Traceback" not in capfd.readouterr().err
