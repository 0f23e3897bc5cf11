"""Imports only go down: the house's one rule that a program can check."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import videograph

PACKAGE = Path(videograph.__file__).parent
STREET = (
    ("errors", "english", "heap"),
    ("records", "spill"),
    ("config", "metrics", "attention", "dropout", "steady", "models"),
    ("graph", "spatial", "encoders", "datasets", "exporters", "sample_scenes", "progress"),
    ("losses", "checkpoint", "inputs", "shots", "summary", "relevance", "moments", "sample"),
    ("topic",),
    ("model", "runs", "reasons", "labels", "video", "encoders.*", "datasets.*"),
    ("features", "objects", "language", "training_free", "nodes", "exporters.*"),
    ("examples",),
    ("scoring", "queries", "learn", "packed"),
    ("cache", "train", "build", "evaluate"),
    ("stored", "answers"),
    ("sight", "collect"),
    ("pipeline", "ask"),
    ("doctor", "batch", "web"),
    ("cli",),
    ("demo",),
)
"""The street from the ground up: a room imports only from rooms of earlier lines. A workshop's door stands
before what it is made of, its members (`.*`) after."""
FLOORS = {room: floor for floor, rooms in enumerate(STREET) for room in rooms}


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


DOORS = (PACKAGE / "__init__.py", PACKAGE / "cli" / "__main__.py")
FILES = sorted(f for f in PACKAGE.rglob("*.py") if f not in DOORS)


@pytest.mark.parametrize("file", FILES, ids=module_name)
def test_imports_go_down(file: Path) -> None:
    me = room(module_name(file))
    assert me in FLOORS, f"{me} has no floor yet: give it one in this test"
    for name in imports(file):
        if name == "videograph":  # the version number, for the roof only
            assert me in ("pipeline", "progress", "doctor", "cli", "demo"), f"{me} imports the root"
            continue
        other = room(name)
        private = name.partition(".")[2].startswith("_") and other == me
        assert private or FLOORS[other] < FLOORS[me], (
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
