"""What is said of a benchmark's videos, as a text encoder hears it: title, captions, names of objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import h5py
import numpy as np

from videograph.datasets import BenchmarkVideo, Dataset
from videograph.encoders import load_text
from videograph.errors import UsageError, VideographError
from videograph.records import TimedText
from videograph.relevance import Guide, Heard, guide

SOURCES = ("title", "captions", "objects")
"""What a benchmark's video can say of itself."""


def guides(
    dataset: Dataset,
    words: str,
    *,
    sources: Sequence[str] = SOURCES,
    titles: Mapping[str, str] | None = None,
) -> dict[str, Guide]:
    """What the title says of each step of every video.

    Args:
        dataset: videos with titles, and captions or named objects.
        words: an h5 with `words` and `word_features` of each video, or the name of a text encoder.
        sources: which of `SOURCES` are read.
        titles: in place of the videos' own, by key: a control.

    Raises:
        UsageError: no such file or encoder, or the file lacks a text of the videos.
        VideographError: no video says anything.
    """
    titles = titles or {key: video.title for key, video in dataset.videos.items()}
    said = {k: _texts(v, sources, titles[k]) for k, v in dataset.videos.items()}
    if not any(said.values()):
        raise VideographError(
            f"{dataset.name} has no titles to be guided by. Allowed: a data set with titles, and "
            "captions or objects, as tvsum."
        )
    wanted = sorted({text.text for texts in said.values() for text in texts})
    rows = _vectors(words, wanted)
    return {
        key: guide(_heard(texts, rows), dataset.videos[key].seconds) for key, texts in said.items()
    }


def _heard(texts: Sequence[TimedText], rows: Mapping[str, np.ndarray]) -> Heard:
    dim = len(next(iter(rows.values())))
    found = [rows[text.text] for text in texts]
    nothing = np.zeros((0, dim), np.float32)
    return Heard(tuple(texts), np.stack(found) if found else nothing, nothing)


def _texts(video: BenchmarkVideo, sources: Sequence[str], title: str) -> list[TimedText]:
    found = [TimedText(title.strip(), "title")] if title.strip() and "title" in sources else []
    if "captions" in sources:
        found += [
            TimedText(c.text.strip(), "captions", Fraction(c.start_seconds), Fraction(c.end_seconds))
            for c in video.captions
            if c.text.strip() and c.end_seconds > c.start_seconds
        ]  # fmt: skip
    return found + (list(_objects(video)) if "objects" in sources else [])


def _objects(video: BenchmarkVideo) -> Iterator[TimedText]:
    """Names of the objects, each in the runs of steps in which one is seen."""
    objects = video.objects
    if objects is None or objects.classes is None:
        return
    classes = np.where(objects.mask, objects.classes, -1)
    ends = np.append(video.seconds[1:], video.seconds[-1] + 1)
    for kind in np.unique(classes[classes >= 0]):
        steps = np.flatnonzero((classes == kind).any(1))
        for run in np.split(steps, np.flatnonzero(np.diff(steps) > 1) + 1):
            start, end = float(video.seconds[run[0]]), float(ends[run[-1]])
            yield TimedText(objects.class_names[kind], "objects", Fraction(start), Fraction(end))


def _vectors(words: str, texts: Sequence[str]) -> dict[str, np.ndarray]:
    if Path(words).suffix not in (".h5", ".hdf5"):
        return dict(zip(texts, load_text(words).encode_text(texts), strict=True))
    rows = _stored(Path(words))
    if missing := [text for text in texts if text not in rows]:
        raise UsageError(
            f'{words} lacks {len(missing)} of {len(texts)} texts of the videos, as "{missing[0]}". '
            "Make it of the same videos with recipes/word_features.py, or name a text encoder."
        )
    return rows


def _stored(path: Path) -> dict[str, np.ndarray]:
    rows: dict[str, np.ndarray] = {}
    try:
        with h5py.File(path) as file:
            for group in file.values():
                texts = [str(text) for text in group["words"].asstr()[:]]
                rows |= dict(zip(texts, group["word_features"][:], strict=True))
    except (OSError, KeyError, AttributeError, ValueError, TypeError) as error:
        raise UsageError(
            f"{path} cannot be read as word features ({error}). Make it with recipes/word_features.py."
        ) from error
    return rows
