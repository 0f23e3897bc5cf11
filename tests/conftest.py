"""Fixtures that every test may use: the shared real data, wherever it lies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("VIDEOGRAPH_DATA", ROOT.parent / "shared" / "data"))


def skip_or_fail(reason: str) -> None:
    """Skip, or fail where nothing may be missing (CI)."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session", autouse=True)
def no_cache() -> Iterator[None]:
    """The cache of whoever runs the tests stays as it is; tests of it choose their own folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDEOGRAPH_CACHE", "off")
        yield


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real videos, annotations and weights."""
    if not (DATA / "README.md").is_file():
        skip_or_fail(f"no shared data at {DATA}; say where it is with VIDEOGRAPH_DATA")
    return DATA
