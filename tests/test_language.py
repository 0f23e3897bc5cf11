"""Words of a video: subtitles in every state, tags, queries; and what the model gets of them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition
from av.subtitles.subtitle import SubtitleSet

from videograph.encoders import load_text
from videograph.errors import UsageError, VideographError
from videograph.language import (
    MAX_WORDS,
    caption_texts,
    nouns,
    object_texts,
    read_texts,
    speech_texts,
    words_from,
)
from videograph.records import TimedText, VideoFeatures, VideoInfo
from videograph.sample import SUBTITLE_HEADER, SampleStory, draw_sample
from videograph.video import probe

QUESTIONS = json.loads((Path(__file__).parent / "questions.json").read_text(encoding="utf-8"))
Span = tuple[str, float | None, float | None]


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> SampleStory:
    return draw_sample(tmp_path_factory.mktemp("story") / "story.mp4", n_scenes=4, seconds=8)


@pytest.fixture
def info(story: SampleStory, tmp_path: Path) -> VideoInfo:
    """The story under a name of its own, so that files may lie beside it; without streams of text."""
    path = tmp_path / "film.mp4"
    path.symlink_to(story.path)
    return replace(probe(path), subtitle_streams=())


def spans(texts: list[TimedText], source: str = "subtitles") -> list[Span]:
    return [
        (
            t.text,
            None if t.start_seconds is None else float(t.start_seconds),
            None if t.end_seconds is None else float(t.end_seconds),
        )
        for t in texts
        if t.source == source
    ]


def beside(info: VideoInfo, name: str, text: str | bytes) -> list[Span]:
    raw = text.encode() if isinstance(text, str) else text
    (info.path.parent / name).write_bytes(raw)
    return spans(read_texts(info, warn=fail))


def fail(sentence: str) -> None:
    raise AssertionError(sentence)


SRT = "1\n00:00:01,000 --> 00:00:02,500\nThe dog jumps.\n\n2\n00:00:03,000 --> 00:00:04,000\nIt lands.\n"
BOTH = [("The dog jumps.", 1.0, 2.5), ("It lands.", 3.0, 4.0)]


def test_order_of_trust(info: VideoInfo) -> None:
    (info.path.parent / "film.srt").write_text(SRT)
    texts = read_texts(info, query=["  the\ndog "], unwanted=["rain"])
    assert [(t.source, t.wanted) for t in texts] == [
        ("query", True), ("query", False), ("subtitles", True), ("subtitles", True), ("title", True),
    ]  # fmt: skip
    assert texts[0].text == "the dog" and texts[-1].text == "One day"
    assert spans(read_texts(info, title="Holiday"), "title") == [("Holiday", None, None)]


@pytest.mark.parametrize("empty", ["", "  ", "?!", "\x1b"])
def test_empty_query_fails(info: VideoInfo, empty: str) -> None:
    with pytest.raises(UsageError, match=r"holds no word. Allowed: .* Try --query"):
        read_texts(info, query=[empty])
    with pytest.raises(UsageError, match="Try --not"):
        read_texts(info, unwanted=[empty])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("film.srt", SRT),
        ("film.SRT", SRT.replace("\n", "\r\n")),
        ("film.srt", SRT.replace(",000", "").replace(",500", ".5")),
        ("film.en.srt", "\ufeff" + SRT),
        ("film.srt", SRT.replace("\n\n", "\n")),
        ("film.srt", "\n\n\n" + SRT.replace("\n\n", "\n \n\n\n")),
        ("film.vtt", "WEBVTT\n\nSTYLE\n::cue { color: red }\n\nNOTE a dog\n\nintro\n00:01.000 --> 00:02.500 "
         "align:start\nThe dog jumps.\n\nNOTE\nnothing\n\n00:00:03.000 --> 00:00:04.000\nIt <00:00:03.100>"
         "<c>lands.</c>\n"),
        ("film.ass", "[Script Info]\nScriptType: v4.00+\n\n[Events]\nFormat: Layer, Start, End, Style, Name, "
         "MarginL, MarginR, MarginV, Effect, Text\nDialogue: 0,0:00:01.00,0:00:02.50,D,,0,0,0,,{\\i1}The dog"
         "{\\i0}\\Njumps.\nComment: 0,0:00:01.00,0:00:02.50,D,,0,0,0,,hidden\nDialogue: 0,0:00:03.00,"
         "0:00:04.00,D,,0,0,0,,It lands.\nDialogue: 0,0:00:03.00,0:00:04.00,D,,0,0,0,,{\\p1}m 0 0 l 9 9\n"),
    ],
)  # fmt: skip
def test_formats_and_their_dialects(info: VideoInfo, name: str, text: str) -> None:
    assert beside(info, name, text) == BOTH


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "utf-32"]
)
def test_encodings(info: VideoInfo, encoding: str) -> None:
    text = "1\n00:00:01,000 --> 00:00:02,000\nDéjà vu, Zoë?\n"
    assert beside(info, "film.srt", text.encode(encoding)) == [("Déjà vu, Zoë?", 1.0, 2.0)]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{\\an8}<i>Hello</i> &amp; <font color='red'>goodbye</font>", "Hello & goodbye"),
        ("<v Bob>Hi there", "Bob: Hi there"),
        ("♪ La la la ♪", "La la la"),
        ("red\x1b[31m text\x07", "red [31m text"),
        ("1984", "1984"),
        ("Two\nlines", "Two lines"),
        ("<a<b<c 5 < 6", "<a<b<c 5 < 6"),
        ("abc\u202edef", "abcdef"),
    ],
)
def test_markup_goes(info: VideoInfo, text: str, line: str) -> None:
    cue = f"1\n00:00:01,000 --> 00:00:02,000\n{text}\n\n2\n00:00:03,000 --> 00:00:04,000\nEnd.\n"
    assert beside(info, "film.srt", cue)[0] == (line, 1.0, 2.0)


def cues(*lines: tuple[str, str, str]) -> str:
    return "\n".join(f"{i}\n{a} --> {b}\n{t}\n" for i, (a, b, t) in enumerate(lines, start=1))


def test_times_out_of_order_and_range(info: VideoInfo) -> None:
    text = cues(
        ("00:00:05,000", "00:00:05,000", "No end."),
        ("00:00:04,000", "00:00:06,000", "Overlaps."),
        ("-00:00:01,000", "00:00:01,000", "Early."),
        ("-00:00:02,000", "-00:00:01,000", "Gone."),
        ("00:00:07,000", "00:00:06,000", "Backwards."),
        ("00:00:07,500", "00:59:00,000", "Long."),
        ("01:00:00,000", "01:00:02,000", "Late."),
        ("00:00:02,000", "00:00:03,000", "..."),
    )
    (info.path.parent / "film.srt").write_text(text)
    told: list[str] = []
    assert spans(read_texts(info, warn=told.append)) == [
        ("Early.", 0.0, 1.0), ("Overlaps.", 4.0, 6.0), ("No end.", 5.0, 7.0),
        ("Backwards.", 7.0, 7.5), ("Long.", 7.5, 8.0),
    ]  # fmt: skip
    assert told == [
        "1 of 8 lines of film.srt begin after the end of the video and were left out. "
        "Do they belong to another cut of it?"
    ]


def test_sentences_over_several_cues_are_joined(info: VideoInfo) -> None:
    text = cues(
        ("00:00:00,000", "00:00:01,000", "When the dog"),
        ("00:00:01,100", "00:00:02,000", "sees the ball,"),
        ("00:00:02,000", "00:00:03,000", "it runs."),
        ("00:00:03,000", "00:00:04,000", "Then"),
        ("00:00:06,000", "00:00:07,000", "nothing happens."),
    )
    assert beside(info, "film.srt", text) == [
        ("When the dog sees the ball, it runs.", 0.0, 3.0),
        ("Then", 3.0, 4.0), ("nothing happens.", 6.0, 7.0),
    ]  # fmt: skip


def test_captions_that_roll_up_are_taken_once(info: VideoInfo) -> None:
    text = cues(
        ("00:00:00,000", "00:00:02,000", "so today we"),
        ("00:00:02,000", "00:00:02,010", "so today we"),
        ("00:00:02,010", "00:00:04,000", "so today we\nbake a cake"),
        ("00:00:04,000", "00:00:06,000", "bake a cake\nwith apples"),
    )
    assert beside(info, "film.srt", text) == [
        ("so today we", 0.0, 2.01), ("bake a cake", 2.01, 4.0), ("with apples", 4.0, 6.0),
    ]  # fmt: skip


def test_the_best_file_beside_the_video(info: VideoInfo) -> None:
    folder = info.path.parent
    ranked = [
        "film.en.srt", "film.en-GB.vtt", "film.srt", "film.vtt", "film.de.srt", "film.en.forced.srt",
    ]  # fmt: skip
    for name in [*ranked, "film.trailer.srt", "film2.srt", "other.srt"]:
        (folder / name).write_text(f"1\n00:00:01,000 --> 00:00:02,000\nThis is {name}!\n")
    for name in ranked:
        assert spans(read_texts(info))[0][0] == f"This is {name}!"
        (folder / name).unlink()
    assert spans(read_texts(info)) == []


def test_the_wanted_language(info: VideoInfo) -> None:
    for name in ("film.en.srt", "film.ger.srt"):
        (info.path.parent / name).write_text(SRT.replace("dog", name))
    assert "film.ger" in spans(read_texts(info, language="de"))[0][0]


DAMAGED = {
    "empty": b"",
    "no cue": b"WEBVTT\n\nNOTE nothing\n",
    "prose": b"Once upon a time.\n" * 100,
    "binary": bytes(range(256)) * 40,
    "broken ass": b"[Script Info]\nScriptType: v4.00+\n[Events]\nDialogue: 0,a,b\n",
}


@pytest.mark.parametrize("raw", DAMAGED.values(), ids=DAMAGED)
def test_damaged_files(info: VideoInfo, raw: bytes) -> None:
    file = info.path.parent / "film.srt"
    file.write_bytes(raw)
    told: list[str] = []
    assert spans(read_texts(info, warn=told.append)) == []
    assert len(told) == 1 and told[0].startswith("subtitles beside film.mp4 were left out: ")
    with pytest.raises(
        VideographError, match=r"film\.srt (holds no subtitles|is not text|is damaged)"
    ):
        read_texts(info, subtitles=file)


def test_named_files_that_cannot_be_read(info: VideoInfo) -> None:
    folder = info.path.parent
    with pytest.raises(VideographError, match=r"there is no subtitle file .*none\.srt"):
        read_texts(info, subtitles=folder / "none.srt")
    with pytest.raises(VideographError, match=r"is not a file\. Give a subtitle file"):
        read_texts(info, subtitles=folder)
    huge = folder / "huge.srt"
    with huge.open("wb") as file:
        file.truncate(40 << 20)
    with pytest.raises(VideographError, match=r"has 42 MB.*Allowed: up to 32 MiB"):
        read_texts(info, subtitles=huge)


@pytest.mark.parametrize("filling", ["\n", "<a", "{\\", "1\n", "00:00:01,000 -->", "--> "])
def test_a_large_damaged_file_takes_no_time(info: VideoInfo, filling: str) -> None:
    file = info.path.parent / "named.srt"
    file.write_text(
        "1\n00:00:01,000 --> 00:00:02,000\nDog\n" + filling * (1_000_000 // len(filling)) + "\nx\n"
    )
    start = time.process_time()
    assert spans(read_texts(info, subtitles=file))[0][0].startswith("Dog")
    assert time.process_time() - start < 5


def test_streams_inside(story: SampleStory) -> None:
    texts = spans(read_texts(probe(story.path), warn=fail))
    assert texts == [(c.text, float(c.start_seconds), float(c.end_seconds)) for c in story.cues]


@pytest.mark.parametrize("codec", ["subrip", "ass", "webvtt"])
def test_streams_of_matroska_on_our_timeline(
    tmp_path: Path, story: SampleStory, codec: str
) -> None:
    """Sound and picture begin at 10 s of the file's own clock; second 0 is there."""
    path = tmp_path / "late.mkv"
    remux(story, path, codec, Fraction(10))
    info = probe(path)
    assert info.start_seconds == pytest.approx(10, abs=0.1) and len(info.subtitle_streams) == 2
    texts = spans(read_texts(info, warn=fail))
    assert [t for t, _, _ in texts] == [c.text for c in story.cues]
    starts = [float(c.start_seconds) + 10 - float(info.start_seconds) for c in story.cues]
    assert [s for _, s, _ in texts] == pytest.approx(starts, abs=0.01)
    assert spans(read_texts(info, language="de"))[0][0].startswith("DE ")
    described = [t for t, _, _ in spans(read_texts(info), "description")]
    assert described == ["A small story.", "It has a fox!"]


def remux(story: SampleStory, target: Path, codec: str, shift: Fraction) -> None:
    """The story's picture and sound, later, with subtitles in two languages, and a description."""
    with av.open(str(story.path)) as old, av.open(str(target), "w", format="matroska") as new:
        new.metadata["description"] = "A small story. It has a fox!\nhttps://example.org/more of it"
        new.metadata["comment"] = "Encoded by HandBrake 1.7"
        seen = (*old.streams.video, *old.streams.audio)
        copies = {s.index: new.add_stream_from_template(s) for s in seen}
        texts = {language: new.add_stream(codec) for language in ("ger", "eng")}
        for language, text in texts.items():
            text.metadata["language"] = language
            text.codec_context.subtitle_header = SUBTITLE_HEADER
            text.codec_context.time_base = text.time_base = Fraction(1, 1000)
        for language, text in texts.items():
            for number, cue in enumerate(story.cues):
                words = f"DE {cue.text}" if language == "ger" else cue.text
                length = round((cue.end_seconds - cue.start_seconds) * 1000)
                line = f"{number},0,Default,,0,0,0,,{words}".encode()
                packet = text.codec_context.encode_subtitle(SubtitleSet.create(line, 0, length))
                packet.stream, packet.time_base = text, Fraction(1, 1000)
                packet.pts = packet.dts = round((cue.start_seconds + shift) * 1000)
                packet.duration = length
                new.mux(packet)
        for packet in old.demux(*seen):
            if packet.pts is not None and packet.dts is not None and packet.time_base is not None:
                ticks = round(shift / packet.time_base)
                packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
                packet.stream = copies[packet.stream.index]
                new.mux(packet)


# -- real sentences --------------------------------------------------------------------------------


@pytest.mark.parametrize("video", QUESTIONS["videos"])
def test_lexical_answers_questions(data: Path, video: str) -> None:
    info = probe(data / "videos" / video)
    texts = [t for t in read_texts(info) if t.source == "subtitles"]
    encoder = load_text("lexical")
    rows = encoder.encode_text([t.text for t in texts])
    n_right = 0
    for q in QUESTIONS["videos"][video]:
        best = texts[int((rows @ encoder.encode_text([q["question"]])[0]).argmax())]
        n_right += best.start_seconds == Fraction(q["start_seconds"])
    assert len(QUESTIONS["videos"][video]) == 5 and n_right >= 3


# -- words for the model ---------------------------------------------------------------------------


def said(text: str, start: float, end: float, source: str = "subtitles") -> TimedText:
    return TimedText(text, source, Fraction(start), Fraction(end))


def test_words_hold_at_their_moments() -> None:
    texts = [
        TimedText("dog", "query"), TimedText("rain", "query", wanted=False),
        said("one", 0, 2), said("two", 2.1, 2.2), said("one", 3, 4), TimedText("Holiday", "title"),
    ]  # fmt: skip
    words = words_from(texts, load_text("lexical"), np.arange(0, 4, 0.5))
    assert words.features.shape == (5, 2048) and words.mask is not None
    assert words.mask.T.astype(int).tolist() == [
        [1] * 8, [1] * 8, [1] * 8, [1, 1, 1, 1, 0, 0, 1, 1], [0, 0, 0, 0, 1, 0, 0, 0],
    ]  # fmt: skip
    assert words.is_query is not None and words.is_query.tolist() == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert words.is_unwanted is not None and words.is_unwanted.tolist() == [
        False,
        True,
        False,
        False,
        False,
    ]
    assert not words.shares_space
    assert np.linalg.norm(words.features, axis=1) == pytest.approx(1, abs=1e-5)


def test_a_long_film_stays_within_the_graph() -> None:
    rng = np.random.default_rng(0)
    names = [f"w{i}" for i in rng.permutation(3000)]
    texts = [
        TimedText("dog", "query"),
        *(said(n, 3 * i, 3 * i + 2) for i, n in enumerate(names[:2000])),
    ]
    texts += [said(n, 6 * i, 6 * i + 6, "captions") for i, n in enumerate(names[2000:])]
    encoder = load_text("lexical")
    words = words_from(texts, encoder, np.arange(0, 6000, 0.5))
    assert words.mask is not None and words.is_query is not None
    assert 200 < len(words.features) <= MAX_WORDS and words.is_query.sum() == 1
    assert words.mask[:, 1:].any(axis=1).all()
    asked = words.features @ encoder.encode_text([names[777]])[0]
    holds = words.mask[:, int(asked.argmax())]
    assert holds[2 * 3 * 777] and holds.mean() < 0.02


def test_no_words_and_too_many() -> None:
    encoder = load_text("lexical")
    words = words_from([], encoder, np.arange(3.0))
    assert words.features.shape == (0, 2048)
    many = [TimedText(f"w{i}", "query") for i in range(300)]
    with pytest.raises(
        UsageError, match=r"300 queries and untimed texts are too many. Allowed: up to 255"
    ):
        words_from(many, encoder, np.arange(3.0))


def test_a_shared_space_is_one_of_a_pair() -> None:
    class Tower:
        name, dim, space = "tower", 2, "clip-1"

        def encode_text(self, texts: list[str]) -> np.ndarray:
            return np.ones((len(texts), 2), dtype=np.float32)

    texts, seconds = [TimedText("dog", "query")], np.arange(3.0)
    assert words_from(texts, Tower(), seconds, frames="clip-1").shares_space
    assert not words_from(texts, Tower(), seconds, frames="builtin-1").shares_space


# -- what is seen and heard ------------------------------------------------------------------------


def test_objects_have_the_spans_in_which_they_are_seen() -> None:
    kinds = np.zeros((10, 2), dtype=np.int8)
    kinds[[0, 1, 3, 8], 0], kinds[4:6, 1] = 1, 2
    features = VideoFeatures(
        features=np.zeros((10, 4), np.float32), picks=np.arange(10), seconds=np.arange(10.0),
        n_frames=10, encoder="x", object_kinds=kinds, object_mask=kinds > 0,
        object_names=("none", "dog", "red car"),
    )  # fmt: skip
    found = [
        (t.text, float(t.start_seconds or 0), float(t.end_seconds or 0))
        for t in object_texts(features)
    ]
    assert found == [("dog", 0, 4), ("red car", 4, 6), ("dog", 8, 9)]
    assert object_texts(replace(features, object_names=("none", "grid", "moving"))) == []


def test_captions_of_middle_frames(story: SampleStory) -> None:
    class Painter:
        name, frame_side = "painter", 64

        def caption(self, images: np.ndarray) -> list[str]:
            assert images.shape[2] == 64 and len(images) <= 4
            return [
                f"brightness {image.mean():.0f}" if i != 1 else "" for i, image in enumerate(images)
            ]

    scenes = [(s.start_seconds, s.end_seconds) for s in story.scenes]
    stages: list[float] = []
    found = caption_texts(
        probe(story.path), scenes, Painter(), hook=lambda _, done, *rest: stages.append(done)
    )
    assert [(t.start_seconds, t.end_seconds) for t in found] == [scenes[0], *scenes[2:]]
    assert stages == [4, 4]


def test_speech_without_its_library(story: SampleStory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    info = probe(story.path)
    with pytest.raises(VideographError, match=r"not installed.*pip install 'videograph\[speech\]'"):
        speech_texts(info)
    assert speech_texts(replace(info, audio_stream=None)) == []


class Heard:
    """A stand-in for faster-whisper, which is an extra: what it is asked, and what it answers."""

    options: dict[str, object]
    rates: list[int]

    def __init__(self, model: str, **options: object) -> None:
        Heard.options = options
        if model == "smal":
            raise ValueError("Invalid model size 'smal', expected one of: tiny, small")
        if model == "small":
            raise OSError("no snapshot")

    def transcribe(self, path: Any, **options: object) -> tuple[object, None]:
        assert options["vad_filter"]
        with av.open(path) as heard:  # the first sound is listened to, as faster-whisper does
            Heard.rates = [stream.rate for stream in heard.streams.audio]
            assert sum(frame.samples for frame in heard.decode(audio=0)) > 0
        first = SimpleNamespace(start=0.5, end=1.25, text=" Hello there.")
        return iter([first, SimpleNamespace(start=2.0, end=3.0, text=" Who is it?")]), None


@pytest.fixture
def hearing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", SimpleNamespace(WhisperModel=Heard))  # pyright: ignore
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def test_speech_is_on_our_timeline(tmp_path: Path, story: SampleStory, hearing: None) -> None:
    path = tmp_path / "late.mkv"
    remux(story, path, "subrip", Fraction(10))
    late = replace(probe(path), start_seconds=Fraction(19, 2))
    for info, offset in ((probe(story.path), 0.0), (late, 0.5)):
        told: list[tuple[str, float]] = []
        texts = speech_texts(
            info, tmp_path, hook=lambda stage, done, *_, to=told: to.append((stage, done))
        )
        assert [t for t, _, _ in spans(texts, "speech")] == ["Hello there.", "Who is it?"]
        starts = [start for _, start, _ in spans(texts, "speech")]
        assert starts == pytest.approx([0.5 + offset, 2 + offset], abs=0.05)
        assert told[0] == ("speech", 1.25) and len(told) == 3


@pytest.mark.parametrize(
    ("device", "kind"), [("auto", "auto"), ("cpu", "int8"), ("cuda", "default")]
)
def test_speech_is_heard_with_the_fastest_numbers_of_a_device(
    device: str, kind: str, story: SampleStory, hearing: None, tmp_path: Path
) -> None:
    speech_texts(probe(story.path), tmp_path, device=device)
    assert Heard.options["device"] == device and Heard.options["compute_type"] == kind


def test_the_default_sound_is_heard_not_the_first(
    story: SampleStory, hearing: None, tmp_path: Path
) -> None:
    path = tmp_path / "commented.mkv"
    with av.open(str(story.path)) as old, av.open(str(path), "w") as new:
        picture = new.add_stream_from_template(old.streams.video[0])
        comments: Any = new.add_stream("pcm_s16le", rate=8000, layout="mono")
        speech: Any = new.add_stream("pcm_s16le", rate=32000, layout="mono")
        comments.disposition, speech.disposition = 0, Disposition.default
        for packet in old.demux(video=0):
            if packet.dts is not None:
                packet.stream = picture
                new.mux(packet)
        for stream in (comments, speech):
            silence = np.zeros((1, stream.rate), np.int16)
            frame = av.AudioFrame.from_ndarray(silence, format="s16", layout="mono")
            frame.sample_rate, frame.pts = stream.rate, 0
            new.mux([*stream.encode(frame), *stream.encode(None)])
    info = probe(path)
    assert info.audio_stream == 2
    assert [t.text for t in speech_texts(info, tmp_path)] == ["Hello there.", "Who is it?"]
    assert Heard.rates == [32000]
    speech_texts(replace(info, audio_stream=1), tmp_path)
    assert Heard.rates == [8000, 32000]  # the file itself


def test_a_hook_cancels_speech(story: SampleStory, hearing: None, tmp_path: Path) -> None:
    def cancel(*_: object) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        speech_texts(probe(story.path), tmp_path, hook=cancel)


def test_speech_models_that_are_not_there(story: SampleStory, hearing: None) -> None:
    info = probe(story.path)
    with pytest.raises(UsageError, match=r'no speech model "smal"\. Allowed: tiny, base'):
        speech_texts(info, "smal")
    with pytest.raises(
        VideographError, match=r"small cannot be loaded: not there, and HF_HUB_OFFLINE"
    ):
        speech_texts(info, "small")
    with pytest.raises(UsageError, match=r'device is "mps"\. Allowed for speech: auto, cpu, cuda'):
        speech_texts(info, "tiny", device="mps")


def test_nouns() -> None:
    asked = [
        "Where does the dog jump over the red car?",
        "show me the hunters",
        "goals",
        "people dancing",
    ]
    assert nouns(asked) == ("dog", "red car", "hunters", "goals", "people")
    assert nouns([TimedText("A fox chases a mouse through the snow.", "subtitles")]) == (
        "fox",
        "mouse",
        "snow",
    )
    assert nouns(["when do they laugh?"]) == ()


def test_lexical_words_need_neither_torch_nor_av() -> None:
    code = (
        "import sys; from videograph.encoders import load_text; import videograph.language; "
        "load_text('lexical').encode_text(['a dog']); "
        "print([m for m in ('torch', 'transformers', 'av', 'scipy') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
