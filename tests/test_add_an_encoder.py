"""The page docs/add-an-encoder.md, followed: its code is put into the workshop and held to the contract."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

import pytest
import test_contracts
from conftest import ROOT

import videograph
import videograph.encoders
from videograph.encoders import available_encoders, load_encoder
from videograph.sample import draw_sample

CODE = re.search(
    r"```python\n(.*?)```", (ROOT / "docs/add-an-encoder.md").read_text(encoding="utf-8"), re.S
)
CONTRACT = [
    name for name in vars(test_contracts.TestEveryEncoder) if name.startswith("test_")
]  # fmt: skip


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the workshop with the page's file in it."""
    for file in Path(videograph.encoders.__path__[0]).glob("*.py"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert CODE is not None
    (tmp_path / "layout.py").write_text(CODE.group(1), encoding="utf-8")
    monkeypatch.setattr(videograph.encoders, "__path__", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "videograph.encoders.layout", raising=False)
    return tmp_path


def test_the_page_keeps_its_word_on_length() -> None:
    assert CODE is not None
    n_lines = len(CODE.group(1).splitlines())
    assert n_lines < 60
    said = re.search(r"in (\d+) lines", (ROOT / "docs/add-an-encoder.md").read_text("utf-8"))
    assert said is not None and int(said.group(1)) == n_lines


@pytest.mark.parametrize("test", CONTRACT)
def test_its_encoder_keeps_the_contract(workshop: Path, test: str) -> None:
    assert "layout" in available_encoders()
    method = getattr(test_contracts.TestEveryEncoder(), test)
    given = {"encoder": load_encoder("layout"), "encoder_spec": "layout", "batch": 2}
    method(**{name: given[name] for name in inspect.signature(method).parameters})


def test_it_summarizes_a_video(workshop: Path, tmp_path: Path) -> None:
    video = tmp_path / "drawn.mp4"
    draw_sample(video, n_scenes=4, seconds=8)
    summary = videograph.summarize(video, encoder="layout", budget="50%")
    assert summary.encoder == "layout-1" and summary.chosen
