"""The model that comes with the package: who gets it, and how to have none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

import videograph
from videograph.encoders import load_encoder
from videograph.model import VideoGraph
from videograph.models import FOLDER, shipped_for


def test_the_embedded_encoder_has_a_model() -> None:
    folders = shipped_for(load_encoder("embedded").name)
    assert len(folders) == 5
    for folder in folders:
        origin = VideoGraph.from_pretrained(folder).origin
        assert origin.dataset == "TVSum" and len(origin.videos) == 40


def test_other_encoders_and_other_weights_have_none(tmp_path: Path) -> None:
    assert not shipped_for("builtin-1") and not shipped_for("embedded-2-00000000")
    (tmp_path / "own/0").mkdir(parents=True)
    (tmp_path / "own/0/config.json").write_text(json.dumps({"origin": {"encoder": "mine-1"}}))
    assert shipped_for("mine-1", tmp_path) == [tmp_path / "own/0"]


def test_it_is_small() -> None:
    files = [f for f in FOLDER.rglob("*") if f.is_file() and "__pycache__" not in f.parts]
    assert 50_000 < sum(f.stat().st_size for f in files) < 3_000_000


def test_it_scores_unless_another_form_is_asked_for(data: Path) -> None:
    video = data / "videos/bikes_6shots.mp4"
    default = videograph.summarize(video, encoder="embedded")
    free = videograph.summarize(video, encoder="embedded", model="training-free")
    assert default.form == "videograph-tvsum" and free.form == "training-free"
    assert np.ptp(default.scores) > 0 and not np.allclose(default.scores, free.scores)
    assert videograph.summarize(video, encoder="builtin").form == "training-free"


def test_it_says_nothing_of_words_that_nobody_gave_it(data: Path) -> None:
    """The reader did not choose this model: that it hears no words need not be told."""
    summary = videograph.summarize(
        data / "videos/bikes_6shots.mp4", encoder="embedded", query="a bicycle"
    )
    assert not any("reads no such words" in warning for warning in summary.warnings)
