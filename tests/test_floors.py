"""Imports only go down: the house's one rule that a program can check."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import videograph

PACKAGE = Path(videograph.__file__).parent
FLOORS = {
    "errors": 0, "records": 0, "config": 0, "graph": 0, "losses": 0, "metrics": 0,
    "checkpoint": 0,
    "english": 0,
    "attention": -0.2, "spatial": -0.1, "queries": 2.5,
    "decoding": 1, "picking": 1, "media": 1, "grabbing": 1, "steady": 1,
    "video": 1, "shots": 1, "summary": 1, "model": 1, "sample_scenes": 1, "sample": 2,
    "relevance": 1.5, "moments": 1.6, "answers": 2.6, "sight": 2.65, "ask": 2.7,
    "encoders": 1, "datasets": 1, "exporters": 1,
    "encoders.*": 2, "datasets.*": 2, "exporters.*": 2,
    "scoring": 2, "training_free": 2, "features": 2, "language": 2, "reasons": 2, "examples": 2, "labels": 2,
    "objects": 2,
    "packed": 2.3, "cache": 2.4, "stored": 2.5,  # between features and the pipeline
    "pipeline": 3, "evaluate": 3, "learn": 3, "build": 3, "collect": 3,
    "train": 4, "batch": 4, "doctor": 4,
    "web": 5, "progress": 5,
    "cli": 6, "demo": 7,
}  # fmt: skip
"""Floor of each room; a file may import from lower floors, and from its own only downwards below."""
SAME_FLOOR = {
    ("config", "errors"), ("records", "errors"), ("graph", "config"), ("losses", "graph"),
    ("losses", "config"), ("metrics", "errors"), ("metrics", "records"), ("graph", "records"),
    ("media", "decoding"), ("grabbing", "decoding"), ("grabbing", "media"), ("video", "decoding"),
    ("video", "picking"), ("video", "media"), ("video", "grabbing"),
    ("losses", "records"), ("config", "records"), ("graph", "errors"),
    ("losses", "errors"), ("scoring", "training_free"), ("checkpoint", "config"), ("checkpoint", "errors"),
}  # fmt: skip
"""The ground floor stands on `errors`, `records` and `config`; nothing else imports sideways."""


def module_name(file: Path) -> str:
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(p for p in parts if p != "__init__")


def room(module: str) -> str:
    top, _, member = module.partition(".")
    return f"{top}.*" if member and top in ("encoders", "datasets", "exporters") else top


def imports(file: Path) -> list[str]:
    found: list[str] = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file.name} imports relatively"
            found.append(node.module or "")
    return [
        name.removeprefix("videograph.") for name in found if name.split(".")[0] == "videograph"
    ]


FILES = sorted(f for f in PACKAGE.rglob("*.py") if f != PACKAGE / "__init__.py")


@pytest.mark.parametrize("file", FILES, ids=module_name)
def test_imports_go_down(file: Path) -> None:
    me = room(module_name(file))
    assert me in FLOORS, f"{me} has no floor yet: give it one in this test"
    for name in imports(file):
        if name == "videograph":  # the version number, for the roof only
            assert FLOORS[me] >= 5, f"{me} imports the package root"
            continue
        other = room(name)
        private = name.partition(".")[2].startswith("_") and other == me
        assert private or FLOORS[other] < FLOORS[me] or (me, other) in SAME_FLOOR, (
            f"{me} (floor {FLOORS[me]}) imports {other} (floor {FLOORS[other]})"
        )


def test_workshop_doors_import_no_member() -> None:
    for workshop in ("encoders", "datasets", "exporters"):
        door = PACKAGE / workshop / "__init__.py"
        assert not [n for n in imports(door) if n.startswith(f"{workshop}.")]


@pytest.mark.parametrize("module", ["videograph", "videograph.cli"])
def test_importing_stays_light(module: str) -> None:
    import subprocess
    import sys

    code = (
        f"import sys, {module}; "
        "print([m for m in ('torch', 'transformers', 'av', 'scipy', 'matplotlib') "
        "if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
